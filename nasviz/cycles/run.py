"""`Run`: a folder of cycles that one process writes while others read it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd

from nasviz.cycles import files
from nasviz.cycles.cycle import Cycle, read_cycle
from nasviz.cycles.frames import long_layers
from nasviz.cycles.write import Content, check_name, checked_head

if TYPE_CHECKING:
    import torch

    from nasviz.graph.graph import ComputeGraph


class Run:
    """A sequence of networks with what was measured on each, kept in a folder. Use `Run.open` or `Run.create`.

    Every cycle appears at once, complete, or not at all: a writer fills a folder beside the others and moves it into
    place. So any number of processes may read while one writes, and a writer that is killed leaves a readable run.
    Writers take turns by a lock on the run; opening, reading and `refresh` write nothing, not even a lock.

    Attributes
    ----------
    folder : Path
        Where it lies.
    name, task : str
        What to call it, and what its networks are for.
    primary : str
        The primary metric, which `metrics` also calls `performance`.
    higher_is_better : bool
        Which way the primary metric improves.
    writable : bool
        Whether `add` and `update` are allowed.
    """

    def __init__(self, folder: Path, *, writable: bool = False):
        self.folder, self.writable = folder, writable
        self.name, self.task, self.primary, self.higher_is_better = files.read_run(folder)
        self._signatures: dict[int, tuple] = {}
        self._cycles: dict[int, Cycle] = {}
        self._wide: dict[int, pd.DataFrame] = {}  # the layers of a cycle, read when they are first asked for
        self._tables: dict[str, pd.DataFrame] = {}
        self.refresh()

    @classmethod
    def open(cls, folder: str | Path, *, writable: bool = False) -> "Run":
        """The run in a folder, for reading alone unless `writable`.

        Raises
        ------
        FileNotFoundError
            If there is no run.
        ValueError
            If a file is damaged, or was written by a newer version.
        """
        return cls(Path(folder), writable=writable)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        name: str = "",
        task: str = "",
        primary: str = "accuracy",
        higher_is_better: bool = True,
    ) -> "Run":
        """A new run without cycles, open for writing.

        Parameters
        ----------
        folder : str or Path
            Made if it is missing; it must not hold a run.
        name : str, optional
            The folder's name by default.
        task : str
            What the networks are for, in a sentence.
        primary : str
            Name of the metric that counts, measured on the test set.
        higher_is_better : bool
            Whether more of it is better.

        Raises
        ------
        FileExistsError
            If there is a run already.
        ValueError
            If `primary` is no name of a metric.
        """
        folder = Path(folder)
        if (folder / files.RUN).exists():
            raise FileExistsError(f"folder={str(folder)!r} holds a run already; open it, or name another folder.")
        document = {
            "format_version": files.FORMAT_VERSION,
            "name": name or folder.resolve().name,
            "task": task,
            "primary": {"name": check_name(primary), "higher_is_better": bool(higher_is_better)},
        }
        files.write_json(folder / files.RUN, document)
        (folder / files.CYCLES).mkdir(exist_ok=True)
        return cls(folder, writable=True)

    def __repr__(self) -> str:
        return f"<Run {self.name!r}: {len(self._cycles)} cycles, primary metric {self.primary!r}>"

    def __len__(self) -> int:
        return len(self._cycles)

    @property
    def cycles(self) -> list[Cycle]:
        """The cycles, by index."""
        return list(self._cycles.values())

    def cycle(self, index: int) -> Cycle:
        """The cycle with this index.

        Raises
        ------
        KeyError
            If there is none.
        """
        if index not in self._cycles:
            known = f"0 to {max(self._cycles)}" if self._cycles else "none"
            raise KeyError(f"index={index!r}: the run {self.name!r} has no such cycle (it has {known}).")
        return self._cycles[index]

    @property
    def metrics(self) -> pd.DataFrame:
        """Columns cycle (int), name, metric, value (float; NaN where there is no value) and unit; a row a metric."""
        if "metrics" not in self._tables:
            rows = [(c.index, c.name, m, v, c.units[m]) for c in self.cycles for m, v in c.metrics.items()]
            types = {"cycle": int, "name": "str", "metric": "str", "value": float, "unit": "str"}
            self._tables["metrics"] = pd.DataFrame(rows, columns=list(types)).astype(types)
        return self._tables["metrics"].copy(deep=False)  # a caller's changes stay the caller's

    @property
    def layers(self) -> pd.DataFrame:
        """Columns cycle (int), layer, op, trainable (bool), position (int), metric, value; a row a layer and metric.

        A cycle without a measurement has no rows for it; NaN is a measurement without a value.

        Raises
        ------
        ValueError
            If a file is damaged.
        """
        if "layers" not in self._tables:
            self._wide |= {cycle.index: cycle.layers() for cycle in self.cycles if cycle.index not in self._wide}
            self._tables["layers"] = long_layers({index: self._wide[index] for index in self._cycles})
        return self._tables["layers"].copy(deep=False)

    def refresh(self) -> bool:
        """Look at the folder again; whether anything has changed.

        Only files that changed are read again. The tables that were handed out before stay as they are.

        Raises
        ------
        ValueError
            If a file is damaged.
        """
        signatures, cycles = {}, {}
        for index, folder in files.cycle_folders(self.folder).items():
            try:
                now = files.signature(folder)
                known = self._signatures.get(index) == now
                cycles[index] = self._cycles[index] if known else read_cycle(folder, self.primary)
                signatures[index] = now
            except FileNotFoundError:
                continue  # not there yet, or just removed
        changed = {index for index in cycles if self._signatures.get(index) != signatures[index]}
        if not changed and cycles.keys() == self._cycles.keys():
            return False
        self._wide = {i: frame for i, frame in self._wide.items() if i in cycles and i not in changed}
        self._signatures, self._cycles, self._tables = signatures, cycles, {}
        return True

    def add(
        self,
        name: str = "",
        *,
        parent: int | None = None,
        note: str = "",
        status: str = "done",
        created: datetime | None = None,
        source: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        units: Mapping[str, str] | None = None,
        artifacts: Mapping[str, Path | pd.DataFrame] | None = None,
        layers: pd.DataFrame | None = None,
        graph: "ComputeGraph | None" = None,
        weights: "Mapping[str, torch.Tensor] | torch.nn.Module | None" = None,
    ) -> Cycle:
        """Write a cycle behind the others; readers see all of it or nothing.

        Parameters
        ----------
        name : str, optional
            "cycle 7" by default.
        parent : int, optional
            The cycle that this one was made from.
        note, status : str
            What is to be said of it.
        created : datetime, optional
            When the network was made; now by default.
        source : mapping, optional
            How the network was made, in JSON's types.
        metrics : mapping of str to number or None
            By their own names; the primary one is called `performance` on reading. Infinities and NaN become None.
        units : mapping of str to str
            Units of metrics that are not standard.
        artifacts : mapping of str to path or DataFrame
            Files to copy into the cycle; a DataFrame becomes a Parquet file.
        layers : DataFrame
            One row a layer: layer, op, trainable, position, and a column a metric.
        graph : ComputeGraph, optional
            Needless where `source` names a family and an architecture.
        weights : mapping or nn.Module, optional
            A module's state.

        Returns
        -------
        Cycle

        Raises
        ------
        PermissionError
            If the run was opened for reading.
        ValueError
            If an argument has a wrong value; nothing is written then.
        TimeoutError
            If another writer keeps the run locked.
        """
        content = Content(self.primary, metrics, units, artifacts, layers, graph, weights)
        head = checked_head(name, parent, note, status, created, source)
        with self._writing():
            if parent is not None and parent not in self._cycles:
                raise ValueError(f"parent={parent!r}: the run has no such cycle; None stands for no parent.")
            index = max(files.cycle_folders(self.folder), default=-1) + 1
            beside = self.folder / files.CYCLES / f"{files.NEW}{uuid4().hex}"
            beside.mkdir(parents=True)
            try:
                content.write(beside)
                files.write_json(beside / files.CYCLE, {**head, "index": index, "name": name or f"cycle {index}"})
                beside.rename(files.cycle_folder(self.folder, index))  # refuses to replace a folder that holds files
            except BaseException:  # an interrupt, too, must leave nothing behind
                shutil.rmtree(beside, ignore_errors=True)
                raise
            self.refresh()
        return self.cycle(index)

    def update(
        self,
        index: int,
        *,
        metrics: Mapping[str, float | None] | None = None,
        units: Mapping[str, str] | None = None,
        artifacts: Mapping[str, Path | pd.DataFrame] | None = None,
        layers: pd.DataFrame | None = None,
        note: str | None = None,
        status: str | None = None,
    ) -> Cycle:
        """Add to what is known of a cycle: metrics and artifacts join the old ones, a table of layers replaces its old.

        Each file is replaced as a whole. Parameters and errors are those of `add`.
        """
        with self._writing():
            before = self.cycle(index)
            folder = before.folder
            Content(self.primary, metrics, units, artifacts, layers).write(folder, before)
            changes = {key: value for key, value in (("note", note), ("status", status)) if value is not None}
            if changes:
                head = json.loads((folder / files.CYCLE).read_text(encoding="utf-8"))
                files.write_json(folder / files.CYCLE, head | changes)
            self.refresh()
        return self.cycle(index)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self.writable:
            raise PermissionError(f"the run {self.name!r} is open for reading; Run.open(folder, writable=True) writes.")
        with files.locked(self.folder):
            files.sweep(self.folder / files.CYCLES)
            self.refresh()
            yield
