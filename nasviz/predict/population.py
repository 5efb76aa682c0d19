"""Networks made ready for prediction once: tensors, FLOPs and embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch_geometric.data import Data

from nasviz.graph.cost import total_flops
from nasviz.graph.graph import ComputeGraph
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

    @classmethod
    def of(cls, graphs: "Sequence[ComputeGraph] | Population") -> Self:
        """The population of these graphs; a population is passed on as it is, with what it has computed.

        Raises
        ------
        TypeError
            If an entry is no `ComputeGraph`.
        ValueError
            If there is none.
        """
        if isinstance(graphs, Population):
            return graphs
        if isinstance(graphs, ComputeGraph):
            raise TypeError("graphs: expected a list of ComputeGraph, got a single one; write [graph].")
        graphs = list(graphs)
        if not graphs:
            raise ValueError("graphs is empty; give at least one ComputeGraph.")
        for position, graph in enumerate(graphs):
            if not isinstance(graph, ComputeGraph):
                raise TypeError(
                    f"graphs[{position}] is a {type(graph).__name__}, not a ComputeGraph; make one with nv.trace."
                )
        per_input = [total_flops(graph) / max(graph.nodes[0].out_shape[0], 1) for graph in graphs]
        return cls(to_dataset(graphs), np.array(per_input, dtype=float))

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, rows: Sequence[int]) -> Self:
        """The networks at `rows`, with the embeddings already computed."""
        rows = np.asarray(rows)
        part = type(self)([self.dataset[i] for i in rows], self.flops[rows])
        part._embeddings = {key: (encoder, h[rows]) for key, (encoder, h) in self._embeddings.items()}
        return part

    def embedding(self, encoder: Encoder) -> np.ndarray:
        """Embeddings by `encoder`, shape (N, D); computed once."""
        if id(encoder) not in self._embeddings:
            self._embeddings[id(encoder)] = encoder, embed(encoder, self.dataset)
        return self._embeddings[id(encoder)][1]


def as_tensor(values: np.ndarray) -> torch.Tensor:
    """Values as a float32 tensor."""
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)
