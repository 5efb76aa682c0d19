"""What the two MobileNet spaces of Once-for-All share (Cai et al., ICLR 2020): stages of inverted residual blocks."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from nasviz.families.blocks import conv_bn, distinct, make_divisible
from nasviz.families.family import Family, quoted
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.ops import Op

EXPANSIONS, KERNELS = (3, 4, 6), (3, 5, 7)


class Block(NamedTuple):
    """The choices in one inverted residual block: expansion ratio and kernel of its depthwise convolution."""

    expand: int
    kernel: int

    def __str__(self) -> str:
        return f"{self.expand}{self.kernel}"


Arch = tuple[tuple[Block, ...], ...]
"""The blocks of each searchable stage."""


@dataclass(frozen=True)
class Stage:
    """What the skeleton fixes: output channels, stride of the first block, activation, squeeze-and-excitation."""

    width: int
    stride: int
    act: Op = Op.RELU6
    excite: bool = False


class MobileFamily(Family):
    """Stages of inverted residual blocks, each block with its own expansion ratio and kernel.

    The text form has two digits a block, expansion and kernel: ``33,67|45,45,63|33,33|65,37|47,43|67``; stages by
    ``|``. An input resolution behind it, as in ``@224``, is read and dropped: it changes no parameter.

    Attributes
    ----------
    depths : tuple of (int, int)
        Fewest and most blocks of each stage.
    code : str
        How published records name a block, before its expansion and kernel, as in ``mbconv2_e6_k7``.
    """

    depths: Sequence[tuple[int, int]]
    code: str

    @classmethod
    def count(cls) -> int:
        """Architectures in the space."""
        choices = len(EXPANSIONS) * len(KERNELS)
        return prod(sum(choices**depth for depth in range(low, high + 1)) for low, high in cls.depths)

    def sample(self, n: int, seed: int = 0) -> list[Arch]:
        """`n` different architectures: the depth of each stage uniform, then each block over its nine choices."""
        return distinct(lambda rng: tuple(_draw_stage(rng, *depth) for depth in self.depths), n, seed)

    def parse(self, text: str) -> Arch:
        """The architecture in a text such as ``33,67|45,45,63|33,33|65,37|47,43|67``."""
        body = re.fullmatch(r"([0-9,|]+)(@[0-9]{1,4})?", text) if isinstance(text, str) else None
        if body is None:
            raise self._fault(text, "")
        return self._arch([[tuple(b) for b in stage.split(",")] for stage in body[1].split("|")], text)

    def format(self, arch: Arch) -> str:
        """Two digits a block, expansion and kernel."""
        return "|".join(",".join(map(str, stage)) for stage in arch)

    def from_config(self, config: Sequence[Sequence[str]]) -> Arch:
        """The architecture of a published record: a list of stages, each a list of names such as ``mbconv2_e6_k7``.

        Raises
        ------
        ValueError
            If it is not such a list.
        """
        pattern = re.compile(f"{self.code}_e([0-9])_k([0-9])")
        try:
            stages = [[pattern.fullmatch(name).groups() for name in stage] for stage in config]
        except (AttributeError, TypeError):
            raise self._fault(config, f": its blocks are called '{self.code}_e6_k7'") from None
        return self._arch(stages, config)

    def _arch(self, stages: Sequence[Sequence[Sequence[str]]], source: Any) -> Arch:
        if len(stages) != len(self.depths):
            raise self._fault(source, f": it has {len(stages)} stages, not {len(self.depths)}")
        for number, (stage, (low, high)) in enumerate(zip(stages, self.depths, strict=True), 1):
            if not low <= len(stage) <= high:
                raise self._fault(source, f": stage {number} has {len(stage)} blocks, not {low} to {high}")
            for block in stage:
                if len(block) != 2 or int(block[0]) not in EXPANSIONS or int(block[1]) not in KERNELS:
                    digits = quoted("".join(block))
                    raise self._fault(source, f": {digits} is no expansion of 3, 4, 6 and kernel of 3, 5, 7")
        return tuple(tuple(Block(int(expand), int(kernel)) for expand, kernel in stage) for stage in stages)

    def _fault(self, source: Any, reason: str) -> ValueError:
        example = "|".join(",".join(["67"] * low) for low, _ in self.depths)
        return ValueError(f"{quoted(source)} is not a network of {self.facts.title}; it reads '{example}'{reason}.")


def _draw_stage(rng: np.random.Generator, low: int, high: int) -> tuple[Block, ...]:
    depth = rng.integers(low, high + 1)
    return tuple(Block(int(rng.choice(EXPANSIONS)), int(rng.choice(KERNELS))) for _ in range(depth))


def stages(g: GraphBuilder, x: int, arch: Arch, skeleton: Iterable[Stage], eps: float) -> int:
    """All blocks of an architecture; the first of a stage has its stride and changes the width."""
    for number, (blocks, stage) in enumerate(zip(arch, skeleton, strict=True), 1):
        for position, block in enumerate(blocks, 1):
            with g.scope(f"stage{number}.block{position}"):
                stride = stage.stride if position == 1 else 1
                x = inverted_residual(g, x, block, stage, stride, eps)
    return x


def inverted_residual(g: GraphBuilder, x: int, block: Block, stage: Stage, stride: int, eps: float) -> int:
    """1×1 expansion, k×k depthwise, squeeze-excitation, linear 1×1 projection; with the identity where shapes allow.

    The expansion is that of the block's own input (Sandler et al., MobileNetV2, CVPR 2018; Howard et al., MobileNetV3,
    ICCV 2019).
    """
    width = block.expand * g.channels(x)
    y = conv_bn(g, x, width, 1, act=stage.act, eps=eps, name="expand")
    y = conv_bn(g, y, width, block.kernel, stride=stride, groups=width, act=stage.act, eps=eps, name="depthwise")
    if stage.excite:
        with g.scope("excite"):
            y = _squeeze_excite(g, y)
    y = conv_bn(g, y, stage.width, 1, act=None, eps=eps, name="project")
    return g.add((x, y), name="add") if g.shape(x) == g.shape(y) else y


def separable(g: GraphBuilder, x: int, width: int, act: Op, eps: float) -> int:
    """The fixed first block: 3×3 depthwise and linear 1×1, no expansion."""
    x = conv_bn(g, x, g.channels(x), 3, groups=g.channels(x), act=act, eps=eps, name="depthwise")
    return conv_bn(g, x, width, 1, act=None, eps=eps, name="project")


def _squeeze_excite(g: GraphBuilder, x: int) -> int:
    width = g.channels(x)
    gate = g.mean(x, keepdim=True, name="pool")
    gate = g.relu(g.conv(gate, make_divisible(width // 4), 1, bias=True, name="reduce"), name="relu")
    gate = g.unary(Op.HARD_SIGMOID, g.conv(gate, width, 1, bias=True, name="expand"), name="hard_sigmoid")
    return g.mul(x, gate, name="mul")
