"""Which parameters the operators of an ONNX model use first, and how large they are."""

import re
from collections.abc import Mapping, Sequence
from math import prod

from nasviz.graph.graph import Node
from nasviz.graph.onnx_fuse import Group
from nasviz.graph.onnx_rules import rule
from nasviz.graph.onnx_torch import Signature, layer, owner
from nasviz.graph.onnx_values import FLOATS, QUANTISED, Value
from nasviz.graph.ops import NORMS, Op

_LOOKED_UP = re.compile(r"embedding(_\d+)?")
_FIXED = (Op.CONV, Op.CONV_TRANSPOSE, Op.LINEAR)


class Weights:
    """The parameters of a model, handed to the operators that use them first.

    A parameter is an initializer of floating-point numbers that an operator reads where parameters stand (see
    `onnx_rules.RULES`), also after it was transposed, sliced or quantised. Where torch's exporter noted the names of
    the module's parameters, those decide, and buffers are none.

    Attributes
    ----------
    gone : list of str
        Parameters that torch noted and the file does not hold, as far as no operator tells what they were.
    partly : list of str
        Embeddings of which the file holds the rows that are used, and perhaps no more.

    Parameters
    ----------
    values : mapping
        Every value of the model by its name.
    signature : Signature
        What torch noted.
    groups : sequence of Group
        The operators of the model.
    stored : bool
        Whether weights may be constants of the graph, too. Not in files of torch, whose parameters are initializers.
    """

    def __init__(self, values: Mapping[str, Value], signature: Signature, groups: Sequence[Group], stored: bool):
        self.values, self.signature, self.stored = values, signature, stored
        self.targets = set(signature.parameters.values())
        self.seen: set[str] = set()
        self.partly: list[str] = []
        self.read: set[str] = set()
        noted = {name for group in groups for name in group.noted_parameters} | values.keys()
        biases = {bias_of(name) for name in noted}
        shared = {
            f"{layer(group.calls[0])}.{name.rpartition('.')[2]}"  # this module's weight goes by another one's name
            for group in groups
            for name in group.noted_parameters
        }
        self.gone = [name for name in signature.parameters.values() if name not in noted | biases | shared]
        self.tables = {owner(name) for name in signature.buffers if name not in values and not _is_statistic(name)}

    def first_used(self, group: Group, node: Node) -> tuple[int, int]:
        """Number and bytes of the parameters that `group`, which becomes `node`, uses first."""
        self.read.update(root for value in group.inputs for root in value.roots)
        if node.op is Op.BATCH_NORM and group.norm and not group.origin:
            found = {f"norm of {group.inputs[1].name}": (2 * node.in_shape[1], 8 * node.in_shape[1])}
        else:
            found = self._of_torch(group, node) if self.signature.known else self._of_file(group)
        fresh = {name: size for name, size in found.items() if name not in self.seen}
        self.seen.update(fresh)
        return sum(count for count, _ in fresh.values()), sum(size for _, size in fresh.values())

    def unused(self) -> tuple[int, int]:
        """Number and bytes of the floating-point initializers that no operator reads, and of biases folded away."""
        idle = [
            value
            for name, value in self.values.items()
            if value.roots == (name,) and name not in self.read and value.dtype in FLOATS and _numel(value) > 1
        ]
        sizes = [(_numel(value), _width(value)) for value in idle]
        for name, weight in self.values.items():  # a bias whose parts were folded on their own, as in cross-attention
            if (bias := bias_of(name)) in self.targets - self.seen and bias not in self.values and weight.shape:
                sizes.append((weight.shape[0], _width(weight)))
        return sum(count for count, _ in sizes), sum(count * width for count, width in sizes)

    def _of_file(self, group: Group) -> dict[str, tuple[int, int]]:
        found = {}
        for value, always in _slots(group)[: 1 if group.norm else None]:
            for name in value.roots or ((value.name,) if always and self.stored else ()):
                root = self.values[name]
                if root.dtype in FLOATS | QUANTISED and (always or _numel(root) > 1):
                    found[name] = (_numel(root), _numel(root) * _width(root))
        return found

    def _of_torch(self, group: Group, node: Node) -> dict[str, tuple[int, int]]:
        """Names are those of the module; sizes follow from the operator where the file holds a parameter no more."""
        named = dict(group.origin.parameters) if group.origin else {}
        folded = group.norm and node.op is not Op.BATCH_NORM
        if folded:  # what is noted is the batch norm's call; the convolution's weights have kept their names
            weight = next(iter(group.calls[0].inputs[1].roots), "")
            named = {(1, 0): weight, (2, 0): bias_of(weight)} if node.bias else {(1, 0): weight}
        found, missing = {}, []
        for (position, _), name in named.items():
            value = self.values.get(name)
            count = _numel(value) if value is not None else _expected(node, position)
            if count is None:
                missing.append(name)
            else:
                found[name] = (count, count * (_width(value) if value is not None else 4))
        computed = node.op in _FIXED and not any(position == 1 for position, _ in named)
        for value, always in _slots(group):
            for root in value.roots:
                size = (_numel(self.values[root]), _numel(self.values[root]) * _width(self.values[root]))
                if root in named.values() or (size[0] == 1 and root not in self.targets and not (always and missing)):
                    continue
                named_here = root in self.targets
                if missing:  # the optimiser folded the parameter, or merged it with an equal one
                    found[missing.pop(0) if named_here else root] = size
                elif named_here:
                    found |= {} if named else {root: size}
                elif not always:
                    found |= {root: size} if self._stands_in(node.layer, root) else {}
                elif computed and size[0] == prod(node.weight_shape):
                    found[root] = size
        return found

    def _stands_in(self, module: str, constant: str) -> bool:
        """Whether a constant in this module is a parameter that was folded with its operator: a token, expanded.

        The rows of an embedding that constant positions look up are most often the whole table, but perhaps not: it is
        named in `partly`.
        """
        name = next((name for name in self.gone if owner(name) == module), None)
        if name is None and _LOOKED_UP.fullmatch(constant):  # the name of the call that was folded
            name = next(iter(self.gone), None)
            self.partly += [name] if name else []
        if name is None or module in self.tables:  # looked up by an index, it has another size
            return False
        self.gone.remove(name)
        return True


def _is_statistic(name: str) -> bool:
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def bias_of(weight: str) -> str:
    """Name that torch gives the bias beside this weight."""
    return weight.removesuffix("weight") + "bias" if weight.endswith("weight") else ""


def _expected(node: Node, position: int) -> int | None:
    """Elements of the parameter at this position of the torch call, as the node's shapes tell; None if they do not."""
    if node.op in _FIXED and position in (1, 2):
        weight = node.weight_shape
        features = node.out_shape[-1] if node.op is Op.LINEAR else node.out_shape[-len(node.kernel) - 1]
        return prod(weight) if position == 1 else features
    if node.op in (Op.LAYER_NORM, Op.RMS_NORM):
        return prod(node.get("normalized"))
    if node.op in NORMS:
        return node.in_shape[1]
    return None


def _slots(group: Group) -> list[tuple[Value, bool]]:
    """The constants that stand where parameters may, and whether they are some whatever their size and origin."""
    found = []
    for call in group.calls:
        weights = rule(call).weights
        for position, value in enumerate((*call.inputs, *call.captured)):
            if value is not None and value.constant and (weights is None or position in weights):
                found.append((value, weights is not None))
    return found


def _numel(value: Value) -> int:
    return prod(value.shape) if value.shape is not None else 0


def _width(value: Value) -> int:
    """Bytes of one element."""
    from onnx.helper import tensor_dtype_to_np_dtype

    return tensor_dtype_to_np_dtype(value.dtype).itemsize if value.dtype else 4
