"""Damaged and hostile files, for the tests of every reader of pickles."""

import os
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

PROTO = b"\x80\x04"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 498000000\n"
PAGE = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>"


def text(value: str) -> bytes:
    """Puts a text on the stack."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    """Puts what a module calls `attribute` on the stack."""
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    """Calls a function on the stack."""
    return function + b"(" + b"".join(arguments) + b"tR"


DTYPE = call(name("numpy", "dtype"), text("f8"), b"\x89", b"\x88")
ARRAY = call(name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\x00\x85", b"C\x01b")


def scalar(dtype: bytes, data: bytes) -> bytes:
    return call(name("numpy.core.multiarray", "scalar"), dtype, data)


def array(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    return ARRAY + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def encode(value: bytes, encoding: bytes) -> bytes:
    return call(name("_codecs", "encode"), value, encoding)


def payloads(marker: Path) -> dict[str, bytes]:
    """Streams that do harm where they are run: `marker` is a file that comes into being then."""
    touch, python = f"touch {marker}", f"open({str(marker)!r}, 'w')"

    class Reduced:
        def __reduce__(self):
            return os.system, (touch,)

    getattr_ = name("builtins", "getattr")
    eight = b"C\x08" + bytes(8)
    streams = {
        "os.system": call(name("os", "system"), text(touch)),
        "posix.system": call(name("posix", "system"), text(touch)),
        "nt.system": call(name("nt", "system"), text(touch)),
        "as a global": b"cposix\nsystem\n" + text(touch) + b"\x85R",
        "as an instance": b"(" + text(touch) + b"iposix\nsystem\n",
        "as an object": b"(" + name("posix", "system") + text(touch) + b"o",
        "as a new object": name("posix", "system") + text(touch) + b"\x85\x81",
        "with keywords": name("posix", "system") + text(touch) + b"\x85}\x92",
        "subprocess": call(name("subprocess", "getoutput"), text(touch)),
        "builtins.eval": call(name("builtins", "eval"), text(python)),
        "builtins.exec": call(name("__builtin__", "exec"), text(python)),
        "open": call(name("builtins", "open"), text(str(marker)), text("w")),
        "import": call(name("builtins", "__import__"), text("this")),
        "getattr": call(call(getattr_, name("os", "__dict__"), text("get")), text("system")),
        "dotted name": call(name("collections", "OrderedDict.__init__.__globals__"), text(touch)),
        "dotted module": call(name("collections.OrderedDict", "__class__"), text(touch)),
        "a class of ours": call(name("model_src.x", "__subclasses__")),
        "pickle in pickle": call(name("_pickle", "loads"), b"C\x02N."),
        "numpy.load": call(name("numpy", "load"), text(str(marker))),
        "fromfile": call(name("numpy", "fromfile"), text("/etc/passwd")),
        "runstring": call(name("numpy.testing._private.utils", "runstring"), text(python), b"}"),
        "torch storage": text("storage") + b"Q",
        "persistent text": b"Pstorage\n",
        "extension": b"\x82\x01",
        "codecs": encode(text("aa"), text("rot13")),
        "codecs of nothing": encode(b"N", text("latin1")),
        "codecs beyond latin1": encode(text("€"), text("latin1")),
        "codecs as object": name("_codecs", "encode") + b")\x81",
        "reconstruct subtype": call(
            name("numpy._core.multiarray", "_reconstruct"), name("subprocess", "Popen"), b"K\x00\x85", b"C\x01b"
        ),
        "reconstruct of nothing": call(name("numpy._core.multiarray", "_reconstruct")),
        "reconstruct object array": array(b"K\x01\x85", call(name("numpy", "dtype"), text("O8")), b"]Na"),
        "array of objects": array(b"K\x01\x85", DTYPE, b"]Na"),
        "array of another size": array(b"K\x02\x85", DTYPE, eight),
        "array of negative size": array(b"J\xff\xff\xff\xff\x85", DTYPE, eight),
        "array of many dimensions": array(b"(" + b"K\x01" * 100 + b"t", DTYPE, eight),
        "array of a huge shape": array(b"J\xff\xff\xff\x7f" * 2 + b"K\x00\x87", DTYPE, eight),
        "array without dtype": array(b"K\x01\x85", b"N", eight),
        "array with no state": ARRAY + b"Nb",
        "array with attributes": ARRAY + b"N}" + text("values") + text("x") + b"s\x86b",
        "scalar too short": scalar(DTYPE, b"C\x01b"),
        "scalar of text": scalar(DTYPE, text("12345678")),
        "scalar of two": scalar(DTYPE, b"C\x10" + bytes(16)),
        "scalar of objects": scalar(call(name("numpy", "dtype"), text("O8")), eight),
        "scalar without dtype": scalar(b"N", eight),
        "dtype of fields": call(name("numpy", "dtype"), b"(" + text("f8") * 2 + b"t"),
        "dtype of nothing": call(name("numpy", "dtype")),
        "dtype with fields": scalar(DTYPE + b"(K\x03" + text("<") + b"N}NJ\xff\xff\xff\xffK\x00tb", eight)
        + b"0"
        + call(name("os", "abort")),
        "dtype as subclass": DTYPE + b"K\x01\x85b",
        "function with state": name("_codecs", "encode") + b"N}" + text("_function") + text("x") + b"s\x86b",
        "container with state": name("collections", "OrderedDict") + b"N}" + text("x") + text("x") + b"s\x86b",
        "huge bytes": b"B\xff\xff\xff\x7f",
        "huge zeros": call(name("__builtin__", "bytes"), b"J\xff\xff\xff\x7f"),
        "huge bytes 8": b"\x8e" + struct.pack("<Q", 1 << 50),
        "huge text": b"X\xff\xff\xff\xff",
        "huge number": b"\x8b\xff\xff\xff\x7f",
        "huge frame": b"\x95" + struct.pack("<Q", 1 << 60) + b"N",
        "huge memo": b"Nr\xff\xff\xff\xff",
        "huge memo as text": b"Np4294967295\n",
        "long number as text": b"L" + b"9" * 100_000 + b"L\n",
        "buffer": b"\x97",
        "bytearray": b"\x96" + struct.pack("<Q", 1 << 50),
        "deep tuples": b"}" + b")" + b"\x85" * 300_000 + b"Ns",
        "deep tuples by memo": b"})" + b"q\x00" + b"0h\x00\x85q\x00" * 300_000 + b"Ns",
        "deep tuples from marks": b"}" + b"(" * 300_000 + b"t" * 300_000 + b"Ns",
        "unbalanced": b"tttt",
        "nothing": b"",
        "no mark": b"]Ne",
        "unknown memo": b"h\x07",
    }
    result = {key: PROTO + stream + b"." for key, stream in streams.items()}
    result |= {f"os.system, protocol {number}": pickle.dumps(Reduced(), number) for number in range(6)}
    return result


def harmless_giants() -> dict[str, bytes]:
    """Streams that are allowed, and whose object must not be compared, copied or printed as a whole."""
    doubled = b"]" + b"q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(60))
    return {
        "deep lists": PROTO + b"]" * 300_000 + b"a" * 299_999 + b".",
        "marks": PROTO + b"(" * 300_000 + b"N.",
        "billion lists": PROTO + doubled + b".",
        "itself": PROTO + b"]q\x00h\x00a.",
    }


def damaged(content: bytes, step: int = 1) -> Iterator[bytes]:
    """`content` cut off, with single bits flipped and with bytes changed, at every `step`-th position."""
    for position in range(0, len(content), step):
        yield content[:position]
        for change in (1 << position // step % 8, 0xFF):
            yield content[:position] + bytes([content[position] ^ change]) + content[position + 1 :]


def survives(read: Callable[[Path], object], path: Path, content: bytes) -> Exception | None:
    """Write and read a file, which may only succeed or raise a ValueError of one line; the error, if there is one."""
    path.write_bytes(content)
    try:
        read(path)
    except ValueError as error:
        assert type(error) is ValueError, f"{type(error)}: {error}"
        message = str(error)
        assert message and "\n" not in message and len(message) < 700 + len(str(path)), message[:1000]
        return error
    return None


def refuses(read: Callable[[Path], object], path: Path, content: bytes, sentence: str = "") -> None:
    """Write and read a file, which must raise a ValueError of one line that names it."""
    error = survives(read, path, content)
    assert error is not None, "it was read"
    assert path.name in str(error), str(error)
    assert re.search(sentence, str(error)), str(error)
