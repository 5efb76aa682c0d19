"""Fuzzy c-means: every network belongs to every cluster, a little or a lot (GENNAPE eq. 2 to 4).

The formulas are scikit-fuzzy's; this file guards them. scikit-fuzzy stops by the Frobenius norm of the change over all
memberships, so its criterion tightens with the number of networks; here every call does one iteration, and the loop
around it stops by the largest change, as the paper does. Starts come from k-means++ instead of random memberships,
which collapse from 8 dimensions on, and no call draws from NumPy's global generator.
"""

import warnings
from typing import Self

import numpy as np
from skfuzzy.cluster import cmeans, cmeans_predict
from sklearn.base import BaseEstimator
from sklearn.cluster import kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from nasviz.predict.checks import finite_array, whole_number

COLLAPSE_MARGIN = 1.05  # times 1 / C: a partition coefficient below it tells no cluster from another
MERGE_MARGIN = 0.1  # of the largest membership: two clusters that never differ by more are one


class CollapsedClusters(ValueError):
    """All centroids met in the centre of mass, so every network belongs equally to every cluster."""


class MergedClusters(UserWarning):
    """Some centroids met: the fit holds fewer different clusters than were asked for."""


class FuzzyCMeans(BaseEstimator):
    """Soft clusters of points, by alternating eq. 2 and 3 of the paper.

    With d_ij = ‖x_i - c_j‖ the memberships are u_ij = 1 / Σ_l (d_ij / d_il)^{2/(m-1)} and the centroids
    c_j = Σ_i u_ij^m x_i / Σ_i u_ij^m. A point on a centroid belongs to it alone.

    Parameters
    ----------
    n_clusters : int
        C >= 2.
    fuzzifier : float
        m > 1: towards 1 memberships become crisp, with large m uniform. The paper's m >= 2 collapses in the 32
        dimensions that it clusters in. On structural features of NAS-Bench-101 in 32 dimensions, 20 centroids stayed
        apart up to 1.2 and began to merge at 1.25. It depends on the embedding: look at ``n_distinct_clusters_``.
    epsilon : float
        Stop when no membership changes by this much any more, max_ij |Δu_ij| < ε (eq. 4). The paper's ε is unknown to
        us; 1e-5 moves no membership visibly. For a live slider 1e-3 is enough, and several times faster.
    max_iterations : int
        Stop after so many iterations in any case, with a `ConvergenceWarning`; 10,000 in the paper.
    seed : int
        Of the k-means++ start. The global generator is neither read nor set.

    Attributes
    ----------
    centroids_ : array (C, D)
        All that `predict` needs beside the fuzzifier: setting it on a new object restores a saved fit.
    memberships_ : array (N, C)
        Of the points that were fitted; rows sum to 1.
    partition_coefficient_ : float
        mean_i Σ_j u_ij², from 1 / C (no structure) to 1 (crisp).
    n_distinct_clusters_ : int
        C, or fewer where centroids met on the way to a collapse. A `MergedClusters` warning says so.
    n_iterations_ : int

    Examples
    --------
    >>> points = [[0.0, 0.0], [0.1, 0.0], [9.0, 9.0], [9.0, 9.1]]
    >>> clusters = FuzzyCMeans(2).fit(points)
    >>> clusters.predict([[8.0, 8.0]]).max().round(3).item()
    1.0
    """

    def __init__(
        self,
        n_clusters: int,
        fuzzifier: float = 1.2,
        epsilon: float = 1e-5,
        max_iterations: int = 10_000,
        seed: int = 0,
    ):
        self.n_clusters = n_clusters
        self.fuzzifier = fuzzifier
        self.epsilon = epsilon
        self.max_iterations = max_iterations
        self.seed = seed

    def fit(self, X, y=None) -> Self:
        """Find the centroids of the points X, an array (N, D); y is ignored.

        Raises
        ------
        CollapsedClusters
            If the partition coefficient ends within 5 % of 1 / C.
        ValueError
            For NaN or infinity in X, fewer different points than clusters, or a parameter out of its range.
        """
        self._check_parameters()
        points = finite_array("X", X, ndim=2)
        distinct = len(np.unique(points, axis=0))
        if distinct < self.n_clusters:
            raise ValueError(
                f"X must hold at least n_clusters = {self.n_clusters} different points, got {distinct} among "
                f"{len(points)}: ask for fewer clusters or bring more networks."
            )
        # k-means++ takes distances through inner products, so far from the origin it would start twice from one point.
        _, start = kmeans_plusplus(points - points.mean(axis=0), self.n_clusters, random_state=self.seed)
        memberships = _memberships(points, points[start], self.fuzzifier)
        centroids, memberships, coefficient, iterations = self._iterate(points, memberships)
        if coefficient <= COLLAPSE_MARGIN / self.n_clusters:
            raise CollapsedClusters(
                f"The {self.n_clusters} clusters collapsed into one: with fuzzifier {self.fuzzifier:g} in "
                f"{points.shape[1]} dimensions the partition coefficient is {coefficient:.3f}, where "
                f"1 / n_clusters = {1 / self.n_clusters:.3f} means no structure. Use a smaller fuzzifier (towards 1.1) "
                f"or fewer dimensions."
            )
        self.centroids_ = centroids
        self.memberships_ = memberships
        self.partition_coefficient_ = float(coefficient)
        self.n_distinct_clusters_ = _count_distinct(memberships)
        self.n_iterations_ = iterations
        if self.n_distinct_clusters_ < self.n_clusters:
            warnings.warn(
                f"Only {self.n_distinct_clusters_} of the {self.n_clusters} clusters differ, because centroids met. "
                f"Use a fuzzifier below {self.fuzzifier:g}, fewer clusters or fewer dimensions.",
                MergedClusters,
                stacklevel=2,
            )
        return self

    def predict(self, X) -> np.ndarray:
        """Memberships (N, C) of points (N, D) in the fitted clusters (eq. 2); the centroids stay where they are."""
        check_is_fitted(self, "centroids_")
        points = finite_array("X", X, ndim=2)
        if points.shape[1] != self.centroids_.shape[1]:
            raise ValueError(
                f"X must have {self.centroids_.shape[1]} columns like the points of fit, got {points.shape[1]}."
            )
        if len(points) == 0:
            return np.empty((0, len(self.centroids_)))
        return _memberships(points, self.centroids_, self.fuzzifier)

    def _iterate(self, points: np.ndarray, memberships: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, int]:
        """Eq. 3 and 2 in turn until eq. 4 holds → centroids, memberships, partition coefficient, iterations."""
        for iteration in range(1, self.max_iterations + 1):
            before = memberships
            centroids, u, *_, coefficient = cmeans(
                points.T, self.n_clusters, self.fuzzifier, error=0, maxiter=1, init=before.T
            )
            memberships = u.T
            change = np.abs(memberships - before).max()
            if change < self.epsilon:
                return centroids, memberships, coefficient, iteration
        warnings.warn(
            f"Fuzzy c-means stopped after max_iterations = {self.max_iterations} while memberships still changed "
            f"by {change:.1e}, which is not below epsilon = {self.epsilon:g}.",
            ConvergenceWarning,
            stacklevel=3,
        )
        return centroids, memberships, coefficient, self.max_iterations

    def _check_parameters(self) -> None:
        whole_number("n_clusters", self.n_clusters, least=2)
        whole_number("max_iterations", self.max_iterations)
        if not 1 < self.fuzzifier < np.inf:
            raise ValueError(f"fuzzifier must be a number greater than 1, say 1.2, got {self.fuzzifier!r}.")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be greater than 0, say 1e-5, got {self.epsilon!r}.")


def _count_distinct(memberships: np.ndarray) -> int:
    """How many columns of (N, C) memberships are not, up to `MERGE_MARGIN`, one of those before."""
    distinct: list[np.ndarray] = []
    for column in memberships.T:
        if all(np.abs(column - other).max() > MERGE_MARGIN * max(column.max(), other.max()) for other in distinct):
            distinct.append(column)
    return len(distinct)


def _memberships(points: np.ndarray, centroids: np.ndarray, fuzzifier: float) -> np.ndarray:
    """Eq. 2, (N, D) and (C, D) → (N, C), by scikit-fuzzy.

    With fixed centroids the memberships do not depend on those before, so one iteration gives them exactly. The
    start that scikit-fuzzy asks for is therefore any; without one it would draw from the global generator.
    """
    anything = np.full((len(centroids), len(points)), 1 / len(centroids))
    u, *_ = cmeans_predict(points.T, centroids, fuzzifier, error=0, maxiter=1, init=anything)
    return u.T
