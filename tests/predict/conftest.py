"""Sixty small networks whose accuracies follow from their graphs, and a model that was trained on them in seconds."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from nasviz.benchmarks import Benchmark
from nasviz.families import get
from nasviz.graph.cost import total_flops
from nasviz.graph.ops import Op
from nasviz.predict.ensemble import Gennape, Settings


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Graphs are kept in a folder of these tests, not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASVIZ_HOME", str(tmp_path_factory.mktemp("nasviz-cache")))
        yield


def accuracy_of(graph) -> float:
    """Deeper networks with more FLOPs are better, and no noise: there is something to learn."""
    convolutions = sum(node.op is Op.CONV for node in graph.nodes)
    return 0.3 + 0.04 * np.log10(total_flops(graph)) + 0.01 * convolutions


@pytest.fixture(scope="session")
def bench(cache) -> Benchmark:
    """36 cells of NAS-Bench-101 and 24 of NAS-Bench-201."""
    rows = []
    for name, count in (("nb101", 36), ("nb201", 24)):
        family = get(name)
        for arch in family.sample(count, seed=1):
            rows.append((name, family.format(arch), accuracy_of(family.graph(arch, "digits"))))
    table = pd.DataFrame(rows, columns=["family", "arch", "accuracy"])
    return Benchmark("tiny", table, {"min_accuracy": 0.0, "flops_unit": "median"}, "digits")


@pytest.fixture(scope="session")
def nb101(bench) -> Benchmark:
    return bench.of("nb101")


@pytest.fixture(scope="session")
def nb201(bench) -> Benchmark:
    return bench.of("nb201")


@pytest.fixture(scope="session")
def tiny() -> Settings:
    """Every kind of member, and hardly any training."""
    return Settings(
        members=("CL+FCM+T", "CL", "CL+FCM+Pairwise", "k-GNN", "FLOPs"),
        encoder_epochs=2, head_epochs=2, kgnn_epochs=2, tune_epochs=2, n_clusters=2,
    )  # fmt: skip


@pytest.fixture(scope="session")
def model(nb101, tiny) -> Gennape:
    return Gennape.pretrain(nb101, settings=tiny, progress=False)


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """Function: all that a model learned, as bytes by name, so that two models can be compared to the last bit."""

    def everything(model: Gennape) -> dict[str, bytes]:
        folder = model.save(tmp_path_factory.mktemp("model"))
        document = json.loads((folder / "model.json").read_text())
        arrays = {name: array.tobytes() for name, array in load_file(folder / "weights.safetensors").items()}
        return arrays | {
            f"{name} transform": str(m.get("transform")).encode() for name, m in document["members"].items()
        }

    return everything


@pytest.fixture(scope="session")
def relabelled():
    """Function: a benchmark with other accuracies at some rows."""

    def benchmark(bench: Benchmark, rows, accuracy) -> Benchmark:
        table = bench.table.copy()
        table.loc[rows, "accuracy"] = accuracy
        return Benchmark(bench.name, table, bench.card, bench.scale)

    return benchmark
