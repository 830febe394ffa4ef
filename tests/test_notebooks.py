"""Chapters as notebooks: whole when executed, paired with their texts, at work where only the wheel is."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from pipeline_tools import ROOT, empty_environment, html, wheel_of

# ruff: isort: split
import chapters
import lab
import tidy
from layout import Layout

__all__ = ["html"]
BOOK = Layout(ROOT)
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
here = {"metadata": {"path": "."}}
nbclient.NotebookClient(notebook, timeout=900, kernel_name="outside", resources=here).execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.mark.parametrize("name", BOOK.chapters())
def test_sources_hold_no_outputs_and_can_be_read(name: str) -> None:
    notebook = chapters.read_notebook(BOOK.chapters()[name])
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell for cell in code if cell.outputs]
    compile(chapters.code_of(notebook), name, "exec")


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", BOOK.chapters())
def test_executed_chapters_are_whole(name: str, html: Path) -> None:
    path = BOOK.book / "executed" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    first, *rest = notebook.cells
    assert BOOK.wheel_url in first.source
    notebook.cells = rest
    assert list(tidy.problems(notebook, (str(ROOT), f"{Path.home()}/"))) == []
    facts = json.loads((html / "build.json").read_text())["chapters"][name]
    assert facts["seconds"] > 0
    assert facts["peak_mb"] > 0
    assert (html / "_sources" / "executed" / f"{name}.ipynb").read_bytes() == path.read_bytes()


def run_outside(downloaded: Path, folder: Path, wheel: Path) -> Path:
    """Run a downloaded notebook where its wheel is all there is of the project; the folder that it was
    installed to.
    """
    text = downloaded.read_text()
    assert BOOK.wheel_url in text
    notebook = folder / "work" / downloaded.name
    notebook.parent.mkdir()
    notebook.write_text(text.replace(BOOK.wheel_url, wheel.as_uri()))
    python = empty_environment(folder / "environment")
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = folder / "jupyter" / "kernels" / "outside" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": argv, "display_name": "outside"}))
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("MDEPTH_", "PYTHON"))
    }
    environment |= {"JUPYTER_PATH": str(folder / "jupyter"), "PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1"}
    if "MDEPTH_CACHE" in os.environ:  # where the build has drawn the worlds already
        environment["MDEPTH_CACHE"] = os.environ["MDEPTH_CACHE"]
    options = {"cwd": notebook.parent, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([python, "-c", RUN, notebook.name], **options)
    assert done.returncode == 0, done.stderr[-4000:]
    found = subprocess.run([python, "-c", "import mdepth; print(mdepth.__file__)"], **options)
    return Path(found.stdout.strip())


def pictures(notebook) -> set[str]:
    """The pictures that the cells of a notebook show."""
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return set(re.findall(r"data:image/[^\"']+", "".join(data.get("text/html", "") for data in outputs)))


@pytest.fixture(scope="module")
def outside(html: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Every chapter, downloaded and run outside, two at a time: name -> its folder, the outcome to come."""
    wheel = wheel_of(tmp_path_factory.mktemp("wheel"))
    folders = {name: tmp_path_factory.mktemp(name) for name in BOOK.chapters()}
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: (
                folder,
                pool.submit(run_outside, html / "_sources/executed" / f"{name}.ipynb", folder, wheel),
            )
            for name, folder in folders.items()
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", BOOK.chapters())
def test_a_downloaded_notebook_runs_outside_the_repository(name: str, html: Path, outside: dict) -> None:
    """And shows there what it shows in the book, real frames apart."""
    folder, outcome = outside[name]
    assert outcome.result().is_relative_to(folder / "environment")
    ran = nbformat.read(folder / "work" / f"{name}.ipynb", as_version=4)
    assert list(tidy.problems(ran, (str(ROOT),))) == []
    downloaded = nbformat.read(html / "_sources" / "executed" / f"{name}.ipynb", as_version=4)
    assert pictures(ran) <= pictures(downloaded)
    assert pictures(ran) == pictures(downloaded) or os.environ.get("MDEPTH_DATA")


def test_lab_pairs_each_chapter_and_saving_keeps_its_text(tmp_path: Path) -> None:
    for name in ("book", "pyproject.toml", "_config.yml", "jupytext.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    chapters_there = Layout(tmp_path).chapters()
    made = lab.pair(Layout(tmp_path))
    assert {path.stem for path in made} == set(chapters_there)
    before = chapters.read_notebook(chapters_there["metrics"])
    text = tmp_path / "lab" / "metrics.ipynb"
    sync = [sys.executable, "-m", "jupytext", "--sync", str(text)]
    subprocess.run(sync, cwd=tmp_path, check=True, capture_output=True)
    after = chapters.read_notebook(chapters_there["metrics"])
    assert [cell.source for cell in before.cells] == [cell.source for cell in after.cells]
    assert [cell.metadata for cell in before.cells] == [cell.metadata for cell in after.cells]
