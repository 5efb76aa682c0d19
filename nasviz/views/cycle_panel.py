"""What the views of a run have in common: the run, watched while it is written, and the cycle that is selected."""

import ipywidgets as widgets

from nasviz.views.panel import Panel, guard, sentence
from nasviz.views.run_data import RunData, RunLike
from nasviz.views.state import CyclesState


class CyclePanel(Panel):
    """A view of a run. A subclass sets up its controls and says in ``_on_run`` what follows from new cycles.

    Parameters
    ----------
    run : Run, or anything with its tables ``metrics`` and ``layers``
        If it has ``refresh()``, the view calls that and shows what is new.
    state : CyclesState or None
        Where to open the view; views that are given the same state are linked.
    watch : float
        Seconds between two looks at the run, as long as a page shows the view; 0: none.
    """

    def __init__(self, run: RunLike, state: CyclesState | None, watch: float):
        self.run, self._data, self._failing = run, RunData.read(run), False
        super().__init__(CyclesState() if state is None else state)
        if self.state.cycle >= 0 and self.state.cycle not in self._data.values.index:
            raise ValueError(f"state.cycle is {self.state.cycle}, but the run has the cycles {self._data.cycles}.")
        self.state.observe(self._on_unknown_cycle, "cycle")  # before the menu of cycles looks for it
        self._cycle_menu = self.choice("cycle", "Selected cycle", self._cycle_options())
        self.chart.observe(self._on_width, "narrow")
        if hasattr(run, "refresh"):
            self.chart.interval = round(1000 * watch)

    def refresh(self) -> bool:
        """Look at the run again; whether there was something new.

        Raises
        ------
        TypeError, ValueError, OSError
            If the run cannot be read; the view stays as it is.
        """
        if hasattr(self.run, "refresh"):
            self.run.refresh()
        if self._data.is_of(self.run):
            return False
        self._take(RunData.read(self.run))
        return True

    def lower(self, metric: str) -> bool:
        """Whether less of a metric is better."""
        said = self.state.directions.get(metric)
        return metric in self._data.costs if said is None else said == "lower"

    # -- what a subclass gives ----------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        """Bring the controls up to a run that has changed."""
        raise NotImplementedError

    # -- what a subclass gets -----------------------------------------------------------------------------------------

    def _metric_choice(self, trait: str, label: str, metrics: list[str], default: str) -> widgets.Dropdown:
        """A drop-down of metrics, bound to the state's `trait`, which gets a value if it has none yet."""
        setattr(self.state, trait, getattr(self.state, trait) or default)
        return self.choice(trait, label, self._labels(metrics))

    def _labels(self, metrics: list[str]) -> list[tuple[str, str]]:
        return [(self._data.quantity(name).title, name) for name in metrics] or [("nothing measured yet", "")]

    def _cycle_options(self) -> list[tuple[str, int]]:
        return [("none", -1), *((self._data.label(i), i) for i in self._data.cycles)]

    def _selected_text(self) -> str:
        return f" Selected: {self._data.name(self.state.cycle)}." if self.state.cycle >= 0 else ""

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _take(self, data: RunData) -> None:
        self._data = data
        self.offer(self._cycle_menu, self._cycle_options(), -1)
        self._on_run()
        self.redraw()

    @guard
    def _on_click(self, point: str) -> None:
        """Select the cycle whose index begins the id of a point; a second click lets it go."""
        cycle = int(point.split()[0])
        self.state.cycle = -1 if cycle == self.state.cycle else cycle

    @guard
    def _on_unknown_cycle(self, change) -> None:
        if change["new"] >= 0 and change["new"] not in self._data.values.index:
            self.refresh()  # a linked view may have seen it first

    @guard
    def _on_state(self, change) -> None:
        self.redraw()

    @guard
    def _on_width(self, change) -> None:
        self.chart.draw(self.figure())

    def _on_tick(self) -> None:
        try:
            self.refresh()
        except (ValueError, TypeError, OSError) as error:
            self._failing = True
            self.show_error(sentence(error))
        else:
            if self._failing:  # what stands there otherwise is another callback's, and stays
                self.show_error("")
            self._failing = False


def group(*children: widgets.Widget) -> widgets.Box:
    """Controls that belong together, in one line where there is room."""
    box = widgets.Box(children)
    box.add_class("nasviz-group")
    return box


def button(label: str, tooltip: str, action) -> widgets.Button:
    """A button that is as wide as its label."""
    result = widgets.Button(description=label, tooltip=tooltip, layout={"width": "auto"})
    result.on_click(action)
    return result
