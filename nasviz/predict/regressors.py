"""The members of the ensemble: predictors of one kind, each with `predict` and `fine_tune`.

`HeadRegressor` is CL, CL+T, CL+FCM and CL+FCM+T, which differ in two switches; `GNNRegressor` is the baselines k-GNN,
GCN and GIN that are trained end to end; `FlopsRanker` ranks by FLOPs alone. `nasviz.predict.pairwise` has the members
that compare.
"""

import copy
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch.nn import functional as F

from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.compact import CompactGraphs
from nasviz.predict.encoder import Encoder, EndToEnd
from nasviz.predict.folds import Fold
from nasviz.predict.heads import fine_tune_head, fit_head, predict_head
from nasviz.predict.metrics import srcc
from nasviz.predict.mlp import MLP, MLPEnsemble
from nasviz.predict.population import Population, as_tensor
from nasviz.predict.training import Schedule, fingerprint, seeded, train
from nasviz.predict.transform import AccuracyTransform, FlopsTransform

VARIANTS = ("CL", "CL+T", "CL+FCM", "CL+FCM+T")


class OnEmbedding:
    """What the members on the frozen contrastive embedding share: a variant, and inputs that are standardised once.

    Parameters
    ----------
    variant : str
        One of ``variants``; "FCM" in it means one head a cluster, summed by memberships.
    encoder : Encoder
        The trained encoder; shared, never changed.
    space : ClusterSpace
        The fitted clusters; used by the variants with FCM.

    Attributes
    ----------
    shift_, scale_ : ndarray of shape (D,)
        Of the training family's embeddings.

    Raises
    ------
    ValueError
        If there is no such variant.
    """

    variants: tuple[str, ...] = ()

    def __init__(self, variant: str, encoder: Encoder, space: ClusterSpace):
        if variant not in self.variants:
            raise ValueError(f"variant={variant!r}: known variants are {', '.join(self.variants)}.")
        self.variant, self.encoder, self.space = variant, encoder, space

    @property
    def fuzzy(self) -> bool:
        """Whether there is one head a cluster."""
        return "FCM" in self.variant

    def _standardise(self, population: Population) -> np.ndarray:
        """Learn shift and scale from the training networks; their embeddings (N, D)."""
        h = population.embedding(self.encoder)
        self.shift_, spread = h.mean(0), h.std(0)
        # A unit that hardly moves in the training family may wake up in another one, and must not drown the others.
        self.scale_ = np.maximum(spread, max(0.1 * spread.mean(), 1e-6))
        return h

    def _inputs(self, population: Population) -> tuple[np.ndarray, np.ndarray | None]:
        """Standardised embeddings (N, D), and memberships (N, C) for the variants with FCM."""
        h = population.embedding(self.encoder)
        memberships = self.space.memberships(h, population.flops) if self.fuzzy else None
        return (h - self.shift_) / self.scale_, memberships


class HeadRegressor(OnEmbedding):
    """A head on the frozen contrastive embedding.

    Parameters
    ----------
    variant : str
        One of `VARIANTS`: with FCM the head is an ensemble summed by memberships, with T its target is eq. 5.
    encoder, space
        As in `OnEmbedding`.
    flops_unit : float
        Unit of F in eq. 5.
    """

    predicts_accuracy = True
    variants = VARIANTS

    def __init__(self, variant: str, encoder: Encoder, space: ClusterSpace, flops_unit: float = 1e9):
        super().__init__(variant, encoder, space)
        self.transform = FlopsTransform(flops_unit) if variant.endswith("+T") else AccuracyTransform()

    def fit(self, training: Fold, validation: Fold, *, epochs: int = 40, seed: int = 0, device: str = "cpu") -> Self:
        """Train the head; the epoch with the lowest loss on `validation` is kept."""
        self.transform.fit(training.accuracy, training.population.flops)
        size, clusters = self._standardise(training.population).shape[1], self.space.n_clusters
        self.head = MLPEnsemble(size, clusters, seed=seed) if self.fuzzy else MLP(size, seed=seed)
        watched = (*self._inputs(validation.population), self._target(validation))
        self.history_ = fit_head(
            self.head, *self._inputs(training.population), self._target(training),
            validation=watched, epochs=epochs, seed=seed, device=device,
        )  # fmt: skip
        return self

    def predict(self, population: Population) -> np.ndarray:
        """Predicted accuracies, shape (N,): the head's output with the transform undone."""
        return self.transform.inverse(predict_head(self.head, *self._inputs(population)), population.flops)

    def fine_tune(self, labelled: Fold, *, epochs: int = 100, seed: int = 0) -> Self:
        """A new regressor, trained on from this one; the statistics stay those of the training family."""
        tuned = copy.copy(self)
        tuned.head = fine_tune_head(
            self.head, *self._inputs(labelled.population), self._target(labelled), epochs=epochs, seed=seed
        )
        return tuned

    def _target(self, fold: Fold) -> np.ndarray:
        return self.transform.transform(fold.accuracy, fold.population.flops)


class GNNRegressor:
    """A baseline of graph layers, trained end to end on standardised accuracies.

    Parameters
    ----------
    convolution : str
        "k-GNN", "GCN" or "GIN".
    """

    predicts_accuracy = True

    def __init__(self, convolution: str = "k-GNN") -> None:
        self.convolution = convolution
        self.transform = AccuracyTransform()

    def fit(
        self,
        training: Fold,
        validation: Fold,
        *,
        epochs: int = 40,
        batch_size: int = 32,
        lr: float = 1e-3,
        seed: int = 0,
        device: str = "cpu",
        checkpoint: Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Train the network and keep its last weights; `validation` is only watched, in ``history_``."""
        self.transform.fit(training.accuracy)
        with seeded(seed):
            self.network = EndToEnd(self.convolution, seed=seed).to(device)

        def watch() -> dict[str, float]:
            return {"validation_srcc": srcc(self.predict(validation.population), validation.accuracy)}

        schedule = Schedule(len(training), batch_size, epochs, lr)
        self.history_ = self._train(training, schedule, seed, watch=watch, checkpoint=checkpoint, progress=progress)
        return self

    @torch.no_grad()
    def predict(self, population: Population) -> np.ndarray:
        """Predicted accuracies, shape (N,)."""
        device = next(self.network.parameters()).device
        graphs = self._compact(population).batches(range(len(population)), 128)
        target = torch.cat([self.network(batch.to(device)).cpu() for _, batch in graphs])
        return self.transform.inverse(target.numpy())

    def fine_tune(self, labelled: Fold, *, epochs: int = 100, lr: float = 1e-3, seed: int = 0) -> Self:
        """A new regressor: all weights are trained on, in batches of one."""
        tuned = copy.copy(self)
        tuned.network = copy.deepcopy(self.network)
        tuned._train(labelled, Schedule(len(labelled), 1, epochs, lr), seed)
        return tuned

    def _compact(self, population: Population) -> CompactGraphs:
        return population.compact(self.network.config["layers"], self.convolution)

    def _train(self, fold: Fold, schedule: Schedule, seed: int, **options):
        target = as_tensor(self.transform.transform(fold.accuracy))
        device = next(self.network.parameters()).device
        graphs = self._compact(fold.population)

        def loss(batch: tuple) -> dict[str, torch.Tensor]:
            rows, part = batch
            return {"loss": F.mse_loss(self.network(part.to(device)), target[rows].to(device))}

        return train(
            self.network,
            lambda order: graphs.batches(order, schedule.batch_size),
            loss,
            schedule,
            seed=seed,
            label=self.convolution,
            identity={"data": fingerprint(fold.accuracy, fold.population.flops)},
            **options,
        )


class FlopsRanker:
    """The baseline that needs no training: more FLOPs, higher score."""

    predicts_accuracy = False

    def predict(self, population: Population) -> np.ndarray:
        """log10 of the FLOPs, shape (N,)."""
        return np.log10(np.maximum(population.flops, 1))

    def fine_tune(self, labelled: Fold, *, epochs: int = 0, seed: int = 0) -> Self:
        """Itself: there is nothing to learn."""
        return self


Member = OnEmbedding | GNNRegressor | FlopsRanker
