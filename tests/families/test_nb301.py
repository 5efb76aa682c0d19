"""The DARTS space against published parameter counts and builds by the same rules in plain PyTorch."""

import itertools

import pytest
import torch
from torch import nn

import nasviz as nv
from nasviz.families.nb301 import OPERATIONS, Genotype

nb301 = nv.families.get("nb301")
SHORT = dict(zip(("mp", "ap", "sk", "s3", "s5", "d3", "d5"), OPERATIONS, strict=True))

CELLS = {
    "DARTS_V1": "s3@1 s3@0 sk@0 s3@1 sk@0 s3@1 s3@0 sk@2 / mp@0 mp@1 sk@2 mp@0 mp@0 sk@2 sk@2 ap@0",
    "DARTS_V2": "s3@0 s3@1 s3@0 s3@1 s3@1 sk@0 sk@0 d3@2 / mp@0 mp@1 sk@2 mp@1 mp@0 sk@2 sk@2 mp@1",
    "P-DARTS": "sk@0 d3@1 sk@0 s3@1 s3@1 s3@3 s3@0 d5@4 / ap@0 s5@1 s3@0 d5@2 mp@0 d3@1 d3@1 d5@3",
    "PC-DARTS": "s3@1 sk@0 s3@0 d3@1 s5@0 s3@1 ap@0 d3@1 / s5@1 mp@0 s5@1 s5@2 s3@0 s3@3 s3@1 s3@2",
    "arch2vec_bo": "s5@1 mp@0 sk@0 d3@1 s5@1 s3@0 d5@2 s3@0 / s5@1 mp@0 sk@0 d3@1 s5@1 s3@0 d5@2 s3@0",
}

# Parameters, MACs and convolutions. At scale "darts" the parameters of DARTS_V2, P-DARTS and arch2vec_bo are published.
ORACLE = [
    ("DARTS_V1", "darts", 3169414, 500987520, 403),
    ("DARTS_V1", "paper", 871786, 152441856, 139),
    ("DARTS_V1", "gennape", 671034, 108300800, 403),
    ("DARTS_V2", "darts", 3349342, 528359040, 439),
    ("DARTS_V2", "paper", 919722, 159765504, 151),
    ("DARTS_V2", "gennape", 710682, 114567680, 439),
    ("P-DARTS", "darts", 3433798, 532174464, 435),
    ("P-DARTS", "paper", 1071978, 174396416, 171),
    ("P-DARTS", "gennape", 737338, 116918784, 435),
    ("PC-DARTS", "darts", 3634678, 556670592, 459),
    ("PC-DARTS", "paper", 1220842, 190927872, 195),
    ("PC-DARTS", "gennape", 788218, 123873792, 459),
    ("arch2vec_bo", "darts", 3616966, 565849728, 447),
    ("arch2vec_bo", "paper", 1169770, 188863488, 183),
    ("arch2vec_bo", "gennape", 799546, 129919488, 447),
]

V2_TEXT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)  # as the authors of DARTS print it


def genotype(name):
    cells = [[pair.split("@") for pair in cell.split()] for cell in CELLS[name].split("/")]
    return Genotype(*([(SHORT[op], int(source)) for op, source in cell] for cell in cells))


@pytest.mark.parametrize(("name", "scale", "params", "macs", "convs"), ORACLE)
def test_oracle_rows(name, scale, params, macs, convs):
    graph = nb301.graph(genotype(name), scale)
    assert graph.params == params
    assert nv.cost(graph).total["macs"] == macs
    assert sum(node.op == "conv" for node in graph.nodes) == convs


def test_the_module_of_darts_v2_has_the_published_parameters():
    with torch.device("meta"):
        module = nb301.build(genotype("DARTS_V2"), "darts")
    assert sum(p.numel() for p in module.parameters()) == 3349342


@pytest.mark.parametrize("scale", nb301.scales)
def test_the_graph_is_that_of_the_built_module(scale):
    shape = nb301.scales[scale]["shape"]
    archs = [genotype("DARTS_V2"), genotype("PC-DARTS")] if scale == "digits" else [genotype("P-DARTS")]
    for arch in archs + nb301.sample(3 if scale == "digits" else 0, seed=5):
        with torch.device("meta"):
            module = nb301.build(arch, scale)
        assert nv.trace(module, torch.zeros(shape, device="meta")) == nb301.graph(arch, scale)


def test_a_built_network_runs_and_learns_backwards():
    for arch in nb301.sample(3, seed=8):
        module = nb301.build(arch, "digits")
        out = module(torch.rand(4, 1, 8, 8))
        out.sum().backward()
        assert out.shape == (4, 10)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


class Reference(nn.Module):
    """The network of DARTS written straight from its definition, to compare results with."""

    def __init__(self, arch, width, cells, channels, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 3 * width, 3, padding=1, bias=False), nn.BatchNorm2d(3 * width))
        self.cells = nn.ModuleList()
        before, last, was = 3 * width, 3 * width, False
        for index in range(cells):
            reduction = index in (cells // 3, 2 * cells // 3)
            width *= 2 if reduction else 1
            self.cells.append(ReferenceCell(arch, before, last, width, reduction, was))
            before, last, was = last, 4 * width, reduction
        self.classifier = nn.Linear(last, classes)

    def forward(self, x):
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(last.mean((2, 3)))


class ReferenceCell(nn.Module):
    def __init__(self, arch, before, last, width, reduction, after_reduction):
        super().__init__()
        self.before = FactorizedReduce(before, width) if after_reduction else relu_conv_bn(before, width)
        self.last = relu_conv_bn(last, width)
        self.pairs = arch.reduce if reduction else arch.normal
        self.ops = nn.ModuleList(operation(op, width, 2 if reduction and s < 2 else 1) for op, s in self.pairs)

    def forward(self, before, last):
        states = [self.before(before), self.last(last)]
        for k in range(0, 8, 2):
            states.append(sum(self.ops[i](states[self.pairs[i][1]]) for i in (k, k + 1)))
        return torch.cat(states[2:], 1)


class FactorizedReduce(nn.Module):
    def __init__(self, before, width):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width // 2, 1, 2, bias=False)
        self.conv2 = nn.Conv2d(before, width // 2, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x):
        x = x.relu()
        return self.bn(torch.cat([self.conv1(x), self.conv2(x[:, :, 1:, 1:])], 1))


def relu_conv_bn(before, width):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))


def operation(op, c, stride):
    if op == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if op == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if op == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c)
    kernel = int(op[-1])

    def pair(stride, padding, dilation):
        depthwise = nn.Conv2d(c, c, kernel, stride, padding, dilation, groups=c, bias=False)
        return [nn.ReLU(), depthwise, nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)]

    if op.startswith("dil"):
        return nn.Sequential(*pair(stride, kernel - 1, 2))
    return nn.Sequential(*pair(stride, kernel // 2, 1), *pair(1, kernel // 2, 1))


@pytest.mark.parametrize("cells", [5, 8])
def test_results_are_those_of_a_network_written_from_the_definition(cells, monkeypatch):
    monkeypatch.setitem(nb301.scales, "try", {"shape": (2, 1, 16, 16), "width": 4, "cells": cells, "classes": 10})
    for arch in nb301.sample(4, seed=cells):
        torch.manual_seed(0)
        module, reference = nb301.build(arch, "try").eval(), Reference(arch, 4, cells, 1, 10).eval()
        weights = list(module.state_dict().values())
        assert [w.shape for w in weights] == [w.shape for w in reference.state_dict().values()]
        reference.load_state_dict(dict(zip(reference.state_dict(), weights, strict=True)))
        x = torch.randn(2, 1, 16, 16)
        torch.testing.assert_close(module(x), reference(x))


def test_the_authors_text_reads_and_is_the_cell_of_the_oracle():
    assert nb301.parse(V2_TEXT) == genotype("DARTS_V2")
    text = nb301.format(genotype("DARTS_V2"))
    assert text.endswith("('skip_connect', 2)], reduce_concat=range(2, 6))")
    assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ")
    for arch in nb301.sample(20):
        assert nb301.parse(nb301.format(arch)) == arch


def test_order_inside_a_node_is_irrelevant():
    pairs = [("skip_connect", 0), ("sep_conv_3x3", 1)] * 4
    swapped = [("sep_conv_3x3", 1), ("skip_connect", 0)] * 4
    assert Genotype(pairs, swapped) == Genotype(swapped, pairs)
    assert len({Genotype(pairs, swapped), Genotype(swapped, pairs)}) == 1


def test_samples_are_different_reproducible_and_uniform():
    archs = nb301.sample(2000, seed=1)
    assert archs == nb301.sample(2000, seed=1) != nb301.sample(2000, seed=2)
    assert len(set(archs)) == 2000
    assert any(arch.normal != arch.reduce for arch in archs)
    cells = [cell for arch in archs for cell in (arch.normal, arch.reduce)]
    counts = dict.fromkeys(itertools.product(OPERATIONS, range(5)), 0)
    for cell in cells:
        for op, source in cell[6:]:  # node 5 reads two of five states
            counts[op, source] += 1
    assert sum(counts.values()) == 8000
    assert all(160 < count < 300 for count in counts.values())  # 228.6 expected, standard deviation 15
    assert nb301.sample(0) == []


def config(arch):
    """A NAS-Bench-301 configuration, with the numbers of the edges written out."""
    edges = dict(zip([(n, s) for n in (2, 3, 4, 5) for s in range(n)], range(14), strict=True))
    prefix, result = "NetworkSelectorDatasetInfo:darts:", {"OptimizerSelector:sgd:learning_rate": 0.025}
    for kind in ("normal", "reduce"):
        cell = getattr(arch, kind)
        for position, (op, source) in enumerate(cell):
            result[f"{prefix}edge_{kind}_{edges[2 + position // 2, source]}"] = op
        for node in (3, 4, 5):
            (_, a), (_, b) = cell[2 * node - 4 : 2 * node - 2]
            result[f"{prefix}inputs_node_{kind}_{node}"] = f"{a}_{b}"
    return result


def test_configurations_of_nasbench301():
    for arch in nb301.sample(10, seed=3):
        assert nb301.from_config(config(arch)) == arch
    good = config(genotype("DARTS_V2"))
    edge, inputs = (f"NetworkSelectorDatasetInfo:darts:{key}" for key in ("edge_normal_0", "inputs_node_reduce_4"))
    for change, sentence in [
        ({edge: None}, "config has no .*edge_normal_0"),
        ({inputs: None}, "config has no .*inputs_node_reduce_4"),
        ({inputs: "0"}, "inputs_node_reduce_4 is '0'; it names two states"),
        ({edge: "none"}, "normal: 'none' is not an operation"),
        ({inputs: "0_3"}, "config has no .*edge_reduce_8"),
    ]:
        wrong = {key: value for key, value in (good | change).items() if value is not None}
        with pytest.raises(ValueError, match=sentence):
            nb301.from_config(wrong)


def test_the_compact_form():
    for arch in nb301.sample(10, seed=4):
        compact = tuple(tuple((s, OPERATIONS.index(op)) for op, s in cell) for cell in (arch.normal, arch.reduce))
        assert nb301.from_compact(compact) == arch
    cell = ((0, 3), (1, 3)) * 4
    assert nb301.from_compact((cell, cell)).normal == (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)) * 4
    for wrong, sentence in [
        ((cell,), "give two tuples of eight pairs"),
        (7, "give two tuples of eight pairs"),
        ((cell, cell[:6]), "reduce=.*eight pairs"),
        ((cell, ((0, 7), *cell[1:])), "operation number 7 is not one of 0 to 6"),
        ((cell, ((0, -1), *cell[1:])), "operation number -1"),
        ((cell, ((2, 1), *cell[1:])), "reduce: node 2 cannot read state 2; it reads two of 0 to 1"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            nb301.from_compact(wrong)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (V2_TEXT, "", "invalid syntax"),
        (V2_TEXT, "7", "not one call"),
        (V2_TEXT, "Genotype()", "its fields are [], not"),
        (V2_TEXT, "__import__('os').getcwd()", "not one call"),
        (V2_TEXT, "(" * 10_000, "."),
        ("reduce_concat=[2, 3, 4, 5])", "reduce_concat=[2, 3, 4, 5]", "never closed"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=range(2, 7)", "reduce_concat must be the nodes 2 to 5"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=[4, 5, 6]", "reduce_concat must be the nodes 2 to 5"),
        (", reduce_concat=[2, 3, 4, 5]", "", "its fields are ['normal', 'normal_concat', 'reduce'], not"),
        ("('dil_conv_3x3', 2)", "('none', 2)", "normal: 'none' is not an operation"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)", "node 5 cannot read state 5"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', True)", "node 5 cannot read state True"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)", "node 5 reads state 0 twice"),
        ("('dil_conv_3x3', 2)", "'dil_conv_3x3'", "is not a pair"),
        (", ('dil_conv_3x3', 2)", "", "a cell has eight pairs"),
        ("('dil_conv_3x3', 2)", "open('x')", "malformed"),
    ],
)  # fmt: skip
def test_a_wrong_text_is_refused_in_one_sentence(old, new, reason):
    with pytest.raises(ValueError, match="is not a DARTS genotype; it reads") as caught:
        nb301.parse(V2_TEXT.replace(old, new))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_must_be_a_text():
    with pytest.raises(ValueError, match="None is not a DARTS genotype"):
        nb301.parse(None)
