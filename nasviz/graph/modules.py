"""The module of each operator: what `nasviz.graph.build` puts together."""

import operator
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from nasviz.graph.graph import Node
from nasviz.graph.ops import Op


class Arithmetic(nn.Module):
    """`function` of two results, or of one result and a number."""

    def __init__(self, function: Callable, scalar: float | None = None):
        super().__init__()
        self.function, self.scalar = function, scalar

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.function(x, self.scalar if y is None else y)

    def extra_repr(self) -> str:
        return self.function.__name__ + ("" if self.scalar is None else f", scalar={self.scalar}")


class Concat(nn.Module):
    """Concatenation along `dim`."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, self.dim)


class Slice(nn.Module):
    """`length` entries of dimension `dim` from `start` on."""

    def __init__(self, dim: int, start: int, length: int):
        super().__init__()
        self.dim, self.start, self.length = dim, start, length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.narrow(self.dim, self.start, self.length)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, start={self.start}, length={self.length}"


class Mean(nn.Module):
    """Mean over the dimensions `dims`."""

    def __init__(self, dims: tuple[int, ...], keepdim: bool):
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(self.dims, self.keepdim)


class Zero(nn.Module):
    """Zeros of the input's shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def _dims(node: Node) -> int:
    """Spatial dimensions of what a pooling reads."""
    return len(node.in_shape) - 2


def _conv(node: Node) -> nn.Module:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(node.kernel)]
    return kind(
        node.in_shape[1],
        node.out_shape[1],
        node.kernel,
        node.stride,
        node.get("padding"),
        node.get("dilation"),
        node.groups,
        node.bias,
    )


def _conv_transpose(node: Node) -> nn.Module:
    kind = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[len(node.kernel)]
    return kind(
        node.in_shape[1],
        node.out_shape[1],
        node.kernel,
        node.stride,
        node.get("padding"),
        node.get("output_padding"),
        node.groups,
        node.bias,
        node.get("dilation"),
    )


def _batch_norm(node: Node) -> nn.Module:
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(node.in_shape)]
    return kind(node.in_shape[1], node.get("eps"), node.get("momentum"), affine=node.bias)


def _max_pool(node: Node) -> nn.Module:
    kind = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[len(node.kernel)]
    return kind(node.kernel, node.stride, node.get("padding"), node.get("dilation"), ceil_mode=node.get("ceil_mode"))


def _avg_pool(node: Node) -> nn.Module:
    kind = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[len(node.kernel)]
    return kind(node.kernel, node.stride, node.get("padding"), node.get("ceil_mode"), node.get("count_padding"))


def _adaptive(node: Node, kinds: Sequence[type[nn.Module]]) -> nn.Module:
    return kinds[_dims(node) - 1](node.out_shape[2:])


MODULES: dict[Op, Callable[[Node], nn.Module]] = {
    Op.CONV: _conv,
    Op.CONV_TRANSPOSE: _conv_transpose,
    Op.LINEAR: lambda node: nn.Linear(node.in_shape[-1], node.out_shape[-1], node.bias),
    Op.BATCH_NORM: _batch_norm,
    Op.LAYER_NORM: lambda node: nn.LayerNorm(node.get("normalized"), node.get("eps"), node.bias),
    Op.GROUP_NORM: lambda node: nn.GroupNorm(node.groups, node.in_shape[1], node.get("eps"), node.bias),
    Op.RELU: lambda node: nn.ReLU(),
    Op.RELU6: lambda node: nn.ReLU6(),
    Op.LEAKY_RELU: lambda node: nn.LeakyReLU(node.get("slope")),
    Op.PRELU: lambda node: nn.PReLU(node.params or 1),
    Op.SELU: lambda node: nn.SELU(),
    Op.SILU: lambda node: nn.SiLU(),
    Op.MISH: lambda node: nn.Mish(),
    Op.SIGMOID: lambda node: nn.Sigmoid(),
    Op.HARD_SIGMOID: lambda node: nn.Hardsigmoid(),
    Op.HARD_SWISH: lambda node: nn.Hardswish(),
    Op.TANH: lambda node: nn.Tanh(),
    Op.MAX_POOL: _max_pool,
    Op.AVG_POOL: _avg_pool,
    Op.ADAPTIVE_AVG_POOL: partial(_adaptive, kinds=(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)),
    Op.ADAPTIVE_MAX_POOL: partial(_adaptive, kinds=(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)),
    Op.MEAN: lambda node: Mean(node.get("dim"), node.get("keepdim")),
    Op.ADD: lambda node: Arithmetic(operator.add, node.get("scalar")),
    Op.MUL: lambda node: Arithmetic(operator.mul, node.get("scalar")),
    Op.CONCAT: lambda node: Concat(node.get("dim")),
    Op.SLICE: lambda node: Slice(node.get("dim"), node.get("start"), node.get("length")),
    Op.FLATTEN: lambda node: nn.Flatten(node.get("start")),
    Op.DROPOUT: lambda node: nn.Dropout(node.get("p", 0.5)),
    Op.ZERO: lambda node: Zero(),
}
"""By operator, a function that makes the module of a node, with new weights. What a node's own fields do not tell, such
as the order of `permute`, is called again instead (`nasviz.graph.replay`)."""
