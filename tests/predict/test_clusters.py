"""The cluster space: statistics, axes and centroids of the training family alone; eq. 2 by hand for everybody else."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from nasviz.predict.clusters import ClusterSpace
from nasviz.predict.fcm import FuzzyCMeans


@pytest.fixture(scope="module")
def training():
    """200 embeddings of length 40 around four centres, and FLOPs that have nothing to do with them."""
    h, _ = make_blobs(200, n_features=40, centers=4, cluster_std=2.0, random_state=1)
    return h.astype(np.float32), np.random.default_rng(1).uniform(1e8, 9e9, 200)


@pytest.fixture(scope="module")
def strangers():
    rng = np.random.default_rng(2)
    return rng.normal(3, 8, (30, 40)).astype(np.float32), rng.uniform(1e6, 1e11, 30)


@pytest.fixture(scope="module")
def space(training):
    return ClusterSpace(4).fit(*training)


def joined(training, h, flops):
    """Embedding and FLOPs as the paper has them: standardised by the training family's mean and deviation."""
    _, theirs = training
    return np.column_stack([h, (flops - theirs.mean()) / theirs.std()])


def test_the_points_are_a_principal_component_analysis_by_hand(space, training, strangers):
    x = joined(training, *training)
    mean = x.mean(0)
    _, spread, axes = np.linalg.svd(x - mean, full_matrices=False)
    expected = (joined(training, *strangers) - mean) @ axes[:32].T
    points = space.points(*strangers)
    assert points.shape == (30, 32)
    signs = np.sign((points * expected).sum(0))
    np.testing.assert_allclose(points * signs, expected, atol=1e-4)


def test_memberships_are_equation_two_from_the_training_centroids(space, training, strangers):
    arrays = space.to_arrays()
    for h, flops in (training, strangers):
        points = (joined(training, h, flops) - arrays["pca_mean"]) @ arrays["pca_components"].T
        d = np.linalg.norm(points[:, None] - arrays["centroids"], axis=2)
        expected = 1 / ((d[:, :, None] / d[:, None, :]) ** (2 / (1.2 - 1))).sum(2)
        np.testing.assert_allclose(space.memberships(h, flops), expected, atol=1e-9)
        np.testing.assert_allclose(expected.sum(1), 1)
    clusters = FuzzyCMeans(4).fit(space.points(*training))
    np.testing.assert_allclose(space.memberships(*training), clusters.memberships_, atol=1e-3)


def test_strangers_leave_the_space_as_it_is(training, strangers):
    space = ClusterSpace(4).fit(*training)
    before = {name: array.tobytes() for name, array in space.to_arrays().items()}
    for call in (space.points, space.memberships, space.novelty):
        call(*strangers)
        call(strangers[0] * 1e6, strangers[1] * 1e6)
    assert {name: array.tobytes() for name, array in space.to_arrays().items()} == before


def test_novelty_is_one_in_the_middle_of_the_training_family(space, training, strangers):
    novelty = space.novelty(*training)
    assert np.median(novelty) == pytest.approx(1)
    arrays = space.to_arrays()
    nearest = np.linalg.norm(space.points(*strangers)[:, None] - arrays["centroids"], axis=2).min(1)
    usual = np.median(np.linalg.norm(space.points(*training)[:, None] - arrays["centroids"], axis=2).min(1))
    np.testing.assert_allclose(space.novelty(*strangers), nearest / usual)
    assert space.novelty(*strangers).min() > 2


def test_arrays_restore_the_space(space, strangers):
    restored = ClusterSpace(4).from_arrays(space.to_arrays())
    for name in ("points", "memberships", "novelty"):
        np.testing.assert_allclose(getattr(restored, name)(*strangers), getattr(space, name)(*strangers), atol=1e-12)
    assert all(np.array_equal(restored.to_arrays()[name], array) for name, array in space.to_arrays().items())


def test_a_small_family_has_as_many_axes_as_networks():
    h, flops = make_blobs(12, n_features=40, centers=2, random_state=0)[0], np.arange(1.0, 13)
    assert ClusterSpace(2).fit(h, flops).points(h, flops).shape == (12, 12)


def test_equal_flops_and_equal_embeddings():
    h = make_blobs(20, n_features=5, centers=2, random_state=0)[0]
    space = ClusterSpace(2).fit(h, np.full(20, 7e8))
    assert np.isfinite(space.novelty(h, np.full(20, 7e9))).all()
    twice = np.repeat(np.eye(5)[:2], 10, axis=0)  # every network lies on its centroid
    space = ClusterSpace(2).fit(twice, np.full(20, 7e8))
    assert np.isfinite(space.novelty(twice + 1, np.full(20, 7e8))).all()


def test_one_seed_one_space(training):
    spaces = [ClusterSpace(4, seed=seed).fit(*training).to_arrays() for seed in (3, 3)]
    assert all(np.array_equal(spaces[0][name], spaces[1][name]) for name in spaces[0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_clusters": 300}, "at least n_clusters = 300 different points, got 200"),
        ({"n_clusters": 1}, "n_clusters must be a whole number, at least 2, got 1"),
        ({"fuzzifier": 1.0}, "fuzzifier must be a number greater than 1"),
    ],
)
def test_what_cannot_be_clustered_is_told(training, settings, says):
    with pytest.raises(ValueError, match=says):
        ClusterSpace(**settings).fit(*training)
