"""The course notes that the lesson reads: their two worked networks line by line, their slips, and our own count."""

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from nasviz.graph.cost import cost
from nasviz.views.lesson.networks import worked_graph


@dataclass(frozen=True)
class Line:
    """A line of the notes.

    Attributes
    ----------
    step : str
        The heading it stands under.
    written : str
        The product as it is written there.
    value : int
        What they say it is.
    module : str
        The layer of :func:`~nasviz.views.lesson.networks.worked_network` that it counts.
    slip : str
        What is wrong with it; empty if nothing is.
    """

    step: str
    written: str
    value: int
    module: str
    slip: str = ""


FORGOTTEN = "The factor 2 is missing: a pointwise layer multiplies and adds like any other convolution."
FIRST = (
    Line("1: Conv2D", "10x26x26x3x3x1x2", 121_680, "conv1"),
    Line("2: Average Pool 2D", "13x13x2x2x10", 6_760, "pool"),
    Line("3: Conv2D", "5x11x11x3x3x10x2", 108_900, "conv2"),
    Line("4: Fully Connected", "605x128x2", 154_880, "dense1"),
    Line("5: Fully Connected", "128x10x2", 2_560, "dense2"),
)
SECOND = (
    Line("1: Separable, depthwise", "1x26x26x3x3x1x2", 12_168, "depthwise1"),
    Line("1: Separable, pointwise", "10x1x1x1x26x26", 6_760, "pointwise1", FORGOTTEN),
    Line(
        "2: Separable, depthwise",
        "10x24x24x3x3x1x2",
        103_680,
        "depthwise2",
        "“Our actual output shape will be 10x26x26” is a misprint: it is 10x24x24, and the product uses that.",
    ),
    Line("2: Separable, pointwise", "5x1x1x10x24x24", 28_800, "pointwise2", FORGOTTEN),
    Line("3: Fully Connected", "2880x128x2", 737_280, "dense1"),
    Line("4: Fully Connected", "128x10x2", 2_560, "dense2"),
)
TOTAL = 394_780
"""“Total FLOPS: 121680+6760+108900+154880+2560 = 394,780”, of the first network. The second has no total."""
SUBTOTALS = {"1: Separable": 18_928, "2: Separable": 132_480}
"""Of the second network: “12168+6760 = 18,928” and “103680 + 28800 = 132,480”."""


@dataclass(frozen=True)
class Slip:
    """What the notes say, and what is right; `page` is where the lesson says so."""

    page: str
    quote: str
    right: str


SLIPS = (
    Slip(
        "counting",
        "Using FLOPs (Floating Point Operations per second) as a performance metric",
        "FLOPs with a small s are operations: a quantity. “Per second” belongs to FLOPS.",
    ),
    Slip(
        "counting",
        "FLOPS stands for floating-point operations and refers to a rate.",
        "FLOPS stands for floating-point operations per second. It is a property of a machine, or of a program on one; "
        "a network alone has FLOPs.",
    ),
    Slip(
        "counting",
        'if we say, "100 FLOPS", this is referring to the number of operations a model performs in a second',
        "A model does not run by itself. It is the machine, running the model, that makes so many in a second.",
    ),
    Slip(
        "convolution",
        "Input shape: 1x1x28x28 … our actual output shape will be 10x26x26",
        "The input is written with its batch of 1, the output without. Both have a batch: 1x10x26x26. The counts are "
        "for one image.",
    ),
    Slip(
        "convolution",
        "MAC => [Total number of kernels(10) * shape of our output(26x26) * shape of our kernel(3x3x1)] * For FLOPS(2)",
        "What stands in the brackets are the MACs, 60,840. With the 2 they are FLOPs, 121,680.",
    ),
    Slip(
        "convolution",
        "FLOPS: 10x26x26x3x3x1x2 = 121,680",
        "Each of these totals is a quantity, so it is in FLOPs. The headings “Calculate Model FLOPs” and “Calculate "
        "Model FLOPS” ask for the same thing.",
    ),
    Slip(
        "convolution",
        "The shape for a single dimension will be = (28-3)+1 = 26",
        "True for stride 1, no padding and no dilation. In general it is ⌊(H + 2p − d(k − 1) − 1) / s⌋ + 1.",
    ),
    Slip(
        "pooling",
        "reduce the number of parameters flowing through our model by using pooling layers",
        "What flows through a network are activations. A pooling has no parameters and takes none away from its "
        "neighbours, with one exception: a dense layer behind it has fewer inputs, and so fewer weights.",
    ),
    Slip(
        "pooling",
        "While using pooling layers does solve the problem of having a lot of parameters",
        "It makes fewer activations, and fewer operations behind it. Convolutions behind it keep all their parameters.",
    ),
    Slip("separable", "FLOPs: 10x1x1x1x26x26 = 6,760", FORGOTTEN + " It should be 13,520."),
    Slip("separable", "FLOPs: 5x1x1x10x24x24 = 28,800", FORGOTTEN + " It should be 57,600."),
    Slip(
        "separable",
        "Because we have 10 input channel, our actual output shape will be 10x26x26",
        "A misprint: rows and columns are (26 − 3) + 1 = 24, so it is 10x24x24. The product below it has 24x24.",
    ),
    Slip(
        "networks",
        "we can reduce the number of operations in a convolutional layer without changing the input and output shape",
        "So it is. But the second network also has no pooling, so from its second layer on all shapes differ, and the "
        "two totals compare two changes at once. The notes draw no total for it.",
    ),
)


def lines(separable: bool) -> tuple[Line, ...]:
    """The lines of the first or of the second network."""
    return SECOND if separable else FIRST


@lru_cache(maxsize=2)
def worked(separable: bool) -> pd.DataFrame:
    """A network of the notes: their lines, and what :func:`~nasviz.graph.cost.cost` counts on the torch modules.

    Returns
    -------
    DataFrame
        ``step``, ``written``, ``notes`` (FLOPs there), ``lesson`` (FLOPs in their convention), ``corrected`` (2 · MACs,
        and the windows of the pooling), ``standard`` (FLOPs with biases), ``macs``, ``params``, ``slip``.
    """
    graph = worked_graph(separable=separable, pooling=not separable)
    theirs = cost(graph, "lesson").by_layer.set_index("layer")
    ours = cost(graph).by_layer.set_index("layer")
    rows = []
    for line in lines(separable):
        own = ours.loc[line.module]
        corrected = own["flops"] if own["macs"] == 0 else 2 * own["macs"]
        counted = theirs.loc[line.module, "flops"]
        rows.append(
            (
                line.step,
                line.written,
                line.value,
                counted,
                corrected,
                own["flops"],
                own["macs"],
                own["params"],
                line.slip,
            )
        )
    columns = ["step", "written", "notes", "lesson", "corrected", "standard", "macs", "params", "slip"]
    return pd.DataFrame(rows, columns=columns)


COUNTS = {"lesson": "as the notes count", "corrected": "with every factor 2", "standard": "standard, with biases"}


@lru_cache(maxsize=1)
def variants() -> pd.DataFrame:
    """The four networks that separable convolutions and a pooling can make of the first one, counted in each way.

    Returns
    -------
    DataFrame
        One row a layer: ``separable``, ``pooling``, ``part`` (first convolution, pooling, second convolution, first
        dense layer, second dense layer), ``lesson``, ``corrected``, ``standard``, ``macs``, ``params``.
    """
    parts = {"1": "first convolution", "2": "second convolution"}
    rows = []
    for separable in (False, True):
        for pooling in (True, False):
            graph = worked_graph(separable, pooling)
            theirs, ours = cost(graph, "lesson").by_layer, cost(graph).by_layer
            for (_, own), counted in zip(ours.iterrows(), theirs["flops"], strict=True):
                if own["flops"]:
                    number, dense = own["layer"][-1], own["layer"].startswith("dense")
                    part = "pooling" if own["layer"] == "pool" else parts[number]
                    part = part.replace("convolution", "dense layer") if dense else part
                    corrected = 2 * own["macs"] or own["flops"]
                    row = (separable, pooling, part, counted, corrected, own["flops"], own["macs"], own["params"])
                    rows.append(row)
    columns = ["separable", "pooling", "part", "lesson", "corrected", "standard", "macs", "params"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.groupby(["separable", "pooling", "part"], sort=False).sum().reset_index()
