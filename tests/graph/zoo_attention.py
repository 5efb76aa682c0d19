"""Well-known networks with attention (and ConvNeXt, its convolutional answer), as their sources define them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo import Permute, Residual, head


class EncoderBlock(nn.Module):
    """Pre-norm transformer block of the Vision Transformer."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm_1, self.attention = nn.LayerNorm(dim, 1e-6), nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm_2 = nn.LayerNorm(dim, 1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm_1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm_2(x))


class VisionTransformer(nn.Module):
    def __init__(self, dim: int, heads: int, depth: int = 12, patch: int = 16, image: int = 224) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, dim))
        self.blocks = nn.Sequential(*(EncoderBlock(dim, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim, 1e-6), nn.Linear(dim, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), dim=1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class WindowAttention(nn.Module):
    """Attention within windows of 7 x 7 tokens; (N, H, W, C) in and out. Shifted windows wrap round and are masked."""

    def __init__(self, dim: int, heads: int, size: int, shift: int, window: int = 7) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        place = torch.arange(window)
        apart = place[:, None] - place + window - 1
        index = apart[:, None, :, None] * (2 * window - 1) + apart[None, :, None, :]
        self.register_buffer("index", index.reshape(window**2, window**2), persistent=False)
        line = torch.arange(size)
        strip = (line >= size - window).int() + (line >= size - shift).int()
        region = self.windows((strip[:, None] * 3 + strip)[None, :, :, None]).squeeze(-1)
        self.register_buffer("mask", (region[:, None] != region[:, :, None]) * -100.0, persistent=False)

    def windows(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        k = self.window
        return x.view(n, h // k, k, w // k, k, c).transpose(2, 3).reshape(-1, k * k, c)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        k, shift = self.window, self.shift
        tokens = self.windows(torch.roll(x, (-shift, -shift), dims=(1, 2)))
        q, key, value = self.qkv(tokens).view(len(tokens), k * k, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q * (c // self.heads) ** -0.5 @ key.transpose(-2, -1) + self.bias[self.index].permute(2, 0, 1)
        if shift:
            scores = (scores.view(n, -1, self.heads, k * k, k * k) + self.mask[:, None]).view_as(scores)
        tokens = self.proj((F.softmax(scores, dim=-1) @ value).transpose(1, 2).flatten(2))
        x = tokens.view(n, h // k, w // k, k, k, c).transpose(2, 3).reshape(n, h, w, c)
        return torch.roll(x, (shift, shift), dims=(1, 2))


class PatchMerging(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        quarters = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduce(self.norm(torch.cat(quarters, dim=-1)))


def swin(width: int = 96, depths: tuple[int, ...] = (2, 2, 6, 2)) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 4), Permute(0, 2, 3, 1), nn.LayerNorm(width)]
    for stage, depth in enumerate(depths):
        dim, heads, size = width * 2**stage, width // 32 * 2**stage, 56 // 2**stage
        for i in range(depth):
            attention = WindowAttention(dim, heads, size, shift=3 if i % 2 and size > 7 else 0)
            mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
            layers += [Residual(nn.Sequential(nn.LayerNorm(dim), attention)), Residual(mlp)]
        layers.append(PatchMerging(dim) if stage < 3 else nn.LayerNorm(dim))
    return nn.Sequential(*layers, Permute(0, 3, 1, 2), head(8 * width))


class LayerScale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim, 1, 1), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


def convnext(width: int = 96, depths: tuple[int, ...] = (3, 3, 9, 3)) -> nn.Module:
    def norm(dim: int) -> nn.Module:
        return nn.Sequential(Permute(0, 2, 3, 1), nn.LayerNorm(dim, 1e-6), Permute(0, 3, 1, 2))

    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 4), norm(width)]
    for stage, depth in enumerate(depths):
        dim = width * 2**stage
        if stage:
            layers += [norm(dim // 2), nn.Conv2d(dim // 2, dim, 2, 2)]
        for _ in range(depth):
            spatial = [nn.Conv2d(dim, dim, 7, padding=3, groups=dim), Permute(0, 2, 3, 1), nn.LayerNorm(dim, 1e-6)]
            mlp = [nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim), Permute(0, 3, 1, 2)]
            layers.append(Residual(nn.Sequential(*spatial, *mlp, LayerScale(dim))))
    pool, flatten, linear = head(8 * width)
    return nn.Sequential(*layers, pool, norm(8 * width), flatten, linear)


class CausalAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, length, dim = x.shape
        q, k, v = (part.view(n, length, self.heads, -1).transpose(1, 2) for part in self.qkv(x).split(dim, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(n, length, dim))


class GPT2(nn.Module):
    """GPT-2 (124M) without biases, as nanoGPT trains it; the output layer is the token embedding, transposed."""

    def __init__(self, dim: int = 768, heads: int = 12, depth: int = 12, vocabulary: int = 50257, length: int = 1024):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, dim), nn.Embedding(length, dim)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers.append(Residual(nn.Sequential(nn.LayerNorm(dim, bias=False), CausalAttention(dim, heads))))
            mlp = [nn.Linear(dim, 4 * dim, bias=False), nn.GELU(), nn.Linear(4 * dim, dim, bias=False)]
            layers.append(Residual(nn.Sequential(nn.LayerNorm(dim, bias=False), *mlp)))
        self.blocks, self.norm = nn.Sequential(*layers), nn.LayerNorm(dim, bias=False)
        self.head = nn.Linear(dim, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        return self.head(self.norm(self.blocks(x)))
