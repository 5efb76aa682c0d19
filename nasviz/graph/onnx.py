"""`from_onnx`: a model in an ONNX file, from whatever tool, becomes the `ComputeGraph` that tracing it would give.

The road: `onnx_file` reads, `onnx_values` infers shapes and folds constants, `onnx_fuse` joins what exporters take
apart, `onnx_rules` says what operator a node is, `onnx_weights` which parameters it uses.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasviz.graph.cost import macs, other
from nasviz.graph.graph import ComputeGraph, Node, shared_node
from nasviz.graph.onnx_file import one_line, read
from nasviz.graph.onnx_fuse import Group, groups
from nasviz.graph.onnx_inputs import channels_last, input_values
from nasviz.graph.onnx_rules import ALIASES, Facts, read_shape, rule
from nasviz.graph.onnx_torch import Signature, layer, owner
from nasviz.graph.onnx_values import Value, calls
from nasviz.graph.onnx_weights import Weights, bias_of
from nasviz.graph.ops import Op

if TYPE_CHECKING:
    import onnx

Shapes = Sequence[int] | Mapping[str, Sequence[int] | int]

_BATCH_NORM = {"eps": 1e-5, "momentum": 0.1}  # torch's own, where folding has swallowed them


def from_onnx(
    model: "str | os.PathLike | onnx.ModelProto | Any", shape: Shapes | None = None, *, name: str = ""
) -> ComputeGraph:
    """The computation graph of an ONNX model.

    Parameters
    ----------
    model : path, onnx.ModelProto or torch.onnx.ONNXProgram
        The model. Weights in files of their own are found beside it; of the weights only shapes are read.
    shape : sequence of int or dict, optional
        Sizes that the file leaves open, or other sizes than it states: one complete shape if there is one input, or a
        dict of complete shapes by the inputs' names or of sizes by the names of axes, as in
        ``{"input": (1, 3, 224, 224)}`` or ``{"height": 224, "width": 224}``. A first axis left open is a batch of 1.
    name : str, optional
        Name of the graph; the file's by default.

    Returns
    -------
    ComputeGraph
        One node an operator, as `nasviz.trace` gives for the module that was exported: constants are folded, local
        functions inlined, chains such as x · sigmoid(x) joined. A batch norm that torch's exporters fold into the
        convolution before it is there again. Operators that are not known are `Op.UNKNOWN`, and the cost table names
        them. Inputs that keep channels last (TensorFlow, Keras) and are transposed first have the shape (N, C, H, W).

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the file that holds its weights is missing.
    ValueError
        If the file is no ONNX model or is damaged, or a size is left open that `shape` does not give.
    TypeError
        If `model` is none of the above.

    Notes
    -----
    An exporter may store less than the module had: parameters that are never used, an addition of zeros. Where torch's
    exporter notes their names (`dynamo=True`), parameters are counted by those.
    """
    proto, label = read(model)
    inputs = input_values(proto, shape, label)
    values: dict[str, Value] = {}
    found = calls(proto, inputs, values, label, declared=shape is None)
    title = name or (os.path.splitext(os.path.basename(model))[0] if isinstance(model, str | os.PathLike) else "")
    signature, outputs = Signature(proto), [output.name for output in proto.graph.output]
    operators = groups(found, outputs, signature, proto.producer_name)
    weights = Weights(values, signature, operators, stored=proto.producer_name != "pytorch")
    writer = _Writer(weights, label)
    last = channels_last(inputs, found) if proto.producer_name != "pytorch" else frozenset()
    for value in inputs.values():
        writer.input(value, last=value.name in last)
    for group in operators:
        writer.group(group)
    if weights.gone:
        warnings.warn(
            f"{label} does not hold the parameters {', '.join(weights.gone)}: they are never used, or its exporter "
            "folded them into constants; they are not counted. torch.onnx.export(..., optimize=False) keeps them.",
            stacklevel=2,
        )
    if weights.partly:
        warnings.warn(
            f"{label} holds of the embeddings {', '.join(weights.partly)} the rows that its constant positions look "
            "up; rows beyond them are not counted. torch.onnx.export(..., optimize=False) keeps them.",
            stacklevel=2,
        )
    return writer.graph(outputs, title or proto.graph.name)


class _Writer:
    """Writes the nodes down, in order."""

    def __init__(self, weights: Weights, label: str):
        self.weights, self.label = weights, label
        self.nodes: list[Node] = []
        self.edges: list[tuple[int, int]] = []
        self._maker: dict[str, int] = {}
        self._last: set[str] = set()  # inputs whose transposition goes without saying

    def input(self, value: Value, last: bool) -> None:
        shape = value.shape or ()
        if last:
            self._last.add(value.name)
            shape = (shape[0], shape[-1], *shape[1:-1])
        self.nodes.append(shared_node(Op.INPUT, "", (), shape))
        self._maker[value.name] = len(self.nodes) - 1

    def group(self, group: Group) -> None:
        last = group.calls[-1]
        sources = [self._maker[value.name] for value in group.inputs if value.name in self._maker]
        if (
            last.op_type in ALIASES or last.inputs and last.inputs[0] and last.inputs[0].name in self._last
        ) and sources:
            self._maker.update({value.name: sources[0] for value in last.outputs})
            return
        try:
            node = self._operator(group)
            self._add(node, group, sources)
            if group.norm:
                norm = {"bias": group.origin is None or bool(group.origin.parameters), **_BATCH_NORM}
                norm = _node(Op.BATCH_NORM, layer(last), node.out_shape, node.out_shape, norm)
                self._add(norm, group, [len(self.nodes) - 1])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{self.label}: {last.where} is damaged: {one_line(error)}.") from None
        for value in last.outputs:
            self._maker[value.name] = len(self.nodes) - 1

    def _operator(self, group: Group) -> Node:
        call, origin = group.calls[0], group.origin
        if group.op is not None:
            op, facts, shape = group.op, group.facts, group.read_shape
        else:
            found = rule(call)
            op, facts, shape = found.op, found.facts(call), read_shape(call)
        name = layer(group.calls[-1])
        if op in (Op.CONV, Op.CONV_TRANSPOSE, Op.LINEAR):
            weight = next((root for value in call.inputs[1:2] for root in value.roots), "")
            facts["bias"] = self._has_bias(group, weight, facts)
            name = owner(weight) if group.norm and origin is not None else name  # the note speaks of the batch norm
        if op is Op.MEAN and "AdaptiveAvgPool" in call.notes.get("pkg.torch.onnx.class_hierarchy", ""):
            op, facts = Op.ADAPTIVE_AVG_POOL, {}
        if origin is not None and origin.function == "matmul" and op is Op.LINEAR:
            op, facts = Op.MATMUL, {}
        return _node(op, name, shape, group.calls[-1].result.shape or (), facts)

    def _has_bias(self, group: Group, weight: str, facts: Facts) -> bool:
        """Whether there is a bias; torch's exporter leaves out one of zeros, and folded batch norms bring one."""
        if group.norm:
            return bias_of(weight) in self.weights.targets
        return facts["bias"] or (group.origin is not None and (2, 0) in group.origin.parameters)

    def _add(self, node: Node, group: Group, sources: list[int]) -> None:
        params, size = self.weights.first_used(group, node)
        index = len(self.nodes)
        self.nodes.append(shared_node(*_fields(node)[:-3], params, size, node.attrs))
        self.edges.extend((source, index) for source in sources)

    def graph(self, outputs: Sequence[str], title: str) -> ComputeGraph:
        made = dict.fromkeys(self._maker[name] for name in outputs if name in self._maker)
        params, size = self.weights.unused()
        return ComputeGraph(self.nodes, self.edges, tuple(made), title, params, size)


def _node(op: Op, name: str, in_shape: tuple[int, ...], out_shape: tuple[int, ...], facts: Facts) -> Node:
    kernel, stride = facts.pop("kernel", ()), facts.pop("stride", ())
    count, bias = facts.pop("groups", 1), facts.pop("bias", False)
    if count < 1 or min((*kernel, *stride), default=1) < 1:
        raise ValueError(f"kernel {kernel}, stride {stride} and {count} groups must be positive")
    node = Node(op, name, in_shape, out_shape, kernel, stride, count, bias, attrs=tuple(sorted(facts.items())))
    macs(node), other(node)  # what cannot be counted now would fail later, where nobody knows the file
    return node


def _fields(node: Node) -> list[Any]:
    return [getattr(node, name) for name in Node.__slots__]
