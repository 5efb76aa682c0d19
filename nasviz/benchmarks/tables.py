"""Benchmarks from tables: the bundled one, published label files, and any table that you bring."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
import pandas as pd

from nasviz.benchmarks.benchmark import COLUMNS, Benchmark
from nasviz.families import get
from nasviz.families.family import quoted
from nasviz.files import checked, read_json, short
from nasviz.resources import data_folder

FORMATS: Mapping[str, Callable[[Path, Sequence[str]], pd.DataFrame]] = {
    ".csv": lambda path, text: pd.read_csv(path, dtype=dict.fromkeys(text, str)),
    ".parquet": lambda path, text: pd.read_parquet(path),
    ".json": lambda path, text: pd.read_json(path, dtype=False, precise_float=True),
    ".jsonl": lambda path, text: pd.read_json(path, dtype=False, precise_float=True, lines=True),
}
"""How to read a file by the end of its name, and which columns are text even where they look like numbers."""

UNPACK: Mapping[str, Callable[[Path], IO[bytes]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BOMB_BYTES, BOMB_RATIO = 1 << 28, 100
"""What a compressed table may always unpack to, and how many times its size."""


def from_table(
    frame: pd.DataFrame | str | Path,
    family: str | None = None,
    *,
    arch: str = "arch",
    accuracy: str = "accuracy",
    columns: Mapping[str, str] | None = None,
    percent: bool | None = None,
    scale: str = "paper",
    name: str = "table",
    card: Mapping[str, Any] | None = None,
) -> Benchmark:
    """A benchmark of your own architectures and accuracies.

    Parameters
    ----------
    frame : DataFrame or path
        One row an architecture. A path names a CSV, Parquet, JSON or JSON-lines file.
    family : str, optional
        The family of all rows; without it the column `family` says which family each row belongs to.
    arch, accuracy : str
        Names of the columns with the architectures' text forms and with their accuracies.
    columns : mapping of str to str, optional
        Your names by ours, for these and any other columns: ``{"arch": "cell", "family": "space", "macs": "madds"}``.
    percent : bool, optional
        Whether accuracies are in percent. Fractions in [0, 1] need no word; anything larger does.
    scale : str
        Scale of the networks that were trained.
    name : str
        Name of the benchmark.
    card : mapping, optional
        What is known of the numbers; see `Benchmark`.

    Returns
    -------
    Benchmark
        Other columns are kept behind family, arch and accuracy.

    Raises
    ------
    ValueError
        If the table is empty, lacks a column, or has an accuracy that is missing or no fraction, an architecture that
        its family does not know, or one that appears twice. The sentence names the first such row, counted from 0.

    Examples
    --------
    >>> frame = pd.DataFrame({"arch": ["2:1:", "3:7:1"], "top1": [61.0, 64.5]})
    >>> from_table(frame, "nb101", accuracy="top1", percent=True).table.accuracy.tolist()
    [0.61, 0.645]
    """
    frame = frame if isinstance(frame, pd.DataFrame) else read_frame(frame)
    chosen = _chosen({"arch": arch, "accuracy": accuracy} | ({} if family else {"family": "family"}), columns)
    _check_columns(frame, chosen)
    frame = frame.rename(columns=chosen).reset_index(drop=True)
    if family:
        frame["family"] = family
    yours = {new: old for old, new in chosen.items()}
    frame["accuracy"] = _fractions(frame["accuracy"], yours["accuracy"], percent)
    _check_archs(frame, scale)
    frame = frame[[*COLUMNS, *(column for column in frame.columns if column not in COLUMNS)]]
    defaults = {"title": name, "source": "your table", "licence": "not stated", "min_accuracy": 0.0, "flops_unit": 1e9}
    return Benchmark(name, frame, {**defaults, **(card or {})}, scale)


def read_frame(path: str | Path, text: Sequence[str] = ()) -> pd.DataFrame:
    """The table in a CSV, Parquet, JSON or JSON-lines file; all but Parquet may be compressed (.gz, .zip, ...).

    Parameters
    ----------
    path : str or Path
        The file; the end of its name says what it is.
    text : sequence of str
        Columns that are text, though they may look like numbers.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the name does not say what it is, or the content is something else: damaged, empty, a web page.
    """
    path = Path(path)
    kind = next((suffix for suffix in path.suffixes if suffix in FORMATS), None)
    if kind is None:
        raise ValueError(f"path={str(path)!r}: the name of a table ends with {', '.join(FORMATS)} (or .csv.gz).")
    path = checked(path, f"a {kind} table")
    try:
        _check_no_bomb(path)
        return FORMATS[kind](path, text)
    except Exception as error:  # of pandas, Arrow, or one of six ways to compress
        raise ValueError(f"path={str(path)!r} cannot be read as a {kind} table: {short(error)}") from error


def _check_no_bomb(path: Path) -> None:
    """Refuse what is small and unpacks to very much, before pandas unpacks all of it into memory."""
    most = max(BOMB_BYTES, BOMB_RATIO * path.stat().st_size)
    size = 0
    if path.suffix == ".zip":
        with ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    elif path.suffix in UNPACK:
        with UNPACK[path.suffix](path) as file:
            while size <= most and (part := file.read(1 << 20)):
                size += len(part)
    if size > most:
        raise ValueError(f"it unpacks to more than {BOMB_RATIO} times its size; unpack it yourself if you trust it")


def read_digits(path: str | Path | None = None) -> Benchmark:
    """The bundled benchmark; or another one that `nasviz label` made, by the path of its Parquet file."""
    path = Path(path) if path else data_folder() / "digits.parquet"
    table, beside = read_frame(path), path.with_suffix(".json")
    if not beside.is_file():
        raise FileNotFoundError(f"path={str(path)!r}: its card {beside.name} is not beside it.")
    card = read_card(beside, {"name": str, "scale": str})
    return Benchmark(card["name"], table, card, card["scale"])


def read_card(path: Path, fields: Mapping[str, type]) -> dict[str, Any]:
    """The card of a benchmark that `nasviz label` made, with at least these `fields` (name → type)."""
    card = read_json(path, "the card of the benchmark")
    for name, kind in fields.items():
        if not isinstance(card, dict) or not isinstance(card.get(name), kind):
            raise ValueError(f"path={str(path)!r} is no card of a benchmark: it has no {name!r}, or a wrong one.")
    return card


def read_nb101(path: str | Path, metric: str = "val_acc_108") -> Benchmark:
    """NAS-Bench-101 from a table with num_vertices, edge_bits, ops, and a column of accuracies, `metric`.

    Bit k of `edge_bits` says that there is edge k of (0,1), (0,2), ..., (1,2), ...; `ops` has a digit for each inner
    vertex, so it has to be read as text.
    """
    frame = read_frame(path, text=["ops"])
    parts = ["num_vertices", "edge_bits", "ops"]
    _check_columns(frame, [*parts, metric])
    # The smallest cell has no inner vertex: its `ops` is an empty field, which pandas reads as missing.
    arch = frame.num_vertices.astype(str) + ":" + frame.edge_bits.astype(str) + ":" + frame.ops.fillna("")
    frame = frame.drop(columns=parts).assign(arch=arch)
    return from_table(frame, "nb101", accuracy=metric, percent=False, name="nb101", card=NB101_CARD)


def read_nb201(path: str | Path, metric: str = "cifar10_test_acc_200", none: bool = True) -> Benchmark:
    """NAS-Bench-201 from a table with arch and a column of accuracies in percent, `metric`.

    With `none=False` only the cells without the operation `none` are kept: 4,096 of all 15,625.
    """
    frame = read_frame(path)
    _check_columns(frame, ["arch", metric])
    if not none:
        frame = frame[~frame.arch.astype(str).str.contains("none~")]
    return from_table(frame, "nb201", accuracy=metric, percent=True, name="nb201", card=NB201_CARD)


NB101_CARD = {
    "title": "NAS-Bench-101 (Ying et al., ICML 2019)",
    "source": "your label file; the benchmark is https://github.com/google-research/nasbench",
    "licence": "Apache-2.0",
    "note": "CIFAR-10 validation accuracy of one training run",
    "min_accuracy": 0.8,
    "flops_unit": 1e9,
}
NB201_CARD = {
    "title": "NAS-Bench-201, the topology space of NATS-Bench (Dong et al., TPAMI 2021)",
    "source": "your label file; the benchmark is https://github.com/D-X-Y/NATS-Bench",
    "licence": "MIT",
    "note": "CIFAR-10 test accuracy after 200 epochs",
    "min_accuracy": 0.0,
    "flops_unit": 1e9,
}


def _chosen(names: Mapping[str, str], columns: Mapping[str, str] | None) -> dict[str, str]:
    """Our names of a table's columns by theirs; `columns` has the last word."""
    if not isinstance(columns or {}, Mapping) or not all(isinstance(name, str) for name in (columns or {}).values()):
        raise ValueError(f"columns={columns!r}: give the names of your columns by ours, as in {{'arch': 'cell'}}.")
    chosen: dict[str, str] = {}
    for ours, yours in {**names, **(columns or {})}.items():
        if yours in chosen:
            raise ValueError(f"columns: {yours!r} cannot be both {chosen[yours]!r} and {ours!r}.")
        chosen[yours] = ours
    return chosen


def _check_columns(frame: pd.DataFrame, needed: Any) -> None:
    columns = frame.columns
    if frame.empty:
        raise ValueError("the table has no rows; a benchmark needs at least one architecture.")
    missing = [column for column in needed if column not in columns]
    if missing:
        raise ValueError(
            f"the table has no column {', '.join(map(repr, missing))}; it has {', '.join(map(str, columns))}. "
            "Name the right columns in the call, or give `family` where all rows are of one."
        )
    taken = [new for old, new in needed.items() if old != new and new in columns] if isinstance(needed, Mapping) else []
    twice = [*columns[columns.duplicated()], *taken]
    if twice:
        raise ValueError(f"two columns claim the name {twice[0]!r}; rename or drop one of them.")


def _fractions(values: pd.Series, column: str, percent: bool | None) -> pd.Series:
    try:
        numbers = pd.to_numeric(values, errors="coerce").astype(float)
    except OverflowError:
        raise ValueError(f"column {column!r} holds a whole number beyond all floating-point ones.") from None
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        first = values.tolist()[bad[0]]
        raise ValueError(
            f"column {column!r} holds no number in {len(bad)} of {len(values)} rows, first {quoted(first)} in row "
            f"{bad[0]}; drop those rows first."
        )
    top = 100 if percent else 1
    outside = np.flatnonzero((numbers < 0) | (numbers > top))
    if len(outside):
        hint = "accuracies in percent need percent=True" if percent is None else f"percent={percent} allows 0 to {top}"
        raise ValueError(
            f"column {column!r} holds {numbers.iloc[outside[0]]:g} in row {outside[0]}, and an accuracy is a fraction "
            f"in [0, 1]; {hint}."
        )
    if percent and len(numbers) and numbers.max() <= 1:
        raise ValueError(
            f"percent=True, but column {column!r} holds at most {numbers.max():g}; leave percent out for fractions."
        )
    return numbers / top


def _check_archs(frame: pd.DataFrame, scale: str) -> None:
    for row, (family, text) in enumerate(zip(frame.family, frame.arch, strict=True)):
        try:
            found = get(family)
            found.skeleton(scale)
            found.parse(text)
        except ValueError as error:
            raise ValueError(f"row {row}: {error}") from None
    double = frame.duplicated(["family", "arch"])
    if double.any():
        second = int(np.flatnonzero(double)[0])
        family, text = frame.family[second], frame.arch[second]
        first = int(np.flatnonzero((frame.family == family) & (frame.arch == text))[0])
        raise ValueError(f"rows {first} and {second} both hold {family} {text}; keep one row an architecture.")
