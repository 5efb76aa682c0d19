"""Measuring: draws that are the same for everybody, files that are read again, and sizes that are kept."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from nasviz.predict.folds import draw
from nasviz.predict.metrics import ndcg
from nasviz.predict.tables import available
from nasviz.predict.tables_baselines import COSTS
from nasviz.predict.tables_methods import Ranking, Target
from nasviz.predict.tables_run import KEYS, MEASURES, PRESETS, Budget, measure

SMALL = Budget(seeds=2, draws=3, labels=8)


@dataclass
class Spy:
    """A learner that says the number of the row, and remembers what it was asked."""

    name: str = "spy"
    rows: tuple = ("spy",)
    seeded: bool = True
    calls: list = field(default_factory=list)

    def fit(self, home, seed, folder, jobs=1):
        self.calls.append(("fit", seed, len(home.bench)))
        return self

    def rank(self, target, rows):
        self.calls.append(("rank", target.bench.name, tuple(rows)))
        return {"spy": Ranking(rows.astype(float), np.full(len(rows), 0.5), rows)}

    def tune(self, target, rows, seed):
        self.calls.append(("tune", seed, tuple(rows)))
        return self

    def key(self):
        return "spy"


@pytest.fixture
def run(nb101, nb201, tmp_path):
    def run(learners, budget=SMALL, train=nb101, targets=(nb201,), **options):
        return measure(train, targets, learners, budget, folder=tmp_path, jobs=1, progress=False, **options)

    return run


def test_a_row_a_measurement_with_scipys_values(run, nb101, nb201):
    table = run([COSTS, Spy()])
    assert table.columns.tolist() == [*KEYS, *MEASURES]
    counts = table.groupby(["method", "setting"]).size().to_dict()
    assert counts == {
        ("FLOPs", "in-domain"): 1, ("FLOPs", "zero-shot"): 1, ("FLOPs", "fine-tuned"): 3,
        ("params", "in-domain"): 1, ("params", "zero-shot"): 1, ("params", "fine-tuned"): 3,
        ("spy", "in-domain"): 2, ("spy", "zero-shot"): 2, ("spy", "fine-tuned"): 3,
    }  # fmt: skip
    tuned = table.query("method == 'spy' and setting == 'fine-tuned'")
    assert set(zip(tuned["draw"], tuned["seed"], strict=True)) == {(0, 0), (1, 1), (2, 0)}
    accuracy = nb201.table["accuracy"].to_numpy()
    spied = table.query("method == 'spy' and setting == 'zero-shot'").iloc[0]
    assert spied["srcc"] == pytest.approx(spearmanr(np.arange(24), accuracy).statistic)
    assert spied["kendall"] == pytest.approx(kendalltau(np.arange(24), accuracy).statistic)
    assert spied["ndcg@10"] == pytest.approx(ndcg(np.arange(24), accuracy, 10))
    assert spied["mae"] == pytest.approx(np.abs(accuracy - 0.5).mean())
    rest = draw(24, 8, 1)[1]
    params = np.array([graph.params for graph in nb201.graphs()])
    row = table.query("method == 'params' and draw == 1").iloc[0]
    assert row["srcc"] == pytest.approx(spearmanr(params[rest], accuracy[rest]).statistic)
    assert row["networks"] == 16 and np.isnan(row["mae"]) and row["family"] == "nb201"


def test_the_draws_are_those_of_everybody_and_in_domain_is_validation_2(run, nb101):
    spy = Spy()
    run([spy])
    assert [call[1:] for call in spy.calls if call[0] == "tune"] == [(n, tuple(draw(24, 8, n)[0])) for n in (0, 2, 1)]
    ranked = [call[1:] for call in spy.calls if call[0] == "rank"]
    from nasviz.predict.ensemble import partition

    assert ranked.count(("tiny:nb101", tuple(partition(nb101)["rows"]["validation 2"]))) == 2
    for number in range(3):
        assert ("tiny:nb201", tuple(draw(24, 8, number)[1])) in ranked


def test_what_is_on_disk_is_not_measured_again(run, nb201, relabelled):
    first = run([COSTS, Spy()])
    spy = Spy()
    pd.testing.assert_frame_equal(run([COSTS, spy]), first)
    assert spy.calls == []
    more = run([spy], Budget(seeds=2, draws=5, labels=8))
    assert [call[:2] for call in spy.calls if call[0] in ("fit", "tune")] == [
        ("fit", 0), ("tune", 0), ("tune", 2), ("tune", 4), ("fit", 1), ("tune", 1), ("tune", 3)
    ]  # fmt: skip
    assert len(more) == 4 + 5
    spy.calls.clear()
    other = relabelled(nb201, [0], [0.99])
    assert not run([spy], targets=[other]).equals(first) and spy.calls, "other labels are another measurement"


def test_settings_that_no_table_asks_for_are_not_measured(run):
    spy = Spy()
    table = run([spy], settings=["zero-shot"])
    assert table["setting"].unique().tolist() == ["zero-shot"]
    assert {call[0] for call in spy.calls} == {"fit", "rank"}


def test_sizes_are_kept(run, nb101):
    spy = Spy()
    run([spy], Budget(seeds=1, draws=0, train_networks=25), settings=["zero-shot"])
    assert spy.calls[0] == ("fit", 0, 25)


def test_too_few_networks_for_a_draw_are_told_before_training(run):
    spy = Spy()
    with pytest.raises(ValueError, match="labels=50: of 24 networks between 1 and 22 can be drawn"):
        run([spy], Budget())
    assert spy.calls == []


SOME = {"CL", "BANANAS", "costs"}
EVERY = 6 + 1 + 2 + 2 + 3  # the ensemble with its members, ours, CL and CL+FCM, GCN and GIN, costs and forest


@pytest.mark.parametrize(
    ("names", "rows"), [(SOME, 2 + 2), pytest.param(None, EVERY, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_the_real_learners_run_and_repeat_what_is_missing(names, rows, nb101, nb201, tmp_path):
    budget = Budget(seeds=1, draws=1, labels=8, epochs=1e-9)
    assert budget.shorten(available(nb101, budget)[0].settings).tune_epochs == 1

    def run():
        learners = [learner for learner in available(nb101, budget) if names is None or learner.name in names]
        return measure(nb101, [nb201], learners, budget, folder=tmp_path, jobs=1, progress=False)

    table = run()
    cells = len({"BANANAS", "NPN", "TNASP"} & (names or {"BANANAS", "NPN", "TNASP"}))
    methods = table.groupby("setting")["method"].nunique().to_dict()
    assert methods == {"in-domain": rows + cells, "zero-shot": rows, "fine-tuned": rows}, "some know cells alone"
    for path in (tmp_path / "rows").glob("*fine-tuned*"):
        path.unlink()
    pd.testing.assert_frame_equal(run(), table)


@pytest.mark.slow
def test_processes_change_no_number(nb101, nb201, tmp_path):
    budget = Budget(seeds=2, draws=2, labels=8, epochs=1e-9)
    learners = [learner for learner in available(nb101, budget) if learner.name in SOME]
    tables = [
        measure(nb101, [nb201], learners, budget, folder=tmp_path / str(jobs), jobs=jobs, progress=False)
        for jobs in (1, 2)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_the_digest_of_a_target_is_that_of_its_labels(nb201, relabelled):
    assert Target(nb201).digest == Target(nb201.subset(slice(None))).digest
    assert Target(relabelled(nb201, [0], [0.123])).digest != Target(nb201).digest
    assert Target(nb201.subset([1, 0])).digest != Target(nb201.subset([0, 1])).digest


def test_the_full_preset_is_the_protocol():
    full = PRESETS["full"]
    assert (full.seeds, full.draws, full.labels, full.epochs) == (5, 10, 50, 1.0)
    assert full.train_networks is full.proxy_networks is None
