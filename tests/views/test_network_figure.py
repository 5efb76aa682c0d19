"""The picture of a network: what is drawn, where it stands, and that every operator is there."""

import networkx as nx
import numpy as np
import pytest

import nasviz as nv
from nasviz.graph import GraphBuilder
from nasviz.views.network_figure import KINDS, folded, kind, layered, network_figure


@pytest.mark.parametrize("name", nv.families.names())
def test_every_family_is_drawn(name):
    family = nv.families.get(name)
    graph = family.graph(family.sample(1, seed=1)[0], "digits")
    figure = network_figure([graph], ["one of them"])
    (axes,) = figure.axes
    dots = sum(len(scatter.get_offsets()) for scatter in axes.collections if scatter.get_label() in KINDS)
    hidden = sum(node.op in ("batch_norm", "relu", "relu6", "hard_swish", "hard_sigmoid") for node in graph.nodes)
    assert dots == len(folded(graph)) == len(graph) - hidden
    assert axes.get_title(loc="left").startswith("one of them: ")
    assert figure._repr_png_()[:4] == b"\x89PNG"


def test_layers_go_from_left_to_right_and_no_two_dots_share_a_place():
    family = nv.families.get("nb301")
    network = folded(family.graph(family.sample(1, seed=0)[0], "digits"))
    place = layered(network)
    assert all(place[source][0] < place[target][0] for source, target in network.edges)
    assert len(set(place.values())) == len(network)


def test_a_layer_is_ordered_by_its_neighbours():
    """Two chains that are given crosswise come out side by side."""
    network = nx.DiGraph([(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)])
    place = layered(network)
    assert np.sign(place[1][1] - place[2][1]) == np.sign(place[4][1] - place[3][1])


def test_kinds_of_operators():
    g = GraphBuilder("kinds")
    x = g.input((1, 4, 8, 8))
    x = g.conv(x, 4, 3, name="dense")
    x = g.conv(x, 4, 1, name="point")
    x = g.conv(x, 4, (1, 3), name="row")
    x = g.conv(x, 4, 3, groups=4, name="depth")
    x = g.max_pool(x, 2, stride=2, name="pool")
    x = g.add((x, x), name="add")
    x = g.linear(g.mean(x, name="mean"), 2, name="linear")
    found = {node.layer: kind(node) for node in g.graph(x).nodes}
    assert found == {
        "": "other", "dense": "dense convolution", "point": "1×1 convolution", "row": "dense convolution",
        "depth": "depthwise convolution", "pool": "pooling", "add": "sum, product", "mean": "pooling",
        "linear": "linear",
    }  # fmt: skip


def test_a_network_of_one_input_is_drawn():
    g = GraphBuilder("empty")
    figure = network_figure([g.graph(g.input((1, 3, 8, 8)))])
    assert "0 MACs" in figure.axes[0].get_title(loc="left")
