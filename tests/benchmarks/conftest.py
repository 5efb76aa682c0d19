"""These tests keep their graphs in a folder of their own, not in the user's cache."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "nasviz-cache"
    monkeypatch.setenv("NASVIZ_HOME", str(folder))
    return folder
