"""NAS-Bench-301's result files, written here by hand as the benchmark writes them."""

import json
import shutil

import pandas as pd
import pytest

import nasviz as nv
from nasviz.benchmarks.nasbench301 import read_nb301

PREFIX = "NetworkSelectorDatasetInfo:darts:"
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))"
)
NORMAL = {0: "sep_conv_3x3", 1: "sep_conv_3x3", 2: "sep_conv_3x3", 3: "sep_conv_3x3", 5: "skip_connect",
          6: "sep_conv_3x3", 9: "skip_connect", 11: "dil_conv_3x3"}  # fmt: skip
REDUCE = {0: "max_pool_3x3", 1: "max_pool_3x3", 3: "max_pool_3x3", 4: "skip_connect", 5: "max_pool_3x3",
          7: "skip_connect", 10: "max_pool_3x3", 11: "skip_connect"}  # fmt: skip
INPUTS = {"normal_3": "0_1", "normal_4": "0_1", "normal_5": "0_2", "reduce_3": "1_2", "reduce_4": "0_2",
          "reduce_5": "1_2"}  # fmt: skip


PUBLISHED = {
    "edges_normal": {0: "skip_connect", 1: "sep_conv_3x3", 2: "sep_conv_3x3", 3: "skip_connect", 5: "dil_conv_3x3",
                     7: "dil_conv_5x5", 10: "sep_conv_3x3", 11: "skip_connect"},
    "edges_reduce": {0: "max_pool_3x3", 1: "avg_pool_3x3", 2: "skip_connect", 3: "dil_conv_5x5", 6: "sep_conv_3x3",
                     7: "sep_conv_5x5", 11: "sep_conv_3x3", 12: "dil_conv_3x3"},
    "inputs": {"normal_3": "0_1", "normal_4": "0_2", "normal_5": "1_2", "reduce_3": "0_1", "reduce_4": "1_2",
               "reduce_5": "2_3"},
}  # fmt: skip
"""The architecture of results_0.json, which the package nasbench301 ships: 50 channels, 20 layers."""


def result(val=94.0, test=93.5, first="sep_conv_3x3", budget=100, channels=32, layers=8):
    """A result of DARTS_V2; `first` is the operation from state 0 to node 2 of its normal cell."""
    config = {f"{PREFIX}edge_normal_{edge}": op for edge, op in (NORMAL | {0: first}).items()}
    config |= {f"{PREFIX}edge_reduce_{edge}": op for edge, op in REDUCE.items()}
    config |= {f"{PREFIX}inputs_node_{node}": pair for node, pair in INPUTS.items()}
    config |= {f"{PREFIX}init_channels": channels, f"{PREFIX}layers": layers, f"{PREFIX}auxiliary": "True"}
    config["OptimizerSelector:sgd:learning_rate"] = 0.025
    info = {"val_accuracy": val, "train_accuracy": 99.9, "epochs": 98, "model_parameters": 1_387_956}
    return {
        "optimized_hyperparamater_config": config,
        "info": [info],
        "test_accuracy": test,
        "runtime": 5000.5,
        "final_metric_score": -val,
        "budget": budget,
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_one_file(tmp_path):
    path = write(tmp_path / "rs" / "results_2004.json", result())
    bench = nv.benchmarks.load("nb301", path)
    assert bench.table.to_dict("records") == [
        {
            "family": "nb301",
            "arch": V2,
            "accuracy": 0.94,
            "test_accuracy": 0.935,
            "model_parameters": 1_387_956,
            "runtime": 5000.5,
            "budget": 100,
            "init_channels": 32,
            "layers": 8,
            "optimiser": "rs",
            "runs": 1,
        }
    ]
    assert (bench.scale, bench.card["min_accuracy"], bench.card["flops_unit"]) == ("paper", 0.0, 1e9)
    assert bench.card["files_left_out"] == 0
    assert bench.graphs()[0].params == 919722  # DARTS_V2 with 32 channels and 8 cells, no auxiliary head
    test = nv.benchmarks.load("nb301", path, metric="test_accuracy")
    assert test.table[["accuracy", "val_accuracy"]].values.tolist() == [[0.935, 0.94]]
    assert "test accuracy" in test.card["note"]


def test_a_folder_tree_averages_the_runs_of_an_architecture(tmp_path):
    write(tmp_path / "de" / "results_1.json", result(92.0, 91.0))
    write(tmp_path / "de" / "results_1_ti.json", result(80.0, 79.0, "max_pool_3x3"))
    write(tmp_path / "de" / "other.json", "no result")
    write(tmp_path / "rs" / "results_2.json", result(94.0, 92.0))
    write(tmp_path / "rs" / "results_3.json", result(90.0, 89.0, "avg_pool_3x3"))
    write(tmp_path / "rs" / "results_4.json", result(50.0, 40.0, budget=10))  # of another fidelity: not averaged
    table = nv.benchmarks.load("nb301", tmp_path).table
    assert table.accuracy.tolist() == pytest.approx([0.93, 0.80, 0.90])
    assert table.test_accuracy.tolist() == pytest.approx([0.915, 0.79, 0.89])
    assert table.arch.str.extract(r"normal=\[\('(\w+)'")[0].tolist() == ["sep_conv_3x3", "max_pool_3x3", "avg_pool_3x3"]
    assert table.runs.tolist() == [2, 1, 1]
    assert table.budget.tolist() == [100, 100, 100]
    assert table.optimiser.tolist() == ["de, rs", "de", "rs"]


def test_networks_of_another_size_stay_and_are_reported(tmp_path):
    write(tmp_path / "results_1.json", result(first="dil_conv_5x5"))
    write(tmp_path / "results_2.json", result(channels=50, layers=20, budget=1500))
    with pytest.warns(UserWarning, match="1 of 2 networks were not trained with 32 channels and 8 layers.*50 channels"):
        bench = read_nb301(tmp_path)
    assert bench.card["other_settings"] == {"50 channels, 20 layers": 1}
    assert bench.table.layers.tolist() == [8, 20]


def test_the_result_that_the_package_ships_has_our_parameters(tmp_path, monkeypatch):
    """6,369,358 in the record, with the auxiliary head of 505,098 (conv 800→128, conv 2×2 128→768, linear 768→10)."""
    content = result(97.68, 97.54, channels=50, layers=20, budget=1500)
    config = {k: v for k, v in content["optimized_hyperparamater_config"].items() if "edge" not in k}
    for kind in ("normal", "reduce"):
        config |= {f"{PREFIX}edge_{kind}_{edge}": op for edge, op in PUBLISHED[f"edges_{kind}"].items()}
    config |= {f"{PREFIX}inputs_node_{node}": pair for node, pair in PUBLISHED["inputs"].items()}
    path = write(tmp_path / "results_0.json", content | {"optimized_hyperparamater_config": config})
    with pytest.warns(UserWarning, match="1 of 1 networks were not trained with 32 channels"):
        bench = read_nb301(path)
    family = nv.families.get("nb301")
    skeleton = family.scales["paper"] | {"width": 50, "cells": 20}
    monkeypatch.setitem(family.scales, "published", skeleton)
    head = 800 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 769 * 10
    assert family.graph(family.parse(bench.table.arch[0]), "published").params + head == 6_369_358


def test_what_a_run_lacks_is_missing(tmp_path):
    content = result()
    del content["test_accuracy"], content["runtime"], content["info"][0]["model_parameters"]
    table = read_nb301(write(tmp_path / "results_1.json", content)).table
    assert table.accuracy.tolist() == [0.94]
    assert table[["test_accuracy", "runtime", "model_parameters"]].isna().all(axis=None)


def test_files_of_a_folder_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    write(tmp_path / "results_1.json", result())
    write(tmp_path / "results_2.json", json.dumps(result())[:-30])
    write(tmp_path / "results_3.json", "")
    with pytest.warns(UserWarning, match="2 of 3 files are left out; the first: .*results_2.json.*no readable JSON"):
        bench = read_nb301(tmp_path)
    assert (len(bench), bench.card["files_left_out"]) == (1, 2)


def changed(part, key, value=None):
    content = result()
    where = {"config": content["optimized_hyperparamater_config"], "info": content["info"][0], "top": content}[part]
    where[key] = value
    if value is None:
        del where[key]
    return content


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        (json.dumps(result())[:400], "is no readable JSON"),
        (json.dumps(result()).replace('"info"', '"\x09nfo"'), "is no readable JSON"),
        (json.dumps(result()).replace('"info"', '"hnfo"'), "it has no info"),
        ("<!DOCTYPE html><title>Quota exceeded</title>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git-LFS pointer"),
        ("[1, 2]", "it has no optimized_hyperparamater_config"),
        (changed("top", "info", []), "val_accuracy is None; it must be a number from 0 to 100"),
        (changed("top", "info", [7]), "val_accuracy is None"),
        (changed("info", "val_accuracy", float("nan")), "val_accuracy is nan; it must be a number from 0 to 100"),
        (changed("info", "val_accuracy", 940), "val_accuracy is 940"),
        (changed("info", "val_accuracy", "94"), "val_accuracy is '94'"),
        (changed("info", "val_accuracy", 0.94), "percent=True, but column 'val_accuracy' holds at most 0.94"),
        (changed("top", "test_accuracy", -1), "test_accuracy is -1"),
        (changed("top", "budget"), "budget is None; it must be a number from 0 on"),
        (changed("config", f"{PREFIX}layers"), "layers is None"),
        (changed("config", f"{PREFIX}edge_normal_0"), "config has no .*edge_normal_0"),
        (changed("config", f"{PREFIX}edge_normal_0", "sep_conv_7x7"), "'sep_conv_7x7' is not an operation"),
        (changed("config", f"{PREFIX}inputs_node_normal_5", "0_0"), "node 5 reads state 0 twice"),
    ],
)  # fmt: skip
def test_a_wrong_file_gets_one_sentence(tmp_path, content, sentence):
    path = write(tmp_path / "results_1.json", content)
    for given in (path, tmp_path):
        with pytest.raises(ValueError, match=sentence) as caught:
            nv.benchmarks.load("nb301", given)
        assert "\n" not in str(caught.value)


def test_a_wrong_path_gets_one_sentence(tmp_path):
    load = nv.benchmarks.load
    with pytest.raises(ValueError, match=r"load\('nb301'\) needs path=….*results_\*.json"):
        load("nb301")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load("nb301", tmp_path / "results_9.json")
    with pytest.raises(ValueError, match=r"has no file results_\*.json in it"):
        load("nb301", tmp_path)
    with pytest.raises(ValueError, match="metric='accuracy': allowed are 'val_accuracy' and 'test_accuracy'"):
        load("nb301", tmp_path, metric="accuracy")
    write(tmp_path / "data" / "results_1.json", result())
    for kind, sentence in [("zip", "is a zip archive; unpack it"), ("tar", "is a tar archive; unpack it")]:
        archive = shutil.make_archive(str(tmp_path / "nb301"), kind, tmp_path / "data")
        with pytest.raises(ValueError, match=sentence):
            load("nb301", archive)


def test_the_order_of_a_folder_is_that_of_its_names(tmp_path):
    archs = ["max_pool_3x3", "avg_pool_3x3", "dil_conv_5x5"]
    for number, op in enumerate(archs):
        write(tmp_path / "rs" / f"results_{number}.json", result(90 + number, first=op))
    pd.testing.assert_frame_equal(read_nb301(tmp_path).table, read_nb301(tmp_path / "rs").table)
    assert read_nb301(tmp_path).table.accuracy.tolist() == [0.90, 0.91, 0.92]
