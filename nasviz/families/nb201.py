"""NAS-Bench-201 (Dong & Yang, ICLR 2020), the topology space of NATS-Bench (Dong et al., TPAMI 2021)."""

from collections.abc import Sequence

import numpy as np

from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) nodes in the order of the architecture string."""

Arch = tuple[str, ...]
"""The operation on each of the six edges, in the order of `EDGES`."""


class NB201(Family):
    """15,625 cells of four nodes and six edges, each edge with one of five operations.

    An architecture is a tuple of six operation names in the order of `EDGES`; its text form is the official string
    ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``. The official index of an architecture is a shuffled list and never used.

    Scale "paper" is the CIFAR-10 network (C = 16, N = 5 cells a stage); "digits" is narrowed for 8×8 images.
    """

    name = "nb201"
    facts = Facts(
        "NAS-Bench-201 / NATS-Bench topology",
        15_625,
        "CIFAR-10, CIFAR-100, ImageNet16-120",
        "Dong & Yang, NAS-Bench-201, ICLR 2020; Dong et al., NATS-Bench, TPAMI 2021",
        4_096,
        (0.4625, 0.9337),
    )
    scales = {
        "paper": {"shape": (1, 3, 32, 32), "width": 16, "cells": 5, "classes": 10},
        "cifar100": {"shape": (1, 3, 32, 32), "width": 16, "cells": 5, "classes": 100},
        "imagenet16": {"shape": (1, 3, 16, 16), "width": 16, "cells": 5, "classes": 120},
        "digits": {"shape": (1, 1, 8, 8), "width": 8, "cells": 1, "classes": 10},
    }

    def sample(self, n: int, seed: int = 0, *, none: bool = True) -> list[Arch]:
        """`n` different cells, uniformly; without the operation `none` where `none=False` (the paper's 4,096 cells).

        Raises
        ------
        ValueError
            If there are fewer than `n` cells.
        """
        operations = OPERATIONS if none else OPERATIONS[1:]
        size = len(operations) ** len(EDGES)
        if not 0 <= n <= size:
            raise ValueError(f"n={n}: the space has {size:,} cells; ask for at most that many.")
        codes = np.random.default_rng(seed).choice(size, n, replace=False)
        digits = np.stack(np.unravel_index(codes, (len(operations),) * len(EDGES)), axis=1)
        return [tuple(operations[d] for d in row) for row in digits]

    def parse(self, text: str) -> Arch:
        """The cell of an official architecture string."""
        fault = ValueError(
            f"{quoted(text)} is not a NAS-Bench-201 cell; it reads '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|' "
            f"with op one of {', '.join(OPERATIONS)}."
        )
        if not isinstance(text, str):
            raise fault
        entries = [entry.split("~") for group in text.split("+") for entry in group.strip("|").split("|")]
        arch = tuple(entry[0] for entry in entries)
        if len(arch) != len(EDGES) or any(op not in OPERATIONS for op in arch) or self.format(arch) != text:
            raise fault
        return arch

    def format(self, arch: Sequence[str]) -> str:
        """The official architecture string of a cell."""
        groups = [
            "".join(f"|{op}~{source}" for op, (source, node) in zip(arch, EDGES, strict=True) if node == target) + "|"
            for target in (1, 2, 3)
        ]
        return "+".join(groups)

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network of a cell: stem, three stages of cells, two residual blocks of stride 2, head."""
        skeleton = self.skeleton(scale)
        width = skeleton["width"]
        g = GraphBuilder(self.format(arch))
        x = g.input(skeleton["shape"])
        with g.scope("stem"):
            x = g.batch_norm(g.conv(x, width, 3, name="conv"), name="bn")
        for stage in range(3):
            with g.scope(f"stage{stage + 1}"):
                if stage:
                    with g.scope("reduction"):
                        x = _reduction(g, x, width << stage)
                for cell in range(skeleton["cells"]):
                    with g.scope(f"cell{cell + 1}"):
                        x = _cell(g, x, arch)
        with g.scope("head"):
            x = g.relu(g.batch_norm(x, name="bn"), name="relu")
            x = g.linear(g.mean(x, name="pool"), skeleton["classes"], name="linear")
        return g.graph(x)


def _cell(g: GraphBuilder, x: int, arch: Arch) -> int:
    nodes = [x]
    for target in (1, 2, 3):
        with g.scope(f"node{target}"):
            parts = [
                _operation(g, nodes[source], op, f"{op}_{source}")
                for op, (source, node) in zip(arch, EDGES, strict=True)
                if node == target
            ]
            nodes.append(g.add(parts, name="sum"))
    return nodes[3]


def _operation(g: GraphBuilder, x: int, op: str, name: str) -> int:
    if op == "skip_connect":
        return x
    if op == "none":
        return g.unary(Op.ZERO, x, name=name)
    if op == "avg_pool_3x3":
        return g.avg_pool(x, 3, stride=1, padding=1, name=name)
    with g.scope(name):
        return _relu_conv_bn(g, x, g.channels(x), 3 if op == "nor_conv_3x3" else 1)


def _relu_conv_bn(g: GraphBuilder, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    x = g.conv(g.relu(x, name="relu"), channels, kernel, stride=stride, padding=kernel // 2, name="conv")
    return g.batch_norm(x, name="bn")


def _reduction(g: GraphBuilder, x: int, channels: int) -> int:
    """The fixed residual block of stride 2; no ReLU after its sum, no batch norm in its shortcut."""
    with g.scope("conv1"):
        main = _relu_conv_bn(g, x, channels, 3, stride=2)
    with g.scope("conv2"):
        main = _relu_conv_bn(g, main, channels, 3)
    with g.scope("shortcut"):
        shortcut = g.conv(g.avg_pool(x, 2, stride=2, name="pool"), channels, 1, name="conv")
    return g.add((main, shortcut), name="sum")


register(NB201())
