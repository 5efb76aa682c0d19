"""nasviz: a network goes in; out come what it costs, how good it will be, and why.

Every name below is loaded when it is first used, so ``import nasviz`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz import benchmarks, cycles, families, graph, measure, predict, search, views
    from nasviz.graph.cost import cost
    from nasviz.graph.onnx import from_onnx
    from nasviz.graph.trace import trace
    from nasviz.predict.shipped import pretrained

__version__ = "0.1.0"
__all__ = [
    "benchmarks",
    "cost",
    "cycles",
    "families",
    "from_onnx",
    "graph",
    "measure",
    "predict",
    "pretrained",
    "search",
    "trace",
    "views",
]

# The functions name their module, not their room: graph/ has a *module* trace, too, which the room's attribute may be.
_FUNCTIONS = {
    "cost": "nasviz.graph.cost",
    "from_onnx": "nasviz.graph.onnx",
    "pretrained": "nasviz.predict.shipped",
    "trace": "nasviz.graph.trace",
}


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module 'nasviz' has no attribute {name!r}; it has {', '.join(__all__)}.")
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    return import_module(f"nasviz.{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
