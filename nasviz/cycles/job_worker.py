"""The process that works on a job: ``python -m nasviz.cycles.job_worker FOLDER``."""

import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from nasviz.cycles.actions import get_action
from nasviz.cycles.cycle import Cycle
from nasviz.cycles.job import CANCEL, CANCELLED, DONE, FAILED, LOCK, RUNNING, Job, State
from nasviz.cycles.run import Run

EVERY = 0.3
"""Seconds between two notes of how far it is."""
WRITING = 0.99
"""From this progress on the result is being written, and the job is no longer cancelled."""


class Cancelled(BaseException):
    """The job is to stop. No `Exception`, so that nothing on the way takes it for a failure."""


class Progress:
    """The `Report` of a job: notes how far it is, and stops it where that was asked for."""

    def __init__(self, job: Job):
        self._job, self._last, self._message, self.fraction = job, 0.0, "", 0.0

    def __call__(self, fraction: float, message: str) -> None:
        if (self._job.folder / CANCEL).exists() and fraction < WRITING:
            raise Cancelled
        self.fraction = fraction
        now = time.monotonic()
        if now - self._last >= EVERY or fraction >= WRITING:
            self._last = now
            self._job.write(State(RUNNING, fraction, message, None, os.getpid()))

    def stop(self, *_: Any) -> None:
        """React on the signal of `Job.cancel`, which comes while a long step is under way."""
        if self.fraction < WRITING:
            raise Cancelled


def work(folder: Path) -> State:
    """Do what the job in a folder says; where it then stands."""
    from filelock import FileLock

    with FileLock(folder / LOCK, timeout=30):
        job = Job(folder)
        progress, scratch = Progress(job), folder / "scratch"
        signal.signal(signal.SIGTERM, progress.stop)
        try:
            progress(0.0, "starting")
            scratch.mkdir()
            state = State(DONE, 1.0, "done", _done(job, progress, scratch))
        except Cancelled:
            state = State(CANCELLED, progress.fraction, "cancelled")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            traceback.print_exc()  # into log.txt
            state = State(FAILED, progress.fraction, _sentence(error))
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            shutil.rmtree(scratch, ignore_errors=True)
        job.write(state)
        return state


def _done(job: Job, progress: Progress, scratch: Path) -> dict[str, Any]:
    action = get_action(job.action)
    parameters = action.prepared(job.parameters)
    if action.output:
        parameters = {action.output: job.folder, **parameters}
    run = Run.open(job.run, writable=True)
    made = action.function()(run, job.cycle, scratch=scratch, report=progress, **parameters)
    if isinstance(made, Cycle):
        return {"cycle": made.index}
    return {"run": str(made.folder)} if isinstance(made, Run) else {"file": str(made)}


def _sentence(error: Exception) -> str:
    text = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    clear = text and isinstance(error, ValueError | KeyError | OSError | ImportError | FloatingPointError)
    return text if clear else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    work(Path(sys.argv[1]))
