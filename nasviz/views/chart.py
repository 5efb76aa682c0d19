"""The widget that shows a plotly figure, offline, with buttons that save the view it belongs to."""

from collections.abc import Callable, Mapping
from pathlib import Path

import anywidget
import plotly.graph_objects as go
from traitlets import Bool, Dict, Int, List, Unicode

from nasviz.views.theme import DARK

_JS = Path(__file__).parent / "js"


def sources(*names: str) -> str:
    """Files of ``js/`` as one, since a widget has one script and one style sheet."""
    return "\n".join((_JS / name).read_text(encoding="utf-8") for name in names)


class Chart(anywidget.AnyWidget):
    """A plotly figure in the page.

    Like plotly's FigureWidget it draws what Python gives it and tells Python what the mouse has selected. Unlike there,
    the whole figure is state, so that a page that is opened or loaded again shows the present one, and plotly.js is
    sent once a page instead of once a chart (``js/chart.js`` says why that matters).
    """

    _esm = sources("save.js", "dark.js", "chart.js")
    _css = _JS / "panel.css"
    figure = Unicode('{"data": [], "layout": {}}', help="the figure as JSON").tag(sync=True)
    selected = List(Int(min=0), help="selected points of the first trace, by row").tag(sync=True)
    description = Unicode(help="the chart in words, for those who do not see it").tag(sync=True)
    picture = Unicode(help="a PNG in base64 that is shown instead; empty: the chart").tag(sync=True)
    narrow = Bool(False, help="whether the chart has the width of a phone; the browser says so").tag(sync=True)
    dark = Bool(False, help="whether the page is dark; the browser says so").tag(sync=True)
    colours = Dict(DARK, help="what the colours of the theme become on a dark page").tag(sync=True)
    formats = List(Unicode(), help="what the buttons offer").tag(sync=True)
    interval = Int(0, min=0, help="milliseconds between two calls of on_tick while the page shows this; 0: none").tag(
        sync=True
    )

    def __init__(
        self,
        make_file: Callable[[str], tuple[str, str, bytes] | None],
        on_click: Callable[[str], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        **traits,
    ):
        super().__init__(**traits)
        self._make_file, self._on_click, self._on_tick = make_file, on_click, on_tick
        self.on_msg(self._on_message)

    def draw(self, figure: go.Figure) -> None:
        """Show this figure from now on."""
        self.figure = figure.to_json()

    def _on_message(self, widget, content: Mapping, buffers) -> None:
        if content.get("kind") == "plotly":
            from plotly.offline import get_plotlyjs

            self.send({"kind": "plotly"}, [get_plotlyjs().encode()])
        elif content.get("kind") == "save":
            made = self._make_file(content.get("format", ""))
            if made is not None:
                name, mime, data = made
                self.send({"kind": "file", "name": name, "type": mime}, [data])
        elif content.get("kind") == "click" and self._on_click is not None:
            self._on_click(str(content.get("id")))  # of the point, as in the trace's ``ids``
        elif content.get("kind") == "tick" and self._on_tick is not None:
            try:
                self._on_tick()
            finally:
                self.send({"kind": "tock"})  # only now the page counts on, so that a busy kernel gathers no ticks
