"""What holds for every family, and that a user's own family is one file."""

import importlib
import sys

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv
from nasviz.families.family import Family, quoted
from nasviz.graph.cost import total_macs

NAMES = ["nb101", "nb201", "nb301", "proxyless", "ofa_mbv3", "ofa_resnet", "hiaml", "inception", "two_path"]


@pytest.fixture(params=NAMES)
def family(request) -> Family:
    return nv.families.get(request.param)


def test_the_nine_families_are_known():
    assert set(NAMES) <= set(nv.families.names())


def test_200_random_networks_have_the_parameters_and_macs_of_their_module(family):
    """The graph against the module that runs, counted where its weights meet their inputs."""
    for arch in family.sample(200, seed=7):
        graph, module = family.graph(arch, "digits"), family.build(arch, "digits").eval()
        assert counted(module, torch.zeros(graph.nodes[0].out_shape)) == total_macs(graph)
        assert sum(p.numel() for p in module.parameters()) == graph.params


def counted(module: torch.nn.Module, x: torch.Tensor) -> int:
    """MACs by hooks: a weight is used once for each output that its filter makes. Torch's own counter is far slower."""
    total = 0

    def count(layer, _, out):
        nonlocal total
        total += layer.weight.numel() * out.numel() // layer.weight.shape[0]

    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        module(x)
    return total


def test_torch_counts_the_same_as_the_hooks(family):
    for arch in family.sample(3, seed=7):
        module, x = family.build(arch, "digits").eval(), torch.zeros(family.graph(arch, "digits").nodes[0].out_shape)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            module(x)
        assert counter.get_total_flops() == 2 * counted(module, x)


@pytest.mark.slow
def test_200_random_networks_at_full_size_have_the_parameters_and_macs_of_their_module(family):
    full_size(family, 200)


def test_some_networks_at_full_size_have_the_parameters_and_macs_of_their_module(family):
    full_size(family, 2)


def full_size(family: Family, count: int) -> None:
    """As above at scale "paper", on tensors without memory."""
    for arch in family.sample(count, seed=17):
        graph = family.graph(arch)
        with torch.device("meta"):
            module = family.build(arch).eval()
            with torch.inference_mode(), FlopCounterMode(display=False) as counter:
                module(torch.zeros(graph.nodes[0].out_shape))
        assert counter.get_total_flops() == 2 * total_macs(graph)
        assert sum(p.numel() for p in module.parameters()) == graph.params


@pytest.mark.parametrize("name", ["proxyless", "ofa_mbv3", "ofa_resnet"])
@pytest.mark.parametrize("resolution", [192, 208, 224])
def test_once_for_all_networks_take_other_resolutions(name, resolution):
    """Their records come with one; 208 pixels give odd maps, where rounding shows."""
    family = nv.families.get(name)
    with torch.device("meta"):
        module = family.build(family.sample(1, seed=2)[0]).eval()
        assert module(torch.zeros(2, 3, resolution, resolution)).shape == (2, 1000)


def test_the_graph_is_the_trace_of_its_module(family):
    """Node by node and edge by edge."""
    for arch in family.sample(5, seed=8):
        with torch.device("meta"):
            module = family.build(arch, "digits")
        graph = family.graph(arch, "digits")
        assert nv.trace(module, torch.zeros(graph.nodes[0].out_shape, device="meta")) == graph


def test_samples_read_back_and_are_different_and_reproducible(family):
    archs = family.sample(60, seed=1)
    texts = [family.format(arch) for arch in archs]
    assert len(set(texts)) == len(set(archs)) == 60
    assert [family.parse(text) for text in texts] == archs == family.sample(60, seed=1)
    assert archs != family.sample(60, seed=2)
    assert family.sample(0, seed=1) == []


def test_the_facts_are_those_of_table_2(family):
    facts = family.facts
    assert facts.size > facts.labelled > 0 or family.name == "nb201"
    low, high = facts.accuracy
    assert 0 < low < high < 1
    assert facts.title and facts.dataset and facts.reference


@pytest.mark.parametrize("wrong", ["", "nonsense", "1", "|", ";;", "\x00", None, 7, [], "9" * 5000, "Genotype(" * 200])
def test_what_is_no_architecture_is_refused_in_a_sentence(family, wrong):
    with pytest.raises(ValueError, match=r"\S \S") as caught:
        family.parse(wrong)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [
    lambda text: text * 400, lambda text: text + "\n" + "x" * 20_000, lambda text: "0" * 20_000 + text,
    lambda text: text.translate({ord(sign): sign * 9000 for sign in ",~@:;"}),
    lambda text: text.replace("3", "3" * 9000), lambda text: "-".join([text.split("|")[0] + "x"] * 900),
])  # fmt: skip
def test_a_message_repeats_little_of_a_wrong_text(family, damage):
    """A whole file may be given where an architecture should be; the message must stay a sentence."""
    wrong = damage(family.format(family.sample(1, seed=0)[0]))
    assert len(wrong) > 1000
    with pytest.raises(ValueError, match=r"\S \S") as caught:
        family.parse(wrong)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["a", "short 'text'", "x" * 78, "x" * 79, "x" * 5000, ["ab"] * 1000, b"\x00" * 10**6, None]
)
def test_a_quotation_is_short_and_ends_as_the_value_does(value):
    text = quoted(value)
    assert len(text) <= 80
    assert text == repr(value) or (text.startswith(repr(value)[:30]) and f"{len(repr(value)):,} characters" in text)


def test_an_unknown_scale_is_refused(family):
    with pytest.raises(ValueError, match="has the scales 'paper'"):
        family.graph(family.sample(1, seed=0)[0], "huge")


OWN = '''
"""Plain chains of 3×3 convolutions; the architecture is the tuple of their widths."""

import itertools

import numpy as np

from nasviz.families.family import Facts, Family, register
from nasviz.graph.builder import GraphBuilder

WIDTHS = (4, 8, 16)


class Chains(Family):
    name = "chains"
    facts = Facts("Chains of three convolutions", 27, "digits", "this file")
    scales = {"paper": {"shape": (1, 1, 8, 8), "classes": 10}, "digits": {"shape": (1, 1, 8, 8), "classes": 10}}

    def sample(self, n, seed=0):
        space = list(itertools.product(WIDTHS, repeat=3))
        return [space[i] for i in np.random.default_rng(seed).choice(len(space), n, replace=False)]

    def parse(self, text):
        widths = tuple(map(int, text.split("-")))
        if len(widths) != 3 or not set(widths) <= set(WIDTHS):
            raise ValueError(f"{text!r} is no chain; it reads '4-8-16'.")
        return widths

    def format(self, arch):
        return "-".join(map(str, arch))

    def graph(self, arch, scale="paper"):
        skeleton = self.skeleton(scale)
        g = GraphBuilder(self.format(arch))
        x = g.input(skeleton["shape"])
        for number, width in enumerate(arch):
            with g.scope(f"block{number}"):
                x = g.relu(g.batch_norm(g.conv(x, width, 3, name="conv"), name="bn"), name="relu")
        return g.graph(g.linear(g.mean(x, name="pool"), skeleton["classes"], name="head"))


register(Chains())
'''


def test_a_user_adds_a_family_in_one_file_of_their_own(tmp_path, monkeypatch):
    """Without touching the package: it samples, builds, trains, makes a benchmark and caches its graphs."""
    from nasviz.benchmarks.label import Recipe, label
    from nasviz.families import family as register_module

    monkeypatch.setattr(register_module, "_registered", dict(register_module._registered))
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "home"))
    (tmp_path / "chains.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "chains", raising=False)
    importlib.import_module("chains")

    chains = nv.families.get("chains")
    assert "chains" in nv.families.names()
    arch = chains.parse("4-8-16")
    # 3x3 convolutions, two numbers a channel for the norms, the classifier
    assert chains.graph(arch).params == 9 * (4 + 4 * 8 + 8 * 16) + 2 * 28 + 16 * 10 + 10
    assert chains.build(arch)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)

    runs = label("chains", ["4-8-16", "4-4-4"], tmp_path / "log", seeds=[0], recipe=Recipe(epochs=1), jobs=2)
    bench = nv.benchmarks.from_table(runs.drop(columns="family"), "chains", scale="digits")
    assert [graph.params for graph in bench.graphs()] == [chains.graph(chains.parse(a)).params for a in runs.arch]
    assert len(list(tmp_path.glob("home/graphs/*.arrow"))) == 1


def test_a_family_of_no_module_makes_a_benchmark_too(tmp_path, monkeypatch):
    """Typed into a notebook, or run from a file without importing it: its graphs are not kept on disk."""
    from nasviz.families import family as register_module

    monkeypatch.setattr(register_module, "_registered", dict(register_module._registered))
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path))
    exec(OWN, {"__name__": "no such module"})  # noqa: S102
    monkeypatch.setattr("nasviz.benchmarks.benchmark.MANY", 3)  # by worker processes, which never saw the file
    table = pd.DataFrame({"arch": ["4-8-16", "4-8-8", "4-4-4"], "accuracy": 0.5})
    graphs = nv.benchmarks.from_table(table, "chains", scale="digits").graphs()
    assert graphs[0].params == 9 * (4 + 4 * 8 + 8 * 16) + 2 * 28 + 16 * 10 + 10
    assert not list(tmp_path.rglob("*.arrow"))
