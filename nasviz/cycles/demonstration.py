"""The demonstration run: a small generator of networks at work, each network really trained on digits.

The generator climbs: a new network is the best one so far with one edge of its cell changed. What is best, NetScore+
says. Once the networks are made, the best one is trained on.
"""

from pathlib import Path

import numpy as np

from nasviz.cycles import files
from nasviz.cycles.generate import fine_tune, train_cycle
from nasviz.cycles.run import Run
from nasviz.cycles.training import FROM_SCRATCH, Report, Training, silent
from nasviz.resources import data_folder

FAMILY, SCALE, TASK = "nb201", "digits", "digits"
NETWORKS = 10
"""Networks that are generated; the fine-tuned one comes on top."""
FIRST = ("nor_conv_3x3",) * 6
"""Where it starts: a 3×3 convolution on every edge."""
Cell = tuple[str, ...]
"""The operation on each edge; see `nasviz.families.nb201`."""
WORDS = {
    "none": "nothing",
    "skip_connect": "skip",
    "nor_conv_1x1": "conv 1×1",
    "nor_conv_3x3": "conv 3×3",
    "avg_pool_3x3": "avg pool",
}


def demo() -> Path:
    """The folder of the demonstration run that nasviz brings along: ``Run.open(nasviz.cycles.demo())``."""
    return data_folder() / "digits_run"


def demonstrate(
    folder: str | Path, networks: int = NETWORKS, training: Training = FROM_SCRATCH, *, report: Report = silent
) -> Run:
    """Generate and train the demonstration run; stopped, it goes on with the next cycle.

    Parameters
    ----------
    folder : str or Path
        Of the run; made if it is missing. What it holds already stays.
    networks : int
        How many are generated, the first one included; then the best of them is fine-tuned.
    training : Training
        How each is trained.
    report : callable
        Told the progress.

    Returns
    -------
    Run
        Complete, open for writing.

    Raises
    ------
    ValueError
        If `networks` is no positive whole number, or a file of the run is damaged.
    """
    from nasviz.families import get
    from nasviz.families.nb201 import EDGES

    if isinstance(networks, bool) or not isinstance(networks, int) or networks < 1:
        raise ValueError(f"networks={networks!r}: it is a whole number from 1 on.")
    family, folder = get(FAMILY), Path(folder)
    if (folder / files.RUN).is_file():
        run = Run.open(folder, writable=True)
    else:
        task = f"Handwritten digits, 8×8 pixels, shifted and noisy. Each network: {training}."
        run = Run.create(folder, name="Cells for digits", task=task)
    for index in range(len(run), networks):
        share = _part(report, index, networks + 1)
        if index == 0:
            parent, arch, name, note = None, FIRST, "six convolutions", "The initial network."
        else:
            parent = _best(run)
            before = family.parse(run.cycle(parent).source["arch"])
            seen = {cycle.source["arch"] for cycle in run.cycles}
            arch, edge = _neighbour(before, {family.parse(text) for text in seen}, index)
            source, target = EDGES[edge]
            name = f"{source}→{target} {WORDS[arch[edge]]}"
            note = f"Cycle {parent}, with {WORDS[arch[edge]]} for {WORDS[before[edge]]} on the edge {source}→{target}."
        network = {"family": FAMILY, "arch": family.format(arch), "scale": SCALE}
        train_cycle(run, network, TASK, training, name=name, parent=parent, note=note, report=share)
    if len(run) == networks:
        fine_tune(run, _best(run), task=TASK, report=_part(report, networks, networks + 1))
    (folder / ".lock").unlink(missing_ok=True)  # it goes into a wheel, and is only read there
    return run


def _best(run: Run) -> int:
    """The cycle with the highest NetScore+, the earliest of equal ones."""
    scores = {cycle.index: cycle.metrics.get("netscore_plus") for cycle in run.cycles}
    return max(scores, key=lambda index: -np.inf if scores[index] is None else scores[index])


def _neighbour(arch: Cell, seen: set[Cell], seed: int) -> tuple[Cell, int]:
    """A cell that differs from `arch` on one edge and is not in `seen`, drawn with the seed; and which edge.

    The edge is on a way from the cell's input to its output, before or after: others change nothing.
    """
    from nasviz.families.nb201 import OPERATIONS

    found = []
    for edge, old in enumerate(arch):
        for operation in OPERATIONS:
            cell = (*arch[:edge], operation, *arch[edge + 1 :])
            used = _used(cell)
            if operation != old and cell not in seen and used and edge in used | _used(arch):
                found.append((cell, edge))
    if not found:
        raise ValueError(f"every neighbour of {arch} has been generated; ask for fewer networks.")
    return found[int(np.random.default_rng(seed).integers(len(found)))]


def _used(cell: Cell) -> set[int]:
    """The edges that are on a way from the cell's input, node 0, to its output, node 3."""
    from nasviz.families.nb201 import EDGES

    there = [edge for edge, operation in enumerate(cell) if operation != "none"]
    reached, needed = {0}, {3}
    for edge in there:  # in the order of their targets
        if EDGES[edge][0] in reached:
            reached.add(EDGES[edge][1])
    for edge in reversed(there):
        if EDGES[edge][1] in needed:
            needed.add(EDGES[edge][0])
    return {edge for edge in there if EDGES[edge][0] in reached and EDGES[edge][1] in needed}


def _part(report: Report, index: int, count: int) -> Report:
    return lambda done, text: report((index + done) / count, f"cycle {index}: {text}")
