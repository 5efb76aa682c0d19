"""Results that tracing makes without running a call are those that the call itself makes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn, zeros

import nasviz as nv
from nasviz.graph import shapes

HERE = Path(__file__).parent


def image(**options) -> Tensor:
    return zeros(2, 4, 9, 8, device="meta", **options)


LAST = image().contiguous(memory_format=torch.channels_last)
NARROW, WHOLE = image()[:, 1:3, ::2], zeros(3, 5, dtype=torch.int32, device="meta")
WEIGHT = zeros(6, 4, 3, 3, device="meta")
ROWS = zeros(2, 5, 8, device="meta")

CALLS: dict[str, tuple[Callable, tuple, dict]] = {
    "conv": (torch.conv2d, (image(), WEIGHT), {"stride": 2, "padding": (1, 0)}),
    "conv, channels last": (torch.conv2d, (LAST, WEIGHT), {}),
    "conv, half precision": (torch.conv2d, (image(dtype=torch.half), WEIGHT.half()), {}),
    "transposed": (torch.conv_transpose2d, (image(), zeros(4, 2, 3, 3, device="meta")), {"stride": 2}),
    "linear, transposed input": (F.linear, (ROWS.transpose(0, 1), zeros(3, 8, device="meta")), {}),
    "matmul of a view": (torch.matmul, (NARROW, zeros(8, 2, device="meta")), {}),
    "sum with a row": (torch.add, (image(), zeros(8, device="meta")), {}),
    "sum of layouts": (torch.add, (LAST, image()), {}),
    "whole numbers plus 1": (torch.add, (WHOLE, 1), {}),
    "whole numbers plus 1.0": (torch.add, (WHOLE, 1.0), {}),
    "whole numbers plus True": (torch.add, (WHOLE, True), {}),
    "whole and real numbers": (torch.mul, (WHOLE, zeros(5, dtype=torch.half, device="meta")), {}),
    "cat": (torch.cat, ([LAST, image()], 1), {}),
    "cat of other parts": (torch.cat, ([LAST, image(), image()], 1), {}),
    "mean": (torch.mean, (image(), (2, 3)), {"keepdim": True}),
    "mean of all": (torch.mean, (image(),), {}),
    "layer norm": (F.layer_norm, (ROWS.transpose(1, 2), (5,)), {}),
    "softmax": (F.softmax, (ROWS, 1), {"dtype": torch.float64}),
    "interpolate": (F.interpolate, (LAST,), {"scale_factor": 2}),
    "attention": (F.scaled_dot_product_attention, (ROWS, ROWS, ROWS[:, :, :3]), {}),
}


def facts(x: Tensor) -> tuple:
    return x.shape, x.stride(), x.dtype, x.device


@pytest.mark.parametrize("name", CALLS)
def test_a_result_that_is_remembered(name: str) -> None:
    func, args, kwargs = CALLS[name]
    key = shapes.signature(func, args, kwargs)
    assert key is not None
    with torch.no_grad():
        real = func(*args, **kwargs)
        shapes.remember(key, real)
    again = shapes.recall(shapes.signature(func, args, kwargs))
    assert again is not None and again is not real and facts(again) == facts(real)


def test_calls_with_other_results_have_other_signatures() -> None:
    keys = {shapes.signature(func, args, kwargs) for func, args, kwargs in CALLS.values()}
    assert len(keys) == len(CALLS)


def test_what_depends_on_more_than_shapes_is_not_remembered() -> None:
    assert shapes.signature(torch.add, (zeros(2), 1), {}) is None  # has values
    assert shapes.signature(torch.add, (image(), 1), {"out": image()}) is None
    assert shapes.signature(torch.add, (image(), object()), {}) is None
    key = shapes.signature(torch.flatten, (image(),), {})
    shapes.remember(key, image().flatten())  # a view
    assert shapes.recall(key) is None


SOME = [
    image(), LAST, NARROW, WHOLE.T, zeros(0, 3, device="meta"), ROWS[:1].permute(2, 0, 1), ROWS.expand(3, 2, 5, 8),
]  # fmt: skip


@pytest.mark.parametrize("x", SOME, ids=lambda x: str(x.shape))
def test_like(x: Tensor) -> None:
    assert facts(shapes.like(x)) == facts(torch.empty_like(x))


@pytest.mark.parametrize("name", shapes.KEEP_SHAPE)
@pytest.mark.parametrize("x", [image(), LAST, NARROW, image(dtype=torch.bfloat16)], ids=["", "last", "view", "bf16"])
def test_operators_that_keep_the_shape(name: str, x: Tensor) -> None:
    extra = (zeros(x.shape[1], device="meta", dtype=x.dtype),) * 2 if name == "batch_norm" else ()
    real = getattr(F, name)(x, *extra) if name != "dropout" else F.dropout(x, 0.5, True)
    assert facts(shapes.KEEP_SHAPE[name]((x, *extra), {})) == facts(real)


def meta(*shape: int, **options) -> Tensor:
    return zeros(shape, device="meta", **options)


PREDICTED: list[tuple[Callable, tuple, dict]] = [
    (F.conv2d, (meta(1, 1, 28, 28), meta(8, 1, 3, 3)), {}),
    (F.conv2d, (meta(2, 8, 9, 7), meta(8, 1, 3, 3), meta(8), 2, 1, 1, 8), {}),
    (F.conv2d, (meta(2, 8, 9, 7), meta(16, 8, 3, 1), None, (2, 1), (1, 0), (1, 2), 1), {}),
    (F.conv2d, (meta(1, 8, 1, 1), meta(8, 8, 1, 1)), {}),
    (F.conv2d, (LAST, WEIGHT), {"padding": 1}),
    (F.conv2d, (LAST[:1], meta(8, 4, 1, 1), meta(8)), {}),
    (F.conv2d, (LAST, meta(4, 1, 3, 3), None, 1, 1, 1, 4), {}),
    (F.conv2d, (image()[:, 1:3], meta(5, 2, 1, 1)), {}),
    (F.conv2d, (image()[:, 1:3], meta(2, 1, 3, 3), None, 2, 1, 1, 2), {}),
    (F.conv2d, (LAST[:, :, ::2], WEIGHT), {}),
    (F.conv2d, (image(), WEIGHT.contiguous(memory_format=torch.channels_last)), {}),
    (F.conv2d, (LAST, WEIGHT.contiguous(memory_format=torch.channels_last)), {}),
    (F.conv1d, (meta(2, 8, 9), meta(16, 8, 3)), {"stride": 2, "padding": 1}),
    (F.conv3d, (meta(2, 8, 9, 9, 9), meta(16, 8, 3, 3, 3)), {"stride": 2, "padding": 1}),
    (F.max_pool2d, (meta(2, 3, 9, 9), 3, 2, 1), {}),
    (F.max_pool2d, (meta(2, 3, 9, 9), 3), {"dilation": 2}),
    (F.avg_pool2d, (meta(2, 3, 9, 9), 2, None, 0, False, True), {}),
    (F.linear, (meta(4), meta(5, 4), meta(5)), {}),
    (F.linear, (meta(2, 3, 4), meta(5, 4)), {}),
    (torch.add, (meta(1, 8, 4, 4), meta(1, 8, 1, 1)), {}),
    (torch.mul, (meta(2, 8, 4, 4), meta(4)), {}),
    (torch.div, (meta(2, 3, dtype=torch.half), 2.5), {}),
    (torch.mean, (meta(2, 3, 4, 5), (2, -1)), {"keepdim": True}),
    (torch.mean, (meta(2, 3, 4, 5), 1), {}),
    (F.adaptive_avg_pool1d, (meta(2, 3, 7), 2), {}),
    (F.adaptive_avg_pool2d, (meta(2, 1, 7, 5), (2, None)), {}),
    (F.adaptive_avg_pool2d, (LAST, (2, 3)), {}),
    (F.adaptive_avg_pool2d, (LAST[:1], 1), {}),
    (F.adaptive_avg_pool3d, (meta(2, 3, 7, 5, 5), 1), {}),
    (torch.cat, ([meta(2, 3, 4), meta(2, 1, 4)], 1), {}),
    (torch.cat, ((meta(2, 3, 4), meta(2, 3, 4)), -1), {}),
    (F.linear, (ROWS.transpose(0, 1), meta(3, 8), meta(3)), {}),
    (F.linear, (ROWS.transpose(1, 2), meta(3, 5)), {}),
    (F.linear, (ROWS[:, 1:], meta(3, 8)), {}),
    (F.linear, (meta(8, 5).T, meta(3, 8), meta(3)), {}),
    (torch.mul, (meta(4, 1, 1), LAST), {}),
    (torch.mul, (LAST, meta(8)), {}),
    (torch.add, (LAST, LAST), {}),
    (torch.add, (LAST, image()), {}),
    (torch.add, (ROWS.transpose(1, 2), 1.5), {}),
    (torch.add, (meta(1, 5, 8).transpose(1, 2), meta(1, 8, 5)), {}),
    (torch.sub, (meta(6, 5, 2, 3).permute(2, 3, 0, 1), meta(5)), {}),
    (torch.add, (meta(2, 5, 8), meta(5, 2, 8).transpose(0, 1)), {}),
    (torch.add, (meta(1, 3), meta(2, 3)), {}),
    (torch.mul, (meta(4, 9, 3, 8).transpose(1, 2)[:, 1:], 0.5), {}),
    (torch.mul, (NARROW, NARROW), {}),
    (torch.roll, (image(), (1, -1)), {"dims": (2, 3)}),
    (torch.cat, ([image()[:, :1], image()[:, 1:]], 1), {}),
    (torch.cat, ([meta(2, 4, 3).transpose(1, 2), meta(2, 3, 4)], 1), {}),
    (F.layer_norm, (meta(2, 3, 4), (3, 4), meta(3, 4), meta(3, 4), 1e-5), {}),
    (F.layer_norm, (meta(2, 4, 3).transpose(1, 2), (4,)), {}),
    (F.layer_norm, (image().permute(0, 2, 3, 1)[:, 1:], (4,)), {}),
    (F.group_norm, (image(), 2, meta(4), meta(4), 1e-5), {}),
    (F.interpolate, (image(), (3, 20)), {"mode": "bilinear", "align_corners": False}),
    (F.interpolate, (meta(2, 3, 7), 4, None, "nearest", None, None, False), {}),
    (F.interpolate, (image(), 5, None, "bicubic"), {"antialias": True}),
    (F.scaled_dot_product_attention, (ROWS, ROWS, ROWS[:, :, :3], None, 0.0, True), {}),
    (F.scaled_dot_product_attention, (meta(2, 3, 7, 4), meta(2, 3, 5, 4), meta(2, 3, 5, 6)), {"scale": 2.0}),
    (F.scaled_dot_product_attention, (meta(2, 7, 3, 4).transpose(1, 2),) * 3, {}),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), PREDICTED)
def test_a_result_that_is_predicted(func: Callable, args: tuple, kwargs: dict) -> None:
    found = shapes.predicted(getattr(func, "__name__", ""), args, kwargs)
    assert found is not None
    with torch.no_grad():
        assert facts(found) == facts(func(*args, **kwargs))


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("conv2d", (meta(2, 8, 9, 7), meta(16, 4, 3, 3)), {}),  # wrong channels
        ("conv2d", (meta(2, 8, 2, 2), meta(16, 8, 3, 3)), {}),  # a kernel that fits nowhere
        ("conv2d", (meta(2, 8, 9, 7), meta(16, 8, 3, 3), None, 1, "same"), {}),
        ("conv2d", (meta(8, 9, 7), meta(16, 8, 3, 3)), {}),  # without a batch
        ("max_pool2d", (meta(2, 3, 9, 9), 3, 2, 2), {}),  # more padding than torch allows
        ("max_pool2d", (meta(2, 3, 9, 9), 2), {"ceil_mode": True}),
        ("avg_pool2d", (meta(3, 9, 9), 2), {}),
        ("cat", ([LAST, image()], 1), {}),
        ("sub", (meta(6, 5, 1, 3).permute(2, 3, 0, 1), meta(5)), {}),  # two equal strides
        ("add", (ROWS.expand(3, 2, 5, 8), ROWS), {}),
        ("add", (meta(1, 5, 8).transpose(1, 2), meta(3, 8, 5)), {}),
        ("add", (ROWS.transpose(1, 2), meta(4, 2, 8, 5)), {}),
        ("add", (LAST, meta(2, 4, 9, 8, dtype=torch.half)), {}),
        ("roll", (LAST, 1), {}),
        ("group_norm", (image(), 3), {}),  # 4 channels
        ("group_norm", (LAST, 2), {}),
        ("interpolate", (image(),), {"scale_factor": 2}),
        ("interpolate", (image(), (3, 3, 3)), {}),
        ("interpolate", (meta(2, 3, 7), 4, None, "bilinear"), {}),
        ("scaled_dot_product_attention", (meta(2, 7, 4), meta(2, 5, 3), meta(2, 5, 3)), {}),  # widths differ
        ("scaled_dot_product_attention", (meta(2, 3, 7, 4), meta(1, 1, 5, 4), meta(1, 1, 5, 4)), {}),
        ("scaled_dot_product_attention", (ROWS, ROWS, ROWS, meta(5, 5)), {}),
        ("linear", (meta(2, 3), meta(5, 4)), {}),
        ("linear", (meta(2, 4), meta(5, 4), meta(4)), {}),
        ("add", (meta(2, 3), meta(2, 3, dtype=torch.half)), {}),
        ("add", (meta(2, 3), meta(2, 3)), {"alpha": 2}),
        ("add", (WHOLE, 1), {}),
        ("mean", (meta(2, 3),), {}),
        ("mean", (meta(2, 3), 2), {}),
        ("mean", (meta(2, 3), 1), {"dtype": torch.double}),
        ("cat", ([meta(2, 3), meta(0)],), {}),
        ("cat", ([meta(2, 3), meta(2, 4)],), {}),
        ("layer_norm", (meta(2, 3, 4), (3,)), {}),
        ("erf", (meta(2, 3),), {}),
    ],
)
def test_what_is_not_sure_is_not_predicted(name: str, args: tuple, kwargs: dict) -> None:
    assert shapes.predicted(name, args, kwargs) is None


def test_the_first_trace_does_not_wait_for_torchs_compiler() -> None:
    """The meta kernels of torch that are written in Python import it at their first call."""
    code = """
import sys
import torch
from torch import nn
import nasviz as nv
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1),
                    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 10))
class Residual(nn.Module):
    def forward(self, x):
        return torch.cat([x + x, 2 * x], 1).mean((2, 3))
assert nv.cost(nv.trace(net, torch.zeros(1, 1, 8, 8))).total["macs"] == 64 * 72 + 16 * 64 + 80
nv.trace(Residual(), torch.zeros(1, 1, 8, 8))
print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", ["shufflenet_v2", "vit_b_16", "convnext_t", "mixer_b16", "poolformer_s12", "fcn_resnet50"]
)
def test_nor_does_that_of_a_network_of_today(name: str) -> None:
    code = f"""import sys, torch, nasviz as nv
from networks import NETWORKS
network = NETWORKS[{name!r}]
nv.trace(network.build(), torch.zeros(network.shape))
print(sorted({{"torch._dynamo", "sympy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=HERE)
    assert done.stdout.strip() == "[]"


class Precise(nn.Module):
    """Part of it is computed in another precision, and part of it by way of a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        with torch.autocast("cpu", torch.bfloat16):
            y = self.second(self.first(x))
        with torch.enable_grad():
            z = (x.requires_grad_() * x).sum()
            (slope,) = torch.autograd.grad(z, x)
        return y + slope


def test_gradients_and_precision_inside_the_module() -> None:
    for _ in range(2):  # the second time everything could be remembered
        graph = nv.trace(Precise(), zeros(3, 8))
        assert nv.cost(graph).total["macs"] == 3 * 3 * 8 * 8
        assert nv.cost(graph).total["params"] == 2 * (8 * 8 + 8)


def test_tracing_again_gives_the_same_graph_and_does_not_run_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.GELU(), nn.Conv2d(6, 6, 3))
    x = image().to(memory_format=torch.channels_last)
    first = nv.trace(net, x)
    ran = []
    monkeypatch.setattr("nasviz.graph.trace.remember", lambda key, result: ran.append(key))
    assert nv.trace(net, x) == first and ran == []
