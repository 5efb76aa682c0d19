"""Results of calls on the meta device without running them: torch's own meta kernels are Python and slow.

A result has a shape, strides and a type, which depend on those of the arguments alone. Some operators keep their
input's; of `CACHED` ones the first call with given arguments runs, and what it made is remembered.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

Signature = tuple[Any, ...]

_PLAIN = frozenset({int, float, bool, str, type(None), torch.dtype, torch.Size})
_LIMIT = 1 << 16  # signatures that are remembered

CACHED = frozenset(
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear bilinear matmul mm bmm mv addmm "
    "baddbmm __matmul__ einsum scaled_dot_product_attention layer_norm group_norm rms_norm softmax log_softmax "
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d mean sum cat concat stack add sub mul div pow __add__ __radd__ __sub__ __rsub__ __mul__ "
    "__rmul__ __truediv__ __rtruediv__ rsub interpolate embedding".split()
)
"""Functions, as torch calls them, that always make one new tensor: none writes to or shares its input's memory."""

_known: dict[Signature, tuple[torch.Size, tuple[int, ...], torch.dtype]] = {}


def can_skip() -> bool:
    """Whether results depend on the arguments alone: neither gradients nor automatic precision are asked for."""
    return not (torch.is_grad_enabled() or torch._C._is_any_autocast_enabled())


def signature(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Signature | None:
    """What the result of a call follows from; None if it may follow from more, such as a tensor's values."""
    key: list[Any] = [func, torch.get_default_dtype()]
    if not _describe(args, key):
        return None
    for name, value in kwargs.items():
        key.append(name)
        if name == "out" or not _describe((value,), key):
            return None
    return tuple(key)


def _describe(values: tuple | list, key: list[Any]) -> bool:
    for value in values:
        kind = type(value)
        if kind is torch.Tensor or kind is torch.nn.Parameter:
            if not value.is_meta or value.layout is not torch.strided:
                return False
            key += (value.shape, value.stride(), value.dtype)
        elif kind in _PLAIN:
            key += (kind, value)  # 1, 1.0 and True are equal, but not to torch
        elif kind is tuple or kind is list:
            key.append(len(value))
            if not _describe(value, key):
                return False
        else:
            return False
    return True


def recall(key: Signature) -> torch.Tensor | None:
    """The result of a call that was remembered."""
    found = _known.get(key)
    if found is None:
        return None
    shape, strides, dtype = found
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def remember(key: Signature, result: Any) -> None:
    """Keep what a call made, if that is one new tensor."""
    if type(result) is torch.Tensor and result.is_meta and result._base is None and not result.dtype.is_complex:
        if len(_known) >= _LIMIT:
            _known.clear()
        _known[key] = (result.shape, result.stride(), result.dtype)


def like(x: torch.Tensor) -> torch.Tensor:
    """`torch.empty_like` on the meta device, where that is Python and slow."""
    if not x.is_contiguous():  # there are rules for those
        return torch.empty_like(x, device="meta", requires_grad=False)
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


def _same_shape(inplace: int, args: tuple, kwargs: dict[str, Any]) -> torch.Tensor | None:
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, torch.Tensor) or not x.is_meta or not x.is_floating_point() or "out" in kwargs:
        return None
    changed = args[inplace] if 0 < inplace < len(args) else kwargs.get("inplace")
    return x if changed else like(x)


def _same_shape_norm(args: tuple, kwargs: dict[str, Any]) -> torch.Tensor | None:
    """Batch norm on shapes: as the real one, but a single value a channel is no error, as nothing is normalised."""
    vectors = [v for v in args[1:5] if isinstance(v, torch.Tensor)]
    fits = args and args[0].dim() >= 2 and all(v.numel() == args[0].shape[1] for v in vectors)
    return _same_shape(0, args, kwargs) if fits else None


KEEP_SHAPE: dict[str, Callable[[tuple, dict[str, Any]], torch.Tensor | None]] = {
    "batch_norm": _same_shape_norm,
    **dict.fromkeys(("relu", "relu6", "silu", "hardswish", "hardsigmoid"), partial(_same_shape, 1)),
    **dict.fromkeys(("gelu", "sigmoid", "tanh"), partial(_same_shape, 0)),
    "dropout": partial(_same_shape, 3),
}
"""Operators whose result has their input's shape: on the meta device the result is made without running them. The
number is the position of the argument `inplace`."""
