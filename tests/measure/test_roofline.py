"""The roofline against closed forms, and against a clock that the test moves."""

import sys
from itertools import count

import pytest
import torch
from torch import nn

from nasviz.graph.trace import trace
from nasviz.measure import Machine, intensities, measure_machine, roofline


def test_the_roof():
    machine = Machine(100e9, 20e9)
    assert machine.ridge == 5
    assert machine.attainable(2) == 40e9
    assert machine.attainable([0.25, 5, 80]).tolist() == [5e9, 100e9, 100e9]
    assert str(machine) == "100 GFLOP/s, 20 GB/s (float32 on cpu); ridge at 5 FLOP/byte"


@pytest.mark.parametrize(("peak", "bandwidth"), [(0, 1), (1, -1), (float("nan"), 1), (1, float("inf"))])
def test_no_machine(peak, bandwidth):
    with pytest.raises(ValueError, match="it is a rate above 0"):
        Machine(peak, bandwidth)


def test_rates_follow_the_clock(monkeypatch):
    ticks = count(0, 2_000_000)  # two milliseconds between any two looks
    monkeypatch.setattr(sys.modules["nasviz.measure.roofline"].time, "perf_counter_ns", lambda: next(ticks))
    before = torch.get_num_threads()
    machine = measure_machine(threads=2, seconds=0, size=100, megabytes=1)
    assert machine.peak == pytest.approx(2 * 100**3 / 2e-3)
    assert machine.bandwidth == pytest.approx(2 * 1e6 / 2e-3)  # read once, written once
    assert (machine.threads, machine.device, machine.dtype) == (2, "cpu", "float32")
    assert torch.get_num_threads() == before


def test_a_real_machine_is_plausible():
    machine = measure_machine(seconds=0.02, size=256, megabytes=4)
    assert 1e8 < machine.peak < 1e14 and 1e8 < machine.bandwidth < 1e13


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threads": 0}, "threads=0"),
        ({"size": 1.5}, "size=1.5"),
        ({"megabytes": -1}, "megabytes=-1"),
        ({"seconds": float("nan")}, "seconds=nan"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        measure_machine(**wrong)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.same = nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(8 * 36, 10)

    def forward(self, x):
        x = self.conv(x)
        x = x + self.same(x)
        return self.head(x.relu().flatten(1))


def test_traffic_counts_what_is_read_and_made_once():
    table = intensities(trace(Net(), torch.zeros(2, 3, 6, 6))).set_index("layer")
    image, maps = 2 * 3 * 36, 2 * 8 * 36
    assert table["bytes"].to_dict() == {
        "conv": 4 * (image + maps + 8 * 27 + 8),
        "same": 4 * (2 * maps + 64),
        "": 4 * (3 * maps + 2 * maps),  # the sum reads two tensors; flatten moves nothing
        "head": 4 * (maps + 20 + 288 * 10 + 10),
    }
    assert table["flops"].to_dict() == {
        "conv": 2 * maps * 27 + maps,
        "same": 2 * maps * 8,
        "": 2 * maps,
        "head": 2 * 20 * 288 + 20,
    }
    assert table["op"].tolist() == ["conv", "conv", "add", "linear"]
    assert table["intensity"]["same"] == pytest.approx(2 * maps * 8 / (4 * (2 * maps + 64)))
    half = intensities(trace(Net().half(), torch.zeros(2, 3, 6, 6).half()), 2).set_index("layer")
    assert (2 * half["bytes"] == table["bytes"]).all()


def test_shared_weights_are_read_again():
    layer = nn.Linear(5, 5, bias=False)
    table = intensities(trace(nn.Sequential(layer, layer), torch.zeros(1, 5)))
    assert table["bytes"].tolist() == [2 * 4 * (5 + 5 + 25)]


def test_layers_that_move_nothing_have_no_intensity():
    table = intensities(trace(nn.Sequential(nn.Flatten(), nn.ReLU()), torch.zeros(1, 2, 2)))
    assert table["intensity"].isna().tolist() == [True, False]


def test_layers_under_the_roof():
    machine = Machine(1e9, 1e9)
    table = roofline(Net(), torch.rand(2, 3, 6, 6), machine, repeats=3, warmup=1).set_index("layer")
    assert list(table.index) == ["conv", "same", "", "head"]
    assert (table["latency_ms"] > 0).all()
    assert table["gflops"].to_numpy() == pytest.approx(table["flops"] / (1e6 * table["latency_ms"]))
    assert table["attainable_gflops"].to_numpy() == pytest.approx(table["intensity"].clip(upper=1))
    assert table["bound"].tolist() == ["compute", "compute", "memory", "memory"]


def test_the_machine_is_measured_with_the_threads_that_are_asked_for(monkeypatch):
    asked = {}
    module = sys.modules["nasviz.measure.roofline"]
    monkeypatch.setattr(module, "measure_machine", lambda **options: asked.update(options) or Machine(1e9, 1e9))
    roofline(nn.ReLU(), torch.zeros(2), threads=2, repeats=1)
    assert asked == {"threads": 2, "device": "cpu"}
