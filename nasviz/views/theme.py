"""One look for every chart: colours, marker shapes, number formats, a plotly template and matplotlib settings.

The colours are those of Okabe and Ito, which the common kinds of colour blindness keep apart (https://jfly.uni-koeln.de/color/).
Shape is the second code: a chart must also be readable in grey.
"""

import math
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
# The same shape for plotly and for matplotlib.
SHAPES = (
    ("circle", "o"),
    ("square", "s"),
    ("diamond", "D"),
    ("triangle-up", "^"),
    ("x", "X"),
    ("triangle-down", "v"),
    ("cross", "P"),
    ("star", "*"),
)
BLUE, ORANGE = OKABE_ITO[0], OKABE_ITO[5]
GREY, INK, GRID = "#767676", "#222222", "#E3E3E3"
SCALE = "Cividis"  # for numbers: even in lightness, safe for colour-blind readers; both libraries have it
GL_FROM = 3000  # points; above it plotly draws with WebGL, below it in SVG, which stays sharp and needs no GPU
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

# Text on a colour of a scale, which is as light or dark on any paper. Not quite black and white, so that it stays.
ON_LIGHT, ON_DARK = "#010101", "#FEFEFE"
BAND, VEIL, NOTE = "rgba(0, 0, 0, 0.09)", "rgba(0, 0, 0, 0.05)", "rgba(255, 255, 255, 0.75)"  # plotly's: behind things
OUT = "#B5B5B5"  # what does not count
# What these colours become where the page is dark. The others are light enough: 3 to 1 or more against it.
DARK = {
    "#ffffff": "#212121",
    "white": "#212121",
    "#000000": "#ffffff",
    "black": "#ffffff",
    INK.lower(): "#e6e6e6",
    GREY.lower(): "#a3a3a3",
    GRID.lower(): "#3f3f3f",
    BLUE.lower(): "#2a78e4",  # as far from its neighbours, but lighter: points may be half transparent
    OUT.lower(): "#6e6e6e",
    BAND: "rgba(255, 255, 255, 0.14)",
    VEIL: "rgba(255, 255, 255, 0.08)",
    NOTE: "rgba(33, 33, 33, 0.75)",
}

RC = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.size": 10.0,
    "grid.color": GRID,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.fonttype": "none",  # text stays text: searchable, small
    "svg.hashsalt": "nasviz",  # the same picture gives the same file
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Code:
    """How one class looks: a colour and a shape (`symbol` in plotly, `marker` in matplotlib)."""

    colour: str
    symbol: str
    marker: str


def codes(labels: Iterable[Hashable]) -> dict[Hashable, Code]:
    """Give each distinct label a colour and a shape, in the order of first appearance.

    Up to 8 labels all colours differ; up to 64 every pair of colour and shape is used once.
    """
    result: dict[Hashable, Code] = {}
    for label in labels:
        if label not in result:
            turn, i = divmod(len(result), len(OKABE_ITO))
            result[label] = Code(OKABE_ITO[i], *SHAPES[(i + turn) % len(SHAPES)])
    return result


def si(value: float, unit: str = "") -> str:
    """Write a number with three digits and an SI prefix: ``si(1.2e9, "MACs")`` is ``"1.2 G MACs"``."""
    value = float(value)
    if not math.isfinite(value):
        return "–"
    power = 0
    while abs(float(f"{value:.3g}")) >= 1000 and power < 6:  # rounded first, so that 999.9 k does not become "1e+03 k"
        value, power = value / 1000, power + 1
    return " ".join(part for part in (f"{float(f'{value:.3g}'):g}", "kMGTPE"[power - 1 : power], unit) if part)


def percent(fraction: float) -> str:
    """Write a fraction as percent: ``percent(0.9321)`` is ``"93.2 %"``; a missing value is a dash."""
    return f"{100 * fraction:.1f} %" if math.isfinite(fraction) else "–"


@contextmanager
def matplotlib_style() -> Iterator[None]:
    """Draw in the project's look inside the ``with`` block; matplotlib's own settings come back after it."""
    import matplotlib

    with matplotlib.rc_context(RC):
        yield


def darken(figure: Any) -> Any:
    """Give a matplotlib Figure the colours for a dark page, in place, as js/dark.js does with a plotly figure."""
    import numpy as np
    from matplotlib.colors import to_rgba, to_rgba_array

    pairs = [(to_rgba(old)[:3], to_rgba(new)[:3]) for old, new in DARK.items() if not old.startswith("rgba")]

    def swap(colours: Any) -> Any:
        rows = to_rgba_array(colours)
        result = rows.copy()
        for old, new in pairs:
            result[np.all(np.isclose(rows[:, :3], old), axis=1), :3] = new
        return result

    figure.draw_without_rendering()  # before, not all ticks are there
    for artist in figure.findobj():
        for name in ("facecolor", "edgecolor", "markerfacecolor", "markeredgecolor", "color"):
            get, put = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if get is None or put is None or (name == "color" and hasattr(artist, "get_facecolor")):
                continue
            colours = swap(get())
            if len(colours):
                put(colours if hasattr(artist, "get_offsets") or hasattr(artist, "get_paths") else colours[0])
    return figure


@cache
def plotly_template() -> Any:
    """The project's look as a ``plotly.graph_objects.layout.Template``; plotly's default template stays as it is."""
    import plotly.graph_objects as go

    axis = {
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": GREY,
        "showline": True,
        "ticks": "outside",
        "title": {"standoff": 8, "font": {"size": 13}},
        "zeroline": False,
    }
    return go.layout.Template(
        layout={
            "colorway": OKABE_ITO,
            "font": {"family": FONT, "size": 13, "color": INK},
            "hoverlabel": {"bgcolor": "white", "font": {"family": FONT, "size": 12, "color": INK}, "align": "left"},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemclick": False},
            "margin": {"l": 8, "r": 8, "t": 40, "b": 8},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "xaxis": axis,
            "yaxis": axis,
        }
    )


# For pages without a kernel; js/chart.js has the same for those with one.
PLOTLY_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["sendDataToCloud", "sendChartToCloud"],
    "responsive": True,
}
