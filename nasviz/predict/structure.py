"""Structural features: what a network's layers add up to along its paths from input to output. No weights, no labels.

A node weight (say, 1 for a convolution, or the logarithm of its MACs) is summed along every path; over the paths of a
network the sums have a maximum, a minimum, and two means: of a random walk that starts at the output and goes back to
a random predecessor at each step, and of all paths alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from nasviz.predict.folding import CONV, KINDS, LINEAR, Folded, ranges


def node_weights(folded: Folded) -> pd.DataFrame:
    """The weights of every folded node that are summed along paths, one column each; logarithms are of base 2."""
    nodes = folded.nodes
    kind = {name: (nodes["kind"] == index).astype(float) for index, name in enumerate(KINDS)}
    conv, weighs = kind["conv"], nodes["kind"].isin((CONV, LINEAR)).astype(float)
    large = conv * (nodes["kernel"] > 1)

    def log(values: pd.Series) -> pd.Series:
        return np.log2(values.clip(lower=1))

    weights: Mapping[str, pd.Series] = {
        "layers": pd.Series(1.0, nodes.index),
        "convs": conv,
        "large convs": large,  # kernels larger than 1×1
        "small convs": conv - large,
        "depthwise": conv * nodes["depthwise"],
        "pools": kind["pool"],
        "max pools": kind["pool"] * nodes["max_pool"],
        "activations": nodes["activations"],
        "norms": nodes["norms"],
        "combines": kind["combine"],
        "scales": kind["scale"],
        "concats": kind["concat"],
        "log macs": weighs * log(nodes["macs"]),
        "log params": weighs * log(nodes["params"]),
        "log fan-in": weighs * log(nodes["fan_in"]),
        "log channels": conv * log(nodes["out_c"]),
        "log narrow": conv * log(nodes[["in_c", "out_c"]].min(axis=1)),
        "log kernel": conv * log(nodes["kernel"]),
        "reach": conv * (np.sqrt(nodes["kernel"].clip(lower=1)) - 1),  # what a layer adds to the receptive field
        "log outputs": conv * log(nodes["out_c"] * nodes["out_pixels"]),
    }
    return pd.DataFrame(weights)


def structural_features(folded: Folded) -> pd.DataFrame:
    """Features of every network, one row each.

    Returns
    -------
    DataFrame
        For every weight of `node_weights`: "longest w", "shortest w", "walk w", "path w" (maximum, minimum, random-walk
        mean and uniform mean over paths) and "total w" (over all nodes); "log paths", the natural logarithm of the
        number of paths; "log macs", "log params" and "log activations" of the whole network, of base 2.
    """
    weights = node_weights(folded)
    values, upward = weights.to_numpy(), _Upward(folded)
    (walk,), (path,) = upward.means([values], upward.walk), upward.means([values], upward.path)
    total = weights.groupby(folded.owner).sum().to_numpy()
    tables = {
        "longest": upward.extreme(values, np.maximum), "shortest": upward.extreme(values, np.minimum),
        "walk": walk, "path": path, "total": total,
    }  # fmt: skip
    nodes = folded.nodes
    sizes = {"macs": nodes["macs"], "params": nodes["params"], "activations": nodes["out_c"] * nodes["out_pixels"]}
    whole = {f"log {name}": np.log2(1 + part.groupby(folded.owner).sum()) for name, part in sizes.items()}
    whole = pd.DataFrame({"log paths": upward.log_paths[upward.last], **whole})
    return pd.concat([_named(tables, weights), whole], axis=1)


def spread_features(folded: Folded) -> pd.DataFrame:
    """Further features, for learners that have labels of the very family: how unequal a network's paths are.

    Returns
    -------
    DataFrame
        For every weight of `node_weights`: "walk spread w" and "path spread w", standard deviations over the paths, and
        "onward w", the mean over a random walk that starts at the input and goes on to a random successor.
    """
    weights = node_weights(folded)
    values, upward = weights.to_numpy(), _Upward(folded)
    tables = {}
    for name, shares in (("walk spread", upward.walk), ("path spread", upward.path)):
        mean, square = upward.means([values, values**2], shares)
        tables[name] = np.sqrt(np.maximum(square - mean**2, 0))
    visits = _visits(folded)[:, None]
    tables["onward"] = pd.DataFrame(visits * values).groupby(folded.owner).sum().to_numpy()
    return _named(tables, weights)


def _named(tables: Mapping[str, np.ndarray], weights: pd.DataFrame) -> pd.DataFrame:
    parts = [pd.DataFrame(table, columns=[f"{name} {w}" for w in weights]) for name, table in tables.items()]
    return pd.concat(parts, axis=1)


class _Upward:
    """Sums along paths for all networks at once, level by level: s_j = w_j + f(s_i over the predecessors i of j)."""

    def __init__(self, folded: Folded):
        self.last = folded.start[1:] - 1
        source, target = folded.edges.T
        firsts = np.flatnonzero(np.diff(target, prepend=-1))
        heads, degrees = target[firsts], np.diff(np.append(firsts, len(target)))
        by_level = np.argsort(folded.level[heads], kind="stable")
        groups = np.split(by_level, np.flatnonzero(np.diff(folded.level[heads][by_level])) + 1) if len(heads) else []
        self.steps = []  # (nodes, how many predecessors each has, the predecessors, where each node's begin)
        for group in groups:
            degree = degrees[group]
            at = np.concatenate([[0], np.cumsum(degree)[:-1]])
            self.steps.append((heads[group], degree, source[ranges(firsts[group], degree)], at))
        self.log_paths = np.zeros(len(folded.nodes))  # logarithms, since there may be 10^40 paths
        self.walk, self.path = [], []  # weights of the predecessors in the two means
        for nodes, degree, before, at in self.steps:
            most = np.maximum.reduceat(self.log_paths[before], at)
            share = np.exp(self.log_paths[before] - np.repeat(most, degree))
            together = np.add.reduceat(share, at)
            self.log_paths[nodes] = most + np.log(together)
            self.path.append(share / np.repeat(together, degree))
            self.walk.append(1 / np.repeat(degree, degree))

    def extreme(self, weights: np.ndarray, better: np.ufunc) -> np.ndarray:
        """Largest or smallest sum over the paths to the last node, (N, weights)."""
        sums = weights.copy()
        for nodes, _, before, at in self.steps:
            sums[nodes] += better.reduceat(sums[before], at)
        return sums[self.last]

    def means(self, moments: Sequence[np.ndarray], shares: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Mean of the path sums, and of their squares if the weights and their squares are given, (N, weights) each."""
        first, *rest = (moment.copy() for moment in moments)
        for (nodes, _, before, at), share in zip(self.steps, shares, strict=True):
            below = np.add.reduceat(first[before] * share[:, None], at)
            for square in rest:  # E (w + s)² = w² + 2 w E s + E s²
                square[nodes] += 2 * first[nodes] * below + np.add.reduceat(square[before] * share[:, None], at)
            first[nodes] += below
        return [moment[self.last] for moment in (first, *rest)]


def _visits(folded: Folded) -> np.ndarray:
    """Probability that a random walk from the first node to a random successor at each step comes by, (nodes,)."""
    source, target = folded.edges.T
    degree = np.bincount(source, minlength=len(folded.nodes))
    visits = np.zeros(len(folded.nodes))
    visits[folded.start[:-1]] = 1
    by_level = np.argsort(folded.level[target], kind="stable")
    for part in np.split(by_level, np.flatnonzero(np.diff(folded.level[target][by_level])) + 1):
        np.add.at(visits, target[part], visits[source[part]] / degree[source[part]])
    return visits
