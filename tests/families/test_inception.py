"""Inception against parameter and MAC counts of the authors' modules."""

import re
from collections import Counter

import numpy as np
import pytest
import torch

import nasviz as nv
from nasviz.families.blocks import OP_CODES
from nasviz.families.inception import CONV_OPS, PRESETS, SUPP_OPS

inception = nv.families.get("inception")

ORACLE = [
    (
        "6*dw5@16;is3@16;dw5-c5@16|2*c5-d1@128/64|5*c3@128|"
        "3*is5@64;c5-ip5-c1-c3-is3-c5-is3-dw5-ip3-is5-dw5@32/64;ip3-is3@32/64;is3@64",
        3537898,
        242841088,
    ),
    ("2*dw3@32|2*dw3@64|2*dw3@128|2*dw3@256", 1241802, 27161600),
    ("2*c3@32|2*c3@64|2*c3@128|2*c3@256", 2369802, 81105920),
    ("3*is3-c1@16/32|2*ip3@32;mp3-c3@32|4*c5@64;dw3@32;ip5@32|2*d1-dw5@128/256", 2206858, 97408000),
    (
        "2*dw3-c5-dw3-is5@32/16;mp3-c5@16;ip5-dw3@16|5*c5-mp3-dw5-is5@16;d1-c3@16;ip3-is3@16;ip3-dw5@16|"
        "4*is5-d1-dw3@16/32;mp3-is5@64;is3-c3@32|3*is3@256",
        2925738,
        209179648,
    ),
    (
        "2*dw3-ip5-dw3-ip5@16;c5-is5@32/16;ip5-dw5@16|5*is3@32;ip3-is3@64/32|"
        "6*dw3-dw5-ip3@32;dw3-ip3@64;is3-ip5-dw3@32|3*c3-c5-dw3@256",
        8110634,
        258356224,
    ),
    (
        "5*dw3-dw3-is3@16;ip3@16|6*is5-is5-dw5@16;ip3-dw5@16;is3-mp3@32|3*ip3-is5@64/128|3*mp3-ip3@256",
        2370410,
        113267712,
    ),
    (
        "3*c5@16;c3-mp3-ip5@16|4*c5@64|2*ip5-ip3-c3-dw3@16/32;ip5-c3@32;c1-is5@32;d1-dw3@16/32|2*is3-is3@256",
        3192970,
        203002880,
    ),
    (
        "5*c1-is3-is5-ip5@16;ip3-is5@16;ip5-ip3@16|3*is5-c5@32;dw5-c3@16/32|2*dw5-ip3@128|"
        "3*is5-c5-dw3-dw3@32/64;c3-c3@64;c3-c3@128/64;ip3-c5@32/64",
        3378842,
        171181568,
    ),
    (
        "4*c3-ip5-ip5-ap3@16;dw3-is5@16;dw5-is5@16;dw5-is5@32/16|3*ip5-is3@64|"
        "4*is5-mp3-c3-ip5@16/32;dw3-ip5@64/32;is3-is3@16/32;ap3-dw5@32",
        1013194,
        173011968,
    ),
]


@pytest.mark.parametrize(("text", "params", "macs"), ORACLE)
def test_oracle_rows(text, params, macs):
    arch = inception.parse(text)
    graph = inception.graph(arch)
    assert (graph.params, nv.cost(graph).total["macs"]) == (params, macs)
    with torch.device("meta"):
        assert sum(p.numel() for p in inception.build(arch).parameters()) == params
    assert sorted(re.split("[|;*]", inception.format(arch))) == sorted(re.split("[|;*]", text))
    assert inception.parse(inception.format(arch)) == arch


def written(graph, scope):
    """The nodes whose layer is in `scope`, each as operator, kernel and stride if any, channels x height."""
    parts = [(n.op, n.kernel, n.stride, n.out_shape[1:3]) for n in graph.nodes if n.layer.startswith(scope)]
    return [" ".join([op, *("x".join(map(str, t)) for t in sizes if t)]) for op, *sizes in parts]


def test_the_operations_of_a_reducing_block():
    graph = inception.graph(inception.parse("2*c3@32|2*mp3-ip3@16;d1-dw5@16;is5-ap3@32/32;c3-dw3@16/32|2*c3@128"))

    def layer(conv, shape):
        return [f"conv {conv} {shape}", f"batch_norm {shape}", f"relu6 {shape}"]

    paths = [written(graph, f"stage2.block1.path{i}.") for i in (1, 2, 3, 4)]
    assert paths[0] == [  # c3-dw3@16/32: the first sets the inner width and strides, the last the outer, by an adapter
        *layer("3x3 2x2", "16x16"),
        "conv 1x1 1x1 32x16",
        *layer("3x3 1x1", "32x16"),
    ]
    assert paths[1] == [*2 * layer("1x1 1x1", "16x32"), *layer("5x5 2x2", "16x16")]  # d1-dw5@16 strides late
    assert paths[2] == [  # is5-ap3@32: a stride for each axis
        *layer("1x5 1x2", "32x32"),
        *layer("5x1 2x1", "32x16"),
        "avg_pool 3x3 1x1 32x16",
        "batch_norm 32x16",
    ]
    assert paths[3] == [  # mp3-ip3@16: two halves, each with its strides in its own order
        "max_pool 3x3 1x1 32x32",
        "batch_norm 32x32",
        "conv 1x3 1x2 8x32",
        "batch_norm 8x32",
        "conv 3x1 2x1 8x16",
        "batch_norm 8x16",
        "relu6 8x16",
        "conv 3x1 2x1 8x16",
        "batch_norm 8x16",
        "conv 1x3 1x2 8x16",
        "batch_norm 8x16",
        "relu6 8x16",
        "concat 16x16",
        "relu6 16x16",
    ]
    rest = [line for line in written(graph, "stage2.block1.") if line not in sum(paths, [])]
    assert rest == ["concat 96x16", "conv 1x1 1x1 64x16", "batch_norm 64x16"]  # wider than the stage: projected
    assert written(graph, "stage2.block2.")[-1] == "add 64x16"
    bare = {n.layer for n in graph.nodes if n.op == "conv" and not n.bias}
    assert bare == {f"stage2.block{b}.path1.op2_dw3.adapter" for b in (1, 2)}


@pytest.mark.parametrize("preset", PRESETS)
def test_samples_keep_the_rules(preset):
    bounds = PRESETS[preset]
    archs = inception.sample(150, seed=1, preset=preset)
    assert archs == inception.sample(150, seed=1, preset=preset) != inception.sample(150, seed=2, preset=preset)
    assert len(set(archs)) == 150
    assert all(inception.parse(inception.format(arch)) == arch for arch in archs)
    for arch in archs:
        assert len(arch) == bounds.stages
        for width, (blocks, paths) in zip((32, 64, 128, 256), arch, strict=False):
            assert bounds.blocks[0] <= blocks <= bounds.blocks[1]
            parts = {1: [1], 2: [2, 2], 3: [4, 4, 2], 4: [4, 4, 4, 4]}[len(paths)]
            assert sorted(path.outer for path in paths) == [max(width // part, 16) for part in parts]
            lengths = [len(path.ops) for path in paths]
            assert sum(lengths) <= bounds.caps[len(paths) - 1]
            assert min(lengths) >= bounds.least[len(paths) - 1]
            assert max(lengths) <= bounds.longest
            for ops, inner, outer in paths:
                assert any(op in CONV_OPS for op in ops)
                assert sum(op in SUPP_OPS for op in ops) <= 1
                assert inner in {max(outer // 2, 16), outer, 2 * outer}
    stages = [stage for arch in archs for stage in arch]
    counts = Counter(len(stage.paths) for stage in stages)
    assert [counts[k] / len(stages) for k in (1, 2, 3, 4)] == pytest.approx([0.25] * 4, abs=0.07)
    assert {op for stage in stages for path in stage.paths for op in path.ops} == {*CONV_OPS, *SUPP_OPS}


@pytest.mark.parametrize(("preset", "percentiles"), [("released", (2.3, 3.7, 8.5)), ("labelled", (2.5, 4.9, 9.5))])
def test_samples_are_as_large_as_those_of_the_authors(preset, percentiles):
    params = [inception.graph(arch).params / 1e6 for arch in inception.sample(300, seed=4, preset=preset)]
    low, median, high = np.percentile(params, (5, 50, 95))
    assert (low, median) == pytest.approx(percentiles[:2], rel=0.2)
    assert high == pytest.approx(percentiles[2], rel=0.35)  # theirs are 150 samples: 9 to 13 from seed to seed


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset='mine'.*'labelled'"):
        inception.sample(1, preset="mine")


def test_the_order_of_a_blocks_paths_does_not_matter():
    first, second = (inception.parse(f"2*{p}|2*c3@64|2*c3@128") for p in ("c3@16;is3@16", "is3@16;c3@16"))
    assert first == second
    assert hash(first) == hash(second)
    assert inception.format(second) == "2*c3@16;is3@16|2*c3@64|2*c3@128"


@pytest.mark.parametrize("scale", inception.scales)
def test_the_graph_is_that_of_the_built_module(scale):
    shape = inception.scales[scale]["shape"]
    for arch in [inception.parse(ORACLE[3][0]), *inception.sample(1, seed=5), *inception.sample(1, preset="paper")]:
        with torch.device("meta"):
            module = inception.build(arch, scale)
        assert nv.trace(module, torch.zeros(shape, device="meta")) == inception.graph(arch, scale)


def test_the_small_network_has_the_layers_of_the_large_one():
    """But for the blocks that are folded: of up to three, one."""
    for arch in [inception.parse(ORACLE[0][0]), *inception.sample(20, seed=7)]:
        large, small = ({n.layer: n.op for n in inception.graph(arch, s).nodes} for s in ("paper", "digits"))
        blocks = [len({layer.split(".")[1] for layer in small if layer.startswith(f"stage{i + 1}.")}) for i in range(4)]
        assert blocks[: len(arch)] == [-(-stage.blocks // 3) for stage in arch]
        # the last stage does not stride at 2x2 positions, where a parallel convolution needs one convolution only
        missing = {(layer, op) for layer, op in set(large.items()) - set(small.items()) if ".block1." in layer}
        assert not set(small.items()) - set(large.items())
        assert all(re.match(r"stage4\.block1\..*_ip[35]\.(row|column)\.conv2\.", layer) for layer, _ in missing)


def test_a_small_network_runs():
    for arch in [inception.parse(ORACLE[4][0]), inception.parse(ORACLE[9][0]), *inception.sample(1, seed=6)]:
        out = inception.build(arch, "digits")(torch.rand(4, 1, 8, 8))
        assert out.shape == (4, 10)
        assert out.isfinite().all()


def record(text):
    """A published record's configuration of an architecture."""
    names = {code: name for name, code in OP_CODES.items()}
    stages = []
    for i, (blocks, paths) in enumerate(inception.parse(text)):
        paths = [{"ops": [names[op] for op in p.ops], "C_internal": p.inner, "C_out": p.outer} for p in paths]
        stages.append({"block": {"paths": paths}, "n_blocks": blocks, "C_in": 32, "C_out": 32 << i, "stride": 1})
    return {"stages": stages}


def test_a_published_record_reads():
    assert inception.from_config(record(ORACLE[0][0])) == inception.parse(ORACLE[0][0])


@pytest.mark.parametrize("part", ["block", "n_blocks", "C_out"])
def test_a_wrong_record_is_refused(part):
    for value in (None, 0, "none", {}):
        config = record(ORACLE[1][0])
        config["stages"][1][part] = value
        with pytest.raises(ValueError, match="is not an Inception configuration"):
            inception.from_config(config)
    for config in (None, {}, {"stages": 3}, {"stages": []}):
        with pytest.raises(ValueError, match="is not an Inception configuration"):
            inception.from_config(config)


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ("", "the stage ''"),
        ("c3@128", "the stage 'c3@128'"),
        ("2*c3", "is not a number of blocks"),
        ("2*c3@0128", "is not a number of blocks"),
        ("2*c3@64;", "is not a number of blocks"),
        ("12*c3@128", "is not a number of blocks"),
        ("0*c3@128", "0 blocks"),
        ("2*c4@128", "'c4' is not one of"),
        ("2*@128", "'' is not one of"),
        ("2*c1@128", "at least one of"),
        ("2*c1-c3-mp3@128", "at most one of"),
        ("2*c3@12", "multiples of 8"),
        ("2*c3@8", "multiples of 8"),
        ("2*mp3-c3@64/128", "must be equal"),
        ("2*c3@64;c3@64;c3@64;c3@64;c3@64", "5 paths"),
        ("2*c3@128|2*c3@256|2*c3@512", "5 stages"),
    ],
)
def test_a_wrong_text_is_refused_in_one_sentence(stage, reason):
    with pytest.raises(ValueError, match=f"is not an Inception network.*{re.escape(reason)}"):
        inception.parse(f"2*c3@32|2*c3@64|{stage}")


@pytest.mark.parametrize("text", ["", "2*c3@32|2*c3@64", "inception:2*c3@32|2*c3@64|2*c3@128", 7])
def test_what_is_no_text_of_the_family_is_refused(text):
    with pytest.raises(ValueError, match="is not an Inception network"):
        inception.parse(text)
