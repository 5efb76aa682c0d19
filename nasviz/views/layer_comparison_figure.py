"""Grouped bars of layers over cycles, for plotly and as a picture. Data in, figures out; no widgets."""

import html
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from nasviz.views.export import Picture
from nasviz.views.layer_data import Comparison
from nasviz.views.text import hover, shorten, tick_labels, verbatim
from nasviz.views.theme import GREY, INK, OKABE_ITO, matplotlib_style, plotly_template

COLOURS = (*OKABE_ITO[:5], *OKABE_ITO[6:], GREY)  # of the cycles; the dark orange marks what is best or wrong
HATCH = {"fgcolor": "white", "size": 7, "solidity": 0.3}
DRAWN = len(COLOURS)  # cycles; a chart with more could not be read


def drawn_cycles(cycles: Sequence[int], selected: int) -> list[int]:
    """The cycles that the chart has room for: the first ones, and the selected one."""
    if len(cycles) <= DRAWN:
        return list(cycles)
    first = list(cycles[:DRAWN])
    return first if selected in first or selected not in cycles else [*first[:-1], selected]


def layer_figure(comparison: Comparison, names: Mapping[int, str], selected: int, narrow: bool) -> go.Figure:
    """One group of bars a layer, one colour a cycle; bottlenecks are hatched, missing layers are gaps.

    Parameters
    ----------
    comparison : Comparison
    names : mapping of str
        What the cycles are called beside the mouse.
    selected : int
        The selected cycle, whose bars are outlined; -1: none.
    narrow : bool
        Whether there is the width of a phone.
    """
    quantity, layers = comparison.quantity, comparison.layers
    x = tick_labels(list(layers["layer"]), 16 if narrow else 22)
    traces = []
    for k, cycle in enumerate(comparison.cycles):
        if cycle not in drawn_cycles(comparison.cycles, selected):
            continue
        values, marks = comparison.values[:, k], comparison.bottleneck[:, k]
        text = [
            hover(
                layer, names[cycle], op, f"{quantity.title} {quantity.exact(value)}", *(["bottleneck"] if mark else [])
            )
            for layer, op, value, mark in zip(layers["layer"], layers["op"], values, marks, strict=True)
        ]
        colour = COLOURS[len(traces) % DRAWN]
        traces.append(
            go.Bar(
                x=x,
                y=values * quantity.factor,
                ids=[f"{cycle} {i}" for i in range(len(x))],  # plotly takes equal ids for one bar
                name=("▸ " if cycle == selected else "") + f"cycle {cycle}",
                marker={
                    "color": colour,
                    "line": {"color": INK, "width": 1.5 if cycle == selected else 0},
                    "pattern": {"shape": np.where(marks, "/", "").tolist(), "fillmode": "overlay", **HATCH},
                },
                customdata=text,
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    layout: dict = {"template": plotly_template(), "height": 460, "barmode": "group", "hovermode": "closest"}
    layout |= {"showlegend": True, "dragmode": "zoom", "uirevision": "layers", "bargap": 0.25}
    layout |= {"modebar": {"remove": ["lasso2d", "select2d"]}, "margin": {"t": 84 if narrow else 56}}
    layout["legend"] = {"yref": "container", "y": 1, "yanchor": "top"}
    layout["xaxis"] = {"type": "category", "title": {"text": "layer"}, "tickfont": {"size": 11}}
    layout["xaxis"] |= {"tickangle": 0 if len(x) <= (2 if narrow else 4) else -90, "showgrid": False}
    layout["yaxis"] = {"title": {"text": html.escape(shorten(quantity.label, 40))}, "fixedrange": True}
    top = np.nanmax(np.abs(comparison.values), initial=0) * quantity.factor
    layout["yaxis"] |= {"tickformat": quantity.tickformat(top), "rangemode": "tozero", "nticks": 8}
    return go.Figure(traces, layout)


def draw_layers(comparison: Comparison, selected: int, title: str) -> Picture:
    """The groups of bars as a picture, with `title` above it."""
    quantity, labels = comparison.quantity, tick_labels(list(comparison.layers["layer"]), 26)
    shown = drawn_cycles(comparison.cycles, selected)
    width = 0.8 / max(len(shown), 1)
    with matplotlib_style():
        figure = Picture(figsize=(float(np.clip(0.26 * len(labels), 8, 24)), 5), layout="constrained")
        ax = figure.add_subplot()
        places = np.arange(len(labels))
        for j, cycle in enumerate(shown):
            k = comparison.cycles.index(cycle)
            look = {"edgecolor": INK if cycle == selected else "none", "linewidth": 1.2 if cycle == selected else 0}
            bars = ax.bar(places + (j - (len(shown) - 1) / 2) * width, comparison.values[:, k] * quantity.factor,
                          width, color=COLOURS[j], label=f"cycle {cycle}", **look)  # fmt: skip
            for bar, mark in zip(bars, comparison.bottleneck[:, k], strict=True):
                if mark:
                    bar.set(hatch="//", edgecolor=INK if cycle == selected else "white")
        step = max(1, -(-len(labels) // 90))
        ax.set_xticks(places[::step], [verbatim(label) for label in labels[::step]], rotation=90, fontsize="small")
        ax.set(xlabel="layer", ylabel=verbatim(quantity.label))
        ax.set_title(verbatim(title), loc="left", fontsize="medium")
        ax.grid(axis="x", visible=False)
        ax.yaxis.set_major_formatter(lambda value, _: quantity.tick(value))
        if shown:
            figure.legend(loc="outside lower center", ncols=min(len(shown), 8), fontsize="small")
    return figure
