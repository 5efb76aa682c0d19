"""Checks that every reader of a downloaded file makes before it trusts a byte of it."""

import json
from pathlib import Path
from typing import Any

HEAD = 512  # bytes; a tar header is one block of this size
PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
ARCHIVES = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def checked(path: str | Path, what: str) -> Path:
    """`path`, if it is a file that may hold data; only its first bytes are read.

    Parameters
    ----------
    path : str or Path
        What the user gave.
    what : str
        What the file should be, as the end of a sentence: "the TFRecord file nasbench_only108.tfrecord".

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a folder, empty, a Git-LFS pointer, a web page, or a tar archive that was not unpacked.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path={str(path)!r} is a folder; give {what}.")
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r}: there is no such file; give {what}.")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise ValueError(f"path={str(path)!r} is empty; download {what} again.")
    if head.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"path={str(path)!r} is a Git-LFS pointer, not the data; fetch {what} with `git lfs pull` or download it."
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGES):
        raise ValueError(
            f"path={str(path)!r} is a web page, which a download site sends instead of data when a quota is used up or "
            f"a confirmation is due; download {what} in a browser."
        )
    if _is_tar(head):
        raise ValueError(f"path={str(path)!r} is a tar archive; unpack it and give {what}.")
    return path


def checked_folder(path: str | Path, what: str) -> Path:
    """`path`, if it is a folder; an archive that should have become one is told apart by its first bytes.

    Parameters
    ----------
    path : str or Path
        What the user gave.
    what : str
        What the folder should be, as the end of a sentence: "the folder of results_*.json files".

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is a file; the sentence says whether it looks like an archive.
    """
    path = Path(path)
    if path.is_dir():
        return path
    checked(path, what)
    if kind := archive_kind(path):
        raise ValueError(f"path={str(path)!r} is a {kind} archive; unpack it and give {what}.")
    raise ValueError(f"path={str(path)!r} is a file; give {what}.")


def archive_kind(path: Path) -> str | None:
    """What the file at `path` is compressed with, by its first bytes; None for anything else."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    return next((name for magic, name in ARCHIVES.items() if head.startswith(magic)), None)


def read_json(path: str | Path, what: str) -> Any:
    """The content of a `checked` JSON file; the tokens ``NaN`` and ``Infinity``, which Python writes, are allowed.

    Raises
    ------
    FileNotFoundError, ValueError
        As `checked`; and if the file is cut off, damaged or nested too deeply.
    """
    path = checked(path, what)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"path={str(path)!r} is no readable JSON ({short(error)}); download {what} again.") from None


def check_version(found: object, known: int, label: str, again: str) -> None:
    """Refuse a file of another format version, and say what to do.

    Parameters
    ----------
    found : object
        What the file says; it may be damaged.
    known : int
        What this version reads.
    label : str
        The beginning of the sentence: what has that version.
    again : str
        What to do about an older file, or one that says no version: "write it again".

    Raises
    ------
    ValueError
        If the two differ.
    """
    if type(found) is int and found == known:
        return
    newer = type(found) is int and found > known
    what = "a newer nasviz wrote it: pip install -U nasviz" if newer else again
    raise ValueError(f"{label} has format version {short(repr(found), 40)}, and this nasviz reads {known}; {what}.")


def short(reason: object, most: int = 300) -> str:
    """An error, or what else is said of a file, as one line that fits into a sentence."""
    text = " ".join(str(reason).split()).rstrip(".")
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _is_tar(head: bytes) -> bool:
    """By the magic word of POSIX and GNU tar; the older form without one is not told apart."""
    return head[257:262] == b"ustar"
