"""The quick convolutions give PyTorch's own numbers."""

import copy

import pytest
import torch
from torch import nn

from nasviz.benchmarks.quick import DepthwiseConv2d, PointwiseConv2d, quicken

CASES = {
    "7x7 larger than the image": (nn.Conv2d(6, 6, 7, padding=3, groups=6, bias=False), DepthwiseConv2d, 4),
    "5x5 of stride 2, with bias": (nn.Conv2d(6, 6, 5, stride=2, padding=2, groups=6), DepthwiseConv2d, 8),
    "5x5 of dilation 2, odd size": (nn.Conv2d(6, 6, 5, padding=4, dilation=2, groups=6), DepthwiseConv2d, 7),
    "1x5": (nn.Conv2d(6, 6, (1, 5), padding=(0, 2), groups=6), DepthwiseConv2d, 4),
    "1x1": (nn.Conv2d(6, 4, 1, bias=False), PointwiseConv2d, 4),
    "1x1 with bias": (nn.Conv2d(6, 4, 1), PointwiseConv2d, 4),
    "1x1 of stride 2": (nn.Conv2d(6, 4, 1, stride=2), nn.Conv2d, 4),
    "1x1 in groups": (nn.Conv2d(6, 4, 1, groups=2), nn.Conv2d, 4),
    "3x3 depthwise": (nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d, 4),
    "5x5 dense": (nn.Conv2d(6, 4, 5, padding=2), nn.Conv2d, 4),
}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_are_those_of_torch(case, memory_format):
    layer, kind, size = CASES[case]
    layer = copy.deepcopy(layer).double()
    quick = quicken(nn.Sequential(copy.deepcopy(layer)))
    assert type(quick[0]) is kind
    image = torch.randn(3, 6, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = [image.to(memory_format=memory_format, copy=True).requires_grad_() for _ in range(2)]
    results = [module(x) for module, x in zip((layer, quick), inputs, strict=True)]
    for result in results:
        (result.square().sum() + result.sum()).backward()
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    for ours, theirs in zip(quick.parameters(), layer.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
