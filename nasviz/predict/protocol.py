"""The paper's protocol: pretrain on one benchmark, test in-domain, then rank other families zero-shot and fine-tuned.

Validation 2 of the training benchmark is its test set; nothing is chosen on it. A target family's labels are seen by
no fit but those of the 50 networks that a fine-tuning draws, and those are not evaluated on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz.families import names
from nasviz.graph.cost import total_flops, total_macs
from nasviz.predict.anatomy import Anatomy
from nasviz.predict.ensemble import Gennape, Settings, partition
from nasviz.predict.folds import Fold, draw
from nasviz.predict.metrics import NO_RANKING, evaluate

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark
    from nasviz.predict.nasviz import Nasviz

MEASURES = ("srcc", "kendall", "ndcg@10", "ndcg@50", "mae")


def in_domain(model: Gennape, bench: "Benchmark") -> pd.DataFrame:
    """Measures on validation 2 of the benchmark that `model` was pretrained on, one row a method."""
    parts = partition(bench)
    params = _params(bench)[parts["rows"]["validation 2"]]
    return _measure(bench, model, parts["validation 2"], params, "in-domain")


def transfer(
    model: Gennape, bench: "Benchmark", *, draws: Sequence[int] = range(10), labels: int = 50, progress: bool = True
) -> pd.DataFrame:
    """Rank a benchmark that `model` was not pretrained on, zero-shot and after fine-tuning.

    Parameters
    ----------
    model : Gennape
        The pretrained model.
    bench : Benchmark
        The target.
    draws : sequence of int
        Seeds of the draws of labelled networks; a draw is the same for every model and method.
    labels : int
        Networks in a draw.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        benchmark, setting ("zero-shot" on all networks, "fine-tuned" on those not drawn), method, seed (of the model),
        draw (-1 for zero-shot) and the measures; `mae` as a fraction.
    """
    fold, params = Fold.of(bench.graphs(), bench.table["accuracy"].to_numpy()), _params(bench)
    tables = [_measure(bench, model, fold, params, "zero-shot")]
    for number in tqdm(draws, f"fine-tune on {bench.name}", disable=not progress):
        chosen, rest = draw(len(fold), labels, number)
        tuned = model.fine_tune(fold.population.take(chosen), fold.accuracy[chosen], seed=number)
        tables.append(_measure(bench, tuned, fold.take(rest), params[rest], "fine-tuned", number))
    return pd.concat(tables, ignore_index=True)


def summary(results: pd.DataFrame, measures: Sequence[str] = ("srcc", "kendall", "ndcg@10", "mae")) -> pd.DataFrame:
    """Mean ± standard deviation over seeds and draws, as text: a row a benchmark, setting and method.

    The error is in percent points, as the paper prints it.
    """
    scaled = results.assign(mae=100 * results["mae"]).rename(columns={"mae": "mae (%)"})
    names = ["mae (%)" if measure == "mae" else measure for measure in measures]
    groups = scaled.groupby(["benchmark", "setting", "method"], sort=False)[names]
    mean, spread, count = groups.mean(), groups.std(), groups.size()

    def cell(value: float, deviation: float) -> str:
        if np.isnan(value):
            return "–"
        return f"{value:.3f}" if np.isnan(deviation) or deviation < 5e-4 else f"{value:.3f} ± {deviation:.3f}"

    table = pd.DataFrame(
        {name: [cell(*pair) for pair in zip(mean[name], spread[name], strict=True)] for name in names}, mean.index
    )
    return table.assign(runs=count)


def _measure(
    bench: "Benchmark", model: Gennape, fold: Fold, params: np.ndarray, setting: str, number: int = -1
) -> pd.DataFrame:
    """One row a method: the ensemble, its members, and parameters as a second baseline."""
    scores = model.score(fold.population)
    rows = {"GENNAPE": evaluate(scores, fold.accuracy)}
    for name, member in model.members.items():
        predicted = scores[name].clip(0, 1) if member.predicts_accuracy else None
        rows[name] = evaluate(scores[name], fold.accuracy, predicted)
    rows["params"] = evaluate(params, fold.accuracy)
    table = pd.DataFrame(rows).T.rename_axis("method").reset_index()
    table = table.assign(benchmark=bench.name, setting=setting, seed=model.card["seed"], draw=number)
    return table[["benchmark", "setting", "method", "seed", "draw", *MEASURES]]


def _params(bench: "Benchmark") -> np.ndarray:
    return np.array([graph.params for graph in bench.graphs()], dtype=float)


def small() -> Settings:
    """Settings for a benchmark of a few hundred small networks, such as `digits`: as many steps as on a large one."""
    return replace(Settings(), encoder_epochs=30, encoder_batch=32, head_epochs=40, kgnn_epochs=60, sharpness=10.0)


def rankings(
    bench: "Benchmark", model: "Nasviz", *, labels: int = 50, seed: int = 0, progress: bool = True
) -> pd.DataFrame:
    """Every family of a benchmark ranked by a pretrained model, before and after fine-tuning: the ranking dashboard's.

    Parameters
    ----------
    bench : Benchmark
        The networks; each family is ranked on its own.
    model : Nasviz
        What ranks, such as `nasviz.pretrained("nb101")`.
    labels : int
        Networks that the fine-tuning sees; they are left out of both variants.
    seed : int
        Of the draw and the fine-tuning.

    Returns
    -------
    DataFrame
        One row a network and variant ("zero-shot", "fine-tuned"): family, arch, accuracy, macs, variant, score,
        predicted_accuracy, FLOPs, params and a column an expert, NaN where the variant has none of this name.
    """
    tables = []
    for family in tqdm(sorted(bench.families, key=names().index), "rank", disable=not progress):
        target = bench.of(family)
        graphs, accuracy = target.graphs(progress=False), target.table["accuracy"].to_numpy()
        chosen, rest = draw(len(target), labels, seed)
        anatomy, macs = Anatomy.of(graphs), [total_macs(graphs[i]) for i in rest]
        tuned = model.fine_tune(anatomy.take(chosen), accuracy[chosen], seed=seed)
        facts = target.table.iloc[rest][["family", "arch", "accuracy"]].reset_index(drop=True)
        facts = facts.assign(macs=macs, FLOPs=[total_flops(graphs[i]) for i in rest], params=_params(target)[rest])
        for variant, ranker in (("zero-shot", model), ("fine-tuned", tuned)):
            scores = ranker.score(anatomy.take(rest)).rename(columns={"accuracy": "predicted_accuracy"})
            said = scores[[name for name in scores if not NO_RANKING.match(name)]]
            tables.append(pd.concat([facts.assign(variant=variant), said], axis=1))
    return pd.concat(tables, ignore_index=True)
