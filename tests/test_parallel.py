"""The same calls on a Dask cluster of two real processes: the same answers, also when one is killed at work."""

import os
import signal

import dask
import joblib
import pandas as pd
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from torch import nn

import nasviz as nv
from nasviz.benchmarks import benchmark
from nasviz.benchmarks.label import Recipe, label, read_log
from nasviz.cycles.evaluation import evaluate
from nasviz.graph.store import write_graphs
from nasviz.parallel import parallel
from nasviz.predict import proxies_batch
from nasviz.predict.proxies_batch import proxy_table
from tests.cycles.plugins import Samples

distributed = pytest.importorskip("distributed", reason="needs the extra 'dask': pip install 'nasviz[dask]'")


class Killer(distributed.diagnostics.SchedulerPlugin):
    """Kills a worker at the moment when it is given a task, once as many tasks as said have ended."""

    name = "killer"

    def __init__(self, scheduler, pids, after):
        self.scheduler, self.pids, self.left, self.killed = scheduler, pids, after, None

    def transition(self, key, start, finish, *args, **kwargs):
        self.left -= finish == "memory"
        if finish == "processing" and self.left <= 0 and self.killed is None:
            self.killed = self.scheduler.tasks[key].processing_on.address
            os.kill(self.pids[self.killed], signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


@pytest.fixture
def on_dask(cluster):
    """A function: joblib works on the cluster, and after some tasks a worker is killed."""

    def on_dask(work, kill_after=2):
        with distributed.Client(cluster) as client, joblib.parallel_config("dask"):
            client.wait_for_workers(2)
            killer = Killer(cluster.scheduler, client.run(os.getpid), kill_after)
            cluster.scheduler.add_plugin(killer)
            try:
                return work()
            finally:
                cluster.scheduler.remove_plugin(killer.name)
                assert killer.killed, "no worker was killed: the test shows nothing"

    return on_dask


def few(rows=8):
    table = pd.DataFrame(
        [
            (name, family.format(arch), 0.5)
            for name in ("nb101", "nb201", "hiaml")
            for family in [nv.families.get(name)]
            for arch in family.sample(rows, seed=3)
        ],
        columns=["family", "arch", "accuracy"],
    )
    return nv.benchmarks.from_table(table.sample(frac=1, random_state=0), scale="digits", name="few")


def test_graphs(on_dask, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "PARCEL", 2)
    bench = few()
    alone = write_graphs(tmp_path / "alone.arrow", bench._build(progress=False)).read_bytes()
    assert write_graphs(tmp_path / "dask.arrow", on_dask(lambda: bench._build(progress=False))).read_bytes() == alone
    graphs = [nv.families.get(row.family) for row in bench.table.itertuples()]
    graphs = [family.graph(family.parse(arch), "digits") for family, arch in zip(graphs, bench.table.arch, strict=True)]
    assert write_graphs(tmp_path / "one.arrow", graphs).read_bytes() == alone


def test_labels(on_dask, tmp_path):
    recipe = Recipe(train_images=100, epochs=1, test_draws=1)

    def labelled(log):
        return label("nb101", ["2:1:", "3:7:1", "4:43:22"], log, seeds=range(4), recipe=recipe, jobs=1, progress=False)

    alone = labelled(tmp_path / "alone")
    there = on_dask(lambda: labelled(tmp_path / "dask"))
    pd.testing.assert_frame_equal(there.drop(columns="seconds"), alone.drop(columns="seconds"))
    rows = pd.DataFrame(read_log(tmp_path / "dask")[1])
    assert len(rows) == 12 and not rows.duplicated(["arch", "seed"]).any(), "each training is written once"


def test_proxies(on_dask, tmp_path, monkeypatch):
    monkeypatch.setattr(proxies_batch, "PARCEL", 1)
    bench = few(3)
    alone = proxy_table(bench, size=4, jobs=1, progress=False)
    there = on_dask(lambda: proxy_table(bench, size=4, folder=tmp_path, progress=False))
    pd.testing.assert_frame_equal(there, alone)
    assert len(list(tmp_path.glob("proxies-*.json"))) == 9


def test_plugins(on_dask, tmp_path):
    data = {"validation": Samples(150, 1), "test": Samples(203, 2)}
    names = ["confusion_matrix", "tests.cycles.plugins:Files", "tests.cycles.plugins:Unpicklable"]

    def found(folder):
        return evaluate(nn.Identity(), data, names, folder, batch_size=16, workers=4, collect=["prediction"])

    alone, there = found(tmp_path / "alone"), on_dask(lambda: found(tmp_path / "dask"), kill_after=1)
    assert there.metrics == alone.metrics and there.warnings == alone.warnings and len(there.warnings) == 2
    assert there.metrics["test"]["from_files"] == 203
    pd.testing.assert_frame_equal(*(pd.DataFrame(one.collected["test"]) for one in (there, alone)))
    assert os.listdir(tmp_path / "dask") == ["artifacts"]


@pytest.mark.parametrize("how", ["list", "generator_unordered"])
def test_a_task_that_kills_every_worker_ends_the_call(cluster, how):
    """joblib alone would wait for ever."""
    with distributed.Client(cluster) as client, joblib.parallel_config("dask"):
        client.wait_for_workers(2)
        with pytest.raises(TerminatedWorkerError, match="died while running it"):
            list(parallel(2, return_as=how)([joblib.delayed(os.getpid)(), joblib.delayed(os._exit)(1)]))


def test_one_worker_is_a_cluster():
    """joblib alone would do the work in the caller's process."""
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as small,
        distributed.Client(small),
        joblib.parallel_config("dask"),
    ):
        assert os.getpid() not in parallel(1)(joblib.delayed(os.getpid)() for _ in range(3))


@pytest.mark.slow
def test_a_plugin_that_kills_every_worker_is_told(cluster, tmp_path):
    with distributed.Client(cluster) as client, joblib.parallel_config("dask"):
        client.wait_for_workers(2)
        with pytest.raises(RuntimeError, match="a worker process died in phase 'test'.*plugins:Dies"):
            evaluate(nn.Identity(), {"test": Samples(40)}, ["tests.cycles.plugins:Dies"], tmp_path, workers=2)


def test_an_error_of_a_task_is_the_callers(cluster):
    with distributed.Client(cluster), joblib.parallel_config("dask"), pytest.raises(ZeroDivisionError):
        parallel(2)(joblib.delayed(divmod)(1, i) for i in range(3))
