"""A computation graph as a picture: layer after layer from left to right. No widgets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from nasviz.graph.cost import cost
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import ACTIVATIONS, NORMS, POOLS, Op
from nasviz.views.export import Picture
from nasviz.views.theme import GREY, INK, OKABE_ITO, matplotlib_style, si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("dense convolution", "1×1 convolution", "depthwise convolution", "pooling", "linear", "sum, product", "other")
COLOURS = dict(zip(KINDS, (*OKABE_ITO[:6], GREY), strict=True))
SMALLEST, LARGEST = 8, 140
"""Areas of the dots in points²: of an operator without MACs, and of the one with most."""


def kind(node: Node) -> str:
    """Which of `KINDS` a node belongs to."""
    if node.op is Op.CONV:
        if node.is_depthwise:
            return "depthwise convolution"
        return "1×1 convolution" if set(node.kernel) == {1} else "dense convolution"
    if node.op in POOLS or (node.op is Op.MEAN and len(node.in_shape) == 4):
        return "pooling"
    if node.op is Op.LINEAR:
        return "linear"
    return "sum, product" if node.op in (Op.ADD, Op.MUL) else "other"


def folded(graph: ComputeGraph) -> nx.DiGraph:
    """The graph without the norms and activations that only pass one result on, for drawing.

    Returns
    -------
    DiGraph
        Nodes are positions in `graph.nodes`; the edges skip what was left out.
    """
    result = nx.DiGraph(graph.to_networkx())
    for index, node in enumerate(graph.nodes):
        if node.op in NORMS | ACTIVATIONS and result.in_degree(index) == 1:
            (source,) = result.predecessors(index)
            result.add_edges_from((source, target) for target in list(result.successors(index)))
            result.remove_node(index)
    return result


def layered(graph: nx.DiGraph, sweeps: int = 4) -> dict[int, tuple[float, float]]:
    """Where the nodes of a directed acyclic graph stand: the x of each is its distance from the input.

    The longest path counts. Within a layer nodes are put near the mean of their neighbours, in a few sweeps forth and
    back (Sugiyama, Tagawa and Toda 1981).
    """
    x = {}
    for node in nx.topological_sort(graph):
        x[node] = 1 + max((x[source] for source in graph.predecessors(node)), default=-1)
    layers: list[list[int]] = [[] for _ in range(max(x.values(), default=-1) + 1)]
    for node, layer in x.items():
        layers[layer].append(node)
    y = {node: i - (len(layer) - 1) / 2 for layer in layers for i, node in enumerate(layer)}
    for sweep in range(sweeps):
        back = sweep % 2 == 1
        for layer in reversed(layers) if back else layers:
            near = graph.successors if back else graph.predecessors
            others = {node: [y[other] for other in near(node)] or [y[node]] for node in layer}
            mean = {node: sum(places) / len(places) for node, places in others.items()}
            for i, node in enumerate(sorted(layer, key=lambda node: (mean[node], y[node]))):
                y[node] = i - (len(layer) - 1) / 2
    return {node: (float(x[node]), float(y[node])) for node in x}


def draw_network(axes: "Axes", graph: ComputeGraph) -> None:
    """Draw `graph` into `axes`: one dot an operator, its area by its share of the MACs, edges that skip layers bent."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path

    network = folded(graph)
    place = layered(network)
    macs = cost(graph).by_layer["macs"].to_numpy(float) if len(graph) else np.zeros(0)
    top = max(macs.max(initial=0), 1)
    paths = [_edge(Path, place[source], place[target]) for source, target in network.edges]
    axes.add_collection(PathCollection(paths, facecolors="none", edgecolors=GREY, linewidths=0.6, zorder=1))
    for name, colour in COLOURS.items():
        nodes = [node for node in network if kind(graph.nodes[node]) == name]
        if nodes:
            area = SMALLEST + (LARGEST - SMALLEST) * macs[nodes] / top
            axes.scatter(*zip(*(place[n] for n in nodes), strict=True), s=area, color=colour, label=name, zorder=2)
    heights = [y for _, y in place.values()]
    axes.set(xlim=(-1, max(x for x, _ in place.values()) + 1), ylim=(min(heights) - 0.8, max(heights) + 0.8))
    axes.set_axis_off()


def _edge(path: type, start: tuple[float, float], end: tuple[float, float]):
    (x0, y0), (x1, y1) = start, end
    bend = 0.0 if x1 - x0 <= 1 else min(0.35 * (x1 - x0) ** 0.5, 1.2)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2 + bend)
    return path([start, middle, end], [path.MOVETO, path.CURVE3, path.CURVE3])


def network_figure(graphs: Sequence[ComputeGraph], titles: Sequence[str] = ()) -> Picture:
    """One or several networks below each other, input at the left.

    Parameters
    ----------
    graphs : sequence of ComputeGraph
        The networks.
    titles : sequence of str, optional
        A title for each; by default its name.

    Returns
    -------
    Picture
        A row a network with its parameters and MACs. The area of a dot is the operator's share of its network's MACs;
        norms and activations that follow an operator are not drawn.
    """

    with matplotlib_style():
        figure = Picture(figsize=(11, 1.15 * len(graphs) + 0.6))
        rows = figure.subplots(len(graphs), 1, squeeze=False)[:, 0]
        seen = {}
        for axes, graph, title in zip(rows, graphs, titles or [graph.name for graph in graphs], strict=True):
            draw_network(axes, graph)
            total = cost(graph).total
            facts = f"{si(total['params'], 'parameters')}, {si(total['macs'], 'MACs')}"
            axes.set_title(f"{title}: {facts}", loc="left", fontsize=9, color=INK)
            seen |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        names = [name for name in KINDS if name in seen]
        handles = [seen[name] for name in names]
        legend = figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
        for handle in legend.legend_handles:
            handle.set_sizes([40])
    return figure
