"""Prediction: embedding, soft clusters, heads, ensemble, ranking measures. Names are loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.predict.baselines import CellPredictor
    from nasviz.predict.cluster_search import choose_clusters
    from nasviz.predict.clusters import ClusterSpace
    from nasviz.predict.comparison import bootstrap, compare, disagreement, regret, tied_pairs, top_k
    from nasviz.predict.ensemble import Gennape, Settings, partition
    from nasviz.predict.fcm import CollapsedClusters, FuzzyCMeans
    from nasviz.predict.folds import Fold, draw, split
    from nasviz.predict.metrics import evaluate, kendall, mae, ndcg, srcc
    from nasviz.predict.population import Population
    from nasviz.predict.protocol import transfer
    from nasviz.predict.proxies import zero_cost_proxies
    from nasviz.predict.proxies_batch import proxy_table
    from nasviz.predict.transform import AccuracyTransform, FlopsTransform

_HOMES = {
    "baselines": ("CellPredictor",),
    "cluster_search": ("choose_clusters",),
    "clusters": ("ClusterSpace",),
    "comparison": ("bootstrap", "compare", "disagreement", "regret", "tied_pairs", "top_k"),
    "ensemble": ("Gennape", "Settings", "partition"),
    "fcm": ("CollapsedClusters", "FuzzyCMeans"),
    "folds": ("Fold", "draw", "split"),
    "metrics": ("evaluate", "kendall", "mae", "ndcg", "srcc"),
    "population": ("Population",),
    "protocol": ("transfer",),
    "proxies": ("zero_cost_proxies",),
    "proxies_batch": ("proxy_table",),
    "transform": ("AccuracyTransform", "FlopsTransform"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [
    "AccuracyTransform",
    "CellPredictor",
    "ClusterSpace",
    "CollapsedClusters",
    "FlopsTransform",
    "Fold",
    "FuzzyCMeans",
    "Gennape",
    "Population",
    "Settings",
    "bootstrap",
    "compare",
    "disagreement",
    "choose_clusters",
    "draw",
    "evaluate",
    "kendall",
    "mae",
    "ndcg",
    "partition",
    "proxy_table",
    "regret",
    "split",
    "srcc",
    "tied_pairs",
    "top_k",
    "transfer",
    "zero_cost_proxies",
]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'nasviz.predict' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"nasviz.predict.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
