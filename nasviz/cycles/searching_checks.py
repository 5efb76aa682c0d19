"""What is quick to know of a search before it starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasviz.cycles import files
from nasviz.cycles.checks import architecture, check_job
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.run import Run
from nasviz.cycles.task import Task, get_task

TOPOLOGY, SIZES = "topology", "kernels and widths"


def run_task(task: Task, goal: str) -> str:
    """What the run of a search says it is for; by this it is known again."""
    return f"{task.name}: search, {goal}."


def check_search(
    run: Run,
    cycle: int,
    *,
    predictor: Any = "digits",
    goal: str = "balanced",
    explore: str = TOPOLOGY,
    task: str | Task = "digits",
    flops: float | None = None,
    params: float | None = None,
    latency_ms: float | None = None,
    **_: Any,
) -> Cycle:
    """The cycle, if a search can start from it; everything that is quick to know beforehand.

    Raises
    ------
    PermissionError
        If the run is open for reading.
    KeyError, FileNotFoundError
        If there is no such cycle, or it has no graph.
    ValueError
        If its network cannot be mutated, or a parameter has a wrong value.
    """
    from nasviz.search.goals import Limits

    check_job(run, task)
    _check_words(goal, explore)
    Limits(flops, params, latency_ms)
    return _startable(run, cycle, predictor)


def check_search_job(
    run: Run | None,
    cycle: int | None,
    *,
    folder: str | Path,
    predictor: Any = "digits",
    goal: str = "balanced",
    explore: str = TOPOLOGY,
    task: str | Task = "digits",
    network: Any = None,
    **_: Any,
) -> None:
    """Refuse a job that cannot go well; it raises what `search_job` does."""
    task = get_task(task)
    task.check_primary(run.primary if run else "accuracy")
    _check_words(goal, explore)
    if (Path(folder) / files.RUN).exists() and Run.open(folder).task != run_task(task, goal):
        raise FileExistsError(f"folder={str(folder)!r} holds a run of something else; name another folder.")
    if (cycle is None) == (network is None):
        raise ValueError("network: a search starts from a cycle, or with cycle=None from a network; give one of them.")
    if cycle is not None:
        _startable(run, cycle, predictor)
        return
    _check_predictor(predictor)
    if isinstance(network, Mapping):
        architecture(network)


def _check_words(goal: str, explore: str) -> None:
    from nasviz.search.goals import Goal

    if goal not in list(Goal):
        raise ValueError(f"goal={goal!r}: it is one of {', '.join(Goal)}.")
    if explore not in (TOPOLOGY, SIZES):
        raise ValueError(f"explore={explore!r}: it is {TOPOLOGY!r} or {SIZES!r}.")


def _startable(run: Run, cycle: int, predictor: Any) -> Cycle:
    from nasviz.search.shapes import prepared

    found = run.cycle(cycle)
    prepared(found.graph())
    _check_predictor(predictor)
    return found


def _check_predictor(predictor: Any) -> None:
    from nasviz.search.predictors import predictor as named

    if isinstance(predictor, str):
        if predictor != "digits":  # which is always there, and takes seconds to learn
            named(predictor)
    elif not callable(getattr(predictor, "score", None)):
        raise ValueError(f"predictor={predictor!r}: it is a name, or something with a method score(graphs).")
