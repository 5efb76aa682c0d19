"""PCA against its definition, UMAP's plumbing, and work in the background with and without an event loop."""

import asyncio
import sys
import threading
import time
import types

import numpy as np
import pytest

from nasviz.views.projection import Background, pca, umap


def test_pca_is_the_eigenvectors_of_the_covariance(embedding):
    xy, share = pca(embedding)
    values, vectors = np.linalg.eigh(np.cov(embedding.T))
    centred = embedding - embedding.mean(axis=0)
    for i in (0, 1):
        expected = centred @ vectors[:, -1 - i]
        np.testing.assert_allclose(np.abs(xy[:, i]), np.abs(expected), atol=1e-9)
        assert share[i] == pytest.approx(values[-1 - i] / values.sum())


def test_pca_of_equal_points():
    xy, share = pca(np.ones((5, 3)))
    assert np.all(xy == 0)
    assert np.all(share == 0)


def test_umap_refuses_few_points():
    with pytest.raises(ValueError, match="3 rows"):
        umap(np.eye(3))


def test_umap_is_asked_for_a_reproducible_map(monkeypatch):
    # The real one compiles for 40 s; tests/browser and the notebooks run it.
    asked = {}

    class Fake:
        def __init__(self, **settings):
            asked.update(settings)

        def fit_transform(self, x):
            return x[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Fake))
    assert umap(np.ones((5, 4)), seed=7).shape == (5, 2)
    assert asked == {"n_neighbors": 4, "init": "pca", "random_state": 7, "n_jobs": 1}


def test_background_without_a_loop_delivers_from_the_thread():
    got, seconds = [], []
    work = Background(lambda: 42, got.append, got.append, seconds.append)
    work.wait(10)
    assert got == [42]
    assert seconds == [0.0]
    assert not work.running


def test_background_hands_over_an_error():
    got = []
    Background(lambda: 1 / 0, got.append, lambda error: got.append(str(error)), lambda s: None).wait(10)
    assert got == ["division by zero"]


def test_background_with_a_loop_delivers_on_the_loop_and_blocks_nothing():
    release, got, beats, seconds = threading.Event(), [], [], []

    async def kernel():
        main = threading.get_ident()
        done = asyncio.get_running_loop().create_future()

        def deliver(result):
            got.append((result, threading.get_ident() == main))
            done.set_result(None)

        work = Background(lambda: release.wait(10), deliver, got.append, seconds.append)
        while work.running and len(beats) < 5:  # the kernel goes on answering
            beats.append(time.monotonic())
            await asyncio.sleep(0.15)
        release.set()
        await asyncio.wait_for(done, 10)

    asyncio.run(kernel())
    assert got == [(True, True)]
    assert len(beats) == 5
    assert seconds == sorted(seconds)
    assert len(seconds) >= 2
