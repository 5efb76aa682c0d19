"""These tests keep their graphs in a folder of their own, not in the user's cache; where real files are to be found."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "nasviz-cache"
    monkeypatch.setenv("NASVIZ_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder with small files that the benchmarks' own code wrote, from the variable ``NASVIZ_FIXTURES``."""
    folder = os.environ.get("NASVIZ_FIXTURES")
    if not folder:
        pytest.skip("NASVIZ_FIXTURES is not set; point it at the folder with nb201_mini_legacy.pth and its siblings")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"NASVIZ_FIXTURES={folder!r} is no folder")
    return path
