"""The roofline model (Williams, Waterman and Patterson 2009, doi:10.1145/1498765.1498785), measured.

A layer that takes F FLOPs and moves B bytes has the arithmetic intensity I = F / B. A machine with a peak of P FLOP/s
and a bandwidth of W byte/s runs it at min(P, W · I) FLOP/s at most: below I = P / W the memory is the limit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasviz.graph.cost import macs, other
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op
from nasviz.measure.latency import first_tensor, latency_by_layer

if TYPE_CHECKING:
    from torch import nn

VIEWS = frozenset({Op.INPUT, Op.RESHAPE, Op.FLATTEN, Op.PERMUTE, Op.EXPAND, Op.SPLIT, Op.SLICE, Op.DROPOUT})
"""Operators that look at memory in another way and move none of it."""


@dataclass(frozen=True)
class Machine:
    """What a machine can do at best.

    Attributes
    ----------
    peak : float
        FLOP/s.
    bandwidth : float
        Bytes/s to and from memory.
    threads : int
        Threads that one operator may use; 0 if not measured.
    device, dtype : str
        What was measured, and with which numbers.
    """

    peak: float
    bandwidth: float
    threads: int = 0
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self):
        for name, value in (("peak", self.peak), ("bandwidth", self.bandwidth)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name}={value!r}: it is a rate above 0.")

    @property
    def ridge(self) -> float:
        """The intensity, in FLOP/byte, from which on the peak is the limit."""
        return self.peak / self.bandwidth

    def attainable(self, intensity: Any) -> Any:
        """FLOP/s at most at an intensity in FLOP/byte, a number or an array."""
        return np.minimum(self.peak, self.bandwidth * np.asarray(intensity))

    def __str__(self) -> str:
        threads = f", {self.threads} thread" + "s" * (self.threads != 1) if self.threads else ""
        return (
            f"{self.peak / 1e9:.3g} GFLOP/s, {self.bandwidth / 1e9:.3g} GB/s ({self.dtype} on {self.device}{threads}); "
            f"ridge at {self.ridge:.3g} FLOP/byte"
        )


def measure_machine(
    *, threads: int = 1, device: str = "cpu", seconds: float = 0.5, size: int = 768, megabytes: int = 128
) -> Machine:
    """Measure peak and bandwidth with torch in float32; the best of the repeats counts, as other work only disturbs.

    Parameters
    ----------
    threads : int
        Threads that one operator may use.
    device : str
        Where to measure.
    seconds : float
        How long to repeat each of the two measurements, three times at least.
    size : int
        The peak is that of the product of two size × size matrices, 2 · size³ FLOPs. An accelerator wants larger ones.
    megabytes : int
        The bandwidth is that of a copy of so many megabytes, which are read once and written once. Where that fits into
        a cache, it is the cache's.

    Returns
    -------
    Machine

    Raises
    ------
    ValueError
        If a number is too small.
    """
    import torch

    for name, value in (("threads", threads), ("size", size), ("megabytes", megabytes)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: it is a whole number from 1 on.")
    if not seconds >= 0:
        raise ValueError(f"seconds={seconds!r}: it is a number from 0 on.")
    accelerated = torch.device(device).type != "cpu"

    def best(work: Callable[[], object]) -> float:
        """Seconds of the fastest of several runs."""
        fastest, spent, runs = np.inf, 0.0, 0
        while spent < seconds or runs < 4:
            start = time.perf_counter_ns()
            work()
            if accelerated:
                torch.accelerator.synchronize()
            took = (time.perf_counter_ns() - start) / 1e9
            fastest = min(fastest, took) if runs else np.inf  # the first run warms up
            spent, runs = spent + took, runs + 1
        return fastest

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            a, b = torch.ones(2, size, size, device=device)
            out = torch.empty_like(a)
            peak = 2 * size**3 / best(lambda: torch.mm(a, b, out=out))
            source = torch.ones(megabytes * 250_000, device=device)
            target = torch.empty_like(source)
            bandwidth = 2 * source.nbytes / best(lambda: target.copy_(source))
    finally:
        torch.set_num_threads(before)
    return Machine(peak, bandwidth, threads, str(torch.device(device)))


def traffic(node: Node, sources: list[Node], element_size: int = 4) -> int:
    """Bytes that an operator must move: what it reads and makes, and its weights, each once.

    Parameters
    ----------
    node : Node
        The operator.
    sources : list of Node
        Its predecessors.
    element_size : int
        Bytes of one number.
    """
    if node.op in VIEWS:
        return 0
    read = sum(prod(source.out_shape) for source in sources) if len(sources) > 1 else prod(node.in_shape)
    weights = node.size_bytes or element_size * prod(node.weight_shape or (0,))
    return element_size * (read + prod(node.out_shape)) + weights


def intensities(graph: ComputeGraph, element_size: int = 4) -> pd.DataFrame:
    """FLOPs, bytes and arithmetic intensity of each layer of a network.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    element_size : int
        Bytes of one number.

    Returns
    -------
    DataFrame
        One row a module that runs operators itself, in order: ``layer``, ``op`` (that with most FLOPs), ``flops``
        (2 · MACs + other), ``bytes`` (the least that must move), ``intensity`` (FLOP/byte; NaN where nothing moves).
    """
    rows = []
    for node, sources in zip(graph.nodes, graph.predecessors(), strict=True):
        if node.op is not Op.INPUT:
            moved = traffic(node, [graph.nodes[i] for i in sources], element_size)
            rows.append((node.layer, node.op.value, 2 * macs(node) + other(node), moved))
    table = pd.DataFrame(rows, columns=["layer", "op", "flops", "bytes"])
    grouped = table.groupby("layer", sort=False)
    main = table.loc[grouped["flops"].idxmax()].set_index("layer")["op"] if rows else pd.Series(dtype=str)
    result = grouped[["flops", "bytes"]].sum()
    result.insert(0, "op", main)
    result["intensity"] = result["flops"] / result["bytes"].where(result["bytes"] > 0)
    return result.reset_index()


def roofline(
    module: "nn.Module",
    example: Any,
    machine: Machine | None = None,
    *,
    threads: int = 1,
    repeats: int = 20,
    warmup: int = 3,
) -> pd.DataFrame:
    """How fast each layer of a network runs, and how fast it could at best.

    Parameters
    ----------
    module : nn.Module
        On any device; it is left as it was.
    example : tensor, tuple or dict
        The input, on the same device.
    machine : Machine, optional
        Its limits; measured if not given.
    threads : int
        Threads that one operator may use.
    repeats, warmup : int
        As in `latency_by_layer`, whose clock adds some microseconds to every layer.

    Returns
    -------
    DataFrame
        One row a layer, in order: ``layer``, ``op``, ``flops``, ``bytes``, ``intensity`` as in `intensities`;
        ``latency_ms`` (median), ``gflops`` (10⁹ FLOP/s reached), ``attainable_gflops`` (the roof above it) and
        ``bound`` ("memory" or "compute": which part of the roof). Layers may exceed a memory roof that was measured on
        more data than the cache holds.

    Raises
    ------
    ValueError
        If an argument has a wrong value.
    """
    from nasviz.graph.trace import trace

    first = first_tensor(example)
    if machine is None:
        machine = measure_machine(threads=threads, device=str(first.device))
    table = intensities(trace(module, example), first.element_size() if first.is_floating_point() else 4)
    times = latency_by_layer(module, example, repeats=repeats, warmup=warmup, threads=threads)
    table = table.merge(times[["layer", "latency_ms"]], on="layer", how="left")
    table["gflops"] = table["flops"] / table["latency_ms"] / 1e6
    table["attainable_gflops"] = machine.attainable(table["intensity"]) / 1e9
    table["bound"] = np.where(table["intensity"] < machine.ridge, "memory", "compute")
    return table
