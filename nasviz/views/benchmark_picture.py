"""A benchmark at a glance: how its families' accuracies and costs are spread, and how good the labels are."""

from typing import TYPE_CHECKING

import pandas as pd

from nasviz.benchmarks.benchmark import Benchmark
from nasviz.families import get
from nasviz.graph.cost import total_macs
from nasviz.views.export import Picture
from nasviz.views.theme import BLUE, GREY, ORANGE, matplotlib_style, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def benchmark_figure(bench: Benchmark) -> Picture:
    """Accuracy, ceiling and MACs of every family of a benchmark, after Figure 2 of GENNAPE (AAAI-23).

    Parameters
    ----------
    bench : Benchmark
        The benchmark. Costs come from its column `macs` (MACs of one image); without it, from its graphs. The ceiling
        is drawn where the card knows it: no predictor can be expected to correlate better with these labels.

    Returns
    -------
    Picture
        One row a family, in the order of the table; from left to right its accuracies in percent, the ceiling of its
        labels, and its MACs on a logarithmic axis, with lines at the quartiles.
    """
    import seaborn as sns

    table = bench.table[["family", "accuracy"]].assign(percent=100 * bench.table.accuracy, macs=_macs(bench))
    ceilings = _ceilings(bench)
    with matplotlib_style():
        figure = Picture(figsize=(4.2 + 3.2 * (1 + bool(len(ceilings))), 1.3 + 0.42 * len(bench.families)))
        widths = [3, 2, 3] if len(ceilings) else [1, 1]
        left, *middle, right = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
        style = {
            "y": "family",
            "order": bench.families,
            "density_norm": "width",
            "color": BLUE,
            "fill": False,
            "cut": 0,
            "inner": "quart",
        }
        sns.violinplot(table, x="percent", ax=left, **style)
        left.set(xlabel="accuracy (%)", ylabel="")
        left.set_yticks(range(len(bench.families)), _titles(bench))
        if middle:
            _draw_ceilings(middle[0], ceilings)
        sns.violinplot(table, x="macs", ax=right, log_scale=True, **style)
        right.set(xlabel="MACs of one image", ylabel="")
        right.xaxis.set_major_formatter(lambda value, _: si(value))
        for axes in (left, *middle, right):
            axes.grid(axis="y", visible=False)
    return figure


def _macs(bench: Benchmark) -> pd.Series | list[int]:
    return bench.table["macs"] if "macs" in bench.table else [total_macs(graph) for graph in bench.graphs()]


def _titles(bench: Benchmark) -> list[str]:
    counts = bench.table.family.value_counts()
    return [f"{get(name).facts.title.split(' / ')[0]} ({counts[name]:,})" for name in bench.families]


def _ceilings(bench: Benchmark) -> pd.DataFrame:
    """Columns pearson and spearman, a row a family; empty where the card says nothing."""
    known = bench.card.get("families", {})
    rows = {name: known[name]["ceiling"] for name in bench.families if known.get(name, {}).get("ceiling")}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float).reindex(bench.families if rows else [])


def _draw_ceilings(axes: "Axes", ceilings: pd.DataFrame) -> None:
    rows = range(len(ceilings))
    axes.hlines(rows, 0, ceilings.max(axis=1), color=GREY, linewidth=0.8)
    axes.plot(ceilings["pearson"], rows, "o", color=BLUE, label="Pearson")
    axes.plot(ceilings["spearman"], rows, "D", color=ORANGE, markerfacecolor="none", label="Spearman")
    axes.set(xlabel="ceiling of correlation", xlim=(0, 1.05), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0", "", "0.5", "", "1"])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handletextpad=0.1, columnspacing=0.8)
