"""The lesson's arithmetic: the course notes' own numbers, torch modules counted, closed forms, other tools' counts."""

import csv
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv
from nasviz.measure.pruning import remove_channels
from nasviz.views.lesson.conventions import RULES, compare, count
from nasviz.views.lesson.formulas import Conv, Dense, Pool, Separable, group_choices
from nasviz.views.lesson.networks import digits_network, graph_of, measured, networks, worked_network
from nasviz.views.lesson.notes import FIRST, SECOND, SLIPS, SUBTOTALS, TOTAL, lines, variants, worked
from nasviz.views.lesson.pages_speed import Pruning
from nasviz.views.lesson.state import PAGES

TOOLS = list(csv.DictReader((Path(__file__).parent / "lesson_tools.csv").open(encoding="utf-8")))
"""What torch, fvcore, thop and torchinfo said of the ten networks, with their versions."""


def evaluate(product: str) -> int:
    """A product as the notes write it: ``10x26x26x3x3x1x2``."""
    result = 1
    for factor in product.split("x"):
        result *= int(factor)
    return result


# -- the notes ---------------------------------------------------------------------------------------------------------


def test_the_numbers_of_the_notes():
    """As they stand there, copied by hand."""
    assert [line.value for line in FIRST] == [121_680, 6_760, 108_900, 154_880, 2_560]
    assert [line.value for line in SECOND] == [12_168, 6_760, 103_680, 28_800, 737_280, 2_560]
    assert sum(line.value for line in FIRST) == TOTAL == 394_780
    assert SUBTOTALS == {"1: Separable": 12_168 + 6_760, "2: Separable": 103_680 + 28_800}
    assert (12_168 + 6_760, 103_680 + 28_800) == (18_928, 132_480)
    assert sum(line.value for line in SECOND) == 18_928 + 132_480 + 737_280 + 2_560 == 891_248
    for line in (*FIRST, *SECOND):
        assert evaluate(line.written) == line.value


@pytest.mark.parametrize("separable", [False, True])
def test_the_notes_recounted_on_torch_modules(separable):
    module = worked_network(separable, pooling=not separable)
    graph = nv.trace(module, torch.zeros(1, 1, 28, 28))
    theirs = nv.cost(graph, convention="lesson")
    counted = theirs.by_layer.query("flops > 0")
    assert counted["flops"].tolist() == [line.value for line in lines(separable)]
    assert counted["layer"].tolist() == [line.module for line in lines(separable)]
    assert theirs.total["flops"] == (891_248 if separable else 394_780)
    table = worked(separable)
    assert table["lesson"].tolist() == table["notes"].tolist()
    assert table["standard"].sum() == nv.cost(graph).total["flops"]
    assert table["macs"].sum() == nv.cost(graph).total["macs"]
    assert table["params"].sum() == sum(p.numel() for p in module.parameters())
    # torch's own counter knows nothing of biases and pooling
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, 1, 28, 28))
    pooled = 0 if separable else 6_760
    assert counter.get_total_flops() == table["corrected"].sum() - pooled == 2 * table["macs"].sum()
    # two in every pointwise layer, and nothing else, is what the notes leave out
    pointwise = table["step"].str.contains("pointwise")
    assert (table["corrected"] == table["notes"] * (1 + pointwise)).all()


def test_the_best_moment():
    totals = variants().groupby(["separable", "pooling"])[["lesson", "corrected", "standard"]].sum()
    assert totals["lesson"].to_dict() == {
        (False, False): 1_379_920, (False, True): 394_780, (True, False): 891_248, (True, True): 210_958,
    }  # fmt: skip
    assert round(891_248 / 394_780, 2) == 2.26
    for kind in totals:  # whichever way one counts
        assert 2.2 < totals[kind][True, False] / totals[kind][False, True] < 2.4
    parts = variants().query("separable and not pooling").set_index("part")["lesson"]
    assert parts.idxmax() == "first dense layer" and round(parts.max() / 891_248, 2) == 0.83


def test_the_ratio_of_the_first_layer():
    layer = Separable(Conv(28, 1, 10, 3))
    assert (layer.noted, layer.dense.flops) == (18_928, 121_680)
    assert round(layer.noted_ratio, 3) == 0.156 == round(1 / 10 + 1 / (2 * 9), 3)
    assert round(layer.ratio, 3) == 0.211 == round(1 / 10 + 1 / 9, 3)
    assert 2 * layer.macs == 25_688
    second = Separable(Conv(26, 10, 5, 3))
    assert second.noted == 132_480 and second.noted / second.dense.flops == pytest.approx(1 / 5 + 1 / 18)


def test_every_slip_has_a_page_and_a_word_on_it():
    assert {slip.page for slip in SLIPS} <= set(PAGES)
    assert all(slip.quote and slip.right and slip.right != slip.quote for slip in SLIPS)
    said = " ".join(slip.right for slip in SLIPS) + " ".join(line.slip for line in SECOND)
    for word in ("factor 2", "misprint", "a quantity", "FLOP", "activations", "10x24x24", "batch"):
        assert word in said
    assert [line.module for line in SECOND if "factor 2" in line.slip] == ["pointwise1", "pointwise2"]
    assert [line.module for line in SECOND if "misprint" in line.slip] == ["depthwise2"]


# -- formulas against torch --------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw) -> Conv:
    groups = draw(st.sampled_from([1, 2, 3]))
    kernel, dilation, padding = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 3))
    span = dilation * (kernel - 1) + 1
    size = draw(st.integers(max(1, span - 2 * padding), span + 9))
    return Conv(
        size, groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3)), kernel, draw(st.integers(1, 3)),
        padding, dilation, groups, draw(st.booleans()),
    )  # fmt: skip


@given(convolutions())
def test_convolutions_are_those_of_torch(layer):
    module = nn.Conv2d(
        layer.c_in, layer.c_out, layer.kernel, layer.stride, layer.padding, layer.dilation, layer.groups, layer.bias,
        device="meta",
    )  # fmt: skip
    graph = nv.trace(module, torch.zeros(1, layer.c_in, layer.size, layer.size, device="meta"))
    total = nv.cost(graph).total
    assert graph.nodes[-1].out_shape == (1, layer.c_out, layer.out_size, layer.out_size)
    assert (layer.macs.value, layer.flops, layer.params) == (total["macs"], total["flops"], total["params"])
    assert len(layer.window(0, 0)) == layer.kernel**2


@given(st.integers(2, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_poolings_are_those_of_torch(size, channels, kernel, stride):
    kernel = min(kernel, size)
    layer = Pool(size, channels, kernel, stride)
    for kind in (nn.AvgPool2d, nn.MaxPool2d):
        graph = nv.trace(kind(kernel, stride), torch.zeros(1, channels, size, size, device="meta"))
        assert nv.cost(graph).total["flops"] == nv.cost(graph, "lesson").total["flops"] == layer.flops
        assert graph.nodes[-1].out_shape[-1] == layer.out_size


@pytest.mark.parametrize("bias", [False, True])
def test_dense_layers_are_those_of_torch(bias):
    total = nv.cost(nv.trace(nn.Linear(605, 128, bias), torch.zeros(1, 605))).total
    layer = Dense(605, 128, bias)
    assert (layer.macs.value, layer.flops, layer.params) == (total["macs"], total["flops"], total["params"])


@given(convolutions())
def test_a_separable_layer_is_both_and_keeps_the_shape(layer):
    from dataclasses import replace

    split = Separable(replace(layer, groups=1, bias=False))
    assert split.pointwise.out_size == split.dense.out_size and split.pointwise.c_out == split.dense.c_out
    assert split.ratio == pytest.approx(1 / layer.c_out + 1 / layer.kernel**2)
    assert split.noted_ratio == pytest.approx(1 / layer.c_out + 1 / (2 * layer.kernel**2))


def test_what_is_not_possible_is_said():
    with pytest.raises(ValueError, match="the kernel spans 9 cells, but the padded input has only 7"):
        Conv(5, 1, 1, 5, padding=1, dilation=2)
    with pytest.raises(ValueError, match="groups=4 does not divide 6 input and 8 output channels; choose one of 1, 2"):
        Conv(5, 6, 8, 3, groups=4)
    with pytest.raises(ValueError, match="the window has 3 rows, but the input only 2"):
        Pool(2, 1, 3)
    assert group_choices(6, 9) == [1, 3]


# -- conventions -------------------------------------------------------------------------------------------------------


def test_ten_networks_of_all_kinds():
    assert len(networks()) == 10 and len({row["network"] for row in TOOLS}) == 10
    table = compare({name: graph_of(name) for name in networks()})
    assert list(table) == list(RULES) and (table > 0).all().all()
    assert (table["torch"] == 2 * table["MACs"]).all() and (table["FLOPs"] > table["torch"]).all()


@pytest.mark.parametrize("name", networks())
def test_rules_give_what_the_tools_say(name):
    """To the last digit, for those that were asked."""
    ours = count(graph_of(name))
    theirs = {row["tool"]: int(row["count"]) for row in TOOLS if row["network"] == name}
    assert set(theirs) == {"torch", "fvcore", "thop", "torchinfo"}
    assert {tool: ours[tool] for tool in theirs} == theirs


def test_published_counts():
    """MACs of one image of 224 × 224, and parameters, as the papers and torchvision have them."""
    published = {"ResNet-50": 4.1e9, "MobileNetV1": 569e6, "MobileNetV2": 300e6, "VGG-16": 15.5e9, "ResNet-18": 1.8e9}
    for name, macs in published.items():
        assert count(graph_of(name))["MACs"] == pytest.approx(macs, rel=0.015)
    assert graph_of("ResNet-50").params == 25_557_032 and graph_of("MobileNetV2").params == 3_504_872
    dense, separable = (count(graph_of(name))["MACs"] for name in ("MobileNetV1, dense", "MobileNetV1"))
    assert 8 < dense / separable < 9 and "MobileNetV1, dense" in measured()


def test_the_pruned_layers_are_those_of_torch_pruning():
    module, example = digits_network(Pruning.WIDTH), torch.zeros(1, 1, 8, 8)
    for removed in (0.0, 0.3, 0.5, 0.9):
        small = nv.cost(nv.trace(remove_channels(module, example, removed), example)).total
        layers = Pruning.layers(removed)
        assert (sum(layer.macs.value for layer in layers.values()), Pruning.params(layers)) == (
            small["macs"], small["params"],
        )  # fmt: skip
