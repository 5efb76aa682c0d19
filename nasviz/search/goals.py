"""What a search is after: limits that every candidate must keep, and what makes one better than another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from nasviz.graph.cost import macs, other
from nasviz.graph.graph import ComputeGraph, Node


class Goal(StrEnum):
    """What is wanted; "the start" is the best of the networks that the search starts from.

    performance: the highest score, whatever it costs.
    balanced: fewer FLOPs at a score that is not below that of the start, as in Table 7 of the GENNAPE paper.
    edge: small and fast: fewer FLOPs and parameters at a score not below that of the start less a tolerance.
    """

    performance = "performance"
    balanced = "balanced"
    edge = "edge"


@dataclass(frozen=True)
class Limits:
    """The most that a candidate may cost; None where there is no limit.

    Attributes
    ----------
    flops, params : float, optional
        FLOPs of one forward pass of one input, in the standard convention; parameters.
    latency_ms : float, optional
        Median latency of one input on one thread of this computer; it is measured only of candidates that would
        be kept, since measuring takes longer than everything else.

    Raises
    ------
    ValueError
        If a limit is not above 0.
    """

    flops: float | None = None
    params: float | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: a limit is a number above 0, or None.")

    def excess(self, cost: "Cost") -> float:
        """By how many powers of two a network is above its worst limit on FLOPs or parameters; 0 if it keeps both."""
        pairs = ((cost.flops, self.flops), (cost.params, self.params))
        return max(0.0, *(float(np.log2(max(value, 1) / limit)) for value, limit in pairs if limit is not None), 0.0)


@dataclass(frozen=True)
class Cost:
    """FLOPs and parameters of a network."""

    flops: int
    params: int

    @classmethod
    def of(cls, graph: ComputeGraph) -> "Cost":
        """Of one forward pass of the graph's batch."""
        return cls(sum(map(_flops, graph.nodes)), graph.params)


@lru_cache(maxsize=1 << 18)
def _flops(node: Node) -> int:
    return 2 * macs(node) + other(node)


@dataclass(eq=False)
class Scored:
    """A candidate with what is known of it.

    Attributes
    ----------
    candidate : object
        As the space has it.
    key : str
        Names it.
    score : float
        What the predictor (or the table) says; higher is better.
    cost : Cost, optional
        None where candidates are rows of a table.
    value : float
        What the goal makes of it; minus infinity where it does not count.
    excess : float
        What `Limits.excess` says of it.
    latency_ms : float, optional
        Where it was measured.
    number : int
        How many were scored before it.
    parent : str
        Key of the candidate that it was made from, or an empty text.
    """

    candidate: Any
    key: str
    score: float
    cost: Cost | None = None
    value: float = -np.inf
    excess: float = 0.0
    latency_ms: float | None = None
    number: int = 0
    parent: str = ""


@dataclass
class Judge:
    """Turns scores and costs into one value, and into an order.

    Attributes
    ----------
    goal : Goal
        What is wanted.
    floor : float
        Lowest score that "balanced" and "edge" accept: that of the start, less a tolerance.
    flops, params : float
        FLOPs and parameters of the start.
    """

    goal: Goal = Goal.performance
    floor: float = -np.inf
    flops: float = 1.0
    params: float = 1.0

    @classmethod
    def from_starts(cls, goal: Goal, starts: Sequence[Scored], tolerance: float = 0.0) -> "Judge":
        """The judge that measures against the best of the starts."""
        best = max(starts, key=lambda each: each.score)
        cost = best.cost or Cost(1, 1)
        return cls(Goal(goal), best.score - tolerance, max(cost.flops, 1), max(cost.params, 1))

    def value(self, scored: Scored) -> float:
        """Higher is better. Those below the floor come after all that are not, by their score, and last those above a
        limit, by how far they are (Deb 2000)."""
        if scored.excess > 0:
            return -1e9 * (1 + scored.excess)
        if self.goal is Goal.performance or scored.cost is None:
            return scored.score
        if scored.score < self.floor:
            return -1e6 + scored.score - self.floor
        saved = np.log2(self.flops / max(scored.cost.flops, 1))
        return float(saved if self.goal is Goal.balanced else saved + np.log2(self.params / max(scored.cost.params, 1)))

    def wants(self, scored: Scored) -> bool:
        """Whether it is what the goal asks for, and does not only come nearest to it."""
        if scored.excess or scored.value == -np.inf:
            return False
        if self.goal is Goal.performance or scored.cost is None:
            return True
        return scored.score >= self.floor and (self.goal is not Goal.balanced or scored.cost.flops <= self.flops)

    def best(self, scored: Sequence[Scored], k: int) -> list[Scored]:
        """The k to go on from.

        For "balanced" those are, among the candidates that are not below the floor and take no more FLOPs than the
        start, the ones on the Pareto front of score and FLOPs, spread over it; then those of the next front, and so
        on. Else, and when these run out, they are the ones with the highest value.
        """
        living = [each for each in scored if each.value > -np.inf]
        if self.goal is not Goal.balanced or any(each.cost is None for each in living):
            return sorted(living, key=lambda each: -each.value)[:k]
        above, below = [], []
        for each in living:
            (above if self.wants(each) else below).append(each)
        chosen: list[Scored] = []
        rest = above
        while rest and len(chosen) < k:
            on_front = pareto([each.score for each in rest], [each.cost.flops for each in rest])
            front = sorted((each for each, on in zip(rest, on_front, strict=True) if on), key=lambda e: -e.score)
            room = min(k - len(chosen), len(front))
            picks = np.unique(np.linspace(0, len(front) - 1, room).round().astype(int))
            chosen += [front[i] for i in picks]
            rest = [each for each, on in zip(rest, on_front, strict=True) if not on]
        return [*chosen, *sorted(below, key=lambda each: -each.value)][:k]


def pareto(score: Sequence[float], cost: Sequence[float]) -> np.ndarray:
    """Which points no other one beats: none with at least the score at no more cost, and better in one of the two.

    Parameters
    ----------
    score, cost : array-like of shape (N,)
        Higher scores and lower costs are better; NaN is never on the front.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    score, cost = np.asarray(score, dtype=float), np.asarray(cost, dtype=float)
    result = np.zeros(len(score), dtype=bool)
    order = np.lexsort((-score, cost))
    best, best_cost = -np.inf, -np.inf
    for i in order:
        if np.isnan(score[i]) or np.isnan(cost[i]):
            continue
        if score[i] > best or (score[i] == best and cost[i] == best_cost):
            result[i] = True
            best, best_cost = score[i], cost[i]
    return result


@dataclass
class Progress:
    """What a search has found so far.

    Attributes
    ----------
    scored : list of Scored
        In the order of scoring; the starts first.
    judge : Judge
        What they are measured against.
    refused : int
        Candidates that were made but broke a limit, or were known already.
    """

    judge: Judge
    scored: list[Scored] = field(default_factory=list)
    refused: int = 0

    @property
    def table(self) -> pd.DataFrame:
        """One row a candidate: number, key, parent, score, flops, params, latency_ms, value, pareto."""
        rows = [
            {
                "number": each.number, "key": each.key, "parent": each.parent, "score": each.score,
                "flops": each.cost.flops if each.cost else np.nan, "params": each.cost.params if each.cost else np.nan,
                "latency_ms": np.nan if each.latency_ms is None else each.latency_ms, "value": each.value,
            }
            for each in self.scored
        ]  # fmt: skip
        columns = ["number", "key", "parent", "score", "flops", "params", "latency_ms", "value"]
        table = pd.DataFrame(rows, columns=columns)
        counts = [each.value > -np.inf and not each.excess for each in self.scored]
        allowed = table["score"].where(pd.Series(counts, table.index, dtype=bool))
        return table.assign(pareto=pareto(allowed, table["flops"]) if len(table) else [])
