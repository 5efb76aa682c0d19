"""The official NAS-Bench-101 files: published records, files written here, and files that are damaged or no data."""

import base64
import json
import statistics
import struct
import tracemalloc
import warnings

import pytest

from nasviz.benchmarks import load
from nasviz.benchmarks.nasbench101 import read_tfrecord
from nasviz.families import get

# The record of one cell after four epochs, as it stands in the official file, with its stored checksums.
CELL = (
    "00005c142e6f48ac74fdcf73e3439874",
    "0100110001000000010010000010000001000000010000000",
    "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output",
)
PARAMS, TOTAL = 8_555_530, 413.7015450000763
EVALUATIONS = [  # epoch, seconds, training, validation, test accuracy
    (0, 0, 0.1002604141831398, 0.09775640815496445, 0.09985977411270142),
    (2, 45.152000427246094, 0.10166265815496445, 0.10526842623949051, 0.10436698794364929),
    (4, 89.90399932861328, 0.3498597741127014, 0.3489583432674408, 0.3504607379436493),
]
ARCH = "7:1394777:02001"
SMALLEST = ("043721b9c7fe8c5fad811d47d83132ec", "0100", "input,output")


def crc32c(data: bytes) -> int:
    """Bit by bit, from the definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def field(number: int, value: float | int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 1) + struct.pack("<d", value)


def message(evaluations=EVALUATIONS, params=PARAMS, total=TOTAL) -> bytes:
    parts = [b"".join(field(i, float(v)) for i, v in enumerate(row, 1)) for row in evaluations]
    return b"".join(field(1, part) for part in parts) + field(2, params) + field(3, total)


def row(cell=CELL, epochs=4, metrics: bytes | None = None) -> bytes:
    key, matrix, ops = cell
    return json.dumps([key, epochs, matrix, ops, base64.encodebytes(metrics or message()).decode()]).encode()


def record(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + checksum(length) + payload + checksum(payload)


def final(accuracy: float, seconds: float = 100.0) -> bytes:
    """Metrics whose last validation accuracy is `accuracy`, with others for training and test."""
    return message([*EVALUATIONS[:2], (108, seconds, 1.0, accuracy, accuracy - 0.01)])


@pytest.fixture
def read(tmp_path):
    """Reads records, or bytes as they are, from a file; without the warning that cells are missing."""

    def reader(content: list[bytes] | bytes, **options):
        path = tmp_path / "some.tfrecord"
        path.write_bytes(content if isinstance(content, bytes) else b"".join(map(record, content)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_tfrecord(path, progress=False, **options).table

    return reader


def test_the_published_record(read):
    whole = record(row())
    assert crc32c(b"123456789") == 0xE3069283
    assert len(whole) == 417 and whole[:12] == struct.pack("<QI", 401, 0x9BED2598)
    assert whole[-4:] == struct.pack("<I", 0x03691668)
    for metric, accuracy in zip(("train", "validation", "test"), EVALUATIONS[2][2:], strict=True):
        [cell] = read([row()], epochs=4, metric=metric).itertuples()
        assert (cell.family, cell.arch, cell.hash, cell.params) == ("nb101", ARCH, CELL[0], PARAMS)
        assert cell.accuracy == cell.accuracy_0 == accuracy and cell.training_time == EVALUATIONS[2][1]
    assert get("nb101").parse(ARCH).hash == CELL[0]


def test_the_fixture(fixtures):
    expected = json.loads((fixtures / "nasbench_mini108.expected.json").read_text())
    with pytest.warns(UserWarning, match="holds 5 of the 423,624 cells"):
        bench = load("nb101", fixtures / "nasbench_mini108.tfrecord", metric="test", progress=False)
    assert sorted(bench.table.hash) == sorted(expected) and bench.card["min_accuracy"] == 0.8
    for cell in bench.table.itertuples():
        known = expected[cell.hash]
        runs = [last for _, last in known["108"]]
        accuracy = [run[4] for run in runs]
        assert [cell.accuracy_0, cell.accuracy_1, cell.accuracy_2] == accuracy
        assert cell.accuracy == pytest.approx(statistics.mean(accuracy))
        assert cell.sd == pytest.approx(statistics.stdev(accuracy))
        assert cell.training_time == pytest.approx(statistics.mean(run[1] for run in runs))
        assert cell.params == known["params"]
        parsed = get("nb101").parse(cell.arch)
        assert [list(line) for line in parsed.matrix] == known["adj"] and parsed.hash == cell.hash


def test_records_in_any_order(read):
    """Cells stand in the order of their first record, runs in theirs, other epochs are left out."""
    rows = [
        row(epochs=36, metrics=final(0.1)),
        row(SMALLEST, 108, final(0.5, 10)),
        row(epochs=108, metrics=final(0.7)),
        row(SMALLEST, 108, final(0.6, 20)),
        row(epochs=108, metrics=final(0.8)),
        row(SMALLEST, 108, final(0.7, 60)),
    ]
    table = read(rows)
    assert table.arch.tolist() == ["2:1:", ARCH]
    assert table.filter(regex="_[012]").iloc[0].tolist() == [0.5, 0.6, 0.7]
    assert table.accuracy_0[1] == 0.7 and table.accuracy_1[1] == 0.8 and str(table.accuracy_2[1]) == "nan"
    assert table.accuracy.tolist() == pytest.approx([0.6, 0.75])
    assert table.sd.tolist() == pytest.approx([0.1, statistics.stdev([0.7, 0.8])])
    assert table.training_time.tolist() == pytest.approx([30, 100])
    assert read(rows, epochs=36).accuracy.tolist() == [0.1]
    assert read(rows[:3]).sd.isna().all(), "one run has no standard deviation"


def test_a_message_in_another_form(read):
    """Protobuf allows any order and unknown fields, and leaves zeros out."""
    last = field(5, 0.4) + field(6, b"gs://checkpoint") + field(4, 0.5) + field(99, 7) + b"\xfd\x06abcd" + field(2, 9.0)
    mixed = field(3, TOTAL) + field(1, b"") + field(8, 1.5) + field(1, field(4, 0.9)) + field(2, 300) + field(1, last)
    for metric, accuracy in {"validation": 0.5, "test": 0.4, "train": 0.0}.items():
        [cell] = read([row(metrics=mixed)], epochs=4, metric=metric).itertuples()
        assert (cell.accuracy, cell.training_time, cell.params) == (accuracy, 9.0, 300)
    [cell] = read([row(metrics=message() + field(3, 1.0))], epochs=4).itertuples()
    assert (cell.accuracy, cell.params) == (EVALUATIONS[2][3], PARAMS), "the usual fields, and one more"


def test_what_the_file_lacks_is_said(tmp_path):
    path = tmp_path / "part.tfrecord"
    path.write_bytes(record(row()) * 2)
    with pytest.warns(UserWarning) as caught:
        bench = load("nb101", path, epochs=4, progress=False)
    first, second = (str(warning.message) for warning in caught)
    assert first == "part.tfrecord holds 1 of the 423,624 cells of NAS-Bench-101."
    assert second == "part.tfrecord: 1 cells do not have the published 3 training runs."
    assert bench.card["min_accuracy"] == 0, "a threshold for 108 epochs does not fit 4"
    with pytest.raises(ValueError, match="has no record of epochs=108; it has 4"):
        read_tfrecord(path, progress=False)
    with pytest.raises(ValueError, match="epochs=50: NAS-Bench-101 trained for 4, 12, 36, 108 epochs"):
        read_tfrecord(path, epochs=50)
    with pytest.raises(ValueError, match="metric='val': the accuracies are 'train', 'validation', 'test'"):
        read_tfrecord(path, metric="val")
    with pytest.raises(TypeError, match="has no option 'epoch'; it has epochs, metric, progress"):
        load("nb101", path, epoch=4)


def test_the_file_is_read_as_a_stream(tmp_path):
    """Of the records that are not wanted nothing stays in memory."""
    path = tmp_path / "some.tfrecord"
    path.write_bytes(record(row(epochs=36)) * 12_000 + record(row(SMALLEST, 108)) * 3)
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning, match="holds 1 of the 423,624 cells"):
            assert len(read_tfrecord(path, progress=False)) == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5e6 < path.stat().st_size / 2


def test_a_cut_file_is_noticed_wherever_it_ends(read):
    whole = record(row()) + record(row(SMALLEST))
    second = len(record(row()))
    for size in (1, 8, 11, 12, 13, second - 1, second + 1, second + 12, len(whole) - 4, len(whole) - 1):
        with pytest.raises(ValueError, match=f"ends inside of record {int(size > second)}, so it was not copied whole"):
            read(whole[:size], epochs=4)
    assert len(read(whole[:second], epochs=4)) == 1


def test_a_flipped_bit_is_noticed_wherever_it_is(read):
    whole = record(row(SMALLEST)) * 2
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(ValueError, match=r"fails its checksum|is no TFRecord file"):
            read(bytes(damaged), epochs=4)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; download the TFRecord file nasbench_only108"),
        (b"<!DOCTYPE html><html>Quota exceeded", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git-LFS pointer, not the data"),
        (b"hash,num_vertices,edge_bits,ops\n", "it is no TFRecord file; give the TFRecord file nasbench_only108"),
        (struct.pack("<Q", 1 << 60) + checksum(struct.pack("<Q", 1 << 60)), "ends inside of record 0"),
    ],
)
def test_what_is_no_tfrecord_gets_a_sentence(read, content, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'["00", 4]',
        b"[[], {}, 1, 2, 3]",
        row(("xyz", *CELL[1:])),
        row((CELL[0][:-2], *CELL[1:])),
        row((CELL[0], "0110", CELL[2])),
        row((CELL[0], "2" + CELL[1][1:], CELL[2])),
        row((CELL[0], CELL[1][:-1] + "1", CELL[2])),
        row((CELL[0], "0111111" * 7, CELL[2])),
        row((CELL[0], "0" * 100, "input" + ",maxpool3x3" * 8 + ",output")),
        row((CELL[0], CELL[1], CELL[2].replace("maxpool3x3", "maxpool5x5"))),
        row((CELL[0], CELL[1], CELL[2].replace("input", "maxpool3x3"))),
        row((CELL[0], CELL[1], CELL[2] * 300)),
        row(metrics=message(EVALUATIONS[:2])),
        row(metrics=message([*EVALUATIONS[:2], (4, 1.0, 0.5, 1.5, 0.5)])),
        row(metrics=message([*EVALUATIONS[:2], (4, 1.0, 0.5, float("nan"), 0.5)])),
        row(metrics=message(params=1 << 80)),
        row(metrics=message()[:-1]),
        row(metrics=message()[:30]),
        row(metrics=b"\x0b"),
        row().replace(b"Ci0", b"***"),
        b'["%s", 4, "0100", "input,output", 7]' % SMALLEST[0].encode(),
    ],
)  # fmt: skip
def test_a_wrong_row_with_right_checksums_gets_a_sentence(read, payload):
    with pytest.raises(ValueError, match=r"record 1 is no row of NAS-Bench-101 \(\w+: ") as caught:
        read([row(SMALLEST), payload], epochs=4)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file; give the TFRecord file"):
        load("nb101", tmp_path / "none.tfrecord")
