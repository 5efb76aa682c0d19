"""GENNAPE's files: published graphs come back node by node; what is damaged or hostile is told in a sentence."""

import json
import pickle
from collections import Counter

import numpy as np
import pytest

import nasviz as nv
from nasviz.benchmarks.gennape import read_cache, read_gennape
from nasviz.benchmarks.gennape_graphs import OPERATORS, published_graph
from nasviz.graph.cost import macs
from nasviz.graph.ops import Op
from nasviz.predict.tensors import to_data
from tests.benchmarks.gennape_writer import CODES, Genotype, as_objects, instance, publish, register_classes
from tests.benchmarks.hostile import LFS, PAGE, PROTO, damaged, harmless_giants, name, payloads, refuses, survives, text


@pytest.fixture
def classes(monkeypatch):
    return register_classes(monkeypatch)


def cell_config(cell):
    labels = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
    return (["input", *(labels[op] for op in cell.ops), "output"], np.array(cell.matrix))


def four_d(shape):
    return (*shape, 1, 1)[:4]


def check_same(read, graph):
    """`read` is what was published of `graph`, which has every parallel edge once."""
    edges = {(source, target) for source, target in graph.edges.tolist()}
    assert len(read) == len(graph) and len(read.edges) == len(edges)
    assert {(source, target) for source, target in read.edges.tolist()} == edges
    for node, original in zip(read.nodes, graph.nodes, strict=True):
        assert node.op == (original.op if CODES[original.op.value] else Op.UNKNOWN)
        for field in ("kernel", "stride", "groups", "bias", "params", "size_bytes"):
            if original.op is not Op.BATCH_NORM or field != "bias":
                assert getattr(node, field) == getattr(original, field), (field, original)
        assert node.layer == original.layer and four_d(node.out_shape) == four_d(original.out_shape)
        if original.op is Op.LINEAR:
            assert macs(node) == macs(original) and node.weight_shape == original.weight_shape
        assert not original.in_shape or four_d(node.in_shape) == four_d(original.in_shape)
    assert read.params == graph.params and [read.nodes[i].out_shape[1] for i in read.outputs] == [10]


@pytest.mark.parametrize("family", ["nb101", "nb201"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_cache_gives_its_own_graphs(tmp_path, classes, family, protocol):
    fam = nv.families.get(family)
    archs = fam.sample(12, seed=3) if family == "nb101" else fam.sample(12, seed=3, none=False)
    originals = [fam.graph(arch) for arch in archs]
    inputs = ((0,), (0,), (1,), (0,), (1,), (2, 3))
    entries = [
        {
            "compute graph": as_objects(publish(graph, f"{family.upper()}-Net{i}"), classes),
            "acc": np.float64(0.9 + i / 1000), "flops": 0.5,
            "original config": cell_config(arch) if family == "nb101" else (list(arch), inputs),
            **({"n_params": graph.params} if family == "nb101" else {}),
        }
        for i, (arch, graph) in enumerate(zip(archs, originals, strict=True))
    ]  # fmt: skip
    path = tmp_path / f"gpi_{family}_comp_graph_cache.pkl"
    path.write_bytes(pickle.dumps(entries, protocol))
    bench = nv.benchmarks.load("gennape", path, progress=False)
    assert bench.table.arch.tolist() == [fam.format(arch) for arch in archs] and bench.families == [family]
    assert bench.table.accuracy.tolist() == [0.9 + i / 1000 for i in range(12)]
    assert ("n_params" in bench.table) == (family == "nb101") and bench.table.flops.tolist() == [0.5] * 12
    assert bench.card["min_accuracy"] == {"nb101": 0.8}.get(family, 0.0)
    for read, graph in zip(bench.graphs(), originals, strict=True):
        check_same(read, graph)
    assert bench.subset([3]).graphs() == bench.graphs()[3:4]
    assert read_gennape(path, own_graphs=False, progress=False).graphs() == originals


def test_the_data_set_is_that_of_the_graphs(tmp_path, classes):
    fam = nv.families.get("nb201")
    arch = fam.sample(1, seed=0, none=False)[0]
    entry = {"acc": 0.5, "flops": 1.0, "original config": (list(arch), ())}
    graphs = [
        as_objects(publish(fam.graph(arch, scale), "NB201-Net0"), classes) for scale in ("cifar100", "imagenet16")
    ]
    entries = [{**entry, "compute graph": graph} for graph in graphs]
    for entry, scale in zip(entries, ("cifar100", "imagenet16"), strict=True):
        (tmp_path / "cache.pkl").write_bytes(pickle.dumps([entry]))
        assert read_gennape(tmp_path / "cache.pkl", progress=False).scale == scale
    refuses(read_gennape, tmp_path / "cache.pkl", pickle.dumps(entries), "different data sets.*cifar100, imagenet16")


def test_json_of_every_macro_family(tmp_path, classes):
    ops = {"op_names": ["conv3x3"], "op_types": ["conv"]}
    paths = {"path1": [ops, ops], "path2": [ops, ops], "path1_reduce_inds": [0, 1], "path2_reduce_inds": [0, 1]}
    for family, config, title in [
        ("hiaml", ["hiaml_a22", "hiaml_b23", "hiaml_j30", "hiaml_z"], "HiAMLNet7"),
        ("two_path", paths, "TwoPathNet7"),
    ]:
        graph = nv.families.get(family).graph(nv.families.get(family).from_config(config))
        content = {"0": {"net_config": config, "perfs": [91.0, 92.5], "max_perf": 92.5, "cg": publish(graph, title)}}
        path = tmp_path / f"gpi_test_{family}_cifar10_labelled_cg_data.json"
        path.write_text(json.dumps({**content, "9": content["0"]}))
        bench = read_gennape(path, progress=False)
        check_same(bench.graphs()[0], graph)
        assert bench.table.accuracy.tolist() == [0.925] and bench.families == [family]
        assert "1 further networks of the same architectures are left out" in bench.card["note"]
        path.write_text(json.dumps({"0": content["0"] | {"cg": publish(graph, "")}}))
        assert read_gennape(path, progress=False).families == [family], "the file's name says it"


def test_a_genotype_may_come_from_any_module(tmp_path, classes):
    family = nv.families.get("nb301")
    arch = family.sample(1, seed=1)[0]
    graph = family.graph(arch, "gennape")
    for concat in (range(2, 6), [2, 3, 4, 5]):
        config = Genotype(list(arch.normal), concat, list(arch.reduce), concat)
        entry = {"compute graph": as_objects(publish(graph, "NB301-Net5"), classes), "acc": 0.94, "n_params": 7}
        (tmp_path / "cache.pkl").write_bytes(pickle.dumps([{**entry, "original config": config}]))
        bench = read_gennape(tmp_path / "cache.pkl", progress=False)
        assert bench.table.arch.tolist() == [family.format(arch)] and bench.scale == "paper"
        check_same(bench.graphs()[0], graph)
        config = config._replace(normal_concat=[2, 3])
        refuses(read_cache, tmp_path / "a", pickle.dumps([{**entry, "original config": config}]), "the nodes 2 to 5")


def test_a_configuration_of_instances(tmp_path, classes):
    path = {"ops": ["conv3x3"], "op_types": ["conv"], "C_internal": 32, "C_out": 32}
    stages = [
        {"block": instance(classes["BlockConfig"], paths=[path | {"C_internal": width, "C_out": width}]), "n_blocks": 2,
         "C_in": 32, "C_out": width, "stride": 1} for width in (32, 64, 128)
    ]  # fmt: skip
    family = nv.families.get("inception")
    arch = family.parse("2*c3@32|2*c3@64|2*c3@128")
    graph = as_objects(publish(family.graph(arch), "InceptionNet0"), classes)
    entry = {"compute graph": graph, "original config": instance(classes["NetConfig"], stages=stages)}
    (tmp_path / "cache.pkl").write_bytes(pickle.dumps([entry]))
    table, graphs = read_cache(tmp_path / "cache.pkl")
    assert table.arch.tolist() == [family.format(arch)] and table.accuracy.isna().all()
    check_same(graphs[0], family.graph(arch))
    with pytest.raises(ValueError, match="networks without an accuracy; nasviz.benchmarks.gennape.read_cache"):
        read_gennape(tmp_path / "cache.pkl", progress=False)


@pytest.fixture
def state():
    """A small published graph: input, conv, depthwise, batch norm, pool, global pool, dense, output."""
    rows = [
        ("5|a/conv2d", 3, [8, 4, 8, 4, 3, 6], [3, 6, 5, 3], {"use_bias": True, "padding": "same"}),
        ("6|a/depthwise", 4, [4, 4, 4, 4, 6, 6], [6, 1, 3, 3], {"dilations": [1, 2, 2, 1]}),
        ("20|a/matmul", 8, [1, 1, 1, 1, 6, 10], [6, 10, 0, 0], {"use_bias": True}),
        ("1|input", 1, [8, 8, 8, 8, 3, 3], None, None),
        ("7|a/fusedbatchnorm", 5, [4, 4, 4, 4, 6, 6], None, None),
        ("8|a/maxpool", 12, [4, 2, 4, 2, 6, 6], None, {"ksize": [1, 2, 2, 1]}),
        ("9|a/global_pool", 24, [2, 1, 2, 1, 6, 6], None, {"ksize": []}),
        ("21|output", 2, [1, 1, 1, 1, 10, 10], None, None),
    ]
    nodes = [
        {"str_id": key, "label": "", "op_type_idx": code, "resolution": size, "metadata": metadata,
         "strides": [1, 2, 2, 1] if code in (3, 12) else None} | ({"shape": shape} if shape else {})
        for key, code, size, shape, metadata in rows
    ]  # fmt: skip
    edges = [[0, 1], [1, 4], [2, 7], [3, 0], [4, 5], [5, 6], [6, 2]]
    return {"name": "NB101-Net0", "edge_pairs": edges, "weighted_nodes": nodes[:3], "regular_nodes": nodes[3:]}


@pytest.mark.parametrize(
    ("family", "title", "block"), [("proxyless", "OFA-PN-Net3", "mbconv2"), ("ofa_mbv3", "OFA-MBV3-Net12", "mbconv3")]
)
def test_mobile_networks_of_one_cache(tmp_path, state, family, title, block):
    fam, state["name"] = nv.families.get(family), title
    arch = fam.sample(1, seed=5)[0]
    stages = [[f"{block}_e{expand}_k{kernel}" for expand, kernel in stage] for stage in arch]
    entry = {"cg": state, "net_config": [224, stages], "max_perf": 75.0}
    assert survives(read_gennape, tmp_path / "gpi_ofa.json", json.dumps({"0": entry}).encode()) is None
    table = read_gennape(tmp_path / "gpi_ofa.json", progress=False).table
    assert table[["family", "arch", "resolution"]].to_numpy().tolist() == [[family, fam.format(arch), 8]]
    entry["net_config"] = [224, stages[:2]]
    refuses(read_cache, tmp_path / "gpi_ofa.json", json.dumps({"0": entry}).encode(), f"not one of {family} .*2 stages")


def test_residual_networks(tmp_path, state):
    fam, state["name"] = nv.families.get("ofa_resnet"), "OFA-ResNet4"
    config = {"d": [2, 0, 0, 1, 2], "e": [0.2] * 18, "w": [0, 0, 1, 2, 0, 1]}
    entry = {"cg": state, "net_config": [192, config], "max_perf": 77.0}
    assert survives(read_gennape, tmp_path / "gpi_ofa_resnet.json", json.dumps({"0": entry}).encode()) is None
    table = read_gennape(tmp_path / "gpi_ofa_resnet.json", progress=False).table
    assert table.arch.tolist() == [fam.format(fam.from_config(config))]


def test_what_was_read_can_be_kept(tmp_path, state):
    entry = {"cg": state, "net_config": [["input", "output"], [[0, 1], [0, 0]]], "max_perf": 90.0}
    (tmp_path / "data.json").write_text(json.dumps({"0": entry}))
    bench = read_gennape(tmp_path / "data.json", progress=False)
    kept = nv.benchmarks.load("gennape", nv.benchmarks.save(bench, tmp_path / "kept.arrow"))
    assert kept.graphs() == bench.graphs() == [published_graph(state)] and kept.table.equals(bench.table)


def test_parameters_kernels_and_biases(state):
    graph = published_graph(state)
    assert [node.op for node in graph.nodes] == [
        Op.INPUT, Op.CONV, Op.CONV, Op.BATCH_NORM, Op.MAX_POOL, Op.ADAPTIVE_AVG_POOL, Op.LINEAR, Op.RESHAPE,
    ]  # fmt: skip
    assert [node.params for node in graph.nodes] == [0, 3 * 6 * 15 + 6, 6 * 9, 12, 0, 0, 70, 0]
    assert [node.kernel for node in graph.nodes[1:6]] == [(5, 3), (3, 3), (), (2, 2), ()]
    assert [node.stride for node in graph.nodes[1:6]] == [(2, 2), (1, 1), (), (2, 2), ()]
    conv, depthwise = graph.nodes[1:3]
    assert conv.weight_shape == (6, 3, 5, 3) and conv.bias and conv.get("padding") == "same"
    assert depthwise.is_depthwise and depthwise.groups == 6 and depthwise.get("dilation") == (2, 2)
    assert graph.nodes[-1].get("function") == "output" and graph.outputs == (7,)
    assert (graph.edges == [[i, i + 1] for i in range(7)]).all() and graph.name == "NB101-Net0"


def test_a_depthwise_multiplier_and_groups(state):
    state["weighted_nodes"][1].update(shape=[6, 2, 3, 3], resolution=[4, 4, 4, 4, 6, 12], metadata={"use_bias": True})
    state["weighted_nodes"][0].update(shape=[1, 6, 5, 3])
    conv, depthwise = published_graph(state).nodes[1:3]
    assert depthwise.params == 12 * 9 + 12 and depthwise.weight_shape == (12, 1, 3, 3)
    assert conv.groups == 3 and conv.params == 6 * 15 + 6


def test_the_vocabulary_is_the_published_one():
    assert len(OPERATORS) == 32 and [OPERATORS[i][0] for i in (0, 8, 17, 26, 31)] == [
        "<oov>", "matmul", "gelu", "zero", "reserved5",
    ]  # fmt: skip


def test_every_operator_can_be_read_and_counted(state):
    for weighted in (True, False):
        for code in range(32):
            nodes = state["weighted_nodes" if weighted else "regular_nodes"]
            nodes[1]["op_type_idx"] = code
            graph = published_graph(state)
            nv.cost(graph)
            to_data(graph)


def deep(state, path, value):
    for key in path[:-1]:
        state = state[key]
    state[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["edge_pairs"], [[0, 8]], "joins nodes 0 and 8, and there are 8"),
        (["edge_pairs"], [[-1, 2]], "its edge must be whole numbers from 0 on"),
        (["edge_pairs"], [[0, 1, 2]], "its edge must be a list of 2 numbers"),
        (["edge_pairs"], [[0, 1], [0, 1]], "stands there twice"),
        (["edge_pairs"], [[0, 1], [1, 4], [4, 0]], "run in a circle"),
        (["edge_pairs"], [[1, 1]], "run in a circle"),
        (["edge_pairs"], None, "no list of edge_pairs"),
        (["n_weighted_nodes"], 4, "has 3 weighted nodes and claims another number"),
        (["name"], 7, "its name is no text"),
        (["name"], "\ud800", "its name is no text"),
        (["weighted_nodes"], {}, "no list of weighted_nodes"),
        (["weighted_nodes", 0], [], "node 0 of the graph: it holds list where an object belongs"),
        (["weighted_nodes", 0, "op_type_idx"], 32, "op_type_idx must be a number from 0 to 31"),
        (["weighted_nodes", 0, "op_type_idx"], True, "op_type_idx must be"),
        (["weighted_nodes", 0, "shape"], [3, 6, 0, 0], "its shape is none of a kernel"),
        (["weighted_nodes", 0, "shape"], None, "its shape must be a list of 4"),
        (["weighted_nodes", 0, "strides"], [1, 2], "its strides must be a list of 4"),
        (["weighted_nodes", 0, "resolution"], [8, 8, 8, 8, 3], "node 0 .* its resolution must be a list of 6"),
        (["weighted_nodes", 0, "resolution"], [8, 8, 8, 8, 3, 0], "its resolution must be whole numbers from 1 on"),
        (["weighted_nodes", 0, "resolution"], [8, 8, 8, 8, 3, 1 << 40], "its resolution must be"),
        (["weighted_nodes", 0, "resolution"], [8, 8, 8, 8, 3, 2.5], "its resolution must be"),
        (["weighted_nodes", 0, "metadata"], "same", "it holds str where an object belongs"),
        (["regular_nodes", 0, "str_id"], "input", "node 3 .* str_id must begin with a number"),
        (["regular_nodes", 0, "str_id"], None, "its str_id is no text"),
        (["regular_nodes", 2, "metadata", "ksize"], [2], "its ksize must be a list of 4"),
    ],
)
def test_a_damaged_graph_is_a_sentence(tmp_path, state, path, value, sentence):
    deep(state, path, value)
    with pytest.raises(ValueError, match=sentence):
        published_graph(state)
    content = json.dumps({"0": {"cg": state, "net_config": [["input", "output"], [[0, 1], [0, 0]]], "max_perf": 90}})
    refuses(read_gennape, tmp_path / "data.json", content.encode(), "network 0: ")


def test_a_graph_without_nodes(state):
    with pytest.raises(ValueError, match="no nodes"):
        published_graph({"name": "", "edge_pairs": [], "weighted_nodes": [], "regular_nodes": []})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"net_config": [["input", "output"], [[0, 0], [0, 0]]]}, "not one of nb101 .*no path from the input"),
        ({"net_config": [["input", "conv", "output"], [[0, 1], [0, 0]]]}, "not one of nb101"),
        ({"net_config": [[]]}, "not one of nb101"),
        ({"net_config": None}, "not one of nb101"),
        ({"net_config": [["x" * 150] * 3, [[0, 1], [0, 0]]]}, "not one of nb101"),
        ({"net_config": [[0] * 6_000]}, "it is too large"),
        ({"max_perf": "90"}, "its max_perf must be a number from 0 to 100"),
        ({"max_perf": float("nan")}, "its max_perf must be"),
        ({"max_perf": 100.5}, "its max_perf must be"),
        ({"max_perf": None}, "networks without an accuracy"),
        ({"cg": None}, "it holds NoneType where an object belongs"),
    ],
)
def test_a_damaged_record_is_a_sentence(tmp_path, state, change, sentence):
    entry = {"cg": state, "net_config": [["input", "output"], [[0, 1], [0, 0]]], "max_perf": 90.0}
    assert survives(read_gennape, tmp_path / "data.json", json.dumps({"0": entry}).encode()) is None
    refuses(read_gennape, tmp_path / "data.json", json.dumps({"0": entry | change}).encode(), sentence)


def test_a_family_must_be_named(tmp_path, state):
    state["name"] = "Net0"
    refuses(
        read_gennape, tmp_path / "data.json", json.dumps({"0": {"cg": state}}).encode(), "'Net0' nor .* says its fam"
    )


@pytest.mark.parametrize(
    "content",
    [b"", LFS, PAGE, b"not data", b"{}", b"[]", b'{"0": 1}', b"\x80", b"\x80\x04].", b"\x80\x04N.", b"[" * 99999],
)
@pytest.mark.parametrize("ending", ["pkl", "json"])
def test_what_is_no_data_is_a_sentence(tmp_path, content, ending):
    refuses(read_gennape, tmp_path / f"gpi_nb101_comp_graph_cache.{ending}", content)


def test_nothing_hostile_is_run(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "gpi_nb101_comp_graph_cache.pkl"
    for key, data in (payloads(marker) | harmless_giants()).items():
        inner = data.removeprefix(PROTO).removesuffix(b".")
        for content in (data, *giants_inside(inner)) if data.startswith(PROTO) else [data]:
            refuses(read_gennape, path, content)
        assert not marker.exists(), key


def giants_inside(value):
    """A value as a network's graph, and as its configuration behind a graph that can be read."""
    node = "model_src.comp_graph.tf_comp_graph"
    yield PROTO + b"]}" + text("compute graph") + value + b"sa."
    regular = name(node, "RegularNode") + b")\x81}(" + text("str_id") + text("1|input") + text("op_type_idx") + b"K\x01"
    regular += text("resolution") + b"(" + b"K\x01" * 6 + b"tub"
    graph = name(node, "ComputeGraph") + b")\x81}(" + text("name") + text("NB101") + text("weighted_nodes") + b"]"
    graph += text("regular_nodes") + b"]" + regular + b"a" + text("edge_pairs") + b"]ub"
    yield PROTO + b"]}(" + text("compute graph") + graph + text("original config") + value + b"ua."


@pytest.mark.parametrize("protocol", [2, 4])
def test_damage_is_a_sentence_or_a_table(tmp_path, classes, state, protocol):
    config = (["input", "output"], np.array([[0, 1], [0, 0]]))
    whole = pickle.dumps(
        [{"compute graph": as_objects(state, classes), "acc": np.float64(0.9), "original config": config}], protocol
    )
    path = tmp_path / "gpi_nb101_comp_graph_cache.pkl"
    assert survives(read_gennape, path, whole) is None
    found = [survives(read_gennape, path, broken) for broken in damaged(whole, 13)]
    assert all(error is not None for error in found[::3]), "a file that is cut off was read"
    assert sum(error is not None for error in found) > len(found) / 2


PUBLISHED = {  # of the graphs that the authors' builder makes
    "gpi_nb101_comp_graph_cache.pkl": ("2:1:", 36, 35),
    "gpi_nb201c10_comp_graph_cache.pkl": (
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", 21, 22,
    ),
    "gpi_test_hiaml_cifar10_labelled_cg_data.json": ("a22,b23,j30,z", 101, 108),
    "gpi_test_two_path_cifar10_labelled_cg_data.json": ("ap3-c5*,r4k3-c5-c3*|c3*,d3-e2k1-is5*", 49, 49),
    "two_path_1_comp_graph_cache.pkl": ("ap3-c5*,r4k3-c5-c3*|c3*,d3-e2k1-is5*", 49, 49),
}  # fmt: skip


@pytest.mark.parametrize("file", PUBLISHED)
def test_files_written_by_the_authors_code(fixtures, tmp_path, file):
    arch, nodes, edges = PUBLISHED[file]
    table, (graph,) = read_cache(fixtures / file)
    assert table.arch.tolist() == [arch] and (len(graph), len(graph.edges)) == (nodes, edges)
    assert [graph.nodes[i].get("function") for i in graph.outputs] == ["output"]
    counted = Counter(node.op for node in graph.nodes)
    assert counted[Op.INPUT] == counted[Op.LINEAR] == 1 and not counted[Op.UNKNOWN]
    family = nv.families.get(table.family[0])
    if table.family[0] != "nb201":  # whose published networks have other reduction cells
        assert graph.params == family.graph(family.parse(arch)).params
    whole = (fixtures / file).read_bytes()
    for broken in damaged(whole, len(whole) // 40):
        survives(read_cache, tmp_path / file, broken)
