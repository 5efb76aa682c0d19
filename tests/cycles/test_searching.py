"""Search as a source of cycles: what it writes, that a killed one ends as if it never was, the menu's entries."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from nasviz.cycles import Run
from nasviz.cycles.actions import get_action
from nasviz.cycles.generate import train_cycle
from nasviz.cycles.search_plan import SearchPlan
from nasviz.cycles.searching import SEARCHES, edge_build, search_cycles, search_job
from nasviz.cycles.training import Training
from nasviz.graph.cost import total_flops
from nasviz.search.shapes import fault

SHORT = Training(epochs=1, batch_size=128)
NETWORK = {
    "family": "nb201",
    "arch": "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|",
    "scale": "digits",
}


class Counting:
    """A predictor for which all networks of more than 30 operators are alike."""

    def score(self, graphs):
        return pd.DataFrame({"score": [min(len(graph), 30) / 30 for graph in graphs]})


class Learning(Counting):
    """It thinks most of networks as long as the best that it has seen trained."""

    wanted = 20

    def score(self, graphs):
        accuracy = [1 - abs(len(graph) - self.wanted) / 1000 for graph in graphs]
        return pd.DataFrame({"score": accuracy, "accuracy": accuracy})

    def learn(self, graphs, accuracy, trainings):
        assert set(trainings) == {1} and len(graphs) == len(accuracy)
        wiser = Learning()
        wiser.wanted = len(graphs[int(np.argmax(accuracy))]) - 3
        return wiser


PLAN = SearchPlan(predictor=Counting(), budget=60, survivors=2)
WAY = {"plan": PLAN, "training": SHORT}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("begun") / "run", name="digits")
    train_cycle(run, NETWORK, training=SHORT)
    return run.folder


@pytest.fixture(scope="module")
def searched(begun, tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched") / "run"
    shutil.copytree(begun, folder)
    run = Run.open(folder, writable=True)
    search_cycles(run, 0, **WAY)
    return run


def test_the_survivors_are_cycles_with_fewer_flops(searched):
    start, *found = searched.cycles
    assert len(found) == 2 and all(cycle.parent == 0 for cycle in found)
    for place, cycle in enumerate(found):
        assert cycle.source["search"]["place"] == place and cycle.source["search"]["goal"] == "balanced"
        assert cycle.metrics["flops"] < start.metrics["flops"] and 0 < cycle.metrics["accuracy"] <= 1
        assert "fewer FLOPs" in cycle.note and "'Counting'" in cycle.note
        assert fault(cycle.graph()) is None and cycle.metrics["flops"] == total_flops(cycle.graph())
        assert cycle.module()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
        assert len(cycle.layers())
    assert found[0].graph() != found[1].graph()


def test_started_again_it_has_nothing_to_do(searched):
    before = {path: path.stat().st_mtime_ns for path in searched.folder.rglob("*.json")}
    again = search_cycles(searched, 0, **WAY)
    accuracy = [cycle.metrics["accuracy"] for cycle in searched.cycles[1:]]
    assert again.metrics["accuracy"] == max(accuracy) and len(searched) == 3
    assert before == {path: path.stat().st_mtime_ns for path in searched.folder.rglob("*.json")}


@pytest.mark.parametrize("moment", ["searching, 30", "network 2 of 2: training"])
def test_a_killed_search_ends_with_the_same_cycles(moment, begun, searched, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    run = Run.open(tmp_path / "run", writable=True)

    def kill(fraction, message):
        assert 0 <= fraction < 0.99
        if moment in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_cycles(run, 0, report=kill, **WAY)
    assert len(run) == (1 if "searching" in moment else 2)
    assert len(list((run.folder / SEARCHES).iterdir())) == 1
    search_cycles(Run.open(run.folder, writable=True), 0, **WAY)
    run.refresh()
    assert len(run) == len(searched) == 3
    for ours, theirs in zip(run.cycles, searched.cycles, strict=True):
        assert ours.graph() == theirs.graph() and ours.source == theirs.source
        assert ours.metrics["accuracy"] == theirs.metrics["accuracy"]
        assert all(torch.equal(a, b) for a, b in zip(ours.weights().values(), theirs.weights().values(), strict=True))


def test_the_next_round_begins_at_what_training_confirmed_also_after_a_kill(begun, tmp_path):
    plan = replace(PLAN, predictor=Learning(), rounds=2, budget=40, goal="performance")
    way = WAY | {"plan": plan}
    runs = {}
    for name, moment in (("whole", None), ("killed", "round 2 of 2, network 1 of 2: training")):
        shutil.copytree(begun, tmp_path / name)
        run = Run.open(tmp_path / name, writable=True)

        def kill(fraction, message, moment=moment):
            assert 0 <= fraction < 0.99
            if moment and moment in message:
                raise KeyboardInterrupt

        if moment:
            with pytest.raises(KeyboardInterrupt):
                search_cycles(run, 0, report=kill, **way)
            assert len(run) == 3
            run = Run.open(run.folder, writable=True)
        search_cycles(run, 0, report=lambda *_: None, **way)
        runs[name] = run
    assert len(runs["whole"]) == 5
    for ours, theirs in zip(runs["whole"].cycles, runs["killed"].cycles, strict=True):
        assert ours.graph() == theirs.graph() and ours.source == theirs.source and ours.parent == theirs.parent
        assert ours.metrics["accuracy"] == theirs.metrics["accuracy"]
    first, second = runs["whole"].cycles[1:3], runs["whole"].cycles[3:]
    assert [cycle.source["search"]["round"] for cycle in (*first, *second)] == [1, 1, 2, 2]
    # What the predictor learned shows: it wants shorter networks than the best that was trained.
    best = max(runs["whole"].cycles[:3], key=lambda cycle: cycle.metrics["accuracy"])
    assert all(len(cycle.graph()) < len(best.graph()) for cycle in second)
    assert all(cycle.parent in range(3) for cycle in second)


def test_without_new_topology_operators_stay(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    run = Run.open(tmp_path / "run", writable=True)
    cycle = search_cycles(
        run, 0, plan=replace(PLAN, explore="kernels and widths", survivors=1, budget=12), training=SHORT
    )
    assert [node.op for node in cycle.graph().nodes] == [node.op for node in run.cycle(0).graph().nodes]


def test_edge_build_and_the_new_job_are_in_the_menu(begun, tmp_path):
    run = Run.open(begun, writable=True)
    for name, work in (("edge_build", edge_build), ("search_job", search_job)):
        action = get_action(name)
        assert action.function() is work
        assert {field.name.partition(".")[0] for field in action.fields} - {"folder"} <= set(action.defaults())
        assert all(action.default(field) is not None for field in action.fields)
    get_action("edge_build").refuse(run, 0, plan={"budget": 10}, training={"epochs": 1})
    get_action("search_job").refuse(run, 0, folder=str(tmp_path / "new"), plan={"goal": "edge"})
    for name, cycle, wrong, error in [
        ("edge_build", 7, {}, KeyError),
        ("edge_build", 0, {"plan": {"explore": "all"}}, ValueError),
        ("edge_build", 0, {"plan": {"flops": -1}}, ValueError),
        ("edge_build", 0, {"plan": {"budget": 0}}, ValueError),
        ("edge_build", 0, {"plan": {"depth": 3}}, ValueError),
        ("edge_build", 0, {"plan": {"predictor": "nobody"}}, ValueError),
        ("edge_build", 0, {"task": "nothing"}, ValueError),
        ("search_job", 0, {"folder": str(tmp_path / "a"), "plan": {"goal": "fast"}}, ValueError),
        ("search_job", None, {"folder": str(tmp_path / "a")}, ValueError),
        ("search_job", 0, {"folder": str(begun)}, FileExistsError),
    ]:
        with pytest.raises(error):
            get_action(name).refuse(run, cycle, **wrong)
    with pytest.raises(PermissionError):
        get_action("edge_build").refuse(Run.open(begun), 0)


def test_an_edge_build_is_small_and_fast_whatever_the_plan_says(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    run = Run.open(tmp_path / "run", writable=True)
    cycle = edge_build(run, 0, plan=replace(PLAN, goal="performance", survivors=1, budget=30), training=SHORT)
    assert cycle.source["search"]["goal"] == "edge"
    assert np.prod([cycle.metrics[cost] / run.cycle(0).metrics[cost] for cost in ("flops", "parameters")]) < 1


def test_a_new_run_starts_from_a_cycle_and_goes_on_where_it_was(begun, tmp_path):
    old, folder = Run.open(begun), tmp_path / "new"
    way = WAY | {"plan": replace(PLAN, goal="edge", survivors=1, budget=30)}

    def kill(fraction, message):
        if "training" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_job(old, 0, folder=folder, report=kill, **way)
    new = search_job(old, 0, folder=folder, **way)
    assert [cycle.parent for cycle in new.cycles] == [None, 0]
    assert new.cycle(0).metrics["accuracy"] == pytest.approx(old.cycle(0).metrics["accuracy"])
    smaller = new.cycle(1).metrics
    assert np.prod([smaller[k] / new.cycle(0).metrics[k] for k in ("flops", "parameters")]) < 1
    with pytest.raises(FileExistsError, match="run of something else"):
        search_job(old, 0, folder=folder, **WAY)
