"""The frame of a view: the guard of callbacks, the save buttons, what a new page opens on."""

import base64
import logging

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go
import pytest

from nasviz.views.export import MIME, Picture
from nasviz.views.panel import Panel, guard
from nasviz.views.state import RankingState


class Toy(Panel):
    """Shows k points."""

    title = "nasviz toy"

    def __init__(self, state=None):
        super().__init__(state or RankingState(), [go.Scatter()], {})
        self._controls.children = [self.choice("k", "Top", [1, 2, 10]), self.toolbar]
        self.state.observe(self._on_k, "k")
        self.refresh()

    @guard
    def _on_k(self, change):
        if change["new"] == 2:
            raise ValueError("k is 2, which\nthis view refuses; use 1.")
        self.chart.data[0].update(x=list(range(change["new"])), y=list(range(change["new"])))
        self.refresh()

    @guard
    def crash(self):
        raise KeyError("missing")

    @guard
    def nested(self):
        self.crash()

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
    stored = toy.chart.get_state()
    assert stored["_widget_data"][0]["x"] == [0]
    # and the next change is not lost either
    toy.state.k = 10
    assert toy.chart.get_state()["_widget_data"][0]["x"] == list(range(10))


def test_the_static_picture_takes_the_place_of_the_chart(toy):
    assert toy._chart_box.children == (toy.chart,)
    toy.state.picture = True
    (shown,) = toy._chart_box.children
    assert isinstance(shown, widgets.HTML)
    assert 'alt="A toy &lt;10&gt;."' in shown.value
    toy.state.picture = False
    assert toy._chart_box.children == (toy.chart,)


def test_the_save_buttons_send_files(toy, monkeypatch):
    sent = []
    monkeypatch.setattr(toy.toolbar, "send", lambda content, buffers: sent.append((content, buffers[0])))
    for format in MIME:
        toy.toolbar._handle_custom_msg({"save": format}, [])
    names = [content["name"] for content, _ in sent]
    assert names == ["nasviz-toy.png", "nasviz-toy.svg", "nasviz-toy.csv", "nasviz-toy.html"]
    assert sent[0][1].startswith(b"\x89PNG")
    assert sent[2][1] == b"k\n10\n"
    toy.toolbar._handle_custom_msg({"save": "exe"}, [])
    assert len(sent) == 4
    assert "'exe'" in toy.error


def test_a_stored_notebook_keeps_a_picture(toy):
    bundle = toy._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def test_the_chart_is_described_for_screen_readers(toy):
    toy.state.k = 1
    assert toy.toolbar.description == "A toy <1>."


def test_no_button_sends_data_away(toy):
    config = toy.chart.get_state()["_config"]
    assert {"sendDataToCloud", "sendChartToCloud"} <= set(config["modeBarButtonsToRemove"])
    assert config["displaylogo"] is False
