"""Calls of torch functions as tracing sees them: their names, their arguments, and which make no operator."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch


@dataclass(slots=True)
class Call:
    """One call of a torch function and its results."""

    name: str
    args: tuple
    kwargs: dict[str, Any]
    results: tuple[torch.Tensor, ...]

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at `position`, or called `name`."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    @property
    def data(self) -> torch.Tensor | None:
        """The tensor that the node's `in_shape` describes: the first one, for `addmm` and its kin the second."""
        first = self.get(1, "mat1") if self.name in ("addmm", "addbmm", "baddbmm", "addmv") else None
        candidates = (first, *self.args, self.kwargs.get("input"), *self.kwargs.values())
        for value in candidates:
            if isinstance(value, torch.Tensor):
                return value
            if isinstance(value, tuple | list) and value and isinstance(value[0], torch.Tensor):
                return value[0]
        return None


@lru_cache(maxsize=4096)
def call_name(func: Callable) -> str:
    """Name of a torch function without what does not matter: in-place and reflected forms are the plain operator."""
    name = getattr(func, "__name__", str(func)).partition(".")[0]  # exported modules call "conv2d.default"
    if name == "__get__":  # a property such as Tensor.T
        return f"get_{getattr(getattr(func, '__self__', None), '__name__', '')}"
    if name in ("__setitem__", "__getitem__"):
        return name
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
        return {"iadd": "add", "radd": "add", "isub": "sub", "rsub": "sub", "imul": "mul", "rmul": "mul",
                "truediv": "div", "itruediv": "div", "rtruediv": "div", "rdiv": "div", "idiv": "div",
                "rmatmul": "matmul", "imatmul": "matmul"}.get(name, name)  # fmt: skip
    return name.rstrip("_") if not name.startswith("_") else name


REFLECTED = frozenset(f"__r{name}__" for name in ("sub", "truediv", "div", "matmul", "pow", "mod", "floordiv"))
"""Operators called on their right operand: `x @ tensor` where x is no tensor that knows how."""


ALIASES = frozenset(
    "contiguous detach clone to type type_as float half double bfloat16 int long bool cpu cuda requires_grad alias "
    "get_data get_real get_imag as_subclass identity".split()
)
"""Calls that make no operator of their own: their results count as their first input."""

CONSTANTS = frozenset(
    "zeros ones full empty rand randn arange ones_like full_like empty_like rand_like randn_like new_zeros new_ones "
    "new_empty new_full new_tensor get_grad".split()
)
"""Calls whose result does not depend on the values of their input: no operator, and no edge from it."""
