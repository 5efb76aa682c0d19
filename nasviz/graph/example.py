"""Example inputs of a network, and sizes of an ONNX model, from the words of a command line."""

from collections.abc import Sequence
from typing import Any

FORM = "write positive whole numbers between commas, as in 3,224,224"


def example(words: Sequence[str]) -> Any:
    """The input that `trace` takes: a tensor, a tuple of several, or a dict of named ones; each a batch of one.

    Parameters
    ----------
    words : sequence of str
        One an input: "3,224,224" for real numbers, "ids:128" for whole numbers of that shape (tokens, classes), either
        one behind "name=" as a keyword argument.

    Raises
    ------
    ValueError
        If a word is no shape, or only some have names.
    """
    import torch

    made = []
    for word in words:
        name, text = _named(word)
        whole = text.startswith("ids:")
        shape = (1, *shape_of(text.removeprefix("ids:"), word))
        made.append((name, torch.zeros(shape, dtype=torch.long if whole else torch.float32)))
    if any(name for name, _ in made):
        if not all(name for name, _ in made):
            raise ValueError("either every --input has a name, as in image=3,224,224, or none has.")
        return dict(made)
    return made[0][1] if len(made) == 1 else tuple(tensor for _, tensor in made)


def sizes(words: Sequence[str]) -> Any:
    """What `from_onnx` takes as `shape`: None, one complete shape, or sizes by the names of inputs and axes.

    Parameters
    ----------
    words : sequence of str
        "3,224,224" for the only input, "image=3,224,224" for one of several, "height=224" for an axis; the batch of
        one is put before a shape.

    Raises
    ------
    ValueError
        If a word is no shape, or several have no names.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, text = _named(word)
        shape = shape_of(text.removeprefix("ids:"), word)
        if name and len(shape) == 1:
            found[name] = shape[0]
        elif name:
            found[name] = (1, *shape)
        elif len(words) > 1:
            raise ValueError(f"--input {word!r} has no name; with several, write NAME=SIZES, as in image=3,224,224.")
        else:
            return (1, *shape)
    return found or None


def shape_of(text: str, word: str) -> tuple[int, ...]:
    """The sizes in a text such as "3,224,224"."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise ValueError(f"--input {word!r} is no shape; {FORM}.")
    return shape


def _named(word: str) -> tuple[str, str]:
    name, found, text = word.rpartition("=")
    return (name.strip(), text) if found else ("", word)
