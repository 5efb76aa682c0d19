"""The embedding of many networks as a scatter: coloured, clustered softly, selected with the mouse."""

import warnings

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.predict.checks import finite_array, same_length
from nasviz.views import projection
from nasviz.views.embedding_figure import (
    FAINT,
    Coding,
    checked_memberships,
    checked_table,
    code_points,
    dominant,
    draw,
    group_table,
    hover_text,
    plotly_marker,
)
from nasviz.views.panel import Panel, guard
from nasviz.views.state import EmbeddingState
from nasviz.views.table import html_table
from nasviz.views.theme import GL_FROM, SHAPES, percent, plotly_template, si

GLYPHS = dict(zip((symbol for symbol, _ in SHAPES), "●■◆▲✖▼✚★", strict=True))


class EmbeddingScatter(Panel):
    """A scatter of N networks by their embedding, which is coloured, clustered live, and selected with lasso or box.

    Parameters
    ----------
    embedding : array (N, D)
        N ≥ 2 networks, D ≥ 2 dimensions. The plane is their PCA; UMAP is computed in the background on demand.
    memberships : DataFrame or array (N, C), optional
        How much each network belongs to each of C clusters, in [0, 1]; the columns of a DataFrame name the clusters.
        Without them the panel clusters on demand.
    table : DataFrame
        One row a network in the same order: ``family``, ``arch``, ``accuracy`` (fraction, NaN where unknown) and, if
        known, ``macs``.
    umap : array (N, 2), optional
        A UMAP that was computed before; with it nothing is computed when it is chosen.
    state : EmbeddingState, optional
        Where to open the view.

    Attributes
    ----------
    state : EmbeddingState
        What is chosen; setting one of its traits moves the view.
    selection : DataFrame
        The selected rows of `table` with their place, cluster and membership; it follows the mouse.
    memberships : DataFrame (N, C) or None
        The clusters as they are shown now.

    Raises
    ------
    ValueError
        If lengths differ, the embedding or the memberships are not finite, or the table lacks a column.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"family": "nb201", "arch": [f"a{i}" for i in range(40)], "accuracy": rng.random(40)})
    >>> view = EmbeddingScatter(rng.normal(size=(40, 8)), None, table)
    >>> view.state.selection = [3, 5]
    >>> list(view.selection["arch"])
    ['a3', 'a5']
    """

    title = "nasviz embedding"

    def __init__(
        self,
        embedding,
        memberships,
        table: pd.DataFrame,
        *,
        umap=None,
        state: EmbeddingState | None = None,
    ):
        self._x = finite_array("embedding", embedding, ndim=2)
        self._table = checked_table(table)
        same_length(embedding=self._x, table=self._table)
        if self._x.shape[0] < 2 or self._x.shape[1] < 2:
            raise ValueError(f"embedding has shape {self._x.shape}; a scatter needs at least 2 rows and 2 columns.")
        self.memberships = None if memberships is None else checked_memberships(memberships, len(self._x))
        state = EmbeddingState() if state is None else state
        if max(state.selection, default=0) >= len(self._x):
            raise ValueError(f"state.selection holds row {max(state.selection)}, but there are {len(self._x)} rows.")
        if self.memberships is not None and not state.reclustered:
            state.n_clusters = int(np.clip(self.memberships.shape[1], 2, 20))
        self._maps: dict[str, np.ndarray] = {}
        if umap is not None:
            self._maps["UMAP"] = finite_array("umap", umap, ndim=2)
            same_length(embedding=self._x, umap=umap)
        self._maps["PCA"], self._share = projection.pca(self._x)
        self._background: projection.Background | None = None
        self._remark = ""  # of the clustering

        super().__init__(state)
        self.chart.selected = state.selection
        self._make_controls()
        self._table_box, self._group_box = widgets.HTML(), widgets.HTML()
        self._side.children = [self._table_box, self._group_box]

        if state.reclustered or (state.colour == "cluster" and self.memberships is None):
            self._cluster()
        self.redraw()
        if state.projection == "UMAP":
            self._project()
        self.chart.observe(self._on_lasso, "selected")
        state.observe(self._on_cluster, ["n_clusters", "fuzzifier"])
        state.observe(self._on_colour, "colour")
        state.observe(self._on_projection, "projection")
        state.observe(self._on_selection, "selection")

    def _make_controls(self) -> None:
        colours = ["family", "accuracy", *(["macs"] if "macs" in self._table else []), "cluster"]
        labels = {"macs": "MACs", "cluster": "cluster, by membership"}
        cluster_slider = self.slider(
            "n_clusters", "Clusters", widgets.IntSlider, "Number of fuzzy clusters", min=2, max=20
        )
        fuzzifier_slider = self.slider(
            "fuzzifier",
            "Fuzzifier",
            widgets.FloatSlider,
            "Towards 1 clusters are crisp; the larger, the softer, until they collapse",
            min=1.1,
            max=3.0,
            step=0.1,
            readout_format=".1f",
        )
        self._controls.children = [
            self.choice("colour", "Colour", [(labels.get(name, name), name) for name in colours]),
            self.choice("projection", "Map", ["PCA", "UMAP"]),
            cluster_slider,
            fuzzifier_slider,
            self.switch("picture", "Static picture"),
        ]

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def frame(self) -> pd.DataFrame:
        """All N rows: the table with place (x, y), cluster and membership (where clustered) and ``selected``."""
        frame = self._table.copy()
        frame["x"], frame["y"] = self._xy.T
        if self.memberships is not None:
            frame["cluster"] = dominant(self.memberships).to_numpy()
            frame["membership"] = self.memberships.to_numpy().max(axis=1)
        frame["selected"] = np.isin(np.arange(len(frame)), self.state.selection)
        return frame

    @property
    def selection(self) -> pd.DataFrame:
        """The selected rows of :attr:`frame`; empty while nothing is selected."""
        return self.frame.iloc[self.state.selection].drop(columns="selected")

    @property
    def groups(self) -> pd.DataFrame:
        """The families or, where they give the colour, the clusters: number of networks and means."""
        return group_table(self._table, self._coding, self.memberships)

    def static(self):
        """The scatter as a matplotlib Figure: same map, same colours; what is not selected is faint."""
        title = f"{len(self._x):,} networks, {self._map_name}"
        if self.state.selection:
            title += f", {len(self.state.selection):,} selected"
        return draw(self._xy, self._axes, self._coding, self.state.selection, title)

    def export_table(self) -> pd.DataFrame:
        """All rows, as :attr:`frame`."""
        return self.frame

    def describe(self) -> str:
        """The chart in a sentence."""
        return (
            f"Scatter of {len(self._x):,} networks: {self._map_name} of their embedding in {self._x.shape[1]} "
            f"dimensions, colour: {self._coding.label}. Tables hold the same data."
        )

    @property
    def _coding(self) -> Coding:
        return code_points(self._table, self.state.colour, self.memberships)

    @property
    def _map_name(self) -> str:
        return self.state.projection if self.state.projection in self._maps else "PCA"

    @property
    def _xy(self) -> np.ndarray:
        return self._maps[self._map_name]

    @property
    def _axes(self) -> tuple[str, str]:
        if self._map_name == "UMAP":
            return "UMAP 1 (no unit)", "UMAP 2 (no unit)"
        first, second = (f"{share:.0%} of the variance" for share in self._share)
        return f"principal component 1 ({first})", f"principal component 2 ({second})"

    # -- drawing ------------------------------------------------------------------------------------------------------

    def figure(self) -> go.Figure:
        """The scatter as a plotly figure; the selection is in it."""
        points = {  # no trace of plotly's: a figure checks each of its points once more
            "type": "scattergl" if len(self._x) > GL_FROM else "scatter",
            "x": self._xy[:, 0],
            "y": self._xy[:, 1],
            "mode": "markers",
            "marker": plotly_marker(self._coding),
            "customdata": [hover_text(row) for row in self.frame.to_dict("records")],
            "hovertemplate": "%{customdata}<extra></extra>",
            "selectedpoints": self.state.selection or None,
            "unselected": {"marker": {"opacity": FAINT}},
            "showlegend": False,
        }
        layout = {"template": plotly_template(), "height": 460, "dragmode": "lasso", "hovermode": "closest"}
        layout["uirevision"] = self._map_name  # who has zoomed in stays there when colours change
        layout |= {"xaxis_title_text": self._axes[0], "yaxis_title_text": self._axes[1]}
        return go.Figure([points], layout)

    def redraw(self) -> None:
        """Draw chart and tables in the present state."""
        super().redraw()
        self._show_tables()

    def _show_tables(self) -> None:
        n, chosen = len(self._x), self.selection
        rows = self.frame if chosen.empty else chosen
        caption = (
            f"{len(chosen):,} of {n:,} networks selected"
            if len(chosen)
            else f"All {n:,} networks; draw with the mouse to select some"
        )
        columns = ["family", "accuracy", "macs", "cluster", "membership", "arch"]
        formats = {"accuracy": percent, "macs": si, "membership": "{:.2f}".format}
        self._table_box.value = html_table(rows[[name for name in columns if name in rows]], caption, formats)
        groups, look = self.groups, self._coding.look
        name = groups.columns[0]
        swatches = [
            f'<span class="nasviz-swatch" style="color:{look[label].colour}">{GLYPHS[look[label].symbol]}</span>'
            for label in groups[name]
            if label in look
        ]
        formats = {"networks": "{:,}".format, "mean accuracy": percent, "mean membership": "{:.2f}".format}
        self._group_box.value = html_table(groups, f"By {name}", formats, swatches=swatches)
        status = f"{len(chosen):,} of {n:,} networks selected; {n:,} of {n:,} shown ({self._map_name})."
        self.show_status(f"{status} {self._remark}" if self.state.colour == "cluster" else status)

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _on_lasso(self, change) -> None:
        self.state.selection = change["new"]

    @guard
    def _on_selection(self, change) -> None:
        wrong = [row for row in change["new"] if row >= len(self._x)]
        if wrong:
            self.state.selection = change["old"]
            raise ValueError(f"state.selection holds row {wrong[0]}, but there are only {len(self._x)} rows, from 0.")
        self.chart.selected = change["new"]
        self._show_tables()
        self.describe_again()

    @guard
    def _on_colour(self, change) -> None:
        if change["new"] == "cluster" and self.memberships is None:
            try:
                self._cluster()
            except ValueError:
                self.state.colour = change["old"]
                raise
        self.redraw()

    @guard
    def _on_cluster(self, change) -> None:
        self.show_status("Clustering …")
        try:
            self._cluster()
        except ValueError as error:
            self._show_tables()
            kept = "" if self.memberships is None else f" The {self.memberships.shape[1]} clusters from before stay."
            raise ValueError(f"{error}{kept}") from error
        self.state.reclustered = True
        if self.state.colour == "cluster":
            self.redraw()
        else:
            self.state.colour = "cluster"  # what the slider did should be seen

    def _cluster(self) -> None:
        from nasviz.predict.fcm import FuzzyCMeans

        # 1e-3 moves no membership visibly and keeps a slider quick
        fcm = FuzzyCMeans(self.state.n_clusters, self.state.fuzzifier, epsilon=1e-3, seed=0)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fcm.fit(self._x)
        self.memberships = checked_memberships(fcm.memberships_, len(self._x))
        self._remark = " ".join(str(warning.message) for warning in said)  # a page shows no warnings of Python

    @guard
    def _on_projection(self, change) -> None:
        self._project()

    def _project(self) -> None:
        if self.state.projection in self._maps:
            self.redraw()
        elif self._background is None:
            self._background = projection.Background(
                lambda: projection.umap(self._x), self._on_map, self._on_map_failure, self._on_map_progress
            )

    @guard
    def _on_map(self, xy: np.ndarray) -> None:
        self._background = None
        self._maps["UMAP"] = xy
        self.redraw()

    def _on_map_failure(self, error: Exception) -> None:
        self._background = None
        self.state.projection = "PCA"
        self.show_error(f"UMAP failed: {error}")

    def _on_map_progress(self, seconds: float) -> None:
        self.show_status(f"Computing UMAP, {seconds:.0f} s (the first time about 40 s). Until then this is the PCA.")
