"""A copy of a module to run in its place: the module of the user stays as it is."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from nasviz.graph.shapes import like

_SHARED = frozenset(
    {int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size, type, FunctionType, BuiltinFunctionType}
)
"""Types whose values cannot change, so that the copy may hold the very same ones."""


def twin(module: nn.Module, device: str) -> nn.Module:
    """A copy of `module` whose tensors are on `device`, without the wrappers of `torch.compile` and `DataParallel`."""
    memo: dict[int, Any] = {}
    for _, part in parts(module):
        for p in part._parameters.values():
            if p is not None and id(p) not in memo and not isinstance(p, nn.parameter.UninitializedTensorMixin):
                memo[id(p)] = nn.Parameter(moved(p, device), requires_grad=False)
    with _Copier(device):
        return _opened(_copied(module, memo))


def parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The module and what it consists of, by dotted name: `named_modules`, whose recursion is slow in deep ones."""
    seen: set[int] = set()
    waiting: list[tuple[str, nn.Module]] = [("", module)]
    while waiting:
        name, part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield name, part
        prefix = f"{name}." if name else ""
        waiting += [(prefix + key, child) for key, child in reversed(part._modules.items()) if child is not None]


def moved(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A copy of `tensor` on `device`; a meta tensor that has to become real gets zeros."""
    if device == "meta":
        return like(tensor) if tensor.is_meta else tensor.detach().to("meta")
    if tensor.is_meta:
        return torch.zeros_like(tensor, device=device)
    return tensor.detach().to(device, copy=True)


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside of `torch.compile` and `DataParallel`."""
    module = getattr(module, "_orig_mod", module)  # torch.compile
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(module.module)
    return module


def _opened(module: nn.Module) -> nn.Module:
    """The copy with every part that is a wrapper replaced by what it wraps."""
    for _, part in list(parts(module)):
        for name, child in part._modules.items():
            if child is not None:
                part._modules[name] = unwrapped(child)
    return module


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """As `copy.deepcopy(value, memo)`, but quick with modules, which consist of many small dictionaries."""
    kind = type(value)
    if kind in _SHARED:
        return value
    found = memo.get(id(value))
    if found is not None:
        return found
    if kind in (dict, OrderedDict):
        result = memo[id(value)] = kind()
        for key, entry in value.items():
            result[key if type(key) in _SHARED else _copied(key, memo)] = _copied(entry, memo)
        return result
    if kind is set and not value:
        return memo.setdefault(id(value), set())
    if kind is tuple and all(type(entry) in _SHARED for entry in value):
        return value
    if isinstance(value, nn.Module) and _is_plain(kind) and isinstance(state := value.__getstate__(), dict):
        result = memo[id(value)] = kind.__new__(kind)
        result.__setstate__({key: _copied(entry, memo) for key, entry in state.items()})
        return result
    return copy.deepcopy(value, memo)


def _is_plain(kind: type) -> bool:
    """Whether instances are copied by their state alone; some classes say otherwise."""
    return (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and not hasattr(kind, "__deepcopy__")
        and not hasattr(kind, "__getnewargs_ex__")
        and not any(hasattr(base, "__slots__") for base in kind.__mro__[:-1])
    )


class _Copier(TorchFunctionMode):
    """Makes `copy.deepcopy` copy tensors to `device`, those that are plain attributes or results included."""

    def __init__(self, device: str):
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.Tensor.__deepcopy__:
            tensor, memo = args
            return memo.setdefault(id(tensor), moved(tensor.detach(), self.device))
        return func(*args, **(kwargs or {}))
