"""Zero-cost proxies of many architectures: built one at a time, in processes, and kept as they are made."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from nasviz.benchmarks.label import Recipe, digits, disturb
from nasviz.families import get
from nasviz.graph.cost import total_flops
from nasviz.parallel import parallel
from nasviz.predict.checks import whole_number
from nasviz.predict.proxies import PROXIES, zero_cost_proxies
from nasviz.resources import write_atomically

if TYPE_CHECKING:
    from nasviz.benchmarks import Benchmark

PARCEL = 25
"""Architectures that a process scores before it writes them down."""


def batch_of(family: str, scale: str, size: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """One batch for the networks of a family at a scale: inputs and classes.

    For networks that take the digits' 8×8 images, training images as `nasviz label` disturbs them. For all others
    Gaussian noise and random classes, since no other images come with nasviz; bring your own for more.
    """
    whole_number("size", size, least=2)
    skeleton, generator = get(family).skeleton(scale), torch.Generator().manual_seed(seed)
    if scale == "digits":
        images, classes, *_ = digits(Recipe())
        rows = torch.randperm(len(images), generator=generator)[:size]
        return disturb(images[rows], Recipe(), generator), classes[rows]
    shape = skeleton.get("shape", (1, 3, 224, 224))[1:]
    inputs = torch.randn(size, *shape, generator=generator)
    return inputs, torch.randint(skeleton.get("classes", 10), (size,), generator=generator)


def proxy_table(
    bench: "Benchmark",
    names: Sequence[str] = PROXIES,
    *,
    batch: tuple[torch.Tensor, torch.Tensor] | None = None,
    size: int = 32,
    seed: int = 0,
    jobs: int = -1,
    folder: str | Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Zero-cost proxies of every network of a benchmark, newly initialised.

    Parameters
    ----------
    bench : Benchmark
        The networks; built from their text forms at the benchmark's scale.
    names : sequence of str
        Which of `PROXIES`.
    batch : tuple of Tensor, optional
        Images and classes for all. Default: `batch_of` each family, with `size` images.
    size : int
        Images in a batch.
    seed : int
        Of the weights, and of the default batch.
    jobs : int
        Processes, as joblib counts them, one thread each; inside ``joblib.parallel_config("dask")`` those of a Dask
        cluster, from all of which `folder` must then be reachable.
    folder : path, optional
        Where parcels of results are kept: an interrupted run goes on from there.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        A row a network in the benchmark's order, a column a proxy; see `zero_cost_proxies` for NaN and infinity.
    """
    names = list(names)
    from_graph = {
        "flops": lambda: [float(total_flops(graph)) for graph in bench.graphs()],
        "params": lambda: [float(graph.params) for graph in bench.graphs()],
    }
    measured = [name for name in names if name not in from_graph]
    table = pd.DataFrame(index=bench.table.index, columns=names, dtype=float)
    for name in set(names) - set(measured):
        table[name] = from_graph[name]()
    if not measured:
        return table
    parcels = [
        (family, rows[start : start + PARCEL])
        for family, rows in bench.table.groupby("family", sort=False).groups.items()
        for start in range(0, len(rows), PARCEL)
    ]
    archs = [bench.table.arch[rows].tolist() for _, rows in parcels]
    batches = {family: batch or batch_of(family, bench.scale, size, seed) for family, _ in parcels}
    tasks = (
        joblib.delayed(_parcel)(family, texts, bench.scale, batches[family], measured, seed, folder and Path(folder))
        for (family, _), texts in zip(parcels, archs, strict=True)
    )
    done = parallel(jobs, return_as="generator")(tasks)
    with tqdm(total=len(bench), desc=f"proxies of {bench.name}", disable=not progress) as bar:
        for (_, rows), values in zip(parcels, done, strict=True):
            table.loc[rows, measured] = values
            bar.update(len(rows))
    return table


def _parcel(family, archs, scale, batch, names, seed, folder: Path | None) -> np.ndarray:
    """Proxies of some architectures, (len(archs), len(names)); read from the folder where they are there."""
    path = folder and folder / f"proxies-{family}-{_digest(family, archs, scale, batch, names, seed)}.json"
    if path and path.is_file():
        return np.array(json.loads(path.read_text()), dtype=float)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_score(family, arch, scale, batch, names, seed) for arch in archs]
    finally:
        torch.set_num_threads(threads)
    if path:
        write_atomically(path, lambda free: free.write_text(json.dumps(rows)))
    return np.array(rows, dtype=float)


def _score(family: str, arch: str, scale: str, batch, names: Sequence[str], seed: int) -> list[float]:
    found = get(family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = found.build(found.parse(arch), scale)
    return list(zero_cost_proxies(module, *batch, names=names, seed=seed).values())


def _digest(family, archs, scale, batch, names, seed) -> str:
    digest = hashlib.sha256(json.dumps([family, archs, scale, list(names), seed]).encode())
    for tensor in batch:
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]
