"""DataFrames as HTML tables that scroll and that a screen reader can read."""

import html
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from nasviz.views.export import Picture

ROWS_SHOWN = 200


def html_table(
    frame: pd.DataFrame,
    caption: str,
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    chosen: Sequence[bool] = (),
    swatches: Sequence[str] = (),
) -> str:
    """A DataFrame as an HTML table that scrolls, with a caption and column headers for screen readers.

    Parameters
    ----------
    frame : DataFrame
        The rows; at most ``ROWS_SHOWN`` of them are shown, and the caption says so.
    caption : str
        What the table is.
    formats : mapping, optional
        How to write the values of a column, by name. These columns and numeric ones are aligned to the right.
    chosen : sequence of bool, optional
        Which rows to print in bold, one value a row.
    swatches : sequence of str, optional
        HTML to put before the first cell, one a row.
    """
    formats = formats or {}
    if len(frame) > ROWS_SHOWN:
        caption = f"{caption}; the first {ROWS_SHOWN} of {len(frame):,} rows"
        frame = frame.head(ROWS_SHOWN)
    kinds = [
        "number" if name in formats or pd.api.types.is_numeric_dtype(frame[name]) else "text" if name == "arch" else ""
        for name in frame
    ]
    header = "".join(
        f'<th scope="col" class="{kind}">{html.escape(str(name))}</th>' for name, kind in zip(frame, kinds, strict=True)
    )
    writers = [formats.get(name, str) for name in frame]
    columns = [[_escape(write(value)) for value in frame[name]] for name, write in zip(frame, writers, strict=True)]
    if swatches:
        columns[0] = [f"{swatch} {value}" for swatch, value in zip(swatches, columns[0], strict=False)]
    rows = []
    for i, values in enumerate(zip(*columns, strict=True)):
        mark = ' class="chosen"' if len(chosen) and chosen[i] else ""
        cells = "".join(f'<td class="{kind}">{value}</td>' for kind, value in zip(kinds, values, strict=True))
        rows.append(f"<tr{mark}>{cells}</tr>")
    caption = html.escape(caption)
    return (
        f'<div class="nasviz-block"><p class="nasviz-caption">{caption}</p>'
        f'<div class="nasviz-table" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></div>"
    )


def table_picture(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, texts: int = 1) -> "Picture":
    """A table as a matplotlib Figure; `texts` is how many columns, from the left, are not aligned to the right."""
    from nasviz.views.export import Picture
    from nasviz.views.theme import GRID, matplotlib_style

    widths = [max(len(row[j]) for row in [columns, *rows]) + 2 for j in range(len(columns))]
    total = sum(widths)
    with matplotlib_style():
        figure = Picture(figsize=(min(16, 0.095 * total + 0.4), 0.27 * (len(rows) + 1) + 0.5))
        axes = figure.subplots()
        axes.axis("off")
        axes.set_title(title, loc="left", fontsize="medium")
        table = axes.table(
            list(rows), colLabels=list(columns), colWidths=[width / total for width in widths], bbox=(0, 0, 1, 1)
        )
        table.auto_set_font_size(False)
        table.set_fontsize(9)
        for (row, column), cell in table.get_celld().items():
            cell.set(edgecolor=GRID, linewidth=0.6, facecolor="none")
            cell.get_text().set(ha="left" if column < texts else "right", weight="bold" if row == 0 else "normal")
    return figure


def arch_lines(arch: str) -> str:
    """An architecture as HTML in short lines, broken behind a bar where it has some; for the label beside the mouse."""
    lines = textwrap.wrap(arch.replace("|", "| "), 46)
    return "<br>".join(html.escape(line.replace("| ", "|")) for line in lines)


def _escape(text: str) -> str:
    return html.escape(text).replace("|", "|<wbr>")  # where a long architecture may go on in the next line
