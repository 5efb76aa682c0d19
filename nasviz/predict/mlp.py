"""The networks that turn an embedding into a number: one MLP, or one a cluster, computed together."""

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from nasviz.predict.checks import whole_number


class MLP(nn.Module):
    """``layers`` hidden layers of ``hidden`` units with ReLU, then a linear output.

    Parameters
    ----------
    in_features : int
        Length D of the embedding.
    hidden, layers : int
        256 and 4 in the paper's regressors, 128 wide in its pairwise classifiers.
    out : int
        Length of the output; 1 for regressors.
    seed : int
        Of the initial weights, drawn as `torch.nn.Linear` draws them, but not from the global generator.
    """

    def __init__(self, in_features: int, hidden: int = 256, layers: int = 4, out: int = 1, *, seed: int = 0):
        super().__init__()
        self.config = {"in_features": in_features, "hidden": hidden, "layers": layers, "out": out}
        generator = torch.Generator().manual_seed(seed)
        stack: list[nn.Module] = []
        for fan_in, fan_out in _sizes(self.config):
            linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
            _init_like_linear(linear.weight, fan_in, generator)
            _init_like_linear(linear.bias, fan_in, generator)
            stack += [linear, nn.ReLU()]
        self.network = nn.Sequential(*stack[:-1])

    def forward(self, embedding: Tensor, memberships: Tensor | None = None) -> Tensor:
        """(N, D) → (N,), or (N, out) where out > 1. Memberships are ignored: there is one head."""
        return self.network(embedding).squeeze(-1)


class MLPEnsemble(nn.Module):
    """C heads like `MLP`, summed by membership: ŷ_i = Σ_j u_ij f_j(h_i).

    All heads are computed together, one batched matrix product a layer.

    Parameters
    ----------
    n_heads : int
        C, the number of clusters.
    in_features, hidden, layers, out, seed
        As in `MLP`; the heads start from different weights.
    """

    def __init__(
        self, in_features: int, n_heads: int, hidden: int = 256, layers: int = 4, out: int = 1, *, seed: int = 0
    ):
        super().__init__()
        self.config = {
            "in_features": in_features, "n_heads": n_heads, "hidden": hidden, "layers": layers, "out": out,
        }  # fmt: skip
        generator = torch.Generator().manual_seed(seed)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in _sizes(self.config):
            # (C, in, out), unlike nn.Linear's (out, in): measured a third faster on a CPU, forward and backward.
            self.weights.append(_init_like_linear(torch.empty(n_heads, fan_in, fan_out), fan_in, generator))
            self.biases.append(_init_like_linear(torch.empty(n_heads, 1, fan_out), fan_in, generator))

    @property
    def n_heads(self) -> int:
        return self.config["n_heads"]

    def forward(self, embedding: Tensor, memberships: Tensor) -> Tensor:
        """(N, D) and (N, C) → (N,), or (N, out) where out > 1."""
        return (self.each(embedding) * memberships.T.unsqueeze(-1)).sum(0).squeeze(-1)

    def each(self, embedding: Tensor) -> Tensor:
        """(N, D) → what every head says, (C, N, out)."""
        x = embedding.expand(self.n_heads, -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.baddbmm(bias, x, weight).relu()
        return torch.baddbmm(self.biases[-1], x, self.weights[-1])

    def select(self, used: Tensor) -> "MLPEnsemble":
        """A copy of the heads where ``used`` (C,) is True, as an ensemble of their own."""
        part = MLPEnsemble(**{**self.config, "n_heads": int(used.sum())}).to(used.device)
        with torch.no_grad():
            for ours, theirs in zip(part.parameters(), self.parameters(), strict=True):
                ours.copy_(theirs[used])
        return part

    def replace(self, used: Tensor, part: "MLPEnsemble") -> None:
        """Put the heads of ``part`` back where `select` took them from."""
        with torch.no_grad():
            for ours, theirs in zip(self.parameters(), part.parameters(), strict=True):
                ours[used] = theirs

    def head(self, j: int) -> MLP:
        """A copy of head j as an `MLP` of its own."""
        mlp = MLP(**{name: value for name, value in self.config.items() if name != "n_heads"})
        linears = (layer for layer in mlp.network if isinstance(layer, nn.Linear))
        with torch.no_grad():
            for linear, weight, bias in zip(linears, self.weights, self.biases, strict=True):
                linear.weight.copy_(weight[j].T)
                linear.bias.copy_(bias[j, 0])
        return mlp.to(self.weights[0].device)


def _sizes(config: dict[str, int]) -> Iterable[tuple[int, int]]:
    """(fan-in, fan-out) of every linear layer."""
    for name, value in config.items():
        whole_number(name, value)
    return pairwise([config["in_features"], *[config["hidden"]] * config["layers"], config["out"]])


def _init_like_linear(tensor: Tensor, fan_in: int, generator: torch.Generator) -> Tensor:
    """Uniform in ±1/√fan_in, which is what `torch.nn.Linear` does for weights and biases."""
    bound = 1 / math.sqrt(fan_in)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)
