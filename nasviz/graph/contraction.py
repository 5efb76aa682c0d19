"""What an Einstein sum costs."""

from collections.abc import Sequence
from math import prod


def einsum_macs(equation: str, shapes: Sequence[Sequence[int]]) -> int:
    """MACs of the contraction, pair by pair from the left, as torch and ONNX do without an optimiser of the order.

    Parameters
    ----------
    equation : str
        As in `torch.einsum`, "bij,bjk->bik"; dots stand for the leading dimensions.
    shapes : sequence of shapes
        One an operand.
    """
    equation = equation.replace(" ", "")
    inputs, _, output = equation.partition("->")
    sizes: dict[str, int] = {}
    named = []
    for term, shape in zip(inputs.split(","), shapes, strict=True):
        batch = len(shape) - len(term.replace("...", ""))
        letters = term.replace("...", "".join(chr(0x3B1 + i) for i in range(batch)))
        sizes.update({c: max(n, sizes.get(c, 1)) for c, n in zip(letters, shape, strict=True)})
        named.append(set(letters))
    if "->" in equation:
        kept = set(output.replace("...", "")) | {c for c in sizes if ord(c) >= 0x3B1}
    else:
        kept = {c for c in sizes if inputs.count(c) <= 1}
    macs, left = 0, named[0]
    for position, right in enumerate(named[1:], start=1):
        later = kept.union(*named[position + 1 :])
        macs += prod(sizes[c] for c in left | right)
        left = (left | right) & later
    return macs
