"""Write down what this build depends on, each file only if its content changes: the input of the Snakefile.

``plan.json``      the sources with runs to make, the chapters, the sources each chapter names
``plan/S.json``    what the runs of source S mean (their identities without the machine)
``inputs/C.json``  what chapter C depends on besides the records made by this build
``site.json``      what the HTML depends on besides the executed notebooks

What was built before and no longer stands as it was left (a record removed by hand, another profile's HTML)
is forgotten here, so that it is made again. ``python ci/prepare.py --root . --profile quick --data ""``.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from chapters import inputs_of, versions
from layout import CI, Layout, PipelineError, digest, digest_tree, write_json

WEIGHTS = ("weights.safetensors", "checkpoint.pt")
SITE_SCRIPTS = ("render", "pages", "check")


def record_digests(layout: Layout, source: str) -> dict[str, str]:
    """The content of each record that the profile plans for a source."""
    runs = importlib.import_module(f"{layout.package}.runs")
    folders = [Path(runs.folder(run)) for run in runs.plan(layout.profile, source)]
    return {"/".join(folder.parts[-2:]): digest_tree(folder, WEIGHTS) for folder in folders}


def plan_runs(layout: Layout) -> list[str]:
    """Write what the runs of this profile mean, source by source; returns the sources."""
    runs = importlib.import_module(f"{layout.package}.runs")
    planned: dict[str, list[str]] = {}
    for run in runs.plan(layout.profile):
        planned.setdefault(run.source, []).append(run.meaning)
    for source, meanings in planned.items():
        write_json(layout.state / "plan" / f"{source}.json", meanings)
        made = layout.state / "records" / f"{source}.json"
        if made.is_file() and json.loads(made.read_text()) != record_digests(layout, source):
            made.unlink()
    return sorted(planned)


def plan_chapters(layout: Layout, sources: list[str], data_dir: str) -> dict[str, list[str]]:
    """Write what each chapter depends on; returns the sources that each names."""
    recorded = {p.name for p in (layout.root / "results" / "laptop").glob("*") if p.is_dir()}
    known, installed = sorted(recorded | set(sources)), versions(layout)
    named = {}
    for name, path in layout.chapters().items():
        inputs = inputs_of(layout, name, path, known, data_dir)
        write_json(layout.state / "inputs" / f"{name}.json", inputs | {"versions": installed})
        named[name] = inputs["sources"]
    return named


def site_inputs(layout: Layout, data_dir: str) -> dict[str, str]:
    """What the HTML depends on besides the executed notebooks."""
    lock = layout.root / "requirements.lock"
    return {
        "book": digest_tree(
            layout.book,
            ("__pycache__", "executed", "_generated", "api", ".ipynb_checkpoints", "plotly.min.js"),
        ),
        "config": digest(layout.root / "_config.yml", layout.root / "pyproject.toml"),
        "package": digest_tree(layout.root / layout.package),
        "records": digest_tree(layout.root / "results" / "laptop", WEIGHTS),
        "reported": digest_tree(layout.root / "data" / "reported"),
        "scripts": digest(*(CI / f"{name}.py" for name in SITE_SCRIPTS)),
        "tools": digest(lock) if lock.is_file() else "",
        "data": str(bool(data_dir)),
    }


def forget_lost_html(layout: Layout) -> None:
    """Build the HTML again if it is not the one this profile left."""
    book, built = layout.state / "book.json", layout.html / "build.json"
    wanted = json.loads(book.read_text())["site"] if book.is_file() else None
    if wanted and (not built.is_file() or json.loads(built.read_text()).get("site") != wanted):
        book.unlink()


def prepare(layout: Layout, data_dir: str) -> None:
    """Write all of it."""
    sys.path.insert(0, str(layout.root))
    sources = plan_runs(layout)
    write_json(
        layout.state / "plan.json", {"sources": sources, "chapters": plan_chapters(layout, sources, data_dir)}
    )
    write_json(layout.state / "site.json", site_inputs(layout, data_dir))
    forget_lost_html(layout)


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("root", "profile", "data"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    try:
        prepare(Layout(Path(options.root), options.profile), options.data)
    except (PipelineError, ValueError) as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
