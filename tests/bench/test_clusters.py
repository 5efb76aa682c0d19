"""Fuzzy c-means beside scikit-fuzzy's own loop and the paper's equations in plain NumPy. Run with ``-m bench``."""

import time
import warnings

import numpy as np
import pandas as pd
import pytest
from skfuzzy.cluster import cmeans
from sklearn.exceptions import ConvergenceWarning

from nasviz.predict.fcm import FuzzyCMeans

pytestmark = pytest.mark.bench
N, D, C, M, ITERATIONS = 20_000, 32, 20, 1.2, 20


def plain(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Eq. 3 and eq. 2 in turn, as they stand on paper."""
    for _ in range(ITERATIONS):
        weights = u**M
        centroids = weights.T @ x / weights.sum(0)[:, None]
        distance = np.sqrt(((x[:, None] - centroids[None]) ** 2).sum(-1))
        u = 1 / ((distance[:, :, None] / distance[:, None, :]) ** (2 / (M - 1))).sum(-1)
    return centroids


def test_fuzzy_c_means(results):
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(C, D))
    x = centres[rng.integers(0, C, N)] + rng.normal(size=(N, D))
    first = FuzzyCMeans(C, M, epsilon=1, max_iterations=1).fit(x).memberships_  # a start for all of them

    def ours() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped on purpose
            return FuzzyCMeans(C, M, epsilon=1e-300, max_iterations=ITERATIONS).fit(x).centroids_

    loops = {
        "the paper's equations, plain NumPy": lambda: plain(x, first),
        "scikit-fuzzy": lambda: cmeans(x.T, C, M, error=0, maxiter=ITERATIONS, init=first.T)[0],
        "nasviz, with checks and k-means++": ours,
    }
    seconds, found = {name: [] for name in loops}, {}
    for _ in range(3):
        for name, loop in loops.items():
            start = time.process_time()
            found[name] = loop()
            seconds[name].append(time.process_time() - start)
    reference = found["scikit-fuzzy"]
    np.testing.assert_allclose(found["the paper's equations, plain NumPy"], reference, rtol=1e-6)
    ours_centroids = found["nasviz, with checks and k-means++"]
    nearest = np.linalg.norm(ours_centroids[:, None] - reference[None], axis=-1).min(1)
    assert nearest.max() < 0.05, "the same clusters, an iteration apart"
    table = pd.DataFrame({"ms an iteration": {name: 1000 * min(times) / ITERATIONS for name, times in seconds.items()}})
    table["times scikit-fuzzy"] = table["ms an iteration"] / table["ms an iteration"]["scikit-fuzzy"]
    results(
        "Fuzzy c-means",
        f"{N:,} points in {D} dimensions, {C} clusters, m = {M}, {ITERATIONS} iterations, CPU time, best of 3. nasviz "
        "calls scikit-fuzzy one iteration at a time, to stop as the paper does.",
        table.round(2),
    )
    assert table["times scikit-fuzzy"]["nasviz, with checks and k-means++"] < 2
