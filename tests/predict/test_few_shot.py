"""Learning from a few labels: Gaussian processes against their formulas, and the whole against data it can learn."""

import numpy as np
import pytest
from scipy.stats import norm, spearmanr
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor

from nasviz.predict.few_shot import FewShot, Process


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(90, 12)) * generator.uniform(0.1, 100, 12) + 5
    features[:, 3] = 7  # what does not vary teaches nothing
    truth = np.sin((features[:, 0] - 5) / features[:, 0].std()) + (features[:, 1] - 5) / features[:, 1].std()
    return features, truth + 0.1 * generator.normal(size=90)


def test_a_process_learns_and_is_unsure_far_away(data):
    features, target = data
    process = Process().fit(features[:50], target[:50] - target[:50].mean())
    predicted, deviation = process.predict(features[50:])
    assert spearmanr(predicted, target[50:]).statistic > 0.85
    far = process.predict(features[:50] + 50 * features.std(0))[1]
    assert far.mean() > 1.5 * process.predict(features[:50])[1].mean()


def test_units_of_features_do_not_matter(data):
    features, target = data
    other = features * np.linspace(0.01, 100, 12) - 3
    ours, theirs = (Process().fit(x[:50], target[:50]).predict(x[50:]) for x in (features, other))
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-3)


def test_left_out_errors_are_those_of_refitting_without_each_label(data):
    features, target = data
    process = Process().fit(features[:25], target[:25])
    error, deviation = process.left_out()
    kernel, points = clone(process.process_.kernel_), process._points(features[:25])
    for i in (0, 7, 24):
        rest = np.delete(np.arange(25), i)
        without = GaussianProcessRegressor(kernel, optimizer=None).fit(points[rest], target[rest])
        mean, sd = without.predict(points[[i]], return_std=True)
        assert error[i] == pytest.approx(target[i] - mean[0], rel=1e-4)
        assert deviation[i] == pytest.approx(sd[0], rel=1e-4)


def test_the_target_is_the_normal_score():
    accuracy = np.array([0.9, 0.1, 0.5, 0.5])
    np.testing.assert_allclose(FewShot.target(accuracy), norm.ppf([3.5 / 4, 0.5 / 4, 2 / 4, 2 / 4]))
