"""What every test may ask for."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # before matplotlib is imported anywhere: no test opens a window
# Before torch is: small networks gain nothing from a second thread, and beside other work they lose tenfold by it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def labels() -> Path:
    """The folder with the label files of the public benchmarks, from the variable ``NASVIZ_LABELS``."""
    folder = os.environ.get("NASVIZ_LABELS")
    if not folder:
        pytest.skip("NASVIZ_LABELS is not set; point it at the folder with nb101_20k.csv.gz and nb201_cifar10.csv.gz")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"NASVIZ_LABELS={folder!r} is no folder")
    return path


def pytest_collection_modifyitems(items):
    """Benchmarks and slow tests take as long as they need."""
    for item in items:
        if item.get_closest_marker("bench") or item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))
