"""The ground floor: computation graphs, how they are made, and what they cost."""

from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph, Node
from nasviz.graph.ops import Op

__all__ = ["ComputeGraph", "GraphBuilder", "Node", "Op"]
