"""OpenVINO as a runtime: a network compiled for the CPU in float32, and its performance counters as layer times.

OpenVINO computes in bfloat16 by default where the CPU can, so float32 is asked for. It folds batch norms into
convolutions and gives the result a new name; so they are folded before, in a copy, where names are known. And its
counters give, in whole microseconds, the *average* over all runs since the network was compiled, the first of which
prepares the weights. So the network is compiled anew for each block of runs, and the time of a block is the difference
of two totals.
"""

import copy
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nasviz.graph.graph import ComputeGraph
from nasviz.graph.layers import Key
from nasviz.graph.ops import Op
from nasviz.measure.latency import Latency, measuring, summary
from nasviz.measure.layer_times import Executed
from nasviz.measure.torch_profiler import keys_of, operators
from nasviz.resources import extra

if TYPE_CHECKING:
    from torch import nn

NAMED = re.compile(r"(?:__module(?P<slash>[./])(?P<layer>[^/]*)/)?aten::(?P<op>\w+)/")
"""How OpenVINO calls what comes from torch: ``__module.features.0/aten::_convolution/Convolution``."""
OWN = frozenset({"Reorder", "Convert", "Input", "Output", "Const", "ShapeOf"})
"""Operators that the runtime adds itself, or that belong to no layer."""
BLOCK = 5
"""Runs in a block; its mean is one repeat."""


def openvino():
    """The package, which an extra brings.

    Raises
    ------
    ImportError
        If it is not installed; the sentence says how to get it.
    """
    fresh = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if fresh:
        sys.modules["openvino_telemetry"] = None  # it would report to its maker; without it, OpenVINO takes a stub
    try:
        return extra("openvino", "openvino")
    finally:
        if fresh:
            del sys.modules["openvino_telemetry"]


def prepare(module: "nn.Module", example: Any, threads: int) -> Callable[[], object]:
    """What runs the network once, as `nasviz.measure.latency` takes it."""
    model, inputs = _converted(copy.deepcopy(module), example)
    request = _request(model, threads, counting=False)
    return lambda: request.infer(inputs, share_inputs=True)


def run(
    module: "nn.Module", example: Any, graph: ComputeGraph, repeats: int, warmup: int, threads: int
) -> tuple[list[Executed], Latency]:
    """Run the network with its counters on; what was run has the names that OpenVINO kept of torch's.

    There are `repeats` runs, up to the next whole block; each block has `warmup` runs before it, one at least.
    """
    blocks, times, warmup = -(-repeats // BLOCK), [], max(warmup, 1)
    with measuring(module, repeats, warmup, threads):
        twin = copy.deepcopy(module)
        folded = _fold_norms(twin, graph)
        model, inputs = _converted(twin, example)
        counted = []
        for _ in range(blocks):
            request = _request(model, threads, counting=True)
            for _ in range(warmup):
                request.infer(inputs, share_inputs=True)
            before = _counters(request)
            for _ in range(BLOCK):
                start = time.perf_counter_ns()
                request.infer(inputs, share_inputs=True)
                times.append(time.perf_counter_ns() - start)
            counted.append(
                {
                    name: max(0.0, ((warmup + BLOCK) * average - warmup * before[name]) / BLOCK)
                    for name, average in _counters(request).items()
                }
            )
    executed = _executed(request.get_compiled_model().get_runtime_model(), counted, graph, folded)
    return executed, summary(np.array(times), module, example, warmup, threads, "openvino")


def _converted(module: "nn.Module", example: Any) -> tuple[Any, Any]:
    """OpenVINO's model of a module that is ours, of fixed shapes, and its input."""
    import torch

    ov = openvino()
    module.requires_grad_(False).eval()
    given = example if isinstance(example, Mapping | torch.Tensor) else tuple(example)
    if isinstance(given, Mapping):
        inputs = {name: value.numpy() for name, value in given.items()}
    else:
        inputs = dict(enumerate(value.numpy() for value in ((given,) if isinstance(given, torch.Tensor) else given)))
    try:
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's tracer, which OpenVINO uses, calls itself deprecated
            model = ov.convert_model(module, example_input=given)
        model.reshape({name: value.shape for name, value in inputs.items()})
    except Exception as error:
        raise _refused(module, error) from error
    return model, inputs


def _request(model: Any, threads: int, counting: bool) -> Any:
    """An inference request of a newly compiled network."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    return openvino().Core().compile_model(model, "CPU", {**settings, "PERF_COUNT": counting}).create_infer_request()


def _refused(module: "nn.Module", error: Exception) -> ValueError:
    reason = " ".join(str(error).split())
    return ValueError(f"OpenVINO cannot run {type(module).__name__}: {reason[:300]}")


def _counters(request: Any) -> dict[str, float]:
    """Milliseconds of each operator: the mean over all runs of the compiled network."""
    return {counter.node_name: counter.real_time.total_seconds() * 1000 for counter in request.profiling_info}


def _executed(
    model: Any, counted: list[dict[str, float]], graph: ComputeGraph, folded: Mapping[Key, Key]
) -> list[Executed]:
    """The operators of OpenVINO's runtime model, with what it counted of each."""
    known = operators(graph)
    found = [op for op in model.get_ordered_ops() if op.get_friendly_name() in counted[0]]
    places = {op.get_friendly_name(): i for i, op in enumerate(found)}
    result = []
    for op in found:
        name, facts = op.get_friendly_name(), op.get_rt_info()
        kind = _text(facts, "layerType")
        keys: set[Key] = set()
        for part in (name, *_text(facts, "originalLayersNames").split(",")):
            if kind not in OWN and (match := NAMED.match(part)):
                keys |= keys_of(match["layer"] or "", match["op"], known)
        keys |= {norm for norm, conv in folded.items() if conv in keys}
        readers = [place for output in op.outputs() for target in output.get_target_inputs()
                   if (place := places.get(target.get_node().get_friendly_name())) is not None]  # fmt: skip
        ms = [counts.get(name, 0.0) for counts in counted]
        result.append(Executed(kind, _text(facts, "primitiveType"), frozenset(keys), ms, tuple(readers), kind in OWN))
    return result


def _text(facts: Any, name: str) -> str:
    return facts[name].astype(str) if name in facts else ""


def _fold_norms(module: "nn.Module", graph: ComputeGraph) -> dict[Key, Key]:
    """Fold batch norms into the convolutions before them, in place, as OpenVINO would; which went where.

    Only where each module makes one call, and nothing else reads what the convolution makes.
    """
    import torch
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    parts, calls = dict(module.named_modules()), {}
    readers: dict[int, list[int]] = {}
    for node in graph.nodes:
        calls[node.layer] = calls.get(node.layer, 0) + 1
    for source, target in graph.edges.tolist():
        readers.setdefault(source, []).append(target)
    folded: dict[Key, Key] = {}
    for index, node in enumerate(graph.nodes):
        if len(readers.get(index, ())) != 1 or index in graph.outputs:
            continue
        after = graph.nodes[readers[index][0]]
        conv, norm = parts.get(node.layer), parts.get(after.layer)
        convs, norms = nn.Conv1d | nn.Conv2d | nn.Conv3d, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
        if not (isinstance(conv, convs) and isinstance(norm, norms)):
            continue
        if not (node.op is Op.CONV and after.op is Op.BATCH_NORM and norm.running_mean is not None):
            continue
        if calls[node.layer] == calls[after.layer] == 1:
            with torch.inference_mode(False), torch.no_grad():
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
                )
            norm.forward = lambda x: x
            folded[after.layer, after.op] = node.layer, node.op
    return folded
