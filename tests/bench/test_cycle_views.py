"""How fast the views of a run answer: 200 cycles with 300 layers each. Run with ``python -m pytest -m bench``."""

import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nasviz.views import CycleBars, CyclesState, LayerComparison, Pareto

pytestmark = pytest.mark.bench
CYCLES, LAYERS = 200, 300
MOST = 300  # milliseconds in the kernel from a choice to the new chart and table
METRICS = ["accuracy", "parameters", "flops", "latency_ms"]


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    cycle = np.repeat(np.arange(CYCLES), LAYERS)
    place = np.tile(np.arange(LAYERS), CYCLES)
    names = np.array([f"features.{i // 3}.conv{i % 3}" for i in range(LAYERS)], dtype=object)
    layers = pd.DataFrame({"cycle": cycle, "layer": names[place], "op": "conv", "trainable": True, "position": place})
    layers = layers[rng.random(len(layers)) > 0.02]  # topologies differ
    numbers = ["information_capacity", "kflops", "channels", "parameters", "latency_ms"]
    values = layers.assign(**{name: rng.random(len(layers)) for name in numbers})
    long = values.melt(["cycle", "layer", "op", "trainable", "position"], var_name="metric")
    metrics = pd.DataFrame({"cycle": np.repeat(np.arange(CYCLES), len(METRICS)), "metric": METRICS * CYCLES})
    return SimpleNamespace(metrics=metrics.assign(value=rng.random(len(metrics))), layers=long)


def milliseconds(state, trait: str, values) -> float:
    """CPU time of the fastest change of the state to one of these values."""
    times = []
    for value in values:
        start = time.process_time()
        setattr(state, trait, value)
        times.append(time.process_time() - start)
    return 1000 * min(times)


def test_a_choice_is_answered_at_once(run, results):
    rows = {}
    bars = CycleBars(run)
    rows["CycleBars: another metric"] = milliseconds(bars.state, "bars", [METRICS[1:], METRICS[:3], METRICS[2:]])
    pareto = Pareto(run, state=CyclesState(constraints=[("flops", "at most", 0.9)]))
    rows["Pareto: another metric"] = milliseconds(pareto.state, "x", ["flops", "latency_ms", "parameters"])
    bounds = [[("flops", "at most", bound)] for bound in (0.8, 0.7, 0.6)]
    rows["Pareto: a slider"] = milliseconds(pareto.state, "constraints", bounds)
    for k in (2, 8, CYCLES):
        layers = LayerComparison(run, state=CyclesState(compared=list(range(k))))
        metrics = ["kflops", "channels", "parameters", "kflops"]
        rows[f"LayerComparison of {k} cycles: another metric"] = milliseconds(layers.state, "layer_metric", metrics)
        sort = ["cycle 0", "cycle 1", "cycle 0"]
        rows[f"LayerComparison of {k} cycles: another order"] = milliseconds(layers.state, "sort", sort)
    rows["LayerComparison of 3 other cycles"] = milliseconds(
        layers.state, "compared", [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    )
    table = pd.Series(rows, name="ms").round(1).to_frame()
    text = (
        f"A run of {CYCLES} cycles with {LAYERS} layers each: CPU time in the kernel from a choice to chart and table."
    )
    results("Views of a run", text, table)
    assert table["ms"].max() < MOST
