"""A run at a glance: what it is for, its cycles in a table, what can be done with one."""

import html
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from nasviz.views.cycle_actions import CycleActions
from nasviz.views.cycle_panel import button, group
from nasviz.views.export import MIME, Exportable, Picture, view_bytes
from nasviz.views.panel import Shell, guard
from nasviz.views.run_data import PERFORMANCE, RunData, best
from nasviz.views.sortable import Grid, SortableTable
from nasviz.views.state import CyclesState
from nasviz.views.table import table_picture
from nasviz.views.text import shorten

if TYPE_CHECKING:
    from nasviz.cycles.run import Run

METRICS = ("netscore_plus", "parameters", "size_bytes", "flops", "latency_ms")
"""Shown beside the primary metric, where the run has them."""
TEXTS = 3  # the leading columns: cycle, name, parent


class CycleOverview(Shell):
    """What a run is for, its cycles with their main metrics, and the actions on the selected one.

    Parameters
    ----------
    run : Run
        The run; it may be open for reading.
    state : CyclesState, optional
        Where to open the view. Views that are given the same state are linked.
    watch : float
        Seconds between two looks at the run, as long as a page shows the view; 0: none.
    allowed : list of str, optional
        See `CycleActions`.
    on_explore : callable, optional
        Called by the button that opens the selected network elsewhere; without it, there is no such button.
    on_news : callable, optional
        Called when the run has changed.
    page : Exportable, optional
        The page that this is a part of, which is then what is saved as HTML.

    Attributes
    ----------
    state : CyclesState
        What is chosen; setting one of its traits moves the view.
    actions : CycleActions
        The menu and the jobs.

    Raises
    ------
    TypeError
        If the run is no Run.
    ValueError
        If a table cannot be read.
    """

    title = "nasviz overview"

    def __init__(
        self,
        run: "Run",
        *,
        state: CyclesState | None = None,
        watch: float = 2.0,
        allowed: list[str] | None = None,
        on_explore: Callable[[], None] | None = None,
        on_news: Callable[[], None] | None = None,
        page: Exportable | None = None,
    ):
        super().__init__()
        self._page = page
        self.run, self.state = run, CyclesState() if state is None else state
        self._on_news, self._sort, self._descending = on_news, "", False
        self.actions = CycleActions(run, state=self.state, watch=watch, allowed=allowed, on_news=self.refresh)
        self._data = RunData.read(run)
        self._head, self._facts = widgets.HTML(), widgets.HTML()
        self._table = SortableTable(self._on_sort, self._on_row)
        below = group(
            button("Save as CSV", "All metrics of all cycles, as a file", lambda _: self._on_save("csv")),
            button("Save as HTML", "All that is shown, as a file without a server", lambda _: self._on_save("html")),
        )
        if on_explore is not None:
            explore = button("Explore layers", "Open the network of this cycle", lambda _: on_explore())
            below.children = [explore, *below.children]
        self.children = [self._head, self._error, self._table, self._facts, below, self.actions]
        self.redraw()
        self.state.observe(self._on_state, ["cycle", "directions"])

    # -- what the view shows ------------------------------------------------------------------------------------------

    def static(self) -> Picture:
        """The table of cycles as a matplotlib Figure."""
        grid = self._grid()
        return table_picture(grid.columns, grid.rows, self.describe(), TEXTS)

    def describe(self) -> str:
        """What the run is, in a sentence."""
        run, data = self.run, self._data
        count, better = len(data.cycles), "higher" if run.higher_is_better else "lower"
        text = f"{run.name}: {count:,} cycle{'s' * (count != 1)}; the main metric is {run.primary}, {better} is better"
        stars = best(data.column(data.primary), not run.higher_is_better) if data.primary in data.values else []
        if not len(stars):
            return f"{text}."
        value = data.quantity(data.primary).short(data.column(data.primary)[stars[0]])
        return f"{text}; best is {data.name(stars[0])}, {value}."

    def export_table(self) -> pd.DataFrame:
        """A row a cycle: ``cycle``, ``name``, ``parent``, then each metric."""
        table = self._data.table()
        parents = {cycle.index: cycle.parent for cycle in self.run.cycles}
        table.insert(2, "parent", pd.array([parents.get(i) for i in table["cycle"]], dtype="Int64"))
        return table

    def refresh(self) -> None:
        """Show the cycles that the run now has."""
        self._data = RunData.read(self.run)
        self.redraw()
        if self._on_news is not None:
            self._on_news()

    def redraw(self) -> None:
        """Draw all in the present state."""
        run, count = self.run, len(self._data.cycles)
        better = "higher" if run.higher_is_better else "lower"
        task = f"<p>{html.escape(run.task)}</p>" if run.task else ""
        self._head.value = (
            f'<div class="nasviz-head"><h2>{html.escape(run.name)}</h2>{task}<p>{count:,} cycle{"s" * (count != 1)}; '
            f"the primary metric is {html.escape(run.primary)}, {better} is better. ★: the best of its column.</p>"
            "</div>"
        )
        self._table.html = self._grid().html("Cycles; a click selects one", self._sort, self._descending)
        self._facts.value = self._fact_text()

    def _metrics(self) -> list[str]:
        values, primary = self._data.values, self._data.primary
        return [name for name in (primary, *METRICS) if name in values and (name == primary or name != PERFORMANCE)]

    def _grid(self) -> Grid:
        data, metrics = self._data, self._metrics()
        parents = {cycle.index: cycle.parent for cycle in self.run.cycles}
        headers = data.columns(metrics, "cycle", "name", "parent")
        columns = ["cycle", "name", "parent", *headers.values()]
        stars = {name: best(data.column(name), self._lower(name)) for name in metrics}
        cells = {}
        for cycle in data.cycles:
            called = data.names.get(cycle, "")
            row = [str(cycle), shorten(called, 32), "–" if parents.get(cycle) is None else str(parents[cycle])]
            for name in metrics:
                star = "★ " if cycle in stars[name] else ""
                row.append(star + data.quantity(name).short(data.column(name)[cycle]))
            cells[cycle] = row
        order = self._order(dict(zip(headers.values(), headers, strict=True)), parents)
        chosen = [i for i, cycle in enumerate(order) if cycle == self.state.cycle]
        rows, keys = [cells[cycle] for cycle in order], [str(cycle) for cycle in order]
        return Grid(columns, rows, texts=TEXTS, chosen_rows=chosen, keys=keys)

    def _order(self, metrics: dict[str, str], parents: dict[int, int | None]) -> list[int]:
        """The cycles as the user wants them ordered; those without a value stand last."""
        cycles = self._data.cycles
        if not self._sort:
            return cycles
        if self._sort == "name":
            return sorted(cycles, key=lambda i: self._data.names.get(i, ""), reverse=self._descending)
        known = {"cycle": dict(zip(cycles, cycles, strict=True)), "parent": parents}
        values = known.get(self._sort) or self._data.column(metrics.get(self._sort, "")).to_dict()
        sign = -1 if self._descending else 1
        numbers = {i: np.nan if values[i] is None else float(values[i]) for i in cycles}
        return sorted(cycles, key=lambda i: (np.isnan(numbers[i]), sign * numbers[i]))

    def _lower(self, metric: str) -> bool:
        said = self.state.directions.get(metric)
        return metric in self._data.costs if said is None else said == "lower"

    def _fact_text(self) -> str:
        if self.state.cycle not in self._data.values.index:
            return '<p class="nasviz-status">No cycle is selected.</p>'
        cycle = self.run.cycle(self.state.cycle)
        facts = [cycle.note, "; ".join(f"{key}: {_words(value)}" for key, value in cycle.source.items())]
        text = " ".join(html.escape(fact).replace("|", "|<wbr>") for fact in facts if fact)
        title = html.escape(self._data.name(cycle.index))
        return f'<p class="nasviz-status"><b>{title[:1].upper()}{title[1:]}.</b> {text}</p>'

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _on_save(self, format: str) -> None:
        view = self._page if self._page is not None and format == "html" else self
        name = f"{view.title.lower().replace(' ', '-')}.{format}"
        self.actions.list.download(name, view_bytes(view, format), MIME[format])

    @guard
    def _on_state(self, change) -> None:
        self.redraw()

    @guard
    def _on_row(self, key: str) -> None:
        cycle = int(key)
        self.state.cycle = -1 if cycle == self.state.cycle else cycle

    @guard
    def _on_sort(self, column: str) -> None:
        """A header was clicked: upwards, then downwards, then by cycle."""
        if self._sort != column:
            self._sort, self._descending = column, False
        elif not self._descending:
            self._descending = True
        else:
            self._sort, self._descending = "", False
        self.redraw()


def _words(value: Any) -> str:
    """What is known of a source in a few words: ``"batch 1, threads 1"``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return str(value)
