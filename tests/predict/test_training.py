"""The training loop: against torch by hand, its learning rate, and resuming as if nothing had happened."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nasviz.predict.training import Schedule, fingerprint, seeded, train

ROWS = 10
X = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)
SCHEDULE = Schedule(ROWS, 4, epochs=4, lr=1e-2)


def network(hidden: int = 8) -> nn.Module:
    with seeded(1):
        return nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, 1))


def weights(model: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def fit(model: nn.Module, *, schedule=SCHEDULE, seed=3, loss=None, **options):
    def mse(rows):
        error = nn.functional.mse_loss(model(X[rows]), Y[rows])
        return {"loss": error, "twice": 2 * error}

    return train(model, lambda order: order.split(4), loss or mse, schedule, seed=seed, **options)


# Schedule


def test_the_rate_warms_up_and_falls_to_zero_on_a_cosine():
    schedule = Schedule(size=100, batch_size=32, epochs=50, lr=0.1)
    assert schedule.steps == 4
    rates = np.array([schedule.rate(step) for step in range(200)])
    np.testing.assert_allclose(rates[:10], 0.1 * np.arange(1, 11) / 10, rtol=0.01)
    assert rates.argmax() == 9 and rates.max() == pytest.approx(0.1, rel=0.01)
    np.testing.assert_allclose(rates[10:], 0.1 * (1 + np.cos(np.pi * np.arange(10, 200) / 200)) / 2)
    assert rates[100] == pytest.approx(0.05) and 0 < rates[-1] < 1e-4 and schedule.rate(200) == pytest.approx(0)


def test_the_shortest_training_has_a_rate():
    assert Schedule(size=1, batch_size=128, epochs=1, lr=0.1).rate(0) == pytest.approx(0.1)


# The loop


def test_an_epoch_is_adamw_by_hand():
    model, twin = network(), network()
    model[2].p = twin[2].p = 0.0
    schedule = Schedule(ROWS, ROWS, epochs=1, lr=1e-2, weight_decay=0.1)
    train(
        model, lambda order: [order], lambda rows: {"loss": nn.functional.mse_loss(model(X[rows]), Y[rows])},
        schedule, seed=0,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(twin.parameters(), lr=1e-2, weight_decay=0.1)
    nn.functional.mse_loss(twin(X), Y).backward()
    nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
    optimiser.step()
    torch.testing.assert_close(weights(model), weights(twin))


def test_it_learns_and_tells_how():
    model, watched = network(), []

    def watch():
        watched.append(model.training)
        return {"watched": float(len(watched))}

    history = fit(model, watch=watch, schedule=Schedule(ROWS, 4, epochs=60, lr=1e-2))
    assert history.columns.tolist() == ["epoch", "loss", "twice", "watched"]
    assert history["epoch"].tolist() == history["watched"].tolist() == [*range(1, 61)]
    np.testing.assert_allclose(history["twice"], 2 * history["loss"])
    assert history["loss"].iloc[-1] < 0.3 * history["loss"].iloc[0]
    assert watched == [False] * 60 and not model.training


def test_each_epoch_has_every_row_once_in_an_order_of_its_own():
    orders = []
    model = network()
    train(
        model, lambda order: orders.append(order.tolist()) or order.split(4),
        lambda rows: {"loss": model(X[rows]).square().mean()}, Schedule(ROWS, 4, 5, 1e-3), seed=0,
    )  # fmt: skip
    assert [sorted(order) for order in orders] == [[*range(ROWS)]] * 5
    assert len({tuple(order) for order in orders}) == 5


def test_one_seed_one_result_and_the_global_generator_stays():
    torch.random.manual_seed(5)
    before = torch.get_rng_state()
    models = [network() for _ in range(3)]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        fit(model, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_the_global_generator_is_as_it_was_after_an_error_too():
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt), seeded(9):
        torch.rand(3)
        raise KeyboardInterrupt
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_no_number_is_named():
    model = network()
    with pytest.raises(FloatingPointError, match="train: the loss is nan in epoch 1; lower lr=0.01"):
        fit(model, loss=lambda rows: {"loss": model(X[rows]).mean() * torch.nan})


# Resuming


class Interrupted(Exception):
    pass


def interrupt_watch(model):
    """Stops after the third epoch has been trained and before it has been written down."""
    calls = []

    def watch():
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted
        return {"watched": float(len(calls))}

    return {"watch": watch}


def interrupt_loss(model):
    """Stops in the middle of the second epoch."""
    calls = []

    def loss(rows):
        calls.append(1)
        if len(calls) == 5:
            raise Interrupted
        error = nn.functional.mse_loss(model(X[rows]), Y[rows])
        return {"loss": error, "twice": 2 * error}

    return {"loss": loss}


@pytest.mark.parametrize(("interrupt", "done"), [(interrupt_watch, 2), (interrupt_loss, 1)])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, interrupt, done):
    path = tmp_path / "new folder" / "training.safetensors"
    straight, model = network(), network()
    expected = fit(straight)
    with pytest.raises(Interrupted):
        fit(model, checkpoint=path, **interrupt(model))
    resumed, epochs = network(), []
    history = fit(resumed, checkpoint=path, watch=lambda: epochs.append(1) or {})
    assert len(epochs) == 4 - done, "what was trained is not trained again"
    assert torch.equal(weights(resumed), weights(straight))
    assert history[["epoch", "loss", "twice"]].equals(expected)


def test_a_finished_training_is_read_not_repeated(tmp_path):
    path = tmp_path / "training.safetensors"
    model, again = network(), network()
    history = fit(model, checkpoint=path)
    read = fit(again, checkpoint=path, loss=lambda rows: pytest.fail("it is trained again"))
    assert torch.equal(weights(model), weights(again)) and read.equals(history)
    assert [file.name for file in tmp_path.iterdir()] == ["training.safetensors"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"label": "other"},
        {"identity": {"temperature": 0.1}},
        {"schedule": Schedule(ROWS, 4, epochs=4, lr=2e-2)},
        {"schedule": Schedule(ROWS, 4, epochs=5, lr=1e-2)},
        {"schedule": Schedule(ROWS, 4, epochs=4, lr=1e-2, weight_decay=0.0)},
    ],
)
def test_the_checkpoint_of_another_training_is_refused(tmp_path, change):
    path = tmp_path / "training.safetensors"
    fit(network(), checkpoint=path)
    model = network()
    before = weights(model)
    with pytest.raises(ValueError, match=r"training\.safetensors is the checkpoint of another training; delete it"):
        fit(model, checkpoint=path, **change)
    assert torch.equal(weights(model), before)


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


HOSTILE = {
    "truncated": truncated,
    "empty": lambda path: path.write_bytes(b""),
    "page": lambda path: path.write_text("<!DOCTYPE html><html><body>404: Not Found</body></html>"),
    "no JSON": lambda path: save_file({"a": torch.zeros(1)}, path, {"identity": "{", "history": "[]"}),
}


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_a_broken_checkpoint_is_told_in_one_sentence(tmp_path, damage):
    path = tmp_path / "training.safetensors"
    fit(network(), checkpoint=path)
    damage(path)
    with pytest.raises(ValueError, match=r"training\.safetensors is no checkpoint that can be read .*; delete it"):
        fit(network(), checkpoint=path)


def test_weights_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="is the checkpoint of another training"):
        fit(network(), checkpoint=path)


def test_a_fingerprint_tells_data_apart():
    a, b = np.arange(6.0), np.arange(1.0, 7.0)
    prints = {fingerprint(a), fingerprint(b), fingerprint(a, b), fingerprint(b, a), fingerprint(a[::-1])}
    assert len(prints) == 5
    assert fingerprint(a.reshape(2, 3).T.T) == fingerprint(a)
