"""`match_layers`: which layers of different cycles are the same one."""

import numpy as np
import pandas as pd


def match_layers(layers: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Layers side by side: one row a layer, one column a cycle, and gaps where a cycle does not have the layer.

    Cycles are gone through in their order. A layer of the next cycle is one that was there before

    1. if it has the same name and operator as it had when it was last seen, or else, as it ever had;
    2. else, of what is then left over in this cycle and in the one before, if it stands in the same place: layers
       with the same parent (the name without its last part) and the same operator are paired in their order, where
       both cycles have equally many of them. So layers that were only renamed are found again, and where one was
       added or removed nothing is guessed.

    What is still left is new, and stands behind the layer that comes before it.

    Parameters
    ----------
    layers : DataFrame
        `Run.layers`, or some of its rows: the columns cycle, layer, op, position; metric and value for `metric`.
    metric : str, optional
        Fill the table with this metric.

    Returns
    -------
    DataFrame
        The index ``layer`` is the name in the first cycle that has it (twice where an operator was replaced by another
        under the same name). Values are the layer's own name in each cycle, or those of `metric`; NaN is a gap.

    Raises
    ------
    ValueError
        If a column is missing, or a layer has two values of the metric.
    """
    needed = ["cycle", "layer", "op", "position", *(["metric", "value"] if metric is not None else [])]
    missing = [name for name in needed if name not in layers]
    if missing:
        raise ValueError(f"the table of layers lacks {', '.join(missing)}; it has {', '.join(map(str, layers))}.")
    heads = layers[["cycle", "layer", "op", "position"]].drop_duplicates(["cycle", "layer"])
    heads = heads.sort_values(["cycle", "position"], kind="stable")
    found, cycles = _Rows(), []
    for cycle, part in heads.groupby("cycle"):
        cycles.append(int(cycle))
        found.add(list(zip(part["layer"].tolist(), part["op"].tolist(), strict=True)))
    names = found.table(cycles)
    if metric is None:
        return names
    values = layers[layers["metric"] == metric]
    if values.duplicated(["cycle", "layer"]).any():
        raise ValueError(f"metric={metric!r}: a layer has two values of it in one cycle; keep one.")
    result = np.full(names.shape, np.nan)
    for cycle, part in values.groupby("cycle"):
        own = dict(zip(part["layer"].tolist(), part["value"].tolist(), strict=True))
        k = cycles.index(int(cycle))
        result[:, k] = [own.get(name, np.nan) for name in names.iloc[:, k]]
    return pd.DataFrame(result, names.index, names.columns)


Key = tuple[str, str]
"""Name and operator of a layer."""


class _Rows:
    """The layers that have been seen so far, in the order in which they will stand."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.by_cycle: list[dict[int, str]] = []  # row → name in the cycle
        self.last: dict[int, Key] = {}  # row → what it was called when it was last seen
        self.known: dict[Key, int] = {}  # every key → the row that bore it last

    def add(self, keys: list[Key]) -> None:
        """Take in the layers of the next cycle, in their order."""
        before = self.by_cycle[-1] if self.by_cycle else {}
        rows = {key: row for key in keys if (row := self.known.get(key)) is not None and self.last[row] == key}
        taken = set(rows.values())
        for key in keys:
            row = self.known.get(key)
            if key not in rows and row is not None and row not in taken:
                rows[key] = row
                taken.add(row)
        left = {row: self.last[row] for row in before if row not in taken}
        rows |= _in_place([key for key in keys if key not in rows], left)
        previous = None
        for key in keys:
            if key not in rows:
                rows[key] = len(self.order)
                self.order.insert(0 if previous is None else self.order.index(previous) + 1, rows[key])
            previous = rows[key]
        self.by_cycle.append({rows[key]: key[0] for key in keys})
        self.last |= {row: key for key, row in rows.items()}
        self.known |= rows

    def table(self, cycles: list[int]) -> pd.DataFrame:
        columns = [[names.get(row, np.nan) for row in self.order] for names in self.by_cycle]
        first = [next(names[row] for names in self.by_cycle if row in names) for row in self.order]
        data = np.array(columns, dtype=object).reshape(len(cycles), len(first)).T
        return pd.DataFrame(data, pd.Index(first, dtype="str", name="layer"), pd.Index(cycles, name="cycle"), object)


def _in_place(new: list[Key], left: dict[int, Key]) -> dict[Key, int]:
    """New layers and the rows left over from the cycle before, paired where their places have equally many."""

    def place(key: Key) -> Key:
        return key[0].rpartition(".")[0], key[1]

    wanted: dict[Key, list[Key]] = {}
    offered: dict[Key, list[int]] = {}
    for key in new:
        wanted.setdefault(place(key), []).append(key)
    for row, key in left.items():
        offered.setdefault(place(key), []).append(row)
    pairs: dict[Key, int] = {}
    for where, keys in wanted.items():
        if len(keys) == len(offered.get(where, [])):
            pairs |= dict(zip(keys, offered[where], strict=True))
    return pairs
