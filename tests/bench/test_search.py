"""How many children a search makes and scores in a second, on one thread. Run with ``-m bench``."""

import time
from dataclasses import replace
from random import Random

import pandas as pd
import pytest
import torch

import nasviz as nv
from nasviz.predict import Gennape
from nasviz.predict.protocol import small
from nasviz.search import GraphSpace, Parent, mutate, predictor, predictor_scorer, search
from nasviz.search.goals import Cost

pytestmark = pytest.mark.bench
CHILDREN = 1000


def seconds(work) -> float:
    """CPU time, which other processes disturb least."""
    start = time.process_time()
    work()
    return time.process_time() - start


def starts() -> dict[str, nv.graph.ComputeGraph]:
    nb101, resnet = nv.families.get("nb101"), nv.families.get("ofa_resnet")
    cell, (net,) = nb101.parse("7:1391169:01121"), resnet.sample(1, seed=0)
    return {
        "nb101, digits": nb101.graph(cell, "digits"),
        "nb101, paper": nb101.graph(cell, "paper"),
        "ofa_resnet, paper": resnet.graph(net, "paper"),
    }


def test_children_per_second(results):
    torch.set_num_threads(1)
    brief = replace(small(), encoder_epochs=1, head_epochs=1, kgnn_epochs=1)  # as quick to ask as a long-trained one
    gennape = Gennape.pretrain(nv.benchmarks.load("digits").of("nb101"), settings=brief, progress=False)
    predictors = {"forest": predictor("digits"), "Nasviz": nv.pretrained("nb101"), "GENNAPE": gennape}
    forest = predictors["forest"]
    rows = []
    for name, graph in starts().items():
        parent, rng, children = Parent.of(graph), Random(0), []
        for _ in range(200):  # the first children fill the tables of operators
            mutate(parent, rng)

        def make(parent=parent, rng=rng, children=children):
            for _ in range(CHILDREN):
                child = Parent(mutate(parent, rng))
                assert child.key and Cost.of(child.graph).flops
                children.append(child.graph)

        made = seconds(make) / CHILDREN
        asked, gain = {}, {}
        for label, model in predictors.items():
            model.score(children[:50])
            asked[label] = seconds(lambda p=model, c=children: p.score(c)) / CHILDREN
            alone = seconds(lambda p=model, c=children: [p.score([graph]) for graph in c[:20]]) / 20
            gain[label] = alone / asked[label]
        space = GraphSpace([graph])
        whole = seconds(lambda space=space: search(
            space, predictor_scorer(forest, space), starts=space.starts, budget=1500, settings={"children": 500}
        )) / 1500  # fmt: skip
        rows.append(
            {
                "start": name,
                "operators": len(graph),
                "children/s, made": 1 / made,
                **{f"scored/s, {label}": 1 / time for label, time in asked.items()},
                **{f"made and scored/s, {label}": 1 / (made + time) for label, time in asked.items()},
                "whole search/s, forest": 1 / whole,
                **{f"times one by one, {label}": times for label, times in gain.items()},
            }
        )
    table = pd.DataFrame(rows).set_index("start").round(0)
    assert (table.filter(like="times one by one") > 2).all(axis=None)
    results(
        "Children a second",
        f"One thread, CPU time; {CHILDREN:,} children, checked, with FLOPs, parameters and a key. GENNAPE is the whole "
        "ensemble (embedding, clusters, heads, pairwise classifiers, k-GNN), in one batch. The last rows: how many "
        "times longer it takes to ask about one child after another.",
        table.T,
    )
