"""The menu of actions and the list of jobs, without a browser; the jobs themselves are tested with the cycles."""

import json
import shutil
from datetime import UTC, datetime

import pytest

from nasviz.cycles import Run, demo
from nasviz.cycles import job as job_module
from nasviz.cycles.actions import ACTIONS
from nasviz.cycles.job import Job, State
from nasviz.views import CycleActions, CyclesState
from nasviz.views.cycle_actions import ALLOW, allowed_actions


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the demonstration run; jobs are not started but written down."""
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)
    monkeypatch.setattr(job_module.subprocess, "Popen", lambda *_, **__: type("P", (), {"poll": lambda self: None})())
    shutil.copytree(demo(), tmp_path / "demo")
    return Run.open(tmp_path / "demo")


def listed(view) -> list[dict]:
    return json.loads(view.list.jobs)


def written(run, action="fine_tune", name="a", **state) -> Job:
    folder = job_module.jobs_folder(run) / name
    folder.mkdir(parents=True)
    head = {"action": action, "run": str(run.folder), "cycle": 1, "parameters": {}}
    (folder / "job.json").write_text(json.dumps(head | {"created": datetime.now(UTC).isoformat()}))
    job = Job(folder)
    job.write(State(**state))
    return job


def test_the_menu_has_every_action_and_its_parameters(run):
    view = CycleActions(run, state=CyclesState(cycle=4))
    assert [title for title, _ in view._menu.options] == [action.title for action in ACTIONS.values()]
    assert {"archive", "fine_tune", "new_job"} <= set(ACTIONS)
    assert view.parameters == {} and "zip file" in view._help.value
    view._menu.value = "fine_tune"
    assert view.parameters["training"]["epochs"] == 4 and view.parameters["task"] == "digits"
    view._inputs["training.epochs"].value = 2
    view.state.cycle = 5
    assert view._cycle.value == 5 and view.parameters["training"]["epochs"] == 2  # what the user wrote stays
    view._menu.value = "new_job"
    assert view.parameters["folder"] == f"{run.folder.resolve()}-1"
    assert view.parameters["training"]["optimiser"] == "sgd"


def test_start_makes_a_job_of_what_the_form_says(run):
    view = CycleActions(run, state=CyclesState(cycle=4))
    view._menu.value = "fine_tune"
    view._inputs["training.lr"].value = 0.5
    view._start.click()
    assert view.error == ""
    (entry,) = listed(view)
    assert entry["title"] == "Fine-tune, cycle 4" and entry["active"] and entry["buttons"] == [["cancel", "Cancel"]]
    (job,) = job_module.jobs(run)
    assert job.parameters["training"]["lr"] == 0.5 and job.cycle == 4
    view._inputs["training.lr"].value = -1
    view._start.click()
    assert "lr=-1.0: it is a number above 0" in view.error and len(listed(view)) == 1
    again = CycleActions(run)  # a page that is loaded again
    assert listed(again) == listed(view)


def test_the_bundled_run_stays_as_it_is(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    view = CycleActions(Run.open(demo()), state=CyclesState(cycle=4))
    view._menu.value = "new_job"
    assert view.parameters["folder"] == str(tmp_path / "digits_run-1")
    view._menu.value = "fine_tune"
    view._start.click()
    assert "came with nasviz and stays as it is; copy its folder" in view.error and listed(view) == []


def test_a_list_says_how_far_jobs_are_and_what_they_made(run, tmp_path):
    (tmp_path / "m.zip").write_bytes(b"PK")
    done = written(run, "archive", "a", status="done", progress=1.0, result={"file": str(tmp_path / "m.zip")})
    written(run, "fine_tune", "b", status="done", progress=1.0, result={"cycle": 11})
    written(run, "fine_tune", "c", status="failed", progress=0.3, message="the loss is no number any more")
    view, sent = CycleActions(run), []
    texts = {entry["title"]: (entry["text"], [button for button, _ in entry["buttons"]]) for entry in listed(view)[1:]}
    assert texts == {
        "Fine-tune, cycle 1": ("made cycle 11", ["remove"]),
        "Get model archive, cycle 1": ("m.zip", ["download", "remove"]),
    }
    assert listed(view)[0]["text"] == "the loss is no number any more"
    view.list.send = lambda content, buffers=None: sent.append((content, buffers))
    view.list._on_message(None, {"kind": "download", "id": "a"}, [])
    assert sent[0][0]["name"] == "m.zip" and sent[0][1] == [b"PK"]
    view.list._on_message(None, {"kind": "remove", "id": "a"}, [])
    assert not done.folder.exists() and len(listed(view)) == 2
    view.list._on_message(None, {"kind": "remove", "id": "../../demo"}, [])
    assert run.folder.exists() and not view.error


def test_a_running_job_is_cancelled_from_the_list(run):
    from filelock import FileLock

    job = written(run, status="running", progress=0.42, message="training, epoch 2 of 5")
    with FileLock(job.folder / ".lock"):  # as its worker holds it
        view = CycleActions(run)
        assert listed(view)[0]["text"] == "42 %, training, epoch 2 of 5"
        view.list._on_message(None, {"kind": "cancel", "id": "a"}, [])
        assert (job.folder / "cancel").exists() and listed(view)[0]["active"]
    view.list._on_message(None, {"kind": "tick"}, [])
    assert listed(view)[0]["status"] == "cancelled"


def test_in_voila_visitors_read_and_download_unless_they_are_allowed_more(run, monkeypatch):
    everything = list(ACTIONS)
    assert allowed_actions() == everything
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    assert allowed_actions() == ["archive"]
    view = CycleActions(run)
    assert [value for _, value in view._menu.options] == ["archive"] and "--allow-actions" in view._help.value
    with pytest.raises(PermissionError, match="'fine_tune' is not allowed here"):
        view.start("fine_tune")
    written(run, "fine_tune", status="running")  # somebody else's
    view.show_jobs()
    assert listed(view)[0]["buttons"] == []
    view.list._on_message(None, {"kind": "cancel", "id": "a"}, [])
    assert not (job_module.jobs_folder(run) / "a" / "cancel").exists()
    for value, expected in {"0": ["archive"], "1": everything}.items():
        monkeypatch.setenv(ALLOW, value)
        assert allowed_actions() == expected


def test_news_of_the_run_are_passed_on_and_trouble_is_told(run):
    news = []
    view = CycleActions(run, on_news=lambda: news.append(len(run)))
    view.list._on_message(None, {"kind": "tick"}, [])
    assert news == []
    Run.open(run.folder, writable=True).add("more", metrics={"accuracy": 0.5})
    view.list._on_message(None, {"kind": "tick"}, [])
    assert news == [12] and view._cycle.value == 11  # none is selected: the last
    (run.folder / "cycles" / "0003" / "metrics.json").write_text("{")
    view.list._on_message(None, {"kind": "tick"}, [])
    assert "is damaged" in view.error


def test_bad_input_gets_one_sentence(run, disk_run):
    with pytest.raises(TypeError, match="actions are for the cycles of a Run"):
        CycleActions(object())
    with pytest.raises(ValueError, match=r"allowed names \['fly'\]"):
        CycleActions(run, allowed=["fly"])
    assert CycleActions(disk_run[0])._start.disabled
