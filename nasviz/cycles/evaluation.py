"""`evaluate`: a network on its validation and test sets, measured by plug-ins in several processes."""

import pickle
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError

from nasviz.cycles import fetching
from nasviz.cycles.evaluation_worker import Job, Report, work
from nasviz.cycles.performance import Candidate, PerformanceMetric, ask, check_primary
from nasviz.cycles.performance_check import PluginFault
from nasviz.parallel import parallel

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import Dataset


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    metrics : dict
        Phase → metric → value, or None where it has none.
    warnings : list of str
        One sentence for each plug-in and phase that went wrong.
    artifacts : dict
        Phase → name → Path of a file that a plug-in left; `Run.add` copies it into a cycle. The next evaluation in
        the same folder replaces these files.
    collected : dict
        Phase → name → list with one value a batch, in the order of the data set.
    """

    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    artifacts: dict[str, dict[str, Path]] = field(default_factory=dict)
    collected: dict[str, dict[str, list[Any]]] = field(default_factory=dict)


def evaluate(
    module: "nn.Module",
    datasets: "Mapping[str, Dataset]",
    plugins: Iterable[str | type | PerformanceMetric],
    folder: str | Path,
    *,
    fetch: Mapping[str, str] | None = None,
    inputs: str | int | Sequence[str | int] = 0,
    fields: Sequence[str] | None = None,
    primary: str | None = None,
    collect: Sequence[str] = (),
    workers: int = 1,
    batch_size: int = 64,
    collate_fn: Callable | None = None,
) -> Evaluation:
    """Run a network over data sets in batches and let plug-ins measure it.

    The batches of a phase are dealt to the workers in contiguous runs, so their content and order do not depend on
    the number of workers. A plug-in that fails has None for what it could not give, and a sentence in `warnings`; the
    others go on.

    Parameters
    ----------
    module : nn.Module
        Copied, put into evaluation mode, and run without gradients on the device where its parameters are.
    datasets : mapping of str to Dataset
        Phase → data set with a length, as in ``{"validation": ..., "test": ...}``.
    plugins : sequence of str, type or PerformanceMetric
        See `nasviz.cycles.performance_load.load_plugin` and `PerformanceMetric`.
    folder : path
        The run's folder. Until the end, the instances have their scratch folders there; artifacts stay in its
        ``artifacts``.
    fetch : mapping of str to str, optional
        Key → tensor: a layer's dotted name, or ``"logits"`` (the output) or ``"prediction"`` (its argmax over
        dimension 1), which are always there under their own names, too.
    inputs : str, int or a sequence of them
        Fields of the batch that the network is called with, by name or by place.
    fields : sequence of str, optional
        Names for the fields of a data set that gives tuples: plug-ins then get dictionaries.
    primary : str, optional
        The primary metric; refused here if no plug-in gives it.
    collect : sequence of str
        Names of values to return by batch: what a plug-in's `update` returned under that name, else the fetched
        tensor, else the field of the data.
    workers : int
        Processes, by joblib. With one, all happens in this process. Inside ``joblib.parallel_config("dask")`` the
        workers are those of a Dask cluster; `folder` must then be readable from all of them.
    batch_size : int
        Samples a batch.
    collate_fn : callable, optional
        As of torch's DataLoader.

    Raises
    ------
    ValueError, FileNotFoundError
        If an argument is wrong, `primary` is not known, or a plug-in cannot be loaded; nothing has run then. Also if
        the network or a data set does not fit the job, or cannot be sent to other processes.
    RuntimeError
        If a worker process dies.

    Examples
    --------
    >>> evaluation = evaluate(net, {"test": digits}, ["confusion_matrix"], "runs/digits", workers=2)
    >>> evaluation.metrics["test"]["accuracy"]
    0.97
    """
    _check_datasets(datasets)
    for name, value in (("workers", workers), ("batch_size", batch_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: give a whole number from 1.")
    fetch, inputs = dict(fetch or {}), (inputs,) if isinstance(inputs, str | int) else tuple(inputs)
    fields, collect = None if fields is None else tuple(fields), tuple(collect)
    fetching.check_fetch(module, fetch)
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(dir=folder, prefix="scratch-"))
    try:
        candidates = [_with_keys(candidate, fetch) for candidate in ask(plugins, scratch)]
        if primary is not None:
            check_primary(primary, candidates)
        evaluation = Evaluation(warnings=[str(c.fault) for c in candidates if c.fault])
        able = [candidate for candidate in candidates if not candidate.fault]
        keys = dict.fromkeys(key for candidate in able for key in candidate.metric.input_keys)
        keys |= dict.fromkeys(key for key in collect if key in fetch or key in fetching.BUILT_IN)
        fetch = {key: fetch.get(key, key) for key in keys}
        for phase, dataset in datasets.items():
            job = Job(module, dataset, phase, scratch, able, fetch, inputs, fields, collect, batch_size, collate_fn)
            _phase(job, workers, evaluation, folder / "artifacts" / phase)
        return evaluation
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_datasets(datasets: "Mapping[str, Dataset]") -> None:
    if not isinstance(datasets, Mapping) or not datasets:
        raise ValueError("datasets: give a mapping from phases to data sets, as in {'validation': ..., 'test': ...}.")
    for phase, dataset in datasets.items():
        if not isinstance(phase, str) or not phase.isidentifier():
            raise ValueError(f"datasets: the phase {phase!r} is no name; call it 'validation' or 'test'.")
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__") or not len(dataset):
            raise ValueError(f"datasets[{phase!r}]: a data set has a length above 0 and an item for each index.")


def _with_keys(candidate: Candidate, fetch: Mapping[str, str]) -> Candidate:
    """The same with input keys, all of which the job fetches."""
    metric = candidate.metric
    keys = metric.input_keys if metric.input_keys is not None else tuple(fetch) or (fetching.LOGITS,)
    for key in keys:
        if key not in fetch and key not in fetching.BUILT_IN:
            known = ", ".join(map(repr, [*fetch, *fetching.BUILT_IN]))
            raise ValueError(
                f"{metric.label} needs the input key {key!r}, which the job does not fetch (it fetches {known}); "
                f"name its tensor in the job, as in fetch={{{key!r}: 'prediction'}}."
            )
    return replace(candidate, metric=replace(metric, input_keys=keys))


def _phase(job: Job, workers: int, evaluation: Evaluation, artifacts: Path) -> None:
    count = -(-len(job.dataset) // job.batch_size)
    shares = [share.tolist() for share in np.array_split(np.arange(count), min(workers, count))]
    reports = _in_workers(job, shares, workers)
    if artifacts.exists():
        shutil.rmtree(artifacts)
    metrics, files = evaluation.metrics.setdefault(job.phase, {}), evaluation.artifacts.setdefault(job.phase, {})
    for number, candidate in enumerate(job.candidates):
        values, fault = dict.fromkeys(candidate.names), _first_fault(number, reports)
        if not fault:
            try:
                values, fault = _reduced(job, number, reports, count - 1)
                _keep(job.scratch(number, "result"), artifacts, files, f"_{number}")
            except PluginFault as raised:
                fault = raised
        metrics.update(values)
        if fault:
            evaluation.warnings.append(str(fault))
    batches = [batch for report in reports for batch in report.collected]
    evaluation.collected[job.phase] = {key: [batch.get(key) for batch in batches] for key in job.collect}
    for key in job.collect:
        if not any(key in batch for batch in batches):
            evaluation.warnings.append(
                f"collect: in phase {job.phase!r} no plug-in returned {key!r} from update(), and neither the fetched "
                "tensors nor the data have it."
            )


def _in_workers(job: Job, shares: Sequence[Sequence[int]], workers: int) -> list[Report]:
    try:
        # mmap_mode: large arrays of the data set are shared between processes, yet may be written to as in this one.
        return parallel(workers, mmap_mode="c")(
            joblib.delayed(work)(job, worker, share) for worker, share in enumerate(shares)
        )
    except pickle.PicklingError as error:
        lines = [line for line in str(error.__cause__ or error).splitlines() if line.strip('" ')]
        raise ValueError(
            f"workers={workers}: the network or the data set of phase {job.phase!r} cannot be sent to other processes "
            f"({lines[-1]}); use one worker."
        ) from error
    except TerminatedWorkerError as error:
        labels = ", ".join(candidate.metric.label for candidate in job.candidates)
        raise RuntimeError(
            f"workers={workers}: a worker process died in phase {job.phase!r}, for want of memory or by a crash in the "
            f"network, the data set or a plug-in ({labels}); try fewer workers, then one plug-in at a time."
        ) from error


def _first_fault(number: int, reports: Sequence[Report]) -> PluginFault | None:
    """The same for any number of workers: of the faults of all workers that with the first batch."""
    faults = [report.faults[number] for report in reports if number in report.faults]
    return min(faults, key=lambda fault: fault.batch, default=None)


def _reduced(
    job: Job, number: int, reports: Sequence[Report], last: int
) -> tuple[dict[str, float | None], PluginFault | None]:
    guard = job.guard(number, "result", 0)
    results = [guard.unpacked("get_worker_results", last, report.results[number]) for report in reports]
    return guard.scalars(guard.reduce(results, last), job.candidates[number].names, last)


def _keep(source: Path, target: Path, files: dict[str, Path], otherwise: str) -> None:
    """Move the files of a reducing instance to `target` and enter them by name into `files`."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name = re.sub(r"\W+", "_", path.relative_to(source).with_suffix("").as_posix()).strip("_") or "file"
        name = name + otherwise if name in files else name
        target.mkdir(parents=True, exist_ok=True)
        files[name] = path.replace(target / f"{name}{path.suffix}")
