"""Tables that users bring, label files of published benchmarks, and a sentence for all that may be wrong."""

import csv
import gzip

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from tests.benchmarks.hostile import LFS, PAGE, refuses

NB201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|"
NB201_WITHOUT_NONE = NB201.replace("none", "skip_connect")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"arch": ["2:1:", "3:7:1", "4:43:22"], "accuracy": [0.6, 0.7, 0.8], "note": ["a", "b", "c"]})


def from_nb101(frame, **options):
    return nv.benchmarks.from_table(frame, "nb101", **options)


def test_a_table_becomes_a_benchmark(frame):
    before = frame.copy()
    bench = from_nb101(frame, name="mine")
    assert bench.table.columns.tolist() == ["family", "arch", "accuracy", "note"]
    assert bench.table.accuracy.tolist() == [0.6, 0.7, 0.8] and bench.families == ["nb101"] and len(bench) == 3
    assert (bench.name, bench.scale, bench.card["title"]) == ("mine", "paper", "mine")
    assert [graph.name for graph in bench.graphs()] == frame.arch.tolist()
    pd.testing.assert_frame_equal(frame, before)


def test_columns_are_mapped_and_percent_becomes_a_fraction():
    frame = pd.DataFrame({"cell": [NB201, "2:1:"], "top1": ["61.5", 100], "family": ["nb201", "nb101"]}, index=[7, 7])
    bench = nv.benchmarks.from_table(
        frame, arch="cell", accuracy="top1", percent=True, scale="digits", card={"licence": "CC0"}
    )
    assert bench.table.accuracy.tolist() == [0.615, 1.0]
    assert bench.table.index.tolist() == [0, 1]
    assert bench.families == ["nb201", "nb101"] and bench.card["licence"] == "CC0"
    assert [graph.nodes[0].out_shape for graph in bench.graphs()] == [(1, 1, 8, 8)] * 2


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".json", ".jsonl"])
def test_all_columns_of_a_file_are_mapped(tmp_path, ending):
    frame = pd.DataFrame({"cell": [NB201, "2:1:"], "top1": [61.5, 100], "space": ["nb201", "nb101"], "madds": [7, 8]})
    path = tmp_path / f"mine{ending}"
    match ending:
        case ".parquet":
            frame.to_parquet(path)
        case ".json" | ".jsonl":
            frame.to_json(path, orient="records", lines=ending == ".jsonl")
        case _:
            frame.to_csv(path, index=False)
    columns = {"arch": "cell", "accuracy": "top1", "family": "space", "macs": "madds"}
    bench = nv.benchmarks.load("table", path, columns=columns, percent=True)
    expected = {"family": ["nb201", "nb101"], "arch": [NB201, "2:1:"], "accuracy": [0.615, 1.0], "macs": [7, 8]}
    assert bench.table.to_dict("list") == expected and bench.table.columns.tolist() == list(expected)
    saved = nv.benchmarks.save(bench, tmp_path / "mine.arrow")
    assert nv.benchmarks.load("table", saved).table.to_dict("list") == expected


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".json", ".jsonl"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; download a .* table again"),
        (PAGE, "is a web page, which a download site sends"),
        (LFS, "is a Git-LFS pointer, not the data"),
        (b"\x00\xff\xfe\x80" * 50, "cannot be read as a .* table"),
    ],
)
def test_a_file_that_is_no_table_gets_a_sentence(tmp_path, ending, content, sentence):
    refuses(nv.benchmarks.from_table, tmp_path / f"mine{ending}", content, sentence)


@pytest.mark.parametrize("ending", [".csv.gz", ".parquet", ".json"])
def test_a_table_that_is_cut_off_gets_a_sentence(frame, tmp_path, ending):
    path = tmp_path / f"mine{ending}"
    {".csv.gz": frame.to_csv, ".parquet": frame.to_parquet, ".json": frame.to_json}[ending](path)
    whole = path.read_bytes()
    for size in (1, len(whole) // 2, len(whole) - 1):
        refuses(nv.benchmarks.from_table, tmp_path / f"cut{ending}", whole[:size])


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"arch": "accuracy"}, "'accuracy' cannot be both 'arch' and 'accuracy'"),
        ({"arch": "cell"}, "no column 'cell'; it has arch, accuracy, note"),
        ({"macs": "note", "params": "note"}, "'note' cannot be both 'macs' and 'params'"),
        ({"accuracy": "note"}, "two columns claim the name 'accuracy'"),
        ({"arch": 3}, r"columns=\{'arch': 3\}: give the names of your columns by ours"),
        ("arch", "columns='arch': give the names of your columns by ours"),
    ],
)
def test_a_wrong_map_of_columns_is_refused(frame, columns, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_nb101(frame, columns=columns)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (lambda t: t.iloc[:0], {}, "the table has no rows"),
        (lambda t: t.drop(columns="arch"), {}, "no column 'arch'; it has accuracy, note"),
        (lambda t: t, {"accuracy": "acc", "arch": "cell"}, "no column 'cell', 'acc'"),
        (lambda t: t.assign(accuracy=[0.5, np.nan, None]), {}, "no number in 2 of 3 rows, first nan in row 1; drop"),
        (lambda t: t.assign(accuracy=["0.5", "high", "0.6"]), {}, "first 'high' in row 1"),
        (lambda t: t.assign(accuracy=[0.5, np.inf, 0.5]), {}, "no number in 1 of 3 rows, first inf in row 1"),
        (lambda t: t.assign(accuracy=[60, 70, 80.5]), {}, "holds 60 in row 0.*accuracies in percent need percent=True"),
        (lambda t: t.assign(accuracy=[0.6, 1.01, 0.8]), {}, "holds 1.01 in row 1.*percent=True"),
        (lambda t: t.assign(accuracy=[0.6, -0.1, 0.8]), {}, r"holds -0.1 in row 1, and .* fraction in \[0, 1\]"),
        (lambda t: t.assign(accuracy=[60, 70, 101]), {"percent": True}, "holds 101 in row 2.*percent=True allows"),
        (lambda t: t.assign(accuracy=[60, 70, 80]), {"percent": False}, "percent=False allows 0 to 1"),
        (lambda t: t, {"percent": True}, "percent=True, but column 'accuracy' holds at most 0.8"),
        (lambda t: t.assign(arch=["2:1:", "3:7:9", "x"]), {}, "row 1: '3:7:9' is not a NAS-Bench-101 cell; it reads"),
        (lambda t: t.assign(arch=["2:1:", None, "x"]), {}, "row 1: .* is not a NAS-Bench-101 cell"),
        (lambda t: t.assign(arch=["2:1:", "3:7:1", "2:1:"]), {}, "rows 0 and 2 both hold nb101 2:1:; keep one row"),
        (lambda t: t.assign(acc=t.accuracy), {"accuracy": "acc"}, "two columns claim the name 'accuracy'"),
        (lambda t: pd.concat([t, t[["note"]]], axis=1), {}, "two columns claim the name 'note'"),
        (lambda t: t, {"scale": "huge"}, "row 0: scale='huge': nb101 has the scales 'paper', 'digits'"),
    ],
)  # fmt: skip
def test_a_wrong_table_gets_a_sentence(frame, change, options, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        from_nb101(change(frame), **options)
    assert "\n" not in str(caught.value)


def test_the_family_is_needed_and_must_exist(frame):
    with pytest.raises(ValueError, match="no column 'family'.*give `family` where all rows are of one"):
        nv.benchmarks.from_table(frame)
    with pytest.raises(ValueError, match="row 0: name='nb102': no such family; known: nb101, nb201"):
        nv.benchmarks.from_table(frame, "nb102")
    with pytest.raises(ValueError, match="row 1: name=nan: no such family"):
        nv.benchmarks.from_table(frame.assign(family=["nb101", np.nan, "nb101"]))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.json", "t.jsonl"])
def test_files_of_every_kind(frame, tmp_path, name):
    path = tmp_path / name
    if "csv" in name:
        frame.to_csv(path, index=False)
    elif "parquet" in name:
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=name.endswith("l"))
    assert from_nb101(path).table.to_dict("list") == from_nb101(frame).table.to_dict("list")
    assert len(from_nb101(str(path))) == 3


@pytest.mark.parametrize(
    ("name", "content", "error", "sentence"),
    [
        ("t.xls", b"", ValueError, "the name of a table ends with .csv, .parquet, .json, .jsonl"),
        ("t.csv", b"", ValueError, "is empty; download a .csv table again"),
        ("t.csv", b"\xff\xfe\x00a,b\n", ValueError, "cannot be read as a .csv table"),
        ("t.csv.gz", b"arch,accuracy\n", ValueError, "cannot be read as a .csv table: Not a gzipped file"),
        ("t.csv.gz", gzip.compress(b"a,accuracy\n" * 99, mtime=0)[:-20], ValueError, "cannot be read as a .csv table"),
        ("t.parquet", b"PAR1 no more", ValueError, "cannot be read as a .parquet table"),
        ("t.json", b'{"arch": [1, 2]', ValueError, "cannot be read as a .json table"),
        ("t.csv", b"arch,accuracy\n", ValueError, "the table has no rows"),
        ("none.csv", None, FileNotFoundError, "there is no such file"),
    ],
)
def test_a_wrong_file_gets_a_sentence(tmp_path, name, content, error, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=sentence):
        from_nb101(tmp_path / name)


# --- label files ----------------------------------------------------------------------------------------------------

NB101_ROWS = "hash,num_vertices,edge_bits,ops,val_acc_12,val_acc_108\na,7,1394777,02001,0.4,0.93\nb,2,1,,0.5,0.6\n"
NB201_ROWS = f"index,arch,cifar10_test_acc_200,other\n0,{NB201},85.5,1.0\n1,{NB201_WITHOUT_NONE},93.66,2.0\n"


@pytest.fixture
def files(tmp_path):
    for name, text in (("nb101", NB101_ROWS), ("nb201", NB201_ROWS)):
        (tmp_path / f"{name}.csv").write_text(text)
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
def test_nb101_from_a_label_file(files, end):
    """Operators keep their leading zeros, and the cell without operators is a cell."""
    bench = nv.benchmarks.load("nb101", files / f"nb101{end}")
    assert bench.table.arch.tolist() == ["7:1394777:02001", "2:1:"]
    assert bench.table.accuracy.tolist() == [0.93, 0.6]
    assert bench.table.columns.tolist() == ["family", "arch", "accuracy", "hash", "val_acc_12"]
    assert (bench.card["min_accuracy"], bench.card["flops_unit"], bench.scale) == (0.8, 1e9, "paper")
    assert nv.benchmarks.load("nb101", files / f"nb101{end}", metric="val_acc_12").table.accuracy.tolist() == [0.4, 0.5]


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
def test_nb201_from_a_label_file(files, end):
    bench = nv.benchmarks.load("nb201", files / f"nb201{end}")
    assert bench.table.accuracy.tolist() == [0.855, 0.9366]
    assert nv.benchmarks.load("nb201", files / f"nb201{end}", none=False).table.arch.tolist() == [NB201_WITHOUT_NONE]


def test_what_is_wrong_with_a_label_file(files):
    load = nv.benchmarks.load
    with pytest.raises(ValueError, match="no column 'val_acc_36'; it has hash, num_vertices, edge_bits"):
        load("nb101", files / "nb101.csv", metric="val_acc_36")
    with pytest.raises(ValueError, match="no column 'num_vertices', 'edge_bits', 'ops', 'val_acc_108'"):
        load("nb101", files / "nb201.csv")
    (files / "other.csv").write_text(NB201_ROWS.replace("cifar10_test_acc_200", "acc").replace("2.0", "0.5"))
    with pytest.raises(ValueError, match="no column 'cifar10_test_acc_200'; it has index, arch, acc, other"):
        load("nb201", files / "other.csv")
    with pytest.raises(ValueError, match="percent=True, but column 'other' holds at most 1"):
        load("nb201", files / "other.csv", metric="other")


def test_the_real_label_files(labels):
    with gzip.open(labels / "nb101_20k.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    table = nv.benchmarks.load("nb101", labels / "nb101_20k.csv.gz").table
    assert len(table) == len(rows)
    for index in (0, 5000, len(rows) - 1):
        row = rows[index]
        assert table.arch[index] == f"{row['num_vertices']}:{row['edge_bits']}:{row['ops']}"
        assert table.accuracy[index] == pytest.approx(float(row["val_acc_108"]))
    nb201 = nv.benchmarks.load("nb201", labels / "nb201_cifar10.csv.gz")
    without = nv.benchmarks.load("nb201", labels / "nb201_cifar10.csv.gz", none=False)
    assert (len(nb201), len(without)) == (15_625, 4_096)
    assert without.table.accuracy.between(0.4, 0.95).all()
