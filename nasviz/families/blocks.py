"""Pieces that macro families share: layers, the operations of Two-Path and Inception, drawing different ones."""

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TypeVar

import numpy as np

from nasviz.families.family import quoted
from nasviz.graph.builder import GraphBuilder, Pair
from nasviz.graph.ops import Op

Arch = TypeVar("Arch", bound=Hashable)

POOLS = ("ap3", "mp3")
"""3x3 average and maximum pool of stride 1, followed by a batch norm; they keep the width."""

OP_CODES = {
    "conv3x3": "c3",
    "conv5x5": "c5",
    "double3x3": "d3",
    "bottleneck-r2-k3": "r2k3",
    "bottleneck-r4-k3": "r4k3",
    "bottleneck-e2-k3": "e2k3",
    "inception_s3x3": "is3",
    "inception_s5x5": "is5",
    "inception_p3x3": "ip3",
    "inception_p5x5": "ip5",
    "depthwise3x3": "dw3",
    "depthwise5x5": "dw5",
    "conv1x1": "c1",
    "double1x1": "d1",
    "bottleneck-r2-k1": "r2k1",
    "bottleneck-e2-k1": "e2k1",
    "avgpool3x3": "ap3",
    "maxpool3x3": "mp3",
}
"""Codes of Two-Path's and Inception's operations by their names in GENNAPE's records."""


def conv_bn(
    g: GraphBuilder,
    x: int,
    channels: int,
    kernel: Pair,
    *,
    stride: Pair = 1,
    groups: int = 1,
    bias: bool = False,
    act: Op | None = Op.RELU6,
    eps: float = 1e-5,
    name: str,
) -> int:
    """Convolution with padding k // 2, batch norm, then the activation `act` unless it is None."""
    with g.scope(name):
        x = g.conv(x, channels, kernel, stride=stride, groups=groups, bias=bias, name="conv")
        x = g.batch_norm(x, eps=eps, name="bn")
        return x if act is None else g.unary(act, x, name=act.value)


def make_divisible(value: float, divisor: int = 8) -> int:
    """`value` as the nearest multiple of `divisor` (ties up) that is at least `divisor` and 0.9 `value`."""
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


def pool_bn(g: GraphBuilder, x: int, op: str) -> int:
    """One of `POOLS` with its batch norm; the average counts padded zeros."""
    if op == "mp3":
        x = g.max_pool(x, 3, stride=1, padding=1, name="pool")
    else:
        x = g.avg_pool(x, 3, stride=1, padding=1, count_padding=True, name="pool")
    return g.batch_norm(x, name="bn")


def classifier(g: GraphBuilder, x: int, classes: int) -> int:
    """Global average pooling and a linear layer with bias."""
    with g.scope("head"):
        return g.linear(g.mean(x, name="pool"), classes, name="linear")


def distinct(draw: Callable[[np.random.Generator], Arch], n: int, seed: int) -> list[Arch]:
    """`n` different results of `draw`, in the order drawn; for spaces far larger than `n`."""
    if n < 0:
        raise ValueError(f"n={n}: ask for no or more architectures.")
    rng = np.random.default_rng(seed)
    found: dict[Arch, None] = {}
    while len(found) < n:
        found.setdefault(draw(rng))
    return list(found)


def draw_ops(rng: np.random.Generator, count: int, convs: Sequence[str], supps: Sequence[str]) -> tuple[str, ...]:
    """`count` operations in random order, at least one of `convs` and at most one of `supps`.

    One is of `convs` for sure; each further one is of `supps` with the probability of their share in all operations if
    none was yet, else of `convs`; among them uniformly.
    """
    ops = [convs[rng.integers(len(convs))]]
    while len(ops) < count:
        supplementary = rng.random() < len(supps) / (len(convs) + len(supps))
        choices = supps if supplementary and not any(op in supps for op in ops) else convs
        ops.append(choices[rng.integers(len(choices))])
    return tuple(ops[i] for i in rng.permutation(len(ops)))


def ops_fault(ops: Sequence[str], convs: Collection[str], supps: Collection[str]) -> str | None:
    """What is wrong with a series of operations, if anything; `draw_ops` says what is right."""
    if unknown := [op for op in ops if op not in convs and op not in supps]:
        return f"{quoted(unknown[0])} is not one of {', '.join((*convs, *supps))}"
    count = sum(op in supps for op in ops)
    if count > 1 or count == len(ops):
        rule = f"at least one of {', '.join(convs)} and at most one of {', '.join(supps)}"
        return f"the operations {quoted('-'.join(ops))} must have {rule}"
    return None
