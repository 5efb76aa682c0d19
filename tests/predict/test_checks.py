"""One clear sentence for whatever cannot be computed with."""

import numpy as np
import pytest

from nasviz.predict.checks import finite_array, fractions, same_length, whole_number


def test_numbers_pass_through_as_float64():
    assert finite_array("x", [1, 2]).dtype == np.float64
    np.testing.assert_array_equal(finite_array("x", [[1.5, 2]], ndim=2), [[1.5, 2]])
    np.testing.assert_array_equal(fractions("x", [0, 0.5, 1]), [0, 0.5, 1])
    assert finite_array("x", []).shape == (0,)


@pytest.mark.parametrize(
    ("values", "ndim", "error", "says"),
    [
        ([1, np.nan, np.inf], 1, ValueError, "x must be finite, but 2 of its 3 rows .* position 1"),
        ([[1, 2], [3, np.nan]], 2, ValueError, "1 of its 2 rows .* position 1"),
        ([[1, 2]], 1, ValueError, r"1 dimension, got an array of shape \(1, 2\)"),
        (3.0, 2, ValueError, r"2 dimensions, got an array of shape \(\)"),
        (["conv", "pool"], 1, TypeError, "x must be an array of numbers, got list"),
        ([None, 1], 1, (TypeError, ValueError), "x must be"),
        ([[1], [2, 3]], 2, TypeError, "array of numbers"),
    ],
)
def test_what_is_no_finite_array_of_the_right_shape_is_refused(values, ndim, error, says):
    with pytest.raises(error, match=says):
        finite_array("x", values, ndim)


def test_percentages_are_refused_as_accuracies():
    with pytest.raises(ValueError, match="accuracy must hold .* 1 of 2 lie outside, such as 93.5: divide percentages"):
        fractions("accuracy", [0.9, 93.5])


def test_lengths_that_differ_are_named():
    assert same_length(a=[1, 2], b=[3, 4]) == 2
    with pytest.raises(ValueError, match="scores, accuracy must .* lengths are 2, 1"):
        same_length(scores=[1, 2], accuracy=[3])


@pytest.mark.parametrize("value", [0, -1, 1.0, "3", None, True])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match="k must be a whole number, at least 1, got"):
        whole_number("k", value)


def test_whole_numbers_of_numpy_are_welcome():
    assert whole_number("k", np.int64(3)) == 3
