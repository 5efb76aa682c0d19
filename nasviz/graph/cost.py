"""What a network costs: multiply-accumulates, other operations, parameters, bytes and activations by layer.

One pure formula an operator, in two tables: `MACS` and `OTHER`. FLOPs are derived from them in one place,
`Convention`. The cost is that of the shapes in the graph: of a batch of N where the example input was one.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import pandas as pd

from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import ACTIVATIONS, MOVES, NORMS, POOLS, Op


def _conv(node: Node) -> int:
    """C_out · spatial outputs · (C_in / groups) · ∏ kernel."""
    channels = node.in_shape[-len(node.kernel) - 1]
    return prod(node.out_shape) * (channels // node.groups) * prod(node.kernel)


def _conv_transpose(node: Node) -> int:
    """Every input element meets the kernel of every output channel of its group."""
    channels = node.out_shape[-len(node.kernel) - 1]
    return prod(node.in_shape) * (channels // node.groups) * prod(node.kernel)


def _matmul(node: Node) -> int:
    """(..., n, k) · (..., k, m): k products for each of the n · m results."""
    return prod(node.out_shape) * node.in_shape[-1] * node.get("summed", 1)


def _linear(node: Node) -> int:
    return prod(node.out_shape) * node.in_shape[-1]


def _bilinear(node: Node) -> int:
    """x₁ᵀ W x₂: W x₂ first, then the product with x₁."""
    first, second = node.get("in_features")
    return prod(node.out_shape) * first * (second + 1)


def _attention(node: Node) -> int:
    """Q (..., L, E) with K (..., S, E), then the weights (..., L, S) with V (..., S, E_v)."""
    *_, embedding = node.in_shape
    *rows, value = node.out_shape
    return prod(rows) * node.get("keys") * (embedding + value)


def _recurrent(node: Node) -> int:
    """Every weight matrix, of all layers, directions and projections, once a step and sample."""
    return _steps(node) * sum(map(prod, node.get("weights")))


def _steps(node: Node) -> int:
    return prod(node.in_shape[:-1])


MACS: dict[Op, Callable[[Node], int]] = {
    Op.CONV: _conv,
    Op.CONV_TRANSPOSE: _conv_transpose,
    Op.LINEAR: _linear,
    Op.BILINEAR: _bilinear,
    Op.MATMUL: _matmul,
    Op.EINSUM: lambda node: node.get("macs"),
    Op.ATTENTION: _attention,
    Op.LSTM: _recurrent,
    Op.GRU: _recurrent,
    Op.RNN: _recurrent,
}
"""Multiply-accumulates of the operators that have any."""


def _made(node: Node) -> int:
    return prod(node.out_shape)


def _read(node: Node) -> int:
    return prod(node.in_shape)


def _bias(node: Node) -> int:
    return prod(node.out_shape) * node.bias


def _pool(node: Node) -> int:
    """One operation for each element of each window."""
    return prod(node.out_shape) * prod(node.kernel) if node.kernel else prod(node.in_shape)


def _norm(node: Node) -> int:
    """Mean, variance, difference and quotient, and the affine map in one more."""
    return prod(node.in_shape) * (4 + node.bias)


def _gates(node: Node) -> int:
    """The result of every matrix is added once, and with a bias once more."""
    return _steps(node) * sum(rows for rows, _ in node.get("weights")) * (1 + node.bias)


OTHER: dict[Op, Callable[[Node], int]] = {
    **dict.fromkeys(MOVES, lambda node: 0),
    **dict.fromkeys(MACS, _bias),
    Op.EINSUM: lambda node: 0,
    Op.ATTENTION: lambda node: 4 * prod(node.out_shape[:-1]) * node.get("keys"),  # scale and softmax
    **dict.fromkeys(
        (Op.LSTM, Op.GRU, Op.RNN), lambda n: _steps(n) * sum(w[0] for w in n.get("weights")) * (1 + n.bias)
    ),
    **dict.fromkeys(ACTIVATIONS, _made),
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys((Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.POINTWISE, Op.COMPARE), _made),
    **dict.fromkeys((Op.MEAN, Op.REDUCE), _read),
    **dict.fromkeys((Op.SOFTMAX, Op.LOG_SOFTMAX), lambda node: 3 * prod(node.out_shape)),
    Op.GLU: lambda node: 2 * prod(node.out_shape),
    Op.BATCH_NORM: lambda node: 2 * prod(node.in_shape),  # at inference it is one affine map
    Op.NORMALIZE: lambda node: 3 * prod(node.in_shape),
    Op.LOCAL_RESPONSE_NORM: lambda node: prod(node.in_shape) * (2 * (node.get("size") or 1) + 2),
    Op.UPSAMPLE: lambda node: 0 if "nearest" in node.get("mode", "") else 4 * prod(node.out_shape),
}
"""Operations that are no multiply-accumulate: one for each addition, comparison or call of a function."""


@dataclass(frozen=True)
class Convention:
    """How FLOPs follow from the counts of one operator.

    Attributes
    ----------
    describe : str
        What it counts, for the axis of a chart.
    flops : callable
        (node, source) → FLOPs, where `source` is what `sources` gives (None for inputs).
    """

    describe: str
    flops: Callable[[Node, Node | None], int]


def _standard(node: Node, source: Node | None) -> int:
    return 2 * macs(node) + other(node)


def _lesson(node: Node, source: Node | None) -> int:
    if node.op in POOLS:
        return _pool(node)
    pointwise = node.op is Op.CONV and set(node.kernel) == {1} and node.groups == 1
    return macs(node) * (1 if pointwise and source is not None and source.is_depthwise else 2)


def _nb201(node: Node, source: Node | None) -> int:
    return (macs(node) if node.op in (Op.CONV, Op.LINEAR) else 0) + (_bias(node) if node.op is Op.LINEAR else 0)


def _tensorwatch(node: Node, source: Node | None) -> int:
    if node.op in (Op.CONV, Op.LINEAR):
        return macs(node)
    if node.op is Op.MEAN:  # its global pooling counts a window one too large each way
        batch, channels, height, width = node.in_shape
        return batch * channels * (height + 1) * (width + 1)
    return other(node) if node.op in (Op.BATCH_NORM, Op.RELU, Op.AVG_POOL, Op.MAX_POOL) else 0


CONVENTIONS: Mapping[str, Convention] = {
    "standard": Convention("2 · MACs + other operations", _standard),
    "macs": Convention("MACs alone, which many tools call FLOPs", lambda node, source: macs(node)),
    "lesson": Convention(
        "2 · MACs of layers without bias, but 1 · MACs of a pointwise layer after a depthwise one; pooling windows",
        _lesson,
    ),
    "nb201": Convention("the official NAS-Bench-201 records: MACs of convolutions, of linear layers with bias", _nb201),
    "tensorwatch": Convention(
        "the `flops` column of zero-cost NAS tables of NAS-Bench-201: MACs, plus batch norm, ReLU and pooling",
        _tensorwatch,
    ),
}


@lru_cache(maxsize=1 << 18)
def macs(node: Node) -> int:
    """Multiply-accumulates of one node, without bias."""
    formula = MACS.get(node.op)
    return formula(node) if formula else 0


def other(node: Node) -> int:
    """Operations of one node that are no multiply-accumulates; 0 where the operator is unknown."""
    formula = OTHER.get(node.op)
    return formula(node) if formula else 0


def is_counted(node: Node) -> bool:
    """Whether the cost of this operator is known (be it zero)."""
    return node.op in OTHER and not (node.op is Op.EINSUM and node.get("macs") is None)


def sources(graph: ComputeGraph) -> list[Node | None]:
    """The first predecessor of each node, norms and activations skipped, which usually stand behind a convolution."""
    found: list[Node | None] = [None] * len(graph)
    for source, target in graph.edges.tolist():  # sorted by target, so what a source reads is known
        if found[target] is None:
            node = graph.nodes[source]
            found[target] = (found[source] or node) if node.op in NORMS | ACTIVATIONS else node
    return found


def total_macs(graph: ComputeGraph) -> int:
    """Multiply-accumulates of the whole graph; the quick way where no table is needed."""
    return sum(map(macs, graph.nodes))


def total_flops(graph: ComputeGraph) -> int:
    """FLOPs of the whole graph in the standard convention; the quick way where no table is needed."""
    return sum(2 * macs(node) + other(node) for node in graph.nodes)


@dataclass(frozen=True)
class CostTable:
    """What each layer of a network costs.

    Attributes
    ----------
    by_layer : DataFrame
        One row an operator: layer, op, out_shape, macs, other, flops, params, size_bytes, activations, counted.
        Activations are the elements that operators with multiply-accumulates put out (Radosavovic et al., 2020).
        Parameters that the network never uses have a row of their own, at the end.
    total : dict
        Sums of macs, other, flops, params, size_bytes and activations.
    uncounted : DataFrame
        operator and calls of the functions whose cost is not known; empty where everything was counted.
    convention : str
        Name of the convention behind `flops`.
    """

    by_layer: pd.DataFrame
    total: dict[str, int]
    uncounted: pd.DataFrame
    convention: str

    def __str__(self) -> str:
        bound = "≥ " if len(self.uncounted) else ""
        lines = [
            f"{key:<12} {bound if key in ('macs', 'other', 'flops') else ''}{value:,}"
            for key, value in self.total.items()
        ]
        lines.append(f"convention   {self.convention}: {CONVENTIONS[self.convention].describe}")
        if len(self.uncounted):
            lines.append("not counted  " + ", ".join(f"{name} × {calls}" for name, calls in self.uncounted.to_numpy()))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        total = pd.DataFrame([{"layer": "Total", **self.total}])
        shown = pd.concat([self.by_layer, total], ignore_index=True).drop(columns="counted")
        return shown.to_html(max_rows=60, na_rep="", index=False) + f"<pre>{self}</pre>"


SUMMED = ("macs", "other", "flops", "params", "size_bytes", "activations")


def cost(graph: ComputeGraph, convention: str = "standard") -> CostTable:
    """Count what a network costs.

    Parameters
    ----------
    graph : ComputeGraph
        The network, with the shapes of its input.
    convention : str
        How FLOPs follow from MACs and other operations; a key of `CONVENTIONS`.

    Returns
    -------
    CostTable

    Raises
    ------
    ValueError
        If there is no such convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention={convention!r}: known conventions are {', '.join(CONVENTIONS)}.")
    flops = CONVENTIONS[convention].flops
    rows = [
        (
            node.layer, node.op.value, node.out_shape, macs(node), other(node), flops(node, source),
            node.params, node.size_bytes, prod(node.out_shape) if macs(node) else 0, is_counted(node),
        )
        for node, source in zip(graph.nodes, sources(graph), strict=True)
    ]  # fmt: skip
    if graph.unused_params:
        rows.append(("(never used)", "", (), 0, 0, 0, graph.unused_params, graph.unused_bytes, 0, True))
    columns = ["layer", "op", "out_shape", *SUMMED, "counted"]
    by_layer = pd.DataFrame(rows, columns=columns)
    names = Counter(node.get("function", node.op.value) for node in graph.nodes if not is_counted(node))
    total = {name: int(by_layer[name].sum()) for name in SUMMED}
    return CostTable(by_layer, total, pd.DataFrame(names.items(), columns=["operator", "calls"]), convention)
