"""The curves of pruning, on numbers that are made up."""

import pandas as pd
import pytest

from nasviz.views import pruning_figure
from nasviz.views.pruning_curves import saved


def row(method, sparsity, accuracy, macs, effective, size, packed, ms):
    return {
        "method": method, "ratio": sparsity, "sparsity": sparsity, "accuracy": accuracy,
        "accuracy_before": accuracy / 2,
        "macs": macs, "effective_macs": effective, "size_bytes": size, "compressed_bytes": packed, "latency_ms": ms,
        "latency_low_ms": ms - 0.1, "latency_high_ms": ms + 0.2,
    }  # fmt: skip


TABLE = pd.DataFrame(
    [
        row("none", 0.0, 0.9, 1000, 1000, 4000, 3900, 2.0),
        row("mask", 0.5, 0.9, 1000, 500, 4000, 2500, 2.1),
        row("mask", 0.8, 0.895, 1000, 200, 4000, 1200, 1.9),
        row("channels", 0.75, 0.893, 250, 250, 1000, 980, 0.6),
        row("channels", 0.9, 0.7, 100, 100, 400, 390, 0.3),
    ]
)


def test_four_panels_with_both_methods(overlaps):
    figure = pruning_figure(TABLE, "batch 64, one thread")
    assert overlaps(figure) == []
    accuracy, macs, size, latency = figure.axes
    curves = {line.get_label(): line.get_ydata().tolist() for line in latency.lines}
    assert curves == {"weights set to zero": [2, 2.1, 1.9], "channels removed": [2, 0.6, 0.3]}
    assert [len(ax.lines) for ax in figure.axes] == [4, 4, 4, 2] and len(latency.collections) == 2
    assert macs.lines[1].get_ydata().tolist() == [1000, 500, 200]
    assert [ax.get_ylabel() for ax in figure.axes] == ["accuracy", "MACs of one input", "file (bytes)", "latency (ms)"]
    assert all(ax.get_ylim()[0] == 0 for ax in figure.axes)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["weights set to zero", "channels removed"]


def test_what_is_saved_at_almost_the_same_accuracy():
    table = saved(TABLE, within=0.01).set_index("method")
    assert table.loc["mask"].tolist() == [0.8, 0.895, 1, 0.2, 1, 0.95]
    assert table.loc["channels"].tolist() == [0.75, 0.893, 0.25, 0.25, 0.25, 0.3]
    assert list(saved(TABLE, within=0.006).method) == ["mask"]


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="the table lacks macs; it has"):
        pruning_figure(TABLE.drop(columns="macs"))
    with pytest.raises(ValueError, match="no network that was pruned"):
        pruning_figure(TABLE.head(1))
