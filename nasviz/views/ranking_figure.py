"""What a ranking shows: ranks, the best k, measures, where the panels stand, and its picture. No widgets."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from nasviz.views.export import Picture
from nasviz.views.theme import BLUE, GREY, ORANGE, matplotlib_style, si


class Variant(NamedTuple):
    """What one predictor says of N networks: `score` (N,) orders them, `value` (N,) is drawn and written.

    Both are the same, unless a score that only orders comes with predicted accuracies.
    """

    score: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Axes:
    """What the two axes of a ranking show.

    Attributes
    ----------
    x, y : str
        Labels with their units.
    ranks : bool
        Whether ranks are drawn, so that 1 stands at the far end of both axes.
    comparable : bool
        Whether the two axes have one unit, so that the diagonal is the perfect prediction.
    """

    x: str
    y: str
    ranks: bool
    comparable: bool

    @classmethod
    def of(cls, column: str, ranks: bool, percent: bool) -> "Axes":
        """The axes of a score's column; `percent` if its values are predicted accuracies."""
        if ranks:
            return cls("true rank (1 = best)", f"predicted rank by {column} (1 = best)", True, True)
        y = f"accuracy predicted by {column} (%)" if percent else f"score: {column}"
        return cls("true accuracy (%)", y, False, percent)

    def place(self, accuracy: np.ndarray, variant: Variant) -> tuple[np.ndarray, np.ndarray]:
        """Where the networks stand: both coordinates, each (N,)."""
        if self.ranks:
            return rank(accuracy), rank(variant.score)
        return 100 * accuracy, 100 * variant.value if self.comparable else variant.value


def rank(values: np.ndarray) -> np.ndarray:
    """The rank of each value, 1 for the greatest; equal values share the best of their ranks."""
    return pd.Series(values).rank(method="min", ascending=False).to_numpy(int)


def best(score: np.ndarray, k: int) -> np.ndarray:
    """Row numbers of the k greatest scores, best first; of equal scores the earlier row comes first."""
    return np.argsort(-score, kind="stable")[:k]


def top_table(table: pd.DataFrame, variant: Variant, k: int) -> pd.DataFrame:
    """The k networks that `variant` ranks first: both ranks, true and predicted value, and what `table` knows."""
    ranks = {"predicted rank": rank(variant.score), "true rank": rank(table["accuracy"].to_numpy())}
    frame = table.assign(**ranks, predicted=variant.value)
    first = ["predicted rank", "true rank", "accuracy", "predicted"]
    return frame.iloc[best(variant.score, k)][[*first, *(name for name in table if name != "accuracy")]]


def metrics_table(variants: Mapping[str, pd.DataFrame], accuracy: np.ndarray, percent: Sequence[str]) -> pd.DataFrame:
    """The ranking measures of every column of every variant.

    Parameters
    ----------
    variants : mapping of DataFrame
        Scores (N, columns), by the variant's name.
    accuracy : array (N,)
        True accuracies, fractions.
    percent : sequence of str
        Columns that hold predicted accuracies; the others have no mean absolute error.

    Returns
    -------
    DataFrame
        ``variant``, ``column``, ``srcc``, ``kendall``, ``ndcg@10``, ``ndcg@50``, ``mae`` (fraction; NaN where none).
    """
    from nasviz.predict.metrics import evaluate

    rows = []
    for variant, scores in variants.items():
        for column in scores:
            values = scores[column].to_numpy()
            predicted = values if column in percent else None
            if predicted is None and column == "score" and "accuracy" in scores:
                predicted = scores["accuracy"].to_numpy()
            rows.append({"variant": variant, "column": column, **evaluate(values, accuracy, predicted)})
    return pd.DataFrame(rows)


def grid(titles: Sequence[str], axes: Axes, narrow: bool) -> dict:
    """The plotly layout of the panels: side by side, or one below the other on a phone. All share both axes."""
    columns = 1 if narrow else len(titles)
    rows = len(titles) // columns
    gap_x, gap_y = 0.05, 0.16
    width, height = (1 - gap_x * (columns - 1)) / columns, (1 - gap_y * (rows - 1)) / rows
    direction = "reversed" if axes.ranks else True
    layout: dict = {"annotations": [], "height": 440 if rows == 1 else 60 + 340 * rows}
    layout |= {"hovermode": "closest", "dragmode": "zoom", "modebar": {"remove": ["lasso2d", "select2d"]}}
    for i, title in enumerate(titles):
        row, column = divmod(i, columns)
        x0, y1 = column * (width + gap_x), 1 - row * (height + gap_y)
        number = str(i + 1) if i else ""
        same = {"autorange": direction, **({"matches": "x"} if i else {})}
        layout[f"xaxis{number}"] = {
            **same,
            "anchor": f"y{number}",
            "domain": [x0, min(x0 + width, 1)],
            "title": {"text": axes.x},
        }
        layout[f"yaxis{number}"] = {
            **same,
            **({"matches": "y"} if i else {}),
            "anchor": f"x{number}",
            "domain": [max(y1 - height, 0), y1],
            "title": {"text": "" if column else axes.y},
            "tickformat": "" if axes.comparable else "~s",
        }
        layout["annotations"].append(
            {
                "text": f"<b>{html.escape(title)}</b>",
                "x": 0,
                "y": 1,
                "xref": f"x{number} domain",
                "yref": f"y{number} domain",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    layout["legend"] = {"yref": "container", "y": 1, "yanchor": "top"}
    layout["margin"] = {"t": 100 if narrow else 60}
    return layout


def draw(variants: Mapping[str, Variant], accuracy: np.ndarray, axes: Axes, k: int, titles: Sequence[str]) -> Picture:
    """Predicted against true, one panel a variant, with one y-axis for all.

    Parameters
    ----------
    variants : mapping of Variant
        What each predictor says, by its name.
    accuracy : array (N,)
        True accuracies, fractions.
    axes : Axes
        What is drawn.
    k : int
        How many of the best are marked.
    titles : sequence of str
        The line above each panel.
    """
    with matplotlib_style():
        figure = Picture(figsize=(4.2 * max(len(variants), 1.4), 4.4), layout="constrained")
        panels = figure.subplots(1, len(variants), sharex=True, sharey=True, squeeze=False)[0]
        size = float(np.clip(12000 / len(accuracy), 6, 30))  # points²
        for ax, variant, title in zip(panels, variants.values(), titles, strict=True):
            x, y = axes.place(accuracy, variant)
            top = np.isin(np.arange(len(x)), best(variant.score, k))
            if axes.comparable:
                ends = [min(x.min(), y.min()), max(x.max(), y.max())]
                ax.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="predicted = true")
            ax.scatter(x[~top], y[~top], s=size, c=BLUE, alpha=0.6, linewidths=0, label="networks")
            ax.scatter(x[top], y[top], s=size + 14, c=ORANGE, marker="D", linewidths=0, label=f"predicted top {k}")
            ax.set_title(title, loc="left", fontsize="medium")
            ax.set_xlabel(axes.x)
            ax.tick_params(labelleft=True)
        panels[0].set_ylabel(axes.y)
        if axes.ranks:  # shared, so once for all; the best stand at the top right, as with accuracies
            panels[0].invert_xaxis()
            panels[0].invert_yaxis()
        elif not axes.comparable:
            panels[0].yaxis.set_major_formatter(lambda value, _: si(value))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure
