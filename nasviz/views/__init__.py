"""Views: what the package computes, as panels in JupyterLab and Voilà, and as pictures.

Each view is a function of one small serialisable state, saves itself as PNG, SVG, CSV and HTML, and has a static twin.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.views.benchmark_picture import benchmark_figure
    from nasviz.views.confusion import Confusion
    from nasviz.views.cycle_actions import CycleActions
    from nasviz.views.cycle_bars import CycleBars
    from nasviz.views.cycle_explorer import CycleExplorer
    from nasviz.views.cycle_overview import CycleOverview
    from nasviz.views.cycles_page import CyclesPage, cycles_dashboard, cycles_environment
    from nasviz.views.dashboard import guarded, ranking_dashboard, voila_command, voila_environment
    from nasviz.views.embedding import EmbeddingScatter
    from nasviz.views.explorer import NetworkExplorer
    from nasviz.views.layer_comparison import LayerComparison
    from nasviz.views.lesson.panel import FlopsLesson
    from nasviz.views.lesson.state import LessonState
    from nasviz.views.pareto import Pareto
    from nasviz.views.pruning_curves import pruning_figure
    from nasviz.views.ranking import Ranking
    from nasviz.views.state import CyclesState, EmbeddingState, ExplorerState, RankingState

_HOMES = {
    "Confusion": "confusion",
    "CycleActions": "cycle_actions",
    "CycleBars": "cycle_bars",
    "CycleExplorer": "cycle_explorer",
    "CycleOverview": "cycle_overview",
    "CyclesPage": "cycles_page",
    "CyclesState": "state",
    "EmbeddingScatter": "embedding",
    "EmbeddingState": "state",
    "ExplorerState": "state",
    "FlopsLesson": "lesson.panel",
    "LayerComparison": "layer_comparison",
    "LessonState": "lesson.state",
    "NetworkExplorer": "explorer",
    "Pareto": "pareto",
    "Ranking": "ranking",
    "RankingState": "state",
    "benchmark_figure": "benchmark_picture",
    "cycles_dashboard": "cycles_page",
    "cycles_environment": "cycles_page",
    "guarded": "dashboard",
    "pruning_figure": "pruning_curves",
    "ranking_dashboard": "dashboard",
    "voila_command": "dashboard",
    "voila_environment": "dashboard",
}
__all__ = [
    "Confusion",
    "CycleActions",
    "CycleBars",
    "CycleExplorer",
    "CycleOverview",
    "CyclesPage",
    "CyclesState",
    "EmbeddingScatter",
    "EmbeddingState",
    "ExplorerState",
    "FlopsLesson",
    "LayerComparison",
    "LessonState",
    "NetworkExplorer",
    "Pareto",
    "Ranking",
    "RankingState",
    "benchmark_figure",
    "cycles_dashboard",
    "cycles_environment",
    "guarded",
    "pruning_figure",
    "ranking_dashboard",
    "voila_command",
    "voila_environment",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'nasviz.views' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"nasviz.views.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
