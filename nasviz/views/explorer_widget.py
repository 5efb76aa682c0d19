"""The drawing of networks in the page, and as a page of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from traitlets import Int, Unicode

from nasviz.views.chart import Chart, sources
from nasviz.views.explorer_scene import Scene

FILES = ("save.js", "dark.js", "viewport.js", "boxes.js", "pane.js", "explorer.js")
STYLES = ("panel.css", "explorer.css")


@dataclass(frozen=True)
class Drawing:
    """A scene, and what is known of its boxes.

    Attributes
    ----------
    scene : dict
        Of :func:`~nasviz.views.explorer_scene.scene`.
    details : callable
        Gives the details of a box, as HTML, by its id.
    description : str
        The drawing in words.
    """

    scene: Scene
    details: Callable[[str], str]
    description: str

    def to_json(self) -> str:
        """For a page with a kernel, which opens and closes boxes."""
        return json.dumps({**self.scene, "live": True})

    def to_html(self, **options: Any) -> str:
        """For a page of its own: it can be moved and scaled, and boxes show their details; what is open stays so.

        The options are those of plotly's figures, which this does not need.
        """
        boxes = {box["id"] for drawing in self.scene["drawings"] for box in drawing["boxes"]}
        values = {
            "figure": json.dumps({**self.scene, "live": False}),
            "description": self.description,
            "formats": [],
            "chosen": "",
            "picture": "",
            "space": 0,
            "details": {box: self.details(box) for box in sorted(boxes | {""})},
        }
        data = json.dumps(values).replace("<", "\\u003c")  # so that no text can end the script
        return (
            f'<style>{sources(*STYLES)}</style><div id="network"></div><div id="details" aria-live="polite"></div>'
            f'<script type="module">{sources(*FILES, "page.js")}\nstart({data});</script>'
        )


class NetworkChart(Chart):
    """Shows a :class:`Drawing`. A click on a box chooses it; one on its sign asks to open or close it."""

    _esm = sources(*FILES)
    _css = sources(*STYLES)
    chosen = Unicode(help="id of the box that is chosen").tag(sync=True)
    space = Int(0, min=0, help="width of a drawing in pixels; the browser says so").tag(sync=True)
