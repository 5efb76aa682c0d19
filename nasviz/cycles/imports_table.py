"""A run from a table, wide or long."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasviz.benchmarks.tables import read_frame
from nasviz.cycles.cycle import PERFORMANCE
from nasviz.cycles.imports import fractions, write_run
from nasviz.cycles.run import Run

HEAD = ("cycle", "name", "parent", "note", "family", "arch", "scale")
"""Columns of a wide table that are no metrics."""
LONG = ("cycle", "metric", "value")
"""Columns of a long table; ``name`` and ``unit`` may stand beside them."""


def from_frame(
    folder: str | Path,
    frame: pd.DataFrame | str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    percent: Collection[str] = (),
    units: Mapping[str, str] | None = None,
    name: str = "",
    task: str = "",
    primary: str = "accuracy",
    higher_is_better: bool = True,
) -> Run:
    """A run from a table.

    Parameters
    ----------
    folder : str or Path
        For the run; it must not hold one.
    frame : DataFrame or path
        A table, or a CSV, Parquet, JSON or JSON-lines file. It is long if it has the columns cycle, metric and value:
        a row a metric. Else it is wide: a row a cycle, where name, note, parent (a value of the column cycle, or else
        a row counted from 0), and family, arch, scale (an architecture, which gives the cycle its graph, costs and
        layers) have their meaning, other columns of numbers are metrics, and columns of text are kept in the source.
    columns : mapping of str to str, optional
        Your names → ours, as in ``{"top1": "accuracy", "step": "cycle"}``.
    percent : collection of str
        Metrics (our names) that the table has in percent.
    units : mapping of str to str, optional
        Units of metrics.
    name, task, primary, higher_is_better
        Of the run; see `Run.create`.

    Returns
    -------
    Run
        Open for writing; its cycles are in the table's order.

    Raises
    ------
    FileExistsError
        If the folder holds a run.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the table is empty, a column or value is wrong, or the primary metric is not in it.
    """
    frame = frame if isinstance(frame, pd.DataFrame) else read_frame(frame)
    missing = [column for column in columns or {} if column not in frame]
    if missing:
        raise ValueError(f"columns names {missing[0]!r}; the table has {', '.join(map(str, frame))}.")
    frame = frame.rename(columns=dict(columns or {})).reset_index(drop=True)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"two columns claim the name {twice[0]!r}; rename or drop one of them.")
    if set(LONG) <= set(frame):
        entries = _long(frame, primary)
    else:
        entries = _wide(frame, primary if higher_is_better else None, percent)
    for entry in entries:
        entry["units"] = {**entry.get("units", {}), **(units or {})}
    return write_run(folder, entries, "rows", name, task, primary, higher_is_better, percent=percent)


def _wide(frame: pd.DataFrame, primary: str | None, percent: Collection[str]) -> list[dict[str, Any]]:
    metrics, words = {}, {}
    for column in frame.columns.difference(HEAD, sort=False):
        if pd.api.types.is_datetime64_any_dtype(frame[column]):
            words[str(column)] = frame[column]
            continue
        numbers = pd.to_numeric(frame[column], errors="coerce").astype(float)
        wrong = np.flatnonzero(numbers.isna() & frame[column].notna())
        if not len(wrong):
            metrics[str(column)] = numbers
        elif len(wrong) == frame[column].notna().sum():
            words[str(column)] = frame[column]
        else:
            value = frame[column].tolist()[wrong[0]]
            raise ValueError(
                f"column {column!r} holds {value!r} in row {wrong[0]}, among numbers; drop or mend that row."
            )
    labels = frame["cycle"].tolist() if "cycle" in frame else list(range(len(frame)))
    position = {label: row for row, label in enumerate(labels)}
    if len(position) < len(labels):
        twice = next(label for row, label in enumerate(labels) if position[label] != row)
        raise ValueError(f"cycle {twice!r} has two rows; a wide table has one a cycle.")
    parents = frame["parent"].tolist() if "parent" in frame else [None] * len(frame)
    entries = []
    for row in range(len(frame)):
        values = {name: _value(column[row]) for name, column in metrics.items()}
        source = {"import": "table"} | {key: str(v[row]) for key, v in words.items() if pd.notna(v[row])}
        entry = {"name": _called(labels[row])} if "cycle" in frame else {}
        entry |= {key: _text(frame[key][row]) for key in ("name", "note") if key in frame}
        if pd.notna(parents[row]):
            entry["parent"] = position.get(parents[row])
            if entry["parent"] is None or entry["parent"] >= row:
                raise ValueError(f"row {row} has the parent {parents[row]!r}, which is no cycle before it.")
        if {"family", "arch"} <= set(frame):
            entry |= _architecture(frame.iloc[row], fractions(values, percent).get(primary))
        entry["source"] = source | entry.get("source", {})
        entries.append({**entry, "metrics": entry.get("metrics", {}) | values})
    return entries


def _architecture(row: pd.Series, performance: float | None) -> dict[str, Any]:
    """What a family knows of a row's network."""
    from nasviz.cycles.description import layer_table, network_metrics
    from nasviz.families import get

    source = {"family": row["family"], "arch": row["arch"], "scale": row.get("scale", "paper")}
    family = get(source["family"])
    graph = family.graph(family.parse(source["arch"]), source["scale"])
    return {"source": source, "layers": layer_table(graph), "metrics": network_metrics(graph, performance=performance)}


def _long(frame: pd.DataFrame, primary: str) -> list[dict[str, Any]]:
    numbers = pd.to_numeric(frame["value"], errors="coerce").astype(float)
    wrong = np.flatnonzero(numbers.isna() & frame["value"].notna())
    if len(wrong):
        value = frame["value"].tolist()[wrong[0]]
        raise ValueError(f"column 'value' holds {value!r} in row {wrong[0]}, which is no number.")
    twice = np.flatnonzero(frame.duplicated(["cycle", "metric"]))
    if len(twice):
        cycle, metric = frame["cycle"].tolist()[twice[0]], frame["metric"].tolist()[twice[0]]
        raise ValueError(f"cycle {cycle!r} has two values of {metric!r}; keep one.")
    entries = []
    frame = frame.assign(value=numbers)
    if primary != PERFORMANCE:  # a run's own table has it twice, also under its own name
        frame = frame[frame["metric"] != PERFORMANCE]
    for label, part in frame.groupby("cycle", sort=False):
        entry = {"name": _text(part["name"].iloc[0]) if "name" in frame else _called(label)}
        entry["source"] = {"import": "table"}
        if "unit" in frame:
            entry["units"] = {m: u for m, u in zip(part["metric"], part["unit"], strict=True) if isinstance(u, str)}
        entry["metrics"] = {metric: _value(v) for metric, v in zip(part["metric"], part["value"], strict=True)}
        entries.append(entry)
    return entries


def _value(number: float) -> float | None:
    return int(number) if float(number).is_integer() else float(number) if np.isfinite(number) else None


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _called(label: Any) -> str:
    """The name of a cycle that the table calls so; a number is none."""
    return label if isinstance(label, str) else ""
