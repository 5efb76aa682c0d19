"""The one small serialisable state of each view: what is chosen, never the data.

A view is a function of its state. Its controls write the state, and whatever is shown follows from it, so a view can be
stored as a line of JSON and opened again where it stood.
"""

import json
from typing import Self

from traitlets import Bool, Dict, Enum, Float, HasTraits, Int, List, TraitError, Tuple, Unicode


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


class ExplorerState(ViewState):
    """What is chosen in a :class:`~nasviz.views.explorer.NetworkExplorer`."""

    opened = List(Unicode(), None, allow_none=True, help="ids of the open boxes; None: the view's own choice")
    box = Unicode(help="id of the box whose details are shown")
    colour = Unicode("kind", help="kind, or a metric")
    fold = Bool(True, help="whether norms and activations are drawn with their operator")
    repeats = Bool(True, help="whether equal blocks in a row are one box")
    picture = Bool(False, help="whether the static twin is shown")


class CyclesState(ViewState):
    """What is chosen in the views of a run. Views that share one such state mark the cycle that is selected in one.

    An empty name stands for the view's own choice.
    """

    cycle = Int(-1, min=-1, help="the selected cycle; -1: none")
    directions = Dict(
        key_trait=Unicode(),
        value_trait=Enum(["higher", "lower"]),
        help="which way is better, for metrics of which the user has said it",
    )
    bars = List(Unicode(), help="the metrics of CycleBars, one graph each")
    layer_metric = Unicode(help="the metric of LayerComparison")
    compared = List(Int(min=0), help="the cycles of LayerComparison")
    untrained = Bool(False, help="whether layers without trainable weights are shown, too")
    differences = Bool(False, help="whether only layers that differ between the cycles are shown")
    transposed = Bool(False, help="whether the layers are the columns of the table")
    sort = Unicode(help="the column that orders the table of LayerComparison; empty: as in the network")
    descending = Bool(False)
    x = Unicode(help="the metrics of Pareto")
    y = Unicode()
    best_by = Unicode(help="the metric that names the best cycle in Pareto")
    constraints = List(
        Tuple(Unicode(), Enum(["at most", "at least"]), Float()), help="of Pareto: metric, which side, bound"
    )
    against = Int(-1, min=-1, help="of CycleExplorer: the cycle beside the selected one; -1: none")
    matrix = Unicode(help="of Confusion: the phase whose matrix is shown")
    counts = Bool(False, help="of Confusion: whether samples are shown instead of shares of their true class")
    bars_picture = Bool(False, help="whether the static twin of a view is shown")
    confusion_picture = Bool(False)
    layers_picture = Bool(False)
    pareto_picture = Bool(False)
