"""ONNX models written with `onnx.helper`, as exporters write them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def node(op: str, inputs: Sequence[str], output: str | Sequence[str], **attributes) -> onnx.NodeProto:
    """A node named as its first output is."""
    outputs = [output] if isinstance(output, str) else list(output)
    name = attributes.pop("name", outputs[0])
    return helper.make_node(op, inputs, outputs, name=name, **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str | None] | None],
    outputs: Sequence[str] | dict[str, Sequence[int | str]] = ("y",),
    weights: dict[str, tuple[int, ...] | np.ndarray] | None = None,
    *,
    opset: int = 20,
    kind: int = TensorProto.FLOAT,
    producer: str = "",
    domains: Sequence[str] = (),
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """A model; weights are zeros where a shape is given."""
    arrays = {
        name: np.zeros(value, np.float32) if isinstance(value, tuple) else value
        for name, value in (weights or {}).items()
    }
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, outputs[name] if isinstance(outputs, dict) else None)
            for name in outputs
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, producer_name=producer, functions=functions)


def tensorflow(folder: Path, name: str = "keras_nhwc.onnx") -> Path:
    """A small Keras network as tf2onnx writes it: NHWC in, and transpositions around what ONNX wants in NCHW.

    Sequential([Conv2D(8, 3, strides=2, padding="same", activation="relu"), DepthwiseConv2D(3, padding="same"),
    BatchNormalization(), ReLU(6), Conv2D(16, 1), GlobalAveragePooling2D(), Dense(10, activation="softmax")]) on
    images of 32 x 32 x 3. Its weights are small random numbers; the batch is left open, as Keras does.
    """
    draw = np.random.default_rng(0)
    shapes = {
        "sequential/conv2d/Conv2D/ReadVariableOp:0": (8, 3, 3, 3),
        "sequential/conv2d/BiasAdd/ReadVariableOp:0": (8,),
        "sequential/depthwise_conv2d/depthwise/ReadVariableOp:0": (8, 1, 3, 3),
        "sequential/depthwise_conv2d/BiasAdd/ReadVariableOp:0": (8,),
        "sequential/batch_normalization/gamma": (8,),
        "sequential/batch_normalization/beta": (8,),
        "sequential/batch_normalization/mean": (8,),
        "sequential/batch_normalization/variance": (8,),
        "sequential/conv2d_1/Conv2D/ReadVariableOp:0": (16, 8, 1, 1),
        "sequential/conv2d_1/BiasAdd/ReadVariableOp:0": (16,),
        "sequential/dense/MatMul/ReadVariableOp:0": (16, 10),
        "sequential/dense/BiasAdd/ReadVariableOp:0": (10,),
    }
    weights = {key: draw.uniform(0, 0.1, shape).astype(np.float32) for key, shape in shapes.items()}
    weights |= {"six": np.float32(6), "zero": np.float32(0)}
    w, prefix = list(shapes), "StatefulPartitionedCall/sequential"
    same = {"auto_pad": "SAME_UPPER"}
    nodes = [
        node("Transpose", ["x"], "t0", perm=[0, 3, 1, 2], name=f"{prefix}/conv2d/BiasAdd__6"),
        node("Conv", ["t0", w[0], w[1]], "c0", strides=[2, 2], **same, name=f"{prefix}/conv2d/BiasAdd"),
        node("Relu", ["c0"], "r0", name=f"{prefix}/conv2d/Relu"),
        node("Conv", ["r0", w[2], w[3]], "c1", group=8, **same, name=f"{prefix}/depthwise_conv2d/BiasAdd"),
        node(
            "BatchNormalization",
            ["c1", *w[4:8]],
            "b1",
            epsilon=1e-3,
            name=f"{prefix}/batch_normalization/FusedBatchNormV3",
        ),
        node("Clip", ["b1", "zero", "six"], "r1", name=f"{prefix}/re_lu/Relu6"),
        node("Conv", ["r1", w[8], w[9]], "c2", name=f"{prefix}/conv2d_1/BiasAdd"),
        node("GlobalAveragePool", ["c2"], "p", name=f"{prefix}/global_average_pooling2d/Mean"),
        node("Squeeze", ["p", "axes"], "s", name=f"{prefix}/global_average_pooling2d/Mean_Squeeze"),
        node("MatMul", ["s", w[10]], "m", name=f"{prefix}/dense/MatMul"),
        node("Add", ["m", w[11]], "a", name=f"{prefix}/dense/BiasAdd"),
        node("Softmax", ["a"], "y", axis=1, name=f"{prefix}/dense/Softmax"),
    ]
    weights["axes"] = np.array([2, 3])
    made = model(nodes, {"x": ["unk__0", 32, 32, 3]}, {"y": ["unk__1", 10]}, weights, opset=15, producer="tf2onnx")
    onnx.checker.check_model(made, full_check=True)
    path = folder / name
    onnx.save(made, path)
    return path
