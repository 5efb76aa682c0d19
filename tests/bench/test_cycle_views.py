"""How fast the views of a run answer. Run with ``python -m pytest -m bench``."""

import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from nasviz.views import CycleBars, CyclesState, LayerComparison, NetworkExplorer, Pareto
from tests.views.explorer_networks import blocks

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


def test_a_network_of_a_thousand_nodes_is_explored(results):
    """249 blocks of 4 nodes; with repeats off, every one is drawn."""
    graph, other = blocks(249), blocks(249, wide=100, extra=200)
    assert len(graph) > 1000
    start, rows = time.process_time(), {}
    view = NetworkExplorer(graph)
    rows["first paint"] = 1000 * (time.process_time() - start)
    view.state.repeats = False
    everything = [part.id for part in view.networks[0].tree.root if part.parts]
    rows["every box open"] = milliseconds(view.state, "opened", [everything])
    rows["another colour"] = milliseconds(view.state, "colour", ["macs", "parameters", "kind"])
    rows["one box closed"] = milliseconds(view.state, "opened", [everything[:-1], everything[:-2]])
    rows["a box chosen"] = milliseconds(view.state, "box", ["body.7.conv1", "body.8.conv1"])
    start = time.process_time()
    NetworkExplorer(graph, other)
    rows["two networks compared, first paint"] = 1000 * (time.process_time() - start)
    table = pd.Series(rows, name="ms").round(1).to_frame()
    results("The network explorer", f"A network of {len(graph):,} nodes: CPU time in the kernel.", table)
    assert table["ms"].max() < 2000 and rows["a box chosen"] < MOST
