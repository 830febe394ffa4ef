"""The generated pages and files of the book: API pages with their chapters, results.json, what the banners
say.
"""

import ast
import json
import re
import statistics
from pathlib import Path
from typing import Any

from chapters import code_of, imports_of, module_file, read_notebook
from layout import Layout, write_changed, write_json

PROFILE_TEXT = {
    "quick": "tables and figures are drawn from the committed reference records; a few short runs, trained "
    "from nothing "
    "in this build, prove the path and are marked “this build (quick: not trained to convergence)”",
    "laptop": "every run was made at the small sizes of the reference records, at most some minutes each",
    "full": "paper-sized inputs on a GPU",
}
AUTOMODULE = """\
```{{eval-rst}}
.. automodule:: {module}
   :members:
   :show-inheritance:
{options}```
"""


def modules_of(layout: Layout) -> list[str]:
    """The dotted names of the package's public modules that have a docstring."""
    package, found = layout.root / layout.package, []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(layout.root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts) and ast.get_docstring(ast.parse(path.read_text())):
            found.append(".".join(parts))
    return found


def title_of(path: Path) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", path.read_text(), re.MULTILINE)
    return found[1].strip() if found else path.stem


def summary_of(path: Path) -> str:
    """The first paragraph of a module's docstring, on one line that a table can hold."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def page_modules(layout: Layout) -> dict[str, list[str]]:
    """The API pages: one a package, with its modules as sections, and one a module that lies in no inner
    package.
    """
    pages: dict[str, list[str]] = {}
    for module in modules_of(layout):
        file, inner = module_file(layout.root, module), module.count(".") > 1
        page = module.rsplit(".", 1)[0] if inner and file and file.name != "__init__.py" else module
        pages.setdefault(page, []).append(module)
    return dict(sorted(pages.items()))


def users_of(layout: Layout) -> dict[str, list[str]]:
    """Which chapters import something of each API page: page -> names of chapters, in the book's order."""
    imported = {name: imports_of(code_of(read_notebook(path))) for name, path in layout.chapters().items()}
    pages = page_modules(layout)
    return {page: [name for name, found in imported.items() if found & set(pages[page])] for page in pages}


def exports_of(root: Path, package: str) -> dict[str, str]:
    """The names that a package offers from its modules, by its ``__all__``: name -> the module it comes
    from.
    """
    file = module_file(root, package)
    tree = ast.parse(file.read_text() if file else "")
    lists = [
        n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
    ]
    offered = set(ast.literal_eval(lists[0])) if lists else set()
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    origins = {alias.name: node.module or "" for node in froms for alias in node.names}
    return {name: origin for name, origin in origins.items() if name in offered}


def options_of(root: Path, module: str) -> str:
    """What keeps every object documented once, on the page of the highest package that offers it."""
    parts = module.split(".")
    parents = [".".join(parts[:k]) for k in range(1, len(parts))]
    offered = sorted(
        name for p in parents for name, origin in exports_of(root, p).items() if origin == module
    )
    shadowed = parents and parts[-1] in exports_of(
        root, parents[-1]
    )  # a function that bears its module's name
    return (f"   :exclude-members: {', '.join(offered)}\n" if offered else "") + (
        "   :no-index:\n" * bool(shadowed)
    )


def api_page(root: Path, page: str, modules: list[str], used: str) -> str:
    """The text of one API page."""
    parts = [f"# {page}\n", f"{used}\n"]
    for module in modules:
        parts += [f"## {module}\n"] * (module != page)
        parts.append(AUTOMODULE.format(module=module, options=options_of(root, module)))
    return "\n".join(parts)


def api_pages(layout: Layout) -> dict[str, str]:
    """The API pages, each listing the chapters that use it, and an index of all."""
    chapters, texts, rows = layout.chapters(), {}, []
    modules, users = page_modules(layout), users_of(layout)
    for page in modules:
        links = ", ".join(f"[{title_of(chapters[name])}](../{name}.md)" for name in users[page])
        used = f"Used in: {links}." if links else "Used by no chapter directly."
        texts[f"{page}.md"] = api_page(layout.root, page, modules[page], used)
        file = module_file(layout.root, page)
        rows.append(f"| [`{page}`]({page}.md) | {summary_of(file) if file else ''} | {links} |")
    head = f"# The library\n\nThe parts of `{layout.package}`, and the chapters that use each.\n"
    table = ["| part | what it holds | chapters |", "| --- | --- | --- |", *rows]
    return {"index.md": "\n".join([head, *table, ""])} | texts


def reference_results(layout: Layout) -> dict[str, Any]:
    """The committed reference records as numbers for the text.

    ``[source][variant][protocol][metric]`` is the mean over seeds; ``records`` says whence they are.
    """
    results: dict[str, Any] = {"records": {}}
    for source in sorted(p for p in (layout.root / "results" / "laptop").glob("*") if p.is_dir()):
        for variant in sorted(p for p in source.iterdir() if p.is_dir()):
            seeds = sorted(p.parent for p in variant.glob("seed*/run.json"))
            if seeds:
                metrics = [json.loads((seed / "metrics.json").read_text()) for seed in seeds]
                results.setdefault(source.name, {})[variant.name] = _mean_over_seeds(metrics)
                runs = [json.loads((seed / "run.json").read_text()) for seed in seeds]
                results["records"].setdefault(source.name, {})[variant.name] = _provenance(runs)
    return results


def _mean_over_seeds(metrics: list[dict]) -> dict[str, dict[str, float]]:
    """Mean of every metric; none of one that a seed has no number for (nothing to divide by)."""
    means: dict[str, dict[str, float]] = {}
    for protocol in metrics[0]:
        for metric in metrics[0][protocol]["mean"]:
            values = [seed[protocol]["mean"][metric] for seed in metrics if protocol in seed]
            if None not in values:
                means.setdefault(protocol, {})[metric] = statistics.fmean(values)
    return means


def _provenance(runs: list[dict]) -> str:
    """Seeds, commit, version and time of some records in a few words."""
    seeds = ", ".join(str(run["seed"]) for run in runs)
    commits = sorted({(run.get("commit") or "uncommitted")[:7] for run in runs})
    torch = sorted({run.get("versions", {}).get("torch", "?") for run in runs})
    minutes = sum(run.get("seconds", 0) for run in runs) / 60
    plural = "s" if len(runs) > 1 else ""
    return f"seed{plural} {seeds}; commit {', '.join(commits)}; torch {', '.join(torch)}; {minutes:.1f} min"


def banner(layout: Layout, data: bool) -> dict[str, str]:
    """What the banner of every chapter says."""
    frames = (
        "Real sample frames were at hand." if data else "No real data were at hand (MDEPTH_DATA was not set)."
    )
    return {"profile": layout.profile, "text": PROFILE_TEXT[layout.profile], "data": frames}


def generate(layout: Layout, data: bool) -> None:
    """Write all generated pages and files, and remove API pages of modules that are gone."""
    pages = api_pages(layout)
    for name, text in pages.items():
        write_changed(layout.book / "api" / name, text)
    for stale in {p.name for p in (layout.book / "api").glob("*.md")} - set(pages):
        (layout.book / "api" / stale).unlink()
    write_json(layout.book / "_generated" / "results.json", reference_results(layout))
    write_json(layout.book / "_generated" / "banner.json", banner(layout, data))
