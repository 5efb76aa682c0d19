"""What tracing must leave alone, as one comparable value."""

import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


def content(tensor: torch.Tensor | None) -> Any:
    """Identity, kind and bits of a tensor."""
    if tensor is None:
        return None
    bits = None if tensor.is_meta else tensor.detach().reshape(-1).view(torch.uint8).numpy().tobytes()
    return id(tensor), tensor._version, tensor.dtype, tensor.device, tensor.shape, tensor.requires_grad, bits


def attributes(module: nn.Module) -> dict[str, Any]:
    """Which objects the module holds, hooks and submodules included."""
    return {
        name: [(key, id(entry)) for key, entry in value.items()] if isinstance(value, dict) else id(value)
        for name, value in vars(module).items()
    }


def fingerprint(module: nn.Module, example: Any = ()) -> dict[str, Any]:
    """Everything of a module, its inputs, the random generators and torch's switches that must not change."""
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    inputs = list(example.values()) if isinstance(example, dict) else example
    inputs = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    numpy_state = np.random.get_state()  # noqa: NPY002 - the global generator is what others may have reseeded
    return {
        "tensors": {name: (content(tensor), content(tensor.grad)) for name, tensor in tensors},
        "modules": {name: attributes(child) for name, child in module.named_modules()},
        "inputs": [content(value) for value in inputs if isinstance(value, torch.Tensor)],
        "random": (
            torch.get_rng_state().numpy().tobytes(),
            random.getstate(),
            numpy_state[1].tobytes(),
            numpy_state[2],
        ),
        "torch": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "modes": (len(_get_current_function_mode_stack()), len(_get_current_dispatch_mode_stack())),
        "functions": (type(module).forward, nn.Module.__call__, F.conv2d, torch.matmul, torch.Tensor.__add__),
    }
