"""The exercises on time and on pruning."""

from dataclasses import replace

from nasviz.views.lesson.exercise import Choice, Question
from nasviz.views.lesson.formulas import Conv, Factor, Product


def times() -> list[Question | Choice]:
    """Where the time goes."""
    return [
        Question(
            "rate",
            "A layer of 50 million FLOPs takes 0.5 milliseconds. How many GFLOP/s is that?",
            [
                Product(
                    "GFLOP/s",
                    (
                        Factor(
                            "MFLOP",
                            50,
                            "millions of FLOPs; over milliseconds they are 10⁹ in a second",
                            ((0.05, "those are GFLOPs over milliseconds; a second has 1,000"),),
                        ),
                        Factor("1 ÷ ms", 2, "one over 0.5 milliseconds", ((0.5, "you multiplied by the time"),)),
                    ),
                )
            ],
            "FLOP/s are FLOPs over seconds: 50,000,000 / 0.0005.",
            "GFLOP/s",
        ),
        Choice(
            "brackets",
            "“[conv + norm + relu]” took 0.2 ms. What does the bracket say?",
            {
                "each of the three took 0.2 ms": "The runtime has one number for all of them.",
                "the three were run as one, in 0.2 ms": "Right. What each of them took cannot be told: there was only "
                "one operator.",
                "the last two were not run": "Their work was done. The norm is in the weights, and the ReLU was made "
                "on the way out.",
            },
            "the three were run as one, in 0.2 ms",
            "How many operators did the runtime run?",
        ),
        Choice(
            "share",
            "A depthwise layer has 1 % of the FLOPs and 8 % of the time. What follows?",
            {
                "Its FLOPs were counted wrongly": "The count is right, and so is the time.",
                "It runs at an eighth of the speed of the network as a whole": "Right: 1 % of the work in 8 % of the "
                "time. It moves many bytes for each FLOP, as the page before shows.",
                "Without it the network would be 1 % faster": "By time, it would be 8 %.",
            },
            "It runs at an eighth of the speed of the network as a whole",
            "Speed is work over time. Compare the two shares.",
        ),
    ]


def pruning() -> list[Question | Choice]:
    """Masks and channels."""
    whole, half = Conv(8, 32, 32, 3, padding=1), Conv(8, 16, 16, 3, padding=1).macs
    slips = {
        "C_out": ((whole.c_out, "half of the kernels are gone, too"),),
        "C_in": ((whole.c_in, "half of the channels that a kernel reads are gone, too"),),
    }
    factors = tuple(replace(f, slips=f.slips + slips.get(f.symbol, ())) for f in half.factors)
    return [
        Choice(
            "zeros",
            "90 % of the weights are zero. How many MACs does a dense kernel make now?",
            {
                "a tenth of those before": "It would have to look which weights are zero. A dense kernel does not.",
                "as many as before": "Right. The zeros are multiplied like all other numbers.",
                "none": "It computes the right result, so it computes.",
            },
            "as many as before",
            "Did any shape change?",
        ),
        Question(
            "channels",
            "A convolution from 32 to 32 channels, 3 × 3, on 8 × 8 with padding 1, makes 589,824 MACs. In the layer "
            "before and in this one, half of the channels are removed. How many MACs are left?",
            [Product("MACs", factors)],
            "It reads 16 channels, and it makes 16.",
            "MACs",
        ),
        Choice(
            "file",
            "Why is the file of a network whose weights are mostly zero as large as before?",
            {
                "A zero takes four bytes like any other number": "Right. Compressed, it would be smaller: many equal "
                "bytes pack well.",
                "The masks are stored, too": "They are no longer needed: the zeros are in the weights.",
                "Files have a least size": "This one is far larger than that.",
            },
            "A zero takes four bytes like any other number",
            "How many bytes is a number of 32 bits?",
        ),
    ]
