"""Folding: what goes into what, and that nothing of a network's cost is lost."""

import numpy as np
import pytest
import torch
from torch import nn

from nasviz.families import get, names
from nasviz.graph.cost import total_macs
from nasviz.graph.trace import trace
from nasviz.predict.folding import KINDS, fold


def kinds(folded) -> list[str]:
    return [KINDS[int(kind)] for kind in folded.nodes["kind"]]


def traced(*layers: nn.Module):
    return trace(nn.Sequential(*layers), torch.zeros(1, 3, 8, 8))


def test_both_orders_of_a_layer_become_the_same_node():
    behind = fold([traced(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU())])
    before = fold([traced(nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))])
    ahead = fold([traced(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1, bias=False))])
    for folded in (behind, before, ahead):
        assert kinds(folded) == ["input", "conv"]
        assert folded.nodes[["norms", "activations"]].iloc[1].tolist() == [1, 1]
        assert folded.nodes["params"].sum() == 3 * 3 * 9 + 6
        assert folded.edges.tolist() == [[0, 1]]
    assert behind.nodes.equals(before.nodes) and behind.nodes.equals(ahead.nodes)
    assert behind.origin.tolist() == [0, 1] and before.origin.tolist() == [0, 2] and ahead.origin.tolist() == [0, 3]


class Shared(nn.Module):
    """The convolution is read twice, so neither norm is its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return self.one(y) + self.two(y)


def test_what_is_read_twice_keeps_its_readers_apart():
    folded = fold([trace(Shared(), torch.zeros(1, 3, 8, 8))])
    assert kinds(folded) == ["input", "conv", "norm", "norm", "combine"]
    assert folded.edges.tolist() == [[0, 1], [1, 2], [1, 3], [2, 4], [3, 4]]
    assert folded.level.tolist() == [0, 1, 2, 2, 3]


def test_moves_vanish_and_pools_are_told_from_squeezes():
    folded = fold([traced(nn.Dropout(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))])
    assert kinds(folded) == ["input", "pool", "squeeze", "linear"]


@pytest.mark.parametrize("name", names()[:9])
def test_costs_are_conserved_and_order_is_kept(name):
    family = get(name)
    graphs = [family.graph(arch) for arch in family.sample(4, seed=3)]
    folded = fold(graphs)
    totals = folded.nodes[["macs", "params"]].groupby(folded.owner).sum()
    assert totals["macs"].tolist() == [total_macs(graph) for graph in graphs]
    assert totals["params"].tolist() == [graph.params for graph in graphs]
    assert len(folded.nodes) < sum(map(len, graphs))
    source, target = folded.edges.T
    assert (source < target).all() and (np.diff(target) >= 0).all()
    assert (folded.owner[source] == folded.owner[target]).all()
    assert (folded.level[target] > folded.level[source]).all()


def test_a_part_is_what_folding_it_alone_gives():
    family = get("nb301")
    graphs = [family.graph(arch, "digits") for arch in family.sample(5, seed=0)]
    part, alone = fold(graphs).take([3, 0]), fold([graphs[3], graphs[0]])
    assert part.nodes.equals(alone.nodes)
    for name in ("edges", "start", "level", "origin"):
        np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))
