"""Data that the views are tested on: three well separated clusters of networks in two families."""

import base64
import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

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


def plain(value):
    """plotly's JSON with its binary arrays as lists."""
    if isinstance(value, dict):
        if set(value) == {"dtype", "bdata"}:
            return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).tolist()
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


@pytest.fixture
def shown():
    """The plotly figure that a view's chart shows, read back from what the browser gets."""
    return lambda view: go.Figure(plain(json.loads(view.chart.figure)))
