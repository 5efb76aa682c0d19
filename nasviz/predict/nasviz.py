"""`Nasviz`: the project's own predictor. It knows a family well, and knows when it is not at home.

Three experts look at a network. A deep graph neural network over its layers is by far the best where it was trained,
and the first to be wrong elsewhere; boosted trees on structural features are good there and fair elsewhere; capacity,
what the layers add up to along the paths, needs no label and is fair everywhere. Novelty decides whom to believe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from scipy.stats import rankdata
from tqdm.auto import tqdm

from nasviz.graph.graph import ComputeGraph
from nasviz.predict.anatomy import Anatomy
from nasviz.predict.checks import fractions, same_length, whole_number
from nasviz.predict.few_shot import FewShot
from nasviz.predict.folds import partition_rows
from nasviz.predict.layer_gnn import LayerGNN, fit_layer_gnn
from nasviz.predict.training import usual_device
from nasviz.predict.transform import AccuracyTransform
from nasviz.predict.trees import Trees
from nasviz.predict.trust import NoveltySpace, conformal_factor

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark


@dataclass(frozen=True)
class NasvizSettings:
    """What can be chosen about a `Nasviz`; the defaults are chosen on validation 1 of NAS-Bench-101.

    Attributes
    ----------
    networks : int
        Graph neural networks, which differ in their seed and are averaged.
    width, layers : int
        Their size.
    epochs, batch_size, lr : int, int, float
        Their training.
    rounds : int
        Boosted trees.
    tune_epochs, tune_lr : int, float
        Fine-tuning of the graph neural networks on a few labels, in batches of ten; chosen on four families of digits.
    n_clusters, fuzzifier : int, float
        C and m of the soft clusters that novelty is measured by.
    """

    networks: int = 2
    width: int = 64
    layers: int = 10
    epochs: int = 16
    batch_size: int = 32
    lr: float = 2e-3
    rounds: int = 400
    tune_epochs: int = 100
    tune_lr: float = 2e-3
    n_clusters: int = 6
    fuzzifier: float = 1.2


class Nasviz:
    """A predictor that is pretrained on one family and ranks networks of any.

    Make one with `pretrain`, `load` or `nasviz.pretrained`; use it with `score`; adapt it with `fine_tune`. Models are
    never changed.

    Attributes
    ----------
    networks : list of LayerGNN
        The graph neural networks.
    trees : Trees
        The boosted trees.
    stack : ndarray of shape (2,)
        Weights of the two in the accuracy predicted at home, from validation 1.
    space : NoveltySpace
        The soft clusters of the training networks.
    transform : AccuracyTransform
        Mean and standard deviation of the training accuracies.
    spread : ndarray of shape (2,)
        σ₀, the median error on validation 1, and the conformal factor of the intervals.
    settings : NasvizSettings
        How the model was made.
    card : dict
        What it was trained on.
    few_shot : FewShot or None
        What fine-tuning learned.
    history : DataFrame
        Losses by epoch of what was trained in this session.
    """

    def __init__(
        self,
        networks: Sequence[LayerGNN],
        trees: Trees,
        stack: np.ndarray,
        space: NoveltySpace,
        transform: AccuracyTransform,
        spread: np.ndarray,
        settings: NasvizSettings,
        card: dict[str, Any],
        few_shot: FewShot | None = None,
    ):
        self.networks, self.trees, self.stack, self.space = list(networks), trees, stack, space
        self.transform, self.spread, self.settings, self.card = transform, spread, settings, card
        self.few_shot = few_shot
        self.history = pd.DataFrame()

    @classmethod
    def pretrain(
        cls,
        bench: "Benchmark",
        *,
        seed: int = 0,
        settings: NasvizSettings | None = None,
        device: str | None = None,
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ) -> Self:
        """Train on 80 % of a benchmark's networks.

        The division is that of `Gennape.pretrain`: networks below the card's ``min_accuracy`` are dropped; validation 1
        weighs the experts and calibrates the intervals; validation 2 is not touched.

        Parameters
        ----------
        bench : Benchmark
            The labelled networks, of one family or several.
        seed : int
            Of all weights and orders.
        settings : NasvizSettings, optional
            What can be chosen.
        device : str, optional
            Where to train, "cpu" or "cuda"; by default on a GPU where there is one.
        checkpoint : path, optional
            Folder for checkpoints; an interrupted pretraining resumes from it.
        progress : bool
            Show progress bars.

        Raises
        ------
        ValueError
            If there are too few networks to split, or fewer than clusters, or an accuracy is NaN or outside [0, 1].
        """
        seed, settings = whole_number("seed", seed, least=0), settings or NasvizSettings()
        device = device or usual_device()
        folder = Path(checkpoint) if checkpoint else None
        training, validation, _ = partition_rows(bench).values()
        if len(training) < settings.n_clusters:
            raise ValueError(
                f"n_clusters={settings.n_clusters} is more than the {len(training)} networks to train on: choose fewer "
                f"clusters, or bring more networks."
            )
        graphs, accuracy = bench.graphs(progress=progress), bench.table["accuracy"].to_numpy(float)
        home, held = Anatomy.of([graphs[i] for i in training]), Anatomy.of([graphs[i] for i in validation])
        transform = AccuracyTransform().fit(accuracy[training])
        target = transform.transform(accuracy[training])
        networks, losses = [], []
        for member in range(settings.networks):
            network, history = fit_layer_gnn(
                home.layers, range(len(home)), target, width=settings.width, layers=settings.layers,
                epochs=settings.epochs, batch_size=settings.batch_size, lr=settings.lr,
                seed=seed + 1000 * member, device=device, progress=progress,
                checkpoint=folder and folder / f"layer-gnn-{seed}-{member}.safetensors",
            )  # fmt: skip
            networks.append(network)
            losses.append(history.assign(network=member))
        trees = Trees(settings.rounds, seed).fit(home.features, target)
        space = NoveltySpace(settings.n_clusters, settings.fuzzifier, seed).fit(home.features, held.features)
        card = {"benchmark": bench.name, "families": sorted(set(bench.table["family"])), "seed": seed}
        card |= {"training_networks": len(training), "validation_networks": len(validation)}
        model = cls(networks, trees, np.array([1.0, 0.0]), space, transform, np.ones(2), settings, card)
        experts = model.experts(held)
        model.stack, _ = nnls(experts[["GNN", "trees"]].to_numpy(), transform.transform(accuracy[validation]))
        error = model.at_home(experts) - transform.transform(accuracy[validation])
        model.spread = np.array([max(np.median(np.abs(error)), 1e-9), 1.0])
        model.spread[1] = conformal_factor(error, model._scale(experts, space.novelty(held.features)))
        model.history = pd.concat(losses, ignore_index=True)
        return model

    def experts(self, graphs: "Sequence[ComputeGraph] | Anatomy") -> pd.DataFrame:
        """What each expert says of each network, whoever else is ranked.

        Returns
        -------
        DataFrame
            ``GNN_0``, ...; ``GNN``, their mean; ``trees``: standardised accuracies.
        """
        anatomy = Anatomy.of(graphs)
        single = {f"GNN_{i}": anatomy.run(network)[0].astype(float) for i, network in enumerate(self.networks)}
        mean = np.mean(list(single.values()), axis=0)
        return pd.DataFrame(single | {"GNN": mean, "trees": self.trees.predict(anatomy.features)})

    def embed(self, graphs: "Sequence[ComputeGraph] | Anatomy") -> np.ndarray:
        """Where networks lie: the embeddings of the graph neural networks side by side, (N, D) float32."""
        anatomy = Anatomy.of(graphs)
        return np.hstack([anatomy.run(network)[1] for network in self.networks])

    def score(self, graphs: "Sequence[ComputeGraph] | Anatomy") -> pd.DataFrame:
        """Rank networks; higher is better.

        With r the rank among the networks given, in (0, 1), the score is
        γ (γ r(at home) + (1 − γ) r(trees)) + (1 − γ) r(capacity): the weighted sum of both learned experts, the trees
        alone, and the mean rank by `nasviz.predict.anatomy.CAPACITY`. γ is the trust in the median novelty: a ranking
        needs one rule for all. After fine-tuning the score is that of `FewShot`, a predicted normal score.

        Parameters
        ----------
        graphs : sequence of ComputeGraph, or Anatomy
            The networks to rank against each other; scores without fine-tuning are relative to them.

        Returns
        -------
        DataFrame
            ``score``; ``accuracy`` with ``low`` and ``high``, an interval for 90 % of networks like those trained on;
            a column an expert; ``membership_0``, ...; ``novelty``, the distance to the nearest training cluster in
            units of the training networks' median one; ``trust``, γ of that novelty: near 0, believe neither accuracy
            nor interval.
        """
        anatomy = Anatomy.of(graphs)
        experts = self.experts(anatomy)
        novelty = self.space.novelty(anatomy.features)
        trust = self.space.trust(novelty)
        capacity = anatomy.capacity().apply(ranks).mean(axis=1)
        home = self.at_home(experts)
        if self.few_shot is None:
            gamma = self.space.trust(np.median(novelty))
            learned = gamma * ranks(home) + (1 - gamma) * ranks(experts["trees"])
            score = gamma * learned + (1 - gamma) * ranks(capacity)
            middle = trust * home + (1 - trust) * experts["trees"].to_numpy()
            half = self.spread[1] * self._scale(experts, novelty)
            bounds = [self.transform.inverse(value) for value in (middle, middle - half, middle + half)]
            own = {"GNN": self.transform.inverse(experts["GNN"]), "trees": self.transform.inverse(experts["trees"])}
            own["capacity"] = capacity
        else:
            own = self.few_shot.predict(anatomy, experts)
            score, middle, half = own.pop("score"), own.pop("accuracy"), own.pop("half")
            bounds = [middle, middle - half, middle + half]
        result = pd.DataFrame({"score": np.asarray(score)})
        result[["accuracy", "low", "high"]] = np.clip(np.stack(bounds, axis=1), 0, 1)
        memberships = self.space.memberships(anatomy.features)
        columns = [f"membership_{j}" for j in range(memberships.shape[1])]
        return pd.concat(
            [result, pd.DataFrame(own), pd.DataFrame(memberships, columns=columns),
             pd.DataFrame({"novelty": novelty, "trust": trust})], axis=1,
        )  # fmt: skip

    def fine_tune(
        self,
        graphs: "Sequence[ComputeGraph] | Anatomy",
        accuracy: Sequence[float],
        *,
        seed: int = 0,
        progress: bool = False,
    ) -> Self:
        """A new model, adapted to a few labelled networks of another family (50 in the paper).

        Raises
        ------
        ValueError
            If there are fewer than five labels, lengths differ, accuracies are all equal, or one is NaN or outside
            [0, 1].
        """
        seed, anatomy = whole_number("seed", seed, least=0), Anatomy.of(graphs)
        accuracy = fractions("accuracy", accuracy)
        same_length(graphs=anatomy, accuracy=accuracy)
        if len(accuracy) < 5 or np.ptp(accuracy) == 0:
            raise ValueError(
                f"fine-tuning needs at least five networks of different accuracy, got {len(accuracy)}; "
                "the paper uses 50."
            )
        target, everything = FewShot.target(accuracy), np.arange(len(accuracy))
        folds = FewShot.folds(len(accuracy), seed)
        bar = tqdm(total=len(self.networks) + folds.n_splits, desc="fine-tune", disable=not progress)

        def tune(member: int, rows: np.ndarray) -> LayerGNN:
            bar.update()
            return fit_layer_gnn(
                anatomy.layers, rows, target[rows], network=self.networks[member], epochs=self.settings.tune_epochs,
                lr=self.settings.tune_lr, batch_size=10, seed=seed + 1000 * member,
            )[0]  # fmt: skip

        with bar:
            tuned = [tune(member, everything) for member in range(len(self.networks))]
            left_out = np.empty(len(accuracy))
            for rest, fold in folds.split(everything):  # the first network speaks for all: they differ in a seed
                left_out[fold] = anatomy.take(fold).run(tune(0, rest))[0]
        few_shot = FewShot(self.networks, tuned, seed).fit(anatomy, self.experts(anatomy), accuracy, left_out)
        card = self.card | {"fine_tuned_on": len(accuracy), "fine_tune_seed": seed}
        return type(self)(
            self.networks, self.trees, self.stack, self.space, self.transform, self.spread, self.settings, card,
            few_shot,
        )  # fmt: skip

    def at_home(self, experts: pd.DataFrame) -> np.ndarray:
        """Standardised accuracies (N,) of networks like those trained on: the weighted sum of both learned experts."""
        return experts[["GNN", "trees"]].to_numpy() @ self.stack

    def _scale(self, experts: pd.DataFrame, novelty: np.ndarray) -> np.ndarray:
        """How uncertain a standardised accuracy is thought to be: σ₀, the experts' disagreement, and the novelty."""
        disagreement = experts.drop(columns="GNN").std(axis=1, ddof=0).to_numpy()
        return np.hypot(self.spread[0], disagreement) * np.maximum(1, novelty / self.space.usual_)

    def save(self, folder: str | Path) -> Path:
        """Write the model to a folder: ``model.json``, ``weights.safetensors`` and ``trees.txt``."""
        from nasviz.predict.nasviz_files import save

        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no model in the folder, or another version or a broken file.
        """
        from nasviz.predict.nasviz_files import load

        return load(cls, Path(folder))

    def __repr__(self) -> str:
        tuned = f", fine-tuned on {self.card['fine_tuned_on']} networks" if self.few_shot else ""
        return f"<Nasviz pretrained on {self.card.get('benchmark')}{tuned}>"


def ranks(values) -> np.ndarray:
    """Ranks scaled to (0, 1); equal values share theirs."""
    return (rankdata(values) - 0.5) / len(values)
