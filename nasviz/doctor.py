"""What is here and what is missing: `nasviz doctor`. It needs nothing but Python and `packaging`, and changes nothing.

A part that is broken must not end the examination, so whatever a check meets becomes a finding.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from nasviz import resources

PURPOSES = {
    "archive": "model archives, checked with onnxruntime before they are handed out",
    "bench": "the other counting tools, for the benchmarks",
    "dask": "many networks on many machines",
    "docs": "pages of the docstrings",
    "mlflow": "runs from MLflow",
    "openvino": "how fast layers run when a network is compiled for the CPU",
    "pruning": "taking channels out of a network",
    "tensorboard": "runs from TensorBoard's files",
    "test": "the tests",
}
"""What each extra of the package is for."""

OK, EXTRA, WRONG = "ok", "extra", "WRONG"
_WIDGETS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab-widgets", "anywidget": "anywidget"}
_LITTLE = 2 * 2**30
"""Bytes of free memory and of free disk under which a chapter may stop."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ok; extra, which is missing and not needed; or wrong, with what to do."""

    topic: str
    name: str
    state: str
    told: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything; takes about two seconds, most of them torch's own."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check()
        except Exception as error:  # noqa: BLE001 - the next part may still be well
            name = check.__name__.strip("_")
            found.append(Finding(name, name, WRONG, f"{type(error).__name__}: {' '.join(str(error).split())}"))
    return found


def report(found: list[Finding]) -> str:
    """The findings by topic, a line each, and a sentence at the end."""
    width = max(len(one.name) for one in found)
    lines, topic = [], ""
    for one in found:
        if one.topic != topic:
            topic = one.topic
            lines.append(f"\n{topic}")
        lines.append(f"  {one.state:<6} {one.name:<{width}}  {one.told}{f'; {one.remedy}' if one.remedy else ''}")
    return "\n".join([*lines, "", verdict(found)]).lstrip("\n")


def verdict(found: list[Finding]) -> str:
    """One sentence about all findings."""
    wrong, extra = ([one for one in found if one.state == state] for state in (WRONG, EXTRA))
    if wrong:
        what = "one thing is wrong" if len(wrong) == 1 else f"{len(wrong)} things are wrong"
        todo = next((f", and the first thing to do is: {one.remedy}" for one in wrong if one.remedy), "")
        return f"Of what nasviz needs {what}: {', '.join(one.name for one in wrong)}{todo}."
    rest = f"; not here, and needed only for what stands beside it: {', '.join(one.name for one in extra)}"
    return f"Everything that nasviz needs is here{rest if extra else ''}."


def to_json(found: list[Finding]) -> str:
    """The findings as a JSON list."""
    return json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False)


# -- Python and packages -----------------------------------------------------------------------------------------------


def requirements() -> tuple[str, dict[str, list[Requirement]]]:
    """Which Python is asked for, and the packages of each extra ("" is the core).

    In a checkout pyproject.toml says so, because what pip wrote down when it installed may be older.
    """
    page = Path(resources.__file__).parents[1] / "pyproject.toml"
    if page.is_file():
        project = tomllib.loads(page.read_text(encoding="utf-8"))["project"]
        texts = {"": project["dependencies"], **project.get("optional-dependencies", {})}
        return project["requires-python"], {name: [*map(Requirement, some)] for name, some in texts.items()}
    told = metadata.metadata("nasviz")
    extras = told.get_all("Provides-Extra") or []
    all_of_them = [Requirement(text) for text in metadata.requires("nasviz") or []]
    found: dict[str, list[Requirement]] = {"": [one for one in all_of_them if not _only_with(one, extras)]}
    for name in extras:
        found[name] = [one for one in all_of_them if _only_with(one, [name])]
    return told["Requires-Python"], found


def _only_with(one: Requirement, extras: list[str]) -> bool:
    """Whether the requirement belongs to one of these extras, and not to the core."""
    marker = one.marker
    return bool(marker) and not marker.evaluate({"extra": ""}) and any(marker.evaluate({"extra": e}) for e in extras)


def _python() -> Iterator[Finding]:
    wanted, _ = requirements()
    here = platform.python_version()
    state = OK if SpecifierSet(wanted).contains(here, prereleases=True) else WRONG
    where = f"{here} (asked for: {wanted}), {sys.executable}, {platform.system()} {platform.machine()}"
    yield Finding("Python", "Python", state, where, "" if state == OK else "make the environment with a newer Python")
    yield Finding("Python", "nasviz", OK, f"{metadata.version('nasviz')}, {Path(resources.__file__).parent}")


def _packages() -> Iterator[Finding]:
    _, wanted = requirements()
    for one in wanted[""]:
        told, fine = _version(one)
        pip = "" if fine else f"pip install '{one.name}{one.specifier}'"
        yield Finding("Packages", one.name, OK if fine else WRONG, told, pip)
    for extra, some in wanted.items():
        if not extra:
            continue
        told = [_version(one) for one in some if one.name != "nasviz"]
        fine = all(fits for _, fits in told)
        missing = ", ".join(one.name for one in some if one.name != "nasviz" and not _version(one)[1])
        text = PURPOSES.get(extra, "") + ("" if fine else f" (missing or old: {missing})")
        yield Finding("Extras", extra, OK if fine else EXTRA, text, "" if fine else f"pip install 'nasviz[{extra}]'")


def _version(one: Requirement) -> tuple[str, bool]:
    """The installed version beside its bound, and whether it is within."""
    try:
        here = metadata.version(one.name)
    except metadata.PackageNotFoundError:
        return f"is missing (asked for: {one.specifier or 'any'})", False
    fits = one.specifier.contains(Version(here), prereleases=True)
    return f"{here} ({one.specifier})" if fits else f"{here} is not {one.specifier}", fits


# -- the machine -------------------------------------------------------------------------------------------------------


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        total, free = (os.sysconf(name) * os.sysconf("SC_PAGE_SIZE") for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
        few = "; below 2 GiB the chapters that train may stop" if total < _LITTLE else ""
        yield Finding("Machine", "memory", OK, f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} of them unused{few}")
    try:
        import torch
    except Exception as error:  # noqa: BLE001 - a broken library can raise anything
        told = f"cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
        yield Finding("Machine", "torch works", WRONG, told, "pip install --force-reinstall torch")
        yield Finding("Machine", "processor", OK, f"{cores} cores")
        return
    told = f"{cores} cores, torch uses {torch.get_num_threads()} threads"
    yield Finding("Machine", "processor", OK, told)
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("Machine", "GPU", OK, f"{', '.join(names)} (CUDA {torch.version.cuda})")
    else:
        yield Finding("Machine", "GPU", OK, "none that torch can use, and none is needed")


def _cache() -> Iterator[Finding]:
    home = os.environ.get("NASVIZ_HOME")
    what = f"NASVIZ_HOME={home}" if home else "the platform's cache folder"
    try:
        folder = resources.cache_folder()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"nasviz")
    except OSError as error:
        remedy = "let NASVIZ_HOME name a folder that you may write to"
        yield Finding("Files", "cache", WRONG, f"{what} cannot be written: {error.strerror or error}", remedy)
        return
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    few = "; that is little" if free < _LITTLE else ""
    told = f"{folder}, {size / 1e6:,.1f} MB, may be deleted; {free / 1e9:,.1f} GB are free{few}"
    yield Finding("Files", "cache", OK, told)


# -- what is shipped ---------------------------------------------------------------------------------------------------


def _shipped() -> Iterator[Finding]:
    data = resources.data_folder()
    parts: dict[str, Callable[[], str]] = {
        "digits": lambda: _hashed(data / "digits.json"),
        **{f"weights {page.parent.name}": lambda page=page: _hashed(page) for page in _cards(data)},
        "bundled run": lambda: _cycles(data / "digits_run"),
        "ranking": lambda: _there(data / "digits_ranking.parquet"),
        "dashboards": lambda: _pages(resources.dashboards_folder()),
    }
    for name, look in parts.items():
        try:
            yield Finding("Files", name, OK, look())
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "install nasviz again, or in a checkout: git checkout -- data notebooks"
            yield Finding("Files", name, WRONG, " ".join(str(error).split()), remedy)


def _cards(data: Path) -> list[Path]:
    cards = sorted((data / "pretrained").glob("*/model.json"))
    return cards or [data / "pretrained" / "nb101" / "model.json"]


def _hashed(card: Path) -> str:
    """The files that the card names have the hashes that it tells."""
    for name, told in json.loads(card.read_text(encoding="utf-8"))["sha256"].items():
        if hashlib.sha256((card.parent / name).read_bytes()).hexdigest() != told:
            raise ValueError(f"{name} is not the file that {card.name} describes: its SHA-256 differs.")
    return f"{card.parent}, SHA-256 right"


def _cycles(folder: Path) -> str:
    json.loads((folder / "run.json").read_text(encoding="utf-8"))
    cycles = sorted((folder / "cycles").glob("*/cycle.json"))
    for page in cycles:
        json.loads(page.read_text(encoding="utf-8"))
        for name in ("graph.arrow", "layers.parquet", "metrics.json"):
            _there(page.parent / name)
    if not cycles:
        raise ValueError(f"{folder} has no cycles.")
    return f"{folder}, {len(cycles)} cycles"


def _there(path: Path) -> str:
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty.")
    return f"{path}"


def _pages(folder: Path) -> str:
    _there(resources.voila_folder() / "voila" / "templates" / "nasviz" / "conf.json")
    names = sorted(page.stem for page in folder.glob("*.ipynb"))
    if not names:
        raise ValueError(f"{folder} has no pages.")
    return ", ".join(names)


# -- notebooks ---------------------------------------------------------------------------------------------------------


def _notebooks() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    own = Path(sys.prefix, "share", "jupyter", "labextensions").resolve()
    off = set()
    for folder in jupyter_config_path():
        page = Path(folder, "labconfig", "page_config.json")
        if page.is_file():
            told = json.loads(page.read_text(encoding="utf-8")).get("disabledExtensions", {})
            off |= {name for name in told if not isinstance(told, dict) or told[name]}
    for name, package in _WIDGETS.items():
        places = [Path(folder, name, "package.json") for folder in jupyter_path("labextensions")]
        place = next((place for place in places if place.is_file()), None)
        again = f"pip install --force-reinstall {package}"
        if place is None:
            yield Finding("Notebooks", name, WRONG, "JupyterLab does not have it, so views stay empty", again)
            continue
        version = json.loads(place.read_text(encoding="utf-8"))["version"]
        if own not in place.resolve().parents:
            told = f"JupyterLab takes another copy first: {version} in {place.parent}"
            yield Finding("Notebooks", name, WRONG, told, "remove that folder")
        elif name in off:
            remedy = f"jupyter labextension enable {name}"
            yield Finding("Notebooks", name, WRONG, f"{version} is switched off, so views stay empty", remedy)
        elif name == package and version != metadata.version(package):
            told = f"{version} in the browser, {metadata.version(package)} in Python: views may stay empty"
            yield Finding("Notebooks", name, WRONG, told, again)
        else:
            yield Finding("Notebooks", name, OK, version)
    yield _kernel()
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    told = browser or "drives the tests that need a browser, and the README's pictures (Debian: apt install chromium)"
    yield Finding("Notebooks", "Chromium", OK if browser else EXTRA, told)


def _kernel() -> Finding:
    """The kernel python3, which notebooks ask for, must run the Python that has nasviz."""
    from jupyter_client.kernelspec import KernelSpecManager

    spec = KernelSpecManager().get_kernel_spec("python3")
    program = spec.argv[0]
    # Without a folder it is the Python that runs Jupyter. Links are not followed: an environment's Python is one.
    bare = not os.path.dirname(program)
    same = bare or os.path.dirname(os.path.abspath(program)) == os.path.dirname(os.path.abspath(sys.executable))
    told = f"{spec.resource_dir} runs {program if not same else sys.executable}"
    remedy = f"{sys.executable} -m ipykernel install --sys-prefix, and remove that folder"
    return Finding("Notebooks", "kernel python3", OK if same else WRONG, told, "" if same else remedy)


CHECKS = (_python, _packages, _machine, _cache, _shipped, _notebooks)
