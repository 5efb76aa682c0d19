"""``nasviz cost``: modules and ONNX files, inputs of many kinds, and every form of the table."""

import csv
import io
import json
import re
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from nasviz.cli import app
from nasviz.resources import data_folder

NETWORKS = """
import torch
from torch import nn

def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))

def pair():
    return nn.LSTM(8, 12, batch_first=True), torch.zeros(1, 5, 8)

def words():
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 4))

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 2), nn.Linear(6, 2)

    def forward(self, left, right):
        return self.left(left) + self.right(right)

def odd():
    return Fourier()

class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x)
"""
CONV = 8 * 27 * 4 * 4
KERAS = str(data_folder() / "keras_nhwc.onnx")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Prints what ``nasviz cost …`` prints, in a folder with the module ``netsofmine`` and a file with open axes."""
    (tmp_path / "netsofmine.py").write_text(NETWORKS)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["y"], name="conv")],
        "open",
        [value("image", TensorProto.FLOAT, ["n", 3, "height", "width"])],
        [value("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("w", TensorProto.FLOAT, (8, 3, 3, 3), bytes(4 * 216), raw=True)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "open.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "netsofmine", raising=False)
    return lambda *words: CliRunner().invoke(app, ["cost", *words])


def macs(result) -> int:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["total"]["macs"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["netsofmine:net", "--input", "3,6,6"], CONV + 1280),
        (["netsofmine:pair"], 5 * 48 * 20),
        (["netsofmine:pair", "--input", "7,8"], 7 * 48 * 20),
        (["netsofmine:words", "--input", "ids:12"], 12 * 32),
        (["netsofmine:Two", "--input", "4", "--input", "6"], 8 + 12),
        (["netsofmine:Two", "--input", "right=5,6", "--input", "left=5,4"], 5 * 20),
        ([KERAS], 106_656),
        ([KERAS, "--input", "16,16,3"], 64 * (8 * 27 + 8 * 9 + 8 * 16) + 160),
        (["open.onnx", "--input", "3,6,6"], CONV),
        (["open.onnx", "--input", "image=3,6,6"], CONV),
        (["open.onnx", "--input", "height=6", "--input", "width=6"], CONV),
    ],
    ids=lambda value: " ".join(value).replace(KERAS, "keras") if isinstance(value, list) else "",
)
def test_inputs(run, words, expected) -> None:
    assert macs(run(*words, "--format", "json")) == expected


def test_the_table_has_its_sums_and_says_what_was_left_out(run) -> None:
    text = run("netsofmine:net", "--input", "3,6,6").stdout
    assert re.search(r"^0 +conv +1 x 8 x 4 x 4 +216 +3,456 +73\.0 +6,912$", text, re.MULTILINE)
    assert re.search(r"^Total +1,506 +4,736 +100\.0 +9,610$", text, re.MULTILINE)
    assert "Left out (inputs, and operators that only move data): 2." in text
    assert max(map(len, text.splitlines())) < 100


def test_what_is_not_counted_is_said_in_every_form(run) -> None:
    text = run("netsofmine:odd", "--input", "8").stdout
    assert "not counted" in text and "≥ 0" in text and "lower bounds: fft_fft × 1." in text
    assert json.loads(run("netsofmine:odd", "--input", "8", "--format", "json").stdout)["uncounted"] == {"fft_fft": 1}
    rows = list(csv.DictReader(io.StringIO(run("netsofmine:odd", "--input", "8", "--format", "csv").stdout)))
    assert [row["counted"] for row in rows] == ["True", "False"]
    assert "fft_fft × 1" in run("netsofmine:odd", "--input", "8", "--format", "html").stdout


def test_csv_and_json_hold_every_operator(run) -> None:
    rows = list(csv.DictReader(io.StringIO(run(KERAS, "--format", "csv").stdout)))
    found = json.loads(run(KERAS, "--format", "json").stdout)
    assert [row["op"] for row in rows] == [row["op"] for row in found["by_layer"]] and len(rows) == 11
    assert sum(int(row["macs"]) for row in rows) == found["total"]["macs"] == 106_656


def test_html_is_one_whole_page(run) -> None:
    page = run(KERAS, "--format", "html", "--convention", "macs").stdout
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert page.count("<tr>") == 1 + 9 + 1 and "106,656" in page and "http" not in page.replace(KERAS, "")


def test_conventions(run) -> None:
    counted = lambda name: json.loads(run(KERAS, "--format", "json", "--convention", name).stdout)["total"]["flops"]  # noqa: E731
    assert counted("macs") == 106_656
    assert counted("standard") == 2 * 106_656 + 20_520


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["netsofmine:net"], "netsofmine:net needs an example: give --input, as in --input 3,224,224, or return"),
        (["netsofmine:words", "--input", "ids:0"], "--input 'ids:0' is no shape"),
        (["netsofmine:Two", "--input", "left=4", "--input", "6"], "either every --input has a name"),
        (["open.onnx"], "leaves sizes of its input 'image' of shape .n, 3, height, width. open"),
        (["open.onnx", "--input", "3,6,6", "--input", "3,6,6"], "has no name; with several, write NAME=SIZES"),
        (["open.onnx", "--input", "depth=6"], "'depth': 6 is neither an input"),
        (["none.onnx"], "there is no such file"),
        ([KERAS, "--convention", "nonsense"], "convention='nonsense': known conventions are standard, macs"),
    ],
)
def test_bad_input_gets_a_sentence(run, words, sentence) -> None:
    result = run(*words)
    assert result.exit_code == 2 and re.search(sentence, result.stderr), result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
