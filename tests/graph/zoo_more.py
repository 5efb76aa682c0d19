"""Well-known networks of further kinds: video, segmentation, networks of dense layers, attention over text."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import RELU, Permute, Residual, conv_bn, head, inverted

# -- video: torchvision, 16 frames of 112 x 112 ------------------------------------------------------------------------


def conv3d(c_in: int, c_out: int, stride: int, kind: str, act: bool, block_in: int) -> nn.Sequential:
    """A convolution over time and space ("3d"), over space alone ("2d"), or over one after the other ("2+1d").

    The last has as many weights as the first; torchvision reckons so with the channels that go into the block.
    """
    if kind == "2+1d":
        middle = block_in * c_out * 27 // (block_in * 9 + 3 * c_out)
        space = nn.Conv3d(c_in, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        time = nn.Conv3d(middle, c_out, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False)
        layers = [nn.Sequential(space, nn.BatchNorm3d(middle), RELU(), time)]
    elif kind == "2d":
        layers = [nn.Conv3d(c_in, c_out, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)]
    else:
        layers = [nn.Conv3d(c_in, c_out, 3, stride, 1, bias=False)]
    return nn.Sequential(*layers, nn.BatchNorm3d(c_out), *([RELU()] if act else []))


def video_resnet(kinds: tuple[str, str, str, str]) -> nn.Module:
    """Of 18 layers, with one kind of convolution a stage."""
    stem = [nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(64), RELU()]
    if kinds[0] == "2+1d":
        stem = [nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.BatchNorm3d(45), RELU()]
        stem += [nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(64), RELU()]
    layers: list[nn.Module] = stem
    c_in = 64
    for stage, kind in enumerate(kinds):
        c_out = 64 * 2**stage
        for i in range(2):
            stride = 2 if stage and i == 0 else 1
            first = conv3d(c_in, c_out, stride, kind, True, c_in)
            body = nn.Sequential(first, conv3d(c_out, c_out, 1, kind, False, c_in))
            step = (1, 2, 2) if kind == "2d" else stride
            shortcut = nn.Sequential(nn.Conv3d(c_in, c_out, 1, step, bias=False), nn.BatchNorm3d(c_out))
            layers.append(Residual(body, shortcut if stride == 2 else None, RELU()))
            c_in = c_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(c_in, 400))


# -- segmentation: torchvision, 21 classes at 520 x 520 ----------------------------------------------------------------


def dilated_resnet50() -> tuple[nn.Module, nn.Module]:
    """Its stages up to the third, and the fourth; the last two dilate where others stride."""
    layers: list[nn.Module] = [conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
    c_in, parts = 64, []
    for stage, depth in enumerate((3, 4, 6, 3)):
        width, c_out = 64 * 2**stage, 256 * 2**stage
        for i in range(depth):
            stride = 2 if stage == 1 and i == 0 else 1
            dilation = 2 ** max(stage - 1, 0) if i else 2 ** max(stage - 2, 0)  # a stage begins as the last one ended
            body = nn.Sequential(
                conv_bn(c_in, width),
                conv_bn(width, width, 3, stride, dilation=dilation),
                conv_bn(width, c_out, act=None),
            )
            layers.append(Residual(body, conv_bn(c_in, c_out, 1, stride, act=None) if i == 0 else None, RELU()))
            c_in = c_out
        if stage >= 2:
            parts.append(nn.Sequential(*layers))
            layers = []
    return parts[0], parts[1]


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling of DeepLabV3."""

    def __init__(self, c_in: int, c_out: int = 256) -> None:
        super().__init__()
        rates = [conv_bn(c_in, c_out, 3, dilation=rate) for rate in (12, 24, 36)]
        self.branches = nn.ModuleList([conv_bn(c_in, c_out), *rates])
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(c_in, c_out))
        self.project = nn.Sequential(conv_bn(5 * c_out, c_out), nn.Dropout())

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.interpolate(self.pool(x), x.shape[-2:], mode="bilinear", align_corners=False)
        return self.project(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))


def fcn_head(c_in: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(c_in, c_in // 4, 3), nn.Dropout(0.1), nn.Conv2d(c_in // 4, 21, 1))


class Segmenter(nn.Module):
    """With the auxiliary head of the published weights, which runs in evaluation, too."""

    def __init__(self, pyramid: bool) -> None:
        super().__init__()
        self.early, self.late = dilated_resnet50()
        self.auxiliary = fcn_head(1024)
        deeplab = nn.Sequential(Pyramid(2048), conv_bn(256, 256, 3), nn.Conv2d(256, 21, 1)) if pyramid else None
        self.classifier = deeplab or fcn_head(2048)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = self.early(x)
        maps = self.classifier(self.late(middle)), self.auxiliary(middle)
        return tuple(F.interpolate(y, x.shape[-2:], mode="bilinear", align_corners=False) for y in maps)


# -- images without attention, and mobile networks ---------------------------------------------------------------------


def mnasnet() -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2), conv_bn(32, 32, 3, groups=32), conv_bn(32, 16, act=None)]
    c_in = 16
    stages = [
        (3, 3, 2, 24, 3),
        (3, 5, 2, 40, 3),
        (6, 5, 2, 80, 3),
        (6, 3, 1, 96, 2),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ]
    for expand, kernel, stride, c_out, repeats in stages:
        for i in range(repeats):
            layers.append(inverted(c_in, expand * c_in, c_out, kernel, stride if i == 0 else 1, RELU))
            c_in = c_out
    return nn.Sequential(*layers, conv_bn(c_in, 1280), head(1280))


class Affine(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(1, 1, dim)), nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, self.scale, x)


class Scale(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def mlp(dim: int, wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, dim))


class Pooled(nn.Module):
    """Mean over the tokens, and classes."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(dim, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.mean(dim=1))


def mixer(dim: int = 768, depth: int = 12, patch: int = 16) -> nn.Module:
    tokens, norm = (224 // patch) ** 2, partial(nn.LayerNorm, dim)
    layers: list[nn.Module] = [nn.Conv2d(3, dim, patch, patch), nn.Flatten(2), Permute(0, 2, 1)]
    for _ in range(depth):
        across = nn.Sequential(norm(), Permute(0, 2, 1), mlp(tokens, dim // 2), Permute(0, 2, 1))
        layers += [Residual(across), Residual(nn.Sequential(norm(), mlp(dim, 4 * dim)))]
    return nn.Sequential(*layers, norm(), Pooled(dim))


def resmlp(dim: int = 384, depth: int = 12, patch: int = 16) -> nn.Module:
    tokens = (224 // patch) ** 2
    layers: list[nn.Module] = [nn.Conv2d(3, dim, patch, patch), nn.Flatten(2), Permute(0, 2, 1)]
    for _ in range(depth):
        across = [Affine(dim), Permute(0, 2, 1), nn.Linear(tokens, tokens), Permute(0, 2, 1), Scale(dim)]
        layers += [Residual(nn.Sequential(*across))]
        layers += [Residual(nn.Sequential(Affine(dim), mlp(dim, 4 * dim), Scale(dim)))]
    return nn.Sequential(*layers, Affine(dim), Pooled(dim))


class Pooling(nn.Module):
    """What stands for attention in PoolFormer: the mean of the neighbours, less the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x) - x


def poolformer_s12() -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 3
    for stage, (dim, depth) in enumerate([(64, 2), (128, 2), (320, 6), (512, 2)]):
        layers.append(nn.Conv2d(c_in, dim, 3, 2, 1) if stage else nn.Conv2d(c_in, dim, 7, 4, 2))
        for _ in range(depth):
            wide = [nn.Conv2d(dim, 4 * dim, 1), nn.GELU(), nn.Conv2d(4 * dim, dim, 1)]
            for part in ([Pooling()], wide):
                layers.append(Residual(nn.Sequential(nn.GroupNorm(1, dim), *part, Scale(dim, 1, 1))))
        c_in = dim
    return nn.Sequential(*layers, nn.GroupNorm(1, c_in), head(c_in))


# -- text --------------------------------------------------------------------------------------------------------------


class BertLayer(nn.Module):
    """Post-norm, with the attention written out as Hugging Face does."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_1, self.mlp, self.norm_2 = nn.LayerNorm(dim, 1e-12), mlp(dim, 4 * dim), nn.LayerNorm(dim, 1e-12)

    def split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        x = self.norm_1(x + self.out((weights @ v).transpose(1, 2).flatten(2)))
        return self.norm_2(x + self.mlp(x))


class Bert(nn.Module):
    def __init__(self, vocabulary: int, dim: int = 768, depth: int = 12, length: int = 512) -> None:
        super().__init__()
        self.words, self.positions, self.kinds = (nn.Embedding(n, dim) for n in (vocabulary, length, 2))
        self.norm, self.pooler = nn.LayerNorm(dim, 1e-12), nn.Linear(dim, dim)
        self.layers = nn.Sequential(*(BertLayer(dim, dim // 64) for _ in range(depth)))

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.words(ids) + self.positions(places) + self.kinds(torch.zeros_like(ids))
        return self.pooler(self.layers(self.norm(x))[:, 0]).tanh()
