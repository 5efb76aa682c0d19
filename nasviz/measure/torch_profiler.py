"""Torch's profiler as a source of layer times: each operator that a module calls, by the module's name."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from nasviz.graph.graph import ComputeGraph
from nasviz.graph.layers import Key
from nasviz.graph.ops import Op
from nasviz.graph.rules import operator
from nasviz.measure.latency import Latency, latency, measuring
from nasviz.measure.layer_times import Executed
from nasviz.measure.running import call

if TYPE_CHECKING:
    from torch import nn

_RUN, _LAYER = "nasviz run", "nasviz layer "
OTHER_NAMES = {
    "_convolution": (Op.CONV, Op.CONV_TRANSPOSE),
    "convolution": (Op.CONV, Op.CONV_TRANSPOSE),
    "hardtanh": (Op.HARD_TANH, Op.RELU6),
    "clamp": (Op.HARD_TANH, Op.RELU6, Op.POINTWISE),
}
"""Names of ATen that are not those of torch's functions."""


def keys_of(layer: str, name: str, known: dict[str, list[Op]]) -> frozenset[Key]:
    """The layers of the computation graph that ATen's operator `name` in a module is; `known` holds the graph's."""
    name = name.rstrip("_") if not name.startswith("_") else name
    here = known.get(layer, [])
    found = [op for op in OTHER_NAMES.get(name, (operator(name),)) if op in here]
    if not found and len(here) == 1:
        found = here  # another name for the only thing that the module does
    return frozenset((layer, op) for op in found)


def operators(graph: ComputeGraph) -> dict[str, list[Op]]:
    """The operators that each module of a graph runs itself."""
    known: dict[str, list[Op]] = {}
    for node in graph.nodes:
        if node.op is not Op.INPUT and node.op not in known.setdefault(node.layer, []):
            known[node.layer].append(node.op)
    return known


def run(
    module: "nn.Module", example: Any, graph: ComputeGraph, repeats: int, warmup: int, threads: int
) -> tuple[list[Executed], Latency]:
    """Run the module under the profiler; what was run has the names of ATen."""
    from torch.profiler import ProfilerActivity, profile, record_function

    whole = latency(module, example, repeats=repeats, warmup=warmup, threads=threads)  # the profiler would slow it down
    with measuring(module, repeats, warmup, threads), _marked(module):
        call(module, example)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(repeats):
                with record_function(_RUN):
                    call(module, example)
    known = operators(graph)
    spent: dict[tuple[str, str], np.ndarray] = {}
    number = {id(event): i for i, event in enumerate(e for e in profiler.events() if e.name == _RUN)}
    for event in profiler.events():
        above = event.cpu_parent
        if event.name.startswith("nasviz ") or above is None or not above.name.startswith("nasviz "):
            continue  # only what a module calls itself, not what is inside of that
        layer = above.name.removeprefix(_LAYER) if above.name != _RUN else ""
        while above.name != _RUN:
            above = above.cpu_parent
        row = spent.setdefault((layer, event.name.removeprefix("aten::")), np.zeros(repeats))
        row[number[id(above)]] += event.cpu_time_total / 1000
    executed = []
    for (layer, name), ms in spent.items():
        keys = keys_of(layer, name, known)
        executed.append(Executed(name, f"aten::{name}", keys, ms, own=not keys))
    return executed, whole


@contextmanager
def _marked(module: "nn.Module") -> Iterator[None]:
    """While this lasts, the profiler sees which module runs."""
    from torch.profiler import record_function

    running: list[record_function] = []

    def enter(name: str):
        def hook(*_: Any) -> None:
            running.append(record_function(_LAYER + name))
            running[-1].__enter__()

        return hook

    def leave(*_: Any) -> None:
        running.pop().__exit__(None, None, None)

    with ExitStack() as hooks:
        for name, part in module.named_modules():
            hooks.callback(part.register_forward_pre_hook(enter(name), prepend=True).remove)
            hooks.callback(part.register_forward_hook(leave, always_call=True).remove)
        yield
