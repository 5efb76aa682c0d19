"""How a measurement runs a module: on an example, in eval mode, and without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def call(module: "nn.Module", example: Any) -> Any:
    """Run the module on a tensor, a tuple of arguments or a dict of keyword arguments."""
    if isinstance(example, dict):
        return module(**example)
    return module(*example) if isinstance(example, tuple | list) else module(example)


@contextmanager
def evaluating(module: "nn.Module") -> Iterator[None]:
    """Put every part into eval mode, and back into the mode that it had."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
