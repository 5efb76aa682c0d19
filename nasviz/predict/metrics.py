"""How well a predictor ranks a population of networks, and how far its accuracies are off.

Rank measures look at the order alone, so scores may be on any scale; higher means better.
"""

import math
import re

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import ndcg_score

from nasviz.predict.checks import finite_array, fractions, same_length, whole_number

MAX_RELEVANCE = 20  # accuracies become relevances in [0, 20], as in AceNAS (Zhang et al. 2021) and GENNAPE
NO_RANKING = re.compile(r"(membership_\d+|novelty|trust|low|high)$")  # columns of scores of which more is not better


def srcc(scores, accuracy) -> float:
    """Spearman's rank correlation ρ in [-1, 1]; tied values share their mean rank.

    Parameters
    ----------
    scores : array, Series, or DataFrame with a column ``score``, length N >= 2
        Predictions on any scale, higher is better.
    accuracy : array or Series of length N
        True values in the same order as ``scores``.

    Returns
    -------
    float
        NaN where one of the two is constant: such a list orders nothing, so no correlation exists.
    """
    scores, accuracy = _pair(scores, accuracy)
    return float(spearmanr(scores, accuracy).statistic) if _both_vary(scores, accuracy) else math.nan


def kendall(scores, accuracy) -> float:
    """Kendall's τ-b in [-1, 1], which corrects for ties. Arguments and NaN as in `srcc`."""
    scores, accuracy = _pair(scores, accuracy)
    return float(kendalltau(scores, accuracy).statistic) if _both_vary(scores, accuracy) else math.nan


def ndcg(scores, accuracy, k: int) -> float:
    """Normalised discounted cumulative gain of the k networks that score highest (GENNAPE eq. 6 and 7).

    DCG@k = Σ_{i=1..k} (2^rel_i - 1) / log2(i + 1), in the order of the scores, divided by the DCG@k of the true order.
    rel is the accuracy, rescaled to [0, 20] over this population: the measure depends on who else is ranked.

    Parameters
    ----------
    scores, accuracy
        As in `srcc`.
    k : int
        How many of the best count; where k exceeds N, all N do.

    Returns
    -------
    float
        In [0, 1]. Tied scores count as the mean over their orders, so the order of the table does not matter.
        NaN where all accuracies are equal.
    """
    k = whole_number("k", k)
    scores, accuracy = _pair(scores, accuracy)
    spread = np.ptp(accuracy)
    if spread == 0:
        return math.nan
    relevance = MAX_RELEVANCE * (accuracy - accuracy.min()) / spread
    # scikit-learn's gain is linear; with 2^rel - 1 in its place it computes eq. 6 and 7, ties included.
    return ndcg_score([np.exp2(relevance) - 1], [scores], k=k)


def mae(predicted_accuracy, accuracy) -> float:
    """Mean absolute error in the unit of accuracy, a fraction: 0.0059 is the paper's 0.59 %."""
    predicted, accuracy = _pair(predicted_accuracy, accuracy, name="predicted_accuracy")
    return float(np.abs(predicted - accuracy).mean())


def evaluate(scores, accuracy, predicted_accuracy=None) -> pd.Series:
    """All measures of one predictor on one population.

    Parameters
    ----------
    scores : array, Series or DataFrame of length N >= 2
        What ranks the networks, higher is better. A DataFrame, such as ``model.score`` returns, has a column ``score``
        and, if the model predicts accuracies, a column ``accuracy`` with them.
    accuracy : array or Series of length N
        True accuracies, fractions in [0, 1], in the same order.
    predicted_accuracy : array or Series of length N, optional
        Predicted accuracies as fractions, for the mean absolute error. Default: the column ``accuracy`` of ``scores``.
        Where the scores themselves are accuracies, pass them here, too: no one can tell from the numbers.

    Returns
    -------
    pandas.Series
        ``srcc``, ``kendall``, ``ndcg@10``, ``ndcg@50`` and ``mae``, which is NaN where no accuracy was predicted.

    Raises
    ------
    ValueError
        For NaN or infinity, fewer than two networks, lengths that differ, accuracies outside [0, 1], or two pandas
        objects whose indices name the same networks in another order.
    """
    if predicted_accuracy is None and isinstance(scores, pd.DataFrame) and "accuracy" in scores:
        predicted_accuracy = scores["accuracy"]
    fractions("accuracy", accuracy)
    return pd.Series(
        {
            "srcc": srcc(scores, accuracy),
            "kendall": kendall(scores, accuracy),
            "ndcg@10": ndcg(scores, accuracy, k=10),
            "ndcg@50": ndcg(scores, accuracy, k=50),
            "mae": math.nan if predicted_accuracy is None else mae(predicted_accuracy, accuracy),
        }
    )


def _pair(scores, accuracy, name: str = "scores") -> tuple[np.ndarray, np.ndarray]:
    """Both as finite vectors of one length, matched by position."""
    if isinstance(scores, pd.DataFrame):
        if "score" not in scores:
            raise ValueError(f"{name} must have a column 'score', got the columns {list(scores.columns)}.")
        scores = scores["score"]
    if isinstance(scores, pd.Series) and isinstance(accuracy, pd.Series):
        _refuse_shuffled(name, scores.index, accuracy.index)
    scores, accuracy = finite_array(name, scores), finite_array("accuracy", accuracy)
    if same_length(**{name: scores, "accuracy": accuracy}) < 2:
        raise ValueError(f"A ranking needs at least 2 networks, got {len(scores)}.")
    return scores, accuracy


def _refuse_shuffled(name: str, ours: pd.Index, theirs: pd.Index) -> None:
    """Positions decide, so the same labels in another order are most likely a mistake that no number would show."""
    if len(ours) == len(theirs) and not ours.equals(theirs) and ours.isin(theirs).all():
        raise ValueError(
            f"{name} and accuracy have the same index labels in another order, and rows are matched by position: "
            f"bring them to one order with .reindex, or drop the labels with .reset_index(drop=True)."
        )


def _both_vary(scores: np.ndarray, accuracy: np.ndarray) -> bool:
    return np.ptp(scores) > 0 and np.ptp(accuracy) > 0
