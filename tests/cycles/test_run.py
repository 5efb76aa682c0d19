"""A run on disk: what is written is read, whoever reads or dies in between."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nasviz.cycles import Run
from nasviz.families import get

NB201 = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
SOURCE = {"family": "nb201", "arch": NB201, "scale": "digits"}


def layer_table(*names: str, **metrics: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"layer": names, "op": "conv", "trainable": True, "position": range(len(names)), **metrics})


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "run", name="digits", task="tell digits apart")


def snapshot(folder: Path) -> dict[str, tuple]:
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


# --- what is written is read ------------------------------------------------------------------------------------------


def test_a_new_run_is_empty_and_its_tables_have_their_columns(run):
    again = Run.open(run.folder)
    assert (again.name, again.task, again.primary, again.higher_is_better) == (
        "digits", "tell digits apart", "accuracy", True,
    )  # fmt: skip
    assert again.cycles == [] and not again.writable
    assert list(again.metrics.columns) == ["cycle", "name", "metric", "value", "unit"]
    assert list(again.layers.columns) == ["cycle", "layer", "op", "trainable", "position", "metric", "value"]
    assert len(again.metrics) == len(again.layers) == 0
    assert again.metrics.dtypes.astype(str).tolist() == ["int64", "str", "str", "float64", "str"]
    assert again.layers.dtypes.astype(str).tolist() == ["int64", "str", "str", "bool", "int64", "str", "float64"]


def test_a_cycle_comes_back_as_it_was_written(run, tmp_path):
    module, graph = (
        get("nb201").build(get("nb201").parse(NB201), "digits"),
        get("nb201").graph(get("nb201").parse(NB201)),
    )
    matrix, picture = pd.DataFrame({"0": [3, 1], "1": [0, 4]}), tmp_path / "curve.txt"
    picture.write_text("loss")
    run.add("first", metrics={"accuracy": 0.5})
    written = run.add(
        "second",
        parent=0,
        note="wider",
        status="partial",
        created=datetime(2026, 5, 1, 12, tzinfo=UTC),
        source=SOURCE,
        metrics={"accuracy": np.float32(0.75), "parameters": np.int64(12), "recall": None, "loss": float("inf")},
        units={"recall": "fraction"},
        artifacts={"confusion_matrix": matrix, "curve": picture},
        layers=layer_table("b", "a", kflops=[1.0, np.nan]).assign(position=[1, 0]),
        graph=graph,
        weights=module,
    )
    read = Run.open(run.folder).cycle(1)
    assert read == written
    assert (read.name, read.parent, read.note, read.status) == ("second", 0, "wider", "partial")
    assert (read.created, read.source) == ("2026-05-01T12:00:00.000+00:00", SOURCE)
    assert read.metrics == {"performance": 0.75, "accuracy": 0.75, "parameters": 12, "recall": None, "loss": None}
    assert read.units == {"performance": "fraction", "accuracy": "fraction", "parameters": "", "recall": "fraction",
                          "loss": ""}  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_parquet(read.artifacts["confusion_matrix"]), matrix)
    assert read.artifacts["curve"].read_text() == "loss" and read.artifacts["curve"].parent == read.folder
    assert read.layers().layer.tolist() == ["a", "b"]  # by position
    assert read.graph() == graph
    assert read.weights().keys() == module.state_dict().keys()
    assert json.loads((read.folder / "metrics.json").read_text())["metrics"]["loss"] is None


def test_the_tables_are_tidy(run):
    run.add("a", metrics={"accuracy": 0.5, "flops": 7}, layers=layer_table("stem", kflops=[2.0], channels=[8.0]))
    run.add("b", metrics={"accuracy": None}, layers=layer_table("stem", "head", kflops=[3.0, np.nan]))
    rows = run.metrics.astype(object).where(run.metrics.notna(), None).to_numpy().tolist()
    assert rows == [
        [0, "a", "performance", 0.5, "fraction"],
        [0, "a", "accuracy", 0.5, "fraction"],
        [0, "a", "flops", 7.0, "FLOPs"],
        [1, "b", "performance", None, "fraction"],
        [1, "b", "accuracy", None, "fraction"],
    ]
    layers = run.layers
    assert layers.drop(columns="value").to_numpy().tolist() == [
        [0, "stem", "conv", True, 0, "kflops"],
        [0, "stem", "conv", True, 0, "channels"],
        [1, "stem", "conv", True, 0, "kflops"],
        [1, "head", "conv", True, 1, "kflops"],
    ]
    np.testing.assert_equal(layers.value.to_numpy(), [2.0, 8.0, 3.0, np.nan])
    layers["value"] = 0.0  # the caller's own
    assert run.layers.value.sum() == 13


def test_the_network_of_a_cycle_runs_again_with_its_weights(run):
    family = get("nb201")
    module, x = family.build(family.parse(NB201), "digits").eval(), torch.rand(2, 1, 8, 8)
    by_source = run.add(source=SOURCE, weights=module)
    by_graph = run.add(source={"graph": True}, graph=family.graph(family.parse(NB201), "digits"), weights=module)
    for cycle in (by_source, by_graph):
        assert torch.equal(cycle.module()(x), module(x))


def test_tied_weights_are_stored_under_both_names(run):
    weight = torch.rand(3, 3)
    read = run.add(weights={"a": weight, "b": weight, "part": weight[:, 1]}).weights()
    assert torch.equal(read["a"], read["b"]) and torch.equal(read["part"], weight[:, 1])


def test_update_adds_to_a_cycle_and_keeps_the_rest(run):
    run.add("a", metrics={"accuracy": 0.5, "loss": 1.0}, units={"loss": "nats"}, layers=layer_table("x", kflops=[1.0]))
    reader = Run.open(run.folder)
    assert reader.layers.value.tolist() == [1.0] and not reader.refresh()
    run.update(0, metrics={"latency_ms": 2.5, "loss": 0.5}, artifacts={"m": pd.DataFrame({"a": [1]})}, note="measured")
    run.update(0, layers=layer_table("x", kflops=[1.0], latency_ms=[4.0]))
    assert reader.refresh()
    cycle = reader.cycle(0)
    assert cycle.metrics == {"performance": 0.5, "accuracy": 0.5, "loss": 0.5, "latency_ms": 2.5}
    assert cycle.units["loss"] == "nats" and cycle.units["latency_ms"] == "ms"
    assert (cycle.name, cycle.note, list(cycle.artifacts)) == ("a", "measured", ["m"])
    assert reader.layers.metric.tolist() == ["kflops", "latency_ms"]


# --- others read, write, die ------------------------------------------------------------------------------------------


def test_reading_writes_nothing(run):
    run.add(
        metrics={"accuracy": 0.5}, layers=layer_table("x", kflops=[1.0]), source=SOURCE, weights={"w": torch.ones(1)}
    )
    before = snapshot(run.folder)
    reader = Run.open(run.folder)
    assert len(reader.metrics) and len(reader.layers) and reader.cycle(0).weights() and reader.cycle(0).graph()
    reader.refresh()
    assert snapshot(run.folder) == before
    for write in (lambda: reader.add(), lambda: reader.update(0, note="x")):
        with pytest.raises(PermissionError, match="open for reading; Run.open"):
            write()
    assert snapshot(run.folder) == before


def test_refresh_sees_new_and_removed_cycles_and_a_folder_without_cycle_json_is_none(run):
    reader = Run.open(run.folder)
    run.add(metrics={"accuracy": 0.1})
    run.add(metrics={"accuracy": 0.2})
    assert reader.cycles == [] and reader.refresh() and len(reader) == 2
    (run.folder / "cycles" / "0002").mkdir()
    (run.folder / "cycles" / "0002" / "metrics.json").write_text("{")
    (run.folder / "cycles" / "7").mkdir()
    assert not reader.refresh()
    (run.folder / "cycles" / "0000" / "cycle.json").unlink()
    assert reader.refresh() and [cycle.index for cycle in reader.cycles] == [1]
    assert run.add().index == 3  # not in the place of the incomplete one


def child(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


WRITER = """
import sys, pandas as pd
from nasviz.cycles import Run
run, who = Run.open(sys.argv[1], writable=True), sys.argv[2]
for i in range(15):
    layers = pd.DataFrame({"layer": [str(j) for j in range(50)], "op": "conv", "trainable": True,
                           "position": range(50), "value_": float(i)})
    cycle = run.add(f"{who} {i}", metrics={"accuracy": i / 100, "twice": i / 50}, layers=layers)
    run.update(cycle.index, metrics={"accuracy": i / 100 + 0.5, "twice": i / 50 + 1.0})
"""


def test_two_writers_never_share_an_index_and_a_reader_never_sees_half_a_cycle(run):
    writers = [child(WRITER, run.folder, who) for who in "ab"]
    reader, seen, looks = Run.open(run.folder), [0], 0
    while any(writer.poll() is None for writer in writers):
        reader.refresh()
        table = reader.metrics.pivot(index="cycle", columns="metric", values="value")
        assert not table.isna().any(axis=None)
        if len(table):
            np.testing.assert_allclose(table.twice, 2 * table.accuracy)  # both from one writing
        assert (reader.layers.groupby("cycle").size() == 50).all()
        assert len(reader) >= seen[-1]
        seen.append(len(reader))
        looks += 1
        time.sleep(0.005)
    for writer in writers:
        finished(writer)
    assert len(set(seen)) > 3, f"the reader looked {looks} times, but never in between"
    reader.refresh()
    assert [cycle.index for cycle in reader.cycles] == list(range(30))
    assert {cycle.name for cycle in reader.cycles} == {f"{who} {i}" for who in "ab" for i in range(15)}
    assert not list((run.folder / "cycles").glob(".*")) and not list((run.folder / "cycles").glob("*/.*"))


DYING = """
import sys, time, torch
from nasviz.cycles import Run, files
plain = files.write_json
def hang(path, document):
    if path.name == sys.argv[2]:
        (path.parent / (".%s-%s.json" % (path.stem, "0" * 32))).write_text('{"inde')  # half a file
        (path.parent / (".notes-" + "f" * 32)).write_text("")
        print("here", flush=True)
        time.sleep(600)
    plain(path, document)
run = Run.open(sys.argv[1], writable=True)
files.write_json = hang
if sys.argv[3] == "add":
    run.add("lost", metrics={"accuracy": 0.9}, weights={"w": torch.ones(1000)})
else:
    run.update(0, note="lost")
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
@pytest.mark.parametrize("act", ["add", "update"])
def test_a_killed_writer_leaves_a_readable_run(run, act):
    run.add("kept", metrics={"accuracy": 0.5})
    before = run.metrics
    process = child(DYING, run.folder, "cycle.json", act)
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.communicate()
    left = [path.name for path in (run.folder / "cycles").rglob(".*")]
    assert left  # it died in the middle
    reader = Run.open(run.folder)
    pd.testing.assert_frame_equal(reader.metrics, before)
    assert reader.cycle(0).note == "" and snapshot(run.folder).keys() >= {"run.json"}
    started = time.perf_counter()
    assert run.add("next").index == 1  # the dead one holds no lock
    assert time.perf_counter() - started < 5
    assert not [path.name for path in (run.folder / "cycles").rglob(".*")]


def test_a_writer_that_fails_leaves_nothing(run, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nasviz.cycles.files.write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        run.add(metrics={"accuracy": 0.1})
    assert list((run.folder / "cycles").iterdir()) == []
    monkeypatch.undo()
    assert run.add().index == 0


def test_a_writer_waits_for_another_and_says_so_in_the_end(run, monkeypatch):
    from nasviz.cycles import files

    monkeypatch.setattr(files, "LOCK_SECONDS", 0.1)
    with files.locked(run.folder), pytest.raises(TimeoutError, match="another process has been writing"):
        Run.open(run.folder, writable=True).add()


# --- damage, and wrong arguments --------------------------------------------------------------------------------------


def test_no_run_and_a_second_run_in_one_folder_are_refused(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run: there is no run.json"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="holds a run already"):
        Run.create(run.folder)
    with pytest.raises(ValueError, match="no name of a metric"):
        Run.create(tmp_path / "other", primary="")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("[1]", "it has no 'format_version'"),
        ('{"format_version": 1}', "it has no 'name'"),
        ('{"format_version": true}', "its 'format_version' is True"),
        ('{"format_version": 1, "name": "a", "task": "", "primary": {"name": "x"}}', "its 'primary' is"),
        ('{"format_version": 2}', "format version 2, and this nasviz reads 1"),
    ],
)
def test_a_damaged_run_json_is_named(run, content, reason):
    (run.folder / "run.json").write_text(content)
    with pytest.raises(ValueError, match="run.json") as caught:
        Run.open(run.folder)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("cycle.json", '{"index": 0', "Expecting"),
        ("cycle.json", b"\xff\xfe\x00", "codec"),
        ("cycle.json", "{}", "has no 'index'"),
        ("cycle.json",
         '{"index": 3, "name": "", "parent": null, "note": "", "created": "", "status": "", "source": {}}',
         "it has index 3, but lies in folder 0000"),
        ("metrics.json", '{"metrics": {"a": "high"}, "units": {}, "artifacts": {}}', "neither a number nor null"),
        ("metrics.json", '{"metrics": [], "units": {}, "artifacts": {}}', r"its 'metrics' is \[\]"),
        ("metrics.json", '{"metrics": {}, "units": {}, "artifacts": {"m": "../../secret"}}', "names no file beside it"),
        ("layers.parquet", "PAR1", "layers.parquet"),
        ("weights.safetensors", "x", "weights.safetensors"),
        ("graph.arrow", "x", "graph.arrow"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_a_cycle_is_named(run, file, content, reason):
    graph = get("nb201").graph(get("nb201").parse(NB201), "digits")
    run.add(metrics={"accuracy": 1.0}, layers=layer_table("x", k=[1.0]), graph=graph, weights={"w": torch.ones(1)})
    path = run.folder / "cycles" / "0000" / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=reason) as caught:
        reader = Run.open(run.folder)
        assert len(reader.metrics) == 2
        _ = reader.layers, reader.cycle(0).graph(), reader.cycle(0).weights()
    assert file in str(caught.value)


@pytest.mark.parametrize("table", [pd.DataFrame({"a": [1]}), layer_table("x", "x", k=[1.0, 2.0])])
def test_a_file_with_another_table_of_layers_is_damaged(run, table):
    run.add(layers=layer_table("x"))
    table.to_parquet(run.folder / "cycles" / "0000" / "layers.parquet")
    with pytest.raises(ValueError, match="layers.parquet.*is damaged"):
        _ = Run.open(run.folder).layers


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"metrics": {"accuracy": "0.9"}}, r"metrics\['accuracy'\]='0.9': a metric is one number"),
        ({"metrics": {"accuracy": True}}, "a metric is one number"),
        ({"metrics": {"accuracy": np.ones(2)}}, "a metric is one number"),
        ({"metrics": {"": 1.0}}, "no name of a metric"),
        ({"metrics": {"performance": 1.0}}, "give it as 'accuracy'"),
        ({"units": {"accuracy": 1}}, "a unit is a text"),
        ({"parent": 4}, "parent=4: the run has no such cycle"),
        ({"parent": "a"}, "parent='a': it is the index"),
        ({"note": None}, "note=None: it is a text"),
        ({"source": {"arch": object()}}, "it must be plain JSON"),
        ({"artifacts": {"../x": pd.DataFrame()}}, "artifacts='../x': a name has letters"),
        ({"artifacts": {"metrics": pd.DataFrame()}}, "artifacts='metrics'"),
        ({"layers": pd.DataFrame({"layer": ["a"]})}, "lacks op, trainable, position"),
        ({"layers": layer_table("a", "a")}, "two rows 'a'"),
        ({"layers": layer_table("a", value=[1.0])}, "a column 'value'"),
        ({"layers": layer_table("a", kflops=["many"])}, "holds a wrong value"),
        ({"layers": layer_table("a").assign(trainable="False")}, "True or False in its column trainable"),
        ({"layers": layer_table("a", None)}, "needs a name in every row"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(run, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        run.add(**arguments)
    assert list((run.folder / "cycles").iterdir()) == [] and run.cycles == []


def test_what_a_cycle_does_not_have_is_said(run):
    cycle = run.add()
    with pytest.raises(FileNotFoundError, match="cycle 0 has no graph"):
        cycle.graph()
    with pytest.raises(FileNotFoundError, match="cycle 0 has no weights"):
        cycle.weights()
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        run.add(artifacts={"m": Path("nowhere.png")})
    with pytest.raises(KeyError, match="no such cycle"):
        run.cycle(1)
    wrong = run.add(source=SOURCE, weights={"other": torch.ones(1)})
    with pytest.raises(ValueError, match="weights.safetensors' do not fit the graph"):
        wrong.module()
