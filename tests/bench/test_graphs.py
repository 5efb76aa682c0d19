"""How fast graphs are made: by a family, by tracing, by reading them back. Run with ``python -m pytest -m bench``.

Times depend on the machine, so the assertions are about ratios within one run; the page `RESULTS.md` has the figures.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

import nasviz as nv
from nasviz.graph.store import read_graphs, write_graphs

RESULTS = Path(__file__).with_name("RESULTS.md")
pytestmark = pytest.mark.bench


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU time of the fastest of some runs, which other processes disturb least."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_graphs_per_second(tmp_path):
    torch.set_num_threads(1)
    rows = []
    for name in nv.families.names():
        family = nv.families.get(name)
        archs = family.sample(200, seed=0)
        graphs = [family.graph(arch) for arch in archs]
        modules = [family.build(arch) for arch in archs[:5]]
        example = torch.zeros(graphs[0].nodes[0].out_shape, device="meta")
        path = write_graphs(tmp_path / f"{name}.arrow", graphs)
        built = seconds(lambda family=family, archs=archs: [family.graph(arch) for arch in archs]) / len(archs)
        traced = seconds(lambda modules=modules, x=example: [nv.trace(m, x) for m in modules]) / len(modules)
        read = seconds(lambda path=path: read_graphs(path)) / len(archs)
        rows.append(
            {
                "family": name,
                "nodes": sum(map(len, graphs)) / len(graphs),
                "graphs/s, built": 1 / built,
                "graphs/s, traced": 1 / traced,
                "graphs/s, read": 1 / read,
                "bytes a graph": path.stat().st_size / len(archs),
                "built : traced": traced / built,
            }
        )
        assert traced > 2 * built, f"{name}: building a graph should be far quicker than tracing a module"
        assert built > read, f"{name}: reading a graph should be quicker than building it"
    table = pd.DataFrame(rows).set_index("family")
    RESULTS.write_text(
        "# What the benchmarks measured\n\n"
        "Written by `python -m pytest -m bench tests/bench`: one thread, CPU time, paper scale, 200 random "
        "architectures a family.\n\n"
        f"```\n{table.round(1).to_string()}\n```\n",
        encoding="utf-8",
    )
