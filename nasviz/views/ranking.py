"""Rankings: what a predictor says against what is true, one or several variants side by side."""

import html
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.predict.checks import finite_array
from nasviz.predict.metrics import NO_RANKING, evaluate
from nasviz.views.panel import Panel, guard
from nasviz.views.ranking_figure import Axes, Variant, best, draw, grid, metrics_table, rank, top_table
from nasviz.views.state import RankingState
from nasviz.views.table import arch_lines, html_table
from nasviz.views.theme import BLUE, GL_FROM, GREY, ORANGE, percent, plotly_template, si

ALL = "all"
DIAGONAL = "predicted = true"
ORDERS = {"score", "capacity"}  # columns of ``model.score`` that only order, where an accuracy comes with them
Scores = pd.DataFrame | Mapping[str, pd.DataFrame]


class Ranking(Panel):
    """Predicted against true, the best k, and the ranking measures, of one predictor or of several variants.

    Parameters
    ----------
    scores : DataFrame, or mapping of DataFrame
        One row a network: ``score`` and, if wanted, columns of single members or baselines; any of them can rank. A
        mapping such as ``{"zero-shot": scores, "fine-tuned": scores}`` is shown side by side.
    accuracy : array or Series of length N
        True accuracies as fractions in [0, 1], in the same order.
    table : DataFrame, optional
        One row a network in the same order, with ``arch`` and ``family``; of several families one can be chosen.
    accuracies : sequence of str, optional
        The columns of the scores that hold predicted accuracies, which are drawn in percent and have a mean absolute
        error. Without it these are the columns with all values in [0, 1], but for a ``score`` that comes with an
        ``accuracy``, as from ``model.score``: such a score only orders, and the accuracy is drawn.
    across_families : bool
        Whether scores of different families can be compared, so that all can be ranked together. They cannot where each
        family was scored on its own, because ``model.score`` is relative to the networks it is given.
    state : RankingState, optional
        Where to open the view.

    Attributes
    ----------
    state : RankingState
        What is chosen; setting one of its traits moves the view.
    metrics : DataFrame
        The measures of every column of every variant, in the chosen family.
    top : mapping of DataFrame
        The best k of each variant.

    Raises
    ------
    ValueError
        For NaN, lengths that differ, fewer than two networks, or a missing column.

    Examples
    --------
    >>> accuracy = np.array([0.7, 0.9, 0.8])
    >>> view = Ranking(pd.DataFrame({"score": [0.6, 0.7, 0.9]}), accuracy)
    >>> view.top["predicted"]["true rank"].tolist()
    [2, 1, 3]
    """

    title = "nasviz ranking"

    def __init__(
        self,
        scores: Scores,
        accuracy,
        *,
        table: pd.DataFrame | None = None,
        accuracies: Sequence[str] | None = None,
        across_families: bool = True,
        state: RankingState | None = None,
    ):
        self._variants = _checked_scores(scores, accuracy)
        self._table = _checked_table(table, np.asarray(accuracy, dtype=float))
        first, frames = next(iter(self._variants.values())), self._variants.values()
        self._columns = [
            name for name in first if all(name in frame for frame in frames) and not NO_RANKING.match(name)
        ]
        self._percent = self._predicted_accuracies(accuracies)
        self._families = list(dict.fromkeys(self._table["family"])) if "family" in self._table else []
        self._metrics: dict[str, pd.DataFrame] = {}

        several = len(self._families) > 1
        if state is None:
            state = RankingState(family=self._families[0] if several and not across_families else ALL)
        super().__init__(state)
        families = [*([("all families", ALL)] if across_families else []), *((name, name) for name in self._families)]
        self._controls.children = [
            *([self.choice("family", "Family", families)] if several else []),
            self.choice("column", "Ranked by", self._columns),
            self.choice("k", "Top", sorted({10, 20, 50, state.k})),
            self.switch("ranks", "Rank against rank"),
            self.switch("picture", "Static picture"),
        ]
        self._metrics_box = widgets.HTML()
        self._top_boxes = [widgets.HTML() for _ in self._variants]
        self._side.children = [self._metrics_box]
        self._below.children = self._top_boxes
        self.redraw()
        state.observe(self._on_state, ["family", "column", "k", "ranks"])
        self.chart.observe(self._on_width, "narrow")

    def _predicted_accuracies(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            frames = self._variants.values()
            orders = ORDERS if "accuracy" in self._columns else set()
            within = (name for name in self._columns if all(frame[name].between(0, 1).all() for frame in frames))
            return [name for name in within if name not in orders]
        unknown = set(names) - set(self._columns)
        if unknown:
            raise ValueError(f"accuracies names {sorted(unknown)}, but the scores have {', '.join(self._columns)}.")
        return list(names)

    # -- what the view shows ------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> pd.DataFrame:
        """``srcc``, ``kendall``, ``ndcg@10``, ``ndcg@50`` and ``mae`` (fraction) by variant and column."""
        family = self.state.family
        if family not in self._metrics:
            scores = {name: frame[self._columns][self._rows] for name, frame in self._variants.items()}
            self._metrics[family] = metrics_table(scores, self._accuracy, self._percent)
        return self._metrics[family]

    @property
    def top(self) -> dict[str, pd.DataFrame]:
        """The k networks that each variant ranks first, with their predicted and true ranks in the chosen family."""
        return {name: top_table(self._shown, variant, self.state.k) for name, variant in self._chosen.items()}

    def static(self):
        """The scatter plots as a matplotlib Figure."""
        return draw(self._chosen, self._accuracy, self._axes, self.state.k, self._titles)

    def export_table(self) -> pd.DataFrame:
        """The chosen family: table, true rank, and of each variant the scores and the predicted rank."""
        frame = self._shown.assign(**{"true rank": rank(self._accuracy)})
        for variant, chosen in self._chosen.items():
            frame[f"{variant}: predicted rank"] = rank(chosen.score)
            for column in self._columns:
                frame[f"{variant}: {column}"] = self._variants[variant][column][self._rows].to_numpy()
        return frame

    def describe(self) -> str:
        """The charts in two sentences."""
        return (
            f"Scatter of {len(self._accuracy):,} networks of {self._family_name}: {self._axes.y} against "
            f"{self._axes.x}. {'; '.join(self._titles)}. Tables hold the numbers."
        )

    @property
    def _rows(self) -> np.ndarray:
        if self.state.family == ALL:
            return np.ones(len(self._table), dtype=bool)
        return (self._table["family"] == self.state.family).to_numpy()

    @property
    def _shown(self) -> pd.DataFrame:
        return self._table[self._rows]

    @property
    def _accuracy(self) -> np.ndarray:
        return self._shown["accuracy"].to_numpy()

    @property
    def _drawn(self) -> str:
        """The column that is drawn: the chosen one, or the predicted accuracies that come with a score."""
        only_orders = self.state.column == "score" and "score" not in self._percent
        return "accuracy" if only_orders and "accuracy" in self._percent else self.state.column

    @property
    def _chosen(self) -> dict[str, Variant]:
        frames = {name: frame[self._rows] for name, frame in self._variants.items()}
        order, drawn = self.state.column, self._drawn
        return {name: Variant(frame[order].to_numpy(), frame[drawn].to_numpy()) for name, frame in frames.items()}

    @property
    def _axes(self) -> Axes:
        return Axes.of(self.state.column, self.state.ranks, self._drawn in self._percent)

    @property
    def _family_name(self) -> str:
        if self.state.family == ALL:
            return "all families" if len(self._families) > 1 else "".join(self._families) or "one population"
        return self.state.family

    @property
    def _titles(self) -> list[str]:
        metrics = self.metrics
        srcc = metrics[metrics["column"] == self.state.column].set_index("variant")["srcc"]
        return [f"{name}: SRCC {_three(srcc[name])}" for name in self._variants]

    # -- drawing ------------------------------------------------------------------------------------------------------

    def figure(self) -> go.Figure:
        """The scatter plots as a plotly figure."""
        axes, k = self._axes, self.state.k
        kind = go.Scattergl if len(self._accuracy) * len(self._variants) > GL_FROM else go.Scatter
        dots = {"mode": "markers", "hovertemplate": "%{customdata}<extra></extra>"}
        traces = []
        for i, (name, variant) in enumerate(self._chosen.items()):
            on = {"xaxis": f"x{i + 1}", "yaxis": f"y{i + 1}", "showlegend": i == 0}
            x, y = axes.place(self._accuracy, variant)
            hover = np.array(self._hover(name, variant), dtype=object)
            top = best(variant.score, k)
            rest = np.setdiff1d(np.arange(len(x)), top)
            if axes.comparable:
                ends = [min(x.min(), y.min()), max(x.max(), y.max())]
                line = {"color": GREY, "dash": "dash", "width": 1}
                traces.append(
                    go.Scatter(x=ends, y=ends, mode="lines", line=line, name=DIAGONAL, hoverinfo="skip", **on)
                )
            look = {"color": BLUE, "size": 7, "opacity": 0.6}
            traces.append(
                kind(x=x[rest], y=y[rest], customdata=hover[rest], marker=look, name="networks", **dots, **on)
            )
            look = {"color": ORANGE, "size": 9, "symbol": "diamond"}
            label = f"predicted top {k}"
            traces.append(kind(x=x[top], y=y[top], customdata=hover[top], marker=look, name=label, **dots, **on))
        return go.Figure(traces, {"template": plotly_template(), **grid(self._titles, axes, self.chart.narrow)})

    def redraw(self) -> None:
        """Draw chart and tables in the present state."""
        super().redraw()
        self._show_tables()

    def _hover(self, name: str, variant: Variant) -> list[str]:
        percents = self._drawn in self._percent
        rows, true_ranks, ranks = self._shown.to_dict("records"), rank(self._accuracy), rank(variant.score)
        result = []
        for row, value, true, predicted in zip(rows, variant.value, true_ranks, ranks, strict=True):
            family = html.escape(str(row.get("family", "")))
            result.append(
                f"<b>{html.escape(name)}</b> {family}<br>{arch_lines(row['arch'])}<br>"
                f"true {percent(row['accuracy'])}, rank {true}<br>"
                f"predicted {percent(value) if percents else si(value)}, rank {predicted}"
            )
        return result

    def _show_tables(self) -> None:
        metrics, column = self.metrics, self.state.column
        names = ["srcc", "kendall", "ndcg@10", "ndcg@50"]
        formats = {**dict.fromkeys(names, _three), "mae": _percent_points}
        caption = f"Ranking measures, {self._family_name}"
        self._metrics_box.value = html_table(metrics, caption, formats, list(metrics["column"] == column))
        formats = {"accuracy": percent, "predicted": percent if self._drawn in self._percent else si}
        several = self.state.family == ALL and len(self._families) > 1
        for box, (name, top) in zip(self._top_boxes, self.top.items(), strict=True):
            names = [*top.columns[:4], *(["family"] if several else []), "arch"]
            box.value = html_table(top[names], f"{name}: top {len(top)} by {column}", formats)
        n, total = len(self._accuracy), len(self._table)
        self.show_status(f"{n:,} of {total:,} networks shown ({self._family_name}), ranked by {column}.")

    # -- what the user does -------------------------------------------------------------------------------------------

    @guard
    def _on_state(self, change) -> None:
        self.redraw()

    @guard
    def _on_width(self, change) -> None:
        self.chart.draw(self.figure())


def _three(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"


def _percent_points(value: float) -> str:
    return f"{100 * value:.2f} %" if np.isfinite(value) else "–"


def _checked_scores(scores: Scores, accuracy) -> dict[str, pd.DataFrame]:
    variants = dict(scores) if isinstance(scores, Mapping) else {"predicted": scores}
    if not variants:
        raise ValueError("scores is an empty mapping; name at least one variant, as in {'zero-shot': scores}.")
    checked = {}
    for name, frame in variants.items():
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(
                f"scores of {name!r} must be a DataFrame with the column 'score', not {type(frame).__name__}."
            )
        if "score" not in frame:
            raise ValueError(f"scores of {name!r} lack the column 'score'; they have {', '.join(map(str, frame))}.")
        try:
            evaluate(frame["score"], accuracy)  # lengths, order of labels, fractions
            numbers = frame.select_dtypes("number")
            for column in numbers:
                finite_array(f"column {column!r}", numbers[column])
        except ValueError as error:
            raise ValueError(f"scores of {name!r}: {error}") from error
        checked[str(name)] = numbers.rename(columns=str).reset_index(drop=True)
    return checked


def _checked_table(table: pd.DataFrame | None, accuracy: np.ndarray) -> pd.DataFrame:
    if table is None:
        table = pd.DataFrame({"arch": [f"network {i}" for i in range(len(accuracy))]})
    if not isinstance(table, pd.DataFrame) or "arch" not in table:
        raise ValueError("table must be a DataFrame with a column 'arch' and, if there are several, 'family'.")
    if len(table) != len(accuracy):
        raise ValueError(f"table has {len(table)} rows, but accuracy has {len(accuracy)}; bring one row a network.")
    taken = {"accuracy", "predicted", "predicted rank", "true rank"}
    frame = table.drop(columns=[name for name in table if name in taken]).reset_index(drop=True)
    text = {name: str for name in ("family", "arch") if name in frame}
    return frame.astype(text).assign(accuracy=accuracy)
