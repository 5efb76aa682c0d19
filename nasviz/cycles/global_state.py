"""What a class keeps outside its instances: class variables, module variables, and their lesser-known relatives.

A plug-in runs in several processes at once, so whatever it keeps there is lost or counted twice. Only variables that
the class's own code names are looked at, in the class's own package: a notebook's other variables and the libraries'
are left alone.
"""

import hashlib
import io
import pickle
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_CODE = (type, FunctionType, BuiltinFunctionType, ModuleType)


class GlobalState:
    """The state that `cls` and its functions share between instances, as it was when this object was made.

    Seen are class variables, also inherited ones; module variables and variables of an enclosing function that the
    methods name, directly or through functions of the same package; mutable default arguments; attributes of
    functions. Not seen is what a lock, an open file or an extension type keeps inside. The time grows with the size of
    these variables: 0.1 to 0.3 ms for a usual class.
    """

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._digests = _digests(cls)

    def changed(self) -> list[str]:
        """The variables that have changed, appeared or gone since, described, in alphabetical order."""
        now = _digests(self._cls)
        names = self._digests.keys() | now.keys()
        return sorted(name for name in names if self._digests.get(name) != now.get(name))


def _digests(cls: type) -> dict[str, bytes]:
    top = cls.__module__.partition(".")[0]

    def own(value: object) -> bool:
        return str(getattr(value, "__module__", "")).partition(".")[0] == top

    found: dict[str, bytes] = {}
    queue: list[type | FunctionType] = [base for base in cls.__mro__ if own(base)]
    seen: set[int] = set()
    while queue:
        item = queue.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        for label, value in _of_class(item) if isinstance(item, type) else _of_function(item, top):
            code = [part for part in _unwrapped(value) if isinstance(part, type | FunctionType) and own(part)]
            queue.extend(code)
            found[label] = _opaque_text(value) if code else _digest(value)
    return found


def _unwrapped(value: object) -> tuple[object, ...]:
    if isinstance(value, staticmethod | classmethod):
        return (value.__func__,)
    return (value.fget, value.fset) if isinstance(value, property) else (value,)


def _of_class(cls: type) -> Iterator[tuple[str, object]]:
    for name, value in list(vars(cls).items()):
        # Python itself writes into __annotations__, __abstractmethods__ and the like.
        if not (name.startswith("__") and name.endswith("__")) or isinstance(value, FunctionType):
            yield f"class variable {cls.__name__}.{name}", value


def _of_function(function: FunctionType, top: str) -> Iterator[tuple[str, object]]:
    names, scope = _names(function.__code__), function.__globals__
    for name in sorted(names & scope.keys()):
        value = scope[name]
        if isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] == top:
                for inner in sorted(names & vars(value).keys()):
                    yield f"module variable {value.__name__}.{inner}", vars(value)[inner]
        else:
            yield f"module variable {scope.get('__name__', '?')}.{name}", value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"variable {name} outside {function.__qualname__}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    defaults = (function.__defaults__, function.__kwdefaults__)
    if any(defaults):
        yield f"default argument of {function.__qualname__}", defaults
    for name, value in list(vars(function).items()):
        yield f"attribute {name} of the function {function.__qualname__}", value


def _names(code: CodeType) -> set[str]:
    inner = [_names(const) for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*inner)


def _digest(value: object) -> bytes:
    buffer = io.BytesIO()
    try:
        _Digester(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # noqa: BLE001 - an object may refuse in its own way; then only its identity is watched
        return _opaque_text(value)
    return hashlib.blake2b(buffer.getbuffer(), digest_size=16).digest()


class _Digester(pickle.Pickler):
    """Writes any value as bytes that are never read; code, and what cannot be pickled, by its identity."""

    def reducer_override(self, obj: Any) -> Any:
        if obj is str:  # used below
            return NotImplemented
        if isinstance(obj, _CODE):
            return _opaque(obj)
        try:
            reduced = obj.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001 - a lock refuses with TypeError, another object in its own way
            return _opaque(obj)
        return _opaque(obj) if isinstance(reduced, str) else reduced


def _opaque(obj: object) -> tuple[type[str], tuple[str]]:
    return str, (_opaque_text(obj).decode(),)


def _opaque_text(obj: object) -> bytes:
    return f"{type(obj).__qualname__} at {id(obj)}".encode()
