"""What operator a torch call is, and the facts of it that a node keeps.

One table, keyed by the exact name of the torch function. A call that the table does not know becomes `Op.UNKNOWN`
and is reported as not counted; nothing is dropped in silence.
"""

from collections.abc import Callable
from itertools import accumulate
from math import isqrt
from typing import Any

import torch

from nasviz.graph.calls import Call
from nasviz.graph.contraction import einsum_macs
from nasviz.graph.ops import Op

Facts = dict[str, Any]


def rule(call: Call) -> tuple[Op, Facts]:
    """Operator and facts of a call."""
    op, facts = _RULES.get(call.name, (Op.UNKNOWN, lambda call: {"function": call.name}))
    if op is Op.HARD_TANH and (call.get(1, "min_val", -1), call.get(2, "max_val", 1)) == (0, 6):
        op = Op.RELU6  # which nn.ReLU6 is, by this very call
    return op, facts(call)


def operator(name: str) -> Op:
    """The operator of the torch function `name`."""
    return _RULES.get(name, (Op.UNKNOWN, None))[0]


def cuts(call: Call) -> list[tuple[Op, Facts]]:
    """Operator and facts of each result of a call that takes a tensor apart: parts of it, and parts can be read alone.

    The call is one of `Op.SPLIT`.
    """
    alone = call.name in ("unbind", "iter")  # one entry each, without the dimension
    dim = call.get(1 if alone else 2, "dim", 0) % call.data.dim()
    if alone:
        read = ("tensor", *call.data.shape)
        return [
            (Op.SLICE, {"function": "select", "call": ("torch.Tensor.select", (read, dim, i), ())})
            for i in range(len(call.results))
        ]
    lengths = [result.shape[dim] for result in call.results]
    starts = accumulate(lengths, initial=0)
    return [
        (Op.SLICE, {"dim": dim, "start": start, "length": length})
        for start, length in zip(starts, lengths, strict=False)
    ]


def _none(call: Call) -> Facts:
    return {}


def _sizes(value: Any, dims: int) -> tuple[int, ...]:
    sizes = (int(value),) if isinstance(value, int) else tuple(int(v) for v in value)
    return sizes * dims if len(sizes) == 1 else sizes


def _conv(call: Call) -> Facts:
    weight, dims = call.get(1, "weight"), call.get(1, "weight").dim() - 2
    padding = call.get(4, "padding", 0)
    dilation, kernel = _sizes(call.get(5, "dilation", 1), dims), tuple(weight.shape[2:])
    if padding == "valid":
        padding = 0
    elif padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if not any(t % 2 for t in total):
            padding = [t // 2 for t in total]
    return {
        "kernel": kernel,
        "stride": _sizes(call.get(3, "stride", 1), dims),
        "padding": padding if isinstance(padding, str) else _sizes(padding, dims),
        "dilation": dilation,
        "groups": call.get(6, "groups", 1),
        "bias": call.get(2, "bias") is not None,
    }


def _conv_transpose(call: Call) -> Facts:
    weight, dims = call.get(1, "weight"), call.get(1, "weight").dim() - 2
    return {
        "kernel": tuple(weight.shape[2:]),
        "stride": _sizes(call.get(3, "stride", 1), dims),
        "padding": _sizes(call.get(4, "padding", 0), dims),
        "output_padding": _sizes(call.get(5, "output_padding", 0), dims),
        "groups": call.get(6, "groups", 1),
        "dilation": _sizes(call.get(7, "dilation", 1), dims),
        "bias": call.get(2, "bias") is not None,
    }


def _linear(call: Call) -> Facts:
    return {"bias": call.get(2, "bias") is not None}


def _bilinear(call: Call) -> Facts:
    return {"bias": call.get(3, "bias") is not None, "in_features": tuple(call.get(2, "weight").shape[1:])}


def _added_matmul(call: Call) -> Facts:
    """`addbmm` also sums over the batch, which its result no longer shows."""
    return {"bias": True, "summed": call.data.shape[0]} if call.name == "addbmm" else {"bias": True}


def _einsum(call: Call) -> Facts:
    equation, *operands = call.args
    if len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = list(operands[0])
    if not isinstance(equation, str):
        return {"function": "einsum with index lists"}
    return {"equation": equation.replace(" ", ""), "macs": einsum_macs(equation, [x.shape for x in operands])}


def _tensordot(call: Call) -> Facts:
    """The contracted size k follows from the sizes: |a| · |b| = k² · |result|."""
    a, b = call.get(0, "a"), call.get(1, "b")
    result = call.results[0].numel()
    return {"macs": result * isqrt(a.numel() * b.numel() // result) if result else 0}


def _attention(call: Call) -> Facts:
    return {"keys": call.get(1, "key").shape[-2], "causal": bool(call.get(5, "is_causal", False))}


def _recurrent(call: Call) -> Facts:
    """`torch.lstm(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`."""
    if isinstance(call.args[3], list | tuple):  # packed: (data, batch_sizes, hx, params, ...)
        weights, biased, layers, bidirectional = call.args[3], call.args[4], call.args[5], call.args[8]
    else:
        weights, biased, layers, bidirectional = call.args[2], call.args[3], call.args[4], call.args[7]
    matrices = [tuple(w.shape) for w in weights if w.dim() == 2]
    return {"bias": bool(biased), "layers": layers, "bidirectional": bool(bidirectional), "weights": tuple(matrices)}


def _cell(call: Call) -> Facts:
    weights = [a for a in call.args if isinstance(a, torch.Tensor) and a.dim() == 2][-2:]
    return {"weights": tuple(tuple(w.shape) for w in weights), "bias": call.get(4, "b_ih") is not None}


def _batch_norm(call: Call) -> Facts:
    return {
        "bias": call.get(3, "weight") is not None,
        "momentum": call.get(6, "momentum", 0.1),
        "eps": call.get(7, "eps", 1e-5),
    }


def _instance_norm(call: Call) -> Facts:
    return {"bias": call.get(3, "weight") is not None, "eps": call.get(7, "eps", 1e-5)}


def _layer_norm(call: Call) -> Facts:
    return {
        "bias": call.get(2, "weight") is not None,
        "eps": call.get(4, "eps", 1e-5),
        "normalized": tuple(call.get(1, "normalized_shape")),
    }


def _rms_norm(call: Call) -> Facts:
    return {"bias": call.get(2, "weight") is not None, "normalized": tuple(call.get(1, "normalized_shape"))}


def _group_norm(call: Call) -> Facts:
    return {
        "groups": call.get(1, "num_groups"),
        "bias": call.get(2, "weight") is not None,
        "eps": call.get(4, "eps", 1e-5),
    }


def _pool_dims(call: Call) -> int:
    return next(int(c) for c in call.name if c.isdigit())


def _max_pool(call: Call) -> Facts:
    dims = _pool_dims(call)
    kernel = _sizes(call.get(1, "kernel_size"), dims)
    return {
        "kernel": kernel,
        "stride": _sizes(call.get(2, "stride") or kernel, dims),
        "padding": _sizes(call.get(3, "padding", 0), dims),
        "dilation": _sizes(call.get(4, "dilation", 1), dims),
        "ceil_mode": bool(call.get(5, "ceil_mode", False)),
    }


def _avg_pool(call: Call) -> Facts:
    dims = _pool_dims(call)
    kernel = _sizes(call.get(1, "kernel_size"), dims)
    return {
        "kernel": kernel,
        "stride": _sizes(call.get(2, "stride") or kernel, dims),
        "padding": _sizes(call.get(3, "padding", 0), dims),
        "ceil_mode": bool(call.get(4, "ceil_mode", False)),
        "count_padding": bool(call.get(5, "count_include_pad", True)),
    }


def _lp_pool(call: Call) -> Facts:
    dims = _pool_dims(call)
    kernel = _sizes(call.get(2, "kernel_size"), dims)
    return {"kernel": kernel, "stride": _sizes(call.get(3, "stride") or kernel, dims)}


def _mean(call: Call) -> Facts:
    dim = call.get(1, "dim")
    rank = call.args[0].dim()
    dims = range(rank) if dim is None else (dim,) if isinstance(dim, int) else dim
    return {"dim": tuple(d % rank for d in dims), "keepdim": bool(call.get(2, "keepdim", False))}


def _function(call: Call) -> Facts:
    return {"function": call.name}


def _dim(call: Call) -> Facts:
    dim = call.get(1, "dim", 0)
    return {"dim": dim % call.results[0].dim() if isinstance(dim, int) else 0}


def _narrow(call: Call) -> Facts:
    start = call.get(2, "start")
    return {"dim": call.get(1, "dim"), "start": int(start), "length": int(call.get(3, "length"))}


def _getitem(call: Call) -> Facts:
    index = call.args[1]
    parts = index if isinstance(index, tuple) else (index,)
    return {"index": tuple(_index(part) for part in parts)}


def _index(part: Any) -> Any:
    if isinstance(part, slice):
        return tuple(v if v is None else int(v) for v in (part.start, part.stop, part.step))
    if part is Ellipsis:
        return "..."
    return "tensor" if isinstance(part, torch.Tensor | list) else part


def _flatten(call: Call) -> Facts:
    return {"start": call.get(1, "start_dim", 0)}


def _scalar(call: Call) -> Facts:
    """The number that a tensor is added to or multiplied with, where it is not a second tensor."""
    numbers = [a for a in call.args[:2] if isinstance(a, int | float) and not isinstance(a, bool)]
    return {"scalar": numbers[0]} if numbers else {}


def _window(call: Call) -> Facts:
    return {"size": call.get(1, "size")}


def _upsample(call: Call) -> Facts:
    return {"mode": call.get(3, "mode", "nearest")}


def _slope(call: Call) -> Facts:
    return {"slope": call.get(1, "negative_slope", 0.01)}


def _rate(call: Call) -> Facts:
    rate = call.get(1, "p", 0.5)
    return {"p": float(rate)} if isinstance(rate, int | float) else {}


def _table() -> dict[str, tuple[Op, Callable[[Call], Facts]]]:
    """Names of torch functions by operator."""
    groups: list[tuple[Op, Callable[[Call], Facts], str]] = [
        (Op.CONV, _conv, "conv1d conv2d conv3d"),
        (Op.CONV_TRANSPOSE, _conv_transpose, "conv_transpose1d conv_transpose2d conv_transpose3d"),
        (Op.LINEAR, _linear, "linear"),
        (Op.BILINEAR, _bilinear, "bilinear"),
        (Op.MATMUL, _none, "matmul mm bmm mv dot vdot inner"),
        (Op.MATMUL, _added_matmul, "addmm addbmm baddbmm addmv"),
        (Op.EINSUM, _einsum, "einsum"),
        (Op.EINSUM, _tensordot, "tensordot"),
        (Op.ATTENTION, _attention, "scaled_dot_product_attention"),
        (Op.LSTM, _recurrent, "lstm"),
        (Op.GRU, _recurrent, "gru"),
        (Op.RNN, _recurrent, "rnn_tanh rnn_relu"),
        (Op.LSTM, _cell, "lstm_cell"),
        (Op.GRU, _cell, "gru_cell"),
        (Op.RNN, _cell, "rnn_tanh_cell rnn_relu_cell"),
        (Op.EMBEDDING, _none, "embedding embedding_bag"),
        (Op.BATCH_NORM, _batch_norm, "batch_norm"),
        (Op.INSTANCE_NORM, _instance_norm, "instance_norm"),
        (Op.LAYER_NORM, _layer_norm, "layer_norm"),
        (Op.RMS_NORM, _rms_norm, "rms_norm"),
        (Op.GROUP_NORM, _group_norm, "group_norm"),
        (Op.LOCAL_RESPONSE_NORM, _window, "local_response_norm"),
        (Op.NORMALIZE, _function, "normalize norm vector_norm std var std_mean var_mean logsumexp "
         "_weight_norm"),
        (Op.RELU, _none, "relu"),
        (Op.RELU6, _none, "relu6"),
        (Op.LEAKY_RELU, _slope, "leaky_relu"),
        (Op.PRELU, _none, "prelu"),
        (Op.ELU, _none, "elu celu"),
        (Op.SELU, _none, "selu"),
        (Op.GELU, _none, "gelu"),
        (Op.SILU, _none, "silu"),
        (Op.MISH, _none, "mish"),
        (Op.GLU, _none, "glu"),
        (Op.SIGMOID, _none, "sigmoid expit"),
        (Op.HARD_SIGMOID, _none, "hardsigmoid"),
        (Op.HARD_SWISH, _none, "hardswish"),
        (Op.TANH, _none, "tanh"),
        (Op.HARD_TANH, _none, "hardtanh"),
        (Op.SOFTPLUS, _none, "softplus"),
        (Op.SOFTMAX, _none, "softmax softmin"),
        (Op.LOG_SOFTMAX, _none, "log_softmax"),
        (Op.MAX_POOL, _max_pool, "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
         "max_pool3d_with_indices"),
        (Op.AVG_POOL, _avg_pool, "avg_pool1d avg_pool2d avg_pool3d"),
        (Op.LP_POOL, _lp_pool, "lp_pool1d lp_pool2d lp_pool3d"),
        (Op.ADAPTIVE_MAX_POOL, _none, "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
         "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices"),
        (Op.ADAPTIVE_AVG_POOL, _none, "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
        (Op.ADD, _scalar, "add"),
        (Op.SUB, _scalar, "sub subtract"),
        (Op.MUL, _scalar, "mul multiply"),
        (Op.DIV, _scalar, "div divide"),
        (Op.POINTWISE, _function, "abs neg exp expm1 log log2 log1p log10 sqrt rsqrt square pow reciprocal "
         "sinh cosh erf erfc clamp clamp_max maximum minimum fmax fmin sign floor "
         "ceil round floordiv remainder mod fmod where lerp addcmul addcdiv logsigmoid softsign tanhshrink "
         "hardshrink softshrink threshold rrelu logaddexp exp2 frac trunc nan_to_num cumsum cumprod polar masked_fill "
         "rpow sin cos tan asin acos atan atan2 clip clamp_min floor_divide"),
        (Op.MEAN, _mean, "mean"),
        (Op.REDUCE, _function, "sum prod max min amax amin any all median nansum argmax argmin topk sort argsort "
         "cosine_similarity count_nonzero"),
        (Op.COMPARE, _function, "eq ne lt le gt ge logical_and logical_or logical_not logical_xor and or xor invert "
         "bitwise_and bitwise_or bitwise_not isnan isinf isfinite"),
        (Op.CONCAT, _dim, "cat concat concatenate"),
        (Op.STACK, _dim, "stack hstack vstack dstack column_stack"),
        (Op.SPLIT, _function, "split chunk unbind iter tensor_split split_with_sizes"),
        (Op.SLICE, _narrow, "narrow"),
        (Op.SLICE, _getitem, "__getitem__"),
        (Op.SLICE, _function, "select diagonal tril triu __setitem__ copy fill zero"),
        (Op.PAD, _none, "pad"),
        (Op.UPSAMPLE, _upsample, "interpolate upsample upsample_nearest upsample_bilinear grid_sample"),
        (Op.RESHAPE, _none, "view reshape squeeze unsqueeze unflatten view_as reshape_as unfold fold pixel_shuffle "
         "pixel_unshuffle channel_shuffle view_as_real view_as_complex as_strided _pack_padded_sequence "
         "_pad_packed_sequence"),
        (Op.FLATTEN, _flatten, "flatten ravel"),
        (Op.PERMUTE, _function, "permute transpose t movedim moveaxis swapaxes swapdims flip roll rot90 get_T get_mT "
         "get_H get_mH"),
        (Op.EXPAND, _none, "expand expand_as repeat repeat_interleave tile broadcast_to meshgrid"),
        (Op.GATHER, _function, "gather index_select take take_along_dim scatter scatter_add index_add index_put "
         "masked_select nonzero one_hot index_copy"),
        (Op.DROPOUT, _rate, "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout bernoulli"),
        (Op.ZERO, _none, "zeros_like"),
    ]  # fmt: skip
    return {name: (op, facts) for op, facts, names in groups for name in names.split()}


_RULES = _table()
