"""The OFA MobileNetV3 space against counts of the authors' own modules."""

import pytest
import torch

import nasviz as nv

family = nv.families.get("ofa_mbv3")

# architecture, parameters, MACs at 224×224
ORACLE = [
    ("33,33|33,33|33,33|33,33|33,33", 4602456, 193078200),
    ("67,67,67,67|67,67,67,67|67,67,67,67|67,67,67,67|67,67,67,67", 10701632, 843101040),
    ("45,45,45|45,45,45|45,45,45|45,45,45|45,45,45", 6245312, 385659168),
    ("63,63|63,63|63,63|63,63|63,63", 6453168, 354731376),
    ("33,65,63,37|65,63,45|65,65|63,37,35,33|35,45", 5695416, 439629816),
    ("35,45,47|33,33,45|37,63,37,43|33,47,63|67,35", 6013584, 389537008),
    ("67,65|63,33,63|47,65|63,63,65|65,47,35", 7004776, 445949040),
    ("45,67,33|35,47,45|63,47,63,45|35,47,37,45|63,37,35,65", 7575952, 481889680),
    ("37,65,65|45,37|47,37,33,47|33,65,37|67,35,33", 6262808, 413613776),
    ("45,35,33,65|65,67|37,33|63,65,63|45,47", 6229256, 422059360),
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
    """OFA's elastic module: 25² + 9² numbers for each of 20 layers over the largest network."""
    largest = max(ORACLE, key=lambda row: row[1])[0]
    assert family.graph(family.parse(largest)).params == 10_715_752 - 20 * (25**2 + 9**2)


def test_the_size_is_that_of_the_paper():
    assert family.count() == family.facts.size == 7371**5


def test_squeeze_and_excitation_stands_where_it_should():
    """Stages 2, 4 and 5; the squeeze is a quarter of the expanded width as a multiple of 8."""
    graph = family.graph(family.parse(ORACLE[1][0]))
    reduce = {n.layer.split(".")[0]: n.weight_shape[:2] for n in graph.nodes if n.layer.endswith("excite.reduce")}
    assert reduce == {"stage2": (72, 288), "stage4": (208, 816), "stage5": (288, 1152)}
    acts = {
        n.layer.split(".")[0]: str(n.op)
        for n in graph.nodes
        if ".depthwise." in n.layer and n.op in ("relu", "hard_swish")
    }
    assert [acts[f"stage{i}"] for i in range(1, 6)] == ["relu", "relu", "hard_swish", "hard_swish", "hard_swish"]


def test_a_published_record_is_read():
    arch = family.from_config([["mbconv3_e6_k7", "mbconv3_e3_k3"]] * 5)
    assert family.format(arch) == "|".join(["67,33"] * 5)
    with pytest.raises(ValueError, match="'mbconv3_e6_k7'"):
        family.from_config([["mbconv2_e6_k7", "mbconv2_e3_k3"]] * 5)


@pytest.mark.parametrize(
    "wrong", ["33,33", "33,33|33,33|33,33|33,33|33,33|33", "33,33|33,33|33,33|33,33|33,33,33,33,33"]
)
def test_a_wrong_text_is_refused_in_one_sentence(wrong):
    with pytest.raises(ValueError, match="is not a network of OFA MobileNetV3"):
        family.parse(wrong)
