"""The examples in the docstrings of the views do what they say."""

import doctest

import pytest

from nasviz.views import cycle_bars, embedding, layer_comparison, pareto, ranking


@pytest.mark.parametrize("module", [cycle_bars, embedding, layer_comparison, pareto, ranking])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
