"""Runs from event files that TensorBoard's own writers wrote."""

import os
import sys

import pytest

from nasviz.cycles import Run, from_tensorboard

pytest.importorskip("tensorboard", reason="needs the extra 'tensorboard': pip install 'nasviz[tensorboard]'")


def write(folder, start: float, **curves: list[float]) -> None:
    """Curves by tag, a value a step, at times from `start` on."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    for tag, values in curves.items():
        for step, value in enumerate(values):
            writer.add_scalar(tag.replace("__", "/"), value, step, walltime=start + step, new_style=tag == "f1")
    writer.add_text("note", "no scalar")
    writer.close()


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    write(folder / "late", 2e9 + 100, val__acc=[0.1, 0.9, 0.8], f1=[0.5])
    write(folder / "deep" / "early", 2e9, val__acc=[0.25], loss=[3.0, float("nan"), float("inf")])
    write(folder / "nothing", 2e9)
    return folder


def test_each_folder_of_events_becomes_a_cycle(logs, tmp_path):
    run = Run.open(from_tensorboard(tmp_path / "run", logs, columns={"val/acc": "accuracy"}).folder)
    assert run.name == "logs" and [cycle.name for cycle in run.cycles] == ["deep/early", "late"]
    early, late = run.cycles
    assert early.metrics == {"performance": 0.25, "accuracy": 0.25, "loss": None}
    assert late.metrics == pytest.approx({"performance": 0.8, "accuracy": 0.8, "f1": 0.5})
    assert early.source == {"import": "tensorboard", "folder": "deep/early"}


def test_the_rule_says_which_value_of_a_curve(logs, tmp_path):
    options = {"columns": {"val/acc": "accuracy"}}
    best = from_tensorboard(tmp_path / "a", logs, reduce="max", **options)
    assert [cycle.metrics["accuracy"] for cycle in best.cycles] == pytest.approx([0.25, 0.9])
    assert best.cycle(0).metrics["loss"] == 3
    mixed = from_tensorboard(tmp_path / "b", logs, reduce={"accuracy": "min"}, **options)
    assert [cycle.metrics["accuracy"] for cycle in mixed.cycles] == pytest.approx([0.25, 0.1])
    assert mixed.cycle(0).metrics["loss"] is None


def test_one_folder_of_events_and_a_file_that_ends_early(logs, tmp_path):
    (file,) = (logs / "late").iterdir()
    content = file.read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / file.name).write_bytes(content[: content.rindex(b"val/acc") + 3])  # in the last of its three records
    run = from_tensorboard(tmp_path / "run", cut, primary="val/acc")
    assert [(cycle.name, cycle.metrics["performance"]) for cycle in run.cycles] == [("cut", pytest.approx(0.9))]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "no cycle has the metric 'accuracy'; there are .*'val/acc'"),
        ({"reduce": "mean"}, "reduce='mean': it is one of last, max, min"),
        ({"columns": {"val/acc": "f1"}}, "two metrics claim the name 'f1'"),
    ],
)
def test_wrong_arguments_leave_no_run(logs, tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_tensorboard(tmp_path / "run", logs, **arguments)
    assert not (tmp_path / "run").exists()


def test_folders_without_scalars_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        from_tensorboard(tmp_path / "run", tmp_path / "none")
    (tmp_path / "logs").mkdir()
    for content in (b"", os.urandom(500)):
        (tmp_path / "logs" / "events.out.tfevents.1.host").write_bytes(content)
        with pytest.raises(ValueError, match="there are no scalars to import"):
            from_tensorboard(tmp_path / "run", tmp_path / "logs")


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("tensorboard.backend")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"tensorboard is missing .*pip install 'nasviz\[tensorboard\]'"):
        from_tensorboard(tmp_path / "run", tmp_path)
