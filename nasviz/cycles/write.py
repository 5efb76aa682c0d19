"""What goes into a cycle's folder: checked first, then written, each file beside its place and moved into it."""

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasviz.cycles.cycle import PERFORMANCE, Cycle
from nasviz.cycles.files import CYCLE, GRAPH, LAYERS, METRICS, WEIGHTS, write_json
from nasviz.cycles.frames import checked_layers
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    import torch

    from nasviz.graph.graph import ComputeGraph


@dataclass
class Content:
    """The content of a cycle, as `Run.add` describes it.

    Raises
    ------
    FileNotFoundError
        If an artifact names no file.
    ValueError
        If something cannot be stored.
    """

    primary: str
    metrics: Mapping[str, float | None] | None = None
    units: Mapping[str, str] | None = None
    artifacts: Mapping[str, Path | pd.DataFrame] | None = None
    layers: pd.DataFrame | None = None
    graph: "ComputeGraph | None" = None
    weights: "Mapping[str, torch.Tensor] | torch.nn.Module | None" = None

    def __post_init__(self):
        self.metrics = {name: number(name, value) for name, value in (self.metrics or {}).items()}
        for name in self.metrics:
            check_name(name)
            if name == PERFORMANCE != self.primary:
                raise ValueError(
                    f"metrics={name!r}: that is what every run calls its primary metric; give it as {self.primary!r}."
                )
        self.units = dict(self.units or {})
        for name, unit in self.units.items():
            if not isinstance(unit, str):
                raise ValueError(f"units[{name!r}]={unit!r}: a unit is a text, such as 'ms'.")
        self.artifacts = dict(self.artifacts or {})
        for name, value in self.artifacts.items():
            if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name) or name in _TAKEN:
                raise ValueError(
                    f"artifacts={name!r}: a name has letters, digits, _ and -, and is not one of a cycle's."
                )
            if not isinstance(value, pd.DataFrame) and not Path(value).is_file():
                raise FileNotFoundError(f"artifacts[{name!r}]={str(value)!r}: there is no such file.")
        if self.layers is not None:
            self.layers = checked_layers(self.layers)

    def write(self, folder: Path, before: Cycle | None = None) -> None:
        """Put it into a folder; metrics and artifacts join those of `before`."""
        if self.weights is not None:
            write_weights(folder / WEIGHTS, self.weights)
        if self.graph is not None:
            from nasviz.graph.store import write_graphs

            write_graphs(folder / GRAPH, [self.graph])
        if self.layers is not None:
            write_atomically(folder / LAYERS, self.layers.to_parquet)
        files = {name: path.name for name, path in before.artifacts.items()} if before else {}
        for name, value in self.artifacts.items():
            files[name] = f"{name}.parquet" if isinstance(value, pd.DataFrame) else name + Path(value).suffix
            write_atomically(folder / files[name], _writer(value))
        old = before.metrics if before else {}
        metrics = {name: value for name, value in old.items() if name != PERFORMANCE or name == self.primary}
        document = {
            "metrics": metrics | self.metrics,
            "units": {name: before.units[name] for name in metrics} | self.units if before else self.units,
            "artifacts": files,
        }
        write_json(folder / METRICS, document)


_TAKEN = {Path(name).stem for name in (CYCLE, METRICS, LAYERS, GRAPH, WEIGHTS)}


def checked_head(
    name: str, parent: int | None, note: str, status: str, created: datetime | None, source: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The content of cycle.json, but for the index.

    Raises
    ------
    ValueError
        If something cannot be stored.
    """
    for key, value in {"name": name, "note": note, "status": status}.items():
        if not isinstance(value, str):
            raise ValueError(f"{key}={value!r}: it is a text.")
    if parent is not None and not isinstance(parent, Integral):
        raise ValueError(f"parent={parent!r}: it is the index of a cycle, or None.")
    try:
        source = json.loads(json.dumps(dict(source or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"source={source!r}: it must be plain JSON, and is not ({error}).") from error
    return {
        "name": name,
        "parent": None if parent is None else int(parent),
        "note": note,
        "created": (created or datetime.now(UTC)).isoformat(timespec="milliseconds"),
        "status": status,
        "source": source,
    }


def check_name(name: Any) -> str:
    """The name of a metric, if it is one.

    Raises
    ------
    ValueError
        If it is no text, or empty.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{name!r} is no name of a metric; name it with a text, such as 'accuracy'.")
    return name


def number(name: str, value: Any) -> float | None:
    """A metric's value as JSON has it: a number, or None; what is not finite is no value.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if getattr(value, "ndim", None) == 0:  # of NumPy or torch
        value = value.item()
    if value is None or value is pd.NA:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"metrics[{name!r}]={value!r}: a metric is one number, or None where it has no value.")
    if isinstance(value, Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None


def write_weights(path: Path, weights: "Mapping[str, torch.Tensor] | torch.nn.Module") -> None:
    """Write a module's state to a safetensors file."""
    from safetensors.torch import save

    state = weights.state_dict() if hasattr(weights, "state_dict") else weights
    # Tied weights are stored once for each name, since safetensors takes no shared memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    write_atomically(path, lambda beside: beside.write_bytes(save(tensors)))  # `save_file` would let nobody else read


def _writer(value: Path | pd.DataFrame):
    if isinstance(value, pd.DataFrame):
        return value.to_parquet
    return lambda beside: shutil.copyfile(value, beside)
