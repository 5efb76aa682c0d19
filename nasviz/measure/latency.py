"""Inference latency: how long a network takes, as a whole and layer by layer, on the machine at hand."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasviz.measure.running import call, evaluating

if TYPE_CHECKING:
    from torch import nn

Prepare = Callable[["nn.Module", Any, int], Callable[[], object]]
"""(module, example, threads) → a function that runs the network once and returns when the result is there."""


@dataclass(frozen=True)
class Latency:
    """A measured latency, with all that it depends on.

    Attributes
    ----------
    median_ms : float
        Median over the repeats, in milliseconds.
    low_ms, high_ms : float
        First and third quartile.
    repeats, warmup : int
        Runs that were timed, and runs before them that were not.
    batch : int
        First dimension of the first input.
    threads : int
        Threads that one operator may use.
    runtime, device : str
        What ran it, and where.
    precision : str
        The numbers that it computed with.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int
    warmup: int
    batch: int
    threads: int
    runtime: str
    device: str
    precision: str = "float32"

    def __str__(self) -> str:
        threads = f"{self.threads} thread" + "s" * (self.threads != 1)
        return (
            f"{self.median_ms:.3g} ms (quartiles {self.low_ms:.3g} to {self.high_ms:.3g} of {self.repeats} runs; "
            f"batch {self.batch}, {self.precision}, {threads}, {self.runtime} on {self.device})"
        )


def _torch(module: "nn.Module", example: Any, threads: int) -> Callable[[], object]:
    wait = _synchronise(example)

    def run() -> None:
        call(module, example)
        wait()

    return run


def _openvino(module: "nn.Module", example: Any, threads: int) -> Callable[[], object]:
    from nasviz.measure.openvino_counters import prepare

    return prepare(module, example, threads)


RUNTIMES: dict[str, Prepare] = {"torch": _torch, "openvino": _openvino}
"""What can run a network, by name. Another one is one more entry; it gets the module in eval mode."""


def latency(
    module: "nn.Module",
    example: Any,
    *,
    repeats: int = 50,
    warmup: int = 5,
    threads: int = 1,
    runtime: str = "torch",
) -> Latency:
    """Time a network, in eval mode without gradients; it is left as it was.

    Parameters
    ----------
    module : nn.Module
        On any device.
    example : tensor, tuple or dict
        The input, on the same device; of batch 1 for the latency of one input.
    repeats, warmup : int
        Runs that are timed, and runs before them that are not.
    threads : int
        Threads that one operator may use.
    runtime : str
        A key of `RUNTIMES`: "torch", or "openvino", which computes in float32 and needs the extra ``nasviz[openvino]``.

    Returns
    -------
    Latency

    Raises
    ------
    ImportError
        If the runtime is not installed.
    ValueError
        If an argument has a wrong value, or the runtime cannot run the network.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime={runtime!r}: known runtimes are {', '.join(RUNTIMES)}.")
    first_tensor(example)
    with measuring(module, repeats, warmup, threads):
        run = RUNTIMES[runtime](module, example, threads)
        for _ in range(warmup):
            run()
        times = np.empty(repeats)
        for i in range(repeats):
            start = time.perf_counter_ns()
            run()
            times[i] = time.perf_counter_ns() - start
    return summary(times, module, example, warmup, threads, runtime)


def summary(times: np.ndarray, module: "nn.Module", example: Any, warmup: int, threads: int, runtime: str) -> Latency:
    """Nanoseconds of some runs, as a Latency."""
    import torch

    low, median, high = np.quantile(times / 1e6, (0.25, 0.5, 0.75)).tolist()
    first = first_tensor(example)
    number = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
    number = number or (first.dtype if first.is_floating_point() else torch.get_default_dtype())
    precision = str(number).removeprefix("torch.") if runtime == "torch" else "float32"
    batch = first.shape[0] if first.ndim else 1
    return Latency(median, low, high, len(times), warmup, batch, threads, runtime, str(first.device), precision)


def latency_by_layer(
    module: "nn.Module", example: Any, *, repeats: int = 50, warmup: int = 5, threads: int = 1, runtime: str = "torch"
) -> pd.DataFrame:
    """Time what each module of a network runs itself, without the modules inside it.

    A compiled module is timed as it was before. With torch the clock is read by hooks, which costs some microseconds a
    module: small layers look slower than they are, and the sum exceeds `latency`. Another runtime tells the times
    itself, as in `layer_times`. Arguments are those of `latency`.

    Returns
    -------
    DataFrame
        One row a module that ran, in the order in which they first ended: ``layer`` (its dotted name, as in the
        computation graph), ``calls`` in one run, and ``latency_ms``, ``low_ms``, ``high_ms``: median and quartiles,
        over the repeats, of the sum over those calls.

    Raises
    ------
    ValueError
        If an argument has a wrong value.
    """
    from nasviz.graph.trace import unwrapped

    if runtime != "torch":
        from nasviz.measure.layer_times import layer_times

        return layer_times(module, example, runtime=runtime, repeats=repeats, warmup=warmup, threads=threads).modules
    module = unwrapped(module)
    wait, names = _synchronise(example), {}
    spent: dict[str, int] = {}
    calls: dict[str, int] = {}
    running: list[list[int]] = []  # of each module that runs now: when it began, and what the modules inside it took

    def enter(part: Any, inputs: Any) -> None:
        wait()
        running.append([time.perf_counter_ns(), 0])

    def leave(part: Any, inputs: Any, output: Any) -> None:
        wait()
        start, inside = running.pop()
        whole = time.perf_counter_ns() - start
        if running:
            running[-1][1] += whole
        name = names[part]
        spent[name] = spent.get(name, 0) + whole - inside
        calls[name] = calls.get(name, 0) + 1

    rows = []
    with measuring(module, repeats, warmup, threads), ExitStack() as hooks:
        for name, part in module.named_modules():
            names[part] = name
            hooks.callback(part.register_forward_pre_hook(enter, prepend=True).remove)
            hooks.callback(part.register_forward_hook(leave).remove)
        for turn in range(warmup + repeats):
            spent.clear()
            calls.clear()
            call(module, example)
            if turn >= warmup:
                rows.append(dict(spent))
    times = pd.DataFrame(rows) / 1e6
    low, median, high = (times.quantile(q) for q in (0.25, 0.5, 0.75))
    table = {"calls": pd.Series(calls), "latency_ms": median, "low_ms": low, "high_ms": high}
    return pd.DataFrame(table).reindex(times.columns).rename_axis("layer").reset_index()


@contextmanager
def measuring(module: "nn.Module", repeats: int, warmup: int, threads: int) -> Iterator[None]:
    import torch

    for name, value, least in (("repeats", repeats, 1), ("warmup", warmup, 0), ("threads", threads, 1)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value!r}: it is a whole number from {least} on.")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode(), evaluating(module):
            yield
    finally:
        torch.set_num_threads(before)


def first_tensor(example: Any) -> Any:
    """The first tensor of an example."""
    import torch

    values = list(example.values()) if isinstance(example, Mapping) else example
    values = [values] if isinstance(values, torch.Tensor) else list(values) if isinstance(values, list | tuple) else []
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    if not tensors:
        raise ValueError(f"example={type(example).__name__}: it is a tensor, or a tuple or dict that holds one.")
    if tensors[0].is_meta:
        raise ValueError("example is on the meta device, which has no values and takes no time; pass a real tensor.")
    return tensors[0]


def _synchronise(example: Any) -> Callable[[], None]:
    """What waits for the device of an example: accelerators return before they are done."""
    import torch

    device = first_tensor(example).device
    if device.type == "cpu":
        return lambda: None
    return lambda: torch.accelerator.synchronize(device)
