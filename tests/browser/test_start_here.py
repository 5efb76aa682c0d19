"""A newcomer in JupyterLab: the start runs, and one click leads each kind of reader to their page."""

import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(page, serve, watch, lab_command, tmp_path):
    """Chapter 0 as the README's command opens it, its kernel ready; and the requests to other servers."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    server = serve(lab_command, {**os.environ, "NASVIZ_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}, "/api")
    outside, _ = watch(page, server)
    page.goto(f"{server}/lab/tree/notebooks/00_start_here.ipynb?reset")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    return outside


def run_all(page) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()


def test_the_start_runs_and_leads_each_reader_to_their_page(page, start):
    table = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) table", has_text="researcher")
    table.wait_for()
    pages = {
        "researcher": ("8 · Your model", "08_your_model.ipynb"),
        "stakeholder": ("the page of cycles", "cycles.ipynb"),
        "teacher": ("its page without code", "lesson.ipynb"),
    }
    tabs = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel")
    for who, (text, name) in pages.items():
        tabs.filter(has_text="00_start_here").click()
        table.locator("tr", has_text=who).get_by_role("link", name=text).click()
        expect(page.locator(".lm-DockPanel-tabBar .lm-mod-current .lm-TabBar-tabLabel")).to_have_text(name)
        expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1").first).to_be_visible()

    # a page without code: one key
    lesson = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    expect(lesson.locator("h1")).to_have_text(re.compile("What does a network cost"))
    for _ in range(5):  # "run" before the kernel is there is lost
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        lesson.locator(".jp-CodeCell .cm-content").click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(2000)
        if lesson.locator(".jp-InputPrompt").first.inner_text().strip() != "[ ]:":
            break
    lesson.locator(".nasviz-lesson .nasviz-chart .main-svg").first.wait_for()

    # the start itself, to its end
    tabs.filter(has_text="00_start_here").click()
    run_all(page)
    here = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    here.get_by_role("heading", name="Questions to you").scroll_into_view_if_needed()
    expect(here.get_by_text("rank correlation of MACs and accuracy").last).to_be_visible()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    for mark in ("stderr", "error"):
        expect(here.locator(f'[data-mime-type="application/vnd.jupyter.{mark}"]')).to_have_count(0)
    assert start == []
