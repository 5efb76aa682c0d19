"""The frame of a view: the guard of callbacks, the save buttons, what a new page opens on."""

import base64
import logging
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from nasviz.views import chart
from nasviz.views.export import Picture
from nasviz.views.panel import Panel, guard
from nasviz.views.state import RankingState


class Toy(Panel):
    """Shows k points."""

    title = "nasviz toy"

    def __init__(self, state=None):
        super().__init__(state or RankingState())
        self._controls.children = [self.choice("k", "Top", [1, 2, 10])]
        self.state.observe(self._on_k, "k")
        self.redraw()

    @guard
    def _on_k(self, change):
        if change["new"] == 2:
            raise ValueError("k is 2, which\nthis view refuses; use 1.")
        self.redraw()

    @guard
    def crash(self):
        raise KeyError("missing")

    @guard
    def nested(self):
        self.crash()

    def figure(self):
        return go.Figure(go.Scatter(x=list(range(self.state.k))))

    def static(self):
        figure = Picture(figsize=(2, 2))
        figure.add_subplot().set(xlabel="x (1)", ylabel="y (1)")
        return figure

    def export_table(self):
        return pd.DataFrame({"k": [self.state.k]})

    def describe(self):
        return f"A toy <{self.state.k}>."


@pytest.fixture
def toy():
    return Toy()


def test_a_callback_that_fails_says_so_and_the_next_success_clears_it(toy):
    toy.state.k = 2
    assert toy.error == "k is 2, which this view refuses; use 1."
    assert 'role="alert"' in toy._error.value
    toy.state.k = 1
    assert toy.error == ""


def test_a_mistake_of_ours_is_logged_with_its_traceback(toy, caplog):
    with caplog.at_level(logging.ERROR):
        toy.crash()
    assert toy.error == "KeyError: 'missing'"
    assert caplog.records[0].exc_info


def test_only_the_outermost_guard_catches(toy):
    toy.nested()
    assert "missing" in toy.error
    assert toy.nested() is None


def test_error_text_is_no_html(toy):
    toy.show_error("<img src=x onerror=alert(1)>")
    assert "<img" not in toy._error.value
    assert toy.error == "<img src=x onerror=alert(1)>"


def test_controls_and_state_move_each_other(toy):
    dropdown = toy._controls.children[0]
    dropdown.value = 1
    assert toy.state.k == 1
    toy.state.k = 10
    assert dropdown.value == 10


def test_a_state_that_the_view_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"state\.k is 7.*\[1, 2, 10\]"):
        Toy(RankingState(k=7))


def test_a_new_page_opens_on_the_present_chart(toy):
    toy.state.k = 1
    assert pio.from_json(toy.chart.get_state()["figure"]).data[0].x == (0,)


def test_the_static_picture_takes_the_place_of_the_chart(toy):
    assert toy.chart.picture == ""
    toy.state.picture = True
    assert base64.b64decode(toy.chart.picture).startswith(b"\x89PNG")
    toy.state.picture = False
    assert toy.chart.picture == ""


@pytest.fixture
def sent(toy, monkeypatch):
    messages = []
    monkeypatch.setattr(toy.chart, "send", lambda content, buffers: messages.append((content, buffers[0])))
    return messages


def test_the_save_buttons_send_files(toy, sent):
    assert toy.chart.formats == ["png", "svg", "csv", "html"]
    for format in toy.chart.formats:
        toy.chart._handle_custom_msg({"kind": "save", "format": format}, [])
    names = [content["name"] for content, _ in sent]
    assert names == ["nasviz-toy.png", "nasviz-toy.svg", "nasviz-toy.csv", "nasviz-toy.html"]
    assert sent[0][1].startswith(b"\x89PNG")
    assert sent[2] == ({"kind": "file", "name": "nasviz-toy.csv", "type": "text/csv"}, b"k\n10\n")


def test_a_file_that_cannot_be_made_is_said_in_the_panel(toy, sent):
    toy.chart._handle_custom_msg({"kind": "save", "format": "exe"}, [])
    assert sent == []
    assert "'exe'" in toy.error


def test_plotly_js_comes_from_python(toy, sent):
    toy.chart._handle_custom_msg({"kind": "plotly"}, [])
    content, code = sent[0]
    assert content == {"kind": "plotly"}
    assert b"plotly.js v" in code[:100]
    assert b"window.Plotly = Plotly" in code  # where chart.js looks for it


def test_a_stored_notebook_keeps_a_picture(toy):
    bundle = toy._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_the_chart_is_described_for_screen_readers(toy):
    toy.state.k = 1
    assert toy.chart.description == "A toy <1>."


def test_no_button_sends_data_away(toy, tmp_path):
    script = (Path(chart.__file__).parent / "js" / "chart.js").read_text(encoding="utf-8")
    page = toy.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert '"sendDataToCloud", "sendChartToCloud"]' in script
    assert '"modeBarButtonsToRemove": ["sendDataToCloud", "sendChartToCloud"]' in page
