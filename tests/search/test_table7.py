"""Table 7: what is found is valid, runs, costs less, and is predicted to be no worse; and stands beside the paper."""

import numpy as np
import pandas as pd
import pytest

import nasviz as nv
from nasviz.graph.cost import total_flops
from nasviz.search import table7 as tables
from nasviz.search.table7 import PAPER, report, start_of, table7


class Alike:
    """Takes all networks of more than 60 operators to be alike; says on how many labels it was fine-tuned."""

    tuned = 0

    def score(self, graphs):
        assert self.tuned in (0, 5)
        accuracy = [0.9 if len(graph) > 60 else 0.5 for graph in graphs]
        return pd.DataFrame({"score": accuracy, "accuracy": accuracy, "low": np.array(accuracy) - 0.01})

    def fine_tune(self, graphs, accuracy):
        other = Alike()
        other.tuned = len(graphs)
        assert len(graphs) == len(accuracy)
        return other


@pytest.fixture(scope="module")
def benches():
    bench = nv.benchmarks.load("digits")
    return {name: bench.of(name).subset(range(20)) for name in ("nb101", "nb201")}


def test_the_start_without_labels_costs_what_that_of_the_paper_does(benches):
    assert total_flops(start_of("ofa_resnet", benches)) == pytest.approx(12.13e9, rel=0.02)
    best = benches["nb201"].table["accuracy"].idxmax()
    family = nv.families.get("nb201")
    assert start_of("nb201", benches) == family.graph(family.parse(benches["nb201"].table["arch"][best]))


def test_found_networks_cost_less_and_run(monkeypatch, benches):
    monkeypatch.setattr(tables, "LOOKED_AT", 3)
    table = table7(benches, {"alike": Alike()}, labels=5, held=10, budget=24, progress=False)
    assert table["runs"].all() and set(table["family"]) == set(PAPER)
    for _, rows in table.groupby("family"):
        part = rows.set_index("network")
        assert list(part.index) == ["start", "best", "cheapest"]
        assert (part["flops"].drop("start") < part["flops"]["start"]).all()
        assert part["flops"]["cheapest"] <= part["flops"]["best"]
        assert (part["score"] >= part["score"]["start"]).all() and part["score"]["start"] < part["accuracy"]["start"]
    assert table.groupby("family")["tuned"].first().to_dict() == {"nb101": 0, "nb201": 5, "ofa_resnet": 0}
    text = report(table)
    assert "11.7" in text and "81.08" in text and "ImageNet120" in text
    assert sum(line.startswith("NB-201, best") for line in text.splitlines()) == 1
    assert len({len(line) for line in text.splitlines()}) == 1


def test_a_network_that_is_none_does_not_run():
    family = nv.families.get("nb201")
    good = family.graph(family.parse("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"), "digits")
    assert not tables.runs(good)  # its zeros lead nowhere
    assert tables.runs(nv.search.prepared(good))
