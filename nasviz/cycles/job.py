"""Jobs: actions on cycles that another process works on. All that is known of one is on disk, in its own folder.

So a job outlives the page and the kernel that started it, and whoever opens the run sees it. A job belongs to this
computer, not to the run: its folder is in the cache folder (``$NASVIZ_HOME``), and reading a run still writes nothing.

===========  =========================================================================================================
job.json     action, run, cycle, parameters, created
state.json   status, progress, message, result, pid; replaced by the worker as it goes on
cancel       there once the job is to stop
log.txt      what the worker wrote; the traceback, if it failed
.lock        held by the worker as long as it lives; the system takes it back from one that dies
===========  =========================================================================================================
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from nasviz.cycles.actions import get_action
from nasviz.cycles.files import read_json, write_json
from nasviz.cycles.run import Run
from nasviz.resources import cache_folder

JOB, STATE, CANCEL, LOG, LOCK = "job.json", "state.json", "cancel", "log.txt", ".lock"
STARTING, RUNNING, DONE, FAILED, CANCELLED = "starting", "running", "done", "failed", "cancelled"
OVER = (DONE, FAILED, CANCELLED)
STARTING_SECONDS = 600.0
"""How long a worker may take until it holds its lock: on a busy computer, imports alone take minutes."""
DIED = "The process that worked on it has ended without a word, for want of memory or because it was stopped."


@dataclass(frozen=True)
class State:
    """Where a job stands.

    Attributes
    ----------
    status : str
        ``"starting"``, ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
    progress : float
        A fraction in [0, 1].
    message : str
        What it does; after a failure, why.
    result : dict
        What it made: ``{"cycle": 9}``, ``{"file": path}`` or ``{"run": folder}``.
    pid : int, optional
        The process that works on it.
    """

    status: str = STARTING
    progress: float = 0.0
    message: str = "starting"
    result: dict[str, Any] | None = None
    pid: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in OVER


class Job:
    """An action that runs, ran, or was to run, by its folder. `start` makes one, `jobs` finds those of a run.

    Attributes
    ----------
    folder : Path
        Where all that is known of it lies.
    action, run : str
        Which action, on which folder.
    cycle : int, optional
        On which cycle.
    parameters : dict
        As they were given.
    created : str
        When, in ISO 8601.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        head = read_json(folder / JOB, {"action": str, "run": str, "cycle": (int, type(None)), "parameters": dict,
                                        "created": str})  # fmt: skip
        self.action, self.run, self.cycle, self.parameters, self.created = head.values()

    def __repr__(self) -> str:
        state = self.state()
        return f"<Job {self.title!r}: {state.status}, {state.progress:.0%}, {state.message}>"

    @property
    def id(self) -> str:
        """Names it among the jobs of its run."""
        return self.folder.name

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        title = get_action(self.action).title
        return title if self.cycle is None else f"{title}, cycle {self.cycle}"

    def state(self) -> State:
        """Where it stands now.

        Raises
        ------
        ValueError
            If its file is damaged.
        """
        state = self._read()
        if state.over or self._alive():
            return state
        state = self._read()  # it may have ended in between
        if state.over or (state.status == STARTING and not self._ended() and self._age() < STARTING_SECONDS):
            return state
        status = CANCELLED if (self.folder / CANCEL).exists() else FAILED
        return State(status, state.progress, "cancelled" if status == CANCELLED else DIED)

    def cancel(self) -> None:
        """Ask it to stop at its next step; it leaves nothing half made. One that is over stays as it is."""
        (self.folder / CANCEL).touch()
        state = self._read()
        if os.name == "posix" and state.pid and not state.over and self._alive():
            with suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGTERM)

    def wait(self, seconds: float = 600.0) -> State:
        """Wait until it is over.

        Raises
        ------
        TimeoutError
            If that takes longer.
        """
        end = time.monotonic() + seconds
        while not (state := self.state()).over:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.title} is not over after {seconds:g} seconds ({state.message}).")
            time.sleep(0.05)
        return state

    def remove(self) -> None:
        """Forget it, and delete the files that it made in its own folder.

        Raises
        ------
        ValueError
            If it is not over.
        """
        if not self.state().over:
            raise ValueError(f"{self.title} is still at work; cancel it first.")
        _workers.pop(self.folder, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the worker wrote."""
        path = self.folder / LOG
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def write(self, state: State) -> None:
        """Let everybody know where it stands; for its worker."""
        write_json(self.folder / STATE, asdict(state))

    def _read(self) -> State:
        kinds = {"status": str, "progress": (int, float), "message": str, "result": (dict, type(None)),
                 "pid": (int, type(None))}  # fmt: skip
        try:
            return State(**read_json(self.folder / STATE, kinds))
        except FileNotFoundError:
            return State()

    def _alive(self) -> bool:
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.folder / LOCK, timeout=0):
                return False
        except (Timeout, OSError):  # or the folder was removed
            return self.folder.exists()

    def _ended(self) -> bool:
        """Whether it was started here, and its worker has ended."""
        worker = _workers.get(self.folder)
        return worker is not None and worker.poll() is not None

    def _age(self) -> float:
        return (datetime.now(UTC) - datetime.fromisoformat(self.created)).total_seconds()


_workers: dict[Path, subprocess.Popen] = {}
"""Those that this process has started, by the job's folder: whether one has ended is known at once."""


def start(run: Run, action: str, cycle: int | None, **parameters: Any) -> Job:
    """Let another process do an action on a cycle, and return at once.

    Parameters
    ----------
    run : Run
        Its folder counts; it may be open for reading.
    action : str
        A name in `nasviz.cycles.actions.ACTIONS`: ``"archive"``, ``"fine_tune"``, ``"new_job"``.
    cycle : int or None
        Which one; None where the action starts from nothing.
    **parameters
        Of the action's work, as JSON has them: ``training={"epochs": 2}`` changes what the default training says, a
        task is named by its name or as ``"package.module:TASK"``.

    Raises
    ------
    KeyError, FileNotFoundError, FileExistsError, PermissionError, ImportError
        What the work would raise, as far as it is quick to know.
    ValueError
        If there is no such action or parameter, or a parameter is no JSON.

    Examples
    --------
    >>> job = start(run, "fine_tune", 3, training={"epochs": 2})
    >>> job.wait().result
    {'cycle': 9}
    """
    known = get_action(action)
    try:
        parameters = json.loads(json.dumps(parameters, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"parameters={parameters!r}: another process gets them as JSON, and they are not ({error}); "
            f"call nasviz.cycles.{action} itself for others."
        ) from error
    known.refuse(Run.open(run.folder, writable=True), cycle, **_with_output(known, parameters, Path()))
    folder = jobs_folder(run) / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{uuid4().hex[:6]}"
    head = {"action": action, "run": str(run.folder.resolve()), "cycle": cycle, "parameters": parameters,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds")}  # fmt: skip
    write_json(folder / JOB, head)
    job = Job(folder)
    command = [sys.executable, "-m", "nasviz.cycles.job_worker", str(folder)]
    with (folder / LOG).open("w", encoding="utf-8") as log:
        # A session of its own: the end of the kernel, or an interrupt there, is not the end of the job.
        _workers[folder] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment()
        )
    return job


def jobs(run: Run) -> list[Job]:
    """The jobs on a run that this computer knows, the latest first."""
    found = []
    for folder in sorted(jobs_folder(run).glob("*/"), reverse=True):
        with suppress(FileNotFoundError, ValueError):  # not there yet, or damaged
            found.append(Job(folder))
    return found


def jobs_folder(run: Run) -> Path:
    """Where the jobs on a run are."""
    digest = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()[:16]
    return cache_folder() / "jobs" / digest


def _with_output(action: Any, parameters: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {action.output: str(folder), **parameters} if action.output else parameters


def _environment() -> dict[str, str]:
    """This process's, in which modules are found that are found here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
