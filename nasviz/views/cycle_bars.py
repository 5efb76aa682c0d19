"""Metrics over the cycles of a run: one bar graph a metric."""

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.cycle_bars_figure import Graph, bar_figure, draw_bars
from nasviz.views.cycle_panel import CyclePanel, button, group
from nasviz.views.panel import guard
from nasviz.views.quantity import Quantity
from nasviz.views.run_data import RunLike
from nasviz.views.state import CyclesState
from nasviz.views.table import html_table

FIRST = ("parameters", "netscore_plus")  # drawn below the primary metric, until the user chooses


class CycleBars(CyclePanel):
    """Bar graphs of the metrics of a run over its cycles, several at once; a click on a bar selects its cycle.

    The best cycle of each graph is marked: the lowest of what costs (parameters, size, FLOPs, MACs, latency), the
    highest of everything else, unless the user says otherwise. A cycle without a value is a gap that says so.

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
    best : dict of list of int
        The best cycles by each metric that is drawn, more than one where they are equal.

    Raises
    ------
    TypeError
        If the run has no tables.
    ValueError
        If a table cannot be read, or the state names what the run does not have.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> metrics = pd.DataFrame({"cycle": [0, 1], "metric": "accuracy", "value": [0.9, 0.8], "unit": "fraction"})
    >>> view = CycleBars(SimpleNamespace(metrics=metrics, layers=pd.DataFrame()))
    >>> view.best
    {'accuracy': [0]}
    """

    title = "nasviz cycles"
    picture_trait = "bars_picture"

    def __init__(self, run: RunLike, *, state: CyclesState | None = None, watch: float = 2.0):
        super().__init__(run, state, watch)
        self._rows: list[_Row] = []
        self._add = button("Add graph", "Show one more metric", self._on_add)
        self._picture = self.switch("bars_picture", "Static picture")
        self._graphs_box = widgets.Box()
        self._graphs_box.add_class("nasviz-controls")
        self._table_box = widgets.HTML()
        self._side.children = [self._table_box]
        self._controls.children = [self._cycle_menu, self._graphs_box, self._add, self._picture]
        wrong = set(self.state.bars) - set(self._data.values)
        if wrong:
            raise ValueError(
                f"state.bars names {sorted(wrong)}; this run has {', '.join(self._data.values) or 'none'}."
            )
        self._on_run()
        self.redraw()
        self.state.observe(self._on_bars, "bars")
        self.state.observe(self._on_state, ["cycle", "directions"])

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def best(self) -> dict[str, list[int]]:
        """The best cycles by each metric that is drawn."""
        return {graph.quantity.name: graph.best for graph in self._graphs if len(graph.values)}

    def figure(self) -> go.Figure:
        """The graphs as a plotly figure."""
        names = [self._data.name(cycle) for cycle in self._data.cycles]
        return bar_figure(self._graphs, names, self.state.cycle, self.chart.narrow)

    def static(self):
        """The graphs as a matplotlib Figure."""
        return draw_bars(self._graphs, self.state.cycle)

    def export_table(self) -> pd.DataFrame:
        """All metrics, one row a cycle: ``cycle``, ``name``, then each metric; empty where there is no value."""
        return self._data.table()

    def describe(self) -> str:
        """The graphs in words: what is drawn, and the best cycle by each metric."""
        graphs = "; ".join(f"{graph.quantity.label}, {graph.title.removeprefix('★ ')}" for graph in self._graphs)
        what = f"Bar graphs over {len(self._data.cycles):,} cycles: {graphs}."
        return f"{what}{self._selected_text()} The table holds the numbers."

    @property
    def _graphs(self) -> list[Graph]:
        names = self.state.bars or [""]
        return [
            Graph(self._data.quantity(name) if name else Quantity("metric"), self._data.column(name), self.lower(name))
            for name in names
        ]

    def redraw(self) -> None:
        """Draw graphs and table in the present state."""
        super().redraw()
        self._show_table()

    def _show_table(self) -> None:
        cycles, graphs = self._data.cycles, self._graphs
        columns = {"cycle": [self._data.label(i) for i in cycles]}
        headers = self._data.columns((graph.quantity.name for graph in graphs), "cycle")
        for graph in graphs:
            marks = ["★ " if i in graph.best else "" for i in cycles]
            values = [graph.quantity.short(value) for value in graph.values]
            columns[headers[graph.quantity.name]] = [mark + value for mark, value in zip(marks, values, strict=True)]
        formats = dict.fromkeys(list(columns)[1:], str)
        chosen = [i == self.state.cycle for i in cycles]
        self._table_box.value = html_table(pd.DataFrame(columns), "Metrics by cycle; ★ the best", formats, chosen)
        self.show_status(f"{len(cycles):,} cycles.{self._selected_text()}")

    # -- what the user does -------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        metrics = list(self._data.values)
        if metrics and not self.state.bars:
            self.state.bars = [metrics[0], *(name for name in FIRST if name in metrics[1:])]
        self._show_rows()

    def _show_rows(self) -> None:
        metrics = list(self._data.values)
        while len(self._rows) > len(self.state.bars):
            self._rows.pop()
        while len(self._rows) < len(self.state.bars):
            self._rows.append(_Row(len(self._rows), self))
        for row, metric in zip(self._rows, self.state.bars, strict=True):
            options = self._labels([*metrics, *({metric} - {*metrics})])  # also what a run has no longer
            row.show(options, metric, self.lower(metric), len(self._rows) > 1)
        self._graphs_box.children = [row.box for row in self._rows]
        self._add.disabled = len(self._rows) >= len(metrics)

    @guard
    def _on_bars(self, change) -> None:
        self._show_rows()
        self.redraw()

    @guard
    def _on_state(self, change) -> None:
        self._show_rows()
        self.redraw()

    @guard
    def _on_add(self, _) -> None:
        unused = [name for name in self._data.values if name not in self.state.bars]
        self.state.bars = [*self.state.bars, *unused[:1]]

    @guard
    def _choose(self, i: int, metric: str) -> None:
        self.state.bars = [*self.state.bars[:i], metric, *self.state.bars[i + 1 :]]

    @guard
    def _direct(self, i: int, direction: str) -> None:
        self.state.directions = {**self.state.directions, self.state.bars[i]: direction}

    @guard
    def _remove(self, i: int) -> None:
        self.state.bars = [*self.state.bars[:i], *self.state.bars[i + 1 :]]


class _Row:
    """The controls of graph number `i`: its metric, which way is better, a button that removes it."""

    def __init__(self, i: int, view: CycleBars):
        style, layout = {"description_width": "initial"}, {"width": "auto"}
        self._metric = widgets.Dropdown(description=f"Graph {i + 1}", style=style, layout=layout)
        better, tooltip = [("best: high", "higher"), ("best: low", "lower")], "Which way this metric is better"
        self._better = widgets.Dropdown(options=better, tooltip=tooltip, layout=layout)
        self._remove = button("✕", f"Remove graph {i + 1}", lambda _: view._remove(i))
        self._metric.observe(lambda change: self._tell(view._choose, i, change), "value")
        self._better.observe(lambda change: self._tell(view._direct, i, change), "value")
        self.box, self._quiet = group(self._metric, self._better, self._remove), False

    def _tell(self, action, i: int, change) -> None:
        if not self._quiet:
            action(i, change["new"])

    def show(self, options: list[tuple[str, str]], metric: str, lower: bool, removable: bool) -> None:
        self._quiet = True  # the state moves the controls here, not the other way round
        try:
            if list(self._metric.options) != options:
                self._metric.options = options
            self._metric.value = metric
            self._better.value = "lower" if lower else "higher"
            self._remove.disabled = not removable
        finally:
            self._quiet = False
