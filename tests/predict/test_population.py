"""Populations: FLOPs of one input, parts, embeddings that are computed once, and what is no population."""

import numpy as np
import pytest
import torch
from torch import nn

import nasviz as nv
from nasviz.graph.cost import total_flops
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op
from nasviz.predict import population as module
from nasviz.predict.contrastive import embed
from nasviz.predict.encoder import Encoder
from nasviz.predict.population import Population


@pytest.fixture(scope="module")
def graphs(bench):
    return bench.graphs()[:20]


@pytest.fixture
def encoder():
    return Encoder().eval()


@pytest.fixture
def embedded(monkeypatch):
    """Sizes of the data sets that are embedded from here on."""
    seen = []
    monkeypatch.setattr(
        module, "embed", lambda encoder, dataset: (seen.append(len(dataset)), embed(encoder, dataset))[1]
    )
    return seen


def test_flops_are_those_of_one_input(graphs):
    population = Population.of(graphs)
    assert len(population) == 20
    np.testing.assert_array_equal(population.flops, [total_flops(graph) for graph in graphs])
    convolution = nn.Conv2d(3, 4, 3)  # 6 × 6 positions, 4 channels, 27 multiply-accumulates and a bias each
    traced = [nv.trace(convolution, torch.zeros(n, 3, 8, 8)) for n in (1, 5)]
    one, five = Population.of(traced).flops
    assert one == five == total_flops(traced[0]) >= 2 * 6 * 6 * 4 * 27


def test_a_population_is_passed_on(graphs):
    population = Population.of(iter(graphs))
    assert Population.of(population) is population and len(population) == 20


def test_embeddings_are_computed_once_and_go_with_the_parts(graphs, encoder, embedded):
    population = Population.of(graphs)
    h = population.embedding(encoder)
    assert population.embedding(encoder) is h
    part = population.take([7, 3, 3])
    np.testing.assert_array_equal(part.embedding(encoder), h[[7, 3, 3]])
    assert embedded == [20]
    other = Encoder().eval()
    assert not np.array_equal(population.embedding(other), h) and embedded == [20, 20]
    assert np.array_equal(population.embedding(encoder), h) and embedded == [20, 20]


def test_a_part_has_its_own_rows(graphs):
    population = Population.of(graphs)
    mask = np.arange(20) % 3 == 0
    for rows in ([0, 3, 6, 9, 12, 15, 18], mask, slice(0, 20, 3)):
        part = population.take(rows)
        assert len(part) == 7
        assert [data is population.dataset[3 * i] for i, data in enumerate(part.dataset)] == [True] * 7
        np.testing.assert_array_equal(part.flops, population.flops[::3])


@pytest.mark.parametrize(
    ("graphs", "error", "says"),
    [
        ([], ValueError, "graphs is empty; give at least one ComputeGraph"),
        ([nn.Linear(3, 4)], TypeError, r"graphs\[0\] is a Linear, not a ComputeGraph; make one with nv.trace"),
        (nn.Linear(3, 4), TypeError, "graphs must be a list of ComputeGraph, got a single Linear"),
        (nn.Sequential(nn.ReLU()), TypeError, r"graphs\[0\] is a ReLU, not a ComputeGraph"),
        (ComputeGraph([Node(Op.INPUT)], []), TypeError, "got a single ComputeGraph"),
        (None, TypeError, "got a single NoneType"),
        ("nb101", TypeError, r"graphs\[0\] is a str"),
        ([ComputeGraph([], [], name="void")], ValueError, "the graph 'void' has no nodes"),
    ],
)
def test_what_is_no_population_is_refused(graphs, error, says):
    with pytest.raises(error, match=says):
        Population.of(graphs)


def test_a_node_without_shape_counts_as_one_input():
    assert Population.of([ComputeGraph([Node(Op.INPUT)], [])]).flops.tolist() == [0]
