"""What is quick to know of a search before it starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasviz.cycles import files
from nasviz.cycles.checks import architecture, check_job
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.run import Run
from nasviz.cycles.search_plan import BALANCED, SearchPlan
from nasviz.cycles.task import Task, get_task


def run_task(task: Task, goal: str) -> str:
    """What the run of a search says it is for; by this it is known again."""
    return f"{task.name}: search, {goal}."


def check_search(run: Run, cycle: int, *, plan: SearchPlan = BALANCED, task: str | Task = "digits", **_: Any) -> Cycle:
    """The cycle, if a search can start from it; everything that is quick to know beforehand.

    Raises
    ------
    PermissionError
        If the run is open for reading.
    KeyError, FileNotFoundError
        If there is no such cycle, or it has no graph.
    ValueError
        If its network cannot be mutated, or there is no such predictor.
    """
    check_job(run, task)
    return _startable(run, cycle, plan)


def check_search_job(
    run: Run | None,
    cycle: int | None,
    *,
    folder: str | Path,
    plan: SearchPlan = BALANCED,
    task: str | Task = "digits",
    network: Any = None,
    **_: Any,
) -> None:
    """Refuse a job that cannot go well; it raises what `search_job` does."""
    task = get_task(task)
    task.check_primary(run.primary if run else "accuracy")
    if (Path(folder) / files.RUN).exists() and Run.open(folder).task != run_task(task, plan.goal):
        raise FileExistsError(f"folder={str(folder)!r} holds a run of something else; name another folder.")
    if (cycle is None) == (network is None):
        raise ValueError("network: a search starts from a cycle, or with cycle=None from a network; give one of them.")
    if cycle is not None:
        _startable(run, cycle, plan)
        return
    _check_predictor(plan)
    if isinstance(network, Mapping):
        architecture(network)


def _startable(run: Run, cycle: int, plan: SearchPlan) -> Cycle:
    from nasviz.search.shapes import prepared

    found = run.cycle(cycle)
    prepared(found.graph())
    _check_predictor(plan)
    return found


def _check_predictor(plan: SearchPlan) -> None:
    if plan.predictor != "digits":  # which is always there, and takes seconds to learn
        plan.model()
