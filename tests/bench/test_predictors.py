"""How fast predictors learn and rank: the k-GNN beside plain PyG code, the merge sort of pairwise classifiers.

Times depend on the machine, so the assertions are about ratios within one run. Run with ``python -m pytest -m bench``.
"""

import time
from functools import cmp_to_key

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GraphConv, global_mean_pool

import nasviz as nv
from nasviz.predict.folds import Fold
from nasviz.predict.mergesort import merge_sort
from nasviz.predict.pairwise import PairNetwork
from nasviz.predict.population import Population
from nasviz.predict.regressors import GNNRegressor

pytestmark = pytest.mark.bench
GRAPHS, EPOCHS, NETWORKS = 1600, 3, 10_000


class Plain(nn.Module):
    """The unfolded k-GNN as anybody would write it with PyG: six layers of 32."""

    def __init__(self, features: int, width: int = 32):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.convs = nn.ModuleList(GraphConv(width, width) for _ in range(6))
        layers = [layer for _ in range(4) for layer in (nn.Linear(width, width), nn.ReLU())]
        self.head = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, data):
        x = self.embed(data.x)
        for conv in self.convs:
            x = conv(x, data.edge_index).relu()
        return self.head(global_mean_pool(x, data.batch)).squeeze(-1)


@pytest.fixture(scope="module")
def fold() -> Fold:
    """Cells of seven vertices and nine edges, as most are, whose graphs have about 190 nodes; all different."""
    family, rng = nv.families.get("nb101"), np.random.default_rng(0)
    above = np.transpose(np.triu_indices(7, 1))
    cells = {}
    while len(cells) < GRAPHS:
        matrix = np.zeros((7, 7), dtype=int)
        matrix[tuple(rng.permutation(above)[:9].T)] = 1
        try:
            cell = family.from_matrix(matrix, rng.integers(0, 3, 5))
        except ValueError:  # no way from input to output
            continue
        if len(cell.matrix) == 7:
            cells[cell.hash] = cell
    population = Population.of([family.graph(cell) for cell in cells.values()])
    return Fold(population, np.random.default_rng(0).uniform(0.8, 0.95, len(cells)))


def train_plain(fold: Fold) -> Plain:
    target = (fold.accuracy - fold.accuracy.mean()) / fold.accuracy.std()
    for data, y in zip(fold.population.dataset, target, strict=True):
        data.y = torch.tensor([y], dtype=torch.float32)
    network = Plain(fold.population.dataset[0].x.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for batch in DataLoader(fold.population.dataset, batch_size=32, shuffle=True):
            optimiser.zero_grad()
            F.mse_loss(network(batch), batch.y).backward()
            optimiser.step()
    return network


def train_ours(fold: Fold) -> nn.Module:
    fresh = Fold(Population(fold.population.dataset, fold.population.flops), fold.accuracy)  # nothing prepared before
    return GNNRegressor().fit(fresh, fresh.take([0, 1]), epochs=EPOCHS, batch_size=32).network


def cpu_seconds(work) -> float:
    """CPU time of the faster of two runs, which other processes disturb less."""
    times = []
    for _ in range(2):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_a_k_gnn_trains_twice_as_fast_as_plain_pyg(fold, results):
    torch.set_num_threads(1)
    nodes = np.mean([data.num_nodes for data in fold.population.dataset])
    assert len(fold) == GRAPHS and 180 < nodes < 210
    sizes = [sum(p.numel() for p in train(fold).parameters()) for train in (train_plain, train_ours)]
    assert sizes[0] == sizes[1], "the same network"
    rates = {name: EPOCHS * GRAPHS / cpu_seconds(lambda train=train: train(fold))
             for name, train in (("plain PyG", train_plain), ("nasviz", train_ours))}  # fmt: skip
    table = pd.DataFrame({"graphs/s in training": rates})
    table["times plain PyG"] = table["graphs/s in training"] / rates["plain PyG"]
    results(
        "A k-GNN in training",
        f"Six GraphConv layers of width 32, batches of 32 graphs of {nodes:.0f} nodes on average, {EPOCHS} epochs of "
        f"{GRAPHS} graphs, one thread, CPU time; ours with all that it prepares. Outputs and gradients are those of "
        "PyG (tests/predict/test_compact.py).",
        table.round(1),
    )
    assert rates["nasviz"] >= 2 * rates["plain PyG"]


def test_ten_thousand_networks_are_ranked_in_seconds(results):
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vectors = 3 * torch.randn(NETWORKS, 16)
    compare = PairNetwork(128).comparator(vectors)

    def one_at_a_time() -> list[int]:
        return sorted(range(NETWORKS), key=cmp_to_key(lambda a, b: -compare(np.array([a]), np.array([b]))[0]))

    seconds = {}
    for name, sort in (("functools.cmp_to_key", one_at_a_time), ("nasviz", lambda: merge_sort(NETWORKS, compare))):
        start = time.process_time()
        sort()
        seconds[name] = time.process_time() - start
    table = pd.DataFrame({"seconds": seconds}).round(2)
    results(
        "Merge sort by a pairwise classifier",
        f"{NETWORKS:,} networks, their vectors being there; one thread, CPU time. Python's sort asks for one pair at a "
        "time.",
        table,
    )
    assert seconds["nasviz"] < min(10, seconds["functools.cmp_to_key"])
