"""Well-known networks by name, with the figures that were published of them (`published.csv`).

Sources: "torchvision weights" is the table of pre-trained weights in torchvision's documentation, whose GFLOPS are
MACs, with the exact parameters of the weights' metadata; "timm benchmark" the benchmark tables in timm's repository,
whose GMACs come from fvcore and count norms, too, which one decimal less leaves out.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import zoo
import zoo_attention
import zoo_more
from torch import Tensor, nn


@dataclass(frozen=True)
class Published:
    build: Callable[[], nn.Module]
    params: int
    gmacs: str  # its decimals are the published rounding
    shape: tuple[int, ...]
    source: str

    def input(self, batch: int = 1) -> Tensor:
        """Of pixels, or of words where the shape has two sizes."""
        return torch.zeros(batch, *self.shape[1:], dtype=torch.long if len(self.shape) == 2 else torch.float32)

    def meta(self, batch: int = 1) -> tuple[nn.Module, Tensor]:
        """The network and an input, without storage."""
        with torch.device("meta"):
            return self.build(), self.input(batch)


resnet50, resnet101 = partial(zoo.resnet, (3, 4, 6, 3)), partial(zoo.resnet, (3, 4, 23, 3))
vit = zoo_attention.VisionTransformer

BUILD: dict[str, Callable[[], nn.Module]] = {
    "alexnet": zoo.alexnet,  # the narrower one of "One weird trick" (2014)
    "vgg11": partial(zoo.vgg, (1, 1, 2, 2, 2)),
    "vgg13": partial(zoo.vgg, (2, 2, 2, 2, 2)),
    "vgg16": zoo.vgg,
    "vgg16_bn": partial(zoo.vgg, norm=True),
    "vgg19": partial(zoo.vgg, (2, 2, 4, 4, 4)),
    "resnet18": partial(zoo.resnet, (2, 2, 2, 2), bottleneck=False),
    "resnet34": partial(zoo.resnet, (3, 4, 6, 3), bottleneck=False),
    "resnet50": resnet50,  # the paper's 3.8 has the stride in the 1x1
    "resnet101": resnet101,
    "resnet152": partial(zoo.resnet, (3, 8, 36, 3)),
    "resnext50_32x4d": partial(resnet50, groups=32, base_width=4),
    "resnext101_32x8d": partial(resnet101, groups=32, base_width=8),
    "resnext101_64x4d": partial(resnet101, groups=64, base_width=4),
    "wide_resnet50_2": partial(resnet50, base_width=128),
    "wide_resnet101_2": partial(resnet101, base_width=128),
    "seresnet50": partial(resnet50, squeezed=16),
    "densenet121": zoo.densenet,
    "densenet161": partial(zoo.densenet, (6, 12, 36, 24), 48),
    "densenet169": partial(zoo.densenet, (6, 12, 32, 32)),
    "densenet201": partial(zoo.densenet, (6, 12, 48, 32)),
    "squeezenet1_0": partial(zoo.squeezenet, "1_0"),
    "squeezenet1_1": zoo.squeezenet,
    "googlenet": zoo.googlenet,
    "regnet_y_400mf": partial(zoo.regnet, (48, 104, 208, 440), (1, 3, 6, 6), 8),
    "regnet_y_800mf": partial(zoo.regnet, (64, 144, 320, 784), (1, 3, 8, 2), 16),
    "regnet_y_1_6gf": partial(zoo.regnet, (48, 120, 336, 888), (2, 6, 17, 2), 24),
    "regnet_x_400mf": partial(zoo.regnet, (32, 64, 160, 400), (1, 2, 7, 12), 16, squeezed=False),
    "regnet_x_800mf": partial(zoo.regnet, (64, 128, 288, 672), (1, 3, 7, 5), 16, squeezed=False),
    "mobilenet_v1": zoo.mobilenet_v1,  # 4,231,976 is Keras' count of trainable weights
    "mobilenet_v2": zoo.mobilenet_v2,
    "mobilenet_v3_large": zoo.mobilenet_v3,
    "mobilenet_v3_small": partial(zoo.mobilenet_v3, large=False),
    "mnasnet1_0": zoo_more.mnasnet,
    "shufflenet_v2_x0_5": partial(zoo.shufflenet_v2, (48, 96, 192)),
    "shufflenet_v2": zoo.shufflenet_v2,
    "shufflenet_v2_x1_5": partial(zoo.shufflenet_v2, (176, 352, 704)),
    "shufflenet_v2_x2_0": partial(zoo.shufflenet_v2, (244, 488, 976), 2048),
    "efficientnet_b0": zoo.efficientnet,
    "efficientnet_b1": partial(zoo.efficientnet, 1.0, 1.1),
    "efficientnet_b2": partial(zoo.efficientnet, 1.1, 1.2),
    "efficientnet_b3": partial(zoo.efficientnet, 1.2, 1.4),
    "efficientnet_b4": partial(zoo.efficientnet, 1.4, 1.8),
    "convnext_t": zoo_attention.convnext,
    "convnext_s": partial(zoo_attention.convnext, depths=(3, 3, 27, 3)),
    "convnext_b": partial(zoo_attention.convnext, 128, (3, 3, 27, 3)),
    "poolformer_s12": zoo_more.poolformer_s12,
    "mixer_b16": zoo_more.mixer,
    "resmlp_12": zoo_more.resmlp,
    # torchvision's figures include the products of the attention
    "vit_b_16": partial(vit, 768, 12),
    "vit_b_32": partial(vit, 768, 12, patch=32),
    "vit_l_16": partial(vit, 1024, 16, 24),
    "vit_l_32": partial(vit, 1024, 16, 24, patch=32),
    "deit_ti": partial(vit, 192, 3),
    "deit_s": partial(vit, 384, 6),
    "swin_t": zoo_attention.swin,
    "swin_s": partial(zoo_attention.swin, depths=(2, 2, 18, 2)),
    "swin_b": partial(zoo_attention.swin, 128, (2, 2, 18, 2)),
    "r3d_18": partial(zoo_more.video_resnet, ("3d",) * 4),
    "mc3_18": partial(zoo_more.video_resnet, ("3d", "2d", "2d", "2d")),
    "r2plus1d_18": partial(zoo_more.video_resnet, ("2+1d",) * 4),
    "fcn_resnet50": partial(zoo_more.Segmenter, pyramid=False),
    "deeplabv3_resnet50": partial(zoo_more.Segmenter, pyramid=True),
    "gpt2": zoo_attention.GPT2,  # 291,648,307,200 FLOPs = 2 MACs, causal attention in full, the tied layer once
    "bert_base_chinese": partial(zoo_more.Bert, 21128),
}


def _networks() -> dict[str, Published]:
    with Path(__file__).with_name("published.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["name"]: Published(
            BUILD[row["name"]],
            int(row["params"]),
            row["gmacs"],
            tuple(map(int, row["input"].split("x"))),
            row["source"],
        )
        for row in rows
    }


NETWORKS = _networks()
