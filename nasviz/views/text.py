"""Text in charts: short enough for its place, and never taken as HTML."""

import html
from collections.abc import Sequence


def shorten(text: str, length: int) -> str:
    """A text of at most `length` characters; a longer one keeps its two ends: ``"features.3…conv1"``."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def hover(title: str, *lines: str) -> str:
    """What stands beside the mouse: a title in bold and lines below it."""
    return "<br>".join(
        [f"<b>{html.escape(shorten(title, 60))}</b>", *(html.escape(shorten(line, 60)) for line in lines)]
    )


def verbatim(text: str) -> str:
    """A text for matplotlib, which would take what stands between two dollars as a formula."""
    return text.replace("$", r"\$")


def tick_labels(names: Sequence[str], length: int) -> list[str]:
    """Dotted names in at most about `length` characters, each once; a long one keeps its end: ``"…es.3.conv1"``."""
    result: dict[str, None] = {}
    for name in names:
        label, turn = name if len(name) <= length else f"…{name[1 - length :]}", 1
        first = label
        while label in result:
            turn += 1
            label = f"{first} ({turn})"
        result[label] = None
    return list(result)
