"""The columnar file: there and back, mapped and not copied, and files that are none of ours."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import nasviz as nv
from nasviz.benchmarks import Benchmark, benchmark, load, open_converted, save
from nasviz.cli import app
from nasviz.graph import ComputeGraph
from nasviz.graph.store import StoredGraphs, write_graphs


@pytest.fixture
def bench() -> Benchmark:
    """Two families in turn, with columns of every kind, a text that is missing and one that is not ASCII."""
    rows = []
    for name in ("nb201", "nb101"):
        family = nv.families.get(name)
        rows += [(name, family.format(arch), 0.5 + i / 100) for i, arch in enumerate(family.sample(5, seed=3))]
    table = pd.DataFrame(rows, columns=["family", "arch", "accuracy"]).sort_values("accuracy", kind="stable")
    table["params"], table["good"] = range(10), [True, False] * 5
    table["note"], table["sd"] = ["é", None] * 5, [0.1, np.nan] * 5
    return Benchmark("mine", table, {"title": "Mine", "min_accuracy": 0.2, "tags": [1, "a"]}, "digits")


@pytest.fixture
def no_building(monkeypatch):
    def refuse(*arguments):
        pytest.fail("a graph is built")

    monkeypatch.setattr(benchmark, "_pack_graphs", refuse)


def test_there_and_back(bench, tmp_path, request):
    path = tmp_path / "new" / "mine.arrow"
    assert save(bench, path) == path and os.listdir(path.parent) == ["mine.arrow"]
    request.getfixturevalue("no_building")
    back = open_converted(path)
    pd.testing.assert_frame_equal(back.table, bench.table)
    assert (back.name, back.card, back.scale) == (bench.name, bench.card, bench.scale)
    assert back.graphs() == bench.graphs() and [g.name for g in back.graphs()] == back.table.arch.tolist()
    again = open_converted(save(back, tmp_path / "again.arrow"))
    pd.testing.assert_frame_equal(again.table, bench.table)
    assert again.of("nb101").graphs() == bench.of("nb101").graphs()


def test_the_command_converts_a_table_with_other_names(tmp_path):
    pd.DataFrame({"cell": ["2:1:", "3:7:1"], "top1": [61.0, 64.5]}).to_csv(tmp_path / "mine.csv", index=False)
    options = ["family=nb101", 'columns={"arch": "cell", "accuracy": "top1"}', "percent=true"]
    command = ["data", "convert", "table", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "mine.arrow")]
    result = CliRunner().invoke(app, [*command, *(part for option in options for part in ("--option", option))])
    assert result.exit_code == 0, result.output
    bench = load("table", tmp_path / "mine.arrow")
    assert bench.table.accuracy.tolist() == [0.61, 0.645] and bench.graphs()[0].params == 882570


def test_without_graphs_they_are_built(bench, tmp_path):
    back = open_converted(save(bench, tmp_path / "mine.arrow", graphs=False))
    assert back.given is None and back.graphs() == bench.graphs()


def test_graphs_that_came_with_a_benchmark_are_always_kept(bench, tmp_path, no_building):
    published = [ComputeGraph(graph.nodes[:2], [(0, 1)]) for graph in _graphs(bench)]
    given = Benchmark("given", bench.table, given=published)
    assert open_converted(save(given, tmp_path / "given.arrow", graphs=False)).graphs() == published


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells where a file is mapped")
def test_labels_and_edges_lie_in_the_mapped_file(bench, tmp_path):
    path = save(bench, tmp_path / "mine.arrow")
    before = pa.total_allocated_bytes()
    back = open_converted(path)
    assert isinstance(back.given, StoredGraphs) and pa.total_allocated_bytes() - before < 1_000
    arrays = [back.table[name].to_numpy() for name in ("accuracy", "params")]
    arrays += [back.given[7].edges, back.subset([3, 1]).given[0].edges]
    arrays.append(np.frombuffer(back.table.arch.array.__arrow_array__().chunk(0).buffers()[2], np.uint8))
    lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    areas = [[int(end, 16) for end in line[0].split("-")] for line in lines if line[5:] == [str(path)]]
    assert areas
    for array in arrays:
        address = array.__array_interface__["data"][0]
        assert any(start <= address < stop for start, stop in areas)


def test_a_table_of_a_file_can_be_worked_with(bench, tmp_path):
    path = save(bench, tmp_path / "mine.arrow")
    back = open_converted(path)
    back.table["accuracy"] = back.table.accuracy / 2
    back.table["new"] = back.table.arch.str.len()
    assert back.subset(back.table.good).table.good.all() and back.subset(back.table.params > 7).table.params.min() == 8
    assert back.table.sort_values("params", ascending=False).accuracy.iloc[0] == bench.table.accuracy[9] / 2
    assert open_converted(path).table.accuracy.equals(bench.table.accuracy), "the file is as it was"


def test_load_takes_a_converted_file_by_its_name(tmp_path):
    digits = load("digits").subset(slice(0, 4))
    path = save(digits, tmp_path / "some.arrow", graphs=False)
    assert load("digits", path).table.equals(digits.table) and load("digits", str(path)).card == digits.card
    with pytest.raises(ValueError, match=r"some.arrow' holds the benchmark 'digits', not 'nb101'; use that name"):
        load("nb101", path)
    with pytest.raises(TypeError, match=r"load\('digits'\) has no option 'metric'; it has none"):
        load("digits", path, metric="x")
    with pytest.raises(ValueError, match=r"load\('nb101'\) needs path=…: .*; or its converted .arrow file"):
        load("nb101")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda bench, path: (bench, path.with_suffix(".parquet")), "the name of a converted file ends with .arrow"),
        (lambda bench, path: (_with(bench, odd=[1, "a"] * 5), path), "mine has a column or an entry of its card that"),
        (lambda bench, path: (_with(bench, **{"graph.x": 1}), path), "the table has a column 'graph.x'"),
        (lambda bench, path: (Benchmark("m", bench.table, {"a": {1}}), path), "m has a column or an entry of its card"),
    ],
)
def test_what_cannot_be_saved_gets_a_sentence(bench, tmp_path, change, sentence):
    bench, path = change(bench, tmp_path / "mine.arrow")
    with pytest.raises(ValueError, match=sentence):
        save(bench, path)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none_of_ours_get_a_sentence(bench, tmp_path):
    path = tmp_path / "x.arrow"
    with pytest.raises(FileNotFoundError, match="there is no such file; give the .arrow file of a converted benchmark"):
        open_converted(path)
    whole = save(bench, tmp_path / "mine.arrow").read_bytes()
    graphs = write_graphs(tmp_path / "g.arrow", _graphs(bench)).read_bytes()
    newer = whole.replace(b'{"version": 1', b'{"version": 7')
    scales = whole.replace(b'"scale": "digits"', b'"escal": "digits"')
    cuts = [whole[:size] for size in (1, 8, len(whole) // 2, len(whole) - 1)]
    for content in (*cuts, b"ARROW1 and no more", b"a,b\n1,2\n", graphs, newer, scales):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is no readable converted file \(.*\); convert it again") as caught:
            open_converted(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        open_converted(path)


def test_a_file_is_replaced_whole_or_not_at_all(bench, tmp_path, monkeypatch):
    path = save(bench, tmp_path / "mine.arrow")
    first = open_converted(path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pa.ipc, "new_file", full)
        with pytest.raises(OSError, match="No space left"):
            save(bench, path)
    assert os.listdir(tmp_path) == ["mine.arrow"]
    save(bench.subset([0, 1]), path)
    assert len(open_converted(path)) == 2 and first.graphs() == bench.graphs()


def _graphs(bench: Benchmark) -> list[ComputeGraph]:
    families = [nv.families.get(name) for name in bench.table.family]
    rows = zip(families, bench.table.arch, strict=True)
    return [family.graph(family.parse(arch), bench.scale) for family, arch in rows]


def _with(bench: Benchmark, **columns) -> Benchmark:
    return Benchmark(bench.name, bench.table.assign(**columns), bench.card, bench.scale)
