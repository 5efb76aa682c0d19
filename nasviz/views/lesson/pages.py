"""What a page of the lesson is: its controls, and all that it shows in a state."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from nasviz.views.lesson.charts import LessonChart
from nasviz.views.lesson.drawing import Drawing
from nasviz.views.lesson.formulas import Product, written
from nasviz.views.lesson.state import LessonState

if TYPE_CHECKING:
    import ipywidgets as widgets

    from nasviz.views.lesson.panel import FlopsLesson


@dataclass(frozen=True)
class Shown:
    """What a page shows in a state.

    Attributes
    ----------
    chart : LessonChart
        Bars or points.
    table : DataFrame
        The numbers behind the chart, all of them.
    description : str
        Chart and drawing in words.
    status : str
        The state in a sentence.
    formula, side : str
        HTML: the formula with its numbers, and what stands beside the chart.
    drawing : Drawing, optional
        What the layer does.
    """

    chart: LessonChart
    table: pd.DataFrame
    description: str
    status: str
    formula: str = ""
    side: str = ""
    drawing: Drawing | None = None


class Page(Protocol):
    """A page of the lesson."""

    def controls(self, lesson: "FlopsLesson") -> "list[widgets.Widget]":
        """Its sliders, bound to the lesson's state."""

    def steps(self, state: LessonState) -> int:
        """How many steps its drawing goes through; a ValueError says why there is nothing to show."""

    def show(self, state: LessonState, narrow: bool) -> Shown:
        """What it shows."""


def formula_html(terms: Sequence[Product], unit: str, name: str = "", legend: bool = True) -> str:
    """A sum of products as HTML: each factor its number with its symbol below, and what the symbols stand for.

    Parameters
    ----------
    terms : sequence of Product
        What is added up.
    unit : str
        Of the sum.
    name : str
        What is computed; empty: not said.
    legend : bool
        Whether the symbols are explained below it.
    """
    total = sum(term.value for term in terms)
    parts = []
    for i, term in enumerate(terms):
        boxes = [
            f'<span class="nasviz-factor" title="{html.escape(factor.meaning)}"><b>{written(factor.value)}</b>'
            f"<i>{symbol_html(factor.symbol) if factor.symbol != written(factor.value) else '&nbsp;'}</i></span>"
            for factor in term.factors
        ]
        parts += [f"<span>{'+' if i else ''}</span>", "<span>·</span>".join(boxes)]
    spoken = " + ".join(term.numbers.split(" = ")[0] for term in terms).replace("·", "times")
    label = html.escape(f"{name} {spoken} = {written(total)} {unit}".strip())
    meanings: dict[str, list[str]] = {}
    for factor in (factor for term in terms for factor in term.factors):
        symbols = meanings.setdefault(factor.meaning, [])
        if factor.symbol not in symbols:
            symbols.append(factor.symbol)
    explained = "; ".join(
        f"{', '.join(symbol_html(symbol) for symbol in symbols)}: {html.escape(meaning)}"
        for meaning, symbols in meanings.items()
    )
    title = f'<span class="nasviz-name">{html.escape(name)}</span>' if name else ""
    return (
        f'<div class="nasviz-formula" role="math" aria-label="{label}">{title}{"".join(parts)}<span>=</span>'
        f'<b class="nasviz-result">{written(total)}</b><span>{html.escape(unit)}</span></div>'
    ) + (f'<p class="nasviz-legend">{explained}</p>' if legend else "")


def line_html(text: str, label: str = "") -> str:
    """A formula in one line, such as that of the output's size."""
    return f'<p class="nasviz-line" role="math" aria-label="{html.escape(label or text)}">{symbol_html(text)}</p>'


def symbol_html(text: str) -> str:
    """``C_out`` with its index below the line."""
    return re.sub(r"_([A-Za-z]+)", r"<sub>\1</sub>", html.escape(text))


def count_table(frame: pd.DataFrame) -> dict:
    """How :func:`~nasviz.views.table.html_table` writes the numeric columns of a table."""
    return dict.fromkeys(frame.select_dtypes("number"), written_cell)


def written_cell(value: float) -> str:
    """A number of a table: whole ones with all digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"
