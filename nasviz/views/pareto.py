"""Two metrics of the cycles of a run against each other: the front, constraints, and the best that keeps them."""

import math

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.cycle_panel import CyclePanel, button, group
from nasviz.views.panel import guard
from nasviz.views.pareto_choice import Axis, Choice, Constraint, pareto_front
from nasviz.views.pareto_figure import draw_pareto, pareto_figure
from nasviz.views.run_data import RunLike, best
from nasviz.views.state import CyclesState
from nasviz.views.table import html_table
from nasviz.views.text import hover

CHEAP = ("parameters", "flops", "macs", "size_bytes", "latency_ms")  # against which a run is drawn at first
SIDES = ["at most", "at least"]


class Pareto(CyclePanel):
    """The cycles of a run by any two metrics, with their front, and the best of those that keep the constraints.

    A constraint bounds a metric, drawn or not, by a slider. Cycles that break one, or have no value in its metric, are
    grey and on no front. A click on a point selects its cycle.

    Parameters
    ----------
    run : Run, or anything with its tables ``metrics`` and ``layers``
        With ``refresh()`` it is watched while it is written.
    state : CyclesState, optional
        Where to open the view. Views that are given the same state are linked.
    watch : float
        Seconds between two looks at the run, as long as a page shows the view; 0: none.

    Attributes
    ----------
    state : CyclesState
        What is chosen; setting one of its traits moves the view.
    front : list of int
        The cycles on the front, from left to right.
    best : int or None
        The best of the cycles that keep the constraints, by the primary metric or the one that is chosen.

    Raises
    ------
    TypeError
        If the run has no tables.
    ValueError
        If a table cannot be read, or the state names what the run does not have.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rows = [(0, "accuracy", 0.9), (0, "parameters", 900), (1, "accuracy", 0.8), (1, "parameters", 100)]
    >>> metrics = pd.DataFrame(rows, columns=["cycle", "metric", "value"])
    >>> view = Pareto(SimpleNamespace(metrics=metrics, layers=pd.DataFrame()))
    >>> view.front, view.best
    ([1, 0], 0)
    >>> view.state.constraints = [("parameters", "at most", 500)]
    >>> view.best
    1
    """

    title = "nasviz Pareto"
    picture_trait = "pareto_picture"

    def __init__(self, run: RunLike, *, state: CyclesState | None = None, watch: float = 2.0):
        super().__init__(run, state, watch)
        self._rows: list[_Row] = []
        metrics = list(self._data.values)
        labels = {"x": "Across", "y": "Up", "best_by": "Best by"}
        self._menus = {t: self._metric_choice(t, label, metrics, self._default(t)) for t, label in labels.items()}
        self._add = button("Add constraint", "Bound one more metric", self._on_add)
        self._rows_box, self._table_box = widgets.Box(), widgets.HTML()
        self._rows_box.add_class("nasviz-controls")
        picture = self.switch("pareto_picture", "Static picture")
        self._controls.children = [*self._menus.values(), self._cycle_menu, self._rows_box, self._add, picture]
        self._side.children = [self._table_box]
        self._check(self.state.constraints)
        self._show_rows()
        self.redraw()
        self.state.observe(self._on_constraints, "constraints")
        self.state.observe(self._on_state, ["x", "y", "best_by", "cycle", "directions"])

    def _default(self, trait: str) -> str:
        """What is drawn until the user chooses: the primary metric over what a network costs."""
        metrics, primary = list(self._data.values), self._data.primary
        others = [*(name for name in CHEAP if name in metrics), *metrics]
        return next((name for name in others if name != primary), primary) if trait == "x" else primary

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def front(self) -> list[int]:
        """The cycles on the front, from left to right."""
        return [int(cycle) for cycle in self._choice.steps.index]

    @property
    def best(self) -> int | None:
        """The best of the cycles that keep the constraints; None where there is none."""
        cycle = self._choice.best
        return cycle if cycle >= 0 else None

    def figure(self) -> go.Figure:
        """The scatter plot as a plotly figure."""
        choice, texts = self._choice, []
        shown = {axis.quantity.name: axis for axis in (choice.x, choice.y, self._axis(self.state.best_by))}
        for cycle in self._data.cycles:
            values = [f"{a.quantity.title} {a.quantity.exact(a.values[cycle])}" for a in shown.values()]
            broken = choice.broken[cycle]
            texts.append(hover(self._data.name(cycle), *values, *([f"breaks: {broken}"] if broken else [])))
        return pareto_figure(choice, texts, self.chart.narrow)

    def static(self):
        """The scatter plot as a matplotlib Figure."""
        return draw_pareto(self._choice, self._verdict)

    def export_table(self) -> pd.DataFrame:
        """One row a cycle: ``cycle``, ``name``, all metrics, ``keeps constraints``, ``on front``, ``best``."""
        choice = self._choice
        best = pd.Series(choice.kept.index == choice.best, choice.kept.index)
        return self._data.table(**{"keeps constraints": choice.kept, "on front": choice.front, "best": best})

    def describe(self) -> str:
        """The chart in words: axes, front, constraints, and the best cycle."""
        choice, front = self._choice, self.front
        shown = ", ".join(map(str, front[:20])) + (", …" if len(front) > 20 else "")
        rules = "; ".join(map(self._rule, choice.constraints)) or "none"
        axes = f"Scatter of {int(choice.drawn.sum()):,} cycles: {choice.y.label}, against {choice.x.label}."
        found = f"On the front: {f'cycles {shown}' if front else 'none'}. Constraints: {rules}. {self._verdict}"
        return f"{axes} {found} The table holds the numbers."

    @property
    def _choice(self) -> Choice:
        data, state = self._data, self.state
        x, y = self._axis(state.x), self._axis(state.y)
        constraints = [Constraint(*each) for each in state.constraints]
        kept = pd.Series(True, data.values.index)
        broken: dict[int, list[str]] = {cycle: [] for cycle in data.cycles}
        for constraint in constraints:
            good = constraint.kept(data.column(constraint.metric))
            kept &= good
            for cycle in good.index[~good]:
                broken[cycle].append(data.quantity(constraint.metric).title)
        front = pd.Series(False, kept.index)
        front[kept] = pareto_front(x.losses[kept], y.losses[kept])
        winners = best(data.column(state.best_by)[kept], self.lower(state.best_by))
        texts = pd.Series({cycle: ", ".join(names) for cycle, names in broken.items()}, kept.index, dtype=object)
        return Choice(x, y, kept, front, texts, constraints, int(winners[0]) if winners else -1, state.cycle)

    def _axis(self, metric: str) -> Axis:
        return Axis(self._data.quantity(metric), self._data.column(metric), self.lower(metric))

    def _rule(self, constraint: Constraint) -> str:
        quantity = self._data.quantity(constraint.metric)
        return f"{quantity.title} {constraint.side} {quantity.short(constraint.bound)}"

    @property
    def _verdict(self) -> str:
        choice, kept = self._choice, int(self._choice.kept.sum())
        of = f"{kept:,} of {len(choice.kept):,} cycles" + (" that keep the constraints" if choice.constraints else "")
        if choice.best < 0:
            return f"No best cycle among {of}."
        quantity = self._data.quantity(self.state.best_by)
        value = quantity.short(self._data.column(self.state.best_by)[choice.best])
        return f"Best by {quantity.title} among {of}: {self._data.name(choice.best)}, {value}."

    def redraw(self) -> None:
        """Draw chart and table in the present state."""
        super().redraw()
        self._show_table()

    def _show_table(self) -> None:
        choice, data = self._choice, self._data
        names = [self.state.x, self.state.y, self.state.best_by, *(each[0] for each in self.state.constraints)]
        columns = {"cycle": [data.label(i) for i in data.cycles]}
        verdicts = np.select([data.values.index == choice.best, choice.front], ["★ best", "front"], "").astype(object)
        columns["verdict"] = np.where(choice.kept, verdicts, "breaks: " + choice.broken)
        for name, header in data.columns(filter(None, names), *columns).items():
            columns[header] = [data.quantity(name).short(value) for value in data.column(name)]
        formats = dict.fromkeys(list(columns)[2:], str)
        chosen = [i == self.state.cycle for i in data.cycles]
        caption = "Cycles; the front is of those that keep all constraints"
        self._table_box.value = html_table(pd.DataFrame(columns), caption, formats, chosen)
        hidden = int((~choice.drawn).sum())
        gaps = f" {hidden:,} without a value in both metrics are not drawn." if hidden else ""
        self.show_status(f"{self._verdict}{gaps}{self._selected_text()}")

    # -- what the user does -------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        for trait, menu in self._menus.items():
            self.offer(menu, self._labels(list(self._data.values)), self._default(trait))
        self._show_rows()

    def _check(self, constraints: list[tuple[str, str, float]]) -> None:
        for metric, _, bound in constraints:
            if metric not in self._data.values:
                known = ", ".join(self._data.values) or "no metric"
                raise ValueError(f"a constraint names {metric!r}; the run has {known}.")
            if not math.isfinite(bound):
                raise ValueError(f"the constraint on {metric} is {bound}; a bound is a finite number.")

    def _show_rows(self) -> None:
        constraints = self.state.constraints
        while len(self._rows) > len(constraints):
            self._rows.pop()
        while len(self._rows) < len(constraints):
            self._rows.append(_Row(len(self._rows), self))
        for row, (metric, side, bound) in zip(self._rows, constraints, strict=True):
            values = sorted({*map(float, self._data.column(metric).dropna()), bound})
            quantity = self._data.quantity(metric)
            marks = [(quantity.short(value), value) for value in values]
            metrics = list(self._data.values)
            row.show(self._labels([*metrics, *({metric} - {*metrics})]), metric, side, marks, bound)
        self._rows_box.children = [row.box for row in self._rows]
        self._add.disabled = not self._data.values.notna().any(axis=None)

    @guard
    def _on_constraints(self, change) -> None:
        try:
            self._check(change["new"])
        except ValueError:
            self.state.constraints = change["old"]
            raise
        self._show_rows()
        self.redraw()

    def _loosest(self, metric: str) -> tuple[str, str, float]:
        """A constraint that every value of a metric keeps."""
        values, lower = self._data.column(metric), self.lower(metric)
        if values.isna().all():
            raise ValueError(f"no cycle has a value of {metric} yet; choose another metric.")
        return (metric, "at most", float(values.max())) if lower else (metric, "at least", float(values.min()))

    @guard
    def _on_add(self, _) -> None:
        known = [name for name in self._data.values if self._data.column(name).notna().any()]
        bound = {constraint[0] for constraint in self.state.constraints}
        first = [name for name in (self.state.x, self.state.y, *known) if name in known]
        metric = next((name for name in first if name not in bound), first[0])
        self.state.constraints = [*self.state.constraints, self._loosest(metric)]

    @guard
    def _change(self, i: int, constraint: tuple[str, str, float] | None) -> None:
        """Replace constraint number `i`, or remove it."""
        new = [constraint] if constraint is not None else []
        self.state.constraints = [*self.state.constraints[:i], *new, *self.state.constraints[i + 1 :]]

    @guard
    def _rebind(self, i: int, metric: str) -> None:
        try:
            self._change(i, self._loosest(metric))
        finally:
            self._show_rows()


class _Row:
    """The controls of constraint number `i`: metric, side, a slider over the values that occur, a button to remove."""

    def __init__(self, i: int, view: Pareto):
        style, layout, self._quiet = {"description_width": "initial"}, {"width": "auto"}, False
        self._metric = widgets.Dropdown(description="Keep", style=style, layout=layout)
        self._side = widgets.Dropdown(options=SIDES, layout={"width": "90px"})
        slider = {"width": "250px", "max_width": "100%"}
        self._bound = widgets.SelectionSlider(
            options=[("0", 0.0)], layout=slider, tooltip=f"Bound of constraint {i + 1}"
        )
        remove = button("✕", f"Remove constraint {i + 1}", lambda _: view._change(i, None))

        def tell(change) -> None:
            if not self._quiet:
                view._change(i, (self._metric.value, self._side.value, self._bound.value))

        def rebind(change) -> None:
            if not self._quiet:
                view._rebind(i, change["new"])

        self._metric.observe(rebind, "value")
        self._side.observe(tell, "value")
        self._bound.observe(tell, "value")
        self.box = group(self._metric, self._side, self._bound, remove)

    def show(self, metrics, metric: str, side: str, marks: list[tuple[str, float]], bound: float) -> None:
        self._quiet = True  # the state moves the controls here, not the other way round
        try:
            if list(self._metric.options) != metrics:
                self._metric.options = metrics
            self._metric.value, self._side.value = metric, side
            if list(self._bound.options) != marks:
                self._bound.options = marks
            self._bound.value = bound
        finally:
            self._quiet = False
