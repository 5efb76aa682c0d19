"""Contrastive pretraining of the encoder (GENNAPE eq. 1), with targets from the graphs' spectra."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Data

from nasviz.predict.encoder import Encoder, ProjectionHeads
from nasviz.predict.tensors import batches
from nasviz.predict.training import Schedule, fingerprint, seeded, train


def soft_targets(spectra: torch.Tensor, sharpness: float = 1.0) -> torch.Tensor:
    """α_ij: the softmax over j ≠ i of −σ(i, j), the Euclidean distance of two spectra.

    Parameters
    ----------
    spectra : Tensor of shape (M, k)
        The k smallest eigenvalues of each graph, twice for two views.
    sharpness : float
        Multiplies the distances; 1 is the paper's formula.

    Returns
    -------
    Tensor of shape (M, M)
        Rows sum to 1, the diagonal is 0.
    """
    itself = torch.eye(len(spectra), dtype=torch.bool, device=spectra.device)
    distances = torch.cdist(spectra, spectra, compute_mode="donot_use_mm_for_euclid_dist")
    return (-sharpness * distances).masked_fill(itself, -torch.inf).softmax(1)


def contrastive_loss(z: torch.Tensor, alpha: torch.Tensor, temperature: float) -> torch.Tensor:
    """L = mean_i −Σ_{j≠i} α_ij · log( exp s(i,j) / Σ_{r≠i} exp s(i,r) ), s(i,j) = cos(z_i, z_j) / τ (eq. 1).

    Parameters
    ----------
    z : Tensor of shape (2N, d)
        Projections of the two views, all of one after all of the other.
    alpha : Tensor of shape (2N, 2N)
        From `soft_targets`.
    temperature : float
        τ.
    """
    z = F.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    return -(alpha * logits.log_softmax(1).masked_fill(itself, 0)).sum(1).mean()


def fit_encoder(
    dataset: Sequence[Data],
    spectra: np.ndarray,
    flops: np.ndarray,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    temperature: float = 0.1,
    sharpness: float = 1.0,
    flops_weight: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: bool = False,
) -> tuple[Encoder, pd.DataFrame]:
    """Train an encoder without any accuracy: by the contrastive loss, and to predict FLOPs as regularisation.

    Parameters
    ----------
    dataset : sequence of Data
        The training graphs.
    spectra : ndarray of shape (N, k)
        Their Laplacian eigenvalues.
    flops : ndarray of shape (N,)
        Their FLOPs; the head predicts the standardised logarithm.
    epochs, batch_size, lr, temperature, sharpness, flops_weight
        Batches of 128 are the paper's, the rest is chosen on validation 1 of NAS-Bench-101.
    seed : int
        Of the initial weights, the order of the graphs and the dropout.
    device : str
        Where to train.
    checkpoint : Path, optional
        File that the state is written to after each epoch, and resumed from.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Encoder
        In evaluation mode.
    DataFrame
        One row an epoch: loss, contrastive, flops_loss.
    """
    with seeded(seed):
        encoder = Encoder()
        heads = ProjectionHeads(encoder.out_features)
    model = nn.ModuleDict({"encoder": encoder, "heads": heads}).to(device)
    log_flops = np.log10(np.maximum(flops, 1))
    target = torch.tensor((log_flops - log_flops.mean()) / max(log_flops.std(), 1e-9), dtype=torch.float32)
    spectra = torch.tensor(spectra, dtype=torch.float32)

    def loss(batch: tuple) -> dict[str, torch.Tensor]:
        rows, graphs = batch
        graphs = graphs.to(device)
        h = torch.cat([encoder(graphs), encoder(graphs)])  # two passes with dropout make two views
        z, predicted = heads(h)
        alpha = soft_targets(spectra[rows].repeat(2, 1).to(device), sharpness)
        contrast = contrastive_loss(z, alpha, temperature)
        error = F.mse_loss(predicted, target[rows].repeat(2).to(device))
        return {"loss": contrast + flops_weight * error, "contrastive": contrast, "flops_loss": error}

    history = train(
        model,
        lambda order: batches(dataset, order, batch_size),
        loss,
        Schedule(len(dataset), batch_size, epochs, lr),
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
        label="encoder",
        identity={
            "temperature": temperature,
            "sharpness": sharpness,
            "flops_weight": flops_weight,
            "eigenvalues": spectra.shape[1],
            "data": fingerprint(flops),
        },
    )
    return encoder.eval(), history


@torch.no_grad()
def embed(encoder: Encoder, dataset: Sequence[Data], *, batch_size: int = 128) -> np.ndarray:
    """Embeddings h of graphs, shape (N, ``encoder.out_features``), float32, in their order.

    Graphs of similar size share a batch, which saves the Transformer most of its padding.
    """
    device = next(encoder.parameters()).device
    result = np.empty((len(dataset), encoder.out_features), dtype=np.float32)
    by_size = np.argsort([data.num_nodes for data in dataset], kind="stable")
    encoder.eval()
    for rows, graphs in batches(dataset, by_size, batch_size):
        result[rows.numpy()] = encoder(graphs.to(device)).cpu().numpy()
    return result
