"""The network of a cycle of a run, to walk through; beside it, if wanted, that of another cycle."""

from typing import TYPE_CHECKING

import ipywidgets as widgets
import pandas as pd

from nasviz.views.cycle_panel import group
from nasviz.views.explorer import NetworkExplorer
from nasviz.views.explorer_widget import Drawing
from nasviz.views.export import Picture
from nasviz.views.panel import Shell, guard
from nasviz.views.state import CyclesState, ExplorerState
from nasviz.views.text import shorten

if TYPE_CHECKING:
    from nasviz.cycles.run import Run

KEPT = ("colour", "fold", "repeats", "picture")  # of an explorer's state when another network is shown


class CycleExplorer(Shell):
    """A `NetworkExplorer` whose networks are chosen from the cycles of a run.

    Two cycles stand side by side, the earlier one first, and what was added, removed or changed is marked.

    Parameters
    ----------
    run : Run
        Its cycles have graphs, or architectures of a family.
    state : CyclesState, optional
        Where to open the view: ``cycle``, and ``against`` for a second one. Views that are given the same state are
        linked.

    Attributes
    ----------
    state : CyclesState
        What is chosen; setting one of its traits moves the view.
    explorer : NetworkExplorer or None
        What is shown; None where the cycle has no network.

    Raises
    ------
    TypeError
        If the run has no cycles.

    Examples
    --------
    >>> from nasviz.cycles import Run, demo
    >>> view = CycleExplorer(Run.open(demo()), state=CyclesState(cycle=1, against=0))
    >>> [network.differences.counts["removed"] > 0 for network in view.explorer.networks]
    [True, False]
    """

    title = "nasviz explorer"

    def __init__(self, run: "Run", *, state: CyclesState | None = None):
        if not hasattr(run, "cycle"):
            raise TypeError(f"run is a {type(run).__name__}; the networks that can be explored are those of a Run.")
        super().__init__()
        self.run, self.state = run, CyclesState() if state is None else state
        self.explorer: NetworkExplorer | None = None
        style, layout = {"description_width": "initial"}, {"width": "auto"}
        self._cycle = widgets.Dropdown(description="Selected cycle", style=style, layout=layout)
        self._against = widgets.Dropdown(description="Compare with", style=style, layout=layout)
        self._place = widgets.VBox()
        controls = group(self._cycle, self._against)
        controls.add_class("nasviz-controls")
        self.children = [controls, self._error, self._place]
        self._moving = False
        self._shown: tuple[int, int] | None = None
        self.refresh()
        self._cycle.observe(self._on_cycle, "value")
        self._against.observe(self._on_against, "value")
        self.state.observe(self._on_state, ["cycle", "against"])

    @property
    def cycle(self) -> int:
        """The cycle that is shown: the selected one, else the last; -1 in an empty run."""
        known = [cycle.index for cycle in self.run.cycles]
        return self.state.cycle if self.state.cycle in known else next(reversed(known), -1)

    @guard
    def refresh(self) -> None:
        """Offer the cycles that the run now has, and show what is chosen."""
        self._offer()
        self._show()

    def static(self) -> Picture:
        """The drawing as a matplotlib Figure; like what follows, a ValueError if the cycle has no network."""
        return self._explorer().static()

    def figure(self) -> Drawing:
        """The drawing, as it is saved as HTML."""
        return self._explorer().figure()

    def export_table(self) -> pd.DataFrame:
        """The boxes of the drawing, a row each."""
        return self._explorer().export_table()

    def describe(self) -> str:
        """The drawing in words."""
        return self._explorer().describe()

    def _explorer(self) -> NetworkExplorer:
        if self.explorer is None:
            raise ValueError(self.error or "the run has no cycles yet.")
        return self.explorer

    # -- inside -------------------------------------------------------------------------------------------------------

    def _offer(self) -> None:
        options = [(shorten(f"{cycle.index}: {cycle.name}", 40), cycle.index) for cycle in self.run.cycles]
        self._moving = True  # the state moves the controls here, not the other way round
        try:
            for box, none, value in (
                (self._cycle, "none yet", self.cycle),
                (self._against, "nothing", self.state.against),
            ):
                wanted = options if box is self._cycle and options else [(none, -1), *options]
                if list(box.options) != wanted:
                    box.options = wanted
                box.value = value if value in [each for _, each in wanted] else -1
        finally:
            self._moving = False

    def _show(self) -> None:
        """Show the networks that the state names, if they are not there already."""
        against = self._against.value if self._against.value != self.cycle else -1
        pair = (self.cycle, against)
        if pair == self._shown and self.explorer is not None:
            return
        self._shown = pair
        old = self.explorer
        self.explorer, self._place.children = None, []
        if self.cycle < 0:
            return
        first, *second = sorted(index for index in pair if index >= 0)
        state = ExplorerState(**{name: getattr(old.state, name) for name in KEPT} if old is not None else {})
        try:
            self.explorer = NetworkExplorer.of_run(self.run, first, *second, state=state)
        except ValueError:  # the colour is a metric that this cycle does not have
            if state.colour == ExplorerState().colour:
                raise
            self.explorer = NetworkExplorer.of_run(self.run, first, *second)
        if old is not None:
            old.close()
        self._place.children = [self.explorer]

    # -- what the user does -------------------------------------------------------------------------------------------

    def _on_cycle(self, change) -> None:
        if not self._moving:
            self.state.cycle = change["new"]

    def _on_against(self, change) -> None:
        if not self._moving:
            self.state.against = change["new"]

    def _on_state(self, change) -> None:
        self.refresh()

    def _repr_mimebundle_(self, **kwargs) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        inner = self.explorer._repr_mimebundle_(**kwargs) if self.explorer is not None else {}
        return {**bundle, **{kind: data for kind, data in inner.items() if kind == "image/png"}}
