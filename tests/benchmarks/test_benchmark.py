"""`Benchmark`: rows and graphs in one order, parts of it, the cache; `load`; and the bundled benchmark itself."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import nasviz as nv
from nasviz.benchmarks import Benchmark, benchmark, datasets, load
from nasviz.families.family import Facts, Family, register
from nasviz.graph import GraphBuilder
from nasviz.graph.cost import total_macs
from nasviz.graph.store import StoredGraphs, pack
from nasviz.resources import data_folder

SEEDS = ["accuracy_0", "accuracy_1", "accuracy_2"]


@pytest.fixture
def small() -> Benchmark:
    """Rows of two families in turn."""
    rows = []
    for name in ("nb201", "nb101"):
        family = nv.families.get(name)
        rows += [(name, family.format(arch), 0.5 + i / 100, i) for i, arch in enumerate(family.sample(6, seed=4))]
    table = pd.DataFrame(rows, columns=["family", "arch", "accuracy", "own"])
    return Benchmark("small", table.sort_values("own", kind="stable"), {"title": "<b>small</b>"}, "digits")


@pytest.fixture
def built(monkeypatch) -> list[str]:
    """Names of the graphs that are built, not read, from here on."""
    seen, original = [], benchmark._pack_graphs
    monkeypatch.setattr(benchmark, "_pack_graphs", lambda *a: (seen.extend(a[1]), original(*a))[1])
    return seen


def test_graphs_stand_in_the_tables_order(small):
    graphs = small.graphs()
    assert [graph.name for graph in graphs] == small.table.arch.tolist()
    assert small.table.family.tolist() == ["nb201", "nb101"] * 6 and small.table.index.tolist() == list(range(12))
    for graph, row in zip(graphs, small.table.itertuples(), strict=True):
        family = nv.families.get(row.family)
        assert graph == family.graph(family.parse(row.arch), "digits")


def test_graphs_come_from_the_file_the_second_time(small, cache, built):
    small.name = "cached"
    first = small.graphs()
    assert sorted(built) == sorted(small.table.arch)
    again = Benchmark("cached", small.table, scale="digits")
    assert again.graphs() == first and len(built) == 12
    assert again.graphs() is not again.graphs(), "the caller may change its list"
    assert Benchmark("cached", small.table, scale="paper").graphs() != first and len(built) == 24
    assert Benchmark("cached", small.table[::-1], scale="digits").graphs() == first[::-1] and len(built) == 36


def test_given_graphs_are_used_instead_of_built_ones(small, built):
    graphs = small.graphs()
    given = Benchmark("given", small.table, given=graphs[::-1])
    assert given.graphs() == graphs[::-1]
    lazy = Benchmark("lazy", small.table, given=StoredGraphs(pack(graphs[::-1])))
    assert isinstance(lazy.subset([2, 0]).given, StoredGraphs), "they are made when they are asked for"
    built.clear()
    for bench in (given, lazy):
        assert bench.subset([2, 0]).graphs() == [graphs[-3], graphs[-1]]
        assert bench.of("nb101").subset(slice(0, 2)).graphs() == [graphs[-2], graphs[-4]]
    assert built == []
    with pytest.raises(ValueError, match="given has 11 graphs for 12 rows; give one a row"):
        Benchmark("short", small.table, given=graphs[1:])


@pytest.mark.parametrize("content", [b"", b"no arrow", None])
def test_a_damaged_cache_file_is_made_again(small, built, content):
    small.name = f"damaged {content}"
    first, path = small.graphs(), small._cache_file()
    path.write_bytes(path.read_bytes()[:-400] if content is None else content)
    again = Benchmark(small.name, small.table, scale="digits")
    assert again.graphs() == first and len(built) == 24
    assert Benchmark(small.name, small.table, scale="digits").graphs() == first and len(built) == 24


def test_other_code_means_other_graphs(small, monkeypatch, tmp_path):
    """Also that of parts that several families share."""
    before = small._cache_file()
    folder = shutil.copytree(Path(nv.families.__file__).parent, tmp_path / "families")
    monkeypatch.setattr("nasviz.families.__file__", str(folder / "__init__.py"))
    (folder / "blocks.py").write_text("changed")
    assert small._cache_file() != before


def test_many_graphs_are_built_by_several_processes(small, monkeypatch):
    monkeypatch.setattr(benchmark, "MANY", 5)
    monkeypatch.setattr(benchmark, "PARCEL", 4)
    graphs = small._build(progress=True)
    assert [graph.name for graph in graphs] == small.table.arch.tolist()
    nodes = [node for graph in graphs for node in graph.nodes]
    assert len({id(node) for node in nodes}) == len(set(nodes))


def test_a_family_of_your_own_and_one_without_a_file(monkeypatch, built):
    class Lines(Family):
        name, facts, scales = "lines", Facts("Lines", 9, "none", "this test"), {"paper": {"shape": (1, 3, 8, 8)}}

        def sample(self, n, seed=0):
            return list(range(1, n + 1))

        def parse(self, text):
            return int(text)

        def format(self, arch):
            return str(arch)

        def graph(self, arch, scale="paper"):
            g = GraphBuilder(str(arch))
            x = g.input(self.skeleton(scale)["shape"])
            for i in range(arch):
                x = g.conv(x, 4, 3, name=f"conv{i}")
            return g.graph(x)

    monkeypatch.setattr("nasviz.families.family._registered", dict(nv.families.family._registered))
    register(Lines())
    frame = pd.DataFrame({"arch": ["3", "1"], "accuracy": [0.9, 0.1]})
    assert [len(graph) for graph in nv.benchmarks.from_table(frame, "lines").graphs()] == [4, 2]
    monkeypatch.setattr(Lines, "__module__", "__main__")  # as in a notebook, whose module has no file
    monkeypatch.delattr("__main__.__file__", raising=False)
    for expected in (4, 6):
        assert len(nv.benchmarks.from_table(frame, "lines").graphs()) == 2 and len(built) == expected


def test_parts(small):
    small.graphs()
    part = small.of("nb101")
    assert part.families == ["nb101"] and part.table.own.tolist() == list(range(6))
    assert part.table.index.tolist() == list(range(6)) and part.scale == "digits" and part.card == small.card
    assert [graph.name for graph in part.graphs()] == part.table.arch.tolist()
    for index in ([5, 0, 0], slice(2, 9, 3), np.arange(12) % 5 == 0, small.table.accuracy > 0.53, [], [-1]):
        part = small.subset(index)
        expected = small.table.arch.to_numpy()[index if len(np.shape(index)) == 0 or len(index) else slice(0)]
        assert part.table.arch.tolist() == expected.tolist() == [graph.name for graph in part.graphs()]
    fresh = Benchmark("fresh", small.table, scale="digits").subset([4])
    assert fresh.graphs() == small.subset([4]).graphs()


@pytest.mark.parametrize("index", [[12], [-13], [True, False], [0.5], ["nb101"]])
def test_a_wrong_index(small, index):
    with pytest.raises(ValueError, match=r"index: .*; give positions 0\.\.11 or one truth value a row"):
        small.subset(index)


def test_wrong_families_and_tables(small):
    with pytest.raises(ValueError, match="family='nb301': small has rows of nb201, nb101"):
        small.of("nb301")
    with pytest.raises(ValueError, match="table lacks arch, accuracy; a benchmark's table has family, arch, accuracy"):
        Benchmark("none", pd.DataFrame({"family": ["nb101"]}))


def test_what_a_notebook_shows(small):
    page = small._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;small&lt;/b&gt;" in page
    assert "6 architectures, accuracy 50.2% · 52.5% · 54.8%" in page
    assert repr(small) == "<Benchmark small: 12 architectures of nb201, nb101>"
    assert "reliability 0.9" in load("digits")._repr_html_()


# --- load -----------------------------------------------------------------------------------------------------------


def test_datasets():
    assert datasets() == ["digits", "nb101", "nb201", "nb301", "nats", "gennape", "zero_cost", "table"]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: load("nb102"), ValueError, "name='nb102': no such benchmark; known: digits, nb101, nb201"),
        (lambda: load("nb101"), ValueError, r"load\('nb101'\) needs path=…: a CSV file with the columns num_vertices"),
        (lambda: load("nb201"), ValueError, r"needs path=…: a CSV file with the columns arch and cifar10_test_acc_200"),
        (lambda: load("nb201", "a.csv", non=1), TypeError, r"load\('nb201'\) has no option 'non'; it has metric, none"),
        (lambda: load("digits", seed=1), TypeError, "has no option 'seed'; it has none"),
        (lambda: load("nb201", "none.csv"), FileNotFoundError, "there is no such file"),
    ],
)
def test_what_load_refuses(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_another_bundle_needs_its_card(tmp_path):
    (tmp_path / "digits.parquet").write_bytes((data_folder() / "digits.parquet").read_bytes())
    with pytest.raises(FileNotFoundError, match="its card digits.json is not beside it"):
        load("digits", tmp_path / "digits.parquet")
    (tmp_path / "digits.json").write_bytes((data_folder() / "digits.json").read_bytes())
    assert load("digits", tmp_path / "digits.parquet").table.equals(load("digits").table)


# --- the bundled benchmark ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> Benchmark:
    return load("digits")


def test_the_bundled_table_is_what_its_card_says(digits):
    table, card = digits.table, digits.card
    content = (data_folder() / "digits.parquet").read_bytes()
    assert card["sha256"] == {"digits.parquet": hashlib.sha256(content).hexdigest()}
    assert table.family.value_counts().to_dict() == {name: facts["n"] for name, facts in card["families"].items()}
    assert len(table) == card["rows"] and digits.scale == "digits"
    assert card == json.loads((data_folder() / "digits.json").read_text(encoding="utf-8"))
    assert (card["min_accuracy"], card["flops_unit"]) == (0, "median")


def test_there_are_enough_architectures(digits):
    counts = digits.table.family.value_counts()
    assert set(counts.index) == set(nv.families.names())
    assert counts.min() >= 300


def test_bundled_accuracies_are_means_of_three_fractions(digits):
    table = digits.table
    assert table[["accuracy", *SEEDS]].stack().between(0, 1).all()
    np.testing.assert_allclose(table.accuracy, table[SEEDS].mean(axis=1), rtol=1e-12)
    assert not table.drop(columns="hash").isna().any(axis=None) and not table.duplicated(["family", "arch"]).any()
    assert (table.seconds > 0).all()


LEAST_RELIABLE = {"nb101": 0.9, "nb201": 0.9, "proxyless": 0.35, "ofa_mbv3": 0.35}
"""Accuracies of the mobile spaces lie closest together: half of their variance is noise of the training."""


@pytest.mark.parametrize("name", nv.families.names())
def test_reliability_by_scipy(digits, name):
    """Spearman's and Brown's formula on the mean over pairs of seeds, each correlation by SciPy."""
    table, facts = digits.of(name).table, digits.card["families"][name]
    for kind, correlate in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        pairs = [correlate(table[SEEDS[i]], table[SEEDS[j]]).statistic for i, j in ((0, 1), (0, 2), (1, 2))]
        rho = np.mean(pairs)
        assert facts["seed_to_seed"][kind] == pytest.approx(rho, abs=1e-4)
        assert facts["reliability"][kind] == pytest.approx(3 * rho / (1 + 2 * rho), abs=1e-4)
        assert facts["ceiling"][kind] ** 2 == pytest.approx(facts["reliability"][kind], abs=2e-4)
        assert facts["reliability"][kind] >= LEAST_RELIABLE.get(name, 0.6)
    assert facts["accuracy"]["median"] == pytest.approx(np.median(table.accuracy), abs=1e-4)
    assert facts["accuracy"]["q95"] - facts["accuracy"]["q05"] > 0.05, "the recipe is to spread accuracies"


def test_graphs_are_of_the_networks_that_were_trained(digits):
    graphs, table = digits.graphs(), digits.table
    assert [graph.params for graph in graphs] == table.params.tolist()
    assert [total_macs(graph) for graph in graphs] == table.macs.tolist()
    for index in range(0, len(graphs), 97):
        assert nv.cost(graphs[index]).total["macs"] == table.macs[index]
        family = nv.families.get(table.family[index])
        cell = family.parse(table.arch[index])
        assert sum(p.numel() for p in family.build(cell, "digits").parameters()) == table.params[index]
        assert getattr(cell, "hash", None) == (table.hash[index] if isinstance(table.hash[index], str) else None)


def test_a_slice_of_the_bundled_table_is_a_fair_sample(digits):
    table = digits.of("nb101").table
    half = len(table) // 2
    assert scipy.stats.ks_2samp(table.accuracy[:half], table.accuracy[half:]).pvalue > 0.001
