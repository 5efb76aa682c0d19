"""NAS-Bench-201 with the labels of its official files, or of NATS-Bench's topology space, which are the same cells."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pandas as pd

from nasviz.benchmarks import nats_trials
from nasviz.benchmarks.benchmark import Benchmark
from nasviz.benchmarks.nats_trials import BUDGETS, read_trials, trial_files
from nasviz.benchmarks.tables import NB201_CARD, from_table
from nasviz.resources import cache_folder, write_atomically

SCALES = {"cifar10": "paper", "cifar100": "cifar100", "ImageNet16-120": "imagenet16"}
"""The scale of the family nb201 that was trained on a data set."""
SETS = {
    ("cifar10", "valid"): ("cifar10-valid", "x-valid"),
    ("cifar10", "test"): ("cifar10", "ori-test"),
    **{(name, split): (name, f"x-{split}") for name in ("cifar100", "ImageNet16-120") for split in ("valid", "test")},
}
"""The training set and the images that the official name of an accuracy means, as in the authors' package."""
SURE_SEED = 888


def read_nats(
    path: str | Path,
    *,
    dataset: str = "cifar10",
    split: str = "test",
    epochs: int = 200,
    none: bool = True,
    progress: bool = True,
) -> Benchmark:
    """NAS-Bench-201 from an official file or folder.

    The trials are extracted once, on all cores (all cells take one of them five minutes), and kept in
    `nasviz.resources.cache_folder()`. The layouts of one file need several times its size as memory.

    Parameters
    ----------
    path : str or Path
        The folder ``NATS-tss-v1_0-3ffb9-simple``, of which a part will do; ``NATS-tss-v1_0-3ffb9.pickle.pbz2``; or
        ``NAS-Bench-201-v1_1-096897.pth``.
    dataset : {"cifar10", "cifar100", "ImageNet16-120"}
        Data set.
    split : {"test", "valid"}
        Which images. The CIFAR-10 networks of "valid" were trained on half of the training images.
    epochs : {200, 12}
        How long the networks were trained.
    none : bool
        Whether to keep cells with the operation `none`; without them there are 4,096 of 15,625.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Benchmark
        One row a cell, in the official order. Columns: `accuracy`, the mean of the seeds after the last epoch;
        `accuracy_777` ..., one a seed, NaN where there was no training; `params`; `macs` of one image, called flop in
        the records; `index`, the official number. The scale is that of the data set.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If an option is unknown, or the content is damaged, something else, or lacks what the options ask for.
    """
    if (dataset, split) not in SETS:
        raise ValueError(
            f"dataset={dataset!r}, split={split!r}: the data sets are {', '.join(SCALES)}, the splits valid and test."
        )
    if epochs not in BUDGETS.values():
        raise ValueError(f"epochs={epochs!r}: NATS-Bench trained its cells for 200 and for 12 epochs.")
    trials = _cached_trials(path, progress)
    trained, images = SETS[dataset, split]
    chosen = trials[(trials.epochs == epochs) & (trials.dataset == trained) & (trials.images == images)]
    if not none:
        chosen = chosen[~chosen.arch.str.contains("none~")]
    if chosen.empty:
        there = set(trials[["dataset", "images", "epochs"]].drop_duplicates().itertuples(index=False, name=None))
        asked = [
            (*key, length) for key, official in SETS.items() for length in (200, 12) if (*official, length) in there
        ]
        ways = [f"dataset={name!r}, split={part!r}, epochs={length}" for name, part, length in asked]
        raise ValueError(
            f"path={str(path)!r} has no accuracy on {dataset} {split} ({trained} {images}) after {epochs} epochs; "
            f"ask for one that it has: {'; '.join(ways) or 'there is none'}."
        )
    card = NB201_CARD | {
        "source": f"{Path(path).name} of https://github.com/D-X-Y/NATS-Bench",
        "note": f"{dataset} {split} accuracy after {epochs} epochs, mean of the seeds",
    }
    return from_table(_table(chosen), "nb201", percent=False, scale=SCALES[dataset], name="nats", card=card)


def _table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a cell from one row a trial."""
    cell = ["index", "arch"]
    by_seed = trials.pivot(index=cell, columns="seed", values="accuracy") / 100
    table = by_seed.mean(axis=1).to_frame("accuracy").join(by_seed.add_prefix("accuracy_"))
    costs = trials.set_index([*cell, "seed"])[["params", "flop"]]
    mean = costs.groupby(level=cell).mean()
    # Where seeds disagree some records are wrong, and the authors' package takes this one (`fix_legacy_issue`).
    disagree = costs.round(5).groupby(level=cell).nunique() > 1
    sure = costs[costs.index.get_level_values("seed") == SURE_SEED].droplevel("seed").reindex(mean.index)
    millions = mean.mask(disagree & sure.notna(), sure)
    counts = (millions * 1e6).round().astype("int64").set_axis(["params", "macs"], axis=1)
    return table.join(counts).reset_index()


def _cached_trials(path: str | Path, progress: bool) -> pd.DataFrame:
    """`read_trials`, kept in a file that is named after the files that were read and the code that read them."""
    digest = hashlib.sha256(Path(nats_trials.__file__).read_bytes())
    for file in trial_files(path):
        facts = file.stat()
        digest.update(f"{file.resolve()} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    cache = cache_folder() / "nats" / f"{digest.hexdigest()}.parquet"
    with suppress(OSError, ValueError):  # not made yet, or damaged: it can be made again
        return pd.read_parquet(cache)
    trials = read_trials(path, progress)
    write_atomically(cache, lambda beside: trials.to_parquet(beside, index=False))
    return trials
