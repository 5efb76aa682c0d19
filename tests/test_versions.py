"""Python 3.12 and 3.13, on which these tests do not run: syntax, standard library, types, a resolve that succeeds."""

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LATER = ["3.12", "3.13"]
EXTRAS = ["archive", "dask", "mlflow", "tensorboard", "openvino", "pruning"]
GONE = set(
    "asynchat asyncore distutils imp smtpd "  # 3.12
    "aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau "
    "telnetlib uu xdrlib".split()  # 3.13
)
"""Modules of the standard library of 3.11 that 3.12 and 3.13 do not have ("What's New", Removed)."""


def python(version: str) -> str | None:
    """An interpreter of that version, if there is one."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(pyenv[-1]) if pyenv else shutil.which(f"python{version}")  # pyenv's own python3.12 may only complain


COMPILE = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("error")  # an escape that later versions will refuse is a warning of 3.12
for path in Path(sys.argv[1]).rglob("*.py"):
    compile(path.read_bytes(), str(path), "exec")
"""


@pytest.mark.parametrize("version", LATER)
@pytest.mark.parametrize("folder", ["nasviz", "tests"])
def test_later_pythons_compile_every_file_without_a_warning(version, folder):
    if not (found := python(version)):
        pytest.skip(f"there is no Python {version} here")
    done = subprocess.run([found, "-c", COMPILE, ROOT / folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("folder", ["nasviz", "tests"])
def test_nothing_is_imported_that_later_pythons_lack(folder):
    assert sys.stdlib_module_names >= {"cgi", "distutils"} or sys.version_info >= (3, 12)
    for path in (ROOT / folder).rglob("*.py"):
        assert not imported(path) & GONE, path.name


def test_the_versions_are_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"  # no upper end: 3.12 and 3.13 are let in


@pytest.mark.slow
def test_types():
    """`pyrefly check`, by the settings in pyproject.toml."""
    pytest.importorskip("pyrefly", reason="needs pyrefly: pip install -e '.[test]'")
    command = [Path(sys.executable).with_name("pyrefly"), "check", "--python-interpreter-path", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("version", LATER)
def test_the_dependencies_resolve(version, tmp_path):
    """`pip install --dry-run --python-version 3.12 --only-binary=:all: --target x .`: wheels for all, at one go."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + [line for name in EXTRAS for line in extras[name]]
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
               "--python-version", version, "--only-binary=:all:", "--target", tmp_path / "t", "--report", report,
               *needed]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    names = {one["metadata"]["name"].lower() for one in json.loads(report.read_text())["install"]}
    assert {"torch", "numpy", "pyarrow", "voila", "openvino", "mlflow-skinny"} <= names
