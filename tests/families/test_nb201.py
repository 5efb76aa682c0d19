"""NAS-Bench-201 against the official records."""

import csv
import gzip

import pytest

import nasviz as nv

nb201 = nv.families.get("nb201")
LETTERS = dict(zip("NS13A", ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"), strict=True))

# cell (operations in the order of the string), parameters, official flop, tensorwatch flops, convolutions
ORACLE = [
    ("A1S1SS", 129306, 15647370, 17958592, 37),
    ("33AN3A", 802426, 113951370, 117982912, 52),
    ("SSSN1N", 101306, 11715210, 12306112, 22),
    ("333S31", 1073466, 153272970, 155584192, 82),
    ("333333", 1531546, 220119690, 222860992, 97),
    ("NNNNNN", 73306, 7783050, 7943872, 7),
    ("SSSSSS", 73306, 7783050, 7943872, 7),
    ("3N3SNS", 559386, 78561930, 79582912, 37),
    ("111111", 241306, 31376010, 34117312, 97),
    ("AAAAAA", 73306, 7783050, 15685312, 7),
]


def cell(letters):
    return tuple(LETTERS[letter] for letter in letters)


@pytest.mark.parametrize(("letters", "params", "flop", "tensorwatch", "convs"), ORACLE)
def test_oracle_rows(letters, params, flop, tensorwatch, convs):
    graph = nb201.graph(cell(letters))
    assert graph.params == params
    assert nv.cost(graph, convention="nb201").total["flops"] == flop
    assert nv.cost(graph, convention="tensorwatch").total["flops"] == tensorwatch
    assert sum(node.op == "conv" for node in graph.nodes) == convs
    assert sum(p.numel() for p in nb201.build(cell(letters)).parameters()) == params


@pytest.mark.parametrize(
    ("letters", "scale", "params", "flop"),
    [
        ("A1S1SS", "cifar100", 135156, 15653220),
        ("A1S1SS", "imagenet16", 136456, 3919480),
        ("33AN3A", "cifar100", 808276, 113957220),
        ("33AN3A", "imagenet16", 809576, 28495480),
        ("SSSN1N", "cifar100", 107156, 11721060),
        ("SSSN1N", "imagenet16", 108456, 2936440),
    ],
)
def test_official_records_of_the_other_data_sets(letters, scale, params, flop):
    graph = nb201.graph(cell(letters), scale=scale)
    assert graph.params == params
    assert nv.cost(graph, convention="nb201").total["flops"] == flop


def test_the_string_of_the_first_official_record():
    text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    assert nb201.parse(text) == cell("A1S1SS")
    assert nb201.format(cell("A1S1SS")) == text


def test_every_string_of_the_real_table_reads_and_writes(labels):
    with gzip.open(labels / "nb201_cifar10.csv.gz", "rt") as file:
        texts = [row["arch"] for row in csv.DictReader(file)]
    assert {nb201.format(nb201.parse(text)) for text in texts} == set(texts)
    assert set(texts) == {nb201.format(arch) for arch in nb201.sample(15_625)}


def test_samples_are_different_and_reproducible():
    cells = nb201.sample(300, seed=1)
    assert cells == nb201.sample(300, seed=1) != nb201.sample(300, seed=2)
    assert len(set(cells)) == 300
    assert len(set(nb201.sample(4096, none=False))) == 4096
    assert all("none" not in arch for arch in nb201.sample(100, none=False))
    with pytest.raises(ValueError, match="15,625"):
        nb201.sample(20_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|conv~0|+|conv~0|conv~1|+|conv~0|conv~1|conv~2|",
        "|none~0|+|none~0|none~1|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        7,
    ],
)
def test_a_wrong_string_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match="is not a NAS-Bench-201 cell"):
        nb201.parse(text)
