"""Graphs of many networks: built on all cores or on a Dask cluster, they are the same bytes."""

import joblib
import pandas as pd
import pytest

import nasviz as nv
from nasviz.benchmarks import benchmark
from nasviz.graph.store import write_graphs

FAMILIES = ["nb101", "nb201", "hiaml"]


@pytest.fixture(scope="module")
def many():
    """More networks than one core builds at a time, of several families."""
    rows = []
    for name in FAMILIES:
        family = nv.families.get(name)
        rows += [(name, family.format(arch), 0.5) for arch in family.sample(400, seed=3)]
    table = pd.DataFrame(rows, columns=["family", "arch", "accuracy"]).sample(frac=1, random_state=0)
    assert len(table) > benchmark.MANY > benchmark.PARCEL
    return nv.benchmarks.from_table(table, scale="digits", name="many")


def written(bench, path):
    return write_graphs(path, nv.benchmarks.Benchmark(bench.name, bench.table, scale=bench.scale).graphs()).read_bytes()


def test_a_dask_cluster_builds_the_same_bytes_as_joblib_alone(many, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "alone"))
    alone = written(many, tmp_path / "alone.arrow")
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "dask"))
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        assert written(many, tmp_path / "dask.arrow") == alone
    one_by_one = [nv.families.get(r.family) for r in many.table.itertuples()]
    graphs = [f.graph(f.parse(arch), "digits") for f, arch in zip(one_by_one, many.table.arch, strict=True)]
    assert write_graphs(tmp_path / "one.arrow", graphs).read_bytes() == alone
