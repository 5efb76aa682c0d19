"""Without what is optional: each feature names the extra to install, and everything else works."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest

pytest.importorskip("packaging", reason="reads the requirements of packages")
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CORE = PROJECT["dependencies"]  # an editable installation may have older metadata
OPTIONAL = {"mlflow", "tensorboard", "openvino", "onnxruntime", "torch_pruning", "distributed", "onnxscript"}

BARE = """
import json, pkgutil, sys
from pathlib import Path

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.finder.find_spec(name, path, target)

ABSENT, folder = set(json.loads(sys.stdin.read())), Path(sys.argv[1])
sys.meta_path[:] = map(Hiding, sys.meta_path)

import torch
import nasviz as nv

told = {}
def sentence(extra, function):
    try:
        function()
    except Exception as error:
        told[extra] = f"{type(error).__name__}: {error}"
    else:
        told[extra] = "it works"

for module in pkgutil.walk_packages(nv.__path__, "nasviz."):
    if "." + module.name.rpartition(".")[2] not in (".job_worker", ".__main__"):
        __import__(module.name)  # no module needs an extra to be imported

net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10))
x = torch.zeros(1, 1, 8, 8)
graph = nv.trace(net, x)
assert nv.cost(graph).total["macs"] == 4 * 36 * 9 + 1440
bench = nv.benchmarks.load("digits").of("nb101").subset(slice(4))
assert len(nv.pretrained("nb101").score(bench.graphs())) == 4
run = nv.cycles.Run.create(folder / "run")
run.add(metrics={"accuracy": 0.5}, graph=graph, weights=net)
nv.views.CycleBars(run).figure(), nv.views.NetworkExplorer(graph).figure(), nv.views.FlopsLesson()
assert nv.search.mutation.mutate(graph, 0) != graph

import nasviz.measure
from nasviz.cycles.model_archive import archive
from nasviz.measure.layer_times import layer_times
from nasviz.measure.pruning import remove_channels
assert layer_times(net, x, repeats=1)
sentence("archive", lambda: archive(run, 0))
sentence("openvino", lambda: layer_times(net, x, runtime="openvino", repeats=1))
sentence("pruning", lambda: remove_channels(net, x, 0.5))
sentence("mlflow", lambda: nv.cycles.from_mlflow(folder / "a", "digits"))
sentence("tensorboard", lambda: nv.cycles.from_tensorboard(folder / "b", folder))
from nasviz.apidocs import build_docs
sentence("docs", lambda: build_docs(folder / "docs"))

import joblib
def on_dask():
    with joblib.parallel_config("dask"):
        pass
sentence("dask", on_dask)

from typer.testing import CliRunner
from nasviz.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
assert CliRunner().invoke(app, ["data", "list"]).exit_code == 0
sys.stdout.write("\\n" + json.dumps(told))
"""


def plain() -> set[str]:
    """Names of the distributions that an installation without extras has."""
    done, waiting = set(), {(canonicalize_name(one.name), frozenset(one.extras)) for one in map(Requirement, CORE)}
    while waiting:
        name, extras = one = waiting.pop()
        done.add(one)
        try:
            requirements = map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:  # of another platform
            continue
        for each in requirements:
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                waiting |= {(canonicalize_name(each.name), frozenset(each.extras))} - done
    return {name for name, _ in done} | {"nasviz"}


def absent() -> list[str]:
    """Top-level modules that are here and that a plain installation does not have."""
    core = plain()
    return [top for top, owners in packages_distributions().items()
            if not core & {canonicalize_name(owner) for owner in owners}]  # fmt: skip


def extras_in_the_code() -> dict[str, str]:
    """Modules that are asked for by ``extra("module", "name")``, with the extra that they are said to be in."""
    calls = [
        node
        for path in (ROOT / "nasviz").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "extra"
    ]
    return {call.args[0].value.partition(".")[0]: call.args[1].value for call in calls}


def test_the_extra_that_is_named_brings_the_module():
    owners = packages_distributions()
    for module, extra in extras_in_the_code().items():
        brought = {canonicalize_name(Requirement(text).name) for text in PROJECT["optional-dependencies"][extra]}
        if module in owners:
            assert brought & {canonicalize_name(owner) for owner in owners[module]}, f"{module} is not in {extra}"


def test_a_plain_installation_names_the_extra_and_does_everything_else(tmp_path):
    blocked = absent()
    assert {*blocked} >= OPTIONAL
    assert not {"torch", "numpy", "pandas", "voila", "lightgbm"} & {*blocked}
    extras = set(extras_in_the_code().values())
    done = subprocess.run([sys.executable, "-c", BARE, tmp_path], input=json.dumps(blocked), cwd=ROOT, text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert extras <= told.keys(), "every extra that the code asks for has a case here"
    for extra in extras:
        pattern = rf"ImportError: \w+ is missing \(.*\); pip install 'nasviz\[{extra}\]'\."
        assert re.fullmatch(pattern, told[extra]), f"{extra}: {told[extra]}"
    assert "install dask" in told["dask"]  # joblib's own sentence
