"""The views of a run in a real browser: linked, sorted, bounded, and watched while another process writes the run."""

import json
import re

import pandas as pd
import pytest
from playwright.sync_api import expect

from nasviz.cycles import Run
from nasviz.views import voila_command, voila_environment

pytestmark = pytest.mark.browser


def write(run: Run, accuracy: float | None) -> None:
    i = len(run)
    layers = {"layer": ["conv1", "conv2", "fc"], "op": ["conv", "conv", "linear"], "trainable": True}
    layers |= {"position": [0, 1, 2], "parameters": [90.0, 500.0 - 50 * i, 10.0]}
    run.add(metrics={"accuracy": accuracy, "parameters": 600 - 50 * i}, layers=pd.DataFrame(layers))


def test_the_views_of_a_run(page, serve, watch, notebook, tmp_path):
    run = Run.create(tmp_path / "run", name="a run")
    for accuracy in (0.7, None, 0.8):
        write(run, accuracy)
    path = notebook(
        "from nasviz.cycles import Run\nfrom nasviz.views import CycleBars, LayerComparison, Pareto",
        f"run = Run.open({str(tmp_path / 'run')!r})\n"
        "bars = CycleBars(run, watch=0.5)\n"
        "display(bars, LayerComparison(run, state=bars.state, watch=0.5), Pareto(run, state=bars.state, watch=0.5))",
    )
    server = serve(lambda port: voila_command(path, port, browser=False), voila_environment(), "/voila/static/voila.js")
    outside, errors = watch(page, server)
    page.goto(server)
    bars, layers, pareto = (page.locator(".nasviz-panel").nth(i) for i in range(3))
    for panel in (bars, layers, pareto):
        panel.locator(".main-svg").first.wait_for()
    status = bars.locator(".nasviz-status")
    expect(status).to_have_text("3 cycles.")
    expect(bars.locator(".annotation-text", has_text=re.compile("^no value$"))).to_have_count(1)

    # a metric from the drop-down, the value beside the mouse, a click that all views follow
    bars.get_by_label("Graph 1").select_option(label="parameters")
    expect(bars.locator(".ytitle")).to_have_text("parameters")
    place = bars.locator(".nsewdrag").first.bounding_box()
    first = place["x"] + place["width"] / 6, place["y"] + place["height"] / 2
    page.mouse.move(*first)
    expect(bars.locator(".hovertext").first).to_contain_text("parameters 600")
    page.mouse.click(*first)
    for panel in (bars, layers, pareto):
        expect(panel.locator(".nasviz-status")).to_contain_text("Selected: cycle 0.")
        expect(panel.get_by_label("Selected cycle")).to_have_value("0")

    # layers: another metric, the table by a column, by keyboard
    layers.get_by_label("Metric").select_option(label="parameters")
    cells = layers.locator("tbody tr td:nth-child(1)")
    expect(cells).to_have_text(["conv1", "conv2", "fc"])
    layers.get_by_role("button", name="cycle 2").focus()
    page.keyboard.press("Enter")
    expect(cells).to_have_text(["fc", "conv1", "conv2"])
    expect(layers.locator('th[aria-sort="ascending"]')).to_contain_text("cycle 2")
    assert page.evaluate("document.activeElement.dataset.sort") == "cycle 2"
    expect(layers.locator("tfoot td").nth(2)).to_have_text("600")

    # a constraint by a slider names the best cycle that keeps it
    expect(pareto.locator(".nasviz-status")).to_contain_text("Best by accuracy among 3 of 3 cycles: cycle 2, 80.0 %.")
    pareto.get_by_role("button", name="Add constraint").click()
    pareto.get_by_label("Keep", exact=True).wait_for()
    pareto.locator("select").filter(has_text="at most").select_option(label="at least")
    pareto.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowLeft")  # from 600 to 550: cycle 2 has 500
    expect(pareto.locator(".nasviz-status")).to_contain_text("among 2 of 3 cycles that keep the constraints: cycle 0")

    # the run goes on while the page is open; a file that is half there shows nothing of itself
    beside = tmp_path / "run" / "cycles" / "0003"
    beside.mkdir()
    (beside / "metrics.json").write_text(json.dumps({"metrics": {"accuracy": 0.9}})[:20], encoding="utf-8")
    page.wait_for_timeout(1200)
    expect(status).to_contain_text("3 cycles.")
    (beside / "metrics.json").unlink()
    beside.rmdir()
    write(run, 0.9)
    for panel in (bars, pareto):
        expect(panel.get_by_label("Selected cycle").locator("option")).to_have_count(5)
    expect(status).to_have_text("4 cycles. Selected: cycle 0.")
    with page.expect_download() as download:
        bars.get_by_role("button", name="Save as CSV").click()
    assert pd.read_csv(download.value.path())["accuracy"].tolist()[2:] == [0.8, 0.9]

    # on a phone nothing sticks out of the page
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_function("() => [...document.querySelectorAll('.nasviz-chart')].every(c => c.clientWidth <= 360)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for panel in (bars, layers, pareto):
        assert panel.evaluate("panel => panel.getBoundingClientRect().right") <= 360
        expect(panel.locator(".nasviz-error")).to_have_count(0)
    assert (outside, errors) == ([], [])
