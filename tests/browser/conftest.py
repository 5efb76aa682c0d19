"""A real Chromium, and real servers on free ports with settings of their own.

Nothing here is skipped: without Chromium these tests fail, because what they hold cannot be seen otherwise.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
PATIENCE = float(os.environ.get("NASVIZ_PATIENCE", 120))
"""Seconds until something that should appear is missed; a busy machine needs some, a very busy one more."""
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")  # its event loop must not outlive these tests
def browser() -> Iterator[Browser]:
    chromium = os.environ.get("NASVIZ_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail("no Chromium on this computer: install Debian's package chromium, or let NASVIZ_CHROMIUM name it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """A page that is wide and high enough to show a view at once."""
    page = browser.new_page(viewport={"width": 1400, "height": 1500})
    page.set_default_timeout(1000 * PATIENCE)
    expect.set_options(timeout=1000 * PATIENCE)
    yield page
    page.close()


@pytest.fixture
def watch() -> Callable[[Page, str], tuple[list[str], list[str]]]:
    """Collects the requests of a page to anywhere but its own server, and the errors of its JavaScript."""

    def collect(page: Page, server: str) -> tuple[list[str], list[str]]:
        outside, errors = [], []
        own = (server, server.replace("http", "ws", 1), "data:", "blob:")
        page.on("request", lambda request: None if request.url.startswith(own) else outside.append(request.url))
        page.on("websocket", lambda socket: None if socket.url.startswith(own) else outside.append(socket.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        return outside, errors

    return collect


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., str]]:
    """Starts a server: gets the command for a port and its environment, gives the address once it answers."""
    running: list[subprocess.Popen] = []

    def start(command: Callable[[int], list[str]], environment: dict[str, str], path: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folders = ["JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"]
        own = {name: str(tmp_path / name.lower()) for name in folders}
        python_path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
        log = (tmp_path / "server.log").open("w", encoding="utf-8")
        server = subprocess.Popen(
            command(port), env={**environment, **own, "PYTHONPATH": python_path}, stdout=log, stderr=log, cwd=tmp_path
        )
        running.append(server)
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while time.monotonic() < end and server.poll() is None:
            try:
                urllib.request.urlopen(address + path, timeout=5).close()
                return address
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
        pytest.fail(f"the server did not answer; it said:\n{(tmp_path / 'server.log').read_text(encoding='utf-8')}")

    yield start
    for server in running:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture
def notebook(tmp_path) -> Callable[..., Path]:
    """Writes a notebook with these cells of code."""

    def write(*sources: str) -> Path:
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / "page.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return path

    return write


@pytest.fixture
def lab_command(tmp_path) -> Callable[[int], list[str]]:
    """The command that serves JupyterLab in a new folder, without token and without questions."""
    settings = tmp_path / "jupyter_config_dir" / "labconfig"
    settings.mkdir(parents=True)
    news = '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'
    (settings / "page_config.json").write_text(news, encoding="utf-8")
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--ServerApp.password="]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}", "--LabApp.extension_manager=readonly"]
    return lambda port: [sys.executable, "-m", "jupyterlab", *options, f"--port={port}"]
