"""The charts of the lesson, each as a plotly figure for the page and in a matplotlib axes for the static twin."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import plotly.graph_objects as go

from nasviz.measure.roofline import Machine
from nasviz.views.lesson.formulas import written
from nasviz.views.text import hover, shorten
from nasviz.views.theme import BLUE, GREY, INK, OKABE_ITO, ORANGE, Code, codes, plotly_template, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HATCHES = ("", "//", "..", "xx", "\\\\", "++")
PATTERNS = ("", "/", ".", "x", "\\", "+")
PATTERN = {"fillmode": "overlay", "fgcolor": "white", "fgopacity": 0.7, "size": 7, "solidity": 0.2}
COLOURS = (BLUE, OKABE_ITO[1], OKABE_ITO[2], OKABE_ITO[3], OKABE_ITO[4], ORANGE)


class LessonChart(Protocol):
    """A chart that is drawn in two ways."""

    rows: int

    def plotly(self, narrow: bool) -> go.Figure: ...
    def draw(self, axes: "Axes") -> None: ...


def _figure(traces: Sequence, layout: Mapping, height: int) -> go.Figure:
    fixed = {"template": plotly_template(), "height": height, "dragmode": False, "margin": {"t": 44}}
    return go.Figure(list(traces), {**fixed, **layout})


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one a row, each of one or several parts.

    Attributes
    ----------
    axis : str
        What the length is.
    values : mapping of str to mapping of str to float
        By row, from top to bottom, and by part, from left to right.
    lit : str
        A row that is drawn strongly while the others are pale; empty: all are drawn alike.
    """

    axis: str
    values: Mapping[str, Mapping[str, float]]
    lit: str = ""

    @property
    def rows(self) -> int:
        """How many bars there are."""
        return len(self.values)

    @property
    def parts(self) -> list[str]:
        """All parts, in the order in which they first come."""
        return list(dict.fromkeys(part for row in self.values.values() for part in row))

    @property
    def totals(self) -> list[float]:
        """The length of each bar."""
        return [sum(row.values()) for row in self.values.values()]

    def plotly(self, narrow: bool) -> go.Figure:
        """The chart for the page."""
        names = [_broken(name, 16 if narrow else 40) for name in self.values]
        several, traces = len(self.parts) > 1, []
        for i, part in enumerate(self.parts):
            marker = {
                "color": COLOURS[i % len(COLOURS)],
                "opacity": [1 if self.lit in ("", name) else 0.45 for name in self.values],
                "pattern": {"shape": PATTERNS[i % len(PATTERNS)], **PATTERN},
                "line": {"color": "white", "width": 1},
            }
            x = [row.get(part, 0) for row in self.values.values()]
            text = [hover(part, f"{name}: {written(v)}") for name, v in zip(self.values, x, strict=True)]
            traces.append(
                go.Bar(
                    x=x, y=names, orientation="h", name=part, marker=marker, customdata=text,
                    hovertemplate="%{customdata}<extra></extra>", showlegend=several,
                )
            )  # fmt: skip
        traces.append(
            go.Scatter(
                x=self.totals, y=names, mode="text", text=[f" {written(total)}" for total in self.totals],
                textposition="middle right", cliponaxis=False, hoverinfo="skip", showlegend=False,
            )
        )  # fmt: skip
        top = max(self.totals, default=1) or 1
        layout = {
            "barmode": "stack",
            "bargap": 0.35,
            "xaxis": {
                "title": {"text": self.axis},
                "range": [0, top * (1.5 if narrow else 1.22)],
                "tickformat": "~s",
                "nticks": 4,
            },
            "yaxis": {"autorange": "reversed", "ticks": ""},
            "legend": {"traceorder": "normal"},
            "margin": {"t": 44 + 22 * (several and narrow) * ((len(self.parts) + 1) // 2)},
        }
        lines = max((name.count("<br>") + 1 for name in names), default=1)
        return _figure(traces, layout, 120 + max(42, 19 * lines + 6) * self.rows + 30 * several)

    def draw(self, axes: "Axes") -> None:
        """The chart in a matplotlib axes."""
        names, left = list(self.values), np.zeros(self.rows)
        for i, part in enumerate(self.parts):
            x = np.array([row.get(part, 0) for row in self.values.values()], dtype=float)
            bars = axes.barh(
                names, x, left=left, height=0.65, color=COLOURS[i % len(COLOURS)], hatch=HATCHES[i % len(HATCHES)],
                edgecolor="white", label=part,
            )  # fmt: skip
            for name, bar in zip(names, bars, strict=True):
                bar.set_alpha(1 if self.lit in ("", name) else 0.45)
            left = left + x
        for i, total in enumerate(self.totals):
            axes.text(total, i, f" {written(total)}", va="center", fontsize=9)
        axes.set(xlabel=self.axis, xlim=(0, (max(self.totals, default=1) or 1) * 1.2))
        axes.xaxis.set_major_formatter(lambda value, _: si(value))
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        if len(self.parts) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)


@dataclass(frozen=True)
class Dots:
    """A dot a row and series, against a number.

    Attributes
    ----------
    axis : str
        What the number is.
    series : mapping of str to mapping of str to float
        By series, then by row.
    unit : str
        Of the number, for the label beside the mouse.
    log : bool
        Whether the axis is logarithmic.
    lit : str
        A row whose name is printed in bold; empty: none.
    """

    axis: str
    series: Mapping[str, Mapping[str, float]]
    unit: str = ""
    log: bool = False
    lit: str = ""

    @property
    def names(self) -> list[str]:
        """The rows."""
        return list(dict.fromkeys(name for row in self.series.values() for name in row))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.names)

    @property
    def looks(self) -> dict[str, Code]:
        """Colour and shape of each series."""
        return codes(self.series)

    def height(self, series: str, row: str) -> float:
        """Where a dot stands, from the top: in its row, a little apart from those of other series."""
        place, several = list(self.series).index(series), len(self.series)
        return self.names.index(row) + 0.7 * ((place + 0.5) / several - 0.5)

    def plotly(self, narrow: bool) -> go.Figure:
        """The chart for the page."""
        several = len(self.series) > 1
        traces = []
        edge = {"color": INK, "width": 0.5}
        for name, values in self.series.items():
            look = self.looks[name]
            text = [hover(row, f"{name}: {si(value, self.unit)}") for row, value in values.items()]
            traces.append(
                go.Scatter(
                    x=list(values.values()), y=[self.height(name, row) for row in values], mode="markers", name=name,
                    customdata=text, hovertemplate="%{customdata}<extra></extra>", showlegend=several,
                    marker={"color": look.colour, "symbol": look.symbol, "size": 9, "line": edge},
                )
            )  # fmt: skip
        x = {"title": {"text": self.axis}, "type": "log" if self.log else "linear"}
        x |= {"tickformat": "~g", "dtick": 2 if narrow else 1} if self.log else {"rangemode": "tozero"}
        labels = [f"<b>{name}</b>" if name == self.lit else name for name in self.names]
        y = {"tickvals": list(range(self.rows)), "ticktext": labels, "range": [self.rows - 0.5, -0.5], "ticks": ""}
        rows = -(-len(self.series) // (3 if narrow else 4)) * several
        layout = {"xaxis": x, "yaxis": y, "margin": {"t": 44 + 20 * rows}}
        return _figure(traces, layout, 110 + (46 if several else 30) * self.rows + 24 * rows)

    def draw(self, axes: "Axes") -> None:
        """The chart in a matplotlib axes."""
        for name, values in self.series.items():
            look = self.looks[name]
            style = {"c": look.colour, "marker": look.marker, "s": 36, "edgecolors": INK, "linewidths": 0.4}
            axes.scatter(list(values.values()), [self.height(name, row) for row in values], label=name, **style)
        axes.set_yticks(range(self.rows), self.names)
        axes.set(xlabel=self.axis, xscale="log" if self.log else "linear", ylim=(self.rows - 0.5, -0.5))
        if not self.log:
            axes.set_xlim(left=0)
        if len(self.series) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, fontsize=8)


@dataclass(frozen=True)
class Roof:
    """A machine's roofline, and where layers stand: by kind, their names, intensities (FLOP/byte) and GFLOP/s.

    Without measured speeds the layers stand on the roof, hollow: that is the most they could reach.
    """

    machine: Machine
    layers: Mapping[str, Sequence[tuple[str, float, float]]]
    measured: bool
    rows: int = 9

    @property
    def line(self) -> tuple[list[float], list[float]]:
        """The roof: FLOP/byte and GFLOP/s."""
        found = [x for points in self.layers.values() for _, x, _ in points]
        x = sorted({min([0.06, *found]), self.machine.ridge, max([200.0, *found])})
        return x, [float(self.machine.attainable(at)) / 1e9 for at in x]

    def plotly(self, narrow: bool) -> go.Figure:
        """The chart for the page."""
        x, y = self.line
        traces = [go.Scatter(x=x, y=y, mode="lines", line={"color": INK, "width": 2}, name="roof", hoverinfo="skip")]
        for kind, look in codes(self.layers).items():
            points = self.layers[kind]
            text = [hover(shorten(name, 40), kind, f"{i:.3g} FLOP/byte", f"{g:.3g} GFLOP/s") for name, i, g in points]
            marker = {"color": look.colour, "symbol": look.symbol, "size": 9, "line": {"color": INK, "width": 0.5}}
            if not self.measured:
                marker |= {"symbol": f"{look.symbol}-open", "line": {"color": look.colour, "width": 1.6}}
            traces.append(
                go.Scatter(
                    x=[i for _, i, _ in points], y=[g for *_, g in points], mode="markers", name=kind, marker=marker,
                    customdata=text, hovertemplate="%{customdata}<extra></extra>",
                )
            )  # fmt: skip
        ticks = {"type": "log", "dtick": 1}
        layout = {
            "xaxis": {**ticks, "title": {"text": "arithmetic intensity (FLOP/byte)"}},
            "yaxis": {**ticks, "title": {"text": "GFLOP/s"}},
            "margin": {"t": 130 if narrow else 70},
        }
        return _figure(traces, layout, 520 if narrow else 460)

    def draw(self, axes: "Axes") -> None:
        """The chart in a matplotlib axes."""
        axes.plot(*self.line, color=INK, linewidth=1.6, label="roof")
        for kind, look in codes(self.layers).items():
            points = self.layers[kind]
            face = look.colour if self.measured else "none"
            x, y = [i for _, i, _ in points], [g for *_, g in points]
            edge = INK if self.measured else look.colour
            axes.scatter(x, y, facecolors=face, edgecolors=edge, marker=look.marker, s=28, linewidths=0.6, label=kind)
        axes.axvline(self.machine.ridge, color=GREY, linestyle=":", linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="arithmetic intensity (FLOP/byte)", ylabel="GFLOP/s")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8)


def _broken(text: str, width: int) -> str:
    """A label in lines, so that it leaves room for the bars."""
    return "<br>".join(textwrap.wrap(text, width))
