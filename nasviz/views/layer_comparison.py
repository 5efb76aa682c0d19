"""The layers of some cycles of a run, side by side by one metric."""

import pandas as pd
import plotly.graph_objects as go

from nasviz.measure.capacity import bottleneck_rule
from nasviz.views.cycle_panel import CyclePanel, group
from nasviz.views.layer_comparison_figure import DRAWN, draw_layers, layer_figure
from nasviz.views.layer_data import Comparison, LayerTables, Matching, Rule
from nasviz.views.layer_table import COLUMNS_SHOWN, GAP, MARK, layer_grid, long_table, sort_keys
from nasviz.views.panel import guard
from nasviz.views.run_data import RunLike
from nasviz.views.sortable import SortableTable
from nasviz.views.state import CyclesState
from nasviz.views.theme import si

FIRST = "information_capacity"


class LayerComparison(CyclePanel):
    """Bars and a table of one metric of the layers, for the cycles that are compared and the selected one.

    Layers are matched between cycles by name and place. A layer that a cycle does not have is a gap, not a zero.
    Bottlenecks are marked by a rule that the view states. A click on a bar selects its cycle, one on a column's header
    sorts the table.

    Parameters
    ----------
    run : Run, or anything with its tables ``metrics`` and ``layers``
        With ``refresh()`` it is watched while it is written.
    state : CyclesState, optional
        Where to open the view. Views that are given the same state are linked.
    watch : float
        Seconds between two looks at the run, as long as a page shows the view; 0: none.
    bottlenecks : callable, optional
        Gets the layers of one cycle (a row a layer: ``op``, ``trainable``, ``position``, a column a metric) and gives a
        Series of bool. Without it the metric ``bottleneck`` of the run's layers says which are; without that,
        :func:`nasviz.measure.bottlenecks`.
    rule : str, optional
        What makes a layer a bottleneck, in words; needed with `bottlenecks`.

    Attributes
    ----------
    state : CyclesState
        What is chosen; setting one of its traits moves the view.
    comparison : Comparison
        What is shown: values, gaps, bottlenecks, totals.

    Raises
    ------
    TypeError
        If the run has no tables.
    ValueError
        If a table cannot be read, or the state names what the run does not have.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rows = [(0, "conv1", 27), (0, "conv2", 90), (1, "conv1", 27)]
    >>> layers = pd.DataFrame(rows, columns=["cycle", "layer", "value"]).assign(metric="parameters")
    >>> view = LayerComparison(SimpleNamespace(metrics=pd.DataFrame(), layers=layers))
    >>> view.export_table()[["layer", "cycle 0", "cycle 1"]].to_numpy().tolist()
    [['conv1', 27.0, 27.0], ['conv2', 90.0, nan], ['Total', 117.0, 27.0]]
    """

    title = "nasviz layers"
    picture_trait = "layers_picture"

    def __init__(
        self,
        run: RunLike,
        *,
        state: CyclesState | None = None,
        watch: float = 2.0,
        bottlenecks: Rule | None = None,
        rule: str = "",
    ):
        super().__init__(run, state, watch)
        if bottlenecks is not None and not rule:
            raise ValueError("rule is empty; say in words what makes a layer a bottleneck: the view states it.")
        self._bottlenecks, self._rule = bottlenecks, rule
        self._read_layers()
        self._metric_menu = self._metric_choice("layer_metric", "Metric", self._tables.metrics, self._default)
        wrong = set(self.state.compared) - set(self._data.cycles)
        if wrong:
            raise ValueError(f"state.compared names {sorted(wrong)}; the run has the cycles {self._data.cycles}.")
        self._auto = self._ends  # compared until the user chooses, so that a run being written shows its last cycle
        self.state.compared = self.state.compared or self._auto
        self._compared = self.choices("compared", "Compare", self._cycle_options()[1:])
        self._table = SortableTable(self._on_sort)
        switches = {
            "differences": "Only differences",
            "transposed": "Layers across",
            "untrained": "Layers without weights",
            "layers_picture": "Static picture",
        }
        boxes = [self.switch(trait, label) for trait, label in switches.items()]
        self._controls.children = [self._metric_menu, self._compared, self._cycle_menu, group(*boxes)]
        self._below.children = [self._table]
        self._side.layout.display = "none"  # chart and table take the whole width, one below the other
        self.redraw()
        self.state.observe(self._on_choice, ["layer_metric", "compared", "cycle", "untrained", "differences"])
        self.state.observe(self._on_order, ["sort", "descending", "transposed"])

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def comparison(self) -> Comparison:
        """What is shown: the metric of the layers of the compared cycles and the selected one, as in the network."""
        if self._comparison is None:
            key = (tuple(self._cycles), self.state.untrained)
            if self._matched != key:
                self._matched, self._matching = key, Matching.of(self._tables, *key)
            whole = self._matching.compare(self.state.layer_metric)
            self._comparison = whole.rows(whole.differing) if self.state.differences else whole
        return self._comparison

    def figure(self) -> go.Figure:
        """The bars as a plotly figure."""
        names = {cycle: self._data.name(cycle) for cycle in self._cycles}
        return layer_figure(self.comparison, names, self.state.cycle, self.chart.narrow)

    def static(self):
        """The bars as a matplotlib Figure."""
        hatched = "; hatched: bottlenecks" if self.comparison.bottleneck.any() else ""
        return draw_layers(self.comparison, self.state.cycle, self._summary(self.comparison) + hatched)

    def export_table(self) -> pd.DataFrame:
        """The comparison: ``layer``, ``operator``, a column a cycle, remarks; a Total row where a sum makes sense."""
        return long_table(self.comparison)

    def describe(self) -> str:
        """The bars in words."""
        shown = self.comparison
        totals = ""
        if shown.total is not None:
            pairs = zip(shown.cycles[:DRAWN], shown.total[:DRAWN], strict=True)
            totals = " Totals: " + ", ".join(f"cycle {cycle} {si(value)}" for cycle, value in pairs) + "."
        return f"Grouped bars of layers: {self._summary(shown)}.{totals} {self._rule_text} The table holds the numbers."

    @property
    def _cycles(self) -> list[int]:
        known = set(self._data.cycles)
        return sorted({cycle for cycle in [*self.state.compared, self.state.cycle] if cycle in known})

    @property
    def _rule_text(self) -> str:
        rule = self._rule or ("as the run says" if self._tables.marked else bottleneck_rule())
        return f"{MARK} Bottleneck (bars hatched): {rule}."

    def _summary(self, shown: Comparison) -> str:
        kind = "layers" if self.state.untrained else "layers with weights"
        differing = " that differ" if self.state.differences else ""
        cycles = ", ".join(map(str, shown.cycles[:DRAWN])) + (", …" if len(shown.cycles) > DRAWN else "")
        return f"{shown.quantity.label} of {len(shown.layers):,} {kind}{differing}, cycles {cycles or 'none'}"

    def redraw(self) -> None:
        """Draw bars and table in the present state."""
        super().redraw()
        self._show_table()

    def _show_table(self) -> None:
        shown, state = self.comparison, self.state
        grid = layer_grid(shown, state.cycle, state.transposed, state.sort, state.descending)
        cut = max(len(shown.cycles) if not state.transposed else len(shown.layers), COLUMNS_SHOWN) - COLUMNS_SHOWN
        notes = [self._summary(shown)]
        if shown.total is not None:
            notes.append("Total: also over those that are equal" if state.differences else "Total: over all of them")
        notes += [f"{GAP} no such layer"] if not shown.present.all() else []
        notes += [f"{cut} more columns in the CSV file"] if cut else []
        self._table.html = grid.html("; ".join(notes), state.sort, state.descending)
        hidden = len(shown.cycles) - DRAWN
        few = f" The bars show {DRAWN} of {len(shown.cycles)} cycles." if hidden > 0 else ""
        self.show_status(f"{self._summary(shown)}. {self._rule_text}{few}{self._selected_text()}")

    # -- what the user does -------------------------------------------------------------------------------------------

    @property
    def _default(self) -> str:
        return FIRST if FIRST in self._tables.metrics else next(iter(self._tables.metrics), "")

    @property
    def _ends(self) -> list[int]:
        """The first cycle and the last one."""
        return sorted({*self._data.cycles[:1], *self._data.cycles[-1:]})

    def _read_layers(self) -> None:
        self._tables = LayerTables(self._data.layers, self._bottlenecks)
        self._comparison: Comparison | None = None  # of the present state, made when it is first asked for
        self._matched: tuple | None = None

    def _on_run(self) -> None:
        self._read_layers()
        self.offer(self._metric_menu, self._labels(self._tables.metrics), self._default)
        untouched, self._auto = self.state.compared == self._auto, self._ends
        self.offer(self._compared, self._cycle_options()[1:], self._auto)
        if untouched:
            self.state.compared = self._auto

    @guard
    def _on_choice(self, change) -> None:
        self._comparison = None
        self.redraw()

    @guard
    def _on_order(self, change) -> None:
        self._show_table()

    @guard
    def _on_sort(self, column: str) -> None:
        """A header was clicked: upwards, then downwards, then as in the network."""
        state = self.state
        if column not in sort_keys(self.comparison, state.transposed):
            return
        if state.sort != column:
            state.set_trait("descending", False)
            state.sort = column
        elif not state.descending:
            state.descending = True
        else:
            state.sort, state.descending = "", False
