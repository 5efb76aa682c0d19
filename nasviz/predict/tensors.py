"""Computation graphs as tensors for graph neural networks."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch_geometric.data import Batch, Data

from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import ACTIVATIONS, NORMS, POOLS, Op

KINDS: dict[str, frozenset[Op]] = {
    "input": frozenset({Op.INPUT}),
    "conv": frozenset({Op.CONV, Op.CONV_TRANSPOSE}),
    "linear": frozenset({Op.LINEAR, Op.BILINEAR, Op.MATMUL, Op.EINSUM, Op.ATTENTION, Op.LSTM, Op.GRU, Op.RNN}),
    "norm": NORMS | {Op.LOCAL_RESPONSE_NORM, Op.NORMALIZE},
    "activation": ACTIVATIONS | {Op.SOFTMAX, Op.LOG_SOFTMAX, Op.GLU},
    "pool": POOLS,
    "mean": frozenset({Op.MEAN, Op.REDUCE}),
    "combine": frozenset({Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.POINTWISE, Op.COMPARE}),
    "concat": frozenset({Op.CONCAT, Op.STACK}),
}
"""Categories of the one-hot operator type; what is in none of them only moves data and is "move".

Operators of one kind share a category. A network of one-hot weights for each single operator would meet, in a family
it never saw, weights that were never trained (average pooling and swish do not occur in NAS-Bench-101)."""

_KIND = {op: position for position, ops in enumerate(KINDS.values()) for op in ops}
_SIZES = ("in_c", "in_h", "in_w", "out_c", "out_h", "out_w", "weight_out", "weight_in", "kernel_h", "kernel_w")

FEATURES: tuple[str, ...] = (*KINDS, "move", *_SIZES, "bias")
"""Names of the node features, in order; sizes are log2(1 + size) / 10."""


def _chw(shape: Sequence[int]) -> tuple[int, int, int]:
    """C, H, W of a complete shape; a vector has H = W = 1, tokens (N, L, C) have H = L."""
    if len(shape) <= 2:
        return (shape[-1] if shape else 0, 1, 1)
    if len(shape) == 3:
        return (shape[2], shape[1], 1)
    return (shape[1], shape[2], shape[-1])


@lru_cache(maxsize=1 << 18)
def node_features(node: Node) -> np.ndarray:
    """Features of one node (GENNAPE, AAAI-23, "Computation graph"), float32 of length ``len(FEATURES)``.

    One-hot operator category, height-width-channel of the input and the output, the weight's dimensions, bias.
    """
    kinds = np.zeros(len(KINDS) + 1)
    kinds[_KIND.get(node.op, len(KINDS))] = 1
    weight = (*node.weight_shape, 0, 0, 0, 0)[:4]
    sizes = (*_chw(node.in_shape), *_chw(node.out_shape), *weight)
    scaled = [math.log2(1 + size) / 10 for size in sizes]
    features = np.array([*kinds, *scaled, node.bias], dtype=np.float32)
    features.flags.writeable = False  # it is shared by all equal nodes
    return features


def to_data(graph: ComputeGraph) -> Data:
    """The graph as PyG data: ``x`` (nodes, features) float32 and ``edge_index`` (2, edges) int64.

    Raises
    ------
    ValueError
        If the graph has no nodes.
    """
    if not len(graph):
        raise ValueError(f"the graph {graph.name!r} has no nodes, so there is nothing to embed.")
    x = torch.from_numpy(np.stack([node_features(node) for node in graph.nodes]))
    edges = torch.from_numpy(graph.edges.T.astype(np.int64))
    return Data(x=x, edge_index=edges, num_nodes=len(graph))


def to_dataset(graphs: Iterable[ComputeGraph]) -> list[Data]:
    """`to_data` of every graph, in order."""
    return [to_data(graph) for graph in graphs]


def batches(dataset: Sequence[Data], rows: Iterable[int], size: int) -> Iterator[tuple[torch.Tensor, Batch]]:
    """The graphs at `rows`, `size` at a time: their row numbers and one PyG batch of them, in order of their size."""
    rows = torch.as_tensor(list(rows))
    nodes = torch.tensor([dataset[i].num_nodes for i in rows.tolist()])
    for positions in torch.arange(len(rows)).split(size):
        part = rows[positions[nodes[positions].argsort(stable=True)]]
        yield part, Batch.from_data_list([dataset[i] for i in part.tolist()])
