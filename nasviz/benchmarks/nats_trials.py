"""The trials in the official files of NAS-Bench-201 and NATS-Bench, read without torch or their own package.

Three layouts hold the same dictionaries: the folder ``NATS-tss-v1_0-3ffb9-simple`` (one bzip2-compressed pickle an
architecture), one such file of all architectures, and the older ``NAS-Bench-201-*.pth`` of torch.
"""

import bz2
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from nasviz.benchmarks.unpickle import CONTAINERS, NUMPY, unpickle
from nasviz.files import checked

FOLDER, FILES = "NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9.pickle.pbz2 or NAS-Bench-201-v1_1-096897.pth"
WHAT = f"the folder {FOLDER}, or the file {FILES}"
ALLOWED = CONTAINERS | NUMPY
BUDGETS = {"12": 12, "less": 12, "200": 200, "full": 200}
"""Epochs of the hyper-parameters' names in the new and the old files."""
COLUMNS = ["index", "arch", "epochs", "dataset", "seed", "images", "accuracy", "params", "flop"]
MANY, PARCEL = 500, 100
"""From how many files on all cores read them, and how many one core reads at a time."""

_NAME = re.compile(r"(\d{1,6})\.pickle\.pbz2")
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # how a file of torch before 1.6 begins


def read_trials(path: str | Path, progress: bool = False) -> pd.DataFrame:
    """Every trial in an official file or folder, after its last epoch.

    Parameters
    ----------
    path : str or Path
        The folder, of which a part will do, or one of the files.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        index (the official number), arch, epochs (12 or 200), dataset (trained on), seed, images (the set that was
        measured), accuracy (in percent), params and flop (multiply-accumulates), both in millions.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If the content is damaged, something else, or holds no trial.
    """
    rows = _extract_all(trial_files(path), progress)
    trials = pd.DataFrame(rows, columns=COLUMNS).sort_values("index", kind="stable", ignore_index=True)
    if trials.empty:
        raise ValueError(f"path={str(path)!r} holds no trial of 12 or 200 epochs; give {WHAT}.")
    twice = trials.duplicated(["index", "epochs", "dataset", "seed", "images"])
    if twice.any():
        number = trials["index"][twice.idxmax()]
        raise ValueError(f"path={str(path)!r} holds architecture {number} twice; keep one file an architecture.")
    return trials


def trial_files(path: str | Path) -> list[Path]:
    """The file at `path`, or those of the architectures in that folder, by their number.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are none, or one is no data.
    """
    path = Path(path)
    if not path.is_dir():
        return [checked(path, WHAT)]
    numbered = {int(match[1]): file for file in path.iterdir() if (match := _NAME.fullmatch(file.name))}
    if not numbered:
        raise ValueError(f"path={str(path)!r} holds no file like 000000.pickle.pbz2; give {WHAT}.")
    return [checked(numbered[number], WHAT) for number in sorted(numbered)]


def _extract_all(files: list[Path], progress: bool) -> list[tuple]:
    import joblib

    from nasviz.parallel import parallel

    parcels = [files[start : start + PARCEL] for start in range(0, len(files), PARCEL)]
    tasks = (joblib.delayed(_extract)(parcel) for parcel in parcels)
    results = parallel(-1 if len(files) >= MANY else 1, return_as="generator")(tasks)
    rows: list[tuple] = []
    with tqdm(total=len(files), desc="NATS-Bench", unit="file", disable=not progress) as bar:
        for parcel, result in zip(parcels, results, strict=True):
            rows += result
            bar.update(len(parcel))
    return rows


def _extract(files: Iterable[Path]) -> list[tuple]:
    rows = []
    for file in files:
        try:
            rows += [row for budgets in _architectures(_content(file)) for row in _trials(budgets)]
        except KeyError as error:  # of a key that was looked up here
            raise _fault(file, f"it lacks {error}") from None
        except ValueError as error:
            raise _fault(file, str(error)) from None
        except (LookupError, TypeError):
            raise _fault(file, "it is damaged") from None
    return rows


def _fault(file: Path, reason: str) -> ValueError:
    return ValueError(f"path={str(file)!r} is not what NATS-Bench writes: {reason}; give {WHAT}.")


def _content(file: Path) -> Any:
    with file.open("rb") as stream:
        head = stream.read(4)
    opener = next((opener for magic, opener in OPENERS.items() if head.startswith(magic)), None)
    if opener is None:
        raise ValueError("it begins with neither a pickle nor an archive of one")
    data = opener(file)
    content, end = unpickle(data, ALLOWED)
    if type(content) is not int or content != _MAGIC:
        return content
    protocol, end = unpickle(data, {}, end)
    if type(protocol) is not int or protocol != _PROTOCOL:
        raise ValueError("it has another version of torch's old format")
    _, end = unpickle(data, {}, end)  # sizes of numbers on the machine that wrote it
    content, end = unpickle(data, ALLOWED, end)
    unpickle(data, {}, end)  # names of tensors, of which there are none; that they are there says that it is whole
    return content


def _decompressed(file: Path) -> bytes:
    limit = 1000 * file.stat().st_size + (1 << 24)  # real ones hold tens of times their size
    try:
        with bz2.open(file) as stream:
            data = stream.read(limit + 1)
    except (OSError, EOFError) as error:
        raise ValueError(f"its compression is damaged ({error})") from None
    if len(data) > limit:
        raise ValueError("it decompresses to more than a thousand times its size")
    return data


def _unzipped(file: Path) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            member = next((m for m in archive.infolist() if re.fullmatch(r"(.+/)?data\.pkl", m.filename)), None)
            if member is None or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError("it is a zip archive, but not one of torch's")
            return archive.read(member)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError, struct.error):
        raise ValueError("its archive is damaged") from None


OPENERS: Mapping[bytes, Callable[[Path], bytes]] = {
    b"BZh": _decompressed,
    b"PK\x03\x04": _unzipped,
    b"\x80": Path.read_bytes,
}
"""How to get at the pickles in a file, by its first bytes."""


def _architectures(content: Any) -> Iterator[dict]:
    """The dictionaries (budget → results) of the architectures in a file of one or of all of them."""
    if "arch2infos" not in _typed(content, dict):
        yield content
        return
    names, infos = _typed(content["meta_archs"], list), _typed(content["arch2infos"], dict)
    for index, budgets in infos.items():
        for info in _typed(budgets, dict).values():
            if _word(_typed(info, dict)["arch_str"]) != names[_integer(index)]:
                raise ValueError(f"architecture {index} has another name in its results than in the list of all")
        yield budgets


def _trials(budgets: dict) -> Iterator[tuple]:
    """One row a trial and set of images, as in `COLUMNS`."""
    for budget, epochs in BUDGETS.items():
        if budget not in budgets:
            continue
        info = _typed(budgets[budget], dict)
        index, arch = _integer(info["arch_index"]), _word(info["arch_str"])
        for key, trial in _typed(info["all_results"], dict).items():
            dataset, seed = _typed(key, tuple)
            last = _integer(_typed(trial, dict)["epochs"]) - 1
            costs = [_number(trial[name], 1e6) for name in ("params", "flop")]
            accuracies = _typed(trial["eval_acc1es"], dict)
            for images in map(_word, _typed(trial["eval_names"], list)):
                accuracy = accuracies.get(f"{images}@{last}")
                if accuracy is not None:
                    fixed = (index, arch, epochs, _word(dataset), _integer(seed), images)
                    yield *fixed, _number(accuracy, 100), *costs


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"it holds {type(value).__name__} where {kind.__name__} belongs")
    return value


def _integer(value: Any) -> int:
    if not 0 <= _typed(value, int) < 1 << 31:
        raise ValueError("it holds a number out of range")
    return value


def _number(value: Any, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise ValueError(f"it holds {type(value).__name__} where a number between 0 and {most:g} belongs")
    return float(value)


def _word(value: Any) -> str:
    if not (_typed(value, str).isascii() and value.isprintable() and len(value) < 200):
        raise ValueError("it holds an unreadable name")
    return value
