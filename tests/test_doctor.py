"""The doctor says what is there; what is broken on purpose is found, and what to do about it is told."""

import json
import shutil
import sys
import tomllib
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasviz import doctor, resources
from nasviz.cli import app
from nasviz.doctor import EXTRA, OK, WRONG, Finding, examine, report, verdict

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def finding(check, name: str) -> Finding:
    (one,) = [one for one in check() if one.name == name]
    return one


def test_all_is_well_here(monkeypatch, tmp_path):
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path))
    found = examine()
    assert [one for one in found if one.state == WRONG] == []
    names = [(one.topic, one.name) for one in found]
    assert len(names) == len(set(names)) > 40
    assert verdict(found).startswith("Everything that nasviz needs is here")
    assert report(found).splitlines()[-1] == verdict(found)


def test_every_package_and_every_extra_of_pyproject_is_looked_at():
    names = {one.name for one in doctor._packages()}
    packages = {doctor.Requirement(text).name for text in PROJECT["dependencies"]}
    assert names == packages | set(PROJECT["optional-dependencies"])
    assert set(doctor.PURPOSES) == set(PROJECT["optional-dependencies"])


def test_a_package_that_is_missing_or_old(monkeypatch):
    real = metadata.version

    def version(name: str) -> str:
        if name in ("seaborn", "dask"):
            raise metadata.PackageNotFoundError(name)
        return "1.9" if name == "pandas" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    seaborn, pandas, dask = (finding(doctor._packages, name) for name in ("seaborn", "pandas", "dask"))
    assert (seaborn.state, pandas.state, dask.state) == (WRONG, WRONG, EXTRA)
    assert "missing" in seaborn.told and seaborn.remedy == "pip install 'seaborn>=0.13.2'"
    assert pandas.told == "1.9 is not >=3.0"
    assert "many machines" in dask.told and dask.remedy == "pip install 'nasviz[dask]'"
    text = verdict([seaborn, pandas, dask])
    todo = "the first thing to do is: pip install 'seaborn>=0.13.2'."
    assert text == f"Of what nasviz needs 2 things are wrong: seaborn, pandas, and {todo}"
    assert "not here" in verdict([dask]) and "dask" in verdict([dask])


def test_a_wheel_knows_its_requirements_too(monkeypatch, tmp_path):
    told = Message()
    told["Requires-Python"] = ">=3.11"
    told["Provides-Extra"] = "dask"
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "site-packages" / "nasviz" / "resources.py"))
    monkeypatch.setattr(metadata, "metadata", lambda name: told)
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy>=2.2", 'dask[distributed]>=2026.1; extra == "dask"'])
    python, wanted = doctor.requirements()
    assert python == ">=3.11"
    assert {name: [one.name for one in some] for name, some in wanted.items()} == {"": ["numpy"], "dask": ["dask"]}


def test_an_old_python(monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.9.18")
    assert finding(doctor._python, "Python").state == WRONG


def test_a_torch_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    one = finding(doctor._machine, "torch works")
    assert one.state == WRONG and "ModuleNotFoundError" in one.told and one.remedy


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "file" / "cache"))
    one = finding(doctor._cache, "cache")
    assert one.state == WRONG and "Not a directory" in one.told and "NASVIZ_HOME" in one.remedy


def test_the_size_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(bytes(2_500_000))
    assert ", 2.5 MB," in finding(doctor._cache, "cache").told


@pytest.fixture
def shipped(monkeypatch, tmp_path) -> Path:
    """A copy of what the package ships, which may be broken."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    shutil.copytree(ROOT / "notebooks" / "dashboards", tmp_path / "notebooks" / "dashboards")
    shutil.copytree(ROOT / "nasviz" / "views" / "jupyter", tmp_path / "nasviz" / "views" / "jupyter")
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "nasviz")
    assert {one.state for one in doctor._shipped()} == {OK}
    return tmp_path


def test_shipped_files_that_are_broken(shipped):
    table = shipped / "data" / "digits.parquet"
    content = table.read_bytes()
    table.write_bytes(content[:-1] + b"!")
    (shipped / "data" / "pretrained" / "nb101" / "weights.safetensors").unlink()
    (shipped / "data" / "digits_run" / "cycles" / "0003" / "layers.parquet").write_bytes(b"")
    (shipped / "data" / "digits_ranking.parquet").unlink()
    (shipped / "nasviz" / "views" / "jupyter" / "voila" / "templates" / "nasviz" / "conf.json").unlink()
    found = {one.name: one for one in doctor._shipped()}
    assert {one.state for one in found.values()} == {WRONG}
    assert "SHA-256 differs" in found["digits"].told and "digits.parquet" in found["digits"].told
    assert "weights.safetensors" in found["weights nb101"].told
    assert "0003" in found["bundled run"].told and "empty" in found["bundled run"].told
    assert all("git checkout" in one.remedy for one in found.values())


def test_no_shipped_weights_at_all(shipped):
    shutil.rmtree(shipped / "data" / "pretrained")
    assert finding(doctor._shipped, "weights nb101").state == WRONG


def extension(folder: Path, name: str, version: str) -> None:
    place = folder / "labextensions" / name
    place.mkdir(parents=True)
    (place / "package.json").write_text(json.dumps({"name": name, "version": version}))


def test_another_copy_of_a_widgets_extension_is_found(monkeypatch, tmp_path):
    extension(tmp_path, "anywidget", "0.1.0")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    one = finding(doctor._notebooks, "anywidget")
    assert one.state == WRONG and "0.1.0" in one.told and str(tmp_path) in one.told
    assert finding(doctor._notebooks, "@jupyter-widgets/jupyterlab-manager").state == OK


def test_a_browser_part_of_another_version(monkeypatch, tmp_path):
    extension(tmp_path / "share" / "jupyter", "anywidget", "0.1.0")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    one = finding(doctor._notebooks, "anywidget")
    assert one.state == WRONG and "0.1.0 in the browser" in one.told


def test_an_extension_that_is_missing_or_off(monkeypatch, tmp_path):
    name = "@jupyter-widgets/jupyterlab-manager"
    (tmp_path / "labconfig").mkdir()
    (tmp_path / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": {name: True}}))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    one = finding(doctor._notebooks, name)
    assert one.state == WRONG and "switched off" in one.told and one.remedy == f"jupyter labextension enable {name}"
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [])
    one = finding(doctor._notebooks, name)
    assert one.state == WRONG and "does not have it" in one.told


def test_a_kernel_of_another_python(monkeypatch, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for argv, state in ((["/elsewhere/bin/python3"], WRONG), (["python"], OK), ([sys.executable], OK)):
        (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python", "language": "python"}))
        assert doctor._kernel().state == state


def test_a_check_that_fails_becomes_a_finding(monkeypatch):
    def _broken():
        raise KeyError("version")

    monkeypatch.setattr(doctor, "CHECKS", (_broken,))
    (one,) = examine()
    assert (one.name, one.state) == ("broken", WRONG) and "KeyError" in one.told
    assert verdict([one]) == "Of what nasviz needs one thing is wrong: broken."


def test_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0 and done.stdout.rstrip().splitlines()[-1].startswith("Everything that nasviz needs")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NASVIZ_HOME", str(tmp_path / "file"))
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    assert [one["name"] for one in json.loads(done.stdout) if one["state"] == WRONG] == ["cache"]
