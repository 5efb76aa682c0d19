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

from nasviz.families import Family, get
from nasviz.graph import builder, graph, ops, store
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
    """

    name: str
    table: pd.DataFrame
    card: dict[str, Any] = field(default_factory=dict, repr=False)
    scale: str = "paper"
    _graphs: list[ComputeGraph] | None = field(default=None, init=False, repr=False)

    def __post_init__(self):
        missing = [column for column in COLUMNS if column not in self.table.columns]
        if missing:
            raise ValueError(
                f"table lacks {', '.join(missing)}; a benchmark's table has {', '.join(COLUMNS)}: see from_table."
            )
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
        """The rows of one family.

        Raises
        ------
        ValueError
            If the benchmark has no row of that family.
        """
        if family not in self.families:
            raise ValueError(f"family={family!r}: {self.name} has rows of {', '.join(self.families) or 'no family'}.")
        return self.subset(self.table.family == family)

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
        part = Benchmark(self.name, self.table.iloc[rows], self.card, self.scale)
        if self._graphs is not None:
            part._graphs = [self._graphs[i] for i in rows]
        return part

    def graphs(self, progress: bool = False) -> list[ComputeGraph]:
        """Computation graphs of the networks that were trained, in the table's order.

        They are built once, on all cores if there are many, and kept in `nasviz.resources.cache_folder()`.

        Parameters
        ----------
        progress : bool
            Whether to show a progress bar while they are built.
        """
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

        parcels = [
            (get(family), rows.iloc[start : start + PARCEL])
            for family, rows in self.table.groupby("family", sort=False).arch
            for start in range(0, len(rows), PARCEL)
        ]
        tasks = (joblib.delayed(_pack_graphs)(family, rows.tolist(), self.scale) for family, rows in parcels)
        packed = joblib.Parallel(n_jobs=-1 if len(self) >= MANY else 1, return_as="generator")(tasks)
        result: list[ComputeGraph] = [None] * len(self)  # type: ignore[list-item]
        with tqdm(total=len(self), desc=f"graphs of {self.name}", disable=not progress) as bar:
            for (_, rows), table in zip(parcels, packed, strict=True):
                for position, network in zip(rows.index, store.unpack(table), strict=True):
                    result[position] = network
                bar.update(len(rows))
        return result

    def _cache_file(self) -> Path | None:
        """Named after all that the graphs depend on, their code included; none for a family typed into a notebook."""
        modules = [ops, graph, builder, store, *(sys.modules[type(get(name)).__module__] for name in self.families)]
        sources = [getattr(module, "__file__", None) for module in modules]
        if not all(sources):
            return None
        digest = hashlib.sha256("\n".join([self.name, self.scale, *self.table.family, *self.table.arch]).encode())
        for source in sources:
            digest.update(Path(source).read_bytes())
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


READERS: Mapping[str, tuple[str, str]] = {
    "digits": ("nasviz.benchmarks.tables:read_digits", ""),
    "nb101": (
        "nasviz.benchmarks.tables:read_nb101",
        "a CSV file with the columns num_vertices, edge_bits, ops (digits, as text) and val_acc_108 (a fraction)",
    ),
    "nb201": (
        "nasviz.benchmarks.tables:read_nb201",
        "a CSV file with the columns arch and cifar10_test_acc_200 (in percent)",
    ),
}
"""The function that reads a benchmark, and which file it needs; the bundled one needs none."""


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
        The file of a benchmark that is not bundled.
    **options
        What the reader takes. "nb101": `metric="val_acc_108"`, the column to use as accuracy. "nb201":
        `metric="cifar10_test_acc_200"`, and `none=False` to keep only the 4,096 cells without the operation `none`.

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
    >>> bench.families
    ['nb101', 'nb201']
    """
    if name not in READERS:
        raise ValueError(f"name={name!r}: no such benchmark; known: {', '.join(READERS)}. from_table reads your own.")
    address, needed = READERS[name]
    if needed and path is None:
        raise ValueError(f"load({name!r}) needs path=…: {needed}.")
    module, function = address.split(":")
    reader = getattr(import_module(module), function)
    allowed = list(signature(reader).parameters)[1:]
    unknown = [option for option in options if option not in allowed]
    if unknown:
        raise TypeError(f"load({name!r}) has no option {unknown[0]!r}; it has {', '.join(allowed) or 'none'}.")
    return reader(path, **options)
