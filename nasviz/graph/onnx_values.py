"""The values that flow through an ONNX model: their shapes, and which of them are constants.

One pass in topological order: every node's shapes are inferred by onnx, and what depends on constants alone (the sizes
of a reshape, say) is computed by onnx's reference implementation, so that shapes that follow from shapes are known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from nasviz.graph.onnx_file import SMALL, has_values, one_line, subgraphs, to_array

if TYPE_CHECKING:
    import onnx

LARGEST = 1 << 40  # elements of a tensor; more is damage
FLOATS = frozenset({1, 10, 11, 16, 17, 18, 19, 20, 23, 24})  # TensorProto.DataType: float to float64, bfloat16, float8
QUANTISED = frozenset({2, 3, 21, 22})  # bytes and half bytes

GROWING = frozenset({"NonZero", "Unique", "Compress"})  # the size of the result follows from the values


@dataclass(slots=True)
class Value:
    """A tensor: `shape` is None where unknown, `array` where it is no small constant."""

    name: str
    shape: tuple[int, ...] | None = None
    dtype: int = 0
    constant: bool = False
    array: np.ndarray | None = None
    roots: tuple[str, ...] = ()  # the initializers that a constant was made of


@dataclass
class Call:
    """One node that works on data, its values and what its exporter noted about it."""

    node: "onnx.NodeProto"
    inputs: list[Value | None]
    outputs: list[Value]
    captured: list[Value] = field(default_factory=list)  # what the bodies of a Loop or an If read from outside

    @property
    def op_type(self) -> str:
        return self.node.op_type if self.node.domain in _STANDARD else f"{self.node.domain}.{self.node.op_type}"

    @cached_property
    def attributes(self) -> dict[str, Any]:
        from onnx.helper import get_attribute_value

        values = {a.name: get_attribute_value(a) for a in self.node.attribute}
        return {key: v.decode("utf-8", "replace") if isinstance(v, bytes) else v for key, v in values.items()}

    @cached_property
    def notes(self) -> dict[str, str]:
        return {entry.key: entry.value for entry in self.node.metadata_props}

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def input(self, position: int) -> Value | None:
        """The input at `position`, None if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def result(self) -> Value:
        """The first output that is asked for."""
        return next((value for value in self.outputs if value.name), self.outputs[0])

    @property
    def where(self) -> str:
        return f"node {self.node.name or self.result.name!r} ({self.op_type})"


_STANDARD = ("", "ai.onnx")


def calls(
    model: "onnx.ModelProto", inputs: Mapping[str, Value], values: dict[str, Value], label: str, declared: bool = True
) -> list[Call]:
    """The nodes that work on data, in topological order, with the shapes of everything.

    Parameters
    ----------
    model : onnx.ModelProto
        As `nasviz.graph.onnx_file.read` returns it.
    inputs : mapping
        Shapes of the model's inputs by name.
    values : dict
        Filled with every value by its name.
    label : str
        What to call the model in sentences.
    declared : bool
        Whether shapes that the file states are believed where none can be inferred.

    Raises
    ------
    ValueError
        If the nodes form a circle, read what nothing makes, or do not fit each other's shapes.
    """
    flow = _Flow(model, label, declared)
    values.update(inputs)
    flow.initial(model.graph, values)
    found: list[Call] = []
    for node in flow.nodes(model.graph, values):
        call = flow.call(node, values)
        if call is not None:
            found.append(call)
    return found


class _Flow:
    def __init__(self, model: "onnx.ModelProto", label: str, declared: bool):
        self.label = label
        self.opsets = list(model.opset_import)
        self.versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.opsets}
        stated = [*model.graph.value_info, *model.graph.output] if declared else []
        self.twins = model.producer_name == "pytorch"  # whose older exporter stores equal parameters once
        self.stated = {info.name: info.type for info in stated}

    def initial(self, graph: "onnx.GraphProto", values: dict[str, Value]) -> None:
        for tensor in graph.initializer:
            array = None
            if has_values(tensor):
                array = to_array(tensor, self.label)
            root = (tensor.name,) if tensor.data_type in FLOATS | QUANTISED else ()
            values[tensor.name] = Value(tensor.name, tuple(tensor.dims), tensor.data_type, True, array, root)

    def nodes(self, graph: "onnx.GraphProto", values: dict[str, Value]) -> Iterator["onnx.NodeProto"]:
        """The nodes in an order in which they can run; an If whose condition is known gives way to its branch."""
        from onnx import helper

        for node in _sorted(graph, values, self.label):
            branch = self._branch(node, values)
            if branch is None:
                yield node
                continue
            self.initial(branch, values)
            yield from self.nodes(branch, values)
            for made, name in zip(branch.output, node.output, strict=False):
                yield helper.make_node("Identity", [made.name], [name])

    def _branch(self, node: "onnx.NodeProto", values: dict[str, Value]) -> "onnx.GraphProto | None":
        condition = values[node.input[0]].array if node.op_type == "If" and node.input else None
        if condition is None or not condition.size:
            return None
        wanted = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        return next((a.g for a in node.attribute if a.name == wanted), None)

    def call(self, node: "onnx.NodeProto", values: dict[str, Value]) -> Call | None:
        """The node's call, its outputs filed in `values`; None for what only makes constants."""
        inputs = [values[name] if name else None for name in node.input]
        outputs = [Value(name) for name in node.output]
        made = Call(node, inputs, outputs, [values[name] for name in sorted(_captured(node)) if name in values])
        values.update({value.name: value for value in outputs if value.name})
        if not outputs:
            return None
        self._infer(made)
        given = [value for value in (*inputs, *made.captured) if value is not None]
        if made.op_type in ("Shape", "Size") and inputs and inputs[0] is not None and inputs[0].shape is not None:
            given = []  # nothing of the data is needed
        if not all(value.constant for value in given):
            return made
        self._fold(made, given)
        return None

    def _infer(self, call: Call) -> None:
        import onnx
        from onnx import defs, helper, shape_inference

        node, types, data = call.node, {}, {}
        for value in call.inputs:
            if value is not None and value.dtype:
                types[value.name] = helper.make_tensor_type_proto(value.dtype, value.shape)
                if value.array is not None:
                    data[value.name] = onnx.numpy_helper.from_array(value.array, value.name)
        domain = "" if node.domain == "ai.onnx" else node.domain
        found: Mapping[str, Any] = {}
        if len(types) == len({name for name in node.input if name}) and domain in self.versions and not call.captured:
            try:
                schema = defs.get_schema(node.op_type, self.versions[domain], domain)
                found = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=self.opsets)
            except defs.SchemaError:
                pass  # an operator of somebody else's
            except Exception as error:  # noqa: BLE001 - the C++ side raises several classes
                if not any(output.name in self.stated for output in call.outputs):
                    shapes = ", ".join(str(v.shape) for v in call.inputs if v is not None)
                    raise ValueError(
                        f"{self.label}: {call.where} does not fit inputs of shape {shapes}: {one_line(error)}"
                    ) from None
        for output in call.outputs:
            _describe(output, found.get(output.name))
            if output.shape is None:
                _describe(output, self.stated.get(output.name))
            if output.shape is None and node.op_type in _SAME_SHAPE and call.inputs and call.inputs[0] is not None:
                output.shape, output.dtype = call.inputs[0].shape, call.inputs[0].dtype
            if output.shape is not None and (min(output.shape, default=0) < 0 or prod(output.shape) > LARGEST):
                raise ValueError(f"{self.label}: {call.where} makes a tensor of shape {output.shape}; that is damage.")

    def _fold(self, call: Call, given: Sequence[Value]) -> None:
        """Mark the outputs as constants, and compute the small ones."""
        made_of = given[:1] if call.op_type in ("DequantizeLinear", "QuantizeLinear") else given
        roots = tuple(dict.fromkeys(root for value in made_of for root in value.roots))
        for output in call.outputs:
            output.constant, output.roots = True, roots
            if roots and call.op_type == "Identity" and self.twins and _is_torch_name(output.name):
                output.roots = (output.name,)
        if any(value.array is None for value in given):
            return
        if not all(self._is_small(call, output) for output in call.outputs if output.name):
            return
        try:
            arrays = _evaluate(call, self.versions.get("", 1))
        except Exception:  # noqa: BLE001 - what cannot be computed here stays an unknown constant
            return
        for output, array in zip(call.outputs, arrays, strict=False):
            if isinstance(array, np.ndarray | np.generic) and array.size <= SMALL:
                output.array, output.shape = np.asarray(array), np.shape(array)

    def _is_small(self, call: Call, output: Value) -> bool:
        if call.node.domain not in _STANDARD or any(True for _ in subgraphs(call.node)):
            return False
        return call.op_type in GROWING if output.shape is None else prod(output.shape) <= SMALL


def _is_torch_name(name: str) -> bool:
    """Whether torch's older exporter took the name from the module; it makes up onnx::Conv_12 and /layer/Mul_output."""
    return "::" not in name and not name.startswith("/")


_SAME_SHAPE = ("GroupNormalization", "MeanVarianceNormalization")  # for these alone onnx infers no shape


def _evaluate(call: Call, version: int) -> Sequence[Any]:
    from onnx.reference import ReferenceEvaluator

    if call.op_type == "Shape":
        shape = call.inputs[0].shape
        return [np.array(shape[call.get("start", 0) : call.get("end", len(shape))], dtype=np.int64)]
    if call.op_type == "Size":
        return [np.array(prod(call.inputs[0].shape), dtype=np.int64)]
    value = call.get("value")
    if call.op_type == "Constant" and value is not None:
        return [to_array(value, "the model")]
    feeds = {value.name: value.array for value in call.inputs if value is not None}
    return ReferenceEvaluator(call.node, opsets={"": version}).run(None, feeds)


def _describe(value: Value, kind: "onnx.TypeProto | None") -> None:
    if kind is None or not kind.HasField("tensor_type"):
        return
    value.dtype = kind.tensor_type.elem_type
    if kind.tensor_type.HasField("shape"):
        dims = kind.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            value.shape = tuple(dim.dim_value for dim in dims)


def _captured(node: "onnx.NodeProto") -> set[str]:
    """Names that the bodies of the node read; those of their own making may be among them."""
    names: set[str] = set()
    for graph in subgraphs(node):
        for inner in graph.node:
            names |= set(inner.input) | _captured(inner)
    return names - {""}


def _sorted(graph: "onnx.GraphProto", known: Iterable[str], label: str) -> Iterable["onnx.NodeProto"]:
    """The nodes of one graph in topological order, as they stand if they stand in one."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    sources = []
    for node in graph.node:
        needed = {name for name in node.input if name}
        for name in needed - makers.keys():
            if name not in known:
                raise ValueError(f"{label}: node {node.name!r} ({node.op_type}) reads {name!r}, which nothing makes.")
        needed |= {name for name in _captured(node) if name in makers}
        sources.append({makers[name] for name in needed if name in makers})
    if all(source < index for index, before in enumerate(sources) for source in before):
        return list(graph.node)
    try:
        order = list(TopologicalSorter(dict(enumerate(sources))).static_order())
    except CycleError as error:
        circle = ", ".join(graph.node[index].name or str(index) for index in error.args[1])
        raise ValueError(f"{label}: its nodes form a circle: {circle}.") from None
    return [graph.node[index] for index in order]
