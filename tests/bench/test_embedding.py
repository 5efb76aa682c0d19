"""From 50,000 embeddings to the screen. Run with ``-m bench``."""

import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nasviz.views import EmbeddingScatter
from nasviz.views.projection import pca

pytestmark = pytest.mark.bench
POINTS, DIMENSIONS, CLUSTERS = 50_000, 32, 20


def cpu(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_fifty_thousand_points(results):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(CLUSTERS, DIMENSIONS))[rng.integers(0, CLUSTERS, POINTS)] * 3 + rng.normal(size=(POINTS, 32))
    memberships = rng.dirichlet(np.full(CLUSTERS, 0.2), POINTS)
    facts = {"family": rng.choice(["nb101", "nb201"], POINTS), "arch": [f"{i}" for i in range(POINTS)]}
    table = pd.DataFrame({**facts, "accuracy": rng.uniform(0.5, 0.9, POINTS)})
    EmbeddingScatter(x[:100], memberships[:100], table[:100])  # imports and fonts
    xy, _ = pca(x)

    def bare() -> None:
        figure = Figure()
        figure.subplots().scatter(*xy.T, c=table["accuracy"], s=4)
        figure.savefig("/dev/null", format="png")

    rows = {"plain matplotlib: scatter and savefig": min(cpu(bare) for _ in range(3))}
    rows["PCA"] = min(cpu(lambda: pca(x)) for _ in range(3))
    made = []
    rows["first paint: PCA, chart, tables"] = cpu(lambda: made.append(EmbeddingScatter(x, memberships, table)))
    view = made[0]
    for name in ("accuracy", "cluster", "family"):
        rows[f"coloured by {name}"] = cpu(lambda name=name: setattr(view.state, "colour", name))
    frame = pd.DataFrame({"ms": {name: 1000 * seconds for name, seconds in rows.items()}})
    frame["times plain matplotlib"] = frame["ms"] / frame["ms"].iloc[0]
    results(
        f"{POINTS:,} embeddings",
        f"{POINTS:,} points in {DIMENSIONS} dimensions with {CLUSTERS} memberships each: CPU time in the kernel.",
        frame.round(1),
    )
    assert rows["first paint: PCA, chart, tables"] < 10
