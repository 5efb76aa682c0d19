"""The labelling pipeline: trains architectures for real and writes their accuracies down.

The task is scikit-learn's handwritten digits, made hard enough that architectures differ: few images, shifts and
noise. One recipe serves every family; the recipe is part of the result.
"""

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from nasviz.families import get


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
    module.to(memory_format=torch.channels_last).train()  # half the time of NCHW on a CPU
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


def train_one(family: str, arch: str, seed: int, recipe: Recipe) -> dict[str, Any]:
    """Build, initialise and train one architecture, given as text; a row of the result table."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    fam, start = get(family), time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = fam.build(fam.parse(arch), scale="digits")
    accuracy = train(module, recipe, seed)
    return {
        "family": family,
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
        File of one JSON object a line, appended as trainings end: stop at any time and call again to resume.
    seeds : sequence of int
        Training seeds.
    recipe : Recipe, optional
        The recipe; its default is that of the bundled benchmark.
    jobs : int
        Worker processes, as joblib counts them.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        family, arch, seed, accuracy (fraction), seconds: one row a training.

    Raises
    ------
    ValueError
        If `log` was written with another recipe.
    """
    recipe = recipe or Recipe()
    done = read_log(log, recipe)
    held = {(row["family"], row["arch"], row["seed"]) for row in done}
    wanted = [(family, arch, seed) for arch in dict.fromkeys(archs) for seed in seeds]
    missing = [key for key in wanted if key not in held]
    tasks = (joblib.delayed(train_one)(*key, recipe) for key in missing)
    results = joblib.Parallel(jobs, return_as="generator_unordered")(tasks)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.write(json.dumps({"recipe": asdict(recipe)}) + "\n")
        bar = tqdm(results, f"label {family}", len(wanted), initial=len(wanted) - len(missing), disable=not progress)
        for row in bar:
            file.write(json.dumps(row) + "\n")
            file.flush()
            done.append(row)
    table = pd.DataFrame(done, columns=["family", "arch", "seed", "accuracy", "seconds"])
    return table[[key in set(wanted) for key in zip(table.family, table.arch, table.seed, strict=True)]]


def read_log(log: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """Rows of a log; a last line that a crash cut short is dropped, from the file too.

    Raises
    ------
    ValueError
        If the log was written with another recipe.
    """
    if not log.exists() or log.stat().st_size == 0:
        return []
    text = log.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        log.write_text(text, encoding="utf-8")
    header, *lines = text.splitlines() or [""]
    if header and json.loads(header) != {"recipe": asdict(recipe)}:
        raise ValueError(f"{log} was written with another recipe ({header}); give a new file or that recipe.")
    return [json.loads(line) for line in lines]
