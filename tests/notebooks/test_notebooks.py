"""Every notebook is stored without outputs and runs top to bottom, in the Python that runs the tests."""

import os
import re
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


CHAPTERS = [path for path in NOTEBOOKS if path.parent == FOLDER]


def prose(path: Path) -> list[str]:
    """The cells that are read."""
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def faults(cells: list[nbformat.NotebookNode]) -> list[str]:
    """What a chapter lacks at its beginning and at its end."""
    first, last = (cell.source if cell.cell_type == "markdown" else "" for cell in (cells[0], cells[-1]))
    title, _, rest = first.partition("\n")
    questions = re.findall(r"^\d\. (.+)", last.partition("## Questions to you\n")[2], flags=re.MULTILINE)
    found = []
    if not title.startswith("# ") or "**What you will learn.** " not in rest:
        found.append("it does not begin with a title and what one will learn")
    if len(questions) < 3 or sum("?" in question for question in questions) < 3:
        found.append("it does not end with three questions")
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_says_what_it_teaches_and_ends_with_questions(path):
    assert faults(nbformat.read(path, as_version=4).cells) == []


def test_a_chapter_without_questions_is_found():
    head, end = "# 1 · X\n\n**What you will learn.** All.", "## Questions to you\n\n1. Why?\n2. How?\n3. What?"
    good = [nbformat.v4.new_markdown_cell(text) for text in (head, end)]
    assert faults(good) == []
    assert len(faults(good[::-1])) == 2
    assert len(faults([nbformat.v4.new_code_cell(head), *good[:1]])) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", "\n".join(prose(path)))
    assert [link for link in links if not (path.parent / link).is_file()] == []


def test_the_chapters_are_there_and_the_start_lists_each():
    numbers = [int(path.stem[:2]) for path in CHAPTERS]
    assert numbers == list(range(10))
    start = "\n".join(prose(CHAPTERS[0]))
    listed = set(re.findall(r"\]\(([^)#]+\.ipynb)\)", start))
    assert listed == {path.relative_to(FOLDER).as_posix() for path in NOTEBOOKS[1:]}


def test_the_start_leads_each_reader_to_their_page():
    (table,) = re.findall(r"## Who are you\?\n\n((?:\|.*\n)+)", "\n".join(prose(CHAPTERS[0])))
    pages = {who: re.findall(r"\]\(([^)]+)\)", row)
             for row in table.splitlines() for who in re.findall(r"\*\*(\w+)\*\*", row)}  # fmt: skip
    assert list(pages) == ["researcher", "stakeholder", "teacher"]
    assert "08_your_model.ipynb" in pages["researcher"]
    assert {"dashboards/cycles.ipynb", "dashboards/ranking.ipynb"} <= set(pages["stakeholder"])
    assert {"07_flops_and_separable_convolutions.ipynb", "dashboards/lesson.ipynb"} <= set(pages["teacher"])


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
