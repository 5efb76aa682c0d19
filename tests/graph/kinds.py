"""Small networks of many kinds, one for each way of computing that exporters write in their own manner."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn, zeros
from zoo import Concat, Permute, Residual, ShuffleUnit, SqueezeExcite, conv_bn, head, inverted
from zoo_attention import GPT2, EncoderBlock, LayerScale, PatchMerging, VisionTransformer, WindowAttention


class Apply(nn.Module):
    """A function of the results of some modules: `f(x, *modules)`."""

    def __init__(self, function: Callable[..., Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs, *self.parts)


class Weighted(nn.Module):
    """A function of the input and parameters of these shapes."""

    def __init__(self, function: Callable[..., Tensor], **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterDict({name: nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()})

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, **dict(self.weights.items()))


class Recurrent(nn.Module):
    def __init__(self, kind: type, classes: int = 5, **options) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 8)
        self.cells = kind(8, 12, batch_first=True, **options)
        self.head = nn.Linear(24 if options.get("bidirectional") else 12, classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.cells(self.embedding(ids))[0][:, -1])


class UNet(nn.Module):
    """Down by pooling, up by transposed convolution or interpolation, and across."""

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.down, self.bottom = conv_bn(3, 8, 3), conv_bn(8, 16, 3)
        self.up = (
            nn.ConvTranspose2d(16, 8, 2, 2) if learned else nn.Sequential(nn.Upsample(scale_factor=2), conv_bn(16, 8))
        )
        self.out = nn.Sequential(conv_bn(16, 8, 3), nn.Conv2d(8, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        left = self.down(x)
        return self.out(torch.cat([left, self.up(self.bottom(F.max_pool2d(left, 2)))], dim=1))


class Bert(nn.Module):
    """Token, position and segment embeddings, post-norm blocks, a pooler, and an output tied to the tokens."""

    def __init__(self, dim: int = 16, length: int = 12) -> None:
        super().__init__()
        self.words, self.segments = nn.Embedding(50, dim), nn.Embedding(2, dim)
        self.positions = nn.Parameter(torch.randn(1, length, dim))
        self.norm = nn.LayerNorm(dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 4 * dim, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.pooler, self.decoder = nn.Linear(dim, dim), nn.Linear(dim, 50, bias=False)
        self.decoder.weight = self.words.weight

    def forward(self, ids: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
        x = self.encoder(self.norm(self.words(ids) + self.segments(segments) + self.positions))
        return self.decoder(x), torch.tanh(self.pooler(x[:, 0]))


def attention(x: Tensor, qkv: nn.Module, proj: nn.Module, mix: Callable[..., Tensor], heads: int = 4) -> Tensor:
    n, length, dim = x.shape
    q, k, v = qkv(x).reshape(n, length, 3, heads, dim // heads).permute(2, 0, 3, 1, 4).unbind(0)
    return proj(mix(q, k, v).transpose(1, 2).reshape(n, length, dim))


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v


def by_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bhij,bhjd->bhid", torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1), v)


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q.softmax(-1) @ (k.softmax(-2).transpose(-2, -1) @ v)


def attentive(mix: Callable[..., Tensor]) -> nn.Module:
    return Apply(lambda x, qkv, proj: attention(x, qkv, proj, mix), nn.Linear(16, 48), nn.Linear(16, 16))


def mixer(tokens: int, dim: int) -> nn.Module:
    across = nn.Sequential(nn.LayerNorm(dim), Permute(0, 2, 1), nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
    along = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim))
    return nn.Sequential(Residual(nn.Sequential(*across, Permute(0, 2, 1))), Residual(along))


def mobile_vit(x: Tensor, local: nn.Module, block: nn.Module, fuse: nn.Module) -> Tensor:
    """Convolution, attention among the pixels at the same place of their patches, convolution."""
    y = local(x)
    n, c, h, w = y.shape
    y = y.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 2, 4, 1).reshape(n * 4, h * w // 4, c)
    y = block(y).reshape(n, 2, 2, h // 2, w // 2, c).permute(0, 5, 3, 1, 4, 2).reshape(n, c, h, w)
    return fuse(torch.cat([x, y], dim=1))


def detector(x: Tensor, stem: nn.Module, deep: nn.Module, across: nn.Module, box: nn.Module, kind: nn.Module) -> Tensor:
    """A pyramid of two levels under one shared head of boxes and classes."""
    low = stem(x)
    high = deep(low)
    high = across(high)
    levels = [low + F.interpolate(high, scale_factor=2.0, mode="nearest"), high]
    maps = [torch.cat([box(level), kind(level).sigmoid()], dim=1).flatten(2) for level in levels]
    return torch.cat(maps, dim=2).transpose(1, 2)


def channels_last_block(dim: int = 8) -> nn.Module:
    """ConvNeXt's."""
    spatial = [nn.Conv2d(dim, dim, 7, padding=3, groups=dim), Permute(0, 2, 3, 1), nn.LayerNorm(dim)]
    mlp = [nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim), Permute(0, 3, 1, 2), LayerScale(dim)]
    return Residual(nn.Sequential(*spatial, *mlp))


image, rows, ids = zeros(1, 3, 16, 16), zeros(1, 9, 16), torch.arange(12).reshape(1, 12)
features = zeros(1, 8, 8, 8)
norms = [nn.BatchNorm2d, partial(nn.GroupNorm, 2), partial(nn.InstanceNorm2d, affine=True)]
activations = [nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, partial(nn.GELU, "tanh"), nn.SiLU]
activations += [nn.ReLU6, nn.Mish, nn.Sigmoid, nn.Hardsigmoid, nn.Hardswish, nn.Tanh, nn.Softplus]
activations += [partial(nn.Softmax, 1)]

KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "residual": (
        lambda: nn.Sequential(conv_bn(3, 8, 3, 2), Residual(conv_bn(8, 8, 3, act=None), None, nn.ReLU()), head(8, 5)),
        (image,),
    ),
    "dense": (
        lambda: nn.Sequential(
            conv_bn(3, 8, 3), Concat([nn.Identity(), conv_bn(8, 4, 3)]), nn.AvgPool2d(2), head(12, 5)
        ),
        (image,),
    ),
    "inverted, squeezed": (
        lambda: nn.Sequential(
            inverted(3, 12, 3, 5, 1, nn.Hardswish, SqueezeExcite(12, 4, gate=nn.Hardsigmoid)),
            inverted(3, 6, 8, 3, 2, nn.ReLU6),
        ),
        (image,),
    ),
    "shuffled": (lambda: nn.Sequential(conv_bn(3, 8), ShuffleUnit(8, 8, 1), ShuffleUnit(8, 16, 2)), (image,)),
    "grouped and dilated": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, (3, 5), padding=(1, 2), bias=False),
            nn.Conv2d(8, 12, 3, dilation=2, groups=4),
            nn.Conv2d(12, 12, 3, padding="same", groups=12),
        ),
        (image,),
    ),
    "norms": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), *(norm(8) for norm in norms)), (image,)),
    "norm that is not folded": (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1)), (image,)),
    "activations": (lambda: nn.Sequential(*(act() for act in activations)), (features,)),
    "pools": (
        lambda: nn.Sequential(
            nn.MaxPool2d(3, 2, 1),
            nn.AvgPool2d(3, 1, 1, count_include_pad=False),
            nn.AdaptiveAvgPool2d(2),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        ),
        (image,),
    ),
    "u-net, learned": (lambda: UNet(True), (image,)),
    "u-net, interpolated": (lambda: UNet(False), (image,)),
    "super-resolution": (
        lambda: nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2), nn.PixelUnshuffle(2)),
        (image,),
    ),
    "bilinear upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), (features,)),
    "detector": (
        lambda: Apply(
            detector,
            conv_bn(3, 8, 3, 2),
            conv_bn(8, 8, 3, 2),
            nn.Conv2d(8, 8, 1),
            nn.Conv2d(8, 4, 3, padding=1),
            nn.Conv2d(8, 3, 3, padding=1),
        ),
        (image,),
    ),
    "audio": (
        lambda: nn.Sequential(
            nn.Conv1d(1, 8, 10, 5, bias=False),
            nn.GroupNorm(8, 8),
            nn.GELU(),
            nn.Conv1d(8, 8, 3, groups=2),
            nn.AdaptiveAvgPool1d(1),
        ),
        (zeros(1, 1, 100),),
    ),
    "video": (
        lambda: nn.Sequential(
            nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1), bias=False),
            nn.BatchNorm3d(4),
            nn.ReLU(),
            nn.Conv3d(4, 4, (3, 1, 1)),
            nn.MaxPool3d(2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        ),
        (zeros(1, 3, 4, 8, 8),),
    ),
    "transposed, grouped": (
        lambda: nn.Sequential(
            nn.ConvTranspose1d(4, 6, 3, 3, groups=2), nn.ConvTranspose1d(6, 6, 4, 2, 1, groups=6, bias=False)
        ),
        (zeros(1, 4, 9),),
    ),
    "lstm": (lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True), (ids,)),
    "gru": (lambda: Recurrent(nn.GRU), (ids,)),
    "rnn": (lambda: Recurrent(nn.RNN, bias=False), (ids,)),
    "vision transformer": (lambda: VisionTransformer(16, 4, 2, 8, 16), (image,)),
    "encoder block": (lambda: EncoderBlock(16, 4), (rows,)),
    "encoder-decoder": (lambda: nn.Transformer(16, 4, 1, 1, 32, batch_first=True), (rows, rows[:, :5])),
    "gpt": (lambda: GPT2(16, 4, 2, 50, 12), (ids,)),
    "bert": (Bert, (ids, ids % 2)),
    "attention by hand": (lambda: attentive(by_hand), (rows,)),
    "attention by einsum": (lambda: attentive(by_einsum), (rows,)),
    "attention, linear": (lambda: attentive(linear_attention), (rows,)),
    "attention, fused": (lambda: attentive(F.scaled_dot_product_attention), (rows,)),
    "attention, causal": (lambda: attentive(partial(F.scaled_dot_product_attention, is_causal=True)), (rows,)),
    "window attention": (
        lambda: nn.Sequential(Permute(0, 2, 3, 1), WindowAttention(8, 2, 8, 2, 4), PatchMerging(8)),
        (features,),
    ),
    "mlp-mixer": (lambda: mixer(9, 16), (rows,)),
    "convnext": (channels_last_block, (features,)),
    "mobile vit": (lambda: Apply(mobile_vit, conv_bn(8, 16, 3), EncoderBlock(16, 4), conv_bn(24, 8)), (features,)),
    "gated": (
        lambda: nn.Sequential(nn.Linear(16, 32), nn.GLU(), nn.RMSNorm(16), nn.Linear(16, 16, bias=False)),
        (rows,),
    ),
    "tied, called twice": (lambda: Apply(lambda x, f: f(f(x)), nn.Linear(16, 16)), (rows,)),
    "bare weights": (
        lambda: Weighted(lambda x, w, b, scale: F.linear(x * scale, w) + b, w=(8, 16), b=(8,), scale=(16,)),
        (rows,),
    ),
    "product with a parameter": (lambda: Weighted(lambda x, w: x @ w, w=(16, 8)), (rows,)),
    "parameter from the left": (lambda: Weighted(lambda x, w: w @ x, w=(7, 9)), (rows,)),
    "weight normalised": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), (rows,)),
    "statistics by hand": (
        lambda: Apply(
            lambda x, f: f((x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt()), nn.Linear(16, 4)
        ),
        (rows,),
    ),
    "response normalised": (
        lambda: Weighted(
            lambda x, g, b: x * (n := x.norm(dim=(2, 3), keepdim=True)) / (n.mean(1, keepdim=True) + 1e-6) * g + b + x,
            g=(1, 8, 1, 1),
            b=(1, 8, 1, 1),
        ),
        (features,),
    ),
}
