"""The arithmetic of the lesson: every count is a product of named factors, so that it can be shown and asked for.

FLOPs follow one rule on every page: two for each multiply-accumulate, one for each bias that is added, one for each
element of a pooling window. The course notes that the lesson reads leave the two out of pointwise layers; that is
`noted`. Inputs and kernels are square, and the batch is one.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd, prod


def written(value: float) -> str:
    """A whole number with all its digits, another one with four."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


@dataclass(frozen=True)
class Factor:
    """One factor of a count.

    Attributes
    ----------
    symbol : str
        What stands in the formula; an index follows an underscore: ``"C_in"``.
    value : int or float
        Its number.
    meaning : str
        What it stands for: ``"input channels"``.
    slips : tuple of (number, str)
        Numbers that are easily taken instead, and a sentence on each.
    """

    symbol: str
    value: float
    meaning: str
    slips: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Product:
    """A count: the product of its factors.

    Attributes
    ----------
    name : str
        What is counted.
    factors : tuple of Factor
    """

    name: str
    factors: tuple[Factor, ...]

    @property
    def value(self) -> float:
        """The number; of whole factors it is whole."""
        return prod(factor.value for factor in self.factors)

    @property
    def symbols(self) -> str:
        """``"2 · C_out · H_out"``."""
        return " · ".join(factor.symbol for factor in self.factors)

    @property
    def numbers(self) -> str:
        """``"2 · 10 · 26 = 520"``."""
        return f"{' · '.join(written(factor.value) for factor in self.factors)} = {written(self.value)}"

    def times(self, name: str, *factors: Factor) -> "Product":
        """A count with more factors in front."""
        return Product(name, (*factors, *self.factors))


TWO = Factor("2", 2, "a multiplication and an addition in each MAC")


class Layer:
    """What is common to layers with weights: `macs` and `biases` give the rest."""

    macs: Product
    biases: Product | None

    @property
    def terms(self) -> tuple[Product, ...]:
        """FLOPs, the biases apart."""
        doubled = self.macs.times("FLOPs of the multiply-accumulates", TWO)
        return (doubled, self.biases) if self.biases else (doubled,)

    @property
    def flops(self) -> int:
        """2 · MACs, and one for each bias."""
        return sum(term.value for term in self.terms)


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer: each of `outputs` reads all `inputs`."""

    inputs: int
    outputs: int
    bias: bool = False

    @cached_property
    def macs(self) -> Product:
        """N_out · N_in."""
        factors = Factor("N_out", self.outputs, "outputs"), Factor("N_in", self.inputs, "inputs of each output")
        return Product("MACs", factors)

    @property
    def biases(self) -> Product | None:
        """One addition an output."""
        return Product("biases", (Factor("N_out", self.outputs, "outputs"),)) if self.bias else None

    @property
    def params(self) -> int:
        """Weights and biases."""
        return self.outputs * (self.inputs + self.bias)


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution of `c_in` channels of size × size with `c_out` kernels.

    Raises
    ------
    ValueError
        If the groups do not divide the channels, or the kernel does not fit into the padded input.
    """

    size: int
    c_in: int
    c_out: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = False

    def __post_init__(self):
        if self.c_in % self.groups or self.c_out % self.groups:
            allowed = ", ".join(map(str, group_choices(self.c_in, self.c_out)))
            raise ValueError(
                f"groups={self.groups} does not divide {self.c_in} input and {self.c_out} output channels; "
                f"choose one of {allowed}."
            )
        if self.span > self.size + 2 * self.padding:
            raise ValueError(
                f"the kernel spans {self.span} cells, but the padded input has only {self.size + 2 * self.padding}; "
                "choose a smaller kernel or dilation, a larger input, or more padding."
            )

    @property
    def span(self) -> int:
        """How many cells of the input a side of the kernel reaches over."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def out_size(self) -> int:
        """Rows (and columns) of the output."""
        return (self.size + 2 * self.padding - self.span) // self.stride + 1

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return self.c_out * self.out_size**2

    @property
    def per_output(self) -> int:
        """MACs behind one element of the output."""
        return self.c_in // self.groups * self.kernel**2

    @property
    def depthwise(self) -> bool:
        """Whether every channel is filtered alone."""
        return self.groups == self.c_in == self.c_out

    @cached_property
    def macs(self) -> Product:
        """C_out · H_out · W_out · k · k · (C_in / G)."""
        sides = ((self.size, "you took the size of the input instead of the output's"),)
        sides = sides if self.size != self.out_size else ()
        full = ((self.c_in, "with groups, a kernel reads only C_in / G channels"),) if self.groups > 1 else ()
        depth = "C_in / G" if self.groups > 1 else "C_in"
        return Product(
            "MACs",
            (
                Factor("C_out", self.c_out, "output channels, that is kernels"),
                Factor("H_out", self.out_size, "a side of the output", sides),
                Factor("W_out", self.out_size, "a side of the output", sides),
                Factor("k", self.kernel, "a side of the kernel"),
                Factor("k", self.kernel, "a side of the kernel"),
                Factor(depth, self.c_in // self.groups, "channels that one kernel reads", full),
            ),
        )

    @property
    def biases(self) -> Product | None:
        """One addition an element of the output."""
        return Product("biases", self.macs.factors[:3]) if self.bias else None

    @property
    def params(self) -> int:
        """Weights and biases."""
        return self.c_out * (self.per_output + self.bias)

    def window(self, row: int, column: int) -> list[tuple[int, int]]:
        """The cells of the input that an output element reads; those below 0 or from `size` on are padding."""
        rows, columns = (
            [at * self.stride - self.padding + self.dilation * i for i in range(self.kernel)] for at in (row, column)
        )
        return [(r, c) for r in rows for c in columns]


@dataclass(frozen=True)
class Pool:
    """A pooling of `channels` channels of size × size.

    Raises
    ------
    ValueError
        If the window does not fit into the input.
    """

    size: int
    channels: int
    kernel: int = 2
    stride: int = 2

    def __post_init__(self):
        if self.kernel > self.size:
            raise ValueError(
                f"the window has {self.kernel} rows, but the input only {self.size}; choose a smaller one."
            )

    @property
    def out_size(self) -> int:
        """Rows (and columns) of the output."""
        return (self.size - self.kernel) // self.stride + 1

    @cached_property
    def terms(self) -> tuple[Product, ...]:
        """C · H_out · W_out · k · k: one operation for each element of each window."""
        sides = ((self.size, "you took the size of the input instead of the output's"),)
        factors = (
            Factor("C", self.channels, "channels"),
            Factor("H_out", self.out_size, "a side of the output", sides),
            Factor("W_out", self.out_size, "a side of the output", sides),
            Factor("k", self.kernel, "a side of the window"),
            Factor("k", self.kernel, "a side of the window"),
        )
        return (Product("FLOPs of the pooling", factors),)

    @property
    def flops(self) -> int:
        """One for each element of each window; a pooling has no MACs."""
        return self.terms[0].value

    def as_conv(self) -> Conv:
        """The depthwise convolution that slides the same window."""
        return Conv(self.size, self.channels, self.channels, self.kernel, self.stride, groups=self.channels)


@dataclass(frozen=True)
class Separable:
    """A depthwise-separable convolution with the input and the output of `dense`."""

    dense: Conv

    @property
    def depthwise(self) -> Conv:
        """One k × k kernel a channel."""
        return replace(self.dense, c_out=self.dense.c_in, groups=self.dense.c_in)

    @property
    def pointwise(self) -> Conv:
        """1 × 1 kernels across all channels."""
        return Conv(self.dense.out_size, self.dense.c_in, self.dense.c_out, 1, bias=self.dense.bias)

    @property
    def macs(self) -> int:
        """Of both layers."""
        return self.depthwise.macs.value + self.pointwise.macs.value

    @property
    def ratio(self) -> float:
        """Its MACs as a part of those of the dense convolution: 1/C_out + 1/k²."""
        return self.macs / self.dense.macs.value

    @property
    def noted(self) -> int:
        """FLOPs as the notes count them: without the factor 2 in the pointwise layer."""
        return 2 * self.depthwise.macs.value + self.pointwise.macs.value

    @property
    def noted_ratio(self) -> float:
        """The same ratio in the notes' count: 1/C_out + 1/(2k²)."""
        return self.noted / (2 * self.dense.macs.value)


def group_choices(c_in: int, c_out: int) -> list[int]:
    """The groups that such a convolution can have."""
    common = gcd(c_in, c_out)
    return [groups for groups in range(1, common + 1) if common % groups == 0]
