"""What is written survives: a kill in the middle, a full disk, two writers at once, and files of other versions."""

import ast
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import nasviz as nv
from nasviz.benchmarks.convert import open_converted, save
from nasviz.benchmarks.label import Recipe, label, read_log
from nasviz.benchmarks.tables import from_table
from nasviz.cycles.run import Run
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.store import read_graphs, write_graphs
from nasviz.resources import write_atomically
from tests import test_damage
from tests.test_damage import ARCHS, TABLE, a_run, graph, read_run

ROOT = Path(__file__).parents[1]

NOT_AT_ONCE = {
    "nasviz.benchmarks.label": "a log that grows by a line for each training; a cut line is dropped",
    "nasviz.benchmarks.fetch": "a .part that is gone on with, and gets its name when its hash is right",
    "nasviz.search.hunt": "a log that grows by a line; a cut line is dropped",
    "nasviz.cycles.job": "what a worker prints",
    "nasviz.cycles.model_archive": "files of a temporary folder, which becomes one archive at once",
}
MODES = {f"{mode}{kind}{plus}" for mode in "wax" for kind in ("", "b") for plus in ("", "+")}
WRITERS = {"write_text", "write_bytes", "to_csv", "to_parquet", "save_file", "copyfile"}


def plain_writes(source: str) -> list[int]:
    """Lines of calls that write a file under its own name, and not through `write_atomically`."""
    found = []

    def look(node: ast.AST, safe: bool) -> None:
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name == "write_atomically":
                safe = True
            modes = [a.value for a in node.args if isinstance(a, ast.Constant) and a.value in MODES]
            opens = name == "open" and bool(modes)
            if not safe and (opens or (name in WRITERS and (node.args or name.startswith("write")))):
                found.append(node.lineno)
        if isinstance(node, ast.FunctionDef | ast.Lambda) and [a.arg for a in node.args.args][:1] == ["beside"]:
            safe = True  # a writer that is handed over
        for child in ast.iter_child_nodes(node):
            look(child, safe)

    look(ast.parse(source), False)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "nasviz").rglob("*.py")), ids=lambda p: p.stem)
def test_every_file_is_written_beside_and_moved_into_place(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    lines = plain_writes(path.read_text(encoding="utf-8"))
    assert not lines or module in NOT_AT_ONCE, f"{module}: lines {lines} write in place; use write_atomically"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("path.write_text('a')", 1),
        ("frame.to_csv(out, index=False)", 1),
        ("text = frame.to_csv(index=False)", 0),
        ("with open(path, 'w') as f: pass", 1),
        ("with path.open('ab') as f: pass", 1),
        ("with path.open('rb') as f: pass", 0),
        ("write_atomically(path, lambda beside: beside.write_text('a'))", 0),
        ("write_atomically(path, frame.to_parquet)", 0),
    ],
)
def test_a_plain_write_is_found(source, count):
    assert len(plain_writes(source)) == count


# --- killed in the middle ---------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from nasviz.resources import write_atomically
def writer(path):
    path.write_bytes(b"half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], writer)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT).returncode == -signal.SIGKILL
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 2  # it died with half a file beside
    write_atomically(path, lambda beside: beside.write_text("new"))
    assert path.read_text() == "new"


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


BIG = pd.DataFrame({"x": np.random.default_rng(0).random(100_000)})


def big_graphs(path):
    node = graph().nodes[0]
    return write_graphs(path, [ComputeGraph([node] * 100_000, [])] * 2)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_atomically(path, lambda beside: beside.write_bytes(bytes(10**6))),
        lambda path: write_atomically(path, BIG.to_parquet),
        lambda path: write_atomically(path, BIG.to_csv),
        big_graphs,
        lambda path: test_damage.checkpoint(path, torch.nn.Linear(1, 100_000)),
    ],
    ids=["bytes", "parquet", "csv", "graphs", "safetensors"],
)
def test_a_full_disk_is_a_sentence_and_the_old_file_stays(write, small_disk):
    path = small_disk / "file.dat"
    if "checkpoint" not in write.__code__.co_names:  # an old one would be gone on with
        path.write_text("old")
    with pytest.raises(OSError, match=r"No space left on device: '.*file.dat' stays as it was; make room") as caught:
        write(path)
    assert caught.value.errno == errno.ENOSPC
    assert [(p.name, p.read_text()) for p in small_disk.iterdir()] in ([("file.dat", "old")], [])


def test_a_run_on_a_full_disk_keeps_its_cycles(small_disk):
    run = Run.create(small_disk / "run")
    run.add(metrics={"accuracy": 0.5})
    for weights in ({"w": torch.ones(100_000)}, {"w": torch.ones(20_000), "v": torch.ones(60_000)}):
        with pytest.raises(OSError, match="No space left on device"):
            run.add(metrics={"accuracy": 0.9}, weights=weights)
    again = Run.open(run.folder, writable=True)
    assert [cycle.metrics["accuracy"] for cycle in again.cycles] == [0.5]
    assert again.add(metrics={"accuracy": 0.6}).index == 1


def test_labels_on_a_full_disk_go_on_when_there_is_room(small_disk, monkeypatch):
    def train(family, arch, seed, recipe):
        return {"family": family.name, "arch": arch, "seed": seed, "accuracy": 0.5, "seconds": 1.0}

    monkeypatch.setattr("nasviz.benchmarks.label.train_one", train)
    log, ballast = small_disk / "log.jsonl", small_disk / "ballast"
    label("nb101", ARCHS[:1], log, seeds=range(3), jobs=1, progress=False)
    ballast.write_bytes(bytes(244 * 1024))  # room for a page or two
    with pytest.raises(OSError, match="No space left"):
        label("nb101", ARCHS, log, seeds=range(100), jobs=1, progress=False)
    kept = read_log(log)[1]
    assert 3 <= len(kept) < 300
    ballast.unlink()
    table = label("nb101", ARCHS, log, seeds=range(100), jobs=1, progress=False)
    assert len(table) == 300 and len(read_log(log)[1]) == 300 and read_log(log)[0] == Recipe()


# --- two at once ------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from nasviz.resources import write_atomically
for i in range(150):
    write_atomically(sys.argv[1], lambda beside: beside.write_text(sys.argv[2] * 50_000))
"""


def test_a_reader_never_sees_half_a_file_of_two_writers(tmp_path):
    path = tmp_path / "file"
    path.write_text("0" * 50_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter], cwd=ROOT) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        content = path.read_text()
        assert len(content) == 50_000 and len(set(content)) == 1
        seen.add(content[0])
    assert all(writer.returncode == 0 for writer in writers) and {"a", "b"} <= seen
    assert os.listdir(tmp_path) == ["file"]


BUILDER = """
import sys
import nasviz as nv
bench = nv.benchmarks.load("table", sys.argv[1], scale="digits")
sys.stdin.readline()
graphs = bench.graphs()
sys.stdout.write(f"{sum(map(len, graphs))} {sum(graph.params for graph in graphs)}")
"""


def test_two_processes_fill_one_cache_at_once(tmp_path):
    family = nv.families.get("hiaml")
    archs = [family.format(arch) for arch in family.sample(60, seed=0)]
    table = pd.DataFrame({"family": "hiaml", "arch": archs, "accuracy": 0.5})
    table.to_csv(tmp_path / "table.csv", index=False)
    environment = {**os.environ, "NASVIZ_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", BUILDER, tmp_path / "table.csv"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(2)]
    for process in both:  # both have read the table, and begin now
        process.stdin.write("go\n")
        process.stdin.flush()
    graphs = [family.graph(arch, "digits") for arch in family.sample(60, seed=0)]
    expected = f"{sum(map(len, graphs))} {sum(graph.params for graph in graphs)}"
    assert [process.communicate()[0] for process in both] == [expected] * 2
    (cached,) = (tmp_path / "cache" / "graphs").iterdir()
    assert read_graphs(cached) == graphs


# --- other versions ---------------------------------------------------------------------------------------------------


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def newer_run(folder, version):
    a_run(folder / "run" / "run.json")
    edit(folder / "run" / "run.json", format_version=version)
    return lambda: read_run(folder / "run" / "run.json")


def newer_graphs(folder, version):
    path = write_graphs(folder / "g.arrow", [graph()])
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    metadata = table.schema.metadata | {b"nasviz.graphs": str(version).encode()}
    with pa.ipc.new_file(path, table.replace_schema_metadata(metadata).schema) as sink:
        sink.write_table(table.replace_schema_metadata(metadata))
    return lambda: read_graphs(path)


def newer_benchmark(folder, version):
    path = save(from_table(TABLE), folder / "b.arrow", graphs=False)
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    header = json.loads(table.schema.metadata[b"nasviz.benchmark"]) | {"version": version}
    table = table.replace_schema_metadata(table.schema.metadata | {b"nasviz.benchmark": json.dumps(header).encode()})
    with pa.ipc.new_file(path, table.schema) as sink:
        sink.write_table(table)
    return lambda: open_converted(path)


def newer_graph(folder, version):
    table = graph().to_arrow()
    header = json.loads(table.schema.metadata[b"nasviz.graph"]) | {"version": version}
    table = table.replace_schema_metadata({b"nasviz.graph": json.dumps(header).encode()})
    return lambda: ComputeGraph.from_arrow(table)


def newer_gennape(folder, version):
    (folder / "weights.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    (folder / "model.json").write_text(json.dumps({"format_version": version}))
    return lambda: nv.predict.Gennape.load(folder)


def newer_nasviz(folder, version):
    for name in ("weights.safetensors", "trees.txt"):
        (folder / name).touch()
    (folder / "model.json").write_text(json.dumps({"model": "Nasviz", "format_version": version}))
    return lambda: nv.predict.Nasviz.load(folder)


@pytest.mark.parametrize(("version", "todo"), [(99, "a newer nasviz wrote it: pip install -U nasviz"), (0, "again")])
@pytest.mark.parametrize("make", [newer_run, newer_graphs, newer_benchmark, newer_graph, newer_gennape, newer_nasviz])
def test_a_file_of_another_version_is_told_with_what_to_do(make, version, todo, tmp_path):
    read = make(tmp_path, version)
    told = f"has format version {version}, and this nasviz reads [0-9]+; .*{todo}"
    with pytest.raises(ValueError, match=told) as caught:
        read()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400 + len(str(tmp_path))
