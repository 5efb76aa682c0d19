"""The trained networks of NAS-Bench-301 (Zela, Siems et al., ICLR 2022), from its files ``results_*.json``."""

import math
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from nasviz.benchmarks.benchmark import Benchmark
from nasviz.benchmarks.tables import from_table
from nasviz.families import get
from nasviz.families.family import quoted
from nasviz.families.nb301 import PREFIX
from nasviz.files import checked_folder, read_json

WHAT = "NAS-Bench-301's folder of results_*.json files, or one of them"
CONFIG = "optimized_hyperparamater_config"  # spelt as in the files
SETTING = ["init_channels", "layers", "budget"]
METRICS = ("val_accuracy", "test_accuracy")
CARD = {
    "title": "NAS-Bench-301, the trained networks (Zela, Siems et al., ICLR 2022)",
    "source": "your files results_*.json; the benchmark is https://github.com/automl/nasbench301",
    "licence": "BSD-3-Clause (the package); the page of your download says that of the data",
    "min_accuracy": 0.0,
    "flops_unit": 1e9,
}


def read_nb301(path: str | Path, metric: str = "val_accuracy", progress: bool = False) -> Benchmark:
    """NAS-Bench-301 from its data set: a JSON file for each training run.

    Parameters
    ----------
    path : str or Path
        A folder, searched with all folders below it for files ``results_*.json``; or one such file.
    metric : {"val_accuracy", "test_accuracy"}
        Which accuracy becomes the label; the surrogates of NAS-Bench-301 learnt the first.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Benchmark
        Columns of its own: the other accuracy (fraction; missing where a run has none), model_parameters (with the
        auxiliary head of the training, which the graphs leave out), runtime (of the training, in seconds), budget
        (epochs), init_channels, layers, optimiser (the folder of the file: rs, de, bananas, …) and runs. An
        architecture that was trained more than once has one row: of its runs those with the data's most common
        (init_channels, layers, budget) are averaged; `runs` counts them.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or none that holds a result.

    Warns
    -----
    UserWarning
        If files of a folder cannot be read, which are left out; or if networks have other init_channels and layers
        than scale "paper", in which their graphs are made. The card counts both.
    """
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r}: allowed are {' and '.join(map(repr, METRICS))}.")
    path = Path(path)
    if path.suffix == ".json" and not path.is_dir():
        files = [path]
    else:
        files = sorted(checked_folder(path, WHAT).rglob("results_*.json"))
    if not files:
        raise ValueError(f"path={str(path)!r} has no file results_*.json in it or in a folder below it; give {WHAT}.")
    rows, faults = [], []
    for file in tqdm(files, desc="NAS-Bench-301", disable=not progress):
        try:
            rows.append(_read_run(file, metric))
        except ValueError as error:
            faults.append(error)
    if not rows:
        raise faults[0]
    if faults:
        warnings.warn(f"{len(faults)} of {len(files)} files are left out; the first: {faults[0]}", stacklevel=2)
    frame = _one_row_an_arch(pd.DataFrame(rows))
    other = METRICS[metric == METRICS[0]]
    frame[other] /= 100
    note = f"CIFAR-10 {metric.replace('val_', 'validation ').replace('_', ' ')} after the epochs in column budget"
    card = CARD | {"note": note, "files_left_out": len(faults), "other_settings": _other_settings(frame)}
    return from_table(frame, "nb301", accuracy=metric, percent=True, name="nb301", card=card)


def _read_run(file: Path, metric: str) -> dict[str, Any]:
    """The row of one file, both accuracies in percent."""
    content = read_json(file, WHAT)
    try:
        config, info = _part(content, CONFIG, Mapping), _part(content, "info", list)
        first = info[0] if info and isinstance(info[0], Mapping) else {}
        accuracies = {"val_accuracy": first, "test_accuracy": content}
        family = get("nb301")
        return {
            "arch": family.format(family.from_config(config)),
            **{name: _number(source, name, name == metric, 100) for name, source in accuracies.items()},
            "model_parameters": _number(first, "model_parameters"),
            "runtime": _number(content, "runtime"),
            "budget": _number(content, "budget", True),
            "init_channels": _number(config, f"{PREFIX}init_channels", True),
            "layers": _number(config, f"{PREFIX}layers", True),
            "optimiser": file.resolve().parent.name,
        }
    except ValueError as error:
        raise ValueError(f"path={str(file)!r} is not a result of NAS-Bench-301: {error}") from None


def _part(content: Any, key: str, kind: type) -> Any:
    if not isinstance(content, Mapping) or not isinstance(content.get(key), kind):
        raise ValueError(f"it has no {key}, or not of the right kind.")
    return content[key]


def _number(source: Mapping[str, Any], key: str, needed: bool = False, top: float = math.inf) -> float:
    """A number in [0, top]; NaN where there is none and none is needed."""
    value = source.get(key)
    if value is None and not needed:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= min(top, sys.float_info.max):
        allowed = "from 0 on" if math.isinf(top) else f"from 0 to {top}"
        raise ValueError(f"{key} is {quoted(value)}; it must be a number {allowed}.")
    return value


def _one_row_an_arch(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs of each architecture in its most common setting, averaged."""
    settings = list(zip(*(frame[name] for name in SETTING), strict=True))
    order = {setting: place for place, (setting, _) in enumerate(Counter(settings).most_common())}
    place = pd.Series([order[setting] for setting in settings])
    kept = frame[place == place.groupby(frame.arch).transform("min")]
    if kept.arch.is_unique:
        return kept.assign(runs=1).reset_index(drop=True)
    rules = dict.fromkeys(frame.columns.drop("arch"), "first") | dict.fromkeys((*METRICS, "runtime"), "mean")
    rules["optimiser"] = lambda names: ", ".join(dict.fromkeys(names))
    groups = kept.groupby("arch", sort=False)
    return groups.agg(rules).assign(runs=groups.size()).reset_index()


def _other_settings(frame: pd.DataFrame) -> dict[str, int]:
    """How many networks differ from scale "paper", by their channels and layers."""
    paper = get("nb301").skeleton("paper")
    counts = Counter(zip(frame.init_channels, frame.layers, strict=True))
    counts.pop((paper["width"], paper["cells"]), None)
    other = {f"{channels:g} channels, {layers:g} layers": count for (channels, layers), count in counts.items()}
    if other:
        warnings.warn(
            f"{sum(other.values())} of {len(frame)} networks were not trained with {paper['width']} channels and "
            f"{paper['cells']} layers, as which their graphs are made, but with {'; '.join(other)}: filter by the "
            "columns init_channels and layers.",
            stacklevel=3,
        )
    return other
