"""The lesson in the hands of someone who has only a mouse and a keyboard, in Voilà, at a desk and on a phone."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from nasviz.resources import dashboards_folder
from nasviz.views import voila_command, voila_environment
from nasviz.views.lesson.state import PAGES

pytestmark = pytest.mark.browser


def exercise(lesson: Locator, text: str) -> Locator:
    return lesson.locator(".nasviz-exercise", has_text=text)


def answer(lesson: Locator, text: str, value: str, verdict: str) -> None:
    """Type an answer, press Enter, and read what is said to it."""
    asked = exercise(lesson, text)
    asked.locator("input").fill(value)
    asked.locator("input").press("Enter")
    expect(asked.locator(".nasviz-verdict")).to_contain_text(verdict)


def slider(lesson: Locator, label: str) -> Locator:
    return lesson.locator(".widget-inline-hbox", has=lesson.page.get_by_text(label, exact=True)).locator(".noUi-handle")


def turn(page: Page, lesson: Locator, number: int) -> None:
    """The next page, which begins at its beginning."""
    lesson.get_by_role("button", name="Next").last.press("Enter")
    expect(lesson.locator("h2")).to_have_text(f"{number} · {list(PAGES.values())[number - 1]}")
    expect(lesson.locator("h2")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_the_lesson_by_mouse_and_keyboard(page, serve, watch):
    page_file = dashboards_folder() / "lesson.ipynb"
    server = serve(
        lambda port: voila_command(page_file, port, browser=False), voila_environment(), "/voila/static/voila.js"
    )
    outside, errors = watch(page, server)
    page.goto(server)
    lesson = page.locator(".nasviz-lesson")
    lesson.locator(".nasviz-chart .main-svg").first.wait_for()
    assert page.title() == "nasviz: lesson"
    assert page.get_by_text("FlopsLesson").count() == 0  # no code shows
    expect(lesson.locator("h2")).to_have_text("1 · FLOPs, FLOPS and MACs")

    # a question, wrong and then right; a hint
    answer(lesson, "two vectors of length 9", "9", "The factor 2 is missing")
    exercise(lesson, "two vectors of length 9").get_by_role("button", name="Hint").click()
    expect(lesson.locator(".nasviz-hint")).to_have_text("How many MACs are there? And how many FLOPs is each?")
    answer(lesson, "two vectors of length 9", "2 x 9", "✓ Right: 2 · 9 = 18.")
    expect(lesson.get_by_text("Try it: 1 of 3 solved")).to_be_visible()

    # a slider by keyboard moves formula, drawing and bars
    turn(page, lesson, 2)
    turn(page, lesson, 3)
    result, drawing = lesson.locator(".nasviz-result"), lesson.locator("svg.nasviz-drawing")
    expect(result).to_have_text("121,680")
    slider(lesson, "Output channels").focus()
    page.keyboard.press("ArrowRight")
    expect(result).to_have_text("133,848")  # 2 · 11 · 26 · 26 · 9
    expect(drawing).to_contain_text("11 × 26 × 26")
    expect(lesson.locator("tr.chosen")).to_contain_text("133,848")
    # a click on the output's last element, as far as it can be seen
    box = drawing.locator("[data-grid]").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2)
    expect(lesson.locator(".nasviz-status").first).to_contain_text("row 26, column 26")
    # what is not possible is said, and goes away
    slider(lesson, "Input size").focus()
    page.keyboard.press("Home")
    expect(lesson.get_by_role("alert")).to_contain_text("choose a smaller kernel or dilation")
    page.keyboard.press("End")
    expect(lesson.get_by_role("alert")).to_have_count(0)
    expect(drawing).to_contain_text("1 × 64 × 64")

    # the best moment: one guesses, and then one sees
    for number in (4, 5, 6):
        turn(page, lesson, number)
    expect(lesson.locator(".nasviz-status").first).not_to_contain_text("891,248")
    guess = exercise(lesson, "Before you look")
    guess.get_by_label("about a quarter").check()
    guess.get_by_role("button", name="Check").click()
    expect(lesson.locator(".nasviz-status").first).to_contain_text("2.26 times the first: 891,248 against 394,780")
    lesson.get_by_label("Line by line").select_option(label="the second network")
    expect(lesson.locator(".nasviz-line")).to_contain_text("= 891,248 FLOPs")
    expect(lesson.get_by_text("is a misprint: it is 10x24x24").first).to_be_visible()

    # a measurement, on the machine at hand
    for number in (7, 8, 9, 10):
        turn(page, lesson, number)
    slider(lesson, "Channels gone").focus()
    page.keyboard.press("End")
    expect(lesson.locator("tbody tr").nth(2)).to_contain_text("95% of the channels gone")
    lesson.get_by_role("button", name="Measure all three").click()
    expect(lesson.locator(".nasviz-status").first).to_contain_text(re.compile(r"Measured.* ms with fewer channels"))
    expect(lesson.get_by_role("button", name="Next").first).to_be_disabled()

    # on a phone everything stands one below the other
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.querySelector('.nasviz-chart .main-svg').clientWidth < 390")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert lesson.evaluate("lesson => lesson.getBoundingClientRect().right") <= 390
    lesson.get_by_label("Page").first.select_option(label="6 · Two networks")
    expect(lesson.locator("h2")).to_have_text("6 · Two networks")
    expect(lesson.locator(".nasviz-line")).to_contain_text("= 891,248 FLOPs")  # nothing that was found is lost
    lesson.get_by_role("button", name="Back").first.click()
    answer(lesson, "64 output channels, k = 5", "1/64 + 1/5", "It is k², not k.")
    answer(lesson, "64 output channels, k = 5", "1/64 + 1/25", "✓ Right")
    assert lesson.locator(".nasviz-error").count() == 0
    assert (outside, errors) == ([], [])
