"""The operator vocabulary: every primitive operator that a computation graph can hold.

A leaf module: it imports nothing of the project. The members' values are the words stored in files and shown in
tables, so a member is added but never renamed.
"""

from enum import StrEnum


class Op(StrEnum):
    """A primitive operator, in the sense of GENNAPE (AAAI-23): what an autograd framework runs as one call."""

    INPUT = "input"

    CONV = "conv"
    CONV_TRANSPOSE = "conv_transpose"
    LINEAR = "linear"
    BILINEAR = "bilinear"
    MATMUL = "matmul"
    EINSUM = "einsum"
    ATTENTION = "attention"
    LSTM = "lstm"
    GRU = "gru"
    RNN = "rnn"
    EMBEDDING = "embedding"

    BATCH_NORM = "batch_norm"
    LAYER_NORM = "layer_norm"
    GROUP_NORM = "group_norm"
    INSTANCE_NORM = "instance_norm"
    RMS_NORM = "rms_norm"
    LOCAL_RESPONSE_NORM = "local_response_norm"
    NORMALIZE = "normalize"

    RELU = "relu"
    RELU6 = "relu6"
    LEAKY_RELU = "leaky_relu"
    PRELU = "prelu"
    ELU = "elu"
    SELU = "selu"
    GELU = "gelu"
    SILU = "silu"
    MISH = "mish"
    GLU = "glu"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"
    HARD_SWISH = "hard_swish"
    TANH = "tanh"
    HARD_TANH = "hard_tanh"
    SOFTPLUS = "softplus"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"

    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    LP_POOL = "lp_pool"
    ADAPTIVE_MAX_POOL = "adaptive_max_pool"
    ADAPTIVE_AVG_POOL = "adaptive_avg_pool"

    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    POINTWISE = "pointwise"
    MEAN = "mean"
    REDUCE = "reduce"
    COMPARE = "compare"

    CONCAT = "concat"
    STACK = "stack"
    SPLIT = "split"
    SLICE = "slice"
    PAD = "pad"
    UPSAMPLE = "upsample"
    RESHAPE = "reshape"
    FLATTEN = "flatten"
    PERMUTE = "permute"
    EXPAND = "expand"
    GATHER = "gather"
    DROPOUT = "dropout"
    ZERO = "zero"

    UNKNOWN = "unknown"


NORMS = frozenset({Op.BATCH_NORM, Op.LAYER_NORM, Op.GROUP_NORM, Op.INSTANCE_NORM, Op.RMS_NORM})

ACTIVATIONS = frozenset(
    {
        Op.RELU, Op.RELU6, Op.LEAKY_RELU, Op.PRELU, Op.ELU, Op.SELU, Op.GELU, Op.SILU, Op.MISH, Op.SIGMOID,
        Op.HARD_SIGMOID, Op.HARD_SWISH, Op.TANH, Op.HARD_TANH, Op.SOFTPLUS,
    }
)  # fmt: skip

POOLS = frozenset({Op.MAX_POOL, Op.AVG_POOL, Op.LP_POOL, Op.ADAPTIVE_MAX_POOL, Op.ADAPTIVE_AVG_POOL})

MOVES = frozenset(
    {
        Op.INPUT, Op.CONCAT, Op.STACK, Op.SPLIT, Op.SLICE, Op.PAD, Op.RESHAPE, Op.FLATTEN, Op.PERMUTE, Op.EXPAND,
        Op.GATHER, Op.DROPOUT, Op.ZERO, Op.EMBEDDING,
    }
)  # fmt: skip
"""Operators that only move data: declared to cost nothing."""
