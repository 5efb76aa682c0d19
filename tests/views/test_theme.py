"""Colours, shapes and the writing of numbers."""

import math

import matplotlib
import plotly.io as pio
import pytest

from nasviz.views.theme import OKABE_ITO, codes, matplotlib_style, percent, plotly_template, si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.2e9, "MACs", "1.2 G MACs"),
        (0, "MACs", "0 MACs"),
        (999, "", "999"),
        (999.9, "", "1 k"),
        (999_949, "B", "1 M B"),
        (-4.56e6, "FLOPs", "-4.56 M FLOPs"),
        (0.0123, "s", "0.0123 s"),
        (math.nan, "MACs", "–"),
        (math.inf, "", "–"),
    ],
)
def test_si(value, unit, text):
    assert si(value, unit) == text


def test_percent():
    assert percent(0.9321) == "93.2 %"
    assert percent(math.nan) == "–"


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_palette_is_that_of_okabe_and_ito():
    # As printed at https://jfly.uni-koeln.de/color/, in any order.
    rgb = [(0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)]
    published = {"#{:02X}{:02X}{:02X}".format(*colour) for colour in [*rgb, (204, 121, 167)]}
    assert set(OKABE_ITO) == published
    # yellow hardly shows on white, so it comes last
    assert max(OKABE_ITO, key=luminance) == OKABE_ITO[-1]


def test_codes_differ_in_colour_up_to_8_and_in_colour_or_shape_up_to_64():
    few = list(codes(range(8)).values())
    assert len({code.colour for code in few}) == len({code.symbol for code in few}) == 8
    many = codes(range(64)).values()
    assert len({(code.colour, code.symbol) for code in many}) == 64
    assert len({(code.colour, code.marker) for code in many}) == 64


def test_codes_go_by_first_appearance():
    assert list(codes(["b", "a", "b"])) == ["b", "a"]


def test_matplotlib_keeps_its_settings_and_plotly_its_default():
    before, default = dict(matplotlib.rcParams), pio.templates.default
    with matplotlib_style():
        assert not matplotlib.rcParams["axes.spines.top"]
    assert dict(matplotlib.rcParams) == before
    plotly_template()
    assert pio.templates.default == default
