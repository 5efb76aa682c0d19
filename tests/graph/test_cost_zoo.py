"""`nv.cost` on well-known networks: parameters and MACs as published, and, exactly, as a second count gives them.

The second count shares no code with the package: forward hooks read the shapes of convolutions and linear layers while
the network runs, and the products of the attention, which no layer holds, are written down as formulas here.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
import zoo
import zoo_attention
from torch import Tensor, nn

import nasviz as nv

TORCHVISION = "torchvision, table of classification weights (its GFLOPS are MACs)"


@dataclass(frozen=True)
class Published:
    build: Callable[[], nn.Module]
    params: int
    gmacs: str  # its decimals are the published rounding
    source: str = TORCHVISION
    attention: int = 0  # MACs of q @ k and attention @ v, of the projections too where no nn.Linear makes them
    shape: tuple[int, ...] = (1, 3, 224, 224)

    def meta(self, batch: int = 1) -> tuple[nn.Module, Tensor]:
        """The network and an input, without storage."""
        with torch.device("meta"):
            tokens = len(self.shape) == 2
            return self.build(), torch.zeros(batch, *self.shape[1:], dtype=torch.long if tokens else torch.float32)


def vit_attention(dim: int, tokens: int = 197, depth: int = 12) -> int:
    """nn.MultiheadAttention calls no nn.Linear: four projections of every token and two products of all pairs."""
    return depth * (4 * tokens * dim**2 + 2 * tokens**2 * dim)


resnet50 = partial(zoo.resnet, (3, 4, 6, 3))

NETWORKS = {
    # AlexNet is the narrower one of "One weird trick" (2014)
    "alexnet": Published(zoo.alexnet, 61_100_840, "0.714"),
    "vgg16": Published(zoo.vgg16, 138_357_544, "15.470"),
    "resnet18": Published(partial(zoo.resnet, (2, 2, 2, 2), bottleneck=False), 11_689_512, "1.814"),
    "resnet50": Published(resnet50, 25_557_032, "4.089"),  # the paper's 3.8 has the stride in the 1x1
    "resnext50_32x4d": Published(partial(resnet50, groups=32, base_width=4), 25_028_904, "4.230"),
    "wide_resnet50_2": Published(partial(resnet50, base_width=128), 68_883_240, "11.398"),
    "densenet121": Published(zoo.densenet121, 7_978_856, "2.834"),
    "squeezenet1_1": Published(zoo.squeezenet1_1, 1_235_496, "0.349"),
    "googlenet": Published(zoo.googlenet, 6_624_904, "1.498"),
    "regnet_y_400mf": Published(zoo.regnet_y_400mf, 4_344_144, "0.402"),
    # 4,231,976 is Keras' count of trainable weights
    "mobilenet_v1": Published(zoo.mobilenet_v1, 4_231_976, "0.569", "Howard et al. 2017, table 8; Keras applications"),
    "mobilenet_v2": Published(zoo.mobilenet_v2, 3_504_872, "0.301"),
    "mobilenet_v3_large": Published(zoo.mobilenet_v3_large, 5_483_032, "0.217"),
    "shufflenet_v2": Published(zoo.shufflenet_v2, 2_278_604, "0.145"),
    "efficientnet_b0": Published(zoo.efficientnet_b0, 5_288_548, "0.386"),
    "convnext_t": Published(zoo_attention.convnext_t, 28_589_128, "4.456"),
    # torchvision's figures include the products of the attention
    "vit_b_16": Published(
        partial(zoo_attention.VisionTransformer, 768, 12), 86_567_656, "17.564", attention=vit_attention(768)
    ),
    "deit_s": Published(
        partial(zoo_attention.VisionTransformer, 384, 6),
        22_050_664,
        "4.6",
        "facebookresearch/deit (22M) and timm",
        vit_attention(384),
    ),
    "swin_t": Published(  # every token meets the 49 of its window, twice
        zoo_attention.swin_t,
        28_288_354,
        "4.491",
        attention=sum(
            depth * 2 * 49 * tokens * dim
            for depth, tokens, dim in [(2, 56**2, 96), (2, 28**2, 192), (6, 14**2, 384), (2, 7**2, 768)]
        ),
    ),  # fmt: skip
    # 291,648,307,200 FLOPs = 2 MACs, causal attention counted in full, the tied output layer counted once
    "gpt2": Published(
        zoo_attention.GPT2,
        124_337_664,
        "145.8241536",
        "karpathy/nanoGPT, transformer_sizing.ipynb",
        12 * 2 * 1024**2 * 768,
        (1, 1024),
    ),
}


def hooked(module: nn.Module, example: Tensor) -> Counter[str]:
    """MACs of every convolution and linear layer, by name, from the shapes that forward hooks see."""
    macs: Counter[str] = Counter()

    def watch(name: str, layer: nn.Module) -> None:
        reads = layer.weight[0].numel()  # weights behind one output element
        layer.register_forward_hook(lambda _, __, out: macs.update({name: out.numel() * reads}))

    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            watch(name, layer)
    with torch.no_grad():
        module(example)
    return macs


@pytest.mark.parametrize("name", NETWORKS)
def test_published_and_second_count(name: str) -> None:
    network = NETWORKS[name]
    module, example = network.meta()
    table = nv.cost(nv.trace(module.eval(), example))
    expected = hooked(module, example)

    assert table.total["params"] == network.params, network.source
    assert f"{table.total['macs'] / 1e9:.{len(network.gmacs.split('.')[1])}f}" == network.gmacs, network.source
    assert table.total["macs"] == expected.total() + network.attention
    assert len(table.uncounted) == 0

    by_layer = table.by_layer.groupby("layer")["macs"].sum()
    assert {layer: by_layer[layer] for layer in expected} == dict(expected)
    assert table.by_layer["macs"].sum() == table.total["macs"]
    assert table.by_layer["params"].sum() == table.total["params"]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large", "shufflenet_v2", "vit_b_16", "swin_t", "gpt2"])
def test_train_mode_and_batch(name: str) -> None:
    """Training mode costs what evaluation costs; MACs are in proportion to the batch; parameters are not."""
    network = NETWORKS[name]
    module, example = network.meta()
    one = nv.cost(nv.trace(module.eval(), example)).total
    three = nv.cost(nv.trace(module.train(), network.meta(batch=3)[1])).total
    assert three["macs"] == 3 * one["macs"]
    assert three["params"] == one["params"]


def test_real_weights_count_like_meta_ones() -> None:
    network = NETWORKS["squeezenet1_1"]
    real = nv.cost(nv.trace(network.build(), torch.rand(1, 3, 224, 224))).total
    assert dict(real) == dict(nv.cost(nv.trace(*network.meta())).total)
