"""The command line: it parses arguments and calls the package, nothing else."""

import json
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from nasviz import __version__
from nasviz.cli_dashboard import dashboard
from nasviz.cli_search import search

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    json = "json"
    csv = "csv"


class Printed(StrEnum):
    """How the costs of a network are printed."""

    table = "table"
    json = "json"
    csv = "csv"
    html = "html"


class Preset(StrEnum):
    """How much work a table of the paper may be."""

    quick = "quick"
    full = "full"


def fail(message: str) -> NoReturn:
    """Say in one sentence what is wrong with the input, and end with exit code 2."""
    typer.echo(f"nasviz: {message}", err=True)
    raise typer.Exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """See, predict and understand neural architectures."""


@app.command()
def cost(
    model: Annotated[
        str, typer.Argument(metavar="MODULE:CALLABLE | FILE.onnx", help="What makes the network, as in mynet:Net.")
    ],
    input: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]C,H,W", help="Shape of an input, without the batch; ids:128 for whole numbers."),
    ] = None,
    format: Annotated[Printed, typer.Option(help="How to print the table.")] = Printed.table,
    convention: Annotated[str, typer.Option(help="How FLOPs are counted.")] = "standard",
) -> None:
    """Count MACs, FLOPs, parameters and bytes of a network, operator by operator.

    The callable may return the network, or the network and an example of its input. A file needs --input only for the
    sizes that it leaves open, by input (image=3,224,224) or by axis (height=224).
    """
    from nasviz.graph.cost import cost as count
    from nasviz.graph.cost_report import report
    from nasviz.graph.example import example, sizes

    words = input or []
    if model.lower().endswith(".onnx"):
        from nasviz.graph.onnx import from_onnx

        graph = _call(from_onnx, model, _call(sizes, words))
    else:
        given = _call(example, words) if words else None
        graph = _traced(model, _load_callable(model), given, " ".join(words))
    typer.echo(report(_call(count, graph, convention), format.value, model))


def _traced(model: str, make: Callable[[], Any], given: Any, words: str) -> Any:
    from nasviz.graph.trace import trace

    try:
        net = make()
        if isinstance(net, tuple) and len(net) == 2:
            net, given = net[0], net[1] if given is None else given
        if given is None:
            fail(f"{model} needs an example: give --input, as in --input 3,224,224, or return (network, example).")
        return trace(net, given)
    except Exception as error:
        if isinstance(error, typer.Exit):
            raise
        fail(f"{model}{f' with input {words}' if words else ''}: {_sentence(error)}")


app.command()(search)
app.command()(dashboard)


@app.command()
def label(
    families: Annotated[str, typer.Option(help="Names of families, between commas.")] = "nb101,nb201",
    count: Annotated[int, typer.Option(min=1, help="Architectures to draw from each family.")] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each architecture.")] = 3,
    log: Annotated[Path, typer.Option(help="Where trainings are written down as they end.")] = Path("labels.jsonl"),
    out: Annotated[Path, typer.Option(help="Folder of the finished benchmark.")] = Path("data"),
    jobs: Annotated[int, typer.Option(help="Processes; -1 is one a core.")] = -1,
) -> None:
    """Train architectures for real and write the benchmark with its card; stopped, it goes on from its log.

    Without a log it goes on from the benchmark that the folder holds.
    """
    from nasviz.benchmarks.bundle import bundle, unbundle
    from nasviz.benchmarks.label import label as train
    from nasviz.benchmarks.tables import read_digits
    from nasviz.families import get
    from nasviz.views.benchmark_picture import benchmark_figure

    chosen = [_call(get, name.strip()) for name in families.split(",")]
    if not log.exists() and (out / "digits.json").exists():
        _call(unbundle, out, log)
    for family in chosen:
        archs = map(family.format, _call(family.sample, count, 0))
        _call(train, family.name, archs, log, seeds=range(seeds), jobs=jobs)
    path = _call(bundle, log, out, picture="digits.svg")
    benchmark_figure(read_digits(path)).savefig(path.with_suffix(".svg"), metadata={"Date": None})
    typer.echo(path)


@app.command()
def evaluate(
    table: Annotated[int, typer.Option(help="A table of the paper: 1, 3, 4, 5, 6, 8, 9 or 10.")] = 5,
    preset: Annotated[Preset, typer.Option(help="Minutes, or the whole protocol.")] = Preset.quick,
    train: Annotated[
        str | None,
        typer.Option(help="What to pretrain on: nb101, or digits:nb101. [default: each of the two with labels]"),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="What to rank; may be repeated. [default: all with labels]")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="Label file of a benchmark, or of a family.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of all that is trained. [default: 5]")] = None,
    draws: Annotated[int | None, typer.Option(min=0, help="Draws of fine-tuning labels. [default: 10]")] = None,
    budget: Annotated[int, typer.Option(min=2, help="Labels in a draw.")] = 50,
    method: Annotated[list[str] | None, typer.Option(help="Only this row; may be repeated.")] = None,
    networks: Annotated[int | None, typer.Option(min=2, help="Networks that proxies are computed of.")] = None,
    out: Annotated[Path, typer.Option(help="CSV file for the results, one row a measurement.")] = Path("results.csv"),
    checkpoint: Annotated[Path | None, typer.Option(help="Folder to resume an interrupted run from.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes; -1 is one a core.")] = -1,
) -> None:
    """Pretrain on one benchmark, rank others zero-shot and fine-tuned, and print a table of the GENNAPE paper."""
    from nasviz.predict.tables import budget_of, evaluate_table, report, worlds
    from nasviz.resources import write_atomically

    files = dict(_pair(text, "--labels nb101=labels.csv") for text in labels or [])
    where = worlds(lambda name: _benchmark(name, files), train, target, list(files))
    allowed = budget_of(preset, seeds=seeds, draws=draws, labels=budget, proxy_networks=networks)
    results = _call(evaluate_table, table, where, allowed, methods=method, folder=checkpoint, jobs=jobs)
    write_atomically(out, lambda path: results.to_csv(path, index=False))
    typer.echo(report(table, results, where, allowed))


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option(help="Folder of the model, with its card.")],
    train: Annotated[str, typer.Option(help="What to train on: nb101, or digits:nb101.")] = "digits:nb101",
    target: Annotated[list[str] | None, typer.Option(help="What to measure it on, too; may be repeated.")] = None,
    labels: Annotated[list[str] | None, typer.Option(metavar="NAME=FILE", help="Label file of a benchmark.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all weights and orders.")] = 0,
    draws: Annotated[int, typer.Option(min=1, help="Draws of 50 fine-tuning labels.")] = 10,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. [default: a GPU where there is one]")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Folder to resume an interrupted training from.")] = None,
) -> None:
    """Train the project's own predictor and write it with a card of what it was measured at."""
    from nasviz.predict.model_card import write
    from nasviz.predict.nasviz import Nasviz

    files = dict(_pair(text, "--labels nb101=labels.csv") for text in labels or [])
    home, *others = (_benchmark(name, files) for name in [train, *(target or [])])
    model = _call(Nasviz.pretrain, home, seed=seed, device=device, checkpoint=checkpoint)
    told = [f"--train {train}", *(f"--target {name}" for name in target or [])]
    told += [f"--labels {name}={Path(file).name}" for name, file in files.items()]
    command = " ".join(["nasviz pretrain", *told, f"--seed {seed} --out {out.name}"])
    typer.echo(_call(write, model, out, home, others, draws=draws, command=command))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    networks: Annotated[int, typer.Option(min=1, help="How many are generated.")] = 10,
) -> None:
    """Generate and train the demonstration run on digits; stopped, it goes on with the next cycle."""
    from tqdm.auto import tqdm

    from nasviz.cycles import demonstrate

    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {postfix}") as bar:

        def report(fraction: float, text: str) -> None:
            bar.update(100 * fraction - bar.n)
            bar.set_postfix_str(text)

        typer.echo(_call(demonstrate, out, networks, report=report))


@app.command()
def rankings(
    out: Annotated[Path, typer.Option(help="Parquet file that the ranking dashboard reads.")],
    model: Annotated[str, typer.Option(help="Weights that the project ships.")] = "nb101",
) -> None:
    """Rank each family of the bundled benchmark by a pretrained model, before and after it saw 50 labels of it."""
    from nasviz.benchmarks import load
    from nasviz.predict.protocol import rankings as rank
    from nasviz.predict.shipped import pretrained
    from nasviz.resources import write_atomically

    table = rank(load("digits"), _call(pretrained, model))
    write_atomically(out, lambda path: table.to_parquet(path, index=False))


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what is here and what is missing; exit code 1 if something that is needed is wrong."""
    from nasviz.doctor import WRONG, examine, report, to_json

    found = examine()
    typer.echo(to_json(found) if json else report(found))
    raise typer.Exit(any(one.state == WRONG for one in found))


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="Folder of the pages.")] = Path("site"),
    room: Annotated[list[str] | None, typer.Option(help="Only this one, as nasviz.views; may be repeated.")] = None,
) -> None:
    """Make pages of the package's docstrings; prints which to open first."""
    from nasviz.apidocs import build_docs

    typer.echo(_call(build_docs, out, room or []))


data = typer.Typer(no_args_is_help=True, help="Published benchmarks: what there is, download, convert.")
app.add_typer(data, name="data")


@data.command("list")
def data_list(
    to: Annotated[Path | None, typer.Option(help="Where to look for them. [default: the cache folder]")] = None,
    format: Annotated[Format, typer.Option(help="How to print the table.")] = Format.table,
) -> None:
    """List the published files: size, licence, which are here, and by which name they are read."""
    from nasviz.benchmarks.fetch import available

    table = available(to)
    match format:
        case Format.json:
            typer.echo(table.to_json(orient="records", indent=2))
        case Format.csv:
            typer.echo(table.to_csv(index=False), nl=False)
        case Format.table:
            sizes = [f"{size / 1e6:,.0f} MB" if size else None for size in table["size"].fillna(0)]
            table = table.assign(size=sizes, sha256=table["sha256"].str[:8]).drop(columns=["file", "page"])
            typer.echo(table.fillna("unknown").to_string(index=False))


@data.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="As in the list.")],
    to: Annotated[Path | None, typer.Option(help="Folder to put it into. [default: the cache folder]")] = None,
) -> None:
    """Download a published file and check it; stopped, it goes on where it was. Prints where the file is."""
    from nasviz.benchmarks.fetch import fetch

    typer.echo(_call(fetch, name, to))


@data.command("convert")
def data_convert(
    name: Annotated[str, typer.Argument(help="Which benchmark the file holds: the column load of the list.")],
    path: Annotated[Path, typer.Argument(help="The file, or folder, as it was published.")],
    out: Annotated[Path, typer.Option(help="The file to write; its name ends with .arrow.")],
    option: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="What its reader takes.")] = None,
    graphs: Annotated[bool, typer.Option(help="Put the computation graphs in, too.")] = True,
) -> None:
    """Convert a published file to one that opens at once, by the same name."""
    from nasviz.benchmarks import load, save

    options = {key: _value(text) for key, text in (_pair(text, "--option metric=test") for text in option or [])}
    typer.echo(_call(save, _call(load, name, path, **options), out, graphs=graphs, progress=True))


def _value(text: str) -> Any:
    """108 and false as what they are, everything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _pair(text: str, example: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        fail(f"{example.split()[0]} {text!r} must read NAME=VALUE, as in {example}.")
    return name, value


def _benchmark(text: str, files: dict[str, str]) -> Any:
    """The benchmark called `text`; of NAS-Bench-201, as in the paper, the cells without `none`."""
    from nasviz.benchmarks import datasets, load

    name, _, family = text.partition(":")
    if name not in datasets() and name in files:  # a family out of GENNAPE's files
        return _call(_call(load, "gennape", files[name]).of, name)
    bench = _call(load, name, files.get(name))
    if name == "nb201":
        bench = bench.subset(~bench.table.arch.str.contains("none~"))
    return _call(bench.of, family) if family else bench


def _load_callable(text: str) -> Callable[[], Any]:
    module_name, _, attribute = text.partition(":")
    if not module_name or not attribute:
        fail(f"{text!r} does not name a network; write MODULE:CALLABLE, as in mynet:Net.")
    sys.path.insert(0, os.getcwd())
    try:
        module = import_module(module_name)
    except Exception as error:  # noqa: BLE001 - importing runs the user's code
        fail(f"cannot import {module_name!r} from here: {_sentence(error)}")
    make = getattr(module, attribute, None)
    if not callable(make):
        fail(f"{module_name!r} has no callable {attribute!r}; name a class or function that makes the network.")
    return make


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call the package, and turn its own sentences about bad input into the command's."""
    try:
        return function(*arguments, **options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        fail(_sentence(error))


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    speaks_for_itself = text and isinstance(error, ValueError | TypeError | OSError | ImportError)
    return text if speaks_for_itself else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    app()
