"""Files of many graphs: there and back, shared nodes, and files that are none of ours."""

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nasviz as nv
from nasviz.graph import ComputeGraph, Node, Op
from nasviz.graph.store import pack, read_graphs, unpack, write_graphs


@pytest.fixture(scope="module")
def graphs() -> list[ComputeGraph]:
    """Networks of two families, one with odd attributes, one without edges, and one without anything."""
    result = []
    for name in ("nb101", "nb201"):
        family = nv.families.get(name)
        result += [family.graph(arch, "digits") for arch in family.sample(15, seed=1)]
    odd = Node(Op.SLICE, "a.é", (1, 2), (3,), attrs=(("index", ((0, None), (1, "x"))), ("low", float("-inf"))))
    result.append(ComputeGraph([odd, odd, Node(Op.ADD)], [(1, 2), (0, 2), (0, 2)], (2, 0), "odd <&>", 7, 28))
    return [*result, ComputeGraph([Node(Op.INPUT)], [], (0,)), ComputeGraph([], [], name="nothing")]


@pytest.fixture(scope="module")
def written(graphs, tmp_path_factory) -> bytes:
    return write_graphs(tmp_path_factory.mktemp("store") / "graphs.arrow", graphs).read_bytes()


def test_there_and_back(graphs, tmp_path):
    path = tmp_path / "new" / "graphs.arrow"
    assert write_graphs(path, graphs) == path
    back = read_graphs(str(path))
    assert back == graphs
    assert [graph.name for graph in back] == [graph.name for graph in graphs]
    assert os.listdir(path.parent) == [path.name], "nothing is left beside it"


def test_equal_nodes_are_one_object(graphs, tmp_path):
    twins = [ComputeGraph([Node(Op.RELU, "new")], []) for _ in range(2)]
    back = read_graphs(write_graphs(tmp_path / "g.arrow", [*graphs, *twins]))
    nodes = [node for graph in back for node in graph.nodes]
    assert len({id(node) for node in nodes}) == len(set(nodes))
    assert back[-1].nodes[0] is back[-2].nodes[0]


def test_no_graphs(tmp_path):
    assert read_graphs(write_graphs(tmp_path / "none.arrow", [])) == []


def test_an_old_file_is_replaced_while_it_is_in_use(graphs, tmp_path):
    path = write_graphs(tmp_path / "g.arrow", graphs[:3])
    first = read_graphs(path)
    write_graphs(path, graphs[3:6])
    assert first == graphs[:3] and read_graphs(path) == graphs[3:6]


def test_a_graph_takes_four_bytes_a_node_and_eight_an_edge(graphs):
    table = pack(graphs)
    per_graph = 3 * 4 + 2 * 8 + 4  # three offsets of lists, two counts, the offset of the name
    used = sum(4 * len(g) + 8 * len(g.edges) + 4 * len(g.outputs) + len(g.name.encode()) + per_graph for g in graphs)
    assert used <= table.nbytes <= used + 64
    nodes = pa.ipc.open_stream(table.schema.metadata[b"nasviz.nodes"]).read_all()
    assert nodes.num_rows == len({node for graph in graphs for node in graph.nodes}) < sum(map(len, graphs)) / 2


def test_a_parcel_survives_slicing_and_joining_of_chunks(graphs):
    table = pack(graphs)
    assert unpack(table.slice(4, 9)) == graphs[4:13]
    assert unpack(pa.concat_tables([table.slice(0, 5), table.slice(5)])) == graphs


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file; write_graphs makes one"):
        read_graphs(tmp_path / "none.arrow")


def foreign() -> bytes:
    sink, table = pa.BufferOutputStream(), pa.table({"name": ["a"]})
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"family,arch\nnb101,2:1:\n", bytes(10_000), foreign()], ids=len)
def test_a_foreign_file(content, tmp_path):
    path = tmp_path / "g.arrow"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"g.arrow' is no readable file of graphs \(.+\); write it again"):
        read_graphs(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file(share, written, tmp_path):
    path = tmp_path / "g.arrow"
    path.write_bytes(written[: int(share * len(written))])
    with pytest.raises(ValueError, match="no readable file of graphs"):
        read_graphs(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_still_holds_graphs(written, tmp_path_factory, data):
    content = bytearray(written)
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.arrow"
    path.write_bytes(content)
    try:
        graphs = read_graphs(path)
    except ValueError as error:
        assert "no readable file of graphs" in str(error)
    else:
        assert all(isinstance(graph, ComputeGraph) for graph in graphs)


def test_a_newer_version_and_wrong_nodes_are_named(graphs):
    table = pack(graphs[:2])
    newer = table.replace_schema_metadata(table.schema.metadata | {b"nasviz.graphs": b"99"})
    with pytest.raises(ValueError, match="it has format version 99, and this nasviz reads 1"):
        unpack(newer)
    few = table.replace_schema_metadata(pack([graphs[-2]]).schema.metadata)
    with pytest.raises(ValueError, match="names nodes outside of the table of 1 nodes"):
        unpack(few)
    holes = table.set_column(0, table.schema.field(0), pa.nulls(2, pa.string()))
    with pytest.raises(ValueError, match="it has gaps"):
        unpack(holes)


def test_edges_read_cannot_be_changed(graphs, tmp_path):
    back = read_graphs(write_graphs(tmp_path / "g.arrow", graphs[:1]))
    with pytest.raises(ValueError, match="read-only"):
        back[0].edges[0, 0] = 1
    assert back[0].edges.dtype == np.int32
