"""Measuring the methods of a table: learn, rank in-domain, zero-shot and fine-tuned; every result is kept on disk."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import joblib
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from nasviz.parallel import parallel
from nasviz.predict.ensemble import Settings
from nasviz.predict.folds import draw
from nasviz.predict.metrics import evaluate
from nasviz.predict.nasviz import NasvizSettings
from nasviz.predict.tables_methods import Fitted, Learner, Target
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

S = TypeVar("S", Settings, NasvizSettings)
SETTINGS = ("in-domain", "zero-shot", "fine-tuned")
KEYS = ("train", "benchmark", "family", "setting", "method", "seed", "draw", "networks")
MEASURES = ("srcc", "kendall", "ndcg@10", "ndcg@50", "mae")


@dataclass(frozen=True)
class Budget:
    """How much work a table may be.

    Attributes
    ----------
    seeds, draws, labels : int
        Seeds of what is trained; draws of labels, shared out among the seeds; labels in a draw.
    train_networks : int, optional
        Networks of the training benchmark that are used at most, drawn once.
    proxy_networks, proxy_images : int, optional
        Networks of a target that proxies are computed of at most, and images in their batch.
    epochs : float
        Factor of all epochs.
    """

    seeds: int = 5
    draws: int = 10
    labels: int = 50
    train_networks: int | None = None
    proxy_networks: int | None = None
    proxy_images: int = 32
    epochs: float = 1.0

    def shorten(self, settings: S) -> S:
        """The settings with all epochs times the factor, and at least one."""
        names = [name for name in asdict(settings) if name.endswith("epochs")]
        return replace(settings, **{name: max(1, round(self.epochs * getattr(settings, name))) for name in names})


PRESETS = {
    "quick": Budget(seeds=1, draws=2, train_networks=1000, proxy_networks=40, proxy_images=8, epochs=0.1),
    "full": Budget(),
}
"""`quick` takes minutes and shows that everything runs; its figures are not to be quoted. `full` is the protocol."""


def measure(
    train: "Benchmark",
    targets: Sequence["Benchmark"],
    learners: Sequence[Learner],
    budget: Budget,
    *,
    settings: Sequence[str] = SETTINGS,
    folder: str | Path,
    jobs: int = -1,
    progress: bool = True,
) -> pd.DataFrame:
    """Measure learners that are pretrained on one benchmark, in-domain and on targets.

    Parameters
    ----------
    train : Benchmark
        What is pretrained on: 80 %, watched on validation 1, tested in-domain on validation 2.
    targets : sequence of Benchmark
        What is ranked zero-shot, and after fine-tuning on draws that are the same for all methods.
    learners : sequence of Learner
        The methods.
    budget : Budget
        Seeds, draws and sizes.
    settings : sequence of str
        Which of `SETTINGS`.
    folder : path
        Where results are kept, one file a learner, seed, target and setting, named after all that they depend on, the
        code of this room included; what is there is not measured again. Checkpoints go there, too.
    jobs : int
        Processes, as joblib counts them; each takes a learner's seed at a time. Proxies use them for networks.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        `KEYS` and `MEASURES`, a row a measurement; draw is -1 where nothing is drawn, `mae` a fraction.

    Raises
    ------
    ValueError
        If a target is too small for the draws, which is told before anything is trained.
    """
    folder = Path(folder)
    if budget.train_networks and len(train) > budget.train_networks:
        train = train.subset(np.sort(np.random.default_rng(0).permutation(len(train))[: budget.train_networks]))
    for bench in targets if "fine-tuned" in settings and budget.draws else ():
        draw(len(bench), budget.labels)
    home, ranked = Target(train), [Target(bench) for bench in targets]
    if "in-domain" in settings:
        home.rows = home.fold_rows["validation 2"]
        ranked = [home, *ranked]
    plans = [(learner, seed) for learner in learners for seed in range(budget.seeds if learner.seeded else 1)]
    alone = [plan for plan in plans if not plan[0].seeded]
    shared = [plan for plan in plans if plan[0].seeded]
    run = (home, ranked, budget, tuple(settings), folder)
    tables = []
    with tqdm(total=len(plans), desc=f"trained on {train.name}", disable=not progress) as bar:
        for learner, seed in alone:  # they bring their own processes, or are quick
            tables.append(_one(learner, seed, *run, jobs=jobs))
            bar.update()
        tasks = (joblib.delayed(_one)(learner, seed, *run) for learner, seed in shared)
        for table in parallel(jobs, return_as="generator_unordered")(tasks):
            tables.append(table)
            bar.update()
    table = pd.concat(tables)[[*KEYS, *MEASURES]]
    order = {target.bench.name: position for position, target in enumerate(ranked)}  # processes end in any order
    table["benchmark"] = pd.Categorical(table["benchmark"], list(order))
    table = table.sort_values([*KEYS[:7]], ignore_index=True)
    return table.astype({"benchmark": str})


def _one(
    learner: Learner,
    seed: int,
    home: Target,
    ranked: Sequence[Target],
    budget: Budget,
    settings: Sequence[str],
    folder: Path,
    jobs: int = 1,
) -> pd.DataFrame:
    """One learner with one seed on all targets; it learns only if a result is missing."""
    fitted: list[Fitted] = []

    def learned() -> Fitted:
        if not fitted:
            fitted.append(learner.fit(home, seed, folder / f"train-{home.digest}-{_code()}", jobs))
        return fitted[0]

    draws = range(seed, budget.draws, budget.seeds) if learner.seeded else range(budget.draws)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small steps gain nothing from a second thread, a second seed does
    try:
        tables = []
        for target in ranked:
            for setting in settings:
                if (target is home) != (setting == "in-domain"):
                    continue
                numbers = list(draws) if setting == "fine-tuned" else [-1]
                facts = [learner.key(), seed, home.digest, target.digest, setting, numbers, budget.labels, _code()]
                name = "-".join([learner.name, str(seed), target.bench.name, setting, _short(json.dumps(facts))])
                path = folder / "rows" / f"{name.replace(':', '-').replace(' ', '-')}.json"
                if not path.is_file():
                    rows = [row for number in numbers for row in _rows(learned(), target, number, budget.labels)]
                    write_atomically(path, lambda free, rows=rows: free.write_text(json.dumps(rows)))
                table = pd.DataFrame(json.loads(path.read_text()), columns=["method", "draw", "networks", *MEASURES])
                family = "+".join(target.bench.families)
                facts = {"train": home.bench.name, "benchmark": target.bench.name, "family": family}
                tables.append(table.assign(**facts, setting=setting, seed=seed))
    finally:
        torch.set_num_threads(threads)
    return pd.concat(tables) if tables else pd.DataFrame(columns=[*KEYS, *MEASURES])


def _rows(fitted: Fitted, target: Target, number: int, labels: int) -> list[dict]:
    """Measures of each row that a learner fills: on all of the target, or on what a draw leaves."""
    rows = target.rows
    if number >= 0:
        chosen, rows = draw(len(target.bench), labels, number)
        fitted = fitted.tune(target, chosen, number)
    table = []
    for method, ranking in fitted.rank(target, rows).items():
        accuracy = target.accuracy[ranking.rows]
        measures = dict.fromkeys(MEASURES, math.nan)  # a draw may leave less than two of the few that were scored
        if len(accuracy) > 1:
            measures = evaluate(ranking.scores, accuracy, ranking.accuracy).to_dict()
        table.append({"method": method, "draw": number, "networks": len(accuracy), **measures})
    return table


@lru_cache(maxsize=1)
def _code() -> str:
    """The code that results come from: a change of it makes new results."""
    files = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem not in ("tables", "tables_paper"))
    return _short("".join(path.read_text(encoding="utf-8") for path in files))


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def describe(budget: Budget) -> str:
    """The budget in one line."""
    return ", ".join(f"{name}={value}" for name, value in asdict(budget).items() if value is not None)
