"""`nasviz dashboard`: what it hands on, and how it fails. tests/views/test_server.py asks the server for real."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import nasviz as nv
from nasviz.cli import app
from nasviz.views.server.app import settings

NAMES = ["NASVIZ_RUN", "NASVIZ_ALLOW_ACTIONS", "JUPYTER_PATH"]


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Runs the command; gives what the server was told, or the command's result if it fails."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.setenv(name, "mine")
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    seen = {}
    environment = lambda: {name: os.environ.get(name) for name in NAMES}  # noqa: E731
    serve = lambda pages, **options: seen.update(pages=pages, **options, **environment())  # noqa: E731
    monkeypatch.setattr("nasviz.views.server.serve", serve)

    def run(*arguments):
        seen.clear()
        result = CliRunner().invoke(app, ["dashboard", *arguments])
        return seen if result.exit_code == 0 else result

    return run


def test_all_dashboards_or_one(told):
    assert told()["pages"] == ["cycles", "lesson", "ranking"]
    seen = told("ranking", "--port", "4321", "--no-browser")
    assert (seen["pages"], seen["port"], seen["browser"], seen["base_url"]) == (["ranking"], 4321, False, "/")
    assert seen["JUPYTER_PATH"].split(os.pathsep)[-1] == "mine"
    assert told()["browser"] is True


@pytest.mark.parametrize("text", ["/lab/nasviz/", "lab/nasviz", "/lab/nasviz"])
def test_a_prefix_begins_and_ends_with_a_slash(told, text):
    assert told("--base-url", text)["base_url"] == "/lab/nasviz/"


def test_whoever_comes_from_elsewhere_needs_a_token(told, monkeypatch):
    assert (told()["ip"], told()["token"]) == ("127.0.0.1", False)
    assert told("--ip", "0.0.0.0")["token"] is True
    monkeypatch.setenv("JUPYTER_TOKEN", "of-the-administrator")
    assert told()["token"] is True


def test_the_dashboard_of_cycles_knows_its_run_and_what_visitors_may_do(told, tmp_path):
    nv.cycles.Run.create(tmp_path / "run")
    seen = told("cycles", "--run", "run")
    assert (seen["NASVIZ_RUN"], seen["NASVIZ_ALLOW_ACTIONS"]) == (str(tmp_path / "run"), "0")
    assert told("cycles", "--allow-actions")["NASVIZ_ALLOW_ACTIONS"] == "1"
    assert told("--run", "run")["NASVIZ_RUN"] == str(tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "there is no dashboard 'nonsense'; there are: cycles, lesson, ranking."),
        (["--port", "0"], "--port"),
        (["cycles", "--run", "nowhere"], "'nowhere' holds no run"),
        (["ranking", "--allow-actions"], "are for the dashboard 'cycles', not for 'ranking'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(told, arguments, sentence):
    result = told(*arguments)
    assert result.exit_code == 2 and sentence in result.stderr


def test_nothing_of_the_settings_is_left_to_voila():
    config = settings(["cycles"], ip="127.0.0.1", port=1, base_url="/", browser=False, idle=9, token=True)
    assert config.VoilaConfiguration.file_allowlist == []
    assert config.Voila.auto_token is True and config.MappingKernelManager.cull_idle_timeout == 9


def test_help_does_not_load_the_server():
    code = "import sys, nasviz.cli; sys.exit('voila' in sys.modules or 'tornado' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
