"""What must hold for any network, table and ranking, tried on random ones; with ``-m slow`` on very many."""

import itertools
import math
from dataclasses import replace
from random import Random

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import ndcg_score

import nasviz as nv
from nasviz.benchmarks.tables import from_table
from nasviz.graph.build import to_module
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.cost import CONVENTIONS, SUMMED
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.store import pack, read_graphs, unpack, write_graphs
from nasviz.predict.metrics import kendall, mae, ndcg, srcc
from nasviz.search.mutation import Parent, mutate
from nasviz.search.shapes import fault, key
from tests.graph.test_graph import STEPS


def tried(quick: int, many: int):
    """A property with the arguments that are given, tried `quick` times, and `many` times with ``-m slow``."""

    def decorate(function):
        def test(count, *fixtures):
            settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))(function)(*fixtures)

        test.__name__, test.__doc__ = function.__name__, function.__doc__
        return pytest.mark.parametrize("count", [quick, pytest.param(many, marks=pytest.mark.slow)])(test)

    return decorate


# --- networks ---------------------------------------------------------------------------------------------------------

steps = st.lists(st.tuples(st.sampled_from(list(STEPS)), st.integers(0, 3)), max_size=10)


def network(parts, name="", channels=4, size=16, classes=3) -> ComputeGraph:
    g = GraphBuilder(name)
    x = g.input((1, channels, size, size))
    for number, (step, i) in enumerate(parts):
        x = STEPS[step](g, x, i, f"{step}{number}")
    return g.graph(g.linear(g.mean(x, name="pool"), classes, name="head"))


@tried(25, 1000)
@given(st.lists(st.tuples(steps, st.text(max_size=12)), min_size=1, max_size=4))
def test_stored_networks_come_back(many):
    graphs = [network(parts, name) for parts, name in many]
    table = pack(graphs)
    for back in (unpack(table), unpack(table.slice(0)), [ComputeGraph.from_arrow(g.to_arrow()) for g in graphs]):
        assert back == graphs and [g.name for g in back] == [g.name for g in graphs]
        assert [nv.cost(g).total for g in back] == [nv.cost(g).total for g in graphs]


def test_a_file_of_no_and_of_one_network_without_a_name(tmp_path):
    for graphs in ([], [network([])]):
        assert read_graphs(write_graphs(tmp_path / "g.arrow", graphs)) == graphs


@tried(25, 1000)
@given(steps, st.sampled_from(list(CONVENTIONS)))
def test_costs_add_up(parts, convention):
    """Over layers; over the two halves of a chain; and times N for a batch of N."""
    graph = network(parts)
    table = nv.cost(graph, convention)
    assert table.total == {name: table.by_layer[name].sum() for name in SUMMED}
    assert table.total["params"] == graph.params == sum(p.numel() for p in to_module(graph).parameters())
    if convention == "standard":
        assert table.total["flops"] == 2 * table.total["macs"] + table.total["other"]
    first = network(parts[:5])
    shape = first.nodes[first.predecessors()[len(first) - 2][0]].out_shape  # what the first half gives to the second
    second = GraphBuilder()
    x = second.input(shape)
    for number, (step, i) in enumerate(parts[5:], 5):
        x = STEPS[step](second, x, i, f"{step}{number}")
    second = second.graph(second.linear(second.mean(x, name="pool"), 3, name="head"))
    if convention != "lesson":  # which looks at the layer before
        ends = nv.cost(first, convention).by_layer.set_index("layer").loc[["pool", "head"], list(SUMMED)].sum()
        halves = [nv.cost(half, convention).total for half in (first, second)]
        assert all(table.total[name] == halves[0][name] - ends[name] + halves[1][name] for name in SUMMED)


@tried(40, 2000)
@given(st.integers(2, 7), st.integers(0, 2**21 - 1), st.lists(st.integers(0, 2), min_size=5, max_size=5), st.randoms())
def test_cells_have_one_hash_if_networkx_says_that_they_are_one(size, bits, ops, random):
    family = nv.families.get("nb101")
    matrix = np.zeros((size, size), int)
    matrix[np.triu_indices(size, 1)] = [bits >> k & 1 for k in range(size * (size - 1) // 2)]
    try:
        cell = family.from_matrix(matrix, ops[: size - 2])
    except ValueError:  # no path, or too many edges
        assume(False)
    matrix, size = np.array(cell.matrix), len(cell.matrix)
    order = [0]  # its vertices in another order that an upper triangular matrix allows
    while len(order) < size:
        free = [v for v in range(size) if v not in order and {*np.flatnonzero(matrix[:, v])} <= {*order}]
        order.append(random.choice(free))
    other = family.from_matrix(matrix[np.ix_(order, order)], [cell.ops[v - 1] for v in order[1:-1]])
    assert other.hash == cell.hash and other.canonical() == cell.canonical()
    for changed in range(size - 2):
        another = replace(cell, ops=tuple((op + (i == changed)) % 3 for i, op in enumerate(cell.ops)))
        same = networkx.is_isomorphic(labelled(cell), labelled(another), node_match=lambda a, b: a == b)
        assert (another.hash == cell.hash) == same


def labelled(cell) -> networkx.DiGraph:
    result = networkx.DiGraph(np.argwhere(cell.matrix).tolist())
    for vertex, label in enumerate(("in", *cell.ops, "out")):
        result.add_node(vertex, label=label)
    return result


# --- children ---------------------------------------------------------------------------------------------------------


@tried(15, 600)
@given(steps, st.integers(0, 10**6), st.booleans())
def test_a_child_of_any_network_is_a_network_of_the_same_input_and_classes(parts, seed, macro):
    graph = network(parts)
    assume(fault(graph) is None)
    parent, rng = Parent.of(graph), Random(seed)
    renamed = ComputeGraph([replace(n, layer=f"other.{n.layer}") for n in graph.nodes], graph.edges, graph.outputs, "x")
    assert key(renamed) == key(graph)
    for _ in range(3):
        try:
            child = mutate(parent, rng, macro=macro)
        except ValueError as error:  # no convolution, and only those may change
            assert not macro and "has no kernels or widths that can be changed" in str(error)
            return
        assert fault(child) is None and key(child) != parent.key
        assert child.nodes[0].out_shape == graph.nodes[0].out_shape
        assert child.nodes[child.outputs[0]].out_shape == graph.nodes[graph.outputs[0]].out_shape
        with torch.device("meta"):
            module = to_module(child)
        traced = nv.trace(module, torch.zeros(1, 4, 16, 16, device="meta"))
        assert traced == child and nv.cost(traced).total == nv.cost(child).total
        parent = Parent(child)


# --- rankings ---------------------------------------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.integers(-30, 30), st.integers(0, 40)), min_size=2, max_size=40)


@tried(50, 3000)
@given(pairs, st.integers(1, 50), st.randoms())
def test_measures_are_those_of_scipy_and_scikit_learn_and_see_the_order_alone(rows, k, random):
    """Ties on both sides included; neither the order of rows nor the scale of scores nor that of accuracy matters."""
    scores, accuracy = (np.array(column, float) for column in zip(*rows, strict=True))
    accuracy /= 40
    varies = np.ptp(scores) > 0 and np.ptp(accuracy) > 0
    by_scipy = [f(scores, accuracy).statistic if varies else math.nan for f in (spearmanr, kendalltau)]
    found = [srcc(scores, accuracy), kendall(scores, accuracy), ndcg(scores, accuracy, k)]
    np.testing.assert_allclose(found[:2], by_scipy, atol=1e-12)
    if np.ptp(accuracy):
        gain = 2 ** (20 * (accuracy - accuracy.min()) / np.ptp(accuracy)) - 1
        assert found[2] == pytest.approx(ndcg_score([gain], [scores], k=k)) and 0 <= found[2] <= 1 + 1e-12
    shuffled = random.sample(range(len(rows)), len(rows))
    rescaled = (np.exp(scores / 9), accuracy), (scores**3 + 5, accuracy / 3 + 0.1)
    for s, a in [(scores[shuffled], accuracy[shuffled]), *rescaled]:
        np.testing.assert_allclose([srcc(s, a), kendall(s, a), ndcg(s, a, k)], found, rtol=1e-9, atol=1e-9)
    turned = [srcc(-scores, accuracy), kendall(-scores, accuracy)]
    np.testing.assert_allclose(turned, [-x for x in found[:2]], atol=1e-12)
    errors = [abs(s - a) for s, a in zip(scores, accuracy, strict=True)]
    assert mae(scores, accuracy) == pytest.approx(sum(errors) / len(rows))


@tried(5, 100)
@given(st.lists(st.integers(0, 1000), min_size=25, max_size=40), st.integers(1, 8))
def test_regret_falls_from_query_to_query(values, queries):
    """Of a random search it is the best of the table minus the best of what was looked up."""
    family = nv.families.get("hiaml")
    archs = [family.format(arch) for arch in family.sample(len(values), seed=0)]
    bench = from_table(pd.DataFrame({"family": "hiaml", "arch": archs, "accuracy": np.array(values) / 1000}))
    found = nv.search.trajectories(bench, methods=["random"], queries=queries, seeds=2, progress=False)
    accuracy = bench.table.accuracy
    falls = found.sort_values("queries").groupby("seed").regret.diff().dropna()
    assert (found.regret >= 0).all() and (falls <= 0).all()
    np.testing.assert_allclose(found.regret, accuracy.max() - found["best"])
    assert {*found["best"].round(9)} <= {*accuracy.round(9)}


# --- tables -----------------------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
odd = [None, math.nan, math.inf, -math.inf, 0, -0.0, 1e-300, 1e300, 2**53 + 1, "", "NA", 'ü,"x"', True]
cells = st.sampled_from(odd)


@tried(40, 1500)
@given(st.integers(0, 25).flatmap(lambda n: st.tuples(
    st.just(n), st.dictionaries(names, st.lists(cells, min_size=n, max_size=n), max_size=3),
    st.lists(st.floats(0, 1), min_size=n, max_size=n), st.sampled_from(["parquet", "csv", "frame"]))))  # fmt: skip
def test_a_table_with_odd_columns_comes_back_or_is_refused(drawn):
    """Other columns are kept as they are; what refuses them is a sentence."""
    count, others, accuracy, kind = drawn
    family = nv.families.get("hiaml")
    archs = [family.format(arch) for arch in itertools.islice(family.sample(25, seed=1), count)]
    frame = pd.DataFrame({"family": "hiaml", "arch": archs, "accuracy": accuracy, **others})
    refusals = count == 0 or {"family", "arch", "accuracy"} & others.keys()
    try:
        bench = from_table(frame)
    except ValueError as error:
        assert refusals and "\n" not in str(error)
        return
    assert count > 0
    assert bench.table.columns.tolist()[:3] == ["family", "arch", "accuracy"] and len(bench) == count
    pd.testing.assert_frame_equal(bench.table, frame[bench.table.columns])
    again = from_table(bench.table.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(again.table.sort_values("arch", ignore_index=True),
                                  bench.table.sort_values("arch", ignore_index=True))  # fmt: skip
    percent = from_table(frame.assign(accuracy=100 * frame.accuracy), percent=True) if max(accuracy) > 0.01 else bench
    np.testing.assert_allclose(percent.table.accuracy, bench.table.accuracy, atol=1e-15)


@tried(25, 500)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.lists(st.sampled_from([0.5, 0.5, 0.5, math.nan, math.inf, -0.1, 1.1, None]), min_size=20, max_size=20),
)
def test_a_table_is_taken_if_its_rows_differ_and_its_accuracies_are_fractions(rows, accuracy):
    family = nv.families.get("hiaml")
    archs = [family.format(arch) for arch in family.sample(10, seed=1)]
    frame = pd.DataFrame({"arch": [archs[row] for row in rows], "accuracy": accuracy[: len(rows)]})
    sound = len(set(rows)) == len(rows) and all(value == 0.5 for value in accuracy[: len(rows)])
    if sound:
        assert from_table(frame, "hiaml").table.accuracy.eq(0.5).all()
    else:
        with pytest.raises(ValueError, match=r"row \d+|rows \d+ and \d+"):
            from_table(frame, "hiaml")
