"""`nv.trace` and `nv.cost` on awkward modules and inputs: nothing changes, nothing is dropped in silence."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from marks import fingerprint
from torch import Tensor, nn, zeros

import nasviz as nv


def macs(module: nn.Module, example: object) -> int:
    return nv.cost(nv.trace(module, example)).total["macs"]


# -- modules that write on themselves ----------------------------------------------------------------------------------


class Writer(nn.Module):
    """Counts its calls, keeps an activation, changes its input, and draws from three global generators."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.linear, self.norm, self.drop = nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout()
        self.register_buffer("calls", zeros((), dtype=torch.long))
        self.fails, self.steps, self.cache = fails, 0, None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.steps += 1
        self.cache = x = self.drop(self.norm(self.linear(x.relu_())))
        if self.fails:
            raise RuntimeError("the lamp\n  is out")
        return x + torch.rand_like(x) * random.random() * np.random.rand()  # noqa: NPY002 - as old models draw


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    "build",
    [
        Writer,
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)),
        lambda: nn.utils.spectral_norm(nn.Linear(8, 8)),
        lambda: nn.utils.weight_norm(nn.Linear(8, 8)),
        lambda: nn.Sequential(nn.Linear(8, 8), nn.RReLU(inplace=True), nn.InstanceNorm1d(8, track_running_stats=True)),
        lambda: nn.GRU(8, 8, num_layers=2, dropout=0.5, batch_first=True),
    ],
    ids=["writer", "spectral", "old spectral", "old weight norm", "running statistics", "recurrent"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
def test_module_is_as_before(build, train: bool) -> None:
    module, example = build().train(train), zeros(4, 8, 8) - 1
    example = example[0] if isinstance(module, Writer) else example
    out = module(example.clone())
    (out[0] if isinstance(out, tuple) else out).sum().backward()  # gradients, running statistics: could be lost
    module.register_forward_hook(lambda *_: None)
    next(module.parameters()).requires_grad_(False)
    before = fingerprint(module, example)
    nv.trace(module, example)
    assert fingerprint(module, example) == before


@pytest.mark.parametrize("train", [True, False])
def test_module_is_as_before_after_an_error(train: bool) -> None:
    module, example = Writer(fails=True).train(train), zeros(4, 8) - 1
    before = fingerprint(module, example)
    with pytest.raises(ValueError, match="the lamp is out") as error:
        nv.trace(module, example)
    assert "\n" not in str(error.value)
    assert fingerprint(module, example) == before
    module.fails = False
    assert macs(module, example) == 4 * 8 * 8  # and the next tracing is not troubled by the last


def test_wrong_shape_is_one_sentence_and_leaves_no_mark() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(7, 2))
    before = fingerprint(module)
    with pytest.raises(ValueError) as error:
        nv.trace(module, zeros(1, 3, 8, 8))
    assert "\n" not in str(error.value)
    assert fingerprint(module) == before


# -- nothing is dropped in silence -------------------------------------------------------------------------------------


class Spectrum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        u, s, v = torch.linalg.svd(x, full_matrices=False)
        return torch.fft.fft(torch.fft.fft(u * s[..., None, :] @ v)).real


def test_unknown_operators_are_reported() -> None:
    table = nv.cost(nv.trace(Spectrum(), zeros(2, 8, 8)))
    calls = {row["operator"]: row["calls"] for row in table.uncounted.to_dict("records")}
    assert calls == {"linalg_svd": 1, "fft_fft": 2}
    assert table.total["macs"] == 2 * 8 * 8 * 8 * 2  # what was counted stands
    assert "≥" in str(table) and "≥" in table._repr_html_()
    complete = nv.cost(nv.trace(nn.Linear(8, 8), zeros(2, 8)))
    assert "≥" not in str(complete) and "≥" not in complete._repr_html_()


def test_total_is_the_sum_of_the_rows() -> None:
    """Parents are not added to their children, whatever the nesting."""
    inner = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))
    module = nn.Sequential(inner, nn.Sequential(nn.Sequential(inner)), nn.Flatten(), nn.Linear(192, 10), nn.Softmax(1))
    table = nv.cost(nv.trace(module, zeros(2, 3, 8, 8)))
    one = 2 * 64 * (4 * 27 + 3 * 4)
    assert table.total["macs"] == 2 * one + 2 * 192 * 10
    for column in ("macs", "flops", "params", "size_bytes", "activations"):
        assert table.by_layer[column].sum() == table.total[column], column
    assert (table.by_layer["flops"] == 2 * table.by_layer["macs"] + table.by_layer["other"]).all()


# -- layouts, precisions, devices --------------------------------------------------------------------------------------


def test_channels_last_counts_the_same() -> None:
    module, example = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), zeros(2, 3, 9, 8)
    plain = nv.cost(nv.trace(module, example))
    layout = {"memory_format": torch.channels_last}
    last = nv.cost(nv.trace(module.to(**layout), example.to(**layout)))
    assert dict(last.total) == dict(plain.total)
    assert plain.total["macs"] == 2 * 7 * 6 * 8 * 27


@pytest.mark.parametrize(("dtype", "size"), [(torch.float16, 2), (torch.bfloat16, 2), (torch.float64, 8)])
def test_bytes_follow_the_precision(dtype: torch.dtype, size: int) -> None:
    total = nv.cost(nv.trace(nn.Conv2d(3, 8, 3).to(dtype), zeros(1, 3, 9, 8, dtype=dtype))).total
    assert total["params"] == 8 * 27 + 8
    assert total["size_bytes"] == size * (8 * 27 + 8)
    assert total["macs"] == 7 * 6 * 8 * 27


@pytest.mark.parametrize("module_device", ["cpu", "meta"])
@pytest.mark.parametrize("example_device", ["cpu", "meta"])
def test_meta_tensors(module_device: str, example_device: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 42, 5)).to(module_device)
    example = zeros(2, 3, 9, 8, device=example_device)
    before = fingerprint(module, example)
    assert macs(module, example) == 2 * (42 * 8 * 27 + 8 * 42 * 5)
    assert fingerprint(module, example) == before


def test_compiled_module_is_unwrapped() -> None:
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    graph = nv.trace(torch.compile(plain), zeros(2, 8))
    assert graph == nv.trace(plain, zeros(2, 8))
    assert not any("_orig_mod" in node.layer for node in graph.nodes)
    assert nv.trace(nn.Sequential(torch.compile(plain[0]), plain[1], plain[2]), zeros(2, 8)) == graph


def scripted(module: nn.Module) -> nn.Module:
    return torch.jit.script(module)


def frozen(module: nn.Module) -> nn.Module:
    return torch.jit.trace(module, zeros(2, 8))


@pytest.mark.parametrize("freeze", [scripted, frozen])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_is_not_a_silent_zero(freeze, inside: bool) -> None:
    """Calls inside TorchScript cannot be seen: an error, or a row of its own."""
    module = freeze(nn.Sequential(nn.Linear(8, 8), nn.ReLU()).eval())
    module = nn.Sequential(module, nn.ReLU()) if inside else module
    try:
        table = nv.cost(nv.trace(module, zeros(2, 8)))
    except ValueError as error:
        assert "TorchScript" in str(error)
    else:
        assert len(table.uncounted)


# -- examples that are not one tensor ----------------------------------------------------------------------------------


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Conv2d(3, 4, 3), nn.Linear(6, 4)

    def forward(self, image: Tensor, text: Tensor | None = None, *, scale: float = 1.0) -> dict[str, Tensor]:
        pooled = self.image(image).mean((2, 3))
        return {"pooled": pooled if text is None else pooled + scale * self.text(text)}


IMAGE, TEXT = zeros(2, 3, 8, 7), zeros(2, 6)
IMAGE_MACS, TEXT_MACS = 2 * 30 * 4 * 27, 2 * 6 * 4


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (IMAGE, IMAGE_MACS),
        ((IMAGE,), IMAGE_MACS),
        ((IMAGE, TEXT), IMAGE_MACS + TEXT_MACS),
        ((IMAGE, None), IMAGE_MACS),
        ({"image": IMAGE}, IMAGE_MACS),
        ({"text": TEXT, "image": IMAGE, "scale": 0.5}, IMAGE_MACS + TEXT_MACS),
    ],
    ids=["tensor", "tuple of one", "tuple", "tuple with None", "kwargs", "kwargs with a number"],
)
def test_example_forms(example: object, expected: int) -> None:
    assert macs(Mixer(), example) == expected


def test_nested_example_and_output() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = Mixer()

        def forward(self, batch: dict, pair: list) -> tuple:
            return [self.mixer(**batch)], {"sum": pair[0] @ pair[1]}, None

    graph = nv.trace(Nested(), ({"image": IMAGE, "text": TEXT}, [zeros(2, 3), zeros(3, 4)]))
    assert nv.cost(graph).total["macs"] == IMAGE_MACS + TEXT_MACS + 2 * 3 * 4
    assert len(graph.outputs) == 2


# -- functional and in-place style -------------------------------------------------------------------------------------


class Terse(nn.Module):
    """A residual block in the style that hides from hooks: functional calls, in-place operators and views."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(zeros(4, 4, 3, 3))
        self.mix = nn.ParameterList([nn.Parameter(zeros(4, 4)) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.kernel, padding=1)
        F.relu_(y)
        y += x
        y[:, :2].mul_(2)
        y[:, 2:] = 0
        rows = y.flatten(2).transpose(1, 2)
        return (rows @ self.mix[0] @ self.mix[1].T).sum(dim=1)


@pytest.mark.parametrize("grad", [True, False])
def test_functional_and_in_place(grad: bool) -> None:
    with torch.set_grad_enabled(grad):
        graph = nv.trace(Terse(), zeros(2, 4, 6, 5))
    total = nv.cost(graph).total
    assert total["macs"] == 2 * 30 * (4 * 4 * 9 + 2 * 4 * 4)
    assert total["params"] == 4 * 4 * 9 + 2 * 4 * 4
    assert {source for source, _ in graph.edges.tolist()} | set(graph.outputs) == set(range(len(graph)))


def test_batch_of_none_and_empty_module() -> None:
    assert macs(nn.Linear(8, 4), zeros(0, 8)) == 0
    empty = nv.cost(nv.trace(nn.Identity(), zeros(2, 8)))
    assert empty.total["macs"] == empty.total["params"] == 0
