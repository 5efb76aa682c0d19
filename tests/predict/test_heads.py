"""Heads against `torch.nn` built by hand; training that learns, repeats, and never sees what it must not."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from nasviz.predict.heads import MEMBERSHIP_FLOOR, MLP, MLPEnsemble, fine_tune_head, fit_head, predict_head

D, C, N = 6, 3, 120


@pytest.fixture(autouse=True)
def global_generator_untouched():
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "the global generator was read or set"


@pytest.fixture(scope="module")
def data():
    """Embedding, memberships and a target that a small network can learn from them."""
    generator = np.random.default_rng(0)
    h = generator.normal(size=(N, D))
    u = generator.dirichlet(np.full(C, 0.3), size=N)
    y = np.sin(h[:, 0]) + 0.5 * h[:, 1] + u[:, 0] * h[:, 2]
    return h, u, (y - y.mean()) / y.std()


def weights(head):
    return torch.cat([p.detach().flatten() for p in head.parameters()])


def ensemble(seed=0, **settings):
    return MLPEnsemble(D, C, **{"hidden": 16, "layers": 2, **settings}, seed=seed)


# The networks


def test_mlp_is_a_plain_sequential_and_has_the_papers_size():
    mlp = MLP(128)
    with torch.random.fork_rng():  # nn.Linear draws from the global generator
        by_hand = nn.Sequential(
            nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
            nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1),
        )  # fmt: skip
    by_hand.load_state_dict(mlp.network.state_dict())
    h = torch.linspace(-1, 1, 5 * 128).reshape(5, 128)
    torch.testing.assert_close(mlp(h), by_hand(h)[:, 0])
    assert sum(p.numel() for p in mlp.parameters()) == 128 * 256 + 3 * 256**2 + 256 + 4 * 256 + 1


@pytest.mark.parametrize("out", [1, 4])
def test_ensemble_is_the_sum_of_its_heads_by_membership(out):
    heads = ensemble(out=out)
    generator = torch.Generator().manual_seed(1)
    h = torch.randn(7, D, generator=generator)
    u = torch.rand(7, C, generator=generator)
    alone = torch.stack([heads.head(j)(h).reshape(7, out) for j in range(C)], dim=1)  # (N, C, out)
    expected = torch.einsum("nc,nco->no", u, alone)
    torch.testing.assert_close(heads(h, u).reshape(7, out), expected)
    assert heads(h, u).shape == ((7,) if out == 1 else (7, 4))
    for j in range(C):
        one_hot = torch.eye(C)[j].expand(7, C)
        torch.testing.assert_close(heads(h, one_hot), heads.head(j)(h))


def test_initial_weights_are_distributed_as_those_of_linear():
    with torch.random.fork_rng():
        linear = nn.Linear(400, 300).requires_grad_(False)
    mlp = MLP(400, hidden=300, layers=1).requires_grad_(False)
    heads = MLPEnsemble(400, 2, hidden=300, layers=1).requires_grad_(False)
    for ours in (mlp.network[0].weight, heads.weights[0]):
        assert ours.abs().max().item() == pytest.approx(linear.weight.abs().max().item(), rel=1e-3)
        assert ours.std().item() == pytest.approx(linear.weight.std().item(), rel=0.02)
        assert abs(ours.mean().item()) < 0.001
    assert heads.biases[0].abs().max().item() == pytest.approx(linear.bias.abs().max().item(), rel=0.02)
    assert not torch.allclose(heads.weights[0][0], heads.weights[0][1])


@pytest.mark.parametrize("build", [lambda seed: MLP(D, seed=seed), lambda seed: ensemble(seed)])
def test_the_seed_decides_the_initial_weights(build):
    assert torch.equal(weights(build(3)), weights(build(3)))
    assert not torch.equal(weights(build(3)), weights(build(4)))
    assert weights(build(3)).dtype == torch.float32


def test_the_configuration_rebuilds_the_network():
    for head in (MLP(D, hidden=8, layers=1, out=2), ensemble(out=2)):
        again = type(head)(**head.config, seed=9)
        again.load_state_dict(head.state_dict())
        assert torch.equal(weights(again), weights(head))


@pytest.mark.parametrize("settings", [{"hidden": 0}, {"layers": 0}, {"out": 1.5}, {"in_features": -1}])
def test_sizes_are_whole_numbers(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be a whole number, at least 1"):
        MLP(**{"in_features": D, **settings})


# Training


@pytest.mark.parametrize("loss", ["mse", "huber"])
@pytest.mark.parametrize("fuzzy", [True, False])
def test_training_learns(data, fuzzy, loss):
    h, u, y = data
    head = ensemble() if fuzzy else MLP(D, hidden=32, layers=2)
    history = fit_head(head, h[:100], u[:100], y[:100], loss=loss, epochs=40, batch_size=16, lr=5e-3)
    assert list(history["epoch"]) == list(range(1, 41))
    assert history["train_loss"].iloc[-1] < 0.1 * history["train_loss"].iloc[0]
    assert history["validation_loss"].isna().all()
    predicted = predict_head(head, h[100:], u[100:])
    assert predicted.shape == (20,)
    assert predicted.dtype == np.float32
    assert np.corrcoef(predicted, y[100:])[0, 1] > 0.8


def test_one_step_is_adamws_step_on_the_gradient(data):
    """One epoch of one batch, against autograd and the unfused AdamW."""
    h, u, y = (torch.tensor(x, dtype=torch.float32) for x in data)
    head, twin = ensemble(), ensemble()
    fit_head(head, h, u, y, epochs=1, batch_size=N, lr=1e-2, weight_decay=0.1)
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-2, weight_decay=0.1, fused=False)
    nn.functional.mse_loss(twin(h, u), y).backward()
    optimizer.step()
    torch.testing.assert_close(weights(head), weights(twin), rtol=1e-4, atol=1e-5)


def test_same_seed_same_result(data):
    results = []
    for seed in (5, 5, 6):
        head = ensemble()
        fit_head(head, *data, epochs=2, seed=seed)
        results.append(weights(head))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_validation_is_watched_and_never_learned_from(data):
    h, u, y = data
    train, held_out = (h[:100], u[:100], y[:100]), (h[100:], u[100:], y[100:])
    poison = (1e3 * held_out[0], held_out[1], 1e6 * held_out[2])
    trained = []
    for validation in (None, held_out, poison):
        head = ensemble()
        history = fit_head(head, *train, validation=validation, epochs=3, keep="last")
        trained.append(weights(head))
        assert history["kept"].tolist() == [False, False, True]
    assert torch.equal(trained[0], trained[1])
    assert torch.equal(trained[0], trained[2])


def test_the_best_epoch_is_kept(data):
    h, u, y = data
    # Targets of the other sign: the better the head learns, the worse it does on this validation set.
    validation = (h[:100], u[:100], -y[:100])
    head = ensemble()
    history = fit_head(head, h[:100], u[:100], y[:100], validation=validation, epochs=6, lr=5e-3)
    best = history["validation_loss"].idxmin()
    assert history["kept"].sum() == 1
    assert history.loc[history["kept"], "epoch"].item() == best + 1 < 6
    error = np.mean((predict_head(head, h[:100], u[:100]) + y[:100]) ** 2)
    assert error == pytest.approx(history["validation_loss"].min(), rel=1e-5)


# Fine-tuning


@pytest.mark.parametrize("build", [lambda: MLP(D, hidden=16, layers=2), ensemble])
def test_fine_tuning_returns_a_new_head_and_leaves_the_old(data, build):
    h, u, y = (x[:20] for x in data)
    head = build()
    before = weights(head)
    tuned = fine_tune_head(head, h, u, y + 1, epochs=30)
    assert torch.equal(weights(head), before)
    assert tuned is not head
    assert tuned.config == head.config

    def error(model):
        return np.mean((predict_head(model, h, u) - y - 1) ** 2)

    assert error(tuned) < 0.2 * error(head)


def test_heads_that_no_network_belongs_to_are_left_alone(data):
    h, _, y = (x[:20] for x in data)
    u = np.zeros((20, C))
    u[:, 1] = MEMBERSHIP_FLOOR / 2
    u[:, 2] = 1 - u[:, 1]
    head = ensemble()
    tuned = fine_tune_head(head, h, u, y, epochs=3)
    for before, after in zip(head.parameters(), tuned.parameters(), strict=True):
        assert torch.equal(before[:2], after[:2])
        assert not torch.equal(before[2], after[2])


def test_fine_tuning_every_head_is_fitting_a_copy(data):
    h, u, y = data
    head = ensemble()
    by_hand = copy.deepcopy(head)
    fit_head(by_hand, h, u, y, epochs=2, batch_size=1, seed=4)
    tuned = fine_tune_head(head, h, u, y, epochs=2, seed=4)
    torch.testing.assert_close(weights(tuned), weights(by_hand))


# Input that does not fit


def bad(**changes):
    return {"embedding": np.ones((4, D)), "memberships": np.full((4, C), 1 / C), "target": np.arange(4.0), **changes}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (bad(embedding=np.ones((4, 2))), "embedding must have the 6 columns that the head takes, got 2"),
        (bad(embedding=np.full((4, D), np.nan)), "embedding must be finite"),
        (bad(embedding=np.ones(D)), "embedding must have 2 dimensions"),
        (bad(memberships=None), "memberships must be given"),
        (bad(memberships=np.full((C, 4), 1 / C)), r"memberships must have shape \(4, 3\).* got \(3, 4\)"),
        (bad(memberships=np.ones((4, C))), "sum to 1 in every row"),
        (bad(memberships=np.tile([2.0, -1.0, 0.0], (4, 1))), "must be at least 0"),
        (bad(target=np.ones(3)), "embedding, target must .* lengths are 4, 3"),
        (bad(target=[0, 1, 2, np.inf]), "target must be finite"),
        (bad(embedding=np.ones((0, D)), memberships=np.ones((0, C)), target=[]), "at least one network"),
        (bad(validation=(np.ones((4, D)), None, np.ones(4))), "validation memberships must be given"),
        (bad(validation=(np.ones((4, D)), np.full((4, C), 1 / C), [0, 1, 2, np.nan])), "validation target must be fin"),
        (bad(loss="l1"), "loss must be one of mse, huber, got 'l1'"),
        (bad(keep="first"), "keep must be one of best, last, got 'first'"),
        (bad(epochs=0), "epochs must be a whole number"),
        (bad(batch_size=0.5), "batch_size must be a whole number"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(arguments, says):
    head = ensemble()
    before = weights(head)
    with pytest.raises(ValueError, match=says):
        fit_head(head, **arguments)
    assert torch.equal(weights(head), before)


def test_a_head_with_many_outputs_has_no_target():
    with pytest.raises(ValueError, match="head must have one output to be fitted to a target, got 2"):
        fit_head(MLP(D, out=2), np.ones((4, D)), None, np.ones(4))


def test_a_diverging_loss_is_named(data):
    with pytest.raises(FloatingPointError, match="The loss is .* in epoch .*: lower lr, which is 1e[+]30"):
        fit_head(ensemble(), *data, lr=1e30, epochs=5)


def test_prediction_in_batches_of_any_size_and_of_nothing(data):
    h, u, _ = data
    head = ensemble()
    np.testing.assert_allclose(predict_head(head, h, u, batch_size=7), predict_head(head, h, u), rtol=1e-5, atol=1e-6)
    assert predict_head(head, h[:0], u[:0]).shape == (0,)
    assert predict_head(MLP(D), torch.tensor(h)).shape == (N,)
