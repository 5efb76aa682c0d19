"""The lesson as a panel: one page at a time, everything on it moved by mouse or keyboard."""

import html
from collections.abc import Callable
from math import gcd
from typing import Any

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.export import Picture
from nasviz.views.lesson.diagnosis import Verdict
from nasviz.views.lesson.exercise import Choice, Exercise, Question
from nasviz.views.lesson.pages import Page, Shown
from nasviz.views.lesson.pages_cheaper import Pooling, SeparableLayer
from nasviz.views.lesson.pages_layers import Convolution, Counting, DenseLayer
from nasviz.views.lesson.pages_networks import Conventions, Networks, Roofline
from nasviz.views.lesson.pages_speed import Pruning, Times
from nasviz.views.lesson.questions import PREDICTION, QUESTIONS
from nasviz.views.lesson.sketch import Sketch, slips_html
from nasviz.views.lesson.state import PAGES, LessonState
from nasviz.views.lesson.text import INTRODUCTIONS
from nasviz.views.panel import Panel, guard
from nasviz.views.theme import matplotlib_style, plotly_template

MAKERS: dict[str, Callable[[], Page]] = {
    "counting": Counting,
    "dense": DenseLayer,
    "convolution": Convolution,
    "pooling": Pooling,
    "separable": SeparableLayer,
    "networks": Networks,
    "conventions": Conventions,
    "roofline": Roofline,
    "times": Times,
    "pruning": Pruning,
}


class FlopsLesson(Panel):
    """The lesson on what layers cost: FLOPs and MACs, layers, two worked networks, conventions, the roofline.

    Parameters
    ----------
    page : str, optional
        One page alone, without the way to the others: a key of :data:`~nasviz.views.lesson.state.PAGES`.
    state : LessonState, optional
        Where to open the lesson.

    Attributes
    ----------
    state : LessonState
        What is chosen; setting one of its traits moves the lesson.
    exercises : mapping of Exercise
        Those of the page that is open, by name.

    Raises
    ------
    ValueError
        If there is no such page.

    Examples
    --------
    >>> lesson = FlopsLesson("convolution")
    >>> lesson.state.c_out = 20
    >>> lesson.exercises["conv1"].check("60,840").text
    'The factor 2 is missing (a multiplication and an addition in each MAC).'
    """

    title = "nasviz lesson"

    def __init__(self, page: str | None = None, *, state: LessonState | None = None):
        if page is not None and page not in PAGES:
            raise ValueError(f"page={page!r}: the lesson has the pages {', '.join(PAGES)}.")
        super().__init__(LessonState() if state is None else state)
        if page is not None:
            self.state.page = page
        self._single = page is not None
        self._pages: dict[str, Page] = {}
        self._boxes: dict[str, list[widgets.Widget]] = {}
        self._exercises: dict[str, dict[str, Exercise]] = {}
        self._settlers: dict[str, list[Callable[[], None]]] = {}
        self._opening, self._settling, self._shown = "", False, None
        self._prose, self._formula = widgets.HTML(), widgets.HTML()
        self._sketch = Sketch(self._on_cell)
        self._first, self._questions = widgets.VBox(), widgets.VBox()
        self._solved, self._slips, self._side_box = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self._prose.add_class("nasviz-prose")
        self._slips.add_class("nasviz-slips")
        self._step, self._play = self._stepper()
        self._controls, self._error, self._status, body, self._below = self.children
        self._steps = widgets.Box([self._play, self._step])
        self._steps.add_class("nasviz-group")
        self._stage = widgets.VBox()
        self._stage.add_class("nasviz-stage")
        body.children = [self._stage, self.chart]
        middle = [self._controls, self._error, self._formula, body, self._below]
        ends = [[], []] if self._single else [[self._turner()], [self._turner()]]
        self.children = [*ends[0], self._prose, self._first, *middle, self._questions, self._slips, *ends[1]]
        self.add_class("nasviz-lesson")
        self._open()
        self.state.observe(self._on_state)
        self.chart.observe(self._on_width, "narrow")

    # -- what pages get -----------------------------------------------------------------------------------------------

    def live(self, trait: str, label: str, tooltip: str, kind: type = widgets.IntSlider, **limits) -> widgets.Widget:
        """A slider bound to the state's `trait`, which moves the state while it is dragged."""
        slider = self.slider(trait, label, kind, tooltip, **limits)
        slider.continuous_update = True
        slider.layout.width = "324px"
        slider.style.description_width = "126px"
        return slider

    def on_settle(self, work: Callable[[], None]) -> None:
        """Call this before the page that is being made is drawn in a new state."""
        self._settlers.setdefault(self._opening, []).append(work)

    @guard
    def reveal(self) -> None:
        """Show the second network of the notes."""
        self.state.revealed = True

    @guard
    def measure(self, work: Callable[[LessonState], None]) -> None:
        """Run a measurement, which takes seconds, and show what follows."""
        self.show_status("Measuring; this takes a few seconds …")
        try:
            work(self.state)
        finally:
            self.redraw()

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def exercises(self) -> dict[str, Exercise]:
        """The exercises of the page, by name."""
        return self._exercises[self.state.page]

    @property
    def shown(self) -> Shown:
        """All that the page shows in the present state."""
        if self._shown is None:
            self._shown = self._pages[self.state.page].show(self.state, self.chart.narrow)
        return self._shown

    def figure(self) -> go.Figure:
        """The page's chart as a plotly figure."""
        return self.shown.chart.plotly(self.chart.narrow)

    def static(self):
        """The page's drawing and chart as a matplotlib Figure."""
        shown = self.shown
        tall = 1.0 + 0.42 * shown.chart.rows
        with matplotlib_style():
            if shown.drawing is None:
                figure = Picture(figsize=(9, tall + 0.6), layout="constrained")
                axes = figure.subplots()
            else:
                high = 9 * shown.drawing.height / max(shown.drawing.width, 640)
                figure = Picture(figsize=(9, high + tall), layout="constrained")
                sketch, axes = figure.subplots(2, 1, height_ratios=[high, tall])
                shown.drawing.draw(sketch)
            shown.chart.draw(axes)
            figure.suptitle(PAGES[self.state.page], x=0.01, ha="left", fontsize="medium")
        return figure

    def export_table(self) -> pd.DataFrame:
        """The numbers behind the page's chart."""
        return self.shown.table

    def describe(self) -> str:
        """The page in a few sentences."""
        return f"{PAGES[self.state.page]}. {self.shown.description}"

    def redraw(self) -> None:
        """Show the page in the present state, brought into what is possible."""
        try:
            self._settle()
        except ValueError:
            self._formula.value = self._sketch.svg = self._side_box.value = ""
            self.show_status("")
            self.chart.draw(go.Figure(layout={"template": plotly_template(), "height": 80}))
            raise
        shown = self.shown
        self._formula.value, self._side_box.value = shown.formula, shown.side
        self._sketch.svg = shown.drawing.svg(shown.description) if shown.drawing else ""
        # The numbers stand below drawing and chart or, without a drawing, beside the chart.
        drawn = [self._steps, self._status, self._sketch]
        self._stage.children = drawn if shown.drawing else [self._status, self._side_box, self._sketch]
        self._sketch.layout.display = "" if shown.drawing else "none"
        self._below.children = [self._side_box] if shown.drawing else []
        self.show_status(shown.status)
        super().redraw()

    # -- pages --------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Put the page's own widgets in their places; they are made when it is opened first."""
        name = self.state.page
        if name not in self._pages:
            self._opening = name
            page = self._pages[name] = MAKERS[name]()
            self._boxes[name] = [*page.controls(self), self.switch("picture", "Static picture")]
            questions = QUESTIONS[name]()
            self._exercises[name] = {question.name: Exercise(question, self._on_answer) for question in questions}
        self._controls.children = self._boxes[name]
        number = f"{list(PAGES).index(name) + 1} · " if not self._single else ""
        self._prose.value = f"<h2>{number}{html.escape(PAGES[name])}</h2>{INTRODUCTIONS[name]}"
        first = [exercise for key, exercise in self.exercises.items() if key == PREDICTION]
        rest = [exercise for key, exercise in self.exercises.items() if key != PREDICTION]
        self._first.children = first
        self._questions.children = [self._solved, *rest]
        self._slips.value = slips_html(name)
        self._count_solved()
        self._sketch.page = name
        self.redraw()

    def _settle(self) -> None:
        """Bring the state into what is possible: groups that divide the channels, a step that is there."""
        state, self._shown, self._settling = self.state, None, True
        try:
            state.groups = gcd(state.groups, state.c_in, state.c_out)
            for work in self._settlers.get(state.page, []):
                work()
            steps = self._pages[state.page].steps(state)
            self._steps.layout.display = "" if steps else "none"
            if steps:
                state.step = min(state.step, steps - 1)
                self._step.max = self._play.max = steps - 1
        finally:
            self._settling = False

    def _stepper(self) -> tuple[widgets.IntSlider, widgets.Play]:
        step = self.live("step", "Step", "which element is being made", min=0, max=1)
        step.layout.width = "300px"
        step.style.description_width = "40px"
        step.readout = False
        play = widgets.Play(min=0, max=1, interval=400, show_repeat=False, tooltip="Make one element after the other")
        widgets.link((self.state, "step"), (play, "value"))
        return step, play

    def _turner(self) -> widgets.Box:
        """Back, the list of pages, and on."""
        names = list(PAGES)
        back = widgets.Button(description="◀ Back", tooltip="The page before", layout={"width": "auto"})
        on = widgets.Button(
            description="Next ▶", tooltip="The next page", layout={"width": "auto"}, button_style="primary"
        )
        options = [(f"{i} · {title}", name) for i, (name, title) in enumerate(PAGES.items(), 1)]
        pages = self.choice("page", "Page", options)

        def turn(by: int) -> None:
            self.state.page = names[min(max(names.index(self.state.page) + by, 0), len(names) - 1)]

        def follow(change: Any = None) -> None:
            back.disabled, on.disabled = self.state.page == names[0], self.state.page == names[-1]

        back.on_click(lambda _: turn(-1))
        on.on_click(lambda _: turn(1))
        self.state.observe(follow, "page")
        follow()
        box = widgets.Box([back, pages, on])
        box.add_class("nasviz-pages")
        return box

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _on_state(self, change) -> None:
        if self._settling or change["name"] in ("picture", "solved"):
            return
        if change["name"] == "page":
            self._settling = True  # the page is not there yet, so nothing can be drawn
            self.state.step = 0
            self._settling = False
            self._open()
        else:
            self.redraw()

    @guard
    def _on_width(self, change) -> None:
        self.redraw()

    @guard
    def _on_cell(self, row: int, column: int) -> None:
        size = max((shape.grid for shape in self.shown.drawing.shapes), default=0) if self.shown.drawing else 0
        if size:
            channel = self.state.step // size**2
            self.state.step = min(channel * size**2 + row * size + column, self._step.max)

    def _on_answer(self, question: Question | Choice, verdict: Verdict) -> None:
        if question.name == PREDICTION:
            self.reveal()
        if verdict.right and question.name not in self.state.solved:
            self.state.solved = [*self.state.solved, question.name]
            self._count_solved()

    def _count_solved(self) -> None:
        here = self.exercises
        done = sum(name in self.state.solved for name in here)
        self._solved.value = f"<h3>Try it: {done} of {len(here)} solved</h3>"
