"""The protocol: its table by hand, draws that are the same for everybody and never evaluated on, and its summary."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from nasviz.graph.cost import total_flops
from nasviz.predict import protocol
from nasviz.predict.ensemble import Gennape, Settings, partition
from nasviz.predict.nasviz import Nasviz, NasvizSettings

COLUMNS = ["benchmark", "setting", "method", "seed", "draw", "srcc", "kendall", "ndcg@10", "ndcg@50", "mae"]
METHODS = ["CL+FCM+T", "CL", "CL+FCM+Pairwise", "k-GNN", "FLOPs", "GENNAPE", "params"]
KEY = COLUMNS[:5]


@pytest.fixture(scope="module")
def others(nb201):
    """The target under another name."""
    bench = nb201.subset(slice(None))
    bench.name = "others"
    return bench


@pytest.fixture(scope="module")
def results(model, nb101, others) -> pd.DataFrame:
    tables = [protocol.in_domain(model, nb101)]
    tables.append(protocol.transfer(model, others, draws=range(3), labels=8, progress=False))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def tunings(monkeypatch):
    """The models that are tuned from here on, and the networks and labels they are tuned on."""
    seen, original = [], Gennape.fine_tune

    def fine_tune(self, population, accuracy, **options):
        tuned = original(self, population, accuracy, **options)
        seen.append((tuned, population, accuracy))
        return tuned

    monkeypatch.setattr(Gennape, "fine_tune", fine_tune)
    return seen


@pytest.fixture
def evaluated(monkeypatch):
    """Setting, networks and labels of every evaluation from here on."""
    seen, original = [], protocol._measure

    def measure(bench, model, fold, params, setting, number=-1):
        seen.append((setting, fold))
        return original(bench, model, fold, params, setting, number)

    monkeypatch.setattr(protocol, "_measure", measure)
    return seen


# The table


def test_a_row_for_every_measurement(results):
    assert results.columns.tolist() == COLUMNS
    counted = results.groupby(["benchmark", "setting"]).size().to_dict()
    assert counted == {("tiny:nb101", "in-domain"): 7, ("others", "zero-shot"): 7, ("others", "fine-tuned"): 21}
    assert sorted(results["method"].unique()) == sorted(METHODS)
    assert not results.duplicated(KEY).any()
    tuned = results[results["setting"] == "fine-tuned"]
    assert set(zip(tuned["draw"], tuned["seed"], strict=True)) == {(0, 0), (1, 0), (2, 0)}
    assert (results.loc[results["setting"] != "fine-tuned", "draw"] == -1).all()
    assert results[["srcc", "kendall"]].abs().max(axis=None) <= 1 and results["ndcg@10"].between(0, 1).all()
    without = results["method"].isin(["FLOPs", "params", "CL+FCM+Pairwise"])
    assert results.loc[without, "mae"].isna().all() and results.loc[~without, "mae"].between(0, 1).all()


def test_the_baselines_are_scipys(results, others, nb101):
    def row(setting, method):
        return results.set_index(KEY).xs((setting, method, 0, -1), level=["setting", "method", "seed", "draw"]).iloc[0]

    graphs, accuracy = others.graphs(), others.table["accuracy"]
    for method, size in (("FLOPs", total_flops), ("params", lambda graph: graph.params)):
        sizes = [size(graph) for graph in graphs]
        assert row("zero-shot", method)["srcc"] == pytest.approx(spearmanr(sizes, accuracy).statistic)
        assert row("zero-shot", method)["kendall"] == pytest.approx(kendalltau(sizes, accuracy).statistic)
    held_out = partition(nb101)["rows"]["validation 2"]
    params = [nb101.graphs()[i].params for i in held_out]
    expected = spearmanr(params, nb101.table["accuracy"][held_out]).statistic
    assert row("in-domain", "params")["srcc"] == pytest.approx(expected)


def test_the_measures_are_those_of_the_models_scores(nb101, others, model):
    table = protocol.transfer(model, others, draws=[], progress=False).set_index("method")
    scores, accuracy = model.score(others.graphs()), others.table["accuracy"]
    assert table.loc["GENNAPE", "srcc"] == pytest.approx(spearmanr(scores["score"], accuracy).statistic)
    assert table.loc["GENNAPE", "mae"] == pytest.approx((scores["accuracy"] - accuracy).abs().mean())
    assert table.loc["CL", "mae"] == pytest.approx((scores["CL"].clip(0, 1) - accuracy).abs().mean())
    assert (table[["setting", "seed", "draw"]] == ["zero-shot", 0, -1]).all(axis=None)


# What must not be seen


def test_the_drawn_are_never_evaluated_on_and_the_same_for_every_model(model, others, tiny, nb101, tunings, evaluated):
    other = Gennape.pretrain(nb101, settings=tiny, seed=1, encoder=model.encoder, progress=False)
    drawn = []
    for ranker in (model, other):
        del tunings[:], evaluated[:]
        protocol.transfer(ranker, others, draws=range(3), labels=8, progress=False)
        (_, everybody), *rests = evaluated
        row = {id(data): row for row, data in enumerate(everybody.population.dataset)}
        drawn.append([[row[id(data)] for data in population.dataset] for _, population, _ in tunings])
        for chosen, (setting, fold) in zip(drawn[-1], rests, strict=True):
            rest = [row[id(data)] for data in fold.population.dataset]
            assert setting == "fine-tuned" and len(chosen) == 8 and sorted(chosen + rest) == [*range(24)]
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[0][1] != drawn[0][2]


def test_labels_of_the_rest_of_a_target_are_never_learned_from(model, others, relabelled, tunings, learned):
    before = learned(model)
    clean = protocol.transfer(model, others, draws=[0], labels=8, progress=False)
    chosen, rest = protocol.draw(24, 8, 0)
    poisoned = relabelled(others, rest, np.linspace(1, 0, len(rest)))
    other = protocol.transfer(model, poisoned, draws=[0], labels=8, progress=False)
    (ours, _, labels), (theirs, _, _) = tunings
    np.testing.assert_array_equal(labels, others.table["accuracy"].to_numpy()[chosen])
    assert learned(ours) == learned(theirs) and ours.weights == theirs.weights
    assert learned(model) == before
    assert not np.allclose(clean["srcc"], other["srcc"]), "they are what is evaluated on"


# Summary


def test_the_summary_is_mean_and_standard_deviation():
    results = pd.DataFrame(
        {
            "benchmark": "b", "setting": "zero-shot", "method": ["A", "A", "A", "B", "C"],
            "seed": [0, 1, 2, 0, 0], "draw": -1, "srcc": [0.5, 0.6, 0.7, 0.9, 0.25], "kendall": 0.5,
            "ndcg@10": [0.1, 0.2, 0.3, 0.4, 0.5], "ndcg@50": 0.1, "mae": [0.01, 0.02, 0.03, np.nan, 0.005],
        }
    )  # fmt: skip
    table = protocol.summary(results)
    assert table.columns.tolist() == ["srcc", "kendall", "ndcg@10", "mae (%)", "runs"]
    assert table.index.tolist() == [("b", "zero-shot", method) for method in "ABC"]
    assert table.loc["b", "zero-shot", "A"].tolist() == ["0.600 ± 0.100", "0.500", "0.200 ± 0.100", "2.000 ± 1.000", 3]
    assert table["mae (%)"].tolist()[1:] == ["–", "0.500"] and table["runs"].tolist() == [3, 1, 1]
    assert protocol.summary(results, ["ndcg@50"]).columns.tolist() == ["ndcg@50", "runs"]


def test_a_real_table_is_summed_up(results):
    table = protocol.summary(results)
    assert len(table) == 21 and table["runs"].tolist() == [1] * 14 + [3] * 7
    srcc = results.query("setting == 'fine-tuned' and method == 'CL'")["srcc"]
    assert table.loc["others", "fine-tuned", "CL"]["srcc"] == f"{srcc.mean():.3f} ± {srcc.std():.3f}"
    assert "±" not in table.loc["others", "zero-shot", "FLOPs"]["srcc"], "there is one"


# Rankings for the dashboard


def test_every_family_is_ranked_before_and_after_it_was_learned_from(bench, nb101):
    settings = NasvizSettings(networks=1, width=8, layers=2, epochs=2, rounds=5, tune_epochs=2, n_clusters=2)
    ranker, seen = Nasviz.pretrain(nb101, settings=settings, progress=False), []
    fine_tune = ranker.fine_tune
    ranker.fine_tune = lambda *given, **options: seen.append(given[1]) or fine_tune(*given, **options)
    table = protocol.rankings(bench, ranker, labels=8, progress=False)
    assert table.groupby(["family", "variant"]).size().to_dict() == {
        ("nb101", "fine-tuned"): 28, ("nb101", "zero-shot"): 28, ("nb201", "fine-tuned"): 16, ("nb201", "zero-shot"): 16
    }  # fmt: skip
    both = ["score", "predicted_accuracy", "FLOPs", "params", "macs"]
    assert table[both].notna().all(axis=None) and not {"novelty", "low", "membership_0"} & set(table)
    alone = table.groupby("variant")[["GNN", "capacity", "forest"]].count().astype(bool)
    assert alone.loc["zero-shot"].tolist() == [True, True, False]
    assert alone.loc["fine-tuned"].tolist() == [False, False, True]
    accuracy = bench.table.set_index(["family", "arch"])["accuracy"]
    assert (accuracy.loc[list(zip(table["family"], table["arch"], strict=True))].to_numpy() == table["accuracy"]).all()
    for family, labels in zip(bench.families, seen, strict=True):
        left_out = accuracy.loc[family].drop(table.query("family == @family")["arch"].unique())
        assert sorted(left_out) == sorted(labels), "what it learned from is ranked in neither variant"


def test_settings_for_small_benchmarks_are_settings():
    assert isinstance(protocol.small(), Settings)
