"""The confusion matrix of a cycle: the numbers are those that were counted, for any number of classes."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from nasviz.cycles import Run
from nasviz.views import Confusion, CyclesState
from nasviz.views.confusion_figure import Matrix

RNG = np.random.default_rng(0)
TRUE, GUESS = RNG.integers(4, size=(2, 200))
COUNTS = confusion_matrix(TRUE, GUESS)
NAMES = ["cat", "dog", "<b>owl</b>", "eel"]


@pytest.fixture
def run(tmp_path):
    writer = Run.create(tmp_path / "classes")
    table = pd.DataFrame(COUNTS, index=NAMES, columns=NAMES)
    both = {"confusion_matrix": table, "validation_confusion_matrix": table.T}
    writer.add("none", metrics={"accuracy": 0.5})
    writer.add("best", metrics={"accuracy": 0.9}, artifacts=both)
    writer.add("other", metrics={"accuracy": 0.7}, artifacts={"confusion_matrix": pd.DataFrame(np.eye(2))})
    return Run.open(writer.folder)


@pytest.fixture
def view(run):
    return Confusion(run)


def test_first_paint_shows_the_best_cycle_on_the_test_set(view, shown, read_table):
    assert view.cycle == 1 and "cycle 1: best (the best one; none is selected)" in view._status.value
    heat = shown(view).data[0]
    np.testing.assert_allclose(heat.z, 100 * COUNTS / COUNTS.sum(1, keepdims=True))
    assert list(heat.y) == list(heat.x) and "&lt;b&gt;" in heat.x[2]
    assert shown(view).layout.yaxis.autorange == "reversed"  # the first class at the top
    header, rows, _ = read_table(view._side.children[0].value)
    assert header == ["class", "samples", "recall", "precision", "taken for"]
    recalls = recall_score(TRUE, GUESS, average=None)
    precisions = precision_score(TRUE, GUESS, average=None)
    assert [row[2] for row in rows] == [f"{100 * value:.1f} %" for value in recalls]
    assert [row[3] for row in rows] == [f"{100 * value:.1f} %" for value in precisions]


def test_samples_phases_and_cycles_are_chosen(view, shown):
    view.state.counts = True
    np.testing.assert_array_equal(shown(view).data[0].z, COUNTS)
    assert [note.text for note in shown(view).layout.annotations] == [str(n) for n in COUNTS.ravel()]
    view.state.matrix = "validation"
    np.testing.assert_array_equal(shown(view).data[0].z, COUNTS.T)
    view.state.matrix, view.state.cycle = "test", 2
    assert view.matrix.counts.shape == (2, 2) and "100.0 % on the diagonal" in view.describe()
    view.state.cycle = 0
    assert view.matrix is None and "Cycle 0: none has no confusion matrix" in view.describe()
    assert view._side.children == () and not view.error


def test_files_and_the_static_twin(view, tmp_path, overlaps):
    saved = pd.read_csv(view.save(tmp_path / "matrix.csv"), index_col="true")
    np.testing.assert_array_equal(saved.to_numpy(), COUNTS)
    assert Image.open(io.BytesIO(view.save(tmp_path / "matrix.png").read_bytes())).width > 600
    assert overlaps(view.static()) == []
    view.state.cycle = 0
    assert view.save(tmp_path / "none.svg").read_bytes() and view.export_table().empty


def test_a_run_that_grows_is_followed(run, view):
    assert not view.refresh()
    Run.open(run.folder, writable=True).add("new", metrics={"accuracy": 0.95}, artifacts={
        "train_confusion_matrix": pd.DataFrame(np.eye(3)), "confusion_matrix": pd.DataFrame(np.eye(3))})  # fmt: skip
    assert view.refresh() and view.cycle == 3
    assert [value for _, value in view._matrix_menu.options] == ["test", "validation", "train"]


def test_a_class_without_samples_has_no_share():
    matrix = Matrix(np.array([[3.0, 1.0], [0.0, 0.0]]), ["a", "b"])
    assert matrix.accuracy == 0.75 and np.isnan(matrix.shares[1]).all()
    assert matrix.text(False) == [["75", "25"], ["", ""]]
    assert matrix.by_class()["taken for"].tolist() == ["b (1)", "–"]
    assert np.isnan(Matrix(np.zeros((2, 2)), ["a", "b"]).accuracy)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2,3\n", "holds a table of shape|cannot be read"),
        (",a,b\nx,1,2\n", r"holds a table of shape \(1, 2\)"),
        (",a,b\nx,1,-2\ny,3,4\n", "no negative counts"),
        (",a,b\nx,1,dog\ny,3,4\n", "cannot be read as a confusion matrix"),
    ],
)
def test_a_file_that_is_no_matrix_is_told(tmp_path, content, sentence):
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        Matrix.read(tmp_path / "m.csv")


def test_a_damaged_file_is_told_in_the_panel(run, view):
    run.cycle(2).artifacts["confusion_matrix"].write_bytes(b"no parquet")
    view.state.cycle = 2
    assert "cannot be read as a confusion matrix" in view.error


def test_bad_input_gets_one_sentence(run, disk_run):
    with pytest.raises(TypeError, match="belongs to a cycle of a Run"):
        Confusion(object())
    with pytest.raises(ValueError, match=r"state.cycle is 7, but the run has the cycles \[0, 1, 2\]"):
        Confusion(run, state=CyclesState(cycle=7))
    with pytest.raises(ValueError, match=r"state.matrix is 'moon'"):
        Confusion(run, state=CyclesState(matrix="moon"))
    empty = Confusion(disk_run[0])
    assert empty.cycle == -1 and "The run has no confusion matrix" in empty.describe() and not empty.error
