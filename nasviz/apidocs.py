"""Pages of the docstrings, by pdoc: `nasviz docs`."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import nasviz
from nasviz.resources import extra


def public_modules() -> list[ModuleType]:
    """The package and its rooms: what a user imports."""
    return [nasviz, *(value for name in nasviz.__all__ if isinstance(value := getattr(nasviz, name), ModuleType))]


def build_docs(out: str | Path, rooms: Sequence[str] = ()) -> Path:
    """Write a page of the package and one of each room, with a search field; they ask nobody outside.

    Parameters
    ----------
    out : str or Path
        Folder of the pages; made if missing.
    rooms : sequence of str, optional
        Only these, as ``"nasviz.views"``. Default: all, and the package.

    Returns
    -------
    Path
        The page to open first.

    Raises
    ------
    ImportError
        If pdoc is not installed; the sentence says how to install it.
    ValueError
        If there is no such room.
    """
    pdoc = extra("pdoc", "docs")
    extra("pdoc.render", "docs")
    modules = public_modules()
    known = [module.__name__ for module in modules]
    for name in rooms:
        if name not in known:
            raise ValueError(f"rooms={[*rooms]}: there is no room {name!r}; there are: {', '.join(known)}.")
    for module in modules:  # names that are loaded when first used: pdoc reads what a module holds
        vars(module).update({name: getattr(module, name) for name in module.__all__})
    pdoc.render.configure(docformat="numpy", footer_text=f"nasviz {nasviz.__version__}")
    pdoc.pdoc(*(rooms or ["nasviz"]), output_directory=Path(out))
    return Path(out) / "index.html"
