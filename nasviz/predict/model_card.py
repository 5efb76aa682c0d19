"""What a `Nasviz` is worth: measured on labels that it never saw, written beside its weights."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz.predict.anatomy import Anatomy
from nasviz.predict.folds import draw, partition_rows
from nasviz.predict.metrics import evaluate, srcc
from nasviz.predict.nasviz import Nasviz, ranks
from nasviz.predict.trust import interval_coverage, risk_coverage
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

MEASURES = ("srcc", "kendall", "ndcg@10", "ndcg@50", "mae", "coverage")


def measure(
    model: Nasviz,
    train: "Benchmark",
    targets: Sequence["Benchmark"] = (),
    *,
    draws: int = 10,
    labels: int = 50,
    progress: bool = True,
) -> pd.DataFrame:
    """Measure a model on validation 2 of what it was trained on, and on other families, zero-shot and fine-tuned.

    Returns
    -------
    DataFrame
        One row a measurement: benchmark, setting ("in-domain", "zero-shot", "fine-tuned"), method (the model and, as
        its ablation, each of its parts and the model without it), draw (-1 where nothing was drawn), srcc, kendall,
        ndcg@10, ndcg@50, mae (a fraction), coverage (of the 90 % intervals).
    """
    rows = partition_rows(train)["validation 2"]
    graphs, accuracy = train.graphs(), train.table["accuracy"].to_numpy(float)
    tables = [_table(model, Anatomy.of([graphs[i] for i in rows]), accuracy[rows], train.name, "in-domain")]
    for target in targets:
        anatomy, accuracy = Anatomy.of(target.graphs()), target.table["accuracy"].to_numpy(float)
        tables.append(_table(model, anatomy, accuracy, target.name, "zero-shot"))
        for number in tqdm(range(draws), f"fine-tune on {target.name}", disable=not progress):
            chosen, rest = draw(len(target), labels, number)
            tuned = model.fine_tune(anatomy.take(chosen), accuracy[chosen], seed=number)
            tables.append(_table(tuned, anatomy.take(rest), accuracy[rest], target.name, "fine-tuned", number))
    return pd.concat(tables, ignore_index=True)


def _table(
    model: Nasviz, anatomy: Anatomy, accuracy: np.ndarray, benchmark: str, setting: str, number: int = -1
) -> pd.DataFrame:
    scores = model.score(anatomy)
    whole = evaluate(scores, accuracy)
    whole["coverage"] = interval_coverage(scores, accuracy)["coverage"]
    rows = {"Nasviz": whole}
    parts = [name for name in scores if name.startswith(("GNN", "trees", "capacity", "process", "forest", "tuned"))]
    for name in parts:
        rows[f"{name} alone"] = pd.Series({"srcc": srcc(scores[name].to_numpy(), accuracy)})
        if model.few_shot:
            rest = model.few_shot.combine(scores[parts].drop(columns=name))
            rows[f"without {name}"] = pd.Series({"srcc": srcc(rest, accuracy)})
    if model.few_shot:
        rows["equal weights"] = pd.Series({"srcc": srcc(scores[parts].mean(axis=1), accuracy)})
    else:
        equal = ranks(scores["GNN"]) + ranks(scores["trees"]) + ranks(scores["capacity"])
        rows["equal weights"] = pd.Series({"srcc": srcc(equal, accuracy)})
        rows["at home everywhere"] = pd.Series({"srcc": srcc(model.at_home(model.experts(anatomy)), accuracy)})
    table = pd.DataFrame(rows).T.reindex(columns=list(MEASURES)).rename_axis("method").reset_index()
    return table.assign(benchmark=benchmark, setting=setting, draw=number)


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over draws: a row a benchmark, setting and method."""
    groups = results.groupby(["benchmark", "setting", "method"], sort=False)[list(MEASURES)]
    mean, spread = groups.mean(), groups.std()
    return pd.concat({"mean": mean, "sd": spread}, axis=1).swaplevel(axis=1)[list(MEASURES)]


def write(
    model: Nasviz,
    folder: Path,
    train: "Benchmark",
    targets: Sequence["Benchmark"] = (),
    *,
    draws: int = 10,
    labels: int = 50,
    command: str = "",
    progress: bool = True,
) -> Path:
    """Save a model with all its figures: ``results.csv``, and ``card.md`` to read.

    Parameters
    ----------
    model : Nasviz
        The model.
    folder : Path
        Where to.
    train, targets, draws, labels, progress
        As in `measure`.
    command : str
        How to make it again.
    """
    folder = model.save(folder)
    results = measure(model, train, targets, draws=draws, labels=labels, progress=progress)
    write_atomically(folder / "results.csv", lambda path: results.round(6).to_csv(path, index=False))
    trust = {bench.name: _trust(model, bench) for bench in targets}
    text = describe(model, results, trust, labels, command)
    write_atomically(folder / "card.md", lambda path: path.write_text(text, encoding="utf-8"))
    return folder


def _trust(model: Nasviz, bench: "Benchmark") -> pd.DataFrame:
    scores = model.score(bench.graphs())
    return risk_coverage(scores, bench.table["accuracy"].to_numpy(float), steps=5)


def describe(model: Nasviz, results: pd.DataFrame, trust: dict[str, pd.DataFrame], labels: int, command: str) -> str:
    """The card as Markdown."""
    rows = []
    for (benchmark, setting, method), row in summary(results).iterrows():
        factors = {"mae": 100, "coverage": 100}
        cells = [_cell(row[name, "mean"], row[name, "sd"], factors.get(name, 1)) for name in MEASURES]
        rows.append(f"| {benchmark} | {setting} | {method} | {' | '.join(cells)} |")
    parts = []
    for name, table in trust.items():
        parts += ["", f"{name}, its most novel networks left out:", ""]
        parts += ["| kept | novelty up to | SRCC | MAE |", "|---|---|---|---|"]
        for row in table.itertuples():
            parts.append(f"| {row.coverage:.0%} | {row.novelty:.2f} | {row.srcc:.3f} | {100 * row.mae:.2f} |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("nasviz", "torch", "lightgbm", "scikit-learn"))
    return TEXT.format(
        card=json.dumps(model.card, ensure_ascii=False),
        settings=json.dumps(vars(model.settings)),
        rows="\n".join(rows),
        trust="\n".join(parts),
        labels=labels,
        command=command,
        packages=packages,
        usual=model.space.usual_,
        day=datetime.now(UTC).date().isoformat(),
    )


def _cell(mean: Any, deviation: Any, factor: int) -> str:
    if np.isnan(mean):
        return "–"
    digits = 2 if factor == 100 else 3
    spread = "" if np.isnan(deviation) or deviation == 0 else f" ± {factor * deviation:.{digits}f}"
    return f"{factor * mean:.{digits}f}{spread}"


TEXT = """\
# Nasviz, pretrained

`{command}` writes this folder and this page ({day}; {packages}). `results.csv` has every single measurement.

- Trained on: `{card}`. The labels are not included. Networks below 80 % accuracy were dropped; 80 % of the rest trained
  the experts, validation 1 (10 %) weighed them and calibrated the intervals, validation 2 (10 %) is the test set.
- Settings: `{settings}`.
- Files: `weights.safetensors`, `trees.txt` (LightGBM's text), `model.json`; loading them runs no code.

## What it was measured at

Zero-shot: no label of that family was seen, from any data set. Fine-tuned: draws of {labels} labels, tested on all
others; mean ± standard deviation over the draws. MAE and coverage of the 90 % intervals are in percent. "alone",
"without" and "equal weights" are the ablation: what each part is worth by itself, and what is left without it.

| benchmark | setting | method | SRCC | Kendall τ | NDCG@10 | NDCG@50 | MAE | coverage |
|---|---|---|---|---|---|---|---|---|
{rows}

## When not to believe it

`novelty` is the distance to the nearest cluster of training networks in units of their median distance; 95 % of
validation 1 lie below {usual:.2f}. The further the networks that are ranked lie beyond that, the more the score leans
on capacity alone, which knows that more and wider layers help, and nothing of a family's own. Intervals are calibrated
at home: on another family, whose accuracies may lie on another level altogether (another data set, another recipe),
they do not hold before fine-tuning.
{trust}

## Limits

- The labels are CIFAR-10 accuracies of one training run each. A network for another task is ranked by resemblance.
- Scores are relative to the networks that are ranked together; `accuracy` is not.
- An operator that NAS-Bench-101 does not have (attention, depthwise convolution) was never seen in training: watch
  the novelty.
"""
