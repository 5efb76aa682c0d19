"""`ComputeGraph` and the ways to make one: by hand, by the builder, by tracing what the builder built; spectra."""

import json

import networkx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nasviz as nv
from nasviz.graph import ComputeGraph, GraphBuilder, Node, Op
from nasviz.graph.build import to_module
from nasviz.graph.spectral import eigenvalues, spectra


def chain(size: int, **options) -> ComputeGraph:
    nodes = [Node(Op.RELU, f"layer{i}") for i in range(size)]
    return ComputeGraph(nodes, [(i, i + 1) for i in range(size - 1)], **options)


def everything() -> ComputeGraph:
    """One of each thing that the builder can declare, with a result read twice and two outputs."""
    g = GraphBuilder("all of it")
    x = g.input((2, 4, 9, 9))
    with g.scope("a"):
        x = g.conv(x, 8, (3, 5), stride=(1, 2), dilation=(2, 1), groups=2, bias=True, name="conv")
        x = g.relu(g.batch_norm(x, eps=1e-3, momentum=0.3, name="bn"), name="relu")
        y = g.unary(Op.HARD_SWISH, g.batch_norm(x, affine=False, name="plain"), name="swish")
    gate = g.unary(Op.SIGMOID, g.adaptive_avg_pool(y, name="squeeze"), name="gate")
    y = g.mul(y, gate, name="scale")
    left = g.max_pool(x, 3, stride=2, padding=1, name="max")
    right = g.avg_pool(y, 3, stride=2, padding=1, name="avg")
    z = g.concat([left, right], name="cat")
    z = g.add([z, z, g.unary(Op.ZERO, z, name="zero")], name="sum")
    z = g.slice(z, 1, 3, 5, name="slice")
    features = g.linear(g.flatten(z, name="flat"), 7, bias=False, name="hidden")
    return g.graph(g.linear(features, 3, name="head"), g.mean(z, name="pool"))


# --- inert data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        ([(1, 0)], r"edge \[1, 0\] runs backwards"),
        ([(0, 1), (2, 2)], r"edge \[2, 2\] runs backwards"),
        ([(0, 2), (0, 1)], "sorted by target"),
        ([(0, 3)], r"edges name nodes 0\.\.3, but the graph has 3 nodes"),
        ([(-1, 1)], r"edges name nodes -1\.\.1"),
        ([(1, -1)], "runs backwards"),
    ],
)
def test_bad_edges_are_refused(edges, sentence):
    with pytest.raises(ValueError, match=sentence):
        ComputeGraph([Node(Op.RELU)] * 3, edges)


@pytest.mark.parametrize("outputs", [(3,), (-1,), (0, 7)])
def test_outputs_must_be_nodes(outputs):
    with pytest.raises(ValueError, match=r"must name nodes 0\.\.2"):
        chain(3, outputs=outputs)


def test_a_graph_cannot_be_changed_and_compares_by_content():
    graph = chain(4, outputs=(3,), name="one")
    with pytest.raises(ValueError, match="read-only"):
        graph.edges[0, 0] = 2
    assert graph == chain(4, outputs=(3,), name="two"), "a name is only what stands on the screen"
    assert graph != chain(4, outputs=(2,)) and graph != chain(5, outputs=(3,))
    assert graph != chain(4, outputs=(3,), unused_params=1)
    assert graph != "graph"
    with pytest.raises(TypeError, match="unhashable"):
        hash(graph)


def test_parameters_count_unused_ones():
    assert ComputeGraph([Node(Op.CONV, params=5), Node(Op.CONV, params=7)], [(0, 1)], unused_params=30).params == 42


def test_a_large_edge_number_is_no_small_one():
    with pytest.raises((ValueError, OverflowError)):
        ComputeGraph([Node(Op.RELU)] * 3, [(0, 2**32 + 1)])


def test_the_picture_in_a_notebook_escapes_names():
    page = chain(2, outputs=(1,), name="<script>alert('&')</script>")._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<td" in everything()._repr_html_() and "conv × 1" in everything()._repr_html_()
    assert "2×4×9×9 → 2×3" in everything()._repr_html_()
    assert "nodes" in ComputeGraph([], [])._repr_html_()


# --- there and back -------------------------------------------------------------------------------------------------


def test_networkx_holds_all_of_it():
    graph = everything()
    there = graph.to_networkx()
    assert networkx.is_directed_acyclic_graph(there) and there.graph["name"] == graph.name
    assert there.number_of_edges() == len(graph.edges), "an edge that is there twice stays there twice"
    back = ComputeGraph(
        [Node(**data | {"op": Op(data["op"])}) for _, data in there.nodes(data=True)],
        sorted(((s, t) for s, t in there.edges()), key=lambda edge: edge[1]),
        graph.outputs,
    )
    assert back.nodes == graph.nodes
    for target, sources in enumerate(graph.predecessors()):
        arguments = sorted((data["position"], s) for s, _, data in there.in_edges(target, data=True))
        assert [source for _, source in arguments] == sources


@pytest.mark.parametrize("graph", [everything(), chain(1, outputs=(0,)), ComputeGraph([], [], name="empty")], ids=len)
def test_arrow_there_and_back(graph, tmp_path):
    table = graph.to_arrow()
    assert table.num_rows == len(graph)
    pyarrow.parquet.write_table(table, tmp_path / "graph.parquet")
    for copy in (table, pyarrow.parquet.read_table(tmp_path / "graph.parquet"), table.select(table.column_names[::-1])):
        back = ComputeGraph.from_arrow(copy)
        assert back == graph and back.name == graph.name
    again = ComputeGraph.from_arrow(table)
    assert all(a is b for a, b in zip(again.nodes, back.nodes, strict=True)), "equal nodes are one object"


def test_arrow_keeps_the_order_of_arguments_and_unused_parameters():
    nodes = [Node(Op.INPUT, attrs=(("deep", ((1, 2), (3,))), ("none", None), ("word", "é<")))] * 2 + [Node(Op.SUB)]
    graph = ComputeGraph(nodes, [(1, 2), (0, 2)], (2, 0), "swapped", 11, 44)
    assert ComputeGraph.from_arrow(graph.to_arrow()) == graph


def test_foreign_and_newer_arrow_tables_are_refused():
    table = chain(2).to_arrow()
    header = json.loads(table.schema.metadata[b"nasviz.graph"])
    newer = table.replace_schema_metadata({"nasviz.graph": json.dumps(header | {"version": 99})})
    for wrong, sentence in [
        (pa.table({"a": [1]}), "makes both"),
        (table.drop_columns("inputs"), "makes both"),
        (newer, "format version 99, and this nasviz reads 1"),
        (table.drop_columns(["op", "kernel"]), "lacks the columns kernel, op"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            ComputeGraph.from_arrow(wrong)


# --- the builder and the module say the same ------------------------------------------------------------------------


def test_all_that_the_builder_declares_is_what_tracing_sees():
    graph = everything()
    module = to_module(graph).eval()
    assert nv.trace(module, torch.zeros(2, 4, 9, 9)) == graph
    assert sum(p.numel() for p in module.parameters()) == graph.params
    logits, pooled = module(torch.randn(2, 4, 9, 9))
    assert (logits.shape, pooled.shape) == ((2, 3), (2, 5))


@pytest.mark.parametrize("op", [Op.RELU, Op.RELU6, Op.SILU, Op.SIGMOID, Op.HARD_SIGMOID, Op.HARD_SWISH, Op.ZERO])
def test_tracing_sees_the_activation_that_was_declared(op):
    g = GraphBuilder()
    graph = g.graph(g.unary(op, g.input((1, 2, 3, 3)), name="it"))
    assert nv.trace(to_module(graph), torch.zeros(1, 2, 3, 3)) == graph


STEPS = {
    "conv": lambda g, x, i, name: g.conv(x, 4 + i, 1 + i, stride=1 + i % 2, padding=i, bias=i > 1, name=name),
    "depthwise": lambda g, x, i, name: g.conv(x, g.channels(x), 3, groups=g.channels(x), dilation=1 + i, name=name),
    "bn": lambda g, x, i, name: g.batch_norm(x, affine=i > 0, name=name),
    "relu": lambda g, x, i, name: g.relu(x, name=name),
    "max": lambda g, x, i, name: g.max_pool(x, 3, stride=1 + i % 2, padding=1, name=name),
    "avg": lambda g, x, i, name: g.avg_pool(x, 3, stride=1, padding=1, count_padding=i > 1, name=name),
    "add": lambda g, x, i, name: g.add([x] * (2 + i), name=name),
    "slice": lambda g, x, i, name: g.slice(x, 1, min(i, g.channels(x) - 1), 1, name=name),
    "concat": lambda g, x, i, name: g.concat([x, g.relu(x, name=f"{name}r")], name=name),
    "gate": lambda g, x, i, name: g.mul(x, g.adaptive_avg_pool(x, name=f"{name}p"), name=name),
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(STEPS)), st.integers(0, 3)), max_size=12))
def test_any_network_that_the_builder_makes_is_what_tracing_sees(steps):
    g = GraphBuilder()
    x = g.input((1, 4, 8, 8))
    for number, (step, i) in enumerate(steps):
        x = STEPS[step](g, x, i, f"{step}{number}")
    graph = g.graph(g.linear(g.mean(x, name="pool"), 3, name="head"))
    with torch.device("meta"):
        module = to_module(graph)
    assert nv.trace(module, torch.zeros(1, 4, 8, 8, device="meta")) == graph
    assert sum(p.numel() for p in module.parameters()) == graph.params


@pytest.mark.parametrize("name", ["nb101", "nb201"])
@pytest.mark.parametrize(("scale", "count"), [("digits", 100), ("paper", 5)])
def test_a_familys_graph_is_the_trace_of_its_module(name, scale, count):
    family = nv.families.get(name)
    for arch in family.sample(count, seed=11):
        graph = family.graph(arch, scale)
        with torch.device("meta"):
            module = family.build(arch, scale)
        assert nv.trace(module, torch.zeros(graph.nodes[0].out_shape, device="meta")) == graph, family.format(arch)
        assert graph.name == family.format(arch)


def test_a_module_made_of_a_trace_computes_the_same():
    torch.manual_seed(0)
    original = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.SiLU(), nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=3, bias=False), nn.Hardsigmoid(), nn.AvgPool2d(3, 1, 1),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5),
    )  # fmt: skip
    x = torch.randn(4, 3, 17, 17)
    original(x)  # moves the running statistics away from their start
    copy = to_module(nv.trace(original, x))
    copy.load_state_dict(original.state_dict())
    torch.testing.assert_close(copy.eval()(x), original.eval()(x), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["nb101", "nb201"])
def test_a_familys_module_made_again_of_its_trace_computes_the_same(name):
    family = nv.families.get(name)
    module = family.build(family.sample(1, seed=2)[0], "digits")
    x = torch.randn(3, 1, 8, 8)
    copy = to_module(nv.trace(module, x))
    copy.load_state_dict(module.state_dict())
    torch.testing.assert_close(copy.eval()(x), module.eval()(x), rtol=0, atol=0)


def test_what_cannot_be_built_is_named():
    with pytest.raises(ValueError, match="cannot build the operator 'lstm'"):
        to_module(ComputeGraph([Node(Op.LSTM, "rnn")], []))
    linear = {"in_shape": (1, 4), "out_shape": (1, 4)}
    with pytest.raises(ValueError, match="'twice' is empty or used twice"):
        to_module(ComputeGraph([Node(Op.LINEAR, "twice", **linear)] * 2, [(0, 1)]))
    with pytest.raises(ValueError, match="'' is empty"):
        to_module(ComputeGraph([Node(Op.LINEAR, **linear)], []))


def test_a_node_without_weights_may_share_its_name_or_have_none():
    graph = ComputeGraph(
        [Node(Op.INPUT, out_shape=(2,)), Node(Op.RELU, "act"), Node(Op.SIGMOID, "act"), Node(Op.RELU)],
        [(0, 1), (1, 2), (2, 3)],
        (3,),
    )
    x = torch.tensor([-1.0, 2.0])
    torch.testing.assert_close(to_module(graph)(x), x.relu().sigmoid())


# --- spectra --------------------------------------------------------------------------------------------------------


def expected(graph: ComputeGraph) -> np.ndarray:
    undirected = networkx.Graph(graph.to_networkx().to_undirected(as_view=True))
    return np.sort(networkx.normalized_laplacian_spectrum(undirected, weight=None))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.sets(st.tuples(st.integers(0, 13), st.integers(0, 13))))
def test_eigenvalues_are_those_of_networkx(size, pairs):
    edges = sorted(((s, t) for s, t in pairs if s < t < size), key=lambda edge: edge[1])
    graph = ComputeGraph([Node(Op.RELU)] * size, edges)
    np.testing.assert_allclose(eigenvalues(graph, size), expected(graph), atol=1e-9)


@pytest.mark.parametrize("name", ["nb101", "nb201"])
def test_eigenvalues_of_real_networks(name):
    family = nv.families.get(name)
    graphs = [family.graph(arch, "digits") for arch in family.sample(5, seed=1)]
    found = spectra(graphs, 20)
    assert found.shape == (5, 20)
    for graph, values in zip(graphs, found, strict=True):
        np.testing.assert_allclose(values, expected(graph)[:20], atol=1e-9)
        assert values[0] == pytest.approx(0, abs=1e-9), "a connected graph has one zero, and it is the smallest"
        assert (np.diff(values) >= 0).all() and values.min() >= 0 and values.max() <= 2


def test_a_small_graph_is_padded_with_its_largest_eigenvalue():
    np.testing.assert_allclose(eigenvalues(chain(2), 5), [0, 2, 2, 2, 2], atol=1e-12)
    np.testing.assert_allclose(eigenvalues(chain(3), 4), [0, 1, 2, 2], atol=1e-12)
    np.testing.assert_array_equal(eigenvalues(chain(1), 3), [0, 0, 0])


def test_the_cache_of_spectra_cannot_be_spoilt():
    eigenvalues(chain(3), 3)[:] = 7
    np.testing.assert_allclose(eigenvalues(chain(3), 3), [0, 1, 2], atol=1e-12)
    assert spectra([], 4).shape == (0, 4)


@pytest.mark.parametrize(("graph", "k"), [(ComputeGraph([], []), 3), (chain(2), 0)])
def test_no_eigenvalues_of_nothing(graph, k):
    with pytest.raises(ValueError, match="both numbers must be positive"):
        eigenvalues(graph, k)
