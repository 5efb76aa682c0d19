"""Structural features against every path, written out one by one."""

import networkx as nx
import numpy as np
import pytest

from nasviz.families import get
from nasviz.predict.folding import KINDS, fold
from nasviz.predict.structure import node_weights, spread_features, structural_features

COLUMNS = ["layers", "convs", "pools", "log macs", "log fan-in"]


def paths(folded, network: int):
    """Every path of one network to its last node: its nodes, and its chance in a walk back from there."""
    start, stop = folded.start[network : network + 2]
    graph = nx.DiGraph()
    graph.add_nodes_from(range(start, stop))
    graph.add_edges_from(folded.edges[(folded.edges[:, 1] >= start) & (folded.edges[:, 1] < stop)].tolist())
    roots = [node for node in graph if graph.in_degree(node) == 0]
    if roots == [stop - 1]:
        return [([stop - 1], 1.0)]
    return [
        (path, float(np.prod([1 / graph.in_degree(node) for node in path[1:]])))
        for root in roots
        for path in nx.all_simple_paths(graph, root, stop - 1)
    ]


@pytest.fixture(scope="module")
def folded():
    cells = get("nb101").sample(6, seed=2)
    graphs = [get("nb101").graph(cell, "digits") for cell in cells]
    return fold([*graphs, *(get("two_path").graph(arch, "digits") for arch in get("two_path").sample(2, seed=0))])


def test_path_statistics_are_those_of_all_paths(folded):
    weights, features, spread = node_weights(folded), structural_features(folded), spread_features(folded)
    for network in range(len(folded)):
        found = paths(folded, network)
        chance = np.array([p for _, p in found])
        assert chance.sum() == pytest.approx(1)
        assert features["log paths"][network] == pytest.approx(np.log(len(found)))
        for name in COLUMNS:
            sums = np.array([weights[name].to_numpy()[path].sum() for path, _ in found])
            walk = (chance * sums).sum()
            expected = {
                f"longest {name}": sums.max(), f"shortest {name}": sums.min(),
                f"walk {name}": walk, f"path {name}": sums.mean(),
            }  # fmt: skip
            for column, value in expected.items():
                assert features[column][network] == pytest.approx(value), column
            assert spread[f"path spread {name}"][network] == pytest.approx(sums.std(), abs=1e-5)
            deviation = np.sqrt((chance * (sums - walk) ** 2).sum())
            assert spread[f"walk spread {name}"][network] == pytest.approx(deviation, abs=1e-5)


def test_totals_count_every_node(folded):
    features, nodes = structural_features(folded), folded.nodes
    convs = (nodes["kind"] == KINDS.index("conv")).groupby(folded.owner).sum()
    assert features["total convs"].tolist() == convs.tolist()
    assert features["log macs"].tolist() == np.log2(1 + nodes["macs"].groupby(folded.owner).sum()).tolist()


def test_a_walk_onwards_is_the_mean_over_forward_choices(folded):
    """A chain has one path, so all means are its sum; and a network's walk visits its input once."""
    proxyless = get("proxyless")
    chain = fold([proxyless.graph(arch, "digits") for arch in proxyless.sample(2, seed=1)])
    onward = spread_features(folded)["onward layers"]
    assert (onward >= 2).all() and (onward <= structural_features(folded)["longest layers"] + 1e-9).all()
    assert len(spread_features(chain)) == 2 and spread_features(chain).notna().all(axis=None)


def test_rows_do_not_depend_on_who_else_is_there(folded):
    part = folded.take([5, 1])
    np.testing.assert_allclose(structural_features(part), structural_features(folded).iloc[[5, 1]])
    np.testing.assert_allclose(spread_features(part), spread_features(folded).iloc[[5, 1]])
