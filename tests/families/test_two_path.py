"""Two-Path against parameter and MAC counts of the authors' modules."""

import json
import math

import numpy as np
import pytest
import torch

import nasviz as nv
from nasviz.families.two_path import BLOCKS, CONV_OPS, PATHS, SUPP_OPS

two_path = nv.families.get("two_path")

ORACLE = [
    ("c5*,c5*|d3-e2k3,c1-r2k3*,e2k3-r2k3-e2k1,r2k3*", 1780362, 57709568),
    ("r4k3*,r4k3*|r4k3*,r4k3*", 1265994, 23892992),
    ("mp3-c3*,is5-ap3*|c1-is3*,e2k3*", 1579754, 30249984),
    ("c3,c3*,c3,c3*|c3*,c3,c3*,c3", 1612074, 36279296),
    ("e2k3*,is5-e2k3-c3*|d3*,is3-is3-ap3*", 2314410, 43947008),
    ("d3-is5-mp3*,e2k3-d3*|is5-e2k1-is3,c3-d3-r4k3,c5*,c3*", 1961082, 52728832),
    ("r2k1-c5*,c5-c1-r4k3*|e2k3-c1-c5*,is3*", 1780746, 41915392),
    ("c3*,e2k3-c5-r4k3,r2k3-e2k1*,c5|is5,d3*,c3*,c5", 2537354, 61084672),
    ("mp3-is3*,is3-is3-r4k3*|c5-ap3-r2k3*,is3-r2k3,c5-ap3*", 1817578, 40080384),
    ("mp3-r4k3,e2k1-d3*,c1-is5*,c5|is3-is5-is5*,r2k3-r2k1-r2k3*,is5", 2256058, 47453184),
]


@pytest.mark.parametrize(("text", "params", "macs"), ORACLE)
def test_oracle_rows(text, params, macs):
    arch = two_path.parse(text)
    graph = two_path.graph(arch)
    assert (graph.params, nv.cost(graph).total["macs"]) == (params, macs)
    with torch.device("meta"):
        assert sum(p.numel() for p in two_path.build(arch).parameters()) == params
    assert set(two_path.format(arch).split("|")) == set(text.split("|"))


def written(graph, scope):
    """The nodes whose layer is in `scope`, each as operator, kernel and stride if any, channels x height."""
    parts = [(n.op, n.kernel, n.stride, n.out_shape[1:3]) for n in graph.nodes if n.layer.startswith(scope)]
    return [" ".join([op, *("x".join(map(str, t)) for t in sizes if t)]) for op, *sizes in parts]


def test_the_operations_of_reductions_and_of_residual_blocks():
    graph = two_path.graph(two_path.parse("ap3-d3*,c1-r4k3,is5*|c3*,c3*"))

    def layer(conv, shape):
        return [f"conv {conv} {shape}", f"batch_norm {shape}", f"relu6 {shape}"]

    assert written(graph, "path1.block1.") == [
        "avg_pool 3x3 1x1 32x16",
        "batch_norm 32x16",
        *layer("3x3 2x2", "32x8"),
        *layer("3x3 1x1", "64x8"),
    ]
    assert written(graph, "path1.block2.") == [
        *layer("1x1 1x1", "64x8"),
        *layer("3x3 1x1", "16x8"),
        *layer("3x3 1x1", "64x8"),
        "add 64x8",
    ]
    assert written(graph, "path1.block3.") == [*layer("1x5 2x2", "128x4"), *layer("5x1 1x1", "128x4")]
    assert next(n for n in graph.nodes if n.op == "avg_pool").get("count_padding") is True


def test_the_size_of_the_space():
    assert BLOCKS == 1624
    assert f"{PATHS:.2e}" == "4.17e+13"
    assert two_path.facts.size == PATHS + math.comb(PATHS, 2)  # unordered pairs of paths


def test_samples_keep_the_rules():
    archs = two_path.sample(300, seed=1)
    assert archs == two_path.sample(300, seed=1) != two_path.sample(300, seed=2)
    assert len(set(archs)) == 300
    lengths, blocks = [len(path) for arch in archs for path in arch], [b for arch in archs for p in arch for b in p]
    assert all(sum(block.reduces for block in path) == 2 for arch in archs for path in arch)
    assert np.bincount(lengths)[2:] / 600 == pytest.approx(1 / 3, abs=0.08)
    assert all(any(op in CONV_OPS for op in b.ops) and sum(op in SUPP_OPS for op in b.ops) <= 1 for b in blocks)
    counts = np.array([len(block.ops) for block in blocks])
    assert np.bincount(counts)[1:] / len(blocks) == pytest.approx(1 / 3, abs=0.05)
    pairs = [block for block in blocks if len(block.ops) == 2]
    supplementary = np.mean([any(op in SUPP_OPS for op in block.ops) for block in pairs])
    assert supplementary == pytest.approx(5 / 13, abs=0.06)
    assert {op for block in blocks for op in block.ops} == {*CONV_OPS, *SUPP_OPS}
    assert all(two_path.parse(two_path.format(arch)) == arch for arch in archs)


def test_samples_are_as_large_as_those_of_the_authors():
    params = [two_path.graph(arch).params / 1e6 for arch in two_path.sample(150, seed=4)]
    assert np.percentile(params, (5, 50, 95)) == pytest.approx((1.58, 2.14, 3.19), rel=0.1)
    assert min(params) > 1.26  # the smallest network of all


def test_swapped_paths_are_one_architecture():
    first, second = two_path.parse("is3*,c3*|c5*,c5*"), two_path.parse("c5*,c5*|is3*,c3*")
    assert first == second
    assert hash(first) == hash(second)
    assert two_path.format(second) == two_path.format(second[::-1]) == "c5*,c5*|is3*,c3*"


@pytest.mark.parametrize("scale", two_path.scales)
def test_the_graph_is_that_of_the_built_module(scale):
    shape = two_path.scales[scale]["shape"]
    for arch in [two_path.parse(ORACLE[8][0]), *two_path.sample(4, seed=5)]:
        with torch.device("meta"):
            module = two_path.build(arch, scale)
        assert nv.trace(module, torch.zeros(shape, device="meta")) == two_path.graph(arch, scale)


def test_a_small_network_runs():
    for arch in [two_path.parse(ORACLE[9][0]), *two_path.sample(3, seed=6)]:
        out = two_path.build(arch, "digits")(torch.rand(4, 1, 8, 8))
        assert out.shape == (4, 10)
        assert out.isfinite().all()


RECORD = """{"path1": [{"op_names": ["conv3x3"], "op_types": ["conv"]}, {"op_names": ["double3x3", "bottleneck-e2-k1",
"inception_s5x5"], "op_types": ["conv", "supp", "conv"]}], "path2": [{"op_names": ["avgpool3x3", "conv5x5"], "op_types":
["supp", "conv"]}, {"op_names": ["bottleneck-r4-k3", "conv5x5", "conv3x3"], "op_types": ["conv", "conv", "conv"]}],
"path1_reduce_inds": [0, 1], "path2_reduce_inds": [0, 1]}"""


def test_a_published_record_reads():
    arch = two_path.from_config(json.loads(RECORD))
    assert two_path.format(arch) == "ap3-c5*,r4k3-c5-c3*|c3*,d3-e2k1-is5*"


@pytest.mark.parametrize(
    "change",
    [
        {"path1": None},
        {"path2": [{"op_names": ["conv9x9"]}]},
        {"path2": [{}]},
        {"path2_reduce_inds": [0]},
        {"path2_reduce_inds": 3},
        {"path1": []},
    ],
)
def test_a_wrong_record_is_refused(change):
    with pytest.raises(ValueError, match="is not a Two-Path configuration"):
        two_path.from_config(json.loads(RECORD) | change)
    with pytest.raises(ValueError, match="is not a Two-Path configuration"):
        two_path.from_config(None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 paths"),
        ("c3*,c3*", "1 paths"),
        ("c3*,c3*|c3*,c3*|c3*,c3*", "3 paths"),
        ("c3*,c3*|c3*,c3", "1 reduction blocks"),
        ("c3*,c3*|c3*", "1 blocks"),
        ("c3*,c3*|c3*,c3*,c3,c3,c3", "5 blocks"),
        ("c3*,c3*|c3*,c4*", "'c4' is not one of"),
        ("c3*,c3*|c3*,*", "'' is not one of"),
        ("c3*,c3*|c3*,c3**", "'c3\\*' is not one of"),
        ("c3*,c3*|c3*,c1*", "the operations 'c1'"),
        ("c3*,c3*|c3*,c1-c3-mp3*", "at most one"),
        ("c3*,c3*|c3*,c3-c3-c3-c3*", "one to three"),
        ("two_path:c3*,c3*|c3*,c3*", "is not one of"),
        (7, "reads"),
    ],
)
def test_a_wrong_text_is_refused_in_one_sentence(text, reason):
    with pytest.raises(ValueError, match=f"is not a Two-Path network.*{reason}"):
        two_path.parse(text)
