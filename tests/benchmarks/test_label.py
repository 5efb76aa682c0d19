"""The labelling pipeline: its data, its log, its results, and the bundle made of them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import nasviz as nv
from nasviz.benchmarks.bundle import bundle, describe, unbundle
from nasviz.benchmarks.label import Recipe, digits, disturb, label, read_log, train_one
from nasviz.cli import app

TINY = Recipe(train_images=100, epochs=2, test_draws=1)
ARCHS = ["2:1:", "3:7:1"]


def quick(log, archs=ARCHS, seeds=(0,), **options):
    return label("nb101", archs, log, seeds=seeds, jobs=1, progress=False, **{"recipe": TINY, **options})


# --- data -----------------------------------------------------------------------------------------------------------


def rows(images: torch.Tensor) -> list[tuple[float, ...]]:
    return [tuple(row) for row in images.flatten(1).tolist()]


def test_train_and_test_images_are_disjoint_and_all_of_them():
    train, train_classes, test, test_classes = digits(Recipe(noise=0, shift=0, test_draws=1))
    everything = load_digits()
    assert train.shape == (1200, 1, 8, 8) and test.shape == (597, 1, 8, 8)
    images = torch.tensor(everything.images / 16, dtype=torch.float32)
    assert sorted(rows(train) + rows(test)) == sorted(rows(images)), "each image once, in one of the two"
    assert set(rows(train)).isdisjoint(rows(test))
    number = dict(zip(rows(images), everything.target.tolist(), strict=True))
    assert [number[row] for row in rows(train)] == train_classes.tolist()
    assert [number[row] for row in rows(test)] == test_classes.tolist()


def test_the_split_is_stratified_and_fixed():
    _, train_classes, _, test_classes = digits(Recipe())
    share = np.bincount(load_digits().target) / 1797
    np.testing.assert_allclose(torch.bincount(train_classes) / 1200, share, atol=1 / 1200)
    np.testing.assert_allclose(torch.bincount(test_classes) / len(test_classes), share, atol=1 / 597)
    for one, two in zip(digits.__wrapped__(Recipe()), digits.__wrapped__(Recipe()), strict=True):
        assert torch.equal(one, two)


def test_test_images_are_disturbed_once_for_all_networks_and_training_images_are_not_yet():
    state = torch.get_rng_state()
    train, _, test, classes = digits(Recipe())
    clean_train, _, clean, _ = digits(Recipe(noise=0, shift=0))
    assert torch.equal(train, clean_train), "training images are disturbed in each epoch"
    assert test.shape == (8 * 597, 1, 8, 8) and torch.equal(classes[:597], classes[597:1194])
    assert not torch.equal(test[:597], test[597:1194]), "every draw is another one"
    noise = (test - digits(Recipe(noise=0))[2]).flatten()
    assert noise.std() == pytest.approx(0.35, abs=0.005) and noise.mean() == pytest.approx(0, abs=0.005)
    assert torch.equal(torch.get_rng_state(), state) and clean.min() >= 0 and clean.max() <= 1


def test_a_shift_moves_an_image_by_at_most_one_pixel():
    image = torch.arange(1, 65, dtype=torch.float32).reshape(1, 1, 8, 8)
    moved = disturb(image.repeat(300, 1, 1, 1), Recipe(noise=0), torch.Generator().manual_seed(3))
    padded = np.pad(image[0, 0].numpy(), 1)
    allowed = {padded[y : y + 8, x : x + 8].tobytes() for y in range(3) for x in range(3)}
    assert {one[0].numpy().tobytes() for one in moved} == allowed, "all nine places come up"


# --- labelling ------------------------------------------------------------------------------------------------------


def test_a_log_is_resumed_after_a_kill_in_mid_line(tmp_path, monkeypatch):
    log = tmp_path / "new" / "log.jsonl"
    first = quick(log)
    whole = log.read_bytes()
    assert first.arch.tolist() == ARCHS and first.accuracy.between(0, 1).all()
    log.write_bytes(whole[:-25])
    trained = []
    monkeypatch.setattr("nasviz.benchmarks.label.train_one", lambda *key: trained.append(key) or train_one(*key))
    again = quick(log)
    assert trained == [(nv.families.get("nb101"), ARCHS[1], 0, TINY)], "only the row that was cut is trained again"
    assert again.drop(columns="seconds").equals(first.drop(columns="seconds")), "one seed, one accuracy"
    assert read_log(log)[0] == TINY and len(read_log(log)[1]) == 2
    assert quick(log, archs=[*ARCHS[::-1], ARCHS[0]]).arch.tolist() == ARCHS[::-1], "in the order asked for, once each"
    assert len(trained) == 1


@pytest.mark.parametrize("keep", [0, 5, 14, 60])
def test_a_log_cut_in_its_first_line_is_begun_again(tmp_path, monkeypatch, keep):
    log = tmp_path / "log.jsonl"
    fake(monkeypatch)
    quick(log)
    log.write_bytes(log.read_bytes()[:keep])
    assert read_log(log) == (None, [])
    assert len(quick(log)) == 2 and read_log(log)[0] == TINY


def fake(monkeypatch) -> None:
    """Training that takes no time: the accuracy follows from architecture and seed."""

    def train(family, arch, seed, recipe):
        if seed == 9:
            raise KeyboardInterrupt
        accuracy = (sum(arch.encode()) % 97 + seed) / 100
        return {"family": family.name, "arch": arch, "seed": seed, "accuracy": accuracy, "seconds": 0.1}

    monkeypatch.setattr("nasviz.benchmarks.label.train_one", train)


def test_an_interrupt_keeps_what_is_done(tmp_path, monkeypatch):
    fake(monkeypatch)
    log = tmp_path / "log.jsonl"
    with pytest.raises(KeyboardInterrupt):
        quick(log, seeds=[0, 1, 9])
    assert {(row["arch"], row["seed"]) for row in read_log(log)[1]} == {("2:1:", 0), ("2:1:", 1)}
    assert len(quick(log, seeds=np.arange(2))) == 4


def test_seeds_differ_and_leave_no_mark(tmp_path):
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    table = quick(tmp_path / "log.jsonl", archs=["2:1:"], seeds=[0, 1])
    assert table.accuracy.nunique() == 2
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_a_training_that_diverges_is_a_bad_accuracy_and_no_error(tmp_path):
    recipe = Recipe(train_images=100, epochs=2, test_draws=1, lr=1e6)
    table = quick(tmp_path / "log.jsonl", archs=["3:7:1"], recipe=recipe)
    assert 0 <= table.accuracy[0] <= 0.3


@pytest.mark.parametrize(
    ("family", "archs", "content", "sentence"),
    [
        ("nb101", ARCHS, None, "has another recipe, Recipe.train_images=1200.*; give a new file or that recipe"),
        ("nb101", ["2:1:", "9:9"], b"", "'9:9' is not a NAS-Bench-101 cell"),
        ("nb999", ARCHS, b"", "name='nb999': no such family"),
        ("nb101", ARCHS, b"my notes", "is no log of label.*: line 1 is b'my notes'"),
        ("nb101", ARCHS, b"my notes\n", "is no log of label.*: line 1 is b'my notes'"),
        ("nb101", ARCHS, b"[]\n", "is no log of label.*: line 1"),
        ("nb101", ARCHS, b'{"recipe": {"depth": 3}}\n', "is no log of label.*: line 1"),
        ("nb101", ARCHS, b'{"recipe": {}}\n{"family": "nb101"}\n', "is no log of label.*: line 2"),
        ("nb101", ARCHS, b'{"recipe": {}}\n\x00\x00\n', "is no log of label.*: line 2"),
    ],
)
def test_what_label_refuses_before_it_trains(tmp_path, family, archs, content, sentence):
    log = tmp_path / "log.jsonl"
    content = (json.dumps({"recipe": vars(Recipe())}) + "\n").encode() if content is None else content
    log.write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        label(family, archs, log, recipe=TINY, jobs=1, progress=False)
    assert log.read_bytes() == content, "a file that is no log of ours is left as it is"


def test_a_family_without_small_networks_is_refused(tmp_path, monkeypatch):
    family = nv.families.get("nb101")
    monkeypatch.setattr(family, "scales", {"paper": family.scales["paper"]})
    with pytest.raises(ValueError, match="scale='digits': nb101 has the scales 'paper'"):
        quick(tmp_path / "log.jsonl")


def test_a_bundled_row_comes_out_again():
    """The real recipe on the cheapest architecture that learns well: near the stored accuracy, and far above chance.

    Rounding differs between processors, and training magnifies it to about what another seed does.
    """
    bench = nv.benchmarks.load("digits")
    row = bench.table[bench.table.accuracy > 0.5].sort_values("macs").iloc[0]
    found = train_one(row.family, row.arch, 1, Recipe())
    noise = bench.card["families"][row.family]["seed_sd"]
    assert found["accuracy"] == pytest.approx(row.accuracy, abs=4 * noise)
    assert found["accuracy"] > 0.3 and found["seconds"] > 0


# --- the bundle -----------------------------------------------------------------------------------------------------


def test_the_command_bundles_what_is_labelled(tmp_path, monkeypatch):
    fake(monkeypatch)
    monkeypatch.chdir(tmp_path)
    command = "label --families nb101,nb201 --count 5 --log log.jsonl --out out --jobs 1".split()
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(Path("out/digits.parquet"))
    bench = nv.benchmarks.load("digits", tmp_path / "out" / "digits.parquet")
    assert len(bench) == 10 and bench.table.family.value_counts().to_dict() == {"nb101": 5, "nb201": 5}
    family = nv.families.get("nb101")
    assert set(bench.of("nb101").table.arch) == {family.format(arch) for arch in family.sample(5, seed=0)}
    expected = [(sum(arch.encode()) % 97 + 1) / 100 for arch in bench.table.arch]
    np.testing.assert_allclose(bench.table.accuracy, expected)
    text = (tmp_path / "out" / "digits.md").read_text(encoding="utf-8")
    assert "| nb201 | 5 |" in text and bench.card["sha256"]["digits.parquet"] in text
    assert CliRunner().invoke(app, [*command, "--seeds", "2"]).exit_code == 0
    wrong = CliRunner().invoke(app, ["label", "--families", "nb999", "--log", "log.jsonl"])
    assert wrong.exit_code == 2 and "no such family" in wrong.stderr


def test_the_card_tells_in_words_what_is_smaller_than_at_full_size():
    card = nv.benchmarks.load("digits").card
    text = describe(card)
    lines = text.splitlines()
    assert {
        "| nb101 | width | 8 | 128 |",
        "| nb201 | image | 1×8×8 | 3×32×32 |",
        "| nb301 | cells | 4 | 8 |",
        "| two_path | stems | (4, 1), (8, 1) | (32, 1), (32, 2) |",
        "| ofa_mbv3 | stages: stride | 1, 2, 1, 1, 2 | 2, 2, 2, 1, 2 |",
    } <= set(lines)
    for family in card["families"]:
        assert sum(line.startswith(f"| {family} |") for line in lines) >= 3
    assert not re.search(r"[<>]|\w=[\w<]|Stage|True|False|None", text.replace("seed=0", "")), "no Python"


def write(log: Path, entries, recipe=None) -> Path:
    lines = [{"recipe": vars(recipe or Recipe())}]
    lines += [{"family": f, "arch": a, "seed": s, "accuracy": y, "seconds": 1.0} for f, a, s, y in entries]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return log


ENTRIES = [
    ("nb101", arch, seed, 0.1 * i + 0.01 * seed)
    for i, arch in enumerate(["2:1:", "3:7:1", "4:43:22"])
    for seed in range(3)
]


def test_the_same_log_makes_the_same_files_in_whatever_order(tmp_path):
    one = bundle(write(tmp_path / "a.jsonl", ENTRIES), tmp_path / "one")
    two = bundle(write(tmp_path / "b.jsonl", [*ENTRIES[::-1], ENTRIES[0]]), tmp_path / "two")
    for end in (".parquet", ".json", ".md"):
        assert one.with_suffix(end).read_bytes() == two.with_suffix(end).read_bytes()
    facts = json.loads(one.with_suffix(".json").read_text(encoding="utf-8"))["families"]["nb101"]
    assert facts["n"] == 3 and facts["seed_to_seed"] == {"pearson": 1, "spearman": 1}
    assert facts["seed_sd"] == 0.01 and facts["accuracy"]["min"] == 0.01
    table = pd.read_parquet(one)
    assert table.columns.tolist() == (
        ["family", "arch", "accuracy", "accuracy_0", "accuracy_1", "accuracy_2", "seconds", "params", "macs", "hash"]
    )


def test_a_bundle_becomes_a_log_that_makes_the_same_bundle(tmp_path):
    log = tmp_path / "log"
    quick(log, seeds=(0, 1))
    first = bundle(log, tmp_path / "first")
    again = bundle(unbundle(tmp_path / "first", tmp_path / "again"), tmp_path / "second")
    assert pd.read_parquet(again).equals(pd.read_parquet(first))
    assert again.with_suffix(".md").read_text("utf-8") == first.with_suffix(".md").read_text("utf-8")
    before = (tmp_path / "again").read_bytes()
    quick(tmp_path / "again", seeds=(0, 1))  # nothing is left to train
    assert (tmp_path / "again").read_bytes() == before


def test_architectures_that_lack_a_seed_stay_out(tmp_path):
    log = write(tmp_path / "a.jsonl", ENTRIES[:-1])
    before = log.read_bytes() + b'{"family": "nb1'
    log.write_bytes(before)
    assert len(pd.read_parquet(bundle(log, tmp_path, "cut"))) == 2
    assert log.read_bytes() == before, "a log may still be growing: bundling only reads it"


def test_one_seed_or_one_architecture_has_no_reliability(tmp_path):
    for name, entries in (("seed", [e for e in ENTRIES if e[2] == 0]), ("arch", ENTRIES[:3])):
        path = bundle(write(tmp_path / f"{name}.jsonl", entries), tmp_path, name)
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["families"]["nb101"]
        assert facts["reliability"] == {"pearson": None, "spearman": None}
        assert "– / –" in path.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("entries", [[], ENTRIES[:2] + ENTRIES[5:6]])
def test_a_log_without_a_finished_architecture(tmp_path, entries):
    with pytest.raises(ValueError, match="holds no architecture that was trained with all of its"):
        bundle(write(tmp_path / "a.jsonl", entries), tmp_path)
