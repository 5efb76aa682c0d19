"""The menu of what can be done with a cycle, and the jobs that do it."""

import html
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pandas as pd

from nasviz.cycles.actions import ACTIONS, Action, Field
from nasviz.cycles.checks import is_bundled
from nasviz.cycles.job import Job, jobs, start
from nasviz.views.cycle_panel import button, group
from nasviz.views.export import Picture
from nasviz.views.job_list import JobList
from nasviz.views.panel import Shell, guard, sentence
from nasviz.views.state import CyclesState
from nasviz.views.table import table_picture
from nasviz.views.text import shorten

if TYPE_CHECKING:
    from nasviz.cycles.run import Run

ALLOW = "NASVIZ_ALLOW_ACTIONS"
"""The environment variable that lets the visitors of a dashboard do what those in JupyterLab may."""
READING = "This page is for reading. Started with --allow-actions, the dashboard offers the other actions, too."


def allowed_actions() -> list[str]:
    """The actions that may be used here: in a page that Voilà serves only those for viewers, unless `ALLOW` is set.

    Voilà names itself in the environment of a kernel that it starts for a page, and otherwise in that of one that it
    has ready in advance.
    """
    served = os.environ.get("SERVER_SOFTWARE", "").startswith("voila/") or "VOILA_PREHEAT" in os.environ
    everything = not served or os.environ.get(ALLOW, "") not in ("", "0")
    return [name for name, action in ACTIONS.items() if everything or action.for_viewers]


class CycleActions(Shell):
    """The actions on a cycle: a menu, the parameters of the chosen action, and the jobs that were started.

    A job is worked on by another process. It goes on when the page, the notebook or the kernel is closed, and the list
    shows it again when the run is opened again.

    Parameters
    ----------
    run : Run
        The run; it may be open for reading.
    state : CyclesState, optional
        Where to open the view. Views that are given the same state are linked.
    watch : float
        Seconds between two looks at run and jobs, as long as a page shows the view; 0: none.
    allowed : list of str, optional
        Names of `nasviz.cycles.actions.ACTIONS`; by default `allowed_actions()`.
    on_news : callable, optional
        Called when the run has changed.

    Attributes
    ----------
    state : CyclesState
        What is chosen.
    allowed : list of str
        The actions that the menu has.

    Raises
    ------
    TypeError
        If the run is no Run.
    ValueError
        If `allowed` names an unknown action.
    """

    title = "nasviz actions"

    def __init__(
        self,
        run: "Run",
        *,
        state: CyclesState | None = None,
        watch: float = 2.0,
        allowed: list[str] | None = None,
        on_news: Callable[[], None] | None = None,
    ):
        if not hasattr(run, "cycle"):
            raise TypeError(f"run is a {type(run).__name__}; actions are for the cycles of a Run.")
        super().__init__()
        self.run, self.state, self._on_news = run, CyclesState() if state is None else state, on_news
        self.allowed = allowed_actions() if allowed is None else list(allowed)
        unknown = sorted(set(self.allowed) - set(ACTIONS))
        if unknown:
            raise ValueError(f"allowed names {unknown}; there are {', '.join(ACTIONS)}.")
        style = {"description_width": "initial"}
        menu = [(ACTIONS[name].title, name) for name in self.allowed]
        self._cycle = widgets.Dropdown(description="Cycle", style=style, layout={"width": "auto"})
        self._menu = widgets.Dropdown(description="Action", options=menu, style=style, layout={"width": "auto"})
        self._start = button("Start", "Start this action on this cycle", self._on_start)
        self._start.button_style = "primary"
        self._help, self._form = widgets.HTML(), widgets.Box()
        self._form.add_class("nasviz-controls")
        self._inputs: dict[str, widgets.Widget] = {}
        self._moving = False
        self.list = JobList(self._act, self._tick, interval=round(1000 * watch))
        controls = group(self._cycle, self._menu, self._start)
        controls.add_class("nasviz-controls")
        self.children = [controls, self._error, self._help, self._form, self.list]
        self._offer()
        self._show_form()
        self.show_jobs()
        self._menu.observe(self._on_choice, "value")
        self._cycle.observe(self._on_cycle, "value")
        self.state.observe(self._on_state, "cycle")

    @property
    def cycle(self) -> int:
        """The cycle that the action is for: the selected one, else the last; -1 in an empty run."""
        known = [cycle.index for cycle in self.run.cycles]
        return self.state.cycle if self.state.cycle in known else next(reversed(known), -1)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the form says, as `nasviz.cycles.start` takes it."""
        result: dict[str, Any] = {}
        for name, box in self._inputs.items():
            outer, _, inner = name.partition(".")
            if inner:
                result.setdefault(outer, {})[inner] = box.value
            else:
                result[outer] = box.value
        return result

    def start(self, action: str | None = None, **parameters: Any) -> Job:
        """Start an action on the cycle, as the button does: the chosen one, with the form's parameters.

        Raises
        ------
        PermissionError
            If the action is not allowed here.
        KeyError, ValueError, OSError, ImportError
            What :func:`nasviz.cycles.start` raises.
        """
        action = self._menu.value if action is None else action
        if action not in self.allowed:
            raise PermissionError(f"{action!r} is not allowed here. {READING}")
        job = start(self.run, action, self.cycle, **(parameters or self.parameters))
        self.show_jobs()
        return job

    def export_table(self) -> pd.DataFrame:
        """A row an action that may be started on the cycle, then a row a job."""
        rows = [(ACTIONS[name].title, self.cycle, "can be started", ACTIONS[name].help) for name in self.allowed]
        for job in jobs(self.run):
            state = job.state()
            rows.append((ACTIONS[job.action].title, job.cycle, state.status, state.message))
        table = pd.DataFrame(rows, columns=["action", "cycle", "status", "text"])
        return table.astype({"cycle": "Int64"})

    def static(self) -> Picture:
        """The actions and jobs as a matplotlib Figure."""
        table = self.export_table()
        rows = [[shorten("–" if pd.isna(value) else str(value), 80) for value in row] for row in table.values]
        return table_picture(list(table), rows, self.describe(), len(table.columns))

    def describe(self) -> str:
        """What can be done, and how much is being done, in a sentence."""
        count = len(jobs(self.run))
        titles = ", ".join(ACTIONS[name].title for name in self.allowed) or "nothing"
        return f"What can be done with cycle {self.cycle}: {titles}. {count} job{'s' * (count != 1)}."

    def show_jobs(self) -> None:
        """Bring the list of jobs up to date."""
        self.list.show(jobs(self.run), self.allowed)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _offer(self) -> None:
        cycles = [(shorten(f"{cycle.index}: {cycle.name}", 40), cycle.index) for cycle in self.run.cycles]
        options = cycles or [("none yet", -1)]
        self._moving = True
        try:
            if list(self._cycle.options) != options:
                self._cycle.options = options
            self._cycle.value = self.cycle
        finally:
            self._moving = False
        self._start.disabled = not cycles or not self.allowed

    def _show_form(self) -> None:
        action = ACTIONS.get(self._menu.value)
        self._inputs = (
            {field.name: _input(field, self._default(action, field)) for field in action.fields} if action else {}
        )
        self._form.children = list(self._inputs.values())
        reading = f" {READING}" if len(self.allowed) < len(ACTIONS) else ""
        text = html.escape((action.help if action else "") + reading)
        self._help.value = f'<p class="nasviz-status">{text}</p>'

    def _default(self, action: Action, field: Field) -> Any:
        """What the form shows at first; of the task and the folder what suits this cycle."""
        if field.name == "task" and self.cycle >= 0:
            return self.run.cycle(self.cycle).source.get("task") or action.default(field)
        if field.name == "folder":
            folder, number = self.run.folder.resolve(), 1
            beside = Path.cwd() if is_bundled(self.run) else folder.parent
            while (new := beside / f"{folder.name}-{number}").exists():
                number += 1
            return str(new)
        return action.default(field)

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _on_start(self, _) -> None:
        try:
            self.start()
        except (KeyError, ImportError) as error:  # also sentences of ours
            raise ValueError(str(error.args[0] if error.args else error)) from error

    @guard
    def _on_choice(self, change) -> None:
        self._show_form()

    def _on_cycle(self, change) -> None:
        if not self._moving:
            self.state.cycle = change["new"]

    @guard
    def _on_state(self, change) -> None:
        self._offer()
        action = ACTIONS.get(self._menu.value)
        for field in action.fields if action else ():
            if field.name == "task":  # the rest of the form stays as the user left it
                self._inputs["task"].value = self._default(action, field)

    @guard
    def _act(self, kind: str, id: str) -> None:
        """A button of a job was clicked."""
        job = next((each for each in jobs(self.run) if each.id == id), None)
        if job is None or job.action not in self.allowed:
            return
        if kind == "cancel":
            job.cancel()
        elif kind == "remove":
            job.remove()
        elif kind == "download" and (file := (job.state().result or {}).get("file")):
            self.list.download(Path(file).name, Path(file).read_bytes())
        self.show_jobs()

    def _tick(self) -> None:
        try:
            news = self.run.refresh()
            self.show_jobs()
        except (ValueError, OSError) as error:
            self.show_error(sentence(error))
            return
        if news:
            self._offer()
            if self._on_news is not None:
                with suppress(ValueError, OSError):  # the views say it themselves
                    self._on_news()


def _input(field: Field, value: Any) -> widgets.Widget:
    look = {"style": {"description_width": "initial"}, "layout": {"width": "auto", "max_width": "100%"}}
    if field.choices:
        return widgets.Dropdown(description=field.label, options=list(field.choices), value=value, **look)
    kind = {int: widgets.IntText, float: widgets.FloatText, str: widgets.Text}[field.kind]
    look["layout"]["width"] = "360px" if field.name == "folder" else "190px"
    return kind(description=field.label, value=value, **look)
