"""Two metrics against each other: the front by its definition, constraints, and the best that keeps them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasviz.views import CyclesState, Pareto
from nasviz.views.pareto_choice import pareto_front
from nasviz.views.pareto_figure import labels

NUMBERS = st.one_of(st.integers(0, 4).map(float), st.just(np.nan))


@given(points=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30))
def test_the_front_is_what_its_definition_says(points):
    def beats(a, b):
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    x, y = np.array(points, dtype=float).reshape(-1, 2).T
    known = [point for point in points if np.isfinite(point).all()]
    expected = [bool(np.isfinite(point).all()) and not any(beats(other, point) for other in known) for point in points]
    assert pareto_front(x, y).tolist() == expected


@pytest.fixture
def view(run):
    return Pareto(run)


def points(figure):
    """Ids of the drawn cycles by what the legend calls them."""
    return {trace.name.rpartition(" (")[0]: set(trace.ids or ()) for trace in figure.data if trace.mode == "markers"}


def test_first_paint(view, shown):
    figure = shown(view)
    assert (view.state.x, view.state.y, view.state.best_by) == ("parameters", "accuracy", "accuracy")
    assert figure.layout.xaxis.title.text == "parameters, lower is better"
    assert figure.layout.yaxis.title.text == "accuracy (%), higher is better"
    assert points(figure) == {"breaks a constraint": set(), "cycles": {"0"}, "on the front": {"3"}, "best": {"1"}}
    assert view.front == [3, 1]  # cycle 0 has more parameters and less accuracy than 1; cycle 2 no accuracy
    assert view.best == 1
    assert "1 without a value in both metrics are not drawn" in view._status.value
    front = figure.data[0]
    assert (list(front.x), list(front.y), front.line.shape) == ([400, 800], [88, 92], "hv")


@pytest.mark.parametrize(("lower", "shape"), [("lower", "hv"), ("higher", "vh")])
def test_between_two_cycles_the_front_promises_no_more_than_one_of_them_has(view, shown, lower, shape):
    view.state.directions = {"parameters": lower}
    assert shown(view).data[0].line.shape == shape
    assert view.static().axes[0].lines[0].get_drawstyle() == {"hv": "steps-post", "vh": "steps-pre"}[shape]


def test_constraints_grey_out_what_breaks_them(view, shown, read_table):
    view.state.constraints = [("parameters", "at most", 700.0), ("recall", "at least", 0.1)]
    assert points(shown(view))["breaks a constraint"] == {"0", "1", "3"}  # 3 has no recall: nobody knows
    assert view.best is None
    assert view.front == []
    assert "No best cycle among 1 of 4 cycles" in view._status.value
    view.state.constraints = [("parameters", "at most", 700.0)]
    assert view.best == 3
    assert points(shown(view)) == {
        "breaks a constraint": {"0", "1"},
        "keeps all constraints": set(),
        "on the front": set(),
        "best": {"3"},
    }
    assert "Best by accuracy among 2 of 4 cycles that keep the constraints: cycle 3, 88.0 %." in view._status.value
    (line,) = [shape for shape in shown(view).layout.shapes if shape.type == "line"]
    assert line.x0 == line.x1 == 700
    verdicts = [row[1] for row in read_table(view._table_box.value)[1]]
    assert verdicts == ["breaks: parameters", "breaks: parameters", "", "★ best"]
    assert shown(view).data[1].customdata[0].endswith("breaks: parameters")


def test_a_slider_moves_over_the_values_that_occur(view):
    view._add.click()
    assert view.state.constraints == [("parameters", "at most", 1000.0)]  # which all keep
    slider = view._rows[0]._bound
    assert [value for _, value in slider.options] == [400, 600, 800, 1000]
    slider.value = 600.0
    assert view.state.constraints == [("parameters", "at most", 600.0)]
    assert view.best == 3
    view._rows[0]._side.value = "at least"
    assert view.best == 1
    view._rows[0]._metric.value = "latency_ms"
    assert view.state.constraints == [("latency_ms", "at most", 3.0)]
    assert slider.label == "3 ms"
    view.state.constraints = [("latency_ms", "at most", 2.5)]  # between two values
    assert (slider.value, slider.label) == (2.5, "2.5 ms")
    view._add.click()
    assert [row[0] for row in view.state.constraints] == ["latency_ms", "parameters"]
    view._rows[0].box.children[-1].click()
    assert view.state.constraints == [("parameters", "at most", 1000.0)]
    assert len(view._rows_box.children) == 1


def test_axes_and_what_is_best_are_chosen(view, shown):
    view.state.x, view.state.y, view.state.best_by = "latency_ms", "recall", "latency_ms"
    assert shown(view).layout.xaxis.title.text == "latency (ms), lower is better"
    assert view.front == [2]  # 1 has no latency, 3 no recall, and 0 is slower and worse
    assert view.best == 3  # it has no place in the chart, but is the fastest
    assert points(shown(view))["best"] == set()


def test_two_labels_stand_on_far_sides(view, shown):
    view.state.cycle = 3
    texts = {note.text: note.yanchor for note in shown(view).layout.annotations}
    assert texts == {"<b>best: cycle 1</b>": "bottom", "<b>cycle 3</b>": "top"}
    assert labels(view._choice)[1][0] == 3
    view.state.cycle = 1
    assert [note.text for note in shown(view).layout.annotations] == ["<b>best: cycle 1</b>"]
    widths = {trace.ids: trace.marker.line.width for trace in shown(view).data if trace.ids}
    assert widths[("1",)][0] > widths[("3",)][0]


def test_files_and_the_static_twin(view, tmp_path, overlaps):
    view.state.constraints, view.state.cycle = [("parameters", "at most", 700.0)], 0
    frame = pd.read_csv(view.save(tmp_path / "pareto.csv"))
    assert list(frame["keeps constraints"]) == [False, False, True, True]
    assert list(frame["on front"]) == list(frame["best"]) == [False, False, False, True]
    figure = view.static()
    drawn = np.concatenate([group.get_offsets() for group in figure.axes[0].collections])
    np.testing.assert_allclose(sorted(map(tuple, drawn)), [(400, 88), (800, 92), (1000, 90)])
    assert [text.get_text() for text in figure.axes[0].texts] == ["best: cycle 3", "cycle 0"]
    assert overlaps(figure) == []
    assert "Constraints: parameters at most 700." in view.describe()


def test_a_state_is_stored_and_opened_again(view, run):
    view.state.constraints = [("recall", "at least", 0.5)]
    again = Pareto(run, state=CyclesState.from_json(view.state.to_json()))
    assert again.best == view.best == 1
    assert again.chart.figure == view.chart.figure


def test_a_run_that_begins(disk_run):
    run, add = disk_run
    view = Pareto(run)
    assert view.best is None
    assert view._add.disabled
    add(None)
    view._on_tick()
    assert (view.state.x, view.state.y) == ("parameters", "accuracy")
    assert view.best is None
    add(0.5)
    view._on_tick()
    assert (view.best, view.front) == (1, [1])


def test_a_constraint_that_cannot_be_is_refused_and_the_old_ones_stay(view):
    view.state.constraints = [("parameters", "at most", 700.0)]
    for wrong, message in (("beauty", "names 'beauty'"), ("parameters", "is nan")):
        view.state.constraints = [(wrong, "at most", float("nan"))]
        assert message in view.error
        assert view.state.constraints == [("parameters", "at most", 700.0)]
    view.state.y = "recall"
    assert view.error == ""


@pytest.mark.parametrize("state", [{"x": "beauty"}, {"constraints": [("beauty", "at most", 1.0)]}, {"cycle": 9}])
def test_a_state_that_the_run_does_not_have_is_refused(run, state):
    with pytest.raises(ValueError, match="beauty|cycle is 9"):
        Pareto(run, state=CyclesState(**state))
