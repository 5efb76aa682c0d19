"""The files of a run: what they are called, how they are read and written, and the lock of those who write.

=====================================  ===============================================================================
run.json                               name, task, primary metric, format version
cycles/0007/cycle.json                 index, name, parent, note, created, status, source; a folder without it is no
                                       cycle yet
cycles/0007/metrics.json               metrics (name → number or null), units (name → text), artifacts (name → file)
cycles/0007/layers.parquet             one row a layer: layer, op, trainable, position, and a column a metric
cycles/0007/graph.arrow                the computation graph (`nasviz.graph.store`), optional
cycles/0007/weights.safetensors        the weights by their names in the module's state, optional
=====================================  ===============================================================================
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nasviz.files import check_version, short
from nasviz.resources import write_atomically

RUN, CYCLES = "run.json", "cycles"
CYCLE, METRICS, LAYERS = "cycle.json", "metrics.json", "layers.parquet"
GRAPH, WEIGHTS = "graph.arrow", "weights.safetensors"
NEW = ".new-"
"""How the name of a cycle's folder begins until it is complete."""
FORMAT_VERSION = 1
LOCK_SECONDS = 600.0


def cycle_folder(run: Path, index: int) -> Path:
    """Where a cycle lies, once it is complete."""
    return run / CYCLES / f"{index:04d}"


def cycle_folders(run: Path) -> dict[int, Path]:
    """The cycles' folders by index, in order; those without a cycle.json, which are no cycles yet, included."""
    try:
        with os.scandir(run / CYCLES) as entries:
            names = [entry.name for entry in entries if entry.name.isdecimal() and entry.is_dir()]
    except FileNotFoundError:
        return {}
    found = {int(name): run / CYCLES / name for name in sorted(names, key=int)}
    return {index: folder for index, folder in found.items() if folder == cycle_folder(run, index)}


def signature(folder: Path) -> tuple:
    """What changes when a file of the cycle is replaced.

    Raises
    ------
    FileNotFoundError
        If there is no cycle (yet).
    """

    def stat(name: str) -> tuple | None:
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    (folder / CYCLE).stat()
    return tuple(map(stat, (CYCLE, METRICS, LAYERS)))


def read_run(run: Path) -> tuple[str, str, str, bool]:
    """Name, task, primary metric and whether more of it is better.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    ValueError
        If run.json is damaged or was written by a newer version.
    """
    path = run / RUN
    if not path.is_file():
        raise FileNotFoundError(f"folder={str(run)!r} holds no run: there is no {RUN}; Run.create makes one.")
    version = read_json(path, {"format_version": int})["format_version"]
    check_version(version, FORMAT_VERSION, repr(str(path)), "make the run again")
    name, task, primary = read_json(path, {"name": str, "task": str, "primary": dict}).values()
    if not isinstance(primary.get("name"), str) or not isinstance(primary.get("higher_is_better"), bool):
        raise damaged(path, f"its 'primary' is {primary!r}")
    return name, task, primary["name"], primary["higher_is_better"]


def read_json(path: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The `fields` (name → type) of a JSON file; others are left alone.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # JSON and Unicode errors are ValueErrors
        raise damaged(path, error) from error
    for name, kind in fields.items():
        if not isinstance(document, dict) or name not in document:
            raise damaged(path, f"it has no {name!r}")
        if not isinstance(document[name], kind) or isinstance(document[name], bool):
            raise damaged(path, f"its {name!r} is {document[name]!r}")
    return {name: document[name] for name in fields}


def damaged(path: Path, reason: object) -> ValueError:
    """The error of a file that cannot be read as what it is named."""
    return ValueError(f"{str(path)!r} is damaged ({short(reason)}); put back a copy of it, or remove its folder.")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file, as a whole or not at all."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the one writer of a run. The system takes the lock back from a process that dies.

    Raises
    ------
    TimeoutError
        If another one holds it for `LOCK_SECONDS`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise TimeoutError(
            f"another process has been writing to {str(folder)!r} for {LOCK_SECONDS:g} seconds; end it first."
        ) from error
    try:
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Remove what writers that died have left among the cycles; under the lock there is no living one's."""
    for stray in folder.glob(f"{NEW}*"):
        shutil.rmtree(stray, ignore_errors=True)
    for stray in folder.glob("*/.*-" + "[0-9a-f]" * 32 + "*"):  # of write_atomically
        stray.unlink(missing_ok=True)
