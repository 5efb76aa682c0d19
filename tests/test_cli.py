"""The command line: what it prints, and how it fails."""

import csv
import io
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import nasviz as nv
from nasviz.cli import _benchmark, app

ROOT = Path(__file__).parents[1]

NETWORK = """
from torch import nn

def net():  # 8 * 3 * 3 * 3 weights, each used at 4 x 4 positions
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU())

def broken():
    return nn.Linear(5, 2)

def number():
    return 3
"""

CELLS = "num_vertices,edge_bits,ops,val_acc_12,val_acc_108\n7,1394777,02001,0.4,0.93\n2,1,,0.5,0.6\n"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs ``nasviz …`` in a folder that holds the module ``mynet``."""
    (tmp_path / "mynet.py").write_text(NETWORK)
    (tmp_path / "cells.csv").write_text(CELLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [*arguments])


def test_version_option(shell):
    assert shell("--version").output == f"{nv.__version__}\n"


def test_cost_as_json(shell):
    result = shell("cost", "mynet:net", "--input", "3,6,6", "--format", "json")
    assert result.exit_code == 0, result.output
    total = json.loads(result.stdout)["total"]
    assert total["macs"] == 8 * 3 * 3 * 3 * 4 * 4
    assert total["params"] == 8 * 3 * 3 * 3


@pytest.mark.parametrize("form", ["table", "csv"])
def test_cost_in_other_forms(shell, form):
    result = shell("cost", "mynet:net", "--input", "3,6,6", "--format", form)
    assert result.exit_code == 0, result.output
    assert re.search(r"\b3,?456\b", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cost", "mynet", "--input", "3,6,6"], "write MODULE:CALLABLE"),
        (["cost", "mynet:net", "--input", "3x6x6"], "'3x6x6' is no shape"),
        (["cost", "mynet:net", "--input", "3,-6,6"], "'3,-6,6' is no shape"),
        (["cost", "nomodule:net", "--input", "3,6,6"], "cannot import 'nomodule'.*No module named"),
        (["cost", "mynet:Net", "--input", "3,6,6"], "'mynet' has no callable 'Net'"),
        (["cost", "mynet:broken", "--input", "3,6,6"], "mynet:broken with input 3,6,6: "),
        (["cost", "mynet:number", "--input", "3,6,6"], "mynet:number with input 3,6,6: "),
        (["cost", "mynet:net", "--input", "3,6,6", "--convention", "nonsense"], "nonsense"),
        (["cost", "mynet:net", "--input", "3,6,6", "--format", "xml"], "xml"),
        (["cost", "mynet:net"], "--input"),
        (["data", "fetch", "nonsense"], "name='nonsense': no such file; known: nb101-108, nb101-full"),
        (
            ["data", "fetch", "gennape"],
            "gennape is handed out to browsers only: download CG_data.zip from https://drive",
        ),
        (["data", "convert", "nonsense", "a.csv", "--out", "a.arrow"], "name='nonsense': no such benchmark"),
        (["data", "convert", "nb101", "none.tfrecord", "--out", "a.arrow"], "there is no such file; give the TFRecord"),
        (["data", "convert", "nb101", "cells.csv", "--out", "a.csv"], "the name of a converted file ends with .arrow"),
        (["data", "convert", "nb101", "cells.csv", "--out", "a.arrow", "--option", "metric"], "--option 'metric' must"),
        (
            ["data", "convert", "nb101", "cells.csv", "--out", "a.arrow", "--option", "x=1"],
            "no option 'x'; it has metr",
        ),
    ],
)
def test_bad_input_gets_a_sentence(shell, arguments, sentence):
    result = shell(*arguments)
    assert result.exit_code == 2
    assert re.search(sentence, result.stderr)
    assert result.stdout == "" and "Traceback" not in result.stderr


def test_data_list(shell, tmp_path):
    (tmp_path / "nasbench_full.tfrecord").touch()
    entries = json.loads(shell("data", "list", "--format", "json", "--to", str(tmp_path)).stdout)
    assert [entry["name"] for entry in entries if entry["here"]] == ["nb101-full"]
    lines = shell("data", "list").stdout.splitlines()
    assert len(lines) == len(entries) + 1 and sum("unknown" in line for line in lines) == len(entries) - 2
    rows = list(csv.DictReader(io.StringIO(shell("data", "list", "--format", "csv").stdout)))
    assert [row["name"] for row in rows] == [entry["name"] for entry in entries]
    assert {row["size"] for row in rows} == {"499000000", "1950000000", "4700000000", ""}


def test_data_fetch_prints_where_the_file_is(shell, tmp_path):
    (tmp_path / "NAS-Bench-201-v1_1-096897.pth").write_bytes(b"by hand")
    result = shell("data", "fetch", "nb201-pth", "--to", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'NAS-Bench-201-v1_1-096897.pth'}\n")


def test_data_convert_makes_a_file_that_load_opens(shell):
    result = shell("data", "convert", "nb101", "cells.csv", "--out", "new/a.arrow", "--option", "metric=val_acc_12")
    assert result.exit_code == 0, result.output
    bench = nv.benchmarks.load("nb101", result.stdout.strip())
    assert bench.table.accuracy.tolist() == [0.4, 0.5] and bench.given is not None
    arguments = ["data", "convert", "nb101", "new/a.arrow", "--out", "new/b.arrow", "--no-graphs"]
    assert shell(*arguments).exit_code == 0, "a converted file can be converted again"
    assert nv.benchmarks.load("nb101", "new/b.arrow").table.equals(bench.table)


def test_a_converted_nb201_is_evaluated_without_none(tmp_path):
    archs = ["|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"]
    archs.append(archs[0].replace("none", "skip_connect"))
    frame = pd.DataFrame({"arch": archs, "accuracy": [0.5, 0.6]})
    path = nv.benchmarks.save(nv.benchmarks.from_table(frame, "nb201", name="nb201"), tmp_path / "a.arrow")
    assert _benchmark("nb201", {"nb201": str(path)}).table.arch.tolist() == archs[1:]


def test_a_table_of_the_paper(shell, monkeypatch):
    from nasviz.predict import tables
    from nasviz.predict.tables_baselines import COSTS

    monkeypatch.setattr(tables, "available", lambda train, budget: [COSTS])
    monkeypatch.setitem(tables.PRESETS, "quick", tables.Budget(proxy_networks=2, proxy_images=4, epochs=0.1))
    options = "--target digits:two_path --jobs 1 --draws 2 --budget 40 --checkpoint kept --out rows.csv".split()
    result = shell("evaluate", "--table", "8", *options)
    assert result.exit_code == 0, result.output
    count = len(nv.benchmarks.load("digits").of("two_path"))
    assert f"digits:two_path, {count} networks; trained on digits:nb101" in result.stdout
    rows = pd.read_csv("rows.csv").query("method == 'params'")
    assert rows.networks.tolist() == [count - 40, count - 40, count] and rows.draw.tolist() == [0, 1, -1]
    assert any(Path("kept", "rows").iterdir())
    assert "table 2: there are the tables 1, 3" in shell("evaluate", "--table", "2", *options).stderr


def test_labels_of_a_family_come_from_gennapes_files(monkeypatch):
    seen, bench = [], nv.benchmarks.load("digits").of("hiaml")
    monkeypatch.setattr("nasviz.benchmarks.load", lambda *arguments: seen.append(arguments) or bench)
    assert _benchmark("hiaml", {"hiaml": "a.json"}) is bench and seen == [("gennape", "a.json")]


def test_demo_trains_the_run_of_the_demonstration(shell, monkeypatch, tmp_path):
    def made(folder, networks, report):
        report(0.5, "cycle 0: training")
        return nv.cycles.Run.create(folder)

    monkeypatch.setattr(nv.cycles, "demonstrate", made)  # as the command takes it, resolved before or not
    result = shell("demo", "--out", "made", "--networks", "3")
    assert result.exit_code == 0 and "<Run 'made': 0 cycles" in result.stdout
    assert (tmp_path / "made" / "run.json").is_file()
