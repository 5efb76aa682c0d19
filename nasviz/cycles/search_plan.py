"""What a search of a run is after, and how long it looks: its parameters, checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from nasviz.predict.checks import whole_number
from nasviz.search.goals import Goal, Limits

if TYPE_CHECKING:
    from nasviz.search.hunt import Predictor

TOPOLOGY, SIZES = "topology", "kernels and widths"


@dataclass(frozen=True)
class SearchPlan:
    """How a search goes.

    Attributes
    ----------
    predictor : str or Predictor
        Says how good a network is: a name as `nasviz.search.predictor` takes it, or anything with `score`.
    goal : str
        "performance", "balanced" (fewer FLOPs, not below the parent) or "edge" (small and fast).
    explore : str
        "topology": operators may come and go; "kernels and widths": only those change.
    budget : int
        Networks that are scored, in all rounds.
    survivors : int
        Networks that are trained in each round.
    rounds : int
        How often.
    caution : float
        How many standard errors of the prediction are taken off it; see `nasviz.search.predictor_scorer`.
    tolerance : float
        By how much of the score a network may be below the parent, for "balanced" and "edge".
    flops, params, latency_ms : float, optional
        What a network may cost at most; see `nasviz.search.Limits`.
    seed : int
        Of the search.

    Raises
    ------
    ValueError
        If a value cannot be meant; of the predictor, `model` says so.
    """

    predictor: "str | Predictor" = "digits"
    goal: str = "balanced"
    explore: str = TOPOLOGY
    budget: int = 3000
    survivors: int = 3
    rounds: int = 1
    caution: float = 0.0
    tolerance: float = 0.0
    flops: float | None = None
    params: float | None = None
    latency_ms: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.goal not in list(Goal):
            raise ValueError(f"goal={self.goal!r}: it is one of {', '.join(Goal)}.")
        if self.explore not in (TOPOLOGY, SIZES):
            raise ValueError(f"explore={self.explore!r}: it is {TOPOLOGY!r} or {SIZES!r}.")
        for name in ("budget", "survivors", "rounds"):
            whole_number(name, getattr(self, name))
        self.limits  # noqa: B018 (it raises)

    @property
    def limits(self) -> Limits:
        """What a network may cost."""
        return Limits(self.flops, self.params, self.latency_ms)

    def model(self) -> "Predictor":
        """The predictor itself.

        Raises
        ------
        ValueError
            If there is none of that name, or what was given cannot score.
        """
        from nasviz.search.predictors import predictor

        if isinstance(self.predictor, str):
            return predictor(self.predictor)
        if not callable(getattr(self.predictor, "score", None)):
            raise ValueError(f"predictor={self.predictor!r}: it is a name, or something with a method score(graphs).")
        return self.predictor

    def facts(self) -> Mapping[str, Any]:
        """What the cycles of a search say of it, as JSON has it."""
        named = self.predictor if isinstance(self.predictor, str) else type(self.predictor).__qualname__
        return asdict(replace(self, predictor="digits")) | {"predictor": named}


BALANCED = SearchPlan()
"""Fewer FLOPs, nothing lost."""
EDGE = SearchPlan(goal="edge", survivors=2, tolerance=0.005)
"""Of an edge build: a network for small computers, that may be a little worse."""
