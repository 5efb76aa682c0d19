"""GENNAPE: one encoder, several predictors on it, and a score that is their weighted mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm.auto import tqdm

from nasviz.graph.graph import ComputeGraph
from nasviz.graph.spectral import spectra
from nasviz.predict.checks import whole_number
from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.compact import CONVOLUTIONS
from nasviz.predict.contrastive import fit_encoder
from nasviz.predict.encoder import Encoder
from nasviz.predict.folds import Fold, partition_rows
from nasviz.predict.metrics import kendall
from nasviz.predict.pairwise import PAIRWISE, PairwiseRanker
from nasviz.predict.population import Population
from nasviz.predict.regressors import VARIANTS, FlopsRanker, GNNRegressor, HeadRegressor, Member

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

MEMBERS = (*VARIANTS, *PAIRWISE, *CONVOLUTIONS, "FLOPs")


@dataclass(frozen=True)
class Settings:
    """What can be chosen about a `Gennape`; the defaults are chosen on validation 1 of NAS-Bench-101.

    Attributes
    ----------
    members : tuple of str
        Predictors of the ensemble, of `MEMBERS`; the default is the paper's ensemble.
    encoder_epochs, head_epochs, kgnn_epochs, tune_epochs : int
        Epochs of pretraining the encoder, of the heads and pairwise classifiers (40 in the paper), of k-GNN, GCN and
        GIN (40), and of fine-tuning (100).
    encoder_batch, encoder_lr : int, float
        Graphs in a batch of the encoder (128 in the paper), and its highest learning rate.
    eigenvalues : int
        k, how many Laplacian eigenvalues the contrastive targets compare.
    temperature : float
        τ of the contrastive loss.
    sharpness : float
        Factor of the spectral distance in α; 1 in the paper. Two NAS-Bench-101 cells lie 0.08 apart (the median), so
        with 1 all weights are nearly equal; with 30 an MLP on the embedding ranked better (SRCC .826 against .786,
        2,000 training graphs, 5 epochs).
    n_clusters, fuzzifier : int, float
        C and m of fuzzy c-means.
    """

    members: tuple[str, ...] = ("CL+FCM+T", "CL+T", "CL+FCM+Pairwise", "CL+Pairwise", "k-GNN", "FLOPs")
    encoder_epochs: int = 4
    encoder_batch: int = 128
    encoder_lr: float = 2e-3
    head_epochs: int = 20
    kgnn_epochs: int = 6
    tune_epochs: int = 100
    eigenvalues: int = 20
    temperature: float = 0.1
    sharpness: float = 30.0
    n_clusters: int = 6
    fuzzifier: float = 1.2

    def __post_init__(self):
        object.__setattr__(self, "members", tuple(self.members))
        if not self.members or set(self.members) - set(MEMBERS):
            raise ValueError(f"members={self.members}: choose from {', '.join(map(repr, MEMBERS))}.")


class Gennape:
    """The predictor of GENNAPE (AAAI-23): pretrained on one family, it ranks networks of any.

    Make one with `pretrain` or `load`; use it with `score`; adapt it with `fine_tune`. Models are never changed.

    Attributes
    ----------
    encoder : Encoder
        The contrastive encoder.
    space : ClusterSpace
        Soft clusters of the training family.
    members : dict of str to Member
        The predictors, by name.
    weights : dict of str to float
        Their weights in the score; they sum to 1.
    settings : Settings
        How the model was made.
    card : dict
        What it was trained on, with which seeds.
    history : dict of str to DataFrame
        Losses by epoch of what was trained in this session.
    """

    def __init__(
        self,
        encoder: Encoder,
        space: ClusterSpace,
        members: Mapping[str, Member],
        weights: Mapping[str, float],
        settings: Settings,
        card: dict[str, Any],
    ):
        self.encoder, self.space, self.settings, self.card = encoder, space, settings, card
        self.members, self.weights = dict(members), dict(weights)
        self.history: dict[str, pd.DataFrame] = {}

    @classmethod
    def pretrain(
        cls,
        bench: "Benchmark",
        *,
        seed: int = 0,
        settings: Settings | None = None,
        encoder: Encoder | None = None,
        device: str = "cpu",
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ) -> Self:
        """Train on 80 % of a benchmark's networks.

        Networks below the accuracy that the benchmark's card names are dropped first. Validation 1 watches the
        training; validation 2 is not touched (`partition` gives it). The split does not depend on `seed`.

        Parameters
        ----------
        bench : Benchmark
            The labelled networks, of one family or several.
        seed : int
            Of all weights and orders.
        settings : Settings, optional
            What can be chosen.
        encoder : Encoder, optional
            An encoder that is already trained; only the predictors on it are, then.
        device : str
            Where to train: "cpu" or "cuda".
        checkpoint : path, optional
            Folder for checkpoints; an interrupted pretraining resumes from it.
        progress : bool
            Show progress bars.

        Raises
        ------
        ValueError
            If there are too few networks to split, or fewer than clusters, or an accuracy is NaN or outside [0, 1].
        """
        seed = whole_number("seed", seed, least=0)
        settings = settings or Settings()
        folder = Path(checkpoint) if checkpoint else None
        labelled = partition(bench)
        training, validation = labelled["training"], labelled["validation 1"]
        if len(training) < settings.n_clusters:
            raise ValueError(
                f"n_clusters={settings.n_clusters} is more than the {len(training)} networks to train on: choose fewer "
                f"clusters, or bring more networks."
            )
        history: dict[str, pd.DataFrame] = {}
        if encoder is None:
            encoder, history["encoder"] = pretrain_encoder(
                bench, labelled, settings, seed=seed, device=device, checkpoint=folder, progress=progress
            )
        h, flops = training.population.embedding(encoder), training.population.flops
        space = ClusterSpace(settings.n_clusters, settings.fuzzifier, seed=seed).fit(h, flops)
        unit = flops_unit(bench, flops)
        members: dict[str, Member] = {}
        for name in settings.members:
            common = {"seed": seed, "device": device}
            if name == "FLOPs":
                members[name] = FlopsRanker()
                continue
            if name in CONVOLUTIONS:
                path = folder and folder / f"{name.replace('-', '').lower()}-{seed}.safetensors"
                member = GNNRegressor(name)
                common |= {"epochs": settings.kgnn_epochs, "checkpoint": path, "progress": progress}
            else:
                on = (name, encoder, space)
                member = PairwiseRanker(*on) if name in PAIRWISE else HeadRegressor(*on, unit)
                common |= {"epochs": settings.head_epochs}
            members[name] = member.fit(training, validation, **common)
            history[name] = member.history_
        card = {"benchmark": bench.name, "families": sorted(set(bench.table["family"])), "seed": seed}
        card |= {"training_networks": len(training), "validation_networks": len(validation)}
        model = cls(encoder, space, members, _equal(members), settings, card)
        model.history = history
        return model

    def score(self, graphs: Sequence[ComputeGraph] | Population) -> pd.DataFrame:
        """Rank networks; higher is better.

        Parameters
        ----------
        graphs : sequence of ComputeGraph, or Population
            The networks to rank against each other. Scores are relative to this population: each member's prediction
            is standardised over it before the weighted mean.

        Returns
        -------
        DataFrame
            ``score``; ``accuracy``, the weighted mean of the members that predict one; a column a member with its own
            prediction; ``membership_0``, ...; ``novelty``, the distance to the nearest training cluster in units of
            the training family's median distance: far above 1, do not believe the score.
        """
        population = Population.of(graphs)
        h = population.embedding(self.encoder)
        predictions = pd.DataFrame({name: member.predict(population) for name, member in self.members.items()})
        weights = pd.Series(self.weights)[predictions.columns]
        scaled = _standardised(predictions)
        predicting = [name for name, member in self.members.items() if member.predicts_accuracy]
        result = pd.DataFrame({"score": scaled @ weights})
        if predicting:
            share = weights[predicting] / weights[predicting].sum()
            result["accuracy"] = (predictions[predicting] @ share).clip(0, 1)
        memberships = self.space.memberships(h, population.flops)
        columns = [f"membership_{j}" for j in range(memberships.shape[1])]
        novelty = pd.Series(self.space.novelty(h, population.flops), name="novelty")
        return pd.concat([result, predictions, pd.DataFrame(memberships, columns=columns), novelty], axis=1)

    def fine_tune(
        self,
        graphs: Sequence[ComputeGraph] | Population,
        accuracy: Sequence[float],
        *,
        seed: int = 0,
        progress: bool = False,
    ) -> Self:
        """A new model, adapted to a few labelled networks of another family (50 in the paper).

        Each member is trained on; the weights become the softmax of each member's Kendall τ on these networks.

        Raises
        ------
        ValueError
            If there are fewer than two labels, lengths differ, or an accuracy is NaN or outside [0, 1].
        """
        seed = whole_number("seed", seed, least=0)
        fold = Fold.of(graphs, accuracy)
        if len(fold) < 2:
            raise ValueError("fine-tuning needs at least two labelled networks; the paper uses 50.")
        fold.population.embedding(self.encoder)
        tuned = {
            name: member.fine_tune(fold, epochs=self.settings.tune_epochs, seed=seed)
            for name, member in tqdm(self.members.items(), "fine-tune", disable=not progress)
        }
        tau = {name: kendall(member.predict(fold.population), fold.accuracy) for name, member in tuned.items()}
        weights = dict(zip(tau, softmax(np.nan_to_num(list(tau.values()))), strict=True))
        card = self.card | {"fine_tuned_on": len(fold), "fine_tune_seed": seed}
        return type(self)(self.encoder, self.space, tuned, weights, self.settings, card)

    def save(self, folder: str | Path) -> Path:
        """Write the model to a folder: ``model.json`` and ``weights.safetensors``."""
        from nasviz.predict.persist import save

        return save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no model in the folder, or another version or a broken file.
        """
        from nasviz.predict.persist import load

        return load(cls, Path(folder))

    def __repr__(self) -> str:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        return f"<Gennape pretrained on {self.card.get('benchmark')}: {weights}>"


def pretrain_encoder(
    bench: "Benchmark",
    labelled: dict[str, Any],
    settings: Settings,
    *,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: bool = True,
) -> tuple[Encoder, pd.DataFrame]:
    """The contrastive encoder of a benchmark's training fold, `labelled` being its `partition`; see `fit_encoder`."""
    graphs, training = bench.graphs(), labelled["training"].population
    return fit_encoder(
        training.dataset,
        spectra([graphs[i] for i in labelled["rows"]["training"]], settings.eigenvalues),
        training.flops,
        epochs=settings.encoder_epochs,
        batch_size=settings.encoder_batch,
        lr=settings.encoder_lr,
        temperature=settings.temperature,
        sharpness=settings.sharpness,
        seed=seed,
        device=device,
        checkpoint=checkpoint and checkpoint / f"encoder-{seed}.safetensors",
        progress=progress,
    )


def partition(bench: "Benchmark") -> dict[str, Any]:
    """The folds "training", "validation 1" and "validation 2" of a benchmark, and under "rows" their row numbers.

    Networks below the card's ``min_accuracy`` are left out. The split is always the same one.
    """
    rows, accuracy, graphs = partition_rows(bench), bench.table["accuracy"].to_numpy(float), bench.graphs()
    folds = {name: Fold.of([graphs[i] for i in part], accuracy[part]) for name, part in rows.items()}
    return {**folds, "rows": rows}


def _standardised(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each column with mean 0 and standard deviation 1; all 0 where it is one number, but for rounding.

    The same network twice in a batch may come out a float32's last digits apart, depending on the processor.
    """
    spread, rounding = predictions.std(ddof=0), 2 * np.finfo(np.float32).eps * predictions.abs().max()
    return (predictions - predictions.mean()) / spread.where(spread > rounding, np.inf)


def flops_unit(bench: "Benchmark", flops: np.ndarray) -> float:
    """Unit of F in the transform T, as the benchmark's card says: a number, or the median of the training FLOPs."""
    unit = bench.card.get("flops_unit", 1e9)
    return float(np.median(flops)) if unit == "median" else unit


def _equal(members: Mapping[str, Member]) -> dict[str, float]:
    return dict.fromkeys(members, 1 / len(members))
