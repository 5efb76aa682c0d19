"""The ProxylessNAS space of Once-for-All, width 1.3 (Cai et al., ICLR 2019 and ICLR 2020)."""

from nasviz.families.blocks import classifier, conv_bn
from nasviz.families.family import Facts, register
from nasviz.families.mobile import Arch, MobileFamily, Stage, separable, stages
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

EPS = 1e-3
"""Of all batch norms, as in GENNAPE's module."""


def _stages(widths: str, strides: str) -> tuple[Stage, ...]:
    return tuple(Stage(int(w), int(s)) for w, s in zip(widths.split(), strides.split(), strict=True))


class Proxyless(MobileFamily):
    """Networks of MobileNetV2's blocks: five stages of two to four blocks, and one block more. ReLU6 throughout.

    Scale "paper" is the ImageNet network at 224×224; "digits" is narrowed for 8×8 images, with two strides left.
    """

    name = "proxyless"
    depths = ((2, 4),) * 5 + ((1, 1),)
    code = "mbconv2"
    scales = {
        "paper": {
            "shape": (1, 3, 224, 224),
            "stem": (40, 2),
            "first": 24,
            "stages": _stages("32 56 104 128 248 416", "2 2 2 1 2 1"),
            "head": 1664,
            "classes": 1000,
        },
        "digits": {
            "shape": (1, 1, 8, 8),
            "stem": (8, 1),
            "first": 6,
            "stages": _stages("8 12 16 20 24 32", "1 2 1 1 2 1"),
            "head": 64,
            "classes": 10,
        },
    }
    facts = Facts(
        "ProxylessNAS (OFA)",
        9 * (9**2 + 9**3 + 9**4) ** 5,
        "ImageNet",
        "Cai et al., ProxylessNAS, ICLR 2019; Cai et al., Once-for-All, ICLR 2020",
        8_200,
        (0.7115, 0.7781),
    )

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network: stem, a first block without expansion or identity, six stages, head."""
        skeleton = self.skeleton(scale)
        g = GraphBuilder(self.format(arch))
        width, stride = skeleton["stem"]
        x = conv_bn(g, g.input(skeleton["shape"]), width, 3, stride=stride, eps=EPS, name="stem")
        with g.scope("first"):
            x = separable(g, x, skeleton["first"], Op.RELU6, EPS)
        x = stages(g, x, arch, skeleton["stages"], EPS)
        x = conv_bn(g, x, skeleton["head"], 1, eps=EPS, name="last")
        return g.graph(classifier(g, x, skeleton["classes"]))


register(Proxyless())
