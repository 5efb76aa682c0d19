"""A table that is sorted by a click on a column's header, as a widget."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anywidget
from traitlets import Unicode

SORTED = {"": ("none", ""), "ascending": ("ascending", " ▲"), "descending": ("descending", " ▼")}


@dataclass(frozen=True)
class Grid:
    """A table as text.

    Attributes
    ----------
    columns : sequence of str
        The headers, each once.
    rows : sequence of sequence of str
        The cells.
    foot : sequence of str
        A last row that stays in sight; empty: none.
    texts : int
        How many columns, counted from the left, hold text; the others are aligned to the right.
    classes : mapping of (row, column) to str
        CSS classes of single cells.
    chosen_rows, chosen_columns : sequence of int
        What is printed in bold.
    keys : sequence of str
        Names the rows, which can then be clicked; empty: they cannot.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    foot: Sequence[str] = ()
    texts: int = 1
    classes: Mapping[tuple[int, int], str] = field(default_factory=dict)
    chosen_rows: Sequence[int] = ()
    chosen_columns: Sequence[int] = ()
    keys: Sequence[str] = ()

    def html(self, caption: str, sort: str = "", descending: bool = False) -> str:
        """The table as HTML that scrolls, its headers buttons; `sort` is the column that orders it."""
        kinds = ["" if i < self.texts else "number" for i in range(len(self.columns))]
        header = []
        for i, name in enumerate(self.columns):
            order = ("descending" if descending else "ascending") if name == sort else ""
            aria, arrow = SORTED[order]
            text = html.escape(name)
            bold = " chosen" if i in self.chosen_columns else ""
            header.append(
                f'<th scope="col" class="{kinds[i]}{bold}" aria-sort="{aria}">'
                f'<button type="button" data-sort="{text}" title="Sort by {text}">{text}{arrow}</button></th>'
            )
        bold_columns = set(self.chosen_columns)
        kinds = [kind + (" chosen" if i in bold_columns else "") for i, kind in enumerate(kinds)]
        body = []
        for i, row in enumerate(self.rows):
            cells = "".join(
                f'<td class="{kinds[j]} {self.classes.get((i, j), "")}">{html.escape(text)}</td>'
                for j, text in enumerate(row)
            )
            chosen = i in self.chosen_rows
            mark = ' class="chosen"' if chosen else ""
            if self.keys:
                mark += f' data-key="{html.escape(self.keys[i])}" tabindex="0" aria-selected="{str(chosen).lower()}"'
            body.append(f"<tr{mark}>{cells}</tr>")
        foot = "".join(
            f'<td class="{kind}">{html.escape(text)}</td>' for kind, text in zip(kinds, self.foot, strict=False)
        )
        caption = html.escape(caption)
        return (
            f'<div class="nasviz-block"><p class="nasviz-caption">{caption}</p>'
            f'<div class="nasviz-table" tabindex="0" role="region" aria-label="{caption}"><table>'
            f"<thead><tr>{''.join(header)}</tr></thead><tbody>{''.join(body)}</tbody>"
            f"{f'<tfoot><tr>{foot}</tr></tfoot>' if foot else ''}</table></div></div>"
        )


class SortableTable(anywidget.AnyWidget):
    """Shows what :meth:`Grid.html` made.

    Calls `on_sort` with the name of a column whose header was clicked, `on_row` with the key of a row.
    """

    _esm = Path(__file__).parent / "js" / "table.js"
    html = Unicode().tag(sync=True)

    def __init__(self, on_sort: Callable[[str], None], on_row: Callable[[str], None] | None = None, **traits):
        super().__init__(**traits)
        self._on_sort, self._on_row = on_sort, on_row
        self.on_msg(self._on_message)

    def _on_message(self, widget, content: Mapping, buffers) -> None:
        if content.get("kind") == "sort":
            self._on_sort(str(content.get("column")))
        elif content.get("kind") == "row" and self._on_row is not None:
            self._on_row(str(content.get("key")))
