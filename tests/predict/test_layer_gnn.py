"""The deep graph neural network: batches, messages, training."""

import numpy as np
import pytest
import torch
from torch import nn

from nasviz.families import get
from nasviz.graph.trace import trace
from nasviz.predict.folding import fold
from nasviz.predict.layer_gnn import (
    Block,
    LayerGNN,
    LayerGraphs,
    fit_layer_gnn,
    layer_features,
    run_layer_gnn,
)


@pytest.fixture(scope="module")
def folded():
    graphs = [get("nb101").graph(arch, "digits") for arch in get("nb101").sample(24, seed=4)]
    return fold([*graphs, *(get("ofa_mbv3").graph(arch, "digits") for arch in get("ofa_mbv3").sample(3, seed=0))])


@pytest.fixture(scope="module")
def layers(folded):
    return LayerGraphs(folded)


@pytest.fixture(scope="module")
def target(folded):
    depth = np.array([level.max() for level in np.split(folded.level, folded.start[1:-1])], dtype=float)
    return (depth - depth.mean()) / depth.std()


def test_features_do_not_see_how_wide_a_network_is():
    def network(width):
        convs = [nn.Conv2d(width, c * width, 3, stride=2, padding=1) for c in (1, 2)]
        return trace(nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *convs), torch.zeros(1, 3, 8, 8))

    narrow, wide = (layer_features(fold([network(width)])) for width in (8, 32))
    assert torch.equal(narrow[2:, :-1], wide[2:, :-1])  # behind the image and the stem, all but the fan-in
    assert not torch.equal(narrow[2:, -1], wide[2:, -1])


def test_a_block_is_its_formula_with_dense_matrices(layers):
    batch = layers.batch([2, 25])
    block = Block(8)
    h = torch.randn(len(batch.x), 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = block(h, batch.along, batch.against)
    out.square().sum().backward()
    gradient, h.grad = h.grad.clone(), None
    dense = batch.along.to_dense()
    torch.testing.assert_close(dense.T, batch.against.to_dense())
    z = torch.nn.functional.layer_norm(h, (8,), block.norm.weight, block.norm.bias)
    mixed = block.mix(torch.cat([z, dense @ z, dense.T @ z], dim=1)).relu()
    expected = h + block.out(mixed)
    torch.testing.assert_close(out, expected)
    expected.square().sum().backward()
    torch.testing.assert_close(gradient, h.grad, rtol=1e-4, atol=1e-4)


def test_edges_are_those_of_the_networks(folded, layers):
    batch = layers.batch([3])
    start, stop = folded.start[3:5]
    edges = folded.edges[(folded.edges[:, 1] >= start) & (folded.edges[:, 1] < stop)] - start
    found = batch.along.to_dense().nonzero()[:, [1, 0]].tolist()
    assert sorted(found) == sorted(edges.tolist())


def test_a_network_is_embedded_alike_alone_and_in_company(layers):
    network = LayerGNN(16, 3).eval()
    predicted, embedded = run_layer_gnn(network, layers, batch_size=7)
    with torch.no_grad():
        alone = network(layers.batch([26]))
    assert predicted[26] == pytest.approx(alone.item(), abs=1e-5)
    assert embedded.shape == (27, 48) and np.isfinite(embedded).all()


def test_loss_falls_and_it_learns(layers, target):
    network, history = fit_layer_gnn(layers, range(27), target, width=16, layers=3, epochs=30, batch_size=9)
    assert history["loss"].iloc[-1] < 0.3 * history["loss"].iloc[0]
    assert np.corrcoef(run_layer_gnn(network, layers)[0], target)[0, 1] > 0.9


def test_same_seed_same_weights_and_the_start_is_left_alone(layers, target):
    start = LayerGNN(8, 2)
    before = {name: value.clone() for name, value in start.state_dict().items()}

    def weights(seed, network=None):
        options = {"width": 8, "layers": 2, "epochs": 2, "seed": seed}
        trained, _ = fit_layer_gnn(layers, range(20), target[:20], network=network, **options)
        return torch.cat([value.flatten() for value in trained.state_dict().values()])

    for network in (None, start):
        assert torch.equal(weights(1, network), weights(1, network))
        assert not torch.equal(weights(1, network), weights(2, network))
    assert all(torch.equal(value, start.state_dict()[name]) for name, value in before.items())


def test_an_interrupted_training_ends_the_same(layers, target, tmp_path):
    def train(epochs, checkpoint, stop_after=None):
        class Stop(Exception):
            pass

        graphs, seen = layers, 0
        if stop_after:

            class Breaking:
                def batch(self, rows):
                    nonlocal seen
                    seen += 1
                    if seen > stop_after:
                        raise Stop
                    return layers.batch(rows)

            graphs = Breaking()
        try:
            return fit_layer_gnn(
                graphs, range(20), target[:20], width=8, layers=2, epochs=epochs, batch_size=10, checkpoint=checkpoint
            )[0]
        except Stop:
            return None

    whole = train(4, None)
    path = tmp_path / "gnn.safetensors"
    assert train(4, path, stop_after=5) is None and path.exists()
    resumed = train(4, path)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)
