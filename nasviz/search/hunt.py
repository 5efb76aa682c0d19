"""`search`: a method, a space and a predictor become a list of networks, best first."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz.files import short
from nasviz.graph.graph import ComputeGraph
from nasviz.search.goals import Cost, Goal, Judge, Limits, Progress, Scored
from nasviz.search.methods import METHODS, Method, TopK
from nasviz.search.spaces import Space

Scorer = Callable[[Sequence[Any]], Sequence[float]]
"""Candidates → how good each is; higher is better, and comparable between calls."""
Report = Callable[[float, str], None]
HALF_OF_90 = 1.645
"""Half the width of an interval that holds 90 % of a normal distribution, in standard deviations."""
STALE = 50
"""Batches in a row without a new candidate after which a search is at its end."""


class Predictor(Protocol):
    """Anything with `score`: `nasviz.predict.Gennape`, or what you have."""

    def score(self, graphs: Sequence[ComputeGraph]) -> pd.DataFrame:
        """A row a network, with a column ``score``, and ``accuracy`` where it predicts one."""


def predictor_scorer(predictor: Predictor, space: Space, column: str = "", caution: float = 0.0) -> Scorer:
    """The scorer of a predictor.

    Parameters
    ----------
    predictor : Predictor
        Whose `score` is asked.
    space : Space
        Gives the candidates' graphs.
    column : str
        Which column counts; by default ``accuracy`` where there is one, as the score of an ensemble is standardised
        over the networks that are ranked together, and so those of two batches cannot be compared; else ``score``.
    caution : float
        How many standard errors are taken off, so that a network which the predictor knows little about is worth less:
        of ``spread``, or of what an interval of 90 % from ``low`` on says. A table with neither is taken as it is.
    """

    def score(candidates: Sequence[Any]) -> np.ndarray:
        table = predictor.score([space.graph(candidate) for candidate in candidates])
        name = column or ("accuracy" if "accuracy" in table else "score")
        if name not in table:
            raise ValueError(f"column={name!r}: the predictor's table has {', '.join(map(str, table))}.")
        value = table[name].to_numpy(dtype=float)
        if caution and "spread" in table:
            return value - caution * table["spread"].to_numpy(dtype=float)
        if caution and "low" in table:
            return value - caution * (value - table["low"].to_numpy(dtype=float)) / HALF_OF_90
        return value

    return score


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes
    ----------
    scored : list of Scored
        All candidates in the order of scoring; those that the search started from first.
    best : list of Scored
        The best by the goal, best first; the starts are among them if they are.
    table : DataFrame
        number, key, parent, score, flops, params, latency_ms, value, pareto; a row a candidate.
    judge : Judge
        What they were measured against.
    refused : int
        Candidates that broke a limit or were known already.
    """

    scored: list[Scored]
    best: list[Scored]
    table: pd.DataFrame
    judge: Judge
    refused: int

    @property
    def front(self) -> pd.DataFrame:
        """The rows of the table on the Pareto front of score and FLOPs, cheapest first."""
        return self.table[self.table["pareto"]].sort_values("flops", ignore_index=True)


def search(
    space: Space,
    scorer: Scorer,
    method: str = "top-k",
    *,
    starts: Sequence[Any] = (),
    budget: int = 3000,
    seed: int = 0,
    goal: Goal | str = Goal.performance,
    tolerance: float = 0.0,
    limits: Limits | None = None,
    settings: Mapping[str, Any] | None = None,
    costs: bool = True,
    keep: int = 10,
    log: str | Path | None = None,
    progress: bool = False,
    report: Report | None = None,
) -> Result:
    """Look for the best candidates of a space.

    Parameters
    ----------
    space : Space
        What there is.
    scorer : callable
        How good candidates are; `predictor_scorer` makes one of a predictor.
    method : str
        A key of `nasviz.search.methods.METHODS`.
    starts : sequence
        Candidates to begin with, which goals compare with; "top-k" needs one.
    budget : int
        How many candidates are scored at most, the starts not counted.
    seed : int
        Of all that is random.
    goal : Goal or str
        "performance", "balanced" or "edge".
    tolerance : float
        By how much of a score "edge" and "balanced" may fall below the best start.
    limits : Limits, optional
        What candidates may cost.
    settings : mapping, optional
        Of the method, by the names of its attributes.
    costs : bool
        Whether candidates are networks whose FLOPs and parameters count; goals and limits need them.
    keep : int
        How many of the best are returned.
    log : path, optional
        A file to which every batch is written. If it is there, the search goes on behind its end; what was scored
        before is not scored again, and the result is the same as of a search that was never stopped.
    progress : bool
        Show a progress bar.
    report : callable, optional
        Told (fraction, message) after each batch.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If an argument has a wrong value, or the log is of another search.
    """
    limits, goal = limits or Limits(), Goal(goal)
    if method not in METHODS:
        raise ValueError(f"method={method!r}: known methods are {', '.join(METHODS)}.")
    if budget < 1 or keep < 1:
        raise ValueError(f"budget={budget}, keep={keep}: both are whole numbers from 1 on.")
    if not costs and (limits != Limits() or goal is not Goal.performance):
        raise ValueError("costs=False: goals other than 'performance', and limits, need the candidates' costs.")
    if not starts and (method == "top-k" or goal is not Goal.performance):
        raise ValueError(f"starts: the method {method!r} with the goal {goal.value!r} begins with a network; give one.")
    chosen = METHODS[method](space, Random(seed), **(settings or {}))
    facts = {"method": method, "settings": dict(settings or {}), "seed": seed, "budget": budget, "goal": goal.value}
    facts |= {"tolerance": tolerance, "limits": asdict(limits), "starts": [space.key(start) for start in starts]}
    return run(
        space, scorer, chosen, starts=starts, budget=budget, goal=goal, tolerance=tolerance, limits=limits, costs=costs,
        keep=keep, log=Log(log, facts), progress=progress, report=report, label=f"search ({method})",
    )  # fmt: skip


def run(
    space: Space,
    scorer: Scorer,
    method: Method,
    *,
    starts: Sequence[Any] = (),
    budget: int,
    goal: Goal = Goal.performance,
    tolerance: float = 0.0,
    limits: Limits | None = None,
    costs: bool = True,
    keep: int = 10,
    log: "Log | None" = None,
    progress: bool = False,
    report: Report | None = None,
    label: str = "search",
) -> Result:
    """`search` with a method that is made already; its parameters are those of `search`."""
    hunt = _Hunt(space, scorer, method, limits or Limits(), costs, log or Log(None, {}))
    hunt.begin(starts, goal, tolerance)
    with tqdm(total=budget, desc=label, disable=not progress) as bar:
        stale = 0
        while (left := budget - hunt.spent) > 0 and stale < STALE:
            asked = method.ask()
            new = hunt.score(asked, left)
            # A method that asks for nothing has no more to ask; but local search may just have to start anew.
            stale = 0 if new else stale + (1 if asked or not isinstance(method, TopK) else STALE)
            bar.update(new)
            if report is not None:
                report(min(hunt.spent / budget, 1.0), f"searching, {hunt.spent:,} of {budget:,} networks")
    found = hunt.progress
    kept = [each for each in found.scored if not each.excess]
    return Result(found.scored, found.judge.best(kept, keep), found.table, found.judge, found.refused)


@dataclass
class _Hunt:
    """A search at work: what is known, what it may cost, and the log."""

    space: Space
    scorer: Scorer
    method: Method
    limits: Limits
    costs: bool
    log: "Log"

    def __post_init__(self) -> None:
        self.known: dict[str, Scored] = {}
        self.spent = 0

    def begin(self, starts: Sequence[Any], goal: Goal, tolerance: float) -> None:
        """Score what the search starts from. Where that breaks a limit, candidates may on the way to it, too."""
        first = [self._scored(start, self.space.key(start)) for start in starts]
        self._fill(first)
        judge = Judge.from_starts(goal, first, tolerance) if first else Judge(goal)
        self.progress = Progress(judge)
        self._add(first)
        self.lenient = any(each.excess for each in first)
        if first:
            self.method.tell(first, judge)

    def score(self, asked: Sequence[tuple[Any, str]], left: int) -> int:
        """Score new candidates that keep the limits, and tell the method of all; how many were new."""
        batch: dict[str, Scored] = {}
        told: list[Scored] = []
        for candidate, parent in asked:
            key = self.space.key(candidate)
            if key in self.known:
                told.append(self.known[key])
            elif key not in batch and len(batch) < left:
                scored = self._scored(candidate, key, parent)
                if self.lenient or not scored.excess:
                    batch[key] = scored
        new = list(batch.values())
        self.progress.refused += len(asked) - len(new)
        if new:
            self._fill(new)
            self._add(new)
            self._check_latency(new)
            self.spent += len(new)
        self.method.tell([*new, *told], self.progress.judge)
        return len(new)

    def _scored(self, candidate: Any, key: str, parent: str = "") -> Scored:
        cost = Cost.of(self.space.graph(candidate)) if self.costs else None
        excess = self.limits.excess(cost) if cost else 0.0
        return Scored(candidate, key, np.nan, cost, excess=excess, parent=parent)

    def _add(self, batch: Sequence[Scored]) -> None:
        for each in batch:
            each.value = self.progress.judge.value(each)
            each.number = len(self.progress.scored)
            self.progress.scored.append(each)
            self.known[each.key] = each

    def _fill(self, batch: list[Scored]) -> None:
        if not batch:
            return
        keys = [each.key for each in batch]
        scores = self.log.recall(keys, "scores")
        if scores is None:
            scores = [float(value) for value in self.scorer([each.candidate for each in batch])]
            self.log.write(keys, "scores", scores)
        for each, score in zip(batch, scores, strict=True):
            each.score = score if np.isfinite(score) else -np.inf

    def _check_latency(self, batch: list[Scored]) -> None:
        """Measure from the best on, until as many as the method keeps are quick enough; the others do not count."""
        if self.limits.latency_ms is None:
            return
        order = sorted(batch, key=lambda each: -each.value)
        times = self.log.recall([each.key for each in order], "latency")
        if times is None:
            times, quick = [], 0
            for each in order:
                enough = quick >= self.method.keep
                times.append(None if enough else measured_latency(self.space.graph(each.candidate)))
                quick += not enough and times[-1] <= self.limits.latency_ms
            self.log.write([each.key for each in order], "latency", times)
        for each, time in zip(order, times, strict=True):
            each.latency_ms = time
            if time is None or time > self.limits.latency_ms:
                each.value = -np.inf


def measured_latency(graph: ComputeGraph) -> float:
    """Median latency of a network with new weights on one thread, in milliseconds."""
    import torch

    from nasviz.graph.build import to_module
    from nasviz.measure import latency

    return latency(to_module(graph), torch.zeros(graph.nodes[0].out_shape), repeats=15, warmup=3).median_ms


class Log:
    """What was scored, line by line as JSON: a search that goes on reads it before it scores anything itself."""

    def __init__(self, path: str | Path | None, facts: Mapping[str, Any]):
        self.path, self._lines = Path(path) if path else None, []
        if self.path is None:
            return
        facts = json.loads(json.dumps(facts))
        if self.path.exists():
            # A line that was being written when the search was killed is cut off, and so has no end.
            whole, end, _ = self.path.read_bytes().rpartition(b"\n")
            try:
                self._lines = [json.loads(line) for line in whole.splitlines()]
            except (ValueError, RecursionError) as error:
                told = f"log={str(path)!r} is no log of a search ({short(error)}); name another file."
                raise ValueError(told) from None
            os.truncate(self.path, len(whole + end))
        if not self._lines:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        elif self._lines.pop(0) != facts:
            raise ValueError(f"log={str(path)!r} was written by a search with other settings; name another file.")
        self._lines.reverse()

    def recall(self, keys: Sequence[str], what: str) -> list | None:
        """What was written of these candidates, if the log has not come to its end."""
        if not self._lines:
            return None
        line = self._lines.pop()
        if not isinstance(line, dict) or line.get("of") != _digest(keys) or what not in line:
            raise ValueError(
                f"log={str(self.path)!r} was written by another version of the search, or from other networks; "
                "name another file."
            )
        return line[what]

    def write(self, keys: Sequence[str], what: str, values: Sequence[float | None]) -> None:
        """Append a line."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"of": _digest(keys), what: list(values)}) + "\n")


def _digest(keys: Sequence[str]) -> str:
    return blake2b("\n".join(keys).encode(), digest_size=12).hexdigest()
