"""Many graphs in little arithmetic: nodes that no layer can tell apart are computed once.

A layer of a graph network sees of a node its own vector and those of its predecessors. So two nodes with the same
features get the same vector in every layer as far as their histories agree, be they in one graph or in two. These
classes are those of the Weisfeiler and Leman colouring (Morris et al., AAAI 2019). Cells repeat within a network, and
networks of a family share their cells: a batch of 32 graphs of NAS-Bench-101 has 5,600 nodes, but 280 classes after
the first layer and 2,300 after the sixth. What is computed on the classes is the network's output up to rounding.
"""

import copy
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data

CONVOLUTIONS = ("k-GNN", "GCN", "GIN")
"""Layers that a batch can be made for; what differs is how a node's vector joins those of its predecessors."""

with warnings.catch_warnings():  # torch says once that compressed rows are new; a reader of a notebook need not know
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1))


@dataclass(eq=False)
class Sparse:
    """A constant sparse matrix in a product ``matrix @ dense`` whose gradient flows to the dense factor.

    Its transpose is prepared with it, since the gradient is a product with that: a row gather instead of the scatter
    that autograd would make of it.
    """

    matrix: Tensor
    transpose: Tensor

    @classmethod
    def of(cls, first: np.ndarray, columns: np.ndarray, values: np.ndarray, width: int) -> Self:
        """From compressed rows: row i has the columns and values from ``first[i]`` to ``first[i + 1]``."""
        height = len(first) - 1
        # NumPy sorts 16 bits by radix, ten times as fast as it sorts 32.
        order = np.argsort(columns.astype(np.uint16) if width <= 1 << 16 else columns, kind="stable")
        rows = np.repeat(np.arange(height, dtype=np.int32), np.diff(first))
        turned = _starts(np.bincount(columns, minlength=width))
        return cls(
            _csr(first, columns, values, (height, width)), _csr(turned, rows[order], values[order], (width, height))
        )

    def __matmul__(self, dense: Tensor) -> Tensor:
        return _Product.apply(self, dense)

    def to(self, device: str | torch.device) -> Self:
        """The matrix on a device."""
        return type(self)(self.matrix.to(device), self.transpose.to(device))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, sparse: Sparse, dense: Tensor) -> Tensor:
        ctx.sparse = sparse
        return sparse.matrix @ dense

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor]:
        return None, ctx.sparse.transpose @ gradient


@dataclass(eq=False)
class CompactBatch:
    """Graphs that go through a network together.

    Attributes
    ----------
    x : Tensor of shape (classes before the first layer, features)
        Node features.
    steps : list of Sparse
        One a layer: rows are the classes after it, columns those before it; for "k-GNN", column 2j is the vector that
        class j sends to its successors and column 2j + 1 the one that it keeps.
    pool : Sparse of shape (graphs, classes after the last layer)
        The mean over a graph's nodes.
    """

    x: Tensor
    steps: list[Sparse]
    pool: Sparse

    def to(self, device: str | torch.device) -> Self:
        """The batch on a device."""
        return type(self)(self.x.to(device), [step.to(device) for step in self.steps], self.pool.to(device))


class CompactGraphs:
    """Graphs as flat arrays with the classes of their nodes, made once; batches of them cost a millisecond.

    Classes are told apart by a 64-bit hash: among a million of them, two differ without being noticed with a
    probability of 3e-8.

    Parameters
    ----------
    dataset : sequence of Data
        The graphs.
    layers : int
        Layers of the network that they are made for.
    convolution : str
        One of `CONVOLUTIONS`.
    """

    def __init__(self, dataset: Sequence[Data], layers: int, convolution: str = "k-GNN"):
        self.layers, self.convolution = layers, convolution
        self._alone: dict[int, CompactBatch] = {}
        self.sizes = np.array([data.num_nodes for data in dataset])
        self.starts = _starts(self.sizes)[:-1]
        self.rows = np.arange(len(dataset))
        x = torch.cat([data.x for data in dataset]).numpy()
        edges = np.concatenate(
            [data.edge_index.numpy() + start for data, start in zip(dataset, self.starts, strict=True)], axis=1
        )
        self.sources, targets = edges[:, np.argsort(edges[1], kind="stable")].astype(np.int32)
        self.degrees = np.bincount(targets, minlength=len(x)).astype(np.int32)
        self.first = _starts(self.degrees)
        # The number of predecessors is part of the first class, because GCN weighs by it.
        classes, examples = _factorise(_hash_rows(x) + _mix(self.degrees))
        self.features, self.classes, self.counts = torch.from_numpy(x[examples]), [classes], [len(examples)]
        for _ in range(layers):
            own = _mix(self.classes[-1] + 1)
            classes, examples = _factorise(_mix(3 * own + self._sum_over_predecessors(_mix(own + 7))))
            self.classes.append(classes)
            self.counts.append(len(examples))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        """The graphs at `rows`; nothing is copied."""
        part = copy.copy(self)
        part.rows, part._alone = self.rows[np.asarray(rows)], {}
        return part

    def batch(self, rows: Sequence[int] | np.ndarray) -> CompactBatch:
        """The graphs at `rows` as one batch, in this order."""
        graphs = self.rows[np.asarray(rows)]
        sizes = self.sizes[graphs]
        nodes = _ranges(self.starts[graphs], sizes)
        place, members = self._places(self.layers, nodes)
        mean = np.repeat((1 / sizes).astype(np.float32), sizes)
        pool = Sparse.of(_starts(sizes), place[self.classes[-1][nodes]], mean, len(members))
        steps = []
        # From the last layer to the first: classes only split on the way, so the later ones have all of the earlier.
        for layer in reversed(range(self.layers)):
            place, earlier = self._places(layer, members)
            steps.append(self._step(members, layer, place, len(earlier)))
            members = earlier
        return CompactBatch(self.features[torch.from_numpy(self.classes[0][members])], steps[::-1], pool)

    def batches(self, order: Iterable[int], size: int) -> Iterable[tuple[Tensor, CompactBatch]]:
        """The graphs in an order, `size` at a time: their row numbers and the batch of them.

        A batch of one graph is kept for the next epoch, which will ask for it again.
        """
        order = torch.as_tensor(order)
        for rows in order.split(size):
            if size > 1:
                yield rows, self.batch(rows.numpy())
                continue
            row = int(rows)
            if row not in self._alone:
                self._alone[row] = self.batch([row])
            yield rows, self._alone[row]

    def _places(self, layer: int, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of each class that occurs among the nodes (of the others, anything), and one node a class."""
        classes, numbers = self.classes[layer][nodes], np.arange(len(nodes), dtype=np.int32)
        place = np.empty(self.counts[layer], dtype=np.int32)
        place[classes] = numbers  # the last node of a class wins
        last = place[classes] == numbers
        place[classes[last]] = numbers[: last.sum()]
        return place, nodes[last]

    def _step(self, members: np.ndarray, layer: int, place: np.ndarray, width: int) -> Sparse:
        """The matrix of one layer: in each row the class's own vector, then those of its predecessors."""
        classes, degrees = self.classes[layer], self.degrees[members]
        sources = self.sources[_ranges(self.first[members], degrees)]
        first = _starts(degrees + 1)
        is_own = np.zeros(first[-1], dtype=bool)
        is_own[first[:-1]] = True
        columns, values = np.empty(first[-1], dtype=np.int32), np.ones(first[-1], dtype=np.float32)
        columns[is_own], columns[~is_own] = place[classes[members]], place[classes[sources]]
        if self.convolution == "k-GNN":
            columns, width = 2 * columns + is_own, 2 * width
        elif self.convolution == "GCN":  # 1 / sqrt(d_i d_j), every node being its own predecessor
            ours, theirs = degrees + 1, self.degrees[sources] + 1
            values[is_own], values[~is_own] = 1 / ours, (np.repeat(ours, degrees) * theirs) ** -0.5
        return Sparse.of(first, columns, values, width)

    def _sum_over_predecessors(self, hashes: np.ndarray) -> np.ndarray:
        """Σ of the predecessors' hashes, modulo 2⁶⁴; 0 for a node without any."""
        sums = np.zeros(len(hashes), dtype=np.uint64)
        some = self.degrees > 0
        if some.any():
            sums[some] = np.add.reduceat(hashes[self.sources], self.first[:-1][some])
        return sums


def _csr(first: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Tensor:
    parts = map(torch.from_numpy, (first, columns, values))
    return torch.sparse_csr_tensor(*parts, shape, check_invariants=False)  # pyrefly: ignore[bad-argument-count]


def _starts(lengths: np.ndarray) -> np.ndarray:
    """Where each range starts if they stand one after the other, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, ..., of every range, one range after the other."""
    places = _starts(lengths)
    return np.repeat(starts - places[:-1], lengths) + np.arange(places[-1], dtype=np.int32)


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64 bits (the finaliser of SplitMix64), so that sums of hashes are hashes."""
    h = np.asarray(values).astype(np.uint64)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


def _hash_rows(x: np.ndarray) -> np.ndarray:
    """A hash of each row of a float32 matrix, by its bits."""
    h = np.zeros(len(x), dtype=np.uint64)
    for column in x.T:
        h = _mix(h * np.uint64(0x9E3779B97F4A7C15) + np.ascontiguousarray(column).view(np.uint32) + np.uint64(1))
    return h


def _factorise(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of equal hashes in order of appearance, and the first node of each."""
    numbers, _ = pd.factorize(hashes)
    first = np.empty(numbers.max() + 1, dtype=np.int64)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # the last one written stays
    return numbers.astype(np.int32), first
