"""The ProxylessNAS space against counts of the authors' own modules."""

import collections

import numpy as np
import pytest
import torch

import nasviz as nv

family = nv.families.get("proxyless")

# architecture, parameters, MACs at 224×224
ORACLE = [
    ("33,33|33,33|33,33|33,33|33,33|33", 3718832, 265526256),
    ("67,67,67,67|67,67,67,67|67,67,67,67|67,67,67,67|67,67,67,67|67", 7942056, 1004908032),
    ("45,45,45|45,45,45|45,45,45|45,45,45|45,45,45|45", 5053864, 486974112),
    ("63,63|63,63|63,63|63,63|63,63|63", 5071400, 465363936),
    ("37,65,37|65,63,67|45,67,63|67,47,37|67,47|63", 5203008, 566412912),
    ("35,65,43|63,45,45,35|45,63,43|37,33|65,67,47|47", 5355552, 505627824),
    ("33,45,33,45|63,45,65,47|43,67,35,37|33,33,35,63|33,35,37|65", 5371896, 583006272),
    ("65,65,33|45,37,67|63,43,35|63,45|37,67,47,67|33", 5872928, 552468296),
    ("63,37|37,33,47,63|33,63|67,63,63,63|65,33,43,33|67", 6107496, 589765920),
    ("67,37,37,35|45,47|65,63,47|47,63,33|43,35,47|35", 4854776, 533083504),
]


@pytest.mark.parametrize(("text", "params", "macs"), ORACLE)
def test_oracle_rows(text, params, macs):
    arch = family.parse(text)
    graph = family.graph(arch)
    assert graph.params == params
    assert nv.cost(graph).total["macs"] == macs
    with torch.device("meta"):
        module = family.build(arch)
    assert sum(p.numel() for p in module.parameters()) == params


@pytest.mark.parametrize("size", [192, 208, 224])
def test_any_resolution_runs(size):
    """208 pixels give odd maps of 13 and 7, which strides and pools must round up."""
    with torch.device("meta"):
        module = family.build(family.parse(ORACLE[3][0]))
        assert module(torch.zeros(1, 3, size, size)).shape == (1, 1000)


@pytest.mark.parametrize("scale", family.scales)
def test_the_graph_is_that_of_the_built_module(scale):
    shape = family.scales[scale]["shape"]
    for arch in [family.parse(ORACLE[1][0]), *family.sample(2, seed=5)]:
        with torch.device("meta"):
            module = family.build(arch, scale)
        assert nv.trace(module, torch.zeros(shape, device="meta")) == family.graph(arch, scale)


def test_a_small_network_runs_and_keeps_the_structure():
    for arch in family.sample(3, seed=6):
        module = family.build(arch, "digits")
        assert module(torch.rand(4, 1, 8, 8)).shape == (4, 10)
        large, small = (
            [(n.layer, n.op, n.kernel if n.op == "conv" else ()) for n in family.graph(arch, s).nodes]
            for s in ("paper", "digits")
        )
        assert large == small


def test_the_supernet_has_two_kernel_transforms_more_in_each_layer():
    """OFA's elastic module: 25² + 9² numbers for each of 21 layers over the largest network."""
    largest = max(ORACLE, key=lambda row: row[1])[0]
    assert family.graph(family.parse(largest)).params == 7_956_882 - 21 * (25**2 + 9**2)


def test_the_size_is_that_of_the_paper():
    assert family.count() == family.facts.size == 7371**5 * 9


def test_samples_follow_the_rule():
    archs = family.sample(500, seed=0)
    depths = np.array([[len(stage) for stage in arch] for arch in archs])
    assert set(depths[:, -1]) == {1} and set(depths[:, :-1].ravel()) == {2, 3, 4}
    assert abs(depths[:, :-1].mean() - 3) < 0.1
    pairs = collections.Counter(block for arch in archs for stage in arch for block in stage)
    assert len(pairs) == 9 and max(pairs.values()) < 1.2 * min(pairs.values())


def test_a_published_record_and_a_resolution_are_read():
    arch = family.from_config([["mbconv2_e6_k7", "mbconv2_e3_k3"]] * 5 + [["mbconv2_e4_k5"]])
    assert family.format(arch) == "|".join(["67,33"] * 5 + ["45"])
    assert family.parse(family.format(arch) + "@192") == arch


@pytest.mark.parametrize(
    "wrong",
    [
        "33,33",
        "33,33|33,33|33,33|33,33|33,33|33,33",
        "33|33,33|33,33|33,33|33,33|33",
        "33,34|33,33|33,33|33,33|33,33|33",
        "53,33|33,33|33,33|33,33|33,33|33",
        "33,33|33,33|33,33|33,33|33,33|33@",
        "3,33|33,33|33,33|33,33|33,33|33",
        "333,33|33,33|33,33|33,33|33,33|33",
        "||",
    ],
)
def test_a_wrong_text_is_refused_in_one_sentence(wrong):
    with pytest.raises(ValueError, match="is not a network of ProxylessNAS"):
        family.parse(wrong)


@pytest.mark.parametrize(
    "wrong", [None, 3, [], [[]] * 6, ["mbconv2_e6_k7"] * 6, [["mbconv3_e6_k7"] * 2] * 6, [[7, 7]] * 6]
)
def test_a_wrong_record_is_refused_in_one_sentence(wrong):
    with pytest.raises(ValueError, match="is not a network of ProxylessNAS"):
        family.from_config(wrong)
