"""What a run keeps of a network: its metrics, and the table of its layers.

A layer is one operator in one module. It has the module's dotted name; where a module runs several operators itself,
the operator's name stands behind it (``block.add``). Calls of one operator in one module are one layer.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasviz.cycles.frames import LAYER_COLUMNS
from nasviz.cycles.write import number
from nasviz.graph.cost import is_counted, macs, other, total_flops, total_macs
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.layers import layer_names
from nasviz.graph.ops import Op
from nasviz.measure import Latency, netscore_plus
from nasviz.measure.capacity import channels, has_weights

if TYPE_CHECKING:
    from torch import nn

UNUSED = "(never used)"
"""The row of the parameters that no operator reads, so that the sum over layers is the network's."""


def layer_table(
    graph: ComputeGraph, *, capacity: pd.DataFrame | None = None, latency: pd.DataFrame | None = None, batch: int = 1
) -> pd.DataFrame:
    """The layers of a network, as `Run.add` takes them.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    capacity : DataFrame, optional
        Of `nasviz.measure.information_capacity`.
    latency : DataFrame, optional
        Of `nasviz.measure.latency_by_layer`, or `modules` of `nasviz.measure.layer_times`.
    batch : int
        Inputs in the example that the graph was traced on; FLOPs are for one.

    Returns
    -------
    DataFrame
        One row a layer, in the order of the first call: ``layer``, ``op``, ``trainable`` (has weights), ``position``;
        ``kflops`` (thousands, standard convention; NaN where an operator's cost is not known), ``channels``,
        ``parameters`` (shared ones at their first use); where measured ``information_capacity``, ``saturation`` and
        ``latency_ms``. Measurements are of a module: where it runs several operators itself, they stand with the one
        that has weights, or nowhere if none or several have.

    Raises
    ------
    ValueError
        If `batch` is no positive whole number.
    """
    _check_batch(batch)
    groups: dict[tuple[str, Op], list[Node]] = {}
    for node in graph.nodes:
        if node.op is not Op.INPUT:
            groups.setdefault((node.layer, node.op), []).append(node)
    names = layer_names(list(groups))
    rows = [
        {
            "layer": names[layer, op],
            "op": op.value,
            "trainable": any(map(has_weights, nodes)),
            "position": position,
            "kflops": sum(map(_flops, nodes)) / batch / 1000,
            "channels": channels(nodes[-1]),
            "parameters": sum(node.params for node in nodes),
            "module": layer,
        }
        for position, ((layer, op), nodes) in enumerate(groups.items())
    ]
    if graph.unused_params:
        unused = {"layer": UNUSED, "op": "", "trainable": True, "position": len(rows), "kflops": 0.0,
                  "channels": np.nan, "parameters": graph.unused_params, "module": None}  # fmt: skip
        rows.append(unused)
    table = pd.DataFrame(rows, columns=[*LAYER_COLUMNS, "kflops", "channels", "parameters", "module"])
    owner = _measured_rows(table)
    for measured, columns in ((capacity, ("information_capacity", "saturation")), (latency, ("latency_ms",))):
        for column in columns if measured is not None else ():
            table[column] = owner.map(measured.set_index("layer")[column])
    return table.drop(columns="module")


def network_metrics(
    graph: ComputeGraph,
    *,
    performance: float | None = None,
    latency: Latency | None = None,
    batch: int = 1,
    **exponents: float,
) -> dict[str, float | None]:
    """The standard metrics of a network by their names in a run.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    performance : float, optional
        The primary metric on the test set, a fraction; for NetScore+ alone.
    latency : Latency, optional
        Of `nasviz.measure.latency`.
    batch : int
        Inputs in the example that the graph was traced on; FLOPs and MACs are for one.
    **exponents : float
        alpha, beta, gamma of `nasviz.measure.netscore_plus`.

    Returns
    -------
    dict
        ``parameters``; ``netscore_plus`` (None where it has no value); ``size_bytes``, the memory of the parameters;
        ``flops`` and ``macs`` of one input, of the operators whose cost is known; ``latency_ms``, if it was measured.

    Raises
    ------
    ValueError
        If `batch` is no positive whole number.
    """
    _check_batch(batch)
    count = total_macs(graph) / batch
    metrics = {
        "parameters": graph.params,
        "netscore_plus": netscore_plus(performance, graph.params, count, **exponents),
        "size_bytes": sum(node.size_bytes for node in graph.nodes) + graph.unused_bytes,
        "flops": _whole(total_flops(graph) / batch),
        "macs": _whole(count),
    }
    return metrics | ({"latency_ms": latency.median_ms} if latency is not None else {})


def describe(
    module: "nn.Module",
    example: Any,
    *,
    metrics: Mapping[str, float | None] | None = None,
    performance: float | None = None,
    data: Any = None,
    timed: bool | str = False,
    batch: int = 1,
) -> dict[str, Any]:
    """All that a run keeps of a module: ``run.add("wide", **describe(module, example))``.

    Parameters
    ----------
    module : nn.Module
        Any module; it is left as it was.
    example : tensor, tuple or dict
        One input, as `nasviz.trace` takes it.
    metrics : mapping, optional
        What else was measured; these win over the standard ones.
    performance : float, optional
        The primary metric, for NetScore+; ``metrics["accuracy"]`` by default.
    data : tensor or iterable, optional
        Inputs for the information capacity of the layers, as `nasviz.measure.information_capacity` takes them.
    timed : bool or str
        Whether to measure latency, of the network and of its layers, and with which runtime: True is "torch", another
        one is "openvino".
    batch : int
        Inputs in the example.

    Returns
    -------
    dict
        ``graph``, ``weights``, ``metrics`` and ``layers``, arguments of `Run.add`.

    Raises
    ------
    ValueError
        If the module fails on the example, or a metric is no number.
    """
    from nasviz.graph.trace import trace, unwrapped
    from nasviz.measure import information_capacity, latency, latency_by_layer

    metrics = {name: number(name, value) for name, value in (metrics or {}).items()}
    graph, runtime = trace(module, example), timed if isinstance(timed, str) else "torch"
    standard = network_metrics(
        graph,
        performance=metrics.get("accuracy") if performance is None else performance,
        latency=latency(module, example, runtime=runtime) if timed else None,
        batch=batch,
    )
    layers = layer_table(
        graph,
        capacity=information_capacity(module, data, graph=graph) if data is not None else None,
        latency=latency_by_layer(module, example, runtime=runtime) if timed else None,
        batch=batch,
    )
    return {"graph": graph, "weights": unwrapped(module), "metrics": standard | metrics, "layers": layers}


def _measured_rows(table: pd.DataFrame) -> pd.Series:
    """For each row the module whose measurements it bears, or None."""
    weighted = table["trainable"].groupby(table["module"]).transform("sum")
    alone = table.groupby("module")["module"].transform("size") == 1
    return table["module"].where(alone | (table["trainable"] & (weighted == 1)))


def _flops(node: Node) -> float:
    return 2 * macs(node) + other(node) if is_counted(node) else np.nan


def _whole(count: float) -> float:
    return int(count) if count == int(count) else count


def _check_batch(batch: int) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch={batch!r}: it is the number of inputs in the example, from 1 on.")
