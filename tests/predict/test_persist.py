"""A model on disk: the same scores when read back, one sentence for every broken file, and nothing that runs code."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from nasviz.predict.ensemble import Gennape
from nasviz.predict.population import Population


@pytest.fixture(scope="module")
def population(nb201) -> Population:
    return Population.of(nb201.graphs())


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return model.save(tmp_path_factory.mktemp("saved") / "a" / "model")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def edit(folder, change):
    """Change model.json; the weights' hash stays right."""
    path = folder / "model.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_model_scores_the_same_when_read_back(model, saved, population, learned):
    read = Gennape.load(str(saved))
    pd.testing.assert_frame_equal(read.score(population), model.score(population), rtol=0, atol=1e-12)
    assert learned(read) == learned(model)
    assert (read.weights, read.settings, read.card) == (model.weights, model.settings, model.card)
    assert not any(module.training for module in (read.encoder, read.members["CL"].head, read.members["k-GNN"].network))
    assert sorted(file.name for file in saved.iterdir()) == ["model.json", "weights.safetensors"]


def test_a_tuned_model_is_kept_with_its_weights_and_can_be_tuned_on(model, population, nb201, tmp_path):
    few, accuracy = population.take(range(10)), nb201.table["accuracy"].to_numpy()[:10]
    tuned = model.fine_tune(few, accuracy, seed=np.int64(3))
    read = Gennape.load(tuned.save(tmp_path))
    assert read.weights == tuned.weights != model.weights and read.card["fine_tune_seed"] == 3
    pd.testing.assert_frame_equal(read.score(population), tuned.score(population), rtol=0, atol=1e-12)
    again, there = read.fine_tune(few, accuracy), tuned.fine_tune(few, accuracy)
    pd.testing.assert_frame_equal(again.score(population), there.score(population), rtol=0, atol=1e-9)


def test_saving_replaces_a_model(model, saved, folder, tiny, nb101, population):
    other = Gennape.pretrain(nb101, settings=tiny, seed=5, encoder=model.encoder, progress=False)
    other.save(folder)
    read = Gennape.load(folder).score(population)
    pd.testing.assert_frame_equal(read, other.score(population), rtol=0, atol=1e-12)
    assert not np.allclose(read["CL"], model.score(population)["CL"])


# Broken files


@pytest.mark.parametrize(
    ("left", "missing"),
    [
        ([], "model.json and weights.safetensors missing"),
        (["model.json"], "weights.safetensors missing"),
        (["weights.safetensors"], "model.json missing"),
    ],
)
def test_a_folder_without_a_model_is_told(folder, left, missing):
    for file in list(folder.iterdir()):
        if file.name not in left:
            file.unlink()
    with pytest.raises(FileNotFoundError, match=f"model holds no model: {missing}; name a folder of save()"):
        Gennape.load(folder)


PAGE = b"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>"
CONTENTS = {
    "page": lambda content: PAGE,
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "bytes": lambda content: b"\xff\xfe\x00\x80" * 40,
}


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", CONTENTS.values(), ids=CONTENTS)
def test_a_file_that_cannot_be_read_is_told(folder, name, damage):
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="holds a model that cannot be read .*; save it again"):
        Gennape.load(folder)


@pytest.mark.parametrize("document", [[], "text", 3, None, {}, {"format_version": 99}, {"format_version": "1"}])
def test_a_file_of_another_version_is_told(folder, document):
    (folder / "model.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="has format version .*, and this nasviz reads 1"):
        Gennape.load(folder)


def test_the_weights_of_another_model_are_told(folder):
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    tensors["member.CL.shift"] += 1e-3
    save_file(tensors, path)
    with pytest.raises(ValueError, match="weights.safetensors is not the file that model.json was written with"):
        Gennape.load(folder)


CHANGES = {
    "no members": lambda document: document.pop("members"),
    "list of members": lambda document: document.update(members=["CL"]),
    "member without weights": lambda document: document["members"].update(MLP=document["members"]["CL"]),
    "unknown head": lambda document: document["members"]["CL"].update(head="Linear"),
    "unknown transform": lambda document: document["members"]["CL"]["transform"].update(kind="square"),
    "number as member": lambda document: document["members"].update(CL=1),
    "narrow encoder": lambda document: document["encoder"].update(width=32),
    "encoder of three": lambda document: document["encoder"].update(layers="three"),
    "no weight": lambda document: document["weights"].pop("k-GNN"),
    "word as weight": lambda document: document["weights"].update(CL="much"),
    "unknown setting": lambda document: document["settings"].update(depth=3),
    "no settings": lambda document: document.update(settings=None),
    "no card": lambda document: document.pop("card"),
    "wrong space": lambda document: document["space"].update(fuzzy=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_document_that_does_not_fit_is_told(folder, change):
    edit(folder, change)
    with pytest.raises(ValueError, match="model holds a model.json that does not fit its weights") as caught:
        Gennape.load(folder)
    assert "\n" not in str(caught.value)


class Bomb:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_not_opened(folder, tmp_path):
    mark = tmp_path / "it ran"
    torch.save({"weights": Bomb(mark)}, folder / "weights.safetensors")
    with pytest.raises(ValueError, match="cannot be read"):
        Gennape.load(folder)
    assert not mark.exists()


def test_an_interrupted_save_leaves_a_model_that_is_told_or_whole(model, saved, folder, tiny, nb101, monkeypatch):
    """Between its two files, the new weights stand beside the old document."""
    other = Gennape.pretrain(nb101, settings=tiny, seed=5, encoder=model.encoder, progress=False)
    monkeypatch.setattr("nasviz.predict.persist.json.dumps", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        other.save(folder)
    with pytest.raises(ValueError, match="is not the file that model.json was written with"):
        Gennape.load(folder)
