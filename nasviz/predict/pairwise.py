"""The members that compare: which of two networks is more accurate? A merge sort makes a ranking of the answers."""

import copy
import math
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.encoder import Encoder
from nasviz.predict.folds import Fold
from nasviz.predict.heads import MEMBERSHIP_FLOOR
from nasviz.predict.mergesort import Comparator, merge_sort, scores
from nasviz.predict.mlp import MLP, MLPEnsemble
from nasviz.predict.population import Population, as_tensor
from nasviz.predict.regressors import OnEmbedding
from nasviz.predict.training import Epochs

PAIRWISE = ("CL+Pairwise", "CL+FCM+Pairwise")
BATCH = 32  # networks whose pairs are learned from together
FEW = 10  # of them in fine-tuning


class PairNetwork(nn.Module):
    """Says which of two networks is more accurate, from their embeddings.

    A head of four hidden layers of 128, or one a cluster summed by memberships, makes a vector of length 16 of each
    network. With g an MLP on the two vectors of a pair, the logit of "a is more accurate than b" is
    g(v_a, v_b) - g(v_b, v_a): whoever asks the other way round gets the opposite answer.

    Parameters
    ----------
    in_features : int
        Length D of the embedding.
    n_heads : int
        C, or 0 for one head without clusters.
    hidden, layers, out : int
        Sizes of the heads: 128, 4 and 16 in the paper.
    compare : int
        Width of g's one hidden layer, which the paper does not give.
    seed : int
        Of the initial weights.
    """

    def __init__(
        self,
        in_features: int,
        n_heads: int = 0,
        hidden: int = 128,
        layers: int = 4,
        out: int = 16,
        compare: int = 32,
        *,
        seed: int = 0,
    ):
        super().__init__()
        self.config = {
            "in_features": in_features, "n_heads": n_heads, "hidden": hidden, "layers": layers, "out": out,
            "compare": compare,
        }  # fmt: skip
        sizes = {"hidden": hidden, "layers": layers, "out": out, "seed": seed}
        self.head = MLPEnsemble(in_features, n_heads, **sizes) if n_heads else MLP(in_features, **sizes)
        self.compare = MLP(2 * out, hidden=compare, layers=1, seed=seed + 1)

    def forward(self, embedding: Tensor, memberships: Tensor | None = None) -> Tensor:
        """(N, D), with memberships (N, C) where there are clusters → vectors (N, ``out``)."""
        return self.head(embedding, memberships).view(len(embedding), -1)

    def logits(self, a: Tensor, b: Tensor) -> Tensor:
        """Vectors (P, ``out``) of the first and of the second of each pair → logits (P,); above 0, a is better."""
        return self.compare(torch.cat([a, b], 1)) - self.compare(torch.cat([b, a], 1))

    def comparator(self, vectors: Tensor) -> Comparator:
        """The logits of pairs of these vectors (N, ``out``), given by their numbers: two arrays → array.

        The layer before the ReLU is linear, so its two halves are computed once a network and added for a pair.
        """
        before, _, after = self.compare.network
        with torch.no_grad():
            first, second = before.weight.chunk(2, 1)
            one = (vectors @ first.T + before.bias).numpy()
            other = (vectors @ second.T).numpy()
            weight = after.weight.numpy()[0]

        def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            there, back = one[a] + other[b], one[b] + other[a]
            return (np.maximum(there, 0) - np.maximum(back, 0)) @ weight

        return compare


class PairwiseRanker(OnEmbedding):
    """A pairwise classifier on the frozen contrastive embedding; its score is the place in the ranking.

    Parameters
    ----------
    variant : str
        "CL+Pairwise", or "CL+FCM+Pairwise" with a head a cluster.
    encoder, space
        As in `HeadRegressor`.

    Raises
    ------
    ValueError
        If there is no such variant.
    """

    predicts_accuracy = False
    variants = PAIRWISE

    def __init__(self, variant: str, encoder: Encoder, space: ClusterSpace):
        super().__init__(variant, encoder, space)

    def fit(
        self,
        training: Fold,
        validation: Fold,
        *,
        epochs: int = 40,
        lr: float = 1e-3,
        seed: int = 0,
        device: str = "cpu",
    ) -> Self:
        """Learn from all pairs within random batches of 32; the epoch with the lowest loss on `validation` is kept.

        Two networks of equal accuracy are no pair.
        """
        h = self._standardise(training.population)
        clusters = self.space.n_clusters if self.fuzzy else 0
        self.network = PairNetwork(h.shape[1], clusters, seed=seed).to(device)
        self.history_ = _train(
            self.network, self._tensors(training), self._tensors(validation),
            epochs=epochs, batch_size=BATCH, lr=lr, seed=seed,
        )  # fmt: skip
        return self

    def predict(self, population: Population) -> np.ndarray:
        """Scores from 1 for the best of these networks to 0 for the last, shape (N,).

        They are places, so they depend on who else is ranked. The sort starts from an order that the networks' own
        vectors give, and not the caller's list: where the classifier contradicts itself (a before b before c before
        a), the start decides.
        """
        h, u = self._on_device(*self._inputs(population))
        with torch.no_grad():
            vectors = _vectors(self.network, h, u)
        network = copy.deepcopy(self.network).cpu()
        start = np.lexsort(vectors.cpu().numpy().T)
        compare = network.comparator(vectors.cpu()[torch.from_numpy(start)])
        result = np.empty(len(population))
        result[start] = scores(merge_sort(len(start), compare), compare)
        return result

    def fine_tune(self, labelled: Fold, *, epochs: int = 100, lr: float = 1e-3, seed: int = 0) -> Self:
        """A new ranker, trained on from this one on pairs of `labelled`, in batches of the pairs of ten networks.

        The paper takes one pair a step, which for the 1,225 pairs of 50 networks would be 122,500 steps. Heads to
        which no given network belongs stay as they are (`heads.fine_tune_head` says why).
        """
        tuned = copy.copy(self)
        tuned.network = network = copy.deepcopy(self.network)
        h, u, y = self._tensors(labelled)
        offset = None
        if u is not None:
            whole, used = network.head, u.amax(0) > MEMBERSHIP_FLOOR
            with torch.no_grad():
                offset = network(h, u * ~used)
            network.head, u = whole.select(used), u[:, used]
        _train(network, (h, u, y), None, offset=offset, epochs=epochs, batch_size=FEW, lr=lr, seed=seed)
        if u is not None:
            whole.replace(used, network.head)
            network.head = whole
        return tuned

    def _tensors(self, fold: Fold) -> tuple[Tensor, Tensor | None, Tensor]:
        h, u = self._on_device(*self._inputs(fold.population))
        return h, u, as_tensor(fold.accuracy).to(h.device)

    def _on_device(self, h: np.ndarray, u: np.ndarray | None) -> tuple[Tensor, Tensor | None]:
        device = next(self.network.parameters()).device
        return as_tensor(h).to(device), None if u is None else as_tensor(u).to(device)


def _train(
    network: PairNetwork,
    train: tuple,
    watched: tuple | None,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    weight_decay: float = 1e-2,
    offset: Tensor | None = None,
) -> pd.DataFrame:
    """Train in place: AdamW, the rate falling to zero on half a cosine, as `heads.fit_head` does.

    `offset` (N, out) is added to the vectors of the training networks.
    """
    h, u, y = train
    last_step = epochs * math.ceil(len(y) / batch_size)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    history, step = Epochs(network, lr), 0
    network.train()
    for _ in range(epochs):
        total, pairs = torch.zeros((), device=y.device), 0
        for rows in torch.randperm(len(y), generator=order).to(y.device).split(batch_size):
            optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / last_step)) / 2
            step += 1
            v = network(h[rows], None if u is None else u[rows])
            error, count = _pair_loss(network, v if offset is None else v + offset[rows], y[rows])
            if count:
                optimizer.zero_grad()
                (error / count).backward()
                optimizer.step()
                total, pairs = total + error.detach(), pairs + count
        history.add(total.item() / max(pairs, 1), math.nan if watched is None else _validate(network, *watched))
    return history.finish()


def _pair_loss(network: PairNetwork, v: Tensor, y: Tensor) -> tuple[Tensor, int]:
    """Cross-entropy summed over all pairs of vectors with different accuracies, and how many there are."""
    i, j = torch.triu_indices(len(y), len(y), 1, device=y.device)
    differ = y[i] != y[j]
    i, j = i[differ], j[differ]
    error = F.binary_cross_entropy_with_logits(network.logits(v[i], v[j]), (y[i] > y[j]).float(), reduction="sum")
    return error, len(i)


@torch.no_grad()
def _validate(network: PairNetwork, h: Tensor, u: Tensor | None, y: Tensor) -> float:
    """Mean cross-entropy over the pairs within each 32 networks that stand together: the same pairs every epoch."""
    v = _vectors(network, h, u)
    parts = [_pair_loss(network, v[rows], y[rows]) for rows in torch.arange(len(y), device=y.device).split(BATCH)]
    return sum(error.item() for error, _ in parts) / max(sum(count for _, count in parts), 1)


def _vectors(network: PairNetwork, h: Tensor, u: Tensor | None, size: int = 1024) -> Tensor:
    memberships = [None] * math.ceil(len(h) / size) if u is None else u.split(size)
    return torch.cat([network(*part) for part in zip(h.split(size), memberships, strict=True)])
