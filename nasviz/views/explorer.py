"""The computation graph of a network, to walk through; two networks side by side with their differences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import ipywidgets as widgets
import pandas as pd
import traitlets

from nasviz.graph.graph import ComputeGraph
from nasviz.views.cycle_panel import button, group
from nasviz.views.explorer_compare import CHANGED, RULE, SIGNS, differences
from nasviz.views.explorer_data import Network, quantities
from nasviz.views.explorer_details import details
from nasviz.views.explorer_figure import draw_scene, fitting
from nasviz.views.explorer_scene import COLOUR_BY_KIND, WHICH, WIDEST_TITLE, Scene, scene
from nasviz.views.explorer_tree import Part
from nasviz.views.explorer_widget import Drawing, NetworkChart
from nasviz.views.panel import Panel, guard
from nasviz.views.state import ExplorerState
from nasviz.views.table import html_table
from nasviz.views.text import shorten
from nasviz.views.theme import si

if TYPE_CHECKING:
    from nasviz.cycles.run import Run

SPACE = 840  # pixels, until the page says how much there is
NARROW = 480  # of less, networks are drawn from top to bottom
OVERVIEW, OVERVIEW_COMPARED = 30, 60  # boxes that are seen at first
Layers = pd.DataFrame | tuple[pd.DataFrame | None, pd.DataFrame | None] | None


class NetworkExplorer(Panel):
    """A network laid out, its modules as boxes that open and close, each with its shapes, cost and formula.

    Norms and activations are drawn with their operator, and equal blocks in a row as one box. With a second network,
    both stand side by side, and what was added, removed or changed is marked. Mouse, fingers and keys move the drawing:
    dragging, the wheel (with Ctrl it scales), plus, minus and 0. The arrow keys go from box to box, Enter opens one.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    other : ComputeGraph, optional
        What it became; `RULE` of :mod:`nasviz.views.explorer_compare` says how layers are matched.
    layers : DataFrame or pair of DataFrame, optional
        More metrics of the layers to colour by, such as a cycle's: the columns ``layer``, ``metric`` and ``value``, or
        a column a metric. Of two networks, a pair.
    state : ExplorerState, optional
        Where to open the view.

    Attributes
    ----------
    state : ExplorerState
        What is chosen; setting one of its traits moves the view.
    networks : list of Network
        What is shown.

    Raises
    ------
    TypeError
        If `graph` or `other` is no ComputeGraph.
    ValueError
        If `layers` cannot be read, or the state names what the networks do not have.

    Examples
    --------
    >>> from nasviz.families import get
    >>> family = get("nb201")
    >>> view = NetworkExplorer(family.graph(family.sample(1, seed=0)[0]))
    >>> [part.name for part in view.networks[0].tree.root.parts]
    ['input', 'stem', 'stage1', 'stage2', 'stage3', 'head']
    """

    title = "nasviz network"
    chart_class = NetworkChart

    def __init__(
        self,
        graph: ComputeGraph,
        other: ComputeGraph | None = None,
        layers: Layers = None,
        *,
        state: ExplorerState | None = None,
    ):
        super().__init__(ExplorerState() if state is None else state)
        self.networks = _networks(graph, other, layers)
        self._arrange()
        if self.state.opened is None:
            self.state.opened = self._overview()
        colours = [("kind of operator", COLOUR_BY_KIND)]
        colours += [(quantity.title, name) for name, quantity in quantities(self.networks).items()]
        self._colour = self.choice("colour", "Colour", colours)
        names = dict.fromkeys(node.layer for network in self.networks for node in network.graph.nodes if node.layer)
        self._find = widgets.Combobox(
            description="Find",
            placeholder="layer",
            options=list(names),
            style={"description_width": "initial"},
            layout={"width": "220px"},
        )
        self._find.observe(self._on_find, "value")
        switches = {
            "fold": "Norms and activations in their operator",
            "repeats": "Equal blocks as one",
            "picture": "Static picture",
        }
        self._controls.children = [
            self._colour,
            self._find,
            group(
                button("Open all", "Open every module", self._on_open_all),
                button("Close all", "Close every module", self._on_close_all),
                button("Overview", "As at the beginning", self._on_overview),
            ),
            group(*(self.switch(trait, label) for trait, label in switches.items())),
        ]
        self._details, self._table = widgets.HTML(), widgets.HTML()
        self._side.children, self._below.children = [self._details], [self._table]
        self._side.add_class("nasviz-explorer-side")
        if len(self.networks) > 1:
            self.chart.layout.flex = "1 1 100%"  # two networks need the width; the details stand below
        self.redraw()
        self._show_details()
        traitlets.link((self.state, "box"), (self.chart, "chosen"))
        self.state.observe(self._on_state, ["opened", "colour"])
        self.state.observe(self._on_arrangement, ["fold", "repeats"])
        self.state.observe(self._on_box, "box")
        self.chart.observe(self._on_space, "space")

    @classmethod
    def of_run(cls, run: "Run", cycle: int, other: int | None = None, *, state: ExplorerState | None = None) -> Self:
        """The network of a cycle of a run, or those of two, with the metrics of their layers.

        Parameters
        ----------
        run : Run
            The run.
        cycle, other : int
            Indices of cycles.
        state : ExplorerState, optional
            Where to open the view.

        Raises
        ------
        KeyError, ValueError, FileNotFoundError
            If the run has no such cycle, or the cycle no graph.
        """
        cycles = [run.cycle(index) for index in (cycle, other) if index is not None]
        tables = tuple(layers if len(layers := each.layers()) else None for each in cycles)
        graphs = [named(each.graph(), f"cycle {each.index}, {each.name}") for each in cycles]
        return cls(*graphs, layers=tables if len(graphs) > 1 else tables[0], state=state)

    # -- what the view shows ------------------------------------------------------------------------------------------

    def figure(self) -> Drawing:
        """The drawing, as the page shows it."""
        return Drawing(self._scene(), lambda box: details(self.networks, box), self.describe())

    def static(self):
        """The drawing as a matplotlib Figure."""
        return draw_scene(fitting(lambda width: self._scene(width / len(self.networks))))

    def export_table(self) -> pd.DataFrame:
        """All operators, open or not: layer, operator, kind, output shape, cost, other metrics, what differs."""
        return self._table_of([[part for part in network.tree.root if part.operator >= 0] for network in self.networks])

    def describe(self) -> str:
        """The networks in words."""
        texts = []
        for network in self.networks:
            graph, seen = network.graph, network.tree.visible(self.state.opened)
            inside = sum(1 for part in network.tree.root if part.operator >= 0)
            cost = f"{si(graph.params, 'parameters')}, {si(network.metrics['macs'].sum(), 'MACs')}"
            name = shorten(graph.name or "a network", WIDEST_TITLE)
            texts.append(f"{name}: {inside:,} operators, {cost}; {len(seen):,} boxes are seen")
        text = f"Computation graph of {'; after it, '.join(texts)}."
        return f"{text} {self._compared()}".strip() + " The table lists the boxes."

    def find(self, layer: str) -> None:
        """Open what is around a layer, and choose it.

        Parameters
        ----------
        layer : str
            The dotted name of a layer, or the id of a box.

        Raises
        ------
        ValueError
            If no network has it.
        """
        for network in reversed(self.networks):
            tree = network.tree
            nodes = [i for i, node in enumerate(network.graph.nodes) if node.layer == layer]
            if nodes or layer in tree.parts:
                part = tree.leaf(nodes[0]) if nodes else tree.parts[layer]
                around = [each.id for each in tree.above(part)]
                self.state.opened = list(dict.fromkeys([*self.state.opened, *around]))
                self.state.box = part.id
                return
        raise ValueError(f"layer {layer!r} is none of this network; its layers have dotted names such as 'stem.conv'.")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _scene(self, width: float | None = None) -> Scene:
        space = self.chart.space or SPACE / len(self.networks)
        down = width is None and space < NARROW
        return scene(self.networks, self.state.opened, self.state.colour, width or space, down)

    def _arrange(self) -> None:
        for network in self.networks:
            network.arrange(self.state.fold, self.state.repeats)

    def _overview(self) -> list[str]:
        opened = dict.fromkeys(box for network in self.networks for box in network.tree.overview(OVERVIEW))
        if len(self.networks) > 1:
            for network in self.networks:
                self._open_changed(network, network.tree.root, opened)
        return list(opened)

    def _open_changed(self, network: Network, part: Part, opened: dict[str, None]) -> None:
        """Open what holds differences, while there is room; of equal boxes in a row the first."""
        for inner in part.parts[:1] if part.repeats > 1 else part.parts:
            if inner.parts and network.mark(inner) == CHANGED:
                if len(network.tree.visible([*opened, inner.id])) > OVERVIEW_COMPARED:
                    return
                opened[inner.id] = None
                self._open_changed(network, inner, opened)

    def _compared(self) -> str:
        if len(self.networks) < 2:
            return ""
        before, after = (network.differences.counts for network in self.networks)
        counts = {"added": after["added"], "removed": before["removed"], "changed": after["changed"]}
        return "Nodes " + ", ".join(f"{mark} ({SIGNS[mark]}): {count}" for mark, count in counts.items()) + f". {RULE}"

    def _table_of(self, parts: Sequence[Sequence]) -> pd.DataFrame:
        tables = [network.table(own) for network, own in zip(self.networks, parts, strict=True)]
        if len(tables) == 1:
            return tables[0]
        named = [table.assign(network=which) for table, which in zip(tables, WHICH, strict=True)]
        table = pd.concat([each for each in named if len(each)] or named[:1], ignore_index=True)
        return table[["network", *table.columns.drop("network")]]

    def redraw(self) -> None:
        """Draw the networks and their table in the present state."""
        super().redraw()
        table = self._table_of([network.tree.visible(self.state.opened) for network in self.networks])
        known = {name: quantity for name, quantity in quantities(self.networks).items() if name in table}
        formats = {quantity.title: quantity.short for quantity in known.values()}
        shown = table.rename(columns={name: quantity.title for name, quantity in known.items()})
        self._table.value = html_table(shown, "The boxes, in the order of execution", formats)
        self.show_status(self._compared() or "A click chooses a box; its sign, a double click or Enter opens it.")

    def _show_details(self) -> None:
        self._details.value = details(self.networks, self.state.box)

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _on_click(self, point: str) -> None:
        """Open or close a box."""
        opened = self.state.opened
        self.state.opened = [box for box in opened if box != point] if point in opened else [*opened, point]

    @guard
    def _on_state(self, change) -> None:
        self.redraw()

    @guard
    def _on_arrangement(self, change) -> None:
        self._arrange()
        self.redraw()
        self._show_details()

    @guard
    def _on_box(self, change) -> None:
        self._show_details()

    @guard
    def _on_space(self, change) -> None:
        self.chart.draw(self.figure())

    @guard
    def _on_find(self, change) -> None:
        if change["new"]:
            self.find(change["new"])

    @guard
    def _on_open_all(self, _) -> None:
        every = dict.fromkeys(part.id for network in self.networks for part in network.tree.root if part.parts)
        self.state.opened = [box for box in every if box]

    @guard
    def _on_close_all(self, _) -> None:
        self.state.opened = []

    @guard
    def _on_overview(self, _) -> None:
        self.state.opened = self._overview()


def named(graph: ComputeGraph, name: str) -> ComputeGraph:
    """The same graph under another name."""
    return ComputeGraph(graph.nodes, graph.edges, graph.outputs, name, graph.unused_params, graph.unused_bytes)


def _networks(graph: ComputeGraph, other: ComputeGraph | None, layers: Layers) -> list[Network]:
    graphs = [graph] if other is None else [graph, other]
    for name, each in zip(("graph", "other"), graphs, strict=False):
        if not isinstance(each, ComputeGraph):
            raise TypeError(
                f"{name} is a {type(each).__name__}; pass a ComputeGraph, such as nasviz.trace(model, example) gives."
            )
    tables = list(layers) if isinstance(layers, tuple | list) else [layers, None][: len(graphs)]
    if len(tables) != len(graphs):
        raise ValueError(f"layers holds {len(tables)} tables for {len(graphs)} networks; pass one for each.")
    found = differences(graph, other) if other is not None else (None,)
    return [Network(*each) for each in zip(graphs, tables, found, strict=True)]
