"""Search: networks are mutated and the best are kept. Knows predictors, knows nothing of runs. Names load lazily."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.search.benchmark import summary, trajectories
    from nasviz.search.goals import Goal, Limits, pareto
    from nasviz.search.hunt import Result, predictor_scorer, search
    from nasviz.search.mutation import Parent, mutate
    from nasviz.search.predictors import ForestPredictor, predictor
    from nasviz.search.shapes import fault, prepared
    from nasviz.search.spaces import FamilySpace, GraphSpace, TableSpace

_HOMES = {
    "FamilySpace": "spaces",
    "ForestPredictor": "predictors",
    "Goal": "goals",
    "GraphSpace": "spaces",
    "Limits": "goals",
    "Parent": "mutation",
    "Result": "hunt",
    "TableSpace": "spaces",
    "fault": "shapes",
    "mutate": "mutation",
    "pareto": "goals",
    "predictor": "predictors",
    "predictor_scorer": "hunt",
    "prepared": "shapes",
    "search": "hunt",
    "summary": "benchmark",
    "trajectories": "benchmark",
}
__all__ = [
    "FamilySpace",
    "ForestPredictor",
    "Goal",
    "GraphSpace",
    "Limits",
    "Parent",
    "Result",
    "TableSpace",
    "fault",
    "mutate",
    "pareto",
    "predictor",
    "predictor_scorer",
    "prepared",
    "search",
    "summary",
    "trajectories",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'nasviz.search' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"nasviz.search.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
