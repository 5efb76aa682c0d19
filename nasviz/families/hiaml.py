"""HiAML, a macro space of 14 blocks found by hierarchical search (Mills et al., GENNAPE, AAAI 2023)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nasviz.families.blocks import classifier, conv_bn
from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

# The nodes of a block, n1 first, as (operation, operands); operands are the digits of earlier nodes or x, the block's
# input, and are summed. The ReLU of the last entry, "sum", is the block's output. Operations: c3 and c1 are
# convolution, batch norm and ReLU6, "n" leaves the ReLU6 out, "=" keeps width and resolution so that the next node
# changes them; "is" is a 1x3 and a 3x1 convolution, each with batch norm and ReLU6.
BLOCKS: dict[str, tuple[tuple[str, str], ...]] = {
    "z": (("c3", "x"), ("is", "1"), ("sum", "12")),
    "a22": (("c3", "x"), ("c1", "1"), ("c1n", "2"), ("sum", "13")),
    "b23": (("is", "x"), ("is", "1"), ("sum", "x2")),
    "j30": (("c3", "x"), ("is", "1"), ("sum", "x2")),
    "g30": (("is", "x"), ("is", "x1"), ("c1n", "2"), ("sum", "13")),
    "r30": (("is", "x"), ("c1n", "x1"), ("is", "1"), ("sum", "x23")),
    "l20": (("c3", "x"), ("c1n", "1"), ("sum", "2")),
    "t20": (("c1n", "x"), ("is", "x"), ("sum", "12")),
    "t31": (("is", "x"), ("c1", "1"), ("is", "x2"), ("sum", "x23")),
    "src0": (("c1", "x"), ("c3", "1"), ("c3n", "2"), ("sum", "13")),
    "src1": (("c1", "x"), ("c3=", "x"), ("c3n", "2"), ("sum", "13")),
    "src3": (("c1n", "x"), ("c1=", "x"), ("c3", "2"), ("c1n", "3"), ("sum", "14")),
    "src7": (("c1n", "x"), ("is", "1"), ("is", "2"), ("sum", "13")),
    "src8": (("c1n", "x"), ("is", "1"), ("c1n", "2"), ("sum", "13")),
}
STAGES, REPEATS = 4, 2

Arch = tuple[str, ...]
"""The block of each of the four stages."""


class _Change(NamedTuple):
    """What a block does to its input: the new width, and the stride on both axes."""

    width: int
    stride: int


class HiAML(Family):
    """38,416 networks of four stages, each with one of 14 blocks twice.

    An architecture is a tuple of four block names; its text form is ``z,a22,b23,j30``. Blocks are the PyTorch ones,
    with ReLU6 in their nodes; the graphs that the authors published were traced from a twin with plain ReLU.

    Scale "paper" is the CIFAR-10 network; "digits" is narrowed for 8×8 images.
    """

    name = "hiaml"
    facts = Facts(
        "HiAML",
        len(BLOCKS) ** STAGES,
        "CIFAR-10",
        "Mills et al., GENNAPE, AAAI 2023",
        4_600,
        (0.9111, 0.9344),
    )
    scales = {
        "paper": {
            "shape": (1, 3, 32, 32),
            "stem": (64, 2),
            "widths": (64, 128, 128, 256),
            "strides": (1, 2, 1, 2),
            "classes": 10,
        },
        "digits": {
            "shape": (1, 1, 8, 8),
            "stem": (8, 1),
            "widths": (8, 16, 16, 32),
            "strides": (1, 2, 1, 2),
            "classes": 10,
        },
    }

    def sample(self, n: int, seed: int = 0) -> list[Arch]:
        """`n` different architectures, uniformly.

        Raises
        ------
        ValueError
            If there are fewer than `n`.
        """
        if not 0 <= n <= self.facts.size:
            raise ValueError(f"n={n}: the space has {self.facts.size:,} architectures; ask for at most that many.")
        codes = np.random.default_rng(seed).choice(self.facts.size, n, replace=False)
        blocks = list(BLOCKS)
        digits = np.stack(np.unravel_index(codes, (len(blocks),) * STAGES), axis=1)
        return [tuple(blocks[d] for d in row) for row in digits]

    def parse(self, text: str) -> Arch:
        """The architecture written as four block names with commas."""
        arch = tuple(text.split(",")) if isinstance(text, str) else ()
        if len(arch) != STAGES or any(block not in BLOCKS for block in arch):
            raise ValueError(
                f"{quoted(text)} is not a HiAML network; it reads 'z,a22,b23,j30', four blocks of {', '.join(BLOCKS)}."
            )
        return arch

    def format(self, arch: Sequence[str]) -> str:
        """The four block names with commas."""
        return ",".join(arch)

    def from_config(self, config: Sequence[str]) -> Arch:
        """The architecture of a published record: four block names such as ``hiaml_src1``.

        Raises
        ------
        ValueError
            If it is not such a list.
        """
        names = config if isinstance(config, list | tuple) else [None]
        if not all(isinstance(name, str) and name.startswith("hiaml_") for name in names):
            raise ValueError(
                f"{quoted(config)} is not a HiAML configuration; it is a list of names such as 'hiaml_src1'."
            )
        return self.parse(",".join(name.removeprefix("hiaml_") for name in names))

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network: stem, four stages of two equal blocks, head; a stage's first block changes the width."""
        skeleton = self.skeleton(scale)
        g = GraphBuilder(self.format(arch))
        width, stride = skeleton["stem"]
        x = conv_bn(g, g.input(skeleton["shape"]), width, 3, stride=stride, act=Op.RELU, name="stem")
        stages = zip(arch, skeleton["widths"], skeleton["strides"], strict=True)
        for stage, (block, width, stride) in enumerate(stages, 1):
            for repeat in range(1, REPEATS + 1):
                with g.scope(f"stage{stage}.block{repeat}"):
                    x = _block(g, x, block, _Change(width, stride if repeat == 1 else 1))
        return g.graph(classifier(g, x, skeleton["classes"]))


def _block(g: GraphBuilder, x: int, block: str, change: _Change) -> int:
    *nodes, (_, outputs) = BLOCKS[block]
    results = {"x": x}
    waiting = {"x"} if change != (g.channels(x), 1) else set()  # results as wide and as large as the input still
    for number, (op, operands) in enumerate(nodes, 1):
        with g.scope(f"n{number}"):
            late = operands in waiting
            if late and op.endswith("="):
                waiting.add(str(number))
                late = False
            value = _sum(g, results, operands, waiting, change)
            effect = change if late else _Change(g.channels(value), 1)
            results[str(number)] = _node(g, value, op.removesuffix("="), effect)
    with g.scope("sum"):
        return g.relu(_sum(g, results, outputs, waiting, change), name="relu")


def _sum(g: GraphBuilder, results: dict[str, int], operands: str, waiting: set[str], change: _Change) -> int:
    """The sum of the operands, or the only one; in a sum, one that waits passes a projection of its own first."""
    if len(operands) == 1:
        return results[operands]
    parts = []
    for operand in operands:
        part = results[operand]
        if operand in waiting:
            part = conv_bn(g, part, change.width, 1, stride=change.stride, act=None, name="project")
        parts.append(part)
    return g.add(parts, name="add")


def _node(g: GraphBuilder, x: int, op: str, change: _Change) -> int:
    width, stride = change
    if op == "is":  # the first convolution strides on both axes
        x = conv_bn(g, x, width, (1, 3), stride=stride, name="row")
        return conv_bn(g, x, width, (3, 1), name="column")
    act = None if op.endswith("n") else Op.RELU6
    return conv_bn(g, x, width, int(op[1]), stride=stride, act=act, name=op)


register(HiAML())
