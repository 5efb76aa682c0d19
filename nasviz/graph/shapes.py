"""Results of calls on the meta device without running them: torch's own meta kernels are Python and slow.

A result has a shape, strides and a type, which depend on those of the arguments alone. Some operators keep their
input's; of `CACHED` ones the first call with given arguments runs, and what it made is remembered. The commonest need
not even run once (`PLAIN_SHAPES`): the first of torch's Python kernels in a process imports its whole compiler, which
takes longer than all else in the first trace.
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
    "__rmul__ __truediv__ __rtruediv__ rsub interpolate embedding roll".split()
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
    strides = x.stride() if x.is_contiguous() else _packed(x)
    if strides is None:  # there are rules for those
        return torch.empty_like(x, device="meta", requires_grad=False)
    return torch.empty_strided(x.shape, strides, dtype=x.dtype, device="meta")


def _packed(x: torch.Tensor) -> tuple[int, ...] | None:
    """Strides of a new tensor whose axes are in the order that they have in x; None if two have none."""
    strides, size = list(x.stride()), 1
    if len({0, *strides}) <= x.dim():
        return None
    for axis in sorted(range(x.dim()), key=x.stride().__getitem__):
        strides[axis], size = size, size * x.shape[axis]
    return tuple(strides)


def _is_channels_last(x: torch.Tensor) -> bool:
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


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
    **dict.fromkeys(("leaky_relu", "elu"), partial(_same_shape, 2)),
    **dict.fromkeys(("gelu", "sigmoid", "tanh"), partial(_same_shape, 0)),
    **dict.fromkeys(("dropout", "hardtanh"), partial(_same_shape, 3)),
}
"""Operators whose result has their input's shape: on the meta device the result is made without running them. The
number is the position of the argument `inplace`."""


def predicted(written: str, args: tuple, kwargs: dict[str, Any]) -> torch.Tensor | None:
    """The result of a call by one of `PLAIN_SHAPES`; None where it takes more to know it, or the call is wrong."""
    makes = PLAIN_SHAPES.get(written)
    first = args[0][0] if args and type(args[0]) in (list, tuple) and args[0] else args[0] if args else None
    if makes is None or not isinstance(first, torch.Tensor) or not first.is_floating_point():
        return None
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += value if type(value) in (list, tuple) else [value]
    tensors = [value for value in found if isinstance(value, torch.Tensor)]
    if makes is _elementwise and not kwargs and (known := _layout(tensors)):
        return torch.empty_strided(*known, dtype=first.dtype, device="meta")
    orderly = _ORDERLY.get(written, torch.Tensor.is_contiguous)
    if not all(x.is_meta and x.dtype == first.dtype and orderly(x) for x in tensors):
        return None
    try:
        shape = makes(*args, **kwargs)
    except (TypeError, ValueError, IndexError):  # another form of the call than the one that is known
        return None
    if shape is None:
        return None
    last = written == "adaptive_avg_pool2d" and _is_channels_last(first)
    form = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=first.dtype, device="meta", memory_format=form)


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> tuple[int, ...] | None:
    fits = x.dim() and weight.dim() == 2 and x.shape[-1] == weight.shape[1]
    return (*x.shape[:-1], weight.shape[0]) if fits and (bias is None or bias.shape == weight.shape[:1]) else None


def _slid(axes: int, x, kernel, stride, padding, dilation) -> tuple[int, ...]:
    """Sizes of the axes that a window slides over; ValueError where it fits nowhere."""

    def each(value: int | tuple[int, ...]) -> tuple[int, ...]:
        values = (value,) * axes if type(value) is int else tuple(value)
        return values * axes if len(values) == 1 else values

    moves = zip(x.shape[2:], *map(each, (kernel, stride, padding, dilation)), strict=True)
    sizes = tuple((size + 2 * pad - gap * (long - 1) - 1) // step + 1 for size, long, step, pad, gap in moves)
    if 0 in x.shape or min(sizes) < 1:
        raise ValueError("nothing to slide over")
    return sizes


def _conv(axes: int, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> tuple[int, ...] | None:
    fits = weight.dim() == axes + 2 and x.shape[1] == groups * weight.shape[1] and weight.shape[0] % groups == 0
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    return (x.shape[0], weight.shape[0], *_slid(axes, x, tuple(weight.shape[2:]), stride, padding, dilation))


def _pool(axes: int, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    if ceil_mode or return_indices or 2 * padding > kernel_size:  # of tuples no comparison is made: a TypeError
        return None
    return (*x.shape[:2], *_slid(axes, x, kernel_size, stride or kernel_size, padding, dilation))


def _average(axes: int, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divide=None):
    return _pool(axes, x, kernel_size, stride, padding, 1, ceil_mode)


def _elementwise(x: torch.Tensor, other: torch.Tensor | float) -> tuple[int, ...] | None:
    """Of equal shapes, or x with a number, or with fewer or shorter axes, such as an image with a value a channel."""
    if not isinstance(other, torch.Tensor):
        return tuple(x.shape) if type(other) in (int, float) else None
    shape = (1,) * (x.dim() - other.dim()) + tuple(other.shape)
    return tuple(x.shape) if len(shape) == x.dim() and all(b in (1, a) for a, b in zip(x.shape, shape)) else None  # noqa: B905 - equally long


def _layout(tensors: list[torch.Tensor]) -> tuple[torch.Size, tuple[int, ...]] | None:
    """Shape and strides of what tensors make element by element: their axes in the order that the first one has.

    None where that does not say it all, as with a vector before it, of which some axes have no order.
    """
    first = next((x for x in tensors if sum(size > 1 for size in x.shape) > 1), None)
    if first is None or not all(x.is_meta and x.dtype == first.dtype for x in tensors):
        return None
    strides = _packed(first) if all(_elementwise(first, x) for x in tensors) else None
    return strides and (first.shape, strides)


def _mean(x: torch.Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> tuple[int, ...]:
    gone = [range(x.dim())[axis] for axis in ((dim,) if type(dim) is int else dim)]
    if len(set(gone)) != len(gone) or not gone:
        raise ValueError("an axis that is named twice, or none")
    kept = [1 if axis in gone else size for axis, size in enumerate(x.shape)]
    return tuple(size for axis, size in enumerate(kept) if keepdim or axis not in gone)


def _adaptive(axes: int, x: torch.Tensor, output_size: int | tuple[int | None, ...]) -> tuple[int, ...] | None:
    sizes = (output_size,) * axes if type(output_size) is int else tuple(output_size)
    if len(sizes) != axes or x.dim() != axes + 2 or 0 in x.shape:
        return None
    return (*x.shape[:2], *(old if new is None else new for old, new in zip(x.shape[2:], sizes, strict=True)))


def _cat(tensors: list[torch.Tensor], dim: int = 0) -> tuple[int, ...] | None:
    axis, shapes = range(tensors[0].dim())[dim], [list(x.shape) for x in tensors]
    whole = [*shapes[0]]
    whole[axis] = sum(shape[axis] for shape in shapes)
    fits = all(len(s) == len(whole) and s[:axis] + s[axis + 1 :] == whole[:axis] + whole[axis + 1 :] for s in shapes)
    return tuple(whole) if fits else None


def _attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
) -> tuple[int, ...] | None:
    (*heads, length, width), (*_, keys, _) = query.shape, key.shape
    fits = key.shape == (*heads, keys, width) and value.shape[:-1] == (*heads, keys)
    return (*heads, length, value.shape[-1]) if fits and heads and attn_mask is None else None


def _group_norm(x: torch.Tensor, num_groups: int, weight=None, bias=None, eps: float = 0) -> tuple | None:
    fits = x.dim() > 2 and x.shape[1] % num_groups == 0 and all(x.shape)
    return tuple(x.shape) if fits and all(v is None or v.shape == x.shape[1:2] for v in (weight, bias)) else None


def _interpolate(x: torch.Tensor, size=None, scale_factor=None, mode: str = "nearest", *_, **__) -> tuple | None:
    dims = {"nearest": (3, 4, 5), "nearest-exact": (3, 4, 5), "linear": (3,), "bilinear": (4,), "bicubic": (4,)}
    if scale_factor is not None or size is None or x.dim() not in dims.get(mode, ()) or 0 in x.shape:
        return None
    sizes = (size,) * (x.dim() - 2) if type(size) is int else tuple(size)
    return (*x.shape[:2], *sizes) if len(sizes) == x.dim() - 2 and min(sizes) > 0 else None


def _layer_norm(x: torch.Tensor, normalized_shape: tuple, weight=None, bias=None, eps: float = 0) -> tuple | None:
    last = tuple(normalized_shape)
    fits = last and all(v is None or tuple(v.shape) == last for v in (weight, bias))
    return tuple(x.shape) if fits and tuple(x.shape[-len(last) :]) == last else None


PLAIN_SHAPES: dict[str, Callable[..., tuple[int, ...] | None]] = {
    "linear": _linear,
    "conv1d": partial(_conv, 1),
    "conv2d": partial(_conv, 2),
    "conv3d": partial(_conv, 3),
    "max_pool2d": partial(_pool, 2),
    "avg_pool2d": partial(_average, 2),
    **dict.fromkeys("add sub mul div __add__ __sub__ __mul__ __truediv__ __radd__ __rmul__".split(), _elementwise),
    "mean": _mean,
    "adaptive_avg_pool1d": partial(_adaptive, 1),
    "adaptive_avg_pool2d": partial(_adaptive, 2),
    "adaptive_avg_pool3d": partial(_adaptive, 3),
    "cat": _cat,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "interpolate": _interpolate,
    "roll": lambda x, *_, **__: tuple(x.shape),
    "scaled_dot_product_attention": _attention,
}
"""Functions, as torch calls them, that make a new contiguous tensor of contiguous ones of one real type: its shape."""
_ORDERLY: dict[str, Callable[[torch.Tensor], bool]] = {
    "linear": torch.is_tensor,
    "layer_norm": torch.is_tensor,
    "adaptive_avg_pool2d": lambda x: x.is_contiguous() or _is_channels_last(x),
    "conv2d": torch.is_tensor,
    "scaled_dot_product_attention": torch.is_tensor,
    "cat": lambda x: x.is_contiguous() or x.dim() not in (4, 5) or x.stride(1) != 1,  # 1: channels last
}
"""Those of them that are known for others, too: for which."""
