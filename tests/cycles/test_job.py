"""Jobs: in another process, watched, cancelled, found again; refused before they start; what those that die say."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nasviz.cycles import job as job_module
from nasviz.cycles.actions import ACTIONS, get_action
from nasviz.cycles.generate import train_cycle
from nasviz.cycles.job import DIED, Job, State, jobs, start
from nasviz.cycles.job_worker import Cancelled, Progress
from nasviz.cycles.run import Run
from nasviz.cycles.training import FINE_TUNING, Training
from tests.cycles.tiny import DYING, SLOW, TASK, network

SECONDS = 120


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with one trained network, open for reading; jobs lie in a folder of this test."""
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "home"))
    train_cycle(Run.create(tmp_path / "run", name="A run"), network(), TASK, Training(epochs=1), name="one")
    return Run.open(tmp_path / "run")


def until(job, wanted) -> State:
    end = time.monotonic() + SECONDS
    while not wanted(state := job.state()):
        assert time.monotonic() < end, state
        time.sleep(0.05)
    return state


def test_a_job_trains_in_another_process_and_is_found_again(run):
    started = time.monotonic()
    job = start(run, "fine_tune", 0, task=TASK.name, training={"epochs": 1})
    assert time.monotonic() - started < 3  # the kernel goes on
    assert job.wait(SECONDS) == State("done", 1.0, "done", {"cycle": 1})
    assert run.refresh() and run.cycle(1).parent == 0
    training = run.cycle(1).source["training"]
    assert training["epochs"] == 1 and training["lr"] == FINE_TUNING.lr  # what was not said is the default
    (again,) = jobs(run)  # as a page does that is loaded again
    assert (again.id, again.title, again.state().status) == (job.id, "Fine-tune, cycle 0", "done")
    assert str(run.folder) not in str(again.folder)
    again.remove()
    assert jobs(run) == []


def test_a_job_is_watched_and_cancelled_and_leaves_nothing_half_made(run):
    job = start(run, "fine_tune", 0, task=SLOW.name, training={"epochs": 50})
    first = until(job, lambda state: "training, epoch 1 of 50" in state.message)
    assert first.status == "running" and first.pid not in (None, os.getpid())
    assert until(job, lambda state: state.progress > first.progress).status == "running"
    with pytest.raises(ValueError, match="Fine-tune, cycle 0 is still at work; cancel it first"):
        job.remove()
    Job(job.folder).cancel()  # from another page
    assert job.wait(20).status == "cancelled"
    assert not run.refresh() and [path.name for path in job.folder.glob("scratch*")] == []
    assert [path.name for path in run.folder.rglob(".*") if path.name != ".lock"] == []
    job.cancel()  # twice changes nothing
    assert job.state().status == "cancelled"


def test_a_job_that_fails_says_why_and_one_that_dies_says_so(run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    failing = start(run, "fine_tune", 0, task=TASK.name, training={"epochs": 3, "lr": 1e30})
    dying = start(run, "new_job", 0, folder=str(tmp_path / "new"), task=DYING.name)
    state = failing.wait(SECONDS)
    assert state.status == "failed" and "give an lr below 1e+30" in state.message
    assert "Traceback" in failing.log()
    state = dying.wait(SECONDS)
    assert (state.status, state.message) == ("failed", DIED)
    assert len(jobs(run)) == 2
    # the run itself knows nothing of them
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    assert Path(os.environ["NASVIZ_HOME"]) in jobs(run)[0].folder.parents


def test_a_job_whose_worker_never_came_is_over_after_a_while(run, monkeypatch):
    folder = job_module.jobs_folder(run) / "a"
    folder.mkdir(parents=True)
    created = datetime.now(UTC)
    head = {"action": "archive", "run": str(run.folder), "cycle": 0, "parameters": {}}
    (folder / "job.json").write_text(json.dumps(head | {"created": created.isoformat()}))
    assert Job(folder).state() == State()
    with pytest.raises(TimeoutError, match="Get model archive, cycle 0 is not over after 0.1 seconds"):
        Job(folder).wait(0.1)
    old = (created - timedelta(seconds=job_module.STARTING_SECONDS + 1)).isoformat()
    (folder / "job.json").write_text(json.dumps(head | {"created": old}))
    assert Job(folder).state().message == DIED
    Job(folder).cancel()
    assert Job(folder).state().status == "cancelled"
    (folder / "job.json").write_text("{")
    assert jobs(run) == []  # a damaged one hides no others


def test_what_is_being_written_is_not_cancelled(run):
    folder = job_module.jobs_folder(run) / "a"
    folder.mkdir(parents=True)
    head = {
        "action": "archive",
        "run": str(run.folder),
        "cycle": 0,
        "parameters": {},
        "created": "2026-01-01T00:00:00Z",
    }
    (folder / "job.json").write_text(json.dumps(head))
    progress = Progress(Job(folder))
    (folder / "cancel").touch()
    progress(0.99, "writing")
    progress.stop()
    progress.fraction = 0.5
    with pytest.raises(Cancelled):
        progress(0.6, "measuring")
    with pytest.raises(Cancelled):
        progress.stop()


def test_a_job_that_cannot_go_well_is_refused_at_once(run, monkeypatch):
    writer = Run.open(run.folder, writable=True)
    writer.add("bare")
    run.refresh()
    cases = [
        (ValueError, f"action='prune': known are {', '.join(ACTIONS)}", ("prune", 0), {}),
        (KeyError, "no such cycle", ("fine_tune", 9), {}),
        (FileNotFoundError, "cycle 1 of the run 'A run' has no weights", ("archive", 1), {}),
        (FileNotFoundError, "has no weights", ("fine_tune", 1), {}),
        (FileExistsError, "holds a run already", ("new_job", 0), {"folder": str(run.folder)}),
        (ValueError, "epochs=0: it is a whole number", ("fine_tune", 0), {"training": {"epochs": 0}}),
        (ValueError, "training: 'rate' is none of its values", ("fine_tune", 0), {"training": {"rate": 1}}),
        (ValueError, "'speed' is no parameter of 'Fine-tune'", ("fine_tune", 0), {"speed": 1}),
        (ValueError, "task='digit': known tasks are digits", ("fine_tune", 0), {"task": "digit"}),
        (ValueError, "as JSON, and they are not", ("fine_tune", 0), {"task": TASK}),
    ]
    for kind, sentence, arguments, parameters in cases:
        with pytest.raises(kind, match=sentence):
            start(run, *arguments, **parameters)
    assert jobs(run) == []


def test_every_action_has_its_work_its_check_and_defaults_for_its_form():
    for name in ACTIONS:
        action = get_action(name)
        assert callable(action.function())
        for field in action.fields:
            default = action.default(field)
            assert field.kind(default) == default and (not field.choices or default in field.choices), field
        assert action.prepared({}) == {}
    assert [name for name, action in ACTIONS.items() if action.for_viewers] == ["archive"]
    assert ACTIONS["fine_tune"].default(ACTIONS["fine_tune"].fields[0]) == FINE_TUNING.epochs
