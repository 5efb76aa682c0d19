"""Pictures of searches: their lines are the data's quartiles, their front the table's."""

import numpy as np
import pandas as pd

from nasviz.views.search_figure import front_figure, trajectory_figure


def test_lines_are_medians_and_bands_quartiles():
    rng = np.random.default_rng(0)
    rows = [
        {"method": method, "seed": seed, "queries": q, "best": 0.9, "regret": scale * rng.random() / q}
        for method, scale in (("random", 0.05), ("evolution", 0.01))
        for seed in range(9)
        for q in range(1, 31)
    ]
    table = pd.DataFrame(rows)
    figure = trajectory_figure(table, title="a table")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["random", "evolution"]
    for line, band, (_, part) in zip(axes.lines, axes.collections, table.groupby("method", sort=False), strict=True):
        by_query = (100 * part["regret"]).groupby(part["queries"])
        np.testing.assert_allclose(line.get_ydata(), by_query.median())
        corners = band.get_paths()[0].vertices
        assert {float(f"{y:.9g}") for y in by_query.quantile(0.25)} <= {float(f"{y:.9g}") for y in corners[:, 1]}
    assert axes.get_title(loc="left") == "a table" and "regret" in axes.get_ylabel()


def test_the_front_is_drawn_over_all_that_was_scored():
    table = pd.DataFrame(
        {"flops": [100, 50, 200, 60], "score": [0.8, 0.7, 0.9, 0.6], "pareto": [True, True, True, False]}
    )
    (axes,) = front_figure(table).axes
    line = next(line for line in axes.lines if line.get_label() == "Pareto front")
    assert line.get_xdata().tolist() == [50, 100, 200] and line.get_ydata().tolist() == [0.7, 0.8, 0.9]
    scored, start = axes.collections
    assert len(scored.get_offsets()) == 4 and start.get_offsets().tolist() == [[100, 0.8]]
