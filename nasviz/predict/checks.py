"""What the numbers that reach this room must look like, said in one sentence when they do not."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from nasviz.graph.graph import ComputeGraph


def finite_array(name: str, values, ndim: int = 1) -> np.ndarray:
    """``values`` as a float64 array of ``ndim`` dimensions without NaN or infinity; ``name`` is the argument's name.

    Raises
    ------
    TypeError
        If the values are not numbers.
    ValueError
        If the number of dimensions is another, or a value is NaN or infinite.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {type(values).__name__}: {error}.") from error
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got an array of shape {array.shape}.")
    finite = np.isfinite(array)
    if not finite.all():
        rows = np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))
        raise ValueError(
            f"{name} must be finite, but {len(rows)} of its {len(array)} rows hold NaN or infinity, "
            f"the first at position {rows[0]}: drop or repair them."
        )
    return array


def fractions(name: str, values) -> np.ndarray:
    """``values`` as a finite vector of accuracies, which are fractions in [0, 1] throughout the package."""
    vector = finite_array(name, values)
    outside = vector[(vector < 0) | (vector > 1)]
    if len(outside):
        raise ValueError(
            f"{name} must hold accuracies as fractions in [0, 1], but {len(outside)} of {len(vector)} lie outside, "
            f"such as {outside[0]:g}: divide percentages by 100."
        )
    return vector


def same_length(**arrays) -> int:
    """The common length of the named arrays; ValueError if they differ."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"{', '.join(lengths)} must describe the same networks in the same order, but their lengths are "
            f"{', '.join(map(str, lengths.values()))}."
        )
    return next(iter(lengths.values()))


def whole_number(name: str, value, least: int = 1) -> int:
    """``value`` as an int, if it is a whole number and at least ``least``; ValueError if not."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}.")
    return int(value)


def networks(graphs) -> list[ComputeGraph]:
    """``graphs`` as a list of networks, each with at least one node.

    Raises
    ------
    TypeError
        If it is no list, or an entry is no `ComputeGraph`.
    ValueError
        If there is none, or one without nodes.
    """
    if isinstance(graphs, ComputeGraph) or not isinstance(graphs, Iterable):
        raise TypeError(f"graphs must be a list of ComputeGraph, got a single {type(graphs).__name__}.")
    graphs = list(graphs)
    if not graphs:
        raise ValueError("graphs is empty; give at least one ComputeGraph.")
    for position, graph in enumerate(graphs):
        if not isinstance(graph, ComputeGraph):
            raise TypeError(
                f"graphs[{position}] is a {type(graph).__name__}, not a ComputeGraph; make one with nv.trace."
            )
        if not len(graph):
            raise ValueError(f"the graph {graph.name!r} has no nodes, so there is nothing to embed.")
    return graphs


def settings_from_dict(kind: type, values: dict[str, Any]) -> Any:
    """Settings of this dataclass from JSON; unknown names are refused."""
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"the settings {', '.join(sorted(unknown))} are unknown; this file is of another version.")
    return kind(**values)
