"""`nv.from_onnx` on models written by hand: shapes, layouts, weights, opsets, and what it does not know."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import model, node, tensorflow

import nasviz as nv
from nasviz.graph import Op

WEIGHT = {"w": (8, 3, 3, 3), "b": (8,)}
CONV = [node("Conv", ["x", "w", "b"], "y", pads=[1, 1, 1, 1], strides=[2, 2])]


def total(made: onnx.ModelProto, shape=None) -> dict[str, int]:
    table = nv.cost(nv.from_onnx(made, shape))
    assert len(table.uncounted) == 0, table.uncounted
    return table.total


def test_convolution() -> None:
    graph = nv.from_onnx(model(CONV, {"x": (2, 3, 8, 8)}, weights=WEIGHT), name="one")
    conv = graph.nodes[1]
    assert (graph.name, [n.op for n in graph.nodes], graph.edges.tolist()) == ("one", [Op.INPUT, Op.CONV], [[0, 1]])
    assert (conv.in_shape, conv.out_shape) == ((2, 3, 8, 8), (2, 8, 4, 4))
    assert (conv.kernel, conv.stride, conv.get("padding"), conv.bias) == ((3, 3), (2, 2), (1, 1), True)
    assert (conv.params, conv.size_bytes, graph.outputs) == (8 * 27 + 8, 4 * (8 * 27 + 8), (1,))


# -- sizes that the file leaves open -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "axes", [("n", 3, "h", "w"), (None, 3, None, None), None], ids=["named", "nameless", "rankless"]
)
def test_open_axes_are_asked_for(axes) -> None:
    made = model(CONV, {"x": axes}, weights=WEIGHT)
    with pytest.raises(
        ValueError,
        match=r"^the model leaves sizes of its input 'x'.* open; give them, as in shape=\{'x': \(1, 3, 224, 224\)\}\.$",
    ):
        nv.from_onnx(made)
    assert total(made, (1, 3, 6, 4))["macs"] == total(made, {"x": (1, 3, 6, 4)})["macs"] == 3 * 2 * 8 * 27


def test_an_open_batch_is_one_and_axes_can_be_given_by_name() -> None:
    assert total(model(CONV, {"x": ("batch", 3, 8, 8)}, weights=WEIGHT))["macs"] == 16 * 8 * 27
    made = model(CONV, {"x": ("n", 3, "h", "w")}, weights=WEIGHT)
    assert total(made, {"h": 6, "w": 4})["macs"] == 6 * 8 * 27
    assert total(made, {"n": 5, "h": 6, "w": 4})["macs"] == 5 * 6 * 8 * 27


def test_other_sizes_than_the_file_states() -> None:
    made = model(CONV, {"x": (1, 3, 8, 8)}, {"y": (1, 8, 4, 4)}, WEIGHT)
    assert total(made)["macs"] == 16 * 8 * 27
    assert total(made, (2, 3, 4, 4))["macs"] == 2 * 4 * 8 * 27


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 3, 8), r"\(1, 3, 8\) has 3 sizes; the model has 'x' of shape \(n, 3, 8, 8\)"),
        ((1, 3, 8, -8), "all positive whole numbers"),
        ({"z": (1, 3, 8, 8)}, "'z': .* is neither an input"),
        ({"n": 0}, "'n': 0 is neither an input"),
        (
            (1, 5, 8, 8),
            r"node 'y' \(Conv\) is damaged: a weight for 3 channels meets an input of shape \(1, 5, 8, 8\)\.$",
        ),
    ],
)
def test_sizes_that_do_not_fit(shape, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        nv.from_onnx(model(CONV, {"x": ("n", 3, 8, 8)}, weights=WEIGHT), shape)


def test_several_inputs_need_names() -> None:
    made = model([node("MatMul", ["a", "b"], "y")], {"a": (2, "k"), "b": ("k", 5)})
    with pytest.raises(ValueError, match=r"the model has the inputs 'a' of shape \(2, k\), 'b' of shape \(k, 5\)"):
        nv.from_onnx(made, (2, 3))
    assert total(made, {"k": 7})["macs"] == total(made, {"a": (2, 7)})["macs"] == 2 * 7 * 5


# -- shapes that follow from shapes ------------------------------------------------------------------------------------


def test_a_reshape_whose_target_is_computed() -> None:
    nodes = [
        node("Shape", ["x"], "s"),
        node("Gather", ["s", "zero"], "n", axis=0),
        node("Unsqueeze", ["n", "zeros"], "n1"),
        node("Concat", ["n1", "rest"], "target", axis=0),
        node("Reshape", ["x", "target"], "flat"),
        node("Gemm", ["flat", "w"], "y", transB=1),
    ]
    constants = {"zero": np.int64(0), "zeros": np.array([0]), "rest": np.array([-1]), "w": (5, 48)}
    graph = nv.from_onnx(model(nodes, {"x": ("n", 3, 4, 4)}, weights=constants))
    assert [n.op for n in graph.nodes] == [Op.INPUT, Op.RESHAPE, Op.LINEAR]
    assert graph.nodes[1].out_shape == (1, 48) and nv.cost(graph).total["macs"] == 48 * 5


def test_a_branch_whose_condition_is_known() -> None:
    then = helper.make_graph([node("Relu", ["x"], "r")], "then", [], [helper.make_tensor_value_info("r", 1, None)])
    other = helper.make_graph([node("Foo", ["x"], "f")], "else", [], [helper.make_tensor_value_info("f", 1, None)])
    nodes = [node("If", ["yes"], "y", then_branch=then, else_branch=other)]
    graph = nv.from_onnx(model(nodes, {"x": (1, 4)}, weights={"yes": np.array(True)}))
    assert [n.op for n in graph.nodes] == [Op.INPUT, Op.RELU]


@pytest.mark.parametrize(
    ("first", "second", "shape", "macs"),
    [
        ((4, 5), (5, 6), (4, 6), 4 * 5 * 6),
        ((3, 1, 4, 5), (2, 5, 6), (3, 2, 4, 6), 6 * 4 * 5 * 6),
        ((5,), (5, 6), (6,), 5 * 6),
        ((4, 5), (5,), (4,), 4 * 5),
    ],
)
@pytest.mark.parametrize("constant", ["", "a", "b"])
def test_products(first, second, shape, macs, constant: str) -> None:
    """Of two inputs, or of an input with a weight on either side."""
    sizes = {"a": first, "b": second}
    weights = {constant: sizes.pop(constant)} if constant else {}
    graph = nv.from_onnx(model([node("MatMul", ["a", "b"], "y")], sizes, weights=weights))
    assert graph.nodes[-1].out_shape == shape
    assert nv.cost(graph).total["macs"] == macs
    assert graph.params == sum(np.prod(value) for value in weights.values())


# -- layouts -----------------------------------------------------------------------------------------------------------


def test_tensorflows_layout(tmp_path) -> None:
    """Counts as Keras' own summary gives them: 224 + 80 + 32 + 144 + 170, two statistics of eight not trainable."""
    graph = nv.from_onnx(tensorflow(tmp_path))
    table = nv.cost(graph)
    assert graph.nodes[0].out_shape == (1, 3, 32, 32) and graph.name == "keras_nhwc"
    assert Op.PERMUTE not in {n.op for n in graph.nodes}
    assert table.total["params"] == 224 + 80 + (32 - 2 * 8) + 144 + 170
    assert table.total["macs"] == 16 * 16 * (8 * 27 + 8 * 9 + 8 * 16) + 16 * 10
    assert [n.layer for n in graph.nodes][1:4] == [
        "sequential.conv2d",
        "sequential.conv2d",
        "sequential.depthwise_conv2d",
    ]
    assert graph.nodes[1].get("padding") == (0, 0, 1, 1)  # TensorFlow's "same" pads at the end first
    assert nv.from_onnx(tensorflow(tmp_path), (4, 64, 64, 3)).nodes[0].out_shape == (4, 3, 64, 64)


def test_the_checked_in_keras_file_is_the_one_that_is_written_here(tmp_path) -> None:
    """`data/keras_nhwc.onnx`, which chapter 7 reads too; `onnx_models.tensorflow(folder)` writes it anew."""
    from nasviz.resources import data_folder

    assert (data_folder() / "keras_nhwc.onnx").read_bytes() == tensorflow(tmp_path).read_bytes()


def test_an_input_that_is_also_read_in_its_own_layout_stays() -> None:
    nodes = [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], "c"), node("Relu", ["x"], "r")]
    graph = nv.from_onnx(model(nodes, {"x": (1, 8, 6, 3)}, ["c", "r"], {"w": (4, 3, 3, 3)}))
    assert [n.op for n in graph.nodes] == [Op.INPUT, Op.PERMUTE, Op.CONV, Op.RELU]
    assert graph.nodes[0].out_shape == (1, 8, 6, 3)


# -- what it does not know ---------------------------------------------------------------------------------------------


def test_unknown_operators_are_reported() -> None:
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node("Frobnicate", ["c"], "f", domain="acme"),
        node("NonMaxSuppression", ["q", "s"], "k"),
        node("Relu", ["f"], "r"),
        node("Det", ["q"], "y"),
    ]
    inputs = {"x": (1, 3, 8, 8), "q": (1, 4, 4), "s": (1, 2, 4)}
    table = nv.cost(nv.from_onnx(model(nodes, inputs, ["r", "k", "y"], {"w": (8, 3, 3, 3)}, domains=["acme"])))
    assert dict(table.uncounted.to_numpy()) == {
        "acme.Frobnicate": 1,
        "NonMaxSuppression": 1,
        "Det": 1,
        "Relu (shape unknown)": 1,
    }
    assert table.total["macs"] == 36 * 8 * 27 and "≥" in str(table)


def test_a_loop_is_reported_not_passed_over() -> None:
    value = helper.make_tensor_value_info
    steps = [node("MatMul", ["h", "w"], "next"), node("Identity", ["go"], "again")]
    body = helper.make_graph(
        steps,
        "body",
        [value("i", 7, ()), value("go", 9, ()), value("h", 1, (1, 8))],
        [value("again", 9, ()), value("next", 1, (1, 8))],
    )
    made = model(
        [node("Loop", ["times", "", "x"], "y", body=body)], {"x": (1, 8)}, weights={"w": (8, 8), "times": np.int64(3)}
    )
    table = nv.cost(nv.from_onnx(made))
    assert table.uncounted["operator"].tolist() == ["Loop"] and table.total["params"] == 64


def test_unused_weights_are_parameters_that_no_layer_uses() -> None:
    table = nv.cost(nv.from_onnx(model(CONV, {"x": (1, 3, 8, 8)}, weights=WEIGHT | {"idle": (7, 9)})))
    assert table.total["params"] == 8 * 27 + 8 + 63
    assert table.by_layer.iloc[-1][["layer", "params"]].tolist() == ["(never used)", 63]


def test_a_weight_that_two_layers_read_counts_once() -> None:
    nodes = [node("Gemm", ["x", "w", "b"], "m"), node("Gemm", ["m", "w", "b"], "y")]
    sums = total(model(nodes, {"x": (2, 6)}, weights={"w": (6, 6), "b": (6,)}))
    assert (sums["macs"], sums["params"]) == (2 * 2 * 36, 42)
    tied = [
        node("Gather", ["w", "x"], "e"),
        node("Transpose", ["w"], "t", perm=[1, 0]),
        node("MatMul", ["e", "t"], "y"),
    ]
    sums = total(model(tied, {"x": (1, 4)}, weights={"w": (50, 6)}, kind=TensorProto.INT64))
    assert (sums["macs"], sums["params"]) == (4 * 6 * 50, 300)


# -- opsets and precisions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", range(7, 24))
def test_opsets(opset: int) -> None:
    """Sizes of a slice, pad, squeeze, clip, dropout and reduction moved from attributes to inputs over the years."""
    old = {
        "Pad": opset < 11,
        "Clip": opset < 11,
        "Dropout": opset < 12,
        "Squeeze": opset < 13,
        "ReduceMean": opset < 18,
    }
    given = {
        "Pad": ({"pads": [0, 0, 1, 1, 0, 0, 1, 1]}, {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}),
        "Clip": ({"min": 0.0, "max": 6.0}, {"low": np.float32(0), "high": np.float32(6)}),
        "Dropout": ({"ratio": 0.5}, {"ratio": np.float32(0.5)}),
        "ReduceMean": ({"axes": [2], "keepdims": 1}, {"axes": np.array([2])}),
        "Squeeze": ({"axes": [2]}, {"axes1": np.array([2])}),
    }
    nodes, weights, last = [], {"w": (8, 3, 3, 3), "v": (8, 5)}, "x"
    for op in ("Pad", "Conv", "Clip", "Dropout", "ReduceMean", "Squeeze"):
        attributes, extra = given.get(op, ({}, {"w": None}))
        inputs = [] if old.get(op) else list(extra)
        weights |= {name: value for name, value in extra.items() if value is not None and not old.get(op)}
        nodes.append(node(op, [last, *inputs], op, **(attributes if old.get(op) else {})))
        last = op
    nodes += [node("Transpose", [last], "t", perm=[0, 2, 1]), node("MatMul", ["t", "v"], "y")]
    graph = nv.from_onnx(model(nodes, {"x": (1, 3, 8, 8)}, weights=weights, opset=opset))
    assert [n.op.value for n in graph.nodes] == [
        "input",
        "pad",
        "conv",
        "relu6",
        "dropout",
        "mean",
        "reshape",
        "permute",
        "linear",
    ]
    assert graph.nodes[5].get("dim") == (2,) and graph.nodes[6].out_shape == (1, 8, 8)
    assert nv.cost(graph).total["macs"] == 64 * 8 * 27 + 8 * 8 * 5
    assert graph.params == 8 * 27 + 40


@pytest.mark.parametrize(
    ("kind", "size"), [(TensorProto.FLOAT16, 2), (TensorProto.DOUBLE, 8), (TensorProto.BFLOAT16, 2)]
)
def test_bytes_follow_the_precision(kind: int, size: int) -> None:
    made = model([node("Gemm", ["x", "w"], "y")], {"x": (1, 6)}, kind=kind)
    made.graph.initializer.append(helper.make_tensor("w", kind, (6, 4), bytes(24 * size), raw=True))
    made.graph.output[0].type.tensor_type.elem_type = kind
    assert {key: total(made)[key] for key in ("params", "size_bytes")} == {"params": 24, "size_bytes": 24 * size}


def test_quantised_weights() -> None:
    """A weight of bytes behind DequantizeLinear is a parameter of one byte."""
    nodes = [node("DequantizeLinear", ["q", "scale", "zero"], "w"), node("Conv", ["x", "w"], "y")]
    weights = {"q": np.zeros((8, 3, 3, 3), np.int8), "scale": np.float32(0.1), "zero": np.int8(0)}
    sums = total(model(nodes, {"x": (1, 3, 8, 8)}, weights=weights))
    assert (sums["macs"], sums["params"], sums["size_bytes"]) == (36 * 8 * 27, 8 * 27, 8 * 27)


# -- chains that are one operator --------------------------------------------------------------------------------------

CHAINS = {
    "silu": [node("Sigmoid", ["x"], "s"), node("Mul", ["x", "s"], "y")],
    "hard_swish": [node("HardSigmoid", ["x"], "s", alpha=1 / 6), node("Mul", ["x", "s"], "y")],
    "mish": [node("Softplus", ["x"], "a"), node("Tanh", ["a"], "b"), node("Mul", ["x", "b"], "y")],
    "gelu": [
        node("Div", ["x", "root"], "a"),
        node("Erf", ["a"], "b"),
        node("Add", ["b", "one"], "c"),
        node("Mul", ["x", "c"], "d"),
        node("Mul", ["d", "half"], "y"),
    ],
    "layer_norm": [
        node("ReduceMean", ["x"], "m", axes=[-1]),
        node("Sub", ["x", "m"], "d"),
        node("Pow", ["d", "two"], "p"),
        node("ReduceMean", ["p"], "v", axes=[-1]),
        node("Add", ["v", "eps"], "e"),
        node("Sqrt", ["e"], "r"),
        node("Div", ["d", "r"], "q"),
        node("Mul", ["q", "gain"], "g"),
        node("Add", ["g", "shift"], "y"),
    ],
    "linear": [node("MatMul", ["x", "matrix"], "a"), node("Add", ["a", "shift"], "y")],
}
NUMBERS = {name: np.float32(1) for name in ("root", "one", "half", "two", "eps")} | {
    "gain": (6,),
    "shift": (6,),
    "matrix": (6, 6),
}


def used(nodes: list[onnx.NodeProto]) -> dict:
    return {name: NUMBERS[name] for n in nodes for name in n.input if name in NUMBERS}


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str) -> None:
    made = model(CHAINS[name], {"x": (2, 5, 6)}, weights=used(CHAINS[name]), opset=13)
    graph = nv.from_onnx(made)
    assert [n.op.value for n in graph.nodes] == ["input", name]
    assert graph.params == {"layer_norm": 12, "linear": 42}.get(name, 0)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_whose_middle_is_read_elsewhere_is_no_chain(name: str) -> None:
    nodes = [*CHAINS[name], node("Relu", [CHAINS[name][-2].output[0]], "z")]
    graph = nv.from_onnx(model(nodes, {"x": (2, 5, 6)}, ["y", "z"], used(nodes), opset=13))
    assert len(graph) == 1 + len(nodes) and name not in {n.op.value for n in graph.nodes if n.op is not Op.LINEAR}


def test_local_functions_are_inlined() -> None:
    body = [node("Sigmoid", ["a"], "s"), node("Mul", ["a", "s"], "b")]
    swish = helper.make_function("ours", "swish", ["a"], ["b"], body, [helper.make_opsetid("", 20)])
    made = model([node("swish", ["x"], "y", domain="ours")], {"x": (1, 4)}, domains=["ours"], functions=[swish])
    assert [n.op for n in nv.from_onnx(made).nodes] == [Op.INPUT, Op.SILU]
