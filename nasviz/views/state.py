"""The one small serialisable state of each view: what is chosen, never the data.

A view is a function of its state. Its controls write the state, and whatever is shown follows from it, so a view can be
stored as a line of JSON and opened again where it stood.
"""

import json
from typing import Self

from traitlets import Bool, Enum, Float, HasTraits, Int, List, TraitError, Unicode


class ViewState(HasTraits):
    """A state that goes to JSON and back."""

    def to_json(self) -> str:
        """The state as a line of JSON."""
        return json.dumps(self.trait_values())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The state that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If `text` is no JSON object, or names or holds something that this state cannot.
        """
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"text is no JSON ({error}); pass what to_json() of a {cls.__name__} returned.") from None
        known = cls.class_trait_names()
        if not isinstance(values, dict) or not set(values) <= set(known):
            raise ValueError(f"text {text[:80]!r} is no {cls.__name__}; it may hold {', '.join(known)}.")
        try:
            return cls(**values)
        except TraitError as error:
            raise ValueError(f"text holds a value that {cls.__name__} cannot take: {error}") from None


class EmbeddingState(ViewState):
    """What is chosen in an :class:`~nasviz.views.embedding.EmbeddingScatter`."""

    colour = Unicode("family", help="family, accuracy, macs or cluster")
    projection = Enum(["PCA", "UMAP"], "PCA")
    n_clusters = Int(5, min=2, max=20)
    fuzzifier = Float(1.3, min=1.1, max=3.0)
    reclustered = Bool(False, help="whether the clusters come from the two sliders, not from the caller")
    selection = List(Int(min=0), help="row numbers, from 0")
    picture = Bool(False, help="whether the static twin is shown")


class RankingState(ViewState):
    """What is chosen in a :class:`~nasviz.views.ranking.Ranking`."""

    family = Unicode("all")
    column = Unicode("score", help="the column of the scores that ranks")
    k = Int(10, min=1)
    ranks = Bool(False, help="whether ranks are drawn instead of values")
    picture = Bool(False, help="whether the static twin is shown")
