"""The picture of a benchmark: what it shows is what the table and the card hold."""

import numpy as np

import nasviz as nv
from nasviz.views.benchmark_picture import benchmark_figure


def labels_of(axis):
    return [text.get_text() for text in axis.get_yticklabels()]


def medians(axes):
    """x of the middle line of each box, from top to bottom."""
    lines = [line for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    return [line.get_xdata()[0] for line in lines]


def test_the_bundled_benchmark_has_a_row_a_family_and_its_ceilings():
    bench = nv.benchmarks.load("digits")
    left, middle, right = benchmark_figure(bench).axes
    assert len(labels_of(left)) == len(bench.families)
    counts = bench.table.family.value_counts()
    assert all(f"({counts[family]:,})" in text for family, text in zip(bench.families, labels_of(left), strict=True))
    dots = next(line for line in middle.lines if line.get_label() == "Pearson")
    expected = [bench.card["families"][family]["ceiling"]["pearson"] for family in bench.families]
    np.testing.assert_allclose(dots.get_xdata(), expected)
    for family in bench.families:
        part = bench.of(family).table
        assert any(np.isclose(x, 100 * part.accuracy.median()) for x in medians(left))
        assert any(np.isclose(x, np.median(part.macs), rtol=0.02) for x in medians(right))
    assert [axes.get_xlabel() for axes in (left, middle, right)] == [
        "accuracy (%)", "ceiling of correlation", "MACs of one image",
    ]  # fmt: skip


def test_a_table_of_ones_own_has_no_ceiling_and_its_costs_from_the_graphs():
    family = nv.families.get("nb201")
    archs = family.sample(3, seed=0)
    frame = nv.benchmarks.load("digits").table.iloc[:3].assign(arch=[family.format(a) for a in archs], family="nb201")
    bench = nv.benchmarks.from_table(frame[["family", "arch", "accuracy"]], scale="digits")
    left, right = benchmark_figure(bench).axes
    assert labels_of(left) == ["NAS-Bench-201 (3)"]
    costs = [nv.cost(family.graph(arch, "digits")).total["macs"] for arch in archs]
    assert any(np.isclose(x, np.median(costs)) for x in medians(right))
