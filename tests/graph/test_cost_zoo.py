"""`nv.cost` on well-known networks: parameters and MACs as published, and, exactly, as a second count gives them.

The second count shares no code with the package: while the network runs, forward hooks read the shapes of convolutions
and linear layers, and torch's FlopCounterMode counts the products that no layer holds, such as those of attention.
"""

import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch
from networks import BUILD, NETWORKS
from test_onnx_export import different, exported
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import nasviz as nv

CHEAP = [
    "alexnet", "resnet18", "resnext50_32x4d", "seresnet50", "densenet121", "squeezenet1_0", "googlenet",
    "regnet_y_400mf", "regnet_x_400mf", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    "mnasnet1_0", "shufflenet_v2", "efficientnet_b0", "convnext_t", "poolformer_s12", "mixer_b16", "resmlp_12",
    "vit_b_16", "deit_s", "swin_t", "r3d_18", "r2plus1d_18", "deeplabv3_resnet50", "gpt2", "bert_base_chinese",
]  # fmt: skip
"""One or two of each kind have the second count in every run, the others with `-m slow`."""


def hooked(module: nn.Module, example: Tensor) -> tuple[Counter[str], int]:
    """MACs of every convolution and linear layer, by name, from the shapes that hooks see; and those of everything."""
    macs: Counter[str] = Counter()

    def watch(name: str, layer: nn.Module) -> None:
        reads = layer.weight[0].numel()  # weights behind one output element
        layer.register_forward_hook(lambda _, __, out: macs.update({name: out.numel() * reads}))

    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            watch(name, layer)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(example)
    return macs, counter.get_total_flops() // 2


def test_the_table_of_figures() -> None:
    assert set(NETWORKS) == set(BUILD) and len(NETWORKS) >= 40
    assert all(network.source for network in NETWORKS.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_published(name: str) -> None:
    network = NETWORKS[name]
    module, example = network.meta()
    table = nv.cost(nv.trace(module.eval(), example))
    assert table.total["params"] == network.params, network.source
    assert f"{table.total['macs'] / 1e9:.{len(network.gmacs.split('.')[1])}f}" == network.gmacs, network.source
    assert len(table.uncounted) == 0


@pytest.mark.parametrize(
    "name", [*CHEAP, *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS if n not in CHEAP)]
)
def test_second_count(name: str) -> None:
    module, example = NETWORKS[name].meta()
    table = nv.cost(nv.trace(module.eval(), example))
    layers, macs = hooked(module, example)
    assert table.total["macs"] == macs
    by_layer = table.by_layer.groupby("layer")["macs"].sum()
    assert {layer: by_layer[layer] for layer in layers} == dict(layers)
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


# -- the same figures from ONNX ----------------------------------------------------------------------------------------

FROM_ONNX = ["squeezenet1_1", "mobilenet_v3_small", "deit_ti"]

UNKNOWABLE = {"vgg16_bn"}
"""Its convolutions have biases, which the older exporter folds together with the batch norms behind them."""

NOT_IN_THE_FILE = {"bert_base_chinese": (512 - 128) * 768}
"""Rows of a table that constant positions look up: the exporter keeps those that are used."""


@pytest.mark.parametrize(
    "name",
    [*FROM_ONNX, *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS if n not in FROM_ONNX)],
)
def test_published_from_onnx(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    path = exported(different(network.build()), (network.input(),), tmp_path / "model.onnx", new=name in UNKNOWABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = nv.cost(nv.from_onnx(path))
    path.unlink()  # up to a gigabyte
    assert table.total["params"] == network.params - NOT_IN_THE_FILE.get(name, 0), network.source
    assert table.total["macs"] == nv.cost(nv.trace(*network.meta())).total["macs"]
    assert len(table.uncounted) == 0
