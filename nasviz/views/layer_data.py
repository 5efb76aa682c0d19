"""Layers of several cycles side by side: matched, one metric of them, their bottlenecks. Data in, data out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from nasviz.cycles.layers import match_layers
from nasviz.measure.capacity import bottlenecks
from nasviz.views.quantity import Quantity

BOTTLENECK = "bottleneck"  # the metric of a layer that marks one, where it is not zero
SUMMED = frozenset({"parameters", "flops", "kflops", "macs"})  # of these a sum over layers means something
HEAD = ["op", "trainable", "position"]
Rule = Callable[[pd.DataFrame], pd.Series]


class LayerTables:
    """The layers of a run, one table a cycle, made when a cycle is first asked for.

    Parameters
    ----------
    long : DataFrame
        The run's table ``layers``.
    rule : callable, optional
        Gets the layers of a cycle (a row a layer; ``op``, ``trainable``, ``position``, a column a metric) and gives a
        Series of bool: which are bottlenecks. Without it the metric ``bottleneck`` says so; without that, the rule of
        :func:`nasviz.measure.bottlenecks`.

    Attributes
    ----------
    metrics : list of str
        The metrics of layers, by first appearance.
    marked : bool
        Whether the caller or the run says which layers are bottlenecks.
    """

    def __init__(self, long: pd.DataFrame, rule: Rule | None = None):
        names = [str(name) for name in long["metric"].unique()]
        self.metrics = [name for name in names if name != BOTTLENECK]
        self.marked = rule is not None or BOTTLENECK in names
        self._long, self._rule, self._rows = long, rule, long.groupby("cycle").indices
        self._tables: dict[int, pd.DataFrame] = {}

    def of(self, cycle: int) -> pd.DataFrame:
        """The layers of a cycle in their order, by name: op, trainable, position, a column a metric, bottleneck (bool).

        Raises
        ------
        ValueError
            If a layer has two values of a metric.
        """
        if cycle not in self._tables:
            self._tables[cycle] = self._make(self._long.iloc[self._rows.get(cycle, [])], cycle)
        return self._tables[cycle]

    def _make(self, rows: pd.DataFrame, cycle: int) -> pd.DataFrame:
        twice = rows[rows.duplicated(["layer", "metric"])]
        if len(twice):
            row = twice.iloc[0]
            raise ValueError(
                f"run.layers has more than one value of {row['metric']!r} for layer {row['layer']!r} of cycle {cycle}; "
                "keep one."
            )
        order = rows["layer"].drop_duplicates()
        head = pd.DataFrame({"op": "", "trainable": True, "position": range(len(order))}, index=pd.Index(order))
        first = rows.drop_duplicates("layer").set_index("layer")
        for name in HEAD:
            if name in first:
                head[name] = first[name]
        table = head.join(rows.pivot(index="layer", columns="metric", values="value"))
        table = table.sort_values("position", kind="stable")
        if self._rule is None and self.marked:
            marks = table[BOTTLENECK].fillna(0) != 0 if BOTTLENECK in table else pd.Series(False, table.index)
        else:
            marks = (self._rule or bottlenecks)(table)
        return table.assign(**{BOTTLENECK: marks.astype(bool)})


@dataclass(frozen=True)
class Comparison:
    """One metric of L layers in K cycles.

    Attributes
    ----------
    quantity : Quantity
    cycles : list of int, of length K
    layers : DataFrame (L rows)
        ``layer`` (its name, in the first of the cycles that has it) and ``op``.
    values : array (L, K)
        NaN where there is no layer or no value.
    present : array (L, K) of bool
        Which cycles have the layer.
    bottleneck : array (L, K) of bool
    total : array (K,) or None
        The sum over all layers of a cycle, also those that are left out because they do not differ.
    """

    quantity: Quantity
    cycles: list[int]
    layers: pd.DataFrame
    values: np.ndarray
    present: np.ndarray
    bottleneck: np.ndarray
    total: np.ndarray | None

    @property
    def change(self) -> np.ndarray:
        """What the last cycle has more than the first, (L,)."""
        return self.values[:, -1] - self.values[:, 0]

    def rows(self, keep: np.ndarray) -> "Comparison":
        """Only these layers, in this order; the total stays."""
        parts = (self.values[keep], self.present[keep], self.bottleneck[keep])
        return Comparison(self.quantity, self.cycles, self.layers.iloc[keep], *parts, self.total)

    @property
    def differing(self) -> np.ndarray:
        """The rows whose cycles do not all have the layer with the same value."""
        first, known = self.values[:, :1], np.isfinite(self.values)
        same = np.isclose(self.values, first, rtol=1e-9, atol=0) | (~known & ~known[:, :1])
        return np.flatnonzero(~(same & (self.present == self.present[:, :1])).all(axis=1))


@dataclass(frozen=True)
class Matching:
    """Which layer of each of K cycles stands in each of L rows.

    Attributes
    ----------
    tables : dict of DataFrame
        The layers of each cycle.
    layers : DataFrame (L rows)
        ``layer`` (its name, in the first of the cycles that has it) and ``op``.
    places : array (L, K) of int
        The row of the layer in its cycle's table; -1 where the cycle does not have it.
    """

    tables: dict[int, pd.DataFrame]
    layers: pd.DataFrame
    places: np.ndarray

    @classmethod
    def of(cls, tables: LayerTables, cycles: Sequence[int], untrained: bool) -> Self:
        """Match the layers of some cycles; of trainable layers only, unless `untrained`."""
        chosen = {cycle: tables.of(cycle) for cycle in cycles}
        if not untrained:
            chosen = {cycle: table[table["trainable"].astype(bool)] for cycle, table in chosen.items()}
        heads = [
            table.rename_axis("layer").reset_index()[["layer", "op"]].assign(cycle=cycle, position=range(len(table)))
            for cycle, table in chosen.items()
        ]
        none = pd.DataFrame(columns=["layer", "op", "cycle", "position"])
        names = match_layers(pd.concat(heads or [none]).astype({"op": str})).reindex(columns=list(chosen))
        places = np.full(names.shape, -1)
        layers = pd.DataFrame({"layer": names.index.astype(object), "op": ""}, index=range(len(names)), dtype=object)
        for k, (cycle, table) in reversed(list(enumerate(chosen.items()))):  # so that the first one has the last word
            here = names[cycle].notna().to_numpy()
            places[here, k] = table.index.get_indexer(names[cycle][here])
            layers.loc[here, "op"] = table["op"].astype(str).to_numpy()[places[here, k]]
        return cls(chosen, layers, places)

    def compare(self, metric: str) -> Comparison:
        """One metric of these layers."""
        values, bottleneck = np.full(self.places.shape, np.nan), np.zeros(self.places.shape, dtype=bool)
        for k, table in enumerate(self.tables.values()):
            here = self.places[:, k] >= 0
            bottleneck[here, k] = table[BOTTLENECK].to_numpy()[self.places[here, k]]
            if metric in table:
                values[here, k] = table[metric].to_numpy()[self.places[here, k]]
        total = pd.DataFrame(values).sum(min_count=1).to_numpy(float) if metric in SUMMED else None
        return Comparison(Quantity(metric), list(self.tables), self.layers, values, self.places >= 0, bottleneck, total)
