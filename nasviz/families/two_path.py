"""Two-Path, a macro space of two parallel paths of residual blocks (Mills et al., GENNAPE, AAAI 2023)."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import comb
from typing import Any, NamedTuple

import numpy as np

from nasviz.families.blocks import OP_CODES, POOLS, classifier, conv_bn, distinct, draw_ops, ops_fault, pool_bn
from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph

HALF, QUARTER, SAME, TWICE, OUT = Fraction(1, 2), Fraction(1, 4), Fraction(1), Fraction(2), None

# Convolutions in series as (kernel, width), each with batch norm and ReLU6: the width is a multiple of the operation's
# input width, or OUT, its output width. The first one takes the stride, on both axes.
CONV_OPS = {
    "c3": ((3, OUT),),
    "c5": ((5, OUT),),
    "d3": ((3, SAME), (3, OUT)),
    "r2k3": ((3, HALF), (3, OUT)),
    "r4k3": ((3, QUARTER), (3, OUT)),
    "e2k3": ((3, TWICE), (3, OUT)),
    "is3": (((1, 3), OUT), ((3, 1), OUT)),
    "is5": (((1, 5), OUT), ((5, 1), OUT)),
}
SUPP_CONVS = {"c1": ((1, OUT),), "r2k1": ((1, HALF), (1, OUT)), "e2k1": ((1, TWICE), (1, OUT))}
SUPP_OPS = (*SUPP_CONVS, *POOLS)

LENGTHS, MOST_OPS, REDUCTIONS = (2, 3, 4), 3, 2
BLOCKS = sum(
    len(CONV_OPS) ** k + (k * len(SUPP_OPS) * len(CONV_OPS) ** (k - 1) if k > 1 else 0) for k in range(1, MOST_OPS + 1)
)
PATHS = sum(BLOCKS**length * comb(length, REDUCTIONS) for length in LENGTHS)


class Block(NamedTuple):
    """One to three operations in series, and whether the block halves the resolution and doubles the width."""

    ops: tuple[str, ...]
    reduces: bool

    def __str__(self) -> str:
        return "-".join(self.ops) + "*" * self.reduces


Path = tuple[Block, ...]
Arch = tuple[Path, Path]
"""The two paths, in the order of their texts."""


class TwoPath(Family):
    """Two paths of two to four residual blocks, two of them reductions; the concatenated results are classified.

    A block is one to three operations, at least one of `CONV_OPS` and at most one of `SUPP_OPS`. The text form is
    ``c3*,d3-c1*|c5,c3*,mp3-is3*``: paths by ``|``, blocks by ``,``, operations by ``-``, and ``*`` marks a reduction.
    Swapping the paths gives the same network, so they are kept in the order of their texts. Operations are the PyTorch
    ones; in the graphs that the authors published, the convolutions of bottlenecks have no activation.

    Scale "paper" is the CIFAR-10 network; "digits" is narrowed for 8×8 images. Each stem is (width, stride).
    """

    name = "two_path"
    facts = Facts(
        "Two-Path",
        PATHS * (PATHS + 1) // 2,
        "CIFAR-10",
        "Mills et al., GENNAPE, AAAI 2023",
        6_900,
        (0.8553, 0.9234),
    )
    scales = {
        "paper": {"shape": (1, 3, 32, 32), "stems": ((32, 1), (32, 2)), "post": 512, "classes": 10},
        "digits": {"shape": (1, 1, 8, 8), "stems": ((4, 1), (8, 1)), "post": 64, "classes": 10},
    }

    def sample(self, n: int, seed: int = 0) -> list[Arch]:
        """`n` different architectures by the authors' rule.

        A path's length is uniform in 2 to 4, and so are its two reductions among its blocks; a block has one to three
        operations, one of them surely a convolution, each further one a supplementary one with probability 5/13 until
        there is one, in random order.
        """
        return distinct(lambda rng: _canonical((_draw_path(rng), _draw_path(rng))), n, seed)

    def parse(self, text: str) -> Arch:
        """The architecture in a text such as ``c3*,d3-c1*|c5,c3*,mp3-is3*``, the paths in either order."""
        fault = f"{quoted(text)} is not a Two-Path network; it reads 'c3*,d3-c1*|c5,c3*,mp3-is3*'"
        if not isinstance(text, str):
            raise ValueError(f"{fault}.")
        paths = [
            tuple(Block(tuple(block.removesuffix("*").split("-")), block.endswith("*")) for block in path.split(","))
            for path in text.split("|")
        ]
        if reason := _fault(paths):
            raise ValueError(f"{fault}: {reason}.")
        return _canonical(paths)

    def format(self, arch: Arch) -> str:
        """The text of the two paths, the smaller first."""
        return "|".join(map(_text, _canonical(arch)))

    def from_config(self, config: Mapping[str, Any]) -> Arch:
        """The architecture of a published record.

        Parameters
        ----------
        config : mapping
            ``path1`` and ``path2``, lists of blocks with ``op_names``; ``path1_reduce_inds`` and ``path2_reduce_inds``,
            the positions of the reduction blocks. The ``op_types`` follow from the names and are not read.

        Raises
        ------
        ValueError
            If a part is missing or is not of the space.
        """
        try:
            paths = [
                tuple(
                    Block(tuple(OP_CODES[name] for name in block["op_names"]), i in config[f"{key}_reduce_inds"])
                    for i, block in enumerate(config[key])
                )
                for key in ("path1", "path2")
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{quoted(config)} is not a Two-Path configuration: at {quoted(error.args[0])}.") from None
        if reason := _fault(paths):
            raise ValueError(f"{quoted(config)} is not a Two-Path configuration: {reason}.")
        return _canonical(paths)

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network: two stem convolutions, the two paths, their concatenation, a convolution, head."""
        skeleton = self.skeleton(scale)
        g = GraphBuilder(self.format(arch))
        x = g.input(skeleton["shape"])
        for i, (width, stride) in enumerate(skeleton["stems"], 1):
            x = conv_bn(g, x, width, 3, stride=stride, name=f"stem{i}")
        results = []
        for i, path in enumerate(arch, 1):
            y = x
            for j, block in enumerate(path, 1):
                with g.scope(f"path{i}.block{j}"):
                    y = _block(g, y, block)
            results.append(y)
        x = conv_bn(g, g.concat(results, name="concat"), skeleton["post"], 3, name="post")
        return g.graph(classifier(g, x, skeleton["classes"]))


def _text(path: Path) -> str:
    return ",".join(map(str, path))


def _canonical(paths: Sequence[Path]) -> Arch:
    return tuple(sorted(paths, key=_text))


def _fault(paths: Sequence[Path]) -> str | None:
    """What is wrong with the paths, if anything."""
    if len(paths) != 2:
        return f"it has {len(paths)} paths, not two"
    for path in paths:
        if len(path) not in LENGTHS:
            return f"a path has {len(path)} blocks, not two to four"
        if (reductions := sum(block.reduces for block in path)) != REDUCTIONS:
            return f"a path has {reductions} reduction blocks, not two"
        for block in path:
            if not 1 <= len(block.ops) <= MOST_OPS:
                return f"the block {quoted(str(block))} has {len(block.ops)} operations, not one to three"
            if reason := ops_fault(block.ops, CONV_OPS, SUPP_OPS):
                return reason
    return None


def _draw_path(rng: np.random.Generator) -> Path:
    length = rng.choice(LENGTHS)
    reductions = set(rng.choice(length, REDUCTIONS, replace=False).tolist())
    counts = rng.integers(1, MOST_OPS + 1, size=length)
    return tuple(Block(draw_ops(rng, n, list(CONV_OPS), SUPP_OPS), i in reductions) for i, n in enumerate(counts))


def _block(g: GraphBuilder, x: int, block: Block) -> int:
    """The operations in series; a reduction acts at the first of `CONV_OPS`, other blocks add their input."""
    change = next(i for i, op in enumerate(block.ops) if op in CONV_OPS) if block.reduces else None
    y = x
    for i, op in enumerate(block.ops):
        width, stride = (2 * g.channels(y), 2) if i == change else (g.channels(y), 1)
        with g.scope(f"op{i + 1}"):
            y = _operation(g, y, op, width, stride)
    return y if block.reduces else g.add((y, x), name="add")


def _operation(g: GraphBuilder, x: int, op: str, width: int, stride: int) -> int:
    if op in POOLS:
        return pool_bn(g, x, op)
    before = g.channels(x)
    for i, (kernel, multiple) in enumerate((CONV_OPS | SUPP_CONVS)[op], 1):
        channels = width if multiple is OUT else int(multiple * before)
        x = conv_bn(g, x, channels, kernel, stride=stride if i == 1 else 1, name=f"{op}_{i}")
    return x


register(TwoPath())
