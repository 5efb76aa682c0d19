"""`nv.from_onnx` of an exported module gives what `nv.trace` gives of the module: operators, edges, layers, cost.

Both of torch's exporters are asked: the newer one notes what it does, the older one takes operators apart.
"""

import contextlib
import io
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from kinds import KINDS
from torch import nn

import nasviz as nv
from nasviz.graph import ComputeGraph, Op

MOVED = {  # what only moves data, and how an exporter writes it is its own affair
    Op.RESHAPE, Op.FLATTEN, Op.PERMUTE, Op.EXPAND, Op.SLICE, Op.SPLIT, Op.DROPOUT, Op.PAD, Op.GATHER, Op.STACK,
    Op.CONCAT,
}  # fmt: skip

SAME = {Op.ADAPTIVE_AVG_POOL: Op.AVG_POOL, Op.ADAPTIVE_MAX_POOL: Op.MAX_POOL, Op.MATMUL: Op.LINEAR}
"""Other words for the same thing: a pooling to a size that its window was computed for, a product with a parameter."""

# What the file no longer says; the cost is compared in any case.
FOLDED = {
    "bare weights", "weight normalised", "gpt",  # constants were computed beforehand
    "statistics by hand", "gated",  # a variance, a root mean square became a chain of operators
    "lstm",  # one node a layer
    "window attention",  # rolling became slices that are joined
}  # fmt: skip
FOLDED_BY_NEWER = {
    "pools",  # a maximum over everything is a reduction there
    "encoder-decoder",  # the weight of all projections is split beforehand
}
NOT_EXPORTED = {"encoder-decoder", "gated"}  # which the older exporter does not know


def different(module: nn.Module) -> nn.Module:
    """The module with parameters that all differ, as in a trained one: exporters store equal ones once."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(0.1, 1.0, generator=generator)
    return module.eval()


def exported(module: nn.Module, inputs: tuple, path: Path, new: bool) -> Path:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, inputs, path, dynamo=new, **({"verbose": False} if new else {}))
    return path


def operators(graph: ComputeGraph) -> Counter:
    return Counter(SAME.get(node.op, node.op) for node in graph.nodes if node.op not in MOVED)


def flow(graph: ComputeGraph) -> Counter:
    """Which operator reads which, moves passed over: the graph up to what only moves data."""
    behind: list[set[int]] = []
    found: Counter = Counter()
    for index, (node, sources) in enumerate(zip(graph.nodes, graph.predecessors(), strict=True)):
        read = set().union(*(behind[source] for source in sources))
        behind.append(read if node.op in MOVED and node.op is not Op.CONCAT else {index})
        if node.op not in MOVED:
            found.update((SAME.get(graph.nodes[i].op, graph.nodes[i].op), SAME.get(node.op, node.op)) for i in read)
    return found


def compare(name: str, folder: Path, new: bool) -> None:
    build, inputs = KINDS[name]
    module = different(build())
    traced = nv.trace(module, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = nv.from_onnx(exported(module, inputs, folder / "model.onnx", new))
    one, other = nv.cost(traced), nv.cost(read)
    assert len(other.uncounted) == 0
    keys = ["macs"] if name == "weight normalised" else ["macs", "params"]
    assert [other.total[key] for key in keys] == [one.total[key] for key in keys]
    inputs_of = [[n.out_shape for n in graph.nodes if n.op is Op.INPUT] for graph in (traced, read)]
    assert inputs_of[0] == inputs_of[1]
    if name not in FOLDED and not (new and name in FOLDED_BY_NEWER):
        assert operators(read) == operators(traced)
        assert other.total["flops"] == one.total["flops"]
        assert other.total["activations"] == one.total["activations"]
        assert flow(read) == flow(traced)
        held = [sorted(n.params for n in graph.nodes if n.params) for graph in (traced, read)]
        assert held[0] == held[1]


@pytest.mark.parametrize("name", sorted(set(KINDS) - NOT_EXPORTED))
def test_the_older_exporter(name: str, tmp_path: Path) -> None:
    compare(name, tmp_path, new=False)


@pytest.mark.parametrize("name", ["residual", "vision transformer"])
def test_the_newer_exporter(name: str, tmp_path: Path) -> None:
    compare(name, tmp_path, new=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(KINDS) - {"window attention", "rnn"}))
def test_the_newer_exporter_on_all(name: str, tmp_path: Path) -> None:
    """All but two: a table that is indexed and the first step of an RNN of zeros are folded into constants."""
    compare(name, tmp_path, new=True)


def test_a_table_that_is_folded_is_reported(tmp_path: Path) -> None:
    build, inputs = KINDS["window attention"]
    module = different(build())
    path = exported(module, inputs, tmp_path / "model.onnx", new=True)
    with pytest.warns(UserWarning, match=r"does not hold the parameters 1\.bias: .* optimize=False\) keeps them"):
        table = nv.cost(nv.from_onnx(path))
    traced = nv.cost(nv.trace(module, inputs)).total
    assert table.total["macs"] == traced["macs"]
    assert traced["params"] - table.total["params"] == np.prod(module[1].bias.shape)


def test_layers_have_the_modules_names(tmp_path: Path) -> None:
    module = different(KINDS["residual"][0]())
    read = nv.from_onnx(exported(module, KINDS["residual"][1], tmp_path / "model.onnx", new=False))
    assert {n.layer for n in read.nodes if n.op is Op.CONV} == {"0.0", "1.body.0"}
    assert {n.layer for n in read.nodes if n.op is Op.LINEAR} == {"2.2"}
