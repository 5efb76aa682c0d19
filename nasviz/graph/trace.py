"""`trace`: any `nn.Module` becomes a `ComputeGraph` by running it once, on shapes alone where that works.

The module is copied first, with its tensors on the meta device, so nothing of the user's module can change. A
`TorchFunctionMode` sees every call of torch on the copy; `nasviz.graph.rules` says what operator a call is.
"""

import random
from collections.abc import Callable, Iterable, Iterator
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
from nasviz.graph.rules import rule
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
        try:
            return _run(module, args, kwargs, name, "meta")
        except TraceError as error:
            leaves = pytree.tree_leaves((args, kwargs))
            if any(isinstance(leaf, torch.Tensor) and leaf.is_meta for leaf in leaves) and _has_meta(module):
                raise
            try:  # a forward pass that looks at values needs real ones
                return _run(module, args, kwargs, name, "cpu")
            except TraceError as second:
                raise second from error.__cause__


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
        self._alive: list[torch.Tensor] = []  # ids stay unique as long as the tensors live
        self._unused: dict[int, nn.Parameter] = {}
        for path, part in parts(module):
            self._unused.update((id(p), p) for p in part._parameters.values() if p is not None)
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
        name, written = call_name(func), getattr(func, "__name__", "")
        out = self._result(func, name, written, args, kwargs)
        kind = type(out)
        if kind in _NO_TENSORS:
            return out
        if written == "__iter__":
            out = list(out)
        elif written == "__setitem__":
            out = args[0]
        results = [out] if kind is torch.Tensor else [x for x in _leaves(out) if isinstance(x, torch.Tensor)]
        if results and name not in CONSTANTS:
            args = args[::-1] if written in REFLECTED else args
            self._record(name, args, kwargs, results)
        return iter(out) if written == "__iter__" else out

    def _result(self, func: Callable, name: str, written: str, args: tuple, kwargs: dict) -> Any:
        """What the call returns; on the meta device without running it where that is known."""
        if self.device != "meta" or not can_skip():
            return func(*args, **kwargs)
        if name == written and name in KEEP_SHAPE and (out := KEEP_SHAPE[name](args, kwargs)) is not None:
            return out
        key = signature(func, args, kwargs) if written in CACHED else None
        if key is None:
            return func(*args, **kwargs)
        out = recall(key)
        if out is None:
            out = predicted(written, args, kwargs)
            out = func(*args, **kwargs) if out is None else out
            remember(key, out)
        return out

    def _record(self, name: str, args: tuple, kwargs: dict, results: list[torch.Tensor]) -> None:
        tensors = _tensors((args, kwargs))
        if not tensors:
            return  # a factory: a constant, not an operator
        sources = [self._maker[id(t)] for t in tensors if id(t) in self._maker]
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
        read = call.data if call.data is not None else tensors[0]
        node = shared_node(
            op,
            self.layer,
            tuple(read.shape),
            tuple(results[0].shape),
            facts.pop("kernel", ()),
            facts.pop("stride", ()),
            facts.pop("groups", 1),
            facts.pop("bias", False),
            sum(p.numel() for p in fresh),
            sum(p.numel() * p.element_size() for p in fresh),
            tuple(sorted(facts.items())),
        )
        index = len(self.nodes)
        self.nodes.append(node)
        self.edges.extend((source, index) for source in sources)
        for result in results:
            self._keep(result, index)
            if args and result is args[0] and result._base is not None:
                self._keep(result._base, index)  # a view was written to, and so its base

    def _keep(self, tensor: torch.Tensor, index: int) -> None:
        self._maker[id(tensor)] = index
        self._alive.append(tensor)

    def graph(self, result: Any, name: str) -> ComputeGraph:
        outputs = [self._maker[id(t)] for t in _leaves(result) if isinstance(t, torch.Tensor) and id(t) in self._maker]
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
