"""Fuzzy c-means against eq. 2 and 3 written out in NumPy, against scikit-fuzzy, and against its traps."""

import warnings

import numpy as np
import pytest
from skfuzzy.cluster import cmeans, cmeans_predict
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from nasviz.predict.fcm import CollapsedClusters, FuzzyCMeans, MergedClusters


def equation_two(points, centroids, m):
    """u_ij = 1 / Σ_l (d_ij / d_il)^{2/(m-1)}, term by term."""
    d = np.linalg.norm(points[:, None] - centroids[None], axis=2)
    return 1 / ((d[:, :, None] / d[:, None, :]) ** (2 / (m - 1))).sum(axis=2)


def equation_three(points, u, m):
    """c_j = Σ_i u_ij^m x_i / Σ_i u_ij^m."""
    return (u**m).T @ points / (u**m).sum(axis=0)[:, None]


@pytest.fixture(scope="module")
def blobs():
    """300 points around five centres in 6 dimensions, near enough to overlap."""
    points, _ = make_blobs(300, n_features=6, centers=5, cluster_std=3.0, random_state=3)
    return points


@pytest.mark.parametrize("m", [1.1, 1.3, 1.7])
def test_a_fit_is_a_fixed_point_of_equations_two_and_three(blobs, m):
    fit = FuzzyCMeans(5, m, epsilon=1e-9).fit(blobs)
    np.testing.assert_allclose(fit.centroids_, equation_three(blobs, fit.memberships_, m), atol=1e-6)
    np.testing.assert_allclose(fit.memberships_, equation_two(blobs, fit.centroids_, m), atol=1e-9)


@pytest.mark.parametrize("m", [1.2, 1.6])
def test_every_iteration_is_scikit_fuzzys_and_the_stop_is_the_papers(blobs, m):
    fit = FuzzyCMeans(4, m, epsilon=1e-4, seed=5).fit(blobs)

    def memberships_after(iterations):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return FuzzyCMeans(4, m, max_iterations=iterations, epsilon=1e-300, seed=5).fit(blobs).memberships_

    n = fit.n_iterations_
    assert n > 3
    first = memberships_after(1)
    centroids, u, *_, coefficient = cmeans(blobs.T, 4, m, error=0, maxiter=n - 1, init=first.T)
    np.testing.assert_allclose(fit.memberships_, u.T, atol=1e-12)
    np.testing.assert_allclose(fit.centroids_, centroids, atol=1e-12)
    assert fit.partition_coefficient_ == pytest.approx(coefficient)
    assert fit.partition_coefficient_ == pytest.approx((fit.memberships_**2).sum(axis=1).mean())
    # Eq. 4: the largest change fell below epsilon in the last iteration, and not before.
    changes = [np.abs(memberships_after(k) - memberships_after(k - 1)).max() for k in (n - 1, n)]
    assert changes[1] < 1e-4 <= changes[0]


def test_new_points_get_memberships_from_the_old_centroids(blobs):
    fit = FuzzyCMeans(5, 1.4).fit(blobs)
    before = fit.centroids_.copy()
    new = np.random.default_rng(0).normal(0, 10, (40, 6))
    u = fit.predict(new)
    np.testing.assert_allclose(u, equation_two(new, fit.centroids_, 1.4), atol=1e-12)
    theirs = cmeans_predict(new.T, fit.centroids_, 1.4, error=1e-9, maxiter=100, init=np.full((5, 40), 0.2))[0]
    np.testing.assert_allclose(u, theirs.T, atol=1e-12)
    np.testing.assert_allclose(u.sum(axis=1), 1)
    np.testing.assert_array_equal(fit.centroids_, before)
    np.testing.assert_allclose(fit.predict(blobs), fit.memberships_, atol=1e-12)
    assert fit.predict(np.empty((0, 6))).shape == (0, 5)


def test_a_fit_is_restored_from_its_centroids(blobs):
    fit = FuzzyCMeans(5, 1.4).fit(blobs)
    restored = clone(fit)
    restored.centroids_ = fit.centroids_
    np.testing.assert_array_equal(restored.predict(blobs), fit.predict(blobs))


def test_blobs_far_apart_are_told_apart():
    points, label = make_blobs(200, n_features=32, centers=4, cluster_std=0.5, random_state=0)
    fit = FuzzyCMeans(4).fit(points)
    assert fit.memberships_.shape == (200, 4)
    assert fit.memberships_.max(axis=1).min() > 0.999
    np.testing.assert_allclose(fit.memberships_.sum(axis=1), 1)
    assert fit.partition_coefficient_ > 0.999
    # Each cluster is one blob, and each blob one cluster.
    pairs = {*zip(label.tolist(), fit.memberships_.argmax(axis=1).tolist(), strict=True)}
    assert len(pairs) == 4


def test_a_larger_fuzzifier_is_softer(blobs):
    coefficients = [FuzzyCMeans(5, m).fit(blobs).partition_coefficient_ for m in (1.1, 1.3, 1.6)]
    assert coefficients == sorted(coefficients, reverse=True)


def test_a_point_on_a_centroid_belongs_to_it_alone(blobs):
    fit = FuzzyCMeans(5).fit(blobs)
    np.testing.assert_allclose(fit.predict(fit.centroids_), np.eye(5), atol=1e-12)


def test_repeated_points_make_no_trouble():
    points = np.repeat([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], 20, axis=0)
    fit = FuzzyCMeans(3).fit(points)
    np.testing.assert_allclose(np.sort(fit.centroids_, axis=0), [[0, 0], [1, 0], [5, 5]], atol=1e-6)
    assert fit.memberships_.max(axis=1).min() > 0.999


def test_clusters_far_from_the_origin_are_found():
    points = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 20, axis=0) + 1e9
    assert FuzzyCMeans(3).fit(points).partition_coefficient_ > 0.999


@pytest.mark.parametrize("m", [1.5, 2.0])
def test_clusters_that_collapse_are_refused_with_a_way_out(m):
    cloud = np.random.default_rng(0).normal(size=(500, 32))
    with pytest.raises(CollapsedClusters, match="collapsed .* 32 dimensions .* smaller fuzzifier .* fewer dimensions"):
        FuzzyCMeans(5, m).fit(cloud)
    assert issubclass(CollapsedClusters, ValueError)


def test_the_papers_fuzzifier_collapses_in_32_dimensions_and_ours_does_not():
    points, _ = make_blobs(400, n_features=32, centers=8, cluster_std=6.0, random_state=0)
    with pytest.raises(CollapsedClusters):
        FuzzyCMeans(5, 2.0).fit(points)
    assert FuzzyCMeans(5).fit(points).partition_coefficient_ > 0.4


def test_clusters_that_merge_are_counted():
    points = np.random.default_rng(0).normal(size=(500, 32)) * 5 * np.exp(-np.arange(32) / 5)
    with pytest.warns(MergedClusters, match="Only 5 of the 6 clusters differ.* fuzzifier below 1.8"):
        fit = FuzzyCMeans(6, 1.8).fit(points)
    # Centroids that met lie on one another.
    gaps = np.linalg.norm(fit.centroids_[:, None] - fit.centroids_[None], axis=2)
    on_an_earlier_one = [(gaps[j, :j] < 0.01).any() for j in range(6)]
    assert fit.n_distinct_clusters_ == 6 - sum(on_an_earlier_one) < 6
    with warnings.catch_warnings():
        warnings.simplefilter("error", MergedClusters)
        assert FuzzyCMeans(6, 1.2).fit(points).n_distinct_clusters_ == 6


def test_the_global_generator_is_neither_read_nor_set(blobs):
    np.random.seed(7)  # noqa: NPY002 - the global generator is what is watched
    expected = np.random.rand(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    first = FuzzyCMeans(5, seed=1).fit(blobs)
    first.predict(blobs)
    np.testing.assert_array_equal(np.random.rand(3), expected)  # noqa: NPY002
    second = FuzzyCMeans(5, seed=1).fit(blobs)
    np.testing.assert_array_equal(first.memberships_, second.memberships_)


def test_another_seed_starts_elsewhere(blobs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, two = (FuzzyCMeans(5, seed=seed, max_iterations=1).fit(blobs).centroids_ for seed in (0, 1))
    assert not np.allclose(one, two)


def test_a_fit_that_did_not_converge_says_so(blobs):
    with pytest.warns(ConvergenceWarning, match="max_iterations = 2 while memberships still changed"):
        fit = FuzzyCMeans(5, max_iterations=2).fit(blobs)
    assert fit.n_iterations_ == 2


@pytest.mark.parametrize(
    ("settings", "points", "says"),
    [
        ({"n_clusters": 1}, [[0.0], [1.0]], "n_clusters must be a whole number, at least 2, got 1"),
        ({"n_clusters": 2.0}, [[0.0], [1.0]], "n_clusters must be a whole number"),
        ({"fuzzifier": 1}, [[0.0], [1.0]], "fuzzifier must be a number greater than 1"),
        ({"fuzzifier": np.nan}, [[0.0], [1.0]], "fuzzifier must be a number greater than 1"),
        ({"epsilon": 0}, [[0.0], [1.0]], "epsilon must be greater than 0"),
        ({"max_iterations": 0}, [[0.0], [1.0]], "max_iterations must be a whole number"),
        ({}, [[0.0], [np.nan]], "X must be finite, but 1 of its 2 rows"),
        ({}, [0.0, 1.0], "X must have 2 dimensions"),
        ({"n_clusters": 3}, [[0.0], [1.0]], "at least n_clusters = 3 different points, got 2 among 2"),
        ({"n_clusters": 3}, [[0.0], [1.0], [1.0]], "at least n_clusters = 3 different points, got 2 among 3"),
        ({}, np.empty((0, 4)), "at least n_clusters = 2 different points, got 0"),
    ],
)
def test_what_cannot_be_clustered_is_refused(settings, points, says):
    with pytest.raises(ValueError, match=says):
        FuzzyCMeans(**{"n_clusters": 2, **settings}).fit(points)


def test_what_cannot_be_predicted_is_refused(blobs):
    with pytest.raises(NotFittedError):
        FuzzyCMeans(3).predict(blobs)
    fit = FuzzyCMeans(3).fit(blobs)
    with pytest.raises(ValueError, match="X must have 6 columns like the points of fit, got 2"):
        fit.predict([[0.0, 1.0]])
    with pytest.raises(ValueError, match="X must be finite"):
        fit.predict(np.full((2, 6), np.nan))
