"""`nv.cost` on the 22 elementary cases on which other counters go wrong, and on more ways to write the same products.

Every expected number is a closed form written here; biases are left out of MACs. Each case is traced in training, in
evaluation and under ``no_grad``, twice, and must leave no mark on the module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from marks import fingerprint
from torch import nn, zeros

import nasviz as nv


class Call(nn.Module):
    """A function as a module, with its weights as parameters of these shapes."""

    def __init__(self, function: Callable[..., Any], **weights: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        for name, shape in weights.items():
            self.register_parameter(name, nn.Parameter(zeros(shape)))

    def forward(self, *args: Any) -> Any:
        return self.function(*args, **dict(self.named_parameters()))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shared(self.shared(x).relu())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.decoder = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.embedding(ids))


class Skipped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.skipped = nn.Linear(8, 4), nn.Conv2d(3, 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.used(x)


@dataclass(frozen=True)
class Case:
    build: Callable[[], nn.Module]
    example: Any
    macs: int
    params: int


def attention(n: int, length: int, dim: int) -> int:
    """Projections of query, key, value and output, and the two products of all pairs."""
    return n * (4 * length * dim**2 + 2 * length**2 * dim)


x = zeros(2, 10, 24)
ids = torch.arange(6).reshape(2, 3)
image = zeros(2, 3, 11, 10)

# Comments: extent of the output where it is not that of the input. Batch 2 throughout.
THE_22 = {
    "01 conv1d": Case(lambda: nn.Conv1d(4, 6, 3, bias=False), zeros(2, 4, 20), 2 * 18 * 6 * 4 * 3, 6 * 4 * 3),
    "02 conv2d": Case(lambda: nn.Conv2d(3, 8, 3, padding=1, bias=False), image, 2 * 110 * 8 * 3 * 9, 8 * 3 * 9),
    "03 conv3d": Case(  # 4 x 4 x 5
        lambda: nn.Conv3d(2, 4, (2, 3, 3), bias=False), zeros(2, 2, 5, 6, 7), 2 * 80 * 4 * 2 * 18, 4 * 2 * 18
    ),
    "04 grouped": Case(  # 5 x 6
        lambda: nn.Conv2d(8, 12, 3, groups=4, bias=False), zeros(2, 8, 7, 8), 2 * 30 * 12 * 2 * 9, 12 * 2 * 9
    ),
    "05 depthwise": Case(
        lambda: nn.Conv2d(6, 6, 5, padding=2, groups=6, bias=False), zeros(2, 6, 7, 8), 2 * 56 * 6 * 25, 6 * 25
    ),
    "06 dilated": Case(lambda: nn.Conv2d(3, 4, 3, dilation=2, bias=False), image, 2 * 7 * 6 * 4 * 3 * 9, 4 * 3 * 9),
    "07 bias": Case(lambda: nn.Conv2d(3, 4, 3), image, 2 * 9 * 8 * 4 * 3 * 9, 4 * 3 * 9 + 4),
    "08 odd stride": Case(  # 4 x 4
        lambda: nn.Conv2d(3, 5, 3, stride=3, padding=1, bias=False), image, 2 * 16 * 5 * 3 * 9, 5 * 3 * 9
    ),
    "09 transposed, stride 2": Case(  # every input element meets every weight of its channel
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
        zeros(2, 4, 5, 7),
        2 * 35 * 4 * 6 * 9,
        4 * 6 * 9 + 6,
    ),
    "10 transposed, depthwise": Case(
        lambda: nn.ConvTranspose2d(6, 6, 4, stride=2, padding=1, groups=6, bias=False),
        zeros(2, 6, 5, 7),
        2 * 35 * 6 * 16,
        6 * 16,
    ),
    "11 linear on (B, L, C)": Case(lambda: nn.Linear(24, 7), x, 2 * 10 * 24 * 7, 24 * 7 + 7),
    "12 F.conv2d": Case(  # 9 x 8
        lambda: Call(lambda x, weight: F.conv2d(x, weight), weight=(4, 3, 3, 3)), image, 2 * 72 * 4 * 3 * 9, 4 * 3 * 9
    ),
    "13 q @ k, @ v": Case(
        lambda: Call(lambda q, k, v: (q @ k.transpose(-2, -1)).softmax(-1) @ v),
        (zeros(2, 4, 10, 16), zeros(2, 4, 12, 16), zeros(2, 4, 12, 8)),
        2 * 4 * 10 * 12 * (16 + 8),
        0,
    ),
    "14 scaled_dot_product_attention": Case(
        lambda: Call(F.scaled_dot_product_attention),
        (zeros(2, 4, 10, 16), zeros(2, 4, 12, 16), zeros(2, 4, 12, 8)),
        2 * 4 * 10 * 12 * (16 + 8),
        0,
    ),
    "15 einsum": Case(
        lambda: Call(lambda a, b: torch.einsum("bhid,bhjd->bhij", a, b)),
        (zeros(2, 4, 10, 16), zeros(2, 4, 12, 16)),
        2 * 4 * 10 * 12 * 16,
        0,
    ),
    "16 MultiheadAttention": Case(
        lambda: nn.MultiheadAttention(24, 4, batch_first=True), (x, x, x), attention(2, 10, 24), 4 * (24 * 24 + 24)
    ),
    "17 TransformerEncoderLayer": Case(
        lambda: nn.TransformerEncoderLayer(24, 4, 48, batch_first=True),
        x,
        attention(2, 10, 24) + 2 * 10 * 2 * 24 * 48,
        4 * (24 * 24 + 24) + (24 * 48 + 48) + (48 * 24 + 24) + 2 * 2 * 24,
    ),
    "18 LSTM": Case(  # two layers, both directions, hidden 12 projected to 5: 4 gates and the projection
        lambda: nn.LSTM(24, 12, num_layers=2, bidirectional=True, proj_size=5, batch_first=True),
        x,
        2 * 10 * 2 * sum(4 * 12 * (inputs + 5) + 12 * 5 for inputs in (24, 10)),
        2 * sum(4 * 12 * (inputs + 5) + 2 * 4 * 12 + 12 * 5 for inputs in (24, 10)),
    ),
    "19 GRU": Case(
        lambda: nn.GRU(24, 12, num_layers=2, bidirectional=True, batch_first=True),
        x,
        2 * 10 * 2 * sum(3 * 12 * (inputs + 12) for inputs in (24, 24)),
        2 * sum(3 * 12 * (inputs + 12) + 2 * 3 * 12 for inputs in (24, 24)),
    ),
    "20 called twice": Case(Twice, zeros(5, 16), 2 * 5 * 16 * 16, 16 * 16 + 16),
    "21 tied weights": Case(Tied, ids, 6 * 8 * 50, 50 * 8),
    "22 never run": Case(Skipped, zeros(3, 8), 3 * 8 * 4, (8 * 4 + 4) + (5 * 3 * 9 + 5)),
}

MORE = {
    "F.linear": Case(lambda: Call(lambda x, w: F.linear(x, w), w=(7, 24)), x, 2 * 10 * 24 * 7, 24 * 7),
    "linear on a vector": Case(lambda: nn.Linear(24, 7), zeros(24), 24 * 7, 24 * 7 + 7),
    "conv without a batch": Case(lambda: nn.Conv2d(3, 4, 3), zeros(3, 11, 10), 72 * 4 * 3 * 9, 4 * 3 * 9 + 4),
    "conv padded in a circle": Case(
        lambda: nn.Conv2d(3, 4, 3, padding="same", padding_mode="circular"), image, 2 * 110 * 4 * 27, 4 * 27 + 4
    ),
    "matmul, broadcast": Case(lambda: Call(torch.matmul), (zeros(3, 1, 4, 5), zeros(2, 5, 6)), 3 * 2 * 4 * 5 * 6, 0),
    "matrix by vector": Case(lambda: Call(torch.mv), (zeros(4, 5), zeros(5)), 4 * 5, 0),
    "vector by vector": Case(lambda: Call(lambda a, b: a @ b), (zeros(5), zeros(5)), 5, 0),
    "reflected matmul": Case(lambda: Call(lambda a, b: b.__rmatmul__(a)), (zeros(4, 5), zeros(5, 6)), 4 * 5 * 6, 0),
    "matmul by keyword": Case(
        lambda: Call(lambda a, b: torch.matmul(other=b, input=a)), (zeros(4, 5), zeros(5, 6)), 4 * 5 * 6, 0
    ),
    "bmm": Case(lambda: Call(torch.bmm), (zeros(3, 4, 5), zeros(3, 5, 6)), 3 * 4 * 5 * 6, 0),
    "addmm": Case(lambda: Call(torch.addmm), (zeros(6), zeros(4, 5), zeros(5, 6)), 4 * 5 * 6, 0),
    "baddbmm": Case(lambda: Call(torch.baddbmm), (zeros(3, 4, 6), zeros(3, 4, 5), zeros(3, 5, 6)), 3 * 4 * 5 * 6, 0),
    "addbmm": Case(  # the batch is summed away
        lambda: Call(torch.addbmm), (zeros(4, 6), zeros(3, 4, 5), zeros(3, 5, 6)), 3 * 4 * 5 * 6, 0
    ),
    "tensordot": Case(
        lambda: Call(lambda a, b: torch.tensordot(a, b, dims=2)), (zeros(3, 4, 5), zeros(4, 5, 6)), 3 * 4 * 5 * 6, 0
    ),
    "einsum, implicit output": Case(
        lambda: Call(lambda a, b: torch.einsum("ij,jk", a, b)), (zeros(4, 5), zeros(5, 6)), 4 * 5 * 6, 0
    ),
    "einsum, ellipsis": Case(
        lambda: Call(lambda a, b: torch.einsum("...ij,...jk->...ik", a, b)),
        (zeros(3, 2, 4, 5), zeros(2, 5, 6)),
        3 * 2 * 4 * 5 * 6,
        0,
    ),
    "attention, cross": Case(  # 10 queries on 6 keys of 20 and values of 16 features
        lambda: nn.MultiheadAttention(24, 4, kdim=20, vdim=16, batch_first=True),
        (x, zeros(2, 6, 20), zeros(2, 6, 16)),
        2 * (2 * 10 * 24 * 24 + 6 * (20 + 16) * 24 + 2 * 10 * 6 * 24),
        24 * (24 + 20 + 16) + 3 * 24 + 24 * 24 + 24,
    ),
    "attention, sequence first": Case(
        lambda: nn.MultiheadAttention(24, 4, bias=False), (x, x, x), attention(10, 2, 24), 4 * 24 * 24
    ),
    "attention, causal": Case(  # counted in full
        lambda: Call(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True)),
        zeros(2, 4, 10, 16),
        2 * 4 * 10 * 10 * 32,
        0,
    ),
    "attention, grouped queries": Case(  # 4 heads of queries share 2 heads of keys
        lambda: Call(lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True)),
        (zeros(2, 4, 10, 16), zeros(2, 2, 12, 16)),
        2 * 4 * 10 * 12 * 32,
        0,
    ),
    "transposed conv1d, grouped": Case(
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=3, groups=2, bias=False),
        zeros(2, 4, 9),
        2 * 9 * 4 * 3 * 3,
        4 * 3 * 3,
    ),
    "RNN": Case(lambda: nn.RNN(24, 12), x, 2 * 10 * 12 * (24 + 12), 12 * (24 + 12) + 2 * 12),
    "LSTM, plain, without bias": Case(lambda: nn.LSTM(24, 12, bias=False), x, 20 * 48 * (24 + 12), 48 * (24 + 12)),
    "LSTMCell": Case(lambda: nn.LSTMCell(24, 12), zeros(3, 24), 3 * 48 * (24 + 12), 48 * (24 + 12) + 2 * 48),
    "GRUCell": Case(lambda: nn.GRUCell(24, 12), zeros(3, 24), 3 * 36 * (24 + 12), 36 * (24 + 12) + 2 * 36),
    "weight norm": Case(  # magnitude (7, 1) and direction (7, 24)
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(24, 7)), x, 20 * 24 * 7, 7 + 7 * 24 + 7
    ),
}

CASES = THE_22 | MORE


def test_there_are_22() -> None:
    assert [int(name[:2]) for name in THE_22] == list(range(1, 23))


@pytest.mark.parametrize("mode", ["train", "eval", "no_grad"])
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, mode: str) -> None:
    case = CASES[name]
    module = case.build().train(mode == "train")
    before = fingerprint(module, case.example)
    with torch.set_grad_enabled(mode != "no_grad"):
        graph = nv.trace(module, case.example)
        again = nv.trace(module, case.example)
    table = nv.cost(graph)

    assert table.total["macs"] == case.macs
    assert table.total["params"] == case.params
    assert table.total["size_bytes"] == 4 * case.params
    assert len(table.uncounted) == 0
    assert table.by_layer["macs"].sum() == case.macs
    assert table.by_layer["params"].sum() == case.params
    assert again == graph
    assert fingerprint(module, case.example) == before
