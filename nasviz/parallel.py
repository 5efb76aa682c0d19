"""The one way to many processes: joblib's, on this machine or on a Dask cluster, with an end when a worker dies."""

from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import get_active_backend


def parallel(jobs: int, **options: Any) -> joblib.Parallel:
    """``joblib.Parallel(jobs, **options)``; inside ``joblib.parallel_config("dask")`` on the workers of the cluster.

    On a cluster `jobs` says nothing: all workers have work. When a worker dies, Dask gives its task to another one; a
    task that takes worker after worker with it ends all, as it does without Dask. (joblib 1.6 would wait for it for
    ever: its backend tells the one who waits of results only, not of tasks that Dask gave up.)

    Raises
    ------
    joblib.externals.loky.process_executor.TerminatedWorkerError
        When results are asked for, if no worker survived a task.
    """
    backend, _ = get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":  # by name: without Dask there is no class to compare with
        options["backend"] = _telling_errors(type(backend))(
            client=backend.client, wait_for_workers_timeout=backend.wait_for_workers_timeout, **backend.submit_kwargs
        )
    return joblib.Parallel(jobs, **options)


def _telling_errors(backend: type) -> type:
    """joblib's backend for Dask, with the missing half of its bookkeeping."""

    class TellingErrors(backend):
        def effective_n_jobs(self, n_jobs):
            return max(2, super().effective_n_jobs(n_jobs))  # for one, joblib does the work in the caller's process

        def submit(self, func, callback=None):
            future = super().submit(func, callback)
            if callback:
                future.add_done_callback(lambda done: done.exception() is not None and callback(done.exception()))
            return future

        def retrieve_result_callback(self, out):
            if type(out).__name__ == "KilledWorker":
                raise TerminatedWorkerError(str(out))
            if isinstance(out, BaseException):  # cancelled, or the scheduler is gone
                raise out
            return super().retrieve_result_callback(out)

    return TellingErrors
