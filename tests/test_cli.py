"""The command line: what it prints, how it fails, and that a dashboard answers."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

import nasviz as nv
from nasviz.cli import app
from nasviz.resources import dashboards_folder

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


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs ``nasviz …`` in a folder that holds the module ``mynet``."""
    (tmp_path / "mynet.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
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
        (["dashboard", "nonsense"], "there is no dashboard 'nonsense'; there are: .*ranking"),
        (["dashboard", "--port", "0"], "--port"),
    ],
)
def test_bad_input_gets_a_sentence(shell, arguments, sentence):
    result = shell(*arguments)
    assert result.exit_code == 2
    assert re.search(sentence, result.stderr)
    assert result.stdout == "" and "Traceback" not in result.stderr


def test_dashboard_passes_its_options_on(shell, monkeypatch):
    from voila.app import Voila

    seen = {}
    monkeypatch.setattr(Voila, "launch_instance", lambda argv: seen.update(argv=argv, path=os.environ["JUPYTER_PATH"]))
    monkeypatch.setenv("JUPYTER_PATH", "mine")
    assert shell("dashboard", "--port", "4321", "--no-browser").exit_code == 0
    page, *options = seen["argv"]
    assert Path(page) == dashboards_folder() / "ranking.ipynb"
    assert {"--port=4321", "--no-browser", "--Voila.ip=127.0.0.1", "--template=nasviz"} <= set(options)
    assert seen["path"].split(os.pathsep)[-1] == "mine"
    assert shell("dashboard").exit_code == 0
    assert "--no-browser" not in seen["argv"]


def test_dashboard_answers_without_asking_anyone_else():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "nasviz.cli", "dashboard", "ranking", "--no-browser", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = fetch(f"http://127.0.0.1:{port}/", seconds=120)
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert 'data-voila="voila"' in page and page.rstrip().endswith("</html>")
    loads = re.findall(r"<(?:link|script|img)\b[^>]*?(?:href|src)=[\"']?(https?://[^\"'> ]+)", page)
    assert loads == []


def fetch(url: str, seconds: float) -> str:
    """The page at `url`, from a server that may still be starting. Voilà ends it when the last cell has run."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url, timeout=seconds) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)
