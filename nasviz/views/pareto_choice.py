"""What constraints leave of the cycles of a run, and which of it no other beats. Data in, data out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from nasviz.views.quantity import Quantity
from nasviz.views.text import shorten


class Constraint(NamedTuple):
    """A bound on a metric. A cycle without a value does not keep it: nobody knows that it does."""

    metric: str
    side: str  # "at most" or "at least"
    bound: float

    def kept(self, values: pd.Series) -> pd.Series:
        """Which values keep it."""
        return values <= self.bound if self.side == "at most" else values >= self.bound


@dataclass(frozen=True)
class Axis:
    """One axis: a metric of C cycles.

    Attributes
    ----------
    quantity : Quantity
    values : Series of length C
        By cycle; NaN where there is none.
    lower : bool
        Whether less is better.
    """

    quantity: Quantity
    values: pd.Series
    lower: bool

    @property
    def label(self) -> str:
        """With unit and direction, for the axis."""
        return f"{shorten(self.quantity.label, 30)}, {'lower' if self.lower else 'higher'} is better"

    @property
    def losses(self) -> np.ndarray:
        """The values, turned so that less is better, (C,)."""
        values = self.values.to_numpy(float)
        return values if self.lower else -values


def pareto_front(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points no other point beats: none is at least as good in both and better in one.

    Parameters
    ----------
    x, y : array (N,)
        Less is better. A point with a NaN is not on the front.

    Returns
    -------
    array (N,) of bool
        Equal points are on it together.
    """
    front = np.zeros(len(x), dtype=bool)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    order = known[np.lexsort((y[known], x[known]))]
    lowest, at = np.inf, np.nan  # the least y so far, and the x where it was first reached
    for i in order:
        if y[i] < lowest:
            lowest, at, front[i] = y[i], x[i], True
        elif y[i] == lowest and x[i] == at:
            front[i] = True
    return front


@dataclass(frozen=True)
class Choice:
    """What the constraints leave of C cycles, and what is best of it. The Series go by cycle.

    Attributes
    ----------
    x, y : Axis
    kept : Series of bool
        Which cycles keep all constraints.
    front : Series of bool
        Which of the kept ones no other kept one beats in `x` and `y`.
    broken : Series of str
        The metrics whose constraints a cycle breaks; empty where none.
    constraints : sequence of Constraint
    best : int
        The best of the kept ones; -1: none.
    selected : int
        The selected cycle; -1: none.
    """

    x: Axis
    y: Axis
    kept: pd.Series
    front: pd.Series
    broken: pd.Series
    constraints: Sequence[Constraint]
    best: int
    selected: int

    @property
    def drawn(self) -> pd.Series:
        """Which cycles have a place: a value in both metrics."""
        return self.x.values.notna() & self.y.values.notna()

    @property
    def places(self) -> pd.DataFrame:
        """Where the cycles are drawn: columns ``x`` and ``y``, by cycle."""
        axes = {"x": self.x, "y": self.y}
        return pd.DataFrame({name: axis.values * axis.quantity.factor for name, axis in axes.items()})

    @property
    def steps(self) -> pd.DataFrame:
        """The corners of the front, from left to right."""
        return self.places[self.front & self.drawn].sort_values(["x", "y"])

    @property
    def limits(self) -> list[tuple[str, str, float]]:
        """The constraints on the drawn metrics: ``"x"`` or ``"y"``, the side, and where."""
        axes = [("x", self.x.quantity), ("y", self.y.quantity)]
        return [(a, c.side, c.bound * q.factor) for c in self.constraints for a, q in axes if c.metric == q.name]
