"""A network as a tree of boxes: modules by their dotted names, repeated blocks as one, operators as leaves.

Operators are the leaves. Norms and activations can be drawn with the operator that they belong to.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import ACTIVATIONS, NORMS, Op

SEPARATORS = re.compile("[.:]")  # of names in ids
DEEPEST = 40  # modules in modules; a longer dotted name keeps its end in one piece

FEWEST_BLOCKS, FEWEST_OPERATORS = 2, 3  # equal boxes in a row that become one


@dataclass(frozen=True, eq=False)
class Part:
    """A box of the drawing: an operator, a module, or several equal modules in a row.

    Attributes
    ----------
    id : str
        Names the box in its network, and the same box in a network with the same names.
    name : str
        What stands in the box: the last part of the dotted name.
    nodes : tuple of int
        All nodes of the graph inside, in ascending order; for an operator its own, and those drawn with it.
    parts : tuple of Part
        The boxes inside, in the order of execution; empty for an operator.
    repeats : int
        How many equal boxes in a row this one stands for, or holds and nothing else; `parts` are these.
    row : str
        What these are called; empty where there are none.
    operator : int
        The node of an operator; -1 for a module.
    """

    id: str
    name: str
    nodes: tuple[int, ...]
    parts: tuple["Part", ...] = ()
    repeats: int = 1
    row: str = ""
    operator: int = -1

    def __iter__(self) -> Iterator["Part"]:
        """This box and all inside, outer ones first."""
        yield self
        for part in self.parts:
            yield from part


class Tree:
    """The boxes of a network.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    fold : bool
        Whether norms and activations are drawn with their operator.
    repeats : bool
        Whether equal boxes in a row become one.
    marks : sequence of str, optional
        A word for each node; boxes whose words differ are not equal.

    Attributes
    ----------
    owner : list of int
        The operator that each node is drawn with; its own index for an operator.
    tensors : list of (int, int)
        Which operator's result is read by which operator, each pair once, ordered by reader.
    sources, readers : dict of int to set of int
        The operators that an operator reads, and those that read it; without a key, none.
    root : Part
        The whole network. Its boxes are what is seen when nothing is open.
    parts : dict of str to Part
        Every box but the root by its id.
    """

    def __init__(self, graph: ComputeGraph, fold: bool = True, repeats: bool = True, marks: Sequence[str] = ()):
        self.graph = graph
        self.owner = owners(graph) if fold else list(range(len(graph)))
        pairs = {(self.owner[s], self.owner[t]): None for s, t in graph.edges.tolist()}
        self.tensors = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: pair[::-1])
        self.sources, self.readers = {}, {}
        for source, target in self.tensors:
            self.sources.setdefault(target, set()).add(source)
            self.readers.setdefault(source, set()).add(target)
        self._repeats, self._kinds, self._taken = repeats, _kinds(graph, marks), set()
        self._inputs = graph.predecessors()
        drawn: dict[int, list[int]] = {}
        for node, operator in enumerate(self.owner):
            drawn.setdefault(operator, []).append(node)
        leaves = [(tuple(filter(None, graph.nodes[i].layer.split(".", DEEPEST))), i) for i in sorted(drawn)]
        self._drawn = {operator: tuple(nodes) for operator, nodes in drawn.items()}
        parts = self._build(leaves, 0, "")
        while len(parts) == 1 and parts[0].parts and parts[0].repeats == 1:
            parts = parts[0].parts  # a module around everything says nothing
        self.root = Part("", graph.name, tuple(range(len(graph))), parts)
        self.parts = {part.id: part for top in parts for part in top}
        self._parents = {part.id: parent for parent in self.root for part in parent.parts}
        self._leaf = {part.operator: part for part in self.parts.values() if not part.parts}

    def above(self, part: Part) -> list[Part]:
        """The boxes around this one, outermost first, without the root."""
        result: list[Part] = []
        while (part := self._parents[part.id]) is not self.root:
            result.insert(0, part)
        return result

    def leaf(self, node: int) -> Part:
        """The operator that a node is drawn with."""
        return self._leaf[self.owner[node]]

    def visible(self, opened: Iterable[str]) -> list[Part]:
        """The boxes that are seen if these are open, in the order of execution."""
        opened = set(opened)

        def inside(part: Part) -> Iterator[Part]:
            for each in part.parts:
                yield from inside(each) if each.parts and each.id in opened else (each,)

        return list(inside(self.root))

    def overview(self, budget: int = 30) -> list[str]:
        """What to open at first: level after level, but no repeats, while no more than `budget` boxes are seen."""
        opened: list[str] = []
        while closed := [part for part in self.visible(opened) if part.parts and part.repeats == 1]:
            wider = [*opened, *(part.id for part in closed)]
            if len(self.visible(wider)) > budget:
                break
            opened = wider
        return opened

    # -- building ---------------------------------------------------------------------------------------------------

    def _build(self, leaves: list[tuple[tuple[str, ...], int]], depth: int, prefix: str) -> tuple[Part, ...]:
        """Boxes of operators that share the first `depth` names. A module that runs twice is two boxes."""
        parts: list[Part] = []
        for name, entries in groupby(leaves, key=lambda leaf: leaf[0][depth] if len(leaf[0]) > depth else None):
            inside = list(entries)
            if name is None:
                for _, node in inside:
                    word = self.graph.nodes[node].op.value
                    parts.append(Part(self._id(f"{prefix}:{word}"), word, self._drawn[node], operator=node))
                continue
            path = f"{prefix}.{name}" if prefix else name
            shown = ".".join(path.split(".")[-2:]) if name.isdigit() else name  # a number alone says nothing
            parts.append(self._module(shown, path, self._build(inside, depth + 1, path)))
        return tuple(self._runs(parts)) if self._repeats else tuple(parts)

    def _module(self, name: str, path: str, parts: tuple[Part, ...]) -> Part:
        nodes = tuple(sorted(node for part in parts for node in part.nodes))
        if len(parts) > 1:
            return Part(self._id(path), name, nodes, parts)
        (part,) = parts  # a box in a box: one is enough
        if part.repeats > 1:
            return Part(self._id(path), name, nodes, part.parts, part.repeats, part.row)
        inner = f"{name}.{part.name}" if part.parts and not part.row else name
        return Part(self._id(path), inner, nodes, part.parts, part.repeats, part.row, part.operator)

    def _id(self, path: str) -> str:
        unique, turn = path, 1
        while unique in self._taken:
            turn += 1
            unique = f"{path}#{turn}"
        self._taken.add(unique)
        return unique

    def _runs(self, parts: Sequence[Part]) -> Iterator[Part]:
        alike = [self._alike(part) for part in parts]
        reads = [self._reads(part) for part in parts]
        start = 0
        while start < len(parts):
            end, before = start + 1, reads[start] | set(parts[start].nodes)
            while end < len(parts) and alike[end] == alike[start]:
                # In a row: each reads the one before, and else only what the first one or the row could read, too.
                if not reads[end] & set(parts[end - 1].nodes) or not reads[end] <= before:
                    break
                before |= set(parts[end].nodes)
                end += 1
            members = tuple(parts[start:end])
            if len(members) < (FEWEST_BLOCKS if members[0].parts else FEWEST_OPERATORS):
                yield from members
            else:
                first, last = members[0], members[-1]
                nodes = tuple(sorted(node for part in members for node in part.nodes))
                one, two = (SEPARATORS.split(part.id)[-1] for part in (first, last))
                name = f"{first.name if one.isdigit() else one} … {two}"
                yield Part(self._id(f"{first.id} … {last.id}"), name, nodes, members, len(members), name)
            start = end

    def _alike(self, part: Part) -> tuple:
        """Equal for boxes that hold the same operators, connected in the same way; names do not count."""
        rank = {node: i for i, node in enumerate(part.nodes)}
        wires = tuple(tuple(rank.get(source, -1) for source in self._inputs[node]) for node in part.nodes)
        return tuple(self._kinds[node] for node in part.nodes), wires

    def _reads(self, part: Part) -> set[int]:
        """The operators outside of a box whose results it reads."""
        return {s for node in part.nodes for s in self.sources.get(node, ())}.difference(part.nodes)


def owners(graph: ComputeGraph) -> list[int]:
    """The operator that each node is drawn with.

    A norm or an activation with one input is drawn with the operator before it. If nothing but norms and activations
    stands between it and the one operator that reads the result, and its name is nearer to that operator's, then it is
    drawn with that one, as in blocks that normalise first.
    """
    sources, readers = graph.predecessors(), [[] for _ in graph.nodes]
    for source, target in graph.edges.tolist():
        readers[source].append(target)
    passes = [
        node.op in NORMS | ACTIVATIONS and len(set(inputs)) == 1
        for node, inputs in zip(graph.nodes, sources, strict=True)
    ]
    paths = [node.layer.split(".") for node in graph.nodes]
    after = list(range(len(graph)))  # the one operator downstream, or -1
    for node in reversed(range(len(graph))):
        if passes[node]:
            after[node] = after[readers[node][0]] if len(set(readers[node])) == 1 else -1
    before, owner = list(range(len(graph))), list(range(len(graph)))
    for node in range(len(graph)):
        if not passes[node]:
            continue
        source = sources[node][0]
        before[node] = before[source]
        turned = passes[source] and owner[source] != before[source]  # what follows goes the same way
        wanted = graph.nodes[before[node]].op is not Op.INPUT
        nearer = _shared(paths[node], paths[after[node]]) > _shared(paths[node], paths[before[node]])
        if after[node] >= 0 and (turned or nearer or not wanted):
            owner[node] = after[node]
        elif wanted and not turned:
            owner[node] = before[node]
        else:
            before[node] = node  # it stands for itself
    return owner


def _shared(one: Sequence[str], two: Sequence[str]) -> int:
    """How many names two dotted names have in common, from the left."""
    count = 0
    for a, b in zip(one, two, strict=False):
        if a != b:
            break
        count += 1
    return count


def _kinds(graph: ComputeGraph, marks: Sequence[str]) -> list[int]:
    """A number for each node; the same where all but the layer's name and the mark are."""
    known: dict[tuple, int] = {}
    result = []
    for i, node in enumerate(graph.nodes):
        key = tuple(getattr(node, name) for name in node.__slots__ if name != "layer")
        result.append(known.setdefault((key, marks[i] if marks else ""), len(known)))
    return result
