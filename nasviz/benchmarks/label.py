"""The labelling pipeline: trains architectures for real and writes their accuracies down.

The task is scikit-learn's handwritten digits, made hard enough that architectures differ: few images, shifts and
noise. One recipe serves every family; the recipe is part of the result.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import joblib
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from nasviz.benchmarks.quick import quicken
from nasviz.families import Family, get
from nasviz.parallel import parallel

LOG_COLUMNS = ["family", "arch", "seed", "accuracy", "seconds"]


@dataclass(frozen=True)
class Recipe:
    """How every architecture is trained.

    SGD with Nesterov momentum and a cosine schedule to zero. Every image, test ones too, is shifted by up to `shift`
    pixels each way and given Gaussian noise of standard deviation `noise` (pixels lie in [0, 1]): training images
    anew each epoch, test images `test_draws` times, drawn once for all networks.

    Attributes
    ----------
    train_images : int
        Images to train on; the rest of the 1,797 are the test set. The split is fixed, stratified, seed 0.
    """

    train_images: int = 1200
    epochs: int = 12
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    noise: float = 0.35
    shift: int = 1
    test_draws: int = 8


@lru_cache(maxsize=2)
def digits(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training images, training classes, test images (already shifted and noisy) and test classes.

    Returns
    -------
    tuple of Tensor
        Shapes (N, 1, 8, 8), (N,), (draws · M, 1, 8, 8), (draws · M,); pixels in [0, 1] before the noise.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(data.target)
    train, test = train_test_split(
        np.arange(len(images)), train_size=recipe.train_images, stratify=data.target, random_state=0
    )
    repeated = images[test].repeat(recipe.test_draws, 1, 1, 1)
    noisy = disturb(repeated, recipe, torch.Generator().manual_seed(0))
    return images[train], classes[train], noisy, classes[test].repeat(recipe.test_draws)


def disturb(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Each image of (N, 1, 8, 8) shifted by up to `recipe.shift` pixels each way, with noise added."""
    count, _, height, width = images.shape
    padded = F.pad(images, [recipe.shift] * 4)
    offsets = torch.randint(0, 2 * recipe.shift + 1, (2, count, 1, 1), generator=generator)
    rows = offsets[0] + torch.arange(height)[:, None]
    columns = offsets[1] + torch.arange(width)
    shifted = padded[torch.arange(count)[:, None, None], 0, rows, columns][:, None]
    return shifted + recipe.noise * torch.randn(images.shape, generator=generator)


def train(module: nn.Module, recipe: Recipe, seed: int) -> float:
    """Train `module` in place by `recipe` and return its test accuracy, a fraction.

    Parameters
    ----------
    module : nn.Module
        Takes (N, 1, 8, 8) and gives ten logits.
    recipe : Recipe
        The recipe.
    seed : int
        Seed of the order of images, their shifts and their noise.
    """
    images, classes, test_images, test_classes = digits(recipe)
    generator = torch.Generator().manual_seed(seed)
    steps = math.ceil(len(images) / recipe.batch_size)
    optimiser = torch.optim.SGD(
        module.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs * steps)
    quicken(module).to(memory_format=torch.channels_last).train()  # half the time of NCHW on a CPU
    for _ in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator)
        epoch_images = disturb(images, recipe, generator)[order]
        for batch, target in zip(
            epoch_images.split(recipe.batch_size), classes[order].split(recipe.batch_size), strict=True
        ):
            optimiser.zero_grad()
            F.cross_entropy(module(batch), target).backward()
            optimiser.step()
            schedule.step()
    module.eval()
    with torch.inference_mode():
        predicted = torch.cat([module(batch).argmax(1) for batch in test_images.split(1024)])
    return (predicted == test_classes).double().mean().item()


def train_anew(make: Callable[[], nn.Module], recipe: Recipe, seed: int) -> float:
    """Make a module, its weights drawn by `seed`, and train it as every label is trained; its test accuracy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return train(make(), recipe, seed)
    finally:
        torch.set_num_threads(threads)  # this may be the caller's own process
        torch.set_flush_denormal(False)


def train_one(family: str | Family, arch: str, seed: int, recipe: Recipe) -> dict[str, Any]:
    """Build, initialise and train one architecture, given as text; a row of the result table.

    Another process knows no name that a user's own file registered here: there, give the family itself.
    """
    fam, start = get(family) if isinstance(family, str) else family, time.perf_counter()
    accuracy = train_anew(lambda: fam.build(fam.parse(arch), scale="digits"), recipe, seed)
    return {
        "family": fam.name,
        "arch": arch,
        "seed": seed,
        "accuracy": accuracy,
        "seconds": round(time.perf_counter() - start, 3),
    }


def label(
    family: str,
    archs: Iterable[str],
    log: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    recipe: Recipe | None = None,
    jobs: int = -1,
    progress: bool = True,
) -> pd.DataFrame:
    """Train every architecture with every seed; what `log` already holds is not trained again.

    Parameters
    ----------
    family : str
        Name of a family with the scale "digits".
    archs : iterable of str
        Architectures in the family's text form.
    log : Path
        File of one JSON object a line, appended as trainings end: stop at any time and call again to resume. One
        process at a time writes it.
    seeds : sequence of int
        Training seeds.
    recipe : Recipe, optional
        The recipe; its default is that of the bundled benchmark.
    jobs : int
        Worker processes, as joblib counts them; inside ``joblib.parallel_config("dask")`` those of a Dask cluster.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        family, arch, seed, accuracy (fraction), seconds: one row a training, in the order asked for.

    Raises
    ------
    ValueError
        If the family or its scale "digits" does not exist, an architecture is none of the family, or `log` was
        written with another recipe or holds something else. Nothing is trained then.
    """
    recipe, log, archs = recipe or Recipe(), Path(log), list(dict.fromkeys(archs))
    fam = get(family)
    fam.skeleton("digits")
    for arch in archs:
        fam.parse(arch)
    written, done = read_log(log)
    if written not in (None, recipe):
        raise ValueError(f"log={str(log)!r} has another recipe, {written}; give a new file or that recipe.")
    rows = {(row["family"], row["arch"], row["seed"]): row for row in done}
    wanted = [(family, arch, int(seed)) for arch in archs for seed in seeds]
    missing = [key for key in wanted if key not in rows]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+b") as file:
        _drop_cut_line(file)
        if written is None:
            _append(file, {"recipe": asdict(recipe)})
        results = parallel(jobs, return_as="generator_unordered")(
            joblib.delayed(train_one)(fam, arch, seed, recipe) for _, arch, seed in missing
        )
        bar = tqdm(results, f"label {family}", len(wanted), initial=len(wanted) - len(missing), disable=not progress)
        for row in bar:
            _append(file, row)
            rows[row["family"], row["arch"], row["seed"]] = row
    return pd.DataFrame([rows[key] for key in wanted], columns=LOG_COLUMNS)


def read_log(log: Path) -> tuple[Recipe | None, list[dict[str, Any]]]:
    """Recipe and rows of a log, which is left as it is; a last line that a crash cut short does not count.

    The recipe is None for a log that does not exist or has no first line yet.

    Raises
    ------
    ValueError
        If the file is no log; the sentence names the line.
    """
    log = Path(log)
    *lines, rest = log.read_bytes().split(b"\n") if log.exists() else [b""]
    if not lines and not b'{"recipe": '.startswith(rest[:11]):
        lines = [rest]  # a file that we never began: it is refused, not cut
    recipe, rows = None, []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if number == 1:
                recipe = Recipe(**entry["recipe"])
            else:
                rows.append({column: entry[column] for column in LOG_COLUMNS})
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"log={str(log)!r} is no log of label(): line {number} is {line[:80]!r}.") from error
    return recipe, rows


def _drop_cut_line(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def _append(file: BinaryIO, entry: dict[str, Any]) -> None:
    file.write(json.dumps(entry).encode() + b"\n")
    file.flush()
