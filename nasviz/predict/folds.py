"""Labelled networks and how they are divided: training, validation 1 (where everything is chosen), validation 2
(the test set), and the few labels of a fine-tuning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nasviz.graph.graph import ComputeGraph
from nasviz.predict.checks import fractions, same_length, whole_number

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark
    from nasviz.predict.population import Population


@dataclass(eq=False)
class Fold:
    """Networks with their accuracies.

    Attributes
    ----------
    population : Population
        The networks.
    accuracy : ndarray of shape (N,)
        Their accuracies, fractions.
    """

    population: "Population"
    accuracy: np.ndarray

    @classmethod
    def of(cls, graphs: "Sequence[ComputeGraph] | Population", accuracy) -> Self:
        """The fold of these networks.

        Raises
        ------
        ValueError
            If lengths differ, or an accuracy is NaN or outside [0, 1].
        """
        from nasviz.predict.population import Population  # and PyG with it, which takes two seconds to import

        population = Population.of(graphs)
        accuracy = fractions("accuracy", accuracy)
        same_length(graphs=population, accuracy=accuracy)
        return cls(population, accuracy)

    def __len__(self) -> int:
        return len(self.accuracy)

    def take(self, rows: Sequence[int]) -> Self:
        """The networks at `rows`."""
        return type(self)(self.population.take(rows), self.accuracy[np.asarray(rows)])


def split(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers of training (80 %), validation 1 (10 %) and validation 2 (10 %), disjoint and together all.

    Raises
    ------
    ValueError
        If there are fewer than 20 rows, so that a validation set would have fewer than two.
    """
    whole_number("count", count)
    if count < 20:
        raise ValueError(f"{count} labelled networks cannot be split 80/10/10; bring at least 20.")
    order = np.random.default_rng(seed).permutation(count)
    tenth = count // 10
    return np.sort(order[2 * tenth :]), np.sort(order[:tenth]), np.sort(order[tenth : 2 * tenth])


def partition_rows(bench: "Benchmark") -> dict[str, np.ndarray]:
    """Row numbers of a benchmark's "training", "validation 1" and "validation 2"; always the same ones.

    Networks below the card's ``min_accuracy`` are left out.

    Raises
    ------
    ValueError
        If an accuracy is NaN or outside [0, 1], or too few networks are left to split.
    """
    accuracy = fractions("accuracy", bench.table["accuracy"])
    kept = np.flatnonzero(accuracy >= bench.card.get("min_accuracy", 0))
    return dict(zip(("training", "validation 1", "validation 2"), (kept[r] for r in split(len(kept))), strict=True))


def draw(count: int, labels: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of `labels` random networks to fine-tune on, and of the rest to evaluate on.

    Raises
    ------
    ValueError
        If fewer than two rows would be left.
    """
    if not 1 <= labels <= count - 2:
        raise ValueError(f"labels={labels}: of {count} networks between 1 and {count - 2} can be drawn.")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[:labels]), np.sort(order[labels:])
