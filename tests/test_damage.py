"""Every file that nasviz reads, damaged: cut off, bits flipped, absurd values; what comes is a value or one sentence.

Readers of pickles, TFRecords and archives have such tests of their own beside them, with payloads that would run code
(tests/benchmarks/hostile.py).
"""

import bz2
import gzip
import json
import lzma
import random
import resource
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper

import nasviz as nv
from nasviz.benchmarks import tables
from nasviz.benchmarks.bundle import unbundle
from nasviz.benchmarks.convert import open_converted, save
from nasviz.benchmarks.label import Recipe, read_log
from nasviz.benchmarks.nasbench301 import read_nb301
from nasviz.benchmarks.tables import from_table, read_digits, read_nb101, read_nb201
from nasviz.benchmarks.zerocost import read_zero_cost
from nasviz.cycles import from_frame
from nasviz.cycles.imports_tensorboard import from_tensorboard
from nasviz.cycles.job import Job, State
from nasviz.cycles.run import Run
from nasviz.graph.store import read_graphs, write_graphs
from nasviz.predict.training import Schedule, train
from nasviz.search.hunt import Log
from tests.benchmarks import test_nasbench301, test_zerocost

ARCHS = ["2:1:", "3:7:1", "4:43:22"]
TABLE = pd.DataFrame({"family": "nb101", "arch": ARCHS, "accuracy": [0.5, 0.6, 0.7], "note": ["a", "ö", "c,d"]})


NB101 = "num_vertices,edge_bits,ops,val_acc_108\n2,1,,0.5\n3,7,1,0.6\n"
NB201 = f"arch,cifar10_test_acc_200\n{test_zerocost.NB201_ARCH},91.5\n"
ZERO_COST = {"cifar10": {test_zerocost.NB201_KEY: test_zerocost.entry()}}
LONG = "cycle,metric,value\n0,accuracy,0.5\n1,accuracy,0.6\n"


def graph():
    family = nv.families.get("nb101")
    return family.graph(family.parse(ARCHS[2]), "digits")


# --- small files of every kind, and who reads them --------------------------------------------------------------------


def onnx_file(path):
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 3, 8, 8)), ("y", (1, 4))))
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("GlobalAveragePool", ["c"], ["p"]),
             helper.make_node("Flatten", ["p"], ["y"])]  # fmt: skip
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 1, 1), np.ones(12))
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], [weight])), path)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def lines(*documents) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


def label_log(path):
    row = {"family": "nb101", "arch": "2:1:", "seed": 0, "accuracy": 0.5, "seconds": 1.5}
    path.write_text(lines({"recipe": vars(Recipe())}, row, row | {"seed": 1}))


def digits(path):
    """A benchmark as `nasviz label` writes it: a table with its card beside it."""
    folder = path.parent
    table = TABLE.assign(accuracy_0=TABLE.accuracy, accuracy_1=TABLE.accuracy, seconds=1.0)
    table.to_parquet(folder / "digits.parquet", index=False)
    card = {"name": "digits", "scale": "digits", "seeds": [0, 1], "recipe": vars(Recipe()), "min_accuracy": 0.0}
    (folder / "digits.json").write_text(json.dumps(card))


def a_run(path):
    layers = pd.DataFrame({"layer": ["a", "b"], "op": "conv", "trainable": True, "position": [0, 1], "macs": [1.0, 2]})
    run = Run.create(path.parents[2] if path.name != "run.json" else path.parent)
    run.add(metrics={"accuracy": 0.5, "loss": 1}, layers=layers, graph=graph(), weights={"w": torch.ones(3)},
            source={"family": "nb101", "arch": ARCHS[1]}, units={"loss": "nat"})  # fmt: skip


def read_run(path):
    run = Run.open(path.parents[2] if path.name != "run.json" else path.parent)
    assert len(run.metrics) >= 0 and len(run.layers) >= 0
    if run.cycles:
        run.cycles[0].graph(), run.cycles[0].weights()


def checkpoint(path, model=None):
    model, schedule = model or torch.nn.Linear(1, 1), Schedule(size=4, batch_size=2, epochs=1, lr=0.1)
    train(model, lambda order: order.split(2), lambda rows: {"loss": model(torch.ones(len(rows), 1)).square().mean()},
          schedule, seed=0, checkpoint=path)  # fmt: skip


def search_log(path):
    log = Log(path, {"seed": 0})
    log.write(["a", "b"], "scores", [0.5, None])


def event_file(path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=2e9, file_version="brain.Event:2").SerializeToString())
        for step in range(3):
            summary = Summary(value=[Summary.Value(tag="accuracy", simple_value=step / 4)])
            writer.write(Event(wall_time=2e9 + step, step=step, summary=summary).SerializeToString())


def a_job(path):
    head = {"action": "archive", "run": "/r", "cycle": 1, "parameters": {"a": 1}, "created": "2026-01-01T00:00:00Z"}
    (path.parent / "job.json").write_text(json.dumps(head))
    state = State("done", 1.0, "over", {"cycle": 1}, 1)
    (path.parent / "state.json").write_text(json.dumps(vars(state)))


def read_job(path):
    job = Job(path.parent)
    assert job.id and job.state()


def beside(read: Callable) -> Callable[[Path], object]:
    """For readers that write a run: each time to a new folder."""
    return lambda path: read(path.parent / "out" / f"{random.random()}", path)


CYCLE = "run/cycles/0000/"
FILES: dict[str, tuple[str, Callable, Callable]] = {
    "onnx": ("model.onnx", onnx_file, nv.from_onnx),
    "graphs": ("graphs.arrow", lambda p: write_graphs(p, [graph()]), lambda p: [len(g) for g in read_graphs(p)]),
    "converted": ("bench.arrow", lambda p: save(from_table(TABLE), p), lambda p: open_converted(p).graphs()),
    "csv": ("table.csv", lambda p: TABLE.to_csv(p, index=False), from_table),
    "csv.gz": ("table.csv.gz", lambda p: TABLE.to_csv(p, index=False), from_table),
    "csv.zip": ("table.csv.zip", lambda p: TABLE.to_csv(p, index=False), from_table),
    "parquet": ("table.parquet", lambda p: TABLE.to_parquet(p), from_table),
    "json": ("table.json", lambda p: TABLE.to_json(p, orient="records"), from_table),
    "jsonl": ("table.jsonl", lambda p: TABLE.to_json(p, orient="records", lines=True), from_table),
    "nb101": ("nb101.csv", text(NB101), read_nb101),
    "nb201": ("nb201.csv", text(NB201), read_nb201),
    "nb301": ("results_1.json", text(json.dumps(test_nasbench301.result())), read_nb301),
    "zero_cost": ("zc_nasbench201.json", text(json.dumps(ZERO_COST)), read_zero_cost),
    "digits table": ("digits.parquet", digits, read_digits),
    "digits card": ("digits.json", digits, lambda p: read_digits(p.with_suffix(".parquet"))),
    "bundle": ("digits.json", digits, lambda p: unbundle(p.parent, p.parent / "log")),
    "label log": ("log.jsonl", label_log, read_log),
    "run": ("run/run.json", a_run, read_run),
    "cycle": (f"{CYCLE}cycle.json", a_run, read_run),
    "metrics": (f"{CYCLE}metrics.json", a_run, read_run),
    "layers": (f"{CYCLE}layers.parquet", a_run, read_run),
    "weights": (f"{CYCLE}weights.safetensors", a_run, read_run),
    "cycle's graph": (f"{CYCLE}graph.arrow", a_run, read_run),
    "run of a table": ("cycles.csv", text(LONG), beside(from_frame)),
    "tensorboard": ("logs/events.out.tfevents.1", event_file, beside(lambda run, p: from_tensorboard(run, p.parent))),
    "checkpoint": ("training.safetensors", checkpoint, checkpoint),
    "search log": ("search.jsonl", search_log, lambda p: Log(p, {"seed": 0}).recall(["a", "b"], "scores")),
    "job": ("job.json", a_job, read_job),
    "job's state": ("state.json", a_job, read_job),
}  # fmt: skip


# --- damage -----------------------------------------------------------------------------------------------------------

ABSURD = [None, True, -1, 1e308, 10**400, float("nan"), float("inf"), "", "../../x", "x" * 10_000, [], {}, [[[]]]]


def absurd(document, rng: random.Random):
    """A JSON document with one of its values replaced by another thing, or left out."""
    place, parent, keys = document, None, []
    while isinstance(place, dict | list) and place and (parent is None or rng.random() < 0.7):
        parent, key = place, rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        keys.append(key)
        place = place[key]
    if parent is None:
        return rng.choice(ABSURD)
    copy = json.loads(json.dumps(document))
    target = copy
    for key in keys[:-1]:
        target = target[key]
    if rng.random() < 0.3:
        del target[keys[-1]]
    else:
        target[keys[-1]] = rng.choice(ABSURD)
    return copy


def damages(content: bytes, count: int, rng: random.Random) -> Iterator[bytes]:
    """`count` damaged copies of each kind."""
    for _ in range(count):
        yield content[: rng.randrange(len(content))]
        flipped = bytearray(content)
        for _ in range(rng.choice([1, 1, 4])):
            flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
        start = rng.randrange(len(content))
        yield content[:start] + rng.choice([b"\xff", b"\x7f", b"\0"]) * rng.choice([1, 4, 8]) + content[start + 8 :]
        yield content[:start] + rng.randbytes(rng.randrange(1, 64)) + content[start:]
    try:
        whole = [json.loads(content)]
    except ValueError:
        try:
            whole = [json.loads(line) for line in content.splitlines()]
        except ValueError:
            return
    for _ in range(4 * count):
        line = rng.randrange(len(whole))
        yield b"\n".join(json.dumps(absurd(e, rng) if i == line else e).encode() for i, e in enumerate(whole)) + b"\n"
    yield from (b"9" * 5000, b"[" * 100_000, b'{"a":' * 50_000, b"\xef\xbb\xbf" + content, b"nan", b"null")


def check(kind: str, folder: Path, count: int, seed: int) -> None:
    name, make, read = FILES[kind]
    path = folder / name
    if path.parent.name == "logs":
        path.parent.mkdir()
    make(path)
    read(path)
    content, before = path.read_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for damaged in damages(content, count, random.Random(f"{kind} {seed}")):
        path.write_bytes(damaged)
        try:
            read(path)
        except (ValueError, OSError) as error:
            message, known = str(error), (ValueError, FileNotFoundError, FileExistsError)
            shown = f"{type(error).__name__} of {damaged[:300]!r}: {message[:600]}"
            assert type(error) in known, shown
            assert message and "\n" not in message and len(message) < 900 + 2 * len(str(path)), shown
        except Exception as error:
            error.add_note(f"file: {damaged[:2000]!r}")
            raise
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 500, f"{grown:.0f} MiB for a file of {len(content)} bytes"


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_a_value_or_a_sentence(kind, tmp_path):
    check(kind, tmp_path, 12, 0)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zip"])
def test_a_table_that_is_a_bomb_is_not_unpacked(ending, tmp_path, monkeypatch):
    """Here one that grows to 8 MiB; what is allowed to anyone is 256."""
    monkeypatch.setattr(tables, "BOMB_BYTES", 1 << 20)
    path, zeros = tmp_path / f"table.csv{ending}", bytes(1 << 23)
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", zeros)
    else:
        path.write_bytes({".gz": gzip, ".bz2": bz2, ".xz": lzma}[ending].compress(zeros))
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("pandas unpacks it"))
    with pytest.raises(ValueError, match="unpacks to more than 100 times its size; unpack it yourself"):
        from_table(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_hundreds_of_damaged_files_are_values_or_sentences(kind, tmp_path):
    check(kind, tmp_path, 150, 1)
