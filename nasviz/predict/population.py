"""Networks made ready for prediction once: tensors, FLOPs and embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch_geometric.data import Data

from nasviz.graph.cost import total_flops
from nasviz.graph.graph import ComputeGraph
from nasviz.predict.checks import networks
from nasviz.predict.compact import CompactGraphs
from nasviz.predict.contrastive import embed
from nasviz.predict.encoder import Encoder
from nasviz.predict.tensors import to_dataset


@dataclass(eq=False)
class Population:
    """Networks that are ranked or learned from together.

    Attributes
    ----------
    dataset : list of Data
        Their graphs as tensors.
    flops : ndarray of shape (N,)
        FLOPs of one forward pass of one input.
    """

    dataset: list[Data]
    flops: np.ndarray
    _embeddings: dict[int, tuple[Encoder, np.ndarray]] = field(default_factory=dict, repr=False)
    _compact: dict[tuple, CompactGraphs] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, graphs: "Sequence[ComputeGraph] | Population") -> Self:
        """The population of these graphs; a population is passed on as it is, with what it has computed.

        Raises
        ------
        TypeError
            If it is no list, or an entry is no `ComputeGraph`.
        ValueError
            If there is none, or one without nodes.
        """
        if isinstance(graphs, Population):
            return graphs
        graphs = networks(graphs)
        dataset = to_dataset(graphs)
        return cls(dataset, np.array([total_flops(graph) / _inputs(graph) for graph in graphs]))

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, rows: Sequence[int]) -> Self:
        """The networks at `rows`, with what was already computed for them."""
        rows = np.arange(len(self))[rows]
        part = type(self)([self.dataset[i] for i in rows], self.flops[rows])
        part._embeddings = {key: (encoder, h[rows]) for key, (encoder, h) in self._embeddings.items()}
        part._compact = {key: compact.take(rows) for key, compact in self._compact.items()}
        return part

    def embedding(self, encoder: Encoder) -> np.ndarray:
        """Embeddings by `encoder`, shape (N, D); computed once."""
        if id(encoder) not in self._embeddings:
            self._embeddings[id(encoder)] = encoder, embed(encoder, self.dataset)
        return self._embeddings[id(encoder)][1]

    def compact(self, layers: int, convolution: str) -> CompactGraphs:
        """The graphs as `CompactGraphs` for a network of so many layers; made once."""
        key = (layers, convolution)
        if key not in self._compact:
            self._compact[key] = CompactGraphs(self.dataset, *key)
        return self._compact[key]


def _inputs(graph: ComputeGraph) -> int:
    """How many inputs one forward pass takes: the batch that the graph was traced with."""
    shape = graph.nodes[0].out_shape
    return max(shape[0], 1) if shape else 1


def as_tensor(values: np.ndarray) -> torch.Tensor:
    """Values as a float32 tensor."""
    return torch.tensor(np.asarray(values), dtype=torch.float32)
