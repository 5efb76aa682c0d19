"""The grid search: a row a pair, collapsed fits refused, the best on validation 1 chosen, and nothing else seen.

On both families together, so that validation 1 has six networks.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nasviz.predict import cluster_search
from nasviz.predict.cluster_search import choose_clusters
from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.ensemble import partition
from nasviz.predict.metrics import srcc
from nasviz.predict.regressors import HeadRegressor

COLUMNS = ["n_clusters", "fuzzifier", "partition_coefficient", "distinct", "status", "srcc", "chosen"]
GRID = {"n_clusters": (2, 4), "fuzzifiers": (1.2, 9.0), "epochs": 3, "progress": False}


@pytest.fixture(scope="module")
def encoder(model):
    return model.encoder


@pytest.fixture(scope="module")
def found(bench, encoder):
    return choose_clusters(bench, encoder, **GRID)


def test_a_row_for_every_pair_and_the_best_is_chosen(found, tiny):
    table, choice = found
    assert table.columns.tolist() == COLUMNS and len(table) == 4
    assert table[["n_clusters", "fuzzifier"]].to_numpy().tolist() == [[2, 1.2], [2, 9], [4, 1.2], [4, 9]]
    best = table.loc[table["srcc"].idxmax()]
    assert table["chosen"].sum() == 1 and best["chosen"] and best["status"] == "ok"
    assert choice == {"n_clusters": best["n_clusters"], "fuzzifier": best["fuzzifier"]}
    assert replace(tiny, **choice).fuzzifier == choice["fuzzifier"]


def test_fits_without_structure_are_refused(found):
    table, _ = found
    soft = table[table["fuzzifier"] == 9]
    assert not (soft["status"] == "ok").any() and soft["srcc"].isna().all() and not soft["chosen"].any()
    assert (table.loc[table["status"] == "ok", "distinct"] == table.loc[table["status"] == "ok", "n_clusters"]).all()


def test_a_row_is_what_its_member_does_on_validation_1(found, bench, encoder):
    parts = partition(bench)
    training, validation = parts["training"], parts["validation 1"]
    h, flops = training.population.embedding(encoder), training.population.flops
    space = ClusterSpace(2, 1.2).fit(h, flops)
    member = HeadRegressor("CL+FCM+T", encoder, space, float(np.median(flops))).fit(training, validation, epochs=3)
    row = found[0].iloc[0]
    assert row["srcc"] == pytest.approx(srcc(member.predict(validation.population), validation.accuracy))
    assert row["partition_coefficient"] == pytest.approx(space.fcm_.partition_coefficient_)


def test_validation_2_is_not_seen_and_validation_1_is_not_fitted_on(found, bench, encoder, relabelled, monkeypatch):
    rows = partition(bench)["rows"]
    same, _ = choose_clusters(relabelled(bench, rows["validation 2"], 1.0), encoder, **GRID)
    pd.testing.assert_frame_equal(same, found[0])
    spaces, original = [], ClusterSpace.fit
    monkeypatch.setattr(ClusterSpace, "fit", lambda self, h, f: spaces.append(h) or original(self, h, f))
    other, _ = choose_clusters(relabelled(bench, rows["validation 1"], [0.1, 0.9, 0.2, 0.8, 0.3, 0.7]), encoder, **GRID)
    assert all(len(h) == len(rows["training"]) for h in spaces)
    clustering = COLUMNS[:5]
    pd.testing.assert_frame_equal(other[clustering], found[0][clustering])
    assert not np.allclose(other["srcc"].dropna(), found[0]["srcc"].dropna()), "it is what is chosen by"


def test_it_serves_the_classifiers_too(bench, encoder):
    table, choice = choose_clusters(bench, encoder, **GRID | {"n_clusters": (2,)}, member="CL+FCM+Pairwise")
    assert table["srcc"].notna().sum() == 1 and choice == {"n_clusters": 2, "fuzzifier": 1.2}


def test_what_cannot_be_searched_is_told(bench, encoder, monkeypatch):
    with pytest.raises(ValueError, match="member='CL[+]T' has no clusters; choose from CL[+]FCM, CL[+]FCM[+]T, CL"):
        choose_clusters(bench, encoder, member="CL+T")
    with pytest.raises(ValueError, match="the grid is empty"):
        choose_clusters(bench, encoder, fuzzifiers=())
    with pytest.raises(ValueError, match="all 1 fits were refused, .*: try smaller fuzzifiers than 9"):
        choose_clusters(bench, encoder, n_clusters=(4,), fuzzifiers=(9.0,), progress=False)
    monkeypatch.setattr(cluster_search, "partition", lambda bench: pytest.fail("it went on"))
    with pytest.raises(ValueError, match="has no clusters"):
        choose_clusters(bench, encoder, member="FLOPs")
