"""Rank measures against SciPy, pair counting, and DCG written out term by term."""

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasviz.predict.metrics import evaluate, kendall, mae, ndcg, srcc

ACCURACY = [0.93, 0.91, 0.94, 0.80, 0.92]
SCORES = [3.0, 2.0, 2.5, -1.0, 4.0]


def written_out_ndcg(order, accuracy, k):
    """Eq. 6 and 7 in plain Python, for one order of the networks."""
    low, high = min(accuracy), max(accuracy)
    relevance = [20 * (a - low) / (high - low) for a in accuracy]

    def dcg(relevances):
        return sum((2**rel - 1) / math.log2(i + 1) for i, rel in enumerate(relevances[:k], start=1))

    return dcg([relevance[i] for i in order]) / dcg(sorted(relevance, reverse=True))


def test_spearman_is_one_minus_the_squared_rank_differences():
    ranks_s, ranks_a = np.array([4, 2, 3, 1, 5]), np.array([4, 2, 5, 1, 3])
    expected = 1 - 6 * ((ranks_s - ranks_a) ** 2).sum() / (5 * (5**2 - 1))
    assert srcc(SCORES, ACCURACY) == pytest.approx(expected)


def test_kendall_counts_pairs_and_corrects_for_ties():
    scores, accuracy = [1, 2, 2, 3, 5], [0.1, 0.3, 0.2, 0.3, 0.25]
    concordance, ties_s, ties_a = 0, 0, 0
    for i, j in itertools.combinations(range(5), 2):
        ds, da = scores[i] - scores[j], accuracy[i] - accuracy[j]
        concordance += np.sign(ds) * np.sign(da)
        ties_s += ds == 0
        ties_a += da == 0
    assert kendall(scores, accuracy) == pytest.approx(concordance / math.sqrt((10 - ties_s) * (10 - ties_a)))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 50])
def test_ndcg_is_the_formula_written_out(k):
    order = sorted(range(5), key=lambda i: -SCORES[i])
    assert ndcg(SCORES, ACCURACY, k) == pytest.approx(written_out_ndcg(order, ACCURACY, k), rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_ndcg_of_tied_scores_is_the_mean_over_their_orders(k):
    # Networks 0, 1, 2 are tied at the top, 3 follows, 4 is last.
    orders = [[*first, 3, 4] for first in itertools.permutations([0, 1, 2])]
    expected = np.mean([written_out_ndcg(order, ACCURACY, k) for order in orders])
    assert ndcg([7, 7, 7, 3, 1], ACCURACY, k) == pytest.approx(expected, rel=1e-12)


distinct = st.lists(st.integers(0, 1000), min_size=2, max_size=40, unique=True)


@settings(deadline=None, max_examples=50)
@given(distinct, st.randoms(use_true_random=False), st.integers(1, 60))
def test_any_increasing_score_is_a_perfect_ranking_and_order_of_rows_is_nothing(values, random, k):
    accuracy = np.array(values) / 1000
    scores = np.exp(3 * accuracy) - 7
    assert srcc(scores, accuracy) == pytest.approx(1)
    assert kendall(scores, accuracy) == pytest.approx(1)
    assert ndcg(scores, accuracy, k) == pytest.approx(1)
    assert srcc(-scores, accuracy) == pytest.approx(-1)
    assert kendall(-scores, accuracy) == pytest.approx(-1)
    shuffled = random.sample(range(len(values)), len(values))
    np.testing.assert_allclose(ndcg(-scores[shuffled], accuracy[shuffled], k), ndcg(-scores, accuracy, k))


def test_a_constant_list_has_no_correlation_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(srcc([1, 1, 1], [0.1, 0.2, 0.3]))
        assert math.isnan(kendall([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]))
        assert math.isnan(ndcg([0.1, 0.2, 0.3], [0.5, 0.5, 0.5], 2))
        # Constant scores say "any order": the expected gain of a random one.
        orders = itertools.permutations(range(3))
        expected = np.mean([written_out_ndcg(order, [0.1, 0.2, 0.3], 2) for order in orders])
        assert ndcg([1, 1, 1], [0.1, 0.2, 0.3], 2) == pytest.approx(expected)


def test_mae_is_a_fraction():
    assert mae([0.90, 0.95], [0.92, 0.94]) == pytest.approx(0.015)


def test_evaluate_of_plain_scores_has_no_error_of_accuracy():
    result = evaluate(SCORES, ACCURACY)
    assert list(result.index) == ["srcc", "kendall", "ndcg@10", "ndcg@50", "mae"]
    assert result["srcc"] == srcc(SCORES, ACCURACY)
    assert result["kendall"] == kendall(SCORES, ACCURACY)
    assert result["ndcg@10"] == ndcg(SCORES, ACCURACY, 10)
    assert math.isnan(result["mae"])


def test_evaluate_tells_ten_from_fifty():
    generator = np.random.default_rng(0)
    accuracy = generator.uniform(0.8, 0.95, 200)
    scores = accuracy + generator.normal(0, 0.03, 200)
    result = evaluate(scores, accuracy)
    order = np.argsort(-scores)
    assert result["ndcg@10"] == pytest.approx(written_out_ndcg(order, accuracy, 10))
    assert result["ndcg@50"] == pytest.approx(written_out_ndcg(order, accuracy, 50))
    assert result["ndcg@10"] != result["ndcg@50"]


def test_mae_comes_from_the_argument_or_from_the_column():
    predicted = [0.9, 0.9, 0.9, 0.9, 0.9]
    frame = pd.DataFrame({"score": SCORES, "accuracy": predicted})
    expected = np.mean(np.abs(np.array(predicted) - ACCURACY))
    assert evaluate(SCORES, ACCURACY, predicted)["mae"] == pytest.approx(expected)
    assert evaluate(frame, ACCURACY)["mae"] == pytest.approx(expected)
    assert evaluate(frame, ACCURACY, ACCURACY)["mae"] == 0
    assert evaluate(frame, ACCURACY)["srcc"] == srcc(SCORES, ACCURACY)
    assert math.isnan(evaluate(frame[["score"]], ACCURACY)["mae"])


def test_rows_are_matched_by_position_and_a_shuffled_index_is_refused():
    scores, accuracy = pd.Series(SCORES), pd.Series(ACCURACY)
    elsewhere = accuracy.set_axis(range(500, 505))
    assert srcc(scores, elsewhere) == srcc(SCORES, ACCURACY)
    with pytest.raises(ValueError, match="same index labels in another order"):
        srcc(scores, accuracy[::-1])
    with pytest.raises(ValueError, match="same index labels in another order"):
        evaluate(pd.DataFrame({"score": scores}), accuracy.sort_values())


@pytest.mark.parametrize(
    ("scores", "accuracy", "says"),
    [
        ([1, np.nan], [0.1, 0.2], "scores must be finite"),
        ([1, 2], [0.1, np.inf], "accuracy must be finite"),
        ([1, 2, 3], [0.1, 0.2], "lengths are 3, 2"),
        ([1], [0.1], "at least 2 networks, got 1"),
        ([], [], "at least 2 networks, got 0"),
        ([[1, 2]], [0.1, 0.2], "scores must have 1 dimension"),
        ([1, 2], [91.0, 92.0], "accuracy must hold accuracies as fractions"),
        (pd.DataFrame({"rank": [1, 2]}), [0.1, 0.2], r"scores must have a column 'score', got the columns \['rank'\]"),
    ],
)
def test_input_that_orders_nothing_is_refused(scores, accuracy, says):
    with pytest.raises(ValueError, match=says):
        evaluate(scores, accuracy)


@pytest.mark.parametrize("k", [0, -1, 2.5, None])
def test_k_is_a_number_of_networks(k):
    with pytest.raises(ValueError, match="k must be a whole number"):
        ndcg(SCORES, ACCURACY, k)
