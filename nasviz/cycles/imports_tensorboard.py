"""A run from TensorBoard's event files."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nasviz.cycles.imports import renamed, write_run
from nasviz.cycles.run import Run
from nasviz.resources import extra

REDUCE: Mapping[str, Callable[[Sequence[float]], float]] = {"last": lambda values: values[-1], "max": max, "min": min}


def from_tensorboard(
    folder: str | Path,
    logdir: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    reduce: str | Mapping[str, str] = "last",
    percent: Collection[str] = (),
    name: str = "",
    task: str = "",
    primary: str = "accuracy",
    higher_is_better: bool = True,
) -> Run:
    """A run from the scalars of a folder of TensorBoard logs: a cycle for each folder with event files, by their time.

    Parameters
    ----------
    folder : str or Path
        For the run; it must not hold one.
    logdir : str or Path
        What TensorBoard is started with.
    columns : mapping of str to str, optional
        TensorBoard's tags → our names, as in ``{"val/acc": "accuracy"}``.
    reduce : str or mapping of str to str
        Which of a curve's values is the metric: "last" (by step), "max" or "min" of the finite ones; one word for all,
        or by our names.
    percent : collection of str
        Metrics (our names) that are in percent.
    name, task, primary, higher_is_better
        Of the run; see `Run.create`. The folder's name by default.

    Returns
    -------
    Run
        Open for writing.

    Raises
    ------
    ImportError
        If TensorBoard is not installed: it is the extra ``nasviz[tensorboard]``.
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no scalars, or none of the primary metric's name; or an argument is wrong.
    """
    events = extra("tensorboard.backend.event_processing.plugin_event_accumulator", "tensorboard")
    find = extra("tensorboard.backend.event_processing.io_wrapper", "tensorboard").GetLogdirSubdirectories
    logdir = Path(logdir)
    if not logdir.is_dir():
        raise FileNotFoundError(f"logdir={str(logdir)!r}: there is no such folder.")
    by_name = {} if isinstance(reduce, str) else reduce
    for word in [reduce] if isinstance(reduce, str) else reduce.values():
        if word not in REDUCE:
            raise ValueError(f"reduce={word!r}: it is one of {', '.join(REDUCE)}.")
    entries = []
    for part in map(Path, find(str(logdir))):
        accumulator = events.EventAccumulator(str(part), size_guidance={events.TENSORS: 0})  # 0 keeps every step
        accumulator.Reload()
        start, curves = _scalars(accumulator)
        if not curves:
            continue
        curves = renamed(curves, columns)
        relative = part.relative_to(logdir).as_posix()
        rules = {key: by_name.get(key, "last") if by_name else reduce for key in curves}
        entries.append(
            {
                "name": logdir.resolve().name if relative == "." else relative,
                "created": datetime.fromtimestamp(start, UTC),
                "source": {"import": "tensorboard", "folder": relative},
                "metrics": {key: _reduced(values, rules[key]) for key, values in curves.items()},
            }
        )
    entries.sort(key=lambda entry: (entry["created"], entry["name"]))
    name = name or logdir.resolve().name
    return write_run(folder, entries, "scalars", name, task, primary, higher_is_better, percent=percent)


def _scalars(accumulator: Any) -> tuple[float, dict[str, list[float]]]:
    """When the first scalar was written, and the curves, each by step; old and new summaries alike."""
    make = extra("tensorboard.util.tensor_util", "tensorboard").make_ndarray
    start, curves = math.inf, {}
    for tag in accumulator.Tags()["tensors"]:
        if accumulator.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            found = sorted(accumulator.Tensors(tag), key=lambda event: event.step)  # stable: a later value wins
            curves[tag] = [float(make(event.tensor_proto)) for event in found]
            start = min([start, *(event.wall_time for event in found)])
    return start, curves


def _reduced(values: Sequence[float], rule: str) -> float | None:
    known = values if rule == "last" else [value for value in values if math.isfinite(value)]
    return REDUCE[rule](known) if known else None
