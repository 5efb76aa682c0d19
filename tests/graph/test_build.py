"""Round trip module → graph → module: parameters, MACs and, with the weights carried over, outputs stay."""

from functools import partial

import pytest
import torch
import zoo
from networks import BUILD
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv
from nasviz.graph.build import carry, to_module

FAMILIES = ["nb101", "nb201", "nb301", "proxyless", "ofa_mbv3", "ofa_resnet", "hiaml", "inception", "two_path"]
COMMON = {
    "resnext": partial(zoo.resnet, (1, 1, 1, 1), groups=8, base_width=8),
    **{
        name: BUILD[name]
        for name in (
            "resnet18", "densenet121", "squeezenet1_1", "googlenet", "regnet_y_400mf", "mobilenet_v2",
            "mobilenet_v3_large", "efficientnet_b0",
        )
    },
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
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        out = module(x)
    return counter.get_total_flops(), out


def check_round_trip(module: nn.Module, x: torch.Tensor) -> None:
    copy = to_module(nv.trace(module, x)).eval()
    layers = carry(copy, module.state_dict())
    assert set(copy.state_dict()) == set(module.state_dict())
    assert len(layers) == sum(bool(list(m.parameters(recurse=False))) for m in module.modules())
    assert sum(p.numel() for p in copy.parameters()) == sum(p.numel() for p in module.parameters())
    (flops, out), (again, same) = counted(module, x), counted(copy, x)
    assert again == flops > 0
    torch.testing.assert_close(same, out, rtol=0, atol=0)


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


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x):
        return x * self.scale


def test_what_would_run_otherwise_than_before_is_refused():
    with pytest.raises(ValueError, match="cannot build the operator 'mul' again.*parameter of its own"):
        to_module(nv.trace(Scaled(), torch.zeros(1, 3, 2, 2)))
    with pytest.raises(ValueError, match="cannot build the operator 'reshape'"):
        to_module(nv.trace(zoo.shufflenet_v2(), torch.zeros(1, 3, 64, 64)))
