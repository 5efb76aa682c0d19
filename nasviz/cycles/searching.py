"""Search as a source of cycles: a cycle's network is mutated, a predictor ranks the children, the best are trained.

A search writes what it scored to ``searches/<id>`` in the run's folder, a file a round, and each survivor as a cycle
that names the search and its place in it. So one that was stopped, started again with the same parameters, goes on
where it was and ends with the same cycles; one that is complete does nothing.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasviz.cycles import files
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.generate import train_cycle
from nasviz.cycles.run import Run
from nasviz.cycles.search_plan import BALANCED, EDGE, TOPOLOGY, SearchPlan
from nasviz.cycles.searching_checks import check_search, check_search_job, run_task
from nasviz.cycles.task import Task, get_task
from nasviz.cycles.training import FROM_SCRATCH, Report, Training, silent

if TYPE_CHECKING:
    from torch import nn

    from nasviz.search.trained import Trained

SEARCHES = "searches"
SEARCHING = 0.3
"""The fraction of the work after which the search is over and the training begins."""
STEPS = 6
"""Mutations from the start to its farthest children, of the paper's local search."""


def search_cycles(
    run: Run,
    cycle: int,
    *,
    plan: SearchPlan = BALANCED,
    task: str | Task = "digits",
    training: Training = FROM_SCRATCH,
    scratch: Path | None = None,
    report: Report = silent,
) -> Cycle:
    """Look for better networks from a cycle's on, and train the best; each is a new cycle of the run.

    With more than one round, the next one begins at those that training confirmed, after the predictor, if it can, has
    learned from all that were trained; see `nasviz.search.trained`.

    Parameters
    ----------
    run : Run
        Open for writing.
    cycle : int
        Whose network is the first parent. Where it has weights, the new networks begin with those that still fit.
    plan : SearchPlan
        What is looked for, and how long.
    task, training
        On what the survivors are trained, and how.
    scratch, report
        See `train_cycle`.

    Returns
    -------
    Cycle
        Of the new ones, the one with the best primary metric.

    Raises
    ------
    PermissionError, KeyError, FileNotFoundError, ValueError
        What `check_search` raises; and ValueError if no network keeps the limits.
    """
    start = check_search(run, cycle, plan=plan, task=task)
    work = _Work(run, start, plan, get_task(task), training, scratch, report)
    report(0.0, "loading the predictor")
    work.search()
    sign = 1 if run.higher_is_better else -1
    worst = -sign * float("inf")
    return max(work.made.values(), key=lambda c: sign * (worst if (v := c.metrics.get(run.primary)) is None else v))


def edge_build(
    run: Run,
    cycle: int,
    *,
    plan: SearchPlan = EDGE,
    task: str | Task = "digits",
    training: Training = FROM_SCRATCH,
    scratch: Path | None = None,
    report: Report = silent,
) -> Cycle:
    """`search_cycles` for a small and fast network, whatever goal the plan has."""
    plan = replace(plan, goal=EDGE.goal)
    return search_cycles(run, cycle, plan=plan, task=task, training=training, scratch=scratch, report=report)


def search_job(
    run: Run | None,
    cycle: int | None,
    *,
    folder: str | Path,
    plan: SearchPlan = BALANCED,
    task: str | Task = "digits",
    training: Training = FROM_SCRATCH,
    network: "nn.Module | Mapping[str, str] | None" = None,
    name: str = "",
    scratch: Path | None = None,
    report: Report = silent,
) -> Run:
    """A new run by search: cycle 0 is the network to start from, the others are what the search found.

    From a cycle, cycle 0 is that network as it was, measured on the task; from `network`, it is that network, trained.
    A job that was stopped goes on in the folder that it began.

    Parameters
    ----------
    run : Run, optional
        It is only read.
    cycle : int, optional
        Where to start from; None starts from `network`.
    folder : str or Path
        For the new run.
    plan : SearchPlan
        What is looked for, and how long.
    task : str or Task
        On what networks are trained.
    training : Training
        How, cycle 0 made from `network` included.
    network : nn.Module or mapping, optional
        As `train_cycle` takes it.
    name : str, optional
        Of the new run.
    scratch, report
        See `train_cycle`.

    Returns
    -------
    Run
        The new one, open for writing.

    Raises
    ------
    FileExistsError
        If the folder holds a run of something else.
    KeyError, FileNotFoundError, ValueError
        What `check_search_job` raises.
    """
    check_search_job(run, cycle, folder=folder, plan=plan, network=network, task=task)
    task = get_task(task)
    folder = Path(folder)
    if (folder / files.RUN).exists():
        new = Run.open(folder, writable=True)
    else:
        primary, higher = (run.primary, run.higher_is_better) if run else ("accuracy", True)
        new = Run.create(folder, name=name, task=run_task(task, plan.goal), primary=primary,
                         higher_is_better=higher)  # fmt: skip
    if not len(new):
        if cycle is not None:
            initial = run.cycle(cycle)
            source = {"graph": True, "start": {"run": run.name, "cycle": cycle}}
            note = f"Cycle {cycle} of the run {run.name!r}, as it was."
            train_cycle(new, initial.module(), task, None, name=initial.name, note=note, source=source, scratch=scratch)
        else:
            train_cycle(new, network, task, training, scratch=scratch, report=_part(report, 0, SEARCHING / 2, ""))
    search_cycles(new, 0, plan=plan, task=task, training=training, scratch=scratch, report=report)
    return new


@dataclass
class _Work:
    """One search of a run: what it found is trained here, and remembered as cycles."""

    run: Run
    start: Cycle
    plan: SearchPlan
    task: Task
    training: Training
    scratch: Path | None
    report: Report
    made: dict[str, Cycle] = field(default_factory=dict)

    def search(self) -> None:
        """Do the rounds; `made` then has their cycles by the networks' keys."""
        from nasviz.search.spaces import GraphSpace
        from nasviz.search.trained import trained_search

        plan = self.plan
        space = GraphSpace([self.start.graph()], macro=plan.explore == TOPOLOGY)
        self.facts = {"cycle": self.start.index, **plan.facts()}
        self.name = _name(self.facts, space.starts[0].key)
        trained_search(
            space,
            plan.model(),
            self.train,
            starts=space.starts,
            rounds=plan.rounds,
            survivors=plan.survivors,
            budget=plan.budget,
            caution=plan.caution,
            goal=plan.goal,
            tolerance=plan.tolerance,
            **({"steps": STEPS, "slack": 0.0} if plan.rounds == 1 else {}),
            limits=plan.limits,
            seed=plan.seed,
            folder=self.run.folder / SEARCHES / self.name,
            report=lambda done, text: self._tell(
                int(done * plan.rounds) + 1, SEARCHING * (done * plan.rounds % 1), text
            ),
        )

    def train(self, each: "Trained", number: int) -> float:
        """The primary metric of the network's cycle, higher is better; where there is none yet, it is made."""
        cycle = self.start if not each.round else _written(self.run, self.name, each) or self._made(each)
        if each.round:
            self.made[each.scored.key] = cycle
        else:
            self.predicted = each.scored
        value = cycle.metrics.get(self.run.primary)
        return -math.inf if value is None else value if self.run.higher_is_better else -value

    def _made(self, each: "Trained") -> Cycle:
        parent, count = self.made.get(each.parent, self.start), self.plan.survivors
        of_all = f"{each.round}." if self.plan.rounds > 1 else ""
        step = (1 - SEARCHING) / count
        text = f"network {each.place + 1} of {count}: "

        def tell(done: float, message: str) -> None:
            self._tell(each.round, SEARCHING + step * (each.place + min(done, 0.98)), text + message)

        return train_cycle(
            self.run,
            _module(each.scored.candidate.graph, parent, self.training.seed),
            self.task,
            self.training,
            name=f"search, {self.plan.goal} {of_all}{each.place + 1}",
            parent=parent.index,
            note=_note(each, self.predicted, self.facts),
            source={"graph": True, "search": {"id": self.name, "round": each.round, "place": each.place,
                                              "predicted": each.scored.score, **self.facts}},
            scratch=self.scratch,
            report=tell,
        )  # fmt: skip

    def _tell(self, number: int, done: float, text: str) -> None:
        """Report how far a round is."""
        rounds = self.plan.rounds
        number = min(number, rounds)
        before = f"round {number} of {rounds}, " if rounds > 1 else ""
        self.report(0.99 * (number - 1 + min(done, 0.98)) / rounds, before + text)


def _name(facts: Mapping[str, Any], graph: str) -> str:
    text = json.dumps({**facts, "graph": graph}, sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _written(run: Run, name: str, each: "Trained") -> Cycle | None:
    """The cycle of a survivor, if an earlier start of the search wrote it."""
    wanted = [name, each.round, each.place]
    for cycle in run.cycles:
        search = cycle.source.get("search")
        if isinstance(search, Mapping) and [search.get(k) for k in ("id", "round", "place")] == wanted:
            return cycle
    return None


def _module(graph: Any, start: Cycle, seed: int) -> "nn.Module":
    """The network with new weights, and the start's where they fit."""
    import torch

    from nasviz.cycles.files import WEIGHTS
    from nasviz.graph.build import carry, to_module

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = to_module(graph)
    if (start.folder / WEIGHTS).is_file():
        carry(module, start.weights())
    return module


def _note(each: "Trained", first: Any, facts: Mapping[str, Any]) -> str:
    change = each.scored.cost.flops / max(first.cost.flops, 1) - 1
    return (
        f"Found by search ({facts['goal']}): predicted {each.scored.score:.4g} by {facts['predictor']!r}, the start "
        f"{first.score:.4g}; {abs(change):.0%} {'fewer' if change < 0 else 'more'} FLOPs."
    )


def _part(report: Report, low: float, high: float, text: str) -> Report:
    return lambda fraction, message: report(low + (high - low) * min(fraction, 0.98), text + message)
