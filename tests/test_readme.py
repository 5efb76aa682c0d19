"""What the README promises: its example runs, its commands name what is there."""

import doctest
import re
import runpy
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from typer.core import TyperGroup as Group
from typer.main import get_command

from nasviz.cli import app

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


def test_the_examples_run():
    """One after the other, as a reader would type them."""
    examples = code_blocks(README, "python")
    assert len(examples) >= 3 and max(len(example.splitlines()) for example in examples) <= 25
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.chdir(folder)
        assert failures("\n".join(examples)) == 0


def test_a_wrong_example_fails():
    assert failures(">>> 1 + 1\n3\n") == 1


def test_the_start_command_installs_and_opens_the_first_notebook():
    install, lab = command("start").split("&&")[1:]
    assert shlex.split(install) == [".venv/bin/pip", "install", "-e", ".[archive,pruning]"]
    assert shlex.split(lab)[:2] == [".venv/bin/jupyter", "lab"]
    assert (ROOT / shlex.split(lab)[-1]).is_file()


def strangers(line: str) -> list[str]:
    """Words of a command `nasviz …` that its command line does not know: commands and options."""
    command, found = get_command(app), []
    for word in shlex.split(line, comments=True)[1:]:
        if word.startswith("--"):
            known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
            found += [word] if word.partition("=")[0] not in {*known, "--help"} else []
        elif isinstance(command, Group):
            found += [word] if word not in command.commands else []
            command = command.commands.get(word, command)
    return found


def test_every_command_is_known():
    inline = re.findall(r"`(?:\.venv/bin/)?(nasviz [a-z][^`]*)`", README)
    blocks = [
        line for block in code_blocks(README, "bash") for line in block.splitlines() if line.startswith("nasviz ")
    ]
    lines = [" ".join(line.split()) for line in [*inline, *blocks]]
    assert len(lines) > 15
    assert {line: strangers(line) for line in lines if strangers(line)} == {}
    assert strangers("nasviz dashbord") == ["dashbord"] and strangers("nasviz demo --outt x") == ["--outt"]


def test_every_picture_comes_from_the_script_and_is_shown():
    script = runpy.run_path(str(ROOT / "tests" / "browser" / "make_screenshots.py"))
    made = {f"notebooks/images/{name}.png" for name in script["PICTURES"]}
    stored = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks" / "images").iterdir()}
    assert set(re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", README)) == made == stored


def test_ci_runs_the_test_command():
    """`.ci/run` finds the command with awk; that must be the one that a reader sees."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (extract,) = re.findall(r"^command=\$\((awk .*)\)$", script, flags=re.MULTILINE)
    found = subprocess.run(["bash", "-c", extract], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found == command("test")
    assert shlex.split(found)[-8:-4] == ["&&", ".venv/bin/python", "-m", "pytest"]  # and then: on two cores


def test_every_room_on_the_map_and_every_link_is_there():
    rooms = re.findall(r"^\| `([^`]+)` \|", README.partition("## Where things are")[2], flags=re.MULTILINE)
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert len(rooms) >= 8
    assert [path for path in [*rooms, *links] if not (ROOT / path).exists()] == []
