"""What a network computes on a batch, fetched by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

LOGITS, PREDICTION = "logits", "prediction"
BUILT_IN = (LOGITS, PREDICTION)
"""Names that every network has: its output, and the class with the largest output, argmax over dimension 1."""


def check_fetch(module: "nn.Module", fetch: Mapping[str, str]) -> None:
    """Refuse names of layers that the network does not have.

    Raises
    ------
    ValueError
        If a value of `fetch` is neither ``"logits"`` nor ``"prediction"`` nor a layer's dotted name.
    """
    layers = [name for name, _ in module.named_modules() if name]
    for key, name in fetch.items():
        if name not in BUILT_IN and name not in layers:
            near = get_close_matches(str(name), [*BUILT_IN, *layers], 3) or layers[:10]
            raise ValueError(
                f"fetch: {key!r} names {name!r}, which is no layer of the network; write 'logits', 'prediction' or "
                f"a layer's dotted name, such as {', '.join(near) or 'none here'}."
            )


@contextmanager
def fetching(module: "nn.Module", fetch: Mapping[str, str]) -> Iterator[Callable[..., dict[str, Any]]]:
    """A function that runs `module` on its inputs, without gradients, and returns what was fetched, by key.

    A layer's value is its output in the last call, copied before a later layer can write into it.

    Raises
    ------
    ValueError
        From the function, if a layer did not run, or the output has no classes to predict.
    """
    import torch

    layers, seen = dict(module.named_modules()), {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_layer: Any, _inputs: Any, output: Any) -> None:
            seen[name] = arrays(output)

        return hook

    names = {name for name in fetch.values() if name not in BUILT_IN}
    handles = [layers[name].register_forward_hook(keep(name)) for name in sorted(names)]

    def run(*inputs: Any) -> dict[str, Any]:
        seen.clear()
        with torch.no_grad():
            output = module(*inputs)
        if PREDICTION in fetch.values():
            seen[PREDICTION] = arrays(_prediction(output))
        if LOGITS in fetch.values():
            seen[LOGITS] = arrays(output)
        missing = [name for name in fetch.values() if name not in seen]
        if missing:
            raise ValueError(f"fetch: the layer {missing[0]!r} did not run when the network was called.")
        return {key: seen[name] for key, name in fetch.items()}

    try:
        yield run
    finally:
        for handle in handles:
            handle.remove()


def _prediction(output: Any) -> Any:
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) < 2 or shape[1] < 2:
        what = f"has the shape {shape}" if shape else f"is a {type(output).__name__}"
        raise ValueError(
            f"fetch 'prediction' is the argmax over dimension 1 of the network's output, but that {what}; it needs two "
            "classes or more. Fetch 'logits' or a layer, and decide in the plug-in."
        )
    return output.argmax(1)


def arrays(value: Any) -> Any:
    """A copy of the same nested structure with NumPy arrays for tensors, and Python numbers for scalar tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        if value.ndim == 0:
            return value.item()
        # NumPy has no bfloat16.
        return (value.float() if value.dtype is torch.bfloat16 else value).numpy().copy()
    if isinstance(value, Mapping):
        return {key: arrays(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(arrays, value))
    if isinstance(value, list | tuple):
        return type(value)(map(arrays, value))
    return value


def named(data: Any, fields: Sequence[str] | None) -> Any:
    """A batch with the names of its fields, if there are any to give.

    Raises
    ------
    ValueError
        If there are more or fewer names than fields, or the fields have names already.
    """
    if fields is None:
        return data
    if not isinstance(data, list | tuple) or len(data) != len(fields):
        what = f"{len(data)} fields" if isinstance(data, list | tuple) else f"a {type(data).__name__}"
        raise ValueError(f"fields={tuple(fields)!r}: the data set gives {what}; name each field of its tuples once.")
    return dict(zip(fields, data, strict=True))


def field(data: Any, key: str | int) -> Any:
    """A field of a batch by its name, or by its place where it has no such name.

    Raises
    ------
    ValueError
        If there is no such field.
    """
    if isinstance(data, Mapping):
        if key in data:
            return data[key]
        known, parts = ", ".join(map(repr, data)), list(data.values())
    elif isinstance(data, list | tuple):
        known, parts = f"0 to {len(data) - 1}", list(data)
    else:
        known, parts = "0", [data]
    if not isinstance(key, int) or not 0 <= key < len(parts):
        raise ValueError(f"inputs: the data set has no field {key!r}; it has {known}.")
    return parts[key]
