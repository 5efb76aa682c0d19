"""Model archives: what is inside, that it works alone and in a process of its own, and what is refused."""

import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nasviz.cycles import model_archive
from nasviz.cycles.demonstration import demo
from nasviz.cycles.description import describe
from nasviz.cycles.model_archive import CONTENTS, archive
from nasviz.cycles.run import Run
from tests.cycles.tiny import network


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Cycle 3 of the demonstration run, as an archive that was unpacked."""
    folder, told = tmp_path_factory.mktemp("archive"), []
    path = archive(Run.open(demo()), 3, path=folder, report=lambda fraction, text: told.append(fraction))
    assert path == folder / "cells-for-digits-cycle-3.zip" and told == sorted(told)
    with zipfile.ZipFile(path) as file:
        file.extractall(folder / "content")
    assert len(list(folder.iterdir())) == 2
    return folder / "content"


def test_everything_is_inside(unpacked):
    cycle = Run.open(demo()).cycle(3)
    assert set(CONTENTS) <= {path.name for path in unpacked.iterdir()}
    onnx.checker.check_model(unpacked / "model.onnx", full_check=True)
    stored = load_file(unpacked / "weights.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in cycle.weights().items())
    metrics = pd.read_csv(unpacked / "metrics.csv").set_index("metric")["value"]
    assert metrics.to_dict() == pytest.approx({name: float(value) for name, value in cycle.metrics.items()})
    pd.testing.assert_frame_equal(pd.read_csv(unpacked / "layers.csv"), cycle.layers(), check_dtype=False)
    card = (unpacked / "README.md").read_text(encoding="utf-8")
    for word in (cycle.name, cycle.note, "accuracy", "input: float32, N×1×8×8", cycle.source["arch"], "threads 1"):
        assert word in card
    assert (unpacked / "artifacts" / "confusion_matrix.parquet").is_file()


def test_its_script_runs_the_model_in_a_fresh_process(unpacked, tmp_path):
    """With onnxruntime alone: neither torch nor nasviz is loaded, and the classes are those that the run counted."""
    code = (
        "import sys, numpy as np\nfrom load import load, load_weights\n"
        "x = np.load(sys.argv[1])\n"
        "y = load().run(None, {'input': x})[0]\n"
        "assert not {'torch', 'nasviz'} & set(sys.modules)\n"
        "assert load_weights()\nnp.save(sys.argv[2], y)"
    )
    from nasviz.cycles.task import TASKS

    images, classes = TASKS["digits"].datasets()["test"].tensors
    np.save(tmp_path / "x.npy", images.numpy())
    arguments = [str(tmp_path / name) for name in ("x.npy", "y.npy")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=unpacked, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    right = (np.load(tmp_path / "y.npy").argmax(1) == classes.numpy()).mean()
    assert right == pytest.approx(Run.open(demo()).cycle(3).metrics["accuracy"], abs=1e-3)


def test_its_script_finds_a_model_that_computes_something_else(unpacked, tmp_path):
    model = onnx.load(unpacked / "model.onnx")
    bias = next(each for each in model.graph.initializer if each.name == "head.linear.bias")
    bias.raw_data = (np.frombuffer(bias.raw_data, "float32") + 1).tobytes()
    for name in ("load.py", "example.npz"):
        (tmp_path / name).write_bytes((unpacked / name).read_bytes())
    onnx.save(model, tmp_path / "model.onnx")
    done = subprocess.run([sys.executable, "load.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "largest difference to the stored outputs: 1" in done.stdout


def test_its_script_gives_a_module_of_pytorch(unpacked, monkeypatch):
    code = "import load, torch, sys; sys.stdout.write(str(load.load_torch()(torch.zeros(3, 1, 8, 8)).shape))"
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=unpacked, capture_output=True, text=True, env=environment)
    assert done.stdout == "torch.Size([3, 10])", done.stderr


def test_what_cannot_be_archived_is_told(tmp_path, monkeypatch):
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return torch.special.erfcx(x * self.weight)

    run = Run.create(tmp_path / "run")
    run.add("bare")
    run.add("strange", **describe(Strange(), torch.zeros(1, 3)))
    run.add("tiny", **describe(network(), torch.zeros(1, 1, 3, 3)))
    for cycle, kind, sentence in [
        (9, KeyError, "no such cycle"),
        (0, FileNotFoundError, "cycle 0 of the run 'run' has no weights"),
        (1, ValueError, "cannot build the operator"),
    ]:
        with pytest.raises(kind, match=sentence):
            archive(run, cycle, path=tmp_path)
    with pytest.raises(ValueError, match="cannot be written as ONNX"):
        archive(run, 1, path=tmp_path, module=Strange())
    monkeypatch.setattr(model_archive, "_check", lambda packed, folder: (_ for _ in ()).throw(RuntimeError("no")))
    with pytest.raises(RuntimeError):
        archive(run, 2, path=tmp_path / "tiny.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_without_onnxruntime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'nasviz\[archive\]'"):
        archive(Run.open(demo()), 0)
