"""GENNAPE: scores, weights, fine-tuning, resuming; and that nothing is learned from what must not be seen."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from torch import nn

from nasviz.benchmarks import Benchmark
from nasviz.graph.cost import total_flops
from nasviz.predict import contrastive
from nasviz.predict.checks import settings_from_dict
from nasviz.predict.ensemble import MEMBERS as EVERY_MEMBER
from nasviz.predict.ensemble import Gennape, Settings, _standardised, partition
from nasviz.predict.population import Population

MEMBERS = ["CL+FCM+T", "CL", "CL+FCM+Pairwise", "k-GNN", "FLOPs"]
PREDICTING = ["CL+FCM+T", "CL", "k-GNN"]
TRAINED = set(MEMBERS) - {"FLOPs"}
TRANSFORMS = {f"{name} transform" for name in PREDICTING}


@pytest.fixture(scope="module")
def scores(model, nb201) -> pd.DataFrame:
    return model.score(nb201.graphs())


@pytest.fixture(scope="module")
def few(nb201):
    """Twelve labelled networks of another family."""
    return Population.of(nb201.graphs()[:12]), nb201.table["accuracy"].to_numpy()[:12]


@pytest.fixture(scope="module")
def tuned(model, few) -> Gennape:
    return model.fine_tune(*few, seed=1)


def changed(ours: dict[str, bytes], theirs: dict[str, bytes]) -> set[str]:
    """Parts of two models that differ in any bit: "encoder", "space" or the name of a member."""
    assert ours.keys() == theirs.keys() and len(ours) > 20
    return {name.removeprefix("member.").split(".")[0] for name in ours if ours[name] != theirs[name]}


# Scores


def test_the_columns_of_a_score(scores):
    assert scores.columns.tolist() == ["score", "accuracy", *MEMBERS, "membership_0", "membership_1", "novelty"]
    assert len(scores) == 24 and scores.notna().all(axis=None) and scores.index.tolist() == [*range(24)]
    np.testing.assert_allclose(scores[["membership_0", "membership_1"]].sum(axis=1), 1)
    assert scores["accuracy"].between(0, 1).all() and (scores["novelty"] > 0).all()


def test_the_score_is_the_mean_of_the_standardised_members(scores, model):
    assert model.weights == dict.fromkeys(MEMBERS, 0.2)
    z = (scores[MEMBERS] - scores[MEMBERS].mean()) / scores[MEMBERS].std(ddof=0)
    np.testing.assert_allclose(scores["score"], z.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(scores["accuracy"], scores[PREDICTING].mean(axis=1))


def test_members_score_as_they_predict(scores, model, nb201):
    population = Population.of(nb201.graphs())
    for name in MEMBERS:
        np.testing.assert_allclose(scores[name], model.members[name].predict(population))
    np.testing.assert_allclose(10 ** scores["FLOPs"], [total_flops(graph) for graph in nb201.graphs()])


def test_networks_stay_in_their_place(scores, model, nb201):
    graphs = nb201.graphs()
    backwards = model.score(graphs[::-1])
    np.testing.assert_allclose(backwards[::-1], scores, atol=1e-5)
    alone = model.score(graphs[3:4])
    assert alone["score"].tolist() == [0], "one network is the mean of its population"
    np.testing.assert_allclose(alone["accuracy"], scores["accuracy"][3:4], atol=1e-5)


def test_members_that_agree_on_everything_do_not_divide_by_zero(model, nb201):
    twins = model.score([nb201.graphs()[0]] * 3)
    assert twins.notna().all(axis=None) and np.ptp(twins["score"]) < 1e-9


@pytest.mark.parametrize("values", [[0.7, 0.7], [0.7, 0.7 + 1e-7, 0.7 - 1e-7], [0.0, 0.0], [-3e8, -3e8 - 32], [5.0]])
def test_rounding_is_no_difference_between_networks(values):
    """Standardising what only rounding sets apart would make it as large as a real difference."""
    assert _standardised(pd.DataFrame({"a": values}))["a"].tolist() == [0] * len(values)


def test_a_small_difference_is_one():
    scaled = _standardised(pd.DataFrame({"a": [0.70001, 0.70003], "b": [3e-9, 1e-9], "same": 0.3}))
    np.testing.assert_allclose(scaled, [[-1, 1, 0], [1, -1, 0]])


def test_without_a_member_that_predicts_accuracy_there_is_no_accuracy(model, nb201):
    flops = Gennape(
        model.encoder, model.space, {"FLOPs": model.members["FLOPs"]}, {"FLOPs": 1.0}, model.settings, model.card
    )
    scores = flops.score(nb201.graphs())
    assert "accuracy" not in scores
    assert scores["score"].rank().equals(scores["FLOPs"].rank())


# Pretraining


def test_the_model_says_what_it_is(model):
    assert model.card == {
        "benchmark": "tiny:nb101", "families": ["nb101"], "seed": 0, "training_networks": 30, "validation_networks": 3
    }  # fmt: skip
    assert list(model.history) == ["encoder", *MEMBERS[:-1]]
    assert [len(history) for history in model.history.values()] == [2] * 5
    assert "tiny" in repr(model) and "k-GNN 0.20" in repr(model)


def test_one_seed_one_model(model, nb101, tiny, learned):
    assert not changed(learned(Gennape.pretrain(nb101, settings=tiny, progress=False)), learned(model))
    other = Gennape.pretrain(nb101, settings=tiny, seed=1, encoder=model.encoder, progress=False)
    assert changed(learned(other), learned(model)) - {"space"} == TRAINED


@pytest.mark.parametrize(("unit", "expected"), [("median", None), (2.5e6, 2.5e6), (None, 1e9)])
def test_the_unit_of_flops_is_the_cards(nb101, tiny, model, unit, expected):
    card = {"flops_unit": unit} if unit else {}
    bench = Benchmark("unit", nb101.table, card, "digits")
    settings = Settings(members=("CL+T",), head_epochs=1, n_clusters=2)
    trained = Gennape.pretrain(bench, settings=settings, encoder=model.encoder, progress=False)
    expected = expected or np.median(partition(bench)["training"].population.flops)
    assert trained.members["CL+T"].transform.flops_unit == expected


def test_networks_below_the_cards_accuracy_are_left_out(nb101):
    bench = Benchmark("good", nb101.table, {"min_accuracy": 0.58}, "digits")
    rows = np.concatenate(list(partition(bench)["rows"].values()))
    accuracy = nb101.table["accuracy"]
    assert 20 <= len(rows) < 36
    assert sorted(rows) == np.flatnonzero(accuracy >= 0.58).tolist()


def test_a_partition_keeps_rows_networks_and_labels_together(nb101):
    parts = partition(nb101)
    graphs = nb101.graphs()
    assert list(parts) == ["training", "validation 1", "validation 2", "rows"]
    for name, rows in parts["rows"].items():
        np.testing.assert_array_equal(parts[name].accuracy, nb101.table["accuracy"].to_numpy()[rows])
        np.testing.assert_array_equal(parts[name].population.flops, [total_flops(graphs[i]) for i in rows])
    assert sorted(np.concatenate(list(parts["rows"].values()))) == [*range(36)]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stop_at", ["encoder", "k-GNN"])
def test_an_interrupted_pretraining_resumes_to_the_same_model(
    model, nb101, tiny, learned, tmp_path, monkeypatch, stop_at
):
    from nasviz.predict import regressors, training

    calls = []
    where, name = (contrastive, "contrastive_loss") if stop_at == "encoder" else (regressors, "srcc")
    original = getattr(where, name)

    def interrupting(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise Interrupted
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, interrupting)
        with pytest.raises(Interrupted):
            Gennape.pretrain(nb101, settings=tiny, checkpoint=tmp_path, progress=False)
    assert [file.name for file in tmp_path.glob("*.safetensors")]
    epochs, save = [], training._save
    monkeypatch.setattr(training, "_save", lambda *arguments: (epochs.append(arguments[1]["label"]), save(*arguments)))
    resumed = Gennape.pretrain(nb101, settings=tiny, checkpoint=str(tmp_path), progress=False)
    assert not changed(learned(resumed), learned(model))
    assert epochs == {"encoder": ["encoder", "k-GNN", "k-GNN"], "k-GNN": ["k-GNN"]}[stop_at]


# What must not be seen


def test_nothing_is_learned_from_validation_2(model, nb101, nb201, tiny, relabelled, learned):
    """Neither its labels nor its networks: all that was learned has the same bits."""
    rows = partition(nb101)["rows"]["validation 2"]
    poisoned = relabelled(nb101, rows, 1.0)
    poisoned.table.loc[rows, ["family", "arch"]] = nb201.table[["family", "arch"]].iloc[: len(rows)].to_numpy()
    assert partition(poisoned)["validation 2"].accuracy.tolist() == [1.0] * len(rows)
    assert not changed(learned(Gennape.pretrain(poisoned, settings=tiny, progress=False)), learned(model))


def test_labels_of_validation_1_choose_the_epoch_of_a_head_and_nothing_else(model, nb101, tiny, relabelled, learned):
    rows = partition(nb101)["rows"]["validation 1"]
    ours = learned(model)
    models = [Gennape.pretrain(relabelled(nb101, rows, y), settings=tiny, progress=False) for y in (0.0, 1.0)]
    touched = set()
    for other in models:
        theirs = learned(other)
        touched |= {name for name in ours if theirs[name] != ours[name]}
        for name in ("CL", "CL+FCM+T", "CL+FCM+Pairwise"):
            assert other.history[name]["train_loss"].equals(model.history[name]["train_loss"])
    assert touched, "or the test shows nothing"
    heads = ("CL.network", "CL+FCM+T.weights", "CL+FCM+T.biases", "CL+FCM+Pairwise.head", "CL+FCM+Pairwise.compare")
    assert all(name.startswith(tuple(f"member.{name}" for name in heads)) for name in touched)
    assert not any(name.endswith((".shift", ".scale")) for name in touched)


def test_training_labels_are_learned_from(model, nb101, tiny, relabelled, learned):
    """What the two tests above compare would show a leak."""
    rows = partition(nb101)["rows"]["training"]
    other = Gennape.pretrain(relabelled(nb101, rows[:3], 0.9), settings=tiny, progress=False)
    # The encoder and the clusters see no label at all.
    assert changed(learned(other), learned(model)) == TRAINED | TRANSFORMS


def test_scoring_learns_nothing(model, nb201, learned):
    before = learned(model)
    model.score(nb201.graphs())
    assert not changed(learned(model), before)


# Fine-tuning


def test_weights_after_fine_tuning_are_the_softmax_of_kendalls_tau(tuned, few):
    population, accuracy = few
    predictions = tuned.score(population)[MEMBERS]
    tau = np.array([kendalltau(predictions[name], accuracy).statistic for name in MEMBERS])
    expected = np.exp(tau) / np.exp(tau).sum()
    np.testing.assert_allclose([tuned.weights[name] for name in MEMBERS], expected, rtol=1e-6)
    assert sum(tuned.weights.values()) == pytest.approx(1)


def test_fine_tuning_leaves_the_model_as_it_was(model, few, scores, nb201, learned):
    before = learned(model)
    tuned = model.fine_tune(*few)
    assert not changed(learned(model), before)
    pd.testing.assert_frame_equal(model.score(nb201.graphs()), scores)
    assert tuned.card == model.card | {"fine_tuned_on": 12, "fine_tune_seed": 0} and "fine_tuned_on" not in model.card
    theirs = learned(tuned)
    assert changed(theirs, before) == TRAINED, "encoder, clusters and transforms stay"
    assert all(theirs[f"member.{name}.{part}"] == before[f"member.{name}.{part}"]
               for name in MEMBERS[:3] for part in ("shift", "scale"))  # fmt: skip


def test_fine_tuning_repeats_with_its_seed(model, few, tuned, learned):
    assert not changed(learned(model.fine_tune(*few, seed=1)), learned(tuned))
    assert changed(learned(model.fine_tune(*few, seed=2)), learned(tuned)) == TRAINED


def test_equal_labels_give_equal_weights(model, few):
    population, _ = few
    assert list(model.fine_tune(population, [0.5] * 12).weights.values()) == pytest.approx([0.2] * 5)


# Input that does not fit


@pytest.mark.parametrize(
    ("graphs", "accuracy", "error", "says"),
    [
        (slice(0, 12), [0.5] * 11, ValueError, "graphs, accuracy must describe the same networks .* are 12, 11"),
        (slice(0, 12), [0.5] * 11 + [math.nan], ValueError, "accuracy must be finite, but 1 of its 12 rows"),
        (slice(0, 12), [91.2] * 12, ValueError, "divide percentages by 100"),
        (slice(0, 1), [0.5], ValueError, "fine-tuning needs at least two labelled networks; the paper uses 50"),
        (slice(0, 0), [], ValueError, "graphs is empty; give at least one ComputeGraph"),
        (nn.Linear(2, 2), [0.5], TypeError, "graphs must be a list of ComputeGraph, got a single Linear"),
        ([nn.Linear(2, 2)] * 2, [0.5] * 2, TypeError, r"graphs\[0\] is a Linear, not a ComputeGraph; make one with nv"),
    ],
)
def test_labels_that_do_not_fit_are_told(model, nb201, graphs, accuracy, error, says):
    graphs = nb201.graphs()[graphs] if isinstance(graphs, slice) else graphs
    with pytest.raises(error, match=says):
        model.fine_tune(graphs, accuracy)


def test_what_cannot_be_scored_is_told(model, nb201):
    with pytest.raises(ValueError, match="graphs is empty"):
        model.score([])
    with pytest.raises(TypeError, match="got a single ComputeGraph"):
        model.score(nb201.graphs()[0])
    with pytest.raises(ValueError, match="seed must be a whole number, at least 0, got -1"):
        model.fine_tune(nb201.graphs(), nb201.table["accuracy"], seed=-1)


@pytest.fixture
def untrained(monkeypatch):
    """Fails a test that gets as far as training."""
    monkeypatch.setattr("nasviz.predict.ensemble.fit_encoder", lambda *_, **__: pytest.fail("it trains"))


def test_what_cannot_be_trained_on_is_told_before_training(nb101, tiny, relabelled, untrained):
    def pretrain(bench, settings=tiny, **options):
        return Gennape.pretrain(bench, settings=settings, progress=False, **options)

    with pytest.raises(ValueError, match="19 labelled networks cannot be split 80/10/10; bring at least 20"):
        pretrain(nb101.subset(slice(0, 19)))
    with pytest.raises(ValueError, match="n_clusters=31 is more than the 30 networks to train on"):
        pretrain(nb101, Settings(n_clusters=31))
    with pytest.raises(ValueError, match="accuracy must be finite, but 2 of its 36 rows .* the first at position 4"):
        pretrain(relabelled(nb101, [4, 7], math.nan))
    with pytest.raises(ValueError, match="such as 93.5: divide percentages by 100"):
        pretrain(relabelled(nb101, [4], 93.5))
    with pytest.raises(ValueError, match="seed must be a whole number, at least 0, got 0.5"):
        pretrain(nb101, seed=0.5)


def test_settings_are_checked_and_read_back():
    assert Settings(members=["CL", "FLOPs"]).members == ("CL", "FLOPs")
    papers = {"CL+FCM+T", "CL+T", "CL+FCM+Pairwise", "CL+Pairwise", "k-GNN", "FLOPs"}
    assert set(Settings().members) == papers and papers | {"CL", "CL+FCM", "GCN", "GIN"} == set(EVERY_MEMBER)
    for members in (("CL", "kNN"), (), "CL"):
        with pytest.raises(ValueError, match="members=.*: choose from 'CL', 'CL[+]T'"):
            Settings(members=members)
    settings = Settings(n_clusters=4, temperature=0.3)
    assert settings_from_dict(Settings, json.loads(json.dumps(vars(settings)))) == settings
    with pytest.raises(ValueError, match="the settings depth are unknown; this file is of another version"):
        settings_from_dict(Settings, {"depth": 3})
