"""NATS-Bench: every layout of the official files gives the same table; what is none is told in a sentence."""

import bz2
import collections
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from nasviz.benchmarks import nats_trials, natsbench
from nasviz.benchmarks.nats_trials import read_trials
from nasviz.benchmarks.natsbench import SCALES, SETS, read_nats
from tests.benchmarks.hostile import LFS, PAGE, damaged, harmless_giants, payloads, refuses, survives

ARCHS = [  # the first two of the official list, and one more
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
]
IMAGES = {
    "cifar10-valid": ["x-valid", "ori-test"],
    "cifar10": ["ori-test"],
    "cifar100": ["x-valid", "x-test", "ori-test"],
    "ImageNet16-120": ["x-valid", "x-test", "ori-test"],
}
SEEDS = {12: {"cifar10-valid": [111, 777]}, 200: dict.fromkeys(IMAGES, [777, 888, 999])}


def accuracy(index, epochs, dataset, seed, images):
    """Percent: a different number for each."""
    return 20 + 10 * index + epochs / 10 + seed / 1000 + list(IMAGES).index(dataset) + 3 * ("x" in images)


def trial(index, epochs, dataset, seed, params=0.129306):
    """As in a real file, with the odd types that they have."""
    last = epochs - 1
    sets = IMAGES[dataset]
    return {
        "name": "infer.tiny", "seed": f"{seed:04d}", "epochs": epochs, "params": np.float64(params), "flop": 15.64737,
        "latency": [np.float64(0.01)], "net_state_dict": None, "train_acc5es": None,
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": ARCHS[index], "class_num": 10},
        "train_acc1es": dict.fromkeys(range(3), 50.0), "train_losses": dict.fromkeys(range(3), 0.5),
        "train_times": collections.OrderedDict((i, 7.0) for i in range(3)), "eval_names": sets,
        "eval_acc1es": {f"{s}@0": 10.0 for s in sets} | {f"{s}@{last}": accuracy(index, epochs, dataset, seed, s)
                                                        for s in sets},
        "eval_losses": {}, "eval_times": {f"{s}@{i}": 1.0 for s in sets for i in (0, last)},
    }  # fmt: skip


def results(index, epochs):
    seeds = {dataset: SEEDS[epochs].get(dataset, [111]) for dataset in IMAGES}
    return {
        "arch_index": index, "arch_str": ARCHS[index], "dataset_seed": seeds, "clear_net_done": True,
        "all_results": {(d, seed): trial(index, epochs, d, seed) for d in seeds for seed in seeds[d]},
    }  # fmt: skip


def architecture(index, names=("12", "200")):
    return collections.OrderedDict(
        (name, results(index, epochs)) for name, epochs in zip(names, (12, 200), strict=True)
    )


def everything(names=("12", "200")):
    infos = {index: architecture(index, names) for index in range(len(ARCHS))}
    return {"meta_archs": ARCHS, "total_archs": 3, "arch2infos": infos, "evaluated_indexes": set(infos)}


def write_folder(path, contents=None):
    path.mkdir(exist_ok=True)
    for index, content in (contents or {i: architecture(i) for i in range(len(ARCHS))}).items():
        (path / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content, 4)))
    (path / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": ARCHS}, 4)))
    return path


def write_legacy(path, content=None):
    """As torch wrote it before version 1.6."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, content or everything(("less", "full")), []]
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
    return path


def write_zip(path, content=None):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(content or everything(("less", "full")), 2))
        archive.writestr("archive/version", "3\n")
    return path


def write_one_file(path, content=None):
    path.write_bytes(bz2.compress(pickle.dumps(content or everything(), 4)))
    return path


LAYOUTS = {
    "NATS-tss-v1_0-3ffb9-simple": write_folder,
    "NATS-tss-v1_0-3ffb9.pickle.pbz2": write_one_file,
    "NAS-Bench-201-v1_1-096897.pth": write_legacy,
    "new.pth": write_zip,
}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "simple")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_trials(tmp_path, name):
    trials = read_trials(LAYOUTS[name](tmp_path / name))
    assert len(trials) == 3 * (2 * 2 + 1 + 3 + 3 + 3 * (2 + 1 + 3 + 3))
    for row in trials.itertuples(index=False):
        assert row.accuracy == accuracy(row.index, row.epochs, row.dataset, row.seed, row.images)
        assert (row.arch, row.params, row.flop) == (ARCHS[row.index], 0.129306, 15.64737)


@pytest.mark.parametrize(("dataset", "split"), SETS)
@pytest.mark.parametrize("epochs", [12, 200])
def test_labels_are_means_over_the_seeds(folder, dataset, split, epochs):
    name = "nats" if split == "test" else "nb201"  # either will do
    bench = nv.benchmarks.load(name, folder, dataset=dataset, split=split, epochs=epochs, progress=False)
    trained, images = SETS[dataset, split]
    seeds = SEEDS[epochs].get(trained, [111])
    expected = [np.mean([accuracy(i, epochs, trained, s, images) for s in seeds]) / 100 for i in range(3)]
    np.testing.assert_allclose(bench.table.accuracy, expected, rtol=1e-12)
    for seed in seeds:
        assert bench.table[f"accuracy_{seed}"][2] == pytest.approx(accuracy(2, epochs, trained, seed, images) / 100)
    assert bench.table.arch.tolist() == ARCHS and bench.table["index"].tolist() == [0, 1, 2]
    assert bench.families == ["nb201"] and bench.scale == SCALES[dataset]
    assert set(bench.table.params) == {129_306} and set(bench.table.macs) == {15_647_370}


@pytest.mark.parametrize(
    ("dataset", "params", "flop"),
    [("cifar10", 129_306, 15_647_370), ("cifar100", 135_156, 15_653_220), ("ImageNet16-120", 136_456, 3_919_480)],
)
def test_graphs_are_those_of_the_networks_that_were_trained(folder, dataset, params, flop):
    """The official records of cell 0, from the real files."""
    graph = read_nats(folder, dataset=dataset, progress=False).graphs()[0]
    assert graph.params == params and nv.cost(graph, "nb201").total["flops"] == flop


def test_a_part_of_the_folder_will_do(tmp_path):
    content = architecture(1)
    del content["200"]["all_results"][("cifar10", 888)]
    folder = write_folder(tmp_path / "part", {0: architecture(0), 1: content})
    (folder / "000001.pickle.pbz2").rename(folder / "1.pickle.pbz2")  # the authors' package takes this name as well
    table = read_nats(folder, progress=False).table
    assert table["index"].tolist() == [0, 1] and np.isnan(table.accuracy_888[1])
    expected = [accuracy(1, 200, "cifar10", seed, "ori-test") / 100 for seed in (777, 999)]
    assert table.accuracy[1] == pytest.approx(np.mean(expected))


def test_seed_888_decides_where_costs_disagree(tmp_path):
    contents = {i: architecture(i) for i in range(3)}
    for index, seed, params in [(0, 777, 0.5), (1, 777, 0.129308), (2, 999, 0.2)]:
        contents[index]["200"]["all_results"][("cifar10", seed)]["params"] = params
    del contents[2]["200"]["all_results"][("cifar10", 888)]
    table = read_nats(write_folder(tmp_path / "nats", contents), progress=False).table
    agreed = round((0.129308 + 2 * 0.129306) / 3 * 1e6)  # to five decimals
    assert table.params.tolist() == [129_306, agreed, round((0.129306 + 0.2) / 2 * 1e6)]
    assert table.macs.tolist() == [15_647_370] * 3


def test_cells_without_none(folder):
    assert read_nats(folder, none=False, progress=False).table.arch.tolist() == ARCHS[:2]


def test_the_trials_are_kept_until_a_file_changes(folder, monkeypatch):
    first = read_nats(folder, progress=False).table
    monkeypatch.setattr(natsbench, "read_trials", lambda *_: pytest.fail("it was read again"))
    pd.testing.assert_frame_equal(read_nats(folder, progress=False).table, first)
    write_folder(folder, {0: {"200": results(0, 200)}})
    with pytest.raises(pytest.fail.Exception):
        read_nats(folder, progress=False)


def test_many_files_are_read_by_several_processes(folder, monkeypatch, capsys):
    expected = read_trials(folder)
    monkeypatch.setattr(nats_trials, "MANY", 2)
    monkeypatch.setattr(nats_trials, "PARCEL", 2)
    pd.testing.assert_frame_equal(read_trials(folder, progress=True), expected)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dataset": "mnist"}, "dataset='mnist', split='test': the data sets are cifar10, cifar100, ImageNet16-120"),
        ({"split": "train"}, "split='train'"),
        ({"epochs": 90}, "epochs=90: .* for 200 and for 12 epochs"),
    ],
)
def test_options_are_checked(folder, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_nats(folder, **options)


def test_what_is_not_there_is_named(tmp_path):
    content = {"200": results(0, 200)}
    folder = write_folder(tmp_path / "nats", {0: content})
    with pytest.raises(ValueError, match=r"no accuracy on cifar100 valid .* after 12 epochs; .*test., epochs=200"):
        read_nats(folder, dataset="cifar100", split="valid", epochs=12, progress=False)
    with pytest.raises(FileNotFoundError, match="no such file; give the folder NATS-tss"):
        read_nats(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no file like 000000.pickle.pbz2; give the folder NATS-tss"):
        read_nats(tmp_path / "empty")
    write_folder(folder, {0: content, 7: content})
    with pytest.raises(ValueError, match="holds architecture 0 twice"):
        read_nats(folder, progress=False)


def changed(change):
    """A file of one trial after `change`."""
    content = {"200": results(0, 200)}
    content["200"]["all_results"] = {("cifar10", 777): trial(0, 200, "cifar10", 777)}
    change(content, content["200"]["all_results"][("cifar10", 777)])
    return bz2.compress(pickle.dumps(content, 4))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c, t: t.pop("eval_acc1es"), "it lacks 'eval_acc1es'"),
        (lambda c, t: c["200"].pop("arch_str"), "it lacks 'arch_str'"),
        (lambda c, t: c.update({"200": []}), "holds list where dict belongs"),
        (lambda c, t: c.pop("200"), "holds no trial of 12 or 200 epochs"),
        (lambda c, t: c["200"].update(arch_str="|none~0|\n"), "unreadable name"),
        (lambda c, t: c["200"].update(arch_index=-1), "out of range"),
        (lambda c, t: c["200"].update(all_results={"cifar10": t}), "str where tuple belongs"),
        (lambda c, t: c["200"].update(all_results={("cifar10", 777, 1): t}), "too many values"),
        (lambda c, t: c["200"].update(all_results={("cifar10", "777"): t}), "str where int belongs"),
        (lambda c, t: t.update(eval_names="ori-test"), "str where list belongs"),
        (lambda c, t: t.update(epochs=2.5), "float where int belongs"),
        (lambda c, t: t.update(params=None), "NoneType where a number between 0 and 1e.06 belongs"),
        (lambda c, t: t.update(flop=float("nan")), "float where a number between"),
        (lambda c, t: t.update(flop=10**300), "int where a number between"),
        (lambda c, t: t["eval_acc1es"].update({"ori-test@199": 100.5}), "a number between 0 and 100 belongs"),
        (lambda c, t: t["eval_acc1es"].update({"ori-test@199": float("inf")}), "a number between 0 and 100 belongs"),
        (lambda c, t: t["eval_acc1es"].update({"ori-test@199": object}), "asks for 'builtins.object', which was not"),
    ],
)
def test_wrong_content_is_a_sentence(tmp_path, change, sentence):
    refuses(read_trials, tmp_path / "000000.pickle.pbz2", changed(change), sentence)


@pytest.mark.parametrize("name", ["a.pickle.pbz2", "a.pth"])
@pytest.mark.parametrize("content", [b"", LFS, PAGE, b"not data", b"\x00" * 600, b"BZh9", b"PK\x03\x04", b"\x80\x04N."])
def test_what_is_no_data_is_a_sentence(tmp_path, name, content):
    refuses(read_trials, tmp_path / name, content)


def test_an_architecture_has_one_name(tmp_path):
    content = everything()
    content["meta_archs"] = ARCHS[::-1]
    with pytest.raises(ValueError, match="architecture 0 has another name in its results"):
        read_trials(write_one_file(tmp_path / "nats.pickle.pbz2", content))


def test_nothing_hostile_is_run(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "file"
    magic = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    for key, data in (payloads(marker) | harmless_giants()).items():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", data)
        for content in (path.read_bytes(), bz2.compress(data), magic + data):
            refuses(read_trials, path, content)
        assert not marker.exists(), key


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    refuses(read_trials, tmp_path / "a.pbz2", bz2.compress(bytes(10**8)), "more than a thousand times its size")
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6))
    refuses(read_trials, tmp_path / "a.pth", (tmp_path / "a.pth").read_bytes(), "not one of torch's")


@pytest.mark.parametrize("write", [write_legacy, write_zip])
def test_damage_is_a_sentence_or_a_table(tmp_path, write):
    content = {"full": results(0, 200)}
    content["full"]["all_results"] = {("cifar10", 777): trial(0, 200, "cifar10", 777)}
    whole = write(tmp_path / "whole.pth", content).read_bytes()
    assert survives(read_trials, tmp_path / "whole.pth", whole) is None
    found = [survives(read_trials, tmp_path / "broken.pth", broken) for broken in damaged(whole, 31)]
    assert sum(error is not None for error in found) > len(found) / 3
    assert all(error is not None for error in found[::3]), "a file that is cut off was read"


def test_damaged_compression_is_a_sentence(tmp_path):
    whole = bz2.compress(pickle.dumps({"200": results(0, 200)}, 4))
    for broken in damaged(whole, 97):
        refuses(read_trials, tmp_path / "000000.pickle.pbz2", broken)


@pytest.mark.parametrize("name", ["nb201_mini_legacy.pth", "nb201_mini_legacy_oldnumpy.pth", "nb201_mini_zip.pth"])
def test_files_written_by_torch(fixtures, tmp_path, name):
    trials = read_trials(fixtures / name)
    assert trials.drop(columns="epochs").drop_duplicates().to_numpy().tolist() == [
        [0, "s", "cifar10-valid", 777, "x-valid", 50.0, 0.8, 1.0]
    ]
    assert trials.epochs.tolist() == [12, 200]
    with pytest.raises(ValueError, match="row 0: 's' is not a NAS-Bench-201 cell"):
        read_nats(fixtures / name, split="valid", progress=False)
    for broken in damaged((fixtures / name).read_bytes(), 23):
        survives(read_trials, tmp_path / name, broken)
