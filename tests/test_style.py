"""ruff and mypy find nothing, files and functions can be read in one go, the text speaks of itself alone."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline_tools import ROOT

LIBRARY = sorted((ROOT / "mdepth").rglob("*.py"))
SCRIPTS = [
    *sorted((ROOT / "ci").glob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
    *sorted((ROOT / "book").rglob("*.py")),
    ROOT / "setup.py",
]
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
).stdout.split("\n")
TEXTS = [
    ROOT / name
    for name in LISTED
    if Path(name).suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".sh", ".lock"}
    and (ROOT / name).is_file()
]


def run(*command: str) -> subprocess.CompletedProcess:
    """A tool of this environment, run on the repository."""
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)


def test_ruff_finds_nothing() -> None:
    done = run("ruff", "check", "--output-format", "concise", ".")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_finds_nothing() -> None:
    done = run("mypy")
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_and_functions_can_be_read_in_one_go() -> None:
    long = {}
    for path in [*LIBRARY, *SCRIPTS]:
        text = path.read_text()
        if text.count("\n") > 450:
            long[str(path.relative_to(ROOT))] = text.count("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (length := _length(node)) > 70:
                long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert long == {}


def _length(function: ast.FunctionDef) -> int:
    """The lines of a function without its docstring."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    described = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - described


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for path in LIBRARY:
        tree = ast.parse(path.read_text())
        defined = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"]
        silent += [str(path.relative_to(ROOT))] * (not ast.get_docstring(tree))
        silent += [f"{path.relative_to(ROOT)}:{n.name}" for n in defined if not ast.get_docstring(n)]
    assert silent == []


def test_annotations_are_real_objects() -> None:
    """jaxtyping reads them while the program runs; postponed ones would be strings."""
    assert [path for path in LIBRARY if "from __future__ import annotations" in path.read_text()] == []


def test_the_text_names_no_machine() -> None:
    home = re.compile(r"/(?:root|home/\w+|Users/\w+)/|file:///")
    allowed = {Path(__file__).name, "test_pipeline.py"}
    assert [path for path in TEXTS if path.name not in allowed and home.search(path.read_text())] == []


def test_no_notebook_is_committed() -> None:
    assert [name for name in LISTED if name.endswith(".ipynb")] == []
