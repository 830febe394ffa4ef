"""The chapters as notebooks: whole when executed, linked when published, at work where only the wheel is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from pipeline_tools import ROOT, empty_environment, html, wheel_of

# ruff: isort: split
import chapters
import lab
import pages
import publish
import tidy
from layout import Layout, PipelineError

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


def test_published_notebooks_link_to_what_is_there(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["[a](metrics.md#x) [b](glossary.md#y) [c](https://x.org/a.md)"]}
    ]
    (cell,) = publish.with_links({"cells": cells}, {"metrics"}, "https://o.github.io/n")["cells"]
    assert (
        cell["source"]
        == "[a](metrics.ipynb) [b](https://o.github.io/n/glossary.html#y) [c](https://x.org/a.md)"
    )


def test_chapters_with_real_images_are_not_published(tmp_path: Path) -> None:
    generated = tmp_path / "book" / "_generated"
    generated.mkdir(parents=True)
    for real in (False, True):
        (generated / "banner.json").write_text(json.dumps(pages.banner(BOOK, real)))
        if not real:
            publish.check_no_real_data(Layout(tmp_path))
    with pytest.raises(PipelineError, match="executed with real data"):
        publish.check_no_real_data(Layout(tmp_path))


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Python that knows every package but this project, a kernel of it, and the wheel."""
    folder = tmp_path_factory.mktemp("outside")
    python = empty_environment(folder / "environment")
    wheel_of(folder / "wheel")
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "outside",
    }
    kernel = folder / "jupyter" / "kernels" / "outside"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(spec))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", ["metrics", "eigen"])
def test_a_downloaded_notebook_runs_outside_the_repository(
    name: str, html: Path, outside: Path, tmp_path: Path
) -> None:
    (wheel,) = (outside / "wheel").glob("*.whl")
    downloaded = (html / "_sources" / "executed" / f"{name}.ipynb").read_text()
    assert BOOK.wheel_url in downloaded
    (tmp_path / f"{name}.ipynb").write_text(downloaded.replace(BOOK.wheel_url, wheel.as_uri()))
    left_out = ("PYTHONPATH", "MDEPTH_DATA", "MDEPTH_BOOK", "MDEPTH_RESULTS")
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    environment |= {"JUPYTER_PATH": str(outside / "jupyter"), "PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1"}
    python = outside / "environment" / "bin" / "python"
    command = [str(python), "-c", RUN, f"{name}.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    where = [str(python), "-c", "import mdepth; print(mdepth.__file__)"]
    place = subprocess.run(
        where, cwd=tmp_path, env=environment, capture_output=True, text=True
    ).stdout.strip()
    assert Path(place).is_relative_to(outside)
    ran = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    assert list(tidy.problems(ran)) == []


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
