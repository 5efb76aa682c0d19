"""What operator an ONNX node is, the facts of it that a graph keeps, and where its parameters stand.

One table, `RULES`, keyed by the exact operator type. What it does not know becomes `Op.UNKNOWN` and is reported as not
counted. Facts have the names that `nasviz.graph.rules` gives them, so that both roads lead to the same nodes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from nasviz.graph.contraction import einsum_macs
from nasviz.graph.onnx_values import Call, Value
from nasviz.graph.ops import Op

Facts = dict[str, Any]


class Rule(NamedTuple):
    """How to read one type of node.

    Attributes
    ----------
    op : Op
    facts : callable
        Call → what a node keeps.
    weights : tuple of int or None
        Inputs that are parameters if they are constants. None: any input may be one, but a single number is not.
    """

    op: Op
    facts: Callable[[Call], Facts]
    weights: tuple[int, ...] | None


def rule(call: Call) -> Rule:
    """The rule for a call; for an unknown one, `Op.UNKNOWN`."""
    found = RULES.get(call.op_type, Rule(Op.UNKNOWN, _function, None))
    if found.op is not Op.UNKNOWN and (data(call) is None or call.result.shape is None):
        return Rule(Op.UNKNOWN, lambda c: {"function": f"{c.op_type} (shape unknown)"}, found.weights)
    if call.op_type == "MatMul" and _is_weight(call.input(1)):
        return found._replace(op=Op.LINEAR, facts=_gemm)
    if call.op_type == "Gemm" and not call.inputs[1].constant:
        return found._replace(op=Op.MATMUL)
    if call.op_type == "Gather" and call.inputs[0].roots and not call.inputs[1].constant:
        return found._replace(op=Op.EMBEDDING, facts=_none)
    if call.op_type == "Clip":
        op = _clip(call)
        return found._replace(op=op, facts=_function if op is Op.POINTWISE else _none)
    return found


def data(call: Call) -> Value | None:
    """The value that a node's `in_shape` describes: the first that is no constant, or in arithmetic a parameter.

    Of a product it is always the first, whose last size is the one that is summed over.
    """
    if call.op_type in _PRODUCTS:
        first = call.input(0)
        return first if first is not None and first.shape is not None else None
    values = [value for value in call.inputs if value is not None and value.shape is not None]
    arithmetic = call.op_type in ("Add", "Sub", "Mul", "Div", "Pow")
    for value in values:
        if not value.constant or (arithmetic and value.roots and value.shape):
            return value
    return values[0] if values else None


_PRODUCTS = frozenset("MatMul MatMulInteger QLinearMatMul Gemm".split())


def read_shape(call: Call) -> tuple[int, ...]:
    """Shape of `data`, as the operator reads it."""
    value = call.input(1) if rule(call).op is Op.EMBEDDING else data(call)
    shape = value.shape if value is not None and value.shape is not None else ()
    return shape[::-1] if call.op_type == "Gemm" and call.get("transA", 0) else shape


def number(value: float) -> float:
    """A single-precision attribute as it was written down: 1e-05, not 9.999999747378752e-06."""
    return float(f"{value:.7g}")


def _none(call: Call) -> Facts:
    return {}


def _function(call: Call) -> Facts:
    return {"function": call.op_type}


def _is_weight(value: Value | None) -> bool:
    return value is not None and value.constant and value.shape is not None and len(value.shape) == 2


def _clip(call: Call) -> Op:
    bounds = [call.get("min"), call.get("max")]
    for position, value in enumerate(call.inputs[1:3]):
        if value is not None and value.array is not None and value.array.size:
            bounds[position] = float(value.array.reshape(-1)[0])
    return {(0, 6): Op.RELU6, (-1, 1): Op.HARD_TANH}.get(tuple(bounds), Op.POINTWISE)


def _window(call: Call, kernel: tuple[int, ...]) -> Facts:
    """Kernel, stride, dilation and padding; what `auto_pad` leaves open follows from the shapes."""
    dims, source, result = len(kernel), call.inputs[0].shape, call.result.shape
    if len(source) != dims + 2:
        raise ValueError(f"a kernel of {dims} dimensions meets an input of shape {source}")
    stride, dilation = (tuple(call.get(name) or (1,) * dims) for name in ("strides", "dilations"))
    auto = call.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER") and "Transpose" not in call.op_type:
        spans = zip(source[2:], result[2:], stride, dilation, kernel, strict=True)
        total = [max((o - 1) * s + d * (k - 1) + 1 - i, 0) for i, o, s, d, k in spans]
        begin = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
        pads = (*begin, *(t - b for t, b in zip(total, begin, strict=True)))
    else:
        pads = tuple(call.get("pads") or (0,) * (2 * dims))
    even = pads[:dims] == pads[dims:]
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": pads[:dims] if even else pads}


def _conv(call: Call) -> Facts:
    weight = call.inputs[3 if call.op_type == "QLinearConv" else 1]
    bias = {"QLinearConv": 8, "ConvInteger": 99}.get(call.op_type, 2)
    kernel = tuple(call.get("kernel_shape") or weight.shape[2:])
    read = weight.shape[0] if "Transpose" in call.op_type else weight.shape[1] * call.get("group", 1)
    if read != call.inputs[0].shape[1]:  # onnx does not compare them
        raise ValueError(f"a weight for {read} channels meets an input of shape {call.inputs[0].shape}")
    return _window(call, kernel) | {"groups": call.get("group", 1), "bias": call.input(bias) is not None}


def _conv_transpose(call: Call) -> Facts:
    facts = _conv(call)
    return facts | {"output_padding": tuple(call.get("output_padding") or (0,) * len(facts["kernel"]))}


def _gemm(call: Call) -> Facts:
    return {"bias": call.op_type == "Gemm" and call.input(2) is not None}


def _einsum(call: Call) -> Facts:
    equation = call.get("equation", "").replace(" ", "")
    return {"equation": equation, "macs": einsum_macs(equation, [value.shape for value in call.inputs])}


def _attention(call: Call) -> Facts:
    return {"keys": call.inputs[1].shape[-2], "causal": bool(call.get("is_causal", 0))}


def _recurrent(call: Call) -> Facts:
    """W (directions, gates · hidden, input) and R (directions, gates · hidden, hidden)."""
    directions = call.inputs[1].shape[0]
    matrices = (call.inputs[1].shape[1:], call.inputs[2].shape[1:])
    return {
        "bias": call.input(3) is not None,
        "layers": 1,
        "bidirectional": directions == 2,
        "weights": matrices * directions,
    }


def _affine(call: Call) -> Facts:
    return {"bias": True, "eps": number(call.get("epsilon", 1e-5))}


def _batch_norm(call: Call) -> Facts:
    return _affine(call) | {"momentum": number(1 - call.get("momentum", 0.9))}


def _layer_norm(call: Call) -> Facts:
    shape = call.inputs[0].shape
    return _affine(call) | {"normalized": shape[call.get("axis", -1) % len(shape) :]}


def _rms_norm(call: Call) -> Facts:
    shape = call.inputs[0].shape
    return {"bias": True, "normalized": shape[call.get("axis", -1) % len(shape) :]}


def _group_norm(call: Call) -> Facts:
    return _affine(call) | {"groups": call.get("num_groups", 1)}


def _lrn(call: Call) -> Facts:
    return {"size": call.get("size")}


def _max_pool(call: Call) -> Facts:
    facts = _window(call, tuple(call.get("kernel_shape")))
    return facts | {"ceil_mode": bool(call.get("ceil_mode", 0))}


def _avg_pool(call: Call) -> Facts:
    facts = _max_pool(call) | {"count_padding": bool(call.get("count_include_pad", 0))}
    del facts["dilation"]
    return facts


def _lp_pool(call: Call) -> Facts:
    facts = _window(call, tuple(call.get("kernel_shape")))
    return {"kernel": facts["kernel"], "stride": facts["stride"]}


def _mean(call: Call) -> Facts:
    rank, axes = len(call.inputs[0].shape), call.get("axes")
    given = call.input(1)
    if given is not None and given.array is not None:
        axes = given.array.reshape(-1).tolist()
    return {"dim": tuple(a % rank for a in axes or range(rank)), "keepdim": bool(call.get("keepdims", 1))}


def _axis(call: Call) -> Facts:
    return {"dim": call.get("axis", 0) % len(call.result.shape)}


def _scalar(call: Call) -> Facts:
    """The number that a tensor is added to or multiplied with, where it is not a second tensor."""
    arrays = [value.array for value in call.inputs if value is not None and value.array is not None]
    return {"scalar": number(arrays[0].item())} if arrays and arrays[0].ndim == 0 else {}


def _resize(call: Call) -> Facts:
    rank, mode = len(call.inputs[0].shape), call.get("mode", "nearest")
    names = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}.get(rank, "linear"), "cubic": "bicubic"}
    return {"mode": names.get(mode, mode)}


def _slope(call: Call) -> Facts:
    return {"slope": number(call.get("alpha", 0.01))}


def _flatten(call: Call) -> Facts:
    return {"start": call.get("axis", 1)}


def _table() -> dict[str, Rule]:
    anything: None = None
    groups: list[tuple[Op, Callable[[Call], Facts], tuple[int, ...] | None, str]] = [
        (Op.CONV, _conv, (1, 2), "Conv ConvInteger"),
        (Op.CONV, _conv, (3, 8), "QLinearConv"),
        (Op.CONV_TRANSPOSE, _conv_transpose, (1, 2), "ConvTranspose"),
        (Op.LINEAR, _gemm, (1, 2), "Gemm"),
        (Op.MATMUL, _none, (0, 1), "MatMul MatMulInteger"),
        (Op.MATMUL, _none, (0, 3), "QLinearMatMul"),
        (Op.EINSUM, _einsum, (0, 1, 2, 3), "Einsum"),
        (Op.ATTENTION, _attention, (), "Attention"),
        (Op.LSTM, _recurrent, (1, 2, 3, 7), "LSTM"),
        (Op.GRU, _recurrent, (1, 2, 3), "GRU"),
        (Op.RNN, _recurrent, (1, 2, 3), "RNN"),
        (Op.BATCH_NORM, _batch_norm, (1, 2), "BatchNormalization"),
        (Op.INSTANCE_NORM, _affine, (1, 2), "InstanceNormalization"),
        (Op.LAYER_NORM, _layer_norm, (1, 2), "LayerNormalization"),
        (Op.RMS_NORM, _rms_norm, (1,), "RMSNormalization SimplifiedLayerNormalization"),
        (Op.GROUP_NORM, _group_norm, (1, 2), "GroupNormalization"),
        (Op.LOCAL_RESPONSE_NORM, _lrn, (), "LRN"),
        (Op.NORMALIZE, _function, (), "LpNormalization MeanVarianceNormalization ReduceL1 ReduceL2 ReduceLogSumExp "
         "ReduceSumSquare ReduceLogSum"),
        (Op.RELU, _none, (), "Relu"),
        (Op.LEAKY_RELU, _slope, (), "LeakyRelu"),
        (Op.PRELU, _none, (1,), "PRelu"),
        (Op.ELU, _none, (), "Elu Celu"),
        (Op.SELU, _none, (), "Selu"),
        (Op.GELU, _none, (), "Gelu com.microsoft.Gelu com.microsoft.QuickGelu com.microsoft.FastGelu"),
        (Op.SILU, _none, (), "Swish"),
        (Op.MISH, _none, (), "Mish"),
        (Op.SIGMOID, _none, (), "Sigmoid"),
        (Op.HARD_SIGMOID, _none, (), "HardSigmoid"),
        (Op.HARD_SWISH, _none, (), "HardSwish"),
        (Op.TANH, _none, (), "Tanh"),
        (Op.SOFTPLUS, _none, (), "Softplus"),
        (Op.SOFTMAX, _none, (), "Softmax Hardmax"),
        (Op.LOG_SOFTMAX, _none, (), "LogSoftmax"),
        (Op.MAX_POOL, _max_pool, (), "MaxPool"),
        (Op.AVG_POOL, _avg_pool, (), "AveragePool"),
        (Op.LP_POOL, _lp_pool, (), "LpPool"),
        (Op.LP_POOL, _none, (), "GlobalLpPool"),
        (Op.ADAPTIVE_MAX_POOL, _none, (), "GlobalMaxPool"),
        (Op.ADAPTIVE_AVG_POOL, _none, (), "GlobalAveragePool"),
        (Op.ADD, _scalar, anything, "Add"),
        (Op.SUB, _scalar, anything, "Sub"),
        (Op.MUL, _scalar, anything, "Mul"),
        (Op.DIV, _scalar, anything, "Div"),
        (Op.POINTWISE, _function, anything, "Pow Max Min Mean Sum Mod Where"),
        (Op.POINTWISE, _function, (), "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Clip Cos Cosh CumSum Erf Exp Floor "
         "Log Neg Reciprocal Round Shrink Sign Sin Sinh Softsign Sqrt Tan ThresholdedRelu QuantizeLinear "
         "DequantizeLinear DynamicQuantizeLinear BitShift"),
        (Op.MEAN, _mean, (), "ReduceMean"),
        (Op.REDUCE, _function, (), "ReduceSum ReduceProd ReduceMax ReduceMin ArgMax ArgMin TopK"),
        (Op.COMPARE, _function, (), "Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Not IsNaN IsInf "
         "BitwiseAnd BitwiseOr BitwiseXor BitwiseNot"),
        (Op.CONCAT, _axis, anything, "Concat"),
        (Op.SPLIT, _function, (), "Split"),
        (Op.SLICE, _function, (0,), "Slice Trilu CenterCropPad"),
        (Op.PAD, _none, (0,), "Pad"),
        (Op.UPSAMPLE, _resize, (), "Resize Upsample"),
        (Op.UPSAMPLE, _resize, (0,), "GridSample"),
        (Op.RESHAPE, _none, (0,), "Reshape Squeeze Unsqueeze DepthToSpace SpaceToDepth Col2Im"),
        (Op.FLATTEN, _flatten, (0,), "Flatten"),
        (Op.PERMUTE, _function, (0,), "Transpose ReverseSequence"),
        (Op.EXPAND, _none, (0,), "Expand Tile"),
        (Op.GATHER, _function, anything, "Gather GatherElements GatherND Scatter ScatterElements ScatterND Compress "
         "OneHot NonZero TensorScatter"),
        (Op.DROPOUT, _none, (), "Dropout Bernoulli"),
    ]  # fmt: skip
    return {name: Rule(op, facts, weights) for op, facts, weights, names in groups for name in names.split()}


RULES = _table()

ALIASES = frozenset("Identity Cast CastLike".split())
"""Operators that make no node: their results count as their first input."""
