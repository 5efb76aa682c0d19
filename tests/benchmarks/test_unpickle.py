"""The restricted unpickler: what label files hold comes back, everything else is refused and nothing is run."""

import collections
import pickle
import pickletools
import sys

import numpy as np
import pytest

from nasviz.benchmarks.unpickle import CONTAINERS, MAX_DEPTH, NUMPY, Array, Function, Record, check, unpickle
from tests.benchmarks.hostile import PROTO, damaged, harmless_giants, name, payloads, text


class Point(Record):
    __slots__ = ()


class Pair(Record):
    __slots__ = ()
    names = ("first", "second")


ALLOWED = {**CONTAINERS, **NUMPY, ("shapes.*", "Point"): Point, ("*", "Pair"): Pair}
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])


def read(data):
    return unpickle(data, ALLOWED)[0]


@PROTOCOLS
def test_containers_come_back(protocol):
    shared = ["a"]
    value = {
        "text": "ä" * 300, "numbers": [0, -1, 255, 65536, -(2**40), 0.5, True, None], "bytes": b"\xff" * 300,
        ("cifar10", 777): ((1, 2), (), (1,), (1, 2, 3), (1, 2, 3, 4)), "set": {1, 2}, "shared": [shared, shared],
        "many": {i: str(i) for i in range(1000)},
    }  # fmt: skip
    data = pickle.dumps(value, protocol)
    result = read(data)
    assert result == value and result["shared"][0] is result["shared"][1]
    assert read(pickletools.optimize(data)) == value
    ordered = read(pickle.dumps(collections.OrderedDict(b=1, a=2), protocol))
    assert list(ordered.items()) == [("b", 1), ("a", 2)]


@PROTOCOLS
@pytest.mark.parametrize("kind", ["f8", "f4", "f2", ">f8", "i1", "i8", "u2", "bool"])
def test_numbers_of_numpy_come_back_as_pythons(protocol, kind):
    value = np.array([0, 1, 1], kind)
    data = pickle.dumps([*value], protocol)
    result = read(data)
    assert result == value.tolist() and [type(x) for x in result] == [type(x) for x in value.tolist()]
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    if protocol < 4:  # later ones count the letters
        assert read(old) == result


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", "CF")
def test_arrays_come_back(protocol, order):
    value = np.arange(12, dtype="<i2").reshape(3, 4, order=order)
    result = read(pickle.dumps([value, value[:0]], protocol))
    assert all(type(part) is Array for part in result)
    np.testing.assert_array_equal(result[0].values, value)
    assert result[1].values.shape == (0, 4) and result[0].values.dtype == value.dtype


def test_one_pickle_behind_the_other():
    data = pickle.dumps("first", 2) + pickle.dumps([2], 4) + b"rest"
    first, end = unpickle(data, {})
    second, stop = unpickle(data, {}, end)
    assert (first, second, data[stop:]) == ("first", [2], b"rest")
    assert check(data) == end and check(data, end) == stop


def test_instances_become_records():
    data = PROTO + name("shapes.plane.old", "Point") + b")\x81}" + text("x") + b"K\x03sb."
    point = read(data)
    assert type(point) is Point and point.fields == {"x": 3}
    for made in (b"R", b"\x81"):
        pair = read(PROTO + name("anywhere", "Pair") + b"K\x01K\x02\x86" + made + b".")
        assert pair.fields == {"first": 1, "second": 2}


@pytest.mark.parametrize(
    "stream",
    [
        name("shapes.plane", "Point") + b"K\x01\x85\x81",  # an argument that the class does not take
        name("elsewhere", "Pair") + b"K\x01\x85R",
        name("shapes.plane", "Point") + b")\x81" + b"N}" + text("names") + b"Ns\x86b",  # attributes by slots
        name("shapes.plane", "Point") + b"}" + text("names") + b"Nsb",  # of the class itself
        name("shapes.plane", "Point") + b"N}" + text("__init__") + b"Ns\x86b",
        name("shapes.plane", "Point") + b")\x81}K\x01Nsb",
        name("shapes.plane", "Point") + b")\x81Nb",
        name("circles.plane", "Point") + b")\x81",
        name("shapes", "plane.Point") + b")\x81",
    ],
)
def test_records_take_only_attributes(stream):
    with pytest.raises(ValueError, match="its pickle cannot be run"):
        read(PROTO + stream + b".")
    assert Point.names == () and Point().fields == {} and Pair.names == ("first", "second")


def test_nothing_hostile_is_run(tmp_path):
    marker = tmp_path / "marker"
    for key, data in payloads(marker).items():
        with pytest.raises(ValueError) as caught:
            read(data)
        assert type(caught.value) is ValueError and "\n" not in str(caught.value), key
        assert not marker.exists(), key
    assert "this" not in sys.modules


@pytest.mark.parametrize("key", ["os.system", "as a global", "builtins.eval", "as an instance", "open", "subprocess"])
def test_an_ordinary_unpickler_would_run_them(tmp_path, key):
    marker = tmp_path / "marker"
    pickle.loads(payloads(marker)[key])  # noqa: S301
    assert marker.exists()


def test_the_sentence_names_what_was_asked_for(tmp_path):
    hostile = payloads(tmp_path / "marker")
    for key, words in {
        "os.system": "'os.system', which was not run",
        "getattr": "'builtins.getattr'",
        "reconstruct subtype": "'subprocess.Popen'",
        "reconstruct object array": "arrays hold numbers, not 'O8'",
        "torch storage": "BINPERSID, which no label file needs",
        "huge memo": "numbers an object 4,294,967,295",
        "huge bytes": "2,147,483,652 bytes, more than the file has left",
        "deep tuples": f"nested more than {MAX_DEPTH} deep",
        "unknown memo": "cut off or damaged",
    }.items():
        with pytest.raises(ValueError, match=words):
            read(hostile[key])


def test_claims_take_no_memory(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for key, data in payloads(tmp_path / "marker").items():
        if key.startswith(("huge", "array of", "bytearray")):
            with pytest.raises(ValueError):
                read(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_giants_are_held_but_not_walked():
    for data in harmless_giants().values():
        assert read(data) is None or type(read(data)) is list


def test_tuples_may_be_nested_a_little():
    value = ()
    for _ in range(MAX_DEPTH):
        value = (value,)
    assert read(pickle.dumps({value: 1})) == {value: 1}
    with pytest.raises(ValueError, match="nested"):
        read(pickle.dumps({(value,): 1}))


def test_damage_is_an_error_or_a_value():
    value = {"a": [(1, 2.5), np.float64(3), np.arange(3)], "b": {("c", 7): "text"}, "d": collections.OrderedDict(e={1})}
    data, errors, values = pickle.dumps(value, 2) + pickle.dumps(value, 4), 0, 0
    for broken in damaged(data):
        try:
            unpickle(broken, ALLOWED, unpickle(broken, ALLOWED)[1])
            values += 1
        except ValueError as error:
            assert type(error) is ValueError
            errors += 1
    assert errors > len(data) and values


def test_a_function_cannot_be_changed():
    function = Function(len)
    assert function([1, 2]) == 2
    with pytest.raises(TypeError, match="no state"):
        function.__setstate__({"_function": print})
