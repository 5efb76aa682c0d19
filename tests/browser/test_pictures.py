"""The README's pictures are those of today's pages."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "notebooks" / "images"
SCRIPT = runpy.run_path(str(Path(__file__).with_name("make_screenshots.py")))
MOST = 0.05
"""Share of a picture's points that may look otherwise: letters drawn by another computer."""


def difference(one: Path, other: Path) -> float:
    """Share of the points whose colours are far apart, once each is blurred a little."""
    pictures = [Image.open(path).convert("RGB") for path in (one, other)]
    if pictures[0].size != pictures[1].size:
        return 1.0
    width, height = pictures[0].size
    a, b = (np.asarray(picture.resize((width // 4, height // 4), Image.Resampling.BOX), int) for picture in pictures)
    return float((np.abs(a - b).max(axis=-1) > 40).mean())


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", SCRIPT["PICTURES"])
def test_a_picture_is_not_stale(name, tmp_path):
    SCRIPT["make"](tmp_path, [name])
    assert difference(FOLDER / f"{name}.png", tmp_path / f"{name}.png") < MOST


def test_another_picture_is_seen(tmp_path):
    assert difference(FOLDER / "lesson.png", FOLDER / "lesson.png") == 0
    assert difference(FOLDER / "lesson.png", FOLDER / "ranking.png") > MOST
    Image.open(FOLDER / "lesson.png").crop((0, 0, 640, 450)).save(tmp_path / "part.png")
    assert difference(FOLDER / "lesson.png", tmp_path / "part.png") == 1
