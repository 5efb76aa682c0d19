"""The weights that the project ships: they load, rank, and are what their card says."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from nasviz.predict.model_card import measure
from nasviz.resources import data_folder


@pytest.fixture(scope="module")
def model():
    return nv.pretrained("nb101")


def test_they_rank_cells_and_say_how_sure_they_are(model):
    family = nv.families.get("nb101")
    conv, pool = (family.graph(family.parse(text)) for text in ("3:7:0", "3:7:2"))
    scores = model.score([conv, pool])
    assert scores.accuracy[0] > scores.accuracy[1] + 0.01, "convolutions beat poolings on CIFAR-10"
    assert scores.accuracy.between(0.8, 0.96).all() and (scores.low < scores.high).all()


def test_mobile_networks_are_told_to_be_novel(model):
    novelty = {}
    for name in ("nb101", "proxyless"):
        family = nv.families.get(name)
        novelty[name] = model.score([family.graph(arch) for arch in family.sample(20, seed=1)])["novelty"].median()
    assert novelty["proxyless"] > 2 * novelty["nb101"]


def test_they_are_small_and_the_card_has_their_figures():
    folder = data_folder() / "pretrained" / "nb101"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    results, card = pd.read_csv(folder / "results.csv"), (folder / "card.md").read_text(encoding="utf-8")
    assert {"in-domain", "zero-shot", "fine-tuned"} == {*results.setting}
    whole = results[results.method == "Nasviz"].set_index("setting")
    assert whole.srcc["in-domain"] > 0.97 and f"{whole.srcc['in-domain']:.3f}" in card
    assert (whole.loc["fine-tuned"].draw.to_numpy() == np.arange(10)).all()
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert document["card"]["families"] == ["nb101"], "zero-shot means that no other family was seen"


def test_unknown_weights_are_named():
    with pytest.raises(ValueError, match="nb101"):
        nv.pretrained("nb999")


@pytest.mark.bench
def test_the_figures_are_those_of_the_weights(model, labels):
    """Needs the label files that they were trained on: `NASVIZ_LABELS`."""
    train = nv.benchmarks.load("nb101", labels / "nb101_20k.csv.gz")
    target = nv.benchmarks.load("nb201", labels / "nb201_cifar10.csv.gz", none=False)
    stored = pd.read_csv(data_folder() / "pretrained" / "nb101" / "results.csv")
    ours = measure(model, train, [target], draws=0, progress=False)
    theirs = stored[stored.setting != "fine-tuned"].reset_index(drop=True)
    np.testing.assert_allclose(ours.srcc, theirs.srcc, atol=2e-3)


def test_whoever_ranks_with_them_does_not_wait_for_pyg():
    code = """
import sys
import nasviz as nv
family = nv.families.get("nb201")
scores = nv.pretrained("nb101").score([family.graph(cell) for cell in family.sample(3, seed=0)])
print(len(scores), "torch_geometric" in sys.modules, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["3", "False", "False"]
    assert "Warning" not in done.stderr
