"""The lesson as a panel: its pages, what moves them, and what they show."""

import re
import sys
from xml.etree import ElementTree

import pandas as pd
import plotly.graph_objects as go
import pytest

from nasviz.measure import Machine
from nasviz.views import FlopsLesson, LessonState
from nasviz.views.lesson.notes import SLIPS
from nasviz.views.lesson.questions import PREDICTION, QUESTIONS
from nasviz.views.lesson.state import PAGES

SVG = "{http://www.w3.org/2000/svg}"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", html))


def controls(lesson: FlopsLesson) -> dict:
    return {widget.description: widget for widget in lesson._controls.children}


@pytest.fixture
def lesson() -> FlopsLesson:
    return FlopsLesson()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_itself_in_all_forms(page, tmp_path, overlaps):
    lesson = FlopsLesson(page)
    assert lesson.error == "" and text_of(lesson._prose.value).startswith(PAGES[page])
    assert isinstance(lesson.figure(), go.Figure) and len(lesson.export_table()) > 0
    assert lesson.describe().startswith(PAGES[page]) and len(lesson.describe()) > 60
    assert text_of(lesson._status.value) == lesson.shown.status != ""
    for narrow in (False, True):
        lesson.chart.narrow = narrow
        assert lesson.error == ""
        if lesson.shown.drawing is not None:
            drawing = ElementTree.fromstring(lesson._sketch.svg)
            assert drawing.get("role") == "img" and len(list(drawing)) > 10
    unseen = "axes 0" if lesson.shown.drawing is not None else "none"  # a drawing has no axis, but matplotlib thinks so
    assert [pair for pair in overlaps(lesson.static()) if unseen not in pair] == []
    lesson.save(tmp_path / "page.svg")
    assert ElementTree.parse(tmp_path / "page.svg").getroot().tag == f"{SVG}svg"
    shown = text_of(lesson._slips.value)
    for slip in SLIPS:
        assert (slip.right.split(".")[0] in shown) == (slip.page == page)


def test_a_whole_lesson_is_saved_page_by_page(lesson, tmp_path):
    lesson.state.page = "dense"
    lesson.save(tmp_path / "dense.csv")
    saved = pd.read_csv(tmp_path / "dense.csv").set_index("layer")
    assert saved.loc["as set", ["FLOPs", "MACs", "parameters"]].tolist() == [154_880, 77_440, 77_440]
    lesson.save(tmp_path / "dense.html")
    assert "154,880" in (tmp_path / "dense.html").read_text(encoding="utf-8")


def test_back_and_on(lesson):
    back, pages, on = lesson.children[0].children
    assert back.disabled and not on.disabled and len(pages.options) == len(PAGES) == 10
    for name in list(PAGES)[1:]:
        lesson.state.step = lesson._step.max  # whatever was done on the page before
        on.click()
        assert lesson.state.page == name == pages.value and lesson.error == ""
        assert lesson.describe().startswith(PAGES[name])
    assert on.disabled and lesson.children[-1].children[2].disabled
    back.click()
    assert lesson.state.page == list(PAGES)[-2]
    with pytest.raises(ValueError, match="page='end': the lesson has the pages counting, dense"):
        FlopsLesson("end")


def test_sliders_move_formula_drawing_and_bars():
    lesson = FlopsLesson("convolution")
    before = lesson._sketch.svg
    assert "2·10·26·26·3·3·1" in re.sub(r"[A-Za-z_\s]|&nbsp;", "", text_of(lesson._formula.value))
    assert "121,680" in lesson._formula.value and "⌊(28 + 2·0 − 1·2 − 1) / 1⌋ + 1 = 26" in lesson._formula.value
    controls(lesson)["Output channels"].value = 20
    assert "243,360" in lesson._formula.value and "20 × 26 × 26" in lesson._sketch.svg != before
    assert lesson.export_table().set_index("layer")["FLOPs"]["as set"] == 243_360
    controls(lesson)["Bias"].value = True
    assert lesson.export_table().set_index("layer")["FLOPs"]["as set"] == 243_360 + 20 * 26 * 26
    for name, value in (("Stride", 2), ("Padding", 1), ("Input channels", 4), ("Groups", 2), ("Dilation", 2)):
        controls(lesson)[name].value = value
        assert lesson.error == "", name
    assert (lesson.state.stride, lesson.state.groups) == (2, 2)
    assert lesson.export_table().set_index("layer")["MACs"]["as set"] == 20 * 13 * 13 * 9 * 2  # (28 + 2 - 5) // 2 + 1


def test_what_is_not_possible_is_said_and_goes_away():
    lesson = FlopsLesson("convolution")
    lesson.state.size = 4
    lesson.state.kernel = 7
    assert "the kernel spans 7 cells, but the padded input has only 4" in lesson.error
    assert lesson._sketch.svg == "" and lesson._formula.value == ""
    lesson.state.padding = 2
    assert lesson.error == "" and lesson._sketch.svg != ""


def test_groups_follow_the_channels():
    lesson = FlopsLesson("convolution")
    lesson.state.c_in, lesson.state.c_out = 12, 8
    lesson.state.groups = 4
    assert controls(lesson)["Groups"].options == (1, 2, 4)
    lesson.state.c_out = 6
    assert lesson.state.groups == 2 and controls(lesson)["Groups"].options == (1, 2, 3, 6) and lesson.error == ""


def test_the_window_slides_by_step_and_by_click():
    lesson = FlopsLesson("convolution")
    assert "(channel 1, row 1, column 1)" in lesson._status.value
    lesson.state.step = 26 * 26 + 27
    assert "Output element 704 of 6,760 (channel 2, row 2, column 2)" in lesson._status.value
    lesson._sketch._on_message(None, {"kind": "cell", "row": 5, "column": 0}, [])
    assert "(channel 2, row 6, column 1)" in lesson._status.value
    lesson.state.c_out = 1  # a step behind the end goes to the last
    assert "Output element 676 of 676" in lesson._status.value and "60,840" not in lesson._status.value
    lesson.state.page = "pooling"  # a new page begins at its first step
    assert lesson.error == "" and lesson.state.step == 0 and "Output element 1 of" in lesson._status.value


def test_the_reader_finds_the_ratio():
    lesson = FlopsLesson("separable")
    assert "0.211" in lesson._status.value and "0.156" in lesson._status.value
    rows = {cells[0]: cells for cells in re.findall(r"<td[^>]*>([\d.]+)</td>" * 5, lesson._side_box.value)}
    assert rows["10"] == ("10", "1.1", "0.211", "0.14", "0.12")
    assert lesson.exercises["rule"].check("1 / C_out + 1 / k²").right
    assert "0.156" in lesson.exercises["rule"].check("1 / C_out + 1 / (2k²)").text


def test_the_second_network_is_hidden_until_one_has_guessed(lesson):
    lesson.state.page = "networks"
    assert "891,248" not in lesson._status.value + lesson._formula.value + str(lesson.figure())
    assert list(lesson.shown.chart.values) == ["the first: convolutions, pooling"]
    assert "2.26" in lesson.exercises[PREDICTION].check("about a quarter").text
    assert lesson.state.revealed and "2.26 times the first: 891,248 against 394,780" in lesson._status.value
    controls(lesson)["Line by line"].value = True
    line = "12,168 + 6,760 + 103,680 + 28,800 + 737,280 + 2,560 = 891,248 FLOPs"
    assert line in lesson._formula.value
    side = text_of(lesson._side_box.value)
    assert "10x24x24x3x3x1x2 = 103,680 *" in side and "is a misprint: it is 10x24x24" in side
    assert side.count("The factor 2 is missing") == 2
    for count, total in (("corrected", "926,808"), ("standard", "943,022")):
        controls(lesson)["Counted"].value = count
        assert f"= {total} FLOPs" in lesson._formula.value


def test_a_button_reveals_it_without_a_guess():
    lesson = FlopsLesson("networks")
    show = controls(lesson)["Show the second network"]
    show.click()
    assert lesson.state.revealed and show.layout.display == "none"
    lesson = FlopsLesson("networks", state=LessonState.from_json(lesson.state.to_json()))
    assert "891,248" in lesson._status.value


def test_answers_are_counted(lesson):
    lesson.state.page = "dense"
    assert "0 of 3 solved" in lesson._solved.value
    lesson.exercises["dense"].check("77440")
    assert lesson.state.solved == []
    lesson.exercises["dense"].check("154880")
    lesson.exercises["dense"].check("154880")
    assert lesson.state.solved == ["dense"] and "1 of 3 solved" in lesson._solved.value
    lesson.state.page = "counting"
    assert "0 of 3 solved" in lesson._solved.value
    lesson.state.page = "dense"
    assert "1 of 3 solved" in lesson._solved.value
    assert set(lesson.exercises) == {question.name for question in QUESTIONS["dense"]()}


def test_conventions_side_by_side(read_table):
    lesson = FlopsLesson("conventions")
    lesson.state.network = "ResNet-50"
    header, rows, caption = read_table(lesson._side_box.value.partition("<ul")[0])
    assert caption == "ResNet-50: one network, 9 numbers" and header[0] == "rule"
    found = {row[0]: row[1] for row in rows}
    assert found["MACs"] == "4,089,184,256" and found["torch"] == "8,178,368,512"
    assert text_of(lesson._side_box.value).count("fvcore") >= 2  # the number, and why it differs
    lesson.state.network = "Transformer"
    assert "0.00724 to 2.01 times" in lesson._status.value


def test_the_roofline_of_a_measured_machine(monkeypatch):
    pages = sys.modules["nasviz.views.lesson.pages_networks"]
    monkeypatch.setattr(pages, "measure_machine", lambda seconds: Machine(80e9, 10e9, 1))
    lesson = FlopsLesson("roofline")
    lesson.state.measured_network = "LeNet-5"
    assert "As set: 100 GFLOP/s, 20 GB/s" in lesson._status.value
    controls(lesson)["Measure this machine"].click()
    assert (lesson.state.peak, lesson.state.bandwidth) == (80, 10)
    assert "80 GFLOP/s, 10 GB/s (float32 on cpu, 1 thread); ridge at 8 FLOP/byte" in lesson._status.value
    lesson.state.peak = 80.9  # a slider rounds: it is still this machine
    assert "80 GFLOP/s, 10 GB/s (float32 on cpu" in lesson._status.value
    assert (lesson.export_table()["attainable_gflops"].dropna() <= 80).all()
    lesson.state.bandwidth = 12.0
    assert "As set: 80.9 GFLOP/s, 12 GB/s" in lesson._status.value
    controls(lesson)["Measure the layers"].click()
    table = lesson.export_table()
    assert lesson.error == "" and "Measured: " in lesson._status.value and (table["latency_ms"] > 0).all()
    assert "Fewer FLOPs, faster?" in lesson._side_box.value
    assert overlapping_names(lesson.figure()) == []


def overlapping_names(figure: go.Figure) -> list[str]:
    names = [trace.name for trace in figure.data]
    return [name for name in names if names.count(name) > 1]


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_where_the_time_goes(runtime):
    lesson = FlopsLesson("times")
    lesson.state.measured_network, lesson.state.runtime = "LeNet-5", runtime
    assert "852 k FLOPs, most in 3" in lesson._status.value and list(lesson.shown.chart.series) == ["FLOPs"]
    controls(lesson)["Measure the layers"].click()
    assert lesson.error == "" and f"float32, 1 thread, {runtime} on cpu" in lesson._status.value
    shares = lesson.shown.chart.series
    assert list(shares) == ["FLOPs", "time"] and sum(shares["FLOPs"].values()) == pytest.approx(100)
    assert ("[0 + 1]" in set(lesson.export_table()["layers"])) == (runtime == "openvino")


def test_without_openvino_the_page_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openvino", None)
    lesson = FlopsLesson("times")
    lesson.state.measured_network, lesson.state.runtime = "LeNet-5", "openvino"
    controls(lesson)["Measure the layers"].click()
    assert "pip install 'nasviz[openvino]'" in lesson.error and "Measuring" not in lesson._status.value


def test_pruning_by_zeros_and_by_channels():
    lesson = FlopsLesson("pruning")
    table = lesson.export_table()
    assert table["MACs"].tolist() == [1_493_632, 1_493_632, 378_176]
    assert table["not zero"].iloc[1] < 0.2 * table["parameters"].iloc[1]
    assert "25.3% of the MACs are left; 90% of the weights zero: all of them" in lesson._status.value
    assert "32·8·8·3·3·32=589,824" in re.sub(r"[A-Za-z_\s]|&nbsp;", "", text_of(lesson._formula.value))
    lesson.state.removed = 0.25
    assert lesson.export_table()["MACs"].iloc[2] > 378_176
    lesson.state.removed = 0.75
    controls(lesson)["Measure all three"].click()
    assert lesson.error == "" and "Measured, batch 64, one thread, torch" in lesson._status.value
    assert (lesson.export_table()["ms"] > 0).all()
    lesson.state.removed = 0.5  # not measured
    assert "ms" not in lesson.export_table()
