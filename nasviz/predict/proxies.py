"""Zero-cost proxies: numbers that one batch of images tells about an untrained network, meant to rank accuracies.

All follow the code of Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, but NASWOT, which is
Mellor et al., "Neural Architecture Search without Training", ICML 2021. L is the mean cross-entropy of the batch in
training mode; W runs over the *weights*: parameters of two or more dimensions, so neither biases nor the scales of
normalisations. On the networks of those papers these are the weights of convolutions and linear layers.

=========  =============================================================================================
grad_norm  Σ_W ‖∂L/∂W‖₂
snip       Σ_W Σ |W ⊙ ∂L/∂W| (Lee et al., ICLR 2019)
fisher     Σ over layers and channels c of 1/(2N) Σ_n (Σ_positions a_nc ∂L/∂a_nc)², a being the output of a
           convolution or a linear layer (Theis et al. 2018; Turner et al., ICLR 2020)
synflow    Σ_W Σ |W ⊙ ∂R/∂W|, R the sum of the outputs for an input of ones, with |W| in place of every
           parameter, in float64, normalisations left out (Tanaka et al., NeurIPS 2020)
jacov      -Σ_i (log(λ_i + k) + 1/(λ_i + k)), k = 1e-5, λ the eigenvalues of the correlation matrix of the N rows
           ∂(Σ outputs)/∂x_n (the first version of Mellor et al.)
naswot     log |det K|, K_nm = the number of rectifiers on whose side of zero images n and m agree
flops      FLOPs of one image
params     number of parameters
=========  =============================================================================================

All say "higher is better". Two of them have limits that are easily overlooked: a bounded activation (ReLU6) saturates
in `synflow`, whose gradient is then zero; and `jacov` needs more input values than images, or its matrix is singular.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nasviz.graph.calls import call_name
from nasviz.graph.cost import total_flops
from nasviz.graph.trace import trace

PROXIES = ("synflow", "jacov", "fisher", "snip", "grad_norm", "naswot", "flops", "params")
WITH_TARGETS = frozenset({"fisher", "snip", "grad_norm"})

JACOV_K = 1e-5
NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"})
RECTIFIERS = frozenset("relu relu6 leaky_relu rrelu prelu elu selu celu gelu silu mish hardswish".split())
"""Activations with a bend at zero. The paper knows ReLU alone; its smooth relatives pass and block alike."""
CONVOLUTIONS = frozenset("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d".split())


def zero_cost_proxies(
    module: nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor | None = None,
    names: Sequence[str] = PROXIES,
    *,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = F.cross_entropy,
    seed: int = 0,
) -> dict[str, float]:
    """Zero-cost proxies of a network as it is initialised.

    Parameters
    ----------
    module : nn.Module
        Any network; it stays as it is: parameters, gradients, buffers, modes and hooks.
    inputs : Tensor (N, ...)
        One batch, on the module's device; 32 to 128 images are usual.
    targets : Tensor (N,), optional
        Classes of the images; `fisher`, `snip` and `grad_norm` need them.
    names : sequence of str
        Which of `PROXIES`.
    loss : callable
        Takes the module's output and `targets`, returns a scalar.
    seed : int
        Of what is random in the forward pass, such as dropout.

    Returns
    -------
    dict of str to float
        In the order of `names`. NaN where a proxy is not defined (`jacov` where an image moves no output, `naswot`
        without a rectifier), -inf for a `naswot` of images that the network cannot tell apart; `orderable` makes both
        the worst of a population.

    Raises
    ------
    ValueError
        For unknown names, missing targets, an output that is no tensor, or `jacov` of whole numbers such as tokens.
    """
    unknown = [name for name in names if name not in PROXIES]
    if unknown:
        raise ValueError(f"names: there is no proxy {unknown[0]!r}; there are {', '.join(PROXIES)}.")
    if targets is None and WITH_TARGETS.intersection(names):
        raise ValueError(f"targets are missing: {', '.join(sorted(WITH_TARGETS.intersection(names)))} need classes.")
    if not isinstance(inputs, torch.Tensor) or inputs.ndim < 2 or not len(inputs):
        raise ValueError("inputs must be one tensor (N, ...) that holds a batch of at least one image.")
    if "jacov" in names and not inputs.is_floating_point():
        raise ValueError(f"jacov needs inputs that can be moved a little, got {inputs.dtype}; leave it out of names.")
    inputs = inputs.detach()
    scores: dict[str, float] = {}
    with torch.enable_grad():
        if WITH_TARGETS.intersection(names):
            scores |= _loss_proxies(module, inputs, targets, loss, seed)
        if "jacov" in names:
            scores["jacov"] = _jacov(module, inputs, seed)
        if "naswot" in names:
            scores["naswot"] = _naswot(module, inputs, seed)
        if "synflow" in names:
            scores["synflow"] = _synflow(module, inputs)
    if "flops" in names:
        scores["flops"] = float(total_flops(trace(module, inputs[:1])))
    if "params" in names:
        scores["params"] = float(sum(parameter.numel() for parameter in module.parameters()))
    return {name: scores[name] for name in names}


def orderable(scores) -> np.ndarray:
    """Scores (N,) that can be ranked: +inf above the largest finite one, -inf below the smallest, NaN below that."""
    scores = np.asarray(scores, dtype=float)
    finite = scores[np.isfinite(scores)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    step = max(high - low, 1.0)
    return np.nan_to_num(scores, nan=low - 2 * step, posinf=high + step, neginf=low - step)


def _loss_proxies(module, inputs, targets, loss, seed: int) -> dict[str, float]:
    parameters, buffers = _copies(module)
    watch = _Watch(layers=True)
    with _mode(module, True), _randomness(inputs, seed), watch:
        output = _tensor(functional_call(module, (parameters, buffers), (inputs,)))
        error = loss(output, targets)
    weights = [parameter for parameter in parameters.values() if parameter.ndim > 1]
    activations = [activation for activation, _ in watch.layers]
    gradients = _gradients(error, [*weights, *activations])
    of_weights, of_activations = gradients[: len(weights)], gradients[len(weights) :]
    pairs = list(zip(weights, of_weights, strict=True))
    return {
        "snip": _sum((w * g).abs().sum() for w, g in pairs),
        "grad_norm": _sum(g.norm() for _, g in pairs),
        "fisher": _sum(_fisher(a, g, dim) for (a, dim), g in zip(watch.layers, of_activations, strict=True)),
    }


def _fisher(activation: torch.Tensor, gradient: torch.Tensor, dim: int) -> torch.Tensor:
    """Σ_c 1/(2N) Σ_n (Σ_positions a g)², the channels being dimension `dim`."""
    product = (activation * gradient).movedim(dim, -1)
    return product.reshape(len(product), -1, product.shape[-1]).sum(1).pow(2).mean(0).sum() / 2


def _jacov(module: nn.Module, inputs: torch.Tensor, seed: int) -> float:
    x = inputs.clone().requires_grad_()
    with _mode(module, True), _randomness(inputs, seed):
        output = _tensor(functional_call(module, _copies(module), (x,)))
    jacobian = _gradients(output.sum(), [x])[0].double().flatten(1).cpu().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations = np.atleast_2d(np.corrcoef(jacobian))
    if not np.isfinite(correlations).all():
        return math.nan
    values = np.linalg.eigvalsh(correlations).clip(0) + JACOV_K  # rounding alone makes one negative
    return float(-np.sum(np.log(values) + 1 / values))


@torch.no_grad()
def _naswot(module: nn.Module, inputs: torch.Tensor, seed: int) -> float:
    watch = _Watch(codes=True)
    with _mode(module, True), _randomness(inputs, seed), watch:
        functional_call(module, _copies(module), (inputs,))
    if watch.kernel is None:
        return math.nan
    sign, value = np.linalg.slogdet(watch.kernel)
    return float(value) if sign > 0 else -math.inf


def _synflow(module: nn.Module, inputs: torch.Tensor) -> float:
    parameters, buffers = (
        {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in part.items()}
        for part in _copies(module)
    )
    parameters = {name: tensor.detach().abs().requires_grad_() for name, tensor in parameters.items()}
    ones = torch.ones_like(inputs[:1], dtype=torch.float64 if inputs.is_floating_point() else None)
    with _mode(module, False), _Watch(no_norms=True):
        flow = _tensor(functional_call(module, (parameters, buffers), (ones,))).sum()
    weights = [parameter for parameter in parameters.values() if parameter.ndim > 1]
    return _sum((w * g).abs().sum() for w, g in zip(weights, _gradients(flow, weights), strict=True))


class _Watch(TorchFunctionMode):
    """Sees every call of a forward pass, whether a module or a function made it.

    Attributes
    ----------
    layers : list of (Tensor, int)
        Outputs of convolutions and linear layers, and which dimension holds their channels.
    kernel : ndarray (N, N) or None
        NASWOT's K so far.
    """

    def __init__(self, *, layers: bool = False, codes: bool = False, no_norms: bool = False):
        super().__init__()
        self.layers: list[tuple[torch.Tensor, int]] = []
        self.kernel: np.ndarray | None = None
        self._layers, self._codes, self._no_norms = layers, codes, no_norms

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = call_name(func)
        if self._no_norms and name in NORMS:
            return args[0] if args else kwargs["input"]
        if self._codes and (name in RECTIFIERS or _is_relu6(name, args, kwargs)):
            self._agree(args[0] if args else kwargs["input"])  # before the call, which may write over its input
        result = func(*args, **kwargs)
        if self._layers and (name in CONVOLUTIONS or name == "linear") and result.requires_grad:
            self.layers.append((result, 1 if name in CONVOLUTIONS else -1))
            # An in-place activation must write over a copy, or the layer's output would be gone.
            return result.clone()
        return result

    def _agree(self, before: torch.Tensor) -> None:
        """Add how many rectifiers each two images agree in; counts up to 2^24 are exact in float32."""
        code = (before.flatten(1) > 0).to(torch.float32)
        agree = code @ code.T + (1 - code) @ (1 - code).T
        agree = agree.double().cpu().numpy()
        self.kernel = agree if self.kernel is None else self.kernel + agree


def _is_relu6(name: str, args: tuple, kwargs: dict) -> bool:
    """Whether this is what `nn.ReLU6` calls: a hard tanh whose lower bound is zero."""
    return name == "hardtanh" and (args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)) == 0


def _copies(module: nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Parameters that gradients can be taken of, and buffers that may be written to; the module keeps its own."""
    parameters = {name: p.detach().requires_grad_(p.is_floating_point()) for name, p in module.named_parameters()}
    return parameters, {name: buffer.detach().clone() for name, buffer in module.named_buffers()}


def _gradients(of: torch.Tensor, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """∂of/∂tensor of each tensor, zero for those that `of` does not depend on."""
    if not of.requires_grad or not tensors:
        return [torch.zeros_like(tensor) for tensor in tensors]
    gradients = torch.autograd.grad(of, tensors, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, gradients, strict=True)]


def _sum(parts: Iterator[torch.Tensor]) -> float:
    """Their sum in float64, where many small layers do not vanish beside a large one."""
    return float(sum(part.detach().double().item() for part in parts))


def _tensor(output: Any) -> torch.Tensor:
    """The output, or the first of several, such as of a network with an auxiliary head."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(first, torch.Tensor):
        raise ValueError(f"the module returns {type(output).__name__}; proxies need a tensor, such as logits (N, C).")
    return first


@contextmanager
def _mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Every part in training or evaluation mode, and back in the mode that it had."""
    modes = {part: part.training for part in module.modules()}
    module.train(training)
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def _randomness(inputs: torch.Tensor, seed: int) -> Iterator[None]:
    """Random numbers of this seed, while everybody else's stay as they are."""
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        torch.manual_seed(seed)
        yield
