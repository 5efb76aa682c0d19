"""The Voilà pages: what they show, and the command that serves them."""

import html
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nasviz.resources import data_folder, voila_folder

_logger = logging.getLogger(__name__)

# Voilà loads every extension of JupyterLab that it finds; the pages need these.
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]
ERROR = "The terminal of the dashboard shows the details."
# Columns of a ranking table that say what a network is, not how good a predictor thinks it is.
FACTS = ["family", "arch", "accuracy", "macs"]


def voila_command(notebook: str | Path, port: int = 8866, browser: bool = True) -> list[str]:
    """The command line that serves a notebook to this computer with the project's template, offline.

    Run it with the environment :func:`voila_environment`, in which Voilà finds the template. What follows ``-m voila``
    is what ``voila.app.Voila.launch_instance`` takes, too.

    Parameters
    ----------
    notebook : str or Path
        The page.
    port : int
        Where it answers, on 127.0.0.1 alone.
    browser : bool
        Whether to open it in the browser.
    """
    command = [sys.executable, "-m", "voila", str(notebook), "--template=nasviz", "--Voila.ip=127.0.0.1"]
    command += [f"--port={port}", *(f"--VoilaConfiguration.extension_allowlist={name}" for name in EXTENSIONS)]
    command += [f"--VoilaExecutor.cell_error_instruction={ERROR}"]
    return command if browser else [*command, "--no-browser"]


def voila_environment() -> dict[str, str]:
    """The environment of this process, in which Jupyter also looks for templates in the package."""
    paths = [str(voila_folder()), os.environ.get("JUPYTER_PATH", "")]
    return {**os.environ, "JUPYTER_PATH": os.pathsep.join(path for path in paths if path)}


def guarded(build: Callable):
    """The widget that `build` makes or, where it fails, a panel that says why, because Voilà shows no traceback."""
    try:
        return build()
    except Exception as error:
        import ipywidgets as widgets

        _logger.exception("this page could not be built")
        style = "border-left: 4px solid #d55e00; padding: 8px 12px; background: #d55e001f; line-height: 1.4"
        text = html.escape(f"This page cannot be shown. {type(error).__name__}: {error}")
        return widgets.HTML(f'<p class="nasviz-error nasviz-panel" role="alert" style="{style}">{text}</p>')


def ranking_dashboard(path: str | Path | None = None):
    """The page that ranks networks: precomputed scores of each variant beside what is true.

    Parameters
    ----------
    path : str or Path, optional
        A Parquet file with a row for each network and variant: ``family``, ``arch``, ``accuracy`` (fraction), ``macs``,
        ``variant``, ``score``, a column for each other way to rank and, if the score only orders, the accuracy that the
        variant predicts as ``predicted_accuracy``. Default: the file that the environment variable ``NASVIZ_RANKING``
        names, else the bundled one.

    Returns
    -------
    Ranking
        Open on the first family; each is ranked on its own.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it lacks a column, or its variants have no network in common.
    """
    from nasviz.views.ranking import Ranking

    path = Path(path or os.environ.get("NASVIZ_RANKING") or data_folder() / "digits_ranking.parquet")
    if not path.is_file():
        raise FileNotFoundError(f"there is no ranking at {path}; NASVIZ_RANKING must name a Parquet file, or be unset.")
    table, variants = split_variants(pd.read_parquet(path))
    return Ranking(variants, table["accuracy"], table=table, across_families=False)


def split_variants(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """From one row a network and variant to one table of networks and the scores of each variant in its order.

    Only networks that every variant scores are kept: those whose labels served to fine-tune one are judged in none.
    """
    missing = {"family", "arch", "accuracy", "variant", "score"} - set(frame.columns)
    if missing:
        raise ValueError(f"the ranking lacks {', '.join(sorted(missing))}; it has {', '.join(map(str, frame))}.")
    key = ["family", "arch"]
    frames = {
        str(name): rows.drop_duplicates(key).set_index(key) for name, rows in frame.groupby("variant", sort=False)
    }
    common = None
    for rows in frames.values():
        common = rows.index if common is None else common[common.isin(rows.index)]
    if common is None or common.empty:
        raise ValueError(f"the variants {', '.join(frames) or '(none)'} of the ranking have no network in common.")
    facts = [name for name in FACTS if name in frame and name not in key]
    table = next(iter(frames.values())).loc[common, facts].reset_index()
    variants = {}
    for name, rows in frames.items():
        numbers = rows.loc[common].select_dtypes("number").drop(columns=facts).dropna(axis=1)
        ways = [column for column in numbers if not re.fullmatch(r"x\d+", str(column))]  # x0, x1: places in a map
        variants[name] = numbers[ways].rename(columns={"predicted_accuracy": "accuracy"}).reset_index(drop=True)
    return table, variants
