"""ONNX files as they are read: checked, without their weights, with functions inlined.

Shapes and names are all that a graph needs, so only small tensors (the sizes of a reshape, the bounds of a slice) keep
their values; a file of gigabytes becomes a model of kilobytes.
"""

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasviz.files import archive_kind, checked

if TYPE_CHECKING:
    import numpy as np
    import onnx

SMALL = 4096
"""Tensors of no more elements keep their values."""

_WHAT = "an ONNX model, the file model.onnx"


def read(model: "str | os.PathLike | onnx.ModelProto | Any") -> tuple["onnx.ModelProto", str]:
    """A light copy of the model, and what to call it in sentences.

    Parameters
    ----------
    model : path, onnx.ModelProto or torch.onnx.ONNXProgram
        The model; it is left as it is.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the file that holds its weights is missing.
    ValueError
        If the file is no ONNX model, is damaged, or names weights outside of its folder.
    TypeError
        If `model` is none of the above.
    """
    import onnx

    proto = getattr(model, "model_proto", model)
    if isinstance(proto, onnx.ModelProto):
        return _light(proto, None, "the model"), "the model"
    if not isinstance(model, str | os.PathLike):
        raise TypeError(f"model: expected a path or an onnx.ModelProto, got {type(model).__name__}.")
    path = checked(model, _WHAT)
    label = f"path={str(path)!r}"
    if kind := archive_kind(path):
        raise ValueError(f"{label} is a {kind} archive; unpack it and give {_WHAT}.")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except Exception as error:  # noqa: BLE001 - protobuf's implementations raise different classes
        raise ValueError(
            f"{label} cannot be read as ONNX: it is another format, cut off, damaged, or nested too deeply ({error})."
        ) from None
    if not proto.graph.node:
        raise ValueError(f"{label} holds no network; export the model again.")
    try:
        return _light(proto, path.parent, label), label
    except UnicodeDecodeError as error:
        raise ValueError(f"{label} has a name that is no text ({one_line(error)}); it is damaged.") from None


def subgraphs(node: "onnx.NodeProto") -> Iterator["onnx.GraphProto"]:
    """The bodies of an If, Loop or Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _light(model: "onnx.ModelProto", folder: Path | None, label: str) -> "onnx.ModelProto":
    import onnx
    from onnx import inliner

    light = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        opset_import=model.opset_import,
        functions=model.functions,
        metadata_props=model.metadata_props,
    )
    graph = light.graph
    graph.name = model.graph.name
    for field in ("node", "input", "output", "value_info", "metadata_props"):
        getattr(graph, field).extend(getattr(model.graph, field))
    graph.initializer.extend(_stub(tensor, folder, label) for tensor in model.graph.initializer)
    graph.initializer.extend(
        onnx.TensorProto(name=sparse.values.name, dims=sparse.dims, data_type=sparse.values.data_type)
        for sparse in model.graph.sparse_initializer
    )
    _untie(model, graph)
    if not light.functions:
        return light
    try:
        return inliner.inline_local_functions(light)
    except Exception as error:  # noqa: BLE001 - the C++ side raises several classes
        raise ValueError(f"{label}: its local functions cannot be inlined ({one_line(error)}).") from None


def _stub(tensor: "onnx.TensorProto", folder: Path | None, label: str) -> "onnx.TensorProto":
    """Name, type and shape of a tensor, and its values where they are few."""
    import onnx
    from onnx import external_data_helper as external

    if any(size < 0 for size in tensor.dims):
        raise ValueError(f"{label}: the weight {tensor.name!r} has the negative size {list(tensor.dims)}.")
    outside = tensor.data_location == onnx.TensorProto.EXTERNAL
    if outside and folder is not None:
        _check_external(tensor, folder, label)
    stub = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    if prod(tensor.dims) <= SMALL and not (outside and folder is None):
        stub.CopyFrom(tensor)
        if outside:
            external.load_external_data_for_tensor(stub, str(folder))
            stub.data_location = onnx.TensorProto.DEFAULT
            del stub.external_data[:]
    return stub


def _check_external(tensor: "onnx.TensorProto", folder: Path, label: str) -> None:
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = facts.get("location", "")
    target = (folder / location).resolve()
    if not location or not target.is_relative_to(folder.resolve()):
        raise ValueError(
            f"{label}: the weight {tensor.name!r} is said to lie at {location!r}, outside of the model's folder; "
            "nothing is read from there."
        )
    if not target.is_file():
        raise FileNotFoundError(
            f"{label}: its weights lie in {location!r}, which is missing; put that file beside the model."
        )
    offset, length = (facts.get(key, "0") for key in ("offset", "length"))
    if not (offset.isdecimal() and length.isdecimal()) or int(offset) + int(length) > target.stat().st_size:
        raise ValueError(
            f"{label}: {location!r} is too short for the weight {tensor.name!r} (offset {offset}, length {length}); "
            "copy that file again."
        )


def _untie(model: "onnx.ModelProto", graph: "onnx.GraphProto") -> None:
    """Put back the transposition of a shared weight that torch's older exporter stored twice.

    It folds `weight.T` of every linear layer into a tensor without a name of its own; where that is the transpose of
    a tensor that has one (an output layer that is the embedding), the two are one parameter.
    """
    import numpy as np
    import onnx

    if model.producer_name != "pytorch":
        return
    full = {tensor.name: tensor for tensor in model.graph.initializer if tensor.HasField("raw_data")}
    named: dict[tuple[int, ...], list[str]] = {}
    for name, tensor in full.items():
        if "::" not in name and len(tensor.dims) == 2:
            named.setdefault(tuple(tensor.dims), []).append(name)
    for name in [name for name in full if name.startswith("onnx::")]:
        twins = named.get(tuple(full[name].dims)[::-1], [])
        values = to_array(full[name], "the model") if twins else None
        same = (twin for twin in twins if np.array_equal(to_array(full[twin], "the model").T, values))
        if (twin := next(same, None)) is not None:
            graph.initializer.remove(next(stub for stub in graph.initializer if stub.name == name))
            graph.node.insert(0, onnx.helper.make_node("Transpose", [twin], [name], perm=[1, 0]))


def has_values(tensor: "onnx.TensorProto") -> bool:
    """Whether the tensor is more than a name and a shape."""
    return not prod(tensor.dims) or any(
        field.name.endswith("_data") and field.name != "external_data" for field, _ in tensor.ListFields()
    )


def to_array(tensor: "onnx.TensorProto", label: str) -> "np.ndarray":
    """The values of a tensor.

    Raises
    ------
    ValueError
        If there are more or fewer than its shape says, or its type does not exist.
    """
    from onnx import numpy_helper

    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:  # noqa: BLE001 - a damaged tensor fails in many ways
        raise ValueError(f"{label}: the tensor {tensor.name!r} is damaged ({one_line(error)}).") from None


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
