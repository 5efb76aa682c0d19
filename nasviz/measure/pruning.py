"""Pruning: small weights set to zero, or whole channels taken out; and what either does to cost and speed.

A mask of zeros changes no shape, so a dense kernel multiplies by the zeros as by any other number: MACs, memory and
time stay. Only where whole channels go do the layers get smaller. Which channels depend on each other (sums, groups,
batch norms, the next layer's inputs) is worked out by Torch-Pruning's dependency graph (Fang et al. 2023,
arXiv:2301.12900).
"""

import copy
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from nasviz.graph.cost import macs, total_macs
from nasviz.graph.graph import ComputeGraph
from nasviz.measure.latency import Latency, latency
from nasviz.measure.running import evaluating
from nasviz.resources import extra

if TYPE_CHECKING:
    from torch import nn

METHODS = {"mask": "weights set to zero", "channels": "channels removed"}


def mask_weights(module: "nn.Module", ratio: float) -> "nn.Module":
    """A copy in which the smallest weights of all convolutions and dense layers are held at zero.

    Parameters
    ----------
    module : nn.Module
        It is left as it was.
    ratio : float
        Share of those weights, in [0, 1), smallest magnitudes of the whole network first.

    Returns
    -------
    nn.Module
        With masks by `torch.nn.utils.prune`: training keeps the zeros, and `unmask` makes them plain weights.

    Raises
    ------
    ValueError
        If the ratio is none, or there is nothing to prune.
    """
    import torch
    from torch.nn.utils import prune

    ratio, twin = _checked(ratio), copy.deepcopy(module).to(memory_format=torch.contiguous_format)
    parts = [(part, "weight") for _, part in _prunable(twin)]
    prune.global_unstructured(parts, pruning_method=prune.L1Unstructured, amount=ratio)
    return twin


def unmask(module: "nn.Module") -> "nn.Module":
    """Make the masked weights of `mask_weights` plain ones, in place: the zeros stay, the masks go. Returns it."""
    from torch.nn.utils import prune

    for part in module.modules():
        if hasattr(part, "weight_mask"):
            prune.remove(part, "weight")
    return module


def remove_channels(module: "nn.Module", example: Any, ratio: float) -> "nn.Module":
    """A smaller network: from every layer the channels with the smallest weights are taken out, with all that hangs on
    them. What the network puts out keeps its shape.

    Parameters
    ----------
    module : nn.Module
        It is left as it was.
    example : tensor or tuple
        An input.
    ratio : float
        Share of the channels of each layer, in [0, 1); one stays in any case.

    Returns
    -------
    nn.Module
        A pruned copy, with new, smaller layers.

    Raises
    ------
    ImportError
        If Torch-Pruning is not installed.
    ValueError
        If the ratio is none, or there is nothing to prune.
    """
    from nasviz.graph.trace import trace

    pruning = extra("torch_pruning", "pruning")
    ratio, last = _checked(ratio), _last_layers(trace(module, example))
    twin = copy.deepcopy(module)
    parts = dict(_prunable(twin))
    with evaluating(twin):
        pruner = pruning.pruner.MagnitudePruner(
            twin,
            example,
            pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=ratio,
            ignored_layers=[parts[name] for name in last if name in parts],
        )
        pruner.step()
    return twin


def sparsity(module: "nn.Module") -> float:
    """Share of the weights of convolutions and dense layers that are zero."""
    weights = [part.weight for _, part in _prunable(module)]
    return 1 - sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)


def effective_macs(module: "nn.Module", graph: ComputeGraph) -> float:
    """MACs without those that multiply by a weight of zero: what is left if zeros cost nothing.

    Parameters
    ----------
    module : nn.Module
        The network.
    graph : ComputeGraph
        Of `nasviz.trace` of the same network.

    Returns
    -------
    float
        Each layer's MACs times the share of its weights that are not zero.
    """
    density = {name: float(part.weight.count_nonzero()) / part.weight.numel() for name, part in _prunable(module)}
    return sum(macs(node) * (density.get(node.layer, 1.0) if node.weight_shape else 1.0) for node in graph.nodes)


def file_sizes(module: "nn.Module") -> tuple[int, int]:
    """Bytes of the weights as a safetensors file, and of that file compressed."""
    from safetensors.torch import save

    data = save({name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()})
    return len(data), len(zlib.compress(data))


@dataclass(frozen=True)
class Pruned:
    """A network after one step of pruning.

    Attributes
    ----------
    method : str
        "none" (as it was), "mask" or "channels".
    ratio : float
        What share of the weights, or of the channels of each layer, was pruned.
    module : nn.Module
        The network, fine-tuned.
    graph : ComputeGraph
        Of this network.
    metrics : dict
        ``sparsity`` (share of the original weights that are zero or gone), ``accuracy_before`` (a fraction, before
        fine-tuning), ``accuracy``, ``parameters``, ``nonzero_parameters``, ``macs``, ``effective_macs``,
        ``size_bytes``, ``compressed_bytes`` (of the file of its weights), ``latency_ms``, ``latency_low_ms``,
        ``latency_high_ms`` (median and quartiles).
    latency : Latency
        With threads, precision, batch and runtime.
    """

    method: str
    ratio: float
    module: "nn.Module"
    graph: ComputeGraph
    metrics: dict[str, float]
    latency: Latency

    @property
    def name(self) -> str:
        """``"channels 50 %"``."""
        return "not pruned" if self.method == "none" else f"{self.method} {100 * self.ratio:.3g} %"


def pruning_steps(
    module: "nn.Module",
    example: Any,
    ratios: Sequence[float],
    *,
    evaluate: Callable[["nn.Module"], float],
    fine_tune: Callable[["nn.Module"], Any],
    methods: Sequence[str] = tuple(METHODS),
    runtime: str = "torch",
    repeats: int = 30,
    threads: int = 1,
    progress: bool = True,
) -> Iterator[Pruned]:
    """Prune a trained network step by step, each from the unpruned one, and measure what comes of it.

    Parameters
    ----------
    module : nn.Module
        A trained network; it is left as it was.
    example : tensor or tuple
        An input; latency is that of its whole batch.
    ratios : sequence of float
        What shares to prune, each in (0, 1).
    evaluate : callable
        module → accuracy, a fraction.
    fine_tune : callable
        Trains the module in place; masks and shapes stay.
    methods : sequence of str
        Keys of `METHODS`.
    runtime, repeats, threads
        As `nasviz.measure.latency` takes them.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    Pruned
        The network as it was, then each method with each ratio.

    Raises
    ------
    ValueError
        If an argument has a wrong value.
    """
    from tqdm.auto import tqdm

    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(f"methods: {unknown[0]!r} is none of {', '.join(METHODS)}.")
    wanted = [("none", 0.0), *((method, _checked(ratio)) for method in methods for ratio in ratios)]
    original = sum(part.weight.numel() for _, part in _prunable(module))
    for method, ratio in tqdm(wanted, "prune", disable=not progress):
        if method == "none":
            twin = copy.deepcopy(module)
        else:
            twin = mask_weights(module, ratio) if method == "mask" else remove_channels(module, example, ratio)
        before = evaluate(twin)
        if method != "none":
            fine_tune(twin)
        unmask(twin).eval()
        yield _measured(twin, example, method, ratio, before, evaluate(twin), original, (runtime, repeats, threads))


def pruning_table(steps: Sequence[Pruned]) -> pd.DataFrame:
    """The steps as a table: ``method``, ``ratio``, and their metrics; a row a step."""
    return pd.DataFrame([{"method": step.method, "ratio": step.ratio, **step.metrics} for step in steps])


def _measured(
    module: "nn.Module", example: Any, method: str, ratio: float, before: float, after: float, original: int, how: tuple
) -> Pruned:
    from nasviz.graph.trace import trace

    runtime, repeats, threads = how
    graph = trace(module, example)
    took = latency(module, example, runtime=runtime, repeats=repeats, threads=threads)
    left = sum(int(part.weight.count_nonzero()) for _, part in _prunable(module))
    size, compressed = file_sizes(module)
    metrics = {
        "sparsity": 1 - left / original,
        "accuracy_before": before,
        "accuracy": after,
        "parameters": graph.params,
        "nonzero_parameters": sum(int(p.count_nonzero()) for p in module.parameters()),
        "macs": total_macs(graph) / took.batch,
        "effective_macs": effective_macs(module, graph) / took.batch,
        "size_bytes": size,
        "compressed_bytes": compressed,
        "latency_ms": took.median_ms,
        "latency_low_ms": took.low_ms,
        "latency_high_ms": took.high_ms,
    }
    return Pruned(method, ratio, module, graph, metrics, took)


def _checked(ratio: float) -> float:
    if not isinstance(ratio, int | float) or not 0 <= ratio < 1:
        raise ValueError(f"ratio={ratio!r}: it is a share from 0 up to, but without, 1.")
    return float(ratio)


def _prunable(module: "nn.Module") -> list[tuple[str, "nn.Module"]]:
    """Convolutions and dense layers, by name."""
    from torch import nn

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    found = [(name, part) for name, part in module.named_modules() if isinstance(part, kinds)]
    if not found:
        raise ValueError(f"{type(module).__name__} has no convolution or dense layer, so there is nothing to prune.")
    return found


def _last_layers(graph: ComputeGraph) -> set[str]:
    """The layers with weights that make what the network puts out."""
    sources, found = graph.predecessors(), set()
    row = list(graph.outputs)
    seen = set(row)
    while row:
        index = row.pop()
        if graph.nodes[index].weight_shape:
            found.add(graph.nodes[index].layer)
            continue
        row += [source for source in sources[index] if source not in seen]
        seen.update(sources[index])
    return found
