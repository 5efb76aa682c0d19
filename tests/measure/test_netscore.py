"""NetScore against cases that can be computed by hand."""

import math

import pytest

from nasviz.measure import netscore, netscore_plus


def test_cases_by_hand():
    assert netscore(1.0, 1e6, 1e9) == 80  # 20 · log10(100² / 1)
    assert netscore(0.1, 1e8, 1e11) == pytest.approx(0)  # 10² / (√100 · √100) = 1
    assert netscore(0.5, 4e6, 25e9) == pytest.approx(20 * math.log10(2500 / (2 * 5)))


def test_each_exponent_weighs_its_own_quantity():
    base = netscore(0.8, 2e6, 3e9)
    decibel = 20 * math.log10(2)
    assert netscore(0.4, 2e6, 3e9) - base == pytest.approx(-2 * decibel)
    assert netscore(0.8, 4e6, 3e9) - base == pytest.approx(-0.5 * decibel)
    assert netscore(0.8, 2e6, 6e9) - base == pytest.approx(-0.5 * decibel)
    assert netscore(0.4, 2e6, 3e9, alpha=1) - netscore(0.8, 2e6, 3e9, alpha=1) == pytest.approx(-decibel)
    assert netscore(0.8, 2e6, 3e9, beta=0, gamma=0) == pytest.approx(40 * math.log10(80))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="accuracy=93.0: it is a fraction"):
        netscore(93.0, 1e6, 1e9)
    with pytest.raises(ValueError, match="accuracy=nan"):
        netscore(math.nan, 1e6, 1e9)
    with pytest.raises(ValueError, match="parameters=0: NetScore divides by it"):
        netscore(0.9, 0, 1e9)
    with pytest.raises(ValueError, match="macs=inf"):
        netscore(0.9, 1e6, math.inf)
    assert netscore(0, 1e6, 1e9) == -math.inf


def test_netscore_plus_has_no_value_where_there_is_none():
    assert netscore_plus(0.9, 1e6, 1e9) == netscore(0.9, 1e6, 1e9)
    assert netscore_plus(0.9, 1e6, 1e9, alpha=1) == netscore(0.9, 1e6, 1e9, alpha=1)
    for wrong in [
        (None, 1, 1),
        (math.nan, 1, 1),
        (0.0, 1, 1),
        (2.3, 1, 1),
        (0.9, 0, 1),
        (0.9, 1, 0),
        (0.9, math.nan, 1),
    ]:
        assert netscore_plus(*wrong) is None
