"""Broken plug-ins: one clear sentence each, and the others go on."""

import threading

import pytest
from torch import nn

from nasviz.cycles.evaluation import evaluate
from nasviz.cycles.performance import ask, metric_names
from tests.cycles import plugins
from tests.cycles.plugins import Samples

MODULE = "tests.cycles.plugins"
DATA = {"test": Samples(40)}  # five batches of eight; sample 20 is in batch 2
HERE = "; its metrics have no value here."
REDUCE = "reduce_all_worker_results"
STATE = "changed what belongs to no instance"

# The plug-in, what it did in which method and batch, and what became of its metrics.
BROKEN = [
    ("RaisesInUpdate", "update() in phase 'test', batch 2, raised ZeroDivisionError: division by zero" + HERE, {}),
    ("Exits", "update() in phase 'test', batch 0, raised SystemExit: 3" + HERE, {}),
    ("UpdateReturnsText", "update() in phase 'test', batch 0, returned a value of type str where a dictionary", {}),
    ("ModuleVariable", f"update() in phase 'test', batch 0, {STATE} (module variable {MODULE}._COUNT)", {}),
    ("ModuleList", f"update() in phase 'test', batch 2, {STATE} (module variable {MODULE}._SEEN)", {}),
    ("ClassVariable", f"update() in phase 'test', batch 0, {STATE} (class variable ClassVariable.counts)", {}),
    ("DefaultArgument", f"{STATE} (default argument of DefaultArgument.update); use self for state" + HERE, {}),
    (
        "RaisesInResults",
        "get_worker_results() in phase 'test', after batch {last}, raised KeyError: 'count'" + HERE,
        {},
    ),
    ("AnswersOnce", "get_worker_results() in phase 'test', after batch {last}, answered differently when it was", {}),
    ("Unpicklable", "get_worker_results() in phase 'test', after batch {last}, returned what cannot be pickled", {}),
    ("RaisesInReduce", f"{REDUCE}() in phase 'test', after batch 4, raised RuntimeError: no way to add up" + HERE, {}),
    (
        "OtherKeys",
        f"{REDUCE}() in phase 'test', after batch 4, returned other keys than before (new 'after'; missing 'before')",
        {"stable": 1.0, "before": None},
    ),
    (
        "NotScalar",
        f"{REDUCE}() in phase 'test', after batch 4, returned a value of type ndarray of shape (3,) as 'per_class', "
        "which is no scalar",
        {"fine": 0.5, "per_class": None},
    ),
    ("NotFinite", "returned nan as 'ratio', where None says that there is no value", {"ratio": None}),
    # These fail when they are asked for their metrics, so there are no names to give.
    ("RaisesInInit", "__init__() in phase 'job start', before batch 0, raised OSError: the licence server does", None),
    ("NoDictionary", f"{REDUCE}() in phase 'job start', before batch 0, returned a value of type list where a", None),
]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_broken_plugin_gets_one_sentence_and_the_others_go_on(tmp_path, workers):
    names = [f"{MODULE}:{name}" for name, _, _ in BROKEN]
    sound = [f"{MODULE}:Counts", f"{MODULE}:ReadsGlobals", "confusion_matrix"]
    found = evaluate(nn.Identity(), DATA, [*names, *sound], tmp_path, batch_size=8, workers=workers)
    assert len(found.warnings) == len(BROKEN)
    expected = {"Counts_count": 40, "ReadsGlobals_count": 40}
    for name, words, metrics in BROKEN:
        [sentence] = [text for text in found.warnings if text.startswith(f"{MODULE}:{name}: ")]
        assert words.format(last=4 if workers == 1 else 2) in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence
        expected |= {f"{name}_count": None} if metrics == {} else metrics or {}
    values = found.metrics["test"]
    assert {key: value for key, value in values.items() if key in expected} == expected
    assert values.keys() - expected == {"accuracy", "recall", "precision"}
    assert values["accuracy"] > 0.5


def test_a_method_changed_while_it_runs_is_found(tmp_path):
    class Rewires(plugins.Counts):
        def update(self, data, tensor_values):
            Rewires.extra = 1

    found = evaluate(nn.Identity(), DATA, [Rewires], tmp_path)
    assert "(class variable Rewires.extra)" in found.warnings[0]


def test_state_in_an_enclosing_function_is_found(tmp_path):
    total = {"seen": 0}

    class Outer(plugins.Counts):
        def update(self, data, tensor_values):
            total["seen"] += 1

        def reduce_all_worker_results(self, worker_results_list):
            return {"seen": total["seen"]}

    found = evaluate(nn.Identity(), DATA, [Outer], tmp_path)
    assert "variable total outside" in found.warnings[0]
    assert found.metrics["test"] == {"seen": None}


def test_what_refuses_to_be_sent_is_told_at_the_start(tmp_path):
    lock = threading.Lock()

    class Locked(plugins.Counts):
        def update(self, data, tensor_values):
            with lock:
                super().update(data, tensor_values)

    Locked.__module__ = "__main__"  # as if written in a notebook: such a class travels by value
    found = evaluate(nn.Identity(), DATA, [Locked, plugins.Counts], tmp_path)
    assert "job start" in found.warnings[0]
    assert "cannot be sent to a worker" in found.warnings[0]
    assert found.metrics["test"] == {"Counts_count": 40}


def test_an_answer_of_equal_but_other_objects_is_the_same(tmp_path):
    class Fresh(plugins.Counts):
        def get_worker_results(self):
            self.turn = not getattr(self, "turn", False)
            names = ["a", "b"] if self.turn else ["b", "a"]
            return {name: float("nan") for name in names}

        def reduce_all_worker_results(self, worker_results_list):
            return {"workers": len(worker_results_list)}

    found = evaluate(nn.Identity(), DATA, [Fresh], tmp_path)
    assert found.warnings == []
    assert found.metrics["test"] == {"workers": 1}


def test_a_plugin_without_names_is_told():
    class Nameless(plugins.Counts):
        def reduce_all_worker_results(self, worker_results_list):
            return {}

    [candidate] = ask([Nameless])
    assert "named no metric" in str(candidate.fault)
    assert metric_names([Nameless, plugins.Counts]) == ["Counts_count"]


def test_what_cannot_be_sent_or_kills_a_worker_is_told(tmp_path):
    data = Samples(40)
    data.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"data set of phase 'test' cannot be sent .*\(TypeError: cannot pickle"):
        evaluate(nn.Identity(), {"test": data}, [], tmp_path, workers=2, batch_size=8)
    with pytest.raises(RuntimeError, match="a worker process died in phase 'test'.*plugins:Dies"):
        evaluate(nn.Identity(), DATA, [f"{MODULE}:Dies"], tmp_path, workers=2, batch_size=8)
    assert list(tmp_path.iterdir()) == []
