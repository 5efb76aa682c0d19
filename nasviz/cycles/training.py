"""Training a network: the parameters, checked, and the loop."""

import math
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasviz.cycles.task import TRAIN, Task

if TYPE_CHECKING:
    import torch
    from torch import nn

Report = Callable[[float, str], None]
"""Told how far a long work is: a fraction in [0, 1], and what it does, in a few words."""


def silent(fraction: float, message: str) -> None:
    """The `Report` of those who do not listen."""


def _sgd(parameters: Any, training: "Training") -> "torch.optim.Optimizer":
    from torch.optim import SGD

    return SGD(parameters, training.lr, momentum=0.9, nesterov=True, weight_decay=training.weight_decay)


def _adamw(parameters: Any, training: "Training") -> "torch.optim.Optimizer":
    from torch.optim import AdamW

    return AdamW(parameters, training.lr, weight_decay=training.weight_decay)


OPTIMISERS: Mapping[str, Callable[[Any, "Training"], "torch.optim.Optimizer"]] = MappingProxyType(
    {"sgd": _sgd, "adamw": _adamw}
)


@dataclass(frozen=True)
class Training:
    """How a network is trained. The learning rate falls from `lr` to zero as a cosine, step by step.

    Attributes
    ----------
    epochs : int
        Passes over the training set.
    lr : float
        First learning rate.
    batch_size : int
        Samples a step.
    weight_decay : float
        Of all parameters.
    optimiser : str
        "sgd" (Nesterov momentum 0.9) or "adamw".
    seed : int
        Of the order of samples, of what the task draws, of dropout, and of new weights.
    threads : int
        Threads that one operator may use, on a CPU.
    device : str
        As torch names it: "cpu", "cuda", "cuda:1", "mps".

    Raises
    ------
    ValueError
        If a value is none of these.
    """

    epochs: int = 12
    lr: float = 0.1
    batch_size: int = 64
    weight_decay: float = 5e-4
    optimiser: str = "sgd"
    seed: int = 0
    threads: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("threads", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r}: it is a whole number from {least} on.")
        for name, least in (("lr", "above 0"), ("weight_decay", "from 0 on")):
            value = getattr(self, name)
            number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
            if not number or value < 0 or (value == 0 and name == "lr"):
                raise ValueError(f"{name}={value!r}: it is a number {least}.")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser={self.optimiser!r}: known are {', '.join(OPTIMISERS)}.")
        if not isinstance(self.device, str) or not self.device:
            raise ValueError(f"device={self.device!r}: it is a text, such as 'cpu' or 'cuda'.")

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch" + "s" * (self.epochs != 1)
        return f"{epochs}, {self.optimiser}, lr {self.lr:g}, batches of {self.batch_size}, seed {self.seed}"


FROM_SCRATCH = Training()
"""How a new network is trained, unless told otherwise."""
FINE_TUNING = Training(epochs=4, lr=0.01)
"""How a trained network is trained on, unless told otherwise."""


def fit(module: "nn.Module", task: Task, training: Training, report: Report = silent) -> pd.DataFrame:
    """Train a network in place; it ends in eval mode on the CPU.

    Parameters
    ----------
    module : nn.Module
        Its output is what the task's loss takes.
    task : Task
        Gives the training set.
    training : Training
        How.
    report : callable
        Told after every batch.

    Returns
    -------
    DataFrame
        One row an epoch: ``epoch`` (from 1), ``loss`` (the mean over its samples).

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    ValueError
        If the network has nothing to train, or its output does not fit the loss.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader

    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("the network has no parameters to train.")
    data, loss_of = task.datasets()[TRAIN], task.loss or cross_entropy
    generator = torch.Generator().manual_seed(training.seed)
    size = min(training.batch_size, len(data))
    # A batch of one sample has no variance for a batch norm: a last batch of that size is left out.
    loader = DataLoader(
        data,
        size,
        shuffle=True,
        drop_last=len(data) % size == 1 < len(data),
        generator=generator,
        collate_fn=task.collate_fn,
    )
    steps, step, history = training.epochs * len(loader), 0, []
    with _settings(training):
        module.to(training.device).train()
        optimiser = OPTIMISERS[training.optimiser](parameters, training)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        try:
            for epoch in range(1, training.epochs + 1):
                total, samples = 0.0, 0
                for inputs, targets in loader:
                    if task.augment is not None:
                        inputs = task.augment(inputs, generator)
                    targets = targets.to(training.device)
                    loss = _loss(loss_of, module(inputs.to(training.device)), targets)
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    schedule.step()
                    total, samples, step = total + loss.item() * len(inputs), samples + len(inputs), step + 1
                    report(step / steps, f"training, epoch {epoch} of {training.epochs}")
                if not math.isfinite(total):
                    raise FloatingPointError(
                        f"the loss is no number any more in epoch {epoch}; give an lr below {training.lr:g}."
                    )
                history.append({"epoch": epoch, "loss": total / samples})
        finally:
            module.to("cpu").eval()
    return pd.DataFrame(history)


def _loss(loss: Callable, outputs: Any, targets: "torch.Tensor") -> "torch.Tensor":
    try:
        return loss(outputs, targets)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        shapes = [tuple(getattr(value, "shape", ())) for value in (outputs, targets)]
        raise ValueError(
            f"the loss fails on outputs of shape {shapes[0]} and targets of shape {shapes[1]} "
            f"({' '.join(str(error).split())}); does the network have an output for each class?"
        ) from error


@contextmanager
def _settings(training: Training):
    """Threads and the global generator as `training` says; both as they were, afterwards."""
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        torch.manual_seed(training.seed)
        torch.set_num_threads(training.threads)
        torch.set_flush_denormal(True)  # noisy training on a CPU is else slowed by numbers near zero
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)
