"""Runs: sequences of networks with what was measured on each. Names are loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.cycles.confusion import ConfusionMatrix
    from nasviz.cycles.cycle import Cycle
    from nasviz.cycles.description import describe, layer_table, network_metrics
    from nasviz.cycles.evaluation import Evaluation, evaluate
    from nasviz.cycles.imports import from_models
    from nasviz.cycles.imports_mlflow import from_mlflow
    from nasviz.cycles.imports_table import from_frame
    from nasviz.cycles.imports_tensorboard import from_tensorboard
    from nasviz.cycles.layers import match_layers
    from nasviz.cycles.performance import PerformanceMetric, PerformancePlugin, metric_names
    from nasviz.cycles.performance_load import plugin_names
    from nasviz.cycles.run import Run

_HOMES = {
    "ConfusionMatrix": "confusion",
    "Cycle": "cycle",
    "Evaluation": "evaluation",
    "PerformanceMetric": "performance",
    "PerformancePlugin": "performance",
    "Run": "run",
    "describe": "description",
    "evaluate": "evaluation",
    "from_frame": "imports_table",
    "from_mlflow": "imports_mlflow",
    "from_models": "imports",
    "from_tensorboard": "imports_tensorboard",
    "layer_table": "description",
    "match_layers": "layers",
    "metric_names": "performance",
    "network_metrics": "description",
    "plugin_names": "performance_load",
}
__all__ = [
    "ConfusionMatrix",
    "Cycle",
    "Evaluation",
    "PerformanceMetric",
    "PerformancePlugin",
    "Run",
    "describe",
    "evaluate",
    "from_frame",
    "from_mlflow",
    "from_models",
    "from_tensorboard",
    "layer_table",
    "match_layers",
    "metric_names",
    "network_metrics",
    "plugin_names",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'nasviz.cycles' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"nasviz.cycles.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
