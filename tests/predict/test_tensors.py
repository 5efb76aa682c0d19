"""Node features by hand, for every operator there is; graphs as tensors; batches that lose no graph."""

import numpy as np
import pytest
import torch
from torch import nn

import nasviz as nv
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op
from nasviz.predict.tensors import FEATURES, KINDS, batches, node_features, to_data, to_dataset


def named(node: Node) -> dict[str, float]:
    return dict(zip(FEATURES, node_features(node).tolist(), strict=True))


def scaled(**sizes: int) -> dict[str, float]:
    return {name: pytest.approx(np.log2(1 + size) / 10) for name, size in sizes.items()}


def test_the_features_of_a_convolution():
    node = Node(Op.CONV, "stem", (8, 3, 32, 30), (8, 64, 16, 15), (3, 5), (2, 2), bias=True)
    kinds = dict.fromkeys([*KINDS, "move"], 0) | {"conv": 1}
    sizes = scaled(
        in_c=3, in_h=32, in_w=30, out_c=64, out_h=16, out_w=15, weight_out=64, weight_in=3, kernel_h=3, kernel_w=5
    )
    assert named(node) == {**kinds, **sizes, "bias": 1}


def test_the_features_of_a_grouped_convolution_and_of_a_linear_layer():
    depthwise = named(Node(Op.CONV, "", (1, 16, 8, 8), (1, 16, 8, 8), (3, 3), (1, 1), groups=16))
    assert {name: depthwise[name] for name in ("weight_out", "weight_in", "bias")} == scaled(
        weight_out=16, weight_in=1, bias=0
    )
    linear = named(Node(Op.LINEAR, "fc", (1, 64), (1, 10), bias=True))
    expected = scaled(in_c=64, in_h=1, in_w=1, out_c=10, out_h=1, out_w=1, weight_out=10, weight_in=64, kernel_h=0)
    assert linear["linear"] == 1 and {name: linear[name] for name in expected} == expected


def test_tokens_have_their_width_as_channels():
    tokens = named(Node(Op.LAYER_NORM, "", (1, 197, 768), (1, 197, 768)))
    assert {name: tokens[name] for name in ("in_c", "in_h", "in_w")} == scaled(in_c=768, in_h=197, in_w=1)


@pytest.mark.parametrize("op", Op)
def test_every_operator_is_of_exactly_one_kind(op):
    features = node_features(Node(op, "", (1, 4, 8, 8), (1, 4, 8, 8)))
    assert features.shape == (len(FEATURES),) and features.dtype == np.float32
    assert features[: len(KINDS) + 1].sum() == 1 and np.isfinite(features).all()
    assert sum(op in ops for ops in KINDS.values()) <= 1


class Mixed(nn.Module):
    """Attention, recurrence, a product of two activations, and a scalar at the end."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.lstm = nn.LSTM(8, 6, batch_first=True)

    def forward(self, x):
        x = self.lstm(self.attention(x, x, x, need_weights=False)[0])[0]
        return (x @ x.transpose(1, 2)).softmax(-1).sum()


def test_networks_that_are_no_convolutional_ones_have_finite_features():
    graph = nv.trace(Mixed(), torch.zeros(2, 5, 8))
    assert {Op.ATTENTION, Op.LSTM, Op.MATMUL} <= {node.op for node in graph.nodes}
    data = to_data(graph)
    assert torch.isfinite(data.x).all()
    assert (data.x[:, : len(KINDS) + 1].sum(1) == 1).all()


def test_a_graph_as_tensors(nb101):
    graph = nb101.graphs()[3]
    data = to_data(graph)
    assert data.x.shape == (len(graph), len(FEATURES)) and data.x.dtype == torch.float32
    assert data.edge_index.dtype == torch.int64 and data.edge_index.T.tolist() == graph.edges.tolist()
    np.testing.assert_array_equal(data.x[7], node_features(graph.nodes[7]))


def test_changing_a_tensor_does_not_change_the_next_graphs(nb101):
    graph = nb101.graphs()[3]
    before = to_data(graph).x.clone()
    to_data(graph).x.zero_()
    assert torch.equal(to_data(graph).x, before)
    with pytest.raises(ValueError, match="read-only"):
        node_features(graph.nodes[0])[0] = 7


def test_a_graph_without_nodes_is_refused():
    with pytest.raises(ValueError, match="the graph 'void' has no nodes"):
        to_data(ComputeGraph([], [], name="void"))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_hold_every_graph_once_and_say_which(bench, size):
    dataset = to_dataset(bench.graphs())
    rows = np.random.default_rng(0).permutation(len(dataset))[:30]
    seen = []
    for part, batch in batches(dataset, rows, size):
        assert len(part) == batch.num_graphs <= size
        nodes = batch.ptr.diff()
        assert (nodes.diff() >= 0).all(), "in order of size"
        for row, data in zip(part.tolist(), batch.to_data_list(), strict=True):
            assert torch.equal(data.x, dataset[row].x) and torch.equal(data.edge_index, dataset[row].edge_index)
        # A batch has the graphs that stand next in the order, whatever their size.
        assert sorted(part.tolist()) == sorted(rows[len(seen) : len(seen) + size].tolist())
        seen += part.tolist()
    assert sorted(seen) == sorted(rows.tolist())
