"""Mutation of computation graphs: another network of the same input and classes, one change away.

The paper replaces "a sequence of primitive operations with a sub-graph of new operations, ensuring that previous HWC
channel constraints are met" (GENNAPE, AAAI-23, supplement). So what is replaced is a part of the graph that reads one
result and gives one result; what comes in its place reads and gives the same shapes. Stem and head are parts as good
as any, and nothing keeps a child inside of the search space that its parent is from.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

import numpy as np

from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op
from nasviz.search.grow import KERNELS, grow, scaled_width
from nasviz.search.shapes import SAME_SHAPE, Misfit, fitted, key, prepared, recounted

MAX_NODES = 600
"""Children with more operators are not made."""
TRIES = 200
LONGEST_CHAIN, LARGEST_REGION = 6, 40
FACTORS = (0.5, 0.75, 1.25, 1.5, 2)

_KEEPS_WIDTH = SAME_SHAPE | {
    Op.BATCH_NORM, Op.MAX_POOL, Op.AVG_POOL, Op.ADAPTIVE_AVG_POOL, Op.ADAPTIVE_MAX_POOL, Op.MEAN, Op.ADD, Op.MUL,
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Nodes of a graph that read one result from outside and of which one result is read outside.

    Attributes
    ----------
    entry : int
        The node whose result is read.
    nodes : tuple of int
        The part's nodes, in order; the last one makes the result that is read.
    """

    entry: int
    nodes: tuple[int, ...]

    @property
    def exit(self) -> int:
        """The node whose result is read outside."""
        return self.nodes[-1]


@dataclass(eq=False)
class Parent:
    """A network with what its children are made from; make it once for many children.

    Attributes
    ----------
    graph : ComputeGraph
        As `prepared` gives it.
    """

    graph: ComputeGraph

    @cached_property
    def sources(self) -> list[list[int]]:
        """For each node the nodes whose results it reads. Most children never have children: made when asked for."""
        return self.graph.predecessors()

    @cached_property
    def users(self) -> list[list[int]]:
        """For each node the nodes that read its result."""
        users: list[list[int]] = [[] for _ in self.graph.nodes]
        for target, sources in enumerate(self.sources):
            for source in sources:
                users[source].append(target)
        return users

    @classmethod
    def of(cls, graph: ComputeGraph) -> "Parent":
        """The parent that a network can be, checked.

        Raises
        ------
        ValueError
            If it is no classification network that can be built.
        """
        return cls(prepared(graph))

    @cached_property
    def images(self) -> tuple[int, ...]:
        """Size of the batch: what has another first dimension, as within attention, is nothing that layers work on."""
        return next(node.out_shape[:1] for node in self.graph.nodes if node.op is Op.INPUT)

    @cached_property
    def key(self) -> str:
        """Of its graph."""
        return key(self.graph)

    @cached_property
    def next_number(self) -> int:
        """The first number that no sub-graph in it has."""
        numbers = [int(n) for node in self.graph.nodes for n in re.findall(r"\bnew(\d+)\b", node.layer)]
        return max(numbers, default=0) + 1

    # --- what can be replaced -----------------------------------------------------------------------------------------

    def chain(self, rng: Random) -> Part | None:
        """A random sequence of operators, each the only one to read the one before it."""
        first = rng.randrange(1, len(self.graph))
        if len(self.sources[first]) != 1:
            return None
        nodes = [first]
        for _ in range(rng.randrange(LONGEST_CHAIN)):
            users = self.users[nodes[-1]]
            if len(users) != 1 or len(self.sources[users[0]]) != 1:
                break
            nodes.append(users[0])
        return Part(self.sources[first][0], tuple(nodes))

    def region(self, rng: Random) -> Part | None:
        """A random part with branches, such as a residual block or a cell, that holds all readers of its entry."""
        entry = rng.randrange(len(self.graph))
        inside, open_users = {entry}, {entry: len(self.users[entry])}
        found: list[int] = []
        for index in range(min(self.users[entry], default=len(self.graph)), len(self.graph)):
            read = self.sources[index]
            if not any(i in inside for i in read):
                continue
            if not all(i in inside for i in read) or len(inside) > LARGEST_REGION:
                break
            inside.add(index)
            open_users[index] = len(self.users[index]) + (index in self.graph.outputs)
            for i in read:
                open_users[i] -= 1
                if not open_users[i]:
                    del open_users[i]
            if len(open_users) == 1 and len(inside) > 2:
                found.append(index)
            if not self.users[index]:
                break
        if not found:
            return None
        last = rng.choice(found)
        return Part(entry, tuple(sorted(i for i in inside if entry < i <= last)))

    # --- children -----------------------------------------------------------------------------------------------------

    def spliced(self, part: Part, new: ComputeGraph | None) -> ComputeGraph | None:
        """The graph with `new` in place of `part`, or with nothing there; None if the result makes no sense."""
        graph, last = self.graph, part.exit
        size = len(new) - 1 if new is not None else 0
        if len(graph) - len(part.nodes) + size > MAX_NODES:
            return None
        removed = np.zeros(len(graph), dtype=bool)
        removed[list(part.nodes)] = True
        place = np.cumsum(~removed) - 1
        begin = int(place[last]) + 1  # new nodes stand where the last old one stood
        place[last + 1 :] += size
        entry = int(place[part.entry])
        place[last] = begin + new.outputs[0] - 1 if new is not None else entry
        sources, targets = graph.edges.T
        kept = ~removed[targets]
        before = kept & (targets < last)
        after = kept & (targets > last)
        edges = [place[graph.edges[before]], place[graph.edges[after]]]
        nodes = [node for node, gone in zip(graph.nodes[:last], removed[:last].tolist(), strict=True) if not gone]
        if new is not None:
            inner = new.edges + (begin - 1)
            inner[new.edges == 0] = entry
            edges.insert(1, inner)
            nodes.extend(new.nodes[1:])
        nodes.extend(graph.nodes[last + 1 :])
        joined = np.concatenate(edges)
        if new is None and _reads_twice(joined, entry):
            return None
        return ComputeGraph(nodes, joined, [int(place[i]) for i in graph.outputs], graph.name)

    def edited(self, changes: Mapping[int, Node]) -> ComputeGraph | None:
        """The graph with some nodes changed, and all after them fitted to it; None if they do not fit."""
        nodes = list(self.graph.nodes)
        touched = set()
        for index in range(min(changes), len(nodes)):
            node = changes.get(index, nodes[index])
            if node is nodes[index] and touched.isdisjoint(self.sources[index]):
                continue
            shapes = [nodes[i].out_shape for i in self.sources[index]]
            try:
                new = recounted(node, shapes[0]) if index in changes else fitted(node, shapes)
            except Misfit:
                return None
            if new.out_shape != self.graph.nodes[index].out_shape:
                touched.add(index)
            nodes[index] = new
        if not touched.isdisjoint(self.graph.outputs):
            return None
        return ComputeGraph(nodes, self.graph.edges, self.graph.outputs, self.graph.name)

    def scope(self, part: Part) -> str:
        """Where the layers that replace `part` are named: beside it."""
        outer, _, _ = self.graph.nodes[part.nodes[0]].layer.rpartition(".")
        outer = re.split(r"\bnew\d+\b", outer)[0].strip(".")
        return f"{outer}.new{self.next_number}".lstrip(".")


def _reads_twice(edges: np.ndarray, entry: int) -> bool:
    """Whether a node reads the same result twice, as a sum whose branch was taken out would."""
    targets = edges[edges[:, 0] == entry, 1]
    return len(np.unique(targets)) < len(targets)


# --- moves ------------------------------------------------------------------------------------------------------------


def _replace(parent: Parent, rng: Random, part: Part | None) -> ComputeGraph | None:
    if part is None:
        return None
    before, after = parent.graph.nodes[part.entry].out_shape, parent.graph.nodes[part.exit].out_shape
    if not parent.images == before[:1] == after[:1]:
        return None
    new = grow(before, after, rng, parent.scope(part))
    return new and parent.spliced(part, new)


def replace_chain(parent: Parent, rng: Random) -> ComputeGraph | None:
    """A sequence of operators becomes a sub-graph of new ones."""
    return _replace(parent, rng, parent.chain(rng))


def replace_region(parent: Parent, rng: Random) -> ComputeGraph | None:
    """A part with branches becomes a sub-graph of new operators."""
    return _replace(parent, rng, parent.region(rng))


def insert(parent: Parent, rng: Random) -> ComputeGraph | None:
    """A sub-graph that keeps the shape comes behind an operator, in front of all that read it."""
    graph = parent.graph
    index = rng.randrange(1, len(graph))
    node = graph.nodes[index]
    if len(node.out_shape) != 4 or node.out_shape[:1] != parent.images or index in graph.outputs:
        return None
    part = Part(index, (index,))
    new = grow(node.out_shape, node.out_shape, rng, parent.scope(part))
    if new is None or len(graph) + len(new) - 1 > MAX_NODES:
        return None
    return _insert_behind(graph, index, new)


def _insert_behind(graph: ComputeGraph, index: int, new: ComputeGraph) -> ComputeGraph:
    size = len(new) - 1
    place = np.arange(len(graph))
    place[index + 1 :] += size
    early = graph.edges[graph.edges[:, 1] <= index]
    late = graph.edges[graph.edges[:, 1] > index]
    moved = place[late]
    moved[late[:, 0] == index, 0] = index + new.outputs[0]
    nodes = [*graph.nodes[: index + 1], *new.nodes[1:], *graph.nodes[index + 1 :]]
    outputs = [int(place[i]) for i in graph.outputs]
    return ComputeGraph(nodes, np.concatenate([early, new.edges + index, moved]), outputs, graph.name)


def remove(parent: Parent, rng: Random) -> ComputeGraph | None:
    """A part that keeps the shape is taken out."""
    part = parent.region(rng) if rng.random() < 0.3 else parent.chain(rng)
    if part is None or part.exit in parent.graph.outputs:
        return None
    nodes = parent.graph.nodes
    same = nodes[part.entry].out_shape == nodes[part.exit].out_shape
    return parent.spliced(part, None) if same else None


def resize_kernel(parent: Parent, rng: Random) -> ComputeGraph | None:
    """A convolution or pooling gets another odd window, padded so that its result keeps height and width."""
    index = rng.randrange(len(parent.graph))
    node = parent.graph.nodes[index]
    padding = node.get("padding")
    if not node.kernel or node.get("call") or isinstance(padding, str) or any(k % 2 == 0 for k in node.kernel):
        return None
    size = rng.choice(KERNELS[node.op is not Op.CONV or node.is_depthwise :])
    if size > 2 * min(node.in_shape[2:]) - 1 and size > max(node.kernel):
        return None  # most of such a window would lie outside of the image
    dilation = node.get("dilation", (1,) * len(node.kernel))
    padded = tuple(p + d * (size - k) // 2 for p, d, k in zip(padding, dilation, node.kernel, strict=True))
    if min(padded) < 0 or (node.op is not Op.CONV and max(padded) > size // 2) or set(node.kernel) == {size}:
        return None
    attrs = tuple((name, padded if name == "padding" else value) for name, value in node.attrs)
    return parent.edited({index: replace(node, kernel=(size,) * len(node.kernel), attrs=attrs)})


def change_width(parent: Parent, rng: Random) -> ComputeGraph | None:
    """The results of a convolution or hidden linear layer get more or fewer channels, with all that goes with them."""
    index = rng.randrange(len(parent.graph))
    node = parent.graph.nodes[index]
    if not _makes_width(node):
        return None
    group = _same_width(parent, index)
    if group is None:
        return None
    width = scaled_width(node.out_shape[1], rng.choice(FACTORS))
    makers = [i for i in group if _makes_width(parent.graph.nodes[i])]
    if width == node.out_shape[1] or any(width % parent.graph.nodes[i].groups for i in makers):
        return None
    resized = {}
    for i in makers:
        maker = parent.graph.nodes[i]
        resized[i] = replace(maker, out_shape=(maker.out_shape[0], width, *maker.out_shape[2:]))
    return parent.edited(resized)


def _makes_width(node: Node) -> bool:
    """Whether the operator's own weights decide on its channels."""
    return (
        node.params > 0
        and node.get("call") is None
        and ((node.op is Op.CONV and not node.is_depthwise) or (node.op is Op.LINEAR and len(node.out_shape) == 2))
    )


def _same_width(parent: Parent, index: int) -> set[int] | None:
    """The nodes whose results must have as many channels as that of a node; None if their number is fixed."""
    nodes, group, waiting = parent.graph.nodes, {index}, [index]

    def tied(i: int) -> bool:
        return nodes[i].is_depthwise or nodes[i].op in _KEEPS_WIDTH

    while waiting:
        i = waiting.pop()
        if i in parent.graph.outputs or not (tied(i) or _makes_width(nodes[i])):
            return None
        around = [user for user in parent.users[i] if tied(user)]
        if tied(i):
            around += parent.sources[i]
        for j in around:
            if j not in group:
                group.add(j)
                waiting.append(j)
    return group


Move = Callable[[Parent, Random], ComputeGraph | None]

MICRO: Sequence[tuple[Move, float]] = ((resize_kernel, 1), (change_width, 1))
MACRO: Sequence[tuple[Move, float]] = (
    (replace_chain, 4), (replace_region, 1), (insert, 1), (remove, 1), (resize_kernel, 0.5), (change_width, 0.5),
)  # fmt: skip
"""Moves and their weights: without and with macro exploration."""


def mutate(graph: ComputeGraph | Parent, rng: Random | int, *, macro: bool = True) -> ComputeGraph:
    """A random child of a network, which differs from it and is a valid network itself.

    Parameters
    ----------
    graph : ComputeGraph or Parent
        A classification network; `Parent.of(graph)` saves time where it has many children.
    rng : random.Random or int
        A generator or a seed; it decides everything.
    macro : bool
        Whether the topology may change; else only kernels and widths do.

    Returns
    -------
    ComputeGraph
        Of the same input shape and classes. Layers that were not touched keep their names, so that
        `nasviz.graph.build.carry` finds their weights; new ones are called ``….new1.…``.

    Raises
    ------
    ValueError
        If `graph` is no classification network that can be built, or nothing in it can be changed.
    """
    rng = Random(rng) if isinstance(rng, int) else rng
    return bear(graph if isinstance(graph, Parent) else Parent.of(graph), rng, macro=macro).graph


def bear(parent: Parent, rng: Random, *, macro: bool = True) -> Parent:
    """`mutate`, for who goes on with the child: as a `Parent` that knows its key already."""
    moves, weights = zip(*(MACRO if macro else MICRO), strict=True)
    for _ in range(TRIES):
        (move,) = rng.choices(moves, weights)
        graph = move(parent, rng)
        if graph is not None:
            child = Parent(graph)
            if child.key != parent.key:
                return child
    kind = "operators" if macro else "kernels or widths"
    raise ValueError(f"graph {parent.graph.name!r} has no {kind} that can be changed ({TRIES} tries).")
