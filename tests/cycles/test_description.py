"""What a run keeps of a network, against counts by hand and the network's own totals."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import nasviz as nv
from nasviz.cycles import Run, describe, layer_table, network_metrics
from nasviz.families import get
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op
from nasviz.measure import information_capacity, latency, netscore


class Small(nn.Module):
    """conv 3→4, 3×3, on 8×8, padded; ReLU; its own sum and mean; linear 4→2."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x)
        return self.head((self.relu(x) + self.relu(x)).mean((2, 3)))


MACS = 4 * 64 * 27 + 8
FLOPS = {"conv": 2 * 4 * 64 * 27 + 256, "relu": 2 * 256, "add": 256, "mean": 256, "head": 2 * 8 + 2}
X = torch.zeros(1, 3, 8, 8)


def test_layers_by_hand():
    table = layer_table(nv.trace(Small(), X)).set_index("layer")
    assert table.index.tolist() == ["conv", "relu", "add", "mean", "head"]
    assert table.op.tolist() == ["conv", "relu", "add", "mean", "linear"]
    assert table.trainable.tolist() == [True, False, False, False, True]
    assert table.position.tolist() == [0, 1, 2, 3, 4]
    assert (table.kflops * 1000).to_dict() == FLOPS
    assert table.channels.tolist() == [4, 4, 4, 4, 2]
    assert table.parameters.tolist() == [4 * 28, 0, 0, 0, 10]
    assert list(table.columns) == ["op", "trainable", "position", "kflops", "channels", "parameters"]


def test_metrics_by_hand():
    graph = nv.trace(Small(), X)
    metrics = network_metrics(graph, performance=0.5)
    assert metrics == {
        "parameters": 122, "netscore_plus": netscore(0.5, 122, MACS), "size_bytes": 488, "flops": sum(FLOPS.values()),
        "macs": MACS,
    }  # fmt: skip
    assert network_metrics(graph)["netscore_plus"] is None
    assert network_metrics(graph, performance=0.5, alpha=0)["netscore_plus"] == netscore(0.5, 122, MACS, alpha=0)
    timed = latency(Small(), X, repeats=3)
    assert network_metrics(graph, latency=timed)["latency_ms"] == timed.median_ms


def test_costs_are_those_of_one_input():
    one, four = nv.trace(Small(), X), nv.trace(Small(), X.expand(4, -1, -1, -1))
    assert network_metrics(four, batch=4) == network_metrics(one)
    pd.testing.assert_frame_equal(layer_table(four, batch=4), layer_table(one))
    for wrong in (0, 1.5, True, None):
        with pytest.raises(ValueError, match="batch="):
            network_metrics(one, batch=wrong)


@pytest.mark.parametrize("name", ["nb101", "nb201", "nb301"])
def test_the_sum_over_layers_is_the_network_s(name):
    family = get(name)
    graph = family.graph(family.sample(1, seed=3)[0])
    table, total = layer_table(graph), nv.cost(graph).total
    assert table.layer.is_unique
    assert round(table.kflops.sum() * 1000) == total["flops"]
    assert table.parameters.sum() == total["params"] == network_metrics(graph)["parameters"]
    assert table.trainable.equals(table.op.isin(["conv", "linear", "batch_norm"]) & (table.parameters > 0))
    metrics = network_metrics(graph)
    assert (metrics["flops"], metrics["macs"]) == (total["flops"], total["macs"])
    assert metrics["size_bytes"] == total["size_bytes"]


def test_shared_unused_and_unknown_parts():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.out.weight = self.embed.weight
            self.spare = nn.Linear(7, 1)
            self.add = nn.Linear(5, 5)

        def forward(self, words):
            x = self.add(self.out(self.embed(words)))
            return torch.fft.fft(x + x).real

    table = layer_table(nv.trace(Odd(), torch.zeros(1, 2, dtype=torch.long))).set_index("layer")
    assert table.parameters[["embed", "out", "add", "(never used)"]].tolist() == [15, 0, 30, 8]
    assert table.trainable[["embed", "out", "add", "(never used)"]].all()  # tied weights are weights
    assert table.op["add_"] == "add"  # a sum beside a module of that name
    unknown = table[table.op == "unknown"]
    assert len(unknown) and unknown.kflops.isna().all()
    assert table.kflops.drop(unknown.index).notna().all()


def test_measurements_stand_with_the_layer_that_they_are_of():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.small = nn.MultiheadAttention(4, 2, batch_first=True), Small()

        def forward(self, x, y):
            return self.attention(x, x, x)[0], self.small(y)

    graph = nv.trace(Mixed(), (torch.zeros(1, 3, 4), X))
    modules = ["attention", "small.conv", "small.relu", "small", "small.head"]
    measured = pd.DataFrame({"layer": modules, "latency_ms": [1.0, 2, 3, 4, 5]})
    capacity = pd.DataFrame({"layer": ["small.conv"], "information_capacity": [0.5], "saturation": [0.75]})
    table = layer_table(graph, latency=measured, capacity=capacity).set_index("layer")
    by_name = table.latency_ms.dropna().to_dict()
    assert by_name.pop("attention.linear") == 1  # of its operators the one with weights
    assert by_name == {"small.conv": 2, "small.relu": 3, "small.head": 5}  # small runs a sum and a mean: nobody's
    assert table.information_capacity.dropna().to_dict() == {"small.conv": 0.5}
    assert table.saturation.dropna().to_dict() == {"small.conv": 0.75}


def test_everything_of_a_module_goes_into_a_run_and_comes_back(tmp_path):
    family = get("nb201")
    module = family.build(
        family.parse("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"), "digits"
    )
    data = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    run = Run.create(tmp_path / "run")
    given = describe(module, data[:1], metrics={"accuracy": 0.9, "recall": None}, data=data, timed=True)
    cycle = run.add("first", **given)
    assert list(cycle.metrics) == [
        "performance", "parameters", "netscore_plus", "size_bytes", "flops", "macs", "latency_ms", "accuracy", "recall",
    ]  # fmt: skip
    assert cycle.metrics["netscore_plus"] == netscore(0.9, cycle.metrics["parameters"], cycle.metrics["macs"])
    assert torch.equal(cycle.module()(data), module.eval()(data))
    wide = cycle.layers().set_index("layer")
    capacity = information_capacity(module, data).set_index("layer").information_capacity
    np.testing.assert_allclose(wide.information_capacity[capacity.index], capacity)
    assert wide.information_capacity.notna().sum() == wide.trainable.sum()
    assert (wide.latency_ms > 0).all()
    assert set(run.layers.metric) == {"kflops", "channels", "parameters", "information_capacity", "saturation",
                                      "latency_ms"}  # fmt: skip


def test_a_graph_without_layer_names_or_nodes_has_a_table():
    nodes = [Node(Op.INPUT, out_shape=(1, 2)), Node(Op.LINEAR, "", (1, 2), (1, 3), bias=True, params=9, size_bytes=36)]
    assert layer_table(ComputeGraph(nodes, [[0, 1]], [1])).layer.tolist() == ["linear"]
    assert len(layer_table(ComputeGraph([], []))) == 0
    assert network_metrics(ComputeGraph([], []), performance=0.5)["netscore_plus"] is None
