"""Making cycles: trained, measured and written; trained on, in the same run or in a new one; refused in a sentence."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score
from torch import nn
from torch.utils.data import TensorDataset

from nasviz.cycles.generate import fine_tune, new_job, train_cycle
from nasviz.cycles.run import Run
from nasviz.cycles.task import TASKS, Task, get_task
from nasviz.cycles.training import Training, fit
from tests.cycles.tiny import TASK, images, network, sets

QUICK = Training(epochs=12, batch_size=16)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with a trained network, a fine-tuned one, and a run that started from the first."""
    folder = tmp_path_factory.mktemp("runs")
    run, told = Run.create(folder / "run", name="first"), []
    train_cycle(run, network(), TASK, QUICK, name="one", report=lambda *each: told.append(each))
    fine_tune(run, 0, task=TASK, training=replace(QUICK, epochs=1, lr=0.01))
    new = new_job(run, 0, folder=folder / "new", task=TASK, training=replace(QUICK, seed=3))
    return run, new, told


def test_a_cycle_is_trained_and_measured_on_the_test_set(made):
    run, _, told = made
    cycle = run.cycle(0)
    pixels, classes = images(40, 2).tensors
    guess = cycle.module()(pixels).argmax(1)
    assert cycle.metrics["accuracy"] == pytest.approx(accuracy_score(classes, guess))
    assert cycle.metrics["performance"] == cycle.metrics["accuracy"] > 0.7
    validation, known = images(20, 1).tensors
    assert cycle.metrics["validation_accuracy"] == pytest.approx(
        accuracy_score(known, cycle.module()(validation).argmax(1))
    )
    # 4 kernels of 2×2 and their bias, a matrix of 2×16 and its bias
    assert cycle.metrics["parameters"] == 4 * 4 + 4 + 32 + 2
    assert cycle.metrics["macs"] == 4 * 4 * 4 + 32
    assert cycle.metrics["size_bytes"] == 4 * 54
    assert cycle.metrics["latency_ms"] > 0 and cycle.source["latency"]["threads"] == 1
    assert cycle.source["training"]["epochs"] == 12 and cycle.source["task"] == TASK.name
    assert cycle.units["recall"] == cycle.units["validation_precision"] == "fraction"
    score = 20 * np.log10((100 * cycle.metrics["accuracy"]) ** 2 / np.sqrt(54e-6 * 96e-9))
    assert cycle.metrics["netscore_plus"] == pytest.approx(score)
    layers = cycle.layers().set_index("layer")
    assert layers.loc[["0", "3"], "information_capacity"].notna().all()
    matrix = pd.read_parquet(cycle.artifacts["confusion_matrix"]).to_numpy()
    assert matrix.sum() == 40 and np.trace(matrix) == (guess == classes).sum()
    losses = pd.read_parquet(cycle.artifacts["training"])
    assert losses["epoch"].tolist() == [*range(1, 13)] and losses["loss"].iloc[-1] < 0.7 * losses["loss"][0]
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 0.99
    assert not [path.name for path in run.folder.iterdir() if path.name.startswith(".measure")]


def test_a_fine_tuned_cycle_goes_on_from_its_parent(made):
    run, _, _ = made
    child = run.cycle(1)
    assert child.parent == 0 and child.name == "one, fine-tuned" and "Fine-tuned from cycle 0" in child.note
    before, after = run.cycle(0).weights(), child.weights()
    steps = [float((after[name] - before[name]).abs().max()) for name in before]
    assert 0 < max(steps) < 0.2  # it moved, and not far: a new network would be elsewhere


def test_a_new_job_keeps_the_initial_network_as_cycle_0(made):
    run, new, _ = made
    assert [cycle.parent for cycle in new.cycles] == [None, 0]
    start = new.cycle(0)
    assert all(torch.equal(tensor, start.weights()[name]) for name, tensor in run.cycle(0).weights().items())
    assert start.metrics["accuracy"] == run.cycle(0).metrics["accuracy"]
    assert start.source["start"] == {"run": "first", "cycle": 0}
    assert new.cycle(1).source["training"]["seed"] == 3
    assert "Started from cycle 0 of the run 'first'" in new.task


def test_a_new_job_from_nothing_and_from_an_architecture(tmp_path):
    family = {"family": "nb201", "arch": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", "scale": "digits"}
    tiny = {phase: TensorDataset(torch.randn(24, 1, 8, 8), torch.arange(24) % 10) for phase in ("train", "test")}
    new = new_job(None, None, folder=tmp_path / "new", task=Task("t", tiny), network=family, training=QUICK)
    assert new.cycle(0).source["arch"] == family["arch"] and "validation_accuracy" not in new.cycle(0).metrics
    again = new_job(None, None, folder=tmp_path / "b", task=Task("t", tiny), network=family, training=QUICK)
    one, two = new.cycle(0).weights(), again.cycle(0).weights()
    assert all(torch.equal(one[name], two[name]) for name in one)  # the seed says all


def test_a_step_of_the_training_is_that_of_the_textbook():
    """Nesterov momentum from rest: θ ← θ − lr · (1 + 0.9) · (∇ + weight decay · θ), here of a logistic regression."""
    data = images(32, 5)
    module = nn.Sequential(nn.Flatten(), nn.Linear(9, 2, bias=False))
    before = module[1].weight.detach().double().numpy().copy()
    settings = Training(epochs=1, batch_size=32, lr=0.1, weight_decay=0.01)
    history = fit(module, Task("t", {"train": data, "test": data}), settings)
    x, y = data.tensors[0].double().flatten(1).numpy(), np.eye(2)[data.tensors[1]]
    p = np.exp(x @ before.T)
    p /= p.sum(1, keepdims=True)
    gradient = (p - y).T @ x / 32 + 0.01 * before
    np.testing.assert_allclose(module[1].weight.detach().numpy(), before - 0.1 * 1.9 * gradient, atol=1e-6)
    assert history["loss"].item() == pytest.approx(-np.log((p * y).sum(1)).mean(), rel=1e-5)


def test_training_leaves_the_settings_of_torch_alone():
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    with pytest.raises(FloatingPointError, match="give an lr below 1e"):
        fit(network(), TASK, Training(epochs=3, lr=1e30))
    assert torch.get_num_threads() == threads
    network()  # draws from the global generator, as the call above did
    torch.random.set_rng_state(state)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 0}, "epochs=0: it is a whole number from 1 on"),
        ({"epochs": True}, "epochs=True"),
        ({"lr": 0}, "lr=0: it is a number above 0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0: it is a number from 0 on"),
        ({"optimiser": "adam"}, "optimiser='adam': known are sgd, adamw"),
        ({"device": 3}, "device=3: it is a text"),
    ],
)
def test_wrong_training_is_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        Training(**values)


def test_what_cannot_be_trained_is_told(tmp_path):
    run = Run.create(tmp_path / "run")
    with pytest.raises(ValueError, match="no parameters to train"):
        train_cycle(run, nn.Flatten(), TASK, QUICK)
    with pytest.raises(ValueError, match=r"outputs of shape \(16, 1\) and targets.*an output for each class"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(9, 1)), TASK, QUICK)
    with pytest.raises(ValueError, match="network=3: it is an nn.Module, or a mapping"):
        train_cycle(run, 3, TASK, QUICK)
    with pytest.raises(ValueError, match="it names 'family', 'arch'"):
        train_cycle(run, {"arch": "x"}, TASK, QUICK)
    assert len(run) == 0


def test_a_task_is_found_by_name_and_by_place():
    assert get_task("digits") is TASKS["digits"] and get_task(TASK) is get_task(TASK.name) is TASK
    for text, sentence in {
        "digit": "known tasks are digits",
        "tests.cycles.tiny:NONE": "has no nasviz.cycles.Task called 'NONE'",
        "nowhere:TASK": "nowhere cannot be imported",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            get_task(text)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": {"train": images(4, 0)}}, "data='train': give the data sets by phase"),
        ({"data": {**sets(), "test": []}}, r"data\['test'\]: a data set has a length above 0"),
        ({"data": {**sets(), "test": [1, 2]}}, "items of type int; a task needs pairs"),
        ({"loss": 3}, "loss=3: it is a function"),
        ({"name": " "}, "a task has a name"),
    ],
)
def test_a_wrong_task_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(TASK, **changes)


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data = TASKS["digits"].datasets()
    assert [len(data[phase]) for phase in ("train", "validation", "test")] == [1000, 4 * 200, 8 * 597]
    known = {tuple((image / 16).astype("float32").ravel()) for image in load_digits().images}
    assert all(tuple(image.numpy().ravel()) in known for image, _ in list(data["train"])[:50])
    classes = torch.stack([label for _, label in data["train"]]).bincount()
    assert classes.min() > 90 and len(classes) == 10


def test_jobs_that_cannot_go_well_are_refused_before_they_start(made, tmp_path):
    run, new, _ = made
    reader = Run.open(run.folder)
    other = Run.create(tmp_path / "other", primary="f1")
    other.add("no weights")
    cases = [
        (PermissionError, "open for reading", lambda: fine_tune(reader, 0, task=TASK)),
        (ValueError, "primary='f1' is no metric of this job", lambda: train_cycle(other, network(), TASK)),
        (KeyError, "no such cycle", lambda: fine_tune(run, 99, task=TASK)),
        (FileNotFoundError, "no weights", lambda: fine_tune(other, 0, task=TASK)),
        (FileExistsError, "holds a run already", lambda: new_job(run, 0, folder=new.folder, task=TASK)),
        (ValueError, "network=None", lambda: new_job(run, None, folder=tmp_path / "x", task=TASK)),
        (ValueError, "the network is the cycle's", lambda: new_job(run, 0, folder=tmp_path / "x", network={})),
        (ValueError, "do not fit the module", lambda: fine_tune(run, 0, task=TASK, module=nn.Linear(2, 2))),
    ]
    for kind, sentence, call in cases:
        with pytest.raises(kind, match=sentence):
            call()
    assert len(run) == 2 and not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run")
    monkeypatch.setattr(os, "access", lambda path, mode: (Path(path), mode) != (run.folder, os.W_OK))  # root may all
    with pytest.raises(PermissionError, match="cannot be written to; copy the run"):
        train_cycle(run, network(), TASK)
