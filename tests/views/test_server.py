"""The server of dashboards, asked over real connections: what viewers get, and what they do not."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from tornado.httpclient import HTTPClientError

from nasviz.resources import dashboards_folder
from tests.servers import get, kernel_of, message, serving, talk

TOKEN = "a-token-of-the-test"
BASE = "/lab/nasviz/"
# A page with a cell that fails, and with a button whose callback does.
BROKEN = """
from nasviz.views.server import app
from pathlib import Path
app.dashboards_folder = lambda: Path(FOLDER)
app.serve(["broken"], ip="127.0.0.1", port=PORT, base_url="BASE", browser=False, viewers=2, idle=1, token=True)
"""
CELL = """
import ipywidgets, sys
def fail(button):
    print("a secret on paper")
    raise RuntimeError("a secret in a callback")
button = ipywidgets.Button()
button.on_click(fail)
print("a secret on stderr", file=sys.stderr)
raise RuntimeError("a secret in a cell")
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of a server with all dashboards."""
    with serving(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The port of a server behind a prefix, with a token, whose page fails."""
    folder = tmp_path_factory.mktemp("broken")
    cells = [nbformat.v4.new_markdown_cell("# Broken\n\nIt fails."), nbformat.v4.new_code_cell(CELL)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    pages = folder / "pages"
    pages.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), pages / "broken.ipynb")
    (pages / "private.csv").write_text("a secret in a file")
    code = BROKEN.replace("FOLDER", repr(str(pages))).replace("BASE", BASE)
    from nasviz.views import voila_environment

    environment = {"JUPYTER_TOKEN": TOKEN, "JUPYTER_PATH": voila_environment()["JUPYTER_PATH"]}
    with serving(folder, code=code, path=BASE, environment=environment) as port:
        yield port


def test_an_index_leads_to_every_dashboard(port):
    status, index, _ = get(port, "/")
    links = re.findall(r'<a href="(/\w+)"><h2>([^<]+)</h2><p>([^<]+)</p>', index)
    names = sorted(page.stem for page in dashboards_folder().glob("*.ipynb"))
    assert status == 200 and [place for place, _, _ in links] == [f"/{name}" for name in names]
    for place, title, _ in links:
        status, page, _ = get(port, place)
        assert status == 200 and page.rstrip().endswith("</html>") and title in page
        loads = re.findall(r"<(?:link|script|img)\b[^>]*?(?:href|src)=[\"']?(https?://[^\"'> ]+)", page)
        assert loads == []  # nobody else is asked


@pytest.fixture
def kernel(port):
    """The path of a viewer's kernel, whose page he has opened."""
    return f"/api/kernels/{kernel_of(get(port, '/cycles')[1])}/"


CODE = "import pathlib; pathlib.Path({path!r}).write_text('was here')"


@pytest.mark.parametrize("channel", ["shell", "control", "stdin"])
def test_viewers_run_no_code(port, kernel, tmp_path, channel):
    code = CODE.format(path=str(tmp_path / "proof"))
    run = {"code": code, "silent": False, "store_history": False, "user_expressions": {"a": code}}
    asked = [
        message("execute_request", channel, **run),
        message("complete_request", channel, code="import o", cursor_pos=8),
        message("inspect_request", channel, code="open", cursor_pos=4, detail_level=1),
        message("is_complete_request", channel, code="1"),
        message("history_request", channel, hist_access_type="tail", n=10, output=True, raw=True),
        message("debug_request", channel, type="request", seq=1, command="evaluate", arguments={"expression": code}),
        message("create_subshell_request", channel),
        message("input_reply", channel, value=code),
        message("shutdown_request", channel, restart=False),
        message("comm_open", channel, comm_id="a", target_name="jupyter.widget", data={"state": {}}),
    ]
    heard = asyncio.run(talk(port, kernel, asked))
    assert not (tmp_path / "proof").exists()
    answered = {said["parent_header"].get("msg_id") for said in heard}
    assert answered & {each["header"]["msg_id"] for each in asked} == set()


def test_widgets_react_to_viewers(port, kernel):
    control = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}
    asked = [message("comm_open", **control), message("comm_msg", comm_id="control",
                                                      data={"method": "request_states"})]  # fmt: skip
    heard = asyncio.run(talk(port, kernel, asked))
    states = next(m["content"]["data"]["states"] for m in heard if m["msg_type"] == "comm_msg")
    action = next(id for id, model in states.items() if model["state"].get("description") == "Cycle")
    change = {"method": "update", "state": {"index": 3}, "buffer_paths": []}
    heard = asyncio.run(talk(port, kernel, [message("comm_msg", comm_id=action, data=change)]))
    news = json.dumps([said["content"] for said in heard if said["msg_type"] == "comm_msg"], ensure_ascii=False)
    assert "2→3 skip" in news  # the facts of cycle 3 that Python has written


def test_messages_that_are_none_end_nothing(port, kernel):
    broken = [{"channel": "shell"}, {"header": 3, "channel": "shell"}, [], {"header": {"msg_type": ["comm_msg"]}}]
    heard = asyncio.run(talk(port, kernel, broken))
    assert [said["msg_type"] for said in heard if said["channel"] == "shell"] == ["kernel_info_reply"]


PLACES = [
    "/voila/files/cycles.ipynb",
    "/voila/files/../cycles.ipynb",
    "/voila/render/cycles.ipynb",
    "/voila/tree",
    "/voila/api/contents",
    "/voila/api/contents/cycles.ipynb",
    "/voila/static/../../../../../../../../../../etc/passwd",
    "/voila/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/static//etc/passwd",
    "/voila/templates/nasviz/static/../../../../../../../../../../etc/passwd",
    "/voila/templates/nasviz/static//etc/passwd",
    "/voila/templates/../static/../../../../../../../../etc/passwd",
    "/voila/templates/nasviz",
    "/voila/labextensions/../../../../../../../../../etc/passwd",
    "/voila/labextensions/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/labextensions//etc/passwd",
    "/voila/api/themes/../../../../../../../../../etc/passwd",
    "/voila/api/themes//etc/passwd",
    "/voila/query/0",
    "/cycles.ipynb",
    "/cycles/../../README.md",
    "/api/contents",
    "/api/kernels",
    "/api/sessions",
    "/api/terminals",
    "/files/cycles.ipynb",
    "/nothing",
]


@pytest.mark.parametrize("place", PLACES)
def test_viewers_read_no_files(port, place):
    status, text, _ = get(port, place)
    assert status >= 400 and status != 200, text[:300]
    assert "root:" not in text and '"cells"' not in text and "Traceback" not in text and "site-packages" not in text


@pytest.mark.parametrize(
    ("method", "place"),
    [("POST", "/api/kernels"), ("DELETE", "{kernel}"), ("POST", "{kernel}/restart"), ("POST", "{kernel}/interrupt")],
)
def test_viewers_start_and_end_no_kernels(port, kernel, method, place):
    path = kernel.rstrip("/")
    assert get(port, place.format(kernel=path), method)[0] in {403, 404, 405}
    status, text, _ = get(port, path)
    assert status == 200 and json.loads(text)["id"] in path


def test_a_cell_that_fails_shows_a_sentence_and_nothing_else(broken):
    status, page, headers = get(broken, f"{BASE}?token={TOKEN}")
    assert status == 200 and "There was an error when executing cell [1]. The terminal of the dashboard" in page
    assert "a secret" not in page and "Traceback" not in page and "RuntimeError" not in page
    kernel, cookie = f"{BASE}api/kernels/{kernel_of(page)}/", headers["Set-Cookie"].split(";")[0]

    # a callback that fails: the page hears nothing of where and why
    control = [message("comm_open", comm_id="c", target_name="jupyter.widget.control", data={})]
    control.append(message("comm_msg", comm_id="c", data={"method": "request_states"}))
    heard = asyncio.run(talk(broken, kernel, control, Cookie=cookie))
    states = next(m["content"]["data"]["states"] for m in heard if m["msg_type"] == "comm_msg")
    button = next(id for id, model in states.items() if model["model_name"] == "ButtonModel")
    click = message("comm_msg", comm_id=button, data={"method": "custom", "content": {"event": "click"}})
    heard = asyncio.run(talk(broken, kernel, [click], Cookie=cookie))
    assert {said["msg_type"] for said in heard} >= {"status", "kernel_info_reply"}
    assert "a secret" not in json.dumps(heard)

    # without the token there is no connection, and the page that was left gives its kernel back
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(talk(broken, kernel, []))
    end = time.monotonic() + 60
    while get(broken, f"{kernel.rstrip('/')}?token={TOKEN}")[0] == 200:
        assert time.monotonic() < end, "the kernel of a page that was left is still there"
        time.sleep(0.5)


def test_the_token_is_asked_for(broken):
    status, _, headers = get(broken, BASE)
    assert status == 302 and headers["Location"].startswith(f"{BASE}login?next=")
    status, form, _ = get(broken, headers["Location"])
    assert status == 200 and "asks for a token" in form and "<form" in form
    assert get(broken, f"{BASE}?token=wrong")[0] == 302
    assert get(broken, f"{BASE}api/kernels/0")[0] in {302, 403}
    for place in ("/", f"{BASE}nothing"):
        status, text, headers = get(broken, place)
        assert status == 302 and headers["Location"].startswith(f"{BASE}login") and not text
    status, text, _ = get(broken, f"/?token={TOKEN}")  # outside the prefix there is nothing
    assert status == 404 and "There is no such page" in text


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forks on Linux alone")
def test_a_server_that_is_killed_leaves_no_kernels(tmp_path):
    def family():
        return [pid.name for pid in Path("/proc").glob("[0-9]*") if belongs(pid)]

    def belongs(pid):
        try:
            return os.readlink(pid / "fd" / "1") == str(tmp_path / "server.log")
        except OSError:  # it has just ended, or is somebody else's
            return False

    with pytest.raises(AssertionError, match="in peace"), serving(tmp_path, "cycles") as port:
        get(port, "/")
        everybody = family()
        server = min(everybody, key=int)
        assert len(everybody) >= 4  # the server, what it forks from, a page that is open and one that is ready
        os.kill(int(server), signal.SIGKILL)
    end = time.monotonic() + 60
    while family():
        assert time.monotonic() < end, f"{family()} have survived their server"
        time.sleep(0.2)


def test_nobody_is_served_too_many(broken):
    with ThreadPoolExecutor(4) as viewers:  # at the same time, and two have a place
        pages = list(viewers.map(lambda _: get(broken, f"{BASE}?token={TOKEN}"), range(4)))
    refused = [page for page in pages if page[0] != 200]
    assert 0 < len(refused) < 4
    for status, text, headers in refused:
        assert status == 503 and "All places are taken" in text and headers["Retry-After"] == "20"
