"""From an embedding to a plane: PCA at once, UMAP in the background."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# numba's default threads must not run two compiled functions at once
_ONE_UMAP = threading.Lock()


def pca(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components.

    Parameters
    ----------
    x : array (N, D)
        N ≥ 2 points, D ≥ 2.

    Returns
    -------
    xy : array (N, 2)
        The points in the plane.
    share : array (2,)
        Share of the variance that each axis carries, in [0, 1].
    """
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # equal points have no variance to share
        fitted = PCA(n_components=2, svd_solver="full").fit(x)
    return fitted.transform(x), np.nan_to_num(fitted.explained_variance_ratio_)


def umap(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """A UMAP of the points x (N, D) in the plane (N, 2); the first call in a process compiles for about 40 s.

    Source: L. McInnes, J. Healy and J. Melville, UMAP, arXiv:1802.03426.
    """
    if len(x) < 4:
        raise ValueError(f"embedding has {len(x)} rows, and UMAP needs at least 4; look at the PCA instead.")
    with _ONE_UMAP:
        from umap import UMAP

        model = UMAP(n_neighbors=min(15, len(x) - 1), init="pca", random_state=seed, n_jobs=1)
        return model.fit_transform(x)


class Background:
    """One piece of work in a thread, so that the kernel goes on answering.

    Where an event loop runs, as in a notebook, progress and result are delivered on it, between the callbacks of the
    widgets and never at the same time as one of them. Without a loop they are delivered from the thread.

    Parameters
    ----------
    work : callable
        Runs in the thread, without arguments.
    done : callable
        Gets the result of `work`.
    failed : callable
        Gets the exception of `work`.
    progress : callable
        Gets the seconds since the start, about once a second.
    """

    def __init__(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        progress: Callable[[float], None],
    ):
        self._work, self._done, self._failed, self._progress = work, done, failed, progress
        self._start = time.monotonic()
        self._outcome: Callable[[], None] | None = None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._thread = threading.Thread(target=self._run, name="nasviz-background", daemon=True)
        self._thread.start()
        progress(0.0)
        if self._loop is not None:
            self._loop.call_later(0.5, self._poll)

    @property
    def running(self) -> bool:
        """Whether the work goes on."""
        return self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the work is done; only for scripts and tests without an event loop."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            result = self._work()
            self._outcome = lambda: self._done(result)
        except Exception as error:  # noqa: BLE001 - whatever it is, the panel shows it
            self._outcome = lambda error=error: self._failed(error)
        if self._loop is None:
            self._outcome()

    def _poll(self) -> None:
        if self._outcome is not None:
            self._outcome()
            return
        self._progress(time.monotonic() - self._start)
        self._loop.call_later(0.5, self._poll)
