"""The OFA ResNet-50 space against counts of the authors' own modules."""

import numpy as np
import pytest
import torch

import nasviz as nv

family = nv.families.get("ofa_resnet")

# architecture, parameters, MACs at 224×224
ORACLE = [
    ("stem0;w=000000;20,20|20,20|20,20,20,20|20,20", 6539280, 962192128),
    ("stem2;w=222222;35,35,35,35|35,35,35,35|35,35,35,35,35,35|35,35,35,35", 48105992, 7491643904),
    ("stem2;w=222222;25,25,25|25,25,25,25|25,25,25,25,25,25|25,25,25", 25576264, 4328824832),
    ("stem0;w=222222;25,25,25|25,25,25,25|25,25,25,25,25,25|25,25,25", 25566984, 4213219328),
    ("stem0;w=111111;25,25|25,25|25,25,25,25|25,25", 12052544, 1898910592),
    ("stem2;w=220102;25,25,20,35|25,20|20,35,20,35|35,20,20,20", 22600504, 2532295104),
    ("stem0;w=121212;25,20,25|25,25,25,25|25,35,35,25,35|20,35", 20840160, 3377327936),
    ("stem2;w=020211;35,35,25|20,25|35,20,20,35|20,25,35,35", 21807296, 2734234368),
    ("stem0;w=120121;20,35,35,35|25,35,35,35|25,25,25,35,20,35|20,35,35,35", 29389136, 4257185728),
    ("stem2;w=001211;35,35,25|25,20|20,35,25,25|25,25,35,20", 19577008, 2763226688),
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
            [
                (n.layer, n.op, n.kernel if n.op == "conv" else ())
                for n in family.graph(arch, s).nodes
                if n.layer != "stem.pool"
            ]
            for s in ("paper", "digits")
        )
        assert large == small


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
