"""Children of networks: always valid, runnable, counted as they run; and as free as they should be."""

from random import Random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv
from nasviz.graph.build import carry, to_module
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.cost import total_macs
from nasviz.graph.ops import Op
from nasviz.search import mutation as moves
from nasviz.search.mutation import Parent, mutate
from nasviz.search.shapes import fault, key, prepared

FAMILIES = ["nb101", "nb201", "nb301", "proxyless", "ofa_mbv3", "ofa_resnet", "hiaml", "inception", "two_path"]

SMALL = ("nb101", "nb201", "hiaml", "two_path")
"""Families whose networks for digits have few operators: 200 children in all."""


def starts(name: str, count: int) -> list[Parent]:
    """Networks of a family that depend on their input (some cells of NAS-Bench-201 do not)."""
    family, found, seed = nv.families.get(name), [], 0
    while len(found) < count:
        (arch,) = family.sample(1, seed=seed)
        seed += 1
        try:
            found.append(Parent.of(family.graph(arch, "digits")))
        except ValueError as error:
            assert "does not depend on its input" in str(error)
    return found


def check(child: nv.graph.ComputeGraph) -> None:
    """It validates, builds, runs both ways, and costs by graph what it costs by tracing, and as torch counts it."""
    assert fault(child) is None
    module = to_module(child)
    with FlopCounterMode(display=False) as counter:
        out = module(torch.randn(2, 1, 8, 8))
    assert out.shape == (2, 10) and counter.get_total_flops() == 2 * 2 * total_macs(child)
    out.square().sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    assert sum(p.numel() for p in module.parameters()) == child.params
    traced = nv.trace(module, torch.zeros(1, 1, 8, 8))
    assert traced == child  # node by node, hence cost by graph = cost by tracing
    assert nv.cost(traced).total == nv.cost(child).total


def walk(name: str, children: int, seed: int) -> None:
    """Chains of mutations, as a search makes them: a child is the next parent, four times."""
    rng, lines = Random(seed), max(1, children // 4)
    for start in starts(name, lines):
        parent = start
        for _ in range(4):
            child = mutate(parent, rng, macro=rng.random() < 0.85)
            assert key(child) != parent.key
            check(child)
            parent = Parent(child)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_child_is_a_network(name):
    walk(name, 40 if name in SMALL else 8, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_children_are_networks(name):
    walk(name, 1112, seed=6)


@pytest.mark.parametrize("move", [move for move, _ in moves.MACRO], ids=lambda move: move.__name__)
def test_every_move_makes_networks_of_every_family(move):
    rng = Random(0)
    for name in FAMILIES:
        (parent,) = starts(name, 1)
        child = next(c for c in (move(parent, rng) for _ in range(500)) if c is not None)
        assert fault(child) is None and key(child) != parent.key
        same = [node.out_shape for node in child.nodes if node.op is Op.INPUT]
        assert same == [(1, 1, 8, 8)] and child.nodes[child.outputs[0]].out_shape == (1, 10)


def test_without_macro_exploration_only_kernels_and_widths_change():
    rng = Random(3)
    for name in FAMILIES:
        (parent,) = starts(name, 1)
        for _ in range(8):
            child = mutate(parent, rng, macro=False)
            assert [n.op for n in child.nodes] == [n.op for n in parent.graph.nodes]
            assert (child.edges == parent.graph.edges).all() and fault(child) is None
            parent = Parent(child)


def test_children_leave_the_search_space_at_stem_and_head():
    """A cell of NAS-Bench-201 has one stem and one head; its children have others."""
    (parent,) = starts("nb201", 1)
    rng, stems, heads = Random(1), set(), set()
    for _ in range(1200):
        child = mutate(parent, rng)
        first = [child.nodes[target] for source, target in child.edges.tolist() if source == 0]
        stems.add(tuple((node.op, node.kernel, node.out_shape) for node in first))
        heads.add(tuple(node.op for node in child.nodes[-3:]))
    assert len(stems) > 5 and len(heads) > 3


def test_a_seed_decides_everything():
    (parent,) = starts("two_path", 1)
    one, two, other = (mutate(parent, seed) for seed in (7, 7, 8))
    assert one == two and one != other


def test_layers_that_were_not_touched_keep_their_weights():
    torch.manual_seed(0)
    (parent,) = starts("hiaml", 1)
    old = to_module(parent.graph)
    child = mutate(parent, 2)
    new = to_module(child)
    carried = carry(new, old.state_dict())
    kept = {node.layer for node in child.nodes if node.params} & {node.layer for node in parent.graph.nodes}
    assert len(carried) > 10 and set(carried) <= kept
    assert torch.equal(new.get_submodule(carried[0]).weight, old.get_submodule(carried[0]).weight)


# --- what is replaced -------------------------------------------------------------------------------------------------


def residual() -> Parent:
    """input → conv a → relu b, whose result goes through conv c, bn d and is added to itself; mean, linear."""
    g = GraphBuilder("residual")
    x = g.relu(g.conv(g.input((1, 3, 8, 8)), 4, 3, name="a"), name="b")
    y = g.batch_norm(g.conv(x, 4, 3, name="c"), name="d")
    return Parent.of(g.graph(g.linear(g.mean(g.add((x, y), name="e"), name="f"), 5, name="h")))


def test_a_chain_ends_where_a_result_is_read_twice_and_a_region_holds_the_block():
    parent = residual()
    chains = {parent.chain(Random(seed)) for seed in range(300)} - {None}
    assert all(2 not in part.nodes or part.exit == 2 for part in chains)  # relu b is read twice
    assert moves.Part(2, (3, 4)) in chains  # the branch, though others read its entry
    regions = {parent.region(Random(seed)) for seed in range(300)} - {None}
    assert moves.Part(2, (3, 4, 5)) in regions
    for part in chains | regions:
        inside = set(part.nodes)
        for source, target in parent.graph.edges.tolist():
            if target in inside:
                assert source in inside or source == part.entry
            if source in inside - {part.exit}:
                assert target in inside


def test_a_branch_taken_out_does_not_leave_a_sum_with_itself():
    parent = residual()
    assert parent.spliced(moves.Part(2, (3, 4)), None) is None
    child = parent.spliced(moves.Part(2, (3, 4, 5)), None)
    assert [node.layer for node in child.nodes] == ["", "a", "b", "f", "h"] and fault(child) is None


def test_a_width_goes_with_all_that_must_have_it():
    parent = residual()
    children = [moves.change_width(parent, Random(seed)) for seed in range(60)]
    widths = {tuple(child.nodes[i].out_shape[1] for i in (1, 2, 3, 5)) for child in children if child is not None}
    assert widths and all(len(set(row)) == 1 for row in widths)  # conv a and conv c are added
    for child in children:
        assert child is None or fault(child) is None


def test_grouped_and_concatenated_widths_stay_consistent():
    g = GraphBuilder("groups")
    x = g.conv(g.input((1, 3, 8, 8)), 8, 3, name="a")
    y = g.concat((g.conv(x, 8, 3, groups=4, name="b"), g.conv(x, 4, 1, name="c")), name="cat")
    parent = Parent.of(g.graph(g.linear(g.mean(g.conv(y, 6, 3, name="d"), name="pool"), 5, name="out")))
    seen = set()
    for seed in range(200):
        child = moves.change_width(parent, Random(seed))
        if child is not None:
            assert fault(child) is None
            seen.add(tuple(node.out_shape[1] for node in child.nodes[1:6]))
    assert {row[0] for row in seen} - {8}  # what a grouped convolution reads changes only by multiples of its groups
    assert all(row[0] % 4 == 0 and row[1] % 4 == 0 and row[3] == row[1] + row[2] for row in seen)


# --- what a search can start from -------------------------------------------------------------------------------------


def test_operations_that_give_zeros_are_taken_out():
    family = nv.families.get("nb201")
    arch = family.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|")
    full, lean = family.graph(arch, "digits"), prepared(family.graph(arch, "digits"))
    assert any(node.op is Op.ZERO for node in full.nodes) and not any(node.op is Op.ZERO for node in lean.nodes)
    # node 2 is zero, so the convolution that reads it is a constant: it goes too
    assert not any("node3.nor_conv_3x3_2" in node.layer for node in lean.nodes)
    torch.manual_seed(0)
    old, new, x = to_module(full).eval(), to_module(lean).eval(), torch.randn(2, 1, 8, 8)
    carry(new, old.state_dict())
    torch.testing.assert_close(new(x), old(x))  # with the norms' first weights that constant is zero
    with pytest.raises(ValueError, match="does not depend on its input"):
        prepared(family.graph(("none",) * 6, "digits"))


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return (x + y).mean((2, 3))


class Fixed(nn.Module):
    def forward(self, x):
        return x - torch.ones(256)  # which the graph does not hold


class Detector(nn.Module):
    def forward(self, x):
        return x.relu()


class Again(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.conv(self.conv(x)).relu().mean((2, 3)))


def test_what_is_no_classifier_is_refused_in_a_sentence():
    x = torch.zeros(1, 3, 8, 8)
    for module, example, reason in [
        (TwoInputs(), (x, x), "it has 2 inputs, not one image"),
        (Detector(), x, "its output is not one vector of classes"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), Fixed(), nn.Linear(256, 2)), x, "'sub' cannot be built"),
    ]:
        with pytest.raises(ValueError, match=f"cannot be searched from: .*{reason}"):
            mutate(nv.trace(module, example), 0)


def test_any_model_of_the_users_can_be_a_parent():
    """Also one whose layer runs twice: those weights stay as they are."""
    rng, parent = Random(0), Parent.of(nv.trace(Again(), torch.zeros(1, 3, 8, 8)))
    for _ in range(60):
        child = mutate(parent, rng)
        assert to_module(child)(torch.zeros(2, 3, 8, 8)).shape == (2, 2)


class Attentive(nn.Module):
    """Patches, a class token, attention among them, a linear head; before it channels that are split and shuffled."""

    def __init__(self):
        super().__init__()
        self.stem, self.side, self.patches = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(8, 8, 2, 2)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.randn(1, 17, 8))
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 10)

    def forward(self, x):
        kept, worked = self.stem(x).chunk(2, dim=1)
        x = torch.stack((kept, self.side(worked).relu()), dim=2)
        x = self.patches(x.view(len(x), 8, 8, 8)).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), dim=1) + self.places
        y = self.norm(x)
        return self.out((x + self.attention(y, y, y)[0])[:, 0])


def test_attention_and_shuffled_channels_can_be_parents():
    torch.manual_seed(0)
    start = Parent.of(nv.trace(Attentive(), torch.zeros(1, 1, 8, 8)))
    rng, children, x, child = Random(3), {}, torch.randn(3, 1, 8, 8), start.graph
    for number in range(60):
        child = mutate(start if number % 3 == 0 else Parent(child), rng)
        assert fault(child) is None
        module = to_module(child).eval()
        out = module(x)
        assert out.shape == (3, 10) and sum(p.numel() for p in module.parameters()) == child.params
        torch.testing.assert_close(out[:1], module(x[:1]), rtol=1e-4, atol=1e-5)  # each image for itself
        out.square().sum().backward()
        assert all(p.grad is not None for p in module.parameters())
        assert nv.cost(nv.trace(module, x[:1])).total == nv.cost(child).total
        children[key(child)] = any(node.op is Op.MATMUL for node in child.nodes)
    assert len(children) > 50 and 0 < sum(children.values()) < len(children)
