"""The tables of the GENNAPE paper as data, and how they are printed beside the paper's own figures.

`nasviz evaluate --table 5` measures and prints one. Table 2 describes families, table 7 is about search.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nasviz.predict.baselines import CELL_PREDICTORS
from nasviz.predict.ensemble import Settings
from nasviz.predict.nasviz import NasvizSettings
from nasviz.predict.protocol import small
from nasviz.predict.tables_baselines import COSTS, PROXY_ROWS, ForestLearner, ProxyLearner
from nasviz.predict.tables_methods import (
    CellLearner,
    EnsembleLearner,
    GNNLearner,
    Learner,
    NasvizLearner,
    Target,
    learners_for,
)
from nasviz.predict.tables_paper import PAPER, Cell
from nasviz.predict.tables_run import PRESETS, Budget, measure
from nasviz.resources import cache_folder

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

Worlds = Sequence[tuple["Benchmark", Sequence["Benchmark"]]]  # what to pretrain on, and what to rank with that

BASELINES = ("FLOPs", "params", "NASWOT", "Jacov", "random forest")
CEILING = "ceiling by label noise"
MEMBERS = ("k-GNN", "CL", "CL+T", "CL+FCM+T", "CL+Pairwise", "CL+FCM+Pairwise", "GENNAPE")


@dataclass(frozen=True)
class Table:
    """One table of the paper: which measures, in which settings, of which methods.

    Baselines are added to every table, and what is `OURS` to those of learned methods.
    """

    title: str
    measures: tuple[str, ...]
    settings: tuple[str, ...]
    methods: tuple[str, ...]
    learned: bool = True

    @property
    def rows(self) -> tuple[str, ...]:
        """Its rows from top to bottom, baselines included."""
        return tuple(dict.fromkeys([*self.methods, *(OURS if self.learned else ()), *BASELINES]))


OURS = ("Nasviz",)
"""Rows of methods of this project that the paper does not have."""

TRANSFER = ("zero-shot", "fine-tuned")
TABLES: Mapping[int, Table] = {
    1: Table("SRCC of zero-cost proxies", ("srcc",), ("zero-shot",), ("Synflow", "Jacov", "Fisher", "SNIP", "FLOPs",
             "grad-norm", "NASWOT", "params"), learned=False),
    3: Table("Prediction of NAS-Bench-101", ("mae", "srcc"), ("in-domain",), ("NPN", "BANANAS", "TNASP", "GCN", "GIN",
             "k-GNN", "CL", "CL+FCM", "CL+T", "CL+FCM+T")),
    4: Table("Mean absolute error", ("mae",), ("in-domain", "fine-tuned"), ("k-GNN", "CL", "CL+T", "CL+FCM+T")),
    5: Table("SRCC", ("srcc",), TRANSFER, ("k-GNN", "GENNAPE")),
    6: Table("NDCG@10", ("ndcg@10",), TRANSFER, ("k-GNN", "GENNAPE")),
    8: Table("SRCC of the ensemble's members", ("srcc",), TRANSFER, MEMBERS),
    9: Table("Kendall's τ of the ensemble's members", ("kendall",), TRANSFER, MEMBERS),
    10: Table("NDCG of the ensemble's members", ("ndcg@50", "ndcg@10"), TRANSFER, MEMBERS),
}  # fmt: skip
"""The tables, by their number in the paper."""

LABELS = {"mae": "MAE %", "srcc": "SRCC", "kendall": "τ", "ndcg@10": "NDCG@10", "ndcg@50": "NDCG@50"}

CEILINGS = {"nb201": 0.985}
"""SRCC of one seed with the mean of three, on the published labels of full-size networks."""

NOTES = {
    "digits": "digits: narrowed networks on 8×8 images, labelled by this project; the paper's figures are for the "
    "full-size families on CIFAR-10 and ImageNet, so they stand here for orientation and cannot be compared.",
    "size": "The paper samples 50,000 cells of NAS-Bench-101, and chose its clusters on validation 2, on which it "
    "reports. Here everything is chosen on validation 1, and validation 2 is the test set.",
    "flops": "FLOPs on NB-201: the paper prints 0.001. Its caches store a FLOPs number of undocumented unit, scaled to "
    "0…1 for NB-201; counted from the networks, FLOPs rank these 4,096 cells at about 0.8 on the same labels.",
    "noise": "Proxies at paper scale are computed on Gaussian noise and random classes, since no CIFAR-10 or ImageNet "
    "images come with nasviz; the paper used images. One initialisation, {images} images.",
    "few": "Proxies are computed on {networks} networks of a target at most, the same for all proxies; so their rows "
    "are noisier than the others.",
    "ceiling": "Ceiling: the square root of the labels' reliability on digits (its card); on NB-201 0.985, one seed "
    "against the mean of three; unknown on NB-101, with one run a cell.",
    "quick": "Trained for {epochs:.0%} of the epochs, to show that everything runs: quote figures of --preset full.",
    "missing": "Not measured: {methods}.",
}


def available(train: "Benchmark", budget: Budget) -> list[Learner]:
    """Everything that can fill rows, with the settings for the training benchmark."""
    settings = budget.shorten(small() if train.scale == "digits" else Settings())
    is_nb101 = train.families == ["nb101"]
    members = ("CL+FCM+T", "CL+T", "CL+FCM+Pairwise", "CL+Pairwise", "k-GNN", "FLOPs")  # the paper's six
    return [
        EnsembleLearner("GENNAPE", replace(settings, members=members), "GENNAPE"),
        NasvizLearner(budget.shorten(NasvizSettings())),
        EnsembleLearner("CL", replace(settings, members=("CL", "CL+FCM"))),
        GNNLearner("GCN", settings.kgnn_epochs, settings.tune_epochs),
        GNNLearner("GIN", settings.kgnn_epochs, settings.tune_epochs),
        *(CellLearner(name, max(1, round(40 * budget.epochs))) for name in CELL_PREDICTORS if is_nb101),
        COSTS,
        ForestLearner(),
    ]


def evaluate_table(
    number: int,
    where: Worlds,
    budget: Budget,
    *,
    methods: Sequence[str] | None = None,
    folder: str | Path | None = None,
    jobs: int = -1,
    progress: bool = True,
) -> pd.DataFrame:
    """Measure what a table needs, on each training benchmark and its targets.

    Parameters
    ----------
    number : int
        A key of `TABLES`.
    where : Worlds
        What to pretrain on, and what to rank with that.
    budget : Budget
        See `tables_run.PRESETS`.
    methods : sequence of str, optional
        Rows to measure now; by default all. What is trained together is measured together.
    folder, jobs, progress
        As in `tables_run.measure`; by default the folder is in nasviz's cache.

    Returns
    -------
    DataFrame
        As from `tables_run.measure`, the rows of this table alone.

    Raises
    ------
    ValueError
        If there is no such table, or it has no such row.
    """
    table = find(number)
    wanted = list(methods or table.rows)
    unknown = [name for name in wanted if name not in table.rows]
    if unknown:
        raise ValueError(f"method={unknown[0]!r}: table {number} has the rows {', '.join(table.rows)}.")
    results = []
    for train, targets in where:
        proxies = ProxyLearner(tuple(row for row in wanted if row in PROXY_ROWS), budget.proxy_networks,
                               budget.proxy_images)  # fmt: skip
        learners = learners_for(wanted, [proxies, *available(train, budget)])
        options = {
            "settings": table.settings,
            "folder": folder or cache_folder() / "tables",
            "jobs": jobs,
            "progress": progress,
        }
        results.append(measure(train, targets, learners, budget, **options))
    results = pd.concat(results, ignore_index=True)
    return results[results["method"].isin(table.rows)].reset_index(drop=True)


def worlds(
    load: Callable[[str], "Benchmark"], train: str | None, targets: Sequence[str] | None, labelled: Sequence[str]
) -> Worlds:
    """What to pretrain on and what to rank with it: as asked for, else all that has labels.

    Parameters
    ----------
    load : callable
        Gives the benchmark of a name.
    train : str, optional
        What to pretrain on. With it or with targets there is one world.
    targets : sequence of str, optional
        What to rank; by default all that is labelled: what files were given for, and for a bundled family the others.
    labelled : sequence of str
        Names with label files. With "nb101" the published benchmarks are a world, and the bundled families another.
    """
    if train or targets:
        source = train or ("nb101" if "nb101" in labelled else "digits:nb101")
        if not targets and source.startswith("digits:"):
            targets = [*labelled, *(f"digits:{name}" for name in load("digits").families)]
        return [(load(source), [load(name) for name in targets or labelled if name != source])]
    digits, published = load("digits"), [load(name) for name in labelled if name != "nb101"]
    bundled = [digits.of(name) for name in digits.families if name != "nb101"]
    if "nb101" in labelled:
        return [(load("nb101"), published), (digits.of("nb101"), bundled)]
    return [(digits.of("nb101"), [*published, *bundled])]


def budget_of(preset: str, **chosen: int | None) -> Budget:
    """A preset's budget, with what is not None in its place."""
    return replace(PRESETS[preset], **{name: value for name, value in chosen.items() if value is not None})


def report(number: int, results: pd.DataFrame, where: Worlds, budget: Budget) -> str:
    """A table as text: its blocks, then what a reader has to know, then which labels it rests on."""
    cards = {bench.name: bench.card for train, targets in where for bench in (train, *targets)}
    blocks = [
        f"Table {number}, {find(number).title}. {title}\n\n{block.to_string()}\n"
        for title, block in render(number, results, cards)
    ]
    return "\n".join([*blocks, *(f"- {line}" for line in (*notes(number, results, budget), *sources(where)))])


def find(number: int) -> Table:
    """The table of this number; ValueError if there is none."""
    if number not in TABLES:
        raise ValueError(f"table {number}: there are the tables {', '.join(map(str, TABLES))} of the paper.")
    return TABLES[number]


def render(
    number: int, results: pd.DataFrame, cards: Mapping[str, Mapping] | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """One block a training benchmark and target: its title, and ours beside the paper's.

    Parameters
    ----------
    number : int
        A key of `TABLES`.
    results : DataFrame
        From `evaluate_table`.
    cards : mapping of str to mapping, optional
        Cards of the benchmarks, by their names, for the ceilings.

    Yields
    ------
    str, DataFrame
        A row a method; for each setting and measure the columns "ours" (mean ± standard deviation over seeds and
        draws) and "paper".
    """
    table = find(number)
    for (train, bench, family), part in results.groupby(["train", "benchmark", "family"], sort=False):
        settings = [name for name in table.settings if (part["setting"] == name).any()]
        columns = {}
        for setting in settings:
            rows = part[part["setting"] == setting]
            for name in table.measures:
                head = f"{LABELS[name]} {setting}"
                ours = rows.groupby("method")[name].agg(["mean", "std"])
                columns[head] = {row: _cell(name, *ours.loc[row]) for row in ours.index}
                columns[head][CEILING] = _ceiling(name, setting, bench, family, cards or {})
                cells = {row: PAPER.get(Cell(number, name, family, setting, row)) for row in table.rows}
                cells["FLOPs"] = cells["FLOPs"] or PAPER.get(Cell(1, name, family, setting, "FLOPs"))
                columns[f"paper {head}"] = {row: _cell(name, *figure) for row, figure in cells.items() if figure}
        here = set(part["method"])
        order = [row for row in table.rows if row in here or any(row in column for column in columns.values())]
        block = pd.DataFrame(columns, index=[*order, CEILING]).fillna("–")
        many = part.groupby("setting")["networks"].max()[settings].max()
        yield f"{bench}, {many:,} networks; trained on {train}", block.rename_axis("method")


def sources(where: Worlds) -> list[str]:
    """Which labels a table rests on, a line a benchmark."""
    benches = {bench.name: bench for train, targets in where for bench in (train, *targets)}
    return [
        f"{name}: {bench.card.get('title', name)}; {len(bench):,} networks; {bench.card.get('note', 'no note')}; "
        f"labels {Target(bench).digest}"
        for name, bench in benches.items()
    ]


def notes(number: int, results: pd.DataFrame, budget: Budget) -> list[str]:
    """What a reader has to know before comparing, a sentence or two each."""
    table, names = find(number), set(results["benchmark"])
    paper_scale = {name for name in names if not name.startswith("digits")}
    missing = [row for row in table.rows if row not in set(results["method"])]
    proxied = set(results["method"]) & set(PROXY_ROWS)
    wanted = {
        "quick": budget.epochs < 1,
        "digits": len(paper_scale) < len(names),
        "size": "nb101" in set(results["train"]) and number != 1,
        "flops": "nb201" in paper_scale,
        "noise": bool(paper_scale and proxied),
        "few": bool(budget.proxy_networks and proxied),
        "ceiling": "srcc" in table.measures,
        "missing": bool(missing),
    }
    facts = {
        "epochs": budget.epochs,
        "networks": budget.proxy_networks,
        "images": budget.proxy_images,
        "methods": ", ".join(missing),
    }
    return [NOTES[name].format(**facts) for name, shown in wanted.items() if shown]


def _cell(measure: str, mean: float, spread: float | None) -> str:
    if mean is None or np.isnan(mean):
        return "–"
    factor, digits = (100, 2) if measure == "mae" else (1, 3)
    text = f"{factor * mean:.{digits}f}"
    if spread is None or np.isnan(spread) or factor * spread < 0.5 * 10**-digits:
        return text
    return f"{text} ± {factor * spread:.{digits}f}"


def _ceiling(measure: str, setting: str, bench: str, family: str, cards: Mapping[str, Mapping]) -> str:
    if measure != "srcc":
        return "–"
    card = cards.get(bench, {}).get("families", {}).get(family, {})
    value = card.get("ceiling", {}).get("spearman") or CEILINGS.get(bench)
    return f"{value:.3f}" if value else "unknown"
