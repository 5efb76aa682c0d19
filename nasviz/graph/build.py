"""`to_module`: a computation graph becomes a runnable `nn.Module` again."""

from collections.abc import Callable

import torch
from torch import nn

from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op


class Add(nn.Module):
    """Sum of two results."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Mul(nn.Module):
    """Product of two results."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * y


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


def _batch_norm(node: Node) -> nn.Module:
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(node.in_shape)]
    return kind(node.in_shape[1], node.get("eps"), node.get("momentum"), affine=node.bias)


def _max_pool(node: Node) -> nn.Module:
    return nn.MaxPool2d(
        node.kernel, node.stride, node.get("padding"), node.get("dilation"), ceil_mode=node.get("ceil_mode")
    )


def _avg_pool(node: Node) -> nn.Module:
    return nn.AvgPool2d(node.kernel, node.stride, node.get("padding"), node.get("ceil_mode"), node.get("count_padding"))


MODULES: dict[Op, Callable[[Node], nn.Module]] = {
    Op.CONV: _conv,
    Op.LINEAR: lambda node: nn.Linear(node.in_shape[-1], node.out_shape[-1], node.bias),
    Op.BATCH_NORM: _batch_norm,
    Op.RELU: lambda node: nn.ReLU(),
    Op.RELU6: lambda node: nn.ReLU6(),
    Op.SILU: lambda node: nn.SiLU(),
    Op.SIGMOID: lambda node: nn.Sigmoid(),
    Op.HARD_SIGMOID: lambda node: nn.Hardsigmoid(),
    Op.HARD_SWISH: lambda node: nn.Hardswish(),
    Op.MAX_POOL: _max_pool,
    Op.AVG_POOL: _avg_pool,
    Op.ADAPTIVE_AVG_POOL: lambda node: nn.AdaptiveAvgPool2d(node.out_shape[2:]),
    Op.MEAN: lambda node: Mean(node.get("dim"), node.get("keepdim")),
    Op.ADD: lambda node: Add(),
    Op.MUL: lambda node: Mul(),
    Op.CONCAT: lambda node: Concat(node.get("dim")),
    Op.SLICE: lambda node: Slice(node.get("dim"), node.get("start"), node.get("length")),
    Op.FLATTEN: lambda node: nn.Flatten(node.get("start")),
    Op.ZERO: lambda node: Zero(),
}


class GraphModule(nn.Module):
    """The module that runs a computation graph: one sub-module a node, at the node's dotted layer name.

    Parameters
    ----------
    graph : ComputeGraph
        Its operators must be among `MODULES`, and every node with weights needs a layer name of its own. One without
        weights whose name is missing or taken, such as a sum or a ReLU that runs twice, is called by its operator.

    Raises
    ------
    ValueError
        If an operator cannot be built, or a layer name is missing or taken.
    """

    def __init__(self, graph: ComputeGraph):
        super().__init__()
        self.inputs = [i for i, node in enumerate(graph.nodes) if node.op is Op.INPUT]
        self.outputs = graph.outputs
        sources = graph.predecessors()
        last_use = {source: target for target, inputs in enumerate(sources) for source in inputs}
        self._steps: list[tuple[nn.Module, int, list[int], list[int]]] = []
        for index, node in enumerate(graph.nodes):
            if node.op is Op.INPUT:
                continue
            if node.op not in MODULES:
                raise ValueError(f"{node.layer}: cannot build the operator '{node.op}'; known: {', '.join(MODULES)}.")
            module = MODULES[node.op](node)
            self._place(node.layer if module.state_dict() else self._free_name(node), module)
            done = {i for i in sources[index] if last_use[i] == index and i not in self.outputs}
            self._steps.append((module, index, sources[index], list(done)))

    def _free_name(self, node: Node) -> str:
        taken = {name for name, _ in self.named_modules()}
        name = node.layer
        if name in taken:  # "" is, too: it is this module
            name = f"{node.layer}.{node.op.value}".lstrip(".")
        while name in taken:
            name += "_"
        return name

    def _place(self, layer: str, module: nn.Module) -> None:
        parent: nn.Module = self
        *path, name = layer.split(".")
        for part in path:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent._modules[part]
        if not name or name in parent._modules:
            raise ValueError(f"the layer name {layer!r} is empty or used twice; every node needs its own.")
        parent.add_module(name, module)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        results = dict(zip(self.inputs, inputs, strict=True))
        for module, index, sources, done in self._steps:
            results[index] = module(*[results[i] for i in sources])
            for i in done:
                del results[i]
        outputs = tuple(results[i] for i in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def to_module(graph: ComputeGraph) -> GraphModule:
    """The graph as a runnable module with newly initialised weights (PyTorch's default initialisation)."""
    return GraphModule(graph)
