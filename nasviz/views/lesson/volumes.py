"""Volumes of activations, the window that slides over one, and the element that it makes."""

from collections.abc import Sequence
from dataclasses import dataclass

from nasviz.views.lesson.drawing import GREEN, Drawing, Shape, Text
from nasviz.views.theme import BLUE, GREY, INK, ORANGE

FACE, DEPTH, GAP = 170, 64, 96  # pixels: the largest front, the deepest volume, the way between two
GRID_UP_TO = 40  # cells a side; above it single cells are not drawn
SLICES_UP_TO = 16  # channels


@dataclass(frozen=True)
class Volume:
    """Activations of channels × size × size.

    Attributes
    ----------
    title : str
        Its name; its shape is written below it.
    size, channels : int
        Rows (and columns), and channels.
    colour : str
        Of its faces.
    padding : int
        Zeros around it.
    cells : sequence of (row, column)
        Cells that are lit; from -padding on.
    reads : tuple of int
        First channel of the lit cells, and the one behind their last.
    done : int
        How many cells of the channel `reads` are there already, row by row; -1: nothing is marked.
    clickable : bool
        Whether a click on a cell means something.
    """

    title: str
    size: int
    channels: int
    colour: str = BLUE
    padding: int = 0
    cells: Sequence[tuple[int, int]] = ()
    reads: tuple[int, int] = (0, 1)
    done: int = -1
    clickable: bool = False


@dataclass(frozen=True)
class _Place:
    """Where a volume stands: the top left of its front, pixels a cell, and the way to its back."""

    x: float
    y: float
    cell: float
    deep: float
    volume: Volume

    @property
    def side(self) -> float:
        return self.cell * self.volume.size

    def point(self, row: float, column: float, channel: float) -> tuple[float, float]:
        share = channel / self.volume.channels
        return self.x + column * self.cell + share * self.deep, self.y + row * self.cell - 0.6 * share * self.deep

    def square(self, row: float, column: float, channel: float, rows: float = 1, columns: float = 1):
        ends = ((row, column), (row, column + columns), (row + rows, column + columns), (row + rows, column))
        return tuple(self.point(r, c, channel) for r, c in ends)


def draw_volumes(
    volumes: Sequence[Volume], ways: Sequence[str], narrow: bool = False, face: float = FACE, gap: float = GAP
) -> Drawing:
    """Volumes from left to right, or from top to bottom, with what leads from each to the next.

    Parameters
    ----------
    volumes : sequence of Volume
    ways : sequence of str
        One less: what is written between two of them, lines parted by a line break.
    narrow : bool
        Whether they stand one below the other, as on a phone.
    face, gap : float
        Pixels of the largest front, and between two volumes.
    """
    most = max(v.size + 2 * v.padding for v in volumes)
    deepest = max(v.channels for v in volumes)
    places: list[_Place] = []
    x, y = 20.0, 34 + 0.6 * DEPTH
    for volume in volumes:
        cell = max(face * 1.0 / most, 1.5)
        deep = max(6.0, DEPTH * volume.channels / deepest)
        room = cell * volume.padding
        if narrow:
            places.append(
                _Place(60 + room + (face - cell * (volume.size + 2 * volume.padding)) / 2, y + room, cell, deep, volume)
            )
            y += cell * volume.size + 2 * room + 74 + 0.6 * DEPTH
        else:
            offset = (face - cell * (volume.size + 2 * volume.padding)) / 2
            places.append(_Place(x + room, y + offset + room, cell, deep, volume))
            x += cell * volume.size + 2 * room + deep + gap
    width, height = (320, y - 0.6 * DEPTH - 20) if narrow else (x - gap + 20, y + face + 44)
    drawing = Drawing(width, height)
    for place in places:
        _draw_volume(drawing, place)
    for first, second, way in zip(places, places[1:], ways, strict=False):
        _draw_way(drawing, first, second, way, narrow)
    return drawing


def _draw_volume(drawing: Drawing, place: _Place) -> None:
    volume, size, shapes = place.volume, place.volume.size, drawing.shapes
    back = volume.channels
    corners = [(0, 0), (0, size), (size, size)]
    front, behind = [place.point(*c, 0) for c in corners], [place.point(*c, back) for c in corners]
    top, side = (front[0], behind[0], behind[1], front[1]), (front[1], behind[1], behind[2], front[2])
    for face, opacity in ((top, 0.42), (side, 0.55)):
        shapes.append(Shape(face, "#FFFFFF"))
        shapes.append(Shape(face, volume.colour, INK, opacity))
    shapes.append(Shape(place.square(0, 0, 0, size, size), "#FFFFFF"))
    shapes.append(Shape(place.square(0, 0, 0, size, size), volume.colour, INK, 0.22))
    if 1 < volume.channels <= SLICES_UP_TO:
        for channel in range(1, volume.channels):
            line = (place.point(0, 0, channel), place.point(0, size, channel), place.point(size, size, channel))
            shapes.append(Shape(line, stroke=INK, opacity=0.35, width=0.6))
    if size <= GRID_UP_TO:
        for i in range(1, size):
            for line in (((i, 0), (i, size)), ((0, i), (size, i))):
                points = tuple(place.point(*end, 0) for end in line)
                shapes.append(Shape(points, stroke=INK, opacity=0.25, width=0.5))
    if volume.padding:
        p = volume.padding
        square = place.square(-p, -p, 0, size + 2 * p, size + 2 * p)
        shapes.append(Shape(square, stroke=GREY, dashed=True))
    _draw_lit(drawing, place)
    if volume.clickable:
        shapes.append(Shape(place.square(0, 0, 0, size, size), grid=size))
    middle = place.x + place.side / 2
    below = place.y + place.side + place.cell * volume.padding
    drawing.texts.append(Text(middle, below + 18, volume.title, bold=True))
    padded = f", padded by {volume.padding}" if volume.padding else ""
    drawing.texts.append(Text(middle, below + 34, f"{volume.channels} × {size} × {size}{padded}"))


def _draw_lit(drawing: Drawing, place: _Place) -> None:
    """What is done, and the lit cells with all the channels behind them."""
    volume, shapes = place.volume, drawing.shapes
    first, last = volume.reads
    if volume.done >= 0:
        rows, rest = divmod(volume.done, volume.size)
        for square in ((0, 0, first, rows, volume.size), (rows, 0, first, 1, rest)):
            if square[3] and square[4]:
                shapes.append(Shape(place.square(*square), GREEN, opacity=0.45))
    if not volume.cells:
        return
    rows, columns = zip(*volume.cells, strict=True)
    box = min(rows), min(columns), max(rows) + 1 - min(rows), max(columns) + 1 - min(columns)
    near = place.square(box[0], box[1], first, box[2], box[3])
    far = place.square(box[0], box[1], last, box[2], box[3])
    shapes.append(Shape((near[0], far[0], far[1], near[1]), ORANGE, ORANGE, 0.4))
    shapes.append(Shape((near[1], far[1], far[2], near[2]), ORANGE, ORANGE, 0.55))
    for row, column in volume.cells:
        shapes.append(Shape(place.square(row, column, first), ORANGE, "#FFFFFF", 0.9, 0.6))
    shapes.append(Shape((*near, near[0]), stroke=ORANGE, width=1.6))


def _draw_way(drawing: Drawing, first: _Place, second: _Place, text: str, narrow: bool) -> None:
    """Lines from the window to the element that it makes, and what stands between the two volumes."""
    if first.volume.cells and second.volume.cells:
        rows, columns = zip(*first.volume.cells, strict=True)
        channel = first.volume.reads[0]
        start = first.square(
            min(rows), min(columns), channel, max(rows) + 1 - min(rows), max(columns) + 1 - min(columns)
        )
        row, column = second.volume.cells[0]
        end = second.square(row, column, second.volume.reads[0])
        for a, b in zip(start, end, strict=True):
            drawing.shapes.append(Shape((a, b), stroke=ORANGE, opacity=0.7, width=0.8))
    lines = text.split("\n")
    if narrow:
        y = first.y + first.side + first.cell * first.volume.padding
        for i, line in enumerate(lines):
            drawing.texts.append(Text(270, y + 18 + 16 * i, line))
        return
    x = (first.x + first.side + first.deep + second.x) / 2 + first.cell * first.volume.padding / 2
    for i, line in enumerate(lines):
        drawing.texts.append(Text(x, 16 + 16 * i, line))
