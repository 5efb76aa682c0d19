"""The server: Voilà without its file browser and its file handler, with an index, a queue and a limit of viewers."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

from jupyter_client.utils import ensure_async
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated
from traitlets.config import Config
from voila.app import Voila
from voila.request_info_handler import RequestInfoSocketHandler
from voila.static_file_handler import AllowListFileHandler
from voila.tornado.contentshandler import VoilaContentsHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.treehandler import TornadoVoilaTreeHandler

from nasviz.resources import dashboards_folder
from nasviz.views.dashboard import ERROR, EXTENSIONS
from nasviz.views.server.forked import end_kernels, fork_kernels
from nasviz.views.server.viewers import ViewerConnection

NOT_SERVED = {
    AllowListFileHandler,  # files: the pages give theirs through their widgets
    KernelHandler,  # restarting and deleting kernels; `KernelModelHandler` stands for it
    RequestInfoSocketHandler,  # asks for no token
    TornadoVoilaHandler,  # any notebook; `PageHandler` stands for it
    TornadoVoilaTreeHandler,
    VoilaContentsHandler,
}


class Server(Voila):
    """Serves dashboards.

    Parameters
    ----------
    pages : list of str
        Names of the dashboards. One is served at the root; of several, there is an index.
    viewers : int
        How many pages may be open at the same time.
    config : Config
        As `settings` makes it.
    """

    def __init__(self, pages: list[str], viewers: int, **options: Any):
        super().__init__(config_file_paths=[], **options)  # no settings of other servers
        self.pages, self.viewers = pages, viewers
        self.root_dir = str(dashboards_folder())

    def init_settings(self) -> dict[str, Any]:
        settings = super().init_settings()
        return settings | {
            "jinja2_env": settings["voila_jinja2_env"],  # errors and the question for the token look like the rest
            "nasviz_waiting": Waiting(self.viewers),
        }

    def init_handlers(self) -> list[Any]:
        base = self.server_url
        handlers = [handler for handler in super().init_handlers() if handler[1] not in NOT_SERVED]
        # Voilà asks for the token beside its prefix instead of behind it, where a proxy would not pass it on.
        for i, (place, *rest) in enumerate(handlers):
            if place in ("/login", "/logout"):
                handlers[i] = (url_path_join(base, place), *rest)
        options = {"template_paths": self.template_paths, "config": self.config}
        options["voila_configuration"] = self.voila_configuration
        for name in self.pages:
            place = re.escape(base if len(self.pages) == 1 else url_path_join(base, name))
            handlers.append((place, PageHandler, {"notebook_path": f"{name}.ipynb", **options}))
        if len(self.pages) > 1:
            handlers.append((re.escape(base), IndexHandler, {"pages": self.pages}))
        handlers.append((url_path_join(base, r"/api/kernels/(?P<kernel_id>[\w-]+)"), KernelModelHandler))
        handlers.append((r".*", NothingHandler))
        return handlers


class Waiting:
    """Who waits for a page. Pages are made as many at a time as there are cores: more at a time is slower for all."""

    def __init__(self, viewers: int):
        self.viewers, self.now = viewers, 0
        self.turn = asyncio.Semaphore(os.cpu_count() or 1)


class PageHandler(TornadoVoilaHandler):
    """A dashboard: from a kernel that has it ready, else from a new one, in turn."""

    @authenticated
    async def get(self) -> None:
        kernels, waiting = self.kernel_manager, self.settings["nasviz_waiting"]
        ready = kernels.get_pool_size(self.notebook_path)
        spare = sum(kernels.get_pool_size(f"{name}.ipynb") for name in self.settings["voila"].pages)
        if len(kernels) - spare + waiting.now >= waiting.viewers:
            raise HTTPError(503, "too many viewers")
        self.set_header("X-Accel-Buffering", "no")  # nginx passes on what there is, while the rest is made
        waiting.now += 1
        try:
            if ready:
                await super().get()
                return
            async with waiting.turn:
                if not self.request.connection.stream.closed():  # else whoever asked has left
                    await super().get()
        finally:
            waiting.now -= 1

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if status_code == 503:
            self.set_header("Retry-After", "20")
        super().write_error(status_code, **kwargs)


class IndexHandler(JupyterHandler):
    """The page that leads to the dashboards."""

    def initialize(self, pages: list[str]) -> None:
        self._pages = pages

    @authenticated
    async def get(self) -> None:
        folder = dashboards_folder()
        pages = [{"name": name, **head(folder / f"{name}.ipynb")} for name in self._pages]
        self.finish(self.render_template("dashboards.html", pages=pages))


class KernelModelHandler(JupyterHandler):
    """Says that a kernel lives. A page asks before it speaks to it, and from time to time."""

    @authenticated
    async def get(self, kernel_id: str) -> None:
        kernels = self.kernel_manager
        if kernel_id not in kernels or not await ensure_async(kernels.get_kernel(kernel_id).is_alive()):
            raise HTTPError(404)
        self.finish(json.dumps(kernels.kernel_model(kernel_id), default=str))


class NothingHandler(JupyterHandler):
    """Every other address."""

    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(404)


def head(notebook: Path) -> dict[str, str]:
    """Title and text of a page, from its first cell: ``# title``, an empty line, text."""
    cell = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]
    title, _, text = "".join(cell["source"]).partition("\n")
    return {"title": title.removeprefix("# ").strip(), "text": text.strip()}


def settings(pages: list[str], *, ip: str, port: int, base_url: str, browser: bool, idle: int, token: bool) -> Config:
    """The settings of a `Server`.

    Parameters
    ----------
    pages : list of str
        Names of the dashboards.
    ip, port, base_url
        Where it answers; `base_url` is the path in front of all others, as ``/nasviz/``.
    browser : bool
        Whether to open it in the browser.
    idle : int
        Seconds until the kernel of a page that was left is ended.
    token : bool
        Whether a viewer must know a token: the environment variable ``JUPYTER_TOKEN``, else a new one.
    """
    config = Config()
    config.Voila.update(ip=ip, port=port, base_url=base_url, open_browser=browser, auto_token=token, port_retries=1)
    config.Voila.kernel_websocket_connection_class = ViewerConnection
    config.VoilaConfiguration.update(
        template="nasviz",
        allow_template_override="NO",
        allow_theme_override="NO",
        extension_allowlist=EXTENSIONS,
        file_allowlist=[],
        preheat_kernel=True,
        default_pool_size=1,
    )
    config.VoilaExecutor.update(cell_error_instruction=ERROR, startup_timeout=300)
    config.VoilaKernelManager.kernel_pools_config = {
        "default": {"pool_size": 0},
        **{f"{name}.ipynb": {"pool_size": 1} for name in pages},
    }
    config.MappingKernelManager.update(cull_idle_timeout=idle, cull_interval=min(60, max(1, idle // 2)))
    config.KernelManager.autorestart = False  # the new one would know nothing of the page
    config.KernelManager.transport = "ipc"  # sockets in a folder of the server's user instead of open ports
    return config


def serve(pages: list[str], *, viewers: int, **options: Any) -> None:
    """Serve dashboards until the process is told to end; `options` are those of `settings`."""
    fork_kernels(pages)
    server = Server(pages, viewers, config=settings(pages, **options))
    server.initialize([])
    try:
        server.start()
    finally:
        end_kernels()
