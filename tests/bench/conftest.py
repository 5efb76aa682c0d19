"""Where benchmarks write down what they measured."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))  # the networks that are counted

PAGE = Path(__file__).with_name("RESULTS.md")
HEAD = "# What the benchmarks measured\n\nWritten by `python -m pytest -m bench tests/bench`.\n"


@pytest.fixture
def results():
    """A function (title, text, table) that replaces the section `title` of the page."""

    def write(title: str, text: str, table: pd.DataFrame) -> None:
        old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", old, re.MULTILINE))
        sections[title] = f"\n{text}\n\n```\n{table.to_string()}\n```\n"
        body = "\n".join(f"## {name}\n\n{content.strip()}\n" for name, content in sections.items())
        PAGE.write_text(f"{HEAD}\n{body}", encoding="utf-8")

    return write
