"""Well-known networks, written out as they were published, to hold the tracer and the cost table against.

Convolutional networks follow torchvision (which differs from the paper where the tests say so), MobileNetV1 and
GPT-2 their own sources. Weights are never loaded: build under ``torch.device("meta")`` and nothing is allocated.
"""

from functools import partial
from math import ceil

import torch
from torch import Tensor, nn

RELU = partial(nn.ReLU, inplace=True)

# -- shared parts ------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """act(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut or nn.Identity(), act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Concat(nn.ModuleList):
    """Every branch on the same input, joined along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int, act=nn.ReLU, gate=nn.Sigmoid) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce, self.act = nn.Conv2d(channels, squeezed, 1), act()
        self.expand, self.gate = nn.Conv2d(squeezed, channels, 1), gate()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


class Permute(nn.Module):
    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


def conv_bn(c_in, c_out, kernel=1, stride=1, groups=1, act=RELU, dilation=1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), *([act()] if act else []))


def head(channels: int, classes: int = 1000) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by`` that loses at most a tenth (MobileNetV2)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


# -- plain and residual convolutional networks -------------------------------------------------------------------------


def alexnet() -> nn.Module:
    widths = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    layers: list[nn.Module] = []
    for i, shape in enumerate(widths):
        layers += [nn.Conv2d(*shape), nn.ReLU(inplace=True)]
        if i in (0, 1, 4):
            layers.append(nn.MaxPool2d(3, 2))
    layers += [nn.AdaptiveAvgPool2d(6), nn.Flatten()]
    layers += [nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4096, 1000))


def vgg(depths: tuple[int, ...] = (2, 2, 3, 3, 3), norm: bool = False) -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for width, repeats in zip((64, 128, 256, 512, 512), depths, strict=True):
        for _ in range(repeats):
            layers += [nn.Conv2d(c_in, width, 3, padding=1), *([nn.BatchNorm2d(width)] if norm else []), RELU()]
            c_in = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(inplace=True), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 1000))


def resnet(
    depths: tuple[int, ...], bottleneck: bool = True, groups: int = 1, base_width: int = 64, squeezed: int = 0
) -> nn.Module:
    """With ``squeezed``, a squeeze-and-excitation block in each, that many times narrower (SE-ResNet)."""
    layers: list[nn.Module] = [conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
    c_in = 64
    for stage, depth in enumerate(depths):
        width, c_out = 64 * 2**stage, 64 * 2**stage * (4 if bottleneck else 1)
        for i in range(depth):
            stride = 2 if stage and i == 0 else 1
            if bottleneck:  # the stride sits in the 3x3 ("v1.5")
                inner = width * base_width // 64 * groups
                first, second = conv_bn(c_in, inner), conv_bn(inner, inner, 3, stride, groups)
                last = conv_bn(inner, c_out, act=None)
                squeeze = [SqueezeExcite(c_out, c_out // squeezed)] if squeezed else []
                body = nn.Sequential(first, second, last, *squeeze)
            else:
                body = nn.Sequential(conv_bn(c_in, width, 3, stride), conv_bn(width, width, 3, act=None))
            shortcut = conv_bn(c_in, c_out, 1, stride, act=None) if (stride, c_in) != (1, c_out) else None
            layers.append(Residual(body, shortcut, nn.ReLU(inplace=True)))
            c_in = c_out
    return nn.Sequential(*layers, head(c_in))


def densenet(depths: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32) -> nn.Module:
    channels = 2 * growth
    layers: list[nn.Module] = [conv_bn(3, channels, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
    for stage, depth in enumerate(depths):
        for _ in range(depth):
            wide = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv_bn(channels, 4 * growth))
            new = nn.Sequential(*wide, nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False))
            layers.append(Concat([nn.Identity(), new]))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        if stage < 3:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, head(channels))


def squeezenet(version: str = "1_1") -> nn.Module:
    def fire(c_in: int, squeezed: int, half: int) -> nn.Module:
        small = nn.Sequential(nn.Conv2d(squeezed, half, 1), nn.ReLU(inplace=True))
        large = nn.Sequential(nn.Conv2d(squeezed, half, 3, padding=1), nn.ReLU(inplace=True))
        return nn.Sequential(nn.Conv2d(c_in, squeezed, 1), nn.ReLU(inplace=True), Concat([small, large]))

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    fires = [fire(128, 16, 64), fire(128, 32, 128), fire(256, 32, 128), fire(256, 48, 192), fire(384, 48, 192)]
    fires += [fire(384, 64, 256), fire(512, 64, 256)]
    if version == "1_0":
        layers = [nn.Conv2d(3, 96, 7, 2), nn.ReLU(inplace=True), pool(), fire(96, 16, 64), *fires[:2], pool()]
        layers += [*fires[2:6], pool(), fires[6]]
    else:
        layers = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True), pool(), fire(64, 16, 64), fires[0], pool()]
        layers += [*fires[1:3], pool(), *fires[3:]]
    layers += [nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def googlenet() -> nn.Module:
    """Without the auxiliary heads; torchvision's 5x5 branch is really 3x3 (pytorch/vision#906)."""

    def inception(c_in: int, c1: int, r3: int, c3: int, r5: int, c5: int, proj: int) -> nn.Module:
        pooled = nn.Sequential(nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), conv_bn(c_in, proj))
        three = nn.Sequential(conv_bn(c_in, r3), conv_bn(r3, c3, 3))
        five = nn.Sequential(conv_bn(c_in, r5), conv_bn(r5, c5, 3))
        return Concat([conv_bn(c_in, c1), three, five, pooled])

    pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)
    layers = [conv_bn(3, 64, 7, 2), pool(3), conv_bn(64, 64), conv_bn(64, 192, 3), pool(3)]
    layers += [inception(192, 64, 96, 128, 16, 32, 32), inception(256, 128, 128, 192, 32, 96, 64), pool(3)]
    layers += [inception(480, 192, 96, 208, 16, 48, 64), inception(512, 160, 112, 224, 24, 64, 64)]
    layers += [inception(512, 128, 128, 256, 24, 64, 64), inception(512, 112, 144, 288, 32, 64, 64)]
    layers += [inception(528, 256, 160, 320, 32, 128, 128), pool(2)]
    layers += [inception(832, 256, 160, 320, 32, 128, 128), inception(832, 384, 192, 384, 48, 128, 128)]
    return nn.Sequential(*layers, head(1024))


def regnet(widths: tuple[int, ...], depths: tuple[int, ...], group: int, squeezed: bool = True) -> nn.Module:
    """RegNetY, or without squeeze-and-excitation RegNetX."""
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
    c_in = 32
    for width, depth in zip(widths, depths, strict=True):
        for i in range(depth):
            stride = 2 if i == 0 else 1
            spatial = conv_bn(width, width, 3, stride, groups=width // group)
            squeeze = [SqueezeExcite(width, round(c_in / 4))] if squeezed else []
            body = nn.Sequential(conv_bn(c_in, width), spatial, *squeeze, conv_bn(width, width, act=None))
            shortcut = conv_bn(c_in, width, 1, stride, act=None) if i == 0 else None
            layers.append(Residual(body, shortcut, nn.ReLU(inplace=True)))
            c_in = width
    return nn.Sequential(*layers, head(c_in))


# -- mobile networks ---------------------------------------------------------------------------------------------------


def inverted(c_in, wide, c_out, kernel, stride, act, squeeze: nn.Module | None = None) -> nn.Module:
    """Expand, depthwise, (squeeze and excite,) project; the block of MobileNetV2, V3 and EfficientNet."""
    layers = [conv_bn(c_in, wide, act=act)] if wide != c_in else []
    layers += [conv_bn(wide, wide, kernel, stride, groups=wide, act=act), *([squeeze] if squeeze else [])]
    body = nn.Sequential(*layers, conv_bn(wide, c_out, act=None))
    return Residual(body) if stride == 1 and c_in == c_out else body


def mobilenet_v1() -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
    c_in = 32
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for c_out, stride in blocks:
        layers += [conv_bn(c_in, c_in, 3, stride, groups=c_in), conv_bn(c_in, c_out)]
        c_in = c_out
    return nn.Sequential(*layers, head(c_in))


def mobilenet_v2() -> nn.Module:
    act = partial(nn.ReLU6, inplace=True)
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2, act=act)]
    c_in = 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expand, c_out, repeats, stride in stages:
        for i in range(repeats):
            layers.append(inverted(c_in, expand * c_in, c_out, 3, stride if i == 0 else 1, act))
            c_in = c_out
    return nn.Sequential(*layers, conv_bn(c_in, 1280, act=act), head(1280))


def mobilenet_v3(large: bool = True) -> nn.Module:
    swish = partial(nn.Hardswish, inplace=True)
    layers: list[nn.Module] = [conv_bn(3, 16, 3, 2, act=swish)]
    c_in = 16
    # kernel, expanded, out, squeeze, activation, stride: table 1 of the paper
    rows = [(3, 16, 16, False, RELU, 1), (3, 64, 24, False, RELU, 2), (3, 72, 24, False, RELU, 1)]
    rows += [(5, 72, 40, True, RELU, 2), *[(5, 120, 40, True, RELU, 1)] * 2, (3, 240, 80, False, swish, 2)]
    rows += [(3, 200, 80, False, swish, 1), *[(3, 184, 80, False, swish, 1)] * 2, (3, 480, 112, True, swish, 1)]
    rows += [(3, 672, 112, True, swish, 1), (5, 672, 160, True, swish, 2), *[(5, 960, 160, True, swish, 1)] * 2]
    if not large:  # table 2
        rows = [(3, 16, 16, True, RELU, 2), (3, 72, 24, False, RELU, 2), (3, 88, 24, False, RELU, 1)]
        rows += [(5, 96, 40, True, swish, 2), *[(5, 240, 40, True, swish, 1)] * 2, (5, 120, 48, True, swish, 1)]
        rows += [(5, 144, 48, True, swish, 1), (5, 288, 96, True, swish, 2), *[(5, 576, 96, True, swish, 1)] * 2]
    for kernel, wide, c_out, squeezed, act, stride in rows:
        squeeze = SqueezeExcite(wide, divisible(wide // 4), gate=nn.Hardsigmoid) if squeezed else None
        layers.append(inverted(c_in, wide, c_out, kernel, stride, act, squeeze))
        c_in = c_out
    last = 1280 if large else 1024
    layers += [conv_bn(c_in, 6 * c_in, act=swish), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(6 * c_in, last), swish(), nn.Dropout(0.2), nn.Linear(last, 1000))


def efficientnet(wide: float = 1.0, deep: float = 1.0) -> nn.Module:
    act = partial(nn.SiLU, inplace=True)
    c_in = divisible(32 * wide)
    layers: list[nn.Module] = [conv_bn(3, c_in, 3, 2, act=act)]
    stages = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3)]
    for expand, kernel, stride, c_out, repeats in [*stages, (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)]:
        c_out = divisible(c_out * wide)
        for i in range(ceil(repeats * deep)):
            squeeze = SqueezeExcite(expand * c_in, c_in // 4, act=nn.SiLU)
            layers.append(inverted(c_in, expand * c_in, c_out, kernel, stride if i == 0 else 1, act, squeeze))
            c_in = c_out
    return nn.Sequential(*layers, conv_bn(c_in, 4 * c_in, act=act), head(4 * c_in))


class ShuffleUnit(nn.Module):
    """Half of the channels pass by (or, with stride 2, both branches see all), then the halves are interleaved."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        half, c_main = c_out // 2, c_in if stride == 2 else c_out // 2
        depthwise = conv_bn(half, half, 3, stride, groups=half, act=None)
        self.main = nn.Sequential(conv_bn(c_main, half), depthwise, conv_bn(half, half))
        self.side = None
        if stride == 2:
            self.side = nn.Sequential(conv_bn(c_in, c_in, 3, 2, groups=c_in, act=None), conv_bn(c_in, half))

    def forward(self, x: Tensor) -> Tensor:
        kept, worked = (self.side(x), x) if self.side is not None else x.chunk(2, dim=1)
        x = torch.cat((kept, self.main(worked)), dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def shufflenet_v2(widths: tuple[int, ...] = (116, 232, 464), last: int = 1024) -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 24, 3, 2), nn.MaxPool2d(3, 2, padding=1)]
    c_in = 24
    for c_out, repeats in zip(widths, (4, 8, 4), strict=True):
        layers += [ShuffleUnit(c_in, c_out, 2), *(ShuffleUnit(c_out, c_out, 1) for _ in range(repeats - 1))]
        c_in = c_out
    return nn.Sequential(*layers, conv_bn(c_in, last), head(last))
