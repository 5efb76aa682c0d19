"""The methods that the paper's tables compare, behind one face: fit on a benchmark, rank rows of another, tune.

A learner fills one or several rows of a table. What it learned is a `Fitted`, which sees a target's labels in `tune`
alone. Baselines are in `tables_baselines`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from filelock import FileLock

from nasviz.graph.cost import total_flops
from nasviz.predict.anatomy import Anatomy
from nasviz.predict.baselines import CellPredictor
from nasviz.predict.ensemble import Gennape, Settings, partition, pretrain_encoder
from nasviz.predict.folds import Fold, partition_rows
from nasviz.predict.nasviz import Nasviz, NasvizSettings
from nasviz.predict.population import Population
from nasviz.predict.regressors import GNNRegressor
from nasviz.predict.tables_forest import graph_features

if TYPE_CHECKING:
    import pandas as pd

    from nasviz.benchmarks import Benchmark


class Ranking(NamedTuple):
    """What a method says of some rows of a target: scores, accuracies if it predicts them, and which rows it ranked."""

    scores: np.ndarray
    accuracy: np.ndarray | None
    rows: np.ndarray


@dataclass(eq=False)
class Target:
    """A benchmark that is ranked, with what all methods need of it, made once.

    Attributes
    ----------
    bench : Benchmark
        The networks.
    rows : ndarray
        Which of them are ranked; by default all. In-domain they are validation 2.
    """

    bench: "Benchmark"
    rows: np.ndarray | None = None

    def __post_init__(self):
        self.rows = np.arange(len(self.bench)) if self.rows is None else np.asarray(self.rows)

    @cached_property
    def population(self) -> Population:
        """Its networks as tensors."""
        return Population.of(self.bench.graphs())

    @cached_property
    def anatomy(self) -> Anatomy:
        """Its networks as `Nasviz` sees them."""
        return Anatomy.of(self.bench.graphs())

    @cached_property
    def accuracy(self) -> np.ndarray:
        """True accuracies, (N,)."""
        return self.bench.table["accuracy"].to_numpy(float)

    @cached_property
    def costs(self) -> np.ndarray:
        """FLOPs and parameters of its networks, (N, 2)."""
        return np.array([(total_flops(graph), graph.params) for graph in self.bench.graphs()], dtype=float)

    @cached_property
    def features(self) -> np.ndarray:
        """Simple numbers of its networks, for the forest: (N, F)."""
        return graph_features(self.bench.graphs())

    @cached_property
    def parts(self) -> dict[str, Any]:
        """Its folds, as `partition` makes them."""
        return partition(self.bench)

    @cached_property
    def fold_rows(self) -> dict[str, np.ndarray]:
        """The row numbers of those folds, without the tensors that `parts` makes of their networks."""
        return partition_rows(self.bench)

    @cached_property
    def digest(self) -> str:
        """What its architectures and labels are, in short."""
        table = self.bench.table[["family", "arch", "accuracy"]]
        return sha256(table.to_json(double_precision=15, orient="values").encode()).hexdigest()[:16]


class Fitted(Protocol):
    """What a learner made of its training benchmark."""

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        """Rank some rows of a target, by the name of the table's row; no label of the target is read."""
        ...

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "Fitted":
        """Adapted to the labels of these rows; this one stays as it is."""
        ...


class Learner(Protocol):
    """A method, or several that are trained together.

    Attributes
    ----------
    name : str
        Of files.
    rows : tuple of str
        The rows of a table that it fills.
    seeded : bool
        Whether it has seeds; what has none is measured once.
    """

    name: str
    rows: tuple[str, ...]
    seeded: bool

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        """Learn from the training fold of a benchmark; `folder` is for checkpoints."""
        ...

    def key(self) -> str:
        """All that its results depend on, but for data and seed."""
        ...


# Learned on graphs


@dataclass
class _Model:
    """A `Fitted` of anything with `score` and `fine_tune`, such as `Gennape`."""

    model: Any
    rows: dict[str, str]  # row of the table → column of the scores
    view: str = "population"  # what of a target the model takes

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        scores = self.model.score(self._networks(target, rows))
        return {row: Ranking(scores[column].to_numpy(), self._accuracy(scores, column), rows) for row, column in
                self.rows.items()}  # fmt: skip

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "_Model":
        tuned = self.model.fine_tune(self._networks(target, rows), target.accuracy[rows], seed=seed)
        return replace(self, model=tuned)

    def _networks(self, target: Target, rows: np.ndarray) -> Any:
        """Those at `rows`; all of them as they are, so that what is computed for them (embeddings) stays with them."""
        networks = getattr(target, self.view)
        return networks if np.array_equal(rows, np.arange(len(networks))) else networks.take(rows)

    def _accuracy(self, scores: "pd.DataFrame", column: str) -> np.ndarray | None:
        if column == "score":
            return scores["accuracy"].to_numpy() if "accuracy" in scores else None
        predicts = self.model.members[column].predicts_accuracy
        return scores[column].clip(0, 1).to_numpy() if predicts else None


@dataclass(frozen=True)
class EnsembleLearner:
    """`Gennape` with some members; each member is a row, and the ensemble may be one.

    Each seed has an encoder of its own, which all such learners of one folder share.
    """

    name: str
    settings: Settings
    ensemble_row: str | None = None
    seeded: bool = True

    @property
    def rows(self) -> tuple[str, ...]:
        members = tuple(name for name in self.settings.members if name != "FLOPs")  # the costs have that row
        return (self.ensemble_row, *members) if self.ensemble_row else members

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        folder /= _short({name: value for name, value in asdict(self.settings).items() if name != "members"})
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"encoder-{seed}.lock"):  # the first one trains it, the others wait and read it
            encoder, _ = pretrain_encoder(
                home.bench, home.parts, self.settings, seed=seed, checkpoint=folder, progress=False
            )
        model = Gennape.pretrain(
            home.bench, seed=seed, settings=self.settings, encoder=encoder, checkpoint=folder, progress=False
        )
        return _Model(model, {row: "score" if row == self.ensemble_row else row for row in self.rows})

    def key(self) -> str:
        return json.dumps({"kind": "Gennape", **asdict(self.settings)}, sort_keys=True)


@dataclass(frozen=True)
class NasvizLearner:
    """This project's own predictor."""

    settings: NasvizSettings
    name: str = "Nasviz"
    rows: tuple[str, ...] = ("Nasviz",)
    seeded: bool = True

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        folder /= _short(asdict(self.settings))
        model = Nasviz.pretrain(home.bench, seed=seed, settings=self.settings, checkpoint=folder, progress=False)
        return _Model(model, {"Nasviz": "score"}, "anatomy")

    def key(self) -> str:
        return json.dumps({"kind": "Nasviz", **asdict(self.settings)}, sort_keys=True)


@dataclass
class _Regressor:
    """A `Fitted` of one regressor with `predict` and `fine_tune`."""

    row: str
    regressor: Any
    tune_epochs: int

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        predicted = self.regressor.predict(target.population.take(rows))
        return {self.row: Ranking(predicted, predicted.clip(0, 1), rows)}

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "_Regressor":
        fold = Fold(target.population.take(rows), target.accuracy[rows])
        return replace(self, regressor=self.regressor.fine_tune(fold, epochs=self.tune_epochs, seed=seed))


@dataclass(frozen=True)
class GNNLearner:
    """GCN or GIN, trained end to end as the k-GNN is."""

    name: str
    epochs: int
    tune_epochs: int
    seeded: bool = True

    @property
    def rows(self) -> tuple[str, ...]:
        return (self.name,)

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        parts = home.parts
        regressor = GNNRegressor(self.name).fit(
            parts["training"], parts["validation 1"], epochs=self.epochs, seed=seed,
            checkpoint=folder / f"{self.name}-{self.epochs}-{seed}.safetensors",
        )  # fmt: skip
        return _Regressor(self.name, regressor, self.tune_epochs)

    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class CellLearner:
    """NPN, BANANAS or TNASP, which read cells of NAS-Bench-101: they rank no other family, and nothing tunes them."""

    name: str
    epochs: int
    seeded: bool = True

    @property
    def rows(self) -> tuple[str, ...]:
        return (self.name,)

    def fit(self, home: Target, seed: int, folder: Path, jobs: int = 1) -> Fitted:
        if home.bench.families != ["nb101"]:
            raise ValueError(f"{self.name} reads cells of nb101 alone, so it cannot learn from {home.bench.name}.")
        rows = home.fold_rows["training"]
        table = home.bench.table.iloc[rows]
        predictor = CellPredictor(self.name).fit(table.arch, table.accuracy, epochs=self.epochs, seed=seed)
        return _Cells(self.name, predictor)

    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass
class _Cells:
    row: str
    predictor: CellPredictor

    def rank(self, target: Target, rows: np.ndarray) -> dict[str, Ranking]:
        if target.bench.families != ["nb101"]:
            return {}
        predicted = self.predictor.predict(target.bench.table.arch.iloc[rows])
        return {self.row: Ranking(predicted, predicted.clip(0, 1), rows)}

    def tune(self, target: Target, rows: np.ndarray, seed: int) -> "_Cells":
        return self


def learners_for(rows: Sequence[str], available: Sequence[Learner]) -> list[Learner]:
    """Those of the learners that fill at least one of these rows."""
    return [learner for learner in available if set(learner.rows) & set(rows)]


def _short(values: dict) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
