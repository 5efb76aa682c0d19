"""Runs: sequences of networks with what was measured on each. Names are loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.cycles.confusion import ConfusionMatrix
    from nasviz.cycles.cycle import Cycle
    from nasviz.cycles.demonstration import demo, demonstrate
    from nasviz.cycles.description import describe, layer_table, network_metrics
    from nasviz.cycles.evaluation import Evaluation, evaluate
    from nasviz.cycles.generate import fine_tune, new_job, train_cycle
    from nasviz.cycles.imports import from_models
    from nasviz.cycles.imports_mlflow import from_mlflow
    from nasviz.cycles.imports_table import from_frame
    from nasviz.cycles.imports_tensorboard import from_tensorboard
    from nasviz.cycles.job import Job, jobs, start
    from nasviz.cycles.layers import match_layers
    from nasviz.cycles.model_archive import archive
    from nasviz.cycles.performance import PerformanceMetric, PerformancePlugin, metric_names
    from nasviz.cycles.performance_load import plugin_names
    from nasviz.cycles.run import Run
    from nasviz.cycles.search_plan import SearchPlan
    from nasviz.cycles.searching import edge_build, search_cycles, search_job
    from nasviz.cycles.task import Task, get_task
    from nasviz.cycles.training import Training

_HOMES = {
    "ConfusionMatrix": "confusion",
    "Cycle": "cycle",
    "Evaluation": "evaluation",
    "Job": "job",
    "PerformanceMetric": "performance",
    "PerformancePlugin": "performance",
    "Run": "run",
    "SearchPlan": "search_plan",
    "Task": "task",
    "Training": "training",
    "archive": "model_archive",
    "demo": "demonstration",
    "demonstrate": "demonstration",
    "describe": "description",
    "edge_build": "searching",
    "evaluate": "evaluation",
    "fine_tune": "generate",
    "from_frame": "imports_table",
    "from_mlflow": "imports_mlflow",
    "from_models": "imports",
    "from_tensorboard": "imports_tensorboard",
    "get_task": "task",
    "jobs": "job",
    "layer_table": "description",
    "match_layers": "layers",
    "metric_names": "performance",
    "network_metrics": "description",
    "new_job": "generate",
    "plugin_names": "performance_load",
    "search_cycles": "searching",
    "search_job": "searching",
    "start": "job",
    "train_cycle": "generate",
}
__all__ = [
    "ConfusionMatrix",
    "Cycle",
    "Evaluation",
    "Job",
    "PerformanceMetric",
    "PerformancePlugin",
    "Run",
    "SearchPlan",
    "Task",
    "Training",
    "archive",
    "demo",
    "demonstrate",
    "describe",
    "edge_build",
    "evaluate",
    "fine_tune",
    "from_frame",
    "from_mlflow",
    "from_models",
    "from_tensorboard",
    "get_task",
    "jobs",
    "layer_table",
    "match_layers",
    "metric_names",
    "network_metrics",
    "new_job",
    "plugin_names",
    "search_cycles",
    "search_job",
    "start",
    "train_cycle",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'nasviz.cycles' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"nasviz.cycles.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
