"""Published files: what there is, and downloads that resume and are checked before they get their name."""

import errno
import hashlib
import os
import shutil
import time
import warnings
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pandas as pd
from tqdm.auto import tqdm

from nasviz import __version__
from nasviz.benchmarks.sources import SOURCES, Source
from nasviz.resources import cache_folder

TRIES, PAUSE, TIMEOUT = 5, 1.0, 60.0
"""Broken connections in a row, without a new byte, before giving up; seconds between them; seconds of silence."""
CHUNK = 1 << 20


def downloads() -> Path:
    """The folder where `fetch` puts files."""
    return cache_folder() / "downloads"


def available(folder: str | Path | None = None) -> pd.DataFrame:
    """What is known of each published file, one row a file.

    Columns: name, load (the name by which `load` reads it), file, size (bytes), fetch ("direct" or "browser"), here
    (whether it lies in `folder`), licence, sha256, purpose, page. What the source does not publish is missing.
    """
    folder = Path(folder) if folder else downloads()
    rows = [
        {
            "name": source.name,
            "load": source.load,
            "file": source.file,
            "size": source.size,
            "fetch": "direct" if source.url else "browser",
            "here": _place(source, folder).exists(),
            "licence": source.licence,
            "sha256": source.sha256,
            "purpose": source.purpose,
            "page": source.page,
        }
        for source in SOURCES.values()
    ]
    return pd.DataFrame(rows).astype({"size": "Int64"})


def fetch(name: str, folder: str | Path | None = None, progress: bool = True) -> Path:
    """A published file on this computer: the one that is there, or else a new download.

    Parameters
    ----------
    name : str
        A name of `available`.
    folder : str or Path, optional
        Where the file is or goes; by default `downloads()`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        The file; of an archive, the folder that it was unpacked into.

    Raises
    ------
    ValueError
        If there is no such name, the file is handed out to browsers only, or it is not the published one.
    OSError
        As `download`.
    """
    if name not in SOURCES:
        raise ValueError(f"name={name!r}: no such file; known: {', '.join(SOURCES)}.")
    source = SOURCES[name]
    path = _place(source, Path(folder) if folder else downloads())
    if path.exists():
        if source.sha256 and path.is_file() and _sha256(path) != source.sha256:
            raise ValueError(
                f"{str(path)!r} is not the published file (its SHA-256 differs); remove it and fetch again."
            )
        return path
    if source.url is None or source.sha256 is None:
        what = f"unpack it, so that its files lie in {str(path)!r}" if source.folder else f"put it at {str(path)!r}"
        raise ValueError(
            f"{name} is handed out to browsers only: download {source.file} from {source.page} and {what}."
        )
    return download(source.url, path, source.sha256, progress)


def download(url: str, path: str | Path, sha256: str, progress: bool = True) -> Path:
    """Download a file; one that broke off goes on where it ended, in this call or a later one.

    What has arrived stands in a file beside `path`, with ``.part`` behind its name. `path` itself is made when all is
    there and its hash is right.

    Parameters
    ----------
    url : str
        Address of the file, http or https.
    path : str or Path
        Where it goes; its folder is made if it is missing.
    sha256 : str
        Its SHA-256, in hexadecimal.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If what arrived has another hash; it is removed.
    ConnectionError
        If the server cannot be reached, refuses, or breaks off again and again.
    OSError
        If the file cannot be written: no permission, disk full.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    most, failures = _size(part), 0
    with tqdm(desc=path.name, unit="B", unit_scale=True, disable=not progress) as bar:
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _go_on(url, part, bar)
                break
            except _Broken as error:
                size = _size(part)
                failures = 0 if size > most else failures + 1
                most = max(most, size)
                if failures == TRIES:
                    raise ConnectionError(
                        f"{url} breaks off after {size:,} bytes ({error}); fetch again, and it goes on from there."
                    ) from None
                time.sleep(PAUSE)
            except ConnectionError:
                raise
            except OSError as error:
                raise OSError(
                    f"{str(part)!r} cannot be written ({error.strerror or error}); make room or choose another folder, "
                    "then fetch again."
                ) from error
    found = _sha256(part)
    if found != sha256:
        part.unlink()
        raise ValueError(f"what {url} sent has the SHA-256 {found}, not {sha256}; it was removed, so fetch again.")
    part.replace(path)
    return path


class _Broken(Exception):
    """The connection failed; another try may help."""


def _go_on(url: str, part: Path, bar: tqdm) -> None:
    """Append to `part` until the file is complete, over one connection."""
    have = _size(part)
    answer = _ask(url, have)
    if answer is None:  # nothing is missing
        return
    with answer:
        start = have if answer.status == 206 else 0
        if start and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            raise _Broken("the server sent another part than it was asked for")
        if have and not start:
            warnings.warn(f"{urlsplit(url).netloc} cannot resume a download; it starts again.", stacklevel=4)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        if total and total - start > shutil.disk_usage(part.parent).free:
            raise OSError(errno.ENOSPC, f"{total - start:,} bytes are still to come, and the disk has less room")
        bar.total, bar.n = total, start
        with part.open("ab" if start else "wb") as file:
            while chunk := _read(answer):
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total and _size(part) < total:
        raise _Broken("the connection was closed")


def _ask(url: str, have: int) -> HTTPResponse | None:
    """The server's answer, from byte `have` on if it can; None if there is no such byte."""
    headers = {"User-Agent": f"nasviz/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            if have and error.code == 416:
                return None
            if error.code >= 500 or error.code == 429:
                raise _Broken(f"HTTP {error.code} {error.reason}") from None
        raise ConnectionError(
            f"{url} answers HTTP {error.code} {error.reason}; the file may have moved: look at its page."
        ) from None
    except (OSError, HTTPException) as error:
        raise _Broken(getattr(error, "reason", error)) from None


def _read(answer: HTTPResponse) -> bytes:
    try:
        return answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise _Broken(error) from None


def _place(source: Source, folder: Path) -> Path:
    return folder / (source.folder or source.file)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
