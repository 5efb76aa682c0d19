"""What pruning costs and saves, as curves over sparsity. Data in, a picture out; no widgets."""

import numpy as np
import pandas as pd

from nasviz.views.export import Picture
from nasviz.views.theme import GREY, codes, matplotlib_style, percent, si

NAMES = {"mask": "weights set to zero", "channels": "channels removed"}
PANELS = (
    ("accuracy", "accuracy_before", "accuracy", "fine-tuned", "before fine-tuning"),
    ("macs", "effective_macs", "MACs of one input", "dense", "without the zeros"),
    ("size_bytes", "compressed_bytes", "file (bytes)", "as stored", "compressed"),
    ("latency_ms", "", "latency (ms)", "median, and quartiles as a band", ""),
)
"""A measure, its second line, the label of the axis, and what the two lines are."""


def pruning_figure(table: pd.DataFrame, title: str = "") -> Picture:
    """Accuracy, MACs, size and latency of pruned networks against the share of weights that is zero or gone.

    Parameters
    ----------
    table : DataFrame
        Of `nasviz.measure.pruning_table`: a row a network, that which was not pruned among them.
    title : str, optional
        What stands above it, such as machine, threads and batch.

    Returns
    -------
    Picture
        A matplotlib Figure.

    Raises
    ------
    ValueError
        If a column is missing, or nothing was pruned.
    """
    needed = ["method", "sparsity", "latency_low_ms", "latency_high_ms"]
    needed += [name for first, second, *_ in PANELS for name in (first, second) if name]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"the table lacks {', '.join(missing)}; it has {', '.join(map(str, table))}.")
    start = table[table["method"] == "none"]
    methods = [method for method in table["method"].unique() if method != "none"]
    if not methods:
        raise ValueError("the table holds no network that was pruned.")
    with matplotlib_style():
        figure = Picture(figsize=(9, 6.4), layout="constrained")
        axes = figure.subplots(2, 2)
        for method, look in codes(methods).items():
            curve = pd.concat([start, table[table["method"] == method]]).sort_values("sparsity")
            for ax, (first, second, *_) in zip(axes.flat, PANELS, strict=True):
                style = {"color": look.colour, "marker": look.marker, "markersize": 5}
                ax.plot(curve["sparsity"], curve[first], label=NAMES.get(method, method), **style)
                if second:
                    ax.plot(curve["sparsity"], curve[second], linestyle=":", **style | {"markerfacecolor": "white"})
                else:
                    ends = curve["latency_low_ms"], curve["latency_high_ms"]
                    ax.fill_between(curve["sparsity"], *ends, color=look.colour, alpha=0.15, linewidth=0)
        for ax, (first, second, label, line, dotted) in zip(axes.flat, PANELS, strict=True):
            ax.set(xlabel="sparsity", ylabel=label, xlim=(-0.02, 1))
            ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            top = ax.get_ylim()[1]
            ax.set_ylim(0, max(top, 1.02) if first == "accuracy" else top)
            write = percent if first == "accuracy" else si
            ax.yaxis.set_major_formatter(lambda value, _, write=write: write(value))
            lines = f"line: {line}; dotted: {dotted}" if second else f"line: {line}"
            ax.set_title(lines, loc="left", fontsize="small", color=GREY)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=len(methods))
        if title:
            figure.suptitle(title, x=0.99, ha="right", fontsize="medium")
    return figure


def saved(table: pd.DataFrame, within: float = 0.01) -> pd.DataFrame:
    """The furthest step of each method that loses at most so much accuracy, and what part of all else it leaves.

    Parameters
    ----------
    table : DataFrame
        As in `pruning_figure`.
    within : float
        Accuracy that may be lost, a fraction.

    Returns
    -------
    DataFrame
        A row a method: ``method``, ``sparsity``, ``accuracy``, and of ``macs``, ``effective_macs``, ``size_bytes`` and
        ``latency_ms`` the part that is left.
    """
    (whole,) = table[table["method"] == "none"].to_dict("records")
    rows = []
    for method, part in table[table["method"] != "none"].groupby("method", sort=False):
        kept = part[part["accuracy"] >= whole["accuracy"] - within]
        if len(kept):
            best = kept.loc[kept["sparsity"].idxmax()]
            left = {name: best[name] / whole[name] for name in ("macs", "effective_macs", "size_bytes", "latency_ms")}
            rows.append({"method": method, "sparsity": best["sparsity"], "accuracy": best["accuracy"], **left})
    columns = ["method", "sparsity", "accuracy", "macs", "effective_macs", "size_bytes", "latency_ms"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:], np.float64))
