"""The exercises on single layers, page by page."""

from nasviz.views.lesson.exercise import Choice, Question
from nasviz.views.lesson.formulas import TWO, Conv, Dense, Factor, Pool, Product, Separable

SIDE = "a side of the output"


def counting() -> list[Question | Choice]:
    """FLOPs, FLOPS and MACs."""
    work, speed = 3.64, 100
    inverse = (speed / work, "you divided the speed by the work; time is work divided by speed")
    return [
        Question(
            "dot",
            "A dot product of two vectors of length 9: how many FLOPs?",
            [Product("FLOPs", (TWO, Factor("n", 9, "the length of the vectors")))],
            "How many MACs are there? And how many FLOPs is each?",
        ),
        Choice(
            "phone",
            "A chip is sold with “15 TFLOPS”. What is that?",
            {
                "how many operations it can make in a second": "Right: a rate, and a best case. “T” is 10¹².",
                "how many operations a network needs on it": "That would be FLOPs, with a small s: a quantity. It "
                "belongs to the network.",
                "how long an operation takes": "That would be a time. It is the other way round: operations in a "
                "second.",
            },
            "how many operations it can make in a second",
            "Look at the last letter.",
        ),
        Question(
            "time",
            f"ResNet-18 needs {work} GFLOPs. A core makes {speed} GFLOP/s at most. How many milliseconds does it take "
            f"at least?",
            [
                Product(
                    "milliseconds",
                    (
                        Factor("FLOPs ÷ FLOP/s", work / speed, "seconds: work divided by speed", (inverse,)),
                        Factor("1,000", 1000, "milliseconds in a second"),
                    ),
                )
            ],
            "Time is work divided by speed. That gives seconds; “G” stands on both sides.",
            "ms",
            0.01,
        ),
    ]


def dense() -> list[Question | Choice]:
    """Dense layers."""
    return [
        Question(
            "dense",
            "605 inputs, 128 outputs, no bias, as in the notes: how many FLOPs?",
            Dense(605, 128).terms,
            "Every output needs a MAC for each input. A MAC is two FLOPs.",
        ),
        Question(
            "bias",
            "The same layer with a bias?",
            Dense(605, 128, bias=True).terms,
            "A bias is one addition for each output.",
        ),
        Choice(
            "double",
            "Twice as many inputs and twice as many outputs: the cost grows by a factor of",
            {
                "2": "Twice the outputs alone would do that.",
                "4": "Right: the MACs are the product of both.",
                "8": "That is 2 · 2 · 2, but only two things were doubled.",
            },
            "4",
            "Which two factors are in the formula?",
        ),
    ]


def convolution() -> list[Question | Choice]:
    """Convolutions."""
    left_out = (
        (28, "the stride of 2 takes every other row"),
        (27, "the stride of 2 takes every other row"),
        (12, "you left out the padding: it stands on both sides, so 28 becomes 32"),
        (13, "the padding stands on both sides, so 28 becomes 32"),
        (24, "you left out stride and padding"),
    )
    return [
        Question(
            "conv1",
            "The first layer of the notes: input 1 × 28 × 28, 10 kernels of 3 × 3, stride 1, no padding, no bias. How "
            "many FLOPs?",
            Conv(28, 1, 10, 3).terms,
            "The output has 28 − 3 + 1 = 26 rows and columns. How many elements are that in 10 channels? Each needs 3 "
            "· 3 · 1 MACs.",
        ),
        Question(
            "conv2",
            "Their third layer: input 10 × 13 × 13, 5 kernels of 3 × 3. How many FLOPs?",
            Conv(13, 10, 5, 3).terms,
            "A kernel reaches through all 10 input channels.",
        ),
        Question(
            "rows",
            "Input 28 × 28, kernel 5, stride 2, padding 2: how many rows has the output?",
            [Product("rows", (Factor("H_out", 14, SIDE, left_out),))],
            "⌊(28 + 2 · 2 − 5) / 2⌋ + 1",
            "rows",
        ),
        Question(
            "groups",
            "Input 32 × 14 × 14, padding 1, 64 kernels of 3 × 3, in 4 groups. How many MACs?",
            [Conv(14, 32, 64, 3, padding=1, groups=4).macs],
            "In groups, a kernel reads only 32 / 4 channels. With padding 1 the output has 14 × 14 elements a channel.",
            "MACs",
        ),
        Choice(
            "dilation",
            "A 3 × 3 kernel with dilation 2 spans 5 × 5 cells. With padding that keeps the output's size, its MACs are",
            {
                "more: 25 instead of 9 for each output": "It spans 25 cells, but reads 9 of them.",
                "the same": "Right: it reads 9 cells, only further apart.",
                "fewer": "It reads as many cells as before.",
            },
            "the same",
            "Set padding and dilation to 2 and count the lit cells.",
        ),
    ]


def pooling() -> list[Question | Choice]:
    """Pooling."""
    fewer = 5 * 24**2 - 5 * 11**2
    slips = (
        (5 * 24**2, "those are all inputs without the pooling; the question is how many fewer there are"),
        (5 * 11**2, "those are the inputs that are left; the question is how many fewer there are"),
    )
    return [
        Question(
            "pool",
            "An average pooling of 2 × 2, input 10 × 26 × 26, as in the notes: how many FLOPs?",
            Pool(26, 10).terms,
            "One for each element of each window. How many windows are there in a channel?",
        ),
        Question(
            "weights",
            "With the pooling, the first dense layer of the notes reads 5 × 11 × 11 numbers; without it, 5 × 24 × 24. "
            "It has 128 outputs. How many weights does the pooling spare it?",
            [
                Product(
                    "weights",
                    (
                        Factor("N_out", 128, "each output has weights of its own"),
                        Factor("inputs fewer", fewer, "5 · 24 · 24 − 5 · 11 · 11", slips),
                    ),
                )
            ],
            "How many inputs fewer are there? Each has a weight to each output.",
            "weights",
        ),
        Choice(
            "flow",
            "“Pooling reduces the number of parameters flowing through our model.” What is right?",
            {
                "Parameters flow, and a pooling removes some": "Parameters stay where they are. What flows is "
                "computed from each input anew.",
                "Activations flow, and a pooling makes fewer of them": "Right. Parameters stay where they are; only a "
                "dense layer behind a pooling needs fewer.",
                "A pooling removes parameters of the convolution behind it": "A convolution has C_out · C_in · k² "
                "weights, however large its input is.",
            },
            "Activations flow, and a pooling makes fewer of them",
            "Which numbers change when another image comes in?",
        ),
    ]


def separable() -> list[Question | Choice]:
    """Separable convolutions."""
    first = Separable(Conv(28, 1, 10, 3))
    return [
        Choice(
            "rule",
            "By the table above, what part of the MACs of a convolution does a separable one need?",
            {
                "1 / (C_out · k²)": "For 10 channels and k = 3 that is 0.011; the table says 0.211. The two layers "
                "are done one after the other, so their costs add up.",
                "1 / C_out + 1 / k²": "Right: the depthwise layer does without the C_out, and the pointwise layer "
                "without the k².",
                "1 / C_in + 1 / k²": "Move the slider of the input channels: the part stays as it is.",
                "1 / C_out + 1 / (2k²)": "That is how the notes count: for 10 channels and k = 3 it is 0.156, but the "
                "table says 0.211. The pointwise layer has its factor 2, too.",
            },
            "1 / C_out + 1 / k²",
            "Go down a column: with more and more channels the part comes near to 1/9 = 0.111 for k = 3, and to 1/25 "
            "= 0.04 for k = 5. What is left over in the first rows?",
        ),
        Question(
            "part",
            "64 output channels, k = 5: what part of the cost is left?",
            [
                Product("1 / C_out", (Factor("1/C_out", 1 / 64, "of the depthwise layer"),)),
                Product("1 / k²", (Factor("1/k²", 1 / 25, "of the pointwise layer", ((1 / 5, "it is k², not k"),)),)),
            ],
            "1 / C_out + 1 / k²",
            "",
            0.005,
        ),
        Question(
            "pointwise",
            "The notes count 10 · 1 · 1 · 1 · 26 · 26 = 6,760 FLOPs for their first pointwise layer, from 1 to 10 "
            "channels. How many are there?",
            first.pointwise.terms,
            "Does a 1 × 1 convolution only multiply?",
        ),
        Question(
            "noted",
            "So the notes have 18,928 / 121,680 = 0.156 for their first layer, which is 1/10 + 1/(2 · 9). What should "
            "it be?",
            [
                Product("1 / C_out", (Factor("1/C_out", 1 / 10, "of the depthwise layer"),)),
                Product(
                    "1 / k²", (Factor("1/k²", 1 / 9, "of the pointwise layer", ((1 / 18, "that is the notes' own"),)),)
                ),
            ],
            "With the factor 2 in both layers it is 25,688 / 121,680.",
            "",
            0.005,
        ),
    ]
