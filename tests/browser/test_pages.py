"""Views saved as HTML, opened as files: no server, no kernel, no network; light and dark."""

import re

import pytest

from tests.views.test_every_view import MAKERS

pytestmark = pytest.mark.browser
PLOTLY = "CycleBars CyclesPage EmbeddingScatter".split()
DRAWN = "CycleExplorer CyclesPage".split()


@pytest.mark.parametrize("name", ["CycleBars", "CycleExplorer", "CycleOverview", "CyclesPage", "EmbeddingScatter"])
def test_a_saved_page_shows_its_view_without_a_kernel(page, tmp_path, name):
    path = MAKERS[name]().save(tmp_path / "page.html")
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.emulate_media(color_scheme="dark")
    page.goto(path.as_uri())
    if name in PLOTLY:
        page.locator(".main-svg").first.wait_for()
        colours = page.locator(".xtick text").first.evaluate("text => getComputedStyle(text).fill")
        assert min(map(int, re.findall(r"\d+", colours)[:3])) > 180  # light on dark
        page.emulate_media(color_scheme="light")
        page.wait_for_function(
            "() => getComputedStyle(document.querySelector('.xtick text')).fill.match(/\\d+/)[0] < 100"
        )
    if name in DRAWN:
        page.locator("#network g.box").first.wait_for()
    assert page.locator("table tbody tr").count() > 1
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (set(asked), errors) == ({path.as_uri()}, [])
