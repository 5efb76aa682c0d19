"""Finding a performance-metric plug-in: by import path, by file, by entry point."""

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

GROUP = "nasviz.performance_metrics"
"""The entry-point group in which a package announces its plug-ins."""

BUILT_IN: Mapping[str, str] = {"confusion_matrix": "nasviz.cycles.confusion:ConfusionMatrix"}

METHODS = ("update", "get_worker_results", "reduce_all_worker_results")


def plugin_names() -> list[str]:
    """The names that `load_plugin` knows: those of nasviz, then those that installed packages announce."""
    return [*BUILT_IN, *sorted({point.name for point in entry_points(group=GROUP)} - BUILT_IN.keys())]


def load_plugin(plugin: str | type) -> type:
    """The class of a plug-in.

    Parameters
    ----------
    plugin : str or type
        ``"package.module:Class"`` (importable), ``"path/to/file.py:Class"``, the name of an entry point in the group
        ``nasviz.performance_metrics``, a name of nasviz's own (see `plugin_names`), or the class itself.

        A file is loaded from that path only: its folder is not put on ``sys.path``, and what the file itself puts
        there is taken off again. Modules that it imports must be importable.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the text has none of these forms, the name is not known or is announced twice, the module cannot be
        imported, or the class is missing, not public, or without a method that a plug-in needs.
    """
    if isinstance(plugin, type):
        return _checked(plugin, plugin.__qualname__)
    if not isinstance(plugin, str):
        raise ValueError(
            f"plugin={plugin!r}: a plug-in is a class, 'package.module:Class', 'file.py:Class', or one of "
            f"{', '.join(plugin_names())}; give the class, not an instance of it."
        )
    place, colon, name = plugin.rpartition(":")
    if not colon:
        place, _, name = _announced(plugin).rpartition(":")
    if not place or not name.isidentifier():
        raise ValueError(
            f"plugin={plugin!r}: write 'package.module:Class', 'path/to/file.py:Class', "
            f"or one of {', '.join(plugin_names())}."
        )
    module = _module_of_file(place, plugin) if place.endswith(".py") else _imported(place, plugin)
    if not hasattr(module, name):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and key[0] != "_"]
        raise ValueError(f"plugin={plugin!r}: {place} has no class {name}; it has {', '.join(classes) or 'none'}.")
    return _checked(getattr(module, name), plugin)


def absolute_spec(plugin: str | type) -> str | type:
    """The same plug-in in words that hold in another process: a file's path in full, an entry point's target."""
    if isinstance(plugin, type):
        return plugin
    place, colon, name = plugin.rpartition(":")
    if not colon:
        return _announced(plugin)
    return f"{Path(place).expanduser().resolve()}:{name}" if place.endswith(".py") else plugin


def _announced(name: str) -> str:
    if name in BUILT_IN:
        return BUILT_IN[name]
    found: dict[str, EntryPoint] = {point.value: point for point in entry_points(group=GROUP, name=name)}
    if not found:
        raise ValueError(
            f"plugin={name!r}: no such entry point; known are {', '.join(plugin_names())}. "
            "A class is written 'package.module:Class' or 'path/to/file.py:Class'."
        )
    if len(found) > 1:
        owners = ", ".join(f"{value} ({point.dist.name if point.dist else '?'})" for value, point in found.items())
        raise ValueError(f"plugin={name!r}: announced twice, as {owners}; name the class itself.")
    return next(iter(found))


def _imported(place: str, plugin: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except Exception as error:
        raise ValueError(
            f"plugin={plugin!r}: {place} cannot be imported ({_reason(error)}); it must be on the PYTHONPATH."
        ) from error


def _module_of_file(place: str, plugin: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"plugin={plugin!r}: there is no file {path}.")
    # An edited file is a new module; the same file is the same module, so that its classes can be pickled.
    mark = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()[:12]
    name = f"nasviz_plugin_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{mark}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    module, search_path = importlib.util.module_from_spec(spec), list(sys.path)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(f"plugin={plugin!r}: {path} cannot be loaded ({_reason(error)}).") from error
    finally:
        sys.path[:] = search_path
    return module


def _checked(cls: object, plugin: str) -> type:
    if not isinstance(cls, type):
        raise ValueError(f"plugin={plugin!r}: this is a {type(cls).__name__}, not a class.")
    missing = [method for method in METHODS if not callable(getattr(cls, method, None))]
    if missing:
        raise ValueError(
            f"plugin={plugin!r}: the class {cls.__name__} has no {', '.join(missing)}; a plug-in has "
            f"__init__(folder_name), update(data, tensor_values), get_worker_results() "
            "and reduce_all_worker_results(worker_results_list)."
        )
    if cls.__name__.startswith("_"):
        raise ValueError(f"plugin={plugin!r}: a plug-in's class is public; rename {cls.__name__} without underscore.")
    return cls


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
