"""The overview of a run, the explorer of its cycles, and the page that holds all views under tabs."""

import io
import json
import shutil

import pandas as pd
import pytest

from nasviz.cycles import Run, demo
from nasviz.resources import dashboards_folder
from nasviz.views import CycleExplorer, CycleOverview, CyclesPage, CyclesState, cycles_dashboard, cycles_environment
from nasviz.views.cycles_page import TABS


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "home"))
    for name in ("SERVER_SOFTWARE", "NASVIZ_RUN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(tmp_path, home):
    shutil.copytree(demo(), tmp_path / "run")
    return Run.open(tmp_path / "run")


def rows(view) -> tuple[list[str], list[list[str]]]:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(view._table.html)
    header, *body = ([" ".join(cell.itertext()) for cell in row] for row in root.iter("tr"))
    return header, body


# --- overview -------------------------------------------------------------------------------------------------------


def test_the_overview_lists_the_cycles_with_the_best_of_each_metric(run):
    view = CycleOverview(run)
    header, body = rows(view)
    assert header[:4] == ["cycle", "name", "parent", "accuracy"] and {"NetScore+", "FLOPs", "size"} <= set(header)
    assert len(body) == len(run) and body[0][1] == "six convolutions" and body[0][2] == "–"
    at = header.index("FLOPs")
    least = min(run.cycles, key=lambda cycle: cycle.metrics["flops"]).index
    assert [row[0] for row in body if row[at].startswith("★")] == [str(least)]
    assert run.task in view._head.value and "accuracy, higher is better" in view._head.value
    table = view.export_table()
    assert table["parent"].isna().tolist() == [cycle.parent is None for cycle in run.cycles]


def test_a_click_selects_a_cycle_and_headers_sort(run):
    view = CycleOverview(run)
    assert "No cycle is selected" in view._facts.value
    view._table._on_message(None, {"kind": "row", "key": "4"}, [])
    assert view.state.cycle == 4 and run.cycle(4).note in view._facts.value
    assert 'class="chosen" data-key="4"' in view._table.html and 'aria-selected="true"' in view._table.html
    view._table._on_message(None, {"kind": "row", "key": "4"}, [])
    assert view.state.cycle == -1
    for column, key in (("accuracy", "accuracy"), ("latency", "latency_ms")):
        view._table._on_message(None, {"kind": "sort", "column": column}, [])
        values = [run.cycle(int(row[0])).metrics[key] for row in rows(view)[1]]
        assert values == sorted(values)
    view._table._on_message(None, {"kind": "sort", "column": "latency"}, [])
    assert [run.cycle(int(row[0])).metrics["latency_ms"] for row in rows(view)[1]] == sorted(values, reverse=True)
    view._table._on_message(None, {"kind": "sort", "column": "latency"}, [])
    assert [row[0] for row in rows(view)[1]] == [str(i) for i in range(len(run))]
    view._table._on_message(None, {"kind": "sort", "column": "parent"}, [])
    assert rows(view)[1][-1][2] == "–"  # without a value: last


def test_the_overview_says_how_a_cycle_was_made_and_saves_the_numbers(run):
    view, sent = CycleOverview(run, state=CyclesState(cycle=3)), []
    assert "threads 1" in view._facts.value and "epochs 12" in view._facts.value  # how latency and accuracy came about
    view.actions.list.send = lambda content, buffers=None: sent.append((content, buffers))
    save, save_page = view.children[4].children
    save.click()
    ((content, (data,)),) = sent
    assert content["name"] == "nasviz-overview.csv" and content["type"] == "text/csv"
    table = pd.read_csv(io.BytesIO(data))
    assert table["accuracy"].tolist() == [cycle.metrics["accuracy"] for cycle in run.cycles]
    save_page.click()
    assert sent[1][0]["name"] == "nasviz-overview.html" and sent[1][1][0].startswith(b"<!doctype html>")


def test_names_are_no_html(home, tmp_path):
    run = Run.create(tmp_path / "r", name="<script>a</script>", task="<img>")
    run.add("<b>x</b>", metrics={"accuracy": 0.5}, note="<i>")
    view = CycleOverview(run, state=CyclesState(cycle=0))
    for text in (view._head.value, view._table.html, view._facts.value):
        assert not any(tag in text for tag in ("<script", "<img", "<b>x", "<i>"))


# --- explorer -------------------------------------------------------------------------------------------------------


def test_the_explorer_shows_the_selected_cycle_and_another_beside_it(run):
    view = CycleExplorer(run)
    assert view.cycle == len(run) - 1 and len(view.explorer.networks) == 1  # the last, until one is selected
    assert "information_capacity" in view.explorer.networks[0].metrics
    view.explorer.state.colour = "information_capacity"
    view.state.cycle = 5
    assert view._cycle.value == 5 and view.explorer.networks[0].graph == run.cycle(5).graph()
    assert view.explorer.state.colour == "information_capacity"  # stays what it was
    view._against.value = 4
    before, after = view.explorer.networks
    assert before.graph.name == "cycle 4, 0→3 avg pool" and after.graph.name == "cycle 5, 1→3 nothing"
    removed = {node.layer for node, mark in zip(before.graph.nodes, before.differences.marks, strict=True) if mark}
    assert removed == {
        f"stage{i}.cell1.node3.nor_conv_3x3_1.{part}" for i in (1, 2, 3) for part in ("relu", "conv", "bn")
    }
    view.state.cycle = 2  # the earlier one stands first
    assert view.explorer.networks[0].graph.name.startswith("cycle 2")
    view.state.against = 2
    assert len(view.explorer.networks) == 1
    view.state.against = -1
    assert view._against.value == -1 and view.error == ""


def test_a_cycle_without_a_network_is_told_and_the_next_is_shown(run):
    writer = Run.open(run.folder, writable=True)
    writer.add("no graph", metrics={"accuracy": 0.5})
    view = CycleExplorer(run)
    run.refresh()
    view.refresh()
    view.state.cycle = len(run) - 1
    assert "has no graph" in view.error and view.explorer is None
    with pytest.raises(ValueError, match="has no graph"):
        view.static()
    view.state.cycle = 1
    assert view.error == "" and view.explorer is not None and view.static().axes
    with pytest.raises(TypeError, match="those of a Run"):
        CycleExplorer(object())


def test_an_explorer_of_an_empty_run_waits_for_a_cycle(disk_run):
    run, _ = disk_run
    view = CycleExplorer(run)
    assert view.cycle == -1 and view._cycle.value == -1
    with pytest.raises(ValueError, match="the run has no cycles yet"):
        view.static()
    Run.open(run.folder, writable=True).add(
        "one",
        source={
            "family": "nb201",
            "arch": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            "scale": "digits",
        },
    )
    run.refresh()
    view.refresh()
    assert view.cycle == 0 and view.explorer is not None


# --- page -----------------------------------------------------------------------------------------------------------


def test_the_tabs_are_filled_when_they_are_opened_and_linked(run):
    page = CyclesPage(run)
    assert page.tabs.titles == TABS and [len(box.children) for box in page._boxes] == [1, 0, 0, 0]
    for index in range(4):
        page.tabs.selected_index = index
    bars, pareto, confusion = page._boxes[1].children
    (layers,), (explorer,) = page._boxes[2].children, page._boxes[3].children
    page.state.cycle = 3
    for view in (bars, pareto, confusion, layers):
        assert "cycle 3" in view._status.value and view.error == "", type(view)
    assert explorer.cycle == 3 and page.error == ""
    page.tabs.selected_index = 0
    (overview,) = page._boxes[0].children
    explore, _, save = overview.children[4].children
    explore.click()
    assert page.tabs.selected_index == 3
    sent = []
    overview.actions.list.send = lambda content, buffers=None: sent.append((content["name"], buffers[0].decode()))
    save.click()
    ((name, text),) = sent  # the whole page, not the overview alone
    assert name == "nasviz-run.html"
    for view in (overview, bars, pareto, confusion, layers, explorer):
        assert f"<h2>{view.title}</h2>" in text and f"<h3>{view.title}: the numbers</h3>" in text


def test_a_run_that_grows_is_seen_in_every_tab(run):
    page = CyclesPage(run)
    for index in (1, 2, 3, 0):
        page.tabs.selected_index = index
    Run.open(run.folder, writable=True).add("more", metrics={"accuracy": 0.5}, source=dict(run.cycle(0).source))
    (overview,) = page._boxes[0].children
    overview.actions.list._on_message(None, {"kind": "tick"}, [])
    assert len(rows(overview)[1]) == 12
    bars, pareto, confusion = page._boxes[1].children
    for view in (bars, pareto, confusion, page._boxes[2].children[0]):
        assert view._data.cycles[-1] == 11 and view.error == ""
    assert page._boxes[3].children[0].cycle == 11


def test_the_dashboard_finds_its_run(run, monkeypatch, tmp_path):
    assert cycles_dashboard().run.folder == demo()
    monkeypatch.setenv("NASVIZ_RUN", str(run.folder))
    assert cycles_dashboard().run.folder == run.folder
    assert cycles_dashboard(demo()).run.folder == demo()
    with pytest.raises(FileNotFoundError, match="holds no run"):
        cycles_dashboard(tmp_path)
    assert cycles_environment() == {"NASVIZ_ALLOW_ACTIONS": "0"}
    assert cycles_environment(run.folder, True) == {"NASVIZ_ALLOW_ACTIONS": "1", "NASVIZ_RUN": str(run.folder)}
    with pytest.raises(FileNotFoundError, match="holds no run"):
        cycles_environment(tmp_path)


def test_the_notebook_has_one_root_widget_and_no_outputs():
    notebook = json.loads((dashboards_folder() / "cycles.ipynb").read_text(encoding="utf-8"))
    (code,) = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code["outputs"] == [] and notebook["metadata"]["title"] == "nasviz: cycles"
