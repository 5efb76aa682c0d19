"""A task that is learned in a moment, in a module that a job's worker can import."""

import time

import torch
from torch import nn
from torch.utils.data import TensorDataset

from nasviz.cycles.task import Task


def images(count: int, seed: int) -> TensorDataset:
    """Images of 3×3 pixels; the class is whether the left column is the brighter one."""
    pixels = torch.randn(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(pixels, (pixels[:, 0, :, 0].sum(1) > pixels[:, 0, :, 2].sum(1)).long())


def sets() -> dict[str, TensorDataset]:
    return {"train": images(128, 0), "validation": images(20, 1), "test": images(40, 2)}


class Slow(TensorDataset):
    """One sample takes a while, so that a job on it can be watched and stopped."""

    def __getitem__(self, i):
        time.sleep(0.01)
        return super().__getitem__(i)


TASK = Task("tests.cycles.tiny:TASK", sets)
SLOW = Task("tests.cycles.tiny:SLOW", lambda: {**sets(), "train": Slow(*images(64, 0).tensors)})
DYING = Task("tests.cycles.tiny:DYING", lambda: __import__("os")._exit(9))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
