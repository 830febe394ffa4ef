"""``mdepth book`` and ``mdepth lab``: the pipeline in ``ci/``, started from anywhere in the repository."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdepth.cli.errors import choose
from mdepth.cli.output import say

__all__ = ["book", "lab", "repository"]

PROFILES = ("quick", "laptop", "full")


def repository() -> Path:
    """The repository that this folder, or else the installed package, lies in.

    Raises:
        ValueError: there is none; the message says how to get one.
    """
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]):
        if (folder / "ci" / "build.py").is_file() and (folder / "_config.yml").is_file():
            return folder
    raise ValueError(
        f"{Path.cwd()}: no repository here: the book is made from its sources (book/, ci/, _config.yml), "
        "which an installed package does not hold; clone the repository and run `mdepth book` inside it"
    )


def _start(script: str, arguments: list[str], needed: tuple[str, ...]) -> None:
    """Run a script of ``ci/`` in the repository and end with its status."""
    root = repository()
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)}: not installed; the book's tools: `pip install -e .[book]` in {root}"
        )
    process = subprocess.Popen([sys.executable, str(root / "ci" / script), *arguments], cwd=root)
    while True:
        try:
            raise typer.Exit(process.wait())
        except KeyboardInterrupt:  # the script got it too, and tidies up before it ends
            say("stopping")


def book(
    profile: Annotated[str, typer.Option(help="How much computing: quick, laptop or full.")] = "quick",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of real data [default: $MDEPTH_DATA, else the synthetic worlds alone]."),
    ] = None,
) -> None:
    """Build the book: what is missing is trained, every chapter is run, the pages are checked.

    Example: mdepth book --profile quick
    """
    choose("profile", profile, PROFILES)
    folder = str(data) if data else os.environ.get("MDEPTH_DATA", "")
    if folder and data and not data.expanduser().is_dir():
        raise ValueError(f"{data}: is not a folder; --data takes a folder of real data (data/README.md)")
    place = str(Path(folder).expanduser().resolve()) if data else folder
    root = ["--root", str(repository())]
    _start(
        "build.py", ["--profile", profile, "--data", place, *root], ("snakemake", "papermill", "jupyter_book")
    )


def lab() -> None:
    """Open the chapters as notebooks in JupyterLab; saving one writes its text in book/."""
    _start("lab.py", [], ("jupytext", "jupyterlab"))
