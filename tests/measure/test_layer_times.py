"""Layer times: the join against cases made by hand, and torch's profiler and OpenVINO as they really run."""

import copy
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from nasviz.cycles.description import layer_table
from nasviz.graph.ops import Op
from nasviz.graph.trace import trace
from nasviz.measure import latency, latency_by_layer, layer_times
from nasviz.measure.layer_times import Executed, group_table, join, layer_flops


class Net(nn.Module):
    """Conv and batch norm with a ReLU of its own; a sum; a pooling and a dense layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.side, self.pool, self.head = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.MaxPool2d(2), nn.Linear(8 * 64, 5)

    def forward(self, x):
        x = self.bn(self.conv(x)).relu()
        x = self.pool(self.side(x) + x)
        return self.head(x.flatten(1))


X = torch.rand(1, 3, 16, 16)


def executed(kind, ms, *keys, **more):
    return Executed(kind, f"{kind} code", frozenset(keys), [ms, ms, ms + 3], **more)


def test_layers_that_were_run_as_one_stand_in_brackets():
    graph = trace(Net(), X)
    ran = [
        executed("Reorder", 1, own=True),
        executed("Convolution", 4, ("conv", Op.CONV), ("", Op.RELU)),  # nothing names the batch norm in between
        executed("Convolution", 2, ("side", Op.CONV), ("", Op.ADD)),
        executed("Reorder", 1, own=True),
        executed("Pooling", 1, ("pool", Op.MAX_POOL)),
        executed("Multiply_7", 1, readers=(6,)),  # a name that tells nothing: it belongs to who reads it
        executed("FullyConnected", 6, ("head", Op.LINEAR)),
        Executed("Reshape", "", frozenset({("", Op.FLATTEN)}), [0, 0, 0]),  # took no time
    ]
    table = group_table(graph, join(graph, ran)).set_index("layers")
    assert list(table.index) == ["(Reorder)", "[conv + bn + relu]", "[side + add]", "pool", "head"]
    assert table["latency_ms"].tolist() == [2, 4, 2, 1, 7]
    assert table["high_ms"].tolist() == [5, 5.5, 3.5, 2.5, 10]
    assert table["share"].sum() == pytest.approx(1)
    maps, flops = 8 * 256, table["flops"]
    assert flops["[conv + bn + relu]"] == 2 * maps * 27 + 2 * maps + maps
    assert flops["[side + add]"] == 2 * maps * 9 + maps + maps
    assert (flops["pool"], flops["(Reorder)"]) == (maps, 0)  # four of each window, a quarter of them
    assert table["gflops"]["head"] == pytest.approx((2 * 512 * 5 + 5) / 7e6)
    assert table["op"].tolist() == ["", "conv", "conv", "max_pool", "linear"]
    assert table["kernel"]["head"] == "FullyConnected code"


def test_no_flop_is_lost_or_counted_twice():
    graph = trace(Net(), X)
    ran = [executed("a", 1, ("side", Op.CONV)), executed("b", 2, ("head", Op.LINEAR))]
    groups = join(graph, ran)
    assert sorted(key for group in groups for key in group.keys) == sorted(
        key for key in layer_flops(graph) if key[1] is not Op.FLATTEN
    )
    assert group_table(graph, groups)["flops"].sum() == sum(layer_flops(graph).values())


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_real_network(runtime):
    module = Net().train()
    before = copy.deepcopy(module.state_dict())
    result = layer_times(module, X, runtime=runtime, repeats=10, warmup=2)
    table = result.table
    assert table["latency_ms"].ge(0).all() and table["share"].sum() == pytest.approx(1)
    assert (table["low_ms"] <= table["latency_ms"]).all() and (table["latency_ms"] <= table["high_ms"]).all()
    total = sum(layer_flops(trace(module, X)).values())
    assert table["flops"].sum() == total
    assert (result.whole.runtime, result.whole.precision, result.whole.threads) == (runtime, "float32", 1)
    assert "float32, 1 thread" in str(result) and str(result) in result._repr_html_()
    assert set(result.modules["layer"]) <= {"", *(name for name, _ in module.named_children())}
    assert module.training and module.bn.training
    assert all(torch.equal(a, b) for a, b in zip(before.values(), module.state_dict().values(), strict=True))
    if runtime == "openvino":
        assert "[conv + bn + relu]" in set(table["layers"])
        assert {"conv", "bn", "side", "pool", "head"} <= set(result.modules["layer"])
        assert result.modules.set_index("layer")["latency_ms"]["bn"] == 0
    else:
        assert {"conv", "bn", "relu", "side", "add", "pool", "head"} <= set(table["layers"])


def test_a_layer_that_does_most_takes_most():
    """A dense layer of 30 million MACs among ones of thousands is seen as the one that takes the time."""
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5000), nn.Linear(5000, 6000), nn.Linear(6000, 2))
    for runtime in ("torch", "openvino"):
        table = layer_times(module, torch.rand(1, 8), runtime=runtime, repeats=15, warmup=2).table
        first = table.loc[table["latency_ms"].idxmax()]
        assert first["layers"] == "3" and first["share"] > 0.5
        assert 0.05 < first["gflops"] < 5000


def test_the_weights_of_a_batch_norm_are_not_lost():
    """What OpenVINO runs, norms folded, computes what the module computes."""
    from nasviz.measure.openvino_counters import _converted, _fold_norms, _request

    module = Net().eval()
    module.bn.running_mean.normal_(), module.bn.running_var.uniform_(0.5, 2), module.bn.weight.data.normal_()
    twin = copy.deepcopy(module)
    assert _fold_norms(twin, trace(module, X)) == {("bn", Op.BATCH_NORM): ("conv", Op.CONV)}
    model, inputs = _converted(twin, X)
    (found,) = _request(model, 1, counting=False).infer(inputs).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(X).numpy(), atol=2e-5)


def test_openvino_times_whole_networks():
    result = latency(Net(), {"x": X}, runtime="openvino", repeats=5)
    assert result.runtime == "openvino" and 0 < result.median_ms < 100 and result.repeats == 5


def test_the_same_times_stand_in_the_table_of_a_cycle():
    module = Net()
    times = latency_by_layer(module, X, runtime="openvino", repeats=5)
    table = layer_table(trace(module, X), latency=times).set_index("layer")["latency_ms"]
    times = times.set_index("layer")["latency_ms"]
    assert table["conv"] == times["conv"] and table["head"] == times["head"] and table["bn"] == 0
    assert pd.isna(table["relu"])  # one of several things that the network does itself


def test_without_openvino_the_sentence_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openvino", None)
    for measure in (layer_times, latency):
        with pytest.raises(ImportError, match=r"openvino is missing .*; pip install .nasviz\[openvino\]"):
            measure(Net(), X, runtime="openvino", repeats=1)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="runtime='tpu': known runtimes are torch, openvino"):
        layer_times(Net(), X, runtime="tpu")
    with pytest.raises(ValueError, match="repeats=0"):
        layer_times(Net(), X, repeats=0)

    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x)  # OpenVINO does not have it

    with pytest.raises(ValueError, match="OpenVINO cannot run Odd"):
        layer_times(Odd(), torch.eye(3), runtime="openvino")
