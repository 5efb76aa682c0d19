"""The examples in the docstrings of the views do what they say."""

import doctest

import pytest

from nasviz.views import confusion, cycle_bars, cycle_explorer, embedding, explorer, layer_comparison, pareto, ranking
from nasviz.views.lesson import exercise, panel

MODULES = [confusion, cycle_bars, cycle_explorer, embedding, explorer, layer_comparison, pareto, ranking]
MODULES += [exercise, panel]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
