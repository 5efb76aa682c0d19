"""What is quick to know of a job before it starts: refused at once, in a sentence, instead of after an hour."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasviz.cycles import files
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.run import Run
from nasviz.cycles.task import Task, get_task
from nasviz.resources import data_folder

if TYPE_CHECKING:
    from torch import nn


def check_job(run: Run, task: str | Task = "digits", **_: Any) -> Task:
    """The task, if a job on it can write its cycles into this run; everything that is quick to know beforehand.

    Raises
    ------
    PermissionError
        If the run is open for reading, or its folder cannot be written to.
    ValueError
        If there is no such task, or it does not give the run's primary metric.
    """
    if not run.writable:
        raise PermissionError(f"the run {run.name!r} is open for reading; Run.open(folder, writable=True) writes.")
    if not os.access(run.folder, os.W_OK):
        raise PermissionError(f"the folder {str(run.folder)!r} cannot be written to; copy the run to one of your own.")
    task = get_task(task)
    task.check_primary(run.primary)
    return task


def check_fine_tune(run: Run, cycle: int, *, task: str | Task = "digits", **_: Any) -> None:
    """Refuse a fine-tuning that cannot go well; it raises what `nasviz.cycles.fine_tune` does.

    Raises
    ------
    PermissionError
        Also if the run came with nasviz.
    """
    check_trained(run, cycle)
    if is_bundled(run):
        raise PermissionError(
            f"the run {run.name!r} came with nasviz and stays as it is; copy its folder, or start a new job from it."
        )
    check_job(run, task)


def is_bundled(run: Run) -> bool:
    """Whether the run came with nasviz."""
    return run.folder.resolve().is_relative_to(data_folder().resolve())


def check_trained(run: Run, cycle: int, **_: Any) -> Cycle:
    """The cycle, if it has weights.

    Raises
    ------
    KeyError
        If there is no such cycle.
    FileNotFoundError
        If it has no weights.
    """
    found = run.cycle(cycle)
    if not (found.folder / files.WEIGHTS).is_file():
        raise FileNotFoundError(
            f"cycle {cycle} of the run {run.name!r} has no weights, so there is nothing to go on from."
        )
    return found


def check_new_job(
    run: Run | None,
    cycle: int | None,
    *,
    folder: str | Path,
    task: str | Task = "digits",
    network: "nn.Module | Mapping[str, str] | None" = None,
    primary: str = "",
    **_: Any,
) -> None:
    """Refuse a new job that cannot go well; it raises what `new_job` does."""
    get_task(task).check_primary(primary or (run.primary if run else "accuracy"))
    if (Path(folder) / files.RUN).exists():
        raise FileExistsError(f"folder={str(folder)!r} holds a run already; name another folder.")
    if cycle is None and network is None:
        raise ValueError(
            "network=None: a job that starts from no cycle needs a module, or a mapping "
            "{'family': ..., 'arch': ..., 'scale': ...}."
        )
    if cycle is not None:
        check_trained(run, cycle)
    if cycle is not None and isinstance(network, Mapping):
        raise ValueError("network: the network is the cycle's; start from nothing (cycle=None) to train another.")
    if isinstance(network, Mapping):
        architecture(network)


def architecture(source: Mapping[str, str]) -> tuple[Any, Any, str]:
    """Family, architecture and scale that a mapping names."""
    from nasviz.families import get

    if not {"family", "arch"} <= set(source) <= {"family", "arch", "scale"}:
        raise ValueError(f"network={dict(source)!r}: it names 'family', 'arch' and, if not 'paper', 'scale'.")
    family, scale = get(source["family"]), source.get("scale", "paper")
    family.skeleton(scale)
    return family, family.parse(source["arch"]), scale


def trained(cycle: Cycle, module: "nn.Module | None") -> "nn.Module":
    """The cycle's network with its weights; in `module`, where that is given."""
    weights = cycle.weights()
    if module is None:
        return cycle.module()
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights of cycle {cycle.index} do not fit the module that was given: {reason}"
        ) from error
    return module
