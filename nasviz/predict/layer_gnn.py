"""A deep graph neural network over folded networks: messages along and against the edges, residual, normalised.

What a node tells of its size is relative to the network's first convolution, so that a network twice as wide throughout
looks the same: families differ in width for reasons that say nothing about their wiring.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from nasviz.predict.folding import CONV, KINDS, LINEAR, Folded, ranges
from nasviz.predict.training import Schedule, fingerprint, seeded, train

warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)  # no news to a user

TYPES = (
    ("input",), ("linear",), ("pool",), ("squeeze",), ("combine", "scale"), ("concat",),
    ("norm", "activation", "zero", "move"),
)  # fmt: skip
"""Kinds that share a one-hot entry; convolutions have two, by whether the kernel is larger than 1×1."""
FEATURES = len(TYPES) + 12
DECAY = 0.998


def layer_features(folded: Folded) -> torch.Tensor:
    """Features of the folded nodes, (nodes, `FEATURES`) float32, all of them of the order of 1."""
    nodes, owner = folded.nodes, folded.owner
    kind = nodes["kind"].to_numpy(int)
    conv = kind == CONV
    first = pd.Series(np.flatnonzero(conv)).groupby(owner[conv]).min().reindex(range(len(folded)))
    first = first.fillna(pd.Series(folded.start[:-1])).to_numpy(int)[owner]  # without a convolution: the input
    deepest = np.maximum.reduceat(folded.level, folded.start[:-1])[owner]
    stem_c, stem_pixels = (nodes[name].to_numpy()[first] for name in ("out_c", "out_pixels"))
    kernel, windowed = nodes["kernel"], conv | (kind == KINDS.index("pool"))

    def log(values) -> np.ndarray:
        return np.log2(np.maximum(values, 1e-9))

    columns = [
        *(np.isin(kind, [KINDS.index(name) for name in names]) for names in TYPES),
        conv & (kernel > 1),
        conv & (kernel <= 1),
        nodes["activations"],
        nodes["norms"],
        log(nodes["out_c"] / stem_c) / 3,
        log(nodes["in_c"] / stem_c) / 3,
        log(nodes["out_pixels"].clip(lower=1) / np.maximum(stem_pixels, 1)) / 6,
        log(nodes["in_pixels"].clip(lower=1) / np.maximum(stem_pixels, 1)) / 6,
        np.sqrt(kernel) / 3 * windowed,
        nodes["stride"] > 1,
        folded.level / np.maximum(deepest, 1),
        log(nodes["fan_in"].clip(lower=1)) / 10 * (conv | (kind == LINEAR)),
    ]
    return torch.from_numpy(np.stack([np.asarray(column, np.float32) for column in columns], axis=1))


@dataclass(frozen=True)
class LayerBatch:
    """N networks at once.

    Attributes
    ----------
    x : Tensor of shape (nodes, `FEATURES`)
        Node features.
    along, against : sparse CSR tensors of shape (nodes, nodes)
        Row j of `along` sums over the nodes that j reads; `against` is its transpose.
    owner, last, sizes : Tensor
        Network of each node; last node, and number of nodes, of each network.
    """

    x: torch.Tensor
    along: torch.Tensor
    against: torch.Tensor
    owner: torch.Tensor
    last: torch.Tensor
    sizes: torch.Tensor

    def to(self, device: str | torch.device) -> Self:
        """The same on another device."""
        return type(self)(**{name: value.to(device) for name, value in vars(self).items()})


class LayerGraphs:
    """Networks as arrays from which a batch of any of them is cut quickly."""

    def __init__(self, folded: Folded):
        self.x, self.start, self.sizes = layer_features(folded), folded.start, np.diff(folded.start)
        owner = folded.owner[folded.edges[:, 1]]
        self.edge_start = np.searchsorted(owner, np.arange(len(folded) + 1))
        local = folded.edges - folded.start[owner][:, None]
        self.by_target = local
        self.by_source = local[np.lexsort((folded.edges[:, 1], folded.edges[:, 0]))]

    def __len__(self) -> int:
        return len(self.sizes)

    def batch(self, rows: Sequence[int]) -> LayerBatch:
        """The networks at `rows`."""
        rows = np.asarray(rows)
        sizes, edges = self.sizes[rows], np.diff(self.edge_start)[rows]
        offset = np.cumsum(sizes) - sizes
        which, shift = ranges(self.edge_start[rows], edges), np.repeat(offset, edges)[:, None]
        count = int(sizes.sum())
        forth, back = self.by_target[which] + shift, self.by_source[which] + shift
        return LayerBatch(
            self.x[torch.from_numpy(ranges(self.start[rows], sizes))],
            _csr(forth[:, 1], forth[:, 0], count),
            _csr(back[:, 0], back[:, 1], count),
            torch.from_numpy(np.repeat(np.arange(len(rows)), sizes)),
            torch.from_numpy(offset + sizes - 1),
            torch.from_numpy(sizes),
        )

    def batches(self, rows: Iterable[int], size: int) -> Iterator[tuple[np.ndarray, LayerBatch]]:
        """The networks at `rows`, `size` at a time: positions in `rows`, and the batch."""
        rows = np.asarray(list(rows))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield part, self.batch(part)


def _csr(rows: np.ndarray, columns: np.ndarray, count: int) -> torch.Tensor:
    pointers = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=count), out=pointers[1:])
    values = torch.ones(len(columns))
    return torch.sparse_csr_tensor(
        torch.from_numpy(pointers), torch.from_numpy(columns.astype(np.int32)), values, (count, count),
        check_invariants=False,
    )  # fmt: skip


class _Neighbours(torch.autograd.Function):
    """h → (A h, Aᵀ h). Both matrices are at hand, so the gradient needs no transposition."""

    @staticmethod
    def forward(ctx, h, along, against):
        ctx.matrices = along, against
        return along @ h, against @ h

    @staticmethod
    def backward(ctx, from_along, from_against):
        along, against = ctx.matrices
        return against @ from_along + along @ from_against, None, None


class Block(nn.Module):
    """h + W₂ ReLU(W₁ [z, A z, Aᵀ z]) with z = LayerNorm(h)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, width)
        with torch.no_grad():
            self.out.weight *= 0.3  # a deep network starts near the identity

    def forward(self, h: torch.Tensor, along: torch.Tensor, against: torch.Tensor) -> torch.Tensor:
        z = self.norm(h)
        return h + self.out(F.relu(self.mix(torch.cat([z, *_Neighbours.apply(z, along, against)], dim=1))))


class LayerGNN(nn.Module):
    """From a batch of networks to their standardised accuracies.

    Parameters
    ----------
    width, layers : int
        Size of a node's vector, and number of blocks: how far messages reach.
    """

    def __init__(self, width: int = 64, layers: int = 10):
        super().__init__()
        self.config = {"width": width, "layers": layers}
        self.embed_nodes = nn.Linear(FEATURES, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(3 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))

    def embed(self, batch: LayerBatch) -> torch.Tensor:
        """Mean and maximum over the nodes, and the last node: (N, 3 · width)."""
        h = self.embed_nodes(batch.x)
        for block in self.blocks:
            h = block(h, batch.along, batch.against)
        h = self.norm(h)
        mean = h.new_zeros(len(batch.sizes), h.shape[1]).index_add(0, batch.owner, h) / batch.sizes[:, None]
        highest = torch.segment_reduce(h, "max", lengths=batch.sizes)
        return torch.cat([mean, highest, h[batch.last]], dim=1)

    def forward(self, batch: LayerBatch) -> torch.Tensor:
        """(N,)."""
        return self.head(self.embed(batch)).squeeze(-1)


class _Averaged(nn.Module):
    """A network and the moving average of its weights, which predicts better than the last weights do."""

    def __init__(self, network: LayerGNN):
        super().__init__()

        def step(average, current, count):
            return average.lerp(current, 1 - min(DECAY, (1 + int(count)) / (10 + int(count))))

        self.network = network
        self.average = AveragedModel(network, avg_fn=step).requires_grad_(False)


def fit_layer_gnn(
    graphs: LayerGraphs,
    rows: Sequence[int],
    target: np.ndarray,
    *,
    network: LayerGNN | None = None,
    width: int = 64,
    layers: int = 10,
    epochs: int = 16,
    batch_size: int = 32,
    lr: float = 2e-3,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: bool = False,
) -> tuple[LayerGNN, pd.DataFrame]:
    """Train a network by the Huber loss; the average of its weights over the last steps is returned.

    Parameters
    ----------
    graphs : LayerGraphs
        Networks, among them those to train on.
    rows : sequence of int
        Which to train on.
    target : ndarray of shape (len(rows),)
        Their standardised accuracies.
    network : LayerGNN, optional
        Weights to start from, which stay as they are; default: new ones, drawn by `seed`.
    width, layers : int
        Size of a new network.
    epochs, batch_size, lr, seed, device, checkpoint, progress
        As in `nasviz.predict.training.train`.

    Returns
    -------
    LayerGNN
        In evaluation mode, on the CPU.
    DataFrame
        One row an epoch: epoch, loss.
    """
    rows, target = np.asarray(rows), torch.as_tensor(np.asarray(target), dtype=torch.float32)
    with seeded(seed):
        fresh = LayerGNN(**(network.config if network else {"width": width, "layers": layers}))
    if network is not None:
        fresh.load_state_dict(network.state_dict())
    model = _Averaged(fresh).to(device)

    def loss(part: tuple[np.ndarray, LayerBatch]) -> dict[str, torch.Tensor]:
        positions, batch = part
        if model.training:
            model.average.update_parameters(model.network)
        predicted = model.network(batch.to(device))
        return {"loss": F.huber_loss(predicted, target[torch.from_numpy(positions)].to(device))}

    def shuffled(order: torch.Tensor) -> Iterator[tuple[np.ndarray, LayerBatch]]:
        for positions in order.split(batch_size):
            yield positions.numpy(), graphs.batch(rows[positions.numpy()])

    history = train(
        model, shuffled, loss, Schedule(len(rows), batch_size, epochs, lr), seed=seed, checkpoint=checkpoint,
        progress=progress, label="layer GNN", identity={**fresh.config, "data": fingerprint(rows, target.numpy())},
    )  # fmt: skip
    return model.average.module.cpu().eval(), history


@torch.no_grad()
def run_layer_gnn(network: LayerGNN, graphs: LayerGraphs, *, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Standardised accuracies (N,) and embeddings (N, 3 · width), float32, of all networks in their order."""
    predicted = np.empty(len(graphs), dtype=np.float32)
    embedded = np.empty((len(graphs), 3 * network.config["width"]), dtype=np.float32)
    for rows, batch in graphs.batches(np.argsort(graphs.sizes, kind="stable"), batch_size):
        h = network.embed(batch)
        embedded[rows], predicted[rows] = h.numpy(), network.head(h).squeeze(-1).numpy()
    return predicted, embedded
