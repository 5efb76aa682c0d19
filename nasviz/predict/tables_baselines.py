"""What every predictor has to beat: costs, zero-cost proxies, and a random forest; learners as in `tables_methods`."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasviz.predict.proxies import orderable
from nasviz.predict.proxies_batch import proxy_table
from nasviz.predict.tables_forest import Forest
from nasviz.predict.tables_methods import Fitted, Ranking, Target

if TYPE_CHECKING:
    import pandas as pd


PROXY_ROWS = {
    "Synflow": "synflow", "Jacov": "jacov", "Fisher": "fisher", "SNIP": "snip", "grad-norm": "grad_norm",
    "NASWOT": "naswot",
}  # fmt: skip
"""Rows of a table, and the proxies that fill them."""


@dataclass(frozen=True)
class FunctionLearner:
    """A ranking that nothing is learned for: a function of a target and rows."""

    name: str
    rows: tuple[str, ...]
    function: Callable[[Target, np.ndarray], dict[str, Ranking]] = field(repr=False)
    seeded: bool = False

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        return self

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        return self.function(target, rows)

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "FunctionLearner":
        return self

    def key(self) -> str:
        return self.name


def _costs(target: Target, rows: np.ndarray) -> dict[str, Ranking]:
    flops, params = target.costs[rows].T
    return {"FLOPs": Ranking(flops, None, rows), "params": Ranking(params, None, rows)}


COSTS = FunctionLearner("costs", ("FLOPs", "params"), _costs)


@dataclass(frozen=True)
class ProxyLearner:
    """Zero-cost proxies, on at most `networks` rows of a target, which are drawn once.

    Parameters
    ----------
    rows : tuple of str
        Which of `PROXY_ROWS`.
    networks : int, optional
        How many networks to score at most; None is all.
    size : int
        Images in the batch.
    """

    rows: tuple[str, ...] = tuple(PROXY_ROWS)
    networks: int | None = None
    size: int = 32
    name: str = "proxies"
    seeded: bool = False

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        return _Proxies(self, folder, jobs)

    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass
class _Proxies:
    learner: ProxyLearner
    folder: Path
    jobs: int
    tables: dict[int, "pd.DataFrame"] = field(default_factory=dict)

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        if id(target) not in self.tables:
            self.tables[id(target)] = self._score(target)
        table = self.tables[id(target)]
        ranked = rows[np.isin(rows, table.index)]
        table = table.loc[ranked]
        return {row: Ranking(orderable(table[PROXY_ROWS[row]]), None, ranked) for row in self.learner.rows}

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "_Proxies":
        return self

    def _score(self, target: Target) -> "pd.DataFrame":
        names = [PROXY_ROWS[row] for row in self.learner.rows]
        # Not the order of `draw`, or a draw of labels would take them all.
        few = np.random.default_rng([0, 1]).permutation(target.rows)[: self.learner.networks]
        options = {"size": self.learner.size, "jobs": self.jobs, "folder": self.folder, "progress": False}
        return proxy_table(target.bench.subset(few), names, **options).set_index(few)


@dataclass(frozen=True)
class ForestLearner:
    """A random forest on simple features; fine-tuned, it is grown from the new labels alone."""

    name: str = "random forest"
    rows: tuple[str, ...] = ("random forest",)
    seeded: bool = True

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        rows = home.fold_rows["training"]
        return _Forest(Forest(seed).fit(home.features[rows], home.accuracy[rows]))

    def key(self) -> str:
        return self.name


@dataclass
class _Forest:
    forest: Forest

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        predicted = self.forest.predict(target.features[rows])
        return {"random forest": Ranking(predicted, predicted, rows)}

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "_Forest":
        return _Forest(Forest(seed).fit(target.features[rows], target.accuracy[rows]))
