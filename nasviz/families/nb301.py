"""The DARTS space (Liu et al., ICLR 2019), the one of NAS-Bench-301 (Zela, Siems et al., ICLR 2022)."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from nasviz.families.blocks import distinct
from nasviz.families.family import Facts, Family, quoted, register
from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
"""The operations of a final network, in the order of their numbers in the compact form."""
NODES = (2, 3, 4, 5)
"""Nodes of a cell; states 0 and 1 are its inputs, the outputs of the two cells before it."""
PREFIX = "NetworkSelectorDatasetInfo:darts:"
"""What the keys of NAS-Bench-301's configurations start with."""

Cell = tuple[tuple[str, int], ...]
"""Eight pairs (operation, source); pairs 2k and 2k + 1 are the inputs of node k + 2, in the order of their sources."""


@dataclass(frozen=True)
class Genotype:
    """An architecture: a normal cell and a reduction cell.

    Attributes
    ----------
    normal, reduce : tuple of tuple
        Eight pairs (operation, source), two for each of the nodes 2 to 5. A node's two sources are different earlier
        states; the pairs of a node may be given in either order and are kept in the order of their sources.

    Raises
    ------
    ValueError
        If a cell is anything else.
    """

    normal: Cell
    reduce: Cell

    def __post_init__(self):
        for kind in ("normal", "reduce"):
            object.__setattr__(self, kind, _cell(kind, getattr(self, kind)))


class NB301(Family):
    """About 10^18 pairs of a normal and a reduction cell of four nodes, each node with two of seven operations.

    The text form is the well-known ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6),
    reduce=[...], reduce_concat=range(2, 6))``; a cell's output is always the concatenation of its nodes 2 to 5.

    Scales are the number of initial channels `width` and of cells: "paper" is the network that NAS-Bench-301 trained,
    "darts" the final CIFAR-10 network of DARTS, "gennape" has the size of GENNAPE's graphs, and "digits" is narrowed
    for 8×8 images. The auxiliary head of DARTS, used in training only, is left out.
    """

    name = "nb301"
    facts = Facts(
        "NAS-Bench-301 (DARTS)",
        1_037_664_180**2,
        "CIFAR-10",
        "Liu et al., DARTS, ICLR 2019; Zela, Siems et al., Surrogate NAS Benchmarks (NAS-Bench-301), ICLR 2022",
        10_000,
        (0.8828, 0.9467),
    )
    scales = {
        "paper": {"shape": (1, 3, 32, 32), "width": 32, "cells": 8, "classes": 10},
        "darts": {"shape": (1, 3, 32, 32), "width": 36, "cells": 20, "classes": 10},
        "gennape": {"shape": (1, 3, 32, 32), "width": 16, "cells": 20, "classes": 10},
        "digits": {"shape": (1, 1, 8, 8), "width": 4, "cells": 4, "classes": 10},
    }

    def sample(self, n: int, seed: int = 0) -> list[Genotype]:
        """`n` different genotypes, uniformly: per node two different earlier states and two operations."""
        pairs = {node: list(combinations(range(node), 2)) for node in NODES}

        def draw(rng: np.random.Generator) -> Genotype:
            cells = []
            for _ in range(2):
                sources = [source for node in NODES for source in pairs[node][rng.integers(len(pairs[node]))]]
                ops = rng.integers(len(OPERATIONS), size=len(sources))
                cells.append([(OPERATIONS[op], source) for op, source in zip(ops, sources, strict=True)])
            return Genotype(*cells)

        return distinct(draw, n, seed)

    def parse(self, text: str) -> Genotype:
        """The genotype in a text ``Genotype(normal=[...], normal_concat=..., reduce=[...], reduce_concat=...)``.

        A concat is ``range(2, 6)`` or ``[2, 3, 4, 5]``; cells that leave out a node (NASNet, AmoebaNet) are of another
        space.
        """
        fault = (
            f"{quoted(text)} is not a DARTS genotype; it reads 'Genotype(normal=[('sep_conv_3x3', 0), …], "
            "normal_concat=range(2, 6), reduce=[…], reduce_concat=range(2, 6))'"
        )
        try:
            call = ast.parse(text.strip(), mode="eval").body
            if not isinstance(call, ast.Call) or call.args or getattr(call.func, "id", None) != "Genotype":
                raise ValueError("it is not one call of Genotype with named arguments")
            fields = {keyword.arg: _literal(keyword.value) for keyword in call.keywords}
            if sorted(map(str, fields)) != ["normal", "normal_concat", "reduce", "reduce_concat"]:
                raise ValueError(
                    f"its fields are {quoted(list(fields))}, not normal, normal_concat, reduce and reduce_concat"
                )
            for name in ("normal_concat", "reduce_concat"):
                if fields[name] != NODES:
                    raise ValueError(f"{name} must be the nodes 2 to 5")
            return Genotype(fields["normal"], fields["reduce"])
        except (AttributeError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise ValueError(f"{fault}: {reason}".rstrip(".") + ".") from None

    def format(self, arch: Genotype) -> str:
        """The text form of a genotype."""
        return (
            f"Genotype(normal={list(arch.normal)}, normal_concat=range(2, 6), "
            f"reduce={list(arch.reduce)}, reduce_concat=range(2, 6))"
        )

    def from_config(self, config: Mapping[str, Any]) -> Genotype:
        """The genotype of a NAS-Bench-301 configuration.

        Parameters
        ----------
        config : mapping
            Keys ``NetworkSelectorDatasetInfo:darts:edge_{normal|reduce}_{e}`` with an operation, where e counts the
            pairs (source, node) node by node, and ``...inputs_node_{normal|reduce}_{3|4|5}`` with ``a_b``, the node's
            two sources; node 2 always has 0 and 1. Other keys (hyperparameters of the training) are ignored.

        Raises
        ------
        ValueError
            If a key is missing or its value is not of the space.
        """
        cells = []
        for kind in ("normal", "reduce"):
            cell, start = [], 0
            for node in NODES:
                sources = (0, 1)
                if node > 2:
                    key = f"{PREFIX}inputs_node_{kind}_{node}"
                    first, separator, second = str(_entry(config, key)).partition("_")
                    if not (separator and first.isdecimal() and second.isdecimal()):
                        raise ValueError(f"config: {key} is {quoted(config[key])}; it names two states, as in '0_2'.")
                    sources = (int(first), int(second))
                cell += [(_entry(config, f"{PREFIX}edge_{kind}_{start + source}"), source) for source in sources]
                start += node
            cells.append(cell)
        return Genotype(*cells)

    def from_compact(self, compact: Sequence[Sequence[Sequence[int]]]) -> Genotype:
        """The genotype of the compact form of BANANAS and NASLib: two tuples of eight pairs (source, operation number).

        Operations are numbered in the order of `OPERATIONS`.

        Raises
        ------
        ValueError
            If `compact` is not of that form, or outside of the space.
        """
        try:
            normal, reduce = ([(source, op) for source, op in cell] for cell in compact)
        except (TypeError, ValueError):
            raise ValueError(
                f"compact={quoted(compact)}: give two tuples of eight pairs (source, operation number)."
            ) from None
        for _, op in (*normal, *reduce):
            if type(op) is not int or op not in range(len(OPERATIONS)):
                raise ValueError(
                    f"compact: the operation number {quoted(op)} is not one of 0 to {len(OPERATIONS) - 1} "
                    f"({', '.join(OPERATIONS)})."
                )
        return Genotype(*([(OPERATIONS[op], source) for source, op in cell] for cell in (normal, reduce)))

    def graph(self, arch: Genotype, scale: str = "paper") -> ComputeGraph:
        """The network of a genotype: stem, cells with a reduction at one third and at two thirds, head."""
        skeleton = self.skeleton(scale)
        width, cells = skeleton["width"], skeleton["cells"]
        g = GraphBuilder(self.format(arch))
        x = g.input(skeleton["shape"])
        with g.scope("stem"):
            x = g.batch_norm(g.conv(x, 3 * width, 3, name="conv"), name="bn")
        before, last = x, x
        for index in range(cells):
            reduction = index in (cells // 3, 2 * cells // 3)
            width <<= reduction
            cell = arch.reduce if reduction else arch.normal
            with g.scope(f"cell{index + 1}"):
                before, last = last, _cell_output(g, before, last, cell, width, stride=1 + reduction)
        with g.scope("head"):
            x = g.linear(g.mean(last, name="pool"), skeleton["classes"], name="linear")
        return g.graph(x)


def _cell_output(g: GraphBuilder, before: int, last: int, cell: Cell, width: int, stride: int) -> int:
    """A cell on the outputs of the two cells before it; its inputs are read with `stride`."""
    with g.scope("preprocess0"):
        reduced = g.shape(before)[2:] != g.shape(last)[2:]  # the cell before this one was a reduction
        states = [(_factorized_reduce if reduced else _relu_conv_bn)(g, before, width)]
    with g.scope("preprocess1"):
        states.append(_relu_conv_bn(g, last, width))
    for node in NODES:
        with g.scope(f"node{node}"):
            parts = [
                _operation(g, states[source], op, stride if source < 2 else 1, f"{op}_{source}")
                for op, source in _inputs(cell, node)
            ]
            states.append(g.add(parts, name="sum"))
    return g.concat(states[2:], name="concat")


def _operation(g: GraphBuilder, x: int, op: str, stride: int, name: str) -> int:
    if op == "skip_connect" and stride == 1:
        return x
    if op == "max_pool_3x3":
        return g.max_pool(x, 3, stride=stride, padding=1, name=name)
    if op == "avg_pool_3x3":
        return g.avg_pool(x, 3, stride=stride, padding=1, name=name)
    with g.scope(name):
        if op == "skip_connect":
            return _factorized_reduce(g, x, g.channels(x))
        kernel = int(op[-1])
        if op.startswith("dil"):
            return _separable(g, x, kernel, stride, 2)
        with g.scope("first"):
            x = _separable(g, x, kernel, stride, 1)
        with g.scope("second"):
            return _separable(g, x, kernel, 1, 1)


def _separable(g: GraphBuilder, x: int, kernel: int, stride: int, dilation: int) -> int:
    """ReLU, depthwise and pointwise convolution, batch norm; nothing between the convolutions."""
    channels = g.channels(x)
    x = g.relu(x, name="relu")
    x = g.conv(x, channels, kernel, stride=stride, dilation=dilation, groups=channels, name="depthwise")
    return g.batch_norm(g.conv(x, channels, 1, name="pointwise"), name="bn")


def _relu_conv_bn(g: GraphBuilder, x: int, channels: int) -> int:
    return g.batch_norm(g.conv(g.relu(x, name="relu"), channels, 1, name="conv"), name="bn")


def _factorized_reduce(g: GraphBuilder, x: int, channels: int) -> int:
    """Half the size without losing three pixels of four: the second convolution reads one pixel further down right."""
    x = g.relu(x, name="relu")
    height, width = g.shape(x)[2:]
    even = g.conv(x, channels // 2, 1, stride=2, name="conv1")
    odd = g.slice(g.slice(x, 2, 1, height - 1, name="rows"), 3, 1, width - 1, name="columns")
    odd = g.conv(odd, channels // 2, 1, stride=2, name="conv2")
    return g.batch_norm(g.concat((even, odd), name="concat"), name="bn")


def _cell(kind: str, pairs: Any) -> Cell:
    """`pairs` as a checked cell, the two pairs of a node in the order of their sources."""
    if not isinstance(pairs, Sequence) or isinstance(pairs, str) or len(pairs) != 2 * len(NODES):
        raise ValueError(f"{kind}={quoted(pairs)}: a cell has eight pairs (operation, source).")
    cell: list[tuple[str, int]] = []
    for node in NODES:
        inputs = []
        for pair in _inputs(pairs, node):
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise ValueError(f"{kind}: {quoted(pair)} is not a pair (operation, source).")
            op, source = pair
            if op not in OPERATIONS:
                raise ValueError(f"{kind}: {quoted(op)} is not an operation; they are {', '.join(OPERATIONS)}.")
            if type(source) is not int or source not in range(node):
                raise ValueError(
                    f"{kind}: node {node} cannot read state {quoted(source)}; it reads two of 0 to {node - 1}."
                )
            inputs.append((op, source))
        if inputs[0][1] == inputs[1][1]:
            raise ValueError(f"{kind}: node {node} reads state {inputs[0][1]} twice; its sources must differ.")
        cell += sorted(inputs, key=lambda pair: pair[1])
    return tuple(cell)


def _inputs(pairs: Sequence, node: int) -> Sequence:
    return pairs[2 * node - 4 : 2 * node - 2]


def _literal(node: ast.expr) -> Any:
    """The value of a literal; that of ``range(2, 6)`` and of a list of numbers is the tuple (2, 3, 4, 5)."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "range" and not node.keywords:
        first, last = map(ast.literal_eval, node.args)
        return NODES if (first, last) == (2, 6) else None
    value = ast.literal_eval(node)
    return tuple(value) if isinstance(value, list) else value


def _entry(config: Mapping[str, Any], key: str) -> Any:
    if key not in config:
        raise ValueError(f"config has no {key}; a NAS-Bench-301 configuration has it.")
    return config[key]


register(NB301())
