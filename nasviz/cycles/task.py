"""What the networks of a run are trained and judged on: data sets, loss, performance metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nasviz.cycles.performance import PerformanceMetric, ask, check_primary

if TYPE_CHECKING:
    import torch
    from torch.utils.data import Dataset

TRAIN, VALIDATION, TEST = "train", "validation", "test"

Datasets = Mapping[str, "Dataset"]
"""By phase: "train" and "test", and "validation" where there is one. An item is a pair (input, target)."""


@dataclass(frozen=True)
class Task:
    """What a network is trained and judged on.

    Attributes
    ----------
    name : str
        What to call it.
    data : mapping of str to Dataset, or callable
        The data sets by phase, "train", "test" and, if there is one, "validation"; or a function that returns them,
        so that only the process that needs them loads them. Each has a length and items (input, target).
    loss : callable, optional
        (outputs, targets) → scalar; the cross-entropy by default.
    plugins : sequence
        Performance-metric plug-ins, as `nasviz.cycles.evaluate` takes them.
    augment : callable, optional
        (inputs, generator) → inputs, applied to each batch of training.
    units : mapping of str to str
        Units of the plug-ins' metrics.
    fetch : mapping of str to str, optional
        Tensors for the plug-ins; see `nasviz.cycles.evaluate`.
    collate_fn : callable, optional
        As of torch's DataLoader.

    Raises
    ------
    ValueError
        If an attribute is none of these.
    """

    name: str
    data: "Datasets | Callable[[], Datasets]"
    loss: "Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None" = None
    plugins: Sequence[str | type | PerformanceMetric] = ("confusion_matrix",)
    augment: "Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None" = None
    units: Mapping[str, str] = field(default_factory=lambda: {"recall": "fraction", "precision": "fraction"})
    fetch: Mapping[str, str] | None = None
    collate_fn: Callable | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"name={self.name!r}: a task has a name, such as 'digits'.")
        for key in ("loss", "augment", "collate_fn"):
            if getattr(self, key) is not None and not callable(getattr(self, key)):
                raise ValueError(f"{key}={getattr(self, key)!r}: it is a function, or None.")
        if not callable(self.data):
            checked_datasets(self.data)

    def datasets(self) -> "dict[str, Dataset]":
        """The data sets by phase.

        Raises
        ------
        ValueError
            If the function `data` returns no such thing.
        """
        return checked_datasets(self.data() if callable(self.data) else self.data)

    def check_primary(self, primary: str) -> None:
        """Refuse a primary metric that no plug-in of the task gives, before anything is trained.

        Raises
        ------
        ValueError, FileNotFoundError
            If it is unknown, or a plug-in cannot be loaded.
        """
        check_primary(primary, ask(self.plugins))


def checked_datasets(data: Any) -> "dict[str, Dataset]":
    """`data`, if it holds data sets by phase.

    Raises
    ------
    ValueError
        If a phase is missing, unknown, empty, or no data set.
    """
    if not isinstance(data, Mapping) or not {TRAIN, TEST} <= set(data) <= {TRAIN, VALIDATION, TEST}:
        seen = ", ".join(map(repr, data)) if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(f"data={seen}: give the data sets by phase, {{'train': ..., 'validation': ..., 'test': ...}}; "
                         "'validation' may be missing.")  # fmt: skip
    for phase, dataset in data.items():
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or not len(dataset):
            raise ValueError(f"data[{phase!r}]: a data set has a length above 0 and an item for each index.")
    item = data[TEST][0]
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise ValueError(f"data['test'] gives items of type {type(item).__name__}; a task needs pairs (input, target).")
    return dict(data)


def get_task(task: "str | Task") -> Task:
    """The task of this name, or at ``"package.module:NAME"``, or the task itself.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(task, Task):
        return task
    if task in TASKS:
        return TASKS[task]
    place, colon, name = str(task).partition(":")
    if not colon:
        raise ValueError(
            f"task={task!r}: known tasks are {', '.join(TASKS)}; for others give a nasviz.cycles.Task, or where one "
            "is, as in 'package.module:TASK'."
        )
    try:
        found = getattr(import_module(place), name, None)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"task={task!r}: {place} cannot be imported ({reason}).") from error
    if not isinstance(found, Task):
        raise ValueError(f"task={task!r}: {place} has no nasviz.cycles.Task called {name!r}.")
    return found


VALIDATION_IMAGES = 200
VALIDATION_DRAWS = 4


@lru_cache(maxsize=1)
def _digits() -> "dict[str, Dataset]":
    """The data of the bundled benchmark, with some images of its training set kept for validation.

    Training images are clean, since each batch is disturbed anew; those of the other phases are shifted and noisy.
    """
    import torch
    from sklearn.model_selection import train_test_split
    from torch.utils.data import TensorDataset

    from nasviz.benchmarks.label import Recipe, digits, disturb

    recipe = Recipe()
    images, classes, test_images, test_classes = digits(recipe)
    train, kept = train_test_split(
        torch.arange(len(images)), test_size=VALIDATION_IMAGES, stratify=classes, random_state=0
    )
    repeated = images[kept].repeat(VALIDATION_DRAWS, 1, 1, 1)
    noisy = disturb(repeated, recipe, torch.Generator().manual_seed(1))
    return {
        TRAIN: TensorDataset(images[train], classes[train]),
        VALIDATION: TensorDataset(noisy, classes[kept].repeat(VALIDATION_DRAWS)),
        TEST: TensorDataset(test_images, test_classes),
    }


def _disturb_digits(images: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
    from nasviz.benchmarks.label import Recipe, disturb

    return disturb(images, Recipe(), generator)


TASKS: Mapping[str, Task] = MappingProxyType({"digits": Task("digits", _digits, augment=_disturb_digits)})
"""The tasks that have a name. "digits": scikit-learn's handwritten digits, 8×8, shifted and noisy (1,000 images to
train on, 200 × 4 to validate, 597 × 8 to test); see `nasviz.benchmarks.label`."""
