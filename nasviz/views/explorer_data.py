"""What the boxes of a network say: their cost and other metrics, their words, their colours. Data in, data out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pandas as pd

from nasviz.cycles.description import layer_names
from nasviz.graph.cost import cost, macs
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op
from nasviz.views.explorer_compare import CHANGED, SIGNS, Differences
from nasviz.views.explorer_text import shape_text, word
from nasviz.views.explorer_tree import Part, Tree
from nasviz.views.network_figure import KINDS, kind
from nasviz.views.quantity import Quantity
from nasviz.views.theme import ON_DARK, ON_LIGHT

ELEMENT = 4  # bytes of an element of an activation; graphs hold no types, so float32 is taken
COUNTED = ("macs", "flops", "parameters", "activation_bytes")
"""Metrics that every network has: whole numbers."""
SUMMED = frozenset({*COUNTED, "kflops", "size_bytes", "latency_ms"})
"""Metrics of which the sum over layers means something; of others, a module shows the mean."""


class Network:
    """A network and what is known of its operators.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    layers : DataFrame, optional
        More metrics of its layers, named as in a run: columns ``layer``, ``metric``, ``value``, or one for each metric.
    differences : Differences, optional
        How it differs from another network.

    Attributes
    ----------
    tree : Tree
        Its boxes; `arrange` makes another one.
    metrics : dict of str to array
        By name, a value for each node; NaN where there is none.

    Raises
    ------
    ValueError
        If `layers` lacks a column, holds a layer twice, or none of this network.
    """

    def __init__(self, graph: ComputeGraph, layers: pd.DataFrame | None = None, differences: Differences | None = None):
        self.graph, self.differences = graph, differences
        table = cost(graph).by_layer.iloc[: len(graph)]
        sizes = [ELEMENT * prod(node.out_shape) for node in graph.nodes]
        self.metrics: dict[str, np.ndarray] = {
            "macs": table["macs"].to_numpy(float),
            "flops": table["flops"].where(table["counted"].astype(bool)).to_numpy(float),
            "parameters": table["params"].to_numpy(float),
            "activation_bytes": np.array(sizes, dtype=float),
        }
        if layers is not None:
            self.metrics |= {k: v for k, v in layer_values(graph, layers).items() if k not in self.metrics}
        self.arrange()

    def arrange(self, fold: bool = True, repeats: bool = True) -> None:
        """Make the boxes: with norms and activations in their operators, with equal boxes in a row as one, or not."""
        self.tree = Tree(self.graph, fold, repeats, self.differences.marks if self.differences else ())

    def value(self, part: Part, metric: str) -> float:
        """A metric of a box: of several operators the sum, or the mean where a sum means nothing."""
        values = self.metrics[metric][list(part.nodes)] if metric in self.metrics else np.zeros(0)
        values = values[np.isfinite(values)]
        if not len(values):
            return float("nan")
        return float(values.sum() if metric in SUMMED else values.mean())

    def text(self, part: Part) -> tuple[str, str]:
        """What it is, in one line, and its output's shape."""
        shape = shape_text(self.graph.nodes[self.result(part)].out_shape)
        if not part.parts:
            extras = [word(self.graph.nodes[node]) for node in part.nodes if node != part.operator]
            return " · ".join([word(self.graph.nodes[part.operator]), *extras]), shape
        count = sum(1 for each in part if not each.parts)
        if part.row and part.name == part.row:
            return f"{count // part.repeats:,} operators each", shape
        return part.row or f"{count:,} operators", shape

    def result(self, part: Part) -> int:
        """The node whose result a box hands on: the last one of the last operator that is read outside."""
        inside = set(part.nodes)
        leaving = [n for n in part.nodes if self.tree.owner[n] == n and self.tree.readers.get(n, set()) - inside]
        owner = leaving[-1] if leaving else self.tree.owner[part.nodes[-1]]
        return max(node for node in part.nodes if self.tree.owner[node] == owner)

    def mark(self, part: Part) -> str:
        """``"added"``, ``"removed"``, ``"changed"`` or nothing."""
        if self.differences is None:
            return ""
        marks = {self.differences.marks[node] for node in part.nodes}
        own = {self.differences.marks[each.operator] for each in part if not each.parts}
        return own.pop() if len(own) == 1 and own != {""} else CHANGED if marks != {""} else ""

    def tally(self, part: Part) -> str:
        """How many operators in a module are marked: ``"+2 −1 ≠3"``."""
        if self.differences is None or not part.parts:
            return ""
        counts = Counter(self.mark(each) for each in part if not each.parts)
        return " ".join(f"{sign}{counts[mark]}" for mark, sign in SIGNS.items() if counts[mark])

    def shares(self, part: Part) -> list[tuple[int, float]]:
        """The kinds of its operators with their shares of its MACs, or of the operators where there are none."""
        operators = [each.operator for each in part if not each.parts]
        weights = np.array([macs(self.graph.nodes[node]) for node in operators], dtype=float)
        if not weights.sum():
            weights = np.ones(len(operators))
        shares = dict.fromkeys(range(len(KINDS)), 0.0)
        for node, weight in zip(operators, weights / weights.sum(), strict=True):
            shares[KINDS.index(kind(self.graph.nodes[node]))] += float(weight)
        return [(number, share) for number, share in shares.items() if share]

    def tensors(self, part: Part) -> tuple[set[int], set[int]]:
        """The operators outside whose results it reads, and those inside whose results are read outside."""
        inside = set(part.nodes)
        reads = {s for node in part.nodes for s in self.tree.sources.get(node, ())} - inside
        return reads, {node for node in part.nodes if self.tree.readers.get(node, set()) - inside}

    def table(self, parts: Iterable[Part]) -> pd.DataFrame:
        """Boxes as a table: a row each, in the order of execution."""
        rows = []
        for part in parts:
            what, shape = self.text(part)
            row = {
                "layer": part.id if part.parts else self.graph.nodes[part.operator].layer or part.id.lstrip(":"),
                "operator": what,
                "kind": kind(self.graph.nodes[part.operator]) if not part.parts else "module",
                "output": shape,
                **{name: self.value(part, name) for name in self.metrics},
            }
            rows.append(row | ({"difference": self.mark(part)} if self.differences else {}))
        columns = ["layer", "operator", "kind", "output", *self.metrics]
        table = pd.DataFrame(rows, columns=columns + ["difference"] * (self.differences is not None))
        return table.astype(dict.fromkeys(COUNTED, "Int64"))


def layer_values(graph: ComputeGraph, layers: pd.DataFrame) -> dict[str, np.ndarray]:
    """Metrics of a run's layers for each node of the graph; where an operator runs again, its first call has them."""
    long = {"metric", "value"} & set(layers)
    missing = [name for name in ("layer", "metric", "value")[: 3 if long else 1] if name not in layers]
    if missing:
        raise ValueError(f"layers lacks {', '.join(missing)}; it has {', '.join(map(str, layers))}.")
    twice = layers[layers.duplicated(["layer", "metric"] if long else "layer")]
    if len(twice):
        raise ValueError(
            f"layers has more than one value of a metric for layer {twice['layer'].iloc[0]!r}; pass those of one cycle."
        )
    if long:
        wide = layers.pivot(index="layer", columns="metric", values="value")[list(layers["metric"].unique())]
    else:
        wide = layers.set_index("layer").drop(columns=["op", "trainable", "position", "cycle"], errors="ignore")
    calls: dict[tuple[str, Op], int] = {}
    for index, node in enumerate(graph.nodes):
        if node.op is not Op.INPUT:
            calls.setdefault((node.layer, node.op), index)
    names = layer_names(list(calls))
    rows = pd.Index([names[call] for call in calls])
    if len(layers) and not rows.isin(layers["layer"]).any():
        name = layers["layer"].iloc[0]
        raise ValueError(
            f"layers names {name!r} and others, none of which is a layer of this network; is it another's?"
        )
    result = {}
    for metric, column in wide.reindex(rows).items():
        values = np.full(len(graph), np.nan)
        values[list(calls.values())] = pd.to_numeric(column, errors="coerce")
        result[str(metric)] = values
    return result


@dataclass(frozen=True)
class Scale:
    """From the values of boxes to colours.

    Attributes
    ----------
    quantity : Quantity
        What is coloured.
    low, high : float
        The values at its ends.
    """

    quantity: Quantity
    low: float
    high: float

    @classmethod
    def of(cls, metric: str, values: Sequence[float]) -> "Scale":
        """The scale from the lowest (0 where sums are shown) to the highest value."""
        known = [value for value in values if np.isfinite(value)] or [0.0]
        low = min(0.0, *known) if metric in SUMMED else min(known)
        unit = "bytes" if metric == "activation_bytes" else ""
        return cls(Quantity(metric, unit), low, max(known))

    def colours(self, value: float) -> tuple[str, str] | None:
        """The colour of a value and that of text on it; None where there is no value."""
        if not np.isfinite(value):
            return None
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        place = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        red, green, blue, _ = colour = colormaps["cividis"](place)
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
        luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))  # WCAG 2.2; black wins from 0.179 on
        return to_hex(colour), ON_LIGHT if luminance > 0.179 else ON_DARK

    @property
    def stops(self) -> list[str]:
        """Colours from the low end to the high one, for a legend."""
        whole = Scale(self.quantity, 0, 8)
        return [whole.colours(i)[0] for i in range(9)]


def quantities(networks: Sequence[Network]) -> Mapping[str, Quantity]:
    """What boxes can be coloured by, besides their kind."""
    names = dict.fromkeys(name for network in networks for name in network.metrics)
    return {name: Scale.of(name, ()).quantity for name in names}
