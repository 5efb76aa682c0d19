"""Downloads from a real server that breaks off, cannot resume, refuses, or sends something else; and the table."""

import hashlib
import os
import re
import socket
import sys
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from nasviz.benchmarks import datasets
from nasviz.benchmarks import fetch as module
from nasviz.benchmarks.fetch import available, download, downloads, fetch
from nasviz.benchmarks.sources import SOURCES, Source

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `CONTENT` as the server's settings say, and writes down what it was asked for."""

    def do_GET(self):
        settings = self.server.settings
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.server.refusals:
            self.send_error(self.server.refusals.pop(0))
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and settings["ranges"] else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            shown = start + settings["shift"]
            self.send_header("Content-Range", f"bytes {shown}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if settings["length"]:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        part = CONTENT[start:]
        self.wfile.write(part[: self.server.breaks.pop(0)] if self.server.breaks else part)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """`asked`: Range of each request; `breaks`: after how many bytes to hang up; `refusals`: statuses to send."""
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.breaks, server.refusals = [], [], []
    server.settings = {"ranges": True, "length": True, "shift": 0}
    server.url = f"http://127.0.0.1:{server.server_port}/some.bin"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def get(server, path, sha256=SHA256):
    return download(server.url, path, sha256, progress=False)


@pytest.mark.parametrize("length", [True, False])
def test_a_download(server, tmp_path, length):
    server.settings["length"] = length
    path = tmp_path / "new" / "some.bin"
    assert get(server, path) == path
    assert path.read_bytes() == CONTENT and os.listdir(path.parent) == ["some.bin"]


def test_it_goes_on_where_the_connection_broke(server, tmp_path):
    server.breaks[:] = [100_000, 70_000, 0, 1]
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=170000-", "bytes=170000-", "bytes=170001-"]


def test_it_goes_on_another_day(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TRIES", 1)
    server.breaks[:] = [123_456, 0]
    with pytest.raises(
        ConnectionError, match=r"breaks off after 123,456 bytes .*; fetch again, and it goes on from th"
    ):
        get(server, tmp_path / "some.bin")
    assert os.listdir(tmp_path) == ["some.bin.part"], "nothing half-written under the final name"
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=123456-" and os.listdir(tmp_path) == ["some.bin"]


def test_all_was_there_but_the_name(server, tmp_path):
    (tmp_path / "some.bin.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_server_that_cannot_resume(server, tmp_path):
    server.settings["ranges"] = False
    (tmp_path / "some.bin.part").write_bytes(CONTENT[:1000])
    with pytest.warns(UserWarning, match=r"^127.0.0.1:\d+ cannot resume a download; it starts again.$"):
        assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT


def test_a_server_that_sends_another_part(server, tmp_path):
    server.settings["shift"] = 5
    (tmp_path / "some.bin.part").write_bytes(CONTENT[:1000])
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.refusals[:] = [503, 429, 500]
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("refusals", "count", "sentence"),
    [
        ([404], 1, "answers HTTP 404 Not Found; the file may have moved"),
        ([403], 1, "answers HTTP 403 Forbidden; the file may have moved"),
        ([500] * 9, 5, r"breaks off after 0 bytes \(HTTP 500 Internal Server Error\)"),
    ],
)
def test_a_server_that_refuses(server, tmp_path, refusals, count, sentence):
    server.refusals[:] = refusals
    with pytest.raises(ConnectionError, match=sentence) as caught:
        get(server, tmp_path / "some.bin")
    assert os.listdir(tmp_path) == [] and len(server.asked) == count and "\n" not in str(caught.value)


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match=r"breaks off after 0 bytes \(.*refused"):
        download(f"http://127.0.0.1:{port}/some.bin", tmp_path / "some.bin", SHA256, progress=False)


def test_another_file_than_expected_is_removed(server, tmp_path):
    (tmp_path / "some.bin.part").write_bytes(b"something else")
    with pytest.raises(
        ValueError, match=r"has the SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}; it was removed, so fetch ag"
    ):
        get(server, tmp_path / "some.bin")
    assert os.listdir(tmp_path) == []
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_the_disk_is_full_while_writing(server, tmp_path):
    (tmp_path / "some.bin.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"some.bin.part' cannot be written \(No space left on device\); make room or"):
        get(server, tmp_path / "some.bin")
    assert os.listdir(tmp_path) == ["some.bin.part"]


def test_the_disk_is_too_small_from_the_start(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: namedtuple("usage", "free")(199_999))
    with pytest.raises(OSError, match="300,000 bytes are still to come, and the disk has less room"):
        get(server, tmp_path / "some.bin")
    assert os.listdir(tmp_path) == []
    (tmp_path / "some.bin.part").write_bytes(CONTENT[:100_001])
    assert get(server, tmp_path / "some.bin").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"cannot be written \(.*\); make room or choose another folder"):
        get(server, tmp_path / "file" / "some.bin")
    if os.name == "posix" and os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(OSError, match=r"cannot be written \(Permission denied\)"):
            get(server, tmp_path / "some.bin")


# --- the table ------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(server, monkeypatch):
    entries = [
        Source("direct", "some.bin", "", "nb101", "page", "", 300_000, SHA256, server.url),
        Source("browser", "some.zip", "", "nb301", "https://example.org/page", "", folder="unpacked"),
        Source("single", "one.json", "", "zero_cost", "https://example.org/one", ""),
    ]
    monkeypatch.setattr(module, "SOURCES", {entry.name: entry for entry in entries})


def test_fetch_downloads_once(server, listed, cache):
    path = fetch("direct", progress=False)
    assert path == downloads() / "some.bin" and path.is_relative_to(cache) and path.read_bytes() == CONTENT
    assert fetch("direct") == path and len(server.asked) == 1
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=r"some.bin' is not the published file .*; remove it and fetch again"):
        fetch("direct")
    path.unlink()


def test_fetch_says_what_only_a_browser_gets(listed, tmp_path):
    place = re.escape(repr(str(tmp_path / "unpacked")))
    with pytest.raises(
        ValueError, match=f"download some.zip from https://example.org/page and unpack it, .* lie in {place}"
    ):
        fetch("browser", tmp_path)
    place = re.escape(repr(str(tmp_path / "one.json")))
    with pytest.raises(ValueError, match=f"download one.json from https://example.org/one and put it at {place}"):
        fetch("single", tmp_path)
    (tmp_path / "unpacked").mkdir()
    assert fetch("browser", tmp_path) == tmp_path / "unpacked"
    assert available(tmp_path).here.tolist() == [False, True, False]
    with pytest.raises(ValueError, match="name='x': no such file; known: direct, browser, single"):
        fetch("x")


def test_the_table_is_sound():
    table = available().set_index("name")
    assert set(table.load) <= set(datasets())
    assert table.file.is_unique and table.page.str.startswith("https://").all()
    direct = table[table.fetch == "direct"]
    assert direct.sha256.str.fullmatch("[0-9a-f]{64}").all() and len(direct) == 2
    for name in direct.index:
        assert SOURCES[name].url == f"https://storage.googleapis.com/nasbench/{SOURCES[name].file}"
    assert table.loc["nb101-108", "sha256"][:8] == "4c39c393" and table.loc["nb101-full", "sha256"][:8] == "3d64db81"
