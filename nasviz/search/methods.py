"""Search methods, all of one form: `ask` gives candidates to score, `tell` says how good those were.

A method never scores anything itself. So a candidate may be scored by a predictor, a thousand at a time, or by a
training, one at a time; and a search that was stopped goes on by telling the method again what it was told before.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, Protocol

from nasviz.search.goals import Judge, Scored
from nasviz.search.spaces import Space

Asked = list[tuple[Any, str]]
"""Candidates with the key of what each was made from (an empty text for none)."""


class Method(Protocol):
    """How a search goes on. `keep` is how many candidates of a batch it can go on from."""

    keep: int

    def ask(self) -> Asked:
        """The next candidates; none ends the search."""

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """How good the last ones were; first, before anything was asked, those that the search starts from."""


@dataclass
class TopK:
    """The local search of the GENNAPE paper: the k best so far have children, which are ranked with them.

    "runs for 6 iterations. In each iteration, we collect the current top-k best CGs based on predicted performance and
    FLOPs. For each top-k CG, we perform mutation" (AAAI-23, supplement). The paper gives neither k nor the number of
    children; ours are chosen.

    Attributes
    ----------
    iterations : int
        Rounds of mutation; 6 in the paper.
    k : int
        Networks that have children.
    children : int
        Of all of them together, in each round.
    """

    space: Space
    rng: Random
    iterations: int = 6
    k: int = 10
    children: int = 500
    _best: list[Scored] = field(default_factory=list, init=False)
    _round: int = field(default=0, init=False)

    @property
    def keep(self) -> int:
        """The k."""
        return self.k

    def ask(self) -> Asked:
        """Children of the best, each with as many as the others."""
        if self._round == self.iterations or not self._best:
            return []
        self._round += 1
        return [
            (self.space.mutate(parent.candidate, self.rng), parent.key)
            for position in range(self.children)
            for parent in (self._best[position % len(self._best)],)
        ]

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """Keep the k best of these and of those before."""
        different = {each.key: each for each in (*self._best, *scored)}
        self._best = judge.best(list(different.values()), self.k) or self._best


@dataclass
class RandomSearch:
    """Candidates that have nothing to do with each other; what every other method has to beat."""

    space: Space
    rng: Random
    batch: int = 100
    keep: int = 1

    def ask(self) -> Asked:
        """Random candidates."""
        return [(self.space.sample(self.rng), "") for _ in range(self.batch)]

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """It learns nothing."""


@dataclass
class RegularisedEvolution:
    """A queue of networks: the best of a random few has a child, the oldest leaves (Real et al., AAAI 2019).

    Attributes
    ----------
    population : int
        Length of the queue, which starts with random networks.
    tournament : int
        How many are drawn to find a parent.
    batch : int
        Children that are made before the queue moves on; 1 in the paper, more where many are scored at once.
    """

    space: Space
    rng: Random
    population: int = 50
    tournament: int = 10
    batch: int = 1
    _queue: deque = field(default_factory=deque, init=False)

    @property
    def keep(self) -> int:
        """All children live for a while."""
        return self.batch

    def ask(self) -> Asked:
        """Random networks until the queue is full, then children."""
        missing = self.population - len(self._queue)
        if missing > 0:
            return [(self.space.sample(self.rng), "") for _ in range(min(missing, max(self.batch, 1)))]
        parents = [self._parent() for _ in range(self.batch)]
        return [(self.space.mutate(parent.candidate, self.rng), parent.key) for parent in parents]

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """The new ones join, and as many of the oldest leave."""
        self._queue.extend(scored)
        while len(self._queue) > self.population:
            self._queue.popleft()

    def _parent(self) -> Scored:
        drawn = self.rng.sample(range(len(self._queue)), min(self.tournament, len(self._queue)))
        return max((self._queue[i] for i in drawn), key=lambda each: each.value)


@dataclass
class LocalSearch:
    """Go to the best neighbour until none is better, then start anew elsewhere (White et al., UAI 2021).

    Attributes
    ----------
    batch : int
        Neighbours that are scored before one is chosen: 1 takes the first that is better, more the best of them.
    """

    space: Space
    rng: Random
    batch: int = 1
    keep: int = 1
    _here: Scored | None = field(default=None, init=False)
    _left: list[Any] = field(default_factory=list, init=False)

    def ask(self) -> Asked:
        """Some neighbours that were not looked at, or a new start."""
        if self._here is None:
            return [(self.space.sample(self.rng), "")]
        now, self._left = self._left[: self.batch], self._left[self.batch :]
        return [(candidate, self._here.key) for candidate in now]

    def tell(self, scored: Sequence[Scored], judge: Judge) -> None:
        """Move, or note that these were no better."""
        best = max(scored, key=lambda each: each.value, default=None)
        if best is not None and (self._here is None or best.value > self._here.value):
            self._here = best
            self._left = list(self.space.neighbours(best.candidate, self.rng))
        if not self._left:  # a place with no better neighbour; the next one is random
            self._here = None


METHODS: Mapping[str, Callable[..., Method]] = MappingProxyType(
    {"top-k": TopK, "random": RandomSearch, "evolution": RegularisedEvolution, "local": LocalSearch}
)
"""By name; each takes a space, a generator and settings of its own. Another method is one more entry."""
