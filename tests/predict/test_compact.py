"""Compact batches: the same numbers and gradients as plain PyG, from classes that a slow refinement confirms."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from nasviz.predict.compact import CONVOLUTIONS, CompactGraphs, Sparse
from nasviz.predict.encoder import GNN, EndToEnd
from nasviz.predict.tensors import FEATURES, batches, to_dataset

LAYERS = 4


@pytest.fixture(scope="module")
def dataset(bench) -> list[Data]:
    """Two families; a graph of one node; one with a node that two edges reach from one other; one of two parts."""
    rng = np.random.default_rng(3)
    made = to_dataset(bench.graphs())
    for nodes, edges in ((1, []), (3, [(0, 1), (0, 1), (1, 2)]), (4, [(1, 0), (3, 2)])):
        x = torch.tensor(rng.normal(size=(nodes, len(FEATURES))), dtype=torch.float32)
        edge_index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T
        made.append(Data(x=x, edge_index=edge_index, num_nodes=nodes))
    return made


@pytest.fixture(params=CONVOLUTIONS)
def convolution(request) -> str:
    return request.param


def gradients(network: torch.nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return torch.autograd.grad(loss, list(network.parameters()))


def test_outputs_and_gradients_are_those_of_plain_pyg(dataset, convolution):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = EndToEnd(convolution, layers=LAYERS)
    with torch.no_grad():  # fresh weights give nearly the same output for every graph
        for weight in network.parameters():
            weight *= 2.5
    rows, plain = next(batches(dataset, range(len(dataset)), len(dataset)))
    compact = CompactGraphs(dataset, LAYERS, convolution).batch(rows.numpy())
    ours, theirs = network(compact), network(plain)
    assert ours.shape == (len(dataset),) and ours.std() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    weights = torch.linspace(-1, 1, len(dataset))
    for a, b in zip(gradients(network, ours @ weights), gradients(network, theirs @ weights), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * b.abs().max().item())


def test_every_node_has_the_vector_of_its_class(dataset, convolution):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        gnn = GNN(8, LAYERS, convolution=convolution)
    graphs = CompactGraphs(dataset, LAYERS, convolution)
    batch = graphs.batch(range(len(dataset)))
    vectors = gnn.of_classes(batch)
    dense = batch.pool.matrix.to_dense() @ vectors
    for row, data in enumerate(dataset):
        torch.testing.assert_close(dense[row], gnn(data.x, data.edge_index).mean(0), rtol=1e-5, atol=1e-6)
    nodes = sum(data.num_nodes for data in dataset)
    sizes = [len(batch.x), *(step.matrix.shape[0] for step in batch.steps)]
    assert sizes == sorted(sizes) and sizes[0] < 0.1 * nodes and sizes[-1] < 0.6 * nodes, "or nothing is saved"


def test_classes_are_histories(dataset):
    """Against histories written out: nested tuples of features and of the predecessors' histories."""
    features = [tuple(row) for data in dataset for row in data.x.tolist()]
    offsets = np.cumsum([0, *(data.num_nodes for data in dataset)])
    predecessors: list[list[int]] = [[] for _ in features]
    for data, offset in zip(dataset, offsets[:-1], strict=True):
        for source, target in data.edge_index.T.tolist():
            predecessors[target + offset].append(source + offset)
    history = [(x, len(before)) for x, before in zip(features, predecessors, strict=True)]
    graphs = CompactGraphs(dataset, 3)
    for layer, classes in enumerate(graphs.classes):
        pairs = set(zip(classes.tolist(), history, strict=True))
        assert len(pairs) == len(set(history)) == classes.max() + 1 == graphs.counts[layer]
        numbers = {h: i for i, h in enumerate(dict.fromkeys(history))}
        short = [numbers[h] for h in history]
        history = [(short[v], tuple(sorted(short[w] for w in before))) for v, before in enumerate(predecessors)]


@pytest.mark.parametrize("rows", [[5], [60, 0, 61, 62], [7, 7, 3]])
def test_graphs_come_in_the_order_that_is_asked_for(dataset, rows):
    network = EndToEnd(layers=LAYERS)
    graphs = CompactGraphs(dataset, LAYERS)
    with torch.no_grad():
        alone = torch.cat([network(graphs.batch([row])) for row in rows])
        torch.testing.assert_close(network(graphs.batch(rows)), alone)
        part = graphs.take([2, *rows])
        assert len(part) == len(rows) + 1
        torch.testing.assert_close(network(part.batch(range(1, len(part)))), alone)
        again = part.take(range(1, len(part)))
        torch.testing.assert_close(network(again.batch(range(len(rows)))), alone)


def test_batches_hold_every_graph_once(dataset):
    graphs = CompactGraphs(dataset, 1)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    parts = list(graphs.batches(order, 25))
    assert torch.equal(torch.cat([rows for rows, _ in parts]), order)
    assert [batch.pool.matrix.shape[0] for _, batch in parts] == [25, 25, 13]
    network = EndToEnd(layers=1)
    with torch.no_grad():
        for part in (graphs.take(order[:5]), graphs.take(order[5:10])):  # each with batches of its own
            together = network(part.batch(range(5)))
            for _ in range(2):
                alone = {int(row): network(batch) for row, batch in part.batches(torch.randperm(5), 1)}
                torch.testing.assert_close(torch.cat([alone[row] for row in range(5)]), together)


@pytest.mark.parametrize("width", [5, 1 << 17])
def test_a_sparse_product_and_its_gradient(width):
    rng = np.random.default_rng(0)
    first = np.array([0, 2, 2, 5, 6], dtype=np.int32)
    columns = rng.integers(0, width, 6).astype(np.int32)
    columns[3] = columns[2]  # an entry that is given twice counts twice
    values = rng.normal(size=6).astype(np.float32)
    matrix = torch.zeros(4, width)
    for row, column, value in zip([0, 0, 2, 2, 2, 3], columns, values, strict=True):
        matrix[row, column] += value
    dense = torch.tensor(rng.normal(size=(width, 3)), dtype=torch.float32, requires_grad=True)
    product = Sparse.of(first, columns, values, width) @ dense
    torch.testing.assert_close(product, matrix @ dense)
    upstream = torch.tensor(rng.normal(size=(4, 3)), dtype=torch.float32)
    (gradient,) = torch.autograd.grad(product, dense, upstream)
    torch.testing.assert_close(gradient, matrix.T @ upstream)


def test_an_unknown_convolution_is_told():
    with pytest.raises(ValueError, match="convolution='GAT': choose from k-GNN, GCN, GIN"):
        GNN(8, 2, convolution="GAT")
