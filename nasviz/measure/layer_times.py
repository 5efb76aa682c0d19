"""Where the time of a network goes: what a runtime ran, joined back to the layers of the computation graph.

A runtime runs other operators than the module has: it folds batch norms into weights, runs an activation with the
convolution before it, and moves data into the layout that it likes. So time is known for *groups* of layers that were
run as one. A layer is one operator in one module.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasviz.graph.cost import macs, other
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.layers import Key, layer_names
from nasviz.graph.ops import Op
from nasviz.measure.latency import Latency, first_tensor
from nasviz.measure.roofline import VIEWS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Executed:
    """One operator that a runtime ran.

    Attributes
    ----------
    kind, kernel : str
        The runtime's word for it, and for the code that it chose.
    keys : frozenset of (module, operator)
        The layers that it is known to run; empty if the runtime gives no name.
    ms : sequence of float
        Milliseconds, one a repeat.
    readers : tuple of int
        Who reads its result, as places in the list of all.
    own : bool
        Whether the runtime added it itself, as a change of layout.
    """

    kind: str
    kernel: str
    keys: frozenset[Key]
    ms: Sequence[float]
    readers: tuple[int, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class LayerTimes:
    """How long the layers of a network take.

    Attributes
    ----------
    table : DataFrame
        One row a group of layers that were run as one, in order: ``layers`` (the name of a single layer; several in
        brackets: ``"[conv + bn + relu]"``; a word of the runtime in parentheses for what it does for itself), ``op``
        (the operator with most FLOPs), ``kernel`` (the code that the runtime chose), ``latency_ms``, ``low_ms``,
        ``high_ms`` (median and quartiles over the repeats), ``share`` (of the sum of the medians), ``flops`` (2 · MACs
        + other) and ``gflops`` (10⁹ FLOP/s).
    whole : Latency
        The whole network, with threads, precision and runtime; with torch, without its profiler.
    modules : DataFrame
        The same times a module, as `nasviz.measure.latency_by_layer` gives them: ``layer``, ``calls``, ``latency_ms``,
        ``low_ms``, ``high_ms``. A group's time stands with the module that has most of its FLOPs; modules that were
        run within another have 0.
    """

    table: pd.DataFrame
    whole: Latency
    modules: pd.DataFrame

    def __str__(self) -> str:
        inside = self.table["latency_ms"].sum()
        return f"{len(self.table)} groups of layers, {inside:.3g} ms in all; the whole run: {self.whole}"

    def _repr_html_(self) -> str:
        shown = self.table.drop(columns=["low_ms", "high_ms"]).round({"latency_ms": 3, "share": 3, "gflops": 1})
        return shown.to_html(index=False, max_rows=60, na_rep="") + f"<p>{self}</p>"


Run = Callable[["nn.Module", Any, ComputeGraph, int, int, int], tuple[list[Executed], Latency]]
"""(module, example, graph, repeats, warmup, threads) → what was run, and how long all of it took."""


def _profiler(*arguments) -> tuple[list[Executed], Latency]:
    from nasviz.measure.torch_profiler import run

    return run(*arguments)


def _openvino(*arguments) -> tuple[list[Executed], Latency]:
    from nasviz.measure.openvino_counters import run

    return run(*arguments)


RUNNERS: dict[str, Run] = {"torch": _profiler, "openvino": _openvino}
"""What tells how long each of its operators takes, by name: torch's profiler, OpenVINO's performance counters."""


def layer_times(
    module: "nn.Module",
    example: Any,
    *,
    runtime: str = "torch",
    repeats: int = 50,
    warmup: int = 5,
    threads: int = 1,
) -> LayerTimes:
    """Time the layers of a network by what its runtime says of itself, in eval mode; it is left as it was.

    Parameters
    ----------
    module : nn.Module
        On the CPU.
    example : tensor, tuple or dict
        The input; of batch 1 for the latency of one input.
    runtime : {"torch", "openvino"}
        Torch's own operators by its profiler, which costs some microseconds an operator; or the network compiled by
        OpenVINO, in float32, by its performance counters, which count whole microseconds. The latter needs the extra
        ``nasviz[openvino]``.
    repeats, warmup : int
        Runs that are timed, and runs before them that are not.
    threads : int
        Threads that one operator may use.

    Returns
    -------
    LayerTimes

    Raises
    ------
    ImportError
        If the runtime is not installed.
    ValueError
        If an argument has a wrong value, or the runtime cannot run the network.
    """
    from nasviz.graph.trace import trace, unwrapped

    if runtime not in RUNNERS:
        raise ValueError(f"runtime={runtime!r}: known runtimes are {', '.join(RUNNERS)}.")
    device = first_tensor(example).device
    if device.type != "cpu":
        raise ValueError(f"example is on {device}; the layers are timed on the CPU, so move module and example there.")
    module = unwrapped(module)
    graph = trace(module, example)
    executed, whole = RUNNERS[runtime](module, example, graph, repeats, warmup, threads)
    groups = join(graph, executed)
    return LayerTimes(group_table(graph, groups), whole, _module_table(graph, groups))


@dataclass(frozen=True)
class Group:
    """Layers that were run as one, and what ran them."""

    keys: tuple[Key, ...]
    parts: tuple[Executed, ...]

    @property
    def ms(self) -> np.ndarray:
        """Milliseconds, one a repeat."""
        return np.sum([part.ms for part in self.parts], axis=0)

    @property
    def kernel(self) -> str:
        """The code of the part that takes longest."""
        return max(self.parts, key=lambda part: np.median(part.ms)).kernel


def join(graph: ComputeGraph, executed: Sequence[Executed]) -> list[Group]:
    """Which layers were run together, and by what.

    What shares a layer belongs together. A layer that nothing names was folded into the one that reads its result
    (else into the one that it reads); an operator without a name belongs to the one that reads its result. Layers that
    only look at memory in another way are left out unless something names them.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    executed : sequence of Executed
        What the runtime ran, in order.

    Returns
    -------
    list of Group
        In the order in which they were run.
    """
    sets = _Sets()
    for index, part in enumerate(executed):
        for key in part.keys:
            sets.join(index, key)
    for index in reversed(range(len(executed))):
        part = executed[index]
        if not part.keys and not part.own:
            reader = next((r for r in part.readers if not executed[r].own), None)
            if reader is not None:
                sets.join(index, reader)
    named = {key for part in executed for key in part.keys}
    order = list(dict.fromkeys((node.layer, node.op) for node in graph.nodes if node.op is not Op.INPUT))
    sources, targets = _neighbours(graph)
    for key in order:
        if key not in named and key[1] not in VIEWS:
            home = _nearest(key, targets, named) or _nearest(key, sources, named)
            if home is not None:
                sets.join(key, home)
    members: dict[Any, tuple[list[Key], list[Executed]]] = {}
    for index, part in enumerate(executed):
        root = ("own", part.kind) if part.own else sets.root(index)
        members.setdefault(root, ([], []))[1].append(part)
    for key in order:
        if (root := sets.root(key)) in members:
            members[root][0].append(key)
    return [Group(tuple(keys), tuple(parts)) for keys, parts in members.values()]


def group_table(graph: ComputeGraph, groups: Iterable[Group]) -> pd.DataFrame:
    """The groups as `LayerTimes.table`; what took no time and makes no FLOPs is left out."""
    flops = layer_flops(graph)
    names = layer_names(flops)
    rows = []
    for group in groups:
        ms, count = group.ms, sum(flops[key] for key in group.keys)
        if not ms.any() and not count:
            continue
        low, median, high = np.quantile(ms, (0.25, 0.5, 0.75)).tolist()
        labels = [names[key] for key in group.keys if len(group.keys) == 1 or key[1] not in VIEWS]
        label = f"[{' + '.join(labels)}]" if len(labels) > 1 else labels[0] if labels else f"({group.parts[0].kind})"
        main = max(group.keys, key=flops.__getitem__, default=("", ""))
        rows.append((label, str(main[1]), group.kernel, median, low, high, count))
    table = pd.DataFrame(rows, columns=["layers", "op", "kernel", "latency_ms", "low_ms", "high_ms", "flops"])
    table.insert(6, "share", table["latency_ms"] / table["latency_ms"].sum())
    table["gflops"] = table["flops"] / table["latency_ms"].where(table["latency_ms"] > 0) / 1e6
    return table


def layer_flops(graph: ComputeGraph) -> dict[Key, int]:
    """FLOPs (2 · MACs + other) of each operator of each module, in order."""
    counts: dict[Key, int] = {}
    for node in graph.nodes:
        if node.op is not Op.INPUT:
            key = node.layer, node.op
            counts[key] = counts.get(key, 0) + 2 * macs(node) + other(node)
    return counts


def _module_table(graph: ComputeGraph, groups: Sequence[Group]) -> pd.DataFrame:
    """The times of the groups, each at the module that has most of its FLOPs."""
    flops, times = layer_flops(graph), {}
    for group in groups:
        if group.keys:
            home, _ = max(group.keys, key=flops.__getitem__)
            times[home] = times.get(home, 0) + group.ms
    inside = {layer for group in groups for layer, _ in group.keys}
    rows = []
    for layer in dict.fromkeys(layer for layer, _ in flops):
        if layer in inside:
            calls = max(sum(node.layer == layer and node.op is op for node in graph.nodes) for op in
                        {op for name, op in flops if name == layer})  # fmt: skip
            low, median, high = np.quantile(times.get(layer, [0.0]), (0.25, 0.5, 0.75)).tolist()
            rows.append((layer, calls, median, low, high))
    return pd.DataFrame(rows, columns=["layer", "calls", "latency_ms", "low_ms", "high_ms"])


def _neighbours(graph: ComputeGraph) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    """For each layer those whose results it reads, and those that read its own."""
    sources: dict[Key, list[Key]] = {}
    targets: dict[Key, list[Key]] = {}
    for source, target in graph.edges.tolist():
        a, b = ((graph.nodes[i].layer, graph.nodes[i].op) for i in (source, target))
        sources.setdefault(b, []).append(a)
        targets.setdefault(a, []).append(b)
    return sources, targets


def _nearest(key: Key, next_to: dict[Key, list[Key]], named: set[Key]) -> Key | None:
    """The nearest layer that something names, along the edges."""
    seen, row = {key}, [key]
    while row:
        row = [k for at in row for k in dict.fromkeys(next_to.get(at, ())) if k not in seen]
        for found in row:
            if found in named and found[1] not in VIEWS:
                return found
        seen.update(row)
    return None


class _Sets:
    """Things that belong together."""

    def __init__(self) -> None:
        self.parent: dict[Any, Any] = {}

    def root(self, item: Any) -> Any:
        while (above := self.parent.get(item, item)) != item:
            item = above
        return item

    def join(self, first: Any, second: Any) -> None:
        self.parent[self.root(second)] = self.root(first)
