"""Where the boxes of a network stand: layer after layer, open modules as frames around what they hold.

Each open module is laid out on its own, from the inside outwards. A tensor that enters or leaves it has a port on its
frame. From left to right, what is wider than the view goes on in the next row, as text does; from top to bottom, it
grows downwards.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import networkx as nx

from nasviz.views.explorer_lines import GAP, TRACK, Item, Line, Point, line_path, settle, straightest
from nasviz.views.explorer_tree import Part, Tree
from nasviz.views.network_figure import layered

WIDTH, HEIGHT = 164, 56  # of a box, in pixels
TITLE = 26  # of a frame
PAD = 16
GAP_ALONG = 30  # between layers
MOST_BENDS = 4000  # places where lines pass a layer; of more, the longest lines go straight
SWEEPS = 4

Lines = dict[tuple[Item, int | None], dict[tuple[Item, int | None], set[int]]]
"""By an item and the port it leaves by: the items and ports where it goes, and the tensors that go there."""


@dataclass(frozen=True)
class Box:
    """A part in its place, in pixels from the upper left corner; a frame if it is open."""

    part: Part
    x: float
    y: float
    width: float
    height: float
    opened: bool


@dataclass(frozen=True)
class Wire:
    """A piece of the line of some tensors: a start, then three points for each cubic Bézier curve."""

    points: list[Point]
    tensors: frozenset[int]
    arrow: bool


@dataclass(frozen=True)
class Layout:
    """A drawing: its size in pixels, frames before what they hold, and lines."""

    width: float
    height: float
    boxes: list[Box]
    wires: list[Wire]


def lay_out(tree: Tree, opened: Iterable[str], width: float = math.inf, down: bool = False) -> Layout:
    """Place what is seen of a network.

    Parameters
    ----------
    tree : Tree
        The network.
    opened : iterable of str
        The boxes that are open, by id; others in it are left alone.
    width : float
        How wide the drawing should be, in pixels; an open module inside a row can make it wider.
    down : bool
        From top to bottom instead of from left to right; `width` is not heeded then.

    Returns
    -------
    Layout
    """
    room = _Room(tree, tree.root, frozenset(opened), math.inf if down else width, down)

    def turn(point: Point) -> Point:
        return point[::-1] if down else point

    boxes = [Box(part, *turn((u, v)), *turn(size), is_open) for part, u, v, size, is_open in room.boxes]
    wires = [Wire([turn(point) for point in wire.points], wire.tensors, wire.arrow) for wire in room.wires]
    return Layout(*turn(room.size), boxes, wires)


class _Room:
    """One module laid out; `u` runs from layer to layer, `v` across. Positions are seen from its own corner."""

    def __init__(self, tree: Tree, part: Part, opened: frozenset[str], limit: float, down: bool):
        head = PAD if part is tree.root else TITLE + PAD / 2
        self._start, self._end = (head, PAD) if down else (PAD + 4, PAD + 4)  # margins along
        self._top, self._bottom = (PAD, PAD) if down else (head, PAD)  # and across
        self._limit = limit - self._start - self._end
        along, across = (HEIGHT, WIDTH) if down else (WIDTH, HEIGHT)
        self._items: list[Item[Part, _Room]] = []
        for child in part.parts:
            room = _Room(tree, child, opened, self._limit, down) if child.parts and child.id in opened else None
            self._items.append(Item(*(room.size if room else (along, across)), 4, child, room))
        self.entries: dict[int, float] = {}  # where a tensor enters and leaves, by its port's place across
        self.exits: dict[int, float] = {}
        self.boxes: list[tuple[Part, float, float, Point, bool]] = []
        self.wires: list[Wire] = []
        lines = self._connect(tree)
        self._lines = list(self._pieces(lines))
        for line in self._lines:
            line.source.after.append(line)
            line.target.before.append(line)
        layers = self._order()
        rows = self._rows(layers)
        for layer in layers:
            settle(layer, [0.0] * len(layer))
        for sweep in range(SWEEPS):
            back = sweep % 2 == 0
            for layer in reversed(layers) if back else layers:
                settle(layer, [straightest(item, back) for item in layer])
        self._place(rows)

    def _connect(self, tree: Tree) -> Lines:
        """What leaves an item as one line, and where it goes. Ports of frames are told apart by their tensors."""
        home = {node: item for item in self._items for node in item.part.nodes}
        self._ins: dict[int, Item] = {}
        self._outs: dict[int, Item] = {}
        lines: Lines = {}
        for item in self._items:
            for tensor in {s: None for node in item.part.nodes for s in tree.sources.get(node, ())}:
                source = home.get(tensor) or self._ins.setdefault(tensor, Item())
                if source is item:
                    continue
                item.rank = max(item.rank, source.rank + 1)  # in the order of execution, so the source has its rank
                leaves = tensor if source.room else None
                enters = tensor if item.room else None
                lines.setdefault((source, leaves), {}).setdefault((item, enters), set()).add(tensor)
        last = max((item.rank for item in self._items), default=0) + 1
        for item in self._items:
            for tensor in item.part.nodes:
                if not tree.readers.get(tensor, set()) <= home.keys():
                    port = self._outs.setdefault(tensor, Item(rank=last))
                    leaves = tensor if item.room else None
                    lines.setdefault((item, leaves), {}).setdefault((port, None), set()).add(tensor)
        return lines

    def _pieces(self, lines: Lines) -> Iterator[Line]:
        """Cut lines into pieces from layer to layer. Lines from one place stay together as long as they can."""
        spans = sorted(max(item.rank for item, _ in goals) - source.rank for (source, _), goals in lines.items())
        bends = sum(spans) - len(spans)
        while bends > MOST_BENDS:
            bends -= spans.pop() - 1
        self._bends: list[Item] = []
        for (source, leaves), goals in lines.items():
            by_rank: dict[int, list[Line]] = {}
            for (target, enters), tensors in goals.items():
                line = Line(source, target, leaves, enters, frozenset(tensors))
                by_rank.setdefault(target.rank, []).append(line)
            end, carried = max(by_rank), frozenset().union(*goals.values())
            if end - source.rank > spans[-1]:
                yield from (line for ending in by_rank.values() for line in ending)
                continue
            at, port = source, leaves
            for rank in range(source.rank + 1, end + 1):
                for line in by_rank.get(rank, ()):
                    yield replace(line, source=at, leaves=port)
                if rank < end:
                    bend = Item(rank=rank)
                    self._bends.append(bend)
                    yield Line(at, bend, port, None, carried)
                    at, port = bend, None

    def _order(self) -> list[list[Item]]:
        """The layers, and in each its items in an order with few crossings."""
        items = [*self._ins.values(), *self._items, *self._outs.values(), *self._bends]
        layers: list[list[Item]] = [[] for _ in range(max((item.rank for item in items), default=-1) + 1)]
        for item in items:
            layers[item.rank].append(item)
        if any(len(layer) > 1 for layer in layers):
            number = {item: i for i, item in enumerate(items)}
            network = nx.DiGraph()
            network.add_nodes_from(range(len(items)))
            short = (line for line in self._lines if line.target.rank == line.source.rank + 1)
            network.add_edges_from((number[line.source], number[line.target]) for line in short)
            place = layered(network)
            for layer in layers:
                layer.sort(key=lambda item: place[number[item]][1])
        return layers

    def _rows(self, layers: list[list[Item]]) -> list[list[Item]]:
        """The items of each row: layers one after another, as many as there is room for."""
        rows: list[list[Item]] = [[]]
        u = self._start
        for layer in layers:
            along = max(item.along for item in layer)
            if along and u > self._start and u + along > self._start + self._limit:
                rows.append([])
                u = self._start
            for item in layer:
                item.layer, item.row = (u, u + along), len(rows) - 1
            rows[-1] += layer
            u += along + GAP_ALONG if along else 0
        return rows

    def _place(self, rows: list[list[Item]]) -> None:
        """Fix all positions: rows below each other, and between them the lines that go on in the next row."""
        tracks: list[dict] = [{} for _ in rows]  # before each row
        for line in self._lines:
            if line.source.row != line.target.row:
                own = tracks[line.target.row]
                own.setdefault((line.source, line.leaves), len(own))
        margin = TRACK * max(map(len, tracks))
        end = max((item.layer[1] for item in self._items), default=self._start)
        width = end + self._end + 2 * margin
        gutters, v = [], float(self._top)
        for row, own in zip(rows, tracks, strict=True):
            gutters.append(v + GAP)
            if gutters[1:]:
                v += 2 * GAP + TRACK * max(0, len(own) - 1)
            top = min((item.centre - item.across / 2 for item in row), default=0.0)
            for item in row:
                item.centre += v - top
                item.layer = (item.layer[0] + margin, item.layer[1] + margin)
            v = max((item.centre + item.across / 2 for item in row), default=v)
        self.size = (width, v + self._bottom)
        for ports, u, doors in ((self._ins, 0.0, self.entries), (self._outs, width, self.exits)):
            for tensor, port in ports.items():
                port.layer, doors[tensor] = (u, u), port.centre
        for item in self._items:
            self._show(item)
        ends = [max((item.layer[1] for item in row), default=0.0) for row in rows]
        for line in self._lines:
            first, last = line.source.row, line.target.row
            sides = (self._start + margin, max(ends[first:last], default=0.0))
            path = line_path(line, sides, gutters[last], tracks[last].get((line.source, line.leaves), 0))
            self.wires.append(Wire(path, line.tensors, line.target.part is not None and line.target.room is None))

    def _show(self, item: Item) -> None:
        """Take over a box; a frame with what it holds."""
        u, v, room = item.begin, item.centre - item.across / 2, item.room
        self.boxes.append((item.part, u, v, (item.along, item.across), room is not None))
        if room is not None:
            self.boxes += [(part, u + du, v + dv, *rest) for part, du, dv, *rest in room.boxes]
            for wire in room.wires:
                self.wires.append(Wire([(u + du, v + dv) for du, dv in wire.points], wire.tensors, wire.arrow))
