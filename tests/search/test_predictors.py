"""The forest on the bundled labels, and with it what Table 7 of the paper shows: fewer FLOPs, no lower prediction."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

import nasviz as nv
from nasviz.graph.build import to_module
from nasviz.search import ForestPredictor, GraphSpace, fault, predictor, predictor_scorer, search


@pytest.fixture(scope="module")
def bench():
    return nv.benchmarks.load("digits")


@pytest.fixture(scope="module")
def forest(bench):
    """Of every second network, so that the others are unseen; the best of each family is among those."""
    best = bench.table.groupby("family")["accuracy"].idxmax()
    return ForestPredictor().fit(bench.subset(np.setdiff1d(np.arange(0, len(bench), 2), best)))


def test_the_forest_ranks_networks_that_it_has_not_seen(bench, forest):
    unseen = bench.subset(slice(1, None, 4))
    table = forest.score(unseen.graphs())
    assert list(table.columns) == ["score", "accuracy", "spread"] and len(table) == len(unseen)
    assert spearmanr(table["score"], unseen.table["accuracy"]).statistic > 0.8
    alone = forest.score(unseen.graphs()[:3])
    np.testing.assert_allclose(alone["score"], table["score"][:3], rtol=1e-6)  # whoever else is asked about


@pytest.mark.parametrize("name", ["nb101", "nb201", "ofa_resnet"])
def test_from_the_best_of_a_family_there_are_fewer_flops_at_no_lower_prediction(name, bench, forest):
    table = bench.of(name).table
    family = nv.families.get(name)
    graph = family.graph(family.parse(table["arch"][table["accuracy"].idxmax()]), "digits")
    space = GraphSpace([graph])
    result = search(space, predictor_scorer(forest, space), starts=space.starts, budget=240, goal="balanced",
                    settings={"children": 40})  # fmt: skip
    start = result.scored[0]
    better = [each for each in result.best if each.score >= start.score and each.cost.flops < start.cost.flops]
    assert better
    for each in better:
        child = space.graph(each.candidate)
        assert fault(child) is None
        assert to_module(child)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_predictors_by_name(tmp_path, monkeypatch, forest):
    monkeypatch.setattr("nasviz.search.predictors._digits_forest", lambda: forest)
    assert predictor() is forest
    with pytest.raises(ValueError, match="predictor='magic': it is 'digits', the name of shipped weights, or a folder"):
        predictor("magic")
    (tmp_path / "model.json").write_text("{}")
    monkeypatch.setattr("nasviz.predict.Gennape.load", lambda folder: ("a Gennape of", folder))
    assert predictor(str(tmp_path)) == ("a Gennape of", tmp_path)
    monkeypatch.setattr("nasviz.predict.nasviz.Nasviz.load", lambda folder: ("a Nasviz of", folder))
    assert predictor(str(tmp_path)) == ("a Nasviz of", tmp_path)


def test_the_forest_is_not_changed_by_fitting(bench):
    fresh = ForestPredictor(seed=1)
    few = bench.of("hiaml")
    one, two = fresh.fit(few), fresh.fit(few)
    assert not hasattr(fresh, "forest_")
    pd.testing.assert_frame_equal(one.score(few.graphs()), two.score(few.graphs()))
