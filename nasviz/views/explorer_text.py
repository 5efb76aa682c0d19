"""Operators in words: what they are, and what they cost, as a formula with its numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from math import prod

from nasviz.graph.cost import macs, other
from nasviz.graph.graph import Node
from nasviz.graph.ops import Op
from nasviz.views.theme import si

SHORT = {
    Op.BATCH_NORM: "BN",
    Op.LAYER_NORM: "LN",
    Op.GROUP_NORM: "GN",
    Op.INSTANCE_NORM: "IN",
    Op.RELU: "ReLU",
    Op.RELU6: "ReLU6",
    Op.GELU: "GELU",
    Op.SILU: "SiLU",
    Op.ELU: "ELU",
    Op.SELU: "SELU",
    Op.HARD_SWISH: "h-swish",
    Op.HARD_SIGMOID: "h-sigmoid",
    Op.LSTM: "LSTM",
    Op.GRU: "GRU",
    Op.RNN: "RNN",
}
"""Operators that are better known by another name."""


def word(node: Node) -> str:
    """The operator with its window: ``"conv 3×3 ↓2"``, ``"depthwise 5×5"``, ``"ReLU"``."""
    name = SHORT.get(node.op) or (node.get("function", "unknown") if node.op is Op.UNKNOWN else node.op.value)
    name = "depthwise" if node.is_depthwise else str(name).replace("_", " ")
    parts = [name, times(node.kernel)]
    if node.op is Op.CONV and node.groups > 1 and not node.is_depthwise:
        parts.append(f"in {node.groups} groups")
    if set(node.stride) - {1}:
        parts.append(f"↓{node.stride[0] if len(set(node.stride)) == 1 else times(node.stride)}")
    return " ".join(filter(None, parts))


def times(shape: Iterable[int]) -> str:
    """``"64×32×32"``."""
    return "×".join(map(str, shape))


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape for a box: without a batch of one."""
    return times(shape[1:] if len(shape) > 1 and shape[0] == 1 else shape) or "scalar"


@dataclass(frozen=True)
class Formula:
    """A count as a product.

    Attributes
    ----------
    unit : str
        What is counted.
    factors : tuple of (str, tuple of int)
        What each factor is, and its number; several numbers are its own factors, such as those of a shape.
    """

    unit: str
    factors: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def value(self) -> int:
        """The product."""
        return prod(number for _, numbers in self.factors for number in numbers)

    @property
    def words(self) -> str:
        """``"window · input channels · output channels · output positions"``."""
        return " · ".join(name for name, _ in self.factors)

    @property
    def numbers(self) -> str:
        """``"9 · 64 · 128 · 32² = 75.5 M MACs"``."""
        result, product = si(self.value, self.unit), " · ".join(_number(*factor) for factor in self.factors)
        return result if product == str(self.value) else f"{product} = {result}"


def macs_formula(node: Node) -> Formula | None:
    """The multiply-accumulates of a node as a product; None where there are none, or no formula is known.

    The value is that of :func:`nasviz.graph.cost.macs`, whose docstrings give the reasons.
    """
    if not macs(node):
        return None
    inputs, outputs = node.in_shape, node.out_shape
    at = -len(node.kernel) - 1  # of the channels
    match node.op:
        case Op.CONV:
            factors = [
                ("window", node.kernel),
                ("input channels" if node.groups == 1 else "input channels / groups", (inputs[at] // node.groups,)),
                ("output channels", (outputs[at],)),
                ("output positions", outputs[at + 1 :]),
                ("batch", outputs[:at]),
            ]
        case Op.CONV_TRANSPOSE:
            factors = [
                ("window", node.kernel),
                ("output channels" if node.groups == 1 else "output channels / groups", (outputs[at] // node.groups,)),
                ("input channels", (inputs[at],)),
                ("input positions", inputs[at + 1 :]),
                ("batch", inputs[:at]),
            ]
        case Op.LINEAR:
            factors = [("inputs", inputs[-1:]), ("outputs", outputs[-1:]), ("positions", outputs[:-1])]
        case Op.MATMUL:
            factors = [
                ("products for each element", (inputs[-1],)),
                ("output elements", outputs),
                ("sums", (node.get("summed", 1),)),
            ]
        case Op.BILINEAR:
            first, second = node.get("in_features")
            factors = [("first inputs", (first,)), ("second inputs + 1", (second + 1,)), ("outputs", outputs)]
        case Op.ATTENTION:
            factors = [
                ("keys", (node.get("keys"),)),
                ("embedding of query + of value", (inputs[-1] + outputs[-1],)),
                ("queries", outputs[:-1]),
            ]
        case Op.LSTM | Op.GRU | Op.RNN:
            factors = [("weights", (sum(map(prod, node.get("weights"))),)), ("steps", inputs[:-1])]
        case _:
            return None
    return Formula("MACs", _kept(factors))


def other_formula(node: Node) -> Formula | None:
    """The operations of a node that are no multiply-accumulates, as operations per element of a shape."""
    count = other(node)
    for name, shape in (("output", node.out_shape), ("input", node.in_shape)):
        if count and count % prod(shape) == 0:
            batch, channels, positions = (shape[:1], shape[1:2], shape[2:]) if len(shape) > 2 else ((), shape, ())
            factors = [("operations for each", (count // prod(shape),)), (f"{name} channels", channels)]
            return Formula("operations", _kept([*factors, (f"{name} positions", positions), ("batch", batch)]))
    return Formula("operations", (("operations", (count,)),)) if count else None


def params_formula(node: Node) -> str:
    """The parameters of a node; of convolutions and linear layers as a product."""
    total, weight = f"{node.params:,} parameters", node.weight_shape
    if weight and node.params == prod(weight) + (bias := node.bias * node.out_shape[-len(node.kernel) - 1]):
        return f"{' · '.join(map(str, weight))}{f' + {bias}' if bias else ''} = {total}"
    return f"{total}; shared ones count where they are first used" if weight and not node.params else total


def _kept(factors: list[tuple[str, tuple[int, ...]]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Without factors that are one, unless nothing would be left."""
    return tuple((name, numbers) for name, numbers in factors if prod(numbers) != 1) or tuple(factors[:1])


def _number(name: str, numbers: tuple[int, ...]) -> str:
    if name == "window" or len(numbers) < 2:
        return str(prod(numbers))
    powers = "".maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    runs = ((number, len(list(run))) for number, run in groupby(number for number in numbers if number != 1))
    return " · ".join(f"{number}{str(count).translate(powers) if count > 1 else ''}" for number, count in runs)
