"""The published computation graphs of GENNAPE (Mills et al., AAAI-23), drawn from TensorFlow models, as ours."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nasviz.benchmarks.unpickle import Record
from nasviz.graph.builder import BYTES
from nasviz.graph.graph import ComputeGraph, Node, shared_node
from nasviz.graph.ops import Op

OPERATORS: tuple[tuple[str, Op], ...] = (
    ("<oov>", Op.UNKNOWN), ("input", Op.INPUT), ("output", Op.RESHAPE), ("conv", Op.CONV), ("depthwise", Op.CONV),
    ("batchnorm", Op.BATCH_NORM), ("relu", Op.RELU), ("relu6", Op.RELU6), ("matmul", Op.LINEAR), ("add", Op.ADD),
    ("mul", Op.MUL), ("concat", Op.CONCAT), ("maxpool", Op.MAX_POOL), ("avgpool", Op.AVG_POOL),
    ("sigmoid", Op.SIGMOID), ("tanh", Op.TANH), ("swish", Op.SILU), ("gelu", Op.GELU), ("paddings", Op.PAD),
    ("mean", Op.MEAN), ("spacetobatchnd", Op.RESHAPE), ("batchtospacend", Op.RESHAPE), ("spacetodepthnd", Op.RESHAPE),
    ("depthtospacend", Op.RESHAPE), ("global", Op.ADAPTIVE_AVG_POOL), ("identity", Op.DROPOUT), ("zero", Op.ZERO),
    *((f"reserved{i}", Op.UNKNOWN) for i in range(1, 6)),
)  # fmt: skip
"""The published vocabulary in the order of its numbers, and what it is here. An identity is mostly a drop-out, and an
output hands on what it gets."""
UNWEIGHTED = {"conv": Op.UNKNOWN, "depthwise": Op.UNKNOWN, "matmul": Op.MATMUL}
"""What an operator is that should have a weight and has none."""
NAMED = frozenset({Op.UNKNOWN, Op.RESHAPE, Op.DROPOUT})
"""Operators that stand for several published ones; their nodes keep the published name as `function`."""

MOST = 1 << 24  # of a resolution, a channel count, a kernel


def published_graph(state: Any) -> ComputeGraph:
    """A published graph: every node of it, and no other.

    Parameters
    ----------
    state : dict or Record
        `name`, `weighted_nodes`, `regular_nodes`, and `edge_pairs` between them, numbered in this order.

    Returns
    -------
    ComputeGraph
        In topological order; of several possible ones that of the numbers in `str_id`, in which TensorFlow lists the
        operators. Shapes are (1, C, H, W), those of a dense layer (1, C); the published ones have no batch, so a
        convolution between spacetobatchnd and batchtospacend shows one of its four parts. Parameters are those of the
        stored kernels, biases and batch norms.

    Raises
    ------
    ValueError
        If a part is missing, out of range, or does not fit the others, or the edges run in a circle.
    """
    state = fields(state)
    weighted, regular = _list(state, "weighted_nodes"), _list(state, "regular_nodes")
    for kind, nodes in (("weighted", weighted), ("regular", regular)):
        count = state.get(f"n_{kind}_nodes", len(nodes))
        if type(count) is not int or count != len(nodes):
            raise ValueError(f"the graph has {len(nodes)} {kind} nodes and claims another number of them")
    name, found = _text(state, "name"), []
    for position, node in enumerate([*weighted, *regular]):
        try:
            found.append(_node(fields(node), name.lower(), position < len(weighted)))
        except ValueError as error:
            raise ValueError(f"node {position} of the graph: {error}") from None
    numbers, nodes = [number for number, _ in found], [node for _, node in found]
    edges = [_edge(pair, len(nodes)) for pair in _list(state, "edge_pairs")]
    if len(set(edges)) < len(edges):
        raise ValueError("an edge of the graph stands there twice")
    order = _topological(numbers, edges)
    new = {old: position for position, old in enumerate(order)}
    moved = sorted(((new[source], new[target]) for source, target in edges), key=lambda edge: edge[::-1])
    outputs = sorted(set(range(len(nodes))) - {source for source, _ in moved})
    return ComputeGraph([nodes[old] for old in order], moved, outputs, name)


def fields(value: Any) -> dict[str, Any]:
    """The attributes of a pickled object, or the entries of a JSON one."""
    value = value.fields if isinstance(value, Record) else value
    if type(value) is not dict:
        raise ValueError(f"it holds {type(value).__name__} where an object belongs")
    return value


def _node(node: Mapping[str, Any], network: str, weighted: bool) -> tuple[int, Node]:
    """The node and the number in its `str_id`."""
    code = node.get("op_type_idx")
    if type(code) is not int or not 0 <= code < len(OPERATORS):
        raise ValueError(f"its op_type_idx must be a number from 0 to {len(OPERATORS) - 1}")
    function, op = OPERATORS[code]
    if not weighted:
        op = UNWEIGHTED.get(function, op)
    metadata = {} if node.get("metadata") is None else fields(node["metadata"])
    number, _, path = _text(node, "str_id").partition("|")
    if not number.isdecimal() or len(number) > 9:
        raise ValueError("its str_id must begin with a number")
    h_in, h_out, w_in, w_out, c_in, c_out = _counts(node.get("resolution"), 6, "resolution", least=1)
    shapes = ((1, c_in, h_in, w_in), (1, c_out, h_out, w_out))
    kernel, stride, groups, bias, params, attrs = (), (), 1, False, 0, []
    if op in (Op.CONV, Op.LINEAR):
        bias = metadata.get("use_bias") is True
        inputs, outputs, *kernel = _counts(node.get("shape"), 4, "shape", least=0)
        if op is Op.LINEAR:
            kernel, shapes = (), tuple((1, c) if h * w == 1 else (1, h, w, c) for _, c, h, w in shapes)
        elif not all((inputs, outputs, *kernel)):
            raise ValueError("it is a convolution and its shape is none of a kernel")
        else:
            # A depthwise kernel is stored as (channels, multiplier), any other as (channels of a group, outputs).
            groups = c_in if function == "depthwise" else max(c_in // inputs, 1)
        params = inputs * outputs * (kernel[0] * kernel[1] if kernel else 1) + bias * c_out
    elif op is Op.BATCH_NORM:
        bias, params = True, 2 * c_in
    elif op in (Op.MAX_POOL, Op.AVG_POOL) and metadata.get("ksize"):
        kernel = _counts(metadata["ksize"], 4, "ksize", least=1)[1:3]
    if kernel:
        strides = _counts(node["strides"], 4, "strides", least=1) if node.get("strides") else (1, 1, 1, 1)
        stride = strides[1:3]
        if metadata.get("dilations"):
            attrs.append(("dilation", _counts(metadata["dilations"], 4, "dilations", least=1)[1:3]))
        if metadata.get("padding") in ("same", "valid"):
            attrs.append(("padding", metadata["padding"]))
    if op in NAMED:
        attrs.append(("function", function))
    in_shape, out_shape = shapes if op is not Op.INPUT else ((), shapes[1])
    facts = (in_shape, out_shape, tuple(kernel), stride, groups, bias, params, BYTES * params, tuple(sorted(attrs)))
    return int(number), shared_node(op, _layer(path, network), *facts)


def _layer(path: str, network: str) -> str:
    """Dotted name of the module around an operator; TensorFlow repeats scopes, and the network's name is no module."""
    scopes = dict.fromkeys(path.split("/")[:-1])
    return ".".join(scope for scope in scopes if scope and scope != network)


def _topological(numbers: Sequence[int], edges: Iterable[tuple[int, int]]) -> list[int]:
    """Positions in topological order (Kahn, CACM 1962), the smallest number first where there is a choice."""
    after: list[list[int]] = [[] for _ in numbers]
    waiting = [0] * len(numbers)
    for source, target in edges:
        after[source].append(target)
        waiting[target] += 1
    ready = [(number, position) for position, number in enumerate(numbers) if not waiting[position]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, position = heapq.heappop(ready)
        order.append(position)
        for target in after[position]:
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, (numbers[target], target))
    if len(order) < len(numbers) or not order:
        raise ValueError("the edges of the graph run in a circle" if numbers else "the graph has no nodes")
    return order


def _edge(pair: Any, size: int) -> tuple[int, int]:
    source, target = _counts(pair, 2, "edge", least=0)
    if max(source, target) >= size:
        raise ValueError(f"an edge of the graph joins nodes {source} and {target}, and there are {size}")
    return source, target


def _counts(values: Any, size: int, what: str, least: int) -> tuple[int, ...]:
    """`size` whole numbers of at least `least`, in a list or tuple."""
    if type(values) not in (list, tuple) or len(values) != size:
        raise ValueError(f"its {what} must be a list of {size} numbers")
    if not all(type(value) is int and least <= value <= MOST for value in values):
        raise ValueError(f"its {what} must be whole numbers from {least} on")
    return tuple(values)


def _list(state: Mapping[str, Any], key: str) -> list[Any]:
    value = state.get(key)
    if type(value) is not list:
        raise ValueError(f"the graph has no list of {key}")
    return value


def _text(state: Mapping[str, Any], key: str) -> str:
    value = state.get(key)
    if type(value) is not str or not value.isascii() or not value.isprintable() or len(value) > 1000:
        raise ValueError(f"its {key} is no text")
    return value
