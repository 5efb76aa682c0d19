"""Views: what the package computes, as panels in JupyterLab and Voilà, and as pictures.

Each view is a function of one small serialisable state, saves itself as PNG, SVG, CSV and HTML, and has a static twin.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.views.dashboard import guarded, ranking_dashboard, voila_command, voila_environment
    from nasviz.views.embedding import EmbeddingScatter
    from nasviz.views.ranking import Ranking
    from nasviz.views.state import EmbeddingState, RankingState

_HOMES = {
    "EmbeddingScatter": "embedding",
    "EmbeddingState": "state",
    "Ranking": "ranking",
    "RankingState": "state",
    "guarded": "dashboard",
    "ranking_dashboard": "dashboard",
    "voila_command": "dashboard",
    "voila_environment": "dashboard",
}
__all__ = [
    "EmbeddingScatter",
    "EmbeddingState",
    "Ranking",
    "RankingState",
    "guarded",
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
