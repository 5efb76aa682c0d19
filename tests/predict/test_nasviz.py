"""The project's own predictor: scores, fine-tuning, files, and that nothing is learned from what must not be seen."""

import json

import numpy as np
import pytest
from scipy.stats import rankdata

from nasviz.benchmarks import Benchmark
from nasviz.predict.anatomy import CAPACITY, Anatomy
from nasviz.predict.ensemble import partition
from nasviz.predict.explain import explain_layers, explain_structure, without
from nasviz.predict.folding import fold
from nasviz.predict.metrics import srcc
from nasviz.predict.nasviz import Nasviz, NasvizSettings
from nasviz.predict.structure import structural_features
from nasviz.predict.trees import Trees

QUICK = NasvizSettings(networks=2, width=8, layers=2, epochs=3, rounds=30, tune_epochs=2, n_clusters=2)


@pytest.fixture(scope="module")
def model(nb101) -> Nasviz:
    return Nasviz.pretrain(nb101, settings=QUICK, progress=False)


@pytest.fixture(scope="module")
def tuned(model, nb201) -> Nasviz:
    return model.fine_tune(nb201.graphs()[:12], nb201.table["accuracy"][:12], seed=1)


def everything(model: Nasviz, folder) -> dict[str, bytes]:
    """All that a model learned, by file."""
    model.save(folder)
    document = json.loads((folder / "model.json").read_text())
    return {
        "weights": (folder / "weights.safetensors").read_bytes(),
        "trees": (folder / "trees.txt").read_bytes(),
        "transform": json.dumps(document["transform"]).encode(),
    }


def test_the_columns_of_a_score(model, nb201):
    scores = model.score(nb201.graphs())
    assert scores.columns.tolist() == [
        "score", "accuracy", "low", "high", "GNN", "trees", "capacity", "membership_0", "membership_1", "novelty",
        "trust",
    ]  # fmt: skip
    assert len(scores) == 24 and scores.notna().all(axis=None) and scores.index.tolist() == [*range(24)]
    assert (scores["low"] <= scores["accuracy"]).all() and (scores["accuracy"] <= scores["high"]).all()
    assert scores["trust"].between(0, 1).all() and (scores["novelty"] > 0).all()


def test_the_score_is_its_formula(model, nb201):
    anatomy = Anatomy.of(nb201.graphs())
    scores, experts = model.score(anatomy), model.experts(anatomy)

    def r(values):
        return (rankdata(values) - 0.5) / len(values)

    trust = np.minimum(1, model.space.usual_ / scores["novelty"]) ** 2
    capacity = np.mean([r(anatomy.features[name]) for name in CAPACITY], axis=0)
    home = experts["GNN"] * model.stack[0] + experts["trees"] * model.stack[1]
    gamma = min(1, model.space.usual_ / scores["novelty"].median()) ** 2
    expected = gamma * (gamma * r(home) + (1 - gamma) * r(experts["trees"])) + (1 - gamma) * r(capacity)
    np.testing.assert_allclose(scores["score"], expected)
    np.testing.assert_allclose(scores["trust"], trust)
    np.testing.assert_allclose(experts["GNN"], (experts["GNN_0"] + experts["GNN_1"]) / 2)


def test_networks_stay_in_their_place(model, nb201):
    graphs = nb201.graphs()
    np.testing.assert_allclose(model.score(graphs[::-1])[::-1], model.score(graphs), atol=1e-5)
    alone = model.score(graphs[3:4])
    np.testing.assert_allclose(alone["accuracy"], model.score(graphs)["accuracy"][3:4], atol=1e-5)
    twins = model.score([graphs[0]] * 3)
    assert twins["score"].nunique() == 1 and twins.notna().all(axis=None)


def test_same_seed_same_model_and_a_part_is_the_same_as_its_networks(nb101, nb201, model, tmp_path):
    again = Nasviz.pretrain(nb101, settings=QUICK, progress=False)
    assert everything(model, tmp_path / "a") == everything(again, tmp_path / "b")
    other = Nasviz.pretrain(nb101, settings=QUICK, seed=1, progress=False)
    assert everything(model, tmp_path / "a")["weights"] != everything(other, tmp_path / "c")["weights"]
    whole = Anatomy.of(nb201.graphs())
    model.score(whole)
    alone = model.score([nb201.graphs()[i] for i in (4, 2)])
    np.testing.assert_allclose(model.score(whole.take([4, 2])), alone, atol=1e-5)


def test_no_label_of_validation_reaches_a_fit(nb101, relabelled, model, tmp_path):
    rows = partition(nb101)["rows"]
    ours = everything(model, tmp_path / "ours")
    test_set = relabelled(nb101, rows["validation 2"], np.linspace(0.1, 0.9, len(rows["validation 2"])))
    assert everything(Nasviz.pretrain(test_set, settings=QUICK, progress=False), tmp_path / "two") == ours
    watched = relabelled(nb101, rows["validation 1"], np.linspace(0.1, 0.9, len(rows["validation 1"])))
    theirs = Nasviz.pretrain(watched, settings=QUICK, progress=False)
    assert everything(theirs, tmp_path / "one")["trees"] == ours["trees"]
    assert theirs.transform.to_dict() == model.transform.to_dict()
    for one, two in zip(theirs.networks, model.networks, strict=True):
        assert all((a == b).all() for a, b in zip(one.parameters(), two.parameters(), strict=True))
    np.testing.assert_array_equal(theirs.space.mean_, model.space.mean_)
    assert theirs.spread.tolist() != model.spread.tolist()  # the intervals are calibrated on it, and nothing else


def test_networks_that_are_too_inaccurate_are_left_out(nb101):
    card = nb101.card | {"min_accuracy": float(nb101.table["accuracy"].median())}
    half = Benchmark("half", nb101.table, card, nb101.scale)
    with pytest.raises(ValueError, match="at least 20"):
        Nasviz.pretrain(half, settings=QUICK, progress=False)


def test_fine_tuning_makes_a_new_model_that_learned(model, tuned, nb201, tmp_path):
    before = everything(model, tmp_path / "before")
    accuracy = nb201.table["accuracy"].to_numpy()
    scores = tuned.score(nb201.graphs()[12:])
    assert everything(model, tmp_path / "after") == before and model.few_shot is None
    assert {"process", "process on embedding", "process of accuracy", "forest", "tuned GNN_0"} <= {*scores}
    assert srcc(scores["score"].to_numpy(), accuracy[12:]) > 0.6
    assert tuned.card["fine_tuned_on"] == 12
    again = model.fine_tune(nb201.graphs()[:12], accuracy[:12], seed=1).score(nb201.graphs()[12:])
    np.testing.assert_allclose(again, scores, atol=1e-6)


def test_fine_tuning_sees_no_other_label(model, tuned, nb201, relabelled):
    other = relabelled(nb201, range(12, 24), np.linspace(0, 1, 12))
    theirs = model.fine_tune(other.graphs()[:12], other.table["accuracy"][:12], seed=1)
    np.testing.assert_allclose(theirs.score(nb201.graphs()), tuned.score(nb201.graphs()), atol=1e-6)


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        ([0.5] * 12, "different accuracy"),
        ([0.1, 0.2, 0.3], "same networks"),
        ([0.1] * 11 + [np.nan], "finite"),
        ([90.0] * 12, "fractions"),
    ],
)
def test_labels_that_teach_nothing_are_refused(model, nb201, accuracy, words):
    with pytest.raises(ValueError, match=words):
        model.fine_tune(nb201.graphs()[:12], accuracy)


@pytest.mark.parametrize(("graphs", "kind"), [([], ValueError), (7, TypeError), ([1], TypeError)])
def test_what_are_no_networks_is_refused(model, graphs, kind):
    with pytest.raises(kind, match="ComputeGraph"):
        model.score(graphs)


@pytest.mark.parametrize("which", ["model", "tuned"])
def test_a_saved_model_scores_the_same(which, request, nb201, tmp_path):
    ours = request.getfixturevalue(which)
    theirs = Nasviz.load(ours.save(tmp_path / "model"))
    np.testing.assert_allclose(theirs.score(nb201.graphs()), ours.score(nb201.graphs()), atol=1e-6)
    assert theirs.card == ours.card and theirs.settings == ours.settings


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("weights.safetensors", lambda data: data[:-7], "damaged"),
        ("trees.txt", lambda data: data.replace(b"num_leaves=1", b"num_leaves=9"), "damaged"),
        ("model.json", lambda data: data[:50], "no model that can be read"),
        ("model.json", lambda data: b"", "no model that can be read"),
        ("model.json", lambda data: data.replace(b'"format_version": ', b'"format_version": 99'), "version 99"),
        ("model.json", lambda data: data.replace(b'"model": "Nasviz"', b'"model": "Gennape"'), "another kind"),
        ("model.json", lambda data: b"[1]", "no model that can be read"),
        ("trees.txt", None, "missing"),
    ],
)
def test_a_broken_model_is_told_in_one_sentence(model, tmp_path, name, change, words):
    folder = model.save(tmp_path / "model")
    if change:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    else:
        (folder / name).unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        Nasviz.load(folder)
    assert "\n" not in str(caught.value)


def test_leaving_a_node_out_joins_its_neighbours(nb201):
    folded = fold([nb201.graphs()[1]])
    removed = np.array([2, 5, len(folded.nodes) - 2])
    variants = without(folded, removed)
    assert len(variants) == 3 and np.diff(variants.start).tolist() == [len(folded.nodes) - 1] * 3
    whole, less = structural_features(folded), structural_features(variants)
    for row, node in enumerate(removed):
        kind = folded.nodes["kind"].iloc[node]
        assert (variants.take([row]).nodes["kind"] == kind).sum() == (folded.nodes["kind"] == kind).sum() - 1
    assert (less["total layers"] == whole["total layers"][0] - 1).all()
    assert (less["longest layers"] >= whole["longest layers"][0] - 1).all()
    source, target = variants.edges.T
    assert (source < target).all() and (np.diff(target) >= 0).all()


def test_effects_of_layers_are_differences_of_predictions(model, nb201):
    graph = nb201.graphs()[1]
    table = explain_layers(model, graph)
    assert (table["layer"] == [graph.nodes[i].layer for i in table["node"]]).all()
    folded = fold([graph])
    row = table.index[-1]
    position = folded.origin.tolist().index(table["node"][row])
    base = model.score(Anatomy.of(folded))["accuracy"][0]
    rest = model.score(Anatomy.of(without(folded, np.array([position]))))["accuracy"][0]
    assert table["effect"][row] == pytest.approx(base - rest, abs=1e-6)


def test_effects_of_features_sum_to_what_the_trees_predict(model, nb201):
    graph = nb201.graphs()[0]
    effects, features = explain_structure(model, graph), Anatomy.of([graph]).features
    base = model.trees.contributions(features)["base"][0]
    predicted = model.trees.predict(features)[0]
    assert base + effects.sum() / model.transform.std_ == pytest.approx(predicted, abs=1e-6)
    assert effects.abs().is_monotonic_decreasing


def test_text_that_is_no_trees_is_refused():
    with pytest.raises(ValueError, match="no model of LightGBM"):
        Trees.from_text("nonsense", ["a"])
