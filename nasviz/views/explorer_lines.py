"""Lines between boxes: where they bend, and how boxes move so that they are straight."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

GAP = 14  # between boxes beside each other
NARROW_GAP = 5  # and lines that pass them
TRACK = 7  # between lines that return to the next row
BEND = 26.0  # how soon a line turns across, in pixels

Point = tuple[float, float]


@dataclass(eq=False)
class Item:
    """What stands in a layer: a box, a frame, a port of the frame around, or a bend, where a line passes.

    Attributes
    ----------
    along, across : float
        Its size from layer to layer, and in its layer.
    weight : int
        How firmly it stands.
    part, room
        What a box shows, and what a frame holds; `room` tells by `entries` and `exits` where its ports are.
    rank, row : int
        Its layer, and the row of the layer.
    centre : float
        Its place across.
    layer : (float, float)
        Where its layer begins and ends.
    """

    along: float = 0.0
    across: float = 4.0
    weight: int = 1
    part: Any = None
    room: Any = None
    rank: int = 0
    row: int = 0
    centre: float = 0.0
    layer: tuple[float, float] = (0.0, 0.0)
    before: list["Line"] = field(default_factory=list, repr=False)
    after: list["Line"] = field(default_factory=list, repr=False)

    @property
    def begin(self) -> float:
        """Where lines meet it."""
        return sum(self.layer) / 2 - self.along / 2 if self.along else self.layer[0]

    @property
    def end(self) -> float:
        """Where lines leave it."""
        return sum(self.layer) / 2 + self.along / 2 if self.along else self.layer[1]


@dataclass(frozen=True, eq=False)
class Line:
    """A line of some tensors from one item to another, by ports where these are frames."""

    source: Item
    target: Item
    leaves: int | None
    enters: int | None
    tensors: frozenset[int]

    @property
    def leaving(self) -> float:
        """Where it leaves, seen from the centre of the source."""
        return 0.0 if self.leaves is None else self.source.room.exits[self.leaves] - self.source.across / 2

    @property
    def entering(self) -> float:
        """Where it arrives, seen from the centre of the target."""
        return 0.0 if self.enters is None else self.target.room.entries[self.enters] - self.target.across / 2


def straightest(item: Item, back: bool) -> float:
    """The centre from which the lines to the next layer (from the one before, if not `back`) are straight."""
    if back:
        lines = [line for line in item.after if line.target.row == item.row]
        places = [(line.target.weight, line.target.centre + line.entering - line.leaving) for line in lines]
    else:
        lines = [line for line in item.before if line.source.row == item.row]
        places = [(line.source.weight, line.source.centre + line.leaving - line.entering) for line in lines]
    if not places:
        return item.centre
    return sum(weight * place for weight, place in places) / sum(weight for weight, _ in places)


def settle(layer: Sequence[Item], wanted: Sequence[float]) -> None:
    """Move the items of a layer to where they want to be, as near as their order and sizes allow.

    Least squares: with what stands before each item taken off, the places must ascend (isotonic regression by pooling
    neighbours that do not; Ayer et al. 1955).
    """
    offsets = [0.0]
    for one, two in zip(layer, layer[1:], strict=False):
        gap = GAP if one.along and two.along else NARROW_GAP
        offsets.append(offsets[-1] + (one.across + two.across) / 2 + gap)
    pools: list[tuple[float, int, int]] = []  # mean, weight, items
    for item, place, offset in zip(layer, wanted, offsets, strict=True):
        mean, weight, count = place - offset, item.weight, 1
        while pools and pools[-1][0] > mean:
            other, more, others = pools.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, count = weight + more, count + others
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    for item, mean, offset in zip(layer, means, offsets, strict=True):
        item.centre = mean + offset


def line_path(line: Line, sides: tuple[float, float], gutter: float, track: int) -> list[Point]:
    """The line as a start and three points for each Bézier curve.

    Parameters
    ----------
    line : Line
        Its items stand in their places.
    sides : (float, float)
        Where the row of the target begins and that of the source ends; lines between rows turn outside of them.
    gutter : float
        Where there is room across before the target's row.
    track : int
        Which of the lines in that room it is.
    """
    source, target = line.source, line.target
    v1, v2 = source.centre + line.leaving, target.centre + line.entering
    start = source.end if source.part else source.begin  # a bend is as long as its layer
    if source.row == target.row:
        path, (_, u1), (u2, _) = _Path(start, v1), source.layer, target.layer
        path.straight(u1, v1)
        path.swing(u2, v2)
        path.straight(target.begin, v2)
        return path.points
    shift = TRACK * (track + 1)
    first, last, between = sides[0] - shift, sides[1] + shift, gutter + TRACK * track
    corners = [(last, v1), (last, between), (first, between), (first, v2), (target.begin, v2)]
    return _Path(start, v1).round(corners).points


class _Path:
    """A line that is drawn piece by piece."""

    def __init__(self, u: float, v: float):
        self.points: list[Point] = [(u, v)]

    def straight(self, u: float, v: float) -> None:
        at = self.points[-1]
        if (u, v) != at:
            self.points += [at, (u, v), (u, v)]

    def swing(self, u: float, v: float) -> None:
        """To a point, leaving and arriving along."""
        u0, v0 = self.points[-1]
        if v == v0:
            self.straight(u, v)
            return
        middle = u0 + min((u - u0) / 2, BEND)
        self.points += [(middle, v0), (middle, v), (min(u, 2 * middle - u0), v)]
        self.straight(u, v)

    def round(self, corners: Sequence[Point], radius: float = 6.0) -> "_Path":
        """Over corners, which are rounded, to the last one."""
        for corner, after in zip(corners, corners[1:], strict=False):
            near = _towards(corner, self.points[-1], radius)
            far = _towards(corner, after, radius)
            self.straight(*near)
            self.points += [corner, corner, far]
        self.straight(*corners[-1])
        return self


def _towards(start: Point, end: Point, length: float) -> Point:
    """The point at this distance from `start`, at most half way to `end`, on a line along or across."""
    (u, v), (u1, v1) = start, end
    full = abs(u1 - u) + abs(v1 - v)
    part = min(length, full / 2) / full if full else 0.0
    return u + (u1 - u) * part, v + (v1 - v) * part
