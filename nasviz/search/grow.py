"""Random sub-graphs of new operators between two given shapes: what mutation puts in place of a sequence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

Shape = tuple[int, ...]

KERNELS = (1, 3, 5, 7)
ACTS = (Op.RELU, Op.RELU, Op.RELU6, Op.SILU, Op.HARD_SWISH)
ORDERS = (("conv", "bn", "act"), ("act", "conv", "bn"), ("bn", "act", "conv"), ("conv", "bn"))
"""Orders of convolution, batch norm and activation that the families use (and that of pre-activation ResNets)."""
WIDTHS = (0.25, 0.5, 0.75, 1, 1, 1.5, 2)
EXPANSIONS = (2, 3, 4, 6)
MAX_FLAT = 1024
"""Features of a head without pooling, at most."""


def grow(before: Shape, after: Shape, rng: Random, scope: str = "new") -> ComputeGraph | None:
    """A random network between two shapes of a batch: (N, C, H, W) or (N, C) to either; from a vector only to one.

    Parameters
    ----------
    before, after : tuple of int
        Shapes of its input and of its output; height and width must not grow.
    rng : random.Random
        Decides everything.
    scope : str
        Prefix of its layer names.

    Returns
    -------
    ComputeGraph or None
        None where there is no way between these shapes.
    """
    flat = len(before) == 2
    if len(before) not in (2, 4) or len(after) not in (2, 4) or (flat and len(after) == 4):
        return None
    if len(after) == 4 and (after[2] > before[2] or after[3] > before[3]):
        return None
    g = GraphBuilder()
    x = g.input(before)
    with g.scope(scope):
        draft = _Draft(g, rng, rng.choice(ACTS))
        if flat:
            x = draft.dense(x, after[1])
        elif len(after) == 2:
            x = draft.head(x, after[1])
        else:
            x = draft.image(x, after)
    return g.graph(x)


@dataclass
class _Draft:
    """One random sub-graph while it is made; all its activations are of one kind."""

    g: GraphBuilder
    rng: Random
    act: Op

    # --- vectors ------------------------------------------------------------------------------------------------------

    def dense(self, x: int, features: int) -> int:
        if self.rng.random() < 0.3:
            x = self.g.linear(x, self._width(max(features, self.g.channels(x))), name="hidden")
            x = self.g.unary(self.act, x, name="act")
        return self.g.linear(x, features, name="linear")

    def head(self, x: int, features: int) -> int:
        """Image to vector: perhaps more convolutions, then pooling (or none, on a small image), then linear layers."""
        g, rng = self.g, self.rng
        if rng.random() < 0.4:
            _, channels, *size = g.shape(x)
            with g.scope("body"):
                x = self.image(x, (g.shape(x)[0], self._width(channels), *size))
        _, channels, height, width = g.shape(x)
        how = rng.random()
        if how < 0.15 and channels * height * width <= MAX_FLAT:
            x = g.flatten(x, name="flatten")
        elif how < 0.35:
            x = g.flatten(g.adaptive_avg_pool(x, name="pool"), name="flatten")
        else:
            x = g.mean(x, name="pool")
        return x if g.channels(x) == features and rng.random() < 0.5 else self.dense(x, features)

    # --- images -------------------------------------------------------------------------------------------------------

    def image(self, x: int, after: Shape) -> int:
        """One of `FORMS` to the channels, height and width of `after`."""
        x, strides = self._reduced(x, after[2:])
        return self.rng.choice(FORMS)(self, x, after[1], strides)

    def plain(self, x: int, channels: int, strides: tuple[int, int]) -> int:
        """One to three convolutions, with norm and activation in one of `ORDERS`."""
        units, order = self.rng.choice((1, 1, 2, 2, 3)), self.rng.choice(ORDERS)
        strided = self.rng.randrange(units)
        for number in range(units):
            width = channels if number == units - 1 else self._width(channels)
            x = self._unit(x, width, strides if number == strided else (1, 1), order, name=f"unit{number + 1}")
        return x

    def separable(self, x: int, channels: int, strides: tuple[int, int]) -> int:
        """A depthwise convolution, then a pointwise one, with or without an activation at the end."""
        x = self._unit(x, self.g.channels(x), strides, ORDERS[0], groups=self.g.channels(x), name="depthwise")
        return self._unit(x, channels, (1, 1), self.rng.choice((ORDERS[0], ORDERS[3])), kernel=1, name="pointwise")

    def bottleneck(self, x: int, channels: int, strides: tuple[int, int]) -> int:
        """1×1, k×k, 1×1; narrow in the middle, or wide and depthwise; with the identity where the shapes allow."""
        g, rng = self.g, self.rng
        wide = rng.random() < 0.5
        middle = g.channels(x) * rng.choice(EXPANSIONS) if wide else max(1, channels // rng.choice((2, 4)))
        y = self._unit(x, middle, (1, 1), ORDERS[0], kernel=1, name="expand" if wide else "reduce")
        y = self._unit(y, middle, strides, ORDERS[0], groups=middle if wide else 1, name="spatial")
        if rng.random() < 0.25:
            y = self._excite(y)
        y = self._unit(y, channels, (1, 1), ORDERS[3], kernel=1, name="project")
        return g.add((x, y), name="add") if g.shape(x) == g.shape(y) else y

    def branches(self, x: int, channels: int, strides: tuple[int, int]) -> int:
        """Two or three convolutions or poolings side by side, added or concatenated."""
        g, rng = self.g, self.rng
        count = rng.choice((2, 2, 3))
        joined = channels >= count and rng.random() < 0.5
        widths = [channels // count + (i < channels % count) for i in range(count)] if joined else [channels] * count
        order, ends = rng.choice(ORDERS), []
        for number, width in enumerate(widths, 1):
            with g.scope(f"branch{number}"):
                form = self.pool if number > 1 and rng.random() < 0.3 else None
                ends.append(form(x, width, strides) if form else self._unit(x, width, strides, order, name="unit"))
        return g.concat(ends, name="concat") if joined else g.add(ends, name="add")

    def pool(self, x: int, channels: int, strides: tuple[int, int]) -> int:
        """A 3×3 pooling, and a pointwise convolution where the width changes."""
        make = self.g.max_pool if self.rng.random() < 0.5 else self.g.avg_pool
        x = make(x, 3, stride=strides, padding=1, name="pool")
        if self.g.channels(x) == channels:
            return x
        return self._unit(x, channels, (1, 1), self.rng.choice(ORDERS), kernel=1, name="unit")

    # --- parts --------------------------------------------------------------------------------------------------------

    def _unit(
        self,
        x: int,
        channels: int,
        strides: tuple[int, int],
        order: Sequence[str],
        *,
        kernel: int | None = None,
        groups: int = 1,
        name: str,
    ) -> int:
        g, rng = self.g, self.rng
        if kernel is None:
            least = 3 if groups > 1 else 1
            kernel = rng.choice([k for k in KERNELS if least <= k <= max(least, 2 * min(g.shape(x)[2:]) - 1)])
        with g.scope(name):
            for part in order:
                if part == "conv":
                    x = g.conv(x, channels, kernel, stride=strides, groups=groups, bias="bn" not in order, name="conv")
                elif part == "bn":
                    x = g.batch_norm(x, name="bn")
                else:
                    x = g.unary(self.act, x, name="act")
        return x

    def _excite(self, x: int) -> int:
        g, channels = self.g, self.g.channels(x)
        with g.scope("excite"):
            gate = g.mean(x, keepdim=True, name="pool")
            gate = g.relu(g.conv(gate, max(1, channels // 4), 1, bias=True, name="reduce"), name="relu")
            gate = g.unary(Op.HARD_SIGMOID, g.conv(gate, channels, 1, bias=True, name="expand"), name="gate")
            return g.mul(x, gate, name="mul")

    def _reduced(self, x: int, size: Sequence[int]) -> tuple[int, tuple[int, int]]:
        """`x`, pooled at once to `size` where no stride leads there (or by chance), and the strides still to do."""
        now = self.g.shape(x)[2:]
        strides = tuple(-(-n // s) for n, s in zip(now, size, strict=True))
        exact = all(-(-n // t) == s for n, t, s in zip(now, strides, size, strict=True))
        if tuple(now) == tuple(size):
            return x, (1, 1)
        if exact and max(strides) <= 4 and self.rng.random() < 0.8:
            return x, strides
        return self.g.adaptive_avg_pool(x, tuple(size), name="resize"), (1, 1)

    def _width(self, channels: int) -> int:
        return scaled_width(channels, self.rng.choice(WIDTHS))


FORMS: tuple[Callable[[_Draft, int, int, tuple[int, int]], int], ...] = (
    _Draft.plain, _Draft.plain, _Draft.separable, _Draft.bottleneck, _Draft.branches, _Draft.pool,
)  # fmt: skip


def scaled_width(channels: int, factor: float) -> int:
    """`channels` times `factor`, as a multiple of four from eight on."""
    width = max(1, round(channels * factor))
    return width if width < 8 else round(width / 4) * 4
