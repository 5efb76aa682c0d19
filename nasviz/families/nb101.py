"""NAS-Bench-101 (Ying et al., ICML 2019)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np

from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph

LABELS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
MAX_VERTICES, MAX_EDGES = 7, 9


@dataclass(frozen=True)
class Cell:
    """A cell: a directed acyclic graph with an operation on each inner vertex.

    Attributes
    ----------
    matrix : tuple of tuple of int
        Strictly upper triangular adjacency matrix; vertex 0 is the input, the last one the output.
    ops : tuple of int
        Index into `LABELS` of each inner vertex.

    Raises
    ------
    ValueError
        If the cell has a size, an edge or an operation that the space does not allow.
    """

    matrix: tuple[tuple[int, ...], ...]
    ops: tuple[int, ...]

    def __post_init__(self):
        matrix, size = np.array(self.matrix), len(self.matrix)
        if matrix.shape != (size, size) or not 2 <= size <= MAX_VERTICES or len(self.ops) != size - 2:
            raise ValueError(
                f"a cell has a square matrix of 2 to {MAX_VERTICES} vertices and an operation for each inner one; "
                f"got a matrix of shape {matrix.shape} and {len(self.ops)} operations."
            )
        if (np.triu(matrix, 1) != matrix).any() or not ((matrix == 0) | (matrix == 1)).all():
            raise ValueError("a cell's matrix must be strictly upper triangular, of zeros and ones.")
        if matrix.sum() > MAX_EDGES:
            raise ValueError(f"a cell has at most {MAX_EDGES} edges; this one has {matrix.sum()}.")
        if any(op not in range(len(LABELS)) for op in self.ops):
            raise ValueError(f"operations must be 0 to {len(LABELS) - 1} ({', '.join(LABELS)}); got {self.ops}.")
        if len(_used(matrix)) < size:
            raise ValueError("every vertex must lie on a path from input to output; NB101.from_matrix prunes the rest.")

    @cached_property
    def hash(self) -> str:
        """The benchmark's isomorphism hash, the key of its official table."""
        size, matrix = len(self.matrix), np.array(self.matrix)
        labels = (-1, *self.ops, -2)
        before = [np.flatnonzero(matrix[:, v]) for v in range(size)]
        after = [np.flatnonzero(matrix[v]) for v in range(size)]
        hashes = [_md5(str((len(after[v]), len(before[v]), labels[v]))) for v in range(size)]
        for _ in range(size):
            hashes = [
                _md5("".join(sorted(hashes[w] for w in before[v])) + "|"
                     + "".join(sorted(hashes[w] for w in after[v])) + "|" + hashes[v])
                for v in range(size)
            ]  # fmt: skip
        return _md5(str(sorted(hashes)))

    def canonical(self) -> "Cell":
        """The official representative of the isomorphic orders of this cell.

        With three vertices that feed the output the channels split unevenly, so the order fixes the parameters. The
        benchmark stores, of all orders that keep the matrix upper triangular, the one with the smallest column-major
        edge bits, then the smallest operations.
        """
        size, matrix = len(self.matrix), np.array(self.matrix)
        best = None
        for order in permutations(range(1, size - 1)):
            order = (0, *order, size - 1)
            moved = matrix[np.ix_(order, order)]
            if (np.tril(moved) != 0).any():
                continue
            bits = sum(int(moved[x, y]) << (x + y * (y - 1) // 2) for y in range(size) for x in range(y))
            key = (bits, tuple(self.ops[v - 1] for v in order[1:-1]))
            if best is None or key < best[0]:
                best = key, moved
        (_, ops), moved = best
        return Cell(_tuples(moved), ops)


class NB101(Family):
    """423,624 cells of at most 7 vertices and 9 edges, stacked nine times.

    The text form is ``vertices:bits:ops``, as in ``7:1394777:02001``: bit k of `bits` is edge (i, j) in the order
    (0,1), (0,2), ..., (1,2), ...; `ops` has a digit for each inner vertex (see `LABELS`).
    """

    name = "nb101"
    facts = Facts(
        "NAS-Bench-101", 423_624, "CIFAR-10", "Ying et al., NAS-Bench-101, ICML 2019", 50_000, (0.1000, 0.9409)
    )
    scales = {
        "paper": {"shape": (1, 3, 32, 32), "width": 128, "cells": 3, "classes": 10, "momentum": 0.003},
        "digits": {"shape": (1, 1, 8, 8), "width": 8, "cells": 1, "classes": 10, "momentum": 0.1},
    }

    def sample(self, n: int, seed: int = 0) -> list[Cell]:
        """`n` cells of different hash from the space's common random generator, in their official order.

        Seven vertices, each edge with probability 1/2, operations uniform, pruned; what is invalid or has more than
        nine edges is drawn again. The distribution is not uniform over cells: small cells come up more often.
        """
        if not 0 <= n <= self.facts.size:
            raise ValueError(f"n={n}: the space has {self.facts.size:,} cells; ask for at most that many.")
        rng = np.random.default_rng(seed)
        found: dict[str, Cell] = {}
        while len(found) < n:
            matrix = np.triu(rng.integers(0, 2, (MAX_VERTICES, MAX_VERTICES)), 1)
            ops = rng.integers(0, len(LABELS), MAX_VERTICES - 2)
            try:
                cell = self.from_matrix(matrix, ops)
            except ValueError:
                continue
            found.setdefault(cell.hash, cell)
        return [cell.canonical() for cell in found.values()]

    def from_matrix(self, matrix: Sequence[Sequence[int]], ops: Sequence[int | str]) -> Cell:
        """The cell of an adjacency matrix, pruned to the vertices on a path from input to output.

        Parameters
        ----------
        matrix : array-like of shape (n, n)
            Strictly upper triangular, of zeros and ones.
        ops : sequence
            Operations of the inner vertices as indices or names of `LABELS`; the names of all vertices, with "input"
            and "output" as in the official records, are accepted too.

        Raises
        ------
        ValueError
            If the matrix or an operation is none, the output cannot be reached, or the pruned cell is outside the
            space.
        """
        inner = list(ops)
        if len(inner) > 1 and (inner[0], inner[-1]) == ("input", "output"):
            inner = inner[1:-1]
        codes = [LABELS.index(op) if isinstance(op, str) and op in LABELS else op for op in inner]
        if any(isinstance(code, str) or code not in range(len(LABELS)) for code in codes):
            raise ValueError(f"ops={quoted(list(ops))}: operations are {', '.join(LABELS)}, or 0 to {len(LABELS) - 1}.")
        given = np.asarray(matrix)
        if given.ndim != 2 or given.shape[0] != given.shape[1] or len(inner) != len(given) - 2:
            raise ValueError(
                f"matrix has the shape {given.shape} and there are {len(inner)} inner ops; it must be square, with a "
                "row for the input, each inner op and the output."
            )
        if not ((given == 0) | (given == 1)).all() or np.tril(given).any():
            raise ValueError("matrix must be strictly upper triangular, of zeros and ones.")
        matrix = given.astype(int)
        keep = _used(matrix)
        if not keep or keep[0] != 0 or keep[-1] != len(matrix) - 1:
            raise ValueError("the matrix has no path from the input to the output.")
        return Cell(_tuples(matrix[np.ix_(keep, keep)]), tuple(int(codes[v - 1]) for v in keep[1:-1]))

    def parse(self, text: str) -> Cell:
        """The cell of a text form ``vertices:bits:ops``."""
        fault = f"{quoted(text)} is not a NAS-Bench-101 cell; it reads 'vertices:bits:ops', as in '7:1394777:02001'."
        match = re.fullmatch("([2-7]):([0-9]{1,7}):([0-9]{0,5})", text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(fault)
        size, bits, codes = int(match[1]), int(match[2]), tuple(map(int, match[3]))
        pairs = size * (size - 1) // 2
        if bits >= 1 << pairs or len(codes) != size - 2:
            raise ValueError(fault)
        matrix = np.zeros((size, size), dtype=int)
        matrix[np.triu_indices(size, 1)] = [bits >> k & 1 for k in range(pairs)]
        try:
            return Cell(_tuples(matrix), codes)
        except ValueError as error:
            raise ValueError(f"{fault[:-1]}: {error}") from None

    def format(self, arch: Cell) -> str:
        """The text form ``vertices:bits:ops`` of a cell."""
        entries = np.array(arch.matrix)[np.triu_indices(len(arch.matrix), 1)]
        bits = sum(int(entry) << k for k, entry in enumerate(entries))
        return f"{len(arch.matrix)}:{bits}:{''.join(map(str, arch.ops))}"

    def graph(self, arch: Cell, scale: str = "paper") -> ComputeGraph:
        """The network of a cell: stem, three stacks of cells with pooling between them, head."""
        skeleton = self.skeleton(scale)
        g = GraphBuilder(self.format(arch))
        net = _Network(g, arch, skeleton["momentum"])
        x = g.input(skeleton["shape"])
        with g.scope("stem"):
            x = net.conv_bn_relu(x, skeleton["width"], 3)
        for stack in range(3):
            with g.scope(f"stack{stack + 1}"):
                if stack:
                    x = g.max_pool(x, 2, stride=2, name="downsample")
                for cell in range(skeleton["cells"]):
                    with g.scope(f"cell{cell + 1}"):
                        x = net.cell(x, skeleton["width"] << stack)
        with g.scope("head"):
            x = g.linear(g.mean(x, name="pool"), skeleton["classes"], name="linear")
        return g.graph(x)


class _Network:
    """The parts of one network; holds what all its cells share."""

    def __init__(self, g: GraphBuilder, cell: Cell, momentum: float):
        self.g, self.ops, self.momentum = g, cell.ops, momentum
        self.size = len(cell.matrix)
        self.sources = [[v for v in range(w) if cell.matrix[v][w]] for w in range(self.size)]

    def channels(self, width: int) -> list[int]:
        """Channels of each inner vertex in a cell of output width `width`; entries 0 and -1 are unused.

        The vertices that feed the output share its channels, the first ones taking the remainder; every other vertex
        has the most channels of its successors.
        """
        feeders = [v for v in self.sources[-1] if v]
        result = [0] * self.size
        for position, v in enumerate(feeders):
            result[v] = width // len(feeders) + (position < width % len(feeders))
        for v in range(self.size - 2, 0, -1):
            if v not in feeders:
                result[v] = max(result[w] for w in range(v + 1, self.size - 1) if v in self.sources[w])
        return result

    def cell(self, x: int, width: int) -> int:
        g, channels = self.g, self.channels(width)
        results = {0: x}
        for v in range(1, self.size - 1):
            with g.scope(f"vertex{v}"):
                parts = [self._truncate(results[s], channels[v], f"slice{s}") for s in self.sources[v] if s]
                if 0 in self.sources[v]:
                    with g.scope("projection"):
                        parts.append(self.conv_bn_relu(x, channels[v], 1))
                results[v] = self._operation(g.add(parts, name="sum"), self.ops[v - 1])
        feeders = [results[v] for v in self.sources[-1] if v]
        output = [g.concat(feeders, name="concat")] if feeders else []
        if 0 in self.sources[-1]:
            with g.scope("projection"):
                output.append(self.conv_bn_relu(x, width, 1))
        return g.add(output, name="sum")

    def _operation(self, x: int, op: int) -> int:
        if LABELS[op] == "maxpool3x3":
            return self.g.max_pool(x, 3, stride=1, padding=1, name="pool")
        return self.conv_bn_relu(x, self.g.channels(x), 3 if LABELS[op] == "conv3x3-bn-relu" else 1)

    def _truncate(self, x: int, channels: int, name: str) -> int:
        return x if self.g.channels(x) == channels else self.g.slice(x, 1, 0, channels, name=name)

    def conv_bn_relu(self, x: int, channels: int, kernel: int) -> int:
        x = self.g.conv(x, channels, kernel, name="conv")
        return self.g.relu(self.g.batch_norm(x, momentum=self.momentum, name="bn"), name="relu")


def _used(matrix: np.ndarray) -> list[int]:
    """Vertices on a path from the first to the last, in order."""
    size = len(matrix)
    forward, backward = {0}, {size - 1}
    for v in range(1, size):
        if any(matrix[w, v] and w in forward for w in range(v)):
            forward.add(v)
    for v in range(size - 2, -1, -1):
        if any(matrix[v, w] and w in backward for w in range(v + 1, size)):
            backward.add(v)
    return sorted(forward & backward)


def _tuples(matrix: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in matrix)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


register(NB101())
