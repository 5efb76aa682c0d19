"""How fast graphs are made: by a family, by tracing, by reading them back; what many take. Run with ``-m bench``.

Times depend on the machine, so the assertions are about ratios within one run; the page `RESULTS.md` has the figures.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import pandas as pd
import psutil
import pytest
import torch

import nasviz as nv
from nasviz.graph.store import read_graphs, write_graphs

pytestmark = pytest.mark.bench


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU time of the fastest of some runs, which other processes disturb least."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_graphs_per_second(tmp_path, results):
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
        assert traced > 2 * read, f"{name}: reading a graph should be far quicker than tracing a module"
    results(
        "Graphs a second",
        "One thread, CPU time, paper scale, 200 random architectures a family. The TensorFlow builder of the GENNAPE "
        "paper takes 0.4 to 15 seconds a network.",
        pd.DataFrame(rows).set_index("family").round(1),
    )


def cpu_seconds() -> float:
    """Of this process and of its workers, living ones too."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


MEMORY = """
import sys, psutil
from nasviz.graph.store import read_graphs
import numpy, pyarrow, nasviz.graph.cost
memory = lambda: psutil.Process().memory_info().rss
before = memory()
graphs = read_graphs(sys.argv[1])
nodes = sum(len(graph.nodes) for graph in graphs)
print(before, memory(), len(graphs), nodes)
"""


def test_fifty_thousand_graphs(tmp_path, monkeypatch, results):
    """Built on all cores, stored, and read into a fresh process."""
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path))
    family = nv.families.get("nb101")
    archs = [family.format(cell) for cell in family.sample(50_000, seed=0)]
    bench = nv.benchmarks.from_table(pd.DataFrame({"arch": archs, "accuracy": 0.5}), "nb101")
    before, start = cpu_seconds(), time.perf_counter()
    graphs = bench.graphs()
    wall, cpu = time.perf_counter() - start, cpu_seconds() - before
    path = write_graphs(tmp_path / "graphs.arrow", graphs)
    told = subprocess.run([sys.executable, "-c", MEMORY, path], check=True, capture_output=True, text=True).stdout
    empty, full, count, nodes = map(int, told.split())
    assert count == len(archs) and nodes == sum(map(len, graphs))
    assert full < 2**30, "50,000 graphs should fit into 1 GiB, the interpreter included"
    assert len(archs) / cpu > 50, "even with storing them, twenty times 0.4 seconds a network"
    row = {
        "graphs": count,
        "graphs/s (wall)": count / wall,
        "graphs/s and core (CPU)": count / cpu,
        "bytes a graph on disk": path.stat().st_size / count,
        "MiB in memory": (full - empty) / 2**20,
        "MiB of the process": full / 2**20,
    }
    results(
        "Many graphs",
        "50,000 NB-101 cells at paper scale, built and stored through joblib on all cores, read back in a new process. "
        "CPU time includes starting the workers and sending the graphs back.",
        pd.DataFrame([row]).round(1).set_index("graphs"),
    )
