"""Comparing predictors on one population: the best k, regret, ties, disagreement, and how sure a difference is."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.special import gammaln, softmax

from nasviz.predict.checks import finite_array, same_length, whole_number
from nasviz.predict.metrics import kendall, ndcg, srcc

Measure = Callable[[np.ndarray, np.ndarray], float]


def top_k(scores, accuracy, k: int) -> float:
    """Share of the k networks with the highest scores that are truly among the best k, in [0, 1].

    Whoever is as accurate as the k-th best counts as one of the best. Tied scores count as the mean over their orders.
    Where k exceeds N, all N do.
    """
    scores, accuracy, k = _checked(scores, accuracy, k)
    best = accuracy >= np.sort(accuracy)[-k]
    return float(_chance(scores, k) @ best / k)


def regret(scores, accuracy, k: int = 1) -> float:
    """How much accuracy is lost by training only the k networks with the highest scores and keeping the best of them.

    A fraction, 0 where the best network of all is among the k. Tied scores count as the mean over their orders.
    """
    scores, accuracy, k = _checked(scores, accuracy, k)
    edge = np.sort(scores)[-k]
    sure, tied = accuracy[scores > edge], np.sort(accuracy[scores == edge])
    free = k - len(sure)
    # The best of `free` networks out of the n tied ones is number j from below with C(j, free - 1) / C(n, free).
    below = np.arange(free - 1, len(tied))
    log_ways = gammaln(below + 1) - gammaln(free) - gammaln(below - free + 2)
    found = np.maximum(tied[free - 1 :], sure.max(initial=-math.inf))
    return float(accuracy.max() - softmax(log_ways) @ found)


def tied_pairs(values) -> float:
    """Share of all pairs whose two values are equal: pairs that no ranking by these values can order."""
    values = finite_array("values", values)
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1)).sum() / (len(values) * (len(values) - 1))) if len(values) > 1 else 0.0


def disagreement(scores: pd.DataFrame) -> pd.Series:
    """How far predictors differ about each network: the standard deviation of its rank among them, as a share of N.

    0 where all give it the same rank; 0.29 is usual where ranks are drawn by lot.

    Parameters
    ----------
    scores : DataFrame (N, predictors)
        Scores on any scale, higher is better.
    """
    if scores.shape[1] < 2:
        raise ValueError(f"disagreement needs at least two predictors, got {scores.shape[1]}.")
    ranks = scores.apply(lambda column: pd.Series(finite_array(str(column.name), column), scores.index)).rank()
    return (ranks.std(axis=1, ddof=0) / len(ranks)).rename("disagreement")


def bootstrap(
    measure: Measure,
    scores,
    accuracy,
    other=None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.Series:
    """A measure with its percentile interval over resampled networks (Efron & Tibshirani 1993).

    Networks are drawn with replacement, N at a time, with their scores and accuracies. The interval says how much the
    measure owes to which networks were evaluated; it knows nothing of other training seeds of the predictor.

    Parameters
    ----------
    measure : callable
        Takes scores (N,) and accuracies (N,), returns a float; such as `srcc`.
    scores, accuracy : array (N,)
        What one predictor says, and what is true.
    other : array (N,), optional
        Scores of a second predictor: then the measure's difference is bootstrapped, both on the same networks.
    resamples : int
        How many times to draw.
    level : float
        Coverage, in (0, 1).
    seed : int
        Of the draws.

    Returns
    -------
    pandas.Series
        ``value``, ``low``, ``high``. Draws whose measure is not defined are left out.
    """
    resamples = whole_number("resamples", resamples)
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: coverage lies between 0 and 1, such as 0.95.")
    lists = [finite_array("scores", scores), *([] if other is None else [finite_array("other", other)])]
    truth = finite_array("accuracy", accuracy)
    size = same_length(scores=lists[0], accuracy=truth, **({"other": lists[-1]} if other is not None else {}))

    def value(rows) -> float:
        first, *rest = (measure(values[rows], truth[rows]) for values in lists)
        return first - rest[0] if rest else first

    generator = np.random.default_rng(seed)
    drawn = np.array([value(generator.integers(size, size=size)) for _ in range(resamples)])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) if len(drawn) else (math.nan, math.nan)
    return pd.Series({"value": value(slice(None)), "low": float(low), "high": float(high)})


def compare(scores: pd.DataFrame, accuracy, k: int = 10) -> pd.DataFrame:
    """Measures of several predictors of the same networks, a row a predictor, the best by SRCC first.

    Parameters
    ----------
    scores : DataFrame (N, predictors)
        Scores on any scale, higher is better.
    accuracy : array (N,)
        True accuracies, fractions.
    k : int
        How long the list is that is looked at.

    Returns
    -------
    DataFrame
        ``srcc``, ``kendall``, ``ndcg@k``, ``top-k``, ``regret@k`` (fraction) and ``tied pairs`` of the scores.
    """
    measures: Mapping[str, Measure] = {
        "srcc": srcc,
        "kendall": kendall,
        f"ndcg@{k}": lambda said, true: ndcg(said, true, k),
        f"top-{k}": lambda said, true: top_k(said, true, k),
        f"regret@{k}": lambda said, true: regret(said, true, k),
        "tied pairs": lambda said, true: tied_pairs(said),
    }
    rows = {
        name: {title: measure(column.to_numpy(), np.asarray(accuracy)) for title, measure in measures.items()}
        for name, column in scores.items()
    }
    return pd.DataFrame(rows).T.rename_axis("predictor").sort_values("srcc", ascending=False)


def _checked(scores, accuracy, k: int) -> tuple[np.ndarray, np.ndarray, int]:
    scores, accuracy = finite_array("scores", scores), finite_array("accuracy", accuracy)
    size = same_length(scores=scores, accuracy=accuracy)
    if not size:
        raise ValueError("A ranking needs at least one network, got none.")
    return scores, accuracy, min(whole_number("k", k), size)


def _chance(scores: np.ndarray, k: int) -> np.ndarray:
    """The chance of each network to be among the k highest scores, ties being ordered by lot."""
    edge = np.sort(scores)[-k]
    tied = scores == edge
    return (scores > edge) + tied * (k - (scores > edge).sum()) / tied.sum()
