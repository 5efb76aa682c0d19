"""Learning a family from a few labels: Gaussian processes, a forest, and the fine-tuned graph neural networks.

They err differently, so their mean is better than any of them; each counts for as much as it knows of labels that it
was not shown. All but the last are learned again from the labelled networks' features when a model is loaded, which
takes seconds.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata, spearmanr

from nasviz.predict.anatomy import Anatomy
from nasviz.predict.structure import spread_features
from nasviz.predict.trust import conformal_factor

if TYPE_CHECKING:
    from sklearn.model_selection import KFold

    from nasviz.predict.layer_gnn import LayerGNN

CLIP = 3.0  # standard deviations: a feature far outside the labelled networks says no more than that, nor a prediction
KNOWN = (0.1, 0.99)  # between these lies the correlation that a member is weighed by: none is left out, none rules
SUPPORT = ("structure", "embedding", "accuracy", "left_out")
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
        Of the forest and the folds.

    Attributes
    ----------
    weights_ : Series
        How much each member counts, by its name; they sum to 1. With ρ the rank correlation of its predictions of
        labels that were left out with those labels, a weight is proportional to ρ² / (1 − ρ²), the share of the
        variance that it explains over the one that it does not.
    """

    def __init__(self, networks: Sequence["LayerGNN"], tuned: Sequence["LayerGNN"], seed: int = 0):
        self.networks, self.tuned, self.seed = list(networks), list(tuned), seed

    @staticmethod
    def target(accuracy: np.ndarray) -> np.ndarray:
        """Normal scores: Φ⁻¹((rank − ½) / N). Accuracies pile up below the best; their order is what is learned."""
        return norm.ppf((rankdata(accuracy) - 0.5) / len(accuracy))

    @staticmethod
    def folds(labels: int, seed: int) -> "KFold":
        """How labels are left out: five folds, or fewer labels one by one."""
        from sklearn.model_selection import KFold

        return KFold(min(5, labels), shuffle=True, random_state=seed)

    def fit(self, anatomy: Anatomy, experts: pd.DataFrame, accuracy: np.ndarray, left_out: np.ndarray) -> Self:
        """Learn from labelled networks.

        Parameters
        ----------
        anatomy : Anatomy
            The networks.
        experts : DataFrame
            What the pretrained experts say of them.
        accuracy : ndarray of shape (N,)
            Their accuracies, fractions.
        left_out : ndarray of shape (N,)
            What a network that was tuned without the fold of a label, one of `folds`, predicts of it.
        """
        known = {"accuracy": np.asarray(accuracy, dtype=float), "left_out": np.asarray(left_out, dtype=float)}
        return self.learn({**self._views(anatomy, experts), **known})

    def learn(self, support: Mapping[str, np.ndarray]) -> Self:
        """Learn from the arrays `SUPPORT`."""
        from sklearn.ensemble import ExtraTreesRegressor
        from sklearn.model_selection import cross_val_predict

        self.support_ = dict(support)
        structure, embedding, accuracy, left_out = (self.support_[name] for name in SUPPORT)
        target = self.target(accuracy)
        self.centre_, self.spread_ = accuracy.mean(), accuracy.std()
        self.on_structure_ = Process().fit(structure, target)
        self.on_embedding_ = Process().fit(embedding, target)
        self.of_accuracy_ = Process().fit(structure, (accuracy - self.centre_) / self.spread_)
        self.forest_ = ExtraTreesRegressor(300, min_samples_leaf=2, max_features=0.3, random_state=self.seed)
        folds = self.folds(len(accuracy), self.seed)
        unseen = {
            "process": target - self.on_structure_.left_out()[0],
            "process on embedding": target - self.on_embedding_.left_out()[0],
            "process of accuracy": (accuracy - self.centre_) / self.spread_ - self.of_accuracy_.left_out()[0],
            "forest": cross_val_predict(self.forest_, embedding, target, cv=folds),
            **{f"tuned GNN_{i}": left_out for i in range(len(self.tuned))},
        }
        self.weights_ = pd.Series({name: _weight(values, target) for name, values in unseen.items()})
        self.weights_ /= self.weights_.sum()
        self.forest_.fit(embedding, target)
        error = accuracy - self._accuracy(unseen["process of accuracy"], self.combine(pd.DataFrame(unseen)))
        self.factor_ = conformal_factor(error / self.spread_, self.of_accuracy_.left_out()[1])
        return self

    def predict(self, anatomy: Anatomy, experts: pd.DataFrame) -> pd.DataFrame:
        """What is thought of networks.

        Returns
        -------
        DataFrame
            A column a member, its predicted normal score; ``score``, their weighted mean; ``accuracy``, a fraction;
            ``half``, half of its 90 % interval.
        """
        views = self._views(anatomy, experts)
        accuracy, deviation = self.of_accuracy_.predict(views["structure"])
        members = {
            "process": self.on_structure_.predict(views["structure"])[0],
            "process on embedding": self.on_embedding_.predict(views["embedding"])[0],
            "process of accuracy": accuracy,
            "forest": self.forest_.predict(views["embedding"]),
        }
        members |= {f"tuned GNN_{i}": anatomy.run(network)[0].astype(float) for i, network in enumerate(self.tuned)}
        members = pd.DataFrame(members)
        score = self.combine(members)
        half = self.factor_ * deviation * self.spread_
        return members.assign(score=score, accuracy=self._accuracy(accuracy, score), half=half)

    def combine(self, members: pd.DataFrame) -> np.ndarray:
        """The weighted mean (N,) of some members' columns."""
        weights = self.weights_[members.columns]
        return (members.clip(-CLIP, CLIP) @ (weights / weights.sum())).to_numpy()

    def _accuracy(self, process: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Accuracies: the mean of the process's and of what labelled networks have whose normal score this is."""
        known = np.sort(self.support_["accuracy"])
        return (self.centre_ + self.spread_ * process + np.interp(score, np.sort(self.target(known)), known)) / 2

    def _views(self, anatomy: Anatomy, experts: pd.DataFrame) -> dict[str, np.ndarray]:
        structure = np.hstack([anatomy.features.to_numpy(), experts[["GNN", "trees"]].to_numpy()])
        embeddings = [anatomy.run(network)[1] for network in self.networks]
        spread = spread_features(anatomy.folded).to_numpy()
        return {"structure": structure, "embedding": np.hstack([structure, spread, *embeddings])}


def _weight(predicted: np.ndarray, target: np.ndarray) -> float:
    """ρ² / (1 − ρ²) of Spearman's ρ; a constant prediction, which has none, knows nothing."""
    rho = spearmanr(predicted, target).statistic if np.ptp(predicted) > 0 else 0.0
    share = np.clip(rho, *KNOWN) ** 2
    return share / (1 - share)
