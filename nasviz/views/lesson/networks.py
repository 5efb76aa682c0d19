"""The networks of the lesson, as torch modules: the two of the notes, and ten well-known ones of all kinds.

Weights are never trained, so whoever only counts builds them on the meta device, where nothing is allocated.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from nasviz.families import get
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.trace import trace

# -- the notes ---------------------------------------------------------------------------------------------------------


def worked_network(separable: bool = False, pooling: bool = True) -> nn.Sequential:
    """The network of the notes for 28 × 28 digits: ``(False, True)`` is their first, ``(True, False)`` their second."""
    layers: list[tuple[str, nn.Module]] = []
    size, c_in = 28, 1
    for number, c_out in (("1", 10), ("2", 5)):
        if separable:
            layers.append((f"depthwise{number}", nn.Conv2d(c_in, c_in, 3, groups=c_in)))
            layers.append((f"pointwise{number}", nn.Conv2d(c_in, c_out, 1)))
        else:
            layers.append((f"conv{number}", nn.Conv2d(c_in, c_out, 3)))
        size, c_in = size - 2, c_out
        if pooling and number == "1":
            layers.append(("pool", nn.AvgPool2d(2)))
            size //= 2
    layers += [("flatten", nn.Flatten()), ("dense1", nn.Linear(size**2 * c_in, 128)), ("dense2", nn.Linear(128, 10))]
    return nn.Sequential(OrderedDict(layers))


def worked_graph(separable: bool = False, pooling: bool = True) -> ComputeGraph:
    """The computation graph of :func:`worked_network`."""
    with torch.device("meta"):
        return trace(worked_network(separable, pooling), torch.zeros(1, 1, 28, 28))


def digits_network(width: int = 32) -> nn.Sequential:
    """Four convolutions for 8 × 8 digits, the last two of twice the width: what the chapter prunes."""
    layers: list[tuple[str, nn.Module]] = []
    c_in = 1
    for number, c_out in enumerate((width, width, 2 * width, 2 * width), 1):
        layers.append((f"conv{number}", nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)))
        layers += [(f"norm{number}", nn.BatchNorm2d(c_out)), (f"relu{number}", nn.ReLU())]
        if number == 2:
            layers.append(("pool", nn.MaxPool2d(2)))
        c_in = c_out
    layers += [("mean", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("dense", nn.Linear(c_in, 10))]
    return nn.Sequential(OrderedDict(layers))


# -- well-known ones ---------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """act(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: nn.Module | None = None):
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut or nn.Identity(), act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


def _conv_bn(c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: type | None = nn.ReLU):
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers = [("conv", conv), ("norm", nn.BatchNorm2d(c_out)), *([("act", act())] if act else [])]
    return nn.Sequential(OrderedDict(layers))


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]


def lenet5() -> nn.Module:
    """LeNet-5 (LeCun et al. 1998), its partial connections filled in, as is usual."""
    layers = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*layers)


def vgg16() -> nn.Module:
    """VGG-16 (Simonyan and Zisserman 2015)."""
    layers: list[nn.Module] = []
    c_in = 3
    for width, repeats in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(repeats):
            layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.ReLU()]
            c_in = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4096, 1000))


def resnet(depths: tuple[int, ...], bottleneck: bool) -> nn.Module:
    """ResNet (He et al. 2016) as in torchvision: in bottlenecks the 3 × 3 convolution has the stride."""
    layers: list[nn.Module] = [_conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
    c_in = 64
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        c_out = 4 * width if bottleneck else width
        for i in range(depth):
            stride = 2 if stage and i == 0 else 1
            if bottleneck:
                body = [_conv_bn(c_in, width), _conv_bn(width, width, 3, stride), _conv_bn(width, c_out, act=None)]
            else:
                body = [_conv_bn(c_in, width, 3, stride), _conv_bn(width, width, 3, act=None)]
            shortcut = _conv_bn(c_in, c_out, 1, stride, act=None) if (stride, c_in) != (1, c_out) else None
            layers.append(Residual(nn.Sequential(*body), shortcut, nn.ReLU()))
            c_in = c_out
    return nn.Sequential(*layers, *_head(c_in))


def mobilenet_v1(separable: bool = True) -> nn.Module:
    """MobileNetV1 (Howard et al. 2017), or the same network with dense convolutions, which the paper compares."""
    layers: list[nn.Module] = [_conv_bn(3, 32, 3, 2)]
    c_in = 32
    for c_out, stride in [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]:
        if separable:
            layers += [_conv_bn(c_in, c_in, 3, stride, groups=c_in), _conv_bn(c_in, c_out)]
        else:
            layers.append(_conv_bn(c_in, c_out, 3, stride))
        c_in = c_out
    return nn.Sequential(*layers, *_head(c_in))


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 (Sandler et al. 2018)."""
    layers: list[nn.Module] = [_conv_bn(3, 32, 3, 2, act=nn.ReLU6)]
    c_in = 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expand, c_out, repeats, first in stages:
        for stride in [first, *[1] * (repeats - 1)]:
            wide = expand * c_in
            body = nn.Sequential(
                *([_conv_bn(c_in, wide, act=nn.ReLU6)] if expand > 1 else []),
                _conv_bn(wide, wide, 3, stride, groups=wide, act=nn.ReLU6),
                _conv_bn(wide, c_out, act=None),
            )
            layers.append(Residual(body) if stride == 1 and c_in == c_out else body)
            c_in = c_out
    return nn.Sequential(*layers, _conv_bn(c_in, 1280, act=nn.ReLU6), *_head(1280))


class Block(nn.Module):
    """A transformer block whose normalisation comes first."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = ((q @ k.transpose(-2, -1)) * (width / self.heads) ** -0.5).softmax(-1) @ v
        x = x + self.project(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.feed(self.norm2(x))


def transformer(width: int = 256, depth: int = 4, heads: int = 4) -> nn.Module:
    """A small encoder over 128 vectors, such as embedded words."""
    return nn.Sequential(*(Block(width, heads) for _ in range(depth)), nn.LayerNorm(width))


# -- by name -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """What makes a network, the shape of its input, and what it is."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    about: str


def _member(family: str, arch: str, about: str) -> Network:
    home = get(family)
    return Network(lambda: home.build(home.parse(arch)), home.skeleton("paper")["shape"], about)


@lru_cache(maxsize=1)
def networks() -> dict[str, Network]:
    """The ten networks that the conventions are compared on, by name."""
    image = (1, 3, 224, 224)
    best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    blocks = "47,63,37|33,65,37,35|43,37,67|63,47,33|47,35"
    return {
        "LeNet-5": Network(lenet5, (1, 1, 32, 32), "1998, digits"),
        "VGG-16": Network(vgg16, image, "2015, dense convolutions with biases, no batch norm"),
        "ResNet-18": Network(partial(resnet, (2, 2, 2, 2), False), image, "2016, sums and batch norm"),
        "ResNet-50": Network(partial(resnet, (3, 4, 6, 3), True), image, "2016, bottlenecks of 1 × 1 convolutions"),
        "MobileNetV1": Network(mobilenet_v1, image, "2017, depthwise-separable throughout"),
        "MobileNetV2": Network(mobilenet_v2, image, "2018, inverted residuals"),
        "NB-101 cell": _member("nb101", "7:1394777:02001", "NAS-Bench-101, a network of its cells"),
        "NB-201 cell": _member("nb201", best, "NAS-Bench-201, the best cell for CIFAR-10"),
        "OFA MobileNetV3": _member("ofa_mbv3", blocks, "Once-for-All, squeeze-and-excitation"),
        "Transformer": Network(transformer, (1, 128, 256), "4 blocks of width 256, which 128 vectors go through"),
    }


@lru_cache(maxsize=1)
def measured() -> dict[str, Network]:
    """Those that are measured, by name: some of the ten, and MobileNetV1 with dense convolutions."""
    twin = Network(partial(mobilenet_v1, False), (1, 3, 224, 224), "the same widths and strides, dense convolutions")
    some = {name: networks()[name] for name in ("MobileNetV1", "MobileNetV2", "ResNet-18", "Transformer", "LeNet-5")}
    return {"MobileNetV1": some["MobileNetV1"], "MobileNetV1, dense": twin, **some}


@lru_cache(maxsize=16)
def graph_of(name: str) -> ComputeGraph:
    """The computation graph of one of :func:`networks` or :func:`measured`, for a batch of one."""
    network = (networks() | measured())[name]
    with torch.device("meta"):
        return trace(network.build(), torch.zeros(network.shape), name=name)
