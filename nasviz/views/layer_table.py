"""The table of a layer comparison: as text that is sorted and transposed, and for a file. No widgets."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from nasviz.views.layer_data import Comparison
from nasviz.views.sortable import Grid
from nasviz.views.text import tick_labels

COLUMNS_SHOWN = 60  # in a page; files have all
NAME = 32  # characters of a layer's name in a page
GAP, MARK = "–", "▲"


def long_table(comparison: Comparison) -> pd.DataFrame:
    """The comparison for a file: ``layer``, ``operator``, a column a cycle, remarks, and a Total row last."""
    frame = comparison.layers.rename(columns={"op": "operator"}).reset_index(drop=True)
    for k, cycle in enumerate(comparison.cycles):
        frame[f"cycle {cycle}"] = comparison.values[:, k]
    for k, cycle in enumerate(comparison.cycles):
        remarks = np.select([~comparison.present[:, k], comparison.bottleneck[:, k]], ["no layer", "bottleneck"], "")
        frame[f"cycle {cycle}: remark"] = remarks.astype(object)
    if comparison.total is not None:
        total = {f"cycle {cycle}": value for cycle, value in zip(comparison.cycles, comparison.total, strict=True)}
        frame = pd.concat([frame, pd.DataFrame([{"layer": "Total", **total}])], ignore_index=True)
    return frame


def sort_keys(comparison: Comparison, transposed: bool) -> dict[str, np.ndarray]:
    """The columns of the table by their headers, as what they are sorted by."""
    if transposed:
        keys: dict[str, np.ndarray] = {"cycle": np.array(comparison.cycles, dtype=float)}
        keys |= dict(zip(tick_labels(list(comparison.layers["layer"]), NAME), comparison.values, strict=True))
        return keys | ({} if comparison.total is None else {"Total": comparison.total})
    keys = {"layer": comparison.layers["layer"].to_numpy(), "operator": comparison.layers["op"].to_numpy()}
    keys |= {f"cycle {cycle}": comparison.values[:, k] for k, cycle in enumerate(comparison.cycles)}
    return keys | ({"change": comparison.change} if _two(comparison) else {})


def order(key: np.ndarray | None, descending: bool, length: int) -> np.ndarray:
    """The row numbers in the order of `key`; missing values last, equal ones as they were."""
    if key is None:
        return np.arange(length)
    return pd.Series(key).sort_values(ascending=not descending, kind="stable", na_position="last").index.to_numpy()


def layer_grid(comparison: Comparison, selected: int, transposed: bool, sort: str, descending: bool) -> Grid:
    """The table: layers down and cycles across or, `transposed`, the other way round; sorted by the column `sort`.

    Bottlenecks are marked and coloured; a cycle without the layer has a dash.
    """
    keys = sort_keys(comparison, transposed)
    shown = (slice(COLUMNS_SHOWN), slice(None)) if transposed else (slice(None), slice(COLUMNS_SHOWN))
    text, classes = _cells(comparison, shown)
    total = None if comparison.total is None else [comparison.quantity.cell(value) for value in comparison.total]
    chosen = [k for k, cycle in enumerate(comparison.cycles) if cycle == selected]
    if transposed:
        text, classes = text.T, classes.T
        rows = order(keys.get(sort), descending, len(text))
        columns = [*list(keys)[: 1 + text.shape[1]], *(["Total"] if total else [])]
        body = [[str(comparison.cycles[k]), *text[k], *([total[k]] if total else [])] for k in rows]
        return Grid(columns, body, (), 1, _marked(classes[rows], 1), [r for r, k in enumerate(rows) if k in chosen])
    rows = order(keys.get(sort), descending, len(text))
    labels = tick_labels(list(comparison.layers["layer"]), NAME)
    names, change = [(labels[i], comparison.layers["op"].iloc[i]) for i in rows], [[] for _ in rows]
    foot = ["Total", "", *total[:COLUMNS_SHOWN]] if total else []
    if _two(comparison):
        change = [[_signed(comparison.quantity.cell, value)] for value in comparison.change[rows]]
        foot += [_signed(comparison.quantity.cell, comparison.total[-1] - comparison.total[0])] if total else []
    columns = [*list(keys)[: 2 + COLUMNS_SHOWN], *(["change"] if _two(comparison) else [])][: len(keys)]
    cells = text[rows]
    body = [[*map(str, name), *row, *last] for name, row, last in zip(names, cells, change, strict=True)]
    marks = _marked(classes[rows], 2)
    return Grid(columns, body, foot, 2, marks, (), [k + 2 for k in chosen if k < COLUMNS_SHOWN])


def _two(comparison: Comparison) -> bool:
    return len(comparison.cycles) == 2


def _cells(comparison: Comparison, shown: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """Text and CSS class of each cell of the part `shown`, both (L, K)."""
    write, values, bottleneck = comparison.quantity.cell, comparison.values[shown], comparison.bottleneck[shown]
    numbers = np.array([write(value) for value in values.ravel()], dtype=object).reshape(values.shape)
    text = np.where(bottleneck, numbers + f" {MARK}", numbers)
    present = comparison.present[shown]
    return np.where(present, text, GAP), np.select([~present, bottleneck], ["gap", "bottleneck"], "")


def _marked(classes: np.ndarray, left: int) -> dict[tuple[int, int], str]:
    """The cells that have a class, by row and column, with `left` columns before them."""
    return {(int(i), int(j) + left): str(classes[i, j]) for i, j in np.argwhere(classes != "")}


def _signed(write: Callable[[float], str], value: float) -> str:
    return GAP if not np.isfinite(value) else ("+" if value > 0 else "") + write(value)
