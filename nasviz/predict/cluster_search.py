"""Grid search for the number of clusters and the fuzzifier, on validation 1."""

import warnings
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.encoder import Encoder
from nasviz.predict.ensemble import flops_unit, partition
from nasviz.predict.fcm import CollapsedClusters, MergedClusters
from nasviz.predict.metrics import srcc
from nasviz.predict.pairwise import PAIRWISE, PairwiseRanker
from nasviz.predict.regressors import VARIANTS, HeadRegressor

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

FUZZY = tuple(name for name in (*VARIANTS, *PAIRWISE) if "FCM" in name)


def choose_clusters(
    bench: "Benchmark",
    encoder: Encoder,
    *,
    n_clusters: Sequence[int] = (3, 6, 10, 15),
    fuzzifiers: Sequence[float] = (1.1, 1.2, 1.3),
    member: str = "CL+FCM+T",
    epochs: int = 20,
    seed: int = 0,
    progress: bool = True,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Try every pair of C and m; the best is the one whose member ranks validation 1 best.

    Centroids and heads are fitted on the training partition alone, and validation 2 is not touched. The paper chose on
    validation 2, on which it also reported. Differences of a few thousandths between neighbours in the grid are those
    of another seed: then choose the smaller C.

    Parameters
    ----------
    bench : Benchmark
        The labelled networks, as for `Gennape.pretrain`.
    encoder : Encoder
        The trained encoder, on whose embedding the clusters are.
    n_clusters : sequence of int
        The C to try.
    fuzzifiers : sequence of float
        The m to try, each greater than 1.
    member : str
        "CL+FCM", "CL+FCM+T" or "CL+FCM+Pairwise": the paper chose for regressors and classifiers apart.
    epochs : int
        Of each member's training.
    seed : int
        Of the k-means++ start and of the heads.
    progress : bool
        Show a progress bar.

    Returns
    -------
    table : DataFrame
        One row a pair: n_clusters, fuzzifier, partition_coefficient (1 is crisp, 1 / C no structure), distinct (how
        many of the clusters differ), status, srcc (on validation 1), chosen. A fit whose clusters "collapsed" into one
        or whose centroids "merged", so that it holds fewer clusters than its row says, is refused and not trained on.
    choice : dict
        n_clusters and fuzzifier of the chosen row, so that ``replace(settings, **choice)`` takes them.

    Raises
    ------
    ValueError
        If the member has no clusters, the grid is empty, or every fit is refused.
    """
    if member not in FUZZY:
        raise ValueError(f"member={member!r} has no clusters; choose from {', '.join(FUZZY)}.")
    grid = list(product(n_clusters, fuzzifiers))
    if not grid:
        raise ValueError("the grid is empty: give at least one number of clusters and one fuzzifier.")
    parts = partition(bench)
    training, validation = parts["training"], parts["validation 1"]
    h, flops = training.population.embedding(encoder), training.population.flops
    rows = []
    for clusters, fuzzifier in tqdm(grid, "clusters", disable=not progress):
        row = {"n_clusters": clusters, "fuzzifier": fuzzifier, "partition_coefficient": 1 / clusters, "distinct": 1,
               "status": "collapsed", "srcc": np.nan}  # fmt: skip
        rows.append(row)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MergedClusters)  # the table says it
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                space = ClusterSpace(clusters, fuzzifier, seed=seed).fit(h, flops)
            except CollapsedClusters:
                continue
        distinct = space.fcm_.n_distinct_clusters_
        row |= {"partition_coefficient": space.fcm_.partition_coefficient_, "distinct": distinct}
        if distinct < clusters:
            row["status"] = "merged"
            continue
        on = (member, encoder, space)
        predictor = PairwiseRanker(*on) if member in PAIRWISE else HeadRegressor(*on, flops_unit(bench, flops))
        predictor.fit(training, validation, epochs=epochs, seed=seed)
        row |= {"status": "ok", "srcc": srcc(predictor.predict(validation.population), validation.accuracy)}
    table = pd.DataFrame(rows)
    if table["srcc"].isna().all():
        raise ValueError(
            f"all {len(table)} fits were refused, because their clusters collapsed or merged: try smaller fuzzifiers "
            f"than {min(fuzzifiers):g}, or fewer clusters than {min(n_clusters)}."
        )
    best = table["srcc"].idxmax()
    choice = {"n_clusters": int(table.loc[best, "n_clusters"]), "fuzzifier": float(table.loc[best, "fuzzifier"])}
    return table.assign(chosen=table.index == best), choice
