"""HiAML against parameter and MAC counts of the authors' modules."""

import itertools
import math
from collections import Counter

import pytest
import torch

import nasviz as nv
from nasviz.families.hiaml import BLOCKS

hiaml = nv.families.get("hiaml")

ORACLE = [
    ("t20,t20,t20,t20", 1281098, 54970880),
    ("src0,src0,src0,src0", 3861578, 158779904),
    ("src1,src1,r30,src3", 2220746, 122079744),
    ("z,l20,src0,src3", 2207050, 107923968),
    ("z,a22,b23,j30", 2519114, 102681088),
    ("g30,r30,l20,t31", 2539082, 102156800),
    ("src7,src8,z,src1", 2584394, 110021120),
    ("z,l20,j30,src1", 2599242, 114215424),
    ("b23,b23,r30,z", 2585674, 103729664),
    ("t20,r30,src7,l20", 1929802, 85379584),
]

# Parameters of a block from 64 to 64 channels, and from 64 to 128 at stride 2
BLOCK_PARAMS = {
    "z": (61824, 172800),
    "a22": (45440, 107264),
    "b23": (49664, 181504),
    "j30": (61824, 181248),
    "g30": (53888, 198144),
    "r30": (53888, 206592),
    "l20": (41216, 90624),
    "t20": (29056, 82688),
    "t31": (53888, 206592),
    "src0": (78208, 303872),
    "src1": (78208, 119424),
    "src3": (49664, 103296),
    "src7": (53888, 206080),
    "src8": (33280, 123904),
}


def of_part(graph, depth, count):
    """`count(node)` summed by the first `depth` parts of the layer names."""
    total = Counter()
    for node in graph.nodes:
        total[".".join(node.layer.split(".")[:depth])] += count(node)
    return total


def weighted_macs(node):
    """By hand: weights times output positions of convolutions and linear layers."""
    return math.prod(node.weight_shape) * math.prod(node.out_shape[2:]) if node.weight_shape else 0


@pytest.mark.parametrize(("text", "params", "macs"), ORACLE)
def test_oracle_rows(text, params, macs):
    arch = hiaml.parse(text)
    graph = hiaml.graph(arch)
    assert (graph.params, nv.cost(graph).total["macs"]) == (params, macs)
    with torch.device("meta"):
        assert sum(p.numel() for p in hiaml.build(arch).parameters()) == params
    assert hiaml.format(arch) == text


def test_the_parameters_of_each_block():
    assert BLOCK_PARAMS.keys() == BLOCKS.keys()
    for block, (same, reducing) in BLOCK_PARAMS.items():
        parts = of_part(hiaml.graph((block,) * 4), 2, lambda node: node.params)
        assert (parts["stage1.block1"], parts["stage1.block2"], parts["stage2.block1"]) == (same, same, reducing)


def test_the_whole_space():
    stages = [f"stage{i}" for i in range(1, 5)]
    params = {b: of_part(hiaml.graph((b,) * 4), 1, lambda node: node.params) for b in BLOCKS}
    macs = {b: of_part(hiaml.graph((b,) * 4), 1, weighted_macs) for b in BLOCKS}
    space = list(itertools.product(BLOCKS, repeat=4))
    totals = [1856 + 2570 + sum(params[b][s] for b, s in zip(arch, stages, strict=True)) for arch in space]
    assert (len(totals), sum(totals), len(set(totals))) == (38416, 92337520800, 4092)
    ends = macs["z"]["stem"] + macs["z"]["head"]
    assert sum(ends + sum(macs[b][s] for b, s in zip(arch, stages, strict=True)) for arch in space) == 3964737724416
    by_arch = dict(zip(space, totals, strict=True))
    assert all(hiaml.graph(arch).params == by_arch[arch] for arch in hiaml.sample(20, seed=3))


def test_the_activations_of_the_blocks():
    graph = hiaml.graph(("src7", "src8", "src1", "src3"))
    ops = of_part(graph, 3, lambda node: node.op == "relu6")
    assert ops["stage1.block1.n1"] == ops["stage2.block1.n1"] == 0  # src7 and src8 have none on their first node
    assert ops["stage1.block1.n2"] == ops["stage1.block1.n3"] == 2
    assert Counter(node.op for node in graph.nodes)["relu"] == 1 + 2 * 4  # stem and block outputs


@pytest.mark.parametrize("scale", hiaml.scales)
def test_the_graph_is_that_of_the_built_module(scale):
    shape = hiaml.scales[scale]["shape"]
    for arch in [("r30", "r30", "t31", "t31"), *hiaml.sample(4, seed=5)]:
        with torch.device("meta"):
            module = hiaml.build(arch, scale)
        assert nv.trace(module, torch.zeros(shape, device="meta")) == hiaml.graph(arch, scale)


def test_a_small_network_runs():
    for arch in [("z", "g30", "r30", "t31"), ("src1", "src3", "b23", "l20")]:
        out = hiaml.build(arch, "digits")(torch.rand(4, 1, 8, 8))
        assert out.shape == (4, 10)
        assert out.isfinite().all()


def test_samples_are_different_and_reproducible():
    archs = hiaml.sample(500, seed=1)
    assert archs == hiaml.sample(500, seed=1) != hiaml.sample(500, seed=2)
    assert len(set(archs)) == 500
    assert set(hiaml.sample(38416)) == set(itertools.product(BLOCKS, repeat=4))
    with pytest.raises(ValueError, match="38,416"):
        hiaml.sample(38417)


def test_a_published_record_reads():
    assert hiaml.from_config(["hiaml_src1", "hiaml_src1", "hiaml_r30", "hiaml_src3"]) == ("src1", "src1", "r30", "src3")


@pytest.mark.parametrize("config", [["src1"] * 4, ["hiaml_z"] * 3, ["hiaml_q"] * 4, [1, 2, 3, 4], "hiaml_z", None])
def test_a_wrong_record_is_refused(config):
    with pytest.raises(ValueError, match="is not a HiAML"):
        hiaml.from_config(config)


@pytest.mark.parametrize("text", ["", "z", "z,z,z", "z,z,z,z,z", "z,z,z,q", "z, z,z,z", "hiaml:z,z,z,z", 7, None])
def test_a_wrong_text_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match="is not a HiAML network"):
        hiaml.parse(text)
