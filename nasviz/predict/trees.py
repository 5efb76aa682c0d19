"""Gradient-boosted trees on structural features (LightGBM): stored as text, so that loading them runs no code."""

from typing import Self

import numpy as np
import pandas as pd

PARAMETERS = {
    "objective": "huber",
    "alpha": 1.0,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "lambda_l2": 10.0,
    "extra_trees": True,  # random thresholds: a little worse where one trains, better on a family that is new
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class Trees:
    """Standardised accuracy from the columns of `nasviz.predict.structure.structural_features`.

    Parameters
    ----------
    rounds : int
        Number of trees.
    seed : int
        Of thresholds, features and rows drawn.
    """

    def __init__(self, rounds: int = 400, seed: int = 0):
        self.rounds, self.seed = rounds, seed

    def fit(self, features: pd.DataFrame, target: np.ndarray) -> Self:
        """Learn from features (N, columns) and standardised accuracies (N,)."""
        import lightgbm

        self.columns_ = list(features)
        data = lightgbm.Dataset(features.to_numpy(), np.asarray(target), params={"verbosity": -1})
        self.booster_ = lightgbm.train({**PARAMETERS, "seed": self.seed}, data, self.rounds)
        return self

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Standardised accuracies (N,)."""
        return np.asarray(self.booster_.predict(features[self.columns_].to_numpy(), num_threads=1))

    def contributions(self, features: pd.DataFrame) -> pd.DataFrame:
        """SHAP values (Lundberg et al. 2020): what each feature adds to each prediction; with "base" they sum to it."""
        values = self.booster_.predict(features[self.columns_].to_numpy(), pred_contrib=True, num_threads=1)
        return pd.DataFrame(values, columns=[*self.columns_, "base"], index=features.index)

    def to_text(self) -> str:
        """LightGBM's own text format."""
        return self.booster_.model_to_string()

    @classmethod
    def from_text(cls, text: str, columns: list[str]) -> Self:
        """Read what `to_text` gave.

        Raises
        ------
        ValueError
            If the text is no model, or one of other columns.
        """
        import lightgbm

        trees = cls()
        try:
            trees.booster_ = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"the text is no model of LightGBM ({error}).") from error
        if trees.booster_.num_feature() != len(columns):
            raise ValueError(f"the trees read {trees.booster_.num_feature()} features, not {len(columns)}.")
        trees.columns_ = list(columns)
        return trees
