"""Where nasviz finds the files that it ships and keeps those that it makes, how it writes one safely; what is extra."""

import errno
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from uuid import uuid4

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_PACKAGE = Path(__file__).resolve().parent


def data_folder() -> Path:
    """The folder of the bundled benchmark and weights: ``nasviz/_data`` in a wheel, ``data`` in a checkout.

    Raises
    ------
    FileNotFoundError
        If neither is there, which a complete installation never shows.
    """
    return _shipped("_data", "data")


def dashboards_folder() -> Path:
    """The folder of the Voilà pages: ``nasviz/_dashboards`` in a wheel, ``notebooks/dashboards`` in a checkout.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    return _shipped("_dashboards", "notebooks/dashboards")


def voila_folder() -> Path:
    """The folder to put into ``JUPYTER_PATH`` so that Voilà knows the template ``nasviz``."""
    return _PACKAGE / "views" / "jupyter"


def _shipped(packaged: str, checkout: str) -> Path:
    candidates = [_PACKAGE / packaged, _PACKAGE.parent / checkout]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"nasviz is installed without its folder {checkout!r} (looked for {' and '.join(map(str, candidates))}); "
        "install it again from a wheel or from a complete checkout."
    )


def cache_folder() -> Path:
    """The folder for what can be made again: ``$NASVIZ_HOME``, else the platform's cache folder. Made if missing."""
    home = os.environ.get("NASVIZ_HOME")
    if home:
        folder = Path(home).expanduser()
    else:
        from platformdirs import user_cache_path

        folder = user_cache_path("nasviz", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_atomically(path: str | Path, writer: Callable[[Path], object]) -> Path:
    """Write a file so that `path` holds the old content or all of the new, whatever happens in between.

    Parameters
    ----------
    path : str or Path
        The file to make or to replace. Its folder is made if it is missing.
    writer : callable
        Gets a path that is still free, in the same folder, and writes the content there, as in
        ``write_atomically("a.parquet", frame.to_parquet)``. If it fails, nothing is left behind.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OSError
        If the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays at the end, because some writers choose the format by it.
    beside = path.with_name(f".{path.stem}-{uuid4().hex}{path.suffix}")
    try:
        writer(beside)
        _sync(beside)
        beside.replace(path)
    except BaseException as error:  # an interrupt, too, must leave nothing behind
        beside.unlink(missing_ok=True)
        if getattr(error, "errno", None) in FULL or "(os error 28)" in str(error):  # as safetensors tells it
            told = f"No space left on device: {str(path)!r} stays as it was; make room and do it again"
            raise OSError(errno.ENOSPC, told) from error
        raise
    if os.name == "posix":  # the new name is safe once the folder is on disk as well
        _sync(path.parent)
    return path


def _sync(path: Path) -> None:
    # Windows syncs only files that are open for writing, POSIX folders only those open for reading.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def extra(module: str, name: str) -> ModuleType:
    """An optional dependency.

    Raises
    ------
    ImportError
        If it is not installed; the sentence names the extra of this package that brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{module.partition('.')[0]} is missing ({error}); pip install 'nasviz[{name}]'.") from error
