"""How fast graphs are made: by a family, by tracing, by reading them back; what many take. Run with ``-m bench``.

Times depend on the machine, so the assertions are about ratios within one run; the page `RESULTS.md` has the figures.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

import nasviz as nv
from nasviz.graph.store import read_graphs, write_graphs

pytestmark = pytest.mark.bench


PAPER = 0.4
"""Seconds that the TensorFlow builder takes for the quickest network; for the slowest it is 15 (GENNAPE, AAAI-23)."""


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
                "built : 0.4 s": PAPER / built,
            }
        )
        assert 20 * built < PAPER, f"{name}: twenty times as quick as the paper's quickest network"
        assert traced > 2 * built, f"{name}: building a graph should be far quicker than tracing a module"
        assert traced > 2 * read, f"{name}: reading a graph should be far quicker than tracing a module"
    results(
        "Graphs a second",
        "One thread, CPU time, paper scale, 200 random architectures a family. The TensorFlow builder of the GENNAPE "
        "paper takes 0.4 to 15 seconds a network, depending on the family; the last column is how many times quicker a "
        "graph is built here than 0.4 seconds.",
        pd.DataFrame(rows).set_index("family").round(1),
    )


def cpu_seconds() -> float:
    """Of this process and of its workers, living and ended ones."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in (me, *me.children(recursive=True)))


def random_cells(count: int) -> list[str]:
    """Different texts of cells as `sample` draws them, without the search for isomorphic ones, which takes longer."""
    family, rng = nv.families.get("nb101"), np.random.default_rng(0)
    texts: dict[str, None] = {}
    while len(texts) < count:
        matrix = np.triu(rng.integers(0, 2, (7, 7)), 1)
        with contextlib.suppress(ValueError):
            texts.setdefault(family.format(family.from_matrix(matrix, rng.integers(0, 3, 5))))
    return list(texts)


MEMORY = """
import gc, json, sys, psutil
from nasviz.graph.store import read_graphs
import numpy, pyarrow, nasviz.graph.cost

def memory():
    gc.collect()
    info = psutil.Process().memory_full_info()
    return info.uss, info.rss

private, _ = memory()
ballast = numpy.ones(2**26, numpy.uint8)  # 64 MiB: does this machine tell what a process takes?
seen = memory()[0] - private
del ballast
before = memory()
graphs = read_graphs(sys.argv[1])
read = memory()
nodes = sum(len(graph.nodes) + int(graph.edges.sum() >= 0) for graph in graphs)  # every page of the file is looked at
touched = memory()
print(json.dumps({"seen": seen, "before": before, "read": read, "touched": touched, "graphs": len(graphs),
                  "nodes": nodes - len(graphs)}))
"""
"""What graphs take in a process that has done nothing else. Private memory (USS) is what would be free again if
the process ended; its whole memory (RSS) counts the mapped file and shared libraries, too."""


@pytest.mark.parametrize("count", [10_000, 50_000])
def test_many_graphs(count, tmp_path, monkeypatch, results):
    """Built on all cores, stored, and read into a fresh process."""
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path))
    archs = random_cells(count)
    bench = nv.benchmarks.from_table(pd.DataFrame({"arch": archs, "accuracy": 0.5}), "nb101")
    before = cpu_seconds()
    graphs = bench.graphs()
    cpu = cpu_seconds() - before
    path = write_graphs(tmp_path / "graphs.arrow", graphs)
    told = json.loads(subprocess.run([sys.executable, "-c", MEMORY, path], check=True, capture_output=True).stdout)
    assert told["graphs"] == count and told["nodes"] == sum(map(len, graphs))
    assert told["seen"] == pytest.approx(2**26, rel=0.1), "this machine does not tell what a process takes"
    assert max(told["read"][1], told["touched"][1]) < 2**30, "50,000 graphs fit into 1 GiB, with the interpreter"
    (private, _), (private_full, full) = told["before"], told["touched"]
    assert count / cpu > 50, "even with storing them, twenty times 0.4 seconds a network"
    row = {
        "graphs": count,
        "graphs/s and core (CPU)": count / cpu,
        "bytes a graph on disk": path.stat().st_size / count,
        "MiB of the graphs (private)": (private_full - private) / 2**20,
        "MiB of the process (RSS)": full / 2**20,
    }
    results(
        f"{count:,} graphs",
        f"{count:,} NB-101 cells at paper scale, built through joblib on all cores, read back in a new process. "
        "CPU time is that of all processes, with starting them and sending the graphs back. Memory is that of a new "
        "process after it has read all graphs and looked at every edge: what it holds more than before (private, the "
        "mapped file not counted), and the whole process with interpreter, libraries and the mapped file.",
        pd.DataFrame([row]).round(1).set_index("graphs"),
    )
