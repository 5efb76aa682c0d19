"""Networks with their norms and activations folded into the convolution that they belong to, as flat arrays.

A computation graph has a node for each primitive operator. For a predictor conv-bn-relu and relu-conv-bn are one layer,
and a graph of layers is half as long: messages reach further, and families that order the three differently look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pandas as pd

from nasviz.graph.cost import macs
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import ACTIVATIONS, NORMS, POOLS, Op

KINDS = (
    "input", "conv", "linear", "norm", "activation", "pool", "squeeze", "combine", "scale", "concat", "zero", "move",
)  # fmt: skip
"""What a folded node is. "squeeze" is a pooling over the whole image, "scale" a product, as in squeeze-and-excitation,
"zero" what passes nothing on, "move" what only moves data and could not be folded away."""

_OF_KIND = {
    "input": {Op.INPUT},
    "conv": {Op.CONV, Op.CONV_TRANSPOSE},
    "linear": {Op.LINEAR, Op.BILINEAR, Op.MATMUL, Op.EINSUM, Op.ATTENTION, Op.LSTM, Op.GRU, Op.RNN},
    "norm": NORMS | {Op.LOCAL_RESPONSE_NORM, Op.NORMALIZE},
    "activation": ACTIVATIONS | {Op.SOFTMAX, Op.LOG_SOFTMAX, Op.GLU},
    "pool": POOLS,
    "squeeze": {Op.ADAPTIVE_AVG_POOL, Op.ADAPTIVE_MAX_POOL, Op.MEAN, Op.REDUCE},
    "combine": {Op.ADD, Op.SUB, Op.POINTWISE},
    "scale": {Op.MUL, Op.DIV},
    "concat": {Op.CONCAT, Op.STACK},
    "zero": {Op.ZERO},
}
_KIND = {op: KINDS.index(kind) for kind, ops in _OF_KIND.items() for op in ops}
CONV, LINEAR, NORM, ACTIVATION, MOVE = map(KINDS.index, ("conv", "linear", "norm", "activation", "move"))

COLUMNS = (
    "kind", "macs", "params", "out_c", "in_c", "out_pixels", "in_pixels", "kernel", "stride", "fan_in", "depthwise",
    "max_pool", "norms", "activations",
)  # fmt: skip
"""Facts of a folded node: its kind; MACs and parameters; channels and pixels (H·W) made and read; kernel size k·l and
stride; inputs of one output value (C_in / groups · k·l); whether it is a depthwise convolution or a max pooling; norms
and activations that were folded in."""


@dataclass(frozen=True, eq=False)
class Folded:
    """N networks, one behind the other.

    Attributes
    ----------
    nodes : DataFrame
        One row a folded node, with `COLUMNS`; a network's nodes stand together in topological order.
    edges : ndarray of shape (E, 2)
        (source, target) rows of `nodes`, sorted by target.
    start : ndarray of shape (N + 1,)
        The first row of each network, and the number of rows.
    level : ndarray of shape (len(nodes),)
        Edges on the longest path from an input to the node.
    origin : ndarray of shape (len(nodes),)
        Position, in its `ComputeGraph`, of the node that the others were folded into.
    """

    nodes: pd.DataFrame
    edges: np.ndarray
    start: np.ndarray
    level: np.ndarray
    origin: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def owner(self) -> np.ndarray:
        """Which network each node belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def take(self, rows: Sequence[int]) -> "Folded":
        """The networks at `rows`, in that order."""
        rows = np.arange(len(self))[rows]
        first, sizes = self.start[rows], np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(sizes)])
        nodes = ranges(first, sizes)
        bounds = np.searchsorted(self.edges[:, 1], self.start)
        counts = np.diff(bounds)[rows]
        edges = self.edges[ranges(bounds[rows], counts)] + np.repeat(start[:-1] - first, counts)[:, None]
        kept = self.nodes.iloc[nodes].reset_index(drop=True)
        return Folded(kept, edges, start, self.level[nodes], self.origin[nodes])


def ranges(first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ... (sizes[0] numbers), then those from first[1], and so on."""
    ends = np.cumsum(sizes)
    return np.repeat(first - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)


def fold(graphs: Sequence[ComputeGraph]) -> Folded:
    """Fold every graph.

    A norm behind a convolution or linear layer that nothing else reads goes into it, and so does the activation behind
    the two; an activation that only a convolution reads goes into that one, with the norm before it. What merely moves
    data goes into the node that made it.

    Parameters
    ----------
    graphs : sequence of ComputeGraph
        Each with at least one node.

    Returns
    -------
    Folded
    """
    facts, edges, start = _concatenated(graphs)
    kind, (source, target) = facts[:, 0].astype(int), edges.T
    count = len(facts)
    itself = np.arange(count)
    before, after = _only(target, source, count), _only(source, target, count)
    read_once = np.bincount(source, minlength=count) == 1
    weighs = (kind == CONV) | (kind == LINEAR)
    into = itself.copy()

    def join(these: np.ndarray, others: np.ndarray) -> np.ndarray:
        into[these] = others[these]
        return these

    has_before, has_after = before >= 0, after >= 0
    join((kind == MOVE) & has_before, before)
    normed = join((kind == NORM) & has_before & weighs[before] & read_once[before], before)
    behind = (kind == ACTIVATION) & has_before & read_once[before] & (weighs[before] | normed[before])
    join(behind, before)
    ahead = join((kind == ACTIVATION) & ~behind & has_after & weighs[after], after)
    join((kind == NORM) & ~normed & has_after & (weighs[after] | ahead[after]), after)
    while not np.array_equal(further := into[into], into):
        into = further
    kept = into == itself
    for column, folded in (("norms", NORM), ("activations", ACTIVATION)):
        facts[:, COLUMNS.index(column)] = np.bincount(into[~kept & (kind == folded)], minlength=count)
    params = COLUMNS.index("params")
    facts[:, params] = np.bincount(into, facts[:, params], minlength=count)
    place = np.cumsum(kept) - 1
    sources, targets = place[into[source]], place[into[target]]
    different = sources != targets
    code = np.unique(targets[different] * count + sources[different])  # one number a pair sorts much faster than two
    pairs = np.stack([code % count, code // count], axis=1)
    origin = (itself - np.repeat(start[:-1], np.diff(start)))[kept]
    start = np.concatenate([[0], np.cumsum(kept)])[start]
    nodes = pd.DataFrame(facts[kept], columns=list(COLUMNS))
    return Folded(nodes, pairs, start, levels(len(nodes), pairs), origin)


def _concatenated(graphs: Sequence[ComputeGraph]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Facts of all nodes (N, columns), all edges (E, 2), and the first node of each graph."""
    known: dict[int, int] = {}  # most nodes of a population are one and the same object
    rows, table, edges, start = [], [], [np.empty((0, 2), int)], [0]
    for graph in graphs:
        for node in graph.nodes:
            index = known.get(id(node))
            if index is None:
                index = known[id(node)] = len(table)
                table.append(_facts(node))
            rows.append(index)
        edges.append(graph.edges.astype(int) + start[-1])
        start.append(len(rows))
    return np.array(table)[rows], np.concatenate(edges), np.array(start)


def _facts(node: Node) -> tuple[float, ...]:
    out_c, *out_size = channels_and_size(node.out_shape)
    in_c, *in_size = channels_and_size(node.in_shape)
    out_pixels, in_pixels, kernel = prod(out_size), prod(in_size), prod(node.kernel)
    kind = _KIND.get(node.op, MOVE)
    if KINDS[kind] == "pool" and out_pixels == 1 and kernel >= in_pixels:
        kind = KINDS.index("squeeze")
    conv = kind == CONV
    return (
        kind, macs(node), node.params, out_c, in_c, out_pixels, in_pixels, kernel,
        max(node.stride, default=1), in_c // node.groups * kernel if conv else in_c,
        conv and 1 < node.groups == in_c, node.op in (Op.MAX_POOL, Op.ADAPTIVE_MAX_POOL), 0, 0,
    )  # fmt: skip


def channels_and_size(shape: Sequence[int]) -> tuple[int, ...]:
    """C and the spatial sizes of a complete shape: (N, C, ...) of images, (N, L, C) of tokens, (N, C) of vectors."""
    if len(shape) <= 2:
        return (shape[-1] if shape else 1, 1)
    return (shape[2], shape[1]) if len(shape) == 3 else tuple(shape[1:])


def _only(key: np.ndarray, value: np.ndarray, count: int) -> np.ndarray:
    """The value of each key that occurs exactly once, else -1."""
    result = np.full(count, -1)
    result[key] = value
    result[np.bincount(key, minlength=count) != 1] = -1
    return result


def levels(count: int, edges: np.ndarray) -> np.ndarray:
    """Length of the longest path to each of `count` nodes; `edges` are sorted by target."""
    level = np.zeros(count, dtype=int)
    source, target = edges.T
    waiting = np.bincount(target, minlength=count)  # predecessors whose own level is not known yet
    degree = np.bincount(source, minlength=count)
    by_source = target[np.argsort(source, kind="stable")]
    first = np.cumsum(degree) - degree
    settled = np.flatnonzero(waiting == 0)
    for step in range(1, count + 1):
        reached = by_source[ranges(first[settled], degree[settled])]
        if not len(reached):
            break
        np.subtract.at(waiting, reached, 1)
        settled = np.unique(reached[waiting[reached] == 0])
        level[settled] = step
    return level
