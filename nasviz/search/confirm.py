"""Is what a search found better? The start and the found network are trained anew, with seeds that nothing has seen.

The task is the digits of the bundled labels, with their recipe. The start may be the best of a family: it was chosen by
the highest of hundreds of means over three trainings, so it too is worth less with new seeds.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from nasviz.benchmarks.label import Recipe, train_anew
from nasviz.graph.build import to_module
from nasviz.graph.graph import ComputeGraph
from nasviz.search.hunt import Log, Predictor, Report
from nasviz.search.spaces import GraphSpace
from nasviz.search.trained import Trained, trained_search

SEARCH_SEEDS, FRESH_SEEDS = 100, 1000
"""First seeds of trainings in the search and after it; labels have the seeds 0, 1 and 2."""


def confirm(
    graph: ComputeGraph,
    predictor: Predictor,
    *,
    fresh: int = 12,
    recipe: Recipe | None = None,
    seed: int = 0,
    macro: bool = True,
    log: str | Path | None = None,
    report: Report | None = None,
    **way: Any,
) -> pd.DataFrame:
    """Search with training in the loop, then train the start and what was found `fresh` times anew.

    "found" is the network with the highest accuracy confirmed, "cheapest" the one with the fewest FLOPs of those that
    were confirmed to be not below the start; they may be one and the same.

    Parameters
    ----------
    graph : ComputeGraph
        The start: (1, 1, 8, 8) in, ten classes out.
    predictor : Predictor
        Proposes.
    fresh : int
        Trainings of each, with the same seeds for all.
    recipe : Recipe, optional
        Of every training.
    seed : int
        Of the search.
    macro : bool
        Whether the topology may change.
    log : path, optional
        A file of what was trained, from which a search that was stopped goes on.
    report : callable, optional
        Told (fraction, message).
    way
        What else `trained_search` takes.

    Returns
    -------
    DataFrame
        One row a training: network (its key), kind ("start", "found", "cheapest", "proposed"), phase ("search" or
        "fresh"), round, seed, accuracy, predicted (before it was trained, less what caution takes off), flops, params.

    Raises
    ------
    ValueError
        If `fresh` is below 2, or `trained_search` raises it.
    """
    if fresh < 2:
        raise ValueError(f"fresh={fresh}: an interval needs at least 2 trainings.")
    recipe, space, rows = recipe or Recipe(), GraphSpace([graph], macro=macro), []
    facts = {"confirm": space.starts[0].key, "seed": seed, "macro": macro, "recipe": asdict(recipe), **way}
    written = Log(log, {name: str(value) for name, value in facts.items()})

    def accuracy(each: Trained, number: int, first: int, phase: str) -> float:
        name = f"{each.scored.key} {first + number}"
        known = written.recall([name], "accuracy")
        if known is None:
            graph = space.graph(each.scored.candidate)
            known = [train_anew(lambda: to_module(graph), recipe, first + number)]
            written.write([name], "accuracy", known)
        cost = each.scored.cost
        rows.append({"network": each.scored.key, "phase": phase, "round": each.round, "seed": first + number,
                     "accuracy": known[0], "predicted": each.scored.score, "flops": cost.flops,
                     "params": cost.params})  # fmt: skip
        return known[0]

    def train(each: Trained, number: int) -> float:
        return accuracy(each, number, SEARCH_SEEDS, "search")

    ranked = trained_search(space, predictor, train, starts=space.starts, seed=seed, report=report, **way)
    start = next(each for each in ranked if not each.round)
    found = next(each for each in ranked if each.round)
    repeats = len(start.accuracies)
    equal = [each for each in ranked if each.round and len(each.accuracies) >= repeats and each.mean >= start.mean]
    cheapest = min(equal or [found], key=lambda each: each.scored.cost.flops)
    for number in range(fresh):
        for each in (start, found) if cheapest is found else (start, found, cheapest):
            accuracy(each, number, FRESH_SEEDS, "fresh")
    table = pd.DataFrame(rows)
    kinds = {start.scored.key: "start", cheapest.scored.key: "cheapest", found.scored.key: "found"}
    table.insert(1, "kind", table["network"].map(kinds).fillna("proposed"))
    return table


def verdict(table: pd.DataFrame, level: float = 0.95, by: Sequence[str] = ()) -> pd.DataFrame:
    """What the fresh trainings say.

    Parameters
    ----------
    table : DataFrame
        From `confirm`; of several searches with columns that tell them apart.
    level : float
        Of the interval.
    by : sequence of str
        Those columns.

    Returns
    -------
    DataFrame
        A row a search and network ("found", and "cheapest" where it is another): kind, trainings (of each), networks
        (trained in the search), flops (as a share of the start's), params (likewise), accuracy_start and accuracy
        (means), gain with low and high, the mean difference of trainings with the same seed and its interval by
        Student's t.
    """
    groups = table.groupby(list(by), sort=False) if by else [((), table)]
    result = []
    for name, part in groups:
        new = part[part["phase"] == "fresh"].pivot(index="seed", columns="kind", values="accuracy")
        first = part.drop_duplicates("kind").set_index("kind")
        for kind in ("found", "cheapest"):
            if kind not in new:
                continue
            difference = (new[kind] - new["start"]).to_numpy()
            half = student.ppf((1 + level) / 2, len(new) - 1) * difference.std(ddof=1) / np.sqrt(len(new))
            share = first.loc[kind, ["flops", "params"]] / first.loc["start", ["flops", "params"]]
            result.append(
                dict(zip(by, name, strict=True))
                | {"kind": kind, "trainings": len(new), "networks": part["network"].nunique() - 1, **share.to_dict(),
                   "accuracy_start": new["start"].mean(), "accuracy": new[kind].mean(), "gain": difference.mean(),
                   "low": difference.mean() - half, "high": difference.mean() + half}
            )  # fmt: skip
    return pd.DataFrame(result)
