"""A network's drawing as plain data: boxes with words and colours, lines. The page and the static twin draw it."""

from collections.abc import Collection, Sequence
from typing import Any

from nasviz.views.explorer_compare import SIGNS
from nasviz.views.explorer_data import Network, Scale
from nasviz.views.explorer_layout import Box, Layout, lay_out
from nasviz.views.explorer_lines import Point
from nasviz.views.explorer_tree import Part
from nasviz.views.network_figure import KINDS, kind
from nasviz.views.text import shorten
from nasviz.views.theme import si

Scene = dict[str, Any]
"""Of one network: title, width, height, boxes, wires; of several: those under ``drawings``, with a legend."""

LETTERS = 24  # that fit into a line of a box
WIDEST_TITLE = 60
COLOUR_BY_KIND = "kind"
WHICH = ("before", "after")  # what two networks are to each other


def scene(networks: Sequence[Network], opened: Collection[str], colour: str, width: float, down: bool = False) -> Scene:
    """Draw networks next to each other.

    Parameters
    ----------
    networks : sequence of Network
        One or two.
    opened : collection of str
        The boxes that are open, by id.
    colour : str
        ``"kind"``, or a metric.
    width : float
        How wide each drawing should be, in pixels.
    down : bool
        From top to bottom instead of from left to right.

    Returns
    -------
    dict
        What JSON can hold: ``drawings``, one a network, and ``legend``.
    """
    layouts = [lay_out(network.tree, opened, width, down) for network in networks]
    scale = None
    if colour != COLOUR_BY_KIND:
        seen = zip(networks, layouts, strict=True)
        closed = [(network, box.part) for network, layout in seen for box in layout.boxes if not box.opened]
        scale = Scale.of(colour, [network.value(part, colour) for network, part in closed])
    drawings = [_drawing(network, layout, scale) for network, layout in zip(networks, layouts, strict=True)]
    if len(drawings) > 1:
        for drawing, which in zip(drawings, WHICH, strict=True):
            drawing["title"] = f"{which}: {drawing['title']}"
    return {"drawings": drawings, "legend": _legend(drawings, scale, len(networks) > 1), "down": down}


def _legend(drawings: Sequence[Scene], scale: Scale | None, compared: bool) -> Scene:
    marks = [f"{sign} {mark}" for mark, sign in SIGNS.items()] if compared else []
    if scale is not None:
        ends = [scale.quantity.short(scale.low), scale.quantity.short(scale.high)]
        return {"title": scale.quantity.title, "stops": scale.stops, "ends": ends, "marks": marks}
    kinds = {number for drawing in drawings for box in drawing["boxes"] for number, _ in box["bar"]}
    return {"kinds": [[number, KINDS[number]] for number in sorted(kinds)], "marks": marks}


def _drawing(network: Network, layout: Layout, scale: Scale | None) -> Scene:
    graph = network.graph
    total = network.metrics["macs"].sum()
    title = f"{shorten(graph.name or 'network', WIDEST_TITLE)}: {_count(network)}"
    return {
        "title": f"{title}, {si(graph.params, 'parameters')}, {si(total, 'MACs')}",
        "width": round(layout.width, 1),
        "height": round(layout.height, 1),
        "boxes": [_box(network, box, scale) for box in layout.boxes],
        "wires": [
            {"path": svg_path(wire.points), "tensors": sorted(wire.tensors), "arrow": wire.arrow}
            for wire in layout.wires
        ],
    }


def _count(network: Network) -> str:
    count = sum(1 for part in network.tree.root if part.operator >= 0)
    return f"{count:,} operator{'s' * (count != 1)}"


def _box(network: Network, box: Box, scale: Scale | None) -> Scene:
    part = box.part
    what, shape = network.text(part)
    reads, makes = network.tensors(part)
    mark, tally = network.mark(part), network.tally(part)
    badge = f"×{part.repeats}" if part.repeats > 1 else ""
    colours = scale.colours(network.value(part, scale.quantity.name)) if scale and not box.opened else None
    third = scale.quantity.short(network.value(part, scale.quantity.name)) if scale else shape
    taken = len(badge) + (3 if part.parts else 0) + len(tally or SIGNS.get(mark, ""))
    return {
        "id": part.id,
        "x": round(box.x, 1),
        "y": round(box.y, 1),
        "width": round(box.width, 1),
        "height": round(box.height, 1),
        "name": shorten(part.name, max(6, (int(box.width / 6.6) if box.opened else LETTERS - 2) - taken)),
        "what": what if len(what) <= LETTERS else what[: LETTERS - 1] + "…",
        "third": shorten(third, LETTERS),
        "badge": badge,
        "state": "" if not part.parts else "open" if box.opened else "closed",
        "kind": -1 if part.parts else KINDS.index(kind(network.graph.nodes[part.operator])),
        "bar": [[number, round(share, 3)] for number, share in network.shares(part)] if not box.opened else [],
        "fill": colours[0] if colours else "",
        "ink": colours[1] if colours else "",
        "mark": mark,
        "sign": tally or SIGNS.get(mark, ""),
        "label": _label(network, part, what, shape, third if scale else ""),
        "reads": sorted(reads),
        "makes": sorted(makes),
    }


def _label(network: Network, part: Part, what: str, shape: str, third: str) -> str:
    """The box in words, for those who do not see it, and beside the mouse."""
    name = part.id.lstrip(":") if part.parts else network.graph.nodes[part.operator].layer or part.name
    words = [f"{name}: {what}" + (f", {part.repeats} equal in a row" if part.repeats > 1 else "")]
    words += [f"output {shape}", si(network.value(part, "macs"), "MACs")]
    words += [third] if third and "MACs" not in third else []
    mark, tally = network.mark(part), network.tally(part)
    words += [f"{mark} ({tally})" if tally else mark] if mark else []
    return "; ".join(words)


def svg_path(points: Sequence[Point]) -> str:
    """Points as the ``d`` of an SVG path."""
    numbers = [f"{u:.1f} {v:.1f}" for u, v in points]
    curves = [f"C{' '.join(numbers[i : i + 3])}" for i in range(1, len(numbers), 3)]
    return f"M{numbers[0]}{''.join(curves)}"
