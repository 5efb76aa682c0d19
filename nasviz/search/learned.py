"""Search methods over a table that a model guides: one learned before, or learned from the queries themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from nasviz.search.goals import Judge, Scored
from nasviz.search.methods import Asked, LocalSearch
from nasviz.search.spaces import TableSpace


@dataclass
class Ranked:
    """Query the rows in the order of a predictor, the best first; equal ones in random order.

    Attributes
    ----------
    prior : ndarray of shape (N,)
        What the predictor says of every row; higher is better.
    """

    space: TableSpace
    rng: Random
    prior: np.ndarray
    batch: int = 10
    keep: int = 1
    _left: list[int] = field(init=False)

    def __post_init__(self) -> None:
        ties = np.random.default_rng(self.rng.getrandbits(32)).random(len(self.prior))
        self._left = np.lexsort((ties, self.prior)).tolist()

    def ask(self) -> Asked:
        """The next rows."""
        return [(self._left.pop(), "") for _ in range(min(self.batch, len(self._left)))]

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """Its order was fixed before."""


@dataclass
class GuidedLocalSearch(LocalSearch):
    """Local search that looks first at the neighbours that a predictor ranks highest."""

    prior: np.ndarray = field(default_factory=lambda: np.empty(0))

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """As in local search."""
        before = self._here
        super().tell(scored, judge)
        if self._here is not before and self._here is not None:
            self._left.sort(key=lambda row: -self.prior[row])


@dataclass
class Learned:
    """A random forest of the rows queried so far says which neighbours of the best of them are next.

    In the manner of BANANAS (White et al., AAAI 2021), with a forest in place of an ensemble of neural networks, by the
    mean plus the spread of its trees. A forest that chose from the whole table stayed 0.4 points below the best of
    NAS-Bench-201 after 200 queries; neighbours led to the best.

    Attributes
    ----------
    features : ndarray of shape (N, D)
        Of every row; a predictor's scores may be among them.
    first : int
        Queries before the first forest: the rows that `prior` ranks highest, or random ones without it.
    parents : int
        How many of the best have their neighbours considered.
    every : int
        Queries between two forests.
    trees : int
        In a forest.
    """

    space: TableSpace
    rng: Random
    features: np.ndarray
    prior: np.ndarray | None = None
    first: int = 20
    parents: int = 10
    every: int = 10
    trees: int = 30
    keep: int = 1
    _seen: dict[int, float] = field(default_factory=dict, init=False)

    def ask(self) -> Asked:
        """The next rows."""
        if len(self._seen) < self.first:
            if self.prior is None:
                return [(self.space.sample(self.rng), "")]
            return [(int(row), "") for row in np.argsort(-self.prior, kind="stable")[: self.first]]
        from sklearn.ensemble import RandomForestRegressor

        rows = list(self._seen)
        best = sorted(rows, key=lambda row: -self._seen[row])[: self.parents]
        around = {near: None for row in best for near in self.space.neighbours(row, self.rng) if near not in self._seen}
        if not around:
            return [(self.space.sample(self.rng), "")]
        forest = RandomForestRegressor(self.trees, max_features=0.4, random_state=self.rng.getrandbits(32))
        forest.fit(self.features[rows], [self._seen[row] for row in rows])
        candidates = np.array(list(around))
        trees = np.array([tree.predict(self.features[candidates]) for tree in forest.estimators_])
        hope = trees.mean(axis=0) + trees.std(axis=0)
        return [(int(row), "") for row in candidates[np.argsort(-hope, kind="stable")[: self.every]]]

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """Note the new rows."""
        self._seen.update({each.candidate: each.score for each in scored})
