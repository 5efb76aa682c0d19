"""Search as a source of cycles: a cycle's network is mutated, a predictor ranks the children, the best are trained.

A search writes what it scored to ``searches/<id>.jsonl`` in the run's folder, and each survivor as a cycle that names
the search and its place in it. So one that was stopped, started again with the same parameters, goes on where it was
and ends with the same cycles; one that is complete does nothing.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasviz.cycles import files
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.generate import train_cycle
from nasviz.cycles.run import Run
from nasviz.cycles.searching_checks import TOPOLOGY, check_search, check_search_job, run_task
from nasviz.cycles.task import Task, get_task
from nasviz.cycles.training import FROM_SCRATCH, Report, Training, silent

if TYPE_CHECKING:
    from torch import nn

    from nasviz.search.hunt import Predictor, Result

SEARCHES = "searches"
SEARCHING = 0.3
"""The fraction of the work after which the search is over and the training begins."""
ROUNDS, PARENTS = 6, 10
"""Rounds of mutation and networks that have children, of the paper's local search."""


def search_cycles(
    run: Run,
    cycle: int,
    *,
    predictor: "str | Predictor" = "digits",
    goal: str = "balanced",
    explore: str = TOPOLOGY,
    budget: int = 3000,
    survivors: int = 3,
    tolerance: float = 0.0,
    flops: float | None = None,
    params: float | None = None,
    latency_ms: float | None = None,
    seed: int = 0,
    task: str | Task = "digits",
    training: Training = FROM_SCRATCH,
    scratch: Path | None = None,
    report: Report = silent,
) -> Cycle:
    """Look for better networks from a cycle's on, and train the best; each is a new cycle of the run.

    Parameters
    ----------
    run : Run
        Open for writing.
    cycle : int
        Whose network is the first parent. Where it has weights, the new networks begin with those that still fit.
    predictor : str or Predictor
        Says how good a network is: a name as `nasviz.search.predictor` takes it, or anything with `score`.
    goal : str
        "performance", "balanced" (fewer FLOPs, not below the parent) or "edge" (small and fast).
    explore : str
        "topology": operators may come and go; "kernels and widths": only those change.
    budget : int
        Networks that are scored.
    survivors : int
        Networks that are trained.
    tolerance : float
        By how much of the predictor's score a network may be below the parent, for "balanced" and "edge".
    flops, params, latency_ms : float, optional
        What a network may cost at most.
    seed : int
        Of the search.
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
    start = check_search(run, cycle, predictor=predictor, goal=goal, explore=explore, task=task, flops=flops,
                         params=params, latency_ms=latency_ms)  # fmt: skip
    task = get_task(task)
    if not all(isinstance(n, int) and n > 0 for n in (budget, survivors)):
        raise ValueError(f"budget={budget!r}, survivors={survivors!r}: both are whole numbers from 1 on.")
    limits = {"flops": flops, "params": params, "latency_ms": latency_ms}
    named = predictor if isinstance(predictor, str) else type(predictor).__qualname__
    facts = {"cycle": cycle, "predictor": named, "goal": goal, "explore": explore, "budget": budget, "seed": seed,
             "tolerance": tolerance, **limits}  # fmt: skip
    name = _name(facts, start)
    result = _searched(run, start, predictor, facts, limits, run.folder / SEARCHES / f"{name}.jsonl", report)
    chosen = [each for each in result.best if each.number > 0][:survivors]
    if not chosen:
        raise ValueError("the search found no network that keeps the limits; allow more, or give a larger budget.")
    made = []
    for place, each in enumerate(chosen):
        done = _written(run, name, place)
        if done is None:
            low = SEARCHING + (1 - SEARCHING) * place / len(chosen)
            high = SEARCHING + (1 - SEARCHING) * (place + 1) / len(chosen)
            done = train_cycle(
                run,
                _module(each.candidate.graph, start, training.seed),
                task,
                training,
                name=f"search, {goal} {place + 1}",
                parent=cycle,
                note=_note(each, result, named),
                source={"graph": True, "search": {"id": name, "place": place, "predicted": each.score, **facts}},
                scratch=scratch,
                report=_part(report, low, high, f"network {place + 1} of {len(chosen)}: "),
            )
        made.append(done)
    sign = 1 if run.higher_is_better else -1
    worst = -sign * float("inf")
    return max(made, key=lambda c: sign * (worst if (v := c.metrics.get(run.primary)) is None else v))


def edge_build(
    run: Run,
    cycle: int,
    *,
    predictor: "str | Predictor" = "digits",
    explore: str = TOPOLOGY,
    budget: int = 3000,
    survivors: int = 2,
    tolerance: float = 0.005,
    flops: float | None = None,
    params: float | None = None,
    latency_ms: float | None = None,
    seed: int = 0,
    task: str | Task = "digits",
    training: Training = FROM_SCRATCH,
    scratch: Path | None = None,
    report: Report = silent,
) -> Cycle:
    """`search_cycles` with the goal "edge": a network for small computers, at most `tolerance` below the cycle's."""
    return search_cycles(
        run, cycle, predictor=predictor, goal="edge", explore=explore, budget=budget, survivors=survivors,
        tolerance=tolerance, flops=flops, params=params, latency_ms=latency_ms, seed=seed, task=task, training=training,
        scratch=scratch, report=report,
    )  # fmt: skip


def search_job(
    run: Run | None,
    cycle: int | None,
    *,
    folder: str | Path,
    predictor: "str | Predictor" = "digits",
    goal: str = "balanced",
    explore: str = TOPOLOGY,
    budget: int = 3000,
    survivors: int = 3,
    tolerance: float = 0.0,
    flops: float | None = None,
    params: float | None = None,
    latency_ms: float | None = None,
    seed: int = 0,
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
    network : nn.Module or mapping, optional
        As `train_cycle` takes it.
    name : str, optional
        Of the new run.
    predictor, goal, explore, budget, survivors, tolerance, flops, params, latency_ms, seed, task, training
        See `search_cycles`.
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
    check_search_job(run, cycle, folder=folder, network=network, task=task, predictor=predictor, goal=goal,
                     explore=explore)  # fmt: skip
    task = get_task(task)
    folder = Path(folder)
    if (folder / files.RUN).exists():
        new = Run.open(folder, writable=True)
    else:
        primary, higher = (run.primary, run.higher_is_better) if run else ("accuracy", True)
        new = Run.create(folder, name=name, task=run_task(task, goal), primary=primary,
                         higher_is_better=higher)  # fmt: skip
    if not len(new):
        if cycle is not None:
            initial = run.cycle(cycle)
            source = {"graph": True, "start": {"run": run.name, "cycle": cycle}}
            note = f"Cycle {cycle} of the run {run.name!r}, as it was."
            train_cycle(new, initial.module(), task, None, name=initial.name, note=note, source=source, scratch=scratch)
        else:
            train_cycle(new, network, task, training, scratch=scratch, report=_part(report, 0, SEARCHING / 2, ""))
    search_cycles(
        new, 0, predictor=predictor, goal=goal, explore=explore, budget=budget, survivors=survivors,
        tolerance=tolerance, flops=flops, params=params, latency_ms=latency_ms, seed=seed, task=task, training=training,
        scratch=scratch, report=report,
    )  # fmt: skip
    return new


def _searched(run: Run, start: Cycle, predictor: Any, facts: Mapping[str, Any], limits: Mapping[str, Any], log: Path,
              report: Report) -> "Result":  # fmt: skip
    from nasviz.search.goals import Limits
    from nasviz.search.hunt import predictor_scorer, search
    from nasviz.search.predictors import predictor as named
    from nasviz.search.spaces import GraphSpace

    report(0.0, "loading the predictor")
    space = GraphSpace([start.graph()], macro=facts["explore"] == TOPOLOGY)
    scorer = predictor_scorer(named(predictor) if isinstance(predictor, str) else predictor, space)
    return search(
        space,
        scorer,
        starts=space.starts,
        budget=facts["budget"],
        seed=facts["seed"],
        goal=facts["goal"],
        tolerance=facts["tolerance"],
        limits=Limits(**limits),
        settings={"iterations": ROUNDS, "k": PARENTS, "children": -(-facts["budget"] // ROUNDS)},
        log=log,
        report=_part(report, 0.0, SEARCHING, ""),
    )


def _name(facts: Mapping[str, Any], start: Cycle) -> str:
    from nasviz.search.shapes import key

    text = json.dumps({**facts, "graph": key(start.graph())}, sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _written(run: Run, name: str, place: int) -> Cycle | None:
    """The cycle of a survivor, if an earlier start of the search wrote it."""
    for cycle in run.cycles:
        search = cycle.source.get("search")
        if isinstance(search, Mapping) and (search.get("id"), search.get("place")) == (name, place):
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


def _note(each: Any, result: "Result", predictor: str) -> str:
    first = result.scored[0]
    change = each.cost.flops / max(first.cost.flops, 1) - 1
    return (
        f"Found by search ({result.judge.goal.value}): predicted {each.score:.4g} by {predictor!r}, the start "
        f"{first.score:.4g}; {abs(change):.0%} {'fewer' if change < 0 else 'more'} FLOPs."
    )


def _part(report: Report, low: float, high: float, text: str) -> Report:
    return lambda fraction, message: report(low + (high - low) * min(fraction, 0.98), text + message)
