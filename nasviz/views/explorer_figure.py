"""Networks as a matplotlib figure: the static twin of the explorer's drawing, from the same scene."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nasviz.views.explorer_scene import Scene
from nasviz.views.export import Picture
from nasviz.views.network_figure import COLOURS, KINDS
from nasviz.views.theme import BLUE, GREY, INK, OKABE_ITO, matplotlib_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {"added": (OKABE_ITO[2], "solid"), "removed": (OKABE_ITO[5], "dashed"), "changed": (BLUE, "dotted")}
INCH = 1 / 90  # of a pixel of the scene
LARGEST = 36.0  # inches; a larger drawing is made smaller
HEAD, FOOT = 26, 34  # pixels for a title, and for the legend
WIDEST = 6000.0
SHAPELY = 2.0  # times as high as wide at most, if a wider drawing can help


def fitting(draw: Callable[[float], Scene], width: float = 1100.0) -> Scene:
    """The scene in a width in which it is not much higher than wide."""
    made = draw(width)
    height = max(drawing["height"] for drawing in made["drawings"])
    if height <= SHAPELY * width:
        return made
    return draw(min(WIDEST, (width * height / SHAPELY) ** 0.5))


def draw_scene(scene: Scene) -> Picture:
    """Draw a scene: its networks next to each other, the legend below.

    Parameters
    ----------
    scene : dict
        Of :func:`~nasviz.views.explorer_scene.scene`.

    Returns
    -------
    Figure
    """
    drawings = scene["drawings"]
    width = sum(drawing["width"] for drawing in drawings)
    height = max(drawing["height"] for drawing in drawings) + HEAD + FOOT
    inch = min(INCH, LARGEST / max(width, height))
    with matplotlib_style():
        figure = Picture(figsize=(max(width * inch, 4), height * inch))
        figure.set_layout_engine("none")  # all places are known
        x = 0.0
        for drawing in drawings:
            w, h = drawing["width"], drawing["height"]
            axes = figure.add_axes((x / width, 1 - (HEAD + h) / height, w / width, h / height))
            axes.set(xlim=(0, w), ylim=(h, 0))
            axes.set_axis_off()
            _draw(axes, drawing, inch * 72)
            words = {"fontsize": 11 * inch * 72, "fontweight": "bold", "parse_math": False}
            axes.text(16, -8, drawing["title"], **words)
            x += w
        _legend(figure, scene["legend"], inch * 72, height)
    return figure


def _draw(axes: "Axes", drawing: Scene, size: float) -> None:
    """Draw one network; `size` is the points of a pixel."""
    from matplotlib.collections import PatchCollection, PathCollection
    from matplotlib.patches import Rectangle
    from matplotlib.path import Path

    boxes: Sequence[Scene] = drawing["boxes"]
    for opened, order in ((True, 1), (False, 3)):
        patches, faces, edges, widths, styles = [], [], [], [], []
        for box in boxes:
            if (box["state"] == "open") is not opened:
                continue
            place, extent = (box["x"], box["y"]), (box["width"], box["height"])
            if box["badge"] and not opened:  # a second sheet behind it
                patches.append(Rectangle((place[0] + 4, place[1] - 4), *extent))
                faces.append("white"), edges.append(GREY), widths.append(0.8 * size), styles.append("solid")
            mark = "" if opened else box["mark"]
            colour, style = MARKS.get(mark, (GREY, "solid"))
            patches.append(Rectangle(place, *extent))
            faces.append("#7676760f" if opened else box["fill"] or "white"), edges.append(colour)
            widths.append((2.2 if mark else 0.8) * size), styles.append(style)
        look = {"facecolor": faces, "edgecolor": edges, "linewidth": widths, "linestyle": styles}
        axes.add_collection(PatchCollection(patches, zorder=order, **look), autolim=False)
    strips, colours = [], []
    for box in boxes:
        x, y, w, h = box["x"], box["y"], box["width"], box["height"]
        if box["kind"] >= 0:
            strips.append(Rectangle((x + 1, y + 1), 6, h - 2))
            colours.append(COLOURS[KINDS[box["kind"]]])
        for kind, share in box["bar"] if box["state"] else ():
            strips.append(Rectangle((x + 3, y + h - 5), share * (w - 6), 3))
            colours.append(COLOURS[KINDS[kind]])
            x += share * (w - 6)
    axes.add_collection(PatchCollection(strips, facecolor=colours, edgecolor="none", zorder=4), autolim=False)
    curve = [Path.MOVETO, *[Path.CURVE4] * 3]
    paths = []
    for wire in drawing["wires"]:
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", wire["path"])]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        paths.append(Path(points, [*curve[:1], *curve[1:] * (len(points) // 3)]))
    lines = PathCollection(paths, facecolors="none", edgecolors=GREY, linewidths=size, zorder=2)
    axes.add_collection(lines, autolim=False)
    for box in boxes:
        _words(axes, box, size)


def _words(axes: "Axes", box: Scene, size: float) -> None:
    left = box["x"] + (13 if box["kind"] >= 0 else 8)
    look = {"color": box["ink"] or INK, "zorder": 5, "parse_math": False}
    axes.text(left, box["y"] + 18, box["name"], fontsize=12 * size, fontweight="bold", **look)
    right = " · ".join(filter(None, [box["badge"], box["sign"]]))
    if right:
        x = box["x"] + box["width"] - 6
        axes.text(x, box["y"] + 18, right, fontsize=12 * size, fontweight="bold", ha="right", **look)
    if box["state"] != "open":
        axes.text(left, box["y"] + 33, box["what"], fontsize=10.5 * size, **look)
        axes.text(left, box["y"] + 47, box["third"], fontsize=10.5 * size, **look)


def _legend(figure: Picture, legend: Scene, size: float, height: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(color=COLOURS[name], label=name) for _, name in legend.get("kinds", ())]
    for mark in legend["marks"]:
        colour, style = MARKS[mark.split()[1]]
        handles.append(Line2D([], [], color=colour, linestyle=style, linewidth=2.2 * size, label=mark))
    look = {"fontsize": 10.5 * size, "borderpad": 0.2, "columnspacing": 1.2}
    if "stops" in legend:
        ramp = figure.add_axes((0.3, 12 / height, 0.3, 8 / height))
        ramp.imshow([range(256)], aspect="auto", cmap=LinearSegmentedColormap.from_list("ramp", legend["stops"]))
        ramp.set_axis_off()
        low, high = legend["ends"]
        text = {"va": "center", "fontsize": 10.5 * size}
        figure.text(0.29, 16 / height, f"{legend['title']}: {low}", ha="right", **text)
        figure.text(0.61, 16 / height, high, **text)
    if handles:
        place = "lower right" if "stops" in legend else "lower left"
        figure.legend(handles=handles, loc=place, ncols=len(handles), **look)
