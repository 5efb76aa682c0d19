"""What an embedding view takes, how it is coloured, in plotly and in its picture. Data in, figures out; no widgets."""

import html
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba

from nasviz.predict.checks import finite_array, fractions
from nasviz.views.export import Picture
from nasviz.views.table import arch_lines
from nasviz.views.theme import GREY, SCALE, Code, codes, matplotlib_style, percent, si

SOLID, WEAK, FAINT = 0.85, 0.3, 0.08  # opacity of a point, of one between clusters, of one that is not selected


@dataclass(frozen=True)
class Coding:
    """The look of N points. Either `groups` gives each point a class, or `values` a number.

    Attributes
    ----------
    label : str
        What the colour means, with its unit.
    groups : Series of length N
        The class of each point, in whose terms the table of groups is written.
    look : dict
        The colour and shape of each class; empty where `values` give the colour.
    values : array (N,) or None
        The number behind the colour; NaN where it is unknown.
    opacity : array (N,)
        In [0, 1].
    """

    label: str
    groups: pd.Series
    look: dict[Hashable, Code] = field(default_factory=dict)
    values: np.ndarray | None = None
    opacity: np.ndarray | None = None


def checked_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table of the networks with what the view needs in front; one sentence if it lacks something."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"table must be a DataFrame with family, arch and accuracy, got {type(table).__name__}.")
    missing = {"family", "arch", "accuracy"} - set(table.columns)
    if missing:
        raise ValueError(f"table lacks {', '.join(sorted(missing))}; it has {', '.join(map(str, table.columns))}.")
    fractions("the known values of table's accuracy", table["accuracy"].dropna())
    names = [name for name in ("family", "arch", "accuracy", "macs") if name in table]
    rest = [name for name in table if name not in {*names, "x", "y", "cluster", "membership", "selected"}]
    return table[[*names, *rest]].astype({"family": str, "arch": str})


def checked_memberships(memberships, n: int) -> pd.DataFrame:
    """Memberships (N, C) of `n` networks as a DataFrame that names the clusters; one sentence if they are none."""
    u = finite_array("memberships", memberships, ndim=2)
    if len(u) != n or u.shape[1] < 1 or u.min() < 0 or u.max() > 1 + 1e-6:
        raise ValueError(
            f"memberships must have {n} rows, one a network, and columns of values in [0, 1]; got shape {u.shape} with "
            f"values from {u.min(initial=1):g} to {u.max(initial=0):g}."
        )
    named = isinstance(memberships, pd.DataFrame)
    names = map(str, memberships) if named else (f"cluster {j + 1}" for j in range(u.shape[1]))
    return pd.DataFrame(u, columns=list(names))


def code_points(table: pd.DataFrame, colour: str, memberships: pd.DataFrame | None) -> Coding:
    """Colour the N rows of `table` by "family", "accuracy", "macs" or "cluster" (which needs memberships (N, C))."""
    solid = np.full(len(table), SOLID)
    if colour == "accuracy":
        return Coding("accuracy (%)", table["family"], values=100 * table["accuracy"].to_numpy(float), opacity=solid)
    if colour == "macs":
        return Coding("MACs", table["family"], values=table["macs"].to_numpy(float), opacity=solid)
    if colour == "cluster":
        u = memberships.to_numpy()
        groups = dominant(memberships)
        even = 1 / u.shape[1]  # the least that a dominant membership can be
        strength = (u.max(axis=1) - even) / max(1 - even, 1e-12)
        opacity = np.clip(WEAK + (1 - WEAK) * strength, WEAK, 1)
        return Coding("dominant cluster; opacity: membership", groups, codes(memberships.columns), opacity=opacity)
    # the order of the names, not that of the rows: a family keeps its colour when rows are added or sorted
    return Coding("family", table["family"], codes(sorted(table["family"].unique())), opacity=solid)


def dominant(memberships: pd.DataFrame) -> pd.Series:
    """The cluster to which each point belongs most: the column's name, by row."""
    return pd.Series(memberships.columns.to_numpy()[memberships.to_numpy().argmax(axis=1)], index=memberships.index)


def group_table(table: pd.DataFrame, coding: Coding, memberships: pd.DataFrame | None) -> pd.DataFrame:
    """One row a group: its name, number of networks, mean accuracy (fraction) and, for clusters, mean membership."""
    by_cluster = memberships is not None and set(coding.look) == set(memberships.columns)
    frame = pd.DataFrame({"group": coding.groups.to_numpy(), "accuracy": table["accuracy"].to_numpy(float)})
    frame["membership"] = memberships.to_numpy().max(axis=1) if by_cluster else np.nan
    grouped = frame.groupby("group", sort=False)
    result = pd.DataFrame(
        {
            "networks": grouped.size(),
            "mean accuracy": grouped["accuracy"].mean(),
            "mean membership": grouped["membership"].mean(),
        }
    )
    # a cluster that dominates nowhere has its row, too
    result = result.reindex(list(coding.look) or sorted(result.index)).fillna({"networks": 0}).astype({"networks": int})
    result = result.rename_axis("cluster" if by_cluster else "family").reset_index()
    return result if by_cluster else result.drop(columns="mean membership")


def plotly_marker(coding: Coding) -> dict:
    """The look of the points as plotly's ``marker``."""
    if coding.values is None:
        looks = [coding.look[name] for name in coding.groups]
        code = {"color": [look.colour for look in looks], "symbol": [look.symbol for look in looks], "showscale": False}
    else:
        known = np.isfinite(coding.values)
        bar = {
            "title": {"text": coding.label, "side": "right", "font": {"size": 13}},
            "thickness": 12,
            "tickformat": "~s",
        }
        code = {
            "color": coding.values,
            "symbol": np.where(known, "circle", "circle-open").tolist(),
            "showscale": bool(known.any()),
            "colorscale": SCALE,
            "colorbar": bar,
        }
    return {"size": 8, "line": {"width": 0.5, "color": GREY}, "opacity": coding.opacity, **code}


def hover_text(row: dict) -> str:
    """What stands beside the mouse over one network, given as a row of the view's frame."""
    text = [f"<b>{html.escape(row['family'])}</b>", arch_lines(row["arch"]), f"accuracy {percent(row['accuracy'])}"]
    if "macs" in row:
        text.append(si(row["macs"], "MACs"))
    if "cluster" in row:
        text.append(f"{html.escape(row['cluster'])}, membership {row['membership']:.2f}")
    return "<br>".join(text)


def draw(
    xy: np.ndarray, axes: tuple[str, str], coding: Coding, selection: Sequence[int] = (), title: str = ""
) -> Picture:
    """The scatter as a picture.

    Parameters
    ----------
    xy : array (N, 2)
        The points.
    axes : pair of str
        The labels of the two axes.
    coding : Coding
        The look of the points.
    selection : sequence of int
        Row numbers; all other points are faint. Empty: nothing is selected, and all are shown.
    title : str
        The line above the picture.
    """
    opacity = np.array(coding.opacity, dtype=float)
    if len(selection):
        others = np.setdiff1d(np.arange(len(xy)), selection)
        opacity[others] = np.minimum(opacity[others], FAINT)
    with matplotlib_style():
        figure = Picture(figsize=(8, 5), layout="constrained")
        ax = figure.add_subplot()
        size = float(np.clip(12000 / len(xy), 6, 30))  # points², smaller where there are many
        if coding.values is None:
            _draw_classes(figure, ax, xy, coding, opacity, size)
        else:
            _draw_values(figure, ax, xy, coding, opacity, size)
        ax.set(xlabel=axes[0], ylabel=axes[1])
        ax.set_title(title, loc="left", fontsize="medium")
    return figure


def _draw_classes(figure, ax, xy, coding, opacity, size) -> None:
    for name, code in coding.look.items():
        rows = (coding.groups == name).to_numpy()
        if rows.any():
            ax.scatter(*xy[rows].T, s=size, c=code.colour, marker=code.marker, alpha=opacity[rows], linewidths=0)
        ax.scatter([], [], s=30, c=code.colour, marker=code.marker, label=f"{name} ({rows.sum():,})")
    figure.legend(loc="outside right upper", title=coding.label.replace("; ", ";\n"), alignment="left")


def _draw_values(figure, ax, xy, coding, opacity, size) -> None:
    known = np.isfinite(coding.values)
    if not known.all():
        rings = [to_rgba(GREY, strength) for strength in opacity[~known]]
        ax.scatter(*xy[~known].T, s=size, facecolors="none", edgecolors=rings, label="unknown")
        figure.legend(loc="outside upper right")
    if known.any():
        shown = ax.scatter(
            *xy[known].T, s=size, c=coding.values[known], cmap=SCALE.lower(), alpha=opacity[known], linewidths=0
        )
        bar = figure.colorbar(shown, ax=ax, label=coding.label)
        bar.solids.set_alpha(1)
        if coding.label == "MACs":
            bar.ax.yaxis.set_major_formatter(lambda value, _: si(value))
