"""Learning a family from a few labels: Gaussian processes, a forest, and the fine-tuned graph neural networks.

They err differently, so their mean rank is better than any of them. All but the last are learned again from the
labelled networks' features when a model is loaded, which takes a second.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from nasviz.predict.anatomy import Anatomy
from nasviz.predict.structure import spread_features
from nasviz.predict.trust import conformal_factor

if TYPE_CHECKING:
    from nasviz.predict.layer_gnn import LayerGNN

CLIP = 3.0  # standard deviations: a feature far outside the labelled networks says no more than that
SUPPORT = ("structure", "embedding", "accuracy")
"""Names of the arrays that, with the tuned networks, are all that `FewShot` knows."""


class Process:
    """A Gaussian process with a linear and a squared exponential kernel on standardised features.

    Features are divided by the root of their number, so that the kernel's scales do not depend on it; variances and
    length are those of highest marginal likelihood.
    """

    def fit(self, features: np.ndarray, target: np.ndarray) -> Self:
        """Learn from features (N, D) and targets (N,) of mean 0."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

        self.mean_, self.scale_ = features.mean(0), features.std(0)
        kernel = (
            ConstantKernel(1, (1e-2, 1e2)) * RBF(1, (1e-1, 30))
            + ConstantKernel(1, (1e-3, 1e2)) * DotProduct(0, "fixed")
            + WhiteKernel(0.1, (1e-3, 1))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a bound that is reached is an answer
            self.process_ = GaussianProcessRegressor(kernel).fit(self._points(features), target)
        return self

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (of a new label, noise included), (N,) each."""
        return self.process_.predict(self._points(features), return_std=True)

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Error and standard deviation of each label, predicted from all others (Rasmussen & Williams 2006, 5.12)."""
        lower = np.linalg.inv(self.process_.L_)
        precision = lower.T @ lower
        variance = 1 / np.diag(precision)
        return self.process_.alpha_ * variance, np.sqrt(variance)

    def _points(self, features: np.ndarray) -> np.ndarray:
        varies = self.scale_ > 1e-9
        z = (features[:, varies] - self.mean_[varies]) / self.scale_[varies]
        return z.clip(-CLIP, CLIP) / np.sqrt(max(varies.sum(), 1))


class FewShot:
    """What a few labels teach.

    Parameters
    ----------
    networks : sequence of LayerGNN
        The pretrained networks, whose embeddings are features.
    tuned : sequence of LayerGNN
        The same, fine-tuned on the labels by `target`.
    seed : int
        Of the forest.
    """

    def __init__(self, networks: Sequence["LayerGNN"], tuned: Sequence["LayerGNN"], seed: int = 0):
        self.networks, self.tuned, self.seed = list(networks), list(tuned), seed

    @staticmethod
    def target(accuracy: np.ndarray) -> np.ndarray:
        """Normal scores: Φ⁻¹((rank − ½) / N). Accuracies pile up below the best; their order is what is learned."""
        return norm.ppf((rankdata(accuracy) - 0.5) / len(accuracy))

    def fit(self, anatomy: Anatomy, experts: pd.DataFrame, accuracy: np.ndarray) -> Self:
        """Learn from labelled networks, what the experts say of them, and their accuracies."""
        return self.learn({**self._views(anatomy, experts), "accuracy": np.asarray(accuracy, dtype=float)})

    def learn(self, support: Mapping[str, np.ndarray]) -> Self:
        """Learn from the arrays `SUPPORT`."""
        from sklearn.ensemble import ExtraTreesRegressor

        self.support_ = dict(support)
        structure, embedding, accuracy = (self.support_[name] for name in SUPPORT)
        target = self.target(accuracy)
        self.centre_, self.spread_ = accuracy.mean(), accuracy.std()
        self.on_structure_ = Process().fit(structure, target)
        self.on_embedding_ = Process().fit(embedding, target)
        self.of_accuracy_ = Process().fit(structure, (accuracy - self.centre_) / self.spread_)
        self.forest_ = ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.3, random_state=self.seed)
        self.forest_.fit(embedding, target)
        self.factor_ = conformal_factor(*self.of_accuracy_.left_out())
        return self

    def predict(self, anatomy: Anatomy, experts: pd.DataFrame) -> pd.DataFrame:
        """A column a member, on any scale; ``accuracy`` (a fraction) and ``half``, half of its 90 % interval."""
        views = self._views(anatomy, experts)
        accuracy, deviation = self.of_accuracy_.predict(views["structure"])
        members = {
            "process": self.on_structure_.predict(views["structure"])[0],
            "process on embedding": self.on_embedding_.predict(views["embedding"])[0],
            "process of accuracy": accuracy,
            "forest": self.forest_.predict(views["embedding"]),
        }
        members |= {f"tuned GNN_{i}": anatomy.run(network)[0].astype(float) for i, network in enumerate(self.tuned)}
        half = self.factor_ * deviation * self.spread_
        return pd.DataFrame(members | {"accuracy": self.centre_ + self.spread_ * accuracy, "half": half})

    def _views(self, anatomy: Anatomy, experts: pd.DataFrame) -> dict[str, np.ndarray]:
        structure = np.hstack([anatomy.features.to_numpy(), experts[["GNN", "trees"]].to_numpy()])
        embeddings = [anatomy.run(network)[1] for network in self.networks]
        spread = spread_features(anatomy.folded).to_numpy()
        return {"structure": structure, "embedding": np.hstack([structure, spread, *embeddings])}
