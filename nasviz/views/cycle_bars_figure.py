"""Bar graphs of metrics over cycles, for plotly and as a picture. Data in, figures out; no widgets."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.export import Picture
from nasviz.views.quantity import Quantity
from nasviz.views.run_data import best
from nasviz.views.text import hover, shorten, verbatim
from nasviz.views.theme import BAND, BLUE, GREY, INK, ORANGE, matplotlib_style, plotly_template

GRAPH, GAP, TOP, BOTTOM = 170, 76, 48, 56  # pixels
NARROW, WIDE, LINE = 250, 600, 15  # pixels: the least widths of a graph, and the height of a line of text
VALUES_UP_TO = 12  # bars, with their values written above them in the picture


@dataclass(frozen=True)
class Graph:
    """One bar graph: a metric over C cycles.

    Attributes
    ----------
    quantity : Quantity
    values : Series of length C
        By cycle; NaN where there is none.
    lower : bool
        Whether less is better.
    """

    quantity: Quantity
    values: pd.Series
    lower: bool

    @property
    def best(self) -> list[int]:
        """The best cycles, more than one where they are equal."""
        return [int(cycle) for cycle in best(self.values, self.lower)]

    @property
    def title(self) -> str:
        """Which cycle is the best, and by which rule."""
        rule = "lowest" if self.lower else "highest"
        if not self.best:
            return f"no value of {shorten(self.quantity.title, 30)} yet"
        more = f" and {len(self.best) - 1} more" if len(self.best) > 1 else ""
        gaps = int(self.values.isna().sum())
        value = self.quantity.short(self.values[self.best[0]])
        return f"★ {rule}: cycle {self.best[0]}{more}, {value}" + (f"; {gaps} without a value" if gaps else "")

    @property
    def drawn(self) -> np.ndarray:
        """The values as drawn, (C,)."""
        return self.values.to_numpy(float) * self.quantity.factor

    @property
    def range(self) -> tuple[float, float]:
        """The ends of the axis: bars start at zero, and numbers have a place above them."""
        low, high = (f(np.append(self.drawn[np.isfinite(self.drawn)], 0.0)) for f in (np.min, np.max))
        room = 0.24 * ((high - low) or 1)
        return (low - room if low < 0 else 0.0), (high + room if high > 0 or low == 0 else 0.0)


def bar_figure(graphs: Sequence[Graph], names: Sequence[str], selected: int, narrow: bool) -> go.Figure:
    """The graphs one below the other, with one axis of cycles for all.

    Parameters
    ----------
    graphs : sequence of Graph
        All over the same cycles.
    names : sequence of str, of length C
        What the cycles are called beside the mouse.
    selected : int
        The selected cycle; -1: none.
    narrow : bool
        Whether there is the width of a phone.
    """
    places = GRAPH * len(graphs) + GAP * (len(graphs) - 1)
    layout: dict = {"template": plotly_template(), "height": TOP + BOTTOM + places, "annotations": [], "shapes": []}
    layout |= {"margin": {"t": TOP, "b": BOTTOM}, "showlegend": False, "hovermode": "x", "dragmode": "zoom"}
    layout |= {"bargap": 0.25, "modebar": {"remove": ["lasso2d", "select2d", "autoScale2d"]}}
    layout |= {"uniformtext": {"minsize": 10, "mode": "hide"}, "uirevision": "cycles"}
    traces, pixels = [], NARROW if narrow else WIDE
    for i, graph in enumerate(graphs):
        number, top = str(i + 1) if i else "", 1 - i * (GRAPH + GAP) / places
        layout[f"xaxis{number}"] = {
            "anchor": f"y{number}",
            "type": "category",
            "tickangle": 0,
            "nticks": max(2, pixels // (8 * len(str(graph.values.index.max())) + 12)),
            "title": {"text": "cycle" if i == len(graphs) - 1 else ""},
            **({"matches": "x"} if i else {}),
        }
        layout[f"yaxis{number}"] = {
            "anchor": f"x{number}",
            "domain": [max(top - GRAPH / places, 0), top],
            "title": {"text": html.escape(shorten(graph.quantity.label, 26))},
            "tickformat": graph.quantity.tickformat(graph.range[1]),
            "range": list(graph.range),
            "fixedrange": True,
            "nticks": 5,
        }
        traces += _bars(graph, names, selected, {"xaxis": f"x{number}", "yaxis": f"y{number}"})
        layout["annotations"] += _notes(graph, number, pixels)
        if selected in graph.values.index:
            at = graph.values.index.get_loc(selected)
            look = {"type": "rect", "fillcolor": BAND, "line": {"width": 0}, "layer": "below"}
            where = {"x0": at - 0.5, "x1": at + 0.5, "y0": 0, "y1": 1, "xref": f"x{number}"}
            layout["shapes"].append({**look, **where, "yref": f"y{number} domain"})
    return go.Figure(traces, layout)


def _bars(graph: Graph, names: Sequence[str], selected: int, on: dict) -> list:
    cycles, y = graph.values.index, graph.drawn
    x, ids = [str(cycle) for cycle in cycles], [str(cycle) for cycle in cycles]
    label = graph.quantity.title
    text = [hover(name, f"{label} {graph.quantity.exact(v)}") for name, v in zip(names, graph.values, strict=True)]
    bars = go.Bar(
        x=x,
        y=y,
        ids=ids,
        marker={
            "color": np.where(np.isin(cycles, graph.best), ORANGE, BLUE),
            "line": {"color": INK, "width": np.where(cycles == selected, 2, 0)},
        },
        text=["" if np.isnan(value) else graph.quantity.short(value) for value in graph.values],
        textposition="outside",
        textangle=0,
        constraintext="both",
        cliponaxis=False,
        customdata=text,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    gaps = np.flatnonzero(np.isnan(y))  # a point on the axis, so that the mouse finds the gap, too
    marks = go.Scatter(
        x=[x[i] for i in gaps],
        y=np.zeros(len(gaps)),
        ids=[ids[i] for i in gaps],
        customdata=[text[i] for i in gaps],
        mode="markers",
        marker={"symbol": "x-thin", "size": 6, "line": {"color": GREY, "width": 1}},
        cliponaxis=False,
        hovertemplate="%{customdata}<extra></extra>",
        **on,
    )
    return [bars, *([marks] if len(gaps) else [])]


def _notes(graph: Graph, number: str, pixels: int) -> list[dict]:
    """What is written into a graph: its title, a star at the best, "no value" in the gaps."""
    on = {"xref": f"x{number}", "yref": f"y{number}", "showarrow": False}
    text = ("<br>" if pixels == NARROW else "; ").join(map(html.escape, graph.title.split("; ")))
    title = {"text": text, "xref": f"x{number} domain", "yref": f"y{number} domain", "x": 0, "y": 1}
    notes = [title | {"xanchor": "left", "yanchor": "bottom", "align": "left", "showarrow": False}]
    at = {int(cycle): i for i, cycle in enumerate(graph.values.index)}
    for cycle in graph.best[:1]:  # equal ones have its colour; more stars would cover each other
        star = {"text": "★", "font": {"color": ORANGE, "size": 15}, "yanchor": "bottom", "yshift": 13}
        notes.append({**on, **star, "x": at[cycle], "y": max(graph.drawn[at[cycle]], 0)})
    for i in label_places(np.isnan(graph.drawn), pixels):
        gap = {"text": "no value", "textangle": -90, "font": {"color": GREY, "size": 11}, "yanchor": "bottom"}
        notes.append({**on, **gap, "x": int(i), "y": 0, "yshift": 8})
    return notes


def label_places(missing: np.ndarray, pixels: int) -> list[int]:
    """Where "no value" is written upwards, so that no label covers another one or a bar.

    Parameters
    ----------
    missing : array (C,) of bool
        Which bars are missing.
    pixels : int
        The least width of the graph.

    Returns
    -------
    list of int
        In gaps wide enough for a line: each bar, or the middle of the gap. The graph's title counts them all.
    """
    bar = pixels / max(len(missing), 1)
    at = np.flatnonzero(missing)
    gaps = [gap for gap in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1) if len(gap) * bar >= LINE]
    return [int(i) for gap in gaps for i in (gap if bar >= LINE else gap[len(gap) // 2 : len(gap) // 2 + 1])]


def draw_bars(graphs: Sequence[Graph], selected: int) -> Picture:
    """The graphs as a picture."""
    with matplotlib_style():
        figure = Picture(figsize=(8, 0.5 + 2.2 * len(graphs)), layout="constrained")
        panels = figure.subplots(len(graphs), 1, sharex=True, squeeze=False)[:, 0]
        for ax, graph in zip(panels, graphs, strict=True):
            cycles, y = list(graph.values.index), graph.drawn
            places = np.arange(len(cycles))
            bars = ax.bar(places, y, color=np.where(np.isin(cycles, graph.best), ORANGE, BLUE), width=0.75)
            if len(cycles) <= VALUES_UP_TO:
                labels = ["" if np.isnan(v) else graph.quantity.short(v) for v in graph.values]
                ax.bar_label(bars, labels, padding=2, fontsize="x-small")
            for cycle in graph.best[:1]:
                at = cycles.index(cycle)
                ax.annotate("★", (at, max(y[at], 0)), (0, 10), textcoords="offset points", ha="center", color=ORANGE)
            for i in label_places(np.isnan(y), WIDE):
                ax.annotate("no value", (i, 0), (0, 4), textcoords="offset points", rotation=90, ha="center",
                            va="bottom", fontsize="x-small", color=GREY)  # fmt: skip
            if selected in cycles:
                at = cycles.index(selected)
                ax.axvspan(at - 0.5, at + 0.5, color="#000000", alpha=0.09, linewidth=0, zorder=0.5)
                bars[at].set(edgecolor=INK, linewidth=1.5)
            ax.set_ylabel(verbatim(shorten(graph.quantity.label, 26)))
            ax.set_title(verbatim(graph.title.removeprefix("★ ")), loc="left", fontsize="medium")
            ax.set_ylim(*graph.range)
            ax.grid(axis="x", visible=False)
            ax.yaxis.set_major_formatter(lambda value, _, write=graph.quantity.tick: write(value))
        step = max(1, -(-len(cycles) // 20))
        panels[-1].set_xticks(places[::step], [str(cycle) for cycle in cycles[::step]])
        panels[-1].set_xlabel("cycle")
    return figure
