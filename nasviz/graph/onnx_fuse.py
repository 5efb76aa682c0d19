"""Nodes that together are one operator: what exporters take apart is put together again.

Where torch noted the call behind each node, that decides. Elsewhere `PATTERNS` lists the chains that exporters write
for operators which older versions of ONNX lack.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nasviz.graph.onnx_rules import Facts, number, read_shape, rule
from nasviz.graph.onnx_torch import Origin, Signature
from nasviz.graph.onnx_values import Call, Value
from nasviz.graph.ops import ACTIVATIONS, Op

PATTERNS: tuple[tuple[Op, tuple[str, ...]], ...] = (
    (Op.LINEAR, ("MatMul", "Add")),
    (Op.SILU, ("Sigmoid", "Mul")),
    (Op.HARD_SWISH, ("HardSigmoid", "Mul")),
    (Op.MISH, ("Softplus", "Tanh", "Mul")),
    (Op.GELU, ("Div", "Erf", "Add", "Mul", "Mul")),
    (Op.GELU, ("Mul", "Erf", "Add", "Mul", "Mul")),
    (Op.GELU, ("Mul", "Erf", "Add", "Mul")),
    (Op.GROUP_NORM, ("Reshape", "InstanceNormalization", "Reshape", "Mul", "Add")),
    (Op.LAYER_NORM, ("ReduceMean", "Sub", "Pow", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add")),
)
"""Chains in the order of computing: each node reads a result of those before, and constants or the chain's input."""

FUSED = ACTIVATIONS | {
    Op.LINEAR, Op.ATTENTION, Op.GROUP_NORM, Op.LAYER_NORM, Op.RMS_NORM, Op.NORMALIZE, Op.GLU, Op.LOG_SOFTMAX,
    Op.POINTWISE, Op.PERMUTE, Op.RESHAPE, Op.SLICE,
}  # fmt: skip
"""Operators that a torch call of several nodes becomes; other calls, such as those of an LSTM, stay as they are."""


@dataclass
class Group:
    """One or more calls that are one operator; `op` is None where the rule of the single call decides.

    `norm` says that torch's exporter folded the batch norm that followed into the weights of this convolution.
    """

    calls: list[Call]
    op: Op | None = None
    origin: Origin | None = None
    norm: bool = False
    inputs: list[Value] = field(init=False)

    def __post_init__(self) -> None:
        made = {value.name for call in self.calls for value in call.outputs}
        read = (value for call in self.calls for value in (*call.inputs, *call.captured) if value is not None)
        self.inputs = [value for value in read if value.name not in made]

    @property
    def noted_parameters(self) -> set[str]:
        return set(self.origin.parameters.values()) if self.origin is not None else set()

    def all(self, *types: str) -> list[Call]:
        return [call for call in self.calls if call.op_type in types]

    @property
    def facts(self) -> Facts:
        """What the node keeps, for an operator of several calls."""
        if self.op is Op.LINEAR:
            return {"bias": bool(self.all("Add"))}
        if self.op is Op.ATTENTION:
            keys = self.all("MatMul")[0].result.shape[-1]
            if self.origin is not None:
                return {"keys": keys, "causal": len(self.origin.args) > 5 and self.origin.args[5] == "True"}
            return {"keys": keys, "causal": any(value.constant for call in self.all("Add") for value in call.inputs)}
        if self.op is Op.GROUP_NORM:
            norm = self.all("InstanceNormalization")[0]
            eps = number(norm.get("epsilon", 1e-5))
            return {"groups": norm.inputs[0].shape[1], "bias": bool(self.all("Mul")), "eps": eps}
        if self.op in (Op.LAYER_NORM, Op.RMS_NORM):
            scales = [
                value.shape for call in self.all("Mul") for value in call.inputs if value.constant and value.roots
            ]
            return {"bias": bool(scales), "normalized": scales[-1] if scales else self.read_shape[-1:]}
        if self.op in (Op.NORMALIZE, Op.POINTWISE, Op.PERMUTE, Op.SLICE):
            return {"function": self.origin.function if self.origin else self.op.value}
        return {}

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Shape of the data that the operator reads."""
        first = self.all("MatMul", "Gemm")[:1] if self.op in (Op.LINEAR, Op.ATTENTION) else []
        if first:
            return read_shape(first[0])
        return next((value.shape for value in self.inputs if not value.constant and value.shape is not None), ())


def groups(calls: Sequence[Call], outputs: Iterable[str], signature: Signature, producer: str) -> list[Group]:
    """The calls, those that are one operator together; each group stands where its last call stood."""
    matcher = _Matcher(calls, set(outputs))
    at: dict[int, Group] = {}
    taken: set[int] = set()
    found = _by_origin(calls, signature, matcher) if signature.known else _by_pattern(calls, matcher)
    for group, members in found:
        if taken.isdisjoint(members):
            at[members[-1]] = group
            taken.update(members)
    for index, call in enumerate(calls):
        if index not in taken:
            origin = signature.origin(call)
            at[index] = Group([call], origin=origin, norm=_has_norm(call, origin, signature, producer))
    return [at[index] for index in sorted(at)]


def _has_norm(call: Call, origin: Origin | None, signature: Signature, producer: str) -> bool:
    if rule(call).op not in (Op.CONV, Op.CONV_TRANSPOSE, Op.LINEAR):
        return False
    if signature.known:
        return origin is not None and "batch_norm" in origin.function
    made_up = [value is not None and value.name.startswith("onnx::Conv") for value in call.inputs[1:3]]
    return producer == "pytorch" and made_up == [True, True]  # only folding leaves neither weight nor bias its name


class _Matcher:
    """Who reads what, and whether some calls keep what they make to themselves."""

    def __init__(self, calls: Sequence[Call], outputs: set[str]):
        self.calls, self.outputs = calls, outputs
        self.makers = {value.name: index for index, call in enumerate(calls) for value in call.outputs if value.name}
        self.readers: dict[str, list[int]] = defaultdict(list)
        for index, call in enumerate(calls):
            for value in (*call.inputs, *call.captured):
                if value is not None:
                    self.readers[value.name].append(index)

    def closed(self, members: Sequence[int]) -> bool:
        """Whether only the last member's results are read outside."""
        inside = set(members)
        made = [value.name for index in members[:-1] for value in self.calls[index].outputs if value.name]
        return all(name not in self.outputs and inside.issuperset(self.readers[name]) for name in made)

    def chain(self, start: int, types: Sequence[str]) -> list[int] | None:
        """The calls of these types, from `start` on, each reading what those before made."""
        members = [start]
        for wanted in types[1:]:
            made = [value.name for index in members for value in self.calls[index].outputs]
            readers = sorted({reader for name in made for reader in self.readers[name]} - set(members))
            step = next((reader for reader in readers if self.calls[reader].op_type == wanted), None)
            if step is None:
                return None
            members.append(step)
        return members if members == sorted(members) and self.closed(members) else None


def _by_origin(calls: Sequence[Call], signature: Signature, matcher: _Matcher) -> list[tuple[Group, list[int]]]:
    from nasviz.graph.rules import operator

    members: dict[str, list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        if (origin := signature.origin(call)) is not None:
            members[origin.name].append(index)
    found = []
    for indices in members.values():
        origin = signature.origin(calls[indices[0]])
        op = operator(origin.function)
        products = sum(calls[index].op_type in ("MatMul", "Gemm") for index in indices)
        fits = products == {Op.LINEAR: 1, Op.ATTENTION: 2}.get(op, 0) and op in FUSED
        if len(indices) > 1 and fits and matcher.closed(indices):
            found.append((Group([calls[index] for index in indices], op, origin), indices))
    return found


def _by_pattern(calls: Sequence[Call], matcher: _Matcher) -> list[tuple[Group, list[int]]]:
    found = []
    for index, call in enumerate(calls):
        if call.op_type == "MatMul" and (members := _attention(index, matcher)) is not None:
            found.append((Group([calls[member] for member in members], Op.ATTENTION), members))
        for op, types in PATTERNS:
            if call.op_type != types[0] or (members := matcher.chain(index, types)) is None:
                continue
            group = Group([calls[member] for member in members], op)
            data = {value.name for value in group.inputs if not value.constant}
            fits = op is not Op.LINEAR or (rule(call).op is Op.LINEAR and _is_bias(group))
            if len(data) == 1 and fits and group.calls[-1].result.shape is not None:
                found.append((group, members))
                break
    return found


def _attention(product: int, matcher: _Matcher) -> list[int] | None:
    """`softmax(s·q @ s·k + mask) @ v`, as torch's older exporter writes `scaled_dot_product_attention`."""
    scales = [matcher.makers.get(value.name, -1) for value in matcher.calls[product].inputs if value is not None]
    if len(scales) != 2 or any(index < 0 or not _is_scale(matcher.calls[index]) for index in scales):
        return None
    for types in (("MatMul", "Softmax", "MatMul"), ("MatMul", "Add", "Softmax", "MatMul")):
        if (members := matcher.chain(product, types)) is not None and matcher.closed(every := sorted(scales) + members):
            return every
    return None


def _is_scale(call: Call) -> bool:
    return call.op_type == "Mul" and any(
        value is not None and value.constant and set(value.shape or ()) <= {1} for value in call.inputs
    )


def _is_bias(group: Group) -> bool:
    """Whether what a MatMul's result is added to is one number an output feature."""
    product, added = group.calls
    bias = next((value for value in added.inputs if value is not None and value.constant), None)
    return (
        bias is not None
        and bias.shape is not None
        and bias.shape[-1:] == product.result.shape[-1:]
        and (max(bias.shape[:-1], default=1) == 1)
    )
