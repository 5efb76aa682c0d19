"""Predictors by name: a forest on the bundled labels, the shipped weights, or a folder of your own."""

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from nasviz.graph.graph import ComputeGraph
from nasviz.search.hunt import Predictor

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

TREES = 100
HERE = 3.0
"""What a training of a network that a search has found weighs beside a label that was there before."""


class ForestPredictor:
    """A random forest on structural features: quick to learn, quick to ask, and the same whoever else is asked about.

    It knows the task whose labels it has learned, at the scale of its networks, and says so little of others.

    Parameters
    ----------
    seed : int
        Of the trees.
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def fit(self, bench: "Benchmark") -> Self:
        """A predictor that has learned all labels of a benchmark; this one stays as it is."""
        accuracy = bench.table["accuracy"].to_numpy(dtype=float)
        return self._grown(_features(bench.graphs()), accuracy, np.ones(len(accuracy)))

    def learn(
        self, graphs: Sequence[ComputeGraph], accuracy: Sequence[float], trainings: Sequence[int] | int = 1
    ) -> Self:
        """A predictor that knows these networks' accuracies besides what it has learned; this one stays as it is.

        Parameters
        ----------
        graphs, accuracy : sequences of length N
            Networks and the mean accuracy of each.
        trainings : int or sequence of int
            Over how many trainings it is the mean.
        """
        features, known, weights = self.labels_
        counts = np.broadcast_to(np.asarray(trainings, dtype=float), len(graphs))
        return self._grown(
            np.vstack([features, _features(graphs)]), np.append(known, accuracy), np.append(weights, HERE * counts)
        )

    def _grown(self, features: np.ndarray, accuracy: np.ndarray, weights: np.ndarray) -> Self:
        from sklearn.ensemble import RandomForestRegressor

        grown = copy.copy(self)
        grown.labels_ = features, accuracy, weights
        grown.forest_ = RandomForestRegressor(TREES, max_features=0.4, min_samples_leaf=2, random_state=self.seed)
        grown.forest_.fit(features, accuracy, weights)
        return grown

    def score(self, graphs: Sequence[ComputeGraph]) -> pd.DataFrame:
        """``score`` and ``accuracy``, both the mean of the trees, and ``spread``, their standard deviation."""
        x = _features(graphs)
        trees = np.array([tree.predict(x) for tree in self.forest_.estimators_])
        mean = trees.mean(axis=0)
        return pd.DataFrame({"score": mean, "accuracy": mean, "spread": trees.std(axis=0)})


def _features(graphs: Sequence[ComputeGraph]) -> np.ndarray:
    from nasviz.predict.folding import fold
    from nasviz.predict.structure import structural_features

    return structural_features(fold(list(graphs))).to_numpy(dtype=np.float32)


def predictor(name: str = "digits") -> Predictor:
    """The predictor of this name.

    Parameters
    ----------
    name : str
        "digits": a forest on all labels of the bundled benchmark, learned in seconds, for networks of that size and
        task. The name of shipped weights, as in `nasviz.pretrained`. Or the folder of a saved `Nasviz` or `Gennape`.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name == "digits":
        return _digits_forest()
    from nasviz.predict import Gennape
    from nasviz.predict.nasviz import Nasviz
    from nasviz.predict.shipped import pretrained

    folder = Path(name)
    if not (folder / "model.json").is_file():
        try:
            return pretrained(name)
        except ValueError as error:
            raise ValueError(
                f"predictor={name!r}: it is 'digits', the name of shipped weights, or a folder with a saved model "
                f"({error})"
            ) from None
    try:
        return Nasviz.load(folder)
    except (ValueError, FileNotFoundError):  # the files of a `Gennape` are others
        return Gennape.load(folder)


@lru_cache(maxsize=1)
def _digits_forest() -> ForestPredictor:
    from nasviz.benchmarks import load

    return ForestPredictor().fit(load("digits"))
