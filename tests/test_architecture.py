"""The rules of the house, held by a test: who may import whom, and what the package never does."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nasviz"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# From the ground floor up. A room imports itself and what stands before it.
ROOMS = (
    "resources files parallel graph families benchmarks measure predict search "
    "cycles views doctor apidocs cli_dashboard cli_search cli"
).split()
MAY_USE_THE_FACE = {"cli", "apidocs"}  # `import nasviz as nv` reaches every room
LONGEST_FILE = 400

BANNED_CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "print": "is for programs; a package returns, raises or shows progress",
    "pickle.load": "runs what the file says; use a restricted unpickler",
    "pickle.loads": "runs what the data says; use a restricted unpickler",
    "pandas.read_pickle": "runs what the file says",
    "joblib.load": "runs what the file says",
    "numpy.random.seed": "changes everybody's random numbers",
    "random.seed": "changes everybody's random numbers",
}
BANNED_ARGUMENTS = {("allow_pickle", True), ("weights_only", False)}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str, str]]:
    """Line, the local name and the full dotted name of everything imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name.split(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name, f"{base}.{alias.name}"


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of `module` that point up the rooms, or around them."""
    room, found = room_of(module), []
    package = module if is_package else module.rpartition(".")[0]
    for line, _, name in imports(ast.parse(source), package):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if top != "nasviz" or not room or target.startswith("__"):
            continue
        if target in ROOMS:
            if ROOMS.index(target) > ROOMS.index(room):
                found.append(f"{module}:{line}: {room} may not import {target}, which stands above it")
        elif room not in MAY_USE_THE_FACE:
            found.append(f"{module}:{line}: imports through the package's face; name the room")
    return found


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def wrong_code(source: str, module: str = "nasviz.graph.x") -> list[str]:
    """Uses of what the package never does."""
    tree, found = ast.parse(source), []
    full = {local: name for _, local, name in imports(tree, module.rpartition(".")[0]) if local != name.split(".")[0]}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            found.append(f"{module}:{node.lineno}: import * hides where names come from")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{module}:{node.lineno}: a bare except swallows interrupts")
        elif isinstance(node, ast.Call):
            first, dot, rest = dotted(node.func).partition(".")
            name = full.get(first, first) + dot + rest
            if name in BANNED_CALLS:
                found.append(f"{module}:{node.lineno}: {name} {BANNED_CALLS[name]}")
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in BANNED_ARGUMENTS:
                    found.append(f"{module}:{node.lineno}: {keyword.arg}={keyword.value.value} trusts the file")
    return found


def wrong_face(source: str, module: str) -> list[str]:
    """Statements in a room's ``__init__.py`` that do more than re-export."""

    def allowed(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                return True
            case ast.FunctionDef(name="__getattr__" | "__dir__"):  # lazy re-export
                return True
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                return name.startswith("_")
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=[]):
                return all(map(allowed, body))
        return False

    return [
        f"{module}:{node.lineno}: a face re-exports, nothing more"
        for node in ast.parse(source).body
        if not allowed(node)
    ]


@cache  # it reads the metadata of everything that is installed
def package_owners() -> dict[str, list[str]]:
    return dict(packages_distributions())


def undeclared(source: str, declared: set[str]) -> list[str]:
    """Imported packages that are neither Python's own, nor ours, nor in `declared` (distribution names)."""
    owners = package_owners()
    found = []
    for line, _, name in imports(ast.parse(source), "nasviz.x"):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top == "nasviz":
            continue
        if not declared & {normal(owner) for owner in owners.get(top, [top])}:
            found.append(f"line {line}: {top} is not among pyproject.toml's dependencies")
    return found


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_the_package_keeps_the_rules(path):
    source, module = path.read_text(encoding="utf-8"), module_name(path)
    is_face = path.name == "__init__.py"
    assert room_of(module) in {"", *ROOMS}, f"{module}: no such room; the rooms are {', '.join(ROOMS)}"
    assert wrong_imports(source, module, is_face) == []
    assert wrong_code(source, module) == []
    if is_face and room_of(module):
        assert wrong_face(source, module) == []


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda p: p.stem)
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_import_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normal(re.split(r"[ <>=!~\[;]", line)[0]) for line in project["dependencies"]}
    for path in SOURCES:
        assert undeclared(path.read_text(encoding="utf-8"), declared) == [], module_name(path)


@pytest.mark.parametrize(
    ("source", "module", "is_package"),
    [
        ("from nasviz.views import Ranking", "nasviz.predict.fcm", False),
        ("import nasviz.views.ranking", "nasviz.predict.fcm", False),
        ("from nasviz import views", "nasviz.predict.fcm", False),
        ("from ..families import get", "nasviz.graph.cost", False),
        ("from ..families import get", "nasviz.graph", True),
        ("from .. import families", "nasviz.graph.cost", False),
        ("def f():\n    from nasviz.graph import ops", "nasviz.resources", False),
        ("from nasviz.cli import app", "nasviz.views.state", False),
        ("import nasviz as nv", "nasviz.views.state", False),
        ("from nasviz import trace", "nasviz.families.nb101", False),
    ],
)
def test_upward_imports_are_found(source, module, is_package):
    assert len(wrong_imports(source, module, is_package)) == 1


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from nasviz.graph.ops import Op", "nasviz.families.nb101"),
        ("from nasviz import __version__", "nasviz.benchmarks.label"),
        ("from .ops import Op\nfrom . import ops", "nasviz.graph.graph"),
        ("from nasviz.resources import data_folder", "nasviz.graph.store"),
        ("import nasviz as nv", "nasviz.cli"),
        ("import nasvizual, numpy", "nasviz.graph.ops"),
    ],
)
def test_downward_imports_pass(source, module):
    assert wrong_imports(source, module) == []


@pytest.mark.parametrize(
    "source",
    [
        "from math import *",
        "eval('1')",
        "exec('1')",
        "def f():\n    print('here')",
        "try:\n    f()\nexcept:\n    pass",
        "import pickle\npickle.load(file)",
        "import pickle as p\np.loads(data)",
        "from pickle import load\nload(file)",
        "from pickle import load as read\nread(file)",
        "import pandas as pd\npd.read_pickle(path)",
        "from joblib import load\nload(path)",
        "import numpy as np\nnp.random.seed(0)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import torch\ntorch.load(path, weights_only=False)",
    ],
)
def test_banned_code_is_found(source):
    assert len(wrong_code(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import json\njson.load(file)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import pickle\nclass Safe(pickle.Unpickler):\n    pass\nSafe(file).load()",
        "try:\n    f()\nexcept ValueError:\n    pass",
        "import numpy as np\nnp.random.default_rng(0)",
        "import xml.dom\nxml.dom.load(x)",
    ],
)
def test_harmless_code_passes(source):
    assert wrong_code(source) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""Doc."""\nfrom nasviz.graph.ops import Op\n__all__ = ["Op"]', 0),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import b\ndef __getattr__(name): ...", 0),
        ("def sample(): ...", 1),
        ("REGISTRY = {}", 1),
        ("class A: ...", 1),
        ("for x in y: ...", 1),
        ("if TYPE_CHECKING:\n    x = 1", 1),
    ],
)
def test_a_face_that_does_more_is_found(source, count):
    assert len(wrong_face(source, "nasviz.graph")) == count


def test_an_undeclared_import_is_found():
    source = "import json, numpy\nfrom sklearn import svm\nimport requests\nimport no_such_package.part"
    found = undeclared(source, {"numpy", "scikit-learn"})
    assert [line.split()[2] for line in found] == ["requests", "no_such_package"]


HEAVY = ["torch", "torch_geometric", "umap", "sklearn", "skfuzzy", "matplotlib", "seaborn", "plotly", "ipywidgets"]


def loaded(statement: str, names: list[str]) -> list[str]:
    """Which of the modules `names` a new Python holds after `statement`."""
    code = f"import sys\n{statement}\nsys.stdout.write(' '.join(n for n in {names!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_loaded_sees_what_is_loaded():
    assert loaded("import json", ["json", "torch"]) == ["json"]


def test_import_nasviz_loads_nothing_heavy():
    assert loaded("import nasviz; dir(nasviz); nasviz.__version__", [*HEAVY, "numpy", "pandas", "nasviz.graph"]) == []


@pytest.mark.parametrize("room", [room for room in ROOMS if importlib.util.find_spec(f"nasviz.{room}")])
def test_a_room_opens_without_the_heavy_libraries(room):
    assert loaded(f"import nasviz.{room}", HEAVY) == []
