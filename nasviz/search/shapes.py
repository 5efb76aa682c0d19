"""Do operators fit together? `fitted` gives a node new input shapes; `fault` checks a whole classification network."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from math import prod
from typing import Any

import numpy as np

from nasviz.graph.graph import ComputeGraph, Node, shared_node
from nasviz.graph.ops import ACTIVATIONS, Op
from nasviz.graph.replay import shapes_read

Shape = tuple[int, ...]


class Misfit(ValueError):
    """Shapes that an operator cannot take."""


SAME_SHAPE = (ACTIVATIONS - {Op.PRELU}) | {Op.DROPOUT, Op.ZERO}
"""Operators that give what they read its own shape, whatever it is."""


def _window(node: Node, shape: Shape, ceil: bool = False) -> Shape:
    padding, dilation = node.get("padding"), node.get("dilation", (1,) * len(node.kernel))
    if isinstance(padding, str):  # "same", around an even kernel
        return shape[2:]
    sizes = tuple(
        (size + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil else 0)) // s + 1
        for size, k, s, p, d in zip(shape[2:], node.kernel, node.stride, padding, dilation, strict=True)
    )
    if min(sizes, default=0) < 1:
        raise Misfit(f"{node.layer}: a window of {node.kernel} does not fit on {shape[2:]}.")
    return sizes


def _conv(node: Node, shape: Shape) -> dict[str, Any]:
    channels, groups, width = shape[1], node.groups, node.out_shape[1]
    if node.is_depthwise:
        groups = width = channels
    if channels % groups:
        raise Misfit(f"{node.layer}: {channels} channels cannot be split into {groups} groups.")
    params = width * (channels // groups) * prod(node.kernel) + width * node.bias
    return {"groups": groups, "out_shape": (shape[0], width, *_window(node, shape)), "params": params}


def _linear(node: Node, shape: Shape) -> dict[str, Any]:
    width = node.out_shape[-1]
    return {"out_shape": (*shape[:-1], width), "params": width * shape[-1] + width * node.bias}


def _pool(node: Node, shape: Shape) -> dict[str, Any]:
    return {"out_shape": (*shape[:2], *_window(node, shape, node.get("ceil_mode", False)))}


def _adaptive(node: Node, shape: Shape) -> dict[str, Any]:
    return {"out_shape": (*shape[:2], *node.out_shape[2:])}


def _mean(node: Node, shape: Shape) -> dict[str, Any]:
    dims, keep = node.get("dim"), node.get("keepdim")
    return {"out_shape": tuple(1 if d in dims else s for d, s in enumerate(shape) if keep or d not in dims)}


def _slice(node: Node, shape: Shape) -> dict[str, Any]:
    dim, start, length = node.get("dim"), node.get("start"), node.get("length")
    if length is None or start < 0 or start + length > shape[dim]:
        raise Misfit(f"{node.layer}: no {length} entries from {start} on in {shape}.")
    return {"out_shape": (*shape[:dim], length, *shape[dim + 1 :])}


def _flatten(node: Node, shape: Shape) -> dict[str, Any]:
    return {"out_shape": (*shape[: node.get("start")], prod(shape[node.get("start") :]))}


_ONE: dict[Op, Callable[[Node, Shape], dict[str, Any]]] = {
    Op.CONV: _conv,
    Op.LINEAR: _linear,
    Op.BATCH_NORM: lambda node, shape: {"out_shape": shape, "params": 2 * shape[1] * node.bias},
    Op.MAX_POOL: _pool,
    Op.AVG_POOL: _pool,
    Op.ADAPTIVE_AVG_POOL: _adaptive,
    Op.ADAPTIVE_MAX_POOL: _adaptive,
    Op.MEAN: _mean,
    Op.SLICE: _slice,
    Op.FLATTEN: _flatten,
    **dict.fromkeys(SAME_SHAPE, lambda node, shape: {"out_shape": shape}),
}
"""What changes of a node with one input of another shape."""


def fitted(node: Node, shapes: Sequence[Shape]) -> Node:
    """The node, reading results of these shapes; the node itself if they are what it reads already.

    Widths of convolutions and linear layers stay, but that of a depthwise convolution follows its input.

    Raises
    ------
    Misfit
        If the operator cannot take them, or it is not known how it would.
    """
    if (read := shapes_read(node)) is not None and (read == list(shapes) or node.op not in SAME_SHAPE):
        if read != list(shapes):
            raise Misfit(f"{node.layer}: it is not known what '{node.op}' makes of {shapes}.")
        return node
    first, *rest = shapes
    if node.op is Op.CONCAT:
        dim = node.get("dim")
        if any(s[:dim] + s[dim + 1 :] != first[:dim] + first[dim + 1 :] for s in rest):
            raise Misfit(f"{node.layer}: cannot join {shapes}.")
        made: Shape = (*first[:dim], sum(s[dim] for s in shapes), *first[dim + 1 :])
        same = first == node.in_shape and made == node.out_shape
        return node if same else _changed(node, first, {"out_shape": made})
    if node.op in (Op.ADD, Op.MUL):
        # The gate of squeeze-and-excitation has one value a channel; an addition has two of a kind.
        if any(s != first and not (node.op is Op.MUL and s == first[:2] + (1,) * (len(first) - 2)) for s in rest):
            raise Misfit(f"{node.layer}: cannot combine {shapes}.")
        return node if first == node.in_shape else _changed(node, first, {"out_shape": first})
    if first == node.in_shape and not rest:
        return node
    if rest or node.op not in _ONE or len(first) != len(node.in_shape):
        raise Misfit(f"{node.layer}: it is not known what '{node.op}' makes of {shapes}.")
    return recounted(node, first)


def recounted(node: Node, shape: Shape) -> Node:
    """The node with one input of this shape; its result and its parameters follow from its other fields.

    Raises
    ------
    Misfit
        If the operator cannot take it.
    """
    return _changed(node, shape, _ONE[node.op](node, shape))


def _changed(node: Node, shape: Shape, changes: dict[str, Any]) -> Node:
    if "params" in changes:
        if node.params == 0 < changes["params"]:
            raise Misfit(f"{node.layer}: its weights are those of an earlier call.")
        changes["size_bytes"] = changes["params"] * node.size_bytes // max(node.params, 1)
    new = replace(node, in_shape=shape, **changes)
    return shared_node(*(getattr(new, name) for name in Node.__slots__))


def fault(graph: ComputeGraph) -> str | None:
    """What keeps a graph from being a classification network that can be built and trained; None if nothing does.

    One image goes in, one vector of classes comes out, every operator lies on a way from the one to the other, shapes
    fit, and a module can be made of it. Operators that put out zeros lead nowhere.
    """
    from nasviz.graph.replay import is_buildable

    inputs = [i for i, node in enumerate(graph.nodes) if node.op is Op.INPUT]
    if len(inputs) != 1 or len(graph.nodes[inputs[0]].out_shape) != 4:
        return f"it has {len(inputs)} inputs, not one image (N, C, H, W)"
    if len(graph.outputs) != 1 or len(graph.nodes[graph.outputs[0]].out_shape) != 2:
        return "its output is not one vector of classes (N, classes)"
    if graph.unused_params:
        return f"{graph.unused_params:,} of its parameters are used by no operator"
    sources = graph.predecessors()
    useful = alive(graph, sources)
    owners: dict[str, Node] = {}
    for index, node in enumerate(graph.nodes):
        if node.op is Op.INPUT:
            continue
        name = node.layer or node.op.value
        if not is_buildable(node):
            return f"{name}: the operator '{node.op}' cannot be built"
        if not useful[index]:
            return f"{name}: the operator '{node.op}' does not lie on a way from the input to the output"
        try:
            if fitted(node, [graph.nodes[i].out_shape for i in sources[index]]) is not node:
                return f"{name}: its shapes are not those of what it reads"
        except Misfit as error:
            return str(error).rstrip(".")
        if node.params and node.get("call") is None:  # parameters of a call have names of their own
            if not node.layer or node.layer in owners:
                return f"{name}: two layers with weights of their own have this name"
            owners[node.layer] = node
    return None


def alive(graph: ComputeGraph, sources: Sequence[Sequence[int]]) -> list[bool]:
    """For each node whether what it makes depends on the input and reaches the output."""
    reached = [False] * len(graph)
    for index, node in enumerate(graph.nodes):
        reads = any(reached[i] for i in sources[index]) or not sources[index]  # the input, or parameters alone
        reached[index] = node.op is Op.INPUT or (node.op is not Op.ZERO and reads)
    needed = [False] * len(graph)
    for index in graph.outputs:
        needed[index] = True
    for index in range(len(graph) - 1, -1, -1):
        if needed[index]:
            for i in sources[index]:
                needed[i] = True
    return [a and b for a, b in zip(reached, needed, strict=True)]


def prepared(graph: ComputeGraph) -> ComputeGraph:
    """The graph without what its output does not need, and without constants, checked: what a search can start from.

    A cell of NAS-Bench-201 with the operation `none` adds zeros, and constants that follow from them. Those sums lose
    that operand, so that all that is left has work to do. Attention's weights are averaged, and then not looked at.

    Raises
    ------
    ValueError
        If it is no classification network that can be built.
    """
    graph = _needed(graph)
    if reason := fault(graph):
        raise ValueError(f"graph {graph.name!r} cannot be searched from: {reason}.")
    return graph


def _needed(graph: ComputeGraph) -> ComputeGraph:
    sources = graph.predecessors()
    stands_for, constant = list(range(len(graph))), [False] * len(graph)
    for index, node in enumerate(graph.nodes):
        sources[index] = [stands_for[i] for i in sources[index]]
        read = [constant[i] for i in sources[index]]
        constant[index] = node.op is Op.ZERO or (bool(read) and (all(read) or (node.op is Op.MUL and any(read))))
        if node.op is Op.ADD and any(read) and not all(read):
            stands_for[index] = sources[index][read.index(False)]
    outputs = [stands_for[i] for i in graph.outputs]
    needed = set(outputs)
    for index in range(len(graph) - 1, -1, -1):
        if index in needed:
            needed.update(sources[index])
    if any(constant[i] for i in outputs):
        raise ValueError(f"graph {graph.name!r} cannot be searched from: its output does not depend on its input.")
    kept = sorted(needed)
    if len(kept) == len(graph) and not any(constant):
        return graph
    place = {old: new for new, old in enumerate(kept)}
    edges = [(place[source], place[index]) for index in kept for source in sources[index]]
    return ComputeGraph([graph.nodes[i] for i in kept], edges, [place[i] for i in outputs], graph.name)


@lru_cache(maxsize=1 << 18)
def _code(node: Node) -> int:
    fields = [getattr(node, name) for name in Node.__slots__ if name not in ("layer", "params", "size_bytes")]
    return int.from_bytes(blake2b(repr(fields).encode(), digest_size=8).digest(), "little", signed=True)


def key(graph: ComputeGraph) -> str:
    """A hash of what the network computes on new weights: operators, shapes and edges, but not the layers' names."""
    codes = np.fromiter(map(_code, graph.nodes), np.int64, len(graph))
    return blake2b(codes.tobytes() + graph.edges.tobytes() + repr(graph.outputs).encode(), digest_size=12).hexdigest()
