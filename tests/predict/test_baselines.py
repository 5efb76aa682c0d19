"""Predictors on cells: encodings by hand and by networkx, networks that do not see padding or order, learning."""

from itertools import permutations

import networkx as nx
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nasviz.families import get
from nasviz.families.nb101 import Cell
from nasviz.predict.baselines import CELL_PREDICTORS, CellPredictor, as_cells
from nasviz.predict.baselines_cells import BANANAS, NPN, TNASP, matrices, operation_paths, path_numbers
from nasviz.predict.metrics import srcc

NB101 = get("nb101")


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return NB101.sample(80, seed=4)


@pytest.fixture(scope="module")
def accuracy(cells) -> np.ndarray:
    """Something to learn: more 3 × 3 convolutions and a direct way from input to output are better."""
    return np.array([0.7 + 0.04 * cell.ops.count(0) + 0.03 * cell.matrix[0][-1] for cell in cells])


@pytest.fixture(params=CELL_PREDICTORS)
def method(request) -> str:
    return request.param


def output(network, cells):
    with torch.no_grad():
        return network.eval()(*network.encode(cells))


# Encodings


def test_padded_matrices():
    cell = NB101.parse("3:7:2")
    adjacency, operations = matrices([cell])
    expected = np.zeros((7, 7))
    expected[0, 1] = expected[0, 2] = expected[1, 2] = 1
    np.testing.assert_array_equal(adjacency[0], expected)
    assert operations.tolist() == [[3, 2, 4, 5, 5, 5, 5]]


def test_paths_are_those_of_networkx(cells):
    for cell in cells:
        graph = nx.from_numpy_array(np.array(cell.matrix), create_using=nx.DiGraph)
        ways = nx.all_simple_paths(graph, 0, len(cell.matrix) - 1)
        assert operation_paths(cell) == {tuple(cell.ops[v - 1] for v in way[1:-1]) for way in ways}


def test_the_path_encoding_and_its_truncation(cells):
    assert [len(path_numbers(longest)) for longest in range(6)] == [1, 4, 13, 40, 121, 364]
    assert list(path_numbers(1)) == [(), (0,), (1,), (2,)]
    every, short = (BANANAS(longest=longest) for longest in (5, 3))
    (full,), (cut,) = every.encode(cells), short.encode(cells)
    assert full.shape == (80, 364) and torch.equal(cut, full[:, :40]) and full[:, 40:].any()
    assert full.sum(1).tolist() == [len(operation_paths(cell)) for cell in cells]
    (one,) = every.encode([NB101.parse("3:7:2")])
    assert one[0].nonzero().flatten().tolist() == [0, 3], "the direct way, and the one through max pooling"


def test_the_laplacian_of_a_directed_graph(cells):
    laplacian, _ = TNASP.encode(cells)
    for row, cell in zip(laplacian.numpy(), cells, strict=True):
        a = np.array(cell.matrix)
        np.testing.assert_array_equal(row[: len(a), : len(a)], np.diag(a.sum(1)) - a)
    assert (laplacian.sum(2) == 0).all()


# Networks


def test_a_graph_convolution_by_hand(cells):
    network = NPN(width=6, layers=2, hidden=5)
    got = output(network, cells)
    for i in (0, 7):
        a, o = np.array(cells[i].matrix) + np.eye(len(cells[i].matrix)), [3, *cells[i].ops, 4]
        x = torch.eye(5)[o]
        scale = [torch.tensor(m / m.sum(1, keepdims=True), dtype=torch.float32) for m in (a.T, a)]
        for along, against in zip(network.along, network.against, strict=True):
            x = (F.relu(scale[0] @ x @ along.weight.T) + F.relu(scale[1] @ x @ against.weight.T)) / 2
        expected = network.out(network.hidden(x.mean(0))).item()
        assert got[i].item() == pytest.approx(expected, abs=1e-5)


def test_npn_and_bananas_do_not_see_the_order_of_the_vertices(cells):
    """Isomorphic cells are one architecture. (TNASP's positions do depend on the order.)"""
    pairs = []
    for cell in cells:
        size = len(cell.matrix)
        for order in permutations(range(1, size - 1)):
            order = (0, *order, size - 1)
            moved = np.array(cell.matrix)[np.ix_(order, order)]
            if not np.tril(moved).any() and order != tuple(range(size)):
                pairs.append((cell, NB101.from_matrix(moved, [cell.ops[v - 1] for v in order[1:-1]])))
                break
    assert len(pairs) > 10 and any(a.ops != b.ops for a, b in pairs)
    one, other = zip(*pairs, strict=True)
    for network in (NPN(), BANANAS(longest=5)):
        torch.testing.assert_close(output(network, one), output(network, other), rtol=1e-4, atol=1e-5)


def test_padding_is_not_seen():
    network = TNASP().eval()
    laplacian, operations = network.encode([NB101.parse("3:7:2")])
    with torch.no_grad():
        before = network(laplacian, operations)
        network.operation.weight[5] += 10
        laplacian[0, 4] = 3.0
        assert torch.equal(network(laplacian, operations), before)
        network.operation.weight[3] += 10
        assert not torch.equal(network(laplacian, operations), before)


def test_bananas_loss_is_the_papers_in_errors():
    y, bound = torch.tensor([0.5, -1.0, 1.2]), 2.0
    output = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, 1.2]])
    error, predicted, lower = 1 - y, 1 - output, 1 - bound
    papers = ((predicted - lower) / (error - lower) - 1).abs()
    assert BANANAS.loss(output, y, bound).item() == pytest.approx(papers.mean(1).sum().item())


def test_an_ensemble_is_of_different_networks_and_predicts_their_mean(cells, accuracy):
    predictor = CellPredictor("BANANAS", networks=3).fit(cells, accuracy, epochs=1)
    each = output(predictor.network, cells)
    assert each.shape == (3, 80) and (each.std(0) > 1e-4).any()
    expected = each.mean(0).numpy() * accuracy.std() + accuracy.mean()
    np.testing.assert_allclose(predictor.predict(cells), expected, atol=1e-6)


# Learning


def test_it_learns_and_predicts_unseen_cells(cells, accuracy, method):
    epochs = {"NPN": 20, "BANANAS": 40, "TNASP": 8}[method]
    predictor = CellPredictor(method).fit(cells[:60], accuracy[:60], epochs=epochs, batch_size=8)
    assert predictor.history_["loss"].iloc[-1] < 0.5 * predictor.history_["loss"].iloc[0]
    predicted = predictor.predict(cells[60:])
    assert srcc(predicted, accuracy[60:]) > 0.5
    np.testing.assert_allclose(predictor.predict(cells[60:], batch_size=3), predicted, atol=1e-5)
    assert not predictor.network.training


def test_text_forms_and_cells_are_the_same_and_a_seed_repeats(cells, accuracy, method):
    texts = [NB101.format(cell) for cell in cells]
    one, same, other = (
        CellPredictor(method).fit(given, accuracy, epochs=1, seed=seed).predict(cells[:9])
        for given, seed in ((cells, 0), (texts, 0), (cells, 1))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_every_number_of_a_fit_is_of_its_labels(cells, accuracy, method):
    """The bound and the statistics too: other cells' labels can reach nothing, since `fit` is not given any."""
    predictor = CellPredictor(method).fit(cells, accuracy, epochs=1)
    assert predictor.transform.mean_ == pytest.approx(accuracy.mean())
    bound = predictor._bound(accuracy) * predictor.transform.std_ + predictor.transform.mean_
    assert bound == pytest.approx(accuracy.max() + 0.1 * (1 - accuracy.max())) and bound > accuracy.max()
    perfect = np.where(accuracy == accuracy.max(), 1.0, accuracy)
    other = CellPredictor(method).fit(cells, perfect, epochs=1)
    assert np.isfinite(other.predict(cells)).all() and not np.allclose(other.predict(cells), predictor.predict(cells))


# What does not fit


def test_what_does_not_fit_is_told(cells, accuracy):
    with pytest.raises(ValueError, match="method='GP': choose from NPN, BANANAS, TNASP"):
        CellPredictor("GP")
    with pytest.raises(ValueError, match="NPN was not trained: call fit with labelled cells first"):
        CellPredictor("NPN").predict(cells)
    with pytest.raises(ValueError, match="cells, accuracy must describe the same networks"):
        CellPredictor("NPN").fit(cells, accuracy[:-1])
    with pytest.raises(ValueError, match="divide percentages by 100"):
        CellPredictor("NPN").fit(cells, 100 * accuracy)
    with pytest.raises(ValueError, match="'3:9' is not a NAS-Bench-101 cell"):
        as_cells(["3:7:0", "3:9"])
    with pytest.raises(TypeError, match=r"cells\[1\] is a int; give cells of nb101 or their text form"):
        as_cells([cells[0], 3])
    assert CellPredictor("NPN").fit(cells, accuracy, epochs=1).predict([]).shape == (0,)
