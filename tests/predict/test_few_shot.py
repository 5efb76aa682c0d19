"""Learning from a few labels: Gaussian processes against their formulas, and the whole against data it can learn."""

import numpy as np
import pandas as pd
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


def test_members_count_by_what_they_know_of_left_out_labels(data):
    features, truth = data[0][:40], data[1][:40]
    accuracy = 0.5 + truth / 20
    support = {"structure": features, "embedding": features, "accuracy": accuracy}
    noise = np.random.default_rng(1).normal(size=40)
    knowing = FewShot([], [None]).learn({**support, "left_out": truth + noise / 4})
    guessing = FewShot([], [None]).learn({**support, "left_out": noise})
    silent = FewShot([], [None]).learn({**support, "left_out": np.zeros(40)})
    for model in (knowing, guessing, silent):
        assert model.weights_.sum() == pytest.approx(1) and (model.weights_ > 0).all()
    share = [model.weights_["tuned GNN_0"] for model in (knowing, guessing, silent)]
    assert share[0] > 0.2 > 0.03 > share[1] and 0 < share[2] < 0.03
    process = FewShot.target(accuracy) - knowing.on_structure_.left_out()[0]
    rho = [spearmanr(said, accuracy).statistic ** 2 for said in (truth + noise / 4, process)]
    expected = rho[0] / (1 - rho[0]) / (rho[1] / (1 - rho[1]))
    assert knowing.weights_["tuned GNN_0"] / knowing.weights_["process"] == pytest.approx(expected)


def test_the_score_is_the_weighted_mean_of_what_members_say(data):
    model = FewShot([], [None]).learn(
        {"structure": data[0], "embedding": data[0], "accuracy": 0.5 + data[1] / 20, "left_out": data[1]}
    )
    said = pd.DataFrame({"process": [0.5, 1.0], "forest": [-1.0, 40.0]})
    weights = model.weights_[["process", "forest"]].to_numpy()
    expected = [np.average([0.5, -1], weights=weights), np.average([1, 3], weights=weights)]
    np.testing.assert_allclose(model.combine(said), expected)


def test_accuracies_are_near_the_truth_and_within_what_was_seen(data):
    features, truth = data
    accuracy = 0.5 + truth / 20
    model = FewShot([], []).learn(
        {"structure": features[:50], "embedding": features[:50], "accuracy": accuracy[:50], "left_out": truth[:50]}
    )
    process = model.of_accuracy_.predict(features[50:])[0]
    said = model._accuracy(process, process)
    assert np.abs(said - accuracy[50:]).mean() < 0.5 * np.abs(accuracy[50:].mean() - accuracy[50:]).mean()
    at = FewShot.target(accuracy[:50])
    own = (accuracy[:50] - model.centre_) / model.spread_
    np.testing.assert_allclose(model._accuracy(own, at), accuracy[:50])  # a label that both parts know comes back
    far = model._accuracy(np.array([-9.0, 9.0]), np.array([-9.0, 9.0]))
    assert far[0] < accuracy[:50].min() < accuracy[:50].max() < far[1]
