"""Twenty viewers at the same time: who gets a page, when, and what one costs. Run with ``python -m pytest -m bench``.

A viewer is what a browser does until widgets can be drawn: the page, then its kernel's websocket, then all widgets.
"""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from nasviz.resources import dashboards_folder
from nasviz.views import voila_command, voila_environment
from tests.servers import PATIENCE, get, kernel_of, message, serving, talk

pytestmark = pytest.mark.bench
VIEWERS, PAGES = 20, ["cycles", "lesson", "ranking"]
ORDINARY = """
from nasviz.views.server import app, forked
forked._CONTEXT = None
app.serve(PAGES, ip="127.0.0.1", port=PORT, base_url="/", browser=False, viewers=40, idle=600, token=False)
"""
VOILA = """
from voila.app import Voila
Voila.launch_instance(argv=ARGUMENTS)
"""


def ways():
    """What is compared: options or code, and where a page is found."""
    arguments = [each for each in voila_command(dashboards_folder(), 0, browser=False)[3:] if "--port" not in each]
    code = VOILA.replace("ARGUMENTS", repr([*arguments, "--port=PORT"]))
    return {
        "forks, one of each page ready": ({}, "/{}"),
        "new kernels, in turn": ({"code": ORDINARY.replace("PAGES", repr(PAGES))}, "/{}"),
        "Voilà as it is": ({"code": code}, "/voila/render/{}.ipynb"),
    }


def view(port: int, path: str) -> tuple[float, float]:
    """Seconds until the page is there, and until all of its widgets are."""
    start = time.monotonic()
    status, page, _ = get(port, path)
    assert status == 200 and page.rstrip().endswith("</html>"), page[-500:]
    seconds = time.monotonic() - start
    asked = [message("comm_open", comm_id="c", target_name="jupyter.widget.control", data={})]
    asked.append(message("comm_msg", comm_id="c", data={"method": "request_states"}))
    heard = asyncio.run(talk(port, f"/api/kernels/{kernel_of(page)}/", asked))
    assert any("states" in str(said["content"])[:200] for said in heard if said["msg_type"] == "comm_msg")
    return seconds, time.monotonic() - start


def used(server: int) -> tuple[float, float]:
    """Megabytes and seconds of CPU of a process and all below it; memory that several share counts once."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family, size = {server}, 0
    while len(family) > size:
        size, family = len(family), family | {pid for pid, parent in parents.items() if parent in family}
    rows = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in family]
    megabytes = sum(int(line.split()[1]) for lines in rows for line in lines if line.startswith("Pss:")) / 1024
    times = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in family]
    return megabytes, sum(int(ticks) for pair in times for ticks in pair) / os.sysconf("SC_CLK_TCK")


def child() -> int:
    """The process of the server: the only child of this one that runs Python."""
    mine = [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat")
            if stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid())]  # fmt: skip
    return next(pid for pid in mine if "python" in Path(f"/proc/{pid}/cmdline").read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_twenty_viewers_at_the_same_time(results, tmp_path):
    rows = {}
    for i, (way, (options, place)) in enumerate(ways().items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        options["environment"] = {"JUPYTER_PATH": voila_environment()["JUPYTER_PATH"]}
        with serving(folder, **options) as port:
            time.sleep(min(60, PATIENCE / 4))  # what is made ready in advance is ready
            (before, worked), start = used(child()), time.monotonic()
            paths = [place.format(PAGES[k % len(PAGES)]) for k in range(VIEWERS)]
            with ThreadPoolExecutor(VIEWERS) as viewers:
                times = pd.DataFrame(list(viewers.map(lambda path: view(port, path), paths)), columns=["page", "all"])
            seconds, (after, work) = time.monotonic() - start, used(child())
            rows[way] = {
                "first page": times["page"].min(),
                "median page": times["page"].median(),
                "last page": times["page"].max(),
                "last widgets": seconds,
                "CPU s a viewer": (work - worked) / VIEWERS,
                "MB a viewer": (after - before) / VIEWERS,
                "MB before": before,
            }
    table = pd.DataFrame(rows).T.round(2)
    text = (
        f"{VIEWERS} viewers of the three dashboards who come in the same moment, {os.cpu_count()} cores: seconds until "
        "the page is there, until the last viewer has all widgets, CPU time and memory. Every one got the page."
    )
    results("Twenty viewers of the dashboards at the same time", text, table)
    forks, ordinary = table.iloc[0], table.iloc[1]
    for figure in ("CPU s a viewer", "MB a viewer"):  # seconds on the clock depend on what else goes on
        assert forks[figure] < ordinary[figure] / 2
