"""Why a network scores as it does: layer by layer, and by its structure."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasviz.graph.graph import ComputeGraph
from nasviz.predict.anatomy import Anatomy
from nasviz.predict.folding import KINDS, Folded, fold, levels

if TYPE_CHECKING:
    from nasviz.predict.nasviz import Nasviz


def explain_layers(model: "Nasviz", graph: ComputeGraph) -> pd.DataFrame:
    """What each layer adds to the accuracy that `model` predicts, by leaving it out.

    A layer (a convolution with its norm and activation is one) is taken out and what read it reads its inputs instead;
    the effect is the prediction with it minus the prediction without. Effects do not add up: layers stand in for each
    other.

    Returns
    -------
    DataFrame
        One row a layer but inputs and the last, in topological order: ``node``, its position in the graph; ``layer``,
        the module's dotted name; ``op``; ``kind``; ``effect``, a fraction of accuracy, positive where the layer helps.
    """
    folded = fold([graph])
    removable = np.flatnonzero((folded.nodes["kind"] != KINDS.index("input")).to_numpy())
    removable = removable[removable < len(folded.nodes) - 1]
    variants = Anatomy.of(without(folded, removable)) if len(removable) else None
    base = model.score(Anatomy.of(folded))["accuracy"].iloc[0]
    effect = base - model.score(variants)["accuracy"].to_numpy() if variants else np.empty(0)
    nodes = folded.origin[removable]
    return pd.DataFrame(
        {
            "node": nodes,
            "layer": [graph.nodes[i].layer for i in nodes],
            "op": [graph.nodes[i].op.value for i in nodes],
            "kind": [KINDS[int(kind)] for kind in folded.nodes["kind"].iloc[removable]],
            "effect": effect,
        }
    )


def explain_structure(model: "Nasviz", graph: ComputeGraph) -> pd.Series:
    """What each structural feature adds to the accuracy that the trees predict (SHAP values), largest first.

    With the mean accuracy of the training networks they sum to that prediction; fractions.
    """
    values = model.trees.contributions(Anatomy.of([graph]).features).iloc[0]
    effect = values.drop("base") * model.transform.std_
    return effect[effect.abs().sort_values(ascending=False).index].rename("effect")


def without(folded: Folded, removed: np.ndarray) -> Folded:
    """One network per entry of `removed`: the single network `folded` without that node, its neighbours joined."""
    count, (source, target) = len(folded.nodes), folded.edges.T
    keep, edges = [], []
    for variant, node in enumerate(removed):
        rest = np.delete(np.arange(count), node)
        place = np.full(count, -1)
        place[rest] = np.arange(count - 1)
        apart = (source != node) & (target != node)
        joined = [(i, j) for i in source[target == node] for j in target[source == node]]
        pairs = np.concatenate([folded.edges[apart], np.array(joined, dtype=int).reshape(-1, 2)])
        pairs = np.unique(place[pairs][:, ::-1], axis=0)[:, ::-1]
        keep.append(rest)
        edges.append(pairs + variant * (count - 1))
    rows, pairs = np.concatenate(keep), np.concatenate(edges)
    start = np.arange(len(removed) + 1) * (count - 1)
    nodes = folded.nodes.iloc[rows].reset_index(drop=True)
    return Folded(nodes, pairs, start, levels(len(nodes), pairs), folded.origin[rows])
