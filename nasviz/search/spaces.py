"""What can be searched: computation graphs without borders, a family's own space, a table of labelled networks.

Every space has four methods: `sample` draws a candidate, `mutate` makes one that is a step away from another,
`neighbours` lists what is one step away, `key` names a candidate. `graph` gives its computation graph.
"""

import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nasviz.families import Family
from nasviz.graph.graph import ComputeGraph
from nasviz.search.mutation import Parent, bear

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

TRIES = 300
NEIGHBOURS = 24
"""Neighbours that are looked at where there is no list of all: as many as a cell of NAS-Bench-201 has."""


class Space(Protocol):
    """What a search needs to know of the candidates."""

    def sample(self, rng: Random) -> Any:
        """A random candidate."""

    def mutate(self, candidate: Any, rng: Random) -> Any:
        """A random candidate that is one step away."""

    def neighbours(self, candidate: Any, rng: Random) -> Sequence[Any]:
        """Candidates one step away, in random order; all, or some where there are too many."""

    def key(self, candidate: Any) -> str:
        """The same for equal candidates, and only for them."""

    def graph(self, candidate: Any) -> ComputeGraph:
        """Its network."""


class GraphSpace:
    """All classification networks that mutation reaches from some first ones; a candidate is a `Parent`.

    Parameters
    ----------
    starts : sequence of ComputeGraph
        Networks to start from.
    macro : bool
        Whether the topology may change; else only kernels and widths do.
    steps : int
        `sample` goes this many mutations away from one of the starts at most.

    Raises
    ------
    ValueError
        If there is none, or one is no classification network that can be built.
    """

    def __init__(self, starts: Sequence[ComputeGraph], *, macro: bool = True, steps: int = 4):
        if not starts:
            raise ValueError("starts is empty; give at least one ComputeGraph to start from.")
        self.starts, self.macro, self.steps = [Parent.of(graph) for graph in starts], macro, steps

    def sample(self, rng: Random) -> Parent:
        """One of the starts after one to `steps` mutations."""
        candidate = rng.choice(self.starts)
        for _ in range(rng.randint(1, self.steps)):
            candidate = self.mutate(candidate, rng)
        return candidate

    def mutate(self, candidate: Parent, rng: Random) -> Parent:
        """A child; see `nasviz.search.mutation`."""
        return bear(candidate, rng, macro=self.macro)

    def neighbours(self, candidate: Parent, rng: Random) -> list[Parent]:
        """Some children, all different."""
        found = (self.mutate(candidate, rng) for _ in range(NEIGHBOURS))
        return list({child.key: child for child in found}.values())

    def key(self, candidate: Parent) -> str:
        """A hash of operators, shapes and edges."""
        return candidate.key

    def graph(self, candidate: Parent) -> ComputeGraph:
        """Its graph."""
        return candidate.graph


@dataclass
class FamilySpace:
    """The architectures of one family.

    A step puts a random part of another architecture in the same place: one operation, one edge, one block, one stage.

    Attributes
    ----------
    family : Family
        Which.
    scale : str
        Of the networks.
    """

    family: Family
    scale: str = "paper"

    def sample(self, rng: Random) -> Any:
        """A random architecture by the family's own rule."""
        (arch,) = self.family.sample(1, seed=rng.getrandbits(32))
        return arch

    def mutate(self, candidate: Any, rng: Random) -> Any:
        """The architecture with one part of another one's.

        Raises
        ------
        ValueError
            If none is found.
        """
        donors: list[Any] = []
        for attempt in range(TRIES):
            if attempt % 20 == 0:
                donors = list(parts(self.sample(rng)))
            path, part = rng.choice(donors)
            try:
                new = grafted(candidate, path, part)
                if new != candidate and self.family.parse(self.family.format(new)) == new:
                    return new
            except (ValueError, TypeError, LookupError):
                continue  # outside of the space: such a step is not possible here
        raise ValueError(f"{self.family.format(candidate)!r}: found no architecture one step away ({TRIES} tries).")

    def neighbours(self, candidate: Any, rng: Random) -> list[Any]:
        """Some architectures one step away, all different."""
        found = (self.mutate(candidate, rng) for _ in range(NEIGHBOURS))
        return list({self.key(arch): arch for arch in found}.values())

    def key(self, candidate: Any) -> str:
        """Its text form."""
        return self.family.format(candidate)

    def graph(self, candidate: Any) -> ComputeGraph:
        """Its network at `scale`."""
        return self.family.graph(candidate, self.scale)


class TableSpace:
    """The labelled networks of one family in a benchmark, and nothing else; a candidate is a row of its table.

    Where the table holds the whole family, a step changes one operation. Where it is a sample, most of such steps
    lead out of it, so a step goes to one of the nearest rows: those with the most entries of the architecture in
    common.

    Parameters
    ----------
    bench : Benchmark
        Of one family.
    neighbours : int
        How many rows count as one step away.

    Raises
    ------
    ValueError
        If the benchmark has more than one family, or too few rows.
    """

    def __init__(self, bench: "Benchmark", neighbours: int = NEIGHBOURS):
        from nasviz.families import get

        if len(bench.families) != 1 or len(bench) <= neighbours:
            raise ValueError(
                f"bench={bench!r}: a table to search has one family and more than {neighbours} rows; "
                "choose with bench.of(family)."
            )
        self.bench, self.count = bench, neighbours
        self.family = get(bench.families[0])

    @cached_property
    def codes(self) -> np.ndarray:
        """The rows' architectures as zeros and ones: one column for each value of each part that occurs, uint8."""
        columns: dict[tuple, int] = {}
        rows = []
        for text in self.bench.table.arch:
            rows.append([columns.setdefault(leaf, len(columns)) for leaf in _leaves(self.family.parse(text))])
        codes = np.zeros((len(rows), len(columns)), dtype=np.uint8)
        for row, ones in enumerate(rows):
            codes[row, ones] = 1
        return codes

    def sample(self, rng: Random) -> int:
        """A random row."""
        return rng.randrange(len(self.bench))

    def mutate(self, candidate: int, rng: Random) -> int:
        """One of the nearest rows."""
        return rng.choice(self._nearest(candidate))

    def neighbours(self, candidate: int, rng: Random) -> list[int]:
        """The nearest rows, in random order."""
        rows = list(self._nearest(candidate))
        rng.shuffle(rows)
        return rows

    def key(self, candidate: int) -> str:
        """The architecture's text form."""
        return self.bench.table.arch.iat[candidate]

    def graph(self, candidate: int) -> ComputeGraph:
        """Its network, as it was trained."""
        return self.family.graph(self.family.parse(self.key(candidate)), self.bench.scale)

    def _nearest(self, row: int) -> list[int]:
        if row not in self._known:
            distance = (self.codes != self.codes[row]).sum(axis=1)
            distance[row] = distance.max() + 1
            # Equally near rows in the table's order, so that a search does not depend on how they are sorted.
            self._known[row] = np.argsort(distance, kind="stable")[: self.count].tolist()
        return self._known[row]

    @cached_property
    def _known(self) -> dict[int, list[int]]:
        return {}


def parts(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """All parts of an architecture with the way to each; parts are entries of tuples and fields of dataclasses."""
    for step, part in _entries(value):
        yield (*path, step), part
        yield from parts(part, (*path, step))


def grafted(value: Any, path: tuple, part: Any) -> Any:
    """The architecture with `part` at the end of the way `path`.

    Raises
    ------
    LookupError, TypeError, ValueError
        If there is no such way, or what comes out is no architecture.
    """
    if not path:
        if type(part) is not type(value):
            raise TypeError("a part takes the place of one of its kind.")
        return part
    step, *rest = path
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(value, **{step: grafted(getattr(value, step), tuple(rest), part)})
    entries = list(value)
    entries[step] = grafted(entries[step], tuple(rest), part)
    return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)


def _entries(value: Any) -> Iterator[tuple[Hashable, Any]]:
    if dataclasses.is_dataclass(value):
        return ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
    return enumerate(value) if isinstance(value, tuple) else iter(())


def _leaves(value: Any) -> Iterator[tuple[tuple, Any]]:
    return ((p, part) for p, part in parts(value) if not isinstance(part, tuple) and not dataclasses.is_dataclass(part))
