"""How fast MACs are counted, beside the tools that people use. Run with ``-m bench``; needs the extra ``bench``.

Every tool gets the model as its users have it, with weights on the CPU, and without storage on the meta device where it
can work there; the faster of the two counts for it. Times are ratios to ours in one run.
"""

import contextlib
import io
import logging
import time
from collections.abc import Callable
from functools import partial

import pandas as pd
import pytest
import torch
from networks import NETWORKS
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv

pytestmark = pytest.mark.bench

MODELS = ("resnet50", "mobilenet_v3_large", "efficientnet_b0", "vit_b_16")


def ours(model: nn.Module, x: Tensor) -> float:
    return nv.cost(nv.trace(model, x)).total["macs"]


def fvcore(model: nn.Module, x: Tensor) -> float:
    from fvcore.nn import FlopCountAnalysis

    return FlopCountAnalysis(model, x).total()


def torchinfo(model: nn.Module, x: Tensor) -> float:
    from torchinfo import summary

    return summary(model, input_data=x, device=x.device, verbose=0).total_mult_adds


def ptflops(model: nn.Module, x: Tensor, backend: str) -> float:
    from ptflops import get_model_complexity_info

    shape = tuple(x.shape[1:])
    found = get_model_complexity_info(model, shape, False, as_strings=False, verbose=False, backend=backend)
    return found[0]


def torchprofile(model: nn.Module, x: Tensor) -> float:
    from torchprofile import profile_macs

    return profile_macs(model, x)


def flop_counter(model: nn.Module, x: Tensor) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() / 2


TOOLS: dict[str, Callable[[nn.Module, Tensor], float]] = {
    "fvcore": fvcore,
    "torchinfo": torchinfo,
    "ptflops (pytorch)": partial(ptflops, backend="pytorch"),
    "ptflops (aten)": partial(ptflops, backend="aten"),
    "torchprofile": torchprofile,
    "FlopCounterMode": flop_counter,
}


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU time of the fastest of some runs, which other processes disturb least."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            work()
        times.append(time.process_time() - start)
    return min(times)


def fastest(tool: Callable[[nn.Module, Tensor], float], cases: dict[str, tuple[nn.Module, Tensor]]) -> tuple:
    """Seconds, MACs and device of a tool where it is quickest."""
    found = []
    for device, (model, x) in cases.items():
        try:
            found.append((seconds(lambda m=model, x=x: tool(m, x)), tool(model, x), device))
        except Exception:
            if device == "cpu":
                raise
    return min(found)


@pytest.mark.filterwarnings("ignore")
def test_counting_is_as_fast_as_the_fastest(results: Callable) -> None:
    for package in ("fvcore", "torchinfo", "ptflops", "torchprofile"):
        pytest.importorskip(package, reason="pip install 'nasviz[bench]'")
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    rows = []
    for name in MODELS:
        network = NETWORKS[name]
        cases = {"cpu": (network.build().eval(), torch.zeros(network.shape)), "meta": network.meta()}
        cases["meta"][0].eval()
        start = time.process_time()
        exact = ours(*cases["cpu"])
        first = time.process_time() - start
        mine = seconds(lambda cases=cases: ours(*cases["cpu"]))
        rows.append({"network": name, "tool": "nasviz", "ms": 1000 * mine, "time : ours": 1.0, "MACs : exact": 1.0})
        rows.append({**rows[-1], "tool": "nasviz, first time", "ms": 1000 * first, "time : ours": first / mine})
        for tool, count in TOOLS.items():
            taken, macs, device = fastest(count, cases)
            ratios = {"time : ours": taken / mine, "MACs : exact": macs / exact}
            rows.append({"network": name, "tool": f"{tool}, {device}", "ms": 1000 * taken, **ratios})
            assert mine < taken, f"{tool} counts {name} in {taken / mine:.2f} of the time"
    logging.disable(logging.NOTSET)
    results(
        "Counting",
        "CPU time from a model in memory to its MACs (ours: to the whole table), one thread, best of 3, batch 1, "
        "224 x 224. `first time` meets every shape for the first time in the process; the first network's also has "
        "what torch loads once a process. Where a tool works on the meta device, the faster of CPU and meta is shown.",
        pd.DataFrame(rows).set_index(["network", "tool"]).round({"ms": 1, "time : ours": 2, "MACs : exact": 4}),
    )
