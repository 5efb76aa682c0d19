"""The training loop of the graph neural networks: plain torch, the same for all of them, resumable after each epoch."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from tqdm.auto import tqdm

from nasviz.files import short
from nasviz.resources import write_atomically


@dataclass(frozen=True)
class Schedule:
    """How long to train, and at what rate: linear warm-up over a twentieth of the steps, then a cosine to zero."""

    size: int
    batch_size: int
    epochs: int
    lr: float
    weight_decay: float = 1e-4

    @property
    def steps(self) -> int:
        """Steps of one epoch."""
        return math.ceil(self.size / self.batch_size)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted over all epochs."""
        last = self.steps * self.epochs
        warm = max(1, last // 20)
        return self.lr * min((step + 1) / warm, (1 + math.cos(math.pi * step / last)) / 2)


def usual_device() -> str:
    """Where to train unless told otherwise: on a GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generator set to `seed` within the block, and as it was after it."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def train(
    model: nn.Module,
    epoch_batches: Callable[[torch.Tensor], Iterable[Any]],
    loss: Callable[[Any], dict[str, torch.Tensor]],
    schedule: Schedule,
    *,
    seed: int,
    watch: Callable[[], dict[str, float]] | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
    label: str = "train",
    identity: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """Train `model` in place with AdamW.

    Parameters
    ----------
    model : nn.Module
        The weights to train.
    epoch_batches : callable
        Order of the rows → batches of one epoch.
    loss : callable
        Batch → the terms to record; "loss" is the one that is minimised.
    schedule : Schedule
        Length and learning rate.
    seed : int
        Of order and dropout. Each epoch draws from a seed of its own, so a resumed training ends with the same
        weights as one that never stopped.
    watch : callable, optional
        Called after each epoch in evaluation mode; its values join the history.
    checkpoint : Path, optional
        A safetensors file with weights, moments and history, written after each epoch; training resumes from it.
    progress : bool
        Show a progress bar.
    label : str
        Name on the bar.
    identity : dict, optional
        What else tells this training from another, as plain values: settings of the loss, `fingerprint` of the data.
        A checkpoint is resumed from only if all of it is the same.

    Returns
    -------
    DataFrame
        One row an epoch: epoch, the mean of every loss term, what `watch` returned.

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    ValueError
        If the checkpoint belongs to another training or cannot be read.
    """
    parameters = list(model.parameters())
    # The fused AdamW is one pass over the weights, which for small networks is a fifth of a step saved.
    optimiser = torch.optim.AdamW(parameters, lr=schedule.lr, weight_decay=schedule.weight_decay, fused=True)
    identity = {"schedule": vars(schedule), "seed": seed, "label": label, **(identity or {})}
    history = _resume(checkpoint, identity, model, optimiser)
    bar = tqdm(total=schedule.epochs * schedule.steps, initial=len(history) * schedule.steps, desc=label,
               disable=not progress)  # fmt: skip
    for epoch in range(len(history), schedule.epochs):
        sums: dict[str, float] = {}
        model.train()
        with seeded(hash((seed, epoch)) & 0xFFFFFFFF):
            order = torch.randperm(schedule.size)
            for index, batch in enumerate(epoch_batches(order)):
                for group in optimiser.param_groups:
                    group["lr"] = schedule.rate(epoch * schedule.steps + index)
                terms = loss(batch)
                optimiser.zero_grad()
                terms["loss"].backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
                bar.update()
        row = {"epoch": epoch + 1, **{name: value / schedule.steps for name, value in sums.items()}}
        if not math.isfinite(row["loss"]):
            raise FloatingPointError(
                f"{label}: the loss is {row['loss']} in epoch {epoch + 1}; lower lr={schedule.lr:g}."
            )
        if watch is not None:
            model.eval()
            row |= watch()
        history.append(row)
        bar.set_postfix({name: f"{value:.4g}" for name, value in row.items() if name != "epoch"})
        if checkpoint is not None:
            _save(checkpoint, identity, model, optimiser, history)
    bar.close()
    model.eval()
    return pd.DataFrame(history)


class Epochs:
    """What a training went through, and the weights of its best epoch.

    Parameters
    ----------
    network : nn.Module
        What is trained.
    lr : float
        Its learning rate, for the sentence that says that it was too high.
    best : bool
        Whether `finish` goes back to the epoch with the lowest validation loss.
    """

    def __init__(self, network: nn.Module, lr: float, *, best: bool = True):
        self._network, self._lr, self._best = network, lr, best
        self._rows: list[dict[str, float]] = []
        self._lowest, self._weights, self._kept = math.inf, None, 0

    def add(self, train_loss: float, validation_loss: float = math.nan) -> None:
        """Note an epoch.

        Raises
        ------
        FloatingPointError
            If the training diverged.
        """
        number = len(self._rows) + 1
        if not math.isfinite(train_loss):
            raise FloatingPointError(f"The loss is {train_loss} in epoch {number}: lower lr, which is {self._lr:g}.")
        if self._best and validation_loss < self._lowest:
            self._lowest, self._kept = validation_loss, number
            self._weights = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._rows.append({"epoch": number, "train_loss": train_loss, "validation_loss": validation_loss})

    def finish(self) -> pd.DataFrame:
        """epoch, train_loss, validation_loss, and kept, the epoch whose weights the network, ready for use, now has."""
        if self._weights is not None:
            self._network.load_state_dict(self._weights)
        self._network.eval()
        frame = pd.DataFrame(self._rows)
        return frame.assign(kept=frame["epoch"] == (self._kept or len(frame)))


def fingerprint(*arrays: np.ndarray) -> str:
    """A short hash of arrays, by which a checkpoint knows the data that it was trained on."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _save(path: Path, identity: dict, model: nn.Module, optimiser: torch.optim.Optimizer, history: list) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {"identity": json.dumps(identity), "history": json.dumps(history)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def _resume(path: Path | None, identity: dict, model: nn.Module, optimiser: torch.optim.Optimizer) -> list[dict]:
    """History of the epochs that a checkpoint holds; weights and moments go into model and optimiser."""
    if path is None or not path.exists():
        return []
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        theirs, history = (json.loads(metadata.get(name, "null")) for name in ("identity", "history"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no checkpoint that can be read ({error}); delete it to start again.") from error
    if theirs != identity or not isinstance(history, list):
        raise ValueError(f"{path} is the checkpoint of another training; delete it or name another file.")
    weights = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    state: dict[int, dict[str, torch.Tensor]] = {}
    try:
        model.load_state_dict(weights)
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, index, moment = name.split(".")
                state.setdefault(int(index), {})[moment] = tensor
        if any(moments.keys() != {"step", "exp_avg", "exp_avg_sq"} for moments in state.values()):
            raise ValueError("moments of its optimiser are missing")
        optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    except (RuntimeError, ValueError) as error:  # its header is damaged: no other training has the same identity
        raise ValueError(f"{path} does not fit the network ({short(error)}); delete it to start again.") from error
    return history
