"""Prediction: embedding, soft clusters, heads, ensemble, ranking measures. Names are loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasviz.predict.baselines import CellPredictor
    from nasviz.predict.cluster_search import choose_clusters
    from nasviz.predict.clusters import ClusterSpace
    from nasviz.predict.comparison import bootstrap, compare, disagreement, regret, tied_pairs, top_k
    from nasviz.predict.ensemble import Gennape, Settings, partition
    from nasviz.predict.explain import explain_layers, explain_structure
    from nasviz.predict.fcm import CollapsedClusters, FuzzyCMeans
    from nasviz.predict.folding import fold
    from nasviz.predict.folds import Fold, draw, split
    from nasviz.predict.metrics import evaluate, kendall, mae, ndcg, srcc
    from nasviz.predict.nasviz import Nasviz, NasvizSettings
    from nasviz.predict.population import Population
    from nasviz.predict.protocol import transfer
    from nasviz.predict.proxies import zero_cost_proxies
    from nasviz.predict.proxies_batch import proxy_table
    from nasviz.predict.shipped import pretrained
    from nasviz.predict.structure import structural_features
    from nasviz.predict.transform import AccuracyTransform, FlopsTransform
    from nasviz.predict.trust import interval_coverage, risk_coverage

_HOMES = {
    "baselines": ("CellPredictor",),
    "cluster_search": ("choose_clusters",),
    "clusters": ("ClusterSpace",),
    "comparison": ("bootstrap", "compare", "disagreement", "regret", "tied_pairs", "top_k"),
    "ensemble": ("Gennape", "Settings", "partition"),
    "explain": ("explain_layers", "explain_structure"),
    "fcm": ("CollapsedClusters", "FuzzyCMeans"),
    "folding": ("fold",),
    "folds": ("Fold", "draw", "split"),
    "metrics": ("evaluate", "kendall", "mae", "ndcg", "srcc"),
    "nasviz": ("Nasviz", "NasvizSettings"),
    "population": ("Population",),
    "shipped": ("pretrained",),
    "protocol": ("transfer",),
    "proxies": ("zero_cost_proxies",),
    "proxies_batch": ("proxy_table",),
    "structure": ("structural_features",),
    "transform": ("AccuracyTransform", "FlopsTransform"),
    "trust": ("interval_coverage", "risk_coverage"),
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
    "Nasviz",
    "NasvizSettings",
    "Population",
    "Settings",
    "bootstrap",
    "choose_clusters",
    "compare",
    "disagreement",
    "draw",
    "evaluate",
    "explain_layers",
    "explain_structure",
    "fold",
    "interval_coverage",
    "kendall",
    "mae",
    "ndcg",
    "partition",
    "pretrained",
    "proxy_table",
    "regret",
    "risk_coverage",
    "split",
    "srcc",
    "structural_features",
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
