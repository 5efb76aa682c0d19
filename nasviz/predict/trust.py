"""When to believe a prediction: novelty, intervals, and whether the two keep their promise."""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd

from nasviz.predict.checks import finite_array, fractions, same_length
from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.metrics import srcc

LEVEL = 0.9
"""Share of accuracies that an interval is meant to hold."""


class NoveltySpace:
    """How far a network lies outside the soft clusters of the networks trained on.

    Structural features are standardised by the training networks' mean and standard deviation, the latter at least 1
    (their unit is one layer, or a factor of two): an operator that no training network has makes a long way. Fuzzy
    c-means clusters them without a reduction of dimensions, since what never varied in training is what a new family
    brings.

    Parameters
    ----------
    n_clusters, fuzzifier : int, float
        C and m.
    seed : int
        Of the k-means++ start.
    """

    def __init__(self, n_clusters: int = 6, fuzzifier: float = 1.2, seed: int = 0):
        self.n_clusters, self.fuzzifier, self.seed = n_clusters, fuzzifier, seed

    def fit(self, features: pd.DataFrame, validation: pd.DataFrame) -> Self:
        """Learn clusters from training networks, and from validation ones how far a network of the family may lie."""
        self.mean_ = features.mean().to_numpy()
        self.scale_ = np.maximum(features.std(ddof=0).to_numpy(), 1)
        flops = 2 ** features["log macs"].to_numpy()
        points = self._points(features)
        self.space_ = ClusterSpace(self.n_clusters, self.fuzzifier, points.shape[1] + 1, self.seed).fit(points, flops)
        self.usual_ = float(np.quantile(self.novelty(validation), 0.95))
        return self

    def memberships(self, features: pd.DataFrame) -> np.ndarray:
        """Memberships in the training clusters (eq. 2), (N, C)."""
        return self.space_.memberships(self._points(features), 2 ** features["log macs"].to_numpy())

    def novelty(self, features: pd.DataFrame) -> np.ndarray:
        """Distance to the nearest centroid, in units of the training networks' median distance, (N,)."""
        return self.space_.novelty(self._points(features), 2 ** features["log macs"].to_numpy())

    def trust(self, novelty: np.ndarray | float) -> np.ndarray | float:
        """γ = min(1, (ν₉₅ / ν)²) in (0, 1]: 1 where 95 % of the validation networks lie."""
        return np.minimum(1, self.usual_ / np.maximum(novelty, 1e-9)) ** 2

    def _points(self, features: pd.DataFrame) -> np.ndarray:
        return (features.to_numpy() - self.mean_) / self.scale_

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What `fit` learned, as plain arrays."""
        own = {"mean": self.mean_, "scale": self.scale_, "usual": np.array(self.usual_)}
        return own | {f"space.{name}": value for name, value in self.space_.to_arrays().items()}

    def from_arrays(self, arrays: dict[str, np.ndarray]) -> Self:
        """Take what `to_arrays` gave."""
        self.mean_, self.scale_, self.usual_ = arrays["mean"], arrays["scale"], float(arrays["usual"])
        inner = {name.removeprefix("space."): value for name, value in arrays.items() if name.startswith("space.")}
        self.space_ = ClusterSpace(self.n_clusters, self.fuzzifier, seed=self.seed).from_arrays(inner)
        return self


def conformal_factor(error: Sequence[float], scale: Sequence[float], level: float = LEVEL) -> float:
    """q such that |error| ≤ q · scale for a share `level` of exchangeable networks (Vovk et al. 2005; Lei et al. 2018).

    Parameters
    ----------
    error : array of N numbers
        Errors on networks that nothing was fitted to.
    scale : array of N numbers > 0
        How uncertain each prediction is thought to be, in any unit.
    """
    ratio = np.sort(np.abs(finite_array("error", error)) / finite_array("scale", scale))
    return float(ratio[min(math.ceil(level * (len(ratio) + 1)), len(ratio)) - 1])


def risk_coverage(scores: pd.DataFrame, accuracy: Sequence[float], steps: int = 10) -> pd.DataFrame:
    """What one gains by leaving out the networks that are most novel.

    Parameters
    ----------
    scores : DataFrame of N rows
        From `score`: columns ``score`` and ``novelty``; with ``accuracy`` also the error is given.
    accuracy : array of N fractions
        True accuracies.
    steps : int
        Rows of the result.

    Returns
    -------
    DataFrame
        ``coverage``, the share of networks kept, least novel first; ``novelty``, the highest kept; ``srcc`` and
        ``mae`` (a fraction) among those kept.
    """
    accuracy = fractions("accuracy", accuracy)
    same_length(scores=scores, accuracy=accuracy)
    order = np.argsort(scores["novelty"].to_numpy(), kind="stable")
    rows = []
    for share in np.linspace(1 / steps, 1, steps):
        kept = order[: max(2, round(share * len(order)))]
        part = scores.iloc[kept]
        error = np.abs(part["accuracy"] - accuracy[kept]).mean() if "accuracy" in part else math.nan
        rows.append((share, part["novelty"].max(), srcc(part["score"].to_numpy(), accuracy[kept]), error))
    return pd.DataFrame(rows, columns=["coverage", "novelty", "srcc", "mae"])


def interval_coverage(scores: pd.DataFrame, accuracy: Sequence[float]) -> pd.Series:
    """Share of true accuracies inside [low, high], and the intervals' mean width (fractions)."""
    accuracy = fractions("accuracy", accuracy)
    same_length(scores=scores, accuracy=accuracy)
    inside = (scores["low"].to_numpy() <= accuracy) & (accuracy <= scores["high"].to_numpy())
    return pd.Series({"coverage": inside.mean(), "width": (scores["high"] - scores["low"]).mean()})
