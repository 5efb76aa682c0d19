"""The weights that the project ships."""

from typing import TYPE_CHECKING

from nasviz.resources import data_folder

if TYPE_CHECKING:
    from nasviz.predict.nasviz import Nasviz


def pretrained(name: str = "nb101") -> "Nasviz":
    """A predictor that is trained already.

    Parameters
    ----------
    name : str
        "nb101": trained on 20,001 cells of NAS-Bench-101; the card beside the weights has recipe, figures and limits.

    Returns
    -------
    Nasviz
        Its `card` says what it was trained on.

    Raises
    ------
    ValueError
        If there are no such weights.
    """
    from nasviz.predict.nasviz import Nasviz

    folder = data_folder() / "pretrained"
    known = sorted(path.parent.name for path in folder.glob("*/model.json"))
    if name not in known:
        raise ValueError(f"name={name!r}: there are no such weights; there are: {', '.join(known)}.")
    return Nasviz.load(folder / name)
