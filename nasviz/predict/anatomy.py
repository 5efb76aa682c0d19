"""Networks made ready for `nasviz.predict.nasviz.Nasviz` once: folded, with structural features and batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd

from nasviz.graph.graph import ComputeGraph
from nasviz.predict.checks import networks
from nasviz.predict.folding import Folded, fold
from nasviz.predict.layer_gnn import LayerGNN, LayerGraphs, run_layer_gnn
from nasviz.predict.structure import structural_features

CAPACITY = tuple(f"{mean} log {size}" for mean in ("walk", "path") for size in ("macs", "fan-in", "params")) + (
    "log macs",
    "log params",
)
"""Structural features that need no label to rank: how much a network computes, layer after layer and as a whole."""


@dataclass(eq=False)
class Anatomy:
    """Networks that are ranked or learned from together.

    Attributes
    ----------
    folded : Folded
        Their layers.
    features : DataFrame
        `structural_features`, one row a network.
    """

    folded: Folded
    features: pd.DataFrame
    _layers: LayerGraphs | None = field(default=None, repr=False)
    _outputs: dict[int, tuple[LayerGNN, np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, graphs: "Sequence[ComputeGraph] | Anatomy | Folded") -> Self:
        """The anatomy of these graphs; one that is made already is passed on, with what it has computed.

        Raises
        ------
        TypeError
            If it is no list, or an entry is no `ComputeGraph`.
        ValueError
            If there is none, or one without nodes.
        """
        if isinstance(graphs, Anatomy):
            return graphs
        if isinstance(graphs, Folded):
            return cls(graphs, structural_features(graphs))
        return cls.of(fold(networks(graphs)))

    def __len__(self) -> int:
        return len(self.folded)

    @property
    def layers(self) -> LayerGraphs:
        """The networks as batches for a `LayerGNN`."""
        if self._layers is None:
            self._layers = LayerGraphs(self.folded)
        return self._layers

    def run(self, network: LayerGNN) -> tuple[np.ndarray, np.ndarray]:
        """What `network` predicts (N,) and how it embeds (N, D); computed once."""
        if id(network) not in self._outputs:
            self._outputs[id(network)] = network, *run_layer_gnn(network, self.layers)
        return self._outputs[id(network)][1:]

    def take(self, rows: Sequence[int]) -> Self:
        """The networks at `rows`, with what is computed already."""
        rows = np.arange(len(self))[rows]
        part = type(self)(self.folded.take(rows), self.features.iloc[rows].reset_index(drop=True))
        part._outputs = {key: (network, y[rows], h[rows]) for key, (network, y, h) in self._outputs.items()}
        return part

    def capacity(self) -> pd.DataFrame:
        """The columns `CAPACITY` of the features."""
        return self.features[list(CAPACITY)]
