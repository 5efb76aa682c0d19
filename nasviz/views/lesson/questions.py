"""The exercises of the lesson: those on whole networks, and all of them page by page."""

from collections.abc import Callable, Mapping

from nasviz.views.lesson import questions_layers as layers
from nasviz.views.lesson import questions_speed as speed
from nasviz.views.lesson.exercise import Choice, Question
from nasviz.views.lesson.formulas import Conv, Dense, Factor, Pool, Product, Separable

PREDICTION = "prediction"
"""The question whose answer reveals the second network of the notes."""


def networks() -> list[Question | Choice]:
    """The two networks of the notes."""
    first, second = Separable(Conv(28, 1, 10, 3)), Separable(Conv(13, 10, 5, 3))
    return [
        Choice(
            PREDICTION,
            "Before you look: the first network makes 394,780 FLOPs. The second has separable convolutions, each at "
            "16 % to 26 % of the cost of the convolution that it stands for, and no pooling. Its total, in the same "
            "count, is",
            {
                "about a quarter": "So one would hope. Look at the chart now: each convolution got cheaper, and the "
                "whole costs 2.26 times as much.",
                "about a half": "It could have been: with the pooling it would be 53 %. But look at the chart now: it "
                "costs 2.26 times as much.",
                "about the same": "Not even that. Look at the chart now: it costs 2.26 times as much.",
                "more than twice": "Right: 891,248, or 2.26 times as much. Now find out why; the chart is open.",
            },
            "more than twice",
        ),
        Choice(
            "culprit",
            "Which layer of the second network makes most of its cost?",
            {
                "the first separable convolution": "It makes 18,928 of 891,248.",
                "the second separable convolution": "It makes 132,480 of 891,248.",
                "the first dense layer": "Right: 737,280, or 83 %. Without the pooling it reads 2,880 numbers instead "
                "of 605.",
                "the last dense layer": "It makes 2,560, in both networks.",
            },
            "the first dense layer",
            "Look for the longest part of its bar.",
        ),
        Question(
            "together",
            "Put the pooling back behind the first separable convolution. What is the total now, in the notes' count?",
            [
                Product("the first depthwise layer", first.depthwise.terms[0].factors),
                Product("the first pointwise layer", first.pointwise.macs.factors),
                Product("the pooling", Pool(26, 10).terms[0].factors),
                Product("the second depthwise layer", second.depthwise.terms[0].factors),
                Product("the second pointwise layer", second.pointwise.macs.factors),
                Product("the first dense layer", Dense(605, 128).terms[0].factors),
                Product("the last dense layer", Dense(128, 10).terms[0].factors),
            ],
            "12,168 + 6,760 for the first one, 6,760 for the pooling. Behind it the maps are 13 × 13, and the second "
            "depthwise layer makes 11 × 11 of them: 10 · 11 · 11 · 9 · 2. The dense layers are those of the first "
            "network.",
        ),
    ]


def conventions() -> list[Question | Choice]:
    """Rules of counting."""
    return [
        Choice(
            "half",
            "A paper says that ResNet-18 has 1.8 GFLOPs. torch's counter says 3.6 G. Who is right?",
            {
                "the paper": "By its rule. What does it call a FLOP?",
                "torch's counter": "By its rule. And the paper?",
                "both: the paper's FLOPs are MACs": "Right. 1.8 G multiply-accumulates are 3.6 G floating-point "
                "operations. So say which rule you count by.",
            },
            "both: the paper's FLOPs are MACs",
            "3.6 / 1.8 = 2.",
        ),
        Question(
            "macs",
            "torch's counter says 8,178,368,512 for ResNet-50. How many MACs are that?",
            [
                Product(
                    "MACs",
                    (
                        Factor(
                            "MACs",
                            8_178_368_512 // 2,
                            "half of the FLOPs",
                            (
                                (8_178_368_512, "those are FLOPs: two for each MAC"),
                                (2 * 8_178_368_512, "the other way round"),
                            ),
                        ),
                    ),
                )
            ],
            "Each MAC is a multiplication and an addition.",
            "MACs",
        ),
        Choice(
            "attention",
            "For the transformer torchinfo says 3.2 M, and all others more than 400 M. Why?",
            {
                "It leaves out the attention": "thop does: look how little that changes here.",
                "It counts MACs, not FLOPs": "That would be a factor of 2, not of 138.",
                "It counts each weight once, but every weight meets 128 vectors": "Right: 3,159,552 is the number of "
                "parameters. The products of the attention, which have no weights, are missing, too.",
            },
            "It counts each weight once, but every weight meets 128 vectors",
            "3,159,552 is also the number of another thing of this network. See the table.",
        ),
    ]


def roofline() -> list[Question | Choice]:
    """Intensity, and the two limits."""
    return [
        Question(
            "roof",
            "A layer has 2 FLOP/byte. The machine has a peak of 100 GFLOP/s and a bandwidth of 20 GB/s. How many "
            "GFLOP/s can it reach?",
            [
                Product(
                    "GFLOP/s",
                    (
                        Factor("I", 2, "FLOP for each byte", ((5, "that is the ridge; this layer stands left of it"),)),
                        Factor("W", 20, "the bandwidth", ((50, "that is the peak; memory does not deliver so fast"),)),
                    ),
                )
            ],
            "min(peak, bandwidth × intensity)",
            "GFLOP/s",
        ),
        Question(
            "relu",
            "A ReLU reads each number (4 bytes), makes one operation, and writes the result (4 bytes). What is its "
            "intensity, in FLOP/byte?",
            [
                Product(
                    "FLOP/byte",
                    (
                        Factor(
                            "1 ÷ 8",
                            1 / 8,
                            "one operation for 8 bytes",
                            (
                                (1 / 4, "each number is read and the result is written"),
                                (1 / 2, "a number of 32 bits has 4 bytes"),
                                (8, "it is FLOP for each byte, not bytes for each FLOP"),
                            ),
                        ),
                    ),
                )
            ],
            "How many bytes come and go for one operation?",
            "FLOP/byte",
        ),
        Choice(
            "faster",
            "MobileNetV1 has 8.5 times fewer FLOPs than the same network with dense convolutions, and you measure "
            "that it is less than 8.5 times as fast. Why?",
            {
                "Its layers have a low intensity, so they wait for memory": "Right: depthwise layers, norms and "
                "activations move as many bytes as before for far fewer FLOPs.",
                "It has more parameters": "It has fewer: 4.2 against 29.3 million.",
                "FLOPs are counted wrongly": "The count is right. FLOPs are one of two limits.",
            },
            "Its layers have a low intensity, so they wait for memory",
            "Where do the depthwise layers stand in the chart, left or right of the ridge?",
        ),
    ]


QUESTIONS: Mapping[str, Callable[[], list[Question | Choice]]] = {
    "counting": layers.counting,
    "dense": layers.dense,
    "convolution": layers.convolution,
    "pooling": layers.pooling,
    "separable": layers.separable,
    "networks": networks,
    "conventions": conventions,
    "roofline": roofline,
    "times": speed.times,
    "pruning": speed.pruning,
}
"""What makes the questions of each page."""
