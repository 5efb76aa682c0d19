"""Imported by the process that kernels are forked from: it loads what the pages need and builds each of them once.

What it has loaded and cached, all forks share. It is single-threaded, which is what makes forking it safe.
"""

import gc
import logging
import os
from importlib import import_module

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before they are loaded; forks get the environment of the server, not this one

import ipywidgets  # noqa: E402

from nasviz import views  # noqa: E402
from nasviz.views.server.forked import PAGES  # noqa: E402

KERNEL = """
    ipykernel.kernelapp IPython.core.completerlib IPython.core.oinspect IPython.extensions.storemagic
    tornado.platform.asyncio typer
""".split()
"""What a kernel would import as it starts."""
BUILDERS = {"cycles": "cycles_dashboard", "lesson": "FlopsLesson", "ranking": "ranking_dashboard"}


def build(names: str) -> None:
    """Build these pages, named between commas, and throw them away; what they have loaded stays."""
    for name in KERNEL:  # first: widgets belong to the kernel that there is when they are made
        import_module(name)
    for name in BUILDERS.keys() & set(names.split(",")):
        try:
            getattr(views, BUILDERS[name])()
        except Exception:  # the page itself will say so, to whom it concerns
            logging.getLogger(__name__).exception("the page %s could not be built in advance", name)
    ipywidgets.Widget.close_all()
    gc.collect()
    gc.freeze()  # the collector does not touch, hence does not copy, what is shared


build(os.environ.get(PAGES, ""))
