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
