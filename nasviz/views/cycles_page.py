"""The page about a run, for those who decide: overview, metrics, comparative analysis, explorer."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets
import pandas as pd

from nasviz.views.panel import Shell, guard
from nasviz.views.state import CyclesState

if TYPE_CHECKING:
    from nasviz.cycles.run import Run

RUN = "NASVIZ_RUN"
"""The environment variable that names the folder of the run."""
TABS = ("Overview", "Metrics", "Comparative Analysis", "Explorer")


class CyclesPage(Shell):
    """The views of a run under tabs, linked. A tab is filled when it is first opened, so that the first is soon there.

    Parameters
    ----------
    run : Run
        The run.
    state : CyclesState, optional
        Where to open the views.
    watch : float
        Seconds between two looks at the run, as long as a page shows it; 0: none.
    allowed : list of str, optional
        See `CycleActions`.

    Attributes
    ----------
    state : CyclesState
        What is chosen, for all views.
    tabs : widgets.Tab
        The tabs, as `TABS` calls them.
    """

    title = "nasviz run"

    def __init__(
        self,
        run: "Run",
        *,
        state: CyclesState | None = None,
        watch: float = 2.0,
        allowed: list[str] | None = None,
    ):
        super().__init__()
        self.run, self.state, self._watch, self._allowed = (
            run,
            CyclesState() if state is None else state,
            watch,
            allowed,
        )
        self._refreshers: list[Callable[[], object]] = []
        self._makers = dict(zip(TABS, (self._overview, self._metrics, self._comparison, self._explorer), strict=True))
        self._boxes = [widgets.VBox() for _ in TABS]
        self.tabs = widgets.Tab(self._boxes, titles=TABS)
        self.children = [self._error, self.tabs]
        self._fill(0)
        self.tabs.observe(self._on_tab, "selected_index")

    def explore(self) -> None:
        """Open the explorer on the selected cycle."""
        self.tabs.selected_index = TABS.index("Explorer")

    def parts(self) -> list[Shell]:
        """The views of all tabs, which are what the page is saved as."""
        for index in range(len(TABS)):
            self._fill(index)
        return [view for box in self._boxes for view in box.children]

    def static(self):
        """The overview as a matplotlib Figure; the other views have their own."""
        return self._boxes[0].children[0].static()

    def export_table(self) -> pd.DataFrame:
        """A row a cycle, with all metrics."""
        return self._boxes[0].children[0].export_table()

    def describe(self) -> str:
        """What the run is, in a sentence."""
        return self._boxes[0].children[0].describe()

    def _fill(self, index: int) -> None:
        if not self._boxes[index].children:
            self._boxes[index].children = self._makers[TABS[index]]()

    def _overview(self) -> list[widgets.Widget]:
        from nasviz.views.cycle_overview import CycleOverview

        view = CycleOverview(
            self.run,
            state=self.state,
            watch=self._watch,
            allowed=self._allowed,
            on_explore=self.explore,
            on_news=self._on_news,
            page=self,
        )
        return [view]

    def _metrics(self) -> list[widgets.Widget]:
        from nasviz.views.confusion import Confusion
        from nasviz.views.cycle_bars import CycleBars
        from nasviz.views.pareto import Pareto

        # The overview looks at the run for all.
        views = [view(self.run, state=self.state, watch=0) for view in (CycleBars, Pareto, Confusion)]
        self._refreshers += [view.refresh for view in views]
        return views

    def _comparison(self) -> list[widgets.Widget]:
        from nasviz.views.layer_comparison import LayerComparison

        view = LayerComparison(self.run, state=self.state, watch=0)
        self._refreshers.append(view.refresh)
        return [view]

    def _explorer(self) -> list[widgets.Widget]:
        from nasviz.views.cycle_explorer import CycleExplorer

        view = CycleExplorer(self.run, state=self.state)
        self._refreshers.append(view.refresh)
        return [view]

    @guard
    def _on_tab(self, change) -> None:
        if change["new"] is not None:
            self._fill(change["new"])

    def _on_news(self) -> None:
        for refresh in self._refreshers:
            refresh()


def cycles_dashboard(folder: str | Path | None = None) -> CyclesPage:
    """The page about a run.

    Parameters
    ----------
    folder : str or Path, optional
        Of the run; by default the one that the environment variable ``NASVIZ_RUN`` names, else the bundled one.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    ValueError
        If a file of the run is damaged.
    """
    from nasviz.cycles import Run, demo

    return CyclesPage(Run.open(folder or os.environ.get(RUN) or demo()))


def cycles_environment(folder: str | Path | None = None, allow_actions: bool = False) -> dict[str, str]:
    """The variables that tell the page served by Voilà which run it is about, and what its visitors may do.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    ValueError
        If its run.json is damaged.
    """
    from nasviz.cycles.files import read_run
    from nasviz.views.cycle_actions import ALLOW

    result = {ALLOW: "1" if allow_actions else "0"}
    if folder is not None:
        read_run(Path(folder))
        result[RUN] = str(Path(folder).resolve())
    return result
