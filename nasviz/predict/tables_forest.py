"""The plainest learner that deserves to be beaten: a random forest on simple numbers of the computation graph."""

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np

from nasviz.graph.cost import total_flops
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op
from nasviz.predict.tensors import KINDS

FEATURES = (
    "log flops", "log params", "log activations", "nodes", "edges", "depth", "branches",
    *(f"share of {kind}" for kind in KINDS), "depthwise", "mean kernel", "log widest", "log smallest resolution",
)  # fmt: skip
"""Names of what `graph_features` counts."""


def graph_features(graphs: Sequence[ComputeGraph]) -> np.ndarray:
    """Simple numbers of each network, shape (N, ``len(FEATURES)``)."""
    return np.array([_features(graph) for graph in graphs])


def _features(graph: ComputeGraph) -> list[float]:
    nodes, size = graph.nodes, max(len(graph), 1)
    depth = np.zeros(size)
    for source, target in graph.edges.tolist():  # edges come in topological order of their targets
        depth[target] = max(depth[target], depth[source] + 1)
    readers = np.bincount(graph.edges[:, 0], minlength=size) if len(graph.edges) else np.zeros(size)
    shares = [sum(node.op in ops for node in nodes) / size for ops in KINDS.values()]
    convolutions = [node for node in nodes if node.op is Op.CONV]
    maps = [node.out_shape for node in nodes if len(node.out_shape) == 4]
    return [
        np.log10(max(total_flops(graph), 1)),
        np.log10(max(graph.params, 1)),
        np.log10(max(sum(float(np.prod(node.out_shape)) for node in nodes), 1)),
        len(nodes),
        len(graph.edges),
        depth.max(),
        float((readers > 1).sum()),
        *shares,
        float(np.mean([node.groups > 1 for node in convolutions])) if convolutions else 0.0,
        float(np.mean([max(node.kernel, default=1) for node in convolutions])) if convolutions else 0.0,
        np.log2(max((shape[1] for shape in maps), default=1)),
        np.log2(max(min((shape[2] for shape in maps), default=1), 1)),
    ]


class Forest:
    """300 trees on `graph_features`; fine-tuned, they are grown anew from the new labels alone.

    Parameters
    ----------
    seed : int
        Of the trees.
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def fit(self, features: np.ndarray, accuracy) -> Self:
        """A forest grown on the features (N, F) of labelled networks; this one stays as it is."""
        from sklearn.ensemble import RandomForestRegressor

        grown = copy.copy(self)
        grown.model_ = RandomForestRegressor(300, min_samples_leaf=2, max_features=0.5, random_state=self.seed)
        grown.model_.fit(features, np.asarray(accuracy))
        return grown

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predicted accuracies, shape (N,)."""
        return self.model_.predict(features)
