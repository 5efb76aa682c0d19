"""The OFA ResNet-50 space against counts of the authors' own modules."""

import numpy as np
import pytest

import nasviz as nv
from tests.families.published_counts import COUNTS

family = nv.families.get("ofa_resnet")

ORACLE = COUNTS["ofa_resnet"]


def test_a_known_network_is_among_them():
    """ResNet-50-D has 25,576,264 parameters (row 3); the largest network is OFA's supernet."""
    assert family.graph(family.parse(ORACLE[2][0])).params == 25_576_264


def test_what_is_the_same_network_is_written_the_same():
    """The stem has 24 inner channels for both of the small multipliers."""
    first, second = (f"stem0;w={w};20,20|20,20|20,20,20,20|20,20" for w in ("100000", "000000"))
    assert family.parse(first) == family.parse(second)
    assert family.format(family.parse(first + "@224")) == second


def test_the_size_counts_every_network_once():
    """Two thirds of the 2·3⁶·117³·1053 genomes."""
    assert 3 * family.facts.size == 2 * (2 * 3**6 * 117**3 * 1053)


def test_a_published_record_is_read():
    """Unused slots of `e` are skipped; one extra convolution in the stem is none."""
    e = [0.2, 0.25, 0.35, 0.35, 0.25, 0.2, 0.35, 0.35, 0.2, 0.35, 0.2, 0.35, 0.25, 0.25, 0.35, 0.2, 0.2, 0.2]
    arch = family.from_config({"d": [1, 1, 0, 2, 0], "e": e, "w": [1, 2, 0, 1, 0, 2]})
    assert family.format(arch) == "stem0;w=020102;20,25,35|25,20|20,35,20,35,25,25|35,20"
    for wrong in [
        None,
        {},
        {"d": [0], "e": e, "w": [0] * 6},
        {"d": [0] * 5, "e": e[1:], "w": [0] * 6},
        {"d": [0] * 5, "e": e, "w": [3] * 6},
        {"d": [0] * 5, "e": [0.3] * 18, "w": [0] * 6},
        {"d": [0, 0, 3, 0, 0], "e": e, "w": [0] * 6},
        {"d": "d", "e": e, "w": [0] * 6},
        {"d": "00000", "e": e, "w": [0] * 6},
        {"d": [0, 0.7, 0, 0, 0], "e": e, "w": [0] * 6},
        {"d": [0] * 5, "e": e, "w": [0.9] * 6},
        {"d": [0] * 5, "e": [0.204] * 18, "w": [0] * 6},
        {"d": [0] * 5, "e": [float("nan")] * 18, "w": [0] * 6},
        {"d": [0] * 5, "e": [float("inf")] * 18, "w": [0] * 6},
        {"d": [0] * 5, "e": [10**400] * 18, "w": [0] * 6},
    ]:
        with pytest.raises(ValueError, match="is not a network of OFA ResNet-50"):
            family.from_config(wrong)


def test_the_choices_differ_in_small_networks_too():
    texts = [
        f"stem{s};w={w};{e},{e}|{e},{e}|{e},{e},{e},{e}|{e},{e}"
        for s in (0, 2)
        for w in ("000000", "211111", "222222")
        for e in (20, 25, 35)
    ]
    assert len({family.graph(family.parse(text), "digits").params for text in texts}) == len(texts)


def test_samples_follow_the_rule():
    archs = family.sample(600, seed=0)
    depths = np.array([[len(stage) for stage in arch.stages] for arch in archs]) - (2, 2, 4, 2)
    assert set(depths.ravel()) == {0, 1, 2} and abs(depths.mean() - 1) < 0.06
    assert abs(np.mean([arch.stem for arch in archs]) - 1) < 0.1
    assert {arch.widths[0] for arch in archs} == {0, 2}
    ratios = [ratio for arch in archs for stage in arch.stages for ratio in stage]
    assert abs(np.mean(ratios) - (20 + 25 + 35) / 3) < 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        "stem1;w=000000;20,20|20,20|20,20,20,20|20,20",
        "stem0;w=00000;20,20|20,20|20,20,20,20|20,20",
        "stem0;w=000000;20,20|20,20|20,20,20|20,20",
        "stem0;w=000000;20,20|20,20|20,20,20,20",
        "stem0;w=000000;20,20|20,30|20,20,20,20|20,20",
        "stem0;w=000003;20,20|20,20|20,20,20,20|20,20",
    ],
)
def test_a_wrong_text_is_refused_in_one_sentence(wrong):
    with pytest.raises(ValueError, match="is not a network of OFA ResNet-50"):
        family.parse(wrong)
