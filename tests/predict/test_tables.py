"""The tables as data, as text beside the paper's figures, and what they say of themselves."""

import numpy as np
import pandas as pd
import pytest

from nasviz.benchmarks import Benchmark
from nasviz.predict import tables
from nasviz.predict.tables import BASELINES, CEILING, TABLES, budget_of, evaluate_table, notes, render, report, worlds
from nasviz.predict.tables_baselines import COSTS
from nasviz.predict.tables_paper import PAPER
from nasviz.predict.tables_run import PRESETS, Budget


def results(**columns) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"train": "nb101", "benchmark": "nb201", "family": "nb201", "seed": 0, "draw": -1, "networks": 4096, **columns}
    )
    for name in ("srcc", "kendall", "ndcg@10", "ndcg@50", "mae"):
        frame[name] = frame.get(name, np.nan)
    return frame


def test_the_tables_have_the_rows_and_settings_of_the_papers():
    for number, table in TABLES.items():
        printed = [cell for cell in PAPER if cell.table == number]
        assert {cell.method for cell in printed} <= set(table.rows)
        assert {cell.setting for cell in printed} == set(table.settings)
        assert {cell.measure for cell in printed} == set(table.measures)
        assert set(BASELINES) <= set(table.rows) and len(set(table.rows)) == len(table.rows)


def test_a_block_shows_mean_and_deviation_beside_the_paper():
    methods = ["GENNAPE", "GENNAPE", "GENNAPE", "FLOPs"]
    frame = results(method=methods, setting=["zero-shot", "fine-tuned", "fine-tuned", "zero-shot"])
    frame["srcc"] = [0.9, 0.95, 0.97, 0.81]
    ((title, block),) = render(5, frame)
    assert title == "nb201, 4,096 networks; trained on nb101"
    assert block.columns.tolist() == [
        "SRCC zero-shot", "paper SRCC zero-shot", "SRCC fine-tuned", "paper SRCC fine-tuned"
    ]  # fmt: skip
    assert block.loc["GENNAPE"].tolist() == ["0.900", "0.815", "0.960 ± 0.014", "0.910 ± 0.011"]
    assert block.loc["FLOPs"].tolist() == ["0.810", "0.001", "–", "–"], "the paper's FLOPs are in its table 1"
    assert block.loc["k-GNN"].tolist() == ["–", "0.493", "–", "0.861 ± 0.025"], "not measured, but printed"
    assert block.loc[CEILING].tolist() == ["0.985", "–", "0.985", "–"]
    assert block.index.tolist() == ["k-GNN", "GENNAPE", "FLOPs", CEILING]


def test_errors_are_shown_in_percent_points_and_ceilings_come_from_the_card():
    frame = results(method=["CL"], setting=["in-domain"]).assign(benchmark="digits:nb101", family="nb101", mae=0.0123)
    card = {"families": {"nb101": {"ceiling": {"spearman": 0.9931}}}}
    ((_, block),) = render(3, frame.assign(srcc=0.5), {"digits:nb101": card})
    assert block.loc["CL", ["MAE % in-domain", "paper MAE % in-domain"]].tolist() == ["1.23", "1.51 ± 0.17"]
    assert block.loc[CEILING, ["MAE % in-domain", "SRCC in-domain"]].tolist() == ["–", "0.993"]
    ((_, without),) = render(3, frame.assign(benchmark="mine", srcc=0.5))
    assert without.loc[CEILING, "SRCC in-domain"] == "unknown"


def test_notes_say_why_figures_are_not_like_for_like():
    frame = results(method=["GENNAPE", "Jacov"], setting="zero-shot")
    text = " ".join(notes(5, frame, Budget()))
    assert "0.001" in text and "undocumented unit" in text and "50,000 cells" in text and "Gaussian noise" in text
    assert "Not measured: k-GNN, Nasviz, FLOPs, params" in text and "epochs" not in text and "digits:" not in text
    without = " ".join(notes(5, frame.head(1), Budget(proxy_networks=5)))
    assert "Gaussian noise" not in without and "5 networks" not in without, "no proxy was measured"
    small = frame.assign(train="digits:nb101", benchmark="digits:nb201")
    text = " ".join(notes(9, small, PRESETS["quick"]))
    assert "cannot be compared" in text and "10% of the epochs" in text and "40 networks" in text
    assert "0.001" not in text and "Gaussian" not in text and "Ceiling" not in text


def test_worlds_are_all_that_has_labels_or_what_was_asked_for():
    digits = pd.DataFrame({"family": ["nb101", "nb201", "hiaml"], "arch": ["2:1:", "b", "c"], "accuracy": 0.5})

    def load(name):
        if name == "digits":
            return Benchmark("digits", digits, {}, "digits")
        return Benchmark(name, digits.head(1), {})

    def names(*arguments):
        return [(train.name, [bench.name for bench in targets]) for train, targets in worlds(load, *arguments)]

    bundled = ("digits:nb101", ["digits:nb201", "digits:hiaml"])
    assert names(None, None, []) == [bundled]
    assert names(None, None, ["nb201"]) == [("digits:nb101", ["nb201", *bundled[1]])]
    assert names(None, None, ["nb101", "nb201"]) == [("nb101", ["nb201"]), bundled]
    assert names("digits:nb101", None, []) == [bundled]
    assert names("digits:hiaml", [], ["nb201"]) == [("digits:hiaml", ["nb201", "digits:nb101", "digits:nb201"])]
    assert names("nb101", None, ["nb101", "nb201"]) == [("nb101", ["nb201"])]
    assert names(None, ["digits:hiaml"], []) == [("digits:nb101", ["digits:hiaml"])]
    assert names(None, ["nb201"], ["nb101", "nb201"]) == [("nb101", ["nb201"])]
    assert names("digits:nb201", ["digits:hiaml"], []) == [("digits:nb201", ["digits:hiaml"])]


def test_a_budget_is_a_preset_with_what_was_chosen():
    assert budget_of("full") == PRESETS["full"]
    assert budget_of("full", seeds=2, draws=0, labels=None) == Budget(seeds=2, draws=0)


def test_a_table_from_networks_to_text(nb101, nb201, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "available", lambda train, budget: [COSTS])
    budget, where = Budget(seeds=1, draws=2, labels=8, proxy_networks=12, proxy_images=4), [(nb101, [nb201])]
    table = evaluate_table(5, where, budget, folder=tmp_path, jobs=1, progress=False)
    assert sorted(table["method"].unique()) == ["FLOPs", "Jacov", "NASWOT", "params"]
    assert set(table["setting"]) == {"zero-shot", "fine-tuned"}
    networks = table.query("setting == 'zero-shot'").set_index("method")["networks"].to_dict()
    assert networks == {"FLOPs": 24, "params": 24, "Jacov": 12, "NASWOT": 12}
    text = report(5, table, where, budget)
    assert text.startswith("Table 5, SRCC. tiny:nb201, 24 networks; trained on tiny:nb101\n")
    assert "- Not measured: k-GNN, GENNAPE, Nasviz, random forest." in text and "- tiny:nb201: " in text
    zero_shot = table.query("method == 'FLOPs' and setting == 'zero-shot'")["srcc"].item()
    assert f"{zero_shot:.3f}" in next(line for line in text.splitlines() if line.startswith("FLOPs"))


def test_only_the_rows_that_are_asked_for_are_measured(nb101, nb201, tmp_path):
    budget = Budget(seeds=1, draws=1, labels=8)
    options = {"folder": tmp_path, "jobs": 1, "progress": False}
    table = evaluate_table(8, [(nb101, [nb201])], budget, methods=["params", "random forest"], **options)
    assert set(table["method"]) == {"FLOPs", "params", "random forest"}, "what comes with it is there, too"
    with pytest.raises(ValueError, match="method='Zen': table 8 has the rows k-GNN, CL"):
        evaluate_table(8, [(nb101, [nb201])], budget, methods=["Zen"], **options)


def test_a_table_that_the_paper_does_not_have():
    with pytest.raises(ValueError, match="table 7: there are the tables 1, 3, 4, 5, 6, 8, 9, 10"):
        evaluate_table(7, [], Budget())
