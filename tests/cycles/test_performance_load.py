"""Plug-ins are found by import path, by file and by entry point, and what is no plug-in is refused in a sentence."""

import sys

import pytest
from torch import nn

from nasviz.cycles.confusion import ConfusionMatrix
from nasviz.cycles.evaluation import evaluate
from nasviz.cycles.performance_load import load_plugin, plugin_names
from tests.cycles import plugins, seed_plugin
from tests.cycles.plugins import Samples

SOURCE = """
from dataclasses import dataclass
import sys
sys.path.insert(0, "/left/behind")

@dataclass
class Partial:
    count: int

class Metric:
    def __init__(self, folder_name):
        self.partial = Partial(0)
    def update(self, data, tensor_values):
        self.partial.count += len(data["label"])
    def get_worker_results(self):
        return self.partial
    def reduce_all_worker_results(self, worker_results_list):
        return {"count": sum(partial.count for partial in worker_results_list)}
"""


def test_by_import_path():
    assert load_plugin("tests.cycles.seed_plugin:ExampleMetrics") is seed_plugin.ExampleMetrics
    assert load_plugin(plugins.Counts) is plugins.Counts


def test_by_file(tmp_path):
    path = tmp_path / "my metric.v2.py"
    path.write_text(SOURCE)
    (tmp_path / "helper.py").write_text("")
    search_path, modules = list(sys.path), set(sys.modules)
    cls = load_plugin(f"{path}:Metric")
    assert load_plugin(f"{path}:Metric") is cls
    assert sys.path == search_path
    assert len(set(sys.modules) - modules - {"dataclasses"}) == 1
    path.write_text(SOURCE.replace('"count"', '"number"'))
    assert load_plugin(f"{path}:Metric") is not cls
    path.write_text("import helper\n" + SOURCE)
    with pytest.raises(ValueError, match="No module named 'helper'"):
        load_plugin(f"{path}:Metric")
    assert sys.path == search_path


@pytest.mark.parametrize("workers", [1, 2])
def test_a_class_of_the_file_travels_between_processes(tmp_path, monkeypatch, workers):
    (tmp_path / "metric.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    found = evaluate(nn.Identity(), {"test": Samples(30)}, ["metric.py:Metric"], "run", workers=workers, batch_size=8)
    assert found.warnings == []
    assert found.metrics == {"test": {"count": 30}}


def test_by_entry_point(tmp_path, monkeypatch):
    for name, target in {
        "one": "tests.cycles.seed_plugin:ExampleMetrics",
        "two": "tests.cycles.plugins:Counts",
    }.items():
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = f"{name}_metric = {target}\nclash = {target}\nconfusion_matrix = {target}\n"
        (info / "entry_points.txt").write_text(f"[nasviz.performance_metrics]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)
    assert plugin_names() == ["confusion_matrix", "clash", "one_metric", "two_metric"]
    assert load_plugin("two_metric") is plugins.Counts
    assert load_plugin("confusion_matrix") is ConfusionMatrix  # nobody replaces nasviz's own
    with pytest.raises(
        ValueError, match=r"announced twice, as .*\(one\).*\(two\)|announced twice, as .*\(two\).*\(one\)"
    ):
        load_plugin("clash")


@pytest.mark.parametrize(
    ("plugin", "match"),
    [
        ("no_such_name", "no such entry point; known are confusion_matrix"),
        ("", "no such entry point"),
        (":Metric", "write 'package.module:Class'"),
        ("tests.cycles.plugins:", "write 'package.module:Class'"),
        ("tests.cycles.plugins:a b", "write 'package.module:Class'"),
        ("no.such.module:Metric", "cannot be imported .*PYTHONPATH"),
        ("tests.cycles.seed_plugin:Other", "has no class Other; it has ExampleMetrics"),
        ("tests.cycles.plugins:CLASSES", "this is a int, not a class"),
        ("tests.cycles.plugins:Private", "is public; rename _Private"),
        ("builtins:dict", "has no get_worker_results, reduce_all_worker_results"),
        (3, "a plug-in is a class"),
        (plugins.Counts("."), "give the class, not an instance"),
    ],
)
def test_what_is_no_plugin_is_refused(plugin, match):
    with pytest.raises(ValueError, match=match):
        load_plugin(plugin)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("class Metric(", "cannot be loaded .*SyntaxError"),
        ("raise SystemExit(1)", "cannot be loaded .*SystemExit: 1"),
        ("\0", "cannot be loaded"),
    ],
)
def test_a_broken_file_is_refused_and_leaves_no_module(tmp_path, source, match):
    path, modules = tmp_path / "metric.py", set(sys.modules)
    path.write_text(source)
    with pytest.raises(ValueError, match=match):
        load_plugin(f"{path}:Metric")
    assert set(sys.modules) == modules
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_plugin(f"{tmp_path / 'other.py'}:Metric")
