"""Data that the views are tested on: three well separated clusters of networks in two families."""

import base64
import json
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from nasviz.cycles import Run

N = 60


@pytest.fixture
def embedding() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = 10 * np.eye(3, 6)
    return np.repeat(centres, N // 3, axis=0) + rng.normal(size=(N, 6))


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "family": ["nb101"] * 25 + ["nb201"] * 35,
            "arch": [f"|conv~0|+|none~{i}|" for i in range(N)],
            "accuracy": rng.uniform(0.5, 0.95, N),
            "macs": rng.integers(1_000_000, 90_000_000, N),
        }
    )


@pytest.fixture
def scores(table) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    truth = table["accuracy"].to_numpy()
    return pd.DataFrame(
        {
            "score": np.clip(truth + rng.normal(0, 0.03, N), 0, 1),
            "CL+T": np.clip(truth + rng.normal(0, 0.1, N), 0, 1),
            "FLOPs": 2.0 * table["macs"],
        }
    )


@pytest.fixture
def read_table():
    """Reads one of our HTML tables back: its header, its rows, and its caption."""

    def read(text: str) -> tuple[list[str], list[list[str]], str]:
        root = ElementTree.fromstring(text.replace("<wbr>", ""))
        rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
        return rows[0], rows[1:], root.find("p").text

    return read


@pytest.fixture
def overlaps():
    """Names the legends, colour bars and axes of a matplotlib figure that lie on each other, and such tick labels."""

    def find(figure) -> list[str]:
        figure.draw_without_rendering()
        places = {f"axes {i}": ax.get_tightbbox() for i, ax in enumerate(figure.axes)}
        places |= {f"legend {i}": legend.get_window_extent() for i, legend in enumerate(figure.legends)}
        for i, ax in enumerate(figure.axes):
            for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
                labels = [label for label in axis.get_ticklabels() if label.get_text()]
                low, high = sorted(axis.get_view_interval())
                shown = [t for t, at in zip(labels, axis.get_majorticklocs(), strict=False) if low <= at <= high]
                places |= {f"axes {i} {name} tick {t.get_text()}": t.get_window_extent() for t in shown}
        names, found = list(places), []
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                inside = b.startswith(a) or a.startswith("axes") and "tick" in b and b.split(" ")[1] == a.split(" ")[1]
                if (not inside or ("tick" in a and "tick" in b)) and places[a].overlaps(places[b]):
                    found.append(f"{a} on {b}")
        return found

    return find


@pytest.fixture
def run() -> SimpleNamespace:
    """A run as plain tables, small enough to count by hand: 4 cycles, a layer removed and one added, some gaps."""
    metrics = {
        ("accuracy", "fraction"): [0.90, 0.92, None, 0.88],
        ("parameters", ""): [1000, 800, 600, 400],
        ("latency_ms", "ms"): [3.0, None, 2.0, 1.0],
        ("recall", "fraction"): [0.1, 0.5, 0.5, None],
    }
    rows = [
        (cycle, ["initial", "wider", "<b>cut</b>", "cycle 3"][cycle], metric, value, unit)
        for (metric, unit), values in metrics.items()
        for cycle, value in enumerate(values)
    ]
    # parameters of the layers; the relu has none
    layers = [
        {"conv1": 300, "relu": 0, "conv2": 500, "fc": 200},
        {"conv1": 300, "relu": 0, "conv2": 300, "fc": 200},
        {"conv1": 400, "relu": 0, "fc": 200},
        {"conv1": 100, "extra.conv": 100, "relu": 0, "fc": 200},
    ]
    long = [
        (cycle, name, name.rstrip("12").split(".")[-1], name != "relu", position, metric, value)
        for cycle, table in enumerate(layers)
        for position, (name, count) in enumerate(table.items())
        for metric, value in {"parameters": count, "information_capacity": 0.5 if name == "conv1" else None}.items()
    ]
    return SimpleNamespace(
        metrics=pd.DataFrame(rows, columns=["cycle", "name", "metric", "value", "unit"]),
        layers=pd.DataFrame(long, columns=["cycle", "layer", "op", "trainable", "position", "metric", "value"]),
    )


@pytest.fixture
def disk_run(tmp_path):
    """A run on disk that is open for reading, and a function that writes one more cycle with this accuracy."""
    writer = Run.create(tmp_path / "run")

    def add(accuracy: float | None):
        layers = {"layer": ["conv", "fc"], "op": ["conv", "linear"], "trainable": True, "position": [0, 1]}
        layers |= {"parameters": [90.0, 10.0 * len(writer)]}
        count = {"accuracy": accuracy, "parameters": 90 + 10 * len(writer)}
        writer.add(metrics=count, layers=pd.DataFrame(layers))

    return Run.open(tmp_path / "run"), add


def plain(value):
    """plotly's JSON with its binary arrays as lists."""
    if isinstance(value, dict):
        if "bdata" in value:
            array = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
            return array.reshape([int(size) for size in value.get("shape", "-1").split(",")]).tolist()
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


@pytest.fixture
def shown():
    """The plotly figure that a view's chart shows, read back from what the browser gets."""
    return lambda view: go.Figure(plain(json.loads(view.chart.figure)))
