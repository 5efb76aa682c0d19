"""Pruning against counts by hand, on small networks and on one that is trained on digits."""

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from nasviz.cycles import Run
from nasviz.cycles.description import describe
from nasviz.graph.trace import trace
from nasviz.measure import pruning_steps, pruning_table
from nasviz.measure.pruning import effective_macs, file_sizes, mask_weights, remove_channels, sparsity, unmask


class Sum(nn.Module):
    """Two convolutions whose results are added, so that their channels hang together; and a depthwise one."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Conv2d(3, 8, 1, bias=False)
        self.norm, self.deep = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.deep(self.norm(self.a(x) + self.b(x))).mean((2, 3)))


X = torch.rand(2, 3, 6, 6)


def test_a_mask_makes_zeros_and_nothing_smaller():
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.Linear(2, 2, bias=False))
    module[1].weight.data = torch.tensor([[1.0, -8, 3, -4], [5, 6, -7, 2]])
    module[2].weight.data = torch.tensor([[0.5, -9], [10, -0.25]])
    masked = mask_weights(module, 0.5)  # of 12 weights the six smallest: 1, 2, 3, 4, 0.5, 0.25
    assert masked[1].weight.tolist() == [[0, -8, 0, 0], [5, 6, -7, 0]]
    assert masked[2].weight.tolist() == [[0, -9], [10, 0]]
    assert sparsity(masked) == 0.5 and sparsity(module) == 0
    torch.optim.SGD(masked.parameters(), 0.1).step()
    masked(torch.rand(1, 4)).sum().backward()
    torch.optim.SGD(masked.parameters(), 0.1).step()  # training keeps the zeros
    plain = unmask(masked)
    assert sparsity(plain) == 0.5 and plain.state_dict().keys() == module.state_dict().keys()
    graph = trace(plain, torch.rand(1, 4))
    assert graph == trace(module, torch.rand(1, 4))
    assert effective_macs(plain, graph) == 4 + 2
    assert file_sizes(plain)[0] == file_sizes(module)[0]


def test_zeros_shrink_a_file_only_when_it_is_compressed():
    module = nn.Linear(200, 200)
    whole, masked = file_sizes(module), file_sizes(unmask(mask_weights(module, 0.9)))
    assert whole[0] == masked[0] and masked[1] < 0.3 * whole[1]


def test_channels_that_hang_together_go_together():
    module = Sum()
    small = remove_channels(module, X, 0.5)
    shapes = {name: tuple(p.shape) for name, p in small.named_parameters()}
    assert shapes == {
        "a.weight": (4, 3, 3, 3), "b.weight": (4, 3, 1, 1), "norm.weight": (4,), "norm.bias": (4,),
        "deep.weight": (4, 1, 3, 3), "head.weight": (5, 4), "head.bias": (5,),
    }  # fmt: skip
    assert small(X).shape == module(X).shape == (2, 5)
    assert module.a.out_channels == 8 and module.training and small.training


def test_the_weakest_channels_go():
    module = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    with torch.no_grad():
        module[0].weight[:] = torch.tensor([5.0, 0.1, 7, 0.2]).view(4, 1, 1, 1)
        module[2].weight[:] = 1
    small = remove_channels(module, torch.rand(1, 1, 3, 3), 0.5)
    assert small[0].weight.flatten().tolist() == [5, 7] and small[2].weight.shape == (2, 2, 1, 1)


def test_half_of_the_channels_are_a_quarter_of_the_macs():
    """In between, inputs and outputs both get fewer; the first layer keeps its input, the last one its output."""
    module = nn.Sequential(nn.Conv2d(4, 16, 3), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 8, 3))
    x = torch.rand(1, 4, 12, 12)
    whole, small = trace(module, x), trace(remove_channels(module, x, 0.5), x)
    macs = [[node.out_shape[1] * node.in_shape[1] for node in graph.nodes[1:]] for graph in (whole, small)]
    assert [b / a for a, b in zip(*macs, strict=True)] == [0.5, 0.25, 0.5]


@pytest.mark.parametrize("ratio", [-0.1, 1, 1.5, "half", float("nan")])
def test_wrong_ratios_are_named(ratio):
    for prune in (mask_weights, lambda module, ratio: remove_channels(module, X, ratio)):
        with pytest.raises(ValueError, match="it is a share from 0 up to, but without, 1"):
            prune(Sum(), ratio)


def test_what_cannot_be_pruned_is_named():
    with pytest.raises(ValueError, match="ReLU has no convolution or dense layer"):
        mask_weights(nn.ReLU(), 0.5)
    with pytest.raises(ValueError, match="methods: 'luck' is none of mask, channels"):
        next(pruning_steps(Sum(), X, [0.5], evaluate=len, fine_tune=len, methods=["luck"]))


def test_without_torch_pruning_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ImportError, match=r"torch_pruning is missing .*; pip install .nasviz\[pruning\]"):
        remove_channels(Sum(), X, 0.5)


@pytest.fixture(scope="module")
def one_thread():
    """More threads only wait for each other on images this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def steps(one_thread):
    """A network trained on digits, pruned by both methods."""
    from nasviz.benchmarks.label import Recipe, digits, train
    from nasviz.views.lesson.networks import digits_network

    recipe = Recipe(epochs=6, noise=0.1, shift=0, test_draws=1)
    _, _, images, classes = digits(recipe)
    torch.manual_seed(0)
    module = digits_network(8)
    train(module, recipe, 0)

    def evaluate(network):
        with torch.inference_mode():
            return (network.eval()(images).argmax(1) == classes).double().mean().item()

    return list(
        pruning_steps(
            module, torch.rand(16, 1, 8, 8), [0.5, 0.75], evaluate=evaluate, progress=False, repeats=5,
            fine_tune=lambda network: train(network, replace(recipe, epochs=1, lr=0.02), 1),
        )
    )  # fmt: skip


def test_masks_and_channels_on_digits(steps):
    table = pruning_table(steps)
    assert [step.name for step in steps] == ["not pruned", "mask 50 %", "mask 75 %", "channels 50 %", "channels 75 %"]
    whole, masks, channels = table.iloc[0], table[table["method"] == "mask"], table[table["method"] == "channels"]
    assert whole["accuracy"] > 0.85 and whole["accuracy"] == whole["accuracy_before"]
    assert whole["macs"] == whole["effective_macs"] and whole["sparsity"] == 0
    # zeros: the same shapes, files and MACs, but fewer that count
    assert (masks["macs"] == whole["macs"]).all() and (masks["size_bytes"] == whole["size_bytes"]).all()
    assert (masks["parameters"] == whole["parameters"]).all()
    assert masks["sparsity"].tolist() == pytest.approx([0.5, 0.75], abs=1e-3)
    assert (masks["effective_macs"] < whole["macs"]).all()
    assert (masks["compressed_bytes"] < whole["compressed_bytes"]).all()
    assert (masks["nonzero_parameters"] < whole["parameters"]).all()
    # channels: all of it smaller
    assert (channels["macs"] == channels["effective_macs"]).all()
    assert (channels["macs"] < [0.4 * whole["macs"], 0.15 * whole["macs"]]).all()
    assert (channels["size_bytes"] < [0.4 * whole["size_bytes"], 0.25 * whole["size_bytes"]]).all()
    assert (table["latency_ms"] > 0).all() and (table["latency_low_ms"] <= table["latency_high_ms"]).all()
    # both lose little where half is gone, and fine-tuning gives back what was lost
    assert (table["accuracy"] >= table["accuracy_before"] - 0.02).all()
    assert masks["accuracy"].iloc[0] > whole["accuracy"] - 0.1


def test_pruned_steps_are_cycles_of_a_run(steps, tmp_path):
    run = Run.create(tmp_path / "run", task="digits")
    for step in steps:
        example = torch.rand(1, 1, 8, 8)
        parent = None if step.method == "none" else 0
        run.add(step.name, parent=parent, **describe(step.module, example, metrics=step.metrics))
    wide = run.metrics.pivot(index="name", columns="metric", values="value")
    assert wide.loc["channels 50 %", "macs"] < wide.loc["not pruned", "macs"] == wide.loc["mask 50 %", "macs"]
    layers = run.layers[run.layers["metric"] == "parameters"].pivot(index="layer", columns="cycle", values="value")
    assert layers.loc["conv2", 3] < layers.loc["conv2", 0] == layers.loc["conv2", 1]
