"""What every architecture family offers, and the register of families."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nasviz.graph.graph import ComputeGraph

if TYPE_CHECKING:
    from torch import nn


def quoted(value: object, most: int = 80) -> str:
    """`value` as Python writes it, for an error message: longer than `most` characters, its middle is left out."""
    text = repr(value)
    if len(text) <= most:
        return text
    kept = most - 30  # the rest is for saying how much there was
    return f"{text[: kept - kept // 3]}…{text[-(kept // 3) :]} ({len(text):,} characters)"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the paper says of a family (GENNAPE, AAAI-23, Table 2) and where the family comes from.

    Attributes
    ----------
    title : str
        Full name.
    size : int
        Architectures in the space; an estimate where the space is too large to count.
    dataset : str
        Data sets that it was trained on.
    reference : str
        Where it was published.
    labelled : int, optional
        Networks with a known accuracy that the paper used.
    accuracy : tuple of float, optional
        Lowest and highest of their accuracies, as fractions.
    """

    title: str
    size: int
    dataset: str
    reference: str
    labelled: int | None = None
    accuracy: tuple[float, float] | None = None


class Family(ABC):
    """A search space: how to draw, read, write, count and build its architectures.

    A new family subclasses this, defines `facts`, `scales`, `sample`, `parse`, `format` and `graph`, and calls
    `register`; `build` comes for free, since the graph becomes the module.

    Attributes
    ----------
    name : str
        Short name, the one used in tables.
    facts : Facts
        Title, size, data set and reference.
    scales : mapping of str to dict
        Keyword arguments of the macro skeleton (stem, widths, input, classes) by scale; "paper" is the published one.
    """

    name: str
    facts: Facts
    scales: dict[str, dict[str, Any]]

    @abstractmethod
    def sample(self, n: int, seed: int = 0) -> list[Any]:
        """`n` different architectures by the family's own sampling rule."""

    @abstractmethod
    def parse(self, text: str) -> Any:
        """The architecture written in `text`.

        A message about a wrong text repeats little of it (`quoted`): it may be a whole file.

        Raises
        ------
        ValueError
            If `text` is not an architecture of this family.
        """

    @abstractmethod
    def format(self, arch: Any) -> str:
        """The text form of an architecture; `parse` reads it back."""

    @abstractmethod
    def graph(self, arch: Any, scale: str = "paper") -> ComputeGraph:
        """The computation graph of the network, equal to tracing the module that `build` makes."""

    def build(self, arch: Any, scale: str = "paper") -> "nn.Module":
        """The network as a PyTorch module with new weights."""
        from nasviz.graph.build import to_module

        return to_module(self.graph(arch, scale))

    def skeleton(self, scale: str) -> dict[str, Any]:
        """Keyword arguments of the macro skeleton at `scale`.

        Raises
        ------
        ValueError
            If the family has no such scale.
        """
        if scale not in self.scales:
            raise ValueError(f"scale={scale!r}: {self.name} has the scales {', '.join(map(repr, self.scales))}.")
        return self.scales[scale]

    def __repr__(self) -> str:
        size = f"{self.facts.size:,}" if self.facts.size < 1e9 else f"{self.facts.size:.2g}"
        return f"<Family {self.name}: {self.facts.title}, {size} architectures>"


_BUNDLED = {
    "nb101": "nasviz.families.nb101",
    "nb201": "nasviz.families.nb201",
    "nb301": "nasviz.families.nb301",
    "proxyless": "nasviz.families.proxyless",
    "ofa_mbv3": "nasviz.families.ofa_mbv3",
    "ofa_resnet": "nasviz.families.ofa_resnet",
    "hiaml": "nasviz.families.hiaml",
    "inception": "nasviz.families.inception",
    "two_path": "nasviz.families.two_path",
}
_registered: dict[str, Family] = {}


def register(family: Family) -> Family:
    """Make `family` known to `get` by its name."""
    _registered[family.name] = family
    return family


def names() -> Sequence[str]:
    """Names of all known families."""
    return tuple(dict.fromkeys([*_BUNDLED, *_registered]))


def get(name: str) -> Family:
    """The family called `name`.

    Raises
    ------
    ValueError
        If there is no such family.
    """
    if isinstance(name, str):  # a table may hold anything
        if name not in _registered and name in _BUNDLED:
            import_module(_BUNDLED[name])
        if name in _registered:
            return _registered[name]
    known = ", ".join(names())
    raise ValueError(f"name={quoted(name)}: no such family; known: {known}. Add your own with register().")
