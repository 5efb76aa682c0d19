"""The jobs of a run as a list in the page."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
from traitlets import Int, Unicode

from nasviz.views.chart import sources
from nasviz.views.theme import percent

if TYPE_CHECKING:
    from nasviz.cycles.job import Job, State

ZIP = "application/zip"


class JobList(anywidget.AnyWidget):
    """Shows jobs with their progress and buttons, and calls `act` with what a button says and the id of its job."""

    _esm = sources("save.js", "jobs.js")
    _css = sources("panel.css")  # of the whole panel: this list may be the first of it in the page
    jobs = Unicode("[]", help="as JSON; see `entry`").tag(sync=True)
    interval = Int(0, min=0, help="milliseconds between two calls of on_tick while the page shows this; 0: none").tag(
        sync=True
    )

    def __init__(self, act: Callable[[str, str], None], on_tick: Callable[[], None], **traits):
        super().__init__(**traits)
        self._act, self._on_tick = act, on_tick
        self.on_msg(self._on_message)

    def show(self, jobs: "Collection[Job]", allowed: Collection[str]) -> None:
        """Show these jobs; those whose action is not `allowed` without buttons."""
        self.jobs = json.dumps([entry(job, job.state(), job.action in allowed) for job in jobs])

    def download(self, name: str, data: bytes, mime: str = ZIP) -> None:
        """Give a file to the browser, which keeps it as a download."""
        self.send({"kind": "file", "name": name, "type": mime}, [data])

    def _on_message(self, widget, content: Mapping, buffers) -> None:
        if content.get("kind") == "tick":
            try:
                self._on_tick()
            finally:
                self.send({"kind": "tock"})  # only now the page counts on
        else:
            self._act(str(content.get("kind")), str(content.get("id")))


def entry(job: "Job", state: "State", allowed: bool) -> dict[str, Any]:
    """What the page shows of a job."""
    result = state.result or {}
    texts = {"cycle": "made cycle {}", "run": "made the run {}", "file": "{}"}
    made = [texts[key].format(Path(value).name if key == "file" else value) for key, value in result.items()]
    buttons = []
    if allowed:
        buttons = [["remove", "Remove"]] if state.over else [["cancel", "Cancel"]]
        buttons = [["download", "Download"]] * ("file" in result) + buttons
    text = state.message if not state.over or state.status == "failed" else "; ".join(made) or state.status
    return {
        "id": job.id,
        "title": job.title,
        "status": state.status,
        "active": not state.over,
        "progress": state.progress,
        "text": text if state.over else f"{percent(state.progress).split('.')[0]} %, {text}",
        "buttons": buttons,
    }
