"""The ResNet-50 space of Once-for-All (Cai et al., ICLR 2020; He et al., CVPR 2016)."""

import re
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from nasviz.families.blocks import classifier, conv_bn, distinct, make_divisible
from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

RATIOS = (20, 25, 35)
"""Width inside a bottleneck, in percent of its output."""
MULTIPLIERS = (0.65, 0.8, 1.0)
BASE_DEPTHS, EXTRA_DEPTHS = (2, 2, 4, 2), (0, 1, 2)
STEM_DEPTHS = (0, 2)
EPS = 1e-3
"""Of all batch norms, as in GENNAPE's module."""


class Arch(NamedTuple):
    """An architecture.

    Attributes
    ----------
    stem : int
        2 if the stem has a residual convolution, else 0.
    widths : tuple of int
        Positions in `MULTIPLIERS`: of the stem's inner and outer channels and of the four stages. The first is never
        1, which gives the same 24 channels as 0.
    stages : tuple of tuple of int
        One of `RATIOS` for each block of the four stages.
    """

    stem: int
    widths: tuple[int, ...]
    stages: tuple[tuple[int, ...], ...]


class OFAResNet(Family):
    """Bottleneck networks with elastic depth, width and bottleneck ratio.

    The text form is ``stem2;w=222222;25,25|25,20|20,35,20,35|35,20``: the stem, six positions of width multipliers,
    and a bottleneck ratio in percent for each block; stages by ``|``. An input resolution behind it, as in ``@224``,
    is read and dropped: it changes no parameter.

    Scale "paper" is the ImageNet network at 224×224; "digits" is narrowed for 8×8 images, with two strides left.
    """

    name = "ofa_resnet"
    facts = Facts(
        "OFA ResNet-50",
        2 * 2 * 3**5 * 117**3 * 1053,  # 117 = 3² + 3³ + 3⁴, 1053 = 3⁴ + 3⁵ + 3⁶; of genomes, half as many again
        "ImageNet",
        "Cai et al., Once-for-All, ICLR 2020; He et al., ResNet, CVPR 2016",
        10_000,
        (0.7525, 0.7994),
    )
    scales = {
        "paper": {
            "shape": (1, 3, 224, 224),
            "stem": 64,
            "stem_stride": 2,
            "stem_pool": 2,
            "stages": (256, 512, 1024, 2048),
            "strides": (1, 2, 2, 2),
            "divisor": 8,
            "classes": 1000,
        },
        "digits": {
            "shape": (1, 1, 8, 8),
            "stem": 16,
            "stem_stride": 1,
            "stem_pool": 1,
            "stages": (32, 48, 64, 96),
            "strides": (1, 2, 1, 2),
            "divisor": 1,
            "classes": 10,
        },
    }

    def sample(self, n: int, seed: int = 0) -> list[Arch]:
        """`n` different architectures: stem, depths, ratios and multipliers all uniform."""
        return distinct(_draw, n, seed)

    def parse(self, text: str) -> Arch:
        """The architecture in a text such as ``stem2;w=222222;25,25|25,20|20,35,20,35|35,20``."""
        pattern = r"stem([02]);w=([0-2]{6});([0-9,|]+)(@[0-9]{1,4})?"
        match = re.fullmatch(pattern, text) if isinstance(text, str) else None
        if match is None:
            raise _fault(text, "")
        stages = [stage.split(",") for stage in match[3].split("|")]
        return _arch(int(match[1]), map(int, match[2]), stages, text)

    def format(self, arch: Arch) -> str:
        """Stem, width multipliers, and the ratio of each block."""
        widths = "".join(map(str, arch.widths))
        return f"stem{arch.stem};w={widths};{'|'.join(','.join(map(str, stage)) for stage in arch.stages)}"

    def from_config(self, config: Mapping[str, Sequence[Any]]) -> Arch:
        """The architecture of a published record.

        Parameters
        ----------
        config : mapping
            ``d`` (5: stem, then extra depth of each stage), ``e`` (18 ratios, four, four, six and four slots a stage,
            of which the first ones count) and ``w`` (6 positions in `MULTIPLIERS`).

        Raises
        ------
        ValueError
            If a part is missing or outside of the space.
        """
        try:
            stem, *extra = map(index, config["d"])
            ratios = [f"{100 * float(e):.4g}" for e in config["e"]]  # float32 ratios read too, 0.204 does not
            widths = list(map(index, config["w"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise _fault(config, ": a record has d (5), e (18) and w (6)") from None
        slots = [base + EXTRA_DEPTHS[-1] for base in BASE_DEPTHS]
        if len(extra) != len(slots) or len(ratios) != sum(slots) or not set(extra) <= set(EXTRA_DEPTHS):
            raise _fault(config, ": a record has d (5, of 0, 1, 2), e (18) and w (6)")
        starts = np.cumsum([0, *slots])
        depths = [base + more for base, more in zip(BASE_DEPTHS, extra, strict=True)]
        stages = [ratios[start : start + depth] for start, depth in zip(starts, depths, strict=False)]
        return _arch(0 if stem == 1 else stem, widths, stages, config)

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network: a stem of two or three convolutions, pooling, four stages of bottlenecks, head."""
        skeleton = self.skeleton(scale)
        bases = (skeleton["stem"] // 2, skeleton["stem"], *skeleton["stages"])
        inner, outer, *widths = (
            make_divisible(base * MULTIPLIERS[w], skeleton["divisor"])
            for base, w in zip(bases, arch.widths, strict=True)
        )
        g = GraphBuilder(self.format(arch))
        x = g.input(skeleton["shape"])
        with g.scope("stem"):
            x = _conv(g, x, inner, 3, stride=skeleton["stem_stride"], name="conv1")
            if arch.stem:
                x = g.add((x, _conv(g, x, inner, 3, name="conv2")), name="add")
            x = _conv(g, x, outer, 3, name="conv3")
            if skeleton["stem_pool"] > 1:
                x = g.max_pool(x, 3, stride=skeleton["stem_pool"], padding=1, name="pool")
        for number, (ratios, width, stride) in enumerate(zip(arch.stages, widths, skeleton["strides"], strict=True), 1):
            for position, ratio in enumerate(ratios, 1):
                hidden = make_divisible(round(width * ratio / 100), skeleton["divisor"])
                with g.scope(f"stage{number}.block{position}"):
                    x = _bottleneck(g, x, hidden, width, stride if position == 1 else 1)
        return g.graph(classifier(g, x, skeleton["classes"]))


def _conv(g: GraphBuilder, x: int, width: int, kernel: int, *, stride: int = 1, act: Op | None = Op.RELU, name) -> int:
    return conv_bn(g, x, width, kernel, stride=stride, act=act, eps=EPS, name=name)


def _bottleneck(g: GraphBuilder, x: int, hidden: int, width: int, stride: int) -> int:
    """1×1, 3×3 with the stride, 1×1; where the shape changes, the shortcut is average pooling and a 1×1 convolution."""
    y = _conv(g, x, hidden, 1, name="conv1")
    y = _conv(g, y, hidden, 3, stride=stride, name="conv2")
    y = _conv(g, y, width, 1, act=None, name="conv3")
    if stride > 1 or g.channels(x) != width:
        with g.scope("shortcut"):
            x = g.avg_pool(x, stride, stride=stride, ceil_mode=True, name="pool")
            x = _conv(g, x, width, 1, act=None, name="project")
    return g.relu(g.add((y, x), name="add"), name="relu")


def _draw(rng: np.random.Generator) -> Arch:
    stem = int(rng.choice(STEM_DEPTHS))
    depths = [base + int(rng.choice(EXTRA_DEPTHS)) for base in BASE_DEPTHS]
    stages = tuple(tuple(int(rng.choice(RATIOS)) for _ in range(depth)) for depth in depths)
    return Arch(stem, _canonical(rng.integers(0, len(MULTIPLIERS), 6)), stages)


def _canonical(widths: Sequence[int]) -> tuple[int, ...]:
    first, *rest = map(int, widths)
    return (0 if first == 1 else first, *rest)


def _arch(stem, widths, stages, source: Any) -> Arch:
    widths = list(widths)
    if stem not in STEM_DEPTHS or len(widths) != 6 or not set(widths) <= set(range(len(MULTIPLIERS))):
        raise _fault(source, ": the stem is 0 or 2, and there are six width positions of 0, 1, 2")
    if len(stages) != len(BASE_DEPTHS):
        raise _fault(source, f": it has {len(stages)} stages, not {len(BASE_DEPTHS)}")
    for number, (ratios, base) in enumerate(zip(stages, BASE_DEPTHS, strict=True), 1):
        if len(ratios) - base not in EXTRA_DEPTHS:
            raise _fault(source, f": stage {number} has {len(ratios)} blocks, not {base} to {base + EXTRA_DEPTHS[-1]}")
        if any(str(ratio) not in map(str, RATIOS) for ratio in ratios):
            raise _fault(source, f": a ratio of stage {number} is none of {', '.join(map(str, RATIOS))} percent")
    return Arch(stem, _canonical(widths), tuple(tuple(map(int, ratios)) for ratios in stages))


def _fault(source: Any, reason: str) -> ValueError:
    example = "stem2;w=222222;25,25|25,20|20,35,20,35|35,20"
    return ValueError(f"{quoted(source)} is not a network of OFA ResNet-50; it reads '{example}'{reason}.")


register(OFAResNet())
