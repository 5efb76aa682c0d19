"""Runs from real MLflow stores on this disk, a folder and a SQLite file."""

import os
import sys
from pathlib import Path

import pytest

from nasviz.cycles import Run, from_mlflow

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # no test asks the network
mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow': pip install 'nasviz[mlflow]'")


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, str]:
    """The same experiments in both kinds of store."""
    folder = tmp_path_factory.mktemp("mlflow")
    uris = {"folder": (folder / "mlruns").as_uri(), "sqlite": f"sqlite:///{folder}/mlflow.db"}
    before = os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    for uri in uris.values():
        fill(mlflow.MlflowClient(tracking_uri=uri))
    os.environ.pop("MLFLOW_ALLOW_FILE_STORE")
    if before is not None:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = before
    return uris


def fill(client) -> None:
    client.create_experiment("empty")
    experiment = client.create_experiment("digits")
    start = 1_700_000_000_000
    late = client.create_run(experiment, start_time=start + 5000, run_name="late")
    early = client.create_run(experiment, start_time=start, run_name="early")
    child = client.create_run(
        experiment,
        start_time=start + 9000,
        run_name="child",
        tags={"mlflow.parentRunId": early.info.run_id, "mlflow.note.content": "fine-tuned"},
    )
    gone = client.create_run(experiment, start_time=start + 1, run_name="deleted")
    client.delete_run(gone.info.run_id)
    for step, value in enumerate((50.0, 80.0, 75.0)):
        client.log_metric(early.info.run_id, "val/acc", value, step=step)
    client.log_metric(early.info.run_id, "system/cpu", 3.0)
    client.log_metric(late.info.run_id, "val/acc", 90.0)
    client.log_metric(late.info.run_id, "loss", float("nan"))
    client.log_param(late.info.run_id, "lr", "0.1")
    client.set_terminated(early.info.run_id)
    client.set_terminated(late.info.run_id, "FAILED")
    assert child.info.status == "RUNNING"


@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_an_experiment_becomes_a_run(stores, tmp_path, kind):
    before = dict(os.environ)
    options = {"columns": {"val/acc": "accuracy"}, "percent": ["accuracy"], "tracking_uri": stores[kind]}
    run = Run.open(from_mlflow(tmp_path / "run", "digits", **options).folder)
    assert dict(os.environ) == before
    assert run.name == "digits"
    early, late, child = run.cycles  # by their start; not the deleted one
    assert [cycle.name for cycle in run.cycles] == ["early", "late", "child"]
    assert early.metrics == {"performance": 0.75, "accuracy": 0.75}  # logged last; nothing of the system
    assert late.metrics == {"performance": 0.9, "accuracy": 0.9, "loss": None}
    assert child.metrics == {}
    assert [cycle.status for cycle in run.cycles] == ["done", "failed", "running"]
    assert [cycle.parent for cycle in run.cycles] == [None, None, 0]
    assert child.note == "fine-tuned" and early.created == "2023-11-14T22:13:20.000+00:00"
    assert late.source["params"] == {"lr": "0.1"} and late.source["experiment"] == "digits"


def test_an_experiment_has_an_id_too_and_a_folder_may_be_a_path(stores, tmp_path):
    folder = Path(stores["folder"].removeprefix("file://"))
    (number,) = {path.parents[2].name for path in folder.glob("*/*/tags/mlflow.runName")}
    run = from_mlflow(tmp_path / "run", number, tracking_uri=folder, primary="val/acc")
    assert run.cycle(0).metrics["performance"] == 75


@pytest.mark.parametrize(
    ("experiment", "arguments", "sentence"),
    [
        ("digit", {}, "experiment='digit': MLflow has no such experiment; it has .*'digits'"),
        ("empty", {}, "there are no runs to import"),
        ("digits", {}, "no cycle has the metric 'accuracy'; there are 'val/acc', 'loss'"),
        ("digits", {"columns": {"val/acc": "loss"}}, "two metrics claim the name 'loss'"),
        ("digits", {"columns": {"val/acc": "accuracy"}}, "accuracy=75: it is a fraction"),
    ],
)
def test_what_is_not_there_is_told(stores, tmp_path, experiment, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_mlflow(tmp_path / "run", experiment, tracking_uri=stores["sqlite"], **arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("uri", ["{}/none", "file://{}/none", "sqlite:///{}/none.db"])
def test_a_store_that_is_not_there_is_not_made(tmp_path, uri):
    with pytest.raises(FileNotFoundError, match="there is no"):
        from_mlflow(tmp_path / "run", "digits", tracking_uri=uri.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_told(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(ValueError, match="MLflow cannot read it"):
        from_mlflow(tmp_path / "run", "digits", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


def test_without_mlflow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r"mlflow is missing .*pip install 'nasviz\[mlflow\]'"):
        from_mlflow(tmp_path / "run", "digits", tracking_uri=tmp_path)
