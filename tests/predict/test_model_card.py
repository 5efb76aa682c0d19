"""The card of a model: measured on what the model never saw, and readable."""

import json

import numpy as np
import pandas as pd
import pytest

from nasviz.predict.anatomy import Anatomy
from nasviz.predict.folds import draw, partition_rows
from nasviz.predict.metrics import evaluate
from nasviz.predict.model_card import measure, summary, write
from nasviz.predict.nasviz import Nasviz, NasvizSettings

QUICK = NasvizSettings(networks=1, width=8, layers=2, epochs=2, rounds=20, tune_epochs=1, n_clusters=2)


@pytest.fixture(scope="module")
def model(nb101) -> Nasviz:
    return Nasviz.pretrain(nb101, settings=QUICK, progress=False)


@pytest.fixture(scope="module")
def results(model, nb101, nb201) -> pd.DataFrame:
    return measure(model, nb101, [nb201], draws=2, labels=10, progress=False)


def row(results: pd.DataFrame, setting: str, number: int = -1) -> pd.Series:
    (found,) = results.query("setting == @setting and draw == @number and method == 'Nasviz'").to_dict("records")
    return pd.Series(found)


def test_in_domain_is_validation_2(model, nb101, results):
    rows = partition_rows(nb101)["validation 2"]
    scores = model.score([nb101.graphs()[i] for i in rows])
    expected = evaluate(scores, nb101.table["accuracy"].to_numpy()[rows])
    np.testing.assert_allclose(row(results, "in-domain")[[*expected.index]].astype(float), expected, atol=1e-6)


def test_fine_tuned_is_measured_on_the_rest(model, nb201, results):
    chosen, rest = draw(len(nb201), 10, 1)
    anatomy, accuracy = Anatomy.of(nb201.graphs()), nb201.table["accuracy"].to_numpy()
    tuned = model.fine_tune(anatomy.take(chosen), accuracy[chosen], seed=1)
    expected = evaluate(tuned.score(anatomy.take(rest)), accuracy[rest])
    assert row(results, "fine-tuned", 1)["srcc"] == pytest.approx(expected["srcc"])


def test_parts_are_ablated(results):
    methods = {setting: {*part.method} for setting, part in results.groupby("setting")}
    assert {"GNN alone", "trees alone", "capacity alone", "equal weights"} <= methods["zero-shot"]
    assert {"process alone", "without process", "without forest"} <= methods["fine-tuned"]
    assert (summary(results)["srcc", "sd"].xs("fine-tuned", level="setting") >= 0).all()


def test_the_folder_holds_model_figures_and_card(model, nb101, nb201, tmp_path):
    made = {"draws": 1, "labels": 10, "command": "nasviz pretrain …", "progress": False}
    folder = write(model, tmp_path / "model", nb101, [nb201], **made)
    assert {path.name for path in folder.iterdir()} == {
        "card.md", "model.json", "results.csv", "trees.txt", "weights.safetensors"
    }  # fmt: skip
    card = (folder / "card.md").read_text(encoding="utf-8")
    figures = pd.read_csv(folder / "results.csv")
    assert f"{row(figures, 'zero-shot')['srcc']:.3f}" in card and "nasviz pretrain …" in card
    assert json.dumps(model.card["training_networks"]) in card
    assert Nasviz.load(folder).card == model.card
