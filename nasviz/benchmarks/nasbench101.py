"""NAS-Bench-101 from its official files, nasbench_only108.tfrecord and nasbench_full.tfrecord, without TensorFlow.

A TFRecord file is a chain of records: 8 bytes length n, 4 bytes checksum of them, n bytes payload, 4 bytes checksum of
the payload. A payload is a JSON row (hash, epochs, adjacency matrix, operations, metrics); the metrics are a protobuf
message in Base64 (nasbench/lib/model_metrics.proto): three evaluations, the number of parameters, the total time.
"""

import json
import struct
import warnings
from array import array
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz.benchmarks.benchmark import Benchmark
from nasviz.benchmarks.tables import NB101_CARD
from nasviz.families import get
from nasviz.families.nb101 import LABELS, MAX_EDGES, MAX_VERTICES
from nasviz.files import checked

EPOCHS = (4, 12, 36, 108)
METRICS = {"train": 2, "validation": 3, "test": 4}
"""Position of an accuracy among the numbers of an evaluation."""
TIME = 1
EVALUATIONS, PARAMS = 1, 2  # numbers of protobuf fields
RUNS = 3
FILE = "the TFRecord file nasbench_only108.tfrecord or nasbench_full.tfrecord"

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
# The released files have three evaluations of 47 bytes, the last one at 94: five doubles, each behind its one-byte tag.
_LAST = struct.Struct("<96x" + "xd" * 5 + "x")
_UPPER = {n: itemgetter(*(i * n + j for i in range(n) for j in range(i + 1, n))) for n in range(2, MAX_VERTICES + 1)}
_CODE = {label: str(code) for code, label in enumerate(LABELS)}


def read_tfrecord(
    path: str | Path, *, epochs: int = 108, metric: str = "validation", progress: bool = True
) -> Benchmark:
    """NAS-Bench-101 from an official TFRecord file, read as a stream; every checksum is verified.

    Parameters
    ----------
    path : str or Path
        nasbench_only108.tfrecord, or nasbench_full.tfrecord for fewer epochs.
    epochs : {108, 36, 12, 4}
        How long the networks were trained.
    metric : {"validation", "test", "train"}
        Which CIFAR-10 accuracy at the end of training is the label.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Benchmark
        One row a cell, in the order of the file, each in the vertex order of the file. Columns: `accuracy`, the mean of
        the training runs; `sd`, their sample standard deviation; `accuracy_0` ..., the runs; `training_time`, the mean
        in seconds, without evaluation; `params`, trainable parameters; `hash`, the benchmark's own.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If an option is unknown, or the file is cut off, damaged, something else, or has no record of `epochs`.

    Warns
    -----
    UserWarning
        If the file holds fewer cells or other numbers of runs than were published.
    """
    if epochs not in EPOCHS:
        raise ValueError(f"epochs={epochs!r}: NAS-Bench-101 trained for {', '.join(map(str, EPOCHS))} epochs.")
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r}: the accuracies are {', '.join(map(repr, METRICS))}.")
    path = checked(path, FILE)
    wanted = METRICS[metric]
    cells: dict[str, int] = {}  # hash: row
    archs, params = [], array("q")
    owner, accuracy, seconds = array("q"), array("d"), array("d")  # one entry a training run
    found = set()
    for number, payload in enumerate(_records(path, progress)):
        try:
            key, budget, adjacency, operations, message = json.loads(payload.decode())
            found.add(budget)
            if budget != epochs:
                continue
            last, count = _metrics(a2b_base64(message))
            if key not in cells:
                if len(bytes.fromhex(key)) != 16:
                    raise ValueError(f"hash {key!r}")
                archs.append(_arch(adjacency, operations))
                params.append(count)
                cells[key] = len(cells)
            owner.append(cells[key])
            if not 0 <= last[wanted] <= 1:
                raise ValueError(f"accuracy {last[wanted]}")
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, struct.error) as e:
            fault = f"{type(e).__name__}: {str(e)[:160]}"
            raise ValueError(f"path={str(path)!r}: record {number} is no row of NAS-Bench-101 ({fault}).") from None
        accuracy.append(last[wanted])
        seconds.append(last[TIME])
    if not cells:
        there = ", ".join(sorted(map(str, found)))
        raise ValueError(f"path={str(path)!r} has no record of epochs={epochs}; it has {there}.")
    table = pd.DataFrame({"family": "nb101", "arch": archs})
    table = table.assign(**_labels(np.asarray(owner), np.asarray(accuracy), np.asarray(seconds)))
    table["params"], table["hash"] = np.asarray(params), list(cells)
    _warn(path.name, table)
    card = NB101_CARD | {
        "source": f"{path.name} of https://github.com/google-research/nasbench",
        "note": f"CIFAR-10 {metric} accuracy after {epochs} epochs, mean of the training runs",
        # The paper's threshold is one for fully trained networks.
        "min_accuracy": NB101_CARD["min_accuracy"] if epochs == max(EPOCHS) else 0.0,
    }
    return Benchmark("nb101", table, card)


def _records(path: Path, progress: bool) -> Iterator[bytes]:
    from google_crc32c import value as crc32c

    def masked(data: bytes) -> int:
        crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    size, start, number = path.stat().st_size, 0, 0
    bar = tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=not progress)
    with path.open("rb", buffering=1 << 20) as file, bar:
        while head := file.read(_HEAD.size):
            cut = f"path={str(path)!r} ends inside of record {number}, so it was not copied whole; fetch it again."
            if len(head) < _HEAD.size:
                raise ValueError(cut)
            length, check = _HEAD.unpack(head)
            if masked(head[:8]) != check:
                what = "the length of record {number} fails its checksum" if number else "it is no TFRecord file"
                raise ValueError(f"path={str(path)!r}: {what.format(number=number)}; give {FILE}, whole.")
            stop = start + _HEAD.size + length + _CHECKSUM.size
            if stop > size:
                raise ValueError(cut)
            payload = file.read(length)
            if _CHECKSUM.pack(masked(payload)) != file.read(_CHECKSUM.size):
                raise ValueError(f"path={str(path)!r}: record {number} fails its checksum; fetch the file again.")
            yield payload
            bar.update(stop - start)
            start, number = stop, number + 1


def _metrics(message: bytes) -> tuple[Sequence[float], int]:
    """Epoch, seconds, training, validation and test accuracy of the last evaluation; the number of parameters."""
    if message[0:95:47] == b"\n\n\n" and message[1:96:47] == b"---" and message[96:142:9] == b"\x09\x11\x19!)\x10":
        count, end = _varint(message, _LAST.size)
        if end + 9 == len(message) and message[end] == 0x19:
            return _LAST.unpack_from(message), count
    fields = list(_fields(message))
    evaluations = [value for tag, value in fields if tag == EVALUATIONS and isinstance(value, bytes)]
    if len(evaluations) != 3:
        raise ValueError(f"{len(evaluations)} evaluations, where 3 belong")
    last = {tag: value for tag, value in _fields(evaluations[-1]) if isinstance(value, float)}
    count = [value for tag, value in fields if tag == PARAMS and isinstance(value, int)]
    return [last.get(tag, 0.0) for tag in range(1, 6)], count[-1] if count else 0  # protobuf leaves zeros out


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes | None]]:
    """Number and value of each field of a protobuf message; None for the fixed32 ones, which nobody needs here."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        start = at
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 1:
            (value,), at = _DOUBLE.unpack_from(message, at), at + 8
        elif wire == 2:
            length, start = _varint(message, at)
            at = start + length
            value = message[start:at]
        elif wire == 5:
            value, at = None, at + 4
        else:
            raise ValueError(f"protobuf wire type {wire}")
        if at > len(message):
            raise ValueError("the protobuf message is cut off")
        yield number, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
    raise ValueError("a protobuf number is cut off")


def _arch(adjacency: str, operations: str) -> str:
    """The text form ``vertices:bits:ops`` of a stored cell."""
    first, *inner, last = operations.split(",")
    size = len(inner) + 2
    if (first, last) != ("input", "output") or size not in _UPPER:
        raise ValueError(f"operations {operations!r}")
    if len(adjacency) != size * size:
        raise ValueError(f"a matrix of {len(adjacency)} entries for {size} vertices")
    upper = "".join(_UPPER[size](adjacency))
    edges = upper.count("1")
    if edges > MAX_EDGES or adjacency.count("1") != edges or adjacency.count("0") != size * size - edges:
        raise ValueError(f"matrix {adjacency!r}")
    return f"{size}:{int(upper[::-1], 2)}:{''.join(_CODE[op] for op in inner)}"


def _labels(owner: np.ndarray, accuracy: np.ndarray, seconds: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the table from one entry a training run, in the order of the file; `owner` is the row of its cell."""
    runs = np.bincount(owner)
    order = np.argsort(owner, kind="stable")
    run = np.empty_like(owner)
    run[order] = np.arange(len(owner)) - np.repeat(np.cumsum(runs) - runs, runs)
    values = np.full((len(runs), runs.max()), np.nan)  # a run that is missing is NaN, and left out of the mean
    values[owner, run] = accuracy
    mean = np.bincount(owner, accuracy) / runs
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.nansum((values - mean[:, None]) ** 2, axis=1) / (runs - 1))
    columns = {"accuracy": mean, "sd": sd}
    columns |= {f"accuracy_{index}": column for index, column in enumerate(values.T)}
    return columns | {"training_time": np.bincount(owner, seconds) / runs}


def _warn(file: str, table: pd.DataFrame) -> None:
    """Of what differs from the published numbers: a file may be cut off just between two records."""
    size = get("nb101").facts.size
    uneven = int((table.filter(regex=r"^accuracy_\d+$").notna().sum(axis=1) != RUNS).sum())
    if len(table) != size:
        warnings.warn(f"{file} holds {len(table):,} of the {size:,} cells of NAS-Bench-101.", stacklevel=3)
    if uneven:
        warnings.warn(f"{file}: {uneven:,} cells do not have the published {RUNS} training runs.", stacklevel=3)
