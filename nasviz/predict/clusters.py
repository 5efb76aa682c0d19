"""The space that networks are clustered in: embedding and FLOPs, standardised, reduced by PCA, softly clustered."""

from typing import Self

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from nasviz.predict.fcm import FuzzyCMeans


class ClusterSpace:
    """Memberships of networks in the soft clusters of the training family (GENNAPE eq. 2 to 4).

    The contrastive embedding is joined by the FLOPs, standardised by the training family's mean and standard
    deviation, and reduced to 32 dimensions by PCA. Every statistic, the principal axes and the centroids come from
    the training partition; other families only read them.

    Parameters
    ----------
    n_clusters : int
        C.
    fuzzifier : float
        m > 1; in 32 dimensions values much above 1.3 collapse.
    components : int
        Dimensions after PCA; fewer where the training set is smaller.
    seed : int
        Of the k-means++ start.
    """

    def __init__(self, n_clusters: int = 10, fuzzifier: float = 1.2, components: int = 32, seed: int = 0):
        self.n_clusters, self.fuzzifier, self.components, self.seed = n_clusters, fuzzifier, components, seed

    def fit(self, h: np.ndarray, flops: np.ndarray) -> Self:
        """Learn the space from training embeddings (N, D) and FLOPs (N,)."""
        self.scaler_ = StandardScaler().fit(np.asarray(flops, dtype=float)[:, None])
        joined = self._joined(h, flops)
        self.pca_ = PCA(min(self.components, *joined.shape), random_state=self.seed).fit(joined)
        points = self.pca_.transform(joined)
        self.fcm_ = FuzzyCMeans(self.n_clusters, self.fuzzifier, seed=self.seed).fit(points)
        self.reach_ = float(np.median(self._nearest(points)))
        return self

    def points(self, h: np.ndarray, flops: np.ndarray) -> np.ndarray:
        """Coordinates of networks in the space, shape (N, ``components``)."""
        return self.pca_.transform(self._joined(h, flops))

    def memberships(self, h: np.ndarray, flops: np.ndarray) -> np.ndarray:
        """Memberships from the training centroids (eq. 2), shape (N, C); rows sum to 1."""
        return self.fcm_.predict(self.points(h, flops))

    def novelty(self, h: np.ndarray, flops: np.ndarray) -> np.ndarray:
        """Distance to the nearest centroid in units of the training family's median one, shape (N,)."""
        return self._nearest(self.points(h, flops)) / max(self.reach_, 1e-12)

    def _joined(self, h: np.ndarray, flops: np.ndarray) -> np.ndarray:
        return np.hstack([h, self.scaler_.transform(np.asarray(flops, dtype=float)[:, None])])

    def _nearest(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, None] - self.fcm_.centroids_, axis=2).min(1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What `fit` learned, as plain arrays."""
        return {
            "flops": np.array([self.scaler_.mean_[0], self.scaler_.scale_[0]]),
            "pca_mean": self.pca_.mean_,
            "pca_components": self.pca_.components_,
            "centroids": self.fcm_.centroids_,
            "reach": np.array(self.reach_),
        }

    def from_arrays(self, arrays: dict[str, np.ndarray]) -> Self:
        """Take what `to_arrays` gave."""
        self.scaler_ = StandardScaler()
        mean, scale = arrays["flops"]
        self.scaler_.mean_, self.scaler_.scale_ = np.array([mean]), np.array([scale])
        components = arrays["pca_components"]
        self.pca_ = PCA(len(components))
        self.pca_.mean_, self.pca_.components_ = arrays["pca_mean"], components
        self.pca_.n_components_, self.pca_.whiten = len(components), False
        self.fcm_ = FuzzyCMeans(self.n_clusters, self.fuzzifier, seed=self.seed)
        self.fcm_.centroids_ = arrays["centroids"]
        self.reach_ = float(arrays["reach"])
        return self
