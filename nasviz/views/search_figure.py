"""Searches as pictures: how quickly methods find good networks, and what one search found."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasviz.views.export import Picture
from nasviz.views.theme import BLUE, GREY, INK, ORANGE, codes, matplotlib_style, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINEAR_BELOW = 0.1
"""Percentage points of regret below which the axis is linear: no logarithm reaches zero."""


def trajectory_figure(table: pd.DataFrame, title: str = "") -> Picture:
    """Regret by queries spent: the median over seeds, with a band from the first to the third quartile.

    Parameters
    ----------
    table : DataFrame
        From `nasviz.search.trajectories`: method, seed, queries, regret (a fraction).
    title : str, optional
        Above the picture.

    Returns
    -------
    Picture
        Both axes are logarithmic, the regret's down to a tenth of a percentage point and linear from there to zero.
    """
    looks = codes(table["method"].unique())
    seeds = table["seed"].nunique()
    with matplotlib_style():
        figure = Picture(figsize=(7.2, 4.2))
        axes: Axes = figure.subplots()
        for position, (method, part) in enumerate(table.groupby("method", sort=False)):
            grouped = (100 * part["regret"]).groupby(part["queries"])
            low, middle, high = (grouped.quantile(q) for q in (0.25, 0.5, 0.75))
            look = looks[method]
            every = np.unique(np.geomspace(1, len(middle), 7).round().astype(int)) - 1
            axes.fill_between(middle.index, low, high, color=look.colour, alpha=0.15, linewidth=0)
            axes.plot(middle.index, middle, color=look.colour, marker=look.marker, markersize=5, label=method,
                      markevery=every.tolist(), zorder=3 + position / 100)  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=LINEAR_BELOW, linscale=0.5)
        axes.set_ylim(bottom=0)
        axes.set_xlim(1, table["queries"].max())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set(xlabel="queries: networks whose accuracy was looked up", ylabel="regret (percentage points)")
        axes.set_title(title or f"Median of {seeds} searches, with quartiles", loc="left", fontsize=11)
        axes.legend(loc="upper right" if len(looks) < 4 else "center left",
                    bbox_to_anchor=None if len(looks) < 4 else (1.0, 0.5))  # fmt: skip
    return figure


def front_figure(table: pd.DataFrame, score: str = "predicted accuracy") -> Picture:
    """All networks that a search scored, by FLOPs and score, with the Pareto front and the network it started from.

    Parameters
    ----------
    table : DataFrame
        `nasviz.search.Result.table`; its first row is the start if it has no parent and number 0.
    score : str
        What the score is, for the axis.

    Returns
    -------
    Picture
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    front = table[table["pareto"]].sort_values("flops")
    start = table.iloc[0]
    with matplotlib_style():
        figure = Picture(figsize=(6.4, 4.2))
        axes: Axes = figure.subplots()
        axes.scatter(table["flops"], table["score"], s=9, color=GREY, alpha=0.35, linewidths=0, label="scored")
        axes.plot(front["flops"], front["score"], color=BLUE, marker="o", markersize=5, drawstyle="steps-post",
                  label="Pareto front")  # fmt: skip
        axes.scatter([start["flops"]], [start["score"]], s=90, marker="*", color=ORANGE, zorder=4, label="start")
        axes.axhline(start["score"], color=ORANGE, linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: si(value))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="FLOPs of one image", ylabel=score)
        axes.set_title(f"{len(table):,} networks, {len(front)} on the front", loc="left", fontsize=11, color=INK)
        axes.legend(loc="lower right")
    return figure
