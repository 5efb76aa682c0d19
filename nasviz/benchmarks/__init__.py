"""Architectures with measured accuracies: the bundled ones, published ones, and your own."""

from nasviz.benchmarks.benchmark import Benchmark, datasets, load
from nasviz.benchmarks.tables import from_table

__all__ = ["Benchmark", "datasets", "from_table", "load"]
