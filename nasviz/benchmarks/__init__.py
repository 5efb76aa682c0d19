"""Architectures with measured accuracies: the bundled ones, published ones, and your own."""

from nasviz.benchmarks.benchmark import Benchmark, datasets, load
from nasviz.benchmarks.convert import open_converted, save
from nasviz.benchmarks.tables import from_table

__all__ = ["Benchmark", "datasets", "from_table", "load", "open_converted", "save"]
