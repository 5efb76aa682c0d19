"""Every notebook is stored without outputs and runs top to bottom, in the Python that runs the tests."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = [*sorted(FOLDER.glob("*.ipynb")), *sorted((FOLDER / "dashboards").glob("*.ipynb"))]
SECONDS = 600  # of one cell, before it counts as hung; a chapter takes less than 300 on two quiet cores


def leftovers(notebook: nbformat.NotebookNode) -> list[str]:
    """What executing left in a notebook that is to be stored clean."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.get("outputs"):
            found.append(f"cell {number} has outputs")
        if cell.get("execution_count") is not None:
            found.append(f"cell {number} has an execution count")
    if "widgets" in notebook.metadata:
        found.append("the metadata hold widget state")
    return found


def execute(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Run all cells in `folder`; the first error ends the run as a CellExecutionError."""
    # Without folders to look in, the manager knows only the running Python's own kernel, whatever a user installed.
    kernels = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(notebook, km=kernels, timeout=SECONDS, resources={"metadata": {"path": str(folder)}})
    # Figures as in JupyterLab, not with the tests' backend.
    return client.execute(env={name: value for name, value in os.environ.items() if name != "MPLBACKEND"})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert leftovers(notebook) == []
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    execute(nbformat.read(path, as_version=4), path.parent)


def test_the_chapters_are_there():
    chapters = {
        "00_start_here",
        "02_cycles_and_layers",
        "cycles",
        "03_train_encoder",
        "04_fuzzy_clusters",
        "05_zero_shot_and_fine_tune",
    }
    chapters |= {"07_flops_and_separable_convolutions", "08_your_model", "09_search", "lesson"}
    assert chapters | {"06_ranking_analysis", "ranking"} <= {path.stem for path in NOTEBOOKS}


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_execute_uses_this_python_and_the_folder(tmp_path):
    done = execute(notebook_of("import os, sys\nprint(sys.executable, os.getcwd())"), tmp_path)
    assert done.cells[0].outputs[0].text.split() == [sys.executable, str(tmp_path)]


def test_execute_fails_on_an_error(tmp_path):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(notebook_of("a = 1", "a / 0"), tmp_path)


def test_leftovers_are_found(tmp_path):
    fresh = notebook_of("1 + 1")
    assert leftovers(fresh) == []
    assert leftovers(execute(fresh, tmp_path)) == ["cell 0 has outputs", "cell 0 has an execution count"]
