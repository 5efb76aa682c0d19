"""`NetworkExplorer`: what it shows at first, what follows from clicks, its table, its files, its static twin."""

import io
import json

import pandas as pd
import pytest
from PIL import Image

from nasviz.cycles.description import layer_table
from nasviz.graph.cost import cost, macs
from nasviz.views import ExplorerState, NetworkExplorer
from nasviz.views.explorer_figure import fitting
from nasviz.views.explorer_scene import svg_path
from nasviz.views.theme import si
from tests.views.explorer_networks import blocks

GRAPH = blocks(12)


@pytest.fixture
def view():
    return NetworkExplorer(GRAPH)


def drawn(view, which: int = 0) -> dict[str, dict]:
    """The boxes that the page is told to draw, by id."""
    return {box["id"]: box for box in json.loads(view.chart.figure)["drawings"][which]["boxes"]}


def test_first_paint(view):
    boxes = drawn(view)
    assert list(boxes) == [":input", "stem", "body", "head", "head.pool", "head.fc"]
    body = boxes["body"]
    assert body["badge"] == "×12" and body["state"] == "closed" and body["third"] == "8×16×16"
    assert body["bar"] == [[0, 1.0]]  # all of its MACs are those of dense convolutions
    assert "12 equal in a row" in body["label"]
    title = json.loads(view.chart.figure)["drawings"][0]["title"]
    total = cost(GRAPH).total
    assert title.endswith(f"{si(total['params'], 'parameters')}, {si(total['macs'], 'MACs')}")
    assert view.describe().startswith("Computation graph of blocks") and view.error == ""


def test_a_click_on_a_sign_opens_a_box_and_another_closes_it(view):
    view.chart._on_message(None, {"kind": "click", "id": "body"}, [])  # what js/explorer.js sends
    boxes = drawn(view)
    assert boxes["body"]["state"] == "open" and boxes["body.3"]["state"] == "closed"
    view._on_click("body.3")
    assert "body.3.conv1" in drawn(view)
    inside, frame = drawn(view)["body.3.conv1"], drawn(view)["body.3"]
    assert frame["x"] < inside["x"] and inside["x"] + inside["width"] < frame["x"] + frame["width"]
    view._on_click("body")
    assert "body.3" not in drawn(view) and view.state.opened.count("body") == 0


def test_all_boxes_are_opened_and_closed_by_buttons(view):
    first = drawn(view).keys()
    buttons = {button.description: button for button in view._controls.children[2].children}
    buttons["Open all"].click()
    assert {f"body.{i}.conv2" for i in range(12)} <= drawn(view).keys()
    buttons["Close all"].click()
    assert view.state.opened == [] and "head" in drawn(view)
    buttons["Overview"].click()
    assert drawn(view).keys() == first


def test_folding_and_repeats_are_switched(view):
    view.state.repeats = False
    view._on_open_all(None)
    assert not any(box["badge"] for box in drawn(view).values())
    view.state.fold = False
    view._on_open_all(None)
    assert {"stem.bn", "stem.act"} <= drawn(view).keys()
    view.state.fold = view.state.repeats = True
    assert "stem.bn" not in drawn(view)


def test_details_of_an_operator_have_shapes_cost_and_formula(view):
    view.find("body.3.conv1")
    assert view.state.box == "body.3.conv1" and {"body", "body.3"} <= set(view.state.opened)
    assert view.chart.chosen == "body.3.conv1"
    text = view._details.value
    for part in ("input shape", "1×8×16×16", "kernel", "3×3", "9 · 8 · 8 · 16² = 147 k MACs", "window", "reads"):
        assert part in text, part
    assert "8 · 8 · 3 · 3 = 576 parameters" in text and "with it: ReLU" in text
    view.chart.chosen = "body"  # as the page says it after a click
    assert view.state.box == "body" and "12 equal in a row" in view._details.value
    view.state.box = ""
    assert "Choose a box" in view._details.value


def test_any_metric_colours_the_boxes(view):
    layers = layer_table(GRAPH).assign(information_capacity=0.5)
    view = NetworkExplorer(GRAPH, layers=layers)
    names = [value for _, value in view._colour.options]
    assert names == [
        "kind",
        "macs",
        "flops",
        "parameters",
        "activation_bytes",
        "kflops",
        "channels",
        "information_capacity",
    ]
    view._colour.value = "macs"
    boxes = drawn(view)
    most = max(
        boxes.values(), key=lambda box: sum(macs(GRAPH.nodes[i]) for i in view.networks[0].tree.parts[box["id"]].nodes)
    )
    legend = json.loads(view.chart.figure)["legend"]
    assert legend["title"] == "MACs" and most["id"] == "body" and most["fill"] == legend["stops"][-1]
    assert most["third"] == legend["ends"][1]
    view._colour.value = "kind"
    assert not any(box["fill"] for box in drawn(view).values())


def test_the_table_lists_what_is_seen_and_the_file_everything(view, read_table, tmp_path):
    header, rows, _ = read_table(view._table.value)
    assert (
        header[:4] == ["layer", "operator", "kind", "output"] and len(rows) == len(drawn(view)) - 1
    )  # but for the open head
    saved = pd.read_csv(view.save(tmp_path / "network.csv"))
    assert saved["macs"].sum() == cost(GRAPH).total["macs"]
    assert saved["parameters"].sum() == GRAPH.params
    assert saved["layer"].tolist().count("body.3.conv1") == 1


def test_two_networks_stand_side_by_side_with_their_differences(read_table, tmp_path):
    view = NetworkExplorer(GRAPH, blocks(12, wide=5, extra=7))
    before, after = drawn(view, 0), drawn(view, 1)
    assert after["body.7.added"]["mark"] == "added" and after["body.7.added"]["sign"] == "+"
    assert after["body.5.conv1"]["mark"] == before["body.5.conv1"]["mark"] == "changed"
    assert after["body"]["sign"] == "+1 ≠2" and before["body"]["sign"] == "≠2"  # opened where they differ
    assert "Nodes added (+): 1, removed (−): 0, changed (≠): 3" in view._status.value
    view.find("body.5.conv1")
    assert "changed: output shape, parameters, bytes" in view._details.value
    saved = pd.read_csv(view.save(tmp_path / "two.csv"))
    assert saved.loc[saved["difference"] == "added", ["network", "layer"]].to_numpy().tolist() == [
        ["after", "body.7.added"]
    ]
    assert NetworkExplorer(blocks(3), blocks(2)).networks[0].differences.counts["removed"] == 4


def test_words_of_the_static_twin_stay_in_their_boxes():
    view = NetworkExplorer(GRAPH, blocks(12, extra=5))
    figure, scene = view.static(), fitting(lambda width: view._scene(width / 2))
    figure.draw_without_rendering()
    one, two = (axes.get_window_extent() for axes in figure.axes)
    assert one.x1 <= two.x0 + 1
    for axes, drawing in zip(figure.axes, scene["drawings"], strict=True):
        words = {text.get_position(): text for text in axes.texts}
        for box in (box for box in drawing["boxes"] if box["state"] != "open"):
            left, right = (axes.transData.transform((box["x"] + w, box["y"]))[0] for w in (0, box["width"]))
            for y in (33, 47):
                extent = words[box["x"] + (13 if box["kind"] >= 0 else 8), box["y"] + y].get_window_extent()
                assert left < extent.x0 and extent.x1 < right, box["id"]


def test_the_static_twin_and_the_files(view, tmp_path):
    picture = Image.open(io.BytesIO(view.save(tmp_path / "network.png").read_bytes()))
    assert picture.width > 400
    svg = view.save(tmp_path / "network.svg").read_text(encoding="utf-8")
    assert "body" in svg and "×12" in svg
    page = view.save(tmp_path / "network.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page
    assert json.dumps("9 · 3 · 8 · 16² = 55.3 k MACs").strip('"') in page  # details without a kernel
    view.state.picture = True
    assert view.chart.picture
    assert "image/png" in view._repr_mimebundle_()


def test_on_a_phone_it_grows_downwards(view):
    wide = json.loads(view.chart.figure)["drawings"][0]
    view.chart.space = 340
    narrow = json.loads(view.chart.figure)
    assert narrow["down"] and narrow["drawings"][0]["height"] > wide["height"]


def test_a_state_is_stored_and_opened_again(view):
    view.find("body.3.conv1")
    view.state.colour = "parameters"
    again = NetworkExplorer(GRAPH, state=ExplorerState.from_json(view.state.to_json()))
    assert drawn(again) == drawn(view) and again._details.value == view._details.value


def test_names_are_no_html():
    graph = blocks(1)
    from nasviz.views.explorer import named

    view = NetworkExplorer(named(graph, "<script>x</script>"))
    assert "<script>" not in view._table.value + view._details.value
    page = view.figure().to_html()
    assert page.count("</script>") == 1  # its own


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "sentence"),
    [
        ((3,), {}, TypeError, "graph is a int; pass a ComputeGraph"),
        ((GRAPH, 3), {}, TypeError, "other is a int"),
        ((GRAPH,), {"layers": pd.DataFrame({"a": [1]})}, ValueError, "layers lacks layer; it has a"),
        ((GRAPH,), {"layers": pd.DataFrame({"layer": ["x"]})}, ValueError, "names 'x' and others, none of which"),
        ((GRAPH,), {"layers": pd.DataFrame({"layer": ["stem.conv"] * 2})}, ValueError, "more than one value"),
        ((GRAPH, GRAPH), {"layers": (None,)}, ValueError, "layers holds 1 tables for 2 networks"),
        ((GRAPH,), {"state": ExplorerState(colour="speed")}, ValueError, "state.colour is 'speed'"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, options, kind, sentence):
    with pytest.raises(kind, match=sentence):
        NetworkExplorer(*arguments, **options)


def test_a_layer_that_is_not_there_is_told_in_the_panel(view):
    view._find.value = "nowhere"
    assert "layer 'nowhere' is none of this network" in view.error
    view._find.value = "stem.conv"
    assert view.error == "" and view.state.box == "stem"


def test_paths_of_lines_are_svg():
    assert svg_path([(0, 1), (2, 3), (4, 5), (6, 7)]) == "M0.0 1.0C2.0 3.0 4.0 5.0 6.0 7.0"
