"""Novelty, intervals and what they are worth."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from nasviz.families import get
from nasviz.graph.trace import trace
from nasviz.predict.anatomy import Anatomy
from nasviz.predict.trust import NoveltySpace, conformal_factor, interval_coverage, risk_coverage


@pytest.fixture(scope="module")
def features():
    return {
        name: Anatomy.of([get(name).graph(arch) for arch in get(name).sample(count, seed=5)]).features
        for name, count in (("nb101", 120), ("nb201", 20), ("proxyless", 20))
    }


@pytest.fixture(scope="module")
def space(features):
    return NoveltySpace(n_clusters=3).fit(features["nb101"][:80], features["nb101"][80:])


def test_families_that_were_not_trained_on_are_novel(space, features):
    home, near, far = (space.novelty(table) for table in (features["nb101"][80:], *list(features.values())[1:]))
    assert np.median(space.novelty(features["nb101"][:80])) == pytest.approx(1, abs=1e-6)
    assert np.median(home) < np.median(near) < np.median(far)
    assert (home <= space.usual_ + 1e-9).mean() == pytest.approx(0.95, abs=0.026)


def test_an_operator_that_training_never_had_is_novel(space):
    def network(groups):
        layers = [nn.Conv2d(32, 32, 3, padding=1, groups=groups) for _ in range(6)]
        return trace(nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *layers), torch.zeros(1, 3, 32, 32))

    dense, depthwise = space.novelty(Anatomy.of([network(1), network(32)]).features)
    assert depthwise > dense


def test_trust_falls_with_the_square_of_novelty(space):
    usual = space.usual_
    np.testing.assert_allclose(space.trust(np.array([0, usual, 2 * usual, 10 * usual])), [1, 1, 1 / 4, 1 / 100])


def test_memberships_sum_to_one_and_arrays_are_all_it_knows(space, features):
    table = features["nb201"]
    np.testing.assert_allclose(space.memberships(table).sum(1), 1)
    again = NoveltySpace(n_clusters=3).from_arrays(space.to_arrays())
    np.testing.assert_allclose(again.novelty(table), space.novelty(table))
    np.testing.assert_allclose(again.memberships(table), space.memberships(table))


def test_a_conformal_interval_holds_its_share_of_new_errors():
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        scale = generator.uniform(0.5, 3, 200)
        error = scale * generator.standard_t(4, 200)
        factor = conformal_factor(error[:100], scale[:100])
        covered.append((np.abs(error[100:]) <= factor * scale[100:]).mean())
    assert 0.895 <= np.mean(covered) <= 0.92  # the theorem: between 0.9 and 0.9 + 1/101


def test_few_errors_give_the_largest():
    assert conformal_factor([1, -5, 2], [1, 1, 1]) == 5


def test_risk_and_coverage_of_errors_that_follow_novelty():
    generator = np.random.default_rng(1)
    accuracy, novelty = generator.uniform(0.5, 1, 400), generator.uniform(0, 1, 400)
    guess = accuracy + 0.2 * novelty * generator.normal(size=400)
    scores = pd.DataFrame({"score": guess, "accuracy": guess.clip(0, 1), "novelty": novelty})
    table = risk_coverage(scores, accuracy, steps=4)
    assert table["coverage"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["srcc"].is_monotonic_decreasing and table["mae"].is_monotonic_increasing
    assert table["srcc"].iloc[-1] == pytest.approx(spearmanr(guess, accuracy).statistic)
    assert table["novelty"].iloc[-1] == novelty.max()
    with pytest.raises(ValueError, match="lengths"):
        risk_coverage(scores, accuracy[1:])


def test_interval_coverage_counts():
    scores = pd.DataFrame({"low": [0.1, 0.5], "high": [0.3, 0.6]})
    assert interval_coverage(scores, [0.2, 0.7]).tolist() == pytest.approx([0.5, 0.15])
