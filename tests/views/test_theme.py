"""Colours, shapes and the writing of numbers."""

import io
import math
from itertools import combinations, pairwise

import matplotlib
import numpy as np
import plotly.io as pio
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.image import imread

from nasviz.views.export import Picture, figure_bytes
from nasviz.views.theme import (
    BLUE,
    DARK,
    GREY,
    INK,
    OKABE_ITO,
    ON_LIGHT,
    ORANGE,
    SCALE,
    codes,
    darken,
    matplotlib_style,
    percent,
    plotly_template,
    si,
)


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


# Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# as colorspacious has it, severity 100: no cones of one kind at all.
BLINDNESS = ["protanomaly", "deuteranomaly", "tritanomaly"]


def distance(first: str, second: str, blindness: str | None = None) -> float:
    """How different two colours look, in CAM02-UCS, where 1 is hardly to be seen."""
    from colorspacious import cspace_convert, deltaE

    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in (first, second)])
    if blindness:
        rgb = np.clip(cspace_convert(rgb, {"name": "sRGB1+CVD", "cvd_type": blindness, "severity": 100}, "sRGB1"), 0, 1)
    return float(deltaE(rgb[0], rgb[1], input_space="sRGB1"))


@pytest.mark.parametrize("blindness", [None, *BLINDNESS])
def test_colour_blind_readers_tell_the_classes_apart(blindness):
    for palette in (OKABE_ITO, [DARK.get(colour.lower(), colour) for colour in OKABE_ITO]):
        assert len(set(palette)) == 8
        for first, second in combinations(palette, 2):
            assert distance(first, second, blindness) > 10, (first, second)


def test_a_palette_that_is_not_safe_is_found():
    red, green = "#d62728", "#2ca02c"  # of matplotlib's default
    assert distance(red, green) > 50
    assert distance(red, green, "deuteranomaly") < 10 or distance(red, green, "protanomaly") < 10


@pytest.mark.parametrize("blindness", [None, *BLINDNESS])
def test_colour_blind_readers_tell_apart_what_stands_side_by_side(blindness):
    """Right and wrong, better and worse, added and removed: all that the style sheets and figures put in pairs."""
    pairs = [("#009e73", "#d55e00"), ("#0072b2", "#d55e00"), ("#0072b2", "#e69f00"), (BLUE, GREY), (ORANGE, GREY)]
    for first, second in pairs:
        assert distance(first, second, blindness) > 10, (first, second)
    scale = [to_hex(matplotlib.colormaps[SCALE.lower()](x)) for x in np.linspace(0, 1, 9)]
    assert all(distance(*pair, blindness) > 5 for pair in pairwise(scale))  # neighbours of a scale, in order


@pytest.mark.parametrize("colour", OKABE_ITO[:-1])
def test_what_is_drawn_stands_out_from_light_and_dark_paper(colour):
    """3 to 1, as WCAG 2 asks of graphics: on dark paper all, on white those that are dark enough or have an outline."""
    paper, there = luminance(DARK["#ffffff"]), luminance(DARK.get(colour.lower(), colour))
    assert (max(paper, there) + 0.05) / (min(paper, there) + 0.05) >= 3
    ink = luminance(DARK[INK.lower()])
    assert (ink + 0.05) / (paper + 0.05) >= 7


def test_a_figure_of_matplotlib_becomes_one_for_dark_paper():
    with matplotlib_style():
        figure = Picture(figsize=(4, 3))
        axes = figure.subplots()
        axes.plot([1, 2, 3], [1, 3, 2], color=BLUE)
        axes.bar([1, 2], [1, 2], color="white", edgecolor=INK)
        axes.scatter([1, 2], [2, 1], c=[INK, ORANGE])
        axes.text(1, 1, "on a scale", color=ON_LIGHT)
        axes.set(title="a title", xlabel="x")
    darken(figure)
    drawn = imread(io.BytesIO(figure_bytes(figure, "png")))[..., :3]
    paper = np.array(to_rgb(DARK["#ffffff"]))
    assert np.isclose(drawn, paper, atol=0.01).all(axis=-1).mean() > 0.5
    assert not np.isclose(drawn, 1, atol=0.01).all(axis=-1).any()  # nothing is white any more
    assert to_hex(axes.title.get_color()) == to_hex(axes.get_xticklabels()[0].get_color()) == DARK[INK.lower()]
    assert to_hex(axes.lines[0].get_color()) == DARK[BLUE.lower()]
    assert [to_hex(colour) for colour in axes.collections[0].get_facecolor()] == [DARK[INK.lower()], ORANGE.lower()]
    assert to_hex(axes.texts[0].get_color()) == ON_LIGHT.lower()


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
