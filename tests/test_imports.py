"""Who may import whom, read from the syntax trees: arrows point down; heavy packages load where used."""

import ast
import subprocess
import sys

import pytest
from pipeline_tools import ROOT

from chapters import imports_of  # isort: skip (ci/ is put on the path by pipeline_tools)

ROWS = [  # a part may import from lower rows, and from itself
    {"cli"},
    {"runs", "ledger", "exercises"},
    {"recipes", "plots", "results"},
    {"masks", "evaluate"},
    {"losses", "reprojection", "models", "datasets", "metrics", "train", "weights"},
    {"losses_hu"},  # one of the losses, in a file of its own; losses hands it on
    {"geometry", "image"},
    {"shapes"},
]
HEAVY = {
    "av",
    "captum",
    "h5py",
    "kornia",
    "lightning",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "PIL",
    "plotly",
    "pooch",
    "scipy",
    "seaborn",
    "torchvision",
}
FILES = sorted(path for path in (ROOT / "mdepth").rglob("*.py") if "__pycache__" not in path.parts)


def module_of(path) -> tuple[str, bool]:
    """The dotted name of a file and whether it is a package's."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts[-1] == "__init__"
    return ".".join(parts[:-1] if package else parts), package


def part_of(module: str) -> str:
    """The part a module belongs to: ``models`` for ``mdepth.models.eigen``; empty for ``mdepth`` itself."""
    return [*module.split("."), ""][1]


def parts_imported(path) -> set[str]:
    """The parts of mdepth that a file imports anywhere, also inside functions."""
    module, package = module_of(path)
    names = imports_of(path.read_text(), module, package)
    return {part_of(name) for name in names if name.startswith("mdepth.")} & set.union(*ROWS)


def row_of(part: str) -> int:
    """The row of a part, counted from above."""
    return next(number for number, row in enumerate(ROWS) if part in row)


def test_every_part_has_its_row() -> None:
    parts = {part_of(module_of(path)[0]) for path in FILES} - {""}
    assert parts <= set.union(*ROWS), "a new part: give it a row here, in ARCHITECTURE.md, and say why"


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path)[0])
def test_arrows_point_down(path) -> None:
    part = part_of(module_of(path)[0])
    if not part:
        assert parts_imported(path) == set(), "mdepth/__init__.py imports nothing"
        return
    wrong = {other for other in parts_imported(path) - {part} if row_of(other) <= row_of(part)}
    assert wrong == set(), f"{part} must not import {sorted(wrong)}"


@pytest.mark.parametrize("folder", ["models", "recipes"])
def test_sources_never_import_each_other(folder: str) -> None:
    sources = {"eigen", "laina", "transfer", "monodepth2", "hu"}
    for path in (ROOT / "mdepth" / folder).glob("*.py"):
        if path.stem in sources:
            found = imports_of(path.read_text(), f"mdepth.{folder}.{path.stem}")
            others = {f"mdepth.{folder}.{source}" for source in sources - {path.stem}}
            assert found & others == set(), path


@pytest.mark.parametrize("path", FILES, ids=lambda path: module_of(path)[0])
def test_heavy_packages_are_imported_inside_functions(path) -> None:
    tree = ast.parse(path.read_text())
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {name.split(".")[0] for node in top for name in imports_of(ast.unparse(node), "mdepth.x")}
    assert found & HEAVY == set()


def test_importing_every_light_module_loads_nothing_heavy() -> None:
    script = "import mdepth, sys; print([name for name in sys.modules if name.split('.')[0] in {!r}])"
    done = subprocess.run(
        [sys.executable, "-c", script.replace("{!r}", repr(HEAVY))], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_nothing_imports_book_tests_or_ci() -> None:
    outside = {"ci", "tests", "book", "benchmarks"} | {path.stem for path in (ROOT / "ci").glob("*.py")}
    for path in FILES:
        module, package = module_of(path)
        names = {name.split(".")[0] for name in imports_of(path.read_text(), module, package)}
        assert names & outside == set(), path
