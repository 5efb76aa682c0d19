"""The confusion matrix of a cycle of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.confusion_figure import Matrix, draw_matrix, matrix_figure
from nasviz.views.cycle_panel import CyclePanel
from nasviz.views.export import Picture
from nasviz.views.panel import guard
from nasviz.views.run_data import best
from nasviz.views.state import CyclesState
from nasviz.views.table import html_table
from nasviz.views.theme import percent

if TYPE_CHECKING:
    from nasviz.cycles.run import Run

SUFFIX = "confusion_matrix"  # how the names of such artifacts end; before it, the phase
TEST = "test"  # a run calls what belongs to this phase by its bare name


class Confusion(CyclePanel):
    """The confusion matrix of the selected cycle: which classes its network takes for which.

    Parameters
    ----------
    run : Run
        Its cycles have artifacts named ``confusion_matrix``, or with a phase before it, as
        :class:`nasviz.cycles.ConfusionMatrix` leaves them: a table with a row a true class.
    state : CyclesState, optional
        Where to open the view. Views that are given the same state are linked.
    watch : float
        Seconds between two looks at the run, as long as a page shows the view; 0: none.

    Attributes
    ----------
    state : CyclesState
        What is chosen; setting one of its traits moves the view.
    matrix : Matrix or None
        What is shown; None where the cycle has none.
    cycle : int
        Whose matrix it is: the selected cycle's, else that of the best one by the primary metric; -1 in an empty run.

    Raises
    ------
    TypeError
        If the run has no cycles.
    ValueError
        If a table cannot be read, or the state names what the run does not have.

    Examples
    --------
    >>> from nasviz.cycles import Run, demo
    >>> view = Confusion(Run.open(demo()), state=CyclesState(cycle=0))
    >>> view.matrix.counts.shape, round(view.matrix.accuracy, 3)
    ((10, 10), 0.755)
    """

    title = "nasviz confusion matrix"
    picture_trait = "confusion_picture"

    def __init__(self, run: "Run", *, state: CyclesState | None = None, watch: float = 2.0):
        if not hasattr(run, "cycle"):
            raise TypeError(f"run is a {type(run).__name__}; a confusion matrix belongs to a cycle of a Run.")
        super().__init__(run, state, watch)
        phases = self._phases()
        self.state.matrix = self.state.matrix or next(iter(phases), "")
        self._matrix_menu = self.choice("matrix", "Measured on", self._options(phases))
        self._controls.children = [
            self._cycle_menu,
            self._matrix_menu,
            self.switch("counts", "Samples instead of shares"),
            self.switch("confusion_picture", "Static picture"),
        ]
        self.redraw()
        self.state.observe(self._on_choice, ["cycle", "matrix", "counts"])

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def cycle(self) -> int:
        """Whose matrix is shown."""
        if self.state.cycle in self._data.values.index:
            return self.state.cycle
        primary = self._data.primary
        found = best(self._data.column(primary), self.lower(primary)) if primary else []
        return int(next(iter(found), next(iter(self._data.cycles), -1)))

    @property
    def matrix(self) -> Matrix | None:
        """What is shown."""
        path = self._paths(self.cycle).get(self.state.matrix)
        return None if path is None else Matrix.read(path)

    def figure(self) -> go.Figure:
        """The matrix as a plotly figure."""
        matrix = self.matrix
        if matrix is None:
            layout = {"annotations": [{"text": self._missing, "showarrow": False}], "height": 160}
            return go.Figure(layout=layout | {"xaxis": {"visible": False}, "yaxis": {"visible": False}})
        return matrix_figure(matrix, self.state.counts, self.chart.narrow)

    def static(self) -> Picture:
        """The matrix as a matplotlib Figure."""
        matrix = self.matrix
        if matrix is None:
            return draw_matrix(Matrix(np.zeros((1, 1)), ["–"]), True, self._missing)
        return draw_matrix(matrix, self.state.counts, f"{self._data.name(self.cycle)}, {self.state.matrix} set")

    def export_table(self) -> pd.DataFrame:
        """The counts: ``true``, then a column a predicted class."""
        matrix = self.matrix
        if matrix is None:
            return pd.DataFrame(columns=["true"])
        counts = pd.DataFrame(matrix.counts, columns=matrix.names)
        counts.insert(0, "true", matrix.names)
        return counts

    def describe(self) -> str:
        """The matrix in words."""
        matrix = self.matrix
        if matrix is None:
            return self._missing
        off = matrix.counts - np.diag(np.diag(matrix.counts))
        i, j = np.unravel_index(off.argmax(), off.shape)
        worst = f" Most often {matrix.names[i]} is taken for {matrix.names[j]}: {off[i, j]:,.0f} times." * bool(
            off.any()
        )
        return (
            f"Confusion matrix of {self._data.name(self.cycle)} on the {self.state.matrix} set: {len(matrix.names)} "
            f"classes, {matrix.counts.sum():,.0f} samples, {percent(matrix.accuracy)} on the diagonal.{worst}"
        )

    @property
    def _missing(self) -> str:
        which = self._data.name(self.cycle) if self.cycle >= 0 else "The run"
        return f"{which[:1].upper()}{which[1:]} has no confusion matrix."

    def redraw(self) -> None:
        """Draw matrix and table in the present state."""
        super().redraw()
        matrix = self.matrix
        self._side.children = []
        if matrix is not None:
            import ipywidgets as widgets

            formats = {"samples": "{:,.0f}".format, "recall": percent, "precision": percent}
            caption = "By class: how many of it were found, and how many so called are right"
            self._side.children = [widgets.HTML(html_table(matrix.by_class(), caption, formats))]
        chosen = " (the best one; none is selected)" if self.state.cycle < 0 and self.cycle >= 0 else ""
        text = self.describe()
        self.show_status(text.replace(self._data.name(self.cycle), self._data.name(self.cycle) + chosen, 1))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _paths(self, cycle: int) -> Mapping[str, Path]:
        """The matrices of a cycle by phase, that of the test set first."""
        if cycle < 0:
            return {}
        artifacts = self.run.cycle(cycle).artifacts
        found = {name.removesuffix(SUFFIX).rstrip("_") or TEST: path for name, path in artifacts.items()
                 if name.endswith(SUFFIX)}  # fmt: skip
        return dict(sorted(found.items(), key=lambda item: item[0] != TEST))

    def _phases(self) -> list[str]:
        found = dict.fromkeys(phase for cycle in self._data.cycles for phase in self._paths(cycle))
        return sorted(found, key=lambda phase: phase != TEST)

    def _options(self, phases: list[str]) -> list[tuple[str, str]]:
        return [(f"{phase} set", phase) for phase in phases] or [("nothing measured yet", "")]

    # -- what the user does -------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        phases = self._phases()
        self.offer(self._matrix_menu, self._options(phases), next(iter(phases), ""))

    @guard
    def _on_choice(self, change) -> None:
        self.redraw()
