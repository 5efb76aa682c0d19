"""Writes what GENNAPE's code writes: our graphs as its computation graphs, in JSON and as its pickled objects."""

import sys
import types
from typing import NamedTuple

from nasviz.graph.ops import Op

CODES = {"input": 1, "conv": 3, "batch_norm": 5, "relu": 6, "relu6": 7, "linear": 8, "add": 9, "mul": 10, "concat": 11,
         "max_pool": 12, "avg_pool": 13, "mean": 19, "dropout": 25, "zero": 26, "slice": 0, "flatten": 0}  # fmt: skip
DEPTHWISE = 4
MODULES = {
    "model_src.comp_graph.tf_comp_graph": ["ComputeGraph", "RegularNode", "WeightedNode"],
    "model_src.search_space.hiaml_two_path.arch_configs": ["TwoPathNetConfig", "SinglePathBlockConfig"],
    "model_src.search_space.inception.arch_config": ["NetConfig", "BlockConfig"],
}


class Genotype(NamedTuple):
    normal: list
    normal_concat: list
    reduce: list
    reduce_concat: list


def register_classes(monkeypatch):
    """The authors' classes, empty, under their own names."""
    found = {}
    parts = [module.split(".") for module in (*MODULES, "cnn.genotypes")]
    for package in {".".join(part[:i]) for part in parts for i in range(1, len(part) + 1)}:
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    for module, names in MODULES.items():
        for each in names:
            found[each] = type(each, (), {"__module__": module})
            setattr(sys.modules[module], each, found[each])
    monkeypatch.setattr(Genotype, "__module__", "cnn.genotypes")  # any will do
    sys.modules["cnn.genotypes"].Genotype = Genotype
    return found


def publish(graph, title):
    """One of our graphs as the dictionary that stands in a JSON file."""
    weighted = [i for i, node in enumerate(graph.nodes) if node.op in (Op.CONV, Op.LINEAR)]
    order = weighted + [i for i in range(len(graph)) if i not in weighted]
    new = {old: position for position, old in enumerate(order)}
    nodes = [published_node(i, graph.nodes[i], title.lower()) for i in order]
    return {
        "name": title, "input_shape": [1, 32, 32, 3], "max_hidden_size": 512, "max_kernel_size": 7,
        "max_derived_H": 256, "max_derived_W": 256, "weighted_nodes": nodes[: len(weighted)],
        "regular_nodes": nodes[len(weighted) :],
        "edge_pairs": sorted({(new[source], new[target]) for source, target in graph.edges.tolist()}),
    }  # fmt: skip


def published_node(number, node, network):
    channels, *size = (*node.out_shape[1:], 1, 1)[:3]
    before, *before_size = (*(node.in_shape or node.out_shape)[1:], 1, 1)[:3]
    scopes = [network, *node.layer.split(".")] * 2 + [node.op.value]  # TensorFlow repeats them
    code = DEPTHWISE if node.is_depthwise else CODES[node.op.value]
    result = {
        "str_id": f"{7 * number}|{'/'.join(scopes)}", "label": node.op.value,
        "op_type_idx": code, "strides": [1, *node.stride, 1] if node.kernel else None,
        "resolution": [before_size[0], size[0], before_size[1], size[1], before, channels],
        "metadata": {"data_format": "NHWC"} | ({"use_bias": True} if node.bias and node.op is not Op.BATCH_NORM else {})
        | ({"ksize": [1, *node.kernel, 1]} if node.op in (Op.MAX_POOL, Op.AVG_POOL) else {}),
    }  # fmt: skip
    if node.op in (Op.CONV, Op.LINEAR):
        weight = (*node.weight_shape, 0, 0)
        result["shape"] = [channels, 1, *node.kernel] if node.is_depthwise else [weight[1], weight[0], *weight[2:4]]
    return result


def instance(kind, **attributes):
    """An object of a class, with these attributes."""
    made = kind()
    vars(made).update(attributes)
    return made


def as_objects(state, classes):
    """The same as instances of the authors' classes."""
    regular = [instance(classes["RegularNode"], type_idx=0, **node) for node in state["regular_nodes"]]
    weighted = [instance(classes["WeightedNode"], type_idx=1, **node) for node in state["weighted_nodes"]]
    sizes = {"n_regular_nodes": len(regular), "n_weighted_nodes": len(weighted)}
    nodes = {"regular_nodes": regular, "weighted_nodes": weighted}
    return instance(classes["ComputeGraph"], **{**state, **nodes, **sizes})
