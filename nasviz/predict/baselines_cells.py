"""Networks on cells of NAS-Bench-101: NPN, BANANAS and TNASP.

Each has ``encode`` (cells → tensors with a row a cell), ``forward`` (those → standardised accuracies, (N,), or (M, N)
of an ensemble of M) and ``loss`` (output, target, a bound above all targets → number), and names its learning rate.
Vertices are padded to seven; the operations are those of the cell, then input and output.
"""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasviz.families.nb101 import LABELS, MAX_VERTICES, Cell
from nasviz.predict.checks import whole_number
from nasviz.predict.mlp import MLPEnsemble

INPUT, OUTPUT, PADDING = len(LABELS), len(LABELS) + 1, len(LABELS) + 2


def matrices(cells: Sequence[Cell]) -> tuple[np.ndarray, np.ndarray]:
    """Adjacency (N, 7, 7) float32 and operations (N, 7) int64, padded."""
    adjacency = np.zeros((len(cells), MAX_VERTICES, MAX_VERTICES), dtype=np.float32)
    operations = np.full((len(cells), MAX_VERTICES), PADDING)
    for a, o, cell in zip(adjacency, operations, cells, strict=True):
        size = len(cell.matrix)
        a[:size, :size] = cell.matrix
        o[:size] = (INPUT, *cell.ops, OUTPUT)
    return adjacency, operations


class NPN(nn.Module):
    """The neural predictor (Wen et al., ECCV 2020): graph convolutions along the edges and against them.

    V' = ½ ReLU(A V W₊) + ½ ReLU(Aᵀ V W₋) with A the adjacency with loops, rows scaled to a sum of one; the mean over
    vertices goes through a layer of 128. One regressor: the paper's classifier before it, which sorts out cells below
    91 %, has no place in a comparison on all cells.

    Parameters
    ----------
    width, layers, hidden : int
        144, 3 and 128 in the paper.
    dropout : float
        0.1 in the reimplementation that others build on.
    """

    lr, weight_decay = 1e-3, 1e-3

    def __init__(self, width: int = 144, layers: int = 3, hidden: int = 128, dropout: float = 0.1):
        super().__init__()
        sizes = [OUTPUT + 1, *[width] * layers]
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.along = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairs)
        self.against = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairs)
        for linear in (*self.along, *self.against):
            nn.init.xavier_uniform_(linear.weight)
        self.dropout = nn.Dropout(dropout)
        self.hidden, self.out = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, 1, bias=False)

    @staticmethod
    def encode(cells: Sequence[Cell]) -> tuple[Tensor, ...]:
        """The two scaled adjacencies (N, 7, 7), one-hot operations (N, 7, 5) and numbers of vertices (N,)."""
        adjacency, operations = matrices(cells)
        loops = adjacency + np.eye(MAX_VERTICES, dtype=np.float32)
        one_hot = np.eye(PADDING + 1, dtype=np.float32)[operations][..., :PADDING]
        # Vertex w reads from v where there is an edge v → w, so "along" is the transpose of the matrix.
        along, against = loops.transpose(0, 2, 1), loops
        parts = (*(a / a.sum(2, keepdims=True) for a in (along, against)), one_hot, one_hot.sum((1, 2)))
        return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in parts)

    def forward(self, along: Tensor, against: Tensor, x: Tensor, size: Tensor) -> Tensor:
        for forward, backward in zip(self.along, self.against, strict=True):
            x = self.dropout((along @ forward(x)).relu() + (against @ backward(x)).relu()) / 2
        pooled = x.sum(1) / size.unsqueeze(1)
        return self.out(self.dropout(self.hidden(pooled))).squeeze(1)

    @staticmethod
    def loss(output: Tensor, target: Tensor, bound: float) -> Tensor:
        """Mean squared error."""
        return F.mse_loss(output, target)


class BANANAS(nn.Module):
    """The predictor of BANANAS (White et al., AAAI 2021): path encoding, an ensemble of narrow deep MLPs.

    Parameters
    ----------
    longest : int
        Paths of at most so many operations count (length truncation): 3, with 40 features, in the paper; 5 are all
        that there are.
    networks, layers, width : int
        5 networks of 10 layers of 20.
    """

    lr, weight_decay = 1e-2, 0.0

    def __init__(self, longest: int = 3, networks: int = 5, layers: int = 10, width: int = 20):
        super().__init__()
        self.paths = path_numbers(longest)
        self.networks = MLPEnsemble(len(self.paths), networks, hidden=width, layers=layers)
        with torch.no_grad():  # ten layers with the usual weights of torch would pass nothing on
            for weight, bias in zip(self.networks.weights, self.networks.biases, strict=True):
                bound = math.sqrt(6 / sum(weight.shape[1:]))  # Glorot and Bengio, as in Keras, which the paper used
                weight.uniform_(-bound, bound)
                bias.zero_()

    def encode(self, cells: Sequence[Cell]) -> tuple[Tensor]:
        """A feature a path: does the cell have it? (N, features)."""
        encoded = torch.zeros(len(cells), len(self.paths))
        for row, cell in zip(encoded, cells, strict=True):
            row[[self.paths[path] for path in operation_paths(cell) if path in self.paths]] = 1
        return (encoded,)

    def forward(self, paths: Tensor) -> Tensor:
        return self.networks.each(paths).squeeze(-1)

    @staticmethod
    def loss(output: Tensor, target: Tensor, bound: float) -> Tensor:
        """The mean absolute percentage error of the distance to the bound, summed over the networks.

        The paper has |(ŷ - y_LB) / (y - y_LB) - 1| with a lower bound on errors; with an upper bound on accuracies
        that is |ŷ - y| / (bound - y).
        """
        return ((output - target).abs() / (bound - target)).mean(1).sum()


class TNASP(nn.Module):
    """TNASP (Lu et al., NeurIPS 2021): a Transformer on the vertices, placed by their rows of the graph's Laplacian.

    Its self-evolution, which feeds what it predicts for the test cells back into training, is left out here: no test
    cell reaches a fit.

    Parameters
    ----------
    width, heads, layers, hidden : int
        80, 4, 3 and 96 in the released code.
    dropout : float
        0.1 there.
    """

    lr, weight_decay = 1e-3, 1e-3

    def __init__(self, width: int = 80, heads: int = 4, layers: int = 3, hidden: int = 96, dropout: float = 0.1):
        super().__init__()
        self.operation = nn.Embedding(PADDING + 1, width)
        self.position = nn.Linear(MAX_VERTICES, width, bias=False)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(dropout)
        self.hidden, self.out = nn.Linear(MAX_VERTICES * width, hidden, bias=False), nn.Linear(hidden, 1, bias=False)

    @staticmethod
    def encode(cells: Sequence[Cell]) -> tuple[Tensor, ...]:
        """The Laplacians D - A of the directed graphs, D the out-degrees (N, 7, 7), and operations (N, 7)."""
        adjacency, operations = matrices(cells)
        degrees = adjacency.sum(2, keepdims=True) * np.eye(MAX_VERTICES, dtype=np.float32)
        return torch.from_numpy(degrees - adjacency), torch.from_numpy(operations)

    def forward(self, laplacian: Tensor, operations: Tensor) -> Tensor:
        padded = operations == PADDING
        x = self.operation(operations) + self.position(laplacian)
        x = self.transformer(x, src_key_padding_mask=padded).masked_fill(padded.unsqueeze(-1), 0)
        return self.out(self.dropout(self.hidden(x.flatten(1)))).squeeze(1)

    @staticmethod
    def loss(output: Tensor, target: Tensor, bound: float) -> Tensor:
        """Mean squared error."""
        return F.mse_loss(output, target)


def path_numbers(longest: int) -> dict[tuple[int, ...], int]:
    """A number for every sequence of at most `longest` operations, short ones first."""
    whole_number("longest", longest, least=0)
    sequences = (path for length in range(longest + 1) for path in product(range(len(LABELS)), repeat=length))
    return {path: number for number, path in enumerate(sequences)}


def operation_paths(cell: Cell) -> set[tuple[int, ...]]:
    """The operations on each way from input to output."""
    last = len(cell.matrix) - 1
    ways: list[set[tuple[int, ...]]] = [{()}, *[set() for _ in range(last)]]
    for w in range(1, last + 1):
        for v in range(w):
            if cell.matrix[v][w]:
                ways[w] |= ways[v]
        if w < last:
            ways[w] = {(*way, cell.ops[w - 1]) for way in ways[w]}
    return ways[last]
