"""The inputs of an ONNX model: their sizes, those that the file leaves open, and how they lie in memory."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from nasviz.graph.onnx_values import LARGEST, Call, Value

if TYPE_CHECKING:
    import onnx

Shapes = Sequence[int] | Mapping[str, Sequence[int] | int]
Axis = int | str  # a size, or the name of an axis whose size is open ("" where it has no name)


def input_values(model: "onnx.ModelProto", shape: Shapes | None, label: str) -> dict[str, Value]:
    """The inputs of the model by name, with complete shapes.

    Parameters
    ----------
    model : onnx.ModelProto
    shape : sequence of int, dict or None
        As `nasviz.from_onnx` takes it.
    label : str
        What to call the model in sentences.

    Raises
    ------
    ValueError
        If a size is open and not given, or what is given fits no input.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {info.name: info.type for info in model.graph.input if info.name not in weights}
    for name, kind in inputs.items():
        if not kind.HasField("tensor_type"):
            raise ValueError(f"{label}: its input {name!r} is no tensor; only tensors can be read.")
    stated = {name: _axes(kind) for name, kind in inputs.items()}
    shapes, sizes = _given(stated, shape, label)
    for name, complete in shapes.items():
        axes = stated[name]
        sizes |= {axis: n for axis, n in zip(axes or (), complete, strict=False) if isinstance(axis, str) and axis}
    found = {}
    for name, kind in inputs.items():
        complete = shapes.get(name) or _completed(name, stated[name], sizes, label)
        if min(complete, default=1) < 0 or prod(complete) > LARGEST:
            raise ValueError(
                f"{label}: its input {name!r} has the shape {complete}; sizes must not be negative, nor the tensor "
                "larger than 2^40 elements."
            )
        found[name] = Value(name, complete, kind.tensor_type.elem_type)
    return found


def channels_last(inputs: Mapping[str, Value], calls: Iterable[Call]) -> frozenset[str]:
    """Inputs of shape (N, spatial..., C) whose every reader moves the channels to the front first."""
    turned: dict[str, bool] = {}
    for call in calls:
        for value in call.inputs:
            if value is not None and value.name in inputs:
                rank = len(value.shape or ())
                front = call.op_type == "Transpose" and call.get("perm") == [0, rank - 1, *range(1, rank - 1)]
                turned[value.name] = turned.get(value.name, True) and front and rank >= 4
    return frozenset(name for name, always in turned.items() if always)


def _axes(kind: "onnx.TypeProto") -> tuple[Axis, ...] | None:
    if not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in dims)


def _given(
    stated: Mapping[str, tuple[Axis, ...] | None], shape: Shapes | None, label: str
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Complete shapes by input, and sizes by axis, that the user gave."""
    shapes: dict[str, tuple[int, ...]] = {}
    sizes: dict[str, int] = {}
    if shape is None:
        return shapes, sizes
    if not isinstance(shape, Mapping):
        if len(stated) != 1:
            raise ValueError(f"shape={shape!r}: {label} has the inputs {_listed(stated)}; give a dict of shapes.")
        shape = {next(iter(stated)): shape}
    axes = {axis for found in stated.values() for axis in found or () if isinstance(axis, str) and axis}
    for name, value in shape.items():
        if isinstance(value, int) and name in axes and value > 0:
            sizes[name] = value
        elif name in stated and not isinstance(value, int | str) and _is_shape(value):
            if stated[name] is not None and len(value) != len(stated[name]):
                raise ValueError(f"shape: {tuple(value)} has {len(value)} sizes; {label} has {_listed(stated)}.")
            shapes[name] = tuple(value)
        else:
            raise ValueError(
                f"shape: {name!r}: {value!r} is neither an input with its complete shape, all positive whole numbers, "
                f"nor an axis with its size; {label} has {_listed(stated)}."
            )
    return shapes, sizes


def _is_shape(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(size, int) and size > 0 for size in value)


def _completed(name: str, axes: tuple[Axis, ...] | None, sizes: Mapping[str, int], label: str) -> tuple[int, ...]:
    """The shape with what is open filled in; a first axis that is open is a batch of 1."""
    if axes is not None:
        complete = [sizes.get(axis, axis) if isinstance(axis, str) else axis for axis in axes]
        if complete and isinstance(complete[0], str):
            complete[0] = 1
        if all(isinstance(size, int) for size in complete):
            return tuple(complete)
    example = tuple(size if isinstance(size, int) else 224 for size in complete) if axes else (1, 3, 224, 224)
    raise ValueError(
        f"{label} leaves sizes of its input {_listed({name: axes})} open; give them, as in "
        f"shape={{{name!r}: {example}}}."
    )


def _listed(stated: Mapping[str, tuple[Axis, ...] | None]) -> str:
    return ", ".join(
        f"{name!r} of shape ({', '.join(str(axis) or '?' for axis in axes)})" if axes is not None else f"{name!r}"
        for name, axes in stated.items()
    )
