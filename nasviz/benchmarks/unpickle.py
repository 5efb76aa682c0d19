"""Pickled label files, read without running what they say.

A pickle is a program for a small stack machine; an ordinary unpickler imports and calls whatever it names. Here every
stream is read twice. `check` walks over it and refuses what could exhaust the memory or the stack of the interpreter:
lengths and positions that the file cannot hold, deep tuples, and every instruction that label files do without.
`Unpickler` then runs it with an explicit list of names, none of which acts on anything but its arguments.
"""

import pickle
import pickletools
from collections.abc import Callable, Mapping
from io import BufferedReader, BytesIO
from typing import Any

import numpy as np

FAULTS = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError, MemoryError,
    RecursionError, ImportError,
)  # fmt: skip
"""What the instructions of a damaged or hostile pickle can raise."""

MAX_DEPTH = 100  # of tuples in tuples: hashing a deep one overflows the C stack, and label files need four
EMPTY = 255  # a memo position that holds nothing; above every depth

LEAF, TUPLE, PUT, GET, MARK, CALL, FRAME, STOP = range(8)
_KINDS = {
    LEAF: "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINBYTES"
    " SHORT_BINBYTES EMPTY_LIST EMPTY_TUPLE EMPTY_DICT EMPTY_SET GLOBAL",
    TUPLE: "TUPLE TUPLE1 TUPLE2 TUPLE3",
    PUT: "MEMOIZE BINPUT LONG_BINPUT",
    GET: "BINGET LONG_BINGET",
    MARK: "MARK",
    CALL: "APPEND APPENDS SETITEM SETITEMS ADDITEMS STACK_GLOBAL REDUCE NEWOBJ BUILD",
    FRAME: "PROTO FRAME",
    STOP: "STOP",
}
_WIDTHS = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT4U: 4}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}


def _instruction(opcode: pickletools.OpcodeInfo) -> tuple[int, int, int, bool]:
    """Kind, length (or minus the width of the field that tells it), items taken off the stack, and whether to a mark.

    Of what a CALL leaves on the stack only the height matters; it is an object that hides how deep its parts are.
    """
    size = 0 if opcode.arg is None else opcode.arg.n
    length = 1 + size if size >= 0 else -_WIDTHS.get(size, 0)
    before = [item.name for item in opcode.stack_before]
    taken = before.index("mark") if "mark" in before else len(before)
    return _KIND_OF[opcode.name], length, taken, "mark" in before


_INSTRUCTIONS: list[tuple[int, int, int, bool] | None] = [None] * 256
for _opcode in pickletools.opcodes:
    if _opcode.name in _KIND_OF:
        _INSTRUCTIONS[ord(_opcode.code)] = _instruction(_opcode)


def check(data: bytes, start: int = 0) -> int:
    """Walk over the pickle that begins at `start`, running nothing; return the offset behind its end.

    Raises
    ------
    ValueError
        If an instruction is cut off, is none that label files need, claims more than the file holds, or makes tuples
        nested deeper than `MAX_DEPTH`.
    """
    depths: list[int] = []  # of the tuples on the stack; 0 for everything else
    marks: list[int] = []
    memo, entries, position, size = bytearray(), 0, start, len(data)
    try:
        while True:
            instruction = _INSTRUCTIONS[data[position]]
            if instruction is None:
                raise ValueError(f"byte {position} asks for {_opcode_name(data[position])}, which no label file needs")
            kind, length, taken, to_mark = instruction
            if length <= 0:
                length = _length(data, position, -length)
            if position + length > size:
                raise ValueError(f"byte {position} asks for {length:,} bytes, more than the file has left")
            if kind == LEAF:
                depths.append(0)
            elif kind == PUT:
                index = entries if length == 1 else int.from_bytes(data[position + 1 : position + length], "little")
                if index > position - start:
                    raise ValueError(f"byte {position} numbers an object {index:,}, more than there can be")
                if index >= len(memo):
                    memo.extend(b"\xff" * (index + 1 - len(memo)))
                entries += memo[index] == EMPTY
                memo[index] = depths[-1]
            elif kind == GET:
                depths.append(memo[int.from_bytes(data[position + 1 : position + length], "little")])
            elif kind == MARK:
                marks.append(len(depths))
            elif kind == STOP:
                return position + 1
            elif kind == FRAME:
                claimed = int.from_bytes(data[position + 1 : position + length], "little")
                if claimed > size - position:
                    raise ValueError(f"byte {position} announces {claimed:,} bytes, more than the file has left")
            else:
                bottom = (marks.pop() if to_mark else len(depths)) - taken
                if bottom < 0:
                    raise ValueError(f"byte {position} asks for objects that are not there")
                depth = 1 + max(depths[bottom:], default=0) if kind == TUPLE else 0
                if depth > MAX_DEPTH:
                    raise ValueError(f"tuples are nested more than {MAX_DEPTH} deep at byte {position}")
                depths[bottom:] = [depth]
            position += length
    except IndexError:
        raise ValueError("it is cut off or damaged" if position < size else "it is cut off") from None


def _length(data: bytes, position: int, width: int) -> int:
    """Length of an instruction whose argument has a length of its own: a counted one, or two lines of text."""
    if width:
        return 1 + width + int.from_bytes(data[position + 1 : position + 1 + width], "little")
    first = data.find(b"\n", position)
    second = data.find(b"\n", first + 1)
    if min(first, second) < 0:
        raise ValueError(f"the text at byte {position} is cut off")
    return second + 1 - position


def _opcode_name(code: int) -> str:
    known = pickletools.code2op.get(chr(code))
    return f"the pickle instruction {known.name}" if known else f"no pickle instruction ({code})"


class Unpickler(pickle.Unpickler):
    """Runs one pickle with the names of `allowed`, and refuses every other.

    Parameters
    ----------
    file : file
        Binary, at the beginning of a pickle that passed `check`.
    allowed : mapping
        (module, name) → what stands for it: a `Record` class, a `Function` or a built-in container. The module may be
        a top-level package and ``.*`` for all of its modules, or ``*`` for any module.
    """

    def __init__(self, file: Any, allowed: Mapping[tuple[str, str], Any]):
        super().__init__(file)
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        for place in (module, module.partition(".")[0] + ".*", "*"):
            if (place, name) in self.allowed:
                return self.allowed[place, name]
        raise pickle.UnpicklingError(f"it asks for {f'{module}.{name}'[:80]!r}, which was not run")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside of it")


def unpickle(data: bytes, allowed: Mapping[tuple[str, str], Any], start: int = 0) -> tuple[Any, int]:
    """The object of the pickle that begins at byte `start`, and the offset behind its end.

    The object may contain itself, and may be far larger when written out than in memory: look up what is expected in
    it, and neither compare, copy nor print it as a whole.

    Raises
    ------
    ValueError
        If it is damaged, or asks for anything but `allowed`. The sentence is for a reader to complete.
    """
    end = check(data, start)
    try:
        file = BufferedReader(BytesIO(data), 1 << 17)  # BytesIO alone is asked for every single instruction
        file.seek(start)
        return Unpickler(file, allowed).load(), end
    except FAULTS as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"its pickle cannot be run ({reason or type(error).__name__})") from None


class Record:
    """An inert stand-in for an instance of a class that is not imported: its attributes as `fields`.

    Attributes
    ----------
    names : tuple of str
        Names of the arguments, where the class is one that is made by a call, as a named tuple is.
    """

    __slots__ = ("fields",)
    names: tuple[str, ...] = ()

    def __new__(cls, *values: Any) -> "Record":
        if len(values) not in (0, len(cls.names)):
            raise TypeError(f"a {cls.__name__} is made of {len(cls.names)} values, not {len(values)}")
        self = super().__new__(cls)
        self.fields = dict(zip(cls.names, values, strict=False))
        return self

    # Without this method a pickle could set any attribute, of the class too.
    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict or not all(type(key) is str for key in state):
            raise TypeError(f"the state of a {type(self).__name__} is a dictionary of attributes")
        self.fields = state


class Function:
    """A function that a pickle may call and cannot change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a function has no state")


_NUMBERS = frozenset("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split())


class _Dtype:
    """A type of numbers; numpy's own is not asked what it does with an odd state."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any):
        if type(code) is not str or code not in _NUMBERS:
            raise TypeError(f"arrays hold numbers, not {code[:20] if type(code) is str else type(code).__name__!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise TypeError("the state of a dtype is damaged")
        self.order = state[1]

    def numbers(self, data: Any) -> np.ndarray:
        if type(data) is not bytes:
            raise TypeError("numbers are stored as bytes")
        return np.frombuffer(data, f"{self.order}{self.code}")


class Array:
    """A stored array of numbers; `values` is the array, None where the file ends before its content.

    Objects cannot be stored: their pickles hold the content as a list, which is refused.
    """

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        if type(dtype) is not _Dtype or type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
            raise TypeError("the state of an array is damaged")
        self.values = dtype.numbers(data).reshape(shape, order="F" if is_fortran is True else "C")


def _scalar(dtype: _Dtype, data: Any) -> int | float | bool:
    if type(dtype) is not _Dtype:
        raise TypeError("a scalar needs a dtype")
    return dtype.numbers(data).item()


def _encode(text: Any, encoding: Any) -> bytes:
    """How protocol 2 writes bytes."""
    if type(text) is not str or encoding != "latin1":
        raise TypeError("bytes are stored as text in latin1")
    return text.encode("latin1")


CONTAINERS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): dict,  # which keeps the order as well, and has no attributes to set
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("_codecs", "encode"): Function(_encode),
    ("__builtin__", "bytes"): Function(lambda: b""),  # which protocol 2 writes for no bytes; a length is refused
}
_NDARRAY = object()
_RECONSTRUCT = Function(lambda kind, shape, code: Array())
NUMPY: Mapping[tuple[str, str], Any] = {
    ("numpy", "dtype"): Function(lambda code, align=False, copy=True: _Dtype(code)),
    ("numpy", "ndarray"): _NDARRAY,
    **dict.fromkeys([("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")], Function(_scalar)),
    **dict.fromkeys(
        [("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")], _RECONSTRUCT
    ),
}
"""Numbers become Python's, arrays become `Array`, under the module names of numpy 1 and 2."""
