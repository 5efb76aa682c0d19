"""Performance-metric plug-ins: what one is, how a job names it, and which metrics it gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from nasviz.cycles.performance_check import JOB_START, Guard, PluginFault
from nasviz.cycles.performance_load import absolute_spec, load_plugin


class PerformancePlugin(Protocol):
    """What a plug-in does; any class with these methods is one, without inheriting from this.

    Each phase (validation, test) and each worker process has an instance of its own, and one more reduces the
    results. State belongs into instance variables, never into class or module variables.
    """

    def __init__(self, folder_name: str) -> None:
        """Counters at zero. `folder_name` is a scratch folder of this instance alone, readable from any worker."""

    def update(self, data: Any, tensor_values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Counts one batch.

        Parameters
        ----------
        data : nested structure
            The batch as the data set gives it, tensors as NumPy arrays with the batch first.
        tensor_values : mapping
            The tensors that the job fetches for this plug-in, by input key: NumPy arrays, or numbers where scalar.

        Returns
        -------
        mapping or None
            Values that replace those of the same name, or are added, for whoever uses the batch after the metrics
            (`Evaluation.collected`). Other plug-ins do not see them.
        """

    def get_worker_results(self) -> Any:
        """What this worker adds: anything that can be pickled, or names of files in its folder.

        Changes nothing: called again, it answers the same, and more updates may follow.
        """

    def reduce_all_worker_results(self, worker_results_list: list[Any]) -> Mapping[str, float | None]:
        """The metrics from the results of all workers: scalars, or None for one that has no value.

        Always the same keys. An empty list asks which metrics there are. Files that this instance leaves in its
        folder are the artifacts of the phase.
        """


@dataclass(frozen=True)
class PerformanceMetric:
    """A plug-in as a job names it.

    Attributes
    ----------
    plugin : str or type
        See `nasviz.cycles.performance_load.load_plugin`.
    input_keys : tuple of str, optional
        Keys of the tensors that `update` gets. By default those of the class variable `input_keys` if the class has
        one, else everything that the job fetches.
    label : str, optional
        How sentences call the plug-in; by default by where its class is.
    """

    plugin: str | type
    input_keys: tuple[str, ...] | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            cls = self.plugin
            label = f"{cls.__module__}:{cls.__qualname__}" if isinstance(cls, type) else str(cls)
            object.__setattr__(self, "label", label)


@dataclass(frozen=True)
class Candidate:
    """A plug-in that was asked for its metrics: the names that it gave, or what went wrong."""

    metric: PerformanceMetric
    names: tuple[str, ...] = ()
    fault: PluginFault | None = None


def ask(plugins: Iterable[str | type | PerformanceMetric], folder: str | Path | None = None) -> list[Candidate]:
    """Ask each plug-in which metrics it gives, with an empty list of results.

    Parameters
    ----------
    plugins : sequence of str, type or PerformanceMetric
    folder : path, optional
        Where the instances that are asked have their scratch folders; by default a temporary folder.

    Raises
    ------
    ValueError, FileNotFoundError
        If a plug-in cannot be loaded, or two name the same metric. A plug-in that fails when it is asked is no error
        here: its `Candidate` holds the fault.
    """
    if isinstance(plugins, str | type | PerformanceMetric):
        plugins = [plugins]
    with TemporaryDirectory(dir=folder, prefix="ask-") as scratch:
        candidates = [_asked(_entity(plugin), Path(scratch, str(i))) for i, plugin in enumerate(plugins)]
    owners: dict[str, str] = {}
    for candidate in candidates:
        for name in candidate.names:
            if name in owners:
                raise ValueError(
                    f"metric {name!r} is given by {owners[name]} and by {candidate.metric.label}; "
                    "leave one of them out or rename the metric in one."
                )
            owners[name] = candidate.metric.label
    return candidates


def metric_names(plugins: Iterable[str | type | PerformanceMetric]) -> list[str]:
    """The names of all metrics that the plug-ins give, in their order; those of a failing plug-in are not known."""
    return [name for candidate in ask(plugins) for name in candidate.names]


def check_primary(primary: str, candidates: Iterable[Candidate], also: Sequence[str] = ()) -> None:
    """Refuse a primary metric that nothing gives; to be called when a job starts.

    Parameters
    ----------
    primary : str
        The metric's name.
    candidates : sequence of Candidate
        The plug-ins' answers; see `ask`.
    also : sequence of str
        Names of metrics that need no plug-in.

    Raises
    ------
    ValueError
        If `primary` is not among them. The sentence lists them, and the plug-ins that could not be asked.
    """
    candidates = list(candidates)
    names = [*also, *(name for candidate in candidates for name in candidate.names)]
    if primary not in names:
        near = get_close_matches(str(primary), names, 1)
        parts = [f"primary={primary!r} is no metric of this job; known are {', '.join(names) or 'none'}."]
        parts += [f"Did you mean {near[0]!r}?"] if near else []
        raise ValueError(" ".join(parts + [str(candidate.fault) for candidate in candidates if candidate.fault]))


def _entity(plugin: str | type | PerformanceMetric) -> PerformanceMetric:
    entity = plugin if isinstance(plugin, PerformanceMetric) else PerformanceMetric(plugin)
    cls, keys = load_plugin(entity.plugin), entity.input_keys
    if keys is None:
        keys = getattr(cls, "input_keys", None)
    if keys is not None:
        if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
            raise ValueError(f"input_keys={keys!r} of {entity.label}: give a tuple of names, as in ('prediction',).")
        keys = tuple(keys)
    return PerformanceMetric(absolute_spec(entity.plugin), keys, entity.label)


def _asked(metric: PerformanceMetric, folder: Path) -> Candidate:
    try:
        guard = Guard(metric.plugin, metric.label, JOB_START, folder / "empty", 0)
        guard.check_can_be_sent()
        try:
            answer = guard.reduce([], 0)
        except PluginFault as fault:
            if fault.__cause__ is None:
                raise
            # The documentation's own example fails here: NumPy's sum of no matrices is a number without axes.
            # The result of a worker that saw nothing asks the same question.
            answer = _asked_with_nothing(metric, folder / "nothing", fault)
        return Candidate(metric, guard.names(answer, 0))
    except PluginFault as fault:
        return Candidate(metric, fault=fault)


def _asked_with_nothing(metric: PerformanceMetric, folder: Path, first: PluginFault) -> Any:
    guard = Guard(metric.plugin, metric.label, JOB_START, folder, 0)
    try:
        return guard.reduce([guard.results(0)], 0)
    except PluginFault:
        raise first from None
