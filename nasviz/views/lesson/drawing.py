"""Drawings as lists of shapes, so that one can be an SVG in a page and part of a matplotlib figure; vectors as dots."""

import html
from dataclasses import dataclass, field
from math import cos, pi, sin
from typing import TYPE_CHECKING

from nasviz.views.theme import BLUE, INK, OKABE_ITO, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN = OKABE_ITO[2]


@dataclass(frozen=True)
class Shape:
    """A polygon, or an open line: its points in pixels, colours, and how much of the fill shows."""

    points: tuple[tuple[float, float], ...]
    fill: str = "none"
    stroke: str = "none"
    opacity: float = 1.0
    width: float = 1.0
    dashed: bool = False
    grid: int = 0
    """Cells a side, if a click on it means a cell."""


@dataclass(frozen=True)
class Text:
    """A line of text, centred at x."""

    x: float
    y: float
    text: str
    bold: bool = False


@dataclass
class Drawing:
    """Shapes from back to front, texts over them, and the size of it all in pixels."""

    width: float
    height: float
    shapes: list[Shape] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def svg(self, description: str) -> str:
        """The drawing as an SVG that a screen reader calls by `description`."""
        parts = [_svg_shape(shape) for shape in self.shapes]
        for text in self.texts:
            weight = 600 if text.bold else 400
            place = f'x="{text.x:.1f}" y="{text.y:.1f}" text-anchor="middle" font-weight="{weight}"'
            parts.append(f"<text {place}>{html.escape(text.text)}</text>")
        label = html.escape(description)
        return (
            f'<svg class="nasviz-drawing" viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" '
            f'aria-label="{label}" style="max-width: {self.width:.0f}px">{"".join(parts)}</svg>'
        )

    def draw(self, axes: "Axes") -> None:
        """The drawing in a matplotlib axes."""
        from matplotlib.patches import Polygon

        for shape in self.shapes:
            if shape.fill == shape.stroke == "none":
                continue
            style = "--" if shape.dashed else "-"
            axes.add_patch(
                Polygon(
                    shape.points, closed=shape.fill != "none", facecolor=shape.fill, edgecolor=shape.stroke,
                    alpha=shape.opacity, linewidth=0.8 * shape.width, linestyle=style,
                )
            )  # fmt: skip
        for text in self.texts:
            weight = "bold" if text.bold else "normal"
            axes.text(text.x, text.y, text.text, ha="center", va="baseline", fontsize=8, weight=weight, color=INK)
        axes.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        axes.set_axis_off()


def draw_dense(inputs: int, outputs: int, position: int, most: int = 12) -> Drawing:
    """The inputs and outputs of a dense layer as dots, with the lines to the output `position` that is being made.

    Of more than `most` dots the first ones are drawn, and the last.
    """
    drawing = Drawing(430, 24 * (most + 2) + 48)
    dots: list[dict[int, float]] = []
    for x, total, name in ((90, inputs, "inputs"), (340, outputs, "outputs")):
        rows = _some(total, most, position if name == "outputs" else 0)
        top = 12 * (most + 2 - len(rows)) + 20
        dots.append({index: top + 24 * i for i, index in enumerate(rows) if index is not None})
        drawing.texts += [Text(x, top + 24 * i + 4, "⋮") for i, index in enumerate(rows) if index is None]
        drawing.texts.append(Text(x, 24 * (most + 2) + 34, f"{total:,} {name}", bold=True))
    for y in dots[0].values():
        drawing.shapes.append(Shape(((98, y), (332, dots[1][position])), stroke=ORANGE, opacity=0.8, width=1.2))
    for x, places in ((90, dots[0]), (340, dots[1])):
        for index, y in places.items():
            fill = BLUE if x == 90 or index > position else ORANGE if index == position else GREEN
            drawing.shapes.append(Shape(_dot(x, y, 8), fill, INK, 0.5 if fill == BLUE else 0.9))
    return drawing


def draw_dot_product(length: int, position: int, most: int = 16) -> Drawing:
    """Two vectors, their products, and the sum as far as it has come; of long ones the part around `position`."""
    shown = min(length, most)
    start = min(max(0, position - most // 2), length - shown)
    drawing = Drawing(100 + 30 * shown, 150)
    for row, name in enumerate(("a", "b", "a · b")):
        drawing.texts.append(Text(28, 34 + 36 * row, name, bold=True))
        for i in range(shown):
            index, x, y = start + i, 60 + 30 * i, 16 + 36 * row
            fill = ORANGE if index == position else GREEN if row == 2 and index < position else BLUE
            empty = row == 2 and index > position
            square = ((x, y), (x + 26, y), (x + 26, y + 26), (x, y + 26))
            drawing.shapes.append(Shape(square, "#FFFFFF" if empty else fill, INK, 0.55))
            if not empty:
                drawing.texts.append(Text(x + 13, y + 18, "×" if row == 1 else "+" if row == 2 else str(index + 1)))
    text = f"sum of {position + 1} product{'s' * (position > 0)}: {position + 1} of {length} MACs"
    drawing.texts.append(Text(60 + 15 * shown, 144, text, bold=True))
    return drawing


def _some(total: int, most: int, chosen: int = 0) -> list[int | None]:
    """At most so many indices: the first, the chosen one, and the last; None stands for those left out."""
    if total <= most:
        return list(range(total))
    kept = sorted({*range(most - 2), chosen, total - 1})
    rows: list[int | None] = []
    for index in kept:
        if rows and index != rows[-1] + 1:
            rows.append(None)
        rows.append(index)
    return rows


def _dot(x: float, y: float, radius: float) -> tuple[tuple[float, float], ...]:
    return tuple((x + radius * cos(i * pi / 8), y + radius * sin(i * pi / 8)) for i in range(16))


def _svg_shape(shape: Shape) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
    tag = "polygon" if shape.fill != "none" or shape.grid else "polyline"
    fill = "transparent" if shape.grid else shape.fill
    extra = ' stroke-dasharray="4 3"' if shape.dashed else ""
    if shape.grid:
        extra += f' data-grid="{shape.grid}"'
    return (
        f'<{tag} points="{points}" fill="{fill}" stroke="{shape.stroke}" stroke-width="{shape.width}" '
        f'opacity="{shape.opacity}"{extra}/>'
    )
