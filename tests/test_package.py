"""The package as a whole: its face, its files, its wheel."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import nasviz as nv
from nasviz import resources

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# --- the face -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", nv.__all__)
def test_every_public_name_resolves(name):
    value = getattr(nv, name)
    if callable(value):
        assert value.__name__ == name and value.__module__.startswith("nasviz.")
    else:
        assert value.__name__ == f"nasviz.{name}"


def test_functions_stay_functions_after_their_modules_are_imported():
    import nasviz.graph.cost
    import nasviz.graph.trace  # noqa: F401 - the import binds the name `trace` in nasviz.graph

    assert callable(nv.trace) and callable(nv.cost)


def test_unknown_names_are_named():
    with pytest.raises(AttributeError, match="no attribute 'trase'"):
        nv.trase  # noqa: B018


def test_dir_lists_the_public_names():
    assert set(nv.__all__) <= set(dir(nv))


def test_version_is_a_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", nv.__version__)


# --- files ----------------------------------------------------------------------------------------------------------


def test_folders_of_the_checkout():
    assert resources.data_folder() == ROOT / "data"
    assert resources.dashboards_folder() == ROOT / "notebooks" / "dashboards"
    assert (resources.voila_folder() / "voila" / "templates" / "nasviz" / "conf.json").is_file()


def test_a_packaged_folder_comes_first_and_a_missing_one_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "nasviz")
    with pytest.raises(FileNotFoundError, match="without its folder 'data'.*install it again"):
        resources.data_folder()
    (tmp_path / "data").mkdir()
    assert resources.data_folder() == tmp_path / "data"
    (tmp_path / "nasviz" / "_data").mkdir(parents=True)
    assert resources.data_folder() == tmp_path / "nasviz" / "_data"


def test_cache_folder_follows_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "new" / "home"))
    assert resources.cache_folder() == tmp_path / "new" / "home"
    assert resources.cache_folder().is_dir()


def test_cache_folder_of_the_platform(tmp_path, monkeypatch):
    monkeypatch.delenv("NASVIZ_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = resources.cache_folder()
    assert folder.is_dir() and folder.name == "nasviz"
    if sys.platform == "linux":
        assert folder == tmp_path / "nasviz"


def test_written_files_are_moved_into_place(tmp_path):
    path = tmp_path / "deep" / "a.json"
    seen = []

    def writer(beside: Path) -> None:
        seen.append(beside)
        assert not path.exists()
        beside.write_text("[1]")

    assert resources.write_atomically(path, writer) == path
    assert path.read_text() == "[1]"
    assert seen[0].parent == path.parent and seen[0].suffix == ".json"
    assert os.listdir(path.parent) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def writer(beside: Path) -> None:
        beside.write_text("half of the n")
        raise error

    with pytest.raises(error):
        resources.write_atomically(path, writer)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        resources.write_atomically(tmp_path / "a.txt", lambda beside: None)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_written_files_have_the_usual_mode(tmp_path):
    (tmp_path / "usual").write_text("")
    written = resources.write_atomically(tmp_path / "a", lambda beside: beside.write_text(""))
    assert written.stat().st_mode == (tmp_path / "usual").stat().st_mode


# --- environment and wheel ------------------------------------------------------------------------------------------


def test_conda_environment_mirrors_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    python, pip, from_pip = environment["dependencies"]
    assert python == f"python{PROJECT['requires-python']}"
    assert pip == "pip" and from_pip == {"pip": ["-e .[test]"]}
    assert "test" in PROJECT["optional-dependencies"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling", reason="building needs hatchling: pip install -e '.[test]'")
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    return target


def run(*arguments: object, **options: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_holds_the_package_and_its_files_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    version = f"nasviz-{nv.__version__}"
    assert {name.split("/")[0] for name in names} == {"nasviz", f"{version}.data", f"{version}.dist-info"}
    # JupyterLab reads this folder of the environment; the file keeps its "news" question off the first notebook.
    assert f"{version}.data/data/share/jupyter/lab/settings/overrides.d/nasviz.json" in names
    shipped = {name.removeprefix("nasviz/_data/") for name in names if name.startswith("nasviz/_data/")}
    tracked = {path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data").rglob("*") if path.is_file()}
    assert shipped == tracked and shipped
    assert {"nasviz/_dashboards/ranking.ipynb", "nasviz/_dashboards/cycles.ipynb"} <= set(names)
    assert "nasviz/_data/digits_run/run.json" in names and "nasviz/cycles/archive_load.py.txt" in names
    assert "nasviz/views/jupyter/voila/templates/nasviz/index.html.j2" in names


def test_wheel_finds_its_files_in_a_bare_python(installed, tmp_path):
    """-I -S: no site-packages at all, so this also shows that the face and `resources` need nothing but Python."""
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "import nasviz, nasviz.resources as r\n"
        "sys.stdout.write('\\n'.join([nasviz.__file__, str(r.data_folder()), str(r.dashboards_folder())]))"
    )
    package, data, dashboards = run("-I", "-S", "-c", code, cwd=tmp_path).split("\n")
    assert Path(package) == installed / "nasviz" / "__init__.py"
    assert Path(data) == installed / "nasviz" / "_data"
    assert Path(dashboards) == installed / "nasviz" / "_dashboards"


def test_wheel_loads_the_bundled_benchmark(installed, tmp_path):
    code = (
        "import nasviz as nv, sys; table = nv.benchmarks.load('digits').table\n"
        "sys.stdout.write(f'{nv.__file__}\\n{len(table)}')"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "NASVIZ_HOME": str(tmp_path / "cache")}
    package, rows = run("-c", code, cwd=tmp_path, env=environment).split("\n")
    assert Path(package).is_relative_to(installed)
    assert int(rows) == len(nv.benchmarks.load("digits").table)


@pytest.mark.parametrize("room", ["predict", "views", "cycles", "search"])
def test_no_lazy_name_is_that_of_a_module_beside_it(room):
    """Once such a module is imported, the room's attribute is the module, and the name cannot be called any more."""
    face = importlib.import_module(f"nasviz.{room}")
    modules = {path.stem for path in Path(face.__file__).parent.glob("*.py")}
    assert modules.isdisjoint(face.__all__)
