"""One cycle of a run: a network with its metrics and layers, read from its folder."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasviz.cycles.files import CYCLE, GRAPH, LAYERS, METRICS, WEIGHTS, damaged, read_json
from nasviz.cycles.frames import checked_layers, no_layers

if TYPE_CHECKING:
    import torch

    from nasviz.graph.graph import ComputeGraph

PERFORMANCE = "performance"
"""What every run calls its primary metric, besides the metric's own name."""

UNITS: Mapping[str, str] = {
    "accuracy": "fraction",
    "parameters": "",
    "netscore_plus": "",
    "size_bytes": "bytes",
    "flops": "FLOPs",
    "macs": "MACs",
    "latency_ms": "ms",
}
"""Units of the standard metrics, where the writer names no other."""


@dataclass(frozen=True, repr=False)
class Cycle:
    """One network of a run.

    Attributes
    ----------
    folder : Path
        Where it lies.
    index : int
        Its number in the run, from 0.
    name, note : str
        What to call it, and what is to be said of it.
    parent : int, optional
        The cycle that it was made from.
    created : str
        When, in ISO 8601 with the time zone.
    status : str
        "done", or the writer's own word.
    source : mapping
        How the network was made: {"family", "arch", "scale"}, {"graph": True}, {"import": ...}.
    metrics : mapping of str to number or None
        `performance` first, which is the run's primary metric, then the metrics by their own names.
    units : mapping of str to str
        Unit of each metric; "" for a plain number.
    artifacts : mapping of str to Path
        Files that belong to it, such as a confusion matrix.
    """

    folder: Path
    index: int
    name: str
    parent: int | None = None
    note: str = ""
    created: str = ""
    status: str = "done"
    source: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Cycle {self.index} {self.name!r}: {', '.join(f'{k} {v}' for k, v in self.metrics.items())}>"

    def layers(self) -> pd.DataFrame:
        """One row a layer: layer, op, trainable, position, and a column a metric; empty where none were stored.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        from pyarrow.parquet import ParquetFile

        path = self.folder / LAYERS
        if not path.is_file():
            return no_layers()
        try:
            with ParquetFile(path) as file:  # in a third of the time of pandas' own reader
                return checked_layers(file.read().to_pandas())
        except Exception as error:  # of pyarrow: ValueErrors, OSErrors, for a size that is damaged a MemoryError
            raise damaged(path, error) from error

    def graph(self) -> "ComputeGraph":
        """The computation graph: the stored one, else that of the architecture named in `source`.

        Raises
        ------
        FileNotFoundError
            If the cycle has neither.
        ValueError
            If the file is damaged, or the family does not know the architecture.
        """
        from nasviz.families import get
        from nasviz.graph.store import read_graphs

        path = self.folder / GRAPH
        if path.is_file():
            graphs = read_graphs(path)
            if len(graphs) != 1:
                raise damaged(path, f"it holds {len(graphs)} graphs, not one")
            return graphs[0]
        if not {"family", "arch"} <= set(self.source):
            raise FileNotFoundError(
                f"cycle {self.index} has no graph: {str(path)!r} is missing, and its source {dict(self.source)} names "
                "no family and architecture; give run.add(graph=...) the network's graph."
            )
        family = get(self.source["family"])
        return family.graph(family.parse(self.source["arch"]), self.source.get("scale", "paper"))

    def weights(self) -> dict[str, "torch.Tensor"]:
        """The weights by their names in the module's state.

        Raises
        ------
        FileNotFoundError
            If the cycle has none.
        ValueError
            If the file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self.folder / WEIGHTS
        if not path.is_file():
            raise FileNotFoundError(f"cycle {self.index} has no weights: there is no {str(path)!r}.")
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise damaged(path, error) from error

    def module(self) -> "torch.nn.Module":
        """The network, ready to run: built from its graph, with its weights, in eval mode.

        Without stored weights they are new ones, by PyTorch's default initialisation.

        Raises
        ------
        FileNotFoundError
            If the cycle has neither a graph nor an architecture.
        ValueError
            If the graph has an operator that cannot be built, or the weights do not fit it.
        """
        from nasviz.graph.build import to_module

        module = to_module(self.graph())
        if (self.folder / WEIGHTS).is_file():
            try:
                module.load_state_dict(self.weights())
            except RuntimeError as error:
                first = " ".join(str(error).split())[:300]
                raise ValueError(f"the weights {str(self.folder / WEIGHTS)!r} do not fit the graph: {first}") from error
        return module.eval()


def read_cycle(folder: Path, primary: str) -> Cycle:
    """The cycle in a folder; `primary` names the run's primary metric.

    Raises
    ------
    FileNotFoundError
        If there is no cycle (yet).
    ValueError
        If a file is damaged.
    """
    head = read_json(folder / CYCLE, {"index": int, "name": str, "parent": (int, type(None)), "note": str,
                                      "created": str, "status": str, "source": dict})  # fmt: skip
    if head["index"] != int(folder.name):
        raise damaged(folder / CYCLE, f"it has index {head['index']}, but lies in folder {folder.name}")
    path = folder / METRICS
    found = {"metrics": {}, "units": {}, "artifacts": {}}
    if path.is_file():
        found = read_json(path, dict.fromkeys(found, dict))
    for name, value in found["metrics"].items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and (not number or (isinstance(value, int) and abs(value) > sys.float_info.max)):
            raise damaged(path, f"metric {name!r} is {value!r}, neither a number nor null")
    for name, file in found["artifacts"].items():
        if not isinstance(file, str) or Path(file).name != file:  # nothing outside of the cycle is opened
            raise damaged(path, f"artifact {name!r} is {file!r}, which names no file beside it")
    metrics = ({PERFORMANCE: found["metrics"][primary]} if primary in found["metrics"] else {}) | found["metrics"]
    units = {name: found["units"].get(name, UNITS.get(name, "")) for name in found["metrics"]}
    if PERFORMANCE in metrics:
        units = {PERFORMANCE: units[primary]} | units
    artifacts = {name: folder / file for name, file in found["artifacts"].items()}
    return Cycle(folder, metrics=metrics, units=units, artifacts=artifacts, **head)
