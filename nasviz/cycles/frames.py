"""The layers of a cycle as tables: wide, a row a layer, as stored; long, a row a layer and metric, as read."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

LAYER_COLUMNS = ("layer", "op", "trainable", "position")
_TYPES = {"layer": "str", "op": "str", "trainable": bool, "position": int}


def checked_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """The table of a cycle's layers in its stored form: the four leading columns, then numeric metrics, by position.

    Raises
    ------
    ValueError
        If a column is missing or of another kind, or a layer appears twice.
    """
    missing = [column for column in LAYER_COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"the table of layers lacks {', '.join(missing)}; it has {', '.join(map(str, frame))}")
    metrics = [column for column in frame.columns if column not in LAYER_COLUMNS]
    wrong = [column for column in metrics if not isinstance(column, str) or column in ("cycle", "metric", "value")]
    if wrong:
        raise ValueError(f"the table of layers has a column {wrong[0]!r}, which is no name for a metric")
    if len(frame) and (frame["layer"].isna().any() or not pd.api.types.is_bool_dtype(frame["trainable"])):
        raise ValueError("the table of layers needs a name in every row, and True or False in its column trainable")
    try:
        types = {**_TYPES, **dict.fromkeys(metrics, float)}
        if list(types) != list(frame.columns):
            frame = frame[list(types)]
        wrong_types = {column: types[column] for column, kind in frame.dtypes.items() if kind != types[column]}
        frame = frame.astype(wrong_types) if wrong_types else frame
    except (TypeError, ValueError) as error:
        raise ValueError(f"the table of layers holds a wrong value: {error}") from error
    twice = frame.layer[frame.layer.duplicated()]
    if len(twice):
        raise ValueError(f"the table of layers has two rows {twice.iloc[0]!r}; a layer has one")
    if frame["position"].is_monotonic_increasing:
        return frame.reset_index(drop=True)
    return frame.sort_values("position", kind="stable", ignore_index=True)


def no_layers() -> pd.DataFrame:
    """The wide table without rows."""
    return pd.DataFrame(columns=list(_TYPES)).astype(_TYPES)


def long_layers(wides: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """The wide tables of some cycles as one long one: cycle, layer, op, trainable, position, metric, value.

    Each metric of a cycle has a row for each of its layers; of metrics that a cycle does not have, there are none.
    """
    rows, metrics, values, cycles, offset = [], [], [], [], 0
    for cycle, wide in wides.items():
        own = [column for column in wide.columns if column not in LAYER_COLUMNS]
        rows.append(np.tile(np.arange(offset, offset + len(wide)), len(own)))
        values.append(wide[own].to_numpy(float).ravel(order="F"))
        cycles.append(np.full(len(values[-1]), cycle))
        metrics += [(name, len(wide)) for name in own]
        offset += len(wide)
    heads = pd.concat([no_layers(), *(wide[list(LAYER_COLUMNS)] for wide in wides.values())], ignore_index=True)
    long = heads.take(np.concatenate([np.empty(0, int), *rows])).reset_index(drop=True)
    long.insert(0, "cycle", np.concatenate([np.empty(0, int), *cycles]))
    names, sizes = [name for name, _ in metrics], [size for _, size in metrics]
    long["metric"] = pd.array(names, dtype="str").repeat(sizes)
    long["value"] = np.concatenate([np.empty(0), *values])
    return long
