"""Spectra of computation graphs: what the contrastive loss compares networks by."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.linalg import eigvalsh

from nasviz.graph.graph import ComputeGraph


def eigenvalues(graph: ComputeGraph, k: int = 20) -> np.ndarray:
    """The `k` smallest eigenvalues of the normalised Laplacian of the underlying undirected graph, ascending.

    L = I − D^{−1/2} A D^{−1/2}, with A symmetric and without weights; a node without edges has a row of zeros. A
    graph with fewer than `k` nodes is padded with its largest eigenvalue. The result is cached by topology.

    Parameters
    ----------
    graph : ComputeGraph
        The network.
    k : int
        How many eigenvalues.

    Returns
    -------
    ndarray of shape (k,)
        In [0, 2].
    """
    return _eigenvalues(len(graph), graph.edges.tobytes(), k).copy()


def spectra(graphs: Sequence[ComputeGraph], k: int = 20) -> np.ndarray:
    """`eigenvalues` of many graphs, shape (N, k)."""
    return np.stack([eigenvalues(graph, k) for graph in graphs]) if graphs else np.empty((0, k))


@lru_cache(maxsize=100_000)
def _eigenvalues(size: int, edges: bytes, k: int) -> np.ndarray:
    if size == 0 or k < 1:
        raise ValueError(f"a graph of {size} nodes has no {k} eigenvalues; both numbers must be positive.")
    source, target = np.frombuffer(edges, dtype=np.int32).reshape(-1, 2).T
    adjacency = np.zeros((size, size))
    adjacency[source, target] = adjacency[target, source] = 1
    degree = adjacency.sum(0)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(size), where=degree > 0)
    laplacian = np.diag((degree > 0).astype(float)) - scale[:, None] * adjacency * scale
    values = eigvalsh(laplacian, subset_by_index=(0, min(k, size) - 1), check_finite=False)
    return np.pad(values.clip(0, 2), (0, k - len(values)), mode="edge")
