"""Pages of the docstrings: every public name is on them, and says what it is."""

import inspect
import re
import sys

import pytest
from typer.testing import CliRunner

import nasviz as nv
from nasviz.apidocs import build_docs, public_modules
from nasviz.cli import app


def described(value: object) -> bool:
    """Whether somebody wrote a docstring; a dataclass without one gets its own signature from Python."""
    text = (value.__doc__ or "").strip()
    return bool(text) and not text.startswith(f"{getattr(value, '__name__', '')}(")


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module):
    assert described(module) and module.__all__
    silent = []
    for name in module.__all__:
        value = getattr(module, name)
        if not described(value):
            silent.append(name)
        if inspect.isclass(value):
            for method, raw in vars(value).items():
                if not method.startswith("_") and inspect.isroutine(raw) and not inspect.getdoc(getattr(value, method)):
                    silent.append(f"{name}.{method}")
    assert silent == []


def test_a_class_without_a_docstring_is_found():
    from dataclasses import dataclass

    @dataclass
    class Silent:
        x: int

    assert Silent.__doc__ and not described(Silent)


def test_pages_of_two_rooms(tmp_path):
    done = CliRunner().invoke(
        app, ["docs", "--out", str(tmp_path), "--room", "nasviz.search", "--room", "nasviz.families"]
    )
    assert done.exit_code == 0 and done.stdout.strip() == str(tmp_path / "index.html")
    for module in (nv.search, nv.families):
        page = (tmp_path / f"{module.__name__.replace('.', '/')}.html").read_text(encoding="utf-8")
        assert [name for name in module.__all__ if f'id="{name}"' not in page] == []
        first = inspect.getdoc(getattr(module, module.__all__[0])).splitlines()[0]
        assert re.sub(r"\W+", " ", first).strip()[:30] in re.sub(r"\W+", " ", re.sub(r"<[^>]+>", "", page))
        assert re.findall(r'(?:src|href)="https?://(?!pdoc\.dev)', page) == []  # its badge is a link, nothing is loaded


def test_a_room_that_is_not_there_and_pdoc_that_is_not(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="no room 'nasviz.vews'; there are: nasviz, nasviz.benchmarks"):
        build_docs(tmp_path, ["nasviz.vews"])
    monkeypatch.setitem(sys.modules, "pdoc", None)
    done = CliRunner().invoke(app, ["docs", "--out", str(tmp_path)])
    assert done.exit_code == 2 and "pip install 'nasviz[docs]'" in done.stderr
