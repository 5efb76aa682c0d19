"""Operators that are made again by the very call that was traced: `written` keeps a call as data, `Replay` makes it.

For most layers of image networks `nasviz.graph.modules` has a module. The rest, from `permute` to attention, is one
call of a torch function whose arguments are numbers, the results of other nodes, and parameters, known by name.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from numbers import Integral
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from nasviz.graph.calls import REFLECTED, Call, call_name
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.modules import MODULES
from nasviz.graph.ops import Op
from nasviz.graph.rules import operator

Shape = tuple[int, ...]

_UNSAFE = frozenset(
    "__setitem__ copy fill zero bernoulli _pack_padded_sequence _pad_packed_sequence as_strided".split()
)
"""Calls that change what they read, draw numbers, or depend on more than their arguments."""
_WEIGHTED = frozenset({Op.CONV, Op.CONV_TRANSPOSE, Op.LINEAR, Op.BATCH_NORM, Op.LAYER_NORM, Op.GROUP_NORM, Op.PRELU})
_SIZED = frozenset("view reshape unflatten expand broadcast_to repeat tile".split())
"""Calls whose arguments are sizes, that of the batch among them."""
_SEQUENCES = {"list": list, "tuple": tuple}


class _NotPlain(Exception):
    """An argument that data cannot stand for."""


# --- a call as data ---------------------------------------------------------------------------------------------------


def is_special(
    op: Op, facts: Mapping[str, Any], layer: str, call: Call, made: Collection[int], names: Mapping[int, str]
) -> bool:
    """Whether operator and facts do not suffice to make a module, and so the node has to keep the call.

    `made` and `names` are those of `written`.
    """
    if op not in MODULES:
        return op is not Op.UNKNOWN
    tensors = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, torch.Tensor)]
    parameters = {names[id(t)] for t in tensors if id(t) in names}
    if op in _WEIGHTED:  # another's weights, or such that are computed
        own = {f"{layer}.weight".lstrip("."), f"{layer}.bias".lstrip(".")}
        return not parameters <= own or sum(id(t) in made for t in tensors) > 1
    if parameters or call.kwargs.get("alpha", 1) != 1:
        return True
    if op is Op.FLATTEN:  # not of all dimensions from one on
        return call.results[0].dim() != facts["start"] + 1
    return op is Op.SLICE and "length" not in facts


def written(func: Callable, call: Call, made: Collection[int], names: Mapping[int, str], images: Shape) -> tuple | None:
    """A call as plain tuples, so that it can stand in a node: (function, arguments, keyword arguments).

    Parameters
    ----------
    func : callable
        The torch function.
    call : Call
        Its call.
    made : collection of int
        The ids of tensors that other nodes make.
    names : mapping of int to str
        Dotted names of the module's parameters, by id.
    images : tuple of int
        Size of the first dimension of the network's input.

    Returns
    -------
    tuple or None
        Of a tensor that another node makes its shape stands there, of a parameter its name and shape. None if the call
        cannot be repeated from that: it reads other tensors, or changes what it reads.
    """
    name, args, made_shape = _names().get(func, ""), call.args, call.results[0].shape
    if call.name in ("view", "view_as", "reshape") and args and not isinstance(args[-1], torch.dtype):
        name = name.replace("view", "reshape")  # which also takes what is not contiguous
        to_vectors = len(made_shape) == 2 and made_shape[:1] == call.data.shape[:1] == images
        if to_vectors and call.name != "view_as" and not call.kwargs:
            name, args = "torch.Tensor.flatten", (call.data, 1)  # one of each image, however many there are
    name = name.replace(".__i", ".__") if name.replace(".__i", ".__") in _functions() else name  # not in place
    name = name[:-1] if name.endswith("_") and name[:-1] in _functions() else name
    if name not in _functions():
        return None
    if getattr(func, "__name__", "") in REFLECTED:
        args = args[::-1]
        if sum(isinstance(a, torch.Tensor) for a in args) > 1:
            return None

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) in made:
                return ("tensor", *value.shape)
            if id(value) in names:
                return ("parameter", names[id(value)], *value.shape)
            raise _NotPlain
        if value is None or isinstance(value, bool | float | str):
            return value
        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, slice):
            return ("slice", plain(value.start), plain(value.stop), plain(value.step))
        if value is Ellipsis:
            return ("...",)
        if isinstance(value, torch.dtype):
            return ("dtype", str(value).removeprefix("torch."))
        if isinstance(value, tuple | list):
            return ("list" if isinstance(value, list) else "tuple", *map(plain, value))
        raise _NotPlain

    try:
        return name, tuple(map(plain, args)), tuple((key, plain(value)) for key, value in call.kwargs.items())
    except _NotPlain:
        return None


@lru_cache(maxsize=1)
def _functions() -> dict[str, Callable]:
    """The functions that may be called again, by name: torch's operators that the tracing rules know, no other code."""
    found = [(f"torch.Tensor.{name}", getattr(torch.Tensor, name)) for name in dir(torch.Tensor)]
    found += [(f"torch.Tensor.{name}.__get__", getattr(torch.Tensor, name).__get__) for name in ("T", "mT", "H", "mH")]
    found += [(f"torch.nn.functional.{name}", func) for name, func in vars(F).items()]
    found += [(f"torch.{name}", func) for name, func in vars(torch).items()]
    return {
        name: func
        for name, func in found
        if callable(func) and not isinstance(func, type) and call_name(func) not in _UNSAFE
        if operator(call_name(func)) is not Op.UNKNOWN
    }


@lru_cache(maxsize=1)
def _names() -> dict[Callable, str]:
    return {func: name for name, func in reversed(_functions().items())}


def spelled(call: tuple) -> str:
    """The call as text, results of other nodes as x: "transpose(x, 1, 2)"."""
    name, args, kwargs = call

    def text(value: Any) -> str:
        if not isinstance(value, tuple):
            return repr(value)
        kind, *rest = value
        if kind in _SEQUENCES:
            return f"[{', '.join(map(text, rest))}]"
        if kind == "slice":
            return ":".join("" if v is None else text(v) for v in (rest if rest[2] is not None else rest[:2]))
        if kind == "images":
            return "N" if rest == [1] else f"{rest[0]} N"
        return {"tensor": "x", "...": "..."}.get(kind) or rest[0]

    listed = [*map(text, args), *(f"{key}={text(value)}" for key, value in kwargs)]
    return f"{call_name(_functions()[name])}({', '.join(listed)})" if name in _functions() else name


def _leaves(call: tuple, kind: str) -> Iterator[tuple]:
    """What stands in a call for tensors of a kind, in the order of its arguments."""
    _, args, kwargs = call
    waiting = [*args, *(value for _, value in kwargs)]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, tuple) and value[0] == kind:
            yield value[1:]
        elif isinstance(value, tuple) and value[0] in _SEQUENCES:
            waiting[:0] = value[1:]


def shapes_read(node: Node) -> list[Shape] | None:
    """Shapes of the results that a node reads; None if it keeps no call."""
    call = node.get("call")
    if call is None:
        return None
    read = list(_leaves(call, "tensor"))
    return [node.in_shape] if len(read) == 1 and not any(_leaves(call, "parameter")) else read


def is_buildable(node: Node) -> bool:
    """Whether a module can be made of it: of its operator, or of the call that it keeps."""
    call = node.get("call")
    if call is not None:  # perhaps from a file that somebody made
        return isinstance(call, tuple) and len(call) == 3 and call[0] in _functions()
    return node.op in MODULES and not (node.op is Op.SLICE and node.get("length") is None)


# --- a batch of any size ----------------------------------------------------------------------------------------------


def has_sizes(graph: ComputeGraph) -> bool:
    """Whether a call of the graph has sizes among its arguments, and so perhaps the number of images."""
    calls = [call for node in graph.nodes if (call := node.get("call"))]
    many = any(node.op is Op.INPUT and node.out_shape for node in graph.nodes)
    return many and any(call_name(_functions()[name]) in _SIZED for name, *_ in calls)


def of_any_batch(graph: ComputeGraph, double: ComputeGraph) -> ComputeGraph:
    """The graph with ("images", k) in its calls for what is k times the size of the batch.

    Parameters
    ----------
    graph, double : ComputeGraph
        Traces of one network, the second with twice as many images.
    """
    if [node.op for node in graph.nodes] != [node.op for node in double.nodes]:
        return graph  # another way for another batch
    images = next(node.out_shape[0] for node in graph.nodes if node.op is Op.INPUT)

    def marked(one: Any, two: Any) -> Any:
        if isinstance(one, tuple) and isinstance(two, tuple) and one[:1] not in (("tensor",), ("parameter",)):
            return tuple(map(marked, one, two)) if len(one) == len(two) else one
        grows = type(one) is type(two) is int and two == 2 * one and one and one % images == 0
        return ("images", one // images) if grows else one

    nodes = []
    for node, twice in zip(graph.nodes, double.nodes, strict=True):
        call, other = node.get("call"), twice.get("call")
        if call is not None and other is not None and call[0] == other[0]:
            attrs = dict(node.attrs) | {"call": marked(call, other)}
            node = replace(node, attrs=tuple(sorted(attrs.items())))
        nodes.append(node)
    return ComputeGraph(nodes, graph.edges, graph.outputs, graph.name, graph.unused_params, graph.unused_bytes)


# --- the call again ---------------------------------------------------------------------------------------------------


class Replay(nn.Module):
    """Makes the call that a node keeps.

    Its parameters are not its own: they belong to modules of the names that they had.

    Parameters
    ----------
    node : Node
        With a call that `is_buildable`.
    holder : callable
        Given name and shape of a parameter, the module that has it.
    """

    def __init__(self, node: Node, holder: Callable[[str, Shape], nn.Module]):
        super().__init__()
        self.call = node.get("call")
        self.function = _functions()[self.call[0]]
        self.holders = {name: holder(name, tuple(shape)) for name, *shape in _leaves(self.call, "parameter")}

    def forward(self, *inputs: torch.Tensor, images: int) -> torch.Tensor:
        """The call on results of other nodes, for a batch of so many images."""
        tensors = iter(inputs)

        def filled(value: Any) -> Any:
            if not isinstance(value, tuple):
                return value
            kind, *rest = value
            if kind in _SEQUENCES:
                return _SEQUENCES[kind](map(filled, rest))
            match kind:
                case "tensor":
                    return next(tensors)
                case "parameter":
                    return getattr(self.holders[rest[0]], rest[0].rpartition(".")[2])
                case "images":
                    return rest[0] * images
                case "slice":
                    return slice(*map(filled, rest))
                case "dtype":
                    return getattr(torch, rest[0])
                case _:
                    return ...

        _, args, kwargs = self.call
        if self.function is F.scaled_dot_product_attention and not self.training:
            args, kwargs = _without_dropout(args, kwargs)
        made = self.function(*map(filled, args), **{key: filled(value) for key, value in kwargs})
        return made if isinstance(made, torch.Tensor) else made[0]  # values; their indices are not kept

    def extra_repr(self) -> str:
        return spelled(self.call)


def _without_dropout(args: tuple, kwargs: tuple) -> tuple[tuple, tuple]:
    """Arguments of attention, its probability of dropout set to zero."""
    return (*args[:4], *(0.0 for _ in args[4:5]), *args[5:]), tuple(one for one in kwargs if one[0] != "dropout_p")
