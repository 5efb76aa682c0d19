"""What one worker process does in a phase: runs the network over its batches and feeds the plug-ins."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from nasviz.cycles import fetching
from nasviz.cycles.performance import Candidate
from nasviz.cycles.performance_check import Guard, PluginFault

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import Dataset


@dataclass(frozen=True)
class Job:
    """What every worker of a phase is told."""

    module: "nn.Module"
    dataset: "Dataset"
    phase: str
    folder: Path
    candidates: list[Candidate]
    fetch: dict[str, str]
    inputs: tuple[str | int, ...]
    fields: tuple[str, ...] | None
    collect: tuple[str, ...]
    batch_size: int
    collate_fn: Callable | None

    def scratch(self, number: int, who: str) -> Path:
        """The folder of an instance: of a worker, or of the one that reduces."""
        return self.folder / self.phase / f"plugin{number}" / who

    def guard(self, number: int, who: str, batch: int) -> Guard:
        """A new instance of a plug-in, by its place in `candidates`."""
        metric = self.candidates[number].metric
        return Guard(metric.plugin, metric.label, self.phase, self.scratch(number, who), batch)


@dataclass
class Report:
    """What a worker answers: for each plug-in, by its number, a fault or pickled results; what was collected."""

    faults: dict[int, PluginFault] = field(default_factory=dict)
    results: dict[int, bytes] = field(default_factory=dict)
    collected: list[dict[str, Any]] = field(default_factory=list)


def work(job: Job, worker: int, share: Sequence[int]) -> Report:
    """The part of a phase that one worker does: the batches `share`, which follow each other."""
    report, guards = Report(), {}

    def attempt(number: int, step: Callable[..., Any], *arguments: Any) -> Any:
        """The step's answer; after a fault None, and the plug-in is out."""
        try:
            return step(*arguments)
        except PluginFault as fault:
            report.faults[number] = fault
            guards.pop(number, None)

    who = f"worker{worker}-{uuid4().hex[:8]}"  # another's folder may hold what one left that died at this share
    for number in range(len(job.candidates)):
        guard = attempt(number, job.guard, number, who, share[0])
        if guard:
            guards[number] = guard
    for batch, data, values in _batches(job, share):
        known = {**(data if isinstance(data, Mapping) else {}), **values}
        for number, guard in list(guards.items()):
            wanted = {key: values[key] for key in job.candidates[number].metric.input_keys}
            # Each gets its own copy: one that writes into an array must not disturb the others.
            own, wanted = copy.deepcopy((data, wanted))
            known |= attempt(number, guard.update, own, wanted, batch, job.collect) or {}
        report.collected.append({key: known[key] for key in job.collect if key in known})
    for number, guard in list(guards.items()):
        parcel = attempt(number, guard.packed_results, share[-1])
        if parcel is not None:
            report.results[number] = parcel
    return report


def _batches(job: Job, share: Sequence[int]) -> Iterator[tuple[int, Any, dict[str, Any]]]:
    """Number, data and fetched values of each batch."""
    import torch
    from torch.utils.data import DataLoader, Subset

    samples = range(share[0] * job.batch_size, min((share[-1] + 1) * job.batch_size, len(job.dataset)))
    # A loader draws a seed from its generator; the global one is the user's.
    loader = DataLoader(
        Subset(job.dataset, samples), job.batch_size, collate_fn=job.collate_fn, generator=torch.Generator()
    )
    module = copy.deepcopy(job.module).eval()
    parameter = next(module.parameters(), None)
    device = "cpu" if parameter is None else parameter.device
    with fetching.fetching(module, job.fetch) as run:
        for batch, data in zip(share, loader, strict=True):
            data = fetching.named(data, job.fields)
            values = run(*(fetching.field(data, key).to(device) for key in job.inputs))
            yield batch, fetching.arrays(data), values
