"""What different tools call the FLOPs of one network, and why they differ.

The rules are those of the tools' sources, applied to our graphs; a test holds them to what the tools themselves say of
the same networks.
"""

from collections.abc import Iterable, Mapping
from math import prod

import pandas as pd

from nasviz.graph.cost import CONVENTIONS, Convention, macs, sources
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import NORMS, Op


def _torch(node: Node, source: Node | None) -> int:
    return 2 * macs(node)


def _fvcore(node: Node, source: Node | None) -> int:
    if node.op is Op.BATCH_NORM:
        return prod(node.in_shape) * (1 + node.bias)
    if node.op in NORMS:
        return prod(node.in_shape) * (4 + node.bias)
    return prod(node.in_shape) if node.op is Op.ADAPTIVE_AVG_POOL else macs(node)


def _thop(node: Node, source: Node | None) -> int:
    if node.op in (Op.CONV, Op.LINEAR):
        return macs(node)
    if node.op in (Op.BATCH_NORM, Op.LAYER_NORM):
        return prod(node.in_shape) * (2 + 2 * node.bias)
    if node.op is Op.AVG_POOL:
        return prod(node.out_shape)
    if node.op is Op.ADAPTIVE_AVG_POOL:  # the sum of a window, and its division
        return prod(node.out_shape) * (1 + prod(node.in_shape) // prod(node.out_shape))
    return 0


def _torchinfo(node: Node, source: Node | None) -> int:
    if node.op is Op.CONV:
        return node.params * prod(node.out_shape[2:]) * node.out_shape[0]
    return node.params


RULES: Mapping[str, Convention] = {
    "MACs": CONVENTIONS["macs"],
    "FLOPs": CONVENTIONS["standard"],
    "the notes": CONVENTIONS["lesson"],
    "torch": Convention("torch's FlopCounterMode: 2 for each MAC, and nothing else", _torch),
    "fvcore": Convention("fvcore's FLOPs: MACs, plus normalisation and global pooling", _fvcore),
    "thop": Convention(
        "thop's MACs: of convolutions and linear layers, but not of attention; twice fvcore's normalisation", _thop
    ),
    "torchinfo": Convention(
        "torchinfo's mult-adds: a kernel once a pixel, any other weight once, however many vectors it meets", _torchinfo
    ),
    "NB-201": CONVENTIONS["nb201"],
    "TensorWatch": CONVENTIONS["tensorwatch"],
}
"""Rules of counting by name. That of NB-201 is for its cells; elsewhere it shows what a rule for one family misses."""


def count(graph: ComputeGraph, rules: Iterable[str] = tuple(RULES)) -> dict[str, int]:
    """What each rule gives for a network."""
    nodes = list(zip(graph.nodes, sources(graph), strict=True))
    return {name: sum(RULES[name].flops(node, source) for node, source in nodes) for name in rules}


def compare(graphs: Mapping[str, ComputeGraph]) -> pd.DataFrame:
    """What every rule gives for every network: a row a network, a column a rule."""
    return pd.DataFrame([count(graph) for graph in graphs.values()], index=pd.Index(list(graphs), name="network"))
