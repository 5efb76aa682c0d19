"""`archive`: a cycle's network as one zip file that works without nasviz."""

import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasviz.cycles.checks import check_trained, trained
from nasviz.cycles.cycle import PERFORMANCE, Cycle
from nasviz.cycles.run import Run
from nasviz.cycles.training import Report, silent
from nasviz.resources import extra, write_atomically

if TYPE_CHECKING:
    from torch import nn

    from nasviz.graph.graph import ComputeGraph

LOADER = Path(__file__).with_name("archive_load.py.txt")
BATCH = 2  # of the stored example; not the one that the graph was traced on, to show that any will do
SECONDS = 300.0  # until a check counts as hung

CONTENTS = {
    "README.md": "this card",
    "model.onnx": "the network with its weights, for any batch size",
    "weights.safetensors": "the weights by their names",
    "graph.arrow": "the computation graph, as nasviz stores it",
    "load.py": "loads them; `python load.py` compares model.onnx with example.npz",
    "example.npz": "an input, and the output that PyTorch gives for it",
    "metrics.csv": "what was measured on the network",
    "layers.csv": "what was measured on its layers",
}


def archive(
    run: Run,
    cycle: int,
    *,
    path: str | Path | None = None,
    module: "nn.Module | None" = None,
    scratch: Path | None = None,
    report: Report = silent,
) -> Path:
    """Write a cycle's network to a zip file: ONNX, safetensors, a script that loads them, metrics, layers, a card.

    Before the file is there, it was unpacked, and a fresh Python process has run its ONNX model with onnxruntime and
    found the outputs of PyTorch.

    Parameters
    ----------
    run : Run
        It is only read.
    cycle : int
        Which cycle; it has weights.
    path : str or Path, optional
        A file that ends with .zip, or a folder; the current one by default.
    module : nn.Module, optional
        The network, where it cannot be built from the cycle's graph; it gets the cycle's weights.
    scratch : Path, optional
        Where to unpack it for the check; a temporary folder by default.
    report : callable
        Told the progress.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    KeyError
        If there is no such cycle.
    FileNotFoundError, ValueError
        If the cycle has no weights, or its network cannot be built or written as ONNX.
    ImportError
        If onnxruntime is missing.
    RuntimeError
        If the check fails; there is no file then.
    """
    found = check_archive(run, cycle)
    place = Path.cwd() if path is None else Path(path)
    if place.suffix.lower() != ".zip":
        place = place / f"{_plain(run.name)}-cycle-{cycle}.zip"
    with TemporaryDirectory(dir=scratch, prefix="archive-") as folder:
        content = Path(folder, "content")
        content.mkdir()
        report(0.1, "building the network")
        network, graph = trained(found, module), found.graph()
        report(0.2, "writing ONNX")
        _fill(content, run, found, network, graph)
        packed = Path(folder, "packed.zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for each in sorted(path for path in content.rglob("*") if path.is_file()):
                file.write(each, each.relative_to(content))
        report(0.6, "checking with onnxruntime")
        _check(packed, Path(folder, "unpacked"))
        report(0.99, "writing")
        return write_atomically(place, lambda beside: beside.write_bytes(packed.read_bytes()))


def check_archive(run: Run, cycle: int, **_: Any) -> Cycle:
    """Refuse an archive that cannot be made; it raises what `archive` does."""
    found = check_trained(run, cycle)
    extra("onnxruntime", "archive")
    return found


def _fill(folder: Path, run: Run, cycle: Cycle, module: "nn.Module", graph: "ComputeGraph") -> None:
    """Put everything into a folder."""
    from nasviz.cycles.write import write_weights
    from nasviz.graph.store import write_graphs

    example = write_onnx(module, graph, folder / "model.onnx")
    np.savez(folder / "example.npz", **example)
    write_weights(folder / "weights.safetensors", module)
    write_graphs(folder / "graph.arrow", [graph])
    (folder / "load.py").write_text(LOADER.read_text(encoding="utf-8"), encoding="utf-8")
    rows = [(name, value, cycle.units[name]) for name, value in cycle.metrics.items()]
    metrics = pd.DataFrame(rows, columns=["metric", "value", "unit"]).astype({"value": float})
    metrics.to_csv(folder / "metrics.csv", index=False)
    cycle.layers().to_csv(folder / "layers.csv", index=False)
    for name, path in cycle.artifacts.items():
        (folder / "artifacts").mkdir(exist_ok=True)
        (folder / "artifacts" / f"{name}{path.suffix}").write_bytes(path.read_bytes())
    (folder / "README.md").write_text(card(run, cycle, example), encoding="utf-8")


def write_onnx(module: "nn.Module", graph: "ComputeGraph", path: Path) -> dict[str, np.ndarray]:
    """Write a module as ONNX; an example input and its output, by the names that the file gives them.

    Raises
    ------
    ValueError
        If an operator cannot be written.
    """
    import torch

    from nasviz.graph.ops import Op

    shapes = [node.out_shape for node in graph.nodes if node.op is Op.INPUT]
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.randn((BATCH, *shape[1:]), generator=generator) for shape in shapes)
    with torch.no_grad():
        outputs = module.eval()(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    names = [_names("input", len(inputs)), _names("output", len(outputs))]
    try:
        with warnings.catch_warnings():
            # The exporter by torch.export needs one package more, and traces what a graph's module has traced already.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, inputs, path, dynamo=False, input_names=names[0], output_names=names[1],
                dynamic_axes={name: {0: "batch"} for name in sum(names, [])},
            )  # fmt: skip
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"the network cannot be written as ONNX: {reason}") from error
    return dict(zip(sum(names, []), [each.numpy() for each in (*inputs, *outputs)], strict=True))


def card(run: Run, cycle: Cycle, example: Mapping[str, np.ndarray]) -> str:
    """What the network is, in Markdown."""
    shapes = [f"- {name}: float32, N×{'×'.join(map(str, value.shape[1:]))}" for name, value in example.items()]
    numbers = [
        f"| {name} | {'–' if value is None else f'{value:.6g}'} | {cycle.units[name]} |"
        for name, value in cycle.metrics.items()
        if name != PERFORMANCE
    ]
    made = ", ".join(f"{key} {value}" for key, value in cycle.source.items() if not isinstance(value, Mapping))
    facts = [
        f"Cycle {cycle.index} of the run “{run.name}”, made {cycle.created}.",
        cycle.note,
        f"The run's task: {run.task}" if run.task else "",
        f"Its primary metric is {run.primary}; {'more' if run.higher_is_better else 'less'} is better.",
        f"Parent: cycle {cycle.parent}." if cycle.parent is not None else "",
        f"Source: {made}." if made else "",
    ]
    details = [f"{key}: {', '.join(f'{k} {v}' for k, v in value.items())}." for key, value in cycle.source.items()
               if isinstance(value, Mapping)]  # fmt: skip
    files_ = [f"| {name} | {text} |" for name, text in CONTENTS.items()]
    return "\n".join(
        [
            f"# {cycle.name}\n",
            *(f"{fact}\n" for fact in [*facts, *details] if fact),
            "## Inputs and outputs\n",
            *shapes,
            "\n## Metrics\n",
            "| metric | value | unit |\n|---|---|---|",
            *numbers,
            "\n## Files\n",
            "| file | what it is |\n|---|---|",
            *files_,
            "",
        ]
    )


def _check(packed: Path, folder: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        file.extractall(folder)
    command = [sys.executable, "load.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())[-300:]
        raise RuntimeError(f"the archive was made, but its model.onnx does not run as it should: {said}")


def _names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{i + 1}" for i in range(count)]


def _plain(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"\W+", "-", name).strip("-").lower() or "run"
