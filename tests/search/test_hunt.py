"""Search: methods, goals, limits, resuming; held against spaces small enough to know the answer."""

import json
from itertools import product
from random import Random

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from nasviz.graph.cost import total_flops
from nasviz.search.goals import Cost, Goal, Judge, Limits, Scored, pareto
from nasviz.search.hunt import predictor_scorer, search
from nasviz.search.methods import METHODS
from nasviz.search.shapes import fault
from nasviz.search.spaces import FamilySpace, GraphSpace, TableSpace, grafted, parts

FAMILIES = ["nb101", "nb201", "nb301", "proxyless", "ofa_mbv3", "ofa_resnet", "hiaml", "inception", "two_path"]


class Grid:
    """Points of a 12×12×12 grid; the best is (9, 2, 5), every step towards it is better."""

    def __init__(self):
        self.asked = 0

    def sample(self, rng):
        return tuple(rng.randrange(12) for _ in range(3))

    def mutate(self, candidate, rng):
        return rng.choice(self.neighbours(candidate, rng))

    def neighbours(self, candidate, rng):
        steps = [tuple(c + d * (i == axis) for i, c in enumerate(candidate)) for axis in range(3) for d in (-1, 1)]
        steps = [step for step in steps if min(step) >= 0 and max(step) < 12]
        rng.shuffle(steps)
        return steps

    def key(self, candidate):
        return repr(candidate)

    def score(self, candidates):
        self.asked += len(candidates)
        return [-float(sum(abs(a - b) for a, b in zip(c, (9, 2, 5), strict=True))) for c in candidates]


@pytest.mark.parametrize("method", ["local", "evolution", "top-k"])
def test_methods_that_learn_find_the_best_of_a_hill(method):
    settings = {"top-k": {"iterations": 40, "children": 20, "k": 3}, "evolution": {"population": 20}}.get(method)
    for seed in range(5):
        grid = Grid()
        result = search(grid, grid.score, method, starts=[(0, 11, 0)], budget=600, seed=seed, costs=False,
                        settings=settings)  # fmt: skip
        assert result.best[0].candidate == (9, 2, 5) and result.best[0].score == 0
        assert grid.asked == len(result.scored) <= 601 and len({s.key for s in result.scored}) == len(result.scored)


def test_random_search_needs_more_than_the_methods_that_learn():
    found = [search(g := Grid(), g.score, "random", budget=200, seed=s, costs=False).best[0].score for s in range(10)]
    assert np.mean(found) < -0.5
    assert all(len(search(g := Grid(), g.score, "random", budget=b, costs=False).scored) == b for b in (1, 150))


def test_a_space_that_is_used_up_ends_the_search():
    class Small(Grid):
        def sample(self, rng):
            return (rng.randrange(3), 0, 0)

    small = Small()
    assert len(search(small, small.score, "random", budget=1000, costs=False).scored) == 3


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_decides_and_a_search_that_was_killed_ends_the_same(method, tmp_path):
    def go(seed=0, log=None, die_after=None):
        space = GraphSpace([start()])
        calls = 0

        def scorer(parents):
            nonlocal calls
            calls += 1
            if die_after is not None and calls > die_after:
                raise KeyboardInterrupt
            return [-abs(np.log10(total_flops(p.graph)) - 5.0) for p in parents]

        settings = {"top-k": {"children": 12, "k": 3}, "random": {"batch": 10}, "evolution": {"population": 8},
                    "local": {"batch": 4}}[method]  # fmt: skip
        result = search(space, scorer, method, starts=space.starts, budget=40, seed=seed, log=log, settings=settings)
        return result, calls

    whole, calls = go()
    assert go()[0].table.equals(whole.table) and not go(seed=1)[0].table.equals(whole.table)
    log = tmp_path / "search.jsonl"
    with pytest.raises(KeyboardInterrupt):
        go(log=log, die_after=2)
    with log.open("a") as file:
        file.write('{"of": "cut of')  # a line that was being written
    again, left = go(log=log)
    assert again.table.equals(whole.table) and left == calls - 2
    assert go(log=log) == (again, 0) or go(log=log)[1] == 0  # complete: nothing is scored again
    with pytest.raises(ValueError, match="search with other settings"):
        go(seed=1, log=log)
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], json.dumps({"of": "other", "scores": [1.0]})]) + "\n")
    with pytest.raises(ValueError, match="written by another version"):
        go(log=log)


def start(
    name="nb201", arch="|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
):
    family = nv.families.get(name)
    return family.graph(family.parse(arch), "digits")


def same_score(parents):
    """A predictor for which all networks with more than 1,000 parameters are alike."""
    return [1.0 if p.graph.params > 1000 else 0.0 for p in parents]


def test_balanced_lowers_flops_without_lowering_the_score():
    space = GraphSpace([start()])
    result = search(
        space, same_score, starts=space.starts, budget=150, goal="balanced", settings={"children": 30, "k": 4}
    )
    begin, best = result.scored[0], result.best[0]
    assert best.score >= begin.score and best.cost.flops < 0.75 * begin.cost.flops
    assert fault(space.graph(best.candidate)) is None
    front = result.front
    assert (front["flops"].diff().dropna() > 0).all() and (front["score"].diff().dropna() > 0).all()
    assert set(result.table.columns) >= {"key", "score", "flops", "params", "latency_ms", "parent"}
    known = set(result.table["key"]) | {""}
    assert set(result.table["parent"]) <= known


def test_edge_lowers_flops_and_parameters():
    space = GraphSpace([start()])
    result = search(space, same_score, starts=space.starts, budget=150, goal="edge", settings={"children": 30, "k": 4})
    begin, best = result.scored[0], result.best[0]
    assert best.cost.flops < 0.7 * begin.cost.flops and best.cost.params < begin.cost.params and best.score == 1.0


def test_limits_are_kept_also_where_the_start_breaks_them():
    graph = start()
    limits = Limits(flops=0.7 * total_flops(graph), params=55_000)
    space = GraphSpace([graph])
    result = search(space, lambda ps: [p.graph.params for p in ps], starts=space.starts, budget=240, limits=limits,
                    settings={"children": 40, "k": 5})  # fmt: skip
    assert result.best and all(s.cost.flops <= limits.flops and s.cost.params <= 55_000 for s in result.best)
    assert not result.table["pareto"].iloc[0]
    slightly = Limits(flops=1.05 * total_flops(graph))
    tight = search(space, lambda ps: [p.graph.params for p in ps], starts=space.starts, budget=60,
                   limits=slightly, settings={"children": 20})  # fmt: skip
    assert tight.table["flops"].max() <= 1.05 * total_flops(graph)


def test_latency_is_measured_from_the_best_on_until_enough_are_quick(monkeypatch):
    from nasviz.search import hunt as module

    times = {}
    monkeypatch.setattr(
        module, "measured_latency", lambda graph: times.setdefault(len(times), float(graph.params)) / 1000
    )
    space = GraphSpace([start()])
    result = search(space, lambda ps: [p.graph.params for p in ps], starts=space.starts, budget=40,
                    limits=Limits(latency_ms=85.0), settings={"iterations": 1, "children": 40, "k": 3})  # fmt: skip
    quick = [s for s in result.scored[1:] if s.latency_ms is not None and s.latency_ms <= 85]
    assert 0 < len(times) < 40 and len(quick) <= 3
    assert {s.key for s in quick} == {s.key for s in result.scored[1:] if s.value > -np.inf}


def test_arguments_are_checked():
    space = GraphSpace([start()])
    for wrong, sentence in [
        ({"method": "magic"}, "known methods are top-k, random"),
        ({"budget": 0}, "from 1 on"),
        ({"method": "top-k"}, "begins with a network"),
        ({"method": "random", "goal": "edge"}, "begins with a network"),
        ({"method": "random", "goal": "fast"}, "is not a valid Goal"),
        ({"method": "random", "costs": False, "limits": Limits(flops=1)}, "need the candidates' costs"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            search(space, same_score, **wrong)
    with pytest.raises(ValueError, match="above 0"):
        Limits(flops=-1)
    with pytest.raises(ValueError, match="give at least one"):
        GraphSpace([])


# --- goals ------------------------------------------------------------------------------------------------------------


def test_the_pareto_front_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(30):
        score, cost = rng.integers(0, 6, (2, 25)).astype(float)
        score[0] = np.nan
        beaten = [
            any(s >= a and c <= b and (s > a or c < b) for s, c in zip(score, cost, strict=True))
            for a, b in zip(score, cost, strict=True)
        ]
        expected = ~np.array(beaten) & ~np.isnan(score)
        assert (pareto(score, cost) == expected).all()


def test_the_best_for_balanced_are_spread_over_the_front():
    scored = [Scored(None, str(i), 1 + i / 10, Cost(100 + 10 * i, 1)) for i in range(11)]
    scored += [Scored(None, "below", 0.9, Cost(1, 1)), Scored(None, "beaten", 1.0, Cost(500, 1))]
    judge = Judge(Goal.balanced, floor=1.0, flops=500)
    for each in scored:
        each.value = judge.value(each)
    assert [each.key for each in judge.best(scored, 3)] == ["10", "5", "0"]
    assert [each.key for each in judge.best(scored, 13)][-2:] == ["beaten", "below"]
    judge.flops = 150  # what costs more comes later, the cheaper the earlier
    assert [each.key for each in judge.best(scored, 8)] == ["5", "4", "3", "2", "1", "0", "6", "7"]


# --- spaces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_in_a_familys_space_stay_in_it(name):
    family = nv.families.get(name)
    space, rng = FamilySpace(family, "digits"), Random(0)
    arch = space.sample(rng)
    seen = {space.key(arch)}
    for _ in range(6):
        step = space.mutate(arch, rng)
        assert step != arch and family.parse(family.format(step)) == step
        old, new = dict(parts(arch)), dict(parts(step))
        arch = step
        seen.add(space.key(arch))
        assert set(old) & set(new)
    assert len(seen) > 3 and len(space.neighbours(arch, rng)) > 3


def test_a_graft_puts_a_part_where_one_was():
    assert grafted(((1, 2), 3), (0, 1), 9) == ((1, 9), 3)
    with pytest.raises(TypeError):
        grafted(((1, 2), 3), (0,), 9)


def test_in_a_whole_table_a_step_changes_one_operation():
    names = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    family = nv.families.get("nb201")
    texts = [family.format(ops) for ops in product(names, repeat=6)]
    bench = nv.benchmarks.from_table(pd.DataFrame({"arch": texts, "accuracy": 0.5}), "nb201")
    space = TableSpace(bench, neighbours=18)
    for row in (0, 100, 4095):
        here = family.parse(space.key(row))
        steps = [family.parse(space.key(i)) for i in space.neighbours(row, Random(0))]
        assert len(set(steps)) == 18 and all(sum(a != b for a, b in zip(here, s, strict=True)) == 1 for s in steps)


# --- predictors -------------------------------------------------------------------------------------------------------


class Told:
    """A predictor whose answers depend on whom it ranks together, but whose accuracy does not."""

    def score(self, graphs):
        flops = np.array([float(total_flops(graph)) for graph in graphs])
        return pd.DataFrame({"score": flops - flops.mean(), "accuracy": flops / 1e9})


def test_what_can_be_compared_between_batches_is_preferred():
    space = FamilySpace(nv.families.get("nb201"), "digits")
    archs = nv.families.get("nb201").sample(4, seed=0)
    scorer = predictor_scorer(Told(), space)
    assert scorer(archs)[0] == scorer(archs[:2])[0]
    relative = predictor_scorer(Told(), space, "score")
    assert relative(archs)[0] != relative(archs[:2])[0]
    with pytest.raises(ValueError, match="has score, accuracy"):
        predictor_scorer(Told(), space, "rank")(archs)
