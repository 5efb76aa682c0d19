"""Curves from 1,000 to 50,000 graphs, on one core and on two; the page `SCALE.md` takes them to 423,624 and a million.

`python -m pytest -m bench tests/bench/test_scale.py` measures and writes the page: ten minutes on two cores.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nasviz as nv

pytestmark = pytest.mark.bench

PAGE = Path(__file__).with_name("SCALE.md")
COUNTS = (1_000, 5_000, 20_000, 50_000)
FULL = (423_624, 1_000_000)
"""All cells of NAS-Bench-101, and a million networks of any kind."""

POINT = """
import json, sys, threading, time
from pathlib import Path

import psutil

what, count, scored, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
me, peak = psutil.Process(), [0]


def watch():  # memory that is this process's and its workers' own: what would be free again if they ended
    while True:
        total = 0
        for process in (me, *me.children(recursive=True)):
            try:
                total += process.memory_full_info().uss
            except psutil.Error:
                pass
        peak[0] = max(peak[0], total)
        time.sleep(0.2)


def cpu():
    return sum(sum(process.cpu_times()[:4]) for process in (me, *me.children(recursive=True)))


def step(name, work):
    before, start, peak[0] = cpu(), time.perf_counter(), 0
    result = work()
    told[name] = {"cpu": cpu() - before, "wall": time.perf_counter() - start, "MiB": peak[0] / 2**20}
    return result


import pandas as pd
import torch

import nasviz as nv
from nasviz.graph.store import read_graphs, write_graphs

torch.set_num_threads(1)
threading.Thread(target=watch, daemon=True).start()
told, path = {}, folder / f"{count}.arrow"
if what == "make":
    archs = json.loads((folder / "cells.json").read_text())[:count]
    table = pd.DataFrame({"arch": archs, "accuracy": 0.5})
    bench = step("check", lambda: nv.benchmarks.from_table(table, "nb101"))
    graphs = step("build", lambda: bench._build(progress=False))
    step("store", lambda: write_graphs(path, graphs))
else:
    graphs = step("read", lambda: read_graphs(path))
    told["bytes"], told["nodes"] = path.stat().st_size, sum(map(len, graphs))
    if scored:
        model, part = nv.pretrained("nb101"), graphs[:scored]
        step("score", lambda: model.score(part))
sys.stdout.write("\\n" + json.dumps(told))
"""


def measured(count: int, cores: int, folder: Path, scored: int = 0) -> dict:
    environment = {**os.environ, "LOKY_MAX_CPU_COUNT": str(cores), "OMP_NUM_THREADS": "1"}
    told = {}
    for what in ("make", "read"):
        command = [sys.executable, "-c", POINT, what, str(count), str(scored), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        told |= json.loads(done.stdout.splitlines()[-1])
    return told


def line(counts, values) -> tuple[float, float]:
    """Fixed part and part a graph: the straight line through the points, whose relative errors are least."""
    slope, fixed = np.polyfit(counts, values, 1, w=1 / np.asarray(values))
    return fixed, slope


def test_curves(tmp_path):
    from tests.bench.test_graphs import random_cells

    (tmp_path / "cells.json").write_text(json.dumps(random_cells(max(COUNTS))))
    points = {(n, c): measured(n, c, tmp_path, 1_000 * (c == 1) * min(5, n // 1000)) for n in COUNTS for c in (1, 2)}
    rows = []
    for (count, cores), told in points.items():
        row = {"graphs": count, "cores": cores, "bytes a graph": told["bytes"] / count}
        for name in ("check", "build", "store", "read"):
            row[f"{name}, CPU s"] = told[name]["cpu"]
        row |= {"build, wall s": told["build"]["wall"], "building, MiB": told["build"]["MiB"]}
        row["read, MiB"] = told["read"]["MiB"]
        rows.append(row)
    curve = pd.DataFrame(rows)
    score = pd.DataFrame(
        [{"graphs": min(5_000, n), "CPU s": points[n, 1]["score"]["cpu"], "MiB": points[n, 1]["score"]["MiB"]}
         for n in COUNTS[:2]]
    )  # fmt: skip
    one = curve[curve.cores == 1]
    lines = {name: line(one.graphs, one[f"{name}, CPU s"]) for name in ("check", "build", "store", "read")}
    lines["score"] = line(score.graphs, score["CPU s"])
    memory = {"build": line(one.graphs, one["building, MiB"]), "read": line(one.graphs, one["read, MiB"])}
    disk = line(one.graphs, one["bytes a graph"] * one.graphs)
    for name in ("check", "build"):  # no step may cost more a graph the more graphs there are
        cost = one[f"{name}, CPU s"] / one.graphs
        assert cost.iloc[-1] < 1.5 * cost.iloc[1], f"{name} grows faster than the number of graphs"
    assert one["bytes a graph"].iloc[-1] < 1.1 * one["bytes a graph"].iloc[0], "graphs share their nodes"
    estimate = pd.DataFrame(
        [
            {
                "graphs": f"{n:,}",
                **{f"{name}, CPU min": (fixed + slope * n) / 60 for name, (fixed, slope) in lines.items()},
                **{f"{name}, GiB": (fixed + slope * n) / 2**10 for name, (fixed, slope) in memory.items()},
                "disk, GiB": (disk[0] + disk[1] * n) / 2**30,
            }
            for n in FULL
        ]
    ).set_index("graphs")
    labels = nv.benchmarks.load("digits").of("nb101").table
    estimate["three trainings each, CPU days"] = 3 * labels.seconds.mean() * np.array(FULL) / 86_400
    overhead = curve[curve.cores == 2]["build, CPU s"].to_numpy() / one["build, CPU s"].to_numpy()
    PAGE.write_text(TEXT.format(
        curve=curve.round(2).to_string(index=False), score=score.round(2).to_string(index=False),
        estimate=estimate.round(2).to_string(), us=pd.Series({k: 1e6 * s for k, (_, s) in lines.items()}).round(0)
        .astype(int).to_string(), overhead=f"{overhead[-1]:.2f}", kib=f"{memory['read'][1] * 1024:.2f}",
        bytes=f"{disk[1]:,.0f}", build=f"{memory['build'][1] * 1024:.1f}", full=f"{FULL[0]:,}", most=f"{COUNTS[-1]:,}",
        nodes=f"{points[COUNTS[-1], 1]['nodes'] / COUNTS[-1]:.0f}",
    ), encoding="utf-8")  # fmt: skip


TEXT = """\
# What many graphs cost

Written by `python -m pytest -m bench tests/bench/test_scale.py`. Cells of NAS-Bench-101 as random matrices give them,
at paper scale ({nodes} operators each). Every row is two fresh processes (and their workers): one builds and stores,
one reads. CPU time is that of all processes, so that other work on the machine disturbs it least; memory is what the
processes hold for themselves (USS) at most during the step, interpreter and libraries (about 180 MiB each) included,
the mapped file not.

- check: a table of texts becomes a benchmark, every text parsed.
- build: graphs of all of them, through joblib; with two cores they are also packed and sent back.
- store, read: one Arrow file, and the graphs from it.

```
{curve}
```

Two cores use {overhead} times the CPU time of one (starting workers, packing, unpacking); where both are free, the wall
time is at best half of that. "wall s" above is what it was on a machine that had other work, too.

## Scoring by the shipped predictor

Score, standard deviation, novelty and ensemble columns; one thread, in batches.

```
{score}
```

## A graph more costs, in microseconds of CPU time

```
{us}
```

On disk {bytes} bytes, in memory {kib} KiB when read from the file, {build} KiB when built.

## On paper: all {full} cells, and a million graphs

Straight lines through the points above (which end at {most} graphs), on one core. Nothing here was run: it says what
to expect before one starts. Divide minutes by the number of cores; what does not divide is `store` and `read`. A
training is that of `nasviz label`: a small network on small images, at the mean of the times in the bundled table.

```
{estimate}
```

What this asks of a machine: building holds all graphs in memory. Where that is too much, label, score and store in
parts: `bench.subset(slice(a, b))` has its own cached file, `nasviz data convert` writes one mapped file from which
`open_converted(path).given[i]` makes one graph at a time, and inside `joblib.parallel_config("dask")` the same calls
run on the workers of a Dask cluster.
"""
