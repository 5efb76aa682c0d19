"""What is measured on one network: its score, its latency, the information in its layers."""

from nasviz.measure.capacity import bottleneck_rule, bottlenecks, effective_rank, information_capacity, saturation
from nasviz.measure.latency import Latency, latency, latency_by_layer
from nasviz.measure.netscore import netscore, netscore_plus
from nasviz.measure.roofline import Machine, intensities, measure_machine, roofline

__all__ = [
    "Latency",
    "Machine",
    "bottleneck_rule",
    "bottlenecks",
    "effective_rank",
    "information_capacity",
    "intensities",
    "latency",
    "latency_by_layer",
    "measure_machine",
    "netscore",
    "netscore_plus",
    "roofline",
    "saturation",
]
