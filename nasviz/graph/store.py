"""Many computation graphs in one Arrow IPC file.

The networks of a family share most of their nodes. So the file holds every different node once, in the metadata of
its schema, and of each graph only which nodes it has and how they are joined.
"""

from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasviz.files import check_version, short
from nasviz.graph.graph import FORMAT_VERSION, ComputeGraph, Node, nodes_from_arrow, nodes_to_arrow
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    import pyarrow


def write_graphs(path: str | Path, graphs: Sequence[ComputeGraph]) -> Path:
    """Write graphs to one Arrow IPC file, in place of what `path` held before.

    Parameters
    ----------
    path : str or Path
        The file; its folder is made if it is missing.
    graphs : sequence of ComputeGraph
        Any number of graphs; their order is kept.

    Returns
    -------
    Path
        `path`.
    """
    return write_table(path, pack(graphs))


def read_graphs(path: str | Path) -> list[ComputeGraph]:
    """The graphs of a file of `write_graphs`; equal nodes are one object, in all graphs.

    The file is mapped into memory, and the edges are views of it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, is none of ours, or was written by a newer version.
    """
    import pyarrow as pa

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r}: there is no such file; write_graphs makes one.")
    try:
        return unpack(map_table(path))
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        told = f"path={str(path)!r} is no readable file of graphs ({short(error)}); write it again."
        raise ValueError(told) from error


def write_table(path: str | Path, table: "pyarrow.Table") -> Path:
    """Write an Arrow table to one IPC file, in place of what `path` held before; `map_table` reads it."""
    import pyarrow as pa

    def writer(beside: Path) -> None:
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)

    return write_atomically(path, writer)


def map_table(path: str | Path) -> "pyarrow.Table":
    """The table in an Arrow IPC file, mapped into memory; Arrow's own errors if there is none."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def pack(graphs: Sequence[ComputeGraph]) -> "pyarrow.Table":
    """Graphs as an Arrow table, one row a graph: the content of the file, and a small parcel between processes.

    Columns: name; nodes, the positions of its nodes in the table of nodes in the metadata; edges, the flattened
    (source, target) pairs; outputs; unused_params; unused_bytes.
    """
    import pyarrow as pa

    position: dict[Node, int] = {}
    by_identity: dict[int, int] = {}  # hashing a node is slow, and most of them are one and the same object
    rows = []
    for graph in graphs:
        row = []
        for node in graph.nodes:
            index = by_identity.get(id(node))
            if index is None:
                index = by_identity[id(node)] = position.setdefault(node, len(position))
            row.append(index)
        rows.append(row)
    columns = [
        [graph.name for graph in graphs],
        _lists(rows),
        _lists([graph.edges.ravel() for graph in graphs]),
        _lists([graph.outputs for graph in graphs]),
        [graph.unused_params for graph in graphs],
        [graph.unused_bytes for graph in graphs],
    ]
    nodes, buffer = nodes_to_arrow(list(position)), pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, nodes.schema) as stream:
        stream.write_table(nodes)
    metadata = {"nasviz.graphs": str(FORMAT_VERSION), "nasviz.nodes": buffer.getvalue().to_pybytes()}
    return pa.table(columns, _schema()).replace_schema_metadata(metadata)


def unpack(table: "pyarrow.Table") -> list[ComputeGraph]:
    """The graphs that `pack` put into a table.

    Raises
    ------
    ValueError
        If the table is none of ours, is damaged, or was made by a newer version.
    """
    return list(StoredGraphs(table))


class StoredGraphs(Sequence[ComputeGraph]):
    """The graphs that `pack` put into a table, each made when it is asked for; equal nodes are one object.

    Parameters
    ----------
    table : pyarrow.Table
        May lie in a file that is mapped into memory; edges are views of it.

    Raises
    ------
    ValueError
        If the table is none of ours, is damaged, or was made by a newer version. A graph that is no graph is told when
        it is asked for.
    """

    def __init__(self, table: "pyarrow.Table"):
        import pyarrow as pa

        metadata = table.schema.metadata or {}
        if not {b"nasviz.graphs", b"nasviz.nodes"} <= metadata.keys() or not table.schema.equals(_schema()):
            raise ValueError("it holds something else")
        version = metadata[b"nasviz.graphs"].decode(errors="replace")
        found = int(version) if version.isdecimal() and len(version) < 9 else version
        check_version(found, FORMAT_VERSION, "it", "write it again")
        node_table = pa.ipc.open_stream(metadata[b"nasviz.nodes"]).read_all()
        node_table.validate(full=True)
        table.validate(full=True)  # of lists of numbers, this looks at the offsets only
        if any(column.null_count for column in table.columns):
            raise ValueError("it has gaps")
        self._nodes = np.array(nodes_from_arrow(node_table), dtype=object)
        self._table = table if table["name"].num_chunks == 1 else table.combine_chunks()
        self._lists = {name: _list_column(self._table[name]) for name in ("nodes", "edges", "outputs")}
        self._counts = [self._table[name].to_numpy() for name in ("unused_params", "unused_bytes")]
        self._rows = np.arange(len(table))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):
        if not isinstance(index, int | np.integer):  # a slice, or an array of positions
            part = copy(self)
            part._rows = self._rows[index]
            return part
        row = self._rows[index]
        nodes, edges, outputs = (values[at[row] : at[row + 1]] for values, at in self._lists.values())
        if len(nodes) and not 0 <= nodes.min() <= nodes.max() < len(self._nodes):
            raise ValueError(f"a graph names nodes outside of the table of {len(self._nodes)} nodes")
        params, size = (column[row] for column in self._counts)
        name = self._table["name"][int(row)].as_py()
        return ComputeGraph(self._nodes[nodes].tolist(), edges, outputs.tolist(), name, params, size)


@lru_cache(maxsize=1)
def _schema() -> "pyarrow.Schema":
    import pyarrow as pa

    numbers = pa.list_(pa.int32())
    types = {
        "name": pa.string(), "nodes": numbers, "edges": numbers, "outputs": numbers,
        "unused_params": pa.int64(), "unused_bytes": pa.int64(),
    }  # fmt: skip
    return pa.schema(list(types.items()))


def _lists(rows: Sequence[Sequence[int]]) -> "pyarrow.ListArray":
    """A list<int32> array; arrays go in without a Python object for each number."""
    import pyarrow as pa

    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    values = np.concatenate([np.empty(0, np.int32), *(np.asarray(row, np.int32) for row in rows)])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _list_column(column: "pyarrow.ChunkedArray") -> tuple[np.ndarray, np.ndarray]:
    """Values and offsets of a list<int32> column of at most one chunk, as views."""
    if not column.num_chunks:
        return np.empty(0, np.int32), np.zeros(1, np.int32)
    return column.chunk(0).values.to_numpy(), column.chunk(0).offsets.to_numpy()
