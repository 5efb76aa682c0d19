"""What the views read from a run, checked once: values by cycle, names, units, directions. No widgets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from nasviz.views.quantity import COSTS, Quantity
from nasviz.views.text import shorten, tick_labels

METRIC_COLUMNS = ["cycle", "metric", "value"]
LAYER_COLUMNS = ["cycle", "layer", "metric", "value"]
PERFORMANCE = "performance"  # what a run calls its primary metric, too
PRIMARY = (PERFORMANCE, "accuracy")  # what a run is judged by if it does not say so itself


class RunLike(Protocol):
    """What a view needs of a run. With ``refresh()`` it is watched live; ``cycles`` and ``primary`` are used, too."""

    @property
    def metrics(self) -> pd.DataFrame: ...
    @property
    def layers(self) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class RunData:
    """A run at one moment.

    Attributes
    ----------
    values : DataFrame (cycles, metrics)
        In the order of the cycles, the primary metric first; NaN where there is no value.
    names : dict of str
        What each cycle is called, by its index.
    quantities : dict of Quantity
        The metrics of cycles, by name.
    primary : str
        The metric a cycle is judged by; empty where nothing was measured.
    costs : frozenset of str
        The metrics of which less is better, where the user says nothing else.
    layers : DataFrame
        As in the run: ``cycle``, ``layer``, ``op``, ``trainable``, ``position``, ``metric``, ``value``.
    """

    values: pd.DataFrame
    names: Mapping[int, str]
    quantities: Mapping[str, Quantity]
    primary: str
    costs: frozenset[str]
    layers: pd.DataFrame
    _sources: tuple[Any, ...] = ()

    @classmethod
    def read(cls, run: RunLike) -> Self:
        """Read and check the tables of a run.

        Raises
        ------
        TypeError
            If the run has no tables.
        ValueError
            If a table lacks a column, holds text among its values, or has two values for one cycle and metric.
        """
        metrics, layers = _table(run, "metrics", METRIC_COLUMNS), _table(run, "layers", LAYER_COLUMNS)
        known = {int(cycle.index): str(cycle.name) for cycle in getattr(run, "cycles", None) or []}
        sources = (metrics, layers, known)
        metrics = metrics.assign(cycle=_cycles(metrics, "metrics"), value=_values(metrics, "metrics"))
        layers = layers.assign(cycle=_cycles(layers, "layers"), value=_values(layers, "layers"))
        twice = metrics[metrics.duplicated(["cycle", "metric"])]
        if len(twice):
            row = twice.iloc[0]
            raise ValueError(
                f"run.metrics has more than one value of {row['metric']!r} for cycle {row['cycle']}; keep one."
            )
        values = metrics.pivot(index="cycle", columns="metric", values="value")
        order = list(dict.fromkeys(metrics["metric"].astype(str)))
        values = values.rename(columns=str).reindex(
            sorted({*values.index, *layers["cycle"].unique(), *known}), columns=order
        )
        primary, higher = _primary(run, order)
        costs = COSTS - {primary} if higher else COSTS | {primary, PERFORMANCE}
        units = metrics.get("unit", pd.Series("", metrics.index)).fillna("").astype(str)
        by_metric = dict(zip(metrics["metric"].astype(str), units, strict=True))
        called = metrics.get("name", pd.Series("", metrics.index)).fillna("").astype(str)
        return cls(
            values[[*([primary] if primary else []), *(name for name in order if name != primary)]],
            dict(zip(metrics["cycle"], called, strict=True)) | known,
            {name: Quantity(name, by_metric[name]) for name in order},
            primary,
            costs,
            layers,
            sources,
        )

    def is_of(self, run: RunLike) -> bool:
        """Whether the run still has the tables that this was read from."""
        if not self._sources:
            return False
        metrics, layers, known = self._sources
        now = {int(cycle.index): str(cycle.name) for cycle in getattr(run, "cycles", None) or []}
        return now == known and _same(metrics, run.metrics) and _same(layers, run.layers)

    @property
    def cycles(self) -> list[int]:
        """The indices of all cycles, in order."""
        return [int(cycle) for cycle in self.values.index]

    def name(self, cycle: int) -> str:
        """``"cycle 3"``, with the name of the cycle where it has one."""
        called = self.names.get(cycle, "")
        return f"cycle {cycle}" + ("" if called in ("", str(cycle), f"cycle {cycle}") else f": {called}")

    def label(self, cycle: int) -> str:
        """``"3"``, with the beginning of the name, for menus and tables."""
        return shorten(self.name(cycle).removeprefix("cycle "), 32)

    def table(self, **marks: pd.Series) -> pd.DataFrame:
        """For files, a row a cycle: ``cycle``, ``name``, all metrics (renamed if they are called so), then `marks`."""
        taken = {"cycle", "name", *marks}
        metrics = self.values.rename(columns={name: f"metric {name}" for name in taken}).rename_axis(columns=None)
        names = [self.names.get(cycle, "") for cycle in self.cycles]
        head = pd.DataFrame({"cycle": self.cycles, "name": names}, index=metrics.index)
        return pd.concat([head, metrics, pd.DataFrame(marks, index=metrics.index)], axis=1).reset_index(drop=True)

    def columns(self, metrics: Iterable[str], *taken: str) -> dict[str, str]:
        """The headers of a table of these metrics behind the columns `taken`, each once, by the metric."""
        metrics = list(dict.fromkeys(metrics))
        titles = tick_labels([*taken, *(self.quantity(name).title for name in metrics)], 40)
        return dict(zip(metrics, titles[len(taken) :], strict=True))

    def column(self, metric: str) -> pd.Series:
        """The values of a metric by cycle; all NaN where the run has no such metric."""
        return self.values.get(metric, pd.Series(np.nan, self.values.index, dtype=float))

    def quantity(self, metric: str) -> Quantity:
        """The metric with its unit."""
        return self.quantities.get(metric, Quantity(metric))


def best(values: pd.Series, lower: bool) -> list:
    """The labels of the best values, more than one where they are equal, none where nothing was measured."""
    known = values.dropna()
    return list(known.index[known == (known.min() if lower else known.max())])


def _table(run: RunLike, which: str, needed: list[str]) -> pd.DataFrame:
    table = getattr(run, which, None)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"run must have a table {which!r} (a DataFrame), as a Run has; this {type(run).__name__} has not."
        )
    missing = [name for name in needed if name not in table]
    if missing and len(table.columns):
        raise ValueError(f"run.{which} lacks {', '.join(missing)}; it has {', '.join(map(str, table))}.")
    return table.reindex(columns=needed) if missing else table  # a run without any cycle may have bare tables


def _cycles(table: pd.DataFrame, which: str) -> pd.Series:
    cycles = pd.to_numeric(table["cycle"], errors="coerce")
    wrong = table["cycle"][~(cycles >= 0) | (cycles % 1 != 0)]
    if len(wrong):
        raise ValueError(f"run.{which} holds the cycle {wrong.iloc[0]!r}; cycles are counted from 0.")
    return cycles.astype(int)


def _values(table: pd.DataFrame, which: str) -> pd.Series:
    if pd.api.types.is_float_dtype(table["value"]):
        values = table["value"].astype(float)
    else:
        try:
            values = pd.to_numeric(table["value"]).astype(float)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"run.{which} holds a value that is no number ({error}); None stands for no value."
            ) from None
    return values.where(np.isfinite(values))  # a chart has no place for infinity


def _primary(run: RunLike, metrics: list[str]) -> tuple[str, bool]:
    """The name of the primary metric, and whether more of it is better."""
    said = getattr(run, "primary", None)
    name, higher = str(getattr(said, "name", said or "")), getattr(said, "higher_is_better", None)
    if name not in metrics:
        return next((other for other in [*PRIMARY, *metrics] if other in metrics), ""), True
    higher = getattr(run, "higher_is_better", None) if higher is None else higher
    return name, name not in COSTS if higher is None else bool(higher)


def _same(old: pd.DataFrame, new: pd.DataFrame) -> bool:
    if old is new or len(old) != len(new):
        return old is new
    # a Run hands out its tables as copies that share their memory until they change
    return np.shares_memory(old["value"].to_numpy(), new["value"].to_numpy()) or old.equals(new)
