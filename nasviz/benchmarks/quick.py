"""Convolutions of tiny images whose gradients a CPU computes quickly: the same numbers but for rounding.

oneDNN spends more time on preparing a 1×1 convolution of some 8×8 pixels than on computing it; a matrix product takes
half the time. And its weight gradient of a 5×5 or 7×7 depthwise convolution takes 20 to 100 times its forward pass
where the image is hardly larger than the kernel; as one batched matrix product it takes a fifth of that.
"""

from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

SLOW_KERNEL = 5
"""From this kernel size on, oneDNN's weight gradient of a depthwise convolution is the slow one."""


class PointwiseConv2d(nn.Conv2d):
    """A 1×1 convolution of stride 1 as a matrix product; quick where x is in the memory format channels_last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class DepthwiseConv2d(nn.Conv2d):
    """A convolution with one input and one output channel a group."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = _Depthwise.apply(x, self.weight, self.stride, self.padding, self.dilation)
        return y if self.bias is None else y + self.bias[:, None, None]


def quicken(module: nn.Module) -> nn.Module:
    """Give the convolutions in `module` the quicker arithmetic where there is one, in place; returns `module`."""
    for layer in module.modules():
        if type(layer) is not nn.Conv2d:
            continue
        # The classes have no state of their own, so that a layer may change its class.
        if (layer.kernel_size, layer.stride, layer.padding, layer.groups) == ((1, 1), (1, 1), (0, 0), 1):
            layer.__class__ = PointwiseConv2d
        elif layer.groups == layer.in_channels == layer.out_channels > 1 and max(layer.kernel_size) >= SLOW_KERNEL:
            layer.__class__ = DepthwiseConv2d
    return module


class _Depthwise(torch.autograd.Function):
    """x (N, C, H, W) with w (C, 1, k, l) to (N, C, P, Q)."""

    @staticmethod
    def forward(ctx, x, w, stride, padding, dilation):
        ctx.save_for_backward(x, w)
        ctx.arguments = stride, padding, dilation
        return F.conv2d(x, w, None, stride, padding, dilation, w.shape[0])

    @staticmethod
    def backward(ctx, grad):
        (x, w), (stride, padding, dilation) = ctx.saved_tensors, ctx.arguments
        grad_x = torch.ops.aten.convolution_backward(
            grad, x, w, None, stride, padding, dilation, False, [0, 0], w.shape[0], [True, False, False]
        )[0]
        # A tap of the kernel is a sum over pairs of an input and an output pixel: all pairs at once, then the sums.
        pairs = _by_channel(x).transpose(1, 2) @ _by_channel(grad)
        taps = _taps(tuple(x.shape[2:]), tuple(w.shape[2:]), stride, padding, dilation)
        return grad_x, (pairs.flatten(1) @ taps.to(w.dtype)).view_as(w), None, None, None


def _by_channel(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) as (C, N, H·W), in one transposition where x is in channels_last."""
    batch, channels, *_ = x.shape
    return x.permute(0, 2, 3, 1).reshape(-1, channels).t().contiguous().view(channels, batch, -1)


@lru_cache(maxsize=256)
def _taps(image, kernel, stride, padding, dilation) -> torch.Tensor:
    """(H·W·P·Q, k·l), one where the tap joins the input pixel to the output pixel."""
    height, width = image
    pixels = torch.eye(height * width).view(-1, 1, height, width)
    columns = F.unfold(pixels, kernel, dilation, padding, stride)
    return columns.transpose(1, 2).flatten(0, 1).contiguous()
