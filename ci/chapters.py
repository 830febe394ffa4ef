"""What a chapter depends on: its text, the modules it imports, the sources whose records it draws from, the
real data.

A chapter *names a source* if its file name begins with the source's name, or if a code cell holds that name
as a word. A chapter that imports the ledger depends on every source, and so does one that imports the runs or
recipes and names none: without a name there is nothing to leave out, and at worst it runs too often.
`execute.py` proves the rule at run time: reading a record that the chapter does not depend on fails the
build.
"""

import ast
import re
from collections.abc import Iterable, Set
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from include import included_files
from layout import CI, Layout, PipelineError, digest, digest_tree

MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)
TOOLS = ("ipykernel", "jupytext", "nbclient", "nbformat", "papermill")


def read_notebook(path: Path):
    """The notebook that a MyST page holds."""
    if not path.is_file():
        raise PipelineError(f"book/_toc.yml names executed/{path.stem}, but {path} does not exist")
    import jupytext

    notebook = jupytext.read(path)
    if "kernelspec" not in notebook.metadata:
        raise PipelineError(
            f"{path}: its front matter has no kernelspec, so it is no chapter that can be executed"
        )
    return notebook


def code_of(notebook) -> str:
    """All code of a notebook as one Python text, magics left out."""
    return MAGIC.sub("pass", "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))


@cache
def imports_of(code: str, module: str = "", is_package: bool = False) -> frozenset[str]:
    """The dotted names that a text may import, relative ones resolved; ``from a import b`` gives ``a`` and
    ``a.b``.
    """
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base_of(node, module, is_package)
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(found)


def _base_of(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The absolute name of what a ``from … import`` imports from."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def module_file(root: Path, name: str) -> Path | None:
    """The file of a module of a repository, or None; ``mdepth_bugs`` is the importable name of book/bugs."""
    first, *rest = name.split(".")
    folder = root / "book" / "bugs" if first.endswith("_bugs") else root / first
    base = folder.joinpath(*rest)
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def modules_behind(root: Path, package: str, names: Iterable[str]) -> dict[str, Path]:
    """All modules of a package that importing some names may run: name -> file."""
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if (
            name in found
            or name.split(".")[0] not in (package, f"{package}_bugs")
            or not (path := module_file(root, name))
        ):
            continue
        found[name] = path
        parents = [name.rsplit(".", k)[0] for k in range(1, name.count(".") + 1)]
        waiting += [*parents, *imports_of(path.read_text(), name, path.name == "__init__.py")]
    return dict(sorted(found.items()))


def sources_named(name: str, code: str, direct: Set[str], known: Iterable[str], package: str) -> list[str]:
    """The sources whose records a chapter may read, from its name, its code and what it imports itself; none
    named means all, where it imports the runs or recipes.
    """
    named = sorted(s for s in known if name.split("-")[0] == s or re.search(rf"\b{re.escape(s)}\b", code))
    about_all = (
        {f"{package}.ledger"} if named else {f"{package}.{part}" for part in ("ledger", "runs", "recipes")}
    )
    return sorted(known) if about_all & direct else named


def data_fingerprint(folder: Path) -> str:
    """A sha256 over the names, sizes and times of the files in a data folder, which may be too large to
    read.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return digest(
        "\n".join(f"{p.relative_to(folder)} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in files)
    )


def versions(layout: Layout) -> dict[str, str]:
    """The installed versions of what a chapter runs on: the package's own requirements and the tools."""
    required = [re.split(r"[^\w.-]", line)[0] for line in layout.project.get("dependencies", [])]
    found = {}
    for name in (*required, *TOOLS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            raise PipelineError(
                f"{name} is not installed; `make book` installs it, or: pip install -e .[book,test]"
            ) from None
    return found


def inputs_of(layout: Layout, name: str, path: Path, known: Iterable[str], data_dir: str) -> dict:
    """Everything a chapter's result depends on, except the records that this build makes."""
    notebook = read_notebook(path)
    try:
        code = code_of(notebook)
        uses_data = any(isinstance(n, ast.Name) and n.id == "data_dir" and isinstance(n.ctx, ast.Load)
                        for n in ast.walk(ast.parse(code)))  # fmt: skip
        direct = imports_of(code)
    except SyntaxError as error:
        raise PipelineError(f"{path}: a code cell is not Python: {error}") from None
    modules = modules_behind(layout.root, layout.package, direct)
    printed = {p.stem for p in (layout.root / "data" / "reported").glob("*.yaml")}  # also of those never run
    sources = sources_named(name, code, direct, {*known, *printed}, layout.package)
    modules |= modules_behind(layout.root, layout.package, [f"{layout.package}.recipes.{s}" for s in sources])
    pretrained = layout.root / layout.package / "pretrained"
    return {
        "text": digest(path, *included_files(layout.book, notebook)),
        "modules": {module: digest(file) for module, file in modules.items()},
        "sources": sources,
        "records": {s: digest_tree(layout.root / "results" / "laptop" / s) for s in sources},
        "reported": {s: digest_tree_or_file(layout.root / "data" / "reported", s) for s in sources},
        "times": digest_tree(layout.root / "results" / "benchmarks") if "benchmark(" in code else "",
        "weights": digest_tree(pretrained) if f"{layout.package}.weights" in modules else "",
        "parameters": {"profile": layout.profile, "data_dir": data_dir if uses_data else ""},
        "data": data_fingerprint(layout.root / data_dir) if uses_data and data_dir else "",
        "scripts": digest(*(CI / f"{script}.py" for script in ("execute", "include", "kernel", "tidy"))),
        "wheel": layout.wheel_url,
    }


def digest_tree_or_file(folder: Path, source: str) -> str:
    """The sha256 of all files about a source: ``<source>.yaml`` or a folder of that name."""
    files = sorted(p for p in folder.glob(f"{source}*") if p.is_file())
    return digest(*(part for p in files for part in (p.name, p)), digest_tree(folder / source))
