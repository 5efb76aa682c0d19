"""What the heads are trained to predict: accuracy, standardised, with or without the FLOPs in it.

Both transforms learn their mean and standard deviation from the training partition alone. The same two numbers then
serve every other family, zero-shot and fine-tuned.
"""

import math
from typing import Self

import numpy as np

from nasviz.predict.checks import finite_array, fractions, same_length


class AccuracyTransform:
    """The target without FLOPs: y = (A - mean) / std. Also the face that every target transform has.

    Attributes
    ----------
    mean_, std_ : float
        Of the training partition; the standard deviation divides by N, as scikit-learn's StandardScaler does.
    """

    kind = "accuracy"

    def fit(self, accuracy, flops=None) -> Self:
        """Learn mean and standard deviation.

        Parameters
        ----------
        accuracy : array of N fractions in [0, 1]
            The training partition, and nothing else.
        flops : array of N numbers > 0
            FLOPs of one forward pass; needed by `FlopsTransform`, ignored here.

        Raises
        ------
        ValueError
            For fewer than two networks, equal accuracies, NaN, accuracies outside [0, 1] or FLOPs that are not
            positive.
        """
        accuracy = fractions("accuracy", accuracy)
        if len(accuracy) < 2 or np.ptp(accuracy) == 0:
            raise ValueError(
                f"accuracy must hold at least two different values to be standardised, got {len(accuracy)} "
                f"network(s){f', all at {accuracy[0]:g}' if len(accuracy) else ''}."
            )
        ratio = accuracy / self._divisor(flops, accuracy)
        mean, std = float(ratio.mean()), float(ratio.std())
        if std <= 1e-12 * abs(mean):
            raise ValueError("accuracy and flops make a target without any spread: there is nothing to learn from it.")
        self.mean_, self.std_ = mean, std
        return self

    def transform(self, accuracy, flops=None) -> np.ndarray:
        """Accuracies (N,) → standardised targets (N,). Arguments as in `fit`."""
        accuracy = fractions("accuracy", accuracy)
        self._require_fit()
        return (accuracy / self._divisor(flops, accuracy) - self.mean_) / self.std_

    def inverse(self, target, flops=None) -> np.ndarray:
        """Predicted targets (N,) → accuracies (N,). Not clipped to [0, 1], since clipping would tie the best."""
        target = finite_array("target", target)
        self._require_fit()
        return (target * self.std_ + self.mean_) * self._divisor(flops, target)

    def to_dict(self) -> dict:
        """The fitted transform as plain values for JSON; `transform_from_dict` reads them."""
        self._require_fit()
        return {"kind": self.kind, "mean": self.mean_, "std": self.std_}

    def _divisor(self, flops, values: np.ndarray) -> np.ndarray | float:
        """What the accuracy is divided by before it is standardised."""
        return 1.0

    def _require_fit(self) -> None:
        if not hasattr(self, "mean_"):
            raise ValueError(f"{type(self).__name__} has no statistics yet: call fit on the training partition first.")

    def __repr__(self) -> str:
        fitted = f"mean={self.mean_:.4g}, std={self.std_:.4g}" if hasattr(self, "mean_") else "not fitted"
        return f"{type(self).__name__}({fitted})"


class FlopsTransform(AccuracyTransform):
    """The FLOPs transform T (GENNAPE eq. 5): y = Z(A / (log10(F + 1) + 1)), Z the z-score of the training partition.

    A network counts as better if it is as accurate with fewer FLOPs.

    Parameters
    ----------
    flops_unit : float
        FLOPs in one unit of F. The paper's unit is the GFLOP, 1e9. A benchmark of tiny networks names its own on its
        card, say the training median, or log10(F + 1) would be zero for all of them.
    """

    kind = "flops"

    def __init__(self, flops_unit: float = 1e9):
        if not (isinstance(flops_unit, (int, float, np.number)) and math.isfinite(flops_unit) and flops_unit > 0):
            raise ValueError(f"flops_unit must be a positive number of FLOPs, such as 1e9, got {flops_unit!r}.")
        self.flops_unit = float(flops_unit)

    def to_dict(self) -> dict:
        return {**super().to_dict(), "flops_unit": self.flops_unit}

    def _divisor(self, flops, values: np.ndarray) -> np.ndarray:
        if flops is None:
            raise ValueError("flops must be given: FlopsTransform needs the FLOPs of every network.")
        flops = finite_array("flops", flops)
        same_length(values=values, flops=flops)
        if (flops <= 0).any():
            raise ValueError(f"flops must be positive, got {flops[flops <= 0][0]:g}: every network computes something.")
        return np.log10(flops / self.flops_unit + 1) + 1


def transform_from_dict(state: dict) -> AccuracyTransform:
    """The fitted transform that `AccuracyTransform.to_dict` or `FlopsTransform.to_dict` described."""
    kind = state.get("kind")
    if kind not in ("accuracy", "flops"):
        raise ValueError(f"state must have the kind 'accuracy' or 'flops', got {kind!r}: pass what to_dict returned.")
    missing = {"mean", "std", *(["flops_unit"] if kind == "flops" else [])} - state.keys()
    if missing:
        raise ValueError(f"state lacks {', '.join(sorted(missing))}: pass what to_dict returned.")
    transform = FlopsTransform(state["flops_unit"]) if kind == "flops" else AccuracyTransform()
    transform.mean_, transform.std_ = map(float, finite_array("mean and std", [state["mean"], state["std"]]))
    return transform
