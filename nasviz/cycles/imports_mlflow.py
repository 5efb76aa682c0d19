"""A run from an MLflow experiment."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from nasviz.cycles.imports import renamed, write_run
from nasviz.cycles.run import Run
from nasviz.resources import extra

PAGE = 1000


class _NoExperiment(Exception):
    """There is none of that name or id."""


def from_mlflow(
    folder: str | Path,
    experiment: str,
    *,
    tracking_uri: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    percent: Collection[str] = (),
    name: str = "",
    task: str = "",
    primary: str = "accuracy",
    higher_is_better: bool = True,
) -> Run:
    """A run from an MLflow experiment: a cycle for each of its runs, by the time they started.

    Metrics have the value that was logged last; those of the system are left out. Parameters are kept in the cycle's
    source, a nested run has its parent, and a run's description becomes the note. Models are not fetched.

    Parameters
    ----------
    folder : str or Path
        For the run; it must not hold one.
    experiment : str
        Name or id.
    tracking_uri : str or Path, optional
        Where MLflow keeps it: a folder (``mlruns``), ``sqlite:///mlflow.db``, a server's address; MLflow's own
        setting by default.
    columns : mapping of str to str, optional
        MLflow's names → ours, as in ``{"val_acc": "accuracy"}``.
    percent : collection of str
        Metrics (our names) that are in percent.
    name, task, primary, higher_is_better
        Of the run; see `Run.create`. The experiment's name by default.

    Returns
    -------
    Run
        Open for writing.

    Raises
    ------
    ImportError
        If MLflow is not installed: it is the extra ``nasviz[mlflow]``.
    FileNotFoundError
        If `tracking_uri` names a folder or file that is not there.
    ValueError
        If MLflow cannot read it, there is no such experiment, it has no runs, or none has the primary metric.
    """
    mlflow = extra("mlflow", "mlflow")
    uri = _checked(tracking_uri)
    try:
        with _local_folders_allowed():
            client = mlflow.MlflowClient(tracking_uri=uri)
        title, runs = _read(client, experiment)
    except _NoExperiment as error:
        raise ValueError(f"experiment={experiment!r}: MLflow has no such experiment; {error}.") from error
    except Exception as error:  # of MLflow, or of the database or the network behind it
        reason = " ".join(str(error).split())
        raise ValueError(f"tracking_uri={str(tracking_uri)!r}: MLflow cannot read it ({reason}).") from error
    position: dict[str, int] = {}
    entries = []
    for run in runs:
        entries.append(_entry(run, title, position, columns))
        position[run.info.run_id] = len(position)
    return write_run(folder, entries, "runs", name or title, task, primary, higher_is_better, percent=percent)


def _read(client: Any, experiment: str) -> tuple[str, list[Any]]:
    """The name of an experiment, and its runs by their start."""
    known = client.search_experiments(max_results=PAGE)
    found = client.get_experiment_by_name(experiment) or {e.experiment_id: e for e in known}.get(experiment)
    if found is None:
        raise _NoExperiment(f"it has {', '.join(repr(e.name) for e in known) or 'none'}")
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs([found.experiment_id], max_results=PAGE, page_token=token)
        runs += page
        token = page.token
        if not token:
            return found.name, sorted(runs, key=lambda run: (run.info.start_time or 0, run.info.run_id))


def _entry(run: Any, experiment: str, position: Mapping[str, int], columns: Mapping[str, str] | None) -> dict[str, Any]:
    info, data = run.info, run.data
    source = {"import": "mlflow", "experiment": experiment, "run_id": info.run_id, "params": dict(data.params)}
    metrics = {key: value for key, value in sorted(data.metrics.items()) if not key.startswith("system/")}
    return {
        "name": info.run_name or info.run_id,
        "note": data.tags.get("mlflow.note.content", ""),
        "parent": position.get(data.tags.get("mlflow.parentRunId", "")),
        "status": "done" if info.status == "FINISHED" else info.status.lower(),
        "created": datetime.fromtimestamp((info.start_time or 0) / 1000, UTC),
        "source": source,
        "metrics": renamed(metrics, columns),
    }


def _checked(tracking_uri: str | Path | None) -> str | None:
    """The address for MLflow, which would make what is not there."""
    if tracking_uri is None:
        return None
    parts = urlparse(str(tracking_uri))
    if parts.scheme == "sqlite":
        path = Path(unquote(parts.path).removeprefix("/"))
    elif parts.scheme == "file":
        path = Path(unquote(parts.path))
    elif parts.scheme and len(parts.scheme) > 1:  # a server; one letter is a drive
        return str(tracking_uri)
    else:
        path = Path(tracking_uri)
    if not path.exists():
        raise FileNotFoundError(f"tracking_uri={str(tracking_uri)!r}: there is no {str(path)!r}.")
    return str(tracking_uri) if parts.scheme == "sqlite" else path.resolve().as_uri()


@contextmanager
def _local_folders_allowed() -> Iterator[None]:
    """Newer MLflows open a folder of runs only when they are asked to in this way; here it is read, nothing more."""
    name = "MLFLOW_ALLOW_FILE_STORE"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name)
        else:
            os.environ[name] = before
