"""Training in the loop: what is confirmed goes on, what is learned is used, a lucky training is not believed."""

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from nasviz.benchmarks.label import Recipe
from nasviz.graph.cost import total_flops
from nasviz.search import confirm as confirming
from nasviz.search.confirm import confirm, verdict
from nasviz.search.goals import Cost, Goal, Judge, Scored
from nasviz.search.hunt import Result, predictor_scorer
from nasviz.search.predictors import ForestPredictor
from nasviz.search.shapes import fault
from nasviz.search.spaces import GraphSpace
from nasviz.search.trained import Trained, _chosen, trained_search

ARCH = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|"


@pytest.fixture(scope="module")
def space():
    family = nv.families.get("nb201")
    return GraphSpace([family.graph(family.parse(ARCH), "digits")])


def truth(graph):
    """Half the FLOPs of the start are best."""
    return 0.9 - abs(np.log2(total_flops(graph) / 350_000)) / 20


class Wrong:
    """It believes in long networks, and learns by heart what was trained."""

    def __init__(self, known=()):
        self.known = dict(known)

    def score(self, graphs):
        accuracy = [self.known.get(id(graph), 0.5 + len(graph) / 1000) for graph in graphs]
        return pd.DataFrame({"score": accuracy, "accuracy": accuracy})


def test_what_goes_on_is_what_training_confirmed_not_what_was_predicted(space):
    asked = []

    def train(each, number):
        asked.append((each.scored.key, number))
        return truth(each.scored.candidate.graph)

    ranked = trained_search(space, Wrong(), train, starts=space.starts, rounds=4, survivors=6, parents=2, budget=160,
                            goal="performance")  # fmt: skip
    assert len(ranked) == 1 + 4 * 6 and asked[0] == (space.starts[0].key, 0) and len(set(asked)) == len(asked)
    means = [each.mean for each in ranked]
    assert means == sorted(means, reverse=True) and means[0] > truth(space.starts[0].graph)
    by_round = {n: [each for each in ranked if each.round == n] for n in range(5)}
    seen = list(by_round[0])
    for number in range(1, 5):
        confirmed = {each.scored.key for each in sorted(seen, key=lambda each: -each.mean)[:2]}
        assert {each.parent for each in by_round[number]} <= confirmed
        assert sorted(each.place for each in by_round[number]) == list(range(6))
        seen += by_round[number]
    assert all(fault(each.scored.candidate.graph) is None for each in ranked)


def test_a_lucky_training_is_not_believed(space):
    """All networks are alike, but a training may be lucky; the more trainings confirm one, the less luck is left."""

    def leader(repeats):
        rng = np.random.default_rng(0)
        way = {"rounds": 2, "survivors": 8, "parents": 2, "budget": 60, "goal": "performance"}
        ranked = trained_search(
            space, Wrong(), lambda each, number: rng.normal(0.7, 0.02), starts=space.starts, repeats=repeats, **way
        )
        assert all(len(each.accuracies) >= repeats for each in ranked[:2])
        assert min(len(each.accuracies) for each in ranked) == 1 or repeats == 1
        return ranked[0].mean - 0.7

    assert 0 < leader(9) < 0.5 * leader(1)


def test_the_predictor_learns_what_was_trained(space):
    bench = nv.benchmarks.load("digits").of("nb201").subset(range(60))
    forest = ForestPredictor().fit(bench)
    graph = space.starts[0].graph
    before = forest.score([graph])["accuracy"][0]
    wiser = forest.learn([graph], [before - 0.2], [4])
    assert forest.score([graph])["accuracy"][0] == before
    assert before - 0.2 <= wiser.score([graph])["accuracy"][0] < before - 0.08
    assert len(wiser.learn([graph], [before - 0.2]).labels_[1]) == 62


def test_caution_takes_off_what_the_predictor_does_not_know(space):
    class Unsure:
        def score(self, graphs):
            return pd.DataFrame({"score": [0.8], "accuracy": [0.8], **self.more})

    for more, expected in ({"spread": [0.1]}, 0.75), ({"low": [0.8 - 0.1645]}, 0.75), ({"novelty": [9.0]}, 0.8):
        Unsure.more = more
        assert predictor_scorer(Unsure(), space, caution=0.5)(space.starts)[0] == pytest.approx(expected)
        assert predictor_scorer(Unsure(), space)(space.starts)[0] == 0.8


@pytest.mark.parametrize("wrong", ["rounds", "survivors", "repeats", "parents", "steps", "budget"])
def test_numbers_are_whole_ones(space, wrong):
    with pytest.raises(ValueError, match=f"{wrong}=0: it is a whole number from 1 on"):
        trained_search(space, Wrong(), lambda *_: 0.5, starts=space.starts, **{wrong: 0})


def test_start_and_found_are_trained_anew_and_a_killed_comparison_goes_on(space, tmp_path, monkeypatch):
    recipe = Recipe(train_images=200, epochs=1, test_draws=1)
    way = {"rounds": 1, "survivors": 2, "repeats": 2, "budget": 20, "fresh": 3, "recipe": recipe}
    whole = confirm(space.starts[0].graph, Wrong(), **way)
    assert set(whole["kind"]) <= {"start", "found", "cheapest", "proposed"} and whole["accuracy"].between(0, 1).all()
    fresh = whole[whole["phase"] == "fresh"]
    assert {"start", "found"} <= set(fresh["kind"])
    assert all(seeds == [1000, 1001, 1002] for seeds in fresh.groupby("kind").seed.apply(list))
    assert not set(fresh["seed"]) & set(whole[whole["phase"] == "search"]["seed"])

    trained, calls = confirming.train_anew, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return trained(*arguments)

    monkeypatch.setattr(confirming, "train_anew", killed)
    log = tmp_path / "log.jsonl"
    with pytest.raises(KeyboardInterrupt):
        confirm(space.starts[0].graph, Wrong(), log=log, **way)
    again = confirm(space.starts[0].graph, Wrong(), log=log, **way)
    pd.testing.assert_frame_equal(again, whole)
    assert len(calls) == len(whole) + 1


def test_the_verdict_is_students_interval_of_paired_differences():
    start, found = [0.70, 0.71, 0.72, 0.69], [0.72, 0.72, 0.75, 0.70]
    rows = [("a", "start", "fresh", seed, value, 100, 10) for seed, value in enumerate(start)]
    rows += [("b", "found", "fresh", seed, value, 80, 9) for seed, value in enumerate(found)]
    rows += [("c", "proposed", "search", 9, 0.99, 80, 9)]
    table = pd.DataFrame(rows, columns=["network", "kind", "phase", "seed", "accuracy", "flops", "params"])
    (row,) = verdict(table).to_dict("records")
    assert row["trainings"] == 4 and row["networks"] == 2 and row["flops"] == 0.8 and row["params"] == 0.9
    # Differences .02, .01, .03, .01: mean .0175, standard deviation .00957, t(3) = 3.182.
    assert row["gain"] == pytest.approx(0.0175)
    assert row["low"] == pytest.approx(0.0175 - 3.182 * 0.009574 / 2, abs=1e-5)
    assert row["kind"] == "found" and row["accuracy"] == pytest.approx(0.7225)
    cheaper = table[table["kind"] == "found"].assign(network="d", kind="cheapest", flops=50, accuracy=0.705)
    (_, last) = verdict(pd.concat([table, cheaper])).to_dict("records")
    assert last["kind"] == "cheapest" and last["flops"] == 0.5 and last["gain"] == pytest.approx(0) and last["low"] < 0
    two = verdict(pd.concat([table.assign(start="x"), table.assign(start="y")]), by=["start"])
    assert list(two["start"]) == ["x", "y"]


def test_of_networks_that_cost_the_same_one_is_trained_first():
    """A mean rewritten as an average pooling costs about the same, and a training of it tells nothing new."""
    costs = {"start": (1000, 100), "same": (1001, 100), "less": (800, 100), "again": (799, 100), "more": (900, 100)}
    scored = [
        Scored(None, name, score, Cost(*costs[name]), value=score, parent="start" if name != "more" else "less")
        for name, score in (("start", 0.7), ("same", 0.9), ("less", 0.8), ("again", 0.75), ("more", 0.7))
    ]
    result = Result(scored, scored[1:], pd.DataFrame(), Judge(Goal.performance), 0)
    pool = {"start": Trained(scored[0])}
    chosen = _chosen(result, pool, 3, 2)
    assert [each.scored.key for each in chosen] == ["less", "more", "same"]  # "same" only where room is left
    assert [(each.parent, each.round, each.place) for each in chosen] == [("start", 2, n) for n in range(3)]
    # What the goal asks for comes first, though it be alike: "more" has more FLOPs, "again" is predicted to be worse.
    asks = Judge(Goal.balanced, floor=0.78, flops=1005, params=100)
    chosen = _chosen(Result(scored, scored[1:], pd.DataFrame(), asks, 0), pool, 3, 2)
    assert [each.scored.key for each in chosen][:2] == ["less", "same"]
