"""What is measured on one network: its score, its latency, the information in its layers."""

from nasviz.measure.capacity import bottleneck_rule, bottlenecks, effective_rank, information_capacity, saturation
from nasviz.measure.latency import Latency, latency, latency_by_layer
from nasviz.measure.layer_times import LayerTimes, layer_times
from nasviz.measure.netscore import netscore, netscore_plus
from nasviz.measure.pruning import Pruned, mask_weights, pruning_steps, pruning_table, remove_channels
from nasviz.measure.roofline import Machine, intensities, measure_machine, roofline

__all__ = [
    "Latency",
    "LayerTimes",
    "Machine",
    "Pruned",
    "bottleneck_rule",
    "bottlenecks",
    "effective_rank",
    "information_capacity",
    "intensities",
    "latency",
    "latency_by_layer",
    "layer_times",
    "mask_weights",
    "measure_machine",
    "netscore",
    "netscore_plus",
    "pruning_steps",
    "pruning_table",
    "remove_channels",
    "roofline",
    "saturation",
]
