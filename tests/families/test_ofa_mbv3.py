"""The OFA MobileNetV3 space against counts of the authors' own modules."""

import pytest

import nasviz as nv
from tests.families.published_counts import COUNTS

family = nv.families.get("ofa_mbv3")

ORACLE = COUNTS["ofa_mbv3"]


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
