"""The examples in the docstrings of the views do what they say."""

import doctest

import pytest

from nasviz.views import embedding, ranking


@pytest.mark.parametrize("module", [embedding, ranking])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
