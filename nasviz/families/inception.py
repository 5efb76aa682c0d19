"""Inception, a macro space of multi-path blocks (Mills et al., GENNAPE, AAAI 2023)."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nasviz.families.blocks import OP_CODES, POOLS, classifier, conv_bn, distinct, draw_ops, ops_fault, pool_bn
from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

CONV_OPS = ("c3", "c5", "is3", "is5", "ip3", "ip5", "dw3", "dw5")
"""Square, separated (1xk then kx1), parallel (1xk beside kx1) and depthwise convolution; the digit is the kernel."""
SUPP_OPS = ("c1", "d1", *POOLS)
"""Pointwise convolution, one or two of them; pools."""

STEM_WIDTH, NARROWEST, WIDEST = 32, 16, 512
STAGES, MOST_BLOCKS, MOST_PATHS = (3, 4), 9, 4


class Preset(NamedTuple):
    """Bounds of the sampling; `caps` and `least` are by the number of paths of a block, one to four.

    Attributes
    ----------
    stages : int
        Stages of the network.
    blocks : tuple of int
        Fewest and most blocks of a stage.
    caps : tuple of int
        Most operations of a block, all its paths together.
    least : tuple of int
        Fewest operations of a path.
    longest : int
        Most operations of a path, if the cap does not forbid it already.
    """

    stages: int
    blocks: tuple[int, int]
    caps: tuple[int, int, int, int]
    least: tuple[int, int, int, int]
    longest: int


PRESETS = {
    "labelled": Preset(4, (2, 6), (4, 8, 12, 16), (1, 1, 1, 1), 16),
    "released": Preset(4, (2, 6), (3, 4, 8, 10), (1, 1, 2, 2), 16),
    "paper": Preset(3, (2, 4), (4, 8, 12, 16), (1, 1, 1, 1), 4),
}
"""The setting that fits the published labelled graph; that of the released sampler; that of the paper's words."""


class Path(NamedTuple):
    """Operations in series, their width (channels at scale "paper") and the width of the path's result."""

    ops: tuple[str, ...]
    inner: int
    outer: int

    def __str__(self) -> str:
        width = f"{self.outer}" if self.inner == self.outer else f"{self.inner}/{self.outer}"
        return f"{'-'.join(self.ops)}@{width}"


class Stage(NamedTuple):
    """A block design and how often it stands."""

    blocks: int
    paths: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.blocks}*{';'.join(map(str, self.paths))}"


Arch = tuple[Stage, ...]
"""Three or four stages, the paths of each in the order of their texts."""


class Inception(Family):
    """Three or four stages, each one block design two to six times: one to four paths, concatenated.

    The text form is ``2*c3@32|3*is3-c1@32/64|2*dw3@64;ip5@64|6*c5@256``: stages by ``|``, the number of blocks before
    ``*``, paths by ``;``, operations by ``-``, then ``@width`` or ``@inner/outer`` in channels at scale "paper", where
    the stages have 32, 64, 128 and 256. The order of a block's paths does not matter, so they are kept in the order of
    their texts.

    Scale "paper" is the CIFAR-10 network; "digits" is for 8×8 images: all widths are divided by four, the last stage
    keeps its 2×2 positions, and up to three blocks become one (of six, two), since the deepest would not train.
    """

    name = "inception"
    facts = Facts(
        "Inception",
        10**83,  # ordered paths of the preset "labelled"
        "CIFAR-10",
        "Mills et al., GENNAPE, AAAI 2023",
        580,
        (0.8908, 0.9403),
    )
    scales = {
        "paper": {
            "shape": (1, 3, 32, 32),
            "divide": 1,
            "strides": (1, 2, 2, 2),
            "fold_blocks": 1,
            "post": 512,
            "classes": 10,
        },
        "digits": {
            "shape": (1, 1, 8, 8),
            "divide": 4,
            "strides": (1, 2, 2, 1),
            "fold_blocks": 3,
            "post": 64,
            "classes": 10,
        },
    }

    def sample(self, n: int, seed: int = 0, *, preset: str = "labelled") -> list[Arch]:
        """`n` different architectures by the authors' rule, with the bounds `PRESETS[preset]`.

        Raises
        ------
        ValueError
            If there is no such preset.
        """
        if preset not in PRESETS:
            raise ValueError(f"preset={preset!r}: the presets are {', '.join(map(repr, PRESETS))}.")
        bounds = PRESETS[preset]
        return distinct(
            lambda rng: _canonical(_draw_stage(rng, STEM_WIDTH << stage, bounds) for stage in range(bounds.stages)),
            n,
            seed,
        )

    def parse(self, text: str) -> Arch:
        """The architecture in a text such as ``2*c3@32|3*is3-c1@32/64|2*dw3@64;ip5@64``, paths in any order."""
        fault = f"{quoted(text)} is not an Inception network; it reads '2*c3@32|3*is3-c1@32/64|2*dw3@64;ip5@64'"
        if not isinstance(text, str):
            raise ValueError(f"{fault}.")
        arch = []
        for stage in text.split("|"):
            blocks, star, paths = stage.partition("*")
            matches = [re.fullmatch(r"([^@]*)@([1-9][0-9]{0,3})(?:/([1-9][0-9]{0,3}))?", p) for p in paths.split(";")]
            if not re.fullmatch("[0-9]", blocks) or not star or not all(matches):
                raise ValueError(f"{fault}: the stage {quoted(stage)} is not a number of blocks, '*' and its paths.")
            arch.append(
                Stage(int(blocks), tuple(Path(tuple(m[1].split("-")), int(m[2]), int(m[3] or m[2])) for m in matches))
            )
        if reason := _fault(arch):
            raise ValueError(f"{fault}: {reason}.")
        return _canonical(arch)

    def format(self, arch: Arch) -> str:
        """The text of the stages, the paths of each in the order of their texts."""
        return "|".join(map(str, _canonical(arch)))

    def from_config(self, config: Mapping[str, Any]) -> Arch:
        """The architecture of a published record.

        Parameters
        ----------
        config : mapping
            ``stages``, each with ``n_blocks`` and a ``block`` whose ``paths`` have ``ops``, ``C_internal`` and
            ``C_out``. The rest of a stage (``C_in``, ``C_out``, ``stride``) follows from its position; ``C_out`` is
            compared with it.

        Raises
        ------
        ValueError
            If a part is missing or is not of the space.
        """
        fault = f"{quoted(config)} is not an Inception configuration"
        try:
            arch = [
                Stage(
                    int(stage["n_blocks"]),
                    tuple(
                        Path(tuple(OP_CODES[op] for op in p["ops"]), int(p["C_internal"]), int(p["C_out"]))
                        for p in stage["block"]["paths"]
                    ),
                )
                for stage in config["stages"]
            ]
            widths = [stage["C_out"] for stage in config["stages"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{fault}: at {quoted(error.args[0])}.") from None
        if widths != [STEM_WIDTH << i for i in range(len(arch))]:
            raise ValueError(
                f"{fault}: its stages have {quoted(widths)} channels, which must double from {STEM_WIDTH} on."
            )
        if reason := _fault(arch):
            raise ValueError(f"{fault}: {reason}.")
        return _canonical(arch)

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network: stem, the stages, each doubling the width, a convolution, head. All convolutions have bias."""
        skeleton = self.skeleton(scale)
        divide = skeleton["divide"]
        g = GraphBuilder(self.format(arch))
        x = conv_bn(g, g.input(skeleton["shape"]), STEM_WIDTH // divide, 3, bias=True, name="stem")
        for i, (stage, stride) in enumerate(zip(arch, skeleton["strides"], strict=False)):
            paths = [path._replace(inner=path.inner // divide, outer=path.outer // divide) for path in stage.paths]
            for block in range(math.ceil(stage.blocks / skeleton["fold_blocks"])):
                with g.scope(f"stage{i + 1}.block{block + 1}"):
                    x = _block(g, x, paths, (STEM_WIDTH << i) // divide, stride if block == 0 else 1)
        x = conv_bn(g, x, skeleton["post"], 3, bias=True, name="post")
        return g.graph(classifier(g, x, skeleton["classes"]))


def _canonical(stages: Sequence[Stage]) -> Arch:
    return tuple(Stage(stage.blocks, tuple(sorted(stage.paths, key=str))) for stage in stages)


def _fault(arch: Sequence[Stage]) -> str | None:
    """What is wrong with the stages, if anything."""
    if len(arch) not in STAGES:
        return f"it has {len(arch)} stages, not three or four"
    for stage in arch:
        if not 1 <= stage.blocks <= MOST_BLOCKS:
            return f"a stage has {stage.blocks} blocks, not one to {MOST_BLOCKS}"
        if not 1 <= len(stage.paths) <= MOST_PATHS:
            return f"a block has {len(stage.paths)} paths, not one to {MOST_PATHS}"
        for path in stage.paths:
            if reason := _path_fault(path):
                return reason
    return None


def _path_fault(path: Path) -> str | None:
    if reason := ops_fault(path.ops, CONV_OPS, SUPP_OPS):
        return reason
    text = quoted(str(path))
    if any(width % 8 or not NARROWEST <= width <= WIDEST for width in (path.inner, path.outer)):
        return f"the widths of the path {text} must be multiples of 8 from {NARROWEST} to {WIDEST}"
    if path.inner != path.outer and len(_width_ops(path.ops)) < 2:
        return f"the path {text} has one operation that sets a width, so its inner and outer width must be equal"
    return None


def _width_ops(ops: Sequence[str]) -> list[int]:
    """Positions of the operations that can change the width."""
    return [i for i, op in enumerate(ops) if op not in POOLS]


def _draw_stage(rng: np.random.Generator, width: int, bounds: Preset) -> Stage:
    blocks = int(rng.integers(bounds.blocks[0], bounds.blocks[1] + 1))
    count = int(rng.integers(1, MOST_PATHS + 1))
    parts = rng.permutation((2, 4, 4)) if count == 3 else [count] * count
    cap, least = bounds.caps[count - 1], bounds.least[count - 1]
    paths: list[Path] = []
    for i, part in enumerate(parts):
        left = cap - sum(len(path.ops) for path in paths) - least * (count - i - 1)
        ops = draw_ops(rng, rng.integers(least, min(left, bounds.longest) + 1), CONV_OPS, SUPP_OPS)
        inner = outer = max(width // int(part), NARROWEST)
        if len(_width_ops(ops)) >= 2:
            inner = max(int(rng.choice((outer // 2, outer, 2 * outer), p=(0.3, 0.6, 0.1))), NARROWEST)
        paths.append(Path(ops, inner, outer))
    return Stage(blocks, tuple(paths))


def _block(g: GraphBuilder, x: int, paths: Sequence[Path], width: int, stride: int) -> int:
    results = []
    for i, path in enumerate(paths, 1):
        with g.scope(f"path{i}"):
            results.append(_path(g, x, path, stride))
    y = g.concat(results, name="concat")
    if g.channels(y) != width:
        y = conv_bn(g, y, width, 1, bias=True, act=None, name="project")
    return g.add((y, x), name="add") if g.shape(y) == g.shape(x) else y


def _path(g: GraphBuilder, x: int, path: Path, stride: int) -> int:
    """The first operation that sets a width sets the inner one, the last the outer; the first of `CONV_OPS` strides."""
    first, *_, last = 2 * _width_ops(path.ops)
    strides = next(i for i, op in enumerate(path.ops) if op in CONV_OPS)
    for i, op in enumerate(path.ops):
        width = path.outer if i == last else path.inner if i == first else g.channels(x)
        with g.scope(f"op{i + 1}_{op}"):
            x = _operation(g, x, op, width, stride if i == strides else 1)
    return x


def _operation(g: GraphBuilder, x: int, op: str, width: int, stride: int) -> int:
    if op in POOLS:
        return pool_bn(g, x, op)
    kind, k = op[:-1], int(op[-1])
    if kind == "ip":
        return _parallel(g, x, k, width, stride)
    if kind == "is":  # each convolution strides along its own axis
        x = conv_bn(g, x, width, (1, k), stride=(1, stride), bias=True, name="row")
        return conv_bn(g, x, width, (k, 1), stride=(stride, 1), bias=True, name="column")
    if kind == "dw":
        if g.channels(x) != width:
            x = g.conv(x, width, 1, name="adapter")  # the one convolution without bias
        return conv_bn(g, x, width, k, stride=stride, groups=width, bias=True, name="depthwise")
    x = conv_bn(g, x, width, k, stride=stride, bias=True, name="conv1")
    return conv_bn(g, x, width, k, bias=True, name="conv2") if kind == "d" else x


def _parallel(g: GraphBuilder, x: int, k: int, width: int, stride: int) -> int:
    """Half the width from a 1xk convolution, half from a kx1 one; at stride 2 each does the other axis afterwards."""
    row, column = ((1, k), (1, stride)), ((k, 1), (stride, 1))
    halves = []
    for name, half, convs in (("row", width // 2, (row, column)), ("column", width - width // 2, (column, row))):
        y = x
        with g.scope(name):
            for i, (kernel, step) in enumerate(convs if stride > 1 else convs[:1], 1):
                y = conv_bn(g, y, half, kernel, stride=step, bias=True, act=None, name=f"conv{i}")
            halves.append(g.unary(Op.RELU6, y, name="relu6"))
    return g.unary(Op.RELU6, g.concat(halves, name="concat"), name="relu6")  # again, as the authors' module does


register(Inception())
