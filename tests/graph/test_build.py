"""Round trip module → graph → module: parameters, MACs and, with the weights carried over, outputs stay.

The graph was traced with one size of batch, the module runs with any.
"""

from functools import partial

import pytest
import torch
import zoo
import zoo_attention
from kinds import KINDS, Apply
from networks import BUILD
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv
from nasviz.graph.build import carry, to_module
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op

FAMILIES = ["nb101", "nb201", "nb301", "proxyless", "ofa_mbv3", "ofa_resnet", "hiaml", "inception", "two_path"]
COMMON = {
    "resnext": partial(zoo.resnet, (1, 1, 1, 1), groups=8, base_width=8),
    **{
        name: BUILD[name]
        for name in (
            "resnet18", "densenet121", "squeezenet1_1", "googlenet", "regnet_y_400mf", "mobilenet_v2",
            "mobilenet_v3_large", "efficientnet_b0", "shufflenet_v2_x0_5", "poolformer_s12",
        )
    },
    "convnext": partial(zoo_attention.convnext, 16, (1, 1, 1, 1)),
    "vit": partial(zoo_attention.VisionTransformer, 32, 4, 2, image=64),
}  # fmt: skip


def moved(module: nn.Module) -> nn.Module:
    """With statistics and norms that differ from their start, as after training."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if "running_var" in name or tensor.dim() == 1:
                tensor.uniform_(0.5, 1.5) if tensor.is_floating_point() else None
    return module.eval()


def counted(module: nn.Module, x: torch.Tensor) -> tuple[int, torch.Tensor]:
    """FLOPs as torch counts them, which shares no code with the package, and the output."""
    with FlopCounterMode(display=False) as counter:
        out = module(x)
    return counter.get_total_flops(), out.detach()


def outputs(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [leaf for leaf in tree_leaves(module(*inputs)) if isinstance(leaf, torch.Tensor)]


def check_round_trip(module: nn.Module, x: torch.Tensor) -> None:
    copy = to_module(nv.trace(module, x)).eval()
    layers = carry(copy, module.state_dict())
    assert set(copy.state_dict()) == set(module.state_dict())
    assert len(layers) == sum(bool(list(m.parameters(recurse=False))) for m in module.modules())
    assert sum(p.numel() for p in copy.parameters()) == sum(p.numel() for p in module.parameters())
    (flops, out), (again, same) = counted(module, x), counted(copy, x)
    assert again == flops > 0
    torch.testing.assert_close(same, out, rtol=0, atol=0)
    more = torch.cat([x, torch.randn_like(x), x])
    torch.testing.assert_close(outputs(copy, (more,)), outputs(module, (more,)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_comes_back_as_it_was(name):
    torch.manual_seed(1)
    family = nv.families.get(name)
    for arch in family.sample(3, seed=4):
        check_round_trip(moved(family.build(arch, "digits")), torch.randn(2, 1, 8, 8))


@pytest.mark.parametrize("name", COMMON)
def test_common_networks_come_back_as_they_were(name):
    torch.manual_seed(0)
    check_round_trip(moved(COMMON[name]()), torch.randn(1, 3, 64, 64))


UNBUILT = {"lstm", "gru", "rnn", "gpt", "encoder-decoder", "window attention"}
"""State from step to step, a table of positions, weights that are split, an index that is no parameter."""


@pytest.mark.parametrize("name", sorted(KINDS.keys() - UNBUILT))
def test_networks_of_every_kind_compute_the_same_on_any_batch(name):
    torch.manual_seed(0)
    build, inputs = KINDS[name]
    module = build().eval()
    graph = nv.trace(module, inputs)
    copy = to_module(ComputeGraph.from_arrow(graph.to_arrow())).eval()
    carry(copy, module.state_dict())
    assert {*copy.state_dict()} <= {*module.state_dict()} and graph.params == sum(p.numel() for p in copy.parameters())
    for times in (1, 3):
        drawn = [torch.randn(times * len(x), *x.shape[1:]) if x.is_floating_point() else x for x in inputs]
        torch.testing.assert_close(outputs(copy, drawn), outputs(module, drawn), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(UNBUILT))
def test_what_the_graph_does_not_hold_is_said(name):
    build, inputs = KINDS[name]
    with pytest.raises(ValueError, match=r": cannot build (the operator '\w+', since|what reads result 2 of a call)"):
        to_module(nv.trace(build(), inputs))


class Mixed(nn.Module):
    """A layer that runs twice, numbers, a transposed convolution, other norms and activations, dropout."""

    def __init__(self):
        super().__init__()
        self.conv, self.up = nn.Conv2d(2, 4, 3, padding=1), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, bias=False)
        self.twice = nn.Conv2d(6, 6, 1)
        self.group, self.layer = nn.GroupNorm(3, 6), nn.LayerNorm(6)
        self.slope, self.drop, self.out = nn.PReLU(6), nn.Dropout(0.3), nn.Linear(6, 3)

    def forward(self, x):
        x = F.leaky_relu(self.up(torch.tanh(self.conv(x)) * 2 + 0.5), 0.2)
        x = self.slope(self.group(self.twice(F.mish(self.twice(x)))))
        return self.out(self.drop(self.layer(F.adaptive_max_pool2d(F.selu(x), 1).flatten(1))))


def test_other_operators_and_a_layer_that_runs_twice():
    torch.manual_seed(0)
    module = moved(Mixed())
    check_round_trip(module, torch.randn(3, 2, 5, 5))
    copy = to_module(nv.trace(module, torch.zeros(3, 2, 5, 5)))
    assert copy.get_submodule("drop").p == 0.3


def test_only_weights_that_fit_are_carried():
    torch.manual_seed(0)
    family = nv.families.get("nb201")
    arch = family.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|")
    other = family.parse("|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|")
    old, new = moved(family.build(arch, "digits")), family.build(other, "digits")
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    layers = carry(new, old.state_dict())
    assert "stem.conv" in layers and "head.linear" in layers
    assert not any("node1.nor_conv_1x1_0" in layer for layer in layers)  # its name is new
    for name, tensor in new.state_dict().items():
        source = old.state_dict() if name.rpartition(".")[0] in layers else before
        torch.testing.assert_close(tensor, source[name], rtol=0, atol=0)
    wider = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    narrow = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(4))
    assert carry(wider, narrow.state_dict()) == ["1"]  # no half of a layer


CALLS = {
    "swapped subtraction": lambda x: 1 - x,
    "weighted sum": lambda x: torch.add(x, x.relu(), alpha=3),
    "in place": lambda x: x.clone().sub_(2).div_(3).exp_(),
    "division": lambda x: x / x.abs().sum((2, 3), keepdim=True),
    "some dimensions flattened": lambda x: x.flatten(1, 2),
    "batch before channels": lambda x: x.transpose(0, 1).reshape(-1, len(x) * 6, 4).transpose(0, 1),
    "batch among others": lambda x: x.permute(1, 0, 2, 3).reshape(4 * len(x), -1).view(4, len(x), -1),
    "rolled, padded, resized": lambda x: F.interpolate(F.pad(x.roll(1, 2), (1, 2)), scale_factor=2.0),
    "slices": lambda x: x[:, 1:, ..., ::2] + x[:, :-1, :1, 0, None],
    "unequal parts": lambda x: sum(part.sum(1) for part in x.split([1, 3], dim=1)),
    "parts in order": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "an iterated batch axis": lambda x: [*x.transpose(0, 1)][2],
    "values without their indices": lambda x: x.max(1)[0],
    "channels shuffled": lambda x: F.pixel_shuffle(F.channel_shuffle(x, 2), 2),
    "attention": lambda x: F.scaled_dot_product_attention(x, x.flip(2), x, is_causal=True),
    "matrix": lambda x: x @ x.mT,
    "repeated": lambda x: x.repeat(1, 2, 1, 1),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_call_is_made_again(what):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), Apply(CALLS[what]))
    for traced in (1, 2):
        copy = to_module(nv.trace(module, torch.zeros(traced, 3, 6, 4)))
        carry(copy, module.state_dict())
        for images in (1, 2, 5):
            x = (torch.randn(images, 3, 6, 4),)
            torch.testing.assert_close(outputs(copy, x), outputs(module, x), rtol=0, atol=0)


def test_attention_drops_in_training_alone():
    module = Apply(lambda x: F.scaled_dot_product_attention(x, x, x, None, 0.9))
    copy, x = to_module(nv.trace(module, torch.zeros(1, 4, 8))), torch.randn(1, 4, 8)
    assert (copy.train()(x) == 0).any()
    torch.testing.assert_close(copy.eval()(x), F.scaled_dot_product_attention(x, x, x), rtol=0, atol=0)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(x).relu())


def test_shared_and_computed_weights_stay_so():
    for module in (Tied(), weight_norm(nn.Conv2d(3, 4, 3))):
        x = torch.randn((2, 3, 5, 5) if isinstance(module, nn.Conv2d) else (2, 4))
        copy = to_module(nv.trace(module, x[:1]))
        carry(copy, module.state_dict())
        assert sum(p.numel() for p in copy.parameters()) == sum(p.numel() for p in module.parameters())
        torch.testing.assert_close(copy(x), module(x), rtol=0, atol=0)


def test_a_call_of_anything_but_an_operator_is_refused():
    for function in ("torch.load", "os.system", "torch.Tensor.numpy", "torch.Tensor.__reduce_ex__", "torch.hub.load"):
        call = ("call", (function, (("tensor", 1, 2),), ()))
        node = Node(Op.POINTWISE, "evil", (1, 2), (1, 2), attrs=(call,))
        with pytest.raises(ValueError, match="evil: cannot build the operator 'pointwise'"):
            to_module(ComputeGraph([Node(Op.INPUT, out_shape=(1, 2)), node], [(0, 1)], (1,)))
    node = Node(Op.RELU, "odd", (1, 2), (1, 2), attrs=(("call", 3),))
    with pytest.raises(ValueError, match="odd: cannot build the operator 'relu'"):
        to_module(ComputeGraph([Node(Op.INPUT, out_shape=(1, 2)), node], [(0, 1)], (1,)))


def writes(x):
    y = x.relu()
    y[:, :1].mul_(2)
    return y.sigmoid()


@pytest.mark.parametrize("function", [lambda x: x + torch.ones(3, 1, 1), writes, lambda x: x.max(1)[1] * 2])
def test_what_would_run_otherwise_than_before_is_refused(function):
    with pytest.raises(ValueError, match="cannot build"):
        to_module(nv.trace(Apply(function), torch.zeros(1, 3, 2, 2)))
