"""Kernels that are forked from a process which has all modules loaded and has built each page once.

A new kernel imports for seconds and takes hundreds of megabytes, most of it code that is the same for every viewer. A
fork has it at once and shares the memory. Linux only: elsewhere, forking a process with these libraries is not safe.
"""

import asyncio
import multiprocessing
import os
import sys
from contextlib import suppress
from importlib.metadata import EntryPoint
from threading import Thread
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

NAME = "nasviz-forked"
PAGES = "NASVIZ_SERVED_PAGES"
"""The environment variable that names the pages to be built in advance, between commas."""
_CONTEXT = multiprocessing.get_context("forkserver") if sys.platform == "linux" else None


def fork_kernels(pages: list[str]) -> None:
    """Have this process start its kernels as forks of one that has built these pages, where that can be done."""
    if _CONTEXT is None:
        return
    os.environ[PAGES] = ",".join(pages)  # the process to fork from is a new one and reads it
    _CONTEXT.set_forkserver_preload(["nasviz.views.server.preload"])
    factory = KernelProvisionerFactory.instance()
    place = f"{__name__}:{ForkedProvisioner.__name__}"
    factory.provisioners[NAME] = EntryPoint(NAME, place, KernelProvisionerFactory.GROUP_NAME)
    factory.default_provisioner_name = NAME


def end_kernels() -> None:
    """End every fork that is still there, for instance because it was being started while the server was told to end.

    Python would wait for them.
    """
    for process in multiprocessing.active_children():
        process.kill()


class ForkedProvisioner(LocalProvisioner):
    """Starts kernels as forks; all else, from signals to waiting, is done as for any local kernel."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        if cmd[1:3] != ["-m", "ipykernel_launcher"]:  # another kernel than Python's own
            return await super().launch_kernel(cmd, **kwargs)
        told = (cmd[3:], dict(kwargs.get("env") or os.environ), kwargs.get("cwd"))
        process = _CONTEXT.Process(target=_kernel, args=told)
        try:
            await asyncio.to_thread(process.start)  # the first one waits until the pages are built
        except (EOFError, OSError):
            self.log.exception("The process to fork kernels from has ended; this kernel is a new process.")
            return await super().launch_kernel(cmd, **kwargs)
        self.process, self.pid, self.pgid = _Child(process), process.pid, process.pid
        return self.connection_info


class _Child:
    """A process of multiprocessing as jupyter_client expects one of subprocess."""

    stdin = stdout = stderr = None

    def __init__(self, process: Any):
        self._process, self.pid = process, process.pid
        self.terminate, self.kill = process.terminate, process.kill

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        with suppress(ProcessLookupError):  # as for processes of subprocess: it has ended, which is well
            os.kill(self.pid, signum)


def _end_with_server() -> None:
    """A server that was killed cannot end its kernels."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _kernel(argv: list[str], environment: dict[str, str], folder: str | None) -> None:
    """What a fork does: it becomes a kernel."""
    import ipywidgets
    from ipykernel.kernelapp import launch_new_instance

    ipywidgets.register_comm_target()  # it does so when it is imported, but only in a kernel
    sys.modules["debugpy"] = None  # nobody debugs these kernels; it is a third of the time that they need to start
    os.setsid()  # signals to a kernel go to it and what it has started, not to the server
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    Thread(target=_end_with_server, daemon=True).start()
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # the kernel belongs to somebody, and says less
    launch_new_instance([*argv, parent])
