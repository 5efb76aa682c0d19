"""The Pareto front of two metrics under constraints, for plotly and as a picture. Data in, figures out; no widgets."""

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.export import Picture
from nasviz.views.pareto_choice import Choice
from nasviz.views.text import verbatim
from nasviz.views.theme import BLUE, GREY, INK, NOTE, OKABE_ITO, ORANGE, OUT, VEIL, matplotlib_style, plotly_template

FRONT = OKABE_ITO[2]


def pareto_figure(choice: Choice, texts: Sequence[str], narrow: bool) -> go.Figure:
    """The cycles as a scatter plot with the front as a line.

    Parameters
    ----------
    choice : Choice
    texts : sequence of str, of length C
        What stands beside the mouse, as HTML.
    narrow : bool
        Whether there is the width of a phone.
    """
    places, drawn = choice.places, choice.drawn
    text = pd.Series(texts, places.index, dtype=object)
    shape = "hv" if choice.x.lower else "vh"  # the corner lies where both are as good as the better of two neighbours
    traces: list = [
        go.Scatter(
            x=choice.steps["x"],
            y=choice.steps["y"],
            mode="lines",
            line={"color": FRONT, "width": 2, "shape": shape},
            hoverinfo="skip",
            showlegend=False,
        )
    ]
    for label, members, colour, (symbol, _), size in _groups(choice):
        shown = members & drawn
        ring = np.where(shown.index[shown] == choice.selected, 3, 0.5)
        marker = {"color": colour, "symbol": symbol, "size": size, "line": {"color": INK, "width": ring}}
        traces.append(
            go.Scatter(
                x=places["x"][shown],
                y=places["y"][shown],
                ids=[str(cycle) for cycle in places.index[shown]],
                customdata=text[shown],
                mode="markers",
                marker=marker,
                name=f"{label} ({int(shown.sum())})",
                hovertemplate="%{customdata}<extra></extra>",
                cliponaxis=False,
            )
        )
    layout: dict = {"template": plotly_template(), "height": 480, "hovermode": "closest", "dragmode": "zoom"}
    layout |= {"modebar": {"remove": ["lasso2d", "select2d"]}, "uirevision": f"{choice.x.label}|{choice.y.label}"}
    layout |= {"legend": {"yref": "container", "y": 1, "yanchor": "top"}, "margin": {"t": 84 if narrow else 44}}
    for name, axis in (("x", choice.x), ("y", choice.y)):
        ends = axis_range(places[name][drawn])
        layout[f"{name}axis"] = {
            "title": {"text": html.escape(axis.label)},
            "range": ends,
            "nticks": 6 if narrow else 10,
        }
        layout[f"{name}axis"]["tickformat"] = axis.quantity.tickformat(ends[1])
    layout["annotations"], layout["shapes"] = _notes(choice), _limits(choice)
    return go.Figure(traces, layout)


def axis_range(places: pd.Series) -> list[float]:
    """The ends of an axis, with a margin in which a label has room."""
    if places.empty:
        return [0.0, 1.0]
    low, high = float(places.min()), float(places.max())
    margin = 0.08 * (high - low) or 0.08 * abs(high) or 1.0
    return [low - margin, high + margin]


def labels(choice: Choice) -> list[tuple[int, str, bool]]:
    """The cycles with a label, what it says, and whether it stands above its point; two labels never meet.

    The best cycle is named above its point, the selected one below its own; where both are one, there is one label.
    """
    result = []
    if choice.best >= 0 and choice.drawn[choice.best]:
        result.append((choice.best, f"best: cycle {choice.best}", True))
    if choice.selected not in (-1, choice.best) and choice.drawn[choice.selected]:
        result.append((choice.selected, f"cycle {choice.selected}", False))
    if len(result) == 2:  # each label stands on the far side from the other
        (best, text, _), (selected, other, _) = result
        above = bool(choice.places["y"][best] >= choice.places["y"][selected])
        result = [(best, text, above), (selected, other, not above)]
    return result


def _groups(choice: Choice) -> list[tuple[str, pd.Series, str, tuple[str, str], int]]:
    """Label, members, colour, shape (of plotly, of matplotlib) and size of the points, later ones on top."""
    best = pd.Series(choice.kept.index == choice.best, choice.kept.index)
    return [
        ("breaks a constraint", ~choice.kept, OUT, ("x", "X"), 8),
        (
            "keeps all constraints" if choice.constraints else "cycles",
            choice.kept & ~choice.front,
            BLUE,
            ("circle", "o"),
            9,
        ),
        ("on the front", choice.front & ~best, FRONT, ("diamond", "D"), 11),
        ("best", best, ORANGE, ("star", "*"), 16),
    ]


def _notes(choice: Choice) -> list[dict]:
    places, notes = choice.places, []
    low, high = axis_range(places["x"][choice.drawn])
    for cycle, text, above in labels(choice):
        place = places.loc[cycle]
        side = "left" if place["x"] < (low + high) / 2 else "right"  # towards the middle, where there is room
        note = {"text": f"<b>{text}</b>", "x": place["x"], "y": place["y"], "showarrow": False, "xanchor": side}
        note |= {"yanchor": "bottom" if above else "top", "yshift": 9 if above else -9}
        notes.append(note | {"bgcolor": NOTE})
    return notes


def _limits(choice: Choice) -> list[dict]:
    """A dashed line at each constraint, and a veil over what it forbids."""
    shapes = []
    for name, side, at in choice.limits:
        other = "y" if name == "x" else "x"
        low, high = axis_range(choice.places[name][choice.drawn])
        far = high + (high - low) if side == "at most" else low - (high - low)
        across = {
            f"{other}ref": f"{other} domain",
            f"{other}0": 0,
            f"{other}1": 1,
            f"{name}ref": name,
            "layer": "below",
        }
        veil = {"type": "rect", "fillcolor": VEIL, "line": {"width": 0}, f"{name}0": at}
        line = {"type": "line", "line": {"color": GREY, "dash": "dash", "width": 1}, f"{name}0": at, f"{name}1": at}
        shapes += [{**veil, **across, f"{name}1": far}, {**line, **across}]
    return shapes


def draw_pareto(choice: Choice, title: str) -> Picture:
    """The scatter plot as a picture, with `title` above it."""
    places, drawn = choice.places, choice.drawn
    with matplotlib_style():
        figure = Picture(figsize=(8, 5), layout="constrained")
        ax = figure.add_subplot()
        ax.plot(
            choice.steps["x"],
            choice.steps["y"],
            color=FRONT,
            linewidth=1.5,
            drawstyle="steps-post" if choice.x.lower else "steps-pre",
            zorder=1.5,
        )
        for label, members, colour, (_, marker), size in _groups(choice):
            shown = members & drawn
            ring = np.where(shown.index[shown] == choice.selected, 2.0, 0.4)
            ax.scatter(places["x"][shown], places["y"][shown], s=0.7 * size**2, c=colour, marker=marker,
                       edgecolors=INK, linewidths=ring, label=f"{label} ({int(shown.sum())})", zorder=2)  # fmt: skip
        for name, axis in (("x", choice.x), ("y", choice.y)):
            ends = axis_range(places[name][drawn])
            ax.set(**{f"{name}lim": ends, f"{name}label": verbatim(axis.label)})
            getattr(ax, f"{name}axis").set_major_formatter(lambda value, _, write=axis.quantity.tick: write(value))
        for name, side, at in choice.limits:
            line, span, ends = (
                (ax.axvline, ax.axvspan, ax.get_xlim()) if name == "x" else (ax.axhline, ax.axhspan, ax.get_ylim())
            )
            line(at, color=GREY, linestyle="--", linewidth=1)
            far = max(ends[1], at) if side == "at most" else min(ends[0], at)
            span(*sorted((at, far)), color="#000000", alpha=0.05, linewidth=0, zorder=0.5)
            ax.set(**{f"{name}lim": ends})
        middle = sum(ax.get_xlim()) / 2
        for cycle, text, above in labels(choice):
            x, y = places.loc[cycle]
            place = {"ha": "left" if x < middle else "right", "va": "bottom" if above else "top"}
            paper = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1}
            at = {"xytext": (0, 9 if above else -9), "textcoords": "offset points"}
            ax.annotate(text, (x, y), **at, **place, weight="bold", bbox=paper)
        ax.set_title(verbatim(title), loc="left", fontsize="medium")
        figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure
