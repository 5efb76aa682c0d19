"""The MobileNetV3 space of Once-for-All, width 1.2 (Cai et al., ICLR 2020; Howard et al., ICCV 2019)."""

from nasviz.families.blocks import conv_bn
from nasviz.families.family import Facts, register
from nasviz.families.mobile import Arch, MobileFamily, Stage, separable, stages
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph
from nasviz.graph.ops import Op

EPS = 1e-3
"""Of the batch norms inside blocks, as in GENNAPE's module; those of stem and head have PyTorch's 1e-5."""
ACTS = (Op.RELU, Op.RELU, Op.HARD_SWISH, Op.HARD_SWISH, Op.HARD_SWISH)
EXCITE = (False, True, False, True, True)


def _stages(widths: str, strides: str) -> tuple[Stage, ...]:
    columns = zip(widths.split(), strides.split(), ACTS, EXCITE, strict=True)
    return tuple(Stage(int(width), int(stride), act, excite) for width, stride, act, excite in columns)


class OFAMobileNetV3(MobileFamily):
    """Networks of MobileNetV3's blocks: five stages of two to four blocks, three with squeeze-and-excitation.

    Scale "paper" is the ImageNet network at 224×224; "digits" is narrowed for 8×8 images, with two strides left.
    """

    name = "ofa_mbv3"
    depths = ((2, 4),) * 5
    code = "mbconv3"
    scales = {
        "paper": {
            "shape": (1, 3, 224, 224),
            "stem": (24, 2),
            "stages": _stages("32 48 96 136 192", "2 2 2 1 2"),
            "head": (1152, 1536),
            "classes": 1000,
        },
        "digits": {
            "shape": (1, 1, 8, 8),
            "stem": (6, 1),
            "stages": _stages("8 12 16 20 24", "1 2 1 1 2"),
            "head": (48, 64),
            "classes": 10,
        },
    }
    facts = Facts(
        "OFA MobileNetV3",
        (9**2 + 9**3 + 9**4) ** 5,
        "ImageNet",
        "Cai et al., Once-for-All, ICLR 2020; Howard et al., MobileNetV3, ICCV 2019",
        7_500,
        (0.7356, 0.7883),
    )

    def graph(self, arch: Arch, scale: str = "paper") -> ComputeGraph:
        """The network: stem, a first block without expansion, five stages, a head of two 1×1 convolutions.

        The second of them follows the global pooling and has neither batch norm nor bias.
        """
        skeleton = self.skeleton(scale)
        g = GraphBuilder(self.format(arch))
        width, stride = skeleton["stem"]
        x = conv_bn(g, g.input(skeleton["shape"]), width, 3, stride=stride, act=Op.HARD_SWISH, name="stem")
        with g.scope("first"):
            x = g.add((x, separable(g, x, width, Op.RELU, EPS)), name="add")
        x = stages(g, x, arch, skeleton["stages"], EPS)
        last, features = skeleton["head"]
        x = conv_bn(g, x, last, 1, act=Op.HARD_SWISH, name="last")
        with g.scope("head"):
            x = g.conv(g.mean(x, keepdim=True, name="pool"), features, 1, name="conv")
            x = g.flatten(g.unary(Op.HARD_SWISH, x, name="hard_swish"), name="flatten")
            return g.graph(g.linear(x, skeleton["classes"], name="linear"))


register(OFAMobileNetV3())
