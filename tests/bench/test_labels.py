"""What it takes to read a label file as large as the largest official one. Run with ``-m bench``."""

import base64
import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.bench

CELLS, RUNS, BUDGETS = 423_624, 3, (4, 12, 36, 108)
LIMIT = 2 * 10**9
"""Bytes of memory that the file of 1.95 GB may take."""

READ = """
import json, sys, time
from nasviz.benchmarks import load
start = time.process_time()
bench = load("nb101", sys.argv[1], progress=False)
seconds = time.process_time() - start
[peak] = [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:")]
runs = int(bench.table.accuracy_2.notna().sum())
print(json.dumps({"cells": len(bench), "seconds": seconds, "peak": peak, "runs": runs}))
"""


def write(path: Path) -> None:
    """A file of the published numbers of cells, runs and budgets; every cell the same, under a hash of its own."""
    from google_crc32c import value as crc32c

    def checksum(data: bytes) -> bytes:
        crc = crc32c(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    entry = b"".join(bytes([tag]) + struct.pack("<d", 0.9) for tag in (0x09, 0x11, 0x19, 0x21, 0x29))
    metrics = (b"\n-" + entry) * 3 + b"\x10\x8a\x98\x8a\x04" + b"\x19" + struct.pack("<d", 413.7)
    rest = json.dumps(
        [
            "0100110001000000010010000010000001000000010000000",
            "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output",
            base64.encodebytes(metrics).decode(),
        ]
    )[1:].encode()
    with path.open("wb") as file:
        for cell in range(CELLS):
            key = hashlib.md5(b"%d" % cell, usedforsecurity=False).hexdigest().encode()
            for budget in BUDGETS:
                payload = b'["%s", %d, %s' % (key, budget, rest)
                length = struct.pack("<Q", len(payload))
                file.write((length + checksum(length) + payload + checksum(payload)) * RUNS)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the most memory that a process took")
def test_the_full_file_of_nasbench101(tmp_path, results):
    path = tmp_path / "nasbench_full.tfrecord"
    write(path)
    size = path.stat().st_size
    assert size > 1.9e9
    told = json.loads(subprocess.run([sys.executable, "-c", READ, path], check=True, capture_output=True).stdout)
    path.unlink()
    assert (told["cells"], told["runs"]) == (CELLS, CELLS)
    assert told["peak"] < LIMIT
    row = {
        "records": CELLS * RUNS * len(BUDGETS),
        "GB": size / 1e9,
        "s (CPU)": told["seconds"],
        "MB/s": size / 1e6 / told["seconds"],
        "MiB at most": told["peak"] / 2**20,
    }
    results(
        "NAS-Bench-101's full file",
        "A file of the size and layout of nasbench_full.tfrecord, written here, read by one process: all checksums "
        "verified, 108 epochs kept. Memory is the most that the process took, interpreter and table included.",
        pd.DataFrame([row]).round(1).set_index("records"),
    )
