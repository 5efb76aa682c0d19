"""The views in the hands of a user: in JupyterLab and in Voilà, with mouse and keyboard, in a real browser."""

import os
import re

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from nasviz.resources import dashboards_folder
from nasviz.views import voila_command, voila_environment

pytestmark = pytest.mark.browser
N = 300

VIEWS = f"""
import numpy as np, pandas as pd
from nasviz.views import EmbeddingScatter, Ranking

rng = np.random.default_rng(0)
x = np.repeat(8 * np.eye(3, 6), {N // 3}, axis=0) + rng.normal(size=({N}, 6))
table = pd.DataFrame({{
    "family": ["nb101"] * 100 + ["nb201"] * {N - 100},
    "arch": [f"|conv~{{i}}|" for i in range({N})],
    "accuracy": rng.uniform(0.5, 0.9, {N}),
}})
scores = pd.DataFrame({{"score": table["accuracy"] + rng.normal(0, 0.02, {N}), "random": rng.random({N})}})
display(EmbeddingScatter(x, None, table))
display(Ranking(scores, table["accuracy"], table=table))
"""


@pytest.fixture
def ranking_file(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"family": ["nb101"] * 40 + ["nb201"] * 60, "arch": [f"|conv~{i}|" for i in range(100)]})
    table["accuracy"], table["macs"] = rng.uniform(0.5, 0.9, 100), rng.integers(1e6, 9e7, 100)
    variants = {"zero-shot": 0.05, "fine-tuned": 0.01}
    frames = [
        table.assign(variant=name, score=table["accuracy"] + rng.normal(0, noise, 100), FLOPs=2.0 * table["macs"])
        for name, noise in variants.items()
    ]
    pd.concat(frames).to_parquet(tmp_path / "ranking.parquet")
    return tmp_path / "ranking.parquet"


def lasso(page, chart) -> None:
    """Draw a lasso around the middle of a chart, slowly enough for plotly, which looks 20 times a second."""
    box = chart.locator(".nsewdrag").first.bounding_box()
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reach_x, reach_y = 0.45 * box["width"], 0.45 * box["height"]
    page.mouse.move(middle_x - reach_x, middle_y - reach_y)
    page.mouse.down()
    for x, y in [(1, -1), (1, 1), (-1, 1), (-0.9, -0.5)]:  # an end on the start would be a click
        page.mouse.move(middle_x + x * reach_x, middle_y + y * reach_y, steps=4)
        page.wait_for_timeout(80)
    page.mouse.up()


def test_lab(page, serve, watch, notebook, lab_command, tmp_path):
    notebook(VIEWS)
    server = serve(lab_command, dict(os.environ), "/api")
    outside, errors = watch(page, server)
    page.goto(f"{server}/lab/tree/page.ipynb?reset")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")  # "run" before that would be lost
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()

    scatter, ranking = page.locator(".nasviz-panel").nth(0), page.locator(".nasviz-panel").nth(1)
    points = scatter.locator(".scatterlayer path.point")
    points.first.wait_for()
    expect(points).to_have_count(N)
    expect(scatter.locator("[role=img]")).to_have_attribute("aria-label", re.compile("^Scatter of 300 networks"))

    # a drop-down
    scatter.locator("select").first.select_option(label="accuracy")
    scatter.locator(".colorbar").wait_for()
    # a slider, by keyboard
    scatter.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    groups = scatter.locator("table").nth(1)
    expect(scatter.locator(".nasviz-caption").nth(1)).to_have_text("By cluster")
    expect(groups.locator("tbody tr")).to_have_count(6)
    # the mouse
    page.locator(".nasviz-chart").first.scroll_into_view_if_needed()
    lasso(page, scatter)
    status = scatter.locator(".nasviz-status")
    expect(status).to_have_text(re.compile(r"^[1-9]\d* of 300 networks selected"))
    selected = int(status.inner_text().split()[0])
    expect(scatter.locator("table").first.locator("tbody tr")).to_have_count(min(selected, 200))
    expect(scatter.locator(".nasviz-caption").first).to_contain_text(f"{selected} of 300 networks selected")

    # the ranking beneath
    ranking.locator("select").nth(1).select_option(label="random")
    expect(ranking.locator(".nasviz-status")).to_contain_text("ranked by random")
    expect(ranking.locator("tr.chosen td").nth(1)).to_have_text("random")
    with page.expect_download() as download:
        ranking.get_by_role("button", name="Save as CSV").click()
    saved = pd.read_csv(download.value.path())
    assert download.value.suggested_filename == "nasviz-ranking.csv"
    assert len(saved) == N
    assert scatter.locator(".nasviz-error").count() == ranking.locator(".nasviz-error").count() == 0
    assert (outside, errors) == ([], [])


def test_voila_ranking(page, serve, watch, ranking_file):
    environment = {**voila_environment(), "NASVIZ_RANKING": str(ranking_file)}
    page_file = dashboards_folder() / "ranking.ipynb"
    server = serve(lambda port: voila_command(page_file, port, browser=False), environment, "/voila/static/voila.js")
    outside, errors = watch(page, server)
    page.goto(server)
    assert page.title() == "nasviz: ranking"
    panel = page.locator(".nasviz-panel")
    panel.locator(".scatterlayer path.point").first.wait_for()
    expect(page.locator(".nasviz-wait")).to_be_hidden()
    status = panel.locator(".nasviz-status")
    expect(status).to_contain_text("40 of 100 networks shown (nb101)")

    # a drop-down changes chart and tables
    titles = panel.locator(".annotation-text")
    before = titles.all_text_contents()
    panel.locator("select").first.select_option(label="nb201")
    expect(status).to_contain_text("60 of 100 networks shown (nb201)")
    expect(titles.first).not_to_have_text(before[0])
    expect(panel.locator("table").nth(1).locator("tbody tr")).to_have_count(10)
    panel.locator("select").nth(2).select_option(label="50")
    expect(panel.locator("table").nth(1).locator("tbody tr")).to_have_count(50)

    # the static twin and back; the chart fills its place again
    panel.get_by_label("Static picture").check()
    picture = panel.locator(".nasviz-chart img")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 600
    panel.get_by_label("Static picture").uncheck()
    panel.locator(".scatterlayer path.point").first.wait_for()
    page.wait_for_function(
        "() => { const place = document.querySelector('.nasviz-chart'), chart = place.querySelector('.main-svg');"
        " return chart && Math.abs(chart.clientWidth - place.clientWidth) < 8; }"
    )
    with page.expect_download() as download:
        panel.get_by_role("button", name="Save as SVG").click()
    assert "<svg" in download.value.path().read_text(encoding="utf-8")

    # on a phone the charts stand one below the other, and nothing sticks out of the page
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('.nasviz-chart .main-svg').clientHeight > 600")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert panel.evaluate("panel => panel.getBoundingClientRect().right") <= 390
    assert (outside, errors) == ([], [])


def test_voila_says_what_went_wrong(page, serve, watch, tmp_path):
    environment = {**voila_environment(), "NASVIZ_RANKING": str(tmp_path / "none.parquet")}
    page_file = dashboards_folder() / "ranking.ipynb"
    server = serve(lambda port: voila_command(page_file, port, browser=False), environment, "/voila/static/voila.js")
    outside, errors = watch(page, server)
    page.goto(server)
    expect(page.get_by_role("alert")).to_contain_text("there is no ranking at")
    expect(page.locator(".nasviz-wait")).to_be_hidden()
    assert (outside, errors) == ([], [])
