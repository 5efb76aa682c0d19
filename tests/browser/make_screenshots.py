"""Make the README's pictures from the running dashboards and a running notebook.

    python tests/browser/make_screenshots.py [FOLDER] [NAME ...]

Without a folder, those in notebooks/images are replaced. It needs what the browser tests need.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "notebooks" / "images"
PATIENCE = 180  # seconds
COLOURS = 200  # of a picture: enough for a page, and a third of the bytes


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[str]:
    """The address of the server that the command starts, with settings of its own in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = ["JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "NASVIZ_HOME"]
    environment = {**os.environ, **{name: str(folder / name.lower()) for name in own}, "PYTHONPATH": str(ROOT)}
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, "-m", *command, "--no-browser", f"--port={port}"]
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                    break
                except urllib.error.HTTPError:
                    break  # it answers, though not to this
                except (urllib.error.URLError, TimeoutError, ConnectionError):
                    if server.poll() is not None or time.monotonic() > end:
                        raise RuntimeError((folder / "server.log").read_text(encoding="utf-8")) from None
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def dashboard(name: str) -> list[str]:
    return ["nasviz.cli", "dashboard", name]


def lab() -> list[str]:
    return ["jupyterlab", "--allow-root", "--ip=127.0.0.1", "--IdentityProvider.token=", "--ServerApp.password=",
            "--LabApp.extension_manager=readonly"]  # fmt: skip


def ranking(page: Page, server: str) -> None:
    page.goto(server)
    page.locator(".nasviz-chart .scatterlayer path.point").first.wait_for()


def cycles(page: Page, server: str) -> None:
    page.goto(server)
    page.locator("tr[data-key='5']").click()
    page.get_by_role("button", name="Explore layers").click()
    network = page.locator(".nasviz-network:visible")
    network.locator("g.box").first.wait_for()
    page.get_by_label("Compare with").locator("visible=true").select_option(label="4: 0→3 avg pool")
    expect(network.locator("g.added")).not_to_have_count(0)
    page.get_by_role("tab", name="Explorer").evaluate("tab => tab.scrollIntoView()")


def lesson(page: Page, server: str) -> None:
    page.goto(server)
    page.locator(".nasviz-lesson .nasviz-chart .main-svg").first.wait_for()
    for number in (2, 3):
        page.get_by_role("button", name="Next").last.press("Enter")
        expect(page.locator(".nasviz-lesson h2")).to_contain_text(f"{number} · ")
    page.locator(".nasviz-lesson .nasviz-chart .main-svg").first.wait_for()


def notebook(page: Page, server: str) -> None:
    page.goto(f"{server}/lab/tree/notebooks/08_your_model.ipynb?reset")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    for _ in range(5):  # "run" before the kernel is there is lost
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        page.wait_for_timeout(2000)
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
        page.wait_for_timeout(2000)
        if prompts.first.inner_text().strip() != "[ ]:":
            break
    pictures = page.locator(".jp-RenderedImage img")
    expect(pictures).to_have_count(6)  # all cells have run
    heading = page.get_by_role("heading", name="Among its kind")
    for _ in range(5):  # JupyterLab moves to what runs, and draws what is in sight
        heading.evaluate("line => line.scrollIntoView()")
        page.wait_for_timeout(1000)
    box = pictures.first.bounding_box()
    if box is None or not 300 < box["y"] < 800:
        raise RuntimeError(f"the notebook's first picture is not in sight: {box}")


PICTURES: dict[str, tuple[list[str], Callable[[Page, str], None], tuple[int, int]]] = {
    "ranking": (dashboard("ranking"), ranking, (1280, 900)),
    "cycles": (dashboard("cycles"), cycles, (1280, 900)),
    "lesson": (dashboard("lesson"), lesson, (1280, 900)),
    "notebook": (lab(), notebook, (1280, 900)),
}
"""What serves it, what is done on the page, and the size of the window."""


def make(folder: Path, names: list[str]) -> None:
    chromium = os.environ.get("NASVIZ_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no Chromium on this computer: install Debian's package chromium, or let NASVIZ_CHROMIUM name it")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name in names:
            command, act, (width, height) = PICTURES[name]
            with tempfile.TemporaryDirectory() as place:
                shutil.copytree(ROOT / "notebooks", Path(place) / "notebooks")
                with served(command, Path(place)) as server:
                    page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
                    page.set_default_timeout(1000 * PATIENCE)
                    expect.set_options(timeout=1000 * PATIENCE)
                    act(page, server)
                    page.wait_for_timeout(1500)  # charts come to rest
                    raw = Path(place) / "raw.png"
                    page.screenshot(path=raw)
                    page.close()
                picture = Image.open(raw).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
                picture.save(folder / f"{name}.png", optimize=True)
            print(folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    folder, *names = sys.argv[1:] or [str(IMAGES)]
    make(Path(folder), names or list(PICTURES))
