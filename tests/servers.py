"""A server of dashboards in a process of its own, and what a viewer's browser would send to it."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).parents[1]
PATIENCE = float(os.environ.get("NASVIZ_PATIENCE", 120))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(
    folder: Path, *options: str, code: str = "", path: str = "/", environment: dict[str, str] | None = None
) -> Iterator[int]:
    """``nasviz dashboard`` with these options, or Python with this `code`, where PORT is the port; gives the port."""
    port = free_port()
    command = ["-m", "nasviz.cli", "dashboard", "--no-browser", f"--port={port}", *options]
    if code:
        command = ["-c", code.replace("PORT", str(port))]
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    own |= {"PYTHONPATH": str(ROOT), "NASVIZ_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [sys.executable, *command], env={**os.environ, **own, **(environment or {})}, stdout=log, stderr=log,
            cwd=folder,
        )  # fmt: skip
        try:
            end = time.monotonic() + PATIENCE
            while server.poll() is None:
                try:
                    get(port, f"{path}voila/static/voila.js")
                    break
                except OSError:
                    assert time.monotonic() < end, (folder / "server.log").read_text(encoding="utf-8")
                    time.sleep(0.1)
            assert server.poll() is None, (folder / "server.log").read_text(encoding="utf-8")
            yield port
        finally:
            server.terminate()
            try:
                ended = server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
        assert ended == 0, "a server that is told to end does so in peace"


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of an answer; the path is sent as it is, with all its dots."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), dict(answer.getheaders())
    finally:
        connection.close()


def kernel_of(page: str) -> str:
    """The kernel that a page names."""
    return re.search(r'"kernelId": "([\w-]+)"', page)[1]


def message(kind: str, channel: str = "shell", **content: Any) -> dict[str, Any]:
    """A message of Jupyter's protocol, unsigned, as browsers send it."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "viewer", "username": "", "version": "5.4"}
    version = "1.0.0" if content.get("target_name") == "jupyter.widget.control" else "2.1.0"
    return {"header": header, "parent_header": {}, "metadata": {"version": version}, "content": content,
            "buffers": [], "channel": channel}  # fmt: skip


async def talk(port: int, path: str, messages: list[dict[str, Any]], **headers: str) -> list[dict[str, Any]]:
    """Send messages to a kernel, then ask it who it is; all that it says until it has answered that and rests."""
    request = HTTPRequest(f"ws://127.0.0.1:{port}{path}channels?session_id=viewer", headers=headers)
    wire = await websocket_connect(request)
    asked = message("kernel_info_request")
    for each in [*messages, asked]:
        await wire.write_message(json.dumps(each))
    heard: list[dict[str, Any]] = []
    while True:
        said = await wire.read_message()
        if said is None:
            raise ConnectionError("the server has closed the connection")
        if isinstance(said, bytes):  # with buffers: a table of offsets, the message in JSON, the buffers
            first, second = (int.from_bytes(said[4 * i : 4 * i + 4], "big") for i in (1, 2))
            said = said[first:second].decode()
        heard.append(json.loads(said))
        last = [each for each in heard if each["parent_header"].get("msg_id") == asked["header"]["msg_id"]]
        rests = any(each["content"].get("execution_state") == "idle" for each in last)
        if rests and any(each["msg_type"] == "kernel_info_reply" for each in last):
            wire.close()
            return heard
