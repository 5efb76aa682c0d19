"""`trace`: any `nn.Module` becomes a `ComputeGraph` by running it once, on shapes alone where that works.

The module is copied first, with its tensors on the meta device, so nothing of the user's module can change. A
`TorchFunctionMode` sees every call of torch on the copy; `nasviz.graph.rules` says what operator a call is.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._device import _device_constructors

from nasviz.graph.calls import ALIASES, CONSTANTS, REFLECTED, Call, call_name
from nasviz.graph.graph import ComputeGraph, Node, shared_node
from nasviz.graph.ops import Op
from nasviz.graph.replay import has_sizes, is_special, of_any_batch, written
from nasviz.graph.rules import cuts, rule
from nasviz.graph.shapes import CACHED, KEEP_SHAPE, can_skip, predicted, recall, remember, signature
from nasviz.graph.twin import moved, parts, twin, unwrapped

Example = torch.Tensor | tuple | list | dict | Callable[[], Any]


class TraceError(ValueError):
    """The module's forward pass failed on the example input."""


def trace(module: nn.Module, example: Example, *, name: str = "") -> ComputeGraph:
    """The computation graph of one forward pass.

    Parameters
    ----------
    module : nn.Module
        Any module, in train or eval mode, on any device; it is left exactly as it was. Wrappers (`torch.compile`,
        `DataParallel`) are looked through.
    example : Tensor, tuple, dict or callable
        The input: one tensor, a tuple of positional arguments, a dict of keyword arguments, or a callable that
        returns one of these. Meta tensors are welcome: only shapes and types matter, unless the forward pass looks
        at values.
    name : str, optional
        Name of the graph; the class of the module by default.

    Returns
    -------
    ComputeGraph
        One node for every call of a primitive operator, in the order of execution. Shapes are complete, so the cost
        of a batch of N is that of N inputs.

    Raises
    ------
    TraceError
        If the forward pass fails; the sentence names the layer and the cause.
    TypeError
        If `module` is not an `nn.Module`.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected an nn.Module, got {type(module).__name__}; pass the model itself.")
    module = unwrapped(module)
    name = name or type(module).__name__
    sealed = next((path for path, part in parts(module) if isinstance(part, torch.jit.ScriptModule)), None)
    if sealed is not None:
        where = f"its layer {sealed!r}" if sealed else "the module"
        raise TraceError(f"{name}: {where} is TorchScript, whose calls cannot be seen; pass the module it was made of.")
    args, kwargs = _arguments(example)
    with torch.no_grad(), _same_randomness():
        graph, device = _run_somewhere(module, args, kwargs, name)
        if not has_sizes(graph):
            return graph
        try:  # what of the sizes is that of the batch?
            return of_any_batch(graph, _run(module, *_twice((args, kwargs)), name, device))
        except TraceError:
            return graph


def _run_somewhere(module: nn.Module, args: tuple, kwargs: dict, name: str) -> tuple[ComputeGraph, str]:
    try:
        return _run(module, args, kwargs, name, "meta"), "meta"
    except TraceError as error:
        leaves = pytree.tree_leaves((args, kwargs))
        if any(isinstance(leaf, torch.Tensor) and leaf.is_meta for leaf in leaves) and _has_meta(module):
            raise
        try:  # a forward pass that looks at values needs real ones
            return _run(module, args, kwargs, name, "cpu"), "cpu"
        except TraceError as second:
            raise second from error.__cause__


def _twice(inputs: Any) -> Any:
    """The inputs for twice as many images: whatever has as many rows as the first tensor."""
    images = next(x.shape[:1] for x in pytree.tree_leaves(inputs) if isinstance(x, torch.Tensor))
    return pytree.tree_map_only(
        torch.Tensor, lambda x: torch.cat((x, x)) if x.dim() and x.shape[:1] == images else x, inputs
    )


def _run(module: nn.Module, args: tuple, kwargs: dict, name: str, device: str) -> ComputeGraph:
    try:
        double = twin(module, device)
    except Exception as error:
        raise TraceError(f"{name} cannot be copied, and tracing runs a copy: {_one_line(error)}") from error
    args, kwargs = pytree.tree_map_only(torch.Tensor, lambda x: moved(x, device), (args, kwargs))
    recorder = _Recorder(double, device)
    for leaf in pytree.tree_leaves((args, kwargs)):
        if isinstance(leaf, torch.Tensor):
            recorder.add_input(leaf)
    try:
        with recorder:
            result = double(*args, **kwargs)
    except Exception as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in pytree.tree_leaves((args, kwargs)) if torch.is_tensor(x))
        where = f"layer {recorder.failed!r}" if recorder.failed else "its own forward"
        raise TraceError(
            f"{name} failed in {where} on input of shape {shapes or 'none'}: {_one_line(error)} "
            "Check the example input, or run the model once by hand."
        ) from error
    return recorder.graph(result, name)


class _Recorder(TorchFunctionMode):
    """Turns every torch call made while it is active into a node."""

    def __init__(self, module: nn.Module, device: str):
        super().__init__()
        self.nodes: list[Node] = []
        self.edges: list[tuple[int, int]] = []
        self.layer = ""
        self.failed = ""
        self.device = device
        self._maker: dict[int, int] = {}  # id of a tensor → node that made it
        self._others: dict[int, int] = {}  # id of a tensor → its number, of the results after the first
        self._cuts: dict[int, tuple[int, Node]] = {}  # id of a part of a split → what was split, and the part's node
        self._alive: list[torch.Tensor] = []  # ids stay unique as long as the tensors live
        self._unused: dict[int, nn.Parameter] = {}
        self._names: dict[int, str] = {}
        for path, part in parts(module):
            for key, parameter in part._parameters.items():
                if parameter is not None:
                    self._unused[id(parameter)] = parameter
                    self._names.setdefault(id(parameter), f"{path}.{key}".lstrip("."))
            vars(part)["_compiled_call_impl"] = self._in_layer(path, part._call_impl)

    def add_input(self, tensor: torch.Tensor) -> None:
        self.nodes.append(shared_node(Op.INPUT, "", (), tuple(tensor.shape)))
        self._keep(tensor, len(self.nodes) - 1)

    def _in_layer(self, name: str, call: Callable) -> Callable:
        """`call`, the call of a module with its hooks, so that the recorder knows which one is running."""

        @wraps(call)
        def run(*args: Any, **kwargs: Any) -> Any:
            outer, self.layer, self.failed = self.layer, name, ""
            try:
                return call(*args, **kwargs)
            except BaseException:
                self.failed = self.failed or name  # the innermost layer leaves first
                raise
            finally:
                self.layer = outer

        return run

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            with self:
                return _OPEN_ATTENTION(*args, **kwargs)
        if func in _device_constructors() and kwargs.get("device") is None:
            kwargs["device"] = self.device
        name, typed = call_name(func), getattr(func, "__name__", "")
        out = self._result(func, name, typed, args, kwargs)
        kind = type(out)
        if kind in _NO_TENSORS:
            return out
        if typed == "__iter__":
            out = list(out)
        elif typed == "__setitem__":
            out = args[0]
        results = [out] if kind is torch.Tensor else [x for x in _leaves(out) if isinstance(x, torch.Tensor)]
        if results and name not in CONSTANTS:
            args = args[::-1] if typed in REFLECTED else args
            self._record(func, name, args, kwargs, results)
        return iter(out) if typed == "__iter__" else out

    def _result(self, func: Callable, name: str, typed: str, args: tuple, kwargs: dict) -> Any:
        """What the call returns; on the meta device without running it where that is known."""
        if self.device != "meta" or not can_skip():
            return func(*args, **kwargs)
        if name == typed and name in KEEP_SHAPE and (out := KEEP_SHAPE[name](args, kwargs)) is not None:
            return out
        key = signature(func, args, kwargs) if typed in CACHED else None
        if key is None:
            return func(*args, **kwargs)
        out = recall(key)
        if out is None:
            out = predicted(typed, args, kwargs)
            out = func(*args, **kwargs) if out is None else out
            remember(key, out)
        return out

    def _record(self, func: Callable, name: str, args: tuple, kwargs: dict, results: list[torch.Tensor]) -> None:
        tensors = _tensors((args, kwargs))
        if not tensors:
            return  # a factory: a constant, not an operator
        sources = [source for t in tensors if (source := self._source(t)) is not None]
        if name in ALIASES:
            if sources:
                for result in results:
                    self._keep(result, sources[0])
            return
        fresh = [p for t in tensors if (p := self._unused.pop(id(t), None)) is not None]
        if not sources and not fresh and not any(isinstance(t, nn.Parameter) for t in tensors):
            return  # arithmetic on constants, such as a table of positions
        call = Call(name, args, kwargs, tuple(results))
        op, facts = rule(call)
        if op is Op.SPLIT and sources:
            for result, cut in zip(results, cuts(call), strict=True):
                self._cuts[id(result)] = sources[0], self._node(call, *cut, result)
                self._alive.append(result)
            return
        if is_special(op, facts, self.layer, call, self._maker, self._names):
            images = self.nodes[0].out_shape[:1] if self.nodes else ()
            plain = written(func, call, self._maker, self._names, images)
            facts |= {} if plain is None else {"call": plain}
        if others := [self._others[id(t)] for t in tensors if id(t) in self._others]:
            facts["result"] = others[0]
        index = self._add(self._node(call, op, facts, results[0], fresh), sources)
        for position, result in enumerate(results):
            self._keep(result, index)
            if position:
                self._others[id(result)] = position
            if args and result is args[0] and result._base is not None:
                self._keep(result._base, index)  # a view was written to, and so its base

    def _node(self, call: Call, op: Op, facts: dict, result: torch.Tensor, fresh: Sequence[nn.Parameter] = ()) -> Node:
        read = call.data if call.data is not None else _tensors((call.args, call.kwargs))[0]
        return shared_node(
            op,
            self.layer,
            tuple(read.shape),
            tuple(result.shape),
            facts.pop("kernel", ()),
            facts.pop("stride", ()),
            facts.pop("groups", 1),
            facts.pop("bias", False),
            sum(p.numel() for p in fresh),
            sum(p.numel() * p.element_size() for p in fresh),
            tuple(sorted(facts.items())),
        )

    def _add(self, node: Node, sources: Iterable[int]) -> int:
        self.nodes.append(node)
        self.edges.extend((source, len(self.nodes) - 1) for source in sources)
        return len(self.nodes) - 1

    def _source(self, tensor: torch.Tensor) -> int | None:
        """The node that made a tensor; a part of a split becomes one when it is read."""
        if id(tensor) in self._cuts:
            source, node = self._cuts.pop(id(tensor))
            self._maker[id(tensor)] = self._add(node, [source])
        return self._maker.get(id(tensor))

    def _keep(self, tensor: torch.Tensor, index: int) -> None:
        self._maker[id(tensor)] = index
        self._alive.append(tensor)

    def graph(self, result: Any, name: str) -> ComputeGraph:
        returned = [self._source(t) for t in _leaves(result) if isinstance(t, torch.Tensor)]
        outputs = [index for index in returned if index is not None]
        if not outputs:  # a result type that is not a container pytree knows: take what nothing reads
            outputs = sorted(set(range(len(self.nodes))) - {source for source, _ in self.edges})
        unused = self._unused.values()
        size = sum(p.numel() * p.element_size() for p in unused)
        return ComputeGraph(
            self.nodes, self.edges, tuple(dict.fromkeys(outputs)), name, sum(p.numel() for p in unused), size
        )


@contextmanager
def _same_randomness() -> Iterator[None]:
    """Put the global generators of torch, Python and NumPy back, whatever the forward pass draws."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is what is guarded
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _has_meta(module: nn.Module) -> bool:
    return any(p.is_meta for p in module.parameters())


def _arguments(example: Example) -> tuple[tuple, dict]:
    if callable(example) and not isinstance(example, torch.Tensor):
        example = example()
    if isinstance(example, torch.Tensor):
        return (example,), {}
    if isinstance(example, dict):
        return (), example
    if isinstance(example, tuple | list):
        if example and all(isinstance(size, int) for size in example):
            raise TypeError(f"example={example!r}: that is a shape; pass torch.zeros{tuple(example)}.")
        return tuple(example), {}
    raise TypeError(
        f"example: expected a tensor, a tuple, a dict or a callable that returns one, got {type(example).__name__}."
    )


def _tensors(values: Iterable[Any]) -> list[torch.Tensor]:
    """The tensors among arguments, those in containers of any kind too."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
        elif isinstance(value, dict):
            found += _tensors(value.values())
        elif type(value) not in _NO_TENSORS:
            found += [leaf for leaf in _leaves(value) if isinstance(leaf, torch.Tensor)]
    return found


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, torch.Tensor):
        return (value,)
    return pytree.tree_leaves(value)


_NO_TENSORS = frozenset({int, float, bool, str, type(None), torch.Size, torch.dtype, torch.device, slice})

# The Python code of multi-head attention without its hand-over to modes, so that the calls inside it are seen.
_OPEN_ATTENTION = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**F.multi_head_attention_forward.__globals__, "has_torch_function": lambda *_: False},
    argdefs=F.multi_head_attention_forward.__defaults__,
)
