"""Proxies of a benchmark: the same numbers as one at a time, whatever the processes, resumed from a folder."""

import numpy as np
import pandas as pd
import pytest
import torch

from nasviz.families import get
from nasviz.predict import proxies_batch
from nasviz.predict.proxies import PROXIES, zero_cost_proxies
from nasviz.predict.proxies_batch import batch_of, proxy_table


@pytest.fixture(scope="module")
def few(bench):
    """Three cells of each family, in an order that is not sorted by family."""
    return bench.subset([40, 0, 41, 1, 42, 2])


@pytest.fixture(scope="module")
def table(few) -> pd.DataFrame:
    return proxy_table(few, size=8, jobs=1, progress=False)


def test_a_row_a_network_in_the_order_of_the_benchmark(few, table):
    assert table.columns.tolist() == list(PROXIES) and table.index.equals(few.table.index)
    for row in (0, 1):
        family = get(few.table.family[row])
        torch.manual_seed(0)
        module = family.build(family.parse(few.table.arch[row]), "digits")
        expected = zero_cost_proxies(module, *batch_of(family.name, "digits", 8), seed=0)
        assert table.iloc[row].to_dict() == pytest.approx(expected, nan_ok=True)
    assert table["params"].tolist() == [graph.params for graph in few.graphs()]


def test_a_run_goes_on_where_it_stopped(few, table, tmp_path, monkeypatch):
    stopped = few.subset(few.table.family == "nb201")
    proxy_table(stopped, size=8, jobs=1, folder=tmp_path, progress=False)
    built, original = [], proxies_batch._score
    monkeypatch.setattr(proxies_batch, "_score", lambda *a: built.append(a[:2]) or original(*a))
    pd.testing.assert_frame_equal(proxy_table(few, size=8, jobs=1, folder=tmp_path, progress=False), table)
    assert {family for family, _ in built} == {"nb101"} and len(built) == 3
    pd.testing.assert_frame_equal(proxy_table(few, size=8, jobs=1, folder=tmp_path, progress=False), table)
    assert len(built) == 3
    proxy_table(few, size=8, seed=1, jobs=1, folder=tmp_path, progress=False)
    assert len(built) == 9, "another seed is another result"


def test_what_the_graphs_say_needs_no_network(few, monkeypatch):
    monkeypatch.setattr(proxies_batch, "_score", lambda *_: pytest.fail("it builds a network"))
    assert proxy_table(few, ["params", "flops"], progress=False).notna().all(axis=None)


def test_a_batch_of_ones_own(few):
    images = torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])
    ours = proxy_table(few, ["naswot"], batch=images, jobs=1, progress=False)
    assert np.isneginf(ours["naswot"]).all(), "nobody can tell four black images apart"


@pytest.mark.parametrize("name", ["nb101", "ofa_mbv3"])
def test_batches_fit_the_networks(name):
    family = get(name)
    inputs, classes = batch_of(name, "digits", 5)
    module = family.build(family.sample(1, seed=0)[0], "digits").eval()
    assert len(module(inputs)) == 5 and int(classes.max()) < 10
    noise, _ = batch_of(name, "paper", 3, seed=1)
    assert noise.shape[0] == 3 and torch.equal(noise, batch_of(name, "paper", 3, seed=1)[0])
    assert noise.shape[1:] == family.graph(family.sample(1, seed=0)[0], "paper").nodes[0].out_shape[1:]
    with pytest.raises(ValueError, match="size must be a whole number, at least 2"):
        batch_of(name, "digits", 1)
