"""Networks for the tests of the explorer, small enough to draw by hand, or as large as is wanted."""

from nasviz.graph.builder import GraphBuilder
from nasviz.graph.graph import ComputeGraph


def blocks(count: int = 12, channels: int = 8, wide: int = -1, extra: int = -1) -> ComputeGraph:
    """A stem, `count` equal residual blocks, a head. Block `wide` has a wider middle, block `extra` one more layer."""
    g = GraphBuilder("blocks")
    x = g.input((1, 3, 16, 16))
    with g.scope("stem"):
        x = g.relu(g.batch_norm(g.conv(x, channels, 3, name="conv"), name="bn"), name="act")
    for i in range(count):
        with g.scope(f"body.{i}"):
            y = g.relu(g.conv(x, channels * (2 if i == wide else 1), 3, name="conv1"), name="act")
            if i == extra:
                y = g.conv(y, channels, 1, name="added")
            x = g.add((g.conv(y, channels, 3, name="conv2"), x), name="sum")
    with g.scope("head"):
        x = g.linear(g.mean(x, name="pool"), 10, name="fc")
    return g.graph(x)


def branches() -> ComputeGraph:
    """Two branches of unequal length that meet, with an edge that passes over three layers."""
    g = GraphBuilder("branches")
    x = g.input((1, 4, 8, 8))
    with g.scope("left"):
        a = g.conv(g.conv(x, 4, 3, name="one"), 4, 3, name="two")
    with g.scope("right"):
        b = g.conv(x, 4, 1, name="one")
    y = g.concat((a, b, x), name="join")
    return g.graph(g.conv(y, 4, 1, groups=4, name="last"))
