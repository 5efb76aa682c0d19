"""What the explorer is made of: boxes, formulas, differences, places. Data in, data out; no widgets."""

import itertools

import pytest
import torch
from torch import nn

from nasviz.families import get, names
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.cost import macs, other
from nasviz.graph.graph import Node
from nasviz.graph.ops import Op
from nasviz.views.explorer_compare import differences
from nasviz.views.explorer_data import Network, Scale
from nasviz.views.explorer_layout import TITLE, lay_out
from nasviz.views.explorer_text import macs_formula, other_formula, params_formula, word
from nasviz.views.explorer_tree import Tree, owners
from tests.views.explorer_networks import blocks, branches

GRAPHS = {name: get(name).graph(get(name).sample(1, seed=1)[0]) for name in names()}
GRAPHS |= {"blocks": blocks(), "branches": branches()}


# --- boxes ----------------------------------------------------------------------------------------------------------


def test_modules_are_collapsed_and_equal_blocks_in_a_row_are_one_box():
    tree = Tree(blocks(12))
    assert [part.name for part in tree.root.parts] == ["input", "stem", "body", "head"]
    stem, body = tree.parts["stem"], tree.parts["body"]
    assert stem.operator >= 0 and len(stem.nodes) == 3  # conv, norm and activation are one operator
    assert body.repeats == 12 and len(body.parts) == 12 and body.row == "body.0 … 11"
    assert [part.name for part in tree.parts["body.3"].parts] == ["conv1", "conv2", "sum"]
    assert [part.name for part in tree.visible(["body"])][2:4] == ["body.0", "body.1"]
    assert tree.above(tree.parts["body.3.conv1"]) == [body, tree.parts["body.3"]]


def test_a_block_that_differs_breaks_the_row():
    tree = Tree(blocks(12, wide=5))
    assert [(part.name, part.repeats) for part in tree.parts["body"].parts] == [
        ("body.0 … 4", 5),
        ("body.5", 1),
        ("body.6 … 11", 6),
    ]
    assert all(part.repeats == 1 for part in Tree(blocks(12), repeats=False).root)


def test_without_folding_every_node_is_a_box():
    graph = blocks(2)
    leaves = [part for part in Tree(graph, fold=False, repeats=False).root if part.operator >= 0]
    assert sorted(part.operator for part in leaves) == list(range(len(graph)))


def test_what_normalises_first_belongs_to_what_follows():
    g = GraphBuilder()
    x = g.input((1, 4, 8, 8))
    with g.scope("a"):
        x = g.conv(g.relu(g.batch_norm(x, name="bn"), name="act"), 4, 3, name="conv")
    with g.scope("b"):
        x = g.relu(g.conv(x, 4, 3, name="conv"), name="act")
    assert owners(g.graph(x)) == [0, 3, 3, 3, 4, 4]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_node_is_in_one_box_of_each_view(name):
    graph = GRAPHS[name]
    for fold, repeats in itertools.product((True, False), repeat=2):
        tree = Tree(graph, fold, repeats)
        assert len(tree.parts) == len(list(tree.root)) - 1  # ids are unique
        for opened in ([], tree.overview(), list(tree.parts)):
            nodes = [node for part in tree.visible(opened) for node in part.nodes]
            assert sorted(nodes) == list(range(len(graph)))
    assert len(Tree(graph).visible(Tree(graph).overview(30))) <= 30


# --- words and numbers ----------------------------------------------------------------------------------------------


def test_formulas_by_hand():
    g = GraphBuilder()
    x = g.input((1, 64, 32, 32))
    g.conv(x, 128, 3, bias=True, name="dense")
    g.conv(x, 64, 5, stride=2, groups=64, name="depth")
    dense, depth = g.graph().nodes[1:]
    assert macs_formula(dense).words == "window · input channels · output channels · output positions"
    assert macs_formula(dense).numbers == "9 · 64 · 128 · 32² = 75.5 M MACs"
    assert params_formula(dense) == "128 · 64 · 3 · 3 + 128 = 73,856 parameters"
    assert word(depth) == "depthwise 5×5 ↓2" and macs_formula(depth).value == 25 * 64 * 16 * 16
    linear = Node(Op.LINEAR, "fc", (1, 512), (1, 10), bias=True, params=5130)
    assert macs_formula(linear).numbers == "512 · 10 = 5.12 k MACs"
    assert params_formula(linear) == "10 · 512 + 10 = 5,130 parameters"


@pytest.mark.parametrize("name", GRAPHS)
def test_formulas_give_the_cost_of_every_operator(name):
    for node in GRAPHS[name].nodes:
        formula = macs_formula(node)
        assert (formula.value if formula else 0) == macs(node), node
        extra = other_formula(node)
        assert (extra.value if extra else 0) == other(node), node


def test_formulas_of_attention_and_of_recurrent_layers():
    from nasviz.graph.trace import trace

    graphs = [
        trace(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), torch.zeros(2, 5, 16)),
        trace(nn.LSTM(8, 16, batch_first=True), torch.zeros(2, 5, 8)),
        trace(nn.ConvTranspose2d(8, 4, 2, stride=2), torch.zeros(1, 8, 4, 4)),
        trace(nn.Bilinear(3, 4, 5), (torch.zeros(1, 3), torch.zeros(1, 4))),
    ]
    counted = [node for graph in graphs for node in graph.nodes if macs(node)]
    assert {Op.LINEAR, Op.ATTENTION, Op.LSTM, Op.CONV_TRANSPOSE, Op.BILINEAR} & {node.op for node in counted}
    for node in counted:
        assert macs_formula(node).value == macs(node), node


def test_a_module_is_the_sum_of_what_it_holds():
    graph = blocks(3)
    network = Network(graph)
    for part in network.tree.root:
        assert network.value(part, "macs") == sum(macs(graph.nodes[i]) for i in part.nodes)
        assert network.value(part, "parameters") == sum(graph.nodes[i].params for i in part.nodes)
        assert sum(share for _, share in network.shares(part)) == pytest.approx(1)


def test_text_on_a_colour_can_be_read():
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    scale = Scale.of("macs", range(101))
    for value in range(101):
        light, dark = sorted(map(luminance, scale.colours(value)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, AA
    assert scale.colours(float("nan")) is None


# --- two networks ---------------------------------------------------------------------------------------------------


def test_added_removed_and_changed_layers_are_marked():
    before, after = blocks(4), blocks(4, wide=1, extra=2)
    old, new = differences(before, after)
    marked = {node.layer: mark for node, mark in zip(after.nodes, new.marks, strict=True) if mark}
    assert marked == {
        "body.1.conv1": "changed",
        "body.1.act": "changed",
        "body.1.conv2": "changed",
        "body.2.added": "added",
    }
    reasons = dict(zip((node.layer for node in after.nodes), new.reasons, strict=True))
    assert reasons["body.1.conv1"] == ("output shape", "parameters", "bytes")
    assert old.counts == {"changed": 3} and new.counts == {"changed": 3, "added": 1}
    back, forth = differences(after, before)
    assert back.counts["removed"] == 1 and forth.counts["added"] == 0


def test_a_rewired_layer_is_changed_and_the_same_network_is_not():
    def network(twice: bool):
        g = GraphBuilder()
        x = g.input((1, 4, 8, 8))
        a = g.conv(x, 4, 3, name="a")
        b = g.conv(a, 4, 3, name="b")
        return g.graph(g.conv(b if twice else a, 4, 3, name="c"))

    new = differences(network(True), network(False))[1]
    assert new.marks == ["", "", "", "changed"] and new.reasons[3] == ("reads other layers",)
    assert not any(new.counts for new in differences(network(True), network(True)))


# --- places ---------------------------------------------------------------------------------------------------------


def places(layout) -> list[tuple[float, float, float, float]]:
    return [(box.x, box.y, box.x + box.width, box.y + box.height) for box in layout.boxes]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_boxes_stand_apart_or_inside_each_other_and_all_tensors_have_lines(name, down):
    tree = Tree(GRAPHS[name])
    for opened in ([], tree.overview(40)):
        layout = lay_out(tree, opened, 900, down)
        seen = {box.part.id: place for box, place in zip(layout.boxes, places(layout), strict=True)}
        assert {part.id for part in tree.visible(opened)} <= seen.keys()
        for left, top, right, bottom in seen.values():
            assert 0 <= left < right <= layout.width and 0 <= top < bottom <= layout.height
        for one, two in itertools.combinations(layout.boxes, 2):
            a, b = seen[one.part.id], seen[two.part.id]
            if set(two.part.nodes) < set(one.part.nodes):
                assert a[0] < b[0] and a[1] + TITLE <= b[1] and b[2] < a[2] and b[3] < a[3], (one.part, two.part)
            else:
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (one.part.id, two.part.id)
        closed = [set(part.nodes) for part in tree.visible(opened)]
        read = {s for s, t in tree.tensors if not any(s in nodes and t in nodes for nodes in closed)}
        assert read <= set().union(*(wire.tensors for wire in layout.wires))


def test_lines_begin_and_end_at_boxes():
    tree = Tree(branches())
    layout = lay_out(tree, ["left"], 900)
    edges = {"left.one", "left.two", "right", ":input", "join", "last"} & {box.part.id for box in layout.boxes}
    assert len(edges) >= 4
    rights = [(right, top, bottom) for _, top, right, bottom in places(layout)]
    lefts = [(left, top, bottom) for left, top, _, bottom in places(layout)]
    for wire in (wire for wire in layout.wires if wire.arrow):
        x, y = wire.points[-1]
        assert any(abs(x - left) < 0.6 and top <= y <= bottom for left, top, bottom in lefts)
    starts = [wire.points[0] for wire in layout.wires]
    assert (
        sum(any(abs(x - right) < 0.6 and top <= y <= bottom for right, top, bottom in rights) for x, y in starts) >= 4
    )


def test_a_wide_network_goes_on_in_the_next_row():
    tree = Tree(blocks(12), repeats=False)
    narrow, wide = lay_out(tree, ["body"], 600), lay_out(tree, ["body"], 10_000)
    assert narrow.width < 700 < wide.width and narrow.height > wide.height
