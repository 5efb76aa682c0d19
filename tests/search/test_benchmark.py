"""Trajectories on tables: against a table whose best is known, and a predictor that is right or wrong."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from nasviz.search.benchmark import GUIDED, METHODS, summary, trajectories

NAMES = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3")


@pytest.fixture(scope="module")
def bench():
    """729 cells of NAS-Bench-201; a cell is as accurate as it has 3×3 convolutions, with a little of its own."""
    family = nv.families.get("nb201")
    cells = list(product(NAMES, repeat=6))
    own = np.random.default_rng(0).random(len(cells)) * 0.02
    accuracy = [0.5 + 0.05 * cell.count(NAMES[2]) + o for cell, o in zip(cells, own, strict=True)]
    return nv.benchmarks.from_table(pd.DataFrame({"arch": map(family.format, cells), "accuracy": accuracy}), "nb201")


def test_methods_that_learn_beat_chance_and_a_good_predictor_beats_them(bench):
    truth = bench.table["accuracy"].to_numpy()
    table = trajectories(bench, prior=np.round(truth, 1), queries=60, seeds=4, progress=False)
    assert list(table.columns) == ["method", "seed", "queries", "best", "regret"]
    assert set(table["method"]) == {*METHODS, *GUIDED} and len(table) == 7 * 4 * 60
    grouped = table.groupby(["method", "seed"])
    assert (grouped["best"].diff().dropna() >= 0).all() and (table["regret"] >= 0).all()
    assert np.allclose(table["best"] + table["regret"], truth.max())
    end = table[table["queries"] == 60].groupby("method")["regret"].mean()
    assert end.drop("random").max() < end["random"]
    early = table[table["queries"] == 10].groupby("method")["regret"].mean()
    assert early["predictor"] < early[list(METHODS)].min()
    shown = summary(table, at=(10, 60, 500))
    assert list(shown.columns) == ["after 10", "after 60"] and set(shown.index) == set(table["method"])


def test_a_query_is_a_network_that_was_not_seen_before(bench):
    """With as many queries as networks every method has seen all, unless it gave up."""
    few = bench.subset(slice(0, 40))
    table = trajectories(few, methods=["random", "evolution"], queries=40, seeds=2, progress=False)
    assert (table[table["queries"] == 40]["regret"] < 0.02).all()
    again = trajectories(few, methods=["random", "evolution"], queries=40, seeds=2, progress=False)
    assert again.equals(table)


def test_what_cannot_be_compared_is_refused(bench):
    for wrong, sentence in [
        ({"methods": ["magic"]}, "'magic' is none of random, evolution"),
        ({"methods": ["predictor"]}, "it needs a predictor's scores"),
        ({"queries": 1000}, "the table has 729 networks"),
        ({"prior": [1.0]}, "one score for each of 729"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            trajectories(bench, **{"seeds": 1, "queries": 5, "progress": False} | wrong)
    with pytest.raises(ValueError, match="one family and more than 24 rows"):
        trajectories(nv.benchmarks.load("digits"), seeds=1)
