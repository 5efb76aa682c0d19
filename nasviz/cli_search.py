"""`nasviz search`: it parses arguments and calls the package, nothing else."""

import os
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer


def search(
    start: Annotated[
        str | None,
        typer.Argument(
            metavar="FAMILY:ARCH | FAMILY:best | MODULE:CALLABLE",
            help="Network to start from; best is that of the bundled labels. Else the --cycle of the --run.",
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run that gets the cycles; made if missing.")] = None,
    cycle: Annotated[int, typer.Option(help="Cycle of the run to start from.")] = 0,
    goal: Annotated[str, typer.Option(help="balanced, performance or edge.")] = "balanced",
    macro: Annotated[bool, typer.Option("--macro/--micro", help="Whether topology may change, or only sizes.")] = True,
    predictor: Annotated[
        str | None, typer.Option(help="digits, shipped weights, or a saved model's folder. [default: digits]")
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Networks to score.")] = 3000,
    survivors: Annotated[int, typer.Option(min=1, help="Networks to train in each round.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each begins at what training confirmed.")] = 1,
    caution: Annotated[
        float | None, typer.Option(min=0, help="Standard errors taken off a prediction. [default: 0; of table 7, 1]")
    ] = None,
    fresh: Annotated[
        int | None, typer.Option(min=2, help="No run: compare start and found by so many trainings on the digits.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="With --fresh: trainings that confirm a network.")] = 4,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each training.")] = 12,
    flops: Annotated[float | None, typer.Option(help="Most FLOPs.")] = None,
    params: Annotated[float | None, typer.Option(help="Most parameters.")] = None,
    latency: Annotated[float | None, typer.Option(help="Most milliseconds on one thread.")] = None,
    task: Annotated[
        str, typer.Option(help="On what survivors are trained: digits, or PACKAGE.MODULE:TASK.")
    ] = "digits",
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    benchmark: Annotated[
        str | None, typer.Option(help="Compare methods on a table instead: nb201, nb101, digits:nb101.")
    ] = None,
    table7: Annotated[bool, typer.Option("--table7", help="Table 7 of the GENNAPE paper instead.")] = False,
    labels: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]FILE", help="Label file of the benchmark; for table 7, two.")
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Labels that each method may look at.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each method.")] = 20,
    out: Annotated[Path, typer.Option(help="CSV or Parquet file of a comparison.")] = Path("search.csv"),
) -> None:
    """Search for better networks from one on, and train the best; or compare search methods on a table of labels.

    Stopped, a search goes on with the same command, and ends with the same cycles. With --fresh, the start and what was
    found are trained many times with new seeds, to tell a gain from luck.
    """
    try:
        if benchmark is not None:
            _compare(benchmark, labels, predictor, queries, seeds, out)
            return
        if table7:
            _table7(
                dict(text.partition("=")[::2] for text in labels or []),
                predictor,
                budget,
                seeds,
                1.0 if caution is None else caution,
                out,
            )
            return
        if fresh is not None and start is not None:
            way = {"goal": goal, "rounds": rounds, "survivors": survivors, "repeats": repeats, "budget": budget}
            _confirm(
                start, predictor or "digits", out, fresh=fresh, seed=seed, caution=caution or 0.0, macro=macro, **way
            )
            return
        from dataclasses import replace

        from nasviz.cycles import Run
        from nasviz.cycles.search_plan import SIZES, TOPOLOGY, SearchPlan
        from nasviz.cycles.searching import search_cycles, search_job
        from nasviz.cycles.training import FROM_SCRATCH

        if run is None:
            raise ValueError("--run is missing: name the folder that gets the cycles, as in --run found.")
        plan = SearchPlan(
            predictor=predictor or "digits",
            goal=goal,
            explore=TOPOLOGY if macro else SIZES,
            budget=budget,
            survivors=survivors,
            rounds=rounds,
            caution=caution or 0.0,
            flops=flops,
            params=params,
            latency_ms=latency,
            seed=seed,
        )
        way = {"plan": plan, "task": task, "training": replace(FROM_SCRATCH, epochs=epochs), "report": _Bar()}
        if start is None:
            found = Run.open(run, writable=True)
            search_cycles(found, cycle, **way)
        else:
            found = search_job(None, None, folder=run, network=_network(start), **way)
        shown = found.metrics.pivot(index="cycle", columns="metric", values="value")
        wanted = dict.fromkeys(name for name in (found.primary, "flops", "parameters") if name in shown)
        typer.echo(shown[list(wanted)].to_string())
    except (ValueError, TypeError, OSError, KeyError, ImportError) as error:
        reason = error.args[0] if isinstance(error, KeyError) and error.args else error
        typer.echo(f"nasviz: {' '.join(str(reason).split())}", err=True)
        raise typer.Exit(2) from None


class _Bar:
    """A progress bar that a `Report` moves."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=100, bar_format="{l_bar}{bar}| {postfix}", file=sys.stderr)

    def __call__(self, fraction: float, message: str) -> None:
        self._bar.n = int(100 * fraction)
        self._bar.set_postfix_str(message)


def _network(text: str) -> Any:
    """What `search_job` takes: an architecture at the scale of digits, or the user's own module."""
    from nasviz.families import names

    name, _, rest = text.partition(":")
    if name in names():
        if rest == "best":
            from nasviz.benchmarks import load

            table = load("digits").of(name).table
            rest = table["arch"].iat[int(table["accuracy"].argmax())]
        return {"family": name, "arch": rest, "scale": "digits"}
    if not rest:
        raise ValueError(
            f"{text!r} names no network; write FAMILY:ARCH, with {', '.join(names())}, or MODULE:CALLABLE."
        )
    sys.path.insert(0, os.getcwd())
    return getattr(import_module(name), rest)()


def _write(table: Any, out: Path) -> None:
    from nasviz.resources import write_atomically

    write_atomically(out, partial(table.to_parquet if out.suffix == ".parquet" else table.to_csv, index=False))


def _compare(name: str, labels: list[str] | None, predictor: str | None, queries: int, seeds: int, out: Path) -> None:
    from nasviz.benchmarks import load
    from nasviz.search.benchmark import summary, trajectories
    from nasviz.search.predictors import predictor as named
    from nasviz.views.search_figure import trajectory_figure

    head, _, family = name.partition(":")
    bench = load(head, labels[0].rpartition("=")[2] if labels else None)
    bench = bench.of(family) if family else bench
    prior = named(predictor).score(bench.graphs(progress=True))["score"] if predictor else None
    table = trajectories(bench, prior=prior, queries=queries, seeds=seeds)
    _write(table, out)
    trajectory_figure(table, f"{bench.name}: median of {seeds} searches, with quartiles").savefig(
        out.with_suffix(".svg"), metadata={"Date": None}
    )
    typer.echo(f"Regret against the best of {len(bench):,} networks, in percentage points: median [quartiles]")
    typer.echo(summary(table).to_string())


def _confirm(start: str, predictor: str, out: Path, **way: Any) -> None:
    import torch

    from nasviz.families import get
    from nasviz.graph.trace import trace
    from nasviz.search.confirm import confirm, verdict
    from nasviz.search.predictors import predictor as named

    network = _network(start)
    if isinstance(network, dict):
        family = get(network["family"])
        graph = family.graph(family.parse(network["arch"]), "digits")
    else:
        graph = trace(network, torch.zeros(1, 1, 8, 8))
    table = confirm(graph, named(predictor), log=out.with_suffix(".jsonl"), report=_Bar(), **way)
    table.insert(0, "start", start)
    _write(table, out)
    typer.echo(verdict(table, by=["start"]).to_string(index=False))


def _table7(files: dict[str, str], name: str | None, budget: int, seeds: int, caution: float, out: Path) -> None:
    from nasviz.benchmarks import load
    from nasviz.search.predictors import predictor
    from nasviz.search.table7 import clfcmt, report, table7

    if unknown := set(files) - {"nb101", "nb201"} or {"nb101", "nb201"} - set(files):
        raise ValueError(f"--labels: table 7 needs nb101=FILE and nb201=FILE; see {', '.join(sorted(unknown))}.")
    benches = {family: load(family, file) for family, file in files.items()}
    models = {f"Nasviz ({name or 'nb101'})": predictor(name or "nb101")}
    models["CL+FCM+T"] = clfcmt(benches["nb101"], out.with_suffix(""))
    table = table7(benches, models, budget=budget, seeds=range(seeds), caution=caution)
    _write(table, out)
    typer.echo(report(table))
