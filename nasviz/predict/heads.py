"""Fitting heads: the single `MLP` (CL+T) and the `MLPEnsemble` whose heads share the work by membership (CL+FCM+T).

Training is a plain loop over tensors in memory: these networks are small, so what a data loader or a scheduler object
does between two steps would cost more than the step.
"""

import copy
import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from nasviz.predict.checks import finite_array, same_length, whole_number
from nasviz.predict.mlp import MLP, MLPEnsemble
from nasviz.predict.training import Epochs

LOSSES = {"mse": F.mse_loss, "huber": F.huber_loss}
MEMBERSHIP_FLOOR = 1e-3  # a head to which no network belongs more than this is left alone in fine-tuning

Head = MLP | MLPEnsemble


def fit_head(
    head: Head,
    embedding,
    memberships,
    target,
    *,
    validation: tuple | None = None,
    epochs: int = 40,
    batch_size: int = 32,
    lr: float = 1e-3,
    weight_decay: float = 1e-2,
    loss: str = "mse",
    keep: str = "best",
    seed: int = 0,
    device: str = "cpu",
    progress: bool = False,
) -> pd.DataFrame:
    """Train a head in place: AdamW, the learning rate falling to zero on half a cosine.

    Parameters
    ----------
    head : MLP or MLPEnsemble, with one output
    embedding : array (N, D)
    memberships : array (N, C), or None for an `MLP`
        Rows sum to 1.
    target : array (N,)
        Standardised, see `nasviz.predict.transform`.
    validation : tuple of (embedding, memberships, target), optional
        Watched after every epoch. No gradient comes from it; with ``keep="best"`` it chooses the epoch.
    epochs, batch_size : int
        The paper's 40 and 32.
    lr, weight_decay : float
        The paper's are unknown to us. Ours are the usual ones: on NAS-Bench-101, from 3e-4 to 2e-3 and from 1e-4 to
        0.1, they changed the rank correlation by 0.003 at most.
    loss : {"mse", "huber"}
    keep : {"best", "last"}
        Which epoch's weights the head holds in the end: of the lowest validation loss, or of the last epoch. Without
        validation it is the last in any case.
    seed : int
        Of the order of the networks. The global generator is neither read nor set.
    device : str
        Where to train, "cpu" or "cuda"; the head stays there.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch``, ``train_loss`` (mean over the epoch's steps), ``validation_loss`` (NaN without
        validation), ``kept``.

    Raises
    ------
    ValueError
        For arrays that do not fit each other or the head, NaN, or an unknown ``loss`` or ``keep``.
    FloatingPointError
        If the loss stops being finite.
    """
    train = _tensors(head, embedding, memberships, target, device)
    # pyrefly: ignore[bad-argument-count]  # validation holds three
    watched = None if validation is None else _tensors(head, *validation, device, "validation ")
    return _train(
        head.to(device), train, watched,
        epochs=epochs, batch_size=batch_size, lr=lr, weight_decay=weight_decay,
        loss=loss, keep=keep, seed=seed, progress=progress,
    )  # fmt: skip


def fine_tune_head(
    head: Head,
    embedding,
    memberships,
    target,
    *,
    epochs: int = 100,
    batch_size: int = 1,
    lr: float = 1e-3,
    weight_decay: float = 1e-2,
    loss: str = "mse",
    seed: int = 0,
    device: str = "cpu",
    progress: bool = False,
) -> Head:
    """A new head, trained on from ``head`` with a few labels of another family; ``head`` stays as it is.

    Arguments as in `fit_head`; 100 epochs and batches of one are the paper's; ``lr`` is that of `fit_head`.

    Heads of an ensemble to which no given network belongs (memberships up to 0.001) keep their weights: Adam steps at
    its full rate however faint the gradient, so it would carry them off at random. What they add to the output is
    taken off the target. Leaving them out also saves their time.
    """
    h, u, y = _tensors(head, embedding, memberships, target, device)
    tuned = part = copy.deepcopy(head).to(device)
    if u is not None:
        used = u.amax(0) > MEMBERSHIP_FLOOR
        y = y - _outputs(tuned, h, u * ~used)
        part, u = tuned.select(used), u[:, used]
    _train(
        part, (h, u, y), None,
        epochs=epochs, batch_size=batch_size, lr=lr, weight_decay=weight_decay,
        loss=loss, keep="last", seed=seed, progress=progress,
    )  # fmt: skip
    if part is not tuned:
        tuned.replace(used, part)
    return tuned.eval()


def predict_head(head: Head, embedding, memberships=None, *, batch_size: int = 1024) -> np.ndarray:
    """The head's output for an embedding (N, D), with memberships (N, C) for an ensemble: (N,) or (N, out), float32.

    Computed in batches on the device that the head is on, without gradients.
    """
    h, u = _inputs(head, embedding, memberships, next(head.parameters()).device)
    return _outputs(head, h, u, batch_size).cpu().numpy()


def _train(
    head: Head,
    train: tuple,
    watched: tuple | None,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    loss: str,
    keep: str,
    seed: int,
    progress: bool,
) -> pd.DataFrame:
    """The loop of `fit_head`, on tensors that were checked."""
    for name, value, choices in (("loss", loss, LOSSES), ("keep", keep, ("best", "last"))):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    whole_number("epochs", epochs)
    whole_number("batch_size", batch_size)
    h, u, y = train
    n = len(y)
    last_step = epochs * math.ceil(n / batch_size)
    order = torch.Generator().manual_seed(seed)
    # The fused AdamW is one pass over the weights; on a CPU the others take seven times as long.
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    history, step = Epochs(head, lr, best=keep == "best"), 0
    head.train()
    for _ in tqdm(range(epochs), desc="head", unit="epoch", disable=not progress):
        shuffle = torch.randperm(n, generator=order).to(y.device)
        total = torch.zeros((), device=y.device)
        for rows_h, rows_u, rows_y in _batches(batch_size, h[shuffle], None if u is None else u[shuffle], y[shuffle]):
            optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / last_step)) / 2
            error = LOSSES[loss](head(rows_h, rows_u), rows_y)
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            total += error.detach() * len(rows_y)
            step += 1
        watching = watched is not None
        validation_loss = LOSSES[loss](_outputs(head, *watched[:2]), watched[2]).item() if watching else math.nan
        history.add(total.item() / n, validation_loss)
    return history.finish()


@torch.no_grad()
def _outputs(head: Head, h: Tensor, u: Tensor | None, batch_size: int = 1024) -> Tensor:
    return torch.cat([head(*rows) for rows in _batches(batch_size, h, u)])


def _batches(size: int, *tensors: Tensor | None):
    """The tensors' rows, ``size`` at a time; a tensor that is None stays None."""
    for start in range(0, max(len(tensors[0]), 1), size):  # of no rows, one batch of no rows
        yield tuple(None if tensor is None else tensor[start : start + size] for tensor in tensors)


def _inputs(head: Head, embedding, memberships, device, prefix: str = "") -> tuple[Tensor, Tensor | None]:
    """Embedding and memberships as float32 tensors that fit the head."""
    h = _float32(f"{prefix}embedding", embedding, 2, device)
    if h.shape[1] != head.config["in_features"]:
        raise ValueError(
            f"{prefix}embedding must have the {head.config['in_features']} columns that the head takes, "
            f"got {h.shape[1]}."
        )
    if isinstance(head, MLP):
        return h, None
    if memberships is None:
        raise ValueError(f"{prefix}memberships must be given: an ensemble of {head.n_heads} heads is summed by them.")
    u = _float32(f"{prefix}memberships", memberships, 2, device)
    if u.shape != (len(h), head.n_heads):
        raise ValueError(
            f"{prefix}memberships must have shape {(len(h), head.n_heads)}, a row a network and a column a head, "
            f"got {tuple(u.shape)}."
        )
    if len(u) and ((u < 0).any() or (u.sum(1) - 1).abs().max() > 1e-3):
        raise ValueError(
            f"{prefix}memberships must be at least 0 and sum to 1 in every row, as FuzzyCMeans gives them."
        )
    return h, u


def _tensors(head: Head, embedding, memberships, target, device, prefix: str = "") -> tuple:
    """Embedding, memberships and target as float32 tensors that fit the head and each other."""
    if head.config["out"] != 1:
        raise ValueError(f"head must have one output to be fitted to a target, got {head.config['out']}.")
    h, u = _inputs(head, embedding, memberships, device, prefix)
    y = _float32(f"{prefix}target", target, 1, device)
    if same_length(**{f"{prefix}embedding": h, f"{prefix}target": y}) == 0:
        raise ValueError(f"{prefix}embedding must hold at least one network, got none.")
    return h, u, y


def _float32(name: str, values, ndim: int, device) -> Tensor:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    return torch.tensor(finite_array(name, values, ndim), dtype=torch.float32, device=device)
