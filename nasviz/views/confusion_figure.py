"""A confusion matrix as plain data, as a plotly figure and as a matplotlib figure."""

import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nasviz.views.export import Picture
from nasviz.views.text import shorten, verbatim
from nasviz.views.theme import ON_DARK, ON_LIGHT, SCALE, matplotlib_style, percent, plotly_template

WRITTEN_UP_TO = 15  # classes; of more, the numbers would not be readable in the cells
DARK = 0.5  # of the scale; from there on text is black, since the scale goes from dark to light
NARROW, WIDE = 340, 520  # pixels


@dataclass(frozen=True, eq=False)
class Matrix:
    """How often each class was taken for each.

    Attributes
    ----------
    counts : array (classes, classes)
        A row a true class, a column a predicted one.
    names : list of str
        Of the classes.
    """

    counts: np.ndarray
    names: list[str]

    @classmethod
    def read(cls, path: Path) -> "Matrix":
        """The matrix in a file that a plug-in left: Parquet or CSV, true classes as rows.

        Raises
        ------
        ValueError
            If the file is damaged, or holds no square table of counts.
        """
        try:
            frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, index_col=0)
            counts = frame.to_numpy(float)
        except (OSError, ValueError) as error:
            raise ValueError(f"{str(path)!r} cannot be read as a confusion matrix ({error}).") from error
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size or not (counts >= 0).all():
            raise ValueError(
                f"{str(path)!r} holds a table of shape {counts.shape}; a confusion matrix has a row and a column for "
                "each class, and no negative counts."
            )
        return cls(counts, [str(name) for name in frame.columns])

    @property
    def shares(self) -> np.ndarray:
        """Each row as fractions of its sum; NaN for a class without samples."""
        totals = self.counts.sum(1, keepdims=True)
        return np.divide(self.counts, totals, out=np.full(self.counts.shape, np.nan), where=totals > 0)

    @property
    def accuracy(self) -> float:
        """The fraction on the diagonal; NaN without samples."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")

    def by_class(self) -> pd.DataFrame:
        """Class, samples, recall, precision, and what it is most often taken for."""
        right, off = np.diag(self.counts), self.counts - np.diag(np.diag(self.counts))
        predicted = self.counts.sum(0)
        precision = np.divide(right, predicted, out=np.full(len(right), np.nan), where=predicted > 0)
        worst = [f"{self.names[row.argmax()]} ({row.max():,.0f})" if row.any() else "–" for row in off]
        return pd.DataFrame(
            {
                "class": self.names,
                "samples": self.counts.sum(1),
                "recall": np.diag(self.shares),
                "precision": precision,
                "taken for": worst,
            }
        )

    def text(self, counts: bool) -> list[list[str]]:
        """What stands in the cells."""
        if counts:
            return [[f"{value:,.0f}" for value in row] for row in self.counts]
        return [["" if np.isnan(value) else f"{100 * value:.0f}" for value in row] for row in self.shares]


def matrix_figure(matrix: Matrix, counts: bool, narrow: bool) -> go.Figure:
    """The matrix as a heat map; the first class at the top left."""
    shown = matrix.counts if counts else 100 * matrix.shares
    names = [html.escape(shorten(name, 16)) for name in matrix.names]
    hover = [
        [
            f"true class {true}, taken for {predicted}<br>{matrix.counts[i, j]:,.0f} of "
            f"{matrix.counts[i].sum():,.0f} samples, {percent(matrix.shares[i, j])}"
            for j, predicted in enumerate(names)
        ]
        for i, true in enumerate(names)
    ]
    written = len(names) <= WRITTEN_UP_TO
    top = (matrix.counts.max() if counts else 100) or 1
    heat = go.Heatmap(
        z=shown,
        x=names,
        y=names,
        colorscale=SCALE,
        zmin=0,
        zmax=float(top),
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        colorbar={"title": {"text": "samples" if counts else "%"}, "thickness": 12},
        xgap=1,
        ygap=1,
    )
    cells = [
        # plotly's own labels of cells have one colour for all
        {
            "x": j,
            "y": i,
            "text": text,
            "showarrow": False,
            "font": {"size": 10 if narrow else 13, "color": ON_LIGHT if shown[i, j] > DARK * top else ON_DARK},
        }
        for i, row in enumerate(matrix.text(counts) if written else [])
        for j, text in enumerate(row)
    ]
    axis = {"type": "category", "showgrid": False, "ticks": "", "showline": False, "fixedrange": True}
    layout = {
        "template": plotly_template(),
        "height": NARROW if narrow else WIDE,
        "xaxis": {**axis, "title": {"text": "predicted class"}, "tickangle": 0 if len(names) <= WRITTEN_UP_TO else -90},
        "yaxis": {**axis, "title": {"text": "true class"}, "autorange": "reversed"},
        "margin": {"t": 16},
        "dragmode": False,
        "annotations": cells,
    }
    return go.Figure([heat], layout)


def draw_matrix(matrix: Matrix, counts: bool, title: str) -> Picture:
    """The matrix as a picture."""
    shown, size = (matrix.counts if counts else 100 * matrix.shares), len(matrix.names)
    top = (matrix.counts.max() if counts else 100) or 1
    with matplotlib_style():
        figure = Picture(figsize=(6.4, 5.6), layout="constrained")
        ax = figure.subplots()
        image = ax.imshow(shown, cmap=SCALE.lower(), vmin=0, vmax=top)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        step = max(1, size // 20)
        ticks = range(0, size, step)
        labels = [verbatim(shorten(matrix.names[i], 10)) for i in ticks]
        ax.set_xticks(ticks, labels, rotation=90 if max(map(len, labels)) > 3 else 0)
        ax.set_yticks(ticks, labels)
        ax.tick_params(length=0)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.set_title(verbatim(title), loc="left", fontsize="medium")
        if size <= WRITTEN_UP_TO:
            for i, row in enumerate(matrix.text(counts)):
                for j, text in enumerate(row):
                    colour = ON_LIGHT if shown[i, j] > DARK * top else ON_DARK
                    ax.text(j, i, text, ha="center", va="center", fontsize="small", color=colour)
        figure.colorbar(image, ax=ax, label="samples" if counts else "% of the true class", shrink=0.8)
    return figure
