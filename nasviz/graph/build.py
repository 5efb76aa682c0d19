"""`to_module`: a computation graph becomes a runnable `nn.Module` again; `carry` gives it another one's weights."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate

import torch
from torch import nn

from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.modules import MODULES
from nasviz.graph.ops import NORMS, Op
from nasviz.graph.replay import Replay, is_buildable, shapes_read

Shape = tuple[int, ...]


class GraphModule(nn.Module):
    """The module that runs a computation graph: one sub-module a node, at the node's dotted layer name.

    Parameters
    ----------
    graph : ComputeGraph
        Its operators must be among `MODULES` or keep the call that was traced, and every node with weights needs a
        layer name of its own, unless it runs the weights of an earlier node again. One without weights whose name is
        missing or taken, such as a sum or a ReLU that runs twice, is called by its operator.

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
        self._owners: dict[str, tuple[Node, nn.Module]] = {}  # who has weights, by layer; of use while this is built
        self._taken = {""}
        for index, node in enumerate(graph.nodes):
            if node.op is Op.INPUT:
                continue
            self._check(node, [graph.nodes[i].out_shape for i in sources[index]])
            module = self._again(node) or self._new(node)
            done = {i for i in sources[index] if last_use[i] == index and i not in self.outputs}
            self._steps.append((module, index, sources[index], list(done)))
        del self._owners, self._taken

    @staticmethod
    def _check(node: Node, shapes: Sequence[Shape]) -> None:
        """Refuse what would run, but not as the network did."""
        layer = node.layer or "a layer"
        if not is_buildable(node):
            raise ValueError(
                f"{layer}: cannot build the operator '{node.op}', since the graph does not hold its call; without one "
                f"it can build {', '.join(MODULES)}."
            )
        read = shapes_read(node)
        if node.get("result") is not None:
            raise ValueError(f"{layer}: cannot build what reads result {node.get('result') + 1} of a call.")
        if read is None and node.op in (Op.ADD, Op.MUL) and len(shapes) == 1 and node.get("scalar") is None:
            raise ValueError(
                f"{layer}: cannot build the operator '{node.op}' again, since it works on a constant that the graph "
                "does not hold."
            )
        if read is None and shapes:  # the shape of the first alone is known
            read, shapes = [node.in_shape], shapes[:1]
        if read and read[0] and read != list(shapes):  # such as what was written into a part of
            raise ValueError(f"{layer}: cannot build what read {read} where {list(shapes)} come in.")

    def _again(self, node: Node) -> nn.Module | None:
        """The module whose weights this node is not the first to use: a layer that is called twice."""
        owner, module = self._owners.get(node.layer, (None, None))
        same = owner is not None and owner.op is node.op and owner.weight_shape == node.weight_shape
        return module if same and owner.params and not node.params else None

    def _new(self, node: Node) -> nn.Module:
        fresh = []
        if node.get("call") is not None:
            module = Replay(node, partial(self._holder, node, fresh))
        else:
            module = MODULES[node.op](node)
        if node.params and node.params != sum(p.numel() for p in [*fresh, *module.parameters()]):
            raise ValueError(
                f"{node.layer or 'a layer'}: cannot build the operator '{node.op}' with its parameters again."
            )
        if not module.state_dict():
            self._place(self._free_name(node), module)
            return module
        self._place(node.layer, module)
        self._owners[node.layer] = node, module
        return module

    def _holder(self, node: Node, fresh: list[nn.Parameter], name: str, shape: Shape) -> nn.Module:
        """The module with the parameter `name`; it is made, and put into `fresh`, if it is not there yet."""
        *path, key = name.split(".")
        self._taken.update(accumulate(path, "{}.{}".format))
        holder: nn.Module = self
        for part in path:
            if part not in holder._modules:
                holder.add_module(part, nn.Module())
            holder = holder._modules[part]
        if key not in holder._parameters:
            value = torch.zeros(shape)
            if node.op in NORMS or node.op is Op.MUL:
                value.fill_(float("bias" not in key))
            elif "bias" not in key:
                nn.init.trunc_normal_(value, std=0.02)  # as class tokens, positions and projections start in ViT
            fresh.append(nn.Parameter(value))
            holder.register_parameter(key, fresh[-1])
        return holder

    def _free_name(self, node: Node) -> str:
        name = node.layer
        if name in self._taken:  # "" is, too: it is this module
            name = f"{node.layer}.{node.op.value}".lstrip(".")
        while name in self._taken:
            name += "_"
        return name

    def _place(self, layer: str, module: nn.Module) -> None:
        parent: nn.Module = self
        *path, name = layer.split(".")
        self._taken.update(accumulate([*path, name], "{}.{}".format))
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
            read = [results[i] for i in sources]
            results[index] = module(*read, images=len(inputs[0])) if isinstance(module, Replay) else module(*read)
            for i in done:
                del results[i]
        outputs = tuple(results[i] for i in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def to_module(graph: ComputeGraph) -> GraphModule:
    """The graph as a runnable module with newly initialised weights (PyTorch's default initialisation)."""
    return GraphModule(graph)


def carry(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Give a module the weights that still fit it: layer by layer, where all names and shapes of a layer agree.

    Parameters
    ----------
    module : nn.Module
        Changed in place; its other layers keep what they have.
    weights : mapping of str to Tensor
        The state of the network that it was made from.

    Returns
    -------
    list of str
        Names of the layers that took weights over, in the module's order.
    """
    own, carried = module.state_dict(), []
    for name, part in module.named_modules():
        tensors = [f"{name}.{key}".lstrip(".") for key, _ in _tensors(part)]
        if tensors and all(key in weights and weights[key].shape == own[key].shape for key in tensors):
            with torch.no_grad():
                for key in tensors:
                    own[key].copy_(weights[key])
            carried.append(name)
    return carried


def _tensors(part: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """What the part itself stores, in its state."""
    found = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
    return [(name, tensor) for name, tensor in found if name not in part._non_persistent_buffers_set]
