"""Search methods held against each other on a table of labelled networks, by queries spent. No training, no GPU."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz.search.hunt import run
from nasviz.search.learned import GuidedLocalSearch, Learned, Ranked
from nasviz.search.methods import LocalSearch, Method, RandomSearch, RegularisedEvolution
from nasviz.search.spaces import TableSpace

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

FEATURE_SCALE = "digits"
"""Structural features are those of the small networks of the same architectures, which are made in a millisecond."""


class Tabular:
    """A table with what the methods need of it, computed once.

    Parameters
    ----------
    bench : Benchmark
        Labelled networks of one family.
    prior : array-like of shape (N,), optional
        Scores of every row by a predictor that saw none of these labels; without it, no method is guided by one.
    """

    def __init__(self, bench: "Benchmark", prior: Sequence[float] | None = None):
        self.space, self.accuracy = TableSpace(bench), bench.table["accuracy"].to_numpy(dtype=float)
        self.prior = None if prior is None else np.asarray(prior, dtype=float)
        if self.prior is not None and self.prior.shape != self.accuracy.shape:
            raise ValueError(f"prior has shape {self.prior.shape}; give one score for each of {len(bench)} networks.")

    def features(self, progress: bool = False) -> np.ndarray:
        """Structural features and the parts of the architecture, one row a network; made when first asked for."""
        if not hasattr(self, "_features"):
            from nasviz.predict.folding import fold
            from nasviz.predict.structure import structural_features

            family = self.space.family
            texts = tqdm(self.space.bench.table["arch"], "features", disable=not progress)
            graphs = [family.graph(family.parse(text), FEATURE_SCALE) for text in texts]
            columns = [structural_features(fold(graphs)).to_numpy(), self.space.codes]
            if self.prior is not None:
                columns.append(self.prior[:, None])
            self._features = np.hstack(columns).astype(np.float32)
        return self._features


Maker = Callable[[Tabular, Random], Method]

METHODS: Mapping[str, Maker] = {
    "random": lambda table, rng: RandomSearch(table.space, rng, batch=10),
    "evolution": lambda table, rng: RegularisedEvolution(table.space, rng, population=30, tournament=10),
    "local search": lambda table, rng: LocalSearch(table.space, rng),
    "forest": lambda table, rng: Learned(table.space, rng, table.features()),
}
"""Methods that know the labels they asked for and nothing else."""

GUIDED: Mapping[str, Maker] = {
    "predictor": lambda table, rng: Ranked(table.space, rng, table.prior),
    "local search, guided": lambda table, rng: GuidedLocalSearch(table.space, rng, prior=table.prior),
    "forest, guided": lambda table, rng: Learned(table.space, rng, table.features(), table.prior),
}
"""Methods that a predictor guides, which was learned without these labels."""


def trajectories(
    bench: "Benchmark",
    *,
    prior: Sequence[float] | None = None,
    methods: Sequence[str] = (),
    queries: int = 200,
    seeds: int = 20,
    progress: bool = True,
) -> pd.DataFrame:
    """How good the best network is that each method has found after 1, 2, 3, ... queries of a label.

    A query is one look at the accuracy of one network that was not looked at before. Methods do not know the accuracy
    of any other.

    Parameters
    ----------
    bench : Benchmark
        Labelled networks of one family: a whole space, or a sample of one, within which is then searched.
    prior : array-like of shape (N,), optional
        Scores of every row by a predictor that saw none of these labels; adds the methods of `GUIDED`.
    methods : sequence of str, optional
        Names in `METHODS` and `GUIDED`; all that are possible by default.
    queries : int
        Length of each trajectory.
    seeds : int
        Runs of each method.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        method, seed, queries (from 1), best (the accuracy found), regret (the best of the table minus that).

    Raises
    ------
    ValueError
        If a method is unknown or needs a prior, or there are too few networks.
    """
    table = Tabular(bench, prior)
    known = {**METHODS, **(GUIDED if prior is not None else {})}
    names = list(methods) or list(known)
    if unknown := [name for name in names if name not in known]:
        needs = " (it needs a predictor's scores: prior=)" if unknown[0] in GUIDED else ""
        raise ValueError(f"methods: {unknown[0]!r} is none of {', '.join(known)}{needs}.")
    if not 1 <= queries <= len(bench):
        raise ValueError(f"queries={queries}: the table has {len(bench)} networks.")
    frames = []
    with tqdm(total=len(names) * seeds, desc=f"searches of {bench.name}", disable=not progress) as bar:
        for name in names:
            for seed in range(seeds):
                found = _trajectory(table, known[name], queries, seed)
                frames.append(pd.DataFrame({"method": name, "seed": seed, "queries": np.arange(1, queries + 1),
                                            "best": found}))  # fmt: skip
                bar.update()
    result = pd.concat(frames, ignore_index=True)
    return result.assign(regret=table.accuracy.max() - result["best"])


def _trajectory(table: Tabular, make: Maker, queries: int, seed: int) -> np.ndarray:
    method = make(table, Random(seed))
    found = run(table.space, lambda rows: table.accuracy[rows], method, budget=queries, costs=False)
    scores = [each.score for each in found.scored]
    best = np.maximum.accumulate(scores)
    return np.concatenate([best, np.full(queries - len(best), best[-1])])  # a method that gave up stays where it is


def summary(table: pd.DataFrame, at: Sequence[int] = (10, 50, 100, 200)) -> pd.DataFrame:
    """Median regret of each method after some numbers of queries in percentage points, and its quartiles.

    Returns
    -------
    DataFrame
        One row a method, one column a number of queries: "median [first quartile, third quartile]".
    """
    rows: dict[str, dict[str, Any]] = {}
    for count in [count for count in at if count <= table["queries"].max()]:
        part = table[table["queries"] == count].groupby("method", sort=False)["regret"]
        low, middle, high = (100 * part.quantile(q) for q in (0.25, 0.5, 0.75))
        for name in middle.index:
            text = f"{middle[name]:.2f} [{low[name]:.2f}, {high[name]:.2f}]"
            rows.setdefault(name, {})[f"after {count}"] = text
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
