"""The contrastive loss against eq. 1 in plain loops; the encoder it trains; embeddings that depend on one graph."""

import math

import numpy as np
import pytest
import torch

from nasviz.graph.spectral import spectra
from nasviz.predict.contrastive import contrastive_loss, embed, fit_encoder, soft_targets
from nasviz.predict.encoder import PART, Encoder
from nasviz.predict.population import Population
from nasviz.predict.tensors import batches, to_dataset


def weights(encoder: Encoder) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(encoder.parameters()).detach()


@pytest.fixture(scope="module")
def spectrum(bench) -> np.ndarray:
    return spectra(bench.graphs(), 10)


@pytest.fixture(scope="module")
def views(spectrum) -> torch.Tensor:
    """Spectra of two views of twelve networks."""
    return torch.tensor(spectrum[:12]).repeat(2, 1)


@pytest.fixture(scope="module")
def population(bench) -> Population:
    return Population.of(bench.graphs())


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.random.manual_seed(0)
    return Encoder().eval()


# Equation 1


def equation_one(z, spectra, temperature, sharpness=1.0):
    """L = mean_i −Σ_{j≠i} α_ij log(exp s_ij / Σ_{r≠i} exp s_ir), term by term."""
    indices, losses = range(len(z)), []

    def s(i, j):
        return np.dot(z[i], z[j]) / np.linalg.norm(z[i]) / np.linalg.norm(z[j]) / temperature

    def sigma(i, j):
        return sharpness * np.linalg.norm(spectra[i] - spectra[j])

    for i in indices:
        others = [j for j in indices if j != i]
        total = sum(math.exp(-sigma(i, j)) for j in others)
        partition = sum(math.exp(s(i, r)) for r in others)
        losses.append(-sum(math.exp(-sigma(i, j)) / total * math.log(math.exp(s(i, j)) / partition) for j in others))
    return np.mean(losses)


@pytest.mark.parametrize(("temperature", "sharpness"), [(0.05, 1.0), (0.5, 1.0), (0.1, 30.0)])
def test_the_loss_is_equation_one(views, temperature, sharpness):
    z = torch.randn(24, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = contrastive_loss(z, soft_targets(views, sharpness), temperature)
    assert loss.item() == pytest.approx(equation_one(z.numpy(), views.numpy(), temperature, sharpness))


def test_the_targets_weigh_the_other_view_most(views):
    alpha = soft_targets(views)
    np.testing.assert_allclose(alpha.sum(1), 1)
    assert (alpha.diagonal() == 0).all() and (alpha >= 0).all()
    # Row i's largest weight is that of its copy, 12 rows on, and of whatever else has the same spectrum.
    copies = alpha[torch.arange(24), (torch.arange(24) + 12) % 24]
    assert torch.equal(copies, alpha.max(1).values)
    assert soft_targets(views, 50.0).max() > 2 * alpha.max()


def test_networks_of_one_spectrum_share_their_weight_evenly():
    alpha = soft_targets(torch.zeros(5, 3))
    np.testing.assert_allclose(alpha, (1 - np.eye(5)) / 4)


def test_the_gradient_is_finite_and_the_smallest_loss_is_where_eq_1_has_it():
    # Two networks that are far apart: each view's only partner is its copy, so the loss vanishes when copies coincide.
    alpha = soft_targets(torch.tensor([[0.0], [1e3], [0.0], [1e3]]))
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = contrastive_loss(z, alpha, 0.05)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and torch.isfinite(z.grad).all()
    wrong = contrastive_loss(z.detach()[[0, 1, 1, 0]], alpha, 0.05)
    assert wrong.item() == pytest.approx(20, abs=1)


def test_the_gradient_is_the_numerical_one(views):
    z = torch.randn(24, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    torch.autograd.gradcheck(lambda z: contrastive_loss(z, soft_targets(views), 0.2), z)


def test_a_batch_of_one_network_has_only_its_copy_and_no_loss():
    z = torch.randn(2, 4, requires_grad=True)
    loss = contrastive_loss(z, soft_targets(torch.ones(2, 3)), 0.1)
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(z.grad).all()


# Training


def fit(population, spectrum, **options):
    options = {"epochs": 2, "batch_size": 16, "lr": 2e-3} | options
    return fit_encoder(population.dataset, spectrum, population.flops, **options)


def test_the_loss_falls_and_its_terms_add_up(population, spectrum):
    _, history = fit(population, spectrum, epochs=4, flops_weight=0.5)
    assert history.columns.tolist() == ["epoch", "loss", "contrastive", "flops_loss"]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] - 0.1
    np.testing.assert_allclose(history["loss"], history["contrastive"] + 0.5 * history["flops_loss"])


def test_one_seed_one_encoder_and_no_trace_in_the_global_generators(population, spectrum):
    torch.random.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002 - the global generator is what is watched
    before, theirs = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, _ = fit(population, spectrum, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == theirs).all()  # noqa: NPY002
    torch.random.manual_seed(8)
    second, _ = fit(population, spectrum, epochs=1)
    other, _ = fit(population, spectrum, epochs=1, seed=1)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))
    assert not first.training


def test_a_network_without_flops_does_not_spoil_the_training(population, spectrum):
    flops = population.flops.copy()
    flops[0] = 0
    _, history = fit_encoder(population.dataset, spectrum, flops, epochs=1)
    assert np.isfinite(history["loss"]).all()


def test_a_checkpoint_of_other_settings_or_data_is_refused(population, spectrum, tmp_path):
    path = tmp_path / "encoder.safetensors"
    encoder, _ = fit(population, spectrum, epochs=1, checkpoint=path)
    again, _ = fit(population, spectrum, epochs=1, checkpoint=path)
    assert torch.equal(weights(encoder), weights(again))
    for change in ({"temperature": 0.3}, {"sharpness": 5.0}, {"flops_weight": 2.0}, {"seed": 1}, {"lr": 1e-4}):
        with pytest.raises(ValueError, match="is the checkpoint of another training; delete it or name another file"):
            fit(population, spectrum, **({"epochs": 1, "checkpoint": path} | change))
    others = Population(population.dataset, population.flops[::-1])
    with pytest.raises(ValueError, match="another training"):
        fit(others, spectrum, epochs=1, checkpoint=path)


# Embedding


def test_an_embedding_depends_on_no_other_graph(population, encoder):
    dataset = population.dataset
    assert len(dataset) > PART
    together = embed(encoder, dataset)
    assert together.shape == (60, encoder.out_features) and together.dtype == np.float32
    alone = np.concatenate([embed(encoder, [data]) for data in dataset])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(embed(encoder, dataset, batch_size=7), together, atol=1e-5)
    shuffled = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(embed(encoder, [dataset[i] for i in shuffled]), together[shuffled], atol=1e-5)
    assert np.ptp(together, axis=0).max() > 0.01, "the networks differ"


def test_training_and_evaluation_compute_the_same_but_for_dropout(population):
    """torch takes another path through the Transformer in each."""
    encoder = Encoder(dropout=0.0)
    ((_, batch),) = batches(population.dataset, range(60), 60)
    with torch.no_grad():
        torch.testing.assert_close(encoder.train()(batch), encoder.eval()(batch), atol=1e-5, rtol=1e-4)
    dropping = Encoder(dropout=0.1).train()
    first, second = dropping(batch), dropping(batch)
    # The two views of one network differ in the half of the GNN and in that of the Transformer.
    assert all((first[:, half] != second[:, half]).any(1).all() for half in (slice(0, 64), slice(64, 128)))


def test_the_order_of_nodes_does_not_matter_and_the_edges_do(bench, encoder):
    (data,) = to_dataset([max(bench.graphs(), key=len)])
    order = torch.from_numpy(np.random.default_rng(3).permutation(data.num_nodes))
    renamed = data.clone()
    renamed.x, renamed.edge_index = data.x[order], order.argsort()[data.edge_index]
    rewired = data.clone()
    rewired.edge_index = data.edge_index.flip(0)
    h = embed(encoder, [data, renamed, rewired])
    np.testing.assert_allclose(h[0], h[1], atol=1e-5)
    assert np.abs(h[0] - h[2]).max() > 1e-3
