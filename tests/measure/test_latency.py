"""Latency against modules that take a known time."""

import sys
import time

import pytest
import torch
from torch import nn

from nasviz.families import get
from nasviz.graph.trace import trace
from nasviz.measure import latency, latency_by_layer
from nasviz.measure.latency import RUNTIMES


class Clock:
    """A clock that only modules move on; every look at it takes a nanosecond."""

    def __init__(self):
        self.now = 0

    def perf_counter_ns(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sys.modules["nasviz.measure.latency"], "time", clock)
    return clock


class Work(nn.Module):
    """Takes the given milliseconds, one after the other, run by run."""

    def __init__(self, clock: Clock, *ms: float):
        super().__init__()
        self.clock, self.ms, self.seen = clock, ms, []

    def forward(self, x):
        self.clock.now += int(self.ms[len(self.seen) % len(self.ms)] * 1e6)
        self.seen.append((torch.get_num_threads(), self.training, torch.is_grad_enabled()))
        return x + 1


class Outer(nn.Module):
    def __init__(self, clock: Clock):
        super().__init__()
        self.inner = nn.Sequential(Work(clock, 3), Work(clock, 60, 1, 6, 7))
        self.twice, self.own = Work(clock, 2), [Work(clock, 4)]

    def forward(self, x):
        return self.twice(self.twice(self.inner(self.own[0].forward(x))))


def test_a_known_time(clock):
    before, module = torch.get_num_threads(), Work(clock, 100, 90, 5, 1, 2, 3, 4).train()
    result = latency(module, torch.zeros(3, 2), repeats=5, warmup=2, threads=2)
    assert [result.low_ms, result.median_ms, result.high_ms] == pytest.approx([2, 3, 4], abs=1e-3)
    assert len(module.seen) == 7 and set(module.seen) == {(2, False, False)}
    assert (result.batch, result.threads, result.repeats, result.warmup) == (3, 2, 5, 2)
    assert (result.runtime, result.device) == ("torch", "cpu")
    assert module.training and torch.get_num_threads() == before
    assert str(result) == "3 ms (quartiles 2 to 4 of 5 runs; batch 3, float32, 2 threads, torch on cpu)"


def test_layers_have_the_time_that_is_their_own(clock):
    module = Outer(clock)
    table = latency_by_layer(module, torch.zeros(1), repeats=3, warmup=1).set_index("layer")
    assert table.index.tolist() == ["inner.0", "inner.1", "inner", "twice", ""]
    assert table.calls.tolist() == [1, 1, 1, 2, 1]
    assert table.latency_ms.tolist() == pytest.approx([3, 6, 0, 4, 4], abs=1e-3)
    assert table.low_ms["inner.1"] == pytest.approx(3.5, abs=1e-3)  # of 1, 6, 7
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in module.modules())


def test_the_real_clock_runs_in_milliseconds():
    module = nn.Identity()
    module.forward = lambda x: time.sleep(0.005) or x
    assert 5 <= latency(module, torch.zeros(1), repeats=3).median_ms < 50
    assert 5 <= latency_by_layer(module, torch.zeros(1), repeats=3).latency_ms[0] < 50


def test_layer_names_are_those_of_the_graph():
    module, x = get("nb201").build(("nor_conv_3x3",) * 6, "digits"), torch.rand(1, 1, 8, 8)
    table = latency_by_layer(module, x, repeats=2, warmup=0)
    assert {node.layer for node in trace(module, x).nodes} <= set(table.layer)
    assert (table.latency_ms > 0).all()


def test_another_runtime_is_one_more_entry(monkeypatch):
    asked = []
    monkeypatch.setitem(RUNTIMES, "mine", lambda module, example, threads: lambda: asked.append((module, threads)))
    module = nn.Linear(1, 1)
    assert latency(module, torch.zeros(1, 1), repeats=3, warmup=1, runtime="mine").runtime == "mine"
    assert asked == [(module, 1)] * 4


def test_the_module_is_left_alone_when_it_fails():
    module, before = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), torch.get_num_threads()
    module[1].eval()
    for measure in (latency, latency_by_layer):
        with pytest.raises(RuntimeError):
            measure(module, torch.zeros(1, 3), threads=2)
        assert module.training and module[0].training and not module[1].training
        assert all(not part._forward_hooks and not part._forward_pre_hooks for part in module.modules())
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"repeats": 0}, "repeats=0: it is a whole number from 1 on"),
        ({"warmup": -1}, "warmup=-1"),
        ({"threads": 1.5}, "threads=1.5"),
        ({"runtime": "tpu"}, "runtime='tpu': known runtimes are torch, openvino"),
        ({"example": (1, 2)}, "example=tuple: it is a tensor"),
        ({"example": torch.zeros(1, device="meta")}, "meta device"),
    ],
)
def test_wrong_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        latency(**{"module": nn.Identity(), "example": torch.zeros(1), **arguments})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_waited_for():
    module, x = nn.Linear(4096, 4096, device="cuda"), torch.rand(8192, 4096, device="cuda")
    whole = latency(module, x, repeats=10)
    assert whole.device.startswith("cuda") and whole.median_ms > 1
    (layer,) = latency_by_layer(nn.Sequential(module), x, repeats=10).set_index("layer").latency_ms[["0"]]
    assert layer == pytest.approx(whole.median_ms, rel=0.5)
