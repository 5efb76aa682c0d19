"""Information capacity: how many of a layer's channels carry information of their own; and which layers are narrow.

GenSynth's measure of this name is unpublished; this one is ours. A layer's output x has C channels. Over all samples
and positions, λ_1 ≥ ... ≥ λ_C are the eigenvalues of the channels' covariance matrix, and p_i = λ_i / Σ λ.

* Effective rank = exp(−Σ p_i log p_i) (Roy & Vetterli, EUSIPCO 2007), from 1 to C.
* **Information capacity** = effective rank / C, in (0, 1]; 0 where the output never changes.
* Saturation = the share of the C eigenvalues that it takes for 99 % of the variance (Richter et al., 2021).
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import NORMS, Op
from nasviz.measure.running import call, evaluating

if TYPE_CHECKING:
    import torch

CHANNELS_LAST = frozenset(
    {Op.LINEAR, Op.BILINEAR, Op.MATMUL, Op.EMBEDDING, Op.LAYER_NORM, Op.RMS_NORM, Op.LSTM, Op.GRU, Op.RNN, Op.ATTENTION}
)
"""Operators whose channels are the last dimension; those of the others are dimension 1, behind the batch."""


def channel_dim(node: Node) -> int:
    """The dimension, counted from the end, that holds the channels of a node's output."""
    dims = len(node.out_shape)
    if node.op in CHANNELS_LAST or dims < 2:
        return -1
    return -len(node.kernel) - 1 if node.kernel else 1 - dims  # by the kernel, as the batch may be missing


def channels(node: Node) -> int:
    """The number of channels of a node's output."""
    return node.out_shape[channel_dim(node)] if node.out_shape else 1


def effective_rank(eigenvalues: np.ndarray) -> float:
    """exp(H), H the Shannon entropy of the eigenvalues (C,) divided by their sum; 0 where all are 0."""
    p = _shares(eigenvalues)
    return float(np.exp(-np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p))))) if p.any() else 0.0


def saturation(eigenvalues: np.ndarray, variance: float = 0.99) -> float:
    """The share of the eigenvalues (C,) that it takes, largest first, for this share of their sum; 0 where all are 0.

    Raises
    ------
    ValueError
        If `variance` is no share.
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance={variance!r}: it is a share in (0, 1].")
    p = np.sort(_shares(eigenvalues))[::-1]
    # Rounding may leave the sum of all just below a variance of 1.
    return float((np.searchsorted(np.cumsum(p), variance * (1 - 1e-12)) + 1) / len(p)) if p.any() else 0.0


def _shares(eigenvalues: np.ndarray) -> np.ndarray:
    values = np.asarray(eigenvalues, dtype=float)
    values = np.where(
        values > values.max(initial=0) * 1e-12, values, 0
    )  # a covariance has none below 0 but by rounding
    total = values.sum()
    return values / total if total > 0 else np.zeros_like(values)


class Covariance:
    """Covariance of rows that come in batches, without keeping them (Chan, Golub & LeVeque, 1979).

    Attributes
    ----------
    count : int
        Rows so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: torch.Tensor | float = 0.0
        self._products: torch.Tensor | float = 0.0

    def add(self, rows: "torch.Tensor") -> None:
        """Take in rows (n, C)."""
        for part in rows.detach().split(max(1, (1 << 22) // rows.shape[1])):  # doubles of 32 MiB at a time
            if len(part):
                self._add(part.double())

    def _add(self, rows: "torch.Tensor") -> None:
        n, mean = len(rows), rows.mean(0)
        centred, shift = rows - mean, mean - self._mean
        total = self.count + n
        self._products = self._products + centred.T @ centred + shift.outer(shift) * (self.count * n / total)
        self._mean = self._mean + shift * (n / total)
        self.count = total

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues (C,) of the covariance matrix, ascending; NaN where a row was not finite."""
        if not self.count:
            return np.full(1, np.nan)
        matrix = (self._products / self.count).cpu().numpy()
        return np.linalg.eigvalsh(matrix) if np.isfinite(matrix).all() else np.full(len(matrix), np.nan)


def information_capacity(
    module: "torch.nn.Module", batches: Any, *, graph: ComputeGraph | None = None, trainable: bool = True
) -> pd.DataFrame:
    """Information capacity of the layers of a network.

    Parameters
    ----------
    module : nn.Module
        Run in eval mode without gradients, and left as it was.
    batches : tensor, or iterable
        Inputs, on the module's device. One tensor is one batch; of an iterable each entry is what `nasviz.trace`
        takes as an example: a tensor, a tuple of arguments, a dict. (Of a loader of pairs: ``(x for x, y in loader)``.)
    graph : ComputeGraph, optional
        That of the module; traced on the first batch by default.
    trainable : bool
        Only layers with weights, or all.

    Returns
    -------
    DataFrame
        One row a layer that ran, in the network's order: ``layer``; ``channels``; ``observations``, the rows that
        the covariance is of; ``effective_rank``; ``information_capacity``; ``saturation``. The rank of n observations
        is at most n − 1, so take many more of them than channels. NaN where an output was not finite. A layer is left
        out if its module puts out something else than its last operator, by the number of channels.

    Raises
    ------
    ValueError
        If there is no batch.
    """
    import torch

    from nasviz.graph.trace import trace, unwrapped

    module = unwrapped(module)
    batches = iter([batches] if isinstance(batches, torch.Tensor) else batches)
    first = next(batches, None)
    if first is None:
        raise ValueError("batches is empty; the capacity of a layer is measured on at least one input.")
    graph = graph if graph is not None else trace(module, first)
    # What a layer puts out is what its module returns; the last of its operators says where the channels are.
    last = {n.layer: n for n in graph.nodes if n.op is not Op.INPUT and (not trainable or has_weights(n))}
    found = {layer: Covariance() for layer in last}
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(module))
        for layer, node in last.items():
            hook = partial(_observe, found[layer], channel_dim(node), channels(node))
            stack.callback(module.get_submodule(layer).register_forward_hook(hook).remove)
        for batch in _chain(first, batches):
            call(module, batch)
    rows = []
    for layer, covariance in found.items():
        if covariance.count:
            values = covariance.eigenvalues
            known = np.isfinite(values).all()
            rank = effective_rank(values) if known else np.nan
            share = saturation(values) if known else np.nan
            rows.append((layer, len(values), covariance.count, rank, rank / len(values), share))
    columns = ["layer", "channels", "observations", "effective_rank", "information_capacity", "saturation"]
    return pd.DataFrame(rows, columns=columns)


def has_weights(node: Node) -> bool:
    """Whether an operator applies trainable parameters, be it that an earlier one has counted them."""
    return bool(node.params or node.weight_shape)


def _observe(covariance: Covariance, dim: int, size: int, module: Any, inputs: Any, output: Any) -> None:
    while isinstance(output, tuple | list) and output:  # an LSTM gives its states, too
        output = output[0]
    if getattr(output, "ndim", 0) >= -dim and output.shape[dim] == size:
        covariance.add(output.movedim(dim, -1).reshape(-1, size))


def _chain(first: Any, rest: Iterator[Any]) -> Iterable[Any]:
    yield first
    yield from rest


def bottleneck_rule(share: float = 2.0, quantile: float = 0.25) -> str:
    """The rule of `bottlenecks` in words, for the view that marks them."""
    return (
        f"at least {share:g} times the even share of the network's FLOPs or parameters, and an information capacity "
        f"below the {quantile:.0%} quantile; of layers with weights, normalisations left out"
    )


def bottlenecks(layers: pd.DataFrame, *, share: float = 2.0, quantile: float = 0.25) -> pd.Series:
    """Which layers of a network cost much and carry little.

    Of the L layers with weights, normalisations left out, one is a bottleneck if its part of all FLOPs or of all
    parameters is at least `share` / L, and its information capacity lies below the `quantile` of theirs.

    Parameters
    ----------
    layers : DataFrame
        One row a layer of one network, with the columns op, trainable, kflops, parameters, information_capacity.
        Without one of the last three, or where it is NaN, that part of the rule holds for no layer.
    share : float
        How many times the even share is much.
    quantile : float
        In [0, 1].

    Returns
    -------
    Series of bool
        By the index of `layers`.

    Raises
    ------
    ValueError
        If a column op or trainable is missing.
    """
    missing = [name for name in ("op", "trainable") if name not in layers]
    if missing:
        raise ValueError(f"the table of layers lacks {' and '.join(missing)}; it has {', '.join(map(str, layers))}.")
    weighted = layers["trainable"].astype(bool) & ~layers["op"].isin(NORMS)
    capacity = layers.get("information_capacity", pd.Series(np.nan, layers.index)).where(weighted)
    much = pd.Series(False, layers.index)
    for column in ("kflops", "parameters"):
        if column in layers and (total := layers[column].sum()) > 0:
            much |= layers[column] / total >= share / max(1, weighted.sum())
    return much & weighted & (capacity < capacity.quantile(quantile))
