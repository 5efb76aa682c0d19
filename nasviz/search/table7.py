"""Table 7 of the GENNAPE paper: searches from the best networks of three families, at the paper's scale.

The paper trained what it found; there is nothing here to do that with. So what is compared is FLOPs against *predicted*
accuracy, and it is checked that what was found is valid and runs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nasviz.graph.graph import ComputeGraph
from nasviz.predict.ensemble import Gennape, Settings
from nasviz.predict.metrics import srcc
from nasviz.search.goals import Goal
from nasviz.search.hunt import Predictor, predictor_scorer, search
from nasviz.search.shapes import fault
from nasviz.search.spaces import FamilySpace, GraphSpace

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

PAPER = {
    "nb101": ("NB-101", "CIFAR-10", 11.72, 94.97, 9.49, 95.05),
    "nb201": ("NB-201", "CIFAR-10", 0.313, 93.27, 0.283, 93.62),
    "ofa_resnet": ("OFA-RN", "ImageNet120", 12.13, 80.62, 9.46, 81.08),
}
"""Its figures by family: name, data set; GFLOPs and measured accuracy in percent of the start, then of the found."""
LOOKED_AT = 300
"""Networks of a family without labels among which the start is; the paper's own is not known."""


def clfcmt(bench: "Benchmark", folder: Path, networks: int = 2500) -> Gennape:
    """The paper's predictor for this table, pretrained on some of the networks; read from the folder if it is there."""
    if (folder / "model.json").is_file():
        return Gennape.load(folder)
    rows = np.sort(np.random.default_rng(0).permutation(len(bench))[:networks])
    model = Gennape.pretrain(bench.subset(rows), settings=Settings(members=("CL+FCM+T",)))
    model.save(folder)
    return model


def start_of(family: str, benches: Mapping[str, "Benchmark"]) -> ComputeGraph:
    """The best labelled network of a family; of one without labels, that which costs what the paper's start costs."""
    from nasviz.families import get
    from nasviz.graph.cost import total_flops

    known = get(family)
    if family in benches:
        table = benches[family].table
        return known.graph(known.parse(table["arch"].iat[int(table["accuracy"].argmax())]))
    space, wanted = FamilySpace(known), 1e9 * PAPER[family][2]
    near = search(
        space, lambda archs: [-abs(total_flops(space.graph(arch)) - wanted) for arch in archs], "local",
        budget=LOOKED_AT, costs=False,
    )  # fmt: skip
    return space.graph(near.best[0].candidate)


def table7(
    benches: Mapping[str, "Benchmark"],
    predictors: Mapping[str, Predictor],
    *,
    home: str = "nb101",
    labels: int = 50,
    held: int = 500,
    budget: int = 3000,
    seeds: Sequence[int] = (0,),
    caution: float = 1.0,
    progress: bool = True,
) -> pd.DataFrame:
    """Search from the best network of each family with each predictor.

    Parameters
    ----------
    benches : mapping of str to Benchmark
        Labels by family, of full-sized networks.
    predictors : mapping of str to Predictor
        Pretrained ones, by name. Where a family other than `home` has labels, each is fine-tuned on `labels` of them.
    home : str
        The family that they were pretrained on.
    labels, held, budget : int
        Labels of a fine-tuning; other labels on which what came out is tried; networks scored in a search.
    seeds : sequence of int
        Of the searches.
    caution : float
        See `predictor_scorer`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        family, predictor, tuned (on how many labels), srcc (then, on those held), seed, network ("start"; "best", the
        highest score; "cheapest", the fewest FLOPs at a score not below the start's), flops, params, score (what the
        search went by), accuracy, low, high, novelty (as predicted, where the predictor says so), operators, runs.
    """
    rows = []
    work = [(family, name) for family in PAPER for name in predictors]
    for family, name in tqdm(work, "table 7", disable=not progress):
        model, tuned, quality = predictors[name], 0, np.nan
        if family in benches and family != home:
            drawn = np.random.default_rng(0).permutation(len(benches[family]))[: labels + held]
            part, tuned = benches[family].subset(drawn), labels
            graphs, accuracy = part.graphs(progress=False), part.table["accuracy"].to_numpy()
            model = model.fine_tune(graphs[:labels], accuracy[:labels])
            quality = srcc(model.score(graphs[labels:])["score"].to_numpy(), accuracy[labels:])
        space = GraphSpace([start_of(family, benches)])
        for seed in seeds:
            found = search(
                space, predictor_scorer(model, space, caution=caution), starts=space.starts, budget=budget, seed=seed,
                goal=Goal.balanced, keep=budget, settings={"children": -(-budget // 6)},
            )  # fmt: skip
            first = found.scored[0]
            better = [e for e in found.best if e.score >= first.score and e.cost.flops < first.cost.flops]
            chosen = {"start": first}
            if better:
                chosen["best"] = max(better, key=lambda each: (each.score, -each.cost.flops))
                chosen["cheapest"] = min(better, key=lambda each: (each.cost.flops, -each.score))
            told = model.score([space.graph(each.candidate) for each in chosen.values()])
            for (network, each), (_, said) in zip(chosen.items(), told.iterrows(), strict=True):
                graph = space.graph(each.candidate)
                rows.append(
                    {"family": family, "predictor": name, "tuned": tuned, "srcc": quality, "seed": seed,
                     "network": network, "flops": each.cost.flops, "params": each.cost.params, "score": each.score,
                     **{column: said.get(column, np.nan) for column in ("accuracy", "low", "high", "novelty")},
                     "operators": len(graph), "runs": runs(graph)}
                )  # fmt: skip
    return pd.DataFrame(rows)


def runs(graph: ComputeGraph) -> bool:
    """Whether a network is valid, and an image goes through it forward and backward."""
    import torch

    from nasviz.graph.build import to_module

    if fault(graph) is not None:
        return False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = to_module(graph).eval()
        out = module(torch.randn(graph.nodes[0].out_shape))
    out.square().mean().backward()
    return out.shape == graph.nodes[graph.outputs[0]].out_shape and bool(torch.isfinite(out).all())


def report(table: pd.DataFrame) -> str:
    """The table beside the paper's figures, a line a network; of several seeds, the medians.

    Accuracies of the paper were measured after training, ours are predictions; "at least" is the lower end of the
    interval. "best" has the highest score of those with fewer FLOPs, "cheapest" the fewest FLOPs of those with at least
    the start's score.
    """
    lines = [
        ("model", "predictor", "labels", "SRCC", "GFLOPs", "of start", "accuracy %", "at least", "novelty", "runs")
    ]
    for family, (title, data, *figures) in PAPER.items():
        for network, gflops, accuracy in zip(("start", "found"), figures[::2], figures[1::2], strict=True):
            share = f"{gflops / figures[0]:.0%}"
            source = f"paper ({data}, trained)"
            lines.append((f"{title}, {network}", source, "", "", f"{gflops:.3g}", share, f"{accuracy:.2f}", "", "", ""))
        part = table[table["family"] == family]
        for (name, network), rows in part.groupby(["predictor", "network"], sort=False):
            first = part[(part["predictor"] == name) & (part["network"] == "start")]["flops"].median()
            middle = rows[["flops", "accuracy", "low", "novelty"]].median()
            quality = f"{rows['srcc'].iloc[0]:.2f}" if np.isfinite(rows["srcc"].iloc[0]) else ""
            shown = [f"{100 * middle[c]:.2f}" if np.isfinite(middle[c]) else "" for c in ("accuracy", "low")]
            lines.append(
                (f"{title}, {network}", name, f"{rows['tuned'].iloc[0]}", quality, f"{middle['flops'] / 1e9:.3g}",
                 f"{middle['flops'] / first:.0%}", *shown, f"{middle['novelty']:.2f}",
                 "yes" if rows["runs"].all() else "no")
            )  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{t:<{w}}" if i < 2 else f"{t:>{w}}" for i, (t, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )
