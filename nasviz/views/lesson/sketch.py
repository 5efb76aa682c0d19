"""What the lesson puts beside its charts: the drawing that can be clicked, and the slips of the notes."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path

import anywidget
from traitlets import Unicode

from nasviz.views.lesson.notes import SLIPS

_JS = Path(__file__).parents[1] / "js"


class Sketch(anywidget.AnyWidget):
    """Shows an SVG, and calls `on_cell` with row and column where a grid in it is clicked."""

    _esm = _JS / "lesson.js"
    _css = _JS / "lesson.css"
    svg = Unicode().tag(sync=True)
    page = Unicode(help="what it belongs to").tag(sync=True)

    def __init__(self, on_cell: Callable[[int, int], None], **traits):
        super().__init__(**traits)
        self._on_cell = on_cell
        self.on_msg(self._on_message)

    def _on_message(self, widget, content: Mapping, buffers) -> None:
        if content.get("kind") == "cell":
            self._on_cell(int(content.get("row", 0)), int(content.get("column", 0)))


def slips_html(page: str) -> str:
    """The slips of the notes that belong to a page, each with what is right."""
    found = [slip for slip in SLIPS if slip.page == page]
    if not found:
        return ""
    items = "".join(
        f"<blockquote><p><q>{html.escape(slip.quote)}</q></p><p>{html.escape(slip.right)}</p></blockquote>"
        for slip in found
    )
    return f"<h3>Slips in the notes</h3>{items}"
