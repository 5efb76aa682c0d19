"""Views as files: PNG and SVG from the static twin, CSV from the table, HTML from the interactive chart."""

import html
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from matplotlib.figure import Figure

from nasviz.resources import write_atomically
from nasviz.views.theme import DARK, FONT, INK, PLOTLY_CONFIG, matplotlib_style

if TYPE_CHECKING:
    import pandas as pd

MIME = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv", "html": "text/html"}


class Exportable(Protocol):
    """What a view offers to be saved.

    One with a chart has ``figure()``, too, which can ``to_html()``; one made of others has ``parts()``.
    """

    title: str

    def static(self) -> Figure: ...
    def export_table(self) -> "pd.DataFrame": ...
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
for (const chart of document.querySelectorAll(".plotly-graph-div")) {
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

    sections, loaded = [], False
    for part in view.parts() if hasattr(view, "parts") else [view]:
        try:
            section, plotly = _section(part, loaded, part is not view)
        except ValueError as error:  # a part that has nothing to show says why; the others are there
            if part is view:
                raise
            section, plotly = f"<h2>{html.escape(part.title)}</h2><p>{html.escape(str(error))}</p>", False
        sections.append(section)
        loaded = loaded or plotly
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(view.title)}</title>
<style>{LOOK}</style></head><body>
<h1>{html.escape(view.title)}</h1>
{"".join(sections)}
<script type="module">{sources("dark.js")}{FOLLOW.replace("COLOURS", json.dumps(DARK))}</script>
</body></html>
"""


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4f}"


def _section(view: Exportable, loaded: bool, headed: bool) -> tuple[str, bool]:
    """A view as HTML, which brings plotly.js along unless it is `loaded`; and whether it needs that."""
    table, text, chart, plotly = view.export_table(), html.escape(view.describe()), "", False
    if hasattr(view, "figure"):
        figure = view.figure()
        plotly = hasattr(figure, "to_plotly_json")
        options = {"full_html": False, "include_plotlyjs": not loaded, "include_mathjax": False}
        drawing = figure.to_html(**options, config=PLOTLY_CONFIG)
        chart = f'<div role="group" tabindex="0" aria-label="{text}">{drawing}</div>'
    rows = table.head(1000)
    note = f"The first {len(rows):,} of {len(table):,} rows." if len(rows) < len(table) else f"{len(table):,} rows."
    rows = rows.astype(object).where(rows.notna(), "–")
    cells = rows.to_html(index=False, border=0, float_format=_number)
    title = html.escape(f"{view.title}: the numbers")
    section = f"""<section>{f"<h2>{html.escape(view.title)}</h2>" if headed else ""}
<figure style="margin: 0">{chart}<figcaption>{text}</figcaption></figure>
<h3>{title}</h3>
<p>{note}</p><div class="table" tabindex="0" role="region" aria-label="{title}">{cells}</div>
</section>
"""
    return section, plotly
