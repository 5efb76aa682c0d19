"""What the README promises: its example runs, its commands name what is there."""

import doctest
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def command(name: str) -> str:
    """The code block behind ``<!-- command: name -->``."""
    (block,) = code_blocks(README.partition(f"<!-- command: {name} -->\n")[2].partition("\n\n")[0] + "\n", "bash")
    return block


def failures(source: str) -> int:
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
    assert test.examples
    return doctest.DocTestRunner().run(test).failed


def test_the_example_runs():
    (example,) = code_blocks(README, "python")
    assert len(example.splitlines()) <= 12
    assert failures(example) == 0


def test_a_wrong_example_fails():
    assert failures(">>> 1 + 1\n3\n") == 1


def test_the_start_command_installs_and_opens_the_first_notebook():
    install, lab = command("start").split("&&")[1:]
    assert shlex.split(install) == [".venv/bin/pip", "install", "-e", "."]
    assert shlex.split(lab)[:2] == [".venv/bin/jupyter", "lab"]
    assert (ROOT / shlex.split(lab)[-1]).is_file()


def test_ci_runs_the_test_command():
    """`.ci/run` finds the command with awk; that must be the one that a reader sees."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (extract,) = re.findall(r"^command=\$\((awk .*)\)$", script, flags=re.MULTILINE)
    found = subprocess.run(["bash", "-c", extract], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found == command("test")
    assert shlex.split(found)[-4:] == ["&&", ".venv/bin/python", "-m", "pytest"]


def test_every_room_on_the_map_and_every_link_is_there():
    rooms = re.findall(r"^\| `([^`]+)` \|", README.partition("## Where things are")[2], flags=re.MULTILINE)
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert len(rooms) >= 8
    assert [path for path in [*rooms, *links] if not (ROOT / path).exists()] == []
