"""Making cycles: a network is trained, measured, and written into a run.

`fine_tune` and `new_job` have the form of every action's work: (run, cycle, \\*, scratch, report, its own parameters).
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nasviz.cycles.checks import architecture, check_job, check_new_job, trained
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.run import Run
from nasviz.cycles.task import TEST, VALIDATION, Task, get_task
from nasviz.cycles.training import FINE_TUNING, FROM_SCRATCH, Report, Training, fit, silent

if TYPE_CHECKING:
    from torch import nn

CAPACITY_SAMPLES = 256
"""Samples of the test set on which the information capacity of layers is measured."""
MEASURING = 0.85
"""The fraction of the work after which training is over."""


def train_cycle(
    run: Run,
    network: "nn.Module | Mapping[str, str]",
    task: str | Task = "digits",
    training: Training | None = FROM_SCRATCH,
    *,
    name: str = "",
    parent: int | None = None,
    note: str = "",
    source: Mapping[str, Any] | None = None,
    scratch: Path | None = None,
    report: Report = silent,
) -> Cycle:
    """Train a network, measure it on the test set, and write it as a cycle behind the others.

    Its metrics are those of the task's plug-ins (on the validation set with ``validation_`` before their names), the
    standard ones, and the median latency of one input on one thread; its layers have all that is measured on layers;
    its artifacts are those of the plug-ins, and ``training``, the loss by epoch.

    Parameters
    ----------
    run : Run
        Open for writing.
    network : nn.Module or mapping
        A module, trained in place, or {"family", "arch", "scale"}: a new network of that architecture, its weights
        drawn from the seed of `training`.
    task : str or Task
        On what.
    training : Training, optional
        How; None measures the network as it is.
    name, parent, note
        Of the cycle; see `Run.add`.
    source : mapping, optional
        How the network was made, if it is a module.
    scratch : Path, optional
        Where the plug-ins' folders are while they work; by default in the run's folder.
    report : callable
        Told the progress.

    Returns
    -------
    Cycle

    Raises
    ------
    PermissionError
        If the run was opened for reading.
    ValueError
        If no plug-in gives the run's primary metric, or the network does not fit the task. Nothing is written then.
    FloatingPointError
        If the training diverges.
    """
    task = check_job(run, task)
    report(0.0, "loading data")
    module, origin = _network(network, source, training.seed if training else 0)
    artifacts: dict[str, Any] = {}
    if training is not None:
        artifacts["training"] = fit(module, task, training, lambda done, text: report(MEASURING * done, text))
        origin = {**origin, "training": asdict(training)}
    report(MEASURING, "measuring")
    with TemporaryDirectory(dir=scratch or run.folder, prefix=".measure-") as folder:
        content = _measured(run, module, task, Path(folder), training.threads if training else 1)
        content["source"] = {**origin, "task": task.name, **content["source"]}
        content["artifacts"] |= artifacts
        content["note"] = " ".join([note, *content["note"]]).strip()
        report(0.99, "writing")
        return run.add(name, parent=parent, **content)


def fine_tune(
    run: Run,
    cycle: int,
    *,
    task: str | Task = "digits",
    training: Training = FINE_TUNING,
    name: str = "",
    module: "nn.Module | None" = None,
    scratch: Path | None = None,
    report: Report = silent,
) -> Cycle:
    """Train a cycle's network on; a new cycle of the run, whose parent it is.

    Parameters
    ----------
    run : Run
        Open for writing.
    cycle : int
        The cycle to go on from; it has weights.
    task : str or Task
        On what.
    training : Training
        How.
    name : str, optional
        Of the new cycle.
    module : nn.Module, optional
        The network, where it cannot be built from the cycle's graph; it gets the cycle's weights.
    scratch, report
        See `train_cycle`.

    Raises
    ------
    KeyError
        If there is no such cycle.
    FileNotFoundError, ValueError
        If the cycle has no weights, or its network cannot be built; and what `train_cycle` raises.
    """
    parent = run.cycle(cycle)
    network = trained(parent, module)
    note = f"Fine-tuned from cycle {cycle}: {training}."
    return train_cycle(
        run,
        network,
        task,
        training,
        name=name or f"{parent.name}, fine-tuned",
        parent=cycle,
        note=note,
        source=_made(parent),
        scratch=scratch,
        report=report,
    )


def new_job(
    run: Run | None,
    cycle: int | None,
    *,
    folder: str | Path,
    task: str | Task = "digits",
    training: Training = FROM_SCRATCH,
    network: "nn.Module | Mapping[str, str] | None" = None,
    name: str = "",
    primary: str = "",
    scratch: Path | None = None,
    report: Report = silent,
) -> Run:
    """A new run that starts from a cycle of this one, or from nothing.

    From a cycle, cycle 0 of the new run is that network as it was, measured on the task, and cycle 1 the same trained
    on. From nothing, cycle 0 is the trained network.

    Parameters
    ----------
    run : Run, optional
        It is only read.
    cycle : int, optional
        Whose network and weights are the initial ones; None starts from nothing.
    folder : str or Path
        For the new run; it must not hold one.
    task : str or Task
        On what.
    training : Training
        How.
    network : nn.Module or mapping
        From nothing: what to train, as in `train_cycle`. From a cycle: the module to put its weights into, where it
        cannot be built from its graph.
    name, primary : str, optional
        Of the new run; its primary metric is by default that of `run`, or "accuracy".
    scratch, report
        See `train_cycle`.

    Returns
    -------
    Run
        The new one, open for writing.

    Raises
    ------
    FileExistsError
        If the folder holds a run.
    KeyError, FileNotFoundError, ValueError
        As `fine_tune`; and if there is neither a cycle nor a network to start from.
    """
    check_new_job(run, cycle, folder=folder, task=task, network=network, primary=primary)
    task = get_task(task)
    initial = None if cycle is None else run.cycle(cycle)
    module = network if initial is None else trained(initial, network)
    after = "" if initial is None else f" Started from cycle {cycle} of the run {run.name!r}."
    new = Run.create(
        folder,
        name=name,
        task=f"{task.name}: {training}.{after}",
        primary=primary or (run.primary if run else "accuracy"),
        higher_is_better=run.higher_is_better if run and primary in ("", run.primary) else True,
    )
    if initial is None:
        train_cycle(new, module, task, training, scratch=scratch, report=report)
        return new
    source = _made(initial) | {"start": {"run": run.name, "cycle": cycle}}
    train_cycle(
        new,
        module,
        task,
        None,
        name=initial.name,
        note=f"Cycle {cycle} of the run {run.name!r}, as it was.",
        source=source,
        scratch=scratch,
    )
    train_cycle(new, module, task, training, parent=0, source=_made(initial), scratch=scratch, report=report)
    return new


def _network(network: Any, source: Mapping[str, Any] | None, seed: int) -> "tuple[nn.Module, dict[str, Any]]":
    """The module, and how it was made."""
    import torch

    if not isinstance(network, Mapping):
        if not isinstance(network, torch.nn.Module):
            raise ValueError(f"network={network!r}: it is an nn.Module, or a mapping that names an architecture.")
        return network, dict(source or {"graph": True, "class": type(network).__qualname__})
    family, arch, scale = architecture(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return family.build(arch, scale), {**network, "scale": scale}


def _made(cycle: Cycle) -> dict[str, Any]:
    """How a network with the architecture of this cycle is made."""
    named = {key: cycle.source[key] for key in ("family", "arch", "scale") if key in cycle.source}
    return named if {"family", "arch"} <= set(named) else {"graph": True}


def _measured(run: Run, module: "nn.Module", task: Task, folder: Path, threads: int) -> dict[str, Any]:
    """Arguments of `Run.add`; its note is the plug-ins' warnings."""
    import torch
    from torch.utils.data import DataLoader

    from nasviz.cycles.description import layer_table, network_metrics
    from nasviz.cycles.evaluation import evaluate
    from nasviz.graph.trace import trace
    from nasviz.measure import information_capacity, latency, latency_by_layer

    data = task.datasets()
    judged = {phase: data[phase] for phase in (VALIDATION, TEST) if phase in data}
    inputs, _ = next(iter(DataLoader(data[TEST], min(CAPACITY_SAMPLES, len(data[TEST])), collate_fn=task.collate_fn)))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = evaluate(
            module, judged, task.plugins, folder, fetch=task.fetch, batch_size=CAPACITY_SAMPLES,
            collate_fn=task.collate_fn,
        )  # fmt: skip
        example = inputs[:1]
        graph, timing = trace(module, example), latency(module, example)
        capacity = information_capacity(module, inputs, graph=graph)
        layers = layer_table(graph, capacity=capacity, latency=latency_by_layer(module, example))
    finally:
        torch.set_num_threads(before)
    prefixes = {phase: "" if phase == TEST else f"{phase}_" for phase in judged}
    units = {"accuracy": "fraction", **task.units}
    performance = found.metrics[TEST].get(run.primary) if run.higher_is_better else None
    standard = network_metrics(graph, performance=performance, latency=timing)
    known = {phase: {name: units[name] for name in found.metrics[phase] if name in units} for phase in judged}
    return {
        "graph": graph,
        "weights": module,
        "metrics": found.metrics[TEST] | standard | _prefixed(found.metrics, prefixes),
        "units": _prefixed(known, prefixes),
        "artifacts": _prefixed(found.artifacts, prefixes),
        "layers": layers,
        "source": {"latency": {"batch": timing.batch, "threads": timing.threads, "runtime": timing.runtime,
                               "device": timing.device, "repeats": timing.repeats}},
        "note": found.warnings,
    }  # fmt: skip


def _prefixed(found: Mapping[str, Mapping[str, Any]], prefixes: Mapping[str, str]) -> dict[str, Any]:
    """What was found by phase and name, in one mapping."""
    return {prefix + key: value for phase, prefix in prefixes.items() for key, value in found[phase].items()}
