"""T and its twin without FLOPs: the closed form, the way back, the statistics' source."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from nasviz.predict.transform import AccuracyTransform, FlopsTransform, transform_from_dict

ACCURACY, FLOPS = [0.90, 0.95, 0.85], [9e9, 99e9, 999e9]  # F + 1 = 10, 100, 1000


def test_flops_transform_is_equation_five():
    transform = FlopsTransform().fit(ACCURACY, FLOPS)
    ratio = np.array([0.90 / 2, 0.95 / 3, 0.85 / 4])
    np.testing.assert_allclose(transform.transform(ACCURACY, FLOPS), (ratio - ratio.mean()) / ratio.std())
    # One network that was not in the training partition is standardised by the same numbers.
    np.testing.assert_allclose(transform.transform([0.8], [9e9]), [(0.8 / 2 - ratio.mean()) / ratio.std()])


def test_the_unit_of_flops_is_a_parameter():
    mega = FlopsTransform(flops_unit=1e6).fit(ACCURACY, np.array(FLOPS) / 1000)
    giga = FlopsTransform().fit(ACCURACY, FLOPS)
    assert mega.to_dict() == {**giga.to_dict(), "flops_unit": 1e6}


def test_accuracy_transform_is_the_standard_scaler():
    expected = StandardScaler().fit_transform(np.array(ACCURACY)[:, None])[:, 0]
    np.testing.assert_allclose(AccuracyTransform().fit(ACCURACY).transform(ACCURACY), expected)
    # It takes FLOPs, so that both transforms are called alike, and does nothing with them.
    np.testing.assert_allclose(AccuracyTransform().fit(ACCURACY, FLOPS).transform(ACCURACY, FLOPS), expected)


networks = st.lists(st.tuples(st.floats(0, 1), st.floats(1e3, 1e13)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(networks, st.sampled_from([AccuracyTransform(), FlopsTransform(), FlopsTransform(3.7e6)]))
def test_inverse_gives_the_accuracy_back(networks, transform):
    accuracy, flops = np.array(networks).T
    transform.fit(ACCURACY, FLOPS)
    there_and_back = transform.inverse(transform.transform(accuracy, flops), flops)
    np.testing.assert_allclose(there_and_back, accuracy, rtol=1e-9, atol=1e-9)


def test_inverse_does_not_clip():
    transform = AccuracyTransform().fit(ACCURACY)
    assert transform.inverse([100.0])[0] > 1


@pytest.mark.parametrize("transform", [AccuracyTransform(), FlopsTransform(2e6)])
def test_a_transform_survives_json(transform):
    transform.fit(ACCURACY, FLOPS)
    again = transform_from_dict(json.loads(json.dumps(transform.to_dict())))
    assert type(again) is type(transform)
    np.testing.assert_array_equal(again.transform(ACCURACY, FLOPS), transform.transform(ACCURACY, FLOPS))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({}, "kind 'accuracy' or 'flops', got None"),
        ({"kind": "log", "mean": 0, "std": 1}, "got 'log'"),
        ({"kind": "flops", "mean": 0, "std": 1}, "state lacks flops_unit"),
        ({"kind": "accuracy"}, "state lacks mean, std"),
        ({"kind": "accuracy", "mean": math.nan, "std": 1}, "mean and std must be finite"),
    ],
)
def test_a_damaged_state_is_refused(state, says):
    with pytest.raises(ValueError, match=says):
        transform_from_dict(state)


@pytest.mark.parametrize(
    ("accuracy", "flops", "says"),
    [
        ([0.9, 0.9], [1e9, 2e9], "two different values .* all at 0.9"),
        ([0.9], [1e9], "two different values"),
        ([], [], "two different values .* got 0"),
        ([0.9, math.nan], [1e9, 2e9], "accuracy must be finite"),
        ([90.0, 91.0], [1e9, 2e9], "divide percentages by 100"),
        ([0.9, 0.8], [1e9, 0], "flops must be positive, got 0"),
        ([0.9, 0.8], [1e9, -3], "flops must be positive, got -3"),
        ([0.9, 0.8], [1e9, math.nan], "flops must be finite"),
        ([0.9, 0.8], [1e9], "lengths are 2, 1"),
        ([0.9, 0.8], None, "flops must be given"),
        ([0.8, 0.6], [999e9, 99e9], "without any spread"),  # 0.8 / 4 = 0.6 / 3
    ],
)
def test_what_gives_no_target_is_refused(accuracy, flops, says):
    with pytest.raises(ValueError, match=says):
        FlopsTransform().fit(accuracy, flops)


@pytest.mark.parametrize("unit", [0, -1, math.nan, math.inf, "1e9", None])
def test_the_unit_is_a_positive_number(unit):
    with pytest.raises(ValueError, match="flops_unit must be a positive number"):
        FlopsTransform(flops_unit=unit)


@pytest.mark.parametrize("transform", [AccuracyTransform(), FlopsTransform()])
def test_an_unfitted_transform_says_so(transform):
    for call in (lambda: transform.transform(ACCURACY, FLOPS), lambda: transform.inverse([0.0], [1e9])):
        with pytest.raises(ValueError, match="has no statistics yet"):
            call()
    with pytest.raises(ValueError, match="has no statistics yet"):
        transform.to_dict()
