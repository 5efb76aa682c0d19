"""`ComputeGraph`: a network as inert data, one node for each primitive operator (GENNAPE, AAAI-23, Figure 4)."""

import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from nasviz.files import check_version, short
from nasviz.graph.ops import Op

if TYPE_CHECKING:
    import networkx
    import pyarrow

FORMAT_VERSION = 1


class _KeepsHash:
    """Where a node keeps its hash, which tables keyed by nodes ask for again and again."""

    __slots__ = ("_hash",)


@dataclass(frozen=True, slots=True)
class Node(_KeepsHash):
    """One call of a primitive operator.

    Attributes
    ----------
    op : Op
        The operator.
    layer : str
        Dotted name of the module that makes the call; empty for the root module and for inputs.
    in_shape, out_shape : tuple of int
        Complete shapes (N, C, H, W) of the first tensor read and of the first tensor made.
    kernel, stride : tuple of int
        Window of a convolution or a pooling, one entry a spatial dimension; empty elsewhere.
    groups : int
        Groups of a convolution or a group norm.
    bias : bool
        Whether the operator adds a bias; for a norm, whether it is affine.
    params : int
        Parameters that this call is the first to use, so that the sum over nodes counts shared ones once.
    size_bytes : int
        Memory of those parameters.
    attrs : tuple of (str, value)
        What else distinguishes the call (padding, dilation, ...), sorted by name; values are plain and hashable.
    """

    op: Op
    layer: str = ""
    in_shape: tuple[int, ...] = ()
    out_shape: tuple[int, ...] = ()
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    groups: int = 1
    bias: bool = False
    params: int = 0
    size_bytes: int = 0
    attrs: tuple[tuple[str, Any], ...] = ()

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash(tuple(getattr(self, name) for name in Node.__slots__)))
            return self._hash

    def get(self, name: str, default: Any = None) -> Any:
        """Value of the attribute `name`, or `default`."""
        return next((value for key, value in self.attrs if key == name), default)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight of a convolution (C_out, C_in / groups, *kernel) or linear layer (out, in); else ()."""
        channels = -len(self.kernel) - 1  # counted from the end, as the batch may be missing
        if self.op is Op.CONV:
            return (self.out_shape[channels], self.in_shape[channels] // self.groups, *self.kernel)
        if self.op is Op.CONV_TRANSPOSE:
            return (self.in_shape[channels], self.out_shape[channels] // self.groups, *self.kernel)
        if self.op is Op.LINEAR:
            return (self.out_shape[-1], self.in_shape[-1])
        return ()

    @property
    def is_depthwise(self) -> bool:
        """Whether this is a convolution with groups = input channels = output channels."""
        if self.op is not Op.CONV:
            return False
        channels = -len(self.kernel) - 1
        return self.groups == self.in_shape[channels] == self.out_shape[channels]


@lru_cache(maxsize=1 << 18)
def shared_node(*fields: Any) -> Node:
    """The `Node` with these fields, one object for equal fields: 20,000 cells of a family share most of theirs."""
    return Node(*fields)


class ComputeGraph:
    """A network's forward pass: nodes in topological order and the directed edges between them.

    Parameters
    ----------
    nodes : sequence of Node
        In topological order.
    edges : array-like of int, shape (E, 2)
        (source, target) node indices, sorted by target, then by the position of the argument.
    outputs : sequence of int
        Nodes whose results the network returns.
    name : str
        What to call the network on screen.
    unused_params, unused_bytes : int
        Parameters, and their memory, that no node uses.

    Raises
    ------
    ValueError
        If an edge names a node that does not exist, runs backwards, or edges are not sorted by target.
    """

    __slots__ = ("edges", "name", "nodes", "outputs", "unused_bytes", "unused_params")

    def __init__(
        self,
        nodes: Iterable[Node],
        edges: Any,
        outputs: Sequence[int] = (),
        name: str = "",
        unused_params: int = 0,
        unused_bytes: int = 0,
    ):
        self.nodes = tuple(nodes)
        self.edges = np.asarray(edges, dtype=np.int32).reshape(-1, 2)
        self.edges.flags.writeable = False
        self.outputs = tuple(int(i) for i in outputs)
        self.name = name
        self.unused_params = int(unused_params)
        self.unused_bytes = int(unused_bytes)
        self._check()

    def _check(self) -> None:
        source, target = self.edges.T
        size = len(self.nodes)
        if len(self.edges):
            if source.min() < 0 or target.max() >= size:
                raise ValueError(f"edges name nodes {source.min()}..{target.max()}, but the graph has {size} nodes.")
            if (source >= target).any():
                bad = self.edges[source >= target][0].tolist()
                raise ValueError(f"edge {bad} runs backwards; nodes must be in topological order.")
            if (np.diff(target) < 0).any():
                raise ValueError("edges must be sorted by target node; sort them before building a ComputeGraph.")
        if any(not 0 <= i < size for i in self.outputs):
            raise ValueError(f"outputs {self.outputs} must name nodes 0..{size - 1}.")

    def __len__(self) -> int:
        return len(self.nodes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ComputeGraph):
            return NotImplemented
        return (
            self.nodes == other.nodes
            and np.array_equal(self.edges, other.edges)
            and self.outputs == other.outputs
            and (self.unused_params, self.unused_bytes) == (other.unused_params, other.unused_bytes)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        return f"<ComputeGraph{label}: {len(self)} nodes, {len(self.edges)} edges, {self.params:,} parameters>"

    @property
    def params(self) -> int:
        """Parameters of the network, shared ones counted once, unused ones included."""
        return sum(node.params for node in self.nodes) + self.unused_params

    def predecessors(self) -> list[list[int]]:
        """For every node the nodes whose results it reads, in the order of its arguments."""
        result: list[list[int]] = [[] for _ in self.nodes]
        for source, target in self.edges.tolist():
            result[target].append(source)
        return result

    def to_networkx(self) -> "networkx.MultiDiGraph":
        """As a networkx multigraph; node attributes are the fields of `Node`, edges carry their argument position."""
        import networkx

        result = networkx.MultiDiGraph(name=self.name)
        for index, node in enumerate(self.nodes):
            result.add_node(index, **_record(node))
        for target, sources in enumerate(self.predecessors()):
            for position, source in enumerate(sources):
                result.add_edge(source, target, position=position)
        return result

    def to_arrow(self) -> "pyarrow.Table":
        """As an Arrow table with one row a node; `inputs` lists the predecessors, the rest stands in the metadata."""
        import pyarrow as pa

        header = {
            "version": FORMAT_VERSION,
            "name": self.name,
            "outputs": self.outputs,
            "unused_params": self.unused_params,
            "unused_bytes": self.unused_bytes,
        }
        table = nodes_to_arrow(self.nodes)
        table = table.append_column("inputs", pa.array(self.predecessors(), pa.list_(pa.int32())))
        return table.replace_schema_metadata({"nasviz.graph": json.dumps(header)})

    @classmethod
    def from_arrow(cls, table: "pyarrow.Table") -> "ComputeGraph":
        """The graph that `to_arrow` wrote.

        Raises
        ------
        ValueError
            If the table is not one of ours or was written by a newer version.
        """
        metadata = table.schema.metadata or {}
        if b"nasviz.graph" not in metadata or "inputs" not in table.column_names:
            raise ValueError("the Arrow table lacks its 'nasviz.graph' metadata or inputs; to_arrow() makes both.")
        try:
            header = json.loads(metadata[b"nasviz.graph"])
            check_version(header.get("version"), FORMAT_VERSION, "the graph", "make it again with to_arrow()")
            nodes = nodes_from_arrow(table)
            edges = [(source, target) for target, row in enumerate(table["inputs"].to_pylist()) for source in row]
            facts = [header[name] for name in ("outputs", "name", "unused_params", "unused_bytes")]
            return cls(nodes, edges, *facts)
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"the Arrow table holds no graph that can be read ({short(error)}).") from error

    def _repr_html_(self) -> str:
        counted = Counter(node.op.value for node in self.nodes).most_common()
        counts = ", ".join(f"{op} × {count}" for op, count in counted)
        inputs = ", ".join("×".join(map(str, node.out_shape)) for node in self.nodes if node.op is Op.INPUT)
        outputs = ", ".join("×".join(map(str, self.nodes[i].out_shape)) for i in self.outputs)
        rows = {
            "nodes": f"{len(self):,}",
            "edges": f"{len(self.edges):,}",
            "parameters": f"{self.params:,}",
            "input → output": f"{inputs} → {outputs}",
            "operators": counts,
        }
        body = "".join(
            f'<tr><th style="text-align:left">{html.escape(key)}</th>'
            f'<td style="text-align:left">{html.escape(value)}</td></tr>'
            for key, value in rows.items()
        )
        return f"<table><caption>{html.escape(self.name or 'ComputeGraph')}</caption>{body}</table>"


def numel(shape: Sequence[int]) -> int:
    """Number of elements of a tensor of this shape."""
    return prod(shape)


def _record(node: Node) -> dict[str, Any]:
    return {name: getattr(node, name) for name in Node.__slots__} | {"op": node.op.value}


def nodes_to_arrow(nodes: Sequence[Node]) -> "pyarrow.Table":
    """Nodes as an Arrow table: one row a node, one column a field of `Node`, `attrs` as JSON."""
    import pyarrow as pa

    records = [_record(node) | {"attrs": json.dumps(dict(node.attrs))} for node in nodes]
    return pa.Table.from_pylist(records, _arrow_schema())


def nodes_from_arrow(table: "pyarrow.Table") -> list[Node]:
    """The nodes that `nodes_to_arrow` wrote; other columns are left alone.

    Raises
    ------
    ValueError
        If a column is missing or names an operator that does not exist.
    """
    missing = set(Node.__slots__).difference(table.column_names)
    if missing:
        raise ValueError(f"the Arrow table lacks the columns {', '.join(sorted(missing))}; it holds no nodes.")
    return [_node(row) for row in table.select(list(Node.__slots__)).to_pylist()]


def _node(row: dict[str, Any]) -> Node:
    attrs = tuple(sorted(_frozen(json.loads(row["attrs"])).items()))
    fields = {name: _frozen(value) for name, value in row.items()} | {"op": Op(row["op"]), "attrs": attrs}
    return shared_node(*(fields[name] for name in Node.__slots__))


def _frozen(value: Any) -> Any:
    """Lists, as JSON and Arrow give them, back to tuples."""
    if isinstance(value, dict):
        return {key: _frozen(entry) for key, entry in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@lru_cache(maxsize=1)
def _arrow_schema() -> "pyarrow.Schema":
    import pyarrow as pa

    words, shape, count = pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.int64()), pa.int64()
    types = {
        "op": words, "layer": words, "in_shape": shape, "out_shape": shape, "kernel": shape, "stride": shape,
        "groups": count, "bias": pa.bool_(), "params": count, "size_bytes": count, "attrs": words,
    }  # fmt: skip
    return pa.schema(list(types.items()))
