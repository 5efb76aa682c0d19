"""`nasviz search`: a run from nothing, on with it, a comparison on a table, and what it refuses."""

import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from nasviz.cli import app
from nasviz.cycles import Run
from nasviz.search.predictors import ForestPredictor

CELL = "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|"
NETWORK = """
from torch import nn

def net():
    body = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""


class Alike(ForestPredictor):
    """Stands for the forest on the bundled labels, whose networks would be built first."""

    def score(self, graphs):
        return pd.DataFrame({"score": [float(len(graph) > 10) for graph in graphs]})


@pytest.fixture
def shell(tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    monkeypatch.setattr("nasviz.search.predictors._digits_forest", Alike)
    return lambda *arguments: CliRunner().invoke(app, ["search", *map(str, arguments)])


def test_a_run_from_nothing_and_on_with_it(shell, tmp_path):
    few = ("--run", "found", "--budget", 30, "--survivors", 1, "--epochs", 1)
    result = shell(f"nb201:{CELL}", *few)
    assert result.exit_code == 0, result.output
    run = Run.open(tmp_path / "found")
    assert [cycle.parent for cycle in run.cycles] == [None, 0] and "accuracy" in result.stdout
    result = shell(*few, "--cycle", 1, "--goal", "edge", "--micro")
    assert result.exit_code == 0, result.output
    run.refresh()
    assert [cycle.parent for cycle in run.cycles] == [None, 0, 1]
    assert run.cycle(2).source["search"]["explore"] == "kernels and widths"


def test_a_model_of_the_users(shell, tmp_path):
    result = shell(
        "mynet:net", "--run", "mine", "--budget", 20, "--survivors", 1, "--epochs", 1, "--goal", "performance"
    )
    assert result.exit_code == 0, result.output
    assert len(Run.open(tmp_path / "mine")) == 2


def test_a_comparison_on_a_table(shell, tmp_path):
    result = shell("--benchmark", "digits:hiaml", "--queries", 20, "--seeds", 2, "--out", "found.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "found.csv")
    assert set(table["method"]) == {"random", "evolution", "local search", "forest"} and len(table) == 4 * 2 * 20
    assert (tmp_path / "found.svg").read_text().startswith("<?xml")
    assert "after 10" in result.stdout and "percentage points" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((f"nb201:{CELL}",), "--run is missing"),
        (("--run", "nowhere"), "nowhere"),
        (("nonsense", "--run", "x"), "names no network"),
        (("nb201:nonsense", "--run", "x"), "is not a NAS-Bench-201 cell"),
        (("--benchmark", "nb201"), "needs path"),
        (("--benchmark", "digits"), "has one family"),
        ((f"nb201:{CELL}", "--run", "x", "--predictor", "magic"), "predictor='magic'"),
    ],
)
def test_what_it_refuses(shell, arguments, sentence):
    result = shell(*arguments)
    assert result.exit_code == 2 and sentence in result.output and "Traceback" not in result.output
