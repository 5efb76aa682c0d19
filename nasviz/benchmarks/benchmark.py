"""`Benchmark`: a table of architectures with measured accuracies, and the networks that were trained."""

import hashlib
import html
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz import families, graph
from nasviz.families import Family, get
from nasviz.graph import store
from nasviz.graph.graph import ComputeGraph
from nasviz.resources import cache_folder

if TYPE_CHECKING:
    import pyarrow

COLUMNS = ("family", "arch", "accuracy")
MANY, PARCEL = 1_000, 250
"""From how many networks on all cores build them, and how many one core builds at a time."""


@dataclass(eq=False)
class Benchmark:
    """Architectures of one or several families with measured accuracies.

    Attributes
    ----------
    name : str
        Short name.
    table : DataFrame
        One row an architecture: family (name), arch (text form), accuracy (fraction in [0, 1]), then the benchmark's
        own columns. The index counts from 0.
    card : dict
        What the numbers are: title, source, licence, and for predictors `min_accuracy` (networks below it are left out
        of training) and `flops_unit` (FLOPs in one unit of the transform T: a number, or "median" for the median of
        the networks trained on). The bundled benchmark's card also has `families` with their reliability.
    scale : str
        Scale of the networks that were trained; a key of every family's `scales`.
    given : sequence of ComputeGraph, optional
        Computation graphs that came with the table, one a row; without them they are built from `arch`.
    """

    name: str
    table: pd.DataFrame
    card: dict[str, Any] = field(default_factory=dict, repr=False)
    scale: str = "paper"
    given: Sequence[ComputeGraph] | None = field(default=None, repr=False)
    _graphs: list[ComputeGraph] | None = field(default=None, init=False, repr=False)

    def __post_init__(self):
        missing = [column for column in COLUMNS if column not in self.table.columns]
        if missing:
            raise ValueError(
                f"table lacks {', '.join(missing)}; a benchmark's table has {', '.join(COLUMNS)}: see from_table."
            )
        if self.given is not None and len(self.given) != len(self.table):
            raise ValueError(f"given has {len(self.given)} graphs for {len(self.table)} rows; give one a row.")
        self.table = self.table.reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"<Benchmark {self.name}: {len(self):,} architectures of {', '.join(self.families) or 'no family'}>"

    @property
    def families(self) -> list[str]:
        """Names of the families, in the order of their first row."""
        return self.table.family.unique().tolist()

    def of(self, family: str) -> "Benchmark":
        """The rows of one family, as a benchmark called ``name:family``.

        Raises
        ------
        ValueError
            If the benchmark has no row of that family.
        """
        if family not in self.families:
            raise ValueError(f"family={family!r}: {self.name} has rows of {', '.join(self.families) or 'no family'}.")
        if self.families == [family]:
            return self
        part = self.subset(self.table.family == family)
        part.name = f"{self.name}:{family}"
        return part

    def subset(self, index: Sequence[int] | Sequence[bool] | np.ndarray | pd.Series | slice) -> "Benchmark":
        """Some rows, in the order of `index`: positions, a slice, or a mask with one truth value a row.

        Raises
        ------
        ValueError
            If `index` is neither, or reaches outside of the table.
        """
        if not isinstance(index, slice):
            index = np.asarray(index, dtype=None if len(index) else int)
        try:
            rows = np.arange(len(self))[index]
        except IndexError as error:
            raise ValueError(f"index: {error}; give positions 0..{len(self) - 1} or one truth value a row.") from None
        given = None
        if self.given is not None:  # stored graphs are not made before they are asked for
            lazy = isinstance(self.given, store.StoredGraphs)
            given = self.given[rows] if lazy else [self.given[i] for i in rows]
        part = Benchmark(self.name, self.table.iloc[rows], self.card, self.scale, given)
        if self._graphs is not None:
            part._graphs = [self._graphs[i] for i in rows]
        return part

    def graphs(self, progress: bool = False) -> list[ComputeGraph]:
        """Computation graphs of the networks that were trained, in the table's order.

        Those that came with the table; else they are built once, on all cores if there are many, and kept in
        `nasviz.resources.cache_folder()`.

        Parameters
        ----------
        progress : bool
            Whether to show a progress bar while they are built.
        """
        if self._graphs is None and self.given is not None:
            self._graphs = list(self.given)
        if self._graphs is None:
            path = self._cache_file()
            if path:
                with suppress(FileNotFoundError, ValueError):  # not made yet, or damaged: it can be made again
                    self._graphs = store.read_graphs(path)
            if self._graphs is None:
                self._graphs = self._build(progress)
                if path:
                    store.write_graphs(path, self._graphs)
        return list(self._graphs)

    def _build(self, progress: bool) -> list[ComputeGraph]:
        import joblib

        from nasviz.parallel import parallel

        parcels = [
            (get(family), rows.iloc[start : start + PARCEL])
            for family, rows in self.table.groupby("family", sort=False).arch
            for start in range(0, len(rows), PARCEL)
        ]
        tasks = (joblib.delayed(_pack_graphs)(family, rows.tolist(), self.scale) for family, rows in parcels)
        packed = parallel(-1 if len(self) >= MANY else 1, return_as="generator")(tasks)
        result: list[ComputeGraph] = [None] * len(self)  # type: ignore[list-item]
        with tqdm(total=len(self), desc=f"graphs of {self.name}", disable=not progress) as bar:
            for (_, rows), table in zip(parcels, packed, strict=True):
                for position, network in zip(rows.index, store.unpack(table), strict=True):
                    result[position] = network
                bar.update(len(rows))
        return result

    def _cache_file(self) -> Path | None:
        """Named after all that the graphs depend on, their code included; none for a family that no module holds."""
        modules = [sys.modules.get(type(get(name)).__module__) for name in self.families]
        own = [getattr(module, "__file__", None) for module in modules]  # none of what is typed into a notebook
        if not all(own):
            return None
        rooms = [path for room in (graph, families) for path in Path(room.__file__).parent.glob("*.py")]
        digest = hashlib.sha256("\n".join([self.name, self.scale, *self.table.family, *self.table.arch]).encode())
        sources = sorted({*rooms, *map(Path, own)})
        for source in sources:
            digest.update(source.read_bytes())
        return cache_folder() / "graphs" / f"{digest.hexdigest()}.arrow"

    def _repr_html_(self) -> str:
        rows = {key: self.card[key] for key in ("source", "licence", "note") if key in self.card}
        rows["scale"] = self.scale
        for family, part in self.table.groupby("family", sort=False):
            low, middle, high = part.accuracy.quantile([0.05, 0.5, 0.95])
            spread = f"{low:.1%} · {middle:.1%} · {high:.1%} (5th, 50th, 95th percentile)"
            reliability = self.card.get("families", {}).get(family, {}).get("reliability")
            rows[family] = f"{len(part):,} architectures, accuracy {spread}" + (
                f", reliability {reliability['spearman']:.2f}" if reliability else ""
            )
        body = "".join(
            f'<tr><th style="text-align:left">{html.escape(str(key))}</th>'
            f'<td style="text-align:left">{html.escape(str(value))}</td></tr>'
            for key, value in rows.items()
        )
        return f"<table><caption>{html.escape(str(self.card.get('title', self.name)))}</caption>{body}</table>"


def _pack_graphs(family: Family, archs: Iterable[str], scale: str) -> "pyarrow.Table":
    return store.pack([family.graph(family.parse(arch), scale) for arch in archs])


@dataclass(frozen=True)
class Reader:
    """A function that reads one kind of file of a benchmark.

    Attributes
    ----------
    address : str
        ``module:function``; the function takes the path, then options.
    needs : str
        What to give as path, as the end of a sentence; empty where the benchmark is bundled.
    endings : tuple of str
        How the names of such files end; "/" stands for a folder.
    """

    address: str
    needs: str = ""
    endings: tuple[str, ...] = ()

    def takes(self, path: Path) -> bool:
        """Whether `path` looks like a file of this reader."""
        return path.name.endswith(self.endings) or ("/" in self.endings and path.is_dir())


NATS = Reader(
    "nasviz.benchmarks.natsbench:read_nats",
    "the folder NATS-tss-v1_0-3ffb9-simple, NATS-tss-v1_0-3ffb9.pickle.pbz2 or NAS-Bench-201-v1_1-096897.pth",
    (".pickle.pbz2", ".pth", ".tar", "/"),
)
READERS: Mapping[str, tuple[Reader, ...]] = {
    "digits": (Reader("nasviz.benchmarks.tables:read_digits"),),
    "nb101": (
        Reader(
            "nasviz.benchmarks.tables:read_nb101",
            "a CSV file with the columns num_vertices, edge_bits, ops (digits, as text) and val_acc_108 (a fraction)",
        ),
        Reader(
            "nasviz.benchmarks.nasbench101:read_tfrecord",
            "the official file nasbench_only108.tfrecord or nasbench_full.tfrecord",
            (".tfrecord",),
        ),
    ),
    "nb201": (
        Reader(
            "nasviz.benchmarks.tables:read_nb201",
            "a CSV file with the columns arch and cifar10_test_acc_200 (in percent)",
        ),
        NATS,
    ),
    "nb301": (
        Reader("nasviz.benchmarks.nasbench301:read_nb301", "the folder of results_*.json files, or one of them"),
    ),
    "nats": (NATS,),
    "gennape": (
        Reader(
            "nasviz.benchmarks.gennape:read_gennape",
            "one of GENNAPE's files: gpi_<family>_comp_graph_cache.pkl, or <family>_cifar10_labelled_cg_data.json",
        ),
    ),
    "zero_cost": (
        Reader("nasviz.benchmarks.zerocost:read_zero_cost", "NASLib's zc_nasbench101.json, or that of 201 or 301"),
    ),
    "table": (Reader("nasviz.benchmarks.tables:from_table", "a CSV, Parquet or JSON table of your own"),),
}
"""Who reads a benchmark's files. The first reader takes every path that no other one claims."""

CONVERTED = Reader("nasviz.benchmarks.convert:open_converted", "its converted .arrow file", (".arrow",))
"""Who reads what `nasviz data convert` made of any benchmark."""


def datasets() -> list[str]:
    """Names that `load` knows."""
    return list(READERS)


def load(name: str, path: str | Path | None = None, **options: Any) -> Benchmark:
    """Load a benchmark by name.

    Parameters
    ----------
    name : str
        "digits", which is bundled, or a published benchmark whose file you have: see `datasets`.
    path : str or Path, optional
        The file of a benchmark that is not bundled: as it was published, or converted to one ``.arrow`` file.
    **options
        What the reader takes. "nb101" from a table: `metric="val_acc_108"`, the column to use as accuracy; from the
        official file: `epochs=108` and `metric="validation"` (see `nasbench101.read_tfrecord`). "nb201":
        `metric="cifar10_test_acc_200"`, and `none=False` to keep only the 4,096 cells without the operation `none`;
        from an official file what "nats" takes. "table": `family`, `columns` and the rest of `from_table`.
        "nb301": `metric="val_accuracy"`, `progress=False`. "zero_cost": `space` and `dataset` (see `zerocost`).
        "nats": `dataset="cifar10"`, `split="test"`, `epochs=200`, `none=True` (see `natsbench.read_nats`).
        "gennape": `own_graphs=True`, the published graphs and not those of our families (see `gennape.read_gennape`).

    Returns
    -------
    Benchmark

    Raises
    ------
    ValueError
        If the name is unknown, the path is missing, or the file does not hold what it should.
    TypeError
        If the reader has no such option.

    Examples
    --------
    >>> bench = load("digits")
    >>> len(bench.families)
    9
    """
    if name not in READERS:
        raise ValueError(f"name={name!r}: no such benchmark; known: {', '.join(READERS)}. from_table reads your own.")
    readers = (*READERS[name], CONVERTED)
    if path is None and readers[0].needs:
        raise ValueError(f"load({name!r}) needs path=…: {'; or '.join(reader.needs for reader in readers)}.")
    chosen = next((reader for reader in readers if path is not None and reader.takes(Path(path))), readers[0])
    module, function = chosen.address.split(":")
    reader = getattr(import_module(module), function)
    allowed = list(signature(reader).parameters)[1:]
    unknown = [option for option in options if option not in allowed]
    if unknown:
        raise TypeError(f"load({name!r}) has no option {unknown[0]!r}; it has {', '.join(allowed) or 'none'}.")
    benchmark = reader(path, **options)
    if chosen is CONVERTED and benchmark.name in set(READERS) - {name}:
        raise ValueError(f"path={str(path)!r} holds the benchmark {benchmark.name!r}, not {name!r}; use that name.")
    return benchmark
