"""Every learner of the tables: it fills its rows, reads no label of a target but those it is tuned on, and repeats."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from nasviz.benchmarks import Benchmark
from nasviz.graph.cost import total_flops
from nasviz.predict.ensemble import partition
from nasviz.predict.nasviz import NasvizSettings
from nasviz.predict.tables import TABLES, available
from nasviz.predict.tables_baselines import COSTS, PROXY_ROWS, ForestLearner, ProxyLearner
from nasviz.predict.tables_methods import CellLearner, EnsembleLearner, GNNLearner, NasvizLearner, Target, learners_for
from nasviz.predict.tables_run import Budget

CHOSEN, REST = np.arange(0, 24, 3), np.setdiff1d(np.arange(24), np.arange(0, 24, 3))


@pytest.fixture(scope="module")
def learners(tiny):
    paper = replace(tiny, members=("CL+T", "CL+Pairwise", "k-GNN", "FLOPs"))
    return {
        "GENNAPE": EnsembleLearner("GENNAPE", paper, "GENNAPE"),
        "Nasviz": NasvizLearner(
            NasvizSettings(networks=1, width=8, layers=2, epochs=2, rounds=10, tune_epochs=2, n_clusters=2)
        ),
        "CL": EnsembleLearner("CL", replace(tiny, members=("CL",))),
        "GIN": GNNLearner("GIN", 1, 1),
        "costs": COSTS,
        "proxies": ProxyLearner(("Jacov", "NASWOT"), networks=6, size=4),
        "forest": ForestLearner(),
    }


ROWS = {
    "GENNAPE": ("GENNAPE", "CL+T", "CL+Pairwise", "k-GNN"), "CL": ("CL",), "GIN": ("GIN",),
    "Nasviz": ("Nasviz",), "costs": ("FLOPs", "params"), "proxies": ("Jacov", "NASWOT"),
    "forest": ("random forest",),
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted(learners, nb101, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learners")
    return {name: learner.fit(Target(nb101), 0, folder) for name, learner in learners.items()}


def scores(fitted, target, rows):
    return {row: ranking.scores for row, ranking in fitted.rank(target, rows).items()}


@pytest.mark.parametrize("name", ROWS)
def test_a_target_s_labels_are_read_by_tuning_alone_and_only_those_given(name, learners, fitted, nb201, relabelled):
    learner, before = learners[name], fitted[name]
    assert learner.rows == ROWS[name] == tuple(before.rank(Target(nb201), REST))
    target = Target(nb201)
    poisoned = Target(relabelled(nb201, REST, np.linspace(1, 0, len(REST))))
    said, tuned = scores(before, target, REST), scores(before.tune(target, CHOSEN, 0), target, REST)
    for row in learner.rows:
        np.testing.assert_array_equal(scores(before, poisoned, REST)[row], said[row])
        np.testing.assert_array_equal(scores(before.tune(poisoned, CHOSEN, 0), poisoned, REST)[row], tuned[row])
        np.testing.assert_array_equal(scores(before, target, REST)[row], said[row], "tuning changed the learner")
    changes = {"GENNAPE", "Nasviz", "CL", "GIN", "forest"}
    assert all(np.array_equal(said[row], tuned[row]) for row in learner.rows) == (name not in changes)


def test_the_training_benchmark_s_held_out_labels_are_not_read(learners, fitted, nb101, nb201, relabelled, tmp_path):
    held_out = partition(nb101)["rows"]["validation 2"]
    poisoned = relabelled(nb101, held_out, np.linspace(1, 0, len(held_out)))
    target = Target(nb201)
    for name, learner in learners.items():
        again = learner.fit(Target(poisoned), 0, tmp_path)
        for row, said in scores(again, target, REST).items():
            np.testing.assert_array_equal(said, scores(fitted[name], target, REST)[row])


def test_costs_are_those_of_the_graphs(fitted, nb201):
    ranking = fitted["costs"].rank(Target(nb201), REST)
    graphs = [nb201.graphs()[row] for row in REST]
    assert ranking["FLOPs"].scores.tolist() == [total_flops(graph) for graph in graphs]
    assert ranking["params"].scores.tolist() == [graph.params for graph in graphs]
    assert ranking["params"].accuracy is None


def test_methods_that_predict_accuracies_say_so(fitted, nb201):
    for name in ("GENNAPE", "Nasviz", "CL", "GIN", "forest"):
        for row, ranking in fitted[name].rank(Target(nb201), REST).items():
            if row == "CL+Pairwise":
                assert ranking.accuracy is None, "it compares"
            else:
                assert ranking.accuracy.min() >= 0 and ranking.accuracy.max() <= 1
                if row not in ("GENNAPE", "Nasviz"):
                    assert spearmanr(ranking.scores, ranking.accuracy).statistic > 0.99


def test_proxies_are_of_the_same_few_networks_whatever_is_left(fitted, nb201):
    target = Target(nb201)
    everybody = fitted["proxies"].rank(target, target.rows)["Jacov"]
    assert len(everybody.rows) == 6
    rest = fitted["proxies"].rank(target, REST)["Jacov"]
    assert set(rest.rows) == set(everybody.rows) & set(REST)
    ours = dict(zip(everybody.rows, everybody.scores, strict=True))
    assert rest.scores.tolist() == [ours[row] for row in rest.rows]


def test_the_folds_are_those_of_everybody(nb101):
    strict = Benchmark("strict", nb101.table, {"min_accuracy": float(nb101.table["accuracy"].quantile(0.2))}, "digits")
    rows = partition(strict)["rows"]
    assert list(rows) == list(Target(strict).fold_rows)
    for name, ours in Target(strict).fold_rows.items():
        np.testing.assert_array_equal(ours, rows[name])


def test_every_row_of_every_table_can_be_filled(nb101):
    have = {row for learner in available(nb101, Budget()) for row in learner.rows} | set(PROXY_ROWS)
    for number, table in TABLES.items():
        assert set(table.rows) <= have, number


def test_predictors_of_cells_rank_cells_and_nothing_else(nb101, nb201, tmp_path):
    learner = CellLearner("BANANAS", 1)
    fitted = learner.fit(Target(nb101), 0, tmp_path)
    ranking = fitted.rank(Target(nb101), np.array([3, 1]))["BANANAS"]
    own = fitted.predictor.predict(nb101.table.arch)
    np.testing.assert_allclose(ranking.scores, own[[3, 1]], rtol=1e-6)
    assert fitted.tune(Target(nb101), CHOSEN, 0) is fitted and fitted.rank(Target(nb201), REST) == {}
    with pytest.raises(ValueError, match="reads cells of nb101 alone"):
        learner.fit(Target(nb201), 0, tmp_path)
    assert not any(isinstance(learner, CellLearner) for learner in available(nb201, Budget()))


def test_only_the_learners_that_are_needed_are_taken(learners):
    assert learners_for(["CL", "params"], list(learners.values())) == [learners["CL"], learners["costs"]]


def test_a_target_is_embedded_once(fitted, nb201, monkeypatch):
    from nasviz.predict import population

    seen, original = [], population.embed
    monkeypatch.setattr(
        population, "embed", lambda encoder, dataset: seen.append(len(dataset)) or original(encoder, dataset)
    )
    target = Target(nb201)
    fitted["CL"].rank(target, target.rows)
    fitted["CL"].tune(target, CHOSEN, 0).rank(target, REST)
    assert seen == [24]
