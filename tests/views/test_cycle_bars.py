"""Bars of metrics over cycles: values, gaps, the best, what a click does, and a run that is still being written."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasviz.views import CycleBars, CyclesState, Pareto
from nasviz.views.cycle_bars_figure import label_places
from nasviz.views.quantity import Quantity


@pytest.fixture
def view(run):
    return CycleBars(run)


def bars(figure):
    return [trace for trace in figure.data if trace.type == "bar"]


def test_first_paint(view, shown):
    figure = shown(view)
    accuracy, parameters = bars(figure)
    np.testing.assert_allclose(accuracy.y, [90, 92, np.nan, 88])
    assert list(parameters.y) == [1000, 800, 600, 400]
    assert figure.layout.yaxis.title.text == "accuracy (%)"
    assert figure.layout.xaxis2.title.text == "cycle"
    assert figure.layout.xaxis2.matches == "x"
    assert accuracy.customdata[0] == "<b>cycle 0: initial</b><br>accuracy 90 %"
    assert accuracy.customdata[3] == "<b>cycle 3</b><br>accuracy 88 %"  # its name says nothing more


def test_a_missing_value_is_a_gap_that_says_so(view, shown):
    figure = shown(view)
    notes = [note for note in figure.layout.annotations if note.text == "no value"]
    assert [(note.x, note.xref) for note in notes] == [(2, "x")]
    (gap,) = [trace for trace in figure.data if trace.type == "scatter"]
    assert gap.ids == ("2",)  # so that the mouse finds it, too
    assert gap.customdata[0].endswith("accuracy no value")
    assert "&lt;b&gt;cut&lt;/b&gt;" in gap.customdata[0]
    assert "1 without a value" in view.describe()


def test_the_best_is_marked_in_its_direction(view, shown):
    view.state.bars = ["accuracy", "parameters", "latency_ms", "recall"]
    assert view.best == {"accuracy": [1], "parameters": [3], "latency_ms": [3], "recall": [1, 2]}
    titles = [note.text for note in shown(view).layout.annotations if note.text.startswith("★ ")]
    assert titles == [
        "★ highest: cycle 1, 92.0 %; 1 without a value",
        "★ lowest: cycle 3, 400",
        "★ lowest: cycle 3, 1 ms; 1 without a value",
        "★ highest: cycle 1 and 1 more, 50.0 %; 1 without a value",
    ]
    colours = bars(shown(view))[0].marker.color
    assert [i for i in range(4) if colours[i] != colours[0]] == [1]
    view._rows[3]._better.value = "lower"
    assert view.state.directions == {"recall": "lower"}
    assert view.best["recall"] == [0]


def test_the_run_knows_which_way_its_primary_metric_improves(run):
    run.primary, run.higher_is_better = "recall", False
    view = CycleBars(run)
    assert view.state.bars[0] == "recall"
    assert view.best["recall"] == [0]


def test_graphs_are_chosen_added_and_removed(view, shown):
    view._add.click()
    assert view.state.bars == ["accuracy", "parameters", "latency_ms"]
    view._rows[0]._metric.value = "recall"
    assert view.state.bars == ["recall", "parameters", "latency_ms"]
    np.testing.assert_allclose(bars(shown(view))[0].y, [10, 50, 50, np.nan])
    view._rows[1].box.children[-1].click()
    assert view.state.bars == ["recall", "latency_ms"]
    assert [row._metric.value for row in view._rows] == ["recall", "latency_ms"]
    view._rows[0].box.children[-1].click()
    assert view._rows[0].box.children[-1].disabled  # one graph stays
    assert len(bars(shown(view))) == 1


def test_a_click_selects_a_cycle_in_every_linked_view(run, shown):
    view = CycleBars(run)
    other = Pareto(run, state=view.state)
    view.chart._handle_custom_msg({"kind": "click", "id": "1"}, [])
    assert other._cycle_menu.value == view.state.cycle == 1
    assert "Selected: cycle 1: wider" in other._status.value
    assert {shape.x0 for shape in shown(view).layout.shapes} == {0.5}
    assert list(bars(shown(view))[0].marker.line.width) == [0, 2, 0, 0]
    view.chart._handle_custom_msg({"kind": "click", "id": "1"}, [])
    assert view.state.cycle == -1
    view._cycle_menu.value = 3  # and by keyboard
    assert '<tr class="chosen"><td class="">3</td>' in view._table_box.value


def test_the_table_says_the_same(view, read_table):
    header, rows, _ = read_table(view._table_box.value)
    assert header == ["cycle", "accuracy", "parameters"]
    assert rows == [
        ["0: initial", "90.0 %", "1,000"],
        ["1: wider", "★ 92.0 %", "800"],
        ["2: <b>cut</b>", "no value", "600"],
        ["3", "88.0 %", "★ 400"],
    ]


def test_files(view, tmp_path):
    frame = pd.read_csv(view.save(tmp_path / "cycles.csv"))
    assert list(frame) == ["cycle", "name", "accuracy", "parameters", "latency_ms", "recall"]
    np.testing.assert_allclose(frame["accuracy"], [0.90, 0.92, np.nan, 0.88])
    page = view.save(tmp_path / "cycles.html").read_text(encoding="utf-8")
    assert "highest: cycle 1, 92.0 %" in page
    numbers = page.partition("the numbers</h3>")[2]
    assert "&lt;b&gt;cut&lt;/b&gt;" in numbers and "<b>cut</b>" not in numbers


def test_the_static_twin(view, overlaps):
    view.state.bars = ["accuracy", "latency_ms"]
    view.state.cycle = 1
    figure = view.static()
    heights = [[bar.get_height() for bar in ax.containers[0]] for ax in figure.axes]
    np.testing.assert_allclose(heights, [[90, 92, np.nan, 88], [3, np.nan, 2, 1]])
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts.count("no value") == 2
    assert figure.axes[1].get_ylabel() == "latency (ms)"
    assert overlaps(figure) == []


def test_each_view_has_its_own_static_twin(run):
    view = CycleBars(run)
    other = Pareto(run, state=view.state)
    view.state.bars_picture = True
    assert view.chart.picture
    assert not other.chart.picture


def test_metrics_may_bear_any_name(run, read_table):
    names = {"latency_ms": "cycle", "recall": "name", "parameters": "size", "accuracy": "size_bytes"}
    run.metrics["metric"] = run.metrics["metric"].replace(names)
    view = CycleBars(run)
    view.state.bars = list(names.values())
    header, rows, _ = read_table(view._table_box.value)
    assert header == ["cycle", "cycle (2)", "name", "size", "size (2)"]
    assert rows[0][1:4] == ["★ 3 ms", "10.0 %", "★ 1,000"]
    frame = view.export_table()
    assert list(frame) == ["cycle", "name", "size_bytes", "size", "metric cycle", "metric name"]
    assert frame["metric cycle"].tolist()[0] == 3


def test_a_run_that_is_removed_is_empty(disk_run, shown):
    run, add = disk_run
    add(0.5)
    run.refresh()
    view = CycleBars(run)
    other = Pareto(run, state=view.state)
    view.state.constraints, view.state.cycle = [("accuracy", "at least", 0.4)], 0
    shutil.rmtree(run.folder / "cycles")
    for each in (view, other):
        each._on_tick()
        assert each.error == ""
        assert "Selected" not in each._status.value
    assert view.state.cycle == -1
    assert len(bars(shown(view))[0].x) == 0


@given(missing=st.lists(st.booleans(), min_size=1, max_size=200), pixels=st.sampled_from([260, 640]))
def test_labels_of_gaps_never_touch(missing, pixels):
    places, bar = label_places(np.array(missing), pixels), pixels / len(missing)
    assert all((b - a) * bar >= 15 for a, b in zip(places, places[1:], strict=False))
    for i in places:  # a line of text fits into the gap around it
        left = next((i - j for j in range(i, -1, -1) if not missing[j]), i + 1)
        right = next((j - i for j in range(i, len(missing)) if not missing[j]), len(missing) - i)
        assert (left + right - 1) * bar >= 15
    if bar >= 15:
        assert places == [i for i, gap in enumerate(missing) if gap]


def test_a_state_is_stored_and_opened_again(view, run):
    view.state.bars, view.state.cycle = ["recall"], 2
    state = CyclesState.from_json(view.state.to_json())
    assert json.loads(CycleBars(run, state=state).chart.figure) == json.loads(view.chart.figure)


def test_a_run_is_watched_while_it_is_written(disk_run, shown, monkeypatch):
    run, add = disk_run
    view = CycleBars(run, watch=0.5)
    other = Pareto(run, state=view.state)
    answers = []
    monkeypatch.setattr(view.chart, "send", lambda content, buffers=None: answers.append(content["kind"]))
    assert view.chart.interval == 500
    assert "no value of metric yet" in view.describe()
    add(0.5)
    add(0.75)
    view.chart._handle_custom_msg({"kind": "tick"}, [])
    np.testing.assert_allclose(bars(shown(view))[0].y, [50, 75])
    assert view.state.bars == ["accuracy", "parameters"]
    before = view.chart.figure
    view.show_error("what a callback has said")
    view.chart._handle_custom_msg({"kind": "tick"}, [])  # nothing new: nothing is drawn, no message goes
    assert view.chart.figure is before
    assert view.error == "what a callback has said"
    view.state.cycle = 1  # which the other view has not seen yet
    assert other._cycle_menu.value == 1
    assert other.front == [0, 1]
    assert answers == ["tock", "tock"]


def test_a_run_that_breaks_while_it_is_watched_says_so_and_recovers(disk_run):
    run, add = disk_run
    add(0.5)
    run.refresh()
    view = CycleBars(run)
    path = run.cycles[0].folder / "metrics.json"
    good = path.read_text(encoding="utf-8")
    path.write_text(good[: len(good) // 2], encoding="utf-8")
    view._on_tick()
    assert "damaged" in view.error
    assert view.best["accuracy"] == [0]  # what was there stays
    path.write_text(good, encoding="utf-8")
    view._on_tick()
    assert view.error == ""


def test_nothing_is_watched_that_does_not_change(run, disk_run):
    assert CycleBars(run).chart.interval == 0
    assert CycleBars(disk_run[0], watch=0).chart.interval == 0


def test_units():
    assert Quantity("size_bytes").label == "size (bytes)"
    assert Quantity("size_bytes", "bytes").short(4_718_592) == "4.72 MB"
    assert Quantity("size_bytes").exact(4_718_592) == "4,718,592 bytes"
    assert Quantity("latency_ms", "ms").short(2.5) == "2.5 ms"
    assert Quantity("parameters").short(1_234_567) == "1.23 M"
    assert Quantity("accuracy", "fraction").exact(0.93214) == "93.214 %"


def changed(table, **values):
    table = table.copy()
    for name, value in values.items():
        table[name] = table[name].astype(object)
        table.loc[1, name] = value
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.drop(columns="value"), "lacks value"),
        (lambda m: changed(m, value="good"), "no number"),
        (lambda m: changed(m, cycle=-1), "the cycle -1"),
        (lambda m: changed(m, cycle=0.5), "the cycle 0.5"),
        (lambda m: changed(m, cycle=0), "more than one value of 'accuracy' for cycle 0"),
        (lambda m: m.to_dict(), "a table 'metrics'"),
    ],
)
def test_a_table_that_cannot_be_read_gets_one_sentence(run, change, message):
    run.metrics = change(run.metrics)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        CycleBars(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", [{"bars": ["beauty"]}, {"cycle": 4}])
def test_a_state_that_the_run_does_not_have_is_refused(run, state):
    with pytest.raises(ValueError, match="beauty|cycle is 4"):
        CycleBars(run, state=CyclesState(**state))


def test_infinity_is_no_value_and_one_cycle_is_enough(run):
    run.metrics = run.metrics.query("cycle == 0").assign(value=np.inf)
    view = CycleBars(run)
    assert view.best == {"accuracy": [], "parameters": []}
    assert "no value of accuracy yet" in view.describe()
    assert view.static().axes
