"""A cost table as text for the terminal, as a page of its own, as JSON and as CSV."""

import html
import json
from collections.abc import Callable

import pandas as pd

from nasviz.graph.cost import CONVENTIONS, CostTable

HEADS = ("Layer", "Operator", "Output shape", "Parameters", "MACs", "% of MACs", "FLOPs")


def report(table: CostTable, form: str, title: str) -> str:
    """The table in one of `FORMS`.

    Parameters
    ----------
    table : CostTable
    form : str
        "table", "json", "csv" or "html".
    title : str
        What was counted.
    """
    return FORMS[form](table, title)


def as_text(table: CostTable, title: str) -> str:
    """Lines of columns, as wide as they need to be; what only moves data is left out and its number told."""
    rows, left_out = _rows(table)
    cells = [HEADS, *rows, _total(table)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADS))]

    def line(row: tuple[str, ...]) -> str:
        parts = [cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(parts).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [line(HEADS), rule, *map(line, rows), rule, line(cells[-1]), "", *_notes(table, left_out)]
    return "\n".join([title, "", *body])


def as_html(table: CostTable, title: str) -> str:
    """A page that needs nothing but itself."""
    rows, left_out = _rows(table)

    def line(row: tuple[str, ...], tag: str = "td") -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"

    notes = "".join(f"<p>{html.escape(note)}</p>" for note in _notes(table, left_out))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        "body{font:15px/1.4 system-ui,sans-serif;margin:1.5rem;color:#222;background:#fff}"
        "h1{font-size:1.3rem;overflow-wrap:anywhere}"
        "div{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        "th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}"
        "th:nth-child(-n+3),td:nth-child(-n+3){text-align:left}tfoot td{font-weight:bold;border-top:2px solid #222}"
        f"</style></head><body><h1>{html.escape(title)}</h1><div><table><thead>{line(HEADS, 'th')}</thead><tbody>"
        f"{''.join(map(line, rows))}</tbody><tfoot>{line(_total(table))}</tfoot></table></div>{notes}</body></html>"
    )


def as_json(table: CostTable, title: str) -> str:
    """Everything, in whole numbers; the keys are those of `CostTable`."""
    found = {
        "title": title,
        "convention": table.convention,
        "total": dict(table.total),
        "uncounted": {str(name): int(calls) for name, calls in table.uncounted.to_numpy()},
        "by_layer": json.loads(table.by_layer.to_json(orient="records")),
    }
    return json.dumps(found, indent=2)


def as_csv(table: CostTable, title: str) -> str:
    """The rows of `by_layer`, one an operator."""
    return table.by_layer.to_csv(index=False).rstrip("\n")


FORMS: dict[str, Callable[[CostTable, str], str]] = {
    "table": as_text,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


def _rows(table: CostTable) -> tuple[list[tuple[str, ...]], int]:
    """The operators that cost something or are not counted, as words, and how many others there are."""
    layers = table.by_layer
    shown = layers[(layers[["macs", "other", "params"]] != 0).any(axis=1) | ~layers["counted"]]
    return [_row(row, table.total["macs"]) for row in shown.to_dict("records")], len(layers) - len(shown)


def _row(row: dict, macs: int) -> tuple[str, ...]:
    share = f"{100 * row['macs'] / macs:.1f}" if row["macs"] else ""
    counted = (_number(row["macs"]), share, _number(row["flops"])) if row["counted"] else ("not counted", "", "")
    return (row["layer"], row["op"], " x ".join(map(str, row["out_shape"])), _number(row["params"]), *counted)


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _total(table: CostTable) -> tuple[str, ...]:
    bound = "≥ " if len(table.uncounted) else ""
    total = table.total
    share = "100.0" if total["macs"] else ""
    return ("Total", "", "", f"{total['params']:,}", f"{bound}{total['macs']:,}", share, f"{bound}{total['flops']:,}")


def _notes(table: CostTable, left_out: int) -> list[str]:
    total, series = table.total, pd.Series(table.uncounted["calls"].to_numpy(), table.uncounted["operator"])
    notes = [
        f"FLOPs, {table.convention} convention: {CONVENTIONS[table.convention].describe}.",
        f"Memory of the parameters: {total['size_bytes']:,} bytes. "
        f"Elements put out by operators with MACs: {total['activations']:,}.",
    ]
    if left_out:
        notes.append(f"Left out (inputs, and operators that only move data): {left_out}.")
    if len(series):
        names = ", ".join(f"{name} × {calls}" for name, calls in series.items())
        notes.append(f"Not counted, so that the totals are lower bounds: {names}.")
    return notes
