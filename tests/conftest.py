"""Fixtures shared by all tests."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
#: What several workers begin with: the longest files first, but what needs the built book after it was built.
FIRST = (
    "test_browser.py", "test_book_mini.py", "test_transfer_recipe.py", "test_cli.py", "test_eigen_recipe.py",
    "test_eigen_real.py", "test_notebooks.py", "test_real_frames.py",
)  # fmt: skip

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores, and so do the processes that they start
    THREADS = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    torch.set_num_threads(THREADS)
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real sample files that MDEPTH_DATA names; without it the test is skipped, except where CI
    demands it.
    """
    folder = os.environ.get("MDEPTH_DATA")
    if not folder:
        if "data" in os.environ.get("MDEPTH_REQUIRE", ""):
            pytest.fail("MDEPTH_REQUIRE demands data, but MDEPTH_DATA is not set")
        pytest.skip("MDEPTH_DATA is not set: no real sample files")
    path = Path(folder).expanduser()
    path = path if path.is_absolute() else ROOT / path
    if not path.is_dir():
        pytest.fail(f"MDEPTH_DATA names {folder!r}, which is not a folder")
    return path


@pytest.fixture
def generator() -> torch.Generator:
    """A fresh random generator with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def write_clip() -> Callable[[Path, Sequence[int], int], Path]:
    """Writes a video of 64 x 48 pixels, one even grey a frame: ``write_clip(path, greys, rate)``; skips where
    PyAV is not installed.
    """
    av = pytest.importorskip("av", reason="PyAV is not installed: video files cannot be written or decoded")

    def write(path: Path, greys: Sequence[int], rate: int) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for grey in greys:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests where there is no GPU, with that reason; begin with the longest files where there are
    several workers.
    """
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = {name: number for number, name in enumerate(FIRST)}
        items.sort(key=lambda item: place.get(item.path.name, len(place)))
