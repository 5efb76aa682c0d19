"""NASLib's tables of zero-cost proxies (Krishnakumar et al., NAS-Bench-Suite-Zero, NeurIPS 2022)."""

import ast
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nasviz.benchmarks.benchmark import Benchmark
from nasviz.benchmarks.nasbench301 import CARD as NB301_CARD
from nasviz.benchmarks.tables import NB101_CARD, NB201_CARD, from_table
from nasviz.families import get
from nasviz.families.family import quoted
from nasviz.families.nb201 import EDGES
from nasviz.files import read_json

OPS_101 = ("input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
OPS_201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
SCALES = {"cifar10": "paper", "cifar100": "cifar100", "ImageNet16-120": "imagenet16"}
"""The scale of the networks trained on a data set."""


def read_zero_cost(path: str | Path, space: str | None = None, dataset: str | None = None) -> Benchmark:
    """Scores of zero-cost proxies beside the measured accuracies, for NAS-Bench-101, 201 or 301.

    Parameters
    ----------
    path : str or Path
        NASLib's file ``zc_nasbench101.json``, ``zc_nasbench201.json`` or ``zc_nasbench301.json``.
    space : {"nasbench101", "nasbench201", "nasbench301"}, optional
        Which space it holds; by default as the name of the file says.
    dataset : str, optional
        "cifar10" by default; the file of NAS-Bench-201 also has "cifar100" and "ImageNet16-120".

    Returns
    -------
    Benchmark
        Accuracy is the validation accuracy. Every proxy has a column with its score, which may be infinite or missing,
        and a column ``<proxy>_seconds`` with the time that it took. Of keys that name the same architecture the first
        is kept; the card counts the others.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a table of that space and data set.
    """
    path = Path(path)
    space = space or path.stem.removeprefix("zc_")
    if space.startswith("transbench101"):
        raise ValueError(f"space={space!r}: TransNAS-Bench-101 is no family of nasviz; allowed are {_quoted(SPACES)}.")
    if space not in SPACES:
        raise ValueError(f"space={space!r}: allowed are {_quoted(SPACES)}; give it if the file's name does not say it.")
    family, convert, min_accuracy = SPACES[space]
    content = read_json(path, f"NASLib's file zc_{space}.json")
    if not isinstance(content, Mapping) or not all(isinstance(part, Mapping) for part in content.values()):
        raise ValueError(f"path={str(path)!r} is not a table of zero-cost proxies, with an object for each data set.")
    dataset = dataset or "cifar10"
    known = [name for name in content if name in SCALES]
    if dataset not in known:
        raise ValueError(f"dataset={dataset!r}: in path={str(path)!r} allowed are {_quoted(known) or 'none'}.")
    rows = []
    for key, entry in content[dataset].items():
        try:
            rows.append({"arch": get(family).format(convert(_codes(key))), **_scores(entry)})
        except ValueError as error:
            raise ValueError(f"path={str(path)!r}: the entry {key[:120]!r} cannot be used: {error}") from None
    frame = pd.DataFrame(rows)
    single = frame.drop_duplicates("arch") if rows else frame
    card = {
        "title": f"Zero-cost proxies on {space} (Krishnakumar et al., NAS-Bench-Suite-Zero, NeurIPS 2022)",
        "source": f"your file {path.name}; the tables are those of https://github.com/automl/NASLib",
        "licence": "Apache-2.0",
        "note": f"{dataset} validation accuracy",
        "repeated_architectures_left_out": len(frame) - len(single),
        "min_accuracy": min_accuracy,
        "flops_unit": 1e9,
    }
    return from_table(single, family, percent=True, scale=SCALES[dataset], name=f"zero_cost_{family}", card=card)


def _codes(key: str) -> Sequence[Any]:
    """The tuple that Python wrote as `key`."""
    try:
        codes = ast.literal_eval(key)
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        codes = None
    if not isinstance(codes, tuple | list):
        raise ValueError("it is not a tuple of numbers.")
    return codes


def _scores(entry: Any) -> dict[str, float]:
    """The accuracy (percent) and the proxies' scores and times; what else an entry has is left out."""
    if not isinstance(entry, Mapping):
        raise ValueError("it has no scores.")
    result = {"accuracy": _number(entry, "val_accuracy")}
    for proxy, value in entry.items():
        if isinstance(value, Mapping):
            result[proxy] = _number(value, "score", proxy)
            result[f"{proxy}_seconds"] = _number(value, "time", proxy) if "time" in value else math.nan
    return result


def _number(source: Mapping[str, Any], key: str, proxy: str = "") -> float:
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{proxy} {key} is {quoted(value)}, which is no number.".lstrip())
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError(f"{proxy} {key} is beyond all floating-point numbers.".lstrip())
    return value


def _nb101(codes: Sequence[Any]) -> Any:
    """Adjacency matrix, row by row, then an operation for each vertex."""
    size = math.isqrt(len(codes))
    if size < 2 or size * (size + 1) != len(codes):
        raise ValueError(f"it has {len(codes)} numbers; a matrix of n vertices and its operations are n·n + n.")
    names = [_name(OPS_101, code) for code in codes[size * size :]]
    if names[0] != "input" or names[-1] != "output":
        raise ValueError(f"its first and last operations are {names[0]} and {names[-1]}, not input and output.")
    if any(code not in (0, 1) for code in codes[: size * size]):
        raise ValueError("its matrix must be of zeros and ones.")
    return get("nb101").from_matrix([codes[i * size : (i + 1) * size] for i in range(size)], names)


def _nb201(codes: Sequence[Any]) -> Any:
    """Operations of the edges in the order of their sources; the architecture string has that of their targets."""
    if len(codes) != len(EDGES):
        raise ValueError(f"it has {len(codes)} numbers; a cell has {len(EDGES)}.")
    names = dict(zip(sorted(EDGES), (_name(OPS_201, code) for code in codes), strict=True))
    return tuple(names[edge] for edge in EDGES)


def _nb301(codes: Sequence[Any]) -> Any:
    return get("nb301").from_compact(codes)


def _name(names: Sequence[str], code: Any) -> str:
    if type(code) is not int or code not in range(len(names)):
        raise ValueError(f"the operation {code!r} is not one of 0 to {len(names) - 1} ({', '.join(names)}).")
    return names[code]


def _quoted(names: Any) -> str:
    return ", ".join(map(repr, names))


SPACES: Mapping[str, tuple[str, Callable[[Sequence[Any]], Any], float]] = {
    "nasbench101": ("nb101", _nb101, NB101_CARD["min_accuracy"]),
    "nasbench201": ("nb201", _nb201, NB201_CARD["min_accuracy"]),
    "nasbench301": ("nb301", _nb301, NB301_CARD["min_accuracy"]),
}
"""The family of a space, how its numbers become an architecture, and below which accuracy training leaves them out."""
