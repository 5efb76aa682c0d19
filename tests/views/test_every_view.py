"""What holds for every view: a page that needs no kernel, a table, a static twin, words for those who do not see.

A new view is held to it as soon as the room's face names it. tests/browser/test_pages.py opens the pages.
"""

import io
import re
from xml.etree import ElementTree

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from nasviz import views
from nasviz.cycles import Run, demo
from nasviz.families import get
from nasviz.views.chart import Chart


def scatter():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"family": ["nb101", "nb201"] * 15, "arch": [f"a{i}" for i in range(30)]})
    return views.EmbeddingScatter(rng.normal(size=(30, 4)), None, table.assign(accuracy=rng.random(30), macs=1000))


def ranking():
    rng = np.random.default_rng(0)
    accuracy = pd.Series(rng.random(30))
    scores = pd.DataFrame({"score": accuracy + rng.normal(0, 0.1, 30), "FLOPs": rng.random(30)})
    table = pd.DataFrame({"family": "nb101", "arch": [f"a{i}" for i in range(30)], "accuracy": accuracy})
    return views.Ranking(scores, accuracy, table=table)


def network():
    family = get("nb201")
    return views.NetworkExplorer(family.graph(family.sample(1, seed=0)[0]))


def of_run(name):
    return lambda: getattr(views, name)(Run.open(demo()), state=views.CyclesState(cycle=5))


OF_RUN = ["Confusion", "CycleActions", "CycleBars", "CycleExplorer", "CycleOverview", "CyclesPage", "LayerComparison"]
MAKERS = {name: of_run(name) for name in [*OF_RUN, "Pareto"]}
MAKERS |= {"EmbeddingScatter": scatter, "FlopsLesson": views.FlopsLesson, "NetworkExplorer": network}
MAKERS |= {"Ranking": ranking}


CONTROLS = (widgets.Dropdown, widgets.Checkbox, widgets.Text, widgets.SelectMultiple, widgets.Button)


@pytest.fixture(scope="module")
def view(request):
    return MAKERS[request.param]()


def every(widget):
    """A widget and all that it shows."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from every(child)


def test_no_view_is_left_out():
    kinds = {name: getattr(views, name) for name in views.__all__}
    found = {name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, widgets.DOMWidget)}
    assert found == set(MAKERS)


@pytest.mark.parametrize("view", MAKERS, indirect=True)
def test_a_view_is_saved_as_a_page_that_needs_no_kernel(view, tmp_path):
    page = view.save(tmp_path / "page.html").read_text(encoding="utf-8")
    tags = r"<(?:link|script|img|iframe|object)\b[^>]*?(?:href|src|data)=[\"']?(?!data:)([^\"'> ]+)"
    outside = re.findall(tags, page)
    assert outside == [] and "jupyter.widget" not in page and "require(" not in page.split("<body>")[0]
    assert page.count("Plotly.newPlot(") <= page.count('role="group" tabindex="0"')
    assert page.count("plotly.js v") <= 1  # once, however many charts it has

    # the table twin, whole, and the text alternative
    table = view.export_table()
    assert len(table) and len(table.columns) > 1
    body = page[page.index("<table", page.index('class="table" tabindex="0"')) :]
    rows = ElementTree.fromstring(re.sub(r"&nbsp;", " ", body[: body.index("</table>") + 8]).replace('border="0"', ""))
    assert len(rows.findall("./tbody/tr")) == min(len(table), 1000)
    assert [cell.text for cell in rows.findall("./thead/tr/th")] == [str(name) for name in table]
    text = view.describe()
    assert text.endswith(".") and len(text.split()) > 4
    assert re.search("<figcaption>[^<]{20,}</figcaption>", page)


@pytest.mark.parametrize("view", MAKERS, indirect=True)
def test_a_view_has_a_static_twin_and_files(view, tmp_path, monkeypatch):
    figure = view.static()
    assert isinstance(figure, Figure)
    monkeypatch.setattr(view, "static", lambda: figure)  # drawn once
    drawn = imread(io.BytesIO(view.save(tmp_path / "a.png").read_bytes()))[..., :3]
    assert drawn.shape[0] > 60 and drawn.shape[1] > 200 and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10
    assert "<svg" in view.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    pd.testing.assert_index_equal(pd.read_csv(view.save(tmp_path / "a.csv")).columns, view.export_table().columns)


@pytest.mark.parametrize("view", MAKERS, indirect=True)
def test_a_view_is_reached_by_keyboard_and_says_what_it_shows(view):
    shown = list(every(view))
    charts = [widget for widget in shown if isinstance(widget, Chart)]
    texts = [str(getattr(widget, name, "")) for widget in shown for name in ("value", "html")]
    tables = [text for text in texts if "<table" in text]
    assert len(tables) >= bool(charts)
    for chart in charts:
        assert chart.description.endswith(".") and len(chart.description.split()) > 4
    for text in tables:  # a table that scrolls can be reached and scrolled with the keys, and has a name
        for tag in re.findall(r'<div class="nasviz-table"[^>]*>', text):
            assert 'tabindex="0"' in tag and re.search('aria-label="[^"]+"', tag)
        for tag in re.findall(r"<th\b[^>]*>", text):
            assert 'scope="' in tag
        assert all('tabindex="0"' in tag for tag in re.findall(r"<tr[^>]*data-key[^>]*>", text))
    for widget in shown:  # and every control has a name
        if isinstance(widget, CONTROLS):
            name = widget.description or widget.tooltip
            assert name and name.strip(), type(widget).__name__
        if isinstance(widget, widgets.Button) and not re.search(r"\w", widget.description):
            assert widget.tooltip, f"the button {widget.description!r} says nothing to a screen reader"
