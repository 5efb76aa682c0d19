"""Layers of several cycles side by side: values, gaps, totals, bottlenecks, order, and the table as one reads it."""

import html
import re

import numpy as np
import pandas as pd
import pytest

from nasviz.measure import bottleneck_rule
from nasviz.views import CycleBars, CyclesState, LayerComparison
from nasviz.views.layer_comparison_figure import DRAWN
from nasviz.views.layer_table import COLUMNS_SHOWN


@pytest.fixture
def view(run):
    return LayerComparison(run, state=CyclesState(layer_metric="parameters", compared=[0, 2, 3]))


def grid(view, read_table):
    """The table: header without the arrow, rows, caption, and the Total row if there is one."""
    text = view._table.html
    header, rows, caption = read_table(text)
    foot = [rows.pop()] if "<tfoot>" in text else []
    return [name.rstrip(" ▲▼") for name in header], rows, caption, foot


def test_first_paint(view, shown):
    figure = shown(view)
    assert [trace.name for trace in figure.data] == ["cycle 0", "cycle 2", "cycle 3"]
    by_layer = {trace.name: dict(zip(trace.x, trace.y, strict=True)) for trace in figure.data}
    assert list(by_layer["cycle 0"]) == ["conv1", "extra.conv", "conv2", "fc"]  # an added layer stands in its place
    np.testing.assert_equal(list(by_layer["cycle 0"].values()), [300, np.nan, 500, 200])
    np.testing.assert_equal(list(by_layer["cycle 2"].values()), [400, np.nan, np.nan, 200])
    np.testing.assert_equal(list(by_layer["cycle 3"].values()), [100, 100, np.nan, 200])
    assert figure.layout.barmode == "group"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("layer", "parameters")
    assert "parameters 500" in figure.data[0].customdata[2]
    ids = [name for trace in figure.data for name in trace.ids]
    assert len(set(ids)) == len(ids)  # plotly draws bars with equal ids once


def test_the_table_has_gaps_and_no_zeros_where_layers_are_missing(view, read_table):
    header, rows, caption, foot = grid(view, read_table)
    assert header == ["layer", "operator", "cycle 0", "cycle 2", "cycle 3"]
    assert rows == [
        ["conv1", "conv", "300", "400", "100"],
        ["extra.conv", "conv", "–", "–", "100"],
        ["conv2", "conv", "500", "–", "–"],
        ["fc", "fc", "200", "200", "200"],
    ]
    assert foot == [["Total", "", "1,000", "600", "400"]]
    assert "– no such layer" in caption
    view.state.layer_metric = "information_capacity"
    _, rows, _, foot = grid(view, read_table)
    assert rows[0][2:] == ["0.5", "0.5", "0.5"]
    assert rows[2][2:] == ["no value", "–", "–"]  # measured on nobody, and not there at all
    assert foot == []  # a sum of it means nothing


def test_layers_without_weights_are_behind_a_switch(view, read_table):
    view.state.untrained = True
    assert [row[0] for row in grid(view, read_table)[1]] == ["conv1", "extra.conv", "relu", "conv2", "fc"]
    assert grid(view, read_table)[3] == [["Total", "", "1,000", "600", "400"]]


def test_only_differences(view, read_table, shown):
    view.state.differences = True
    assert [row[0] for row in grid(view, read_table)[1]] == ["conv1", "extra.conv", "conv2"]
    assert shown(view).data[0].x == ("conv1", "extra.conv", "conv2")
    assert grid(view, read_table)[3] == [["Total", "", "1,000", "600", "400"]]  # of the whole network
    view.state.compared = [0, 1]
    header, rows, _, foot = grid(view, read_table)
    assert header[-1] == "change"
    assert rows == [["conv2", "conv", "500", "300", "-200"]]
    assert foot[0][-1] == "-200"
    view.state.layer_metric = "information_capacity"
    assert grid(view, read_table)[1] == []


def test_transposed(view, read_table):
    view.state.transposed = True
    header, rows, _, _ = grid(view, read_table)
    assert header == ["cycle", "conv1", "extra.conv", "conv2", "fc", "Total"]
    assert rows == [
        ["0", "300", "–", "500", "200", "1,000"],
        ["2", "400", "–", "–", "200", "600"],
        ["3", "100", "100", "–", "200", "400"],
    ]


def test_a_click_on_a_header_sorts_upwards_then_downwards_then_not(view, read_table):
    def click(column):
        view._table._handle_custom_msg({"kind": "sort", "column": column}, [])
        return [row[0] for row in grid(view, read_table)[1]]

    assert click("cycle 2") == ["fc", "conv1", "extra.conv", "conv2"]  # gaps last, in the network's order
    assert 'aria-sort="ascending"><button type="button" data-sort="cycle 2"' in view._table.html
    assert click("cycle 2") == ["conv1", "fc", "extra.conv", "conv2"]
    assert (view.state.sort, view.state.descending) == ("cycle 2", True)
    assert click("cycle 2") == ["conv1", "extra.conv", "conv2", "fc"]
    assert click("layer") == ["conv1", "conv2", "extra.conv", "fc"]
    assert click("<script>") == ["conv1", "conv2", "extra.conv", "fc"]
    view.state.transposed = True
    assert click("Total") == ["3", "2", "0"]


def test_a_bottleneck_is_marked_by_the_rule_that_is_stated(view, run, shown, read_table):
    assert html.escape(bottleneck_rule()) in view._status.value
    largest = LayerComparison(
        run,
        state=CyclesState(layer_metric="parameters", compared=[0, 3]),
        bottlenecks=lambda layers: layers["parameters"] > 0.4 * layers["parameters"].sum(),
        rule="more than 40 % of the parameters",
    )
    assert "▲ Bottleneck (bars hatched): more than 40 % of the parameters." in largest._status.value
    rows = {row[0]: row[2:4] for row in grid(largest, read_table)[1]}
    assert rows["conv2"] == ["500 ▲", "–"]
    assert rows["fc"] == ["200", "200 ▲"]
    assert largest._table.html.count('class="number bottleneck"') == 2
    shapes = [dict(zip(trace.x, trace.marker.pattern.shape, strict=True)) for trace in shown(largest).data]
    assert [shape["conv2"] for shape in shapes] == ["/", ""]
    assert [shape["fc"] for shape in shapes] == ["", "/"]
    remarks = largest.export_table().set_index("layer")["cycle 3: remark"]
    assert remarks[["conv2", "fc"]].tolist() == ["no layer", "bottleneck"]


def test_a_run_may_say_itself_which_layers_are_bottlenecks(run, read_table):
    said = run.layers.query("metric == 'parameters'").assign(metric="bottleneck")
    said["value"] = (said["layer"] == "fc").astype(float)
    run.layers = pd.concat([run.layers, said])
    view = LayerComparison(run, state=CyclesState(layer_metric="parameters"))
    assert "bottleneck" not in [value for _, value in view._metric_menu.options]
    assert [row[0] for row in grid(view, read_table)[1] if "▲" in row[2]] == ["fc"]
    assert "as the run says" in view._status.value


def test_the_selected_cycle_is_marked_and_shown_even_if_it_is_not_compared(run, shown):
    view = LayerComparison(run)
    assert view.state.compared == [0, 3]
    bars = CycleBars(run, state=view.state)
    bars.chart._handle_custom_msg({"kind": "click", "id": "1"}, [])
    assert [trace.name for trace in shown(view).data] == ["cycle 0", "▸ cycle 1", "cycle 3"]
    assert re.search(r'<th scope="col" class="number chosen"[^>]*><button[^>]*data-sort="cycle 1"', view._table.html)
    view.chart._handle_custom_msg({"kind": "click", "id": "3 2"}, [])  # the third bar of cycle 3
    assert bars.state.cycle == 3


def test_cycles_are_chosen_from_a_list(view, shown):
    view._compared.value = (1, 3)
    assert view.state.compared == [1, 3]
    assert len(shown(view).data) == 2
    view.state.compared = []
    assert view._compared.value == ()
    assert "cycles none" in view._status.value
    assert view.static().axes


def test_the_static_twin(view, overlaps):
    figure = view.static()
    heights = [[bar.get_height() for bar in container] for container in figure.axes[0].containers]
    np.testing.assert_equal(heights, [[300, np.nan, 500, 200], [400, np.nan, np.nan, 200], [100, 100, np.nan, 200]])
    assert overlaps(figure) == []


def test_files(view, tmp_path):
    frame = pd.read_csv(view.save(tmp_path / "layers.csv"))
    assert list(frame["layer"]) == ["conv1", "extra.conv", "conv2", "fc", "Total"]
    np.testing.assert_equal(frame["cycle 3"].to_numpy(), [100, 100, np.nan, 200, 400])


def test_a_run_that_grows_is_compared_up_to_its_last_cycle_until_the_user_chooses(disk_run, read_table):
    run, add = disk_run
    view = LayerComparison(run)
    assert "nothing measured yet" in view._metric_menu.options[0]
    for compared in ([0], [0, 1], [0, 2]):
        add(0.5)
        view._on_tick()
        assert view.state.compared == compared
    assert view.state.layer_metric == "parameters"
    assert grid(view, read_table)[3] == [["Total", "", "90", "110", "+20"]]
    view.state.compared = [1]
    add(0.5)
    view._on_tick()
    assert view.state.compared == [1]
    assert view._compared.options[-1] == ("3", 3)


def test_many_cycles_are_cut_in_the_page_and_whole_in_the_file(run, read_table, shown):
    first = run.layers.query("cycle == 0")
    run.layers = pd.concat([first.assign(cycle=i) for i in range(COLUMNS_SHOWN + 5)])
    run.metrics = pd.DataFrame({"cycle": range(COLUMNS_SHOWN + 5), "metric": "accuracy", "value": 0.5})
    view = LayerComparison(run, state=CyclesState(compared=list(range(COLUMNS_SHOWN + 5)), layer_metric="parameters"))
    header, rows, caption, foot = grid(view, read_table)
    assert len(header) == len(rows[0]) == len(foot[0]) == 2 + COLUMNS_SHOWN
    assert "5 more columns in the CSV file" in caption
    assert len(shown(view).data) == DRAWN
    view.state.cycle = COLUMNS_SHOWN
    assert shown(view).data[-1].name == f"▸ cycle {COLUMNS_SHOWN}"
    assert len([name for name in view.export_table() if re.fullmatch(r"cycle \d+", name)]) == COLUMNS_SHOWN + 5


def test_names_are_no_html(run, shown):
    run.layers["layer"] = run.layers["layer"].replace("fc", "<img src=x onerror=alert(1)>")
    view = LayerComparison(run)
    assert "<img" not in view._table.html + "".join(text for trace in shown(view).data for text in trace.customdata)


@pytest.mark.parametrize(
    ("change", "state", "message"),
    [
        (lambda frame: frame.drop(columns="layer"), {}, "run.layers lacks layer"),
        (
            lambda frame: pd.concat([frame, frame]),
            {},
            "value of 'parameters' for layer 'conv1' of cycle 0",
        ),
        (lambda frame: frame.assign(value="many"), {}, "no number"),
        (lambda frame: frame, {"compared": [9]}, r"compared names \[9\]"),
        (lambda frame: frame, {"layer_metric": "beauty"}, "beauty"),
    ],
)
def test_bad_input_gets_one_sentence(run, change, state, message):
    run.layers = change(run.layers)
    with pytest.raises(ValueError, match=message) as caught:
        LayerComparison(run, state=CyclesState(**state))
    assert "\n" not in str(caught.value)


def test_a_rule_must_be_stated(run):
    with pytest.raises(ValueError, match="rule is empty"):
        LayerComparison(run, bottlenecks=lambda layers: layers["parameters"] > 100)


def test_a_rule_that_fails_is_said_in_the_panel(run):
    view = LayerComparison(run, bottlenecks=lambda layers: layers["parameters"] > 100, rule="many parameters")
    view._tables._rule = lambda layers: layers["beauty"] > 1
    view.state.compared = [1, 2]
    assert view.error == "KeyError: 'beauty'"
    assert LayerComparison(run).error == ""
