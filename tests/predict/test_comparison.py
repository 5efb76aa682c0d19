"""Comparing predictors: against every order of ties, SciPy's bootstrap, and closed forms."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap as scipys_bootstrap
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import precision_score

from nasviz.predict.comparison import bootstrap, compare, disagreement, regret, tied_pairs, top_k
from nasviz.predict.metrics import kendall, ndcg, srcc


def orders(scores):
    """Every order of the networks that the scores allow, best first."""
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            yield list(order)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 9])
@pytest.mark.parametrize("scores", [[5, 4, 3, 2, 1, 0], [1, 1, 1, 1, 1, 1], [2, 0, 2, 1, 1, 2], [0, 3, 3, 1, 1, 1]])
@pytest.mark.parametrize("accuracy", [[0.9, 0.7, 0.8, 0.5, 0.6, 0.4], [0.5, 0.5, 0.9, 0.9, 0.1, 0.5]])
def test_ties_count_as_the_mean_over_all_orders(scores, accuracy, k):
    true = np.array(accuracy)
    edge = np.sort(true)[::-1][min(k, 6) - 1]
    hits = [np.mean(true[order[:k]] >= edge) for order in orders(scores)]
    losses = [true.max() - true[order[:k]].max() for order in orders(scores)]
    assert top_k(scores, accuracy, k) == pytest.approx(np.mean(hits))
    assert regret(scores, accuracy, k) == pytest.approx(np.mean(losses))


def test_without_ties_top_k_is_scikit_learns_precision():
    generator = np.random.default_rng(0)
    accuracy = generator.uniform(size=80)
    scores = accuracy + generator.normal(0, 0.3, 80)
    for k in (1, 7, 40):
        top = [values >= np.sort(values)[-k] for values in (accuracy, scores)]
        assert top_k(scores, accuracy, k) == pytest.approx(precision_score(*top))


def test_a_perfect_and_an_inverted_ranking():
    accuracy = np.array([0.1, 0.4, 0.2, 0.9])
    assert top_k(accuracy, accuracy, 2) == 1 and regret(accuracy, accuracy) == 0
    assert top_k(-accuracy, accuracy, 2) == 0 and regret(-accuracy, accuracy) == pytest.approx(0.8)
    assert regret(-accuracy, accuracy, k=4) == 0 and top_k(-accuracy, accuracy, 4) == 1


def test_many_ties_are_no_overflow():
    accuracy = np.linspace(0, 1, 5000)
    assert regret(np.zeros(5000), accuracy, 2) == pytest.approx(1 / 3, abs=1e-3)  # the greater of two uniforms: 2/3
    assert regret(np.zeros(5000), accuracy, 2500) == pytest.approx(1 / 2501, abs=1e-3)
    assert top_k(np.zeros(5000), accuracy, 50) == pytest.approx(0.01)


def test_tied_pairs_are_what_kendall_corrects_for():
    values = [1, 1, 2, 3, 3, 3]
    assert tied_pairs(values) == pytest.approx((1 + 3) / 15)
    assert tied_pairs([1, 2, 3]) == 0 and tied_pairs([4, 4]) == 1 and tied_pairs([1]) == 0
    # τ-b = (concordant - discordant) / sqrt of the pairs that are tied in neither
    true = [1, 2, 3, 4, 5, 6]
    signs = [np.sign(values[j] - values[i]) for i, j in itertools.combinations(range(6), 2)]
    expected = sum(signs) / (15 * np.sqrt(1 - tied_pairs(values)))
    assert kendall(values, true) == pytest.approx(expected) == kendalltau(values, true).statistic


def test_disagreement_of_two_is_half_their_distance_in_ranks():
    scores = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [10.0, 20.0, 40.0, 30.0]}, index=list("wxyz"))
    assert disagreement(scores).to_dict() == {"w": 0, "x": 0, "y": 0.5 / 4, "z": 0.5 / 4}
    assert disagreement(scores.assign(b=scores["a"] * 7 - 3)).eq(0).all(), "the scale does not matter"
    lots = pd.DataFrame(np.random.default_rng(0).uniform(size=(2000, 40)))
    assert disagreement(lots).mean() == pytest.approx(np.sqrt(1 / 12), abs=0.01)
    with pytest.raises(ValueError, match="at least two predictors, got 1"):
        disagreement(scores[["a"]])
    with pytest.raises(ValueError, match="b must be finite"):
        disagreement(scores.assign(b=np.nan))


def population(n=60, seed=0):
    generator = np.random.default_rng(seed)
    accuracy = generator.uniform(0.5, 0.9, n)
    return accuracy, accuracy + generator.normal(0, 0.1, n), accuracy + generator.normal(0, 0.3, n)


def test_the_interval_is_scipys():
    accuracy, good, _ = population()
    ours = bootstrap(srcc, good, accuracy, resamples=2000)
    theirs = scipys_bootstrap(
        (good, accuracy), lambda a, b: spearmanr(a, b).statistic, paired=True, vectorized=False, n_resamples=2000,
        method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert ours["value"] == srcc(good, accuracy)
    assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_the_interval_of_a_mean_is_the_one_of_the_normal():
    values = np.random.default_rng(0).normal(size=400)
    said = bootstrap(lambda scores, _: scores.mean(), values, np.zeros(400), level=0.9, resamples=3000)
    error = values.std() / 20
    assert said["low"] == pytest.approx(values.mean() - 1.645 * error, abs=0.15 * error)
    assert said["high"] == pytest.approx(values.mean() + 1.645 * error, abs=0.15 * error)


def test_a_difference_is_taken_on_the_same_networks():
    accuracy, good, poor = population()
    difference = bootstrap(srcc, good, accuracy, poor, resamples=300)
    assert difference["value"] == pytest.approx(srcc(good, accuracy) - srcc(poor, accuracy))
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert bootstrap(srcc, good, accuracy, good, resamples=50).tolist() == [0, 0, 0]
    again = bootstrap(srcc, good, accuracy, poor, resamples=300)
    pd.testing.assert_series_equal(difference, again)
    assert not bootstrap(srcc, good, accuracy, poor, resamples=300, seed=1).equals(again)


def test_a_measure_that_is_never_defined_has_no_interval():
    said = bootstrap(srcc, [1, 1, 1], [0.1, 0.2, 0.3], resamples=5)
    assert said.isna().all()


def test_the_comparison_holds_every_measure_and_the_best_first():
    accuracy, good, poor = population()
    table = compare(pd.DataFrame({"poor": poor, "good": good}), accuracy, k=5)
    assert table.index.tolist() == ["good", "poor"]
    assert table.loc["poor"].to_dict() == {
        "srcc": srcc(poor, accuracy), "kendall": kendall(poor, accuracy), "ndcg@5": ndcg(poor, accuracy, 5),
        "top-5": top_k(poor, accuracy, 5), "regret@5": regret(poor, accuracy, 5), "tied pairs": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: top_k([1, 2], [0.1], 1), "lengths are 2, 1"),
        (lambda: regret([], [], 1), "at least one network"),
        (lambda: regret([1], [0.1], 0), "k must be a whole number"),
        (lambda: tied_pairs([1, np.nan]), "values must be finite"),
        (lambda: bootstrap(srcc, [1, 2], [0.1, 0.2], level=95), "coverage lies between 0 and 1"),
        (lambda: bootstrap(srcc, [1, 2], [0.1, 0.2], [1, 2, 3]), "lengths are 2, 2, 3"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
