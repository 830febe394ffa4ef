"""ruff and mypy find nothing, files and functions can be read in one go, the text speaks of itself alone."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
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
CHECKS = {"ruff": "ruff check", "ruff-format": "ruff format --check", "mypy": "mypy"}


@pytest.mark.parametrize("name", ["ruff", "ruff-format", pytest.param("mypy", marks=pytest.mark.slow)])
def test_the_tool_finds_nothing(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *CHECKS[name].split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_commit_is_held_to_what_the_tests_are() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["id"]: hook["entry"] for hook in local["hooks"] if hook["language"] == "system"}
    entries = {name: f".venv/bin/python -m {command}" for name, command in CHECKS.items()}
    assert {name: entry.removesuffix(" --force-exclude") for name, entry in hooks.items()} == entries


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "hook"),
    [
        ("a.py", "import os\n", "ruff"),
        ("a.py", "x = [1,2]\n", "ruff-format"),
        ("mdepth/a.py", 'x: int = "one"\n', "mypy"),
        ("a.ipynb", "{}\n", "outputs"),
        ("a.py", "x = [1, 2]\n", ""),
    ],
)
def test_a_commit_is_refused_by(name: str, content: str, hook: str, tmp_path: Path) -> None:
    for copied in (".pre-commit-config.yaml", "pyproject.toml"):
        (tmp_path / copied).write_bytes((ROOT / copied).read_bytes())
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"PRE_COMMIT_HOME": str(tmp_path / ".venv" / "cache")}
    for command in (["git", "init", "-q"], ["git", "add", name]):
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert re.findall(r"^- hook id: (.*)$", done.stdout, re.MULTILINE) == [hook] * bool(hook), done.stdout
    assert done.returncode == bool(hook)


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
