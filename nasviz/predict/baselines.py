"""Predictors that know cells of NAS-Bench-101 and nothing else: NPN, BANANAS and TNASP, as the paper compares them.

They read a cell's matrix and operations, and no computation graph, so they cannot be asked about another family. The
networks are in `baselines_cells`; here is the one interface that they are used by.
"""

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nasviz.families import get
from nasviz.families.nb101 import Cell
from nasviz.predict.baselines_cells import BANANAS, NPN, TNASP
from nasviz.predict.checks import fractions, same_length, whole_number
from nasviz.predict.training import Schedule, fingerprint, seeded, train
from nasviz.predict.transform import AccuracyTransform

CELL_PREDICTORS = {"NPN": NPN, "BANANAS": BANANAS, "TNASP": TNASP}


class CellPredictor:
    """A predictor of accuracy for cells of NAS-Bench-101.

    Parameters
    ----------
    method : str
        "NPN" (Wen et al., ECCV 2020), "BANANAS" (White et al., AAAI 2021) or "TNASP" (Lu et al., NeurIPS 2021).
    **settings
        Of the method's network, see there.

    Attributes
    ----------
    network : nn.Module
        After `fit`.
    history_ : DataFrame
        The training loss by epoch.

    Raises
    ------
    ValueError
        If there is no such method.

    Examples
    --------
    >>> cells = ["2:1:", "3:7:0", "3:7:1", "3:7:2"]
    >>> predictor = CellPredictor("BANANAS").fit(cells, [0.80, 0.93, 0.91, 0.85], epochs=1)
    >>> predictor.predict(["3:5:0"]).shape
    (1,)
    """

    predicts_accuracy = True

    def __init__(self, method: str, **settings):
        if method not in CELL_PREDICTORS:
            raise ValueError(f"method={method!r}: choose from {', '.join(CELL_PREDICTORS)}.")
        self.method, self.settings = method, settings
        self.transform = AccuracyTransform()

    def fit(
        self,
        cells: Iterable[Cell | str],
        accuracy: Sequence[float],
        *,
        epochs: int = 40,
        batch_size: int = 32,
        lr: float | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> Self:
        """Learn from labelled cells; the last weights are kept, so that nothing needs to be watched.

        Parameters
        ----------
        cells : iterable of Cell or of their text form
            The training cells.
        accuracy : sequence of N fractions
            Their accuracies.
        epochs, batch_size : int
            40 and 32, as the GENNAPE paper trains its own regressors; the three papers train longer, on few cells.
        lr : float, optional
            The highest learning rate; default: the network's own.
        seed : int
            Of weights, order and dropout.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If lengths differ, or an accuracy is NaN or outside [0, 1].
        """
        cells, accuracy = as_cells(cells), fractions("accuracy", accuracy)
        same_length(cells=cells, accuracy=accuracy)
        whole_number("epochs", epochs)
        self.transform.fit(accuracy)
        kind = CELL_PREDICTORS[self.method]
        with seeded(seed):
            self.network = kind(**self.settings)
        inputs = self.network.encode(cells)
        target = torch.tensor(self.transform.transform(accuracy), dtype=torch.float32)
        bound = self._bound(accuracy)

        def loss(batch: tuple[tuple[Tensor, ...], Tensor]) -> dict[str, Tensor]:
            part, y = batch
            return {"loss": self.network.loss(self.network(*part), y, bound)}

        def batches(order: Tensor):
            for rows in order.split(batch_size):
                yield tuple(tensor[rows] for tensor in inputs), target[rows]

        schedule = Schedule(len(cells), batch_size, epochs, lr or kind.lr, kind.weight_decay)
        identity = {"data": fingerprint(accuracy)}
        self.history_: pd.DataFrame = train(
            self.network, batches, loss, schedule, seed=seed, progress=progress, label=self.method, identity=identity
        )
        return self

    @torch.no_grad()
    def predict(self, cells: Iterable[Cell | str], batch_size: int = 1024) -> np.ndarray:
        """Predicted accuracies of cells, shape (N,); the mean over the networks of an ensemble."""
        if not hasattr(self, "network"):
            raise ValueError(f"{self.method} was not trained: call fit with labelled cells first.")
        cells = as_cells(cells)
        inputs = self.network.eval().encode(cells)
        parts = [
            self.network(*(tensor[start : start + batch_size] for tensor in inputs))
            for start in range(0, len(cells), batch_size)
        ]
        output = torch.cat(parts, dim=-1) if parts else torch.empty(0)
        return self.transform.inverse((output.mean(0) if output.ndim == 2 else output).numpy())

    def _bound(self, accuracy: np.ndarray) -> float:
        """A standardised accuracy above all others: a tenth of the smallest error beyond the best training cell."""
        best = accuracy.max()
        return float((best + 0.1 * max(1 - best, 1e-3) - self.transform.mean_) / self.transform.std_)


def as_cells(cells: Iterable[Cell | str]) -> list[Cell]:
    """Cells as such; text forms are parsed.

    Raises
    ------
    TypeError
        If something is neither.
    ValueError
        If a text is no cell.
    """
    family, result = get("nb101"), []
    for position, cell in enumerate([cells] if isinstance(cells, str) else cells):
        if not isinstance(cell, Cell | str):
            raise TypeError(f"cells[{position}] is a {type(cell).__name__}; give cells of nb101 or their text form.")
        result.append(family.parse(cell) if isinstance(cell, str) else cell)
    return result
