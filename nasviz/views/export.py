"""Views as files: PNG and SVG from the static twin, CSV from the table, HTML from the interactive chart."""

import html
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from matplotlib.figure import Figure

from nasviz.resources import write_atomically
from nasviz.views.theme import DARK, FONT, INK, PLOTLY_CONFIG, matplotlib_style

if TYPE_CHECKING:
    import pandas as pd

MIME = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv", "html": "text/html"}


class Exportable(Protocol):
    """What a view offers to be saved."""

    title: str

    def static(self) -> Figure: ...
    def export_table(self) -> "pd.DataFrame": ...
    def figure(self) -> Any: ...
    def describe(self) -> str: ...


class Picture(Figure):
    """A matplotlib figure made without pyplot, so it belongs to nobody's global list; a notebook shows it as PNG."""

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png")


def figure_bytes(figure: Figure, format: str) -> bytes:
    """The picture as a PNG or SVG file. The same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib_style():
        # Neither the date nor matplotlib's version belongs to the picture.
        figure.savefig(buffer, format=format, metadata={"Date": None} if format == "svg" else {"Software": None})
    return buffer.getvalue()


def view_bytes(view: Exportable, format: str) -> bytes:
    """The view as the content of one file.

    Parameters
    ----------
    view : Exportable
        The view; nothing in it changes.
    format : {"png", "svg", "csv", "html"}
        The HTML page holds its JavaScript (about 5 MB), so it needs neither a kernel nor a network.

    Raises
    ------
    ValueError
        If `format` is another one.
    """
    makers: dict[str, Callable[[], bytes]] = {
        "png": lambda: figure_bytes(view.static(), "png"),
        "svg": lambda: figure_bytes(view.static(), "svg"),
        "csv": lambda: view.export_table().to_csv(index=False).encode(),
        "html": lambda: _page(view).encode(),
    }
    if format not in makers:
        raise ValueError(f"format {format!r} is none that a view can be saved as; choose one of {', '.join(makers)}.")
    return makers[format]()


def save_view(view: Exportable, path: str | Path) -> Path:
    """Write the view to `path`; its ending (.png, .svg, .csv, .html) says how. Returns `path`."""
    path = Path(path)
    content = view_bytes(view, path.suffix.lower().removeprefix("."))
    return write_atomically(path, lambda beside: beside.write_bytes(content))


LOOK = f"""
:root {{ color-scheme: light dark; --paper: #ffffff; --ink: {INK}; --line: #cccccc; --head: #eeeeee; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #212121; --ink: #e6e6e6; --line: #555555; --head: #333333; }}
}}
:root {{
  --jp-layout-color0: var(--paper); --jp-layout-color2: var(--head); --jp-ui-font-color1: var(--ink);
  --jp-border-color1: var(--line); --jp-border-color2: var(--line);
}}
body {{
  font: 15px/1.4 {FONT}; color: var(--ink); background: var(--paper);
  max-width: 1200px; margin: 1rem auto; padding: 0 .75rem;
}}
.table {{ overflow: auto; max-height: 70vh; }}
th {{ text-align: left; position: sticky; top: 0; background: var(--paper); }}
th, td {{ padding: .15rem .6rem; white-space: nowrap; text-align: left; font-variant-numeric: tabular-nums; }}
"""
# A figure of plotly follows the system's theme; it is drawn for light paper.
FOLLOW = """
const chart = document.querySelector(".plotly-graph-div");
if (chart?.data) {
  const light = JSON.parse(JSON.stringify({ data: chart.data, layout: chart.layout }));
  const system = matchMedia("(prefers-color-scheme: dark)");
  const draw = () => {
    const { data, layout } = system.matches ? recolour(light, COLOURS) : structuredClone(light);
    Plotly.react(chart, data, layout);
  };
  system.addEventListener("change", draw);
  if (system.matches) draw();
}
"""


def _page(view: Exportable) -> str:
    from nasviz.views.chart import sources

    figure, table = view.figure(), view.export_table()
    chart = figure.to_html(full_html=False, include_plotlyjs=True, include_mathjax=False, config=PLOTLY_CONFIG)
    title, text = html.escape(view.title), html.escape(view.describe())
    rows = table.head(1000)
    note = f"The first {len(rows):,} of {len(table):,} rows." if len(rows) < len(table) else f"{len(table):,} rows."
    cells = rows.to_html(index=False, border=0, na_rep="–", float_format="{:.4f}".format)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{LOOK}</style></head><body>
<h1>{title}</h1>
<figure style="margin: 0" role="figure" aria-label="{text}">{chart}<figcaption>{text}</figcaption></figure>
<h2>The numbers</h2>
<p>{note}</p><div class="table" tabindex="0">{cells}</div>
<script type="module">{sources("dark.js")}{FOLLOW.replace("COLOURS", json.dumps(DARK))}</script>
</body></html>
"""
