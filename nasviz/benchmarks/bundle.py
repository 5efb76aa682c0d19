"""From a log of `label` to a benchmark that can be shipped: a Parquet table, its card as JSON, and the card to read."""

import hashlib
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasviz.benchmarks.label import LOG_COLUMNS, read_log
from nasviz.benchmarks.tables import read_card, read_frame
from nasviz.families import get
from nasviz.files import short
from nasviz.graph.cost import total_macs
from nasviz.resources import write_atomically

SCALE, FULL = "digits", "paper"
QUANTILES = {"min": 0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1}


def bundle(log: str | Path, folder: str | Path, name: str = "digits", picture: str | None = None) -> Path:
    """Turn a log of `nasviz.benchmarks.label.label` into ``name.parquet``, ``name.json`` and ``name.md``.

    The log is only read. Architectures that lack a seed are left out. The same log gives the same files.

    Parameters
    ----------
    log : str or Path
        The log.
    folder : str or Path
        Where the three files go.
    name : str
        Their name, and the benchmark's.
    picture : str, optional
        Name of a picture in the same folder that the readable card shows; `nasviz label` draws one.

    Returns
    -------
    Path
        The Parquet file: family, arch, accuracy (mean of the seeds, a fraction), accuracy_0, accuracy_1, ... (one a
        seed), seconds (mean time of one training), params, macs (of one image), and hash where the family has one.
        Rows are sorted by family, then by the SHA-256 of `arch`, so every slice of a family is a fair sample.

    Raises
    ------
    ValueError
        If no architecture in the log has all seeds.
    """
    log, folder = Path(log), Path(folder)
    recipe, rows = read_log(log)
    runs = pd.DataFrame(rows, columns=LOG_COLUMNS).drop_duplicates(["family", "arch", "seed"])
    seeds = sorted(runs.seed.unique().tolist())
    table = _table(runs, seeds)
    if recipe is None or table.empty:
        raise ValueError(f"log={str(log)!r} holds no architecture that was trained with all of its {len(seeds)} seeds.")
    path = write_atomically(folder / f"{name}.parquet", lambda beside: table.to_parquet(beside, index=False))
    card = {
        "name": name,
        "title": "Digits: networks of many families trained on hard, small images",
        "source": "trained by `nasviz label` on scikit-learn's copy of the UCI handwritten digits (not included)",
        "licence": "MIT (the images: CC BY 4.0)",
        "note": f"accuracy is the mean of {len(seeds)} trainings, on shifted and noisy test images",
        "scale": SCALE,
        "min_accuracy": 0.0,
        "flops_unit": "median",
        "seeds": seeds,
        "rows": len(table),
        "families": {family: _statistics(part, seeds) for family, part in table.groupby("family")},
        "recipe": vars(recipe),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "numpy", "scikit-learn")},
        },
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
    }
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path.with_suffix(".json"), lambda beside: beside.write_text(text, encoding="utf-8"))
    write_atomically(
        path.with_suffix(".md"), lambda beside: beside.write_text(describe(card, picture), encoding="utf-8")
    )
    return path


def unbundle(folder: str | Path, log: str | Path, name: str = "digits") -> Path:
    """The log that `bundle` would turn into what is in `folder`: labelling goes on from a benchmark that was shipped.

    Parameters
    ----------
    folder : str or Path
        Where ``name.parquet`` and ``name.json`` are.
    log : str or Path
        The log to write; every training has the mean time of its architecture.

    Raises
    ------
    FileNotFoundError
        If there is no such benchmark.
    ValueError
        If its files are damaged.
    """
    folder, log = Path(folder), Path(log)
    card = read_card(folder / f"{name}.json", {"seeds": list, "recipe": dict})
    table = read_frame(folder / f"{name}.parquet")
    columns = [f"accuracy_{seed}" for seed in card["seeds"]]
    missing = sorted({"family", "arch", "seconds", *columns}.difference(table.columns))
    if missing:
        raise ValueError(f"folder={str(folder)!r}: {name}.parquet lacks {short(', '.join(missing))}; it is no bundle.")
    runs = table[["family", "arch", "seconds", *columns]].melt(["family", "arch", "seconds"], None, "seed", "accuracy")
    runs["seed"] = runs["seed"].str.removeprefix("accuracy_").astype(int)
    lines = [json.dumps({"recipe": card["recipe"]}), *map(json.dumps, runs[LOG_COLUMNS].to_dict("records"))]
    return write_atomically(log, lambda path: path.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def _table(runs: pd.DataFrame, seeds: Sequence[int]) -> pd.DataFrame:
    by_seed = runs.pivot(index=["family", "arch"], columns="seed", values="accuracy")
    by_seed = by_seed.rename(columns={seed: f"accuracy_{seed}" for seed in seeds}).dropna()
    seconds = runs.groupby(["family", "arch"]).seconds.mean().round(2)
    table = by_seed.mean(axis=1).to_frame("accuracy").join(by_seed).join(seconds).reset_index()
    facts = [_facts(family, arch) for family, arch in zip(table.family, table.arch, strict=True)]
    table = table.join(pd.DataFrame(facts, columns=["params", "macs", "hash"]))
    order = [hashlib.sha256(arch.encode()).hexdigest() for arch in table.arch]
    return table.assign(order=order).sort_values(["family", "order"], ignore_index=True).drop(columns="order")


def _facts(family: str, arch: str) -> tuple[int, int, str | None]:
    found = get(family)
    cell = found.parse(arch)
    graph = found.graph(cell, SCALE)
    return graph.params, total_macs(graph), getattr(cell, "hash", None)


def _statistics(part: pd.DataFrame, seeds: Sequence[int]) -> dict[str, Any]:
    """Quantiles of the accuracies, and how far their order is a property of the architecture."""
    repeats = part[[f"accuracy_{seed}" for seed in seeds]]
    correlation = {kind: _mean_correlation(repeats.corr(kind)) for kind in ("pearson", "spearman")}
    reliable = {kind: _reliability(rho, len(seeds)) for kind, rho in correlation.items()}
    return {
        "n": len(part),
        "accuracy": {key: round(float(part.accuracy.quantile(q)), 4) for key, q in QUANTILES.items()},
        "seed_sd": _rounded(repeats.var(axis=1).mean() ** 0.5),
        "seconds": _rounded(part.seconds.median()),
        "seed_to_seed": {kind: _rounded(rho) for kind, rho in correlation.items()},
        "reliability": {kind: _rounded(value) for kind, value in reliable.items()},
        "ceiling": {kind: _rounded(max(value, 0) ** 0.5) for kind, value in reliable.items()},
    }


def _mean_correlation(matrix: pd.DataFrame) -> float:
    """Mean over the pairs of seeds."""
    pairs = matrix.to_numpy()[np.triu_indices(len(matrix), 1)]
    return float(pairs.mean()) if len(pairs) else math.nan


def _reliability(rho: float, n: int) -> float:
    """Of the mean of `n` repetitions that correlate with ρ: n ρ / (1 + (n - 1) ρ) (Spearman 1910, Brown 1910)."""
    return n * rho / (1 + (n - 1) * rho)


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def describe(card: dict[str, Any], picture: str | None = None) -> str:
    """The card of a bundled benchmark as Markdown, with a picture that stands beside it."""
    recipe, families = card["recipe"], card["families"]
    lines = [
        "| family | n | accuracy 5 / 50 / 95 % | seed-to-seed sd | seed-to-seed correlation | reliability | ceiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for family, facts in families.items():
        spread = " / ".join(_shown(facts["accuracy"][key]) for key in ("q05", "median", "q95"))
        pairs = [" / ".join(map(_shown, facts[key].values())) for key in ("seed_to_seed", "reliability", "ceiling")]
        lines.append(f"| {' | '.join([family, str(facts['n']), spread, _shown(facts['seed_sd']), *pairs])} |")
    skeletons = ["| family | part | here | full size |", "|---|---|---|---|"]
    skeletons += [f"| {family} | {' | '.join(row)} |" for family in families for row in _narrowed(family)]
    return TEXT.format(
        **card["recipe"],
        skeletons="\n".join(skeletons),
        picture=f"\n![Accuracy, ceiling and MACs of each family]({picture})\n" if picture else "",
        title=card["title"],
        name=card["name"],
        source=card["source"],
        licence=card["licence"],
        rows=card["rows"],
        table="\n".join(lines),
        n=len(card["seeds"]),
        n_less=len(card["seeds"]) - 1,
        columns="`, `".join(f"accuracy_{seed}" for seed in card["seeds"]),
        test_images=1797 - recipe["train_images"],
        scored=(1797 - recipe["train_images"]) * recipe["test_draws"],
        versions=", ".join(f"{package} {number}" for package, number in card["versions"].items()),
        names=",".join(families),
        sha256=card["sha256"][f"{card['name']}.parquet"],
    )


def _narrowed(family: str) -> list[tuple[str, str, str]]:
    """What of a family's skeleton is another one than at full size: the part, its value here, and there."""
    scales = get(family).scales
    here, there = _parts(scales[SCALE]), _parts(scales.get(FULL, {}))
    return [(part, here[part], there.get(part, "–")) for part in here if here[part] != there.get(part)]


def _parts(skeleton: dict[str, Any]) -> dict[str, str]:
    """A skeleton's values as words, by part; where a part is a series of records, each of their fields is one."""
    result = {}
    for key, value in skeleton.items():
        name = key.replace("_", " ")
        if isinstance(value, tuple) and value and all(map(is_dataclass, value)):
            for field in fields(value[0]):
                result[f"{name}: {field.name}"] = _words(tuple(getattr(record, field.name) for record in value))
        elif key == "shape":
            result["image"] = "×".join(map(str, value[1:]))
        else:
            result[name] = _words(value)
    return result


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"({_words(part)})" if isinstance(part, tuple) else _words(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value.value if isinstance(value, Enum) else value).replace("_", " ")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


TEXT = """\
# {title}

`nasviz.benchmarks.load("{name}")`: {rows} architectures, each really trained {n} times, by nasviz itself.

- Source: {source}.
- Licence of the table: {licence}.
- SHA-256 of `{name}.parquet`: `{sha256}`

`nasviz label` writes this page; do not edit it.

## What is in it

`{name}.parquet` has one row an architecture: `family`; `arch`, its text form; `accuracy`, the mean of `{columns}`
(fractions, one a training seed); `seconds`, the mean time of one training on one thread of a busy machine;
`params` and `macs` of the small network that was trained, for one image; `hash`, the family's own where it has one.
Rows are sorted by family and then by a hash of `arch`, so that any slice of a family is a fair sample of it.
`{name}.json` is this card for programs.

## How the labels were made

- Images: the 1,797 handwritten digits of scikit-learn, 8×8 pixels in [0, 1]; {train_images:,} to train on and
  {test_images} to test on, split once, stratified by class.
- Made hard: every image is shifted by up to {shift} pixel each way and given Gaussian noise of standard deviation
  {noise}. Training images get theirs anew in every epoch. Test images get theirs {test_draws} times, drawn once for all
  networks: {scored:,} test images.
- Networks: the family's scale "digits". Kernels, operations and wiring are those of the full-size network; the next
  section lists what is smaller.
- Training: {epochs} epochs of SGD with Nesterov momentum {momentum}, batches of {batch_size}, a learning rate
  that falls from {lr} to zero by a cosine, weight decay {weight_decay}, cross-entropy. A seed decides weights,
  order of images, shifts and noise.
- Architectures: drawn by the family's own `sample(n, seed=0)`, its authors' rule. For nb101 that draws small cells more
  often than the full space has them; for nb201 it is uniform over all cells, those with `none` included.
- Made with {versions}.

To make it again, or to go on after a stop: `nasviz label --families {names} --seeds {n} --log labels.jsonl --out data`.

## What is smaller than at full size

{skeletons}

Two numbers of a stem are its width and its stride; `fold blocks` and `divide` are what the numbers of blocks and the
widths are divided by.

## How good the labels are

Correlations are Pearson's / Spearman's. Seed-to-seed is ρ, the mean over pairs of seeds. Reliability is that of the
mean of the {n} seeds, {n}ρ / (1 + {n_less}ρ): the share of the variance that is the architecture's. The ceiling is its
square root: no predictor, however good, can be expected to correlate better with these labels. A family whose
accuracies lie close together has a low one.

{table}
{picture}
## What it is not

- The noise of training is counted above; the choice of these test images is not, since all seeds share them.
- Small networks, few epochs and 8×8 images: the order of architectures here is related to the one on CIFAR-10, and is
  not the same. Say nothing about full-size networks from this table alone.
- One recipe serves all families, but their networks differ in size: a difference between families is a difference of
  these small networks.
- `seconds` tells how long a training took beside other work. It is no measure of latency.
- Another processor or version of torch rounds differently, so training again gives accuracies that differ a little.
"""
