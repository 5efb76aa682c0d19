"""The demonstration run: what is bundled, and the generator that made it, which goes on where it was stopped."""

import pytest
import torch

from nasviz.cycles import demonstration
from nasviz.cycles.demonstration import demo, demonstrate
from nasviz.cycles.layers import match_layers
from nasviz.cycles.run import Run
from nasviz.cycles.task import TASKS
from nasviz.families import get


def changed(one: str, two: str) -> int:
    parse = get("nb201").parse
    return sum(a != b for a, b in zip(parse(one), parse(two), strict=True))


def test_the_bundled_run_is_small_and_shows_what_a_generator_does():
    run = Run.open(demo())
    assert len(run) >= 8
    assert sum(path.stat().st_size for path in demo().rglob("*")) < 4e6
    for cycle in run.cycles[1:-1]:  # each is a neighbour of its parent, the best one before it by NetScore+
        assert changed(cycle.source["arch"], run.cycle(cycle.parent).source["arch"]) == 1
        before = run.cycles[: cycle.index]
        assert cycle.parent == max(before, key=lambda each: each.metrics["netscore_plus"]).index
    last = run.cycles[-1]
    assert last.source["arch"] == run.cycle(last.parent).source["arch"] and "fine-tuned" in last.name
    names = match_layers(run.layers[run.layers["trainable"]])
    there = names.notna()
    pairs = [(cycle.parent, cycle.index) for cycle in run.cycles[1:-1]]
    assert any((there[new] & ~there[old]).any() for old, new in pairs)  # layers were added
    assert any((there[old] & ~there[new]).any() for old, new in pairs)  # and removed
    for cycle in run.cycles:
        assert {"confusion_matrix", "training"} <= set(cycle.artifacts)
        assert cycle.metrics["netscore_plus"] and cycle.metrics["latency_ms"]


def test_the_bundled_weights_reach_the_accuracy_that_is_written_down():
    images, classes = TASKS["digits"].datasets()["test"].tensors
    for cycle in (Run.open(demo()).cycles[i] for i in (0, -1)):
        with torch.no_grad():
            right = (cycle.module()(images).argmax(1) == classes).float().mean().item()
        assert right == pytest.approx(cycle.metrics["accuracy"], abs=1e-3)


def test_the_generator_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    """Untrained but for a step, so it is quick; three networks and the fine-tuned one."""
    from torch.utils.data import TensorDataset

    from nasviz.cycles.task import Task
    from nasviz.cycles.training import Training

    images = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(images, torch.arange(40) % 10)
    monkeypatch.setattr(demonstration, "TASK", Task("tiny", {"train": data, "test": data}))
    stop, training = {"after": 1}, Training(epochs=1, batch_size=40)

    def report(fraction, text):
        if fraction > stop["after"]:
            raise KeyboardInterrupt

    whole = demonstrate(tmp_path / "a", 3, training, report=report)
    stop["after"] = 0.4
    with pytest.raises(KeyboardInterrupt):
        demonstrate(tmp_path / "b", 3, training, report=report)
    assert len(Run.open(tmp_path / "b")) == 1
    stop["after"] = 1
    resumed = demonstrate(tmp_path / "b", 3, training, report=report)
    assert len(resumed) == len(whole) == 4
    for one, two in zip(whole.cycles, resumed.cycles, strict=True):
        assert (one.name, one.parent, one.source["arch"]) == (two.name, two.parent, two.source["arch"])
        assert one.metrics["accuracy"] == two.metrics["accuracy"]
    assert not (tmp_path / "a" / ".lock").exists()
    assert len(demonstrate(tmp_path / "a", 3, training, report=report)) == 4  # complete: nothing to do
    with pytest.raises(ValueError, match="networks=0: it is a whole number from 1 on"):
        demonstrate(tmp_path / "c", 0)


def test_a_neighbour_differs_on_one_edge_that_is_used():
    first = demonstration.FIRST
    seen = {first}
    for seed in range(24):  # 6 edges, 4 other operations each
        cell, edge = demonstration._neighbour(first, seen, seed)
        assert [i for i in range(6) if cell[i] != first[i]] == [edge]
        seen.add(cell)
    with pytest.raises(ValueError, match="every neighbour"):
        demonstration._neighbour(first, seen, 0)
    skip = ("none", "none", "none", "skip_connect", "none", "none")
    assert demonstration._used(skip) == {3} and demonstration._used(("none",) * 6) == set()
    assert demonstration._used(("nor_conv_3x3", "none", "none", "skip_connect", "none", "none")) == {3}
