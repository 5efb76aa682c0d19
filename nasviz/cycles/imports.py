"""Runs from what people already have: models here; tables, MLflow and TensorBoard in the modules beside.

Everything is read and checked before the run's folder is made.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasviz.cycles.cycle import UNITS
from nasviz.cycles.run import Run
from nasviz.cycles.write import Content

if TYPE_CHECKING:
    from torch import nn


def from_models(
    folder: str | Path,
    models: "Mapping[str, nn.Module] | Sequence[nn.Module]",
    example: Any,
    *,
    metrics: Mapping[str, Mapping[str, float | None]] | None = None,
    data: Any = None,
    timed: bool = False,
    batch: int = 1,
    name: str = "",
    task: str = "",
    primary: str = "accuracy",
    higher_is_better: bool = True,
) -> Run:
    """A run of models that are at hand, a cycle each, with their weights, costs and layers.

    Parameters
    ----------
    folder : str or Path
        For the run; it must not hold one.
    models : mapping of str to nn.Module, or sequence
        By the names of the cycles, which of a sequence are the classes' names.
    example : tensor, tuple or dict; or a mapping of these by the models' names
        One input, as `nasviz.trace` takes it.
    metrics : mapping of mappings, optional
        What was measured of each model, by its name.
    data : optional
        Inputs on which to measure the information capacity of layers: a tensor, or a list of batches.
    timed : bool
        Whether to measure latency.
    batch : int
        Inputs in the example.
    name, task, primary, higher_is_better
        Of the run; see `Run.create`.

    Returns
    -------
    Run
        Open for writing.

    Raises
    ------
    FileExistsError
        If the folder holds a run.
    ValueError
        If there is no model, or metrics are of none of them, or are wrong; or a model fails on its example.
    """
    from nasviz.cycles.description import describe

    if not isinstance(models, Mapping):
        models = _named(models)
    metrics = dict(metrics or {})
    strangers = [key for key in metrics if key not in models]
    if strangers:
        raise ValueError(f"metrics names {strangers[0]!r}; the models are {', '.join(map(repr, models))}.")
    examples = (
        example if isinstance(example, Mapping) and set(models) <= set(example) else dict.fromkeys(models, example)
    )
    for key in metrics:
        Content(primary, fractions(metrics[key], ()))  # before anything is measured
    entries = []
    for key, module in models.items():
        own = dict(metrics.get(key, {}))
        performance = own.get(primary) if higher_is_better else None
        given = describe(
            module, examples[key], metrics=own, performance=performance, data=data, timed=timed, batch=batch
        )
        entries.append({"name": key, "source": {"import": "models", "class": type(module).__qualname__}, **given})
    return write_run(folder, entries, "models", name, task, primary, higher_is_better, needed=False)


def write_run(
    folder: str | Path,
    entries: Sequence[Mapping[str, Any]],
    kind: str,
    name: str,
    task: str,
    primary: str,
    higher_is_better: bool,
    *,
    percent: Collection[str] = (),
    needed: bool = True,
) -> Run:
    """A new run of these cycles (arguments of `Run.add`), all checked before the first is written.

    Raises
    ------
    ValueError
        If there is no cycle, a metric is wrong, or no cycle has the primary metric although it is `needed`.
    """
    entries = [{**entry, "metrics": fractions(entry.get("metrics") or {}, percent)} for entry in entries]
    if not entries:
        raise ValueError(f"there are no {kind} to import; a run is made from at least one cycle.")
    found = dict.fromkeys(metric for entry in entries for metric in entry["metrics"])
    absent = [metric for metric in ([primary] if needed else []) + list(percent) if metric not in found]
    if absent:
        raise ValueError(
            f"no cycle has the metric {absent[0]!r}; there are {', '.join(map(repr, found)) or 'none'}. Name the "
            "primary metric in `primary`, or rename columns by `columns`."
        )
    for entry in entries:
        Content(primary, entry["metrics"], entry.get("units"))
    run = Run.create(folder, name=name, task=task, primary=primary, higher_is_better=higher_is_better)
    for entry in entries:
        run.add(**entry)
    return run


def renamed(metrics: Mapping[str, Any], columns: Mapping[str, str] | None) -> dict[str, Any]:
    """Metrics under the names that `columns` (theirs → ours) gives them.

    Raises
    ------
    ValueError
        If two get one name.
    """
    result: dict[str, Any] = {}
    for key, value in metrics.items():
        new = (columns or {}).get(key, key)
        if new in result:
            raise ValueError(f"two metrics claim the name {new!r}; change `columns`.")
        result[new] = value
    return result


def _named(models: "Sequence[nn.Module]") -> "dict[str, nn.Module]":
    result: dict[str, nn.Module] = {}
    for module in models:
        name, count = type(module).__name__, 2
        while name in result:
            name, count = f"{type(module).__name__} {count}", count + 1
        result[name] = module
    return result


def fractions(metrics: Mapping[str, Any], percent: Collection[str]) -> dict[str, Any]:
    """Metrics with those in percent divided by 100.

    Raises
    ------
    ValueError
        If one whose unit is a fraction is none.
    """
    result = {key: value / 100 if key in percent and value is not None else value for key, value in metrics.items()}
    for key, value in result.items():
        if UNITS.get(key) == "fraction" and isinstance(value, int | float) and (value > 1 or value < 0):
            raise ValueError(f"{key}={value:g}: it is a fraction in [0, 1]; percents need percent=[{key!r}].")
    return result
