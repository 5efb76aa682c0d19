"""NASLib's tables of zero-cost proxies, written here by hand as NASLib writes them."""

import json
import math

import pytest

import nasviz as nv
from nasviz.benchmarks.zerocost import read_zero_cost

NB201_KEY, NB201_ARCH = (
    "(4, 0, 3, 1, 4, 3)",
    "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|",
)
# The cell 00005c142e6f48ac74fdcf73e3439874 of NAS-Bench-101: rows of the matrix, then the operations.
NB101_KEY = str((*map(int, "0100110001000000010010000010000001000000010000000"), 0, 4, 2, 4, 4, 3, 1))
CELL = "((0, 3), (1, 2), (0, 4), (2, 5), (1, 6), (3, 0), (0, 1), (4, 3))"
NB301_KEY = f"({CELL}, {CELL})"
NB301_CELL = (
    "[('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_5x5', 0), ('dil_conv_3x3', 2), ('dil_conv_5x5', 1), "
    "('max_pool_3x3', 3), ('avg_pool_3x3', 0), ('sep_conv_3x3', 4)]"
)


def entry(accuracy=91.5, **scores):
    proxies = {name: {"score": score, "time": 0.5} for name, score in (scores or {"synflow": 12.5}).items()}
    return {"id": 3, **proxies, "val_accuracy": accuracy}


def write(folder, space, content):
    path = folder / f"zc_{space}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_nasbench201(tmp_path):
    content = {
        "cifar10": {
            NB201_KEY: entry(91.5, synflow=12.5, grasp=math.inf, zen=math.nan),
            "(0, 0, 0, 0, 0, 0)": entry(60, synflow=-math.inf, zen=1),
        },
        "cifar100": {NB201_KEY: entry(70.0)},
        "ImageNet16-120": {NB201_KEY: entry(40.0)},
    }
    path = write(tmp_path, "nasbench201", content)
    assert "Infinity" in path.read_text() and "NaN" in path.read_text()
    bench = nv.benchmarks.load("zero_cost", path)
    assert bench.table.arch[0] == NB201_ARCH
    assert bench.table.columns.tolist() == [
        "family", "arch", "accuracy", "synflow", "synflow_seconds", "grasp", "grasp_seconds", "zen", "zen_seconds",
    ]  # fmt: skip
    assert bench.table.accuracy.tolist() == [0.915, 0.6]
    assert bench.table.synflow.tolist() == [12.5, -math.inf]
    assert bench.table.grasp[0] == math.inf and math.isnan(bench.table.grasp[1])
    assert bench.table.zen_seconds.tolist() == [0.5, 0.5]
    for dataset, scale, classes in (("cifar100", "cifar100", 100), ("ImageNet16-120", "imagenet16", 120)):
        other = nv.benchmarks.load("zero_cost", path, dataset=dataset)
        assert (other.scale, other.families) == (scale, ["nb201"])
        assert other.graphs()[0].nodes[-1].out_shape == (1, classes)


def test_nasbench101(tmp_path):
    bench = read_zero_cost(write(tmp_path, "nasbench101", {"cifar10": {NB101_KEY: entry()}}))
    assert bench.table.arch.tolist() == ["7:1394777:02001"]
    assert bench.card["min_accuracy"] == 0.8  # as for the official labels
    assert nv.families.get("nb101").parse(bench.table.arch[0]).hash == "00005c142e6f48ac74fdcf73e3439874"


def test_nasbench301(tmp_path):
    bench = read_zero_cost(write(tmp_path, "nasbench301", {"cifar10": {NB301_KEY: entry()}}))
    assert bench.table.arch.tolist() == [
        f"Genotype(normal={NB301_CELL}, normal_concat=range(2, 6), reduce={NB301_CELL}, reduce_concat=range(2, 6))"
    ]


def test_keys_of_one_architecture_are_counted_once(tmp_path):
    content = {
        "cifar10": {NB201_KEY: entry(90), NB201_KEY.replace(" ", ""): entry(80), "[4, 0, 3, 1, 4, 3]": entry(70)}
    }
    bench = read_zero_cost(write(tmp_path, "nasbench201", content))
    assert bench.table.accuracy.tolist() == [0.9]
    assert bench.card["repeated_architectures_left_out"] == 2


def test_which_space_and_data_set(tmp_path):
    content = {"cifar10": {NB201_KEY: entry()}, "svhn": {NB201_KEY: entry()}}
    path = write(tmp_path, "other", content)
    assert len(read_zero_cost(path, "nasbench201")) == 1
    with pytest.raises(ValueError, match="space='other': allowed are 'nasbench101', 'nasbench201', 'nasbench301'"):
        read_zero_cost(path)
    for space in ("transbench101_micro", "transbench101_macro"):
        with pytest.raises(ValueError, match="TransNAS-Bench-101 is no family of nasviz"):
            read_zero_cost(write(tmp_path, space, content))
    for dataset in ("cifar100", "svhn"):
        with pytest.raises(ValueError, match=f"dataset='{dataset}': .* allowed are 'cifar10'.$"):
            read_zero_cost(path, "nasbench201", dataset)
    with pytest.raises(ValueError, match="nb101 has the scales"):
        key = "(0, 1, 0, 0, 0, 1)"  # input and output
        read_zero_cost(write(tmp_path, "nasbench101", {"cifar100": {key: entry()}}), dataset="cifar100")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_zero_cost(tmp_path / "zc_nasbench301.json")


GOOD = json.dumps({"cifar10": {NB201_KEY: entry()}})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        (GOOD[:60], "is no readable JSON"),
        (GOOD.replace("score", "sc\x0fre"), "is no readable JSON"),
        (GOOD.replace("score", "scope"), "synflow score is None, which is no number"),
        (GOOD.replace("(4,", "(5,"), r"entry '\(5, 0, 3, 1, 4, 3\)' cannot be used: the operation 5 is not one of 0"),
        (GOOD.replace("(4,", "(4;"), "it is not a tuple of numbers"),
        (GOOD.replace("(4,", "(open('x'),"), "it is not a tuple of numbers"),
        (GOOD.replace("(4,", "(4, 4,"), "it has 7 numbers; a cell has 6"),
        (GOOD.replace("(4,", "(True,"), "the operation True"),
        (GOOD.replace("91.5", "NaN"), "column 'accuracy' holds no number in 1 of 1 rows"),
        (GOOD.replace("91.5", "915"), "column 'accuracy' holds 915 in row 0"),
        (GOOD.replace("91.5", "0.915"), "holds at most 0.915"),
        (GOOD.replace("91.5", "null"), "val_accuracy is None"),
        (GOOD.replace("12.5", '"high"'), "synflow score is 'high'"),
        ('{"cifar10": {}}', "the table has no rows"),
        ('{"cifar10": {"(4, 0, 3, 1, 4, 3)": 7}}', "it has no scores"),
        ("{}", "dataset='cifar10'.*allowed are none"),
        ("[1, 2]", "is not a table of zero-cost proxies"),
        ('{"cifar10": 7}', "is not a table of zero-cost proxies"),
        ("<html><body>Too many downloads</body></html>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git-LFS pointer"),
    ],
)  # fmt: skip
def test_a_wrong_file_gets_one_sentence(tmp_path, content, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        nv.benchmarks.load("zero_cost", write(tmp_path, "nasbench201", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "key", "sentence"),
    [
        ("nasbench101", "(0, 1, 0, 0, 0)", "it has 5 numbers; a matrix of n vertices"),
        ("nasbench101", "()", "it has 0 numbers"),
        ("nasbench101", "(0, 1, 0, 0, 1, 0)", "first and last operations are output and input"),
        ("nasbench101", "(0, 2, 0, 0, 0, 1)", "its matrix must be of zeros and ones"),
        ("nasbench101", "(0, 0, 0, 0, 0, 1)", "no path from the input"),
        ("nasbench101", "(0, 1, 0, 0, 0, 7)", "the operation 7 is not one of 0 to 4"),
        ("nasbench301", "((0, 3), (1, 2))", "cannot be used: "),
        ("nasbench301", NB301_KEY.replace("(4, 3)", "(4, 7)"), "operation number 7"),
        ("nasbench301", NB301_KEY.replace("(4, 3)", "(0, 3)"), "node 5 reads state 0 twice"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(tmp_path, space, key, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_zero_cost(write(tmp_path, space, {"cifar10": {key: entry()}}))
