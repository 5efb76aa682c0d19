"""The confusion matrix: nasviz's own performance-metric plug-in, and the example of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nasviz.resources import write_atomically


class ConfusionMatrix:
    """Accuracy, recall and precision of a classifier with any number of classes, and the confusion matrix.

    `update` needs the true classes, ``data["label"]`` (or the last field of data without names), of any shape that is
    the logits' without the dimension of classes, and the logits, of shape (N, classes, ...).

    With M[t, p] the number of samples of class t that were taken for class p:
    accuracy = Σ_i M[i, i] / Σ M; recall = mean_i M[i, i] / Σ_p M[i, p]; precision = mean_i M[i, i] / Σ_t M[t, i].
    Recall has no value if a class has no sample, precision if a class is never predicted, accuracy without samples.
    The matrix is the artifact ``confusion_matrix``: a table with a row a true class and a column a predicted one.
    """

    input_keys: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(self, folder_name: str) -> None:
        self.folder = Path(folder_name)
        self.matrix: np.ndarray | None = None

    def update(self, data: Any, tensor_values: Mapping[str, Any]) -> None:
        """Count a batch.

        Raises
        ------
        ValueError
            If the shapes do not fit, or a label is no class of the network.
        """
        logits = np.asarray(tensor_values["logits"])
        true = np.asarray(data["label"] if isinstance(data, Mapping) else data[-1])
        if logits.ndim < 2 or true.shape != logits.shape[:1] + logits.shape[2:]:
            raise ValueError(f"labels of shape {true.shape} do not fit logits of shape {logits.shape}")
        classes, true = logits.shape[1], true.ravel()
        if true.dtype.kind not in "iub" or (true.size and not 0 <= true.min() <= true.max() < classes):
            raise ValueError(f"labels are integers from 0 to {classes - 1} here, seen {true.min()} to {true.max()}")
        predicted = logits.argmax(1).ravel()
        counts = np.bincount(true.astype(np.int64) * classes + predicted, minlength=classes**2)
        counts = counts.reshape(classes, classes)
        self.matrix = counts if self.matrix is None else self.matrix + counts

    def get_worker_results(self) -> np.ndarray | None:
        """The counts of this worker; None before the first batch."""
        return self.matrix

    def reduce_all_worker_results(self, worker_results_list: list[np.ndarray | None]) -> dict[str, float | None]:
        """Accuracy, recall and precision over all workers, each a fraction or None."""
        matrices = [matrix for matrix in worker_results_list if matrix is not None]
        if not matrices:
            return {"accuracy": None, "recall": None, "precision": None}
        matrix = np.sum(matrices, axis=0)
        write_atomically(self.folder / "confusion_matrix.parquet", _table(matrix).to_parquet)
        right, total = np.diag(matrix), matrix.sum()
        return {
            "accuracy": float(right.sum() / total) if total else None,
            "recall": _mean_fraction(right, matrix.sum(axis=1)),
            "precision": _mean_fraction(right, matrix.sum(axis=0)),
        }


def _mean_fraction(right: np.ndarray, totals: np.ndarray) -> float | None:
    return float(np.mean(right / totals)) if totals.all() else None


def _table(matrix: np.ndarray) -> Any:
    import pandas as pd

    names = [str(i) for i in range(len(matrix))]
    return pd.DataFrame(matrix, index=pd.Index(names, name="true"), columns=pd.Index(names, name="predicted"))
