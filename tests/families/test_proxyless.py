"""The ProxylessNAS space against counts of the authors' own modules."""

import collections

import numpy as np
import pytest

import nasviz as nv
from tests.families.published_counts import COUNTS

family = nv.families.get("proxyless")

ORACLE = COUNTS["proxyless"]


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
