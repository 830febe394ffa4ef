"""Render and check the HTML of a book, then put it in place as a whole.

``python ci/render.py --root . --profile quick --data ""``; called by the Snakefile when all notebooks stand.
What fails leaves the HTML of before in place and says where the failing pages are.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from check import problems
from layout import SLOW_TO_IMPORT, Layout, PipelineError, digest, write_changed, write_json
from pages import generate

HEADING = r"Running Jupyter-Book|Source Folder:|Config Path:|Output Path:|=====|Building your book, returns"

JUPYTER_BOOK = (
    f"import sys; sys.modules[{SLOW_TO_IMPORT!r}] = None; from jupyter_book.cli.main import main; main()"
)


def place_notebooks(layout: Layout) -> None:
    """Make book/executed hold exactly this profile's notebooks."""
    for name in layout.chapters():
        write_changed(
            layout.book / "executed" / f"{name}.ipynb",
            (layout.state / "executed" / f"{name}.ipynb").read_bytes(),
        )
    for path in (layout.book / "executed").glob("*.ipynb"):
        if path.stem not in layout.chapters():
            path.unlink()


def place_plotly(layout: Layout) -> None:
    """Copy the script of interactive figures from the installed package into the book's assets."""
    import plotly

    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    write_changed(layout.book / "assets" / "vendor" / "plotly.min.js", script.read_bytes())


def check_config(layout: Layout) -> None:
    """Refuse settings that Jupyter Book would ignore silently or with a remark in orange."""
    from jsonschema import ValidationError
    from jupyter_book.config import get_validator, validate_yaml

    if unknown := sorted(unknown_keys(layout.config, get_validator().schema) - {"only_build_toc_files"}):
        raise PipelineError(f"_config.yml: Jupyter Book knows no {', '.join(unknown)}")
    try:
        validate_yaml(layout.config, raise_on_errors=True)
    except ValidationError as error:
        raise PipelineError(f"_config.yml: {error.message}") from None


def unknown_keys(config: dict, schema: dict, above: str = "") -> set[str]:
    """The keys of a configuration that its schema does not list, where it lists any."""
    known, found = schema.get("properties", {}), set()
    for key, value in config.items() if known else ():
        if key not in known:
            found.add(above + key)
        elif isinstance(value, dict):
            found |= unknown_keys(value, known[key], f"{above}{key}.")
    return found


def sphinx(layout: Layout, output: Path) -> Path:
    """Render with every warning an error; returns the folder of the HTML."""
    shutil.rmtree(output, ignore_errors=True)
    command = [
        sys.executable,
        "-c",
        JUPYTER_BOOK,
        "build",
        "book",
        "-W",
        "-n",
        "--keep-going",
        "-q",
    ]
    done = subprocess.run([*command, "--path-output", str(output)], cwd=layout.root,
    env=layout.environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    if done.returncode:
        raise PipelineError(f"The text has warnings, and warnings are errors:\n{_warnings(done.stdout)}")
    return output / "_build" / "html"


def name_icon(html: Path) -> None:
    """Give the first page, a bare redirect, the icon of the others: a browser asks for one of its own accord
    where a page names none.
    """
    page, icons = html / "index.html", sorted((html / "_static").glob("favicon.*"))
    text = page.read_text()
    if icons and 'rel="icon"' not in text:
        page.write_text(f'<link rel="icon" href="_static/{icons[0].name}" />\n{text}')


def _warnings(text: str) -> str:
    """What jupyter-book found wrong, without its colours, its headings and the traceback it ends with."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text.split("Traceback (most recent call last)")[0])
    return "\n".join(line for line in text.splitlines() if line and not re.match(HEADING, line))


def build_facts(layout: Layout, seconds: float, site: str) -> dict:
    """What changes at every build: shown by a script, never part of a page."""
    timings = sorted((layout.state / "timings").glob("*.json"))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=layout.root, capture_output=True, text=True
    )
    return {
        "site": site,
        "profile": layout.profile,
        "built": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit.stdout.strip() or None,
        "render_seconds": round(seconds, 1),
        "python": platform.python_version(),
        "torch": version("torch"),
        "system": f"{platform.system()} {platform.machine()}",
        "chapters": {
            path.stem: json.loads(path.read_text()) for path in timings if path.stem in layout.chapters()
        },
    }


def put_in_place(layout: Layout, html: Path, facts: dict) -> None:
    """Replace the HTML of before by two renames; the facts of this build travel beside it."""
    write_json(html / "build.json", facts)
    write_changed(html / "build-data.js", f"window.mdepthBuild = {json.dumps(facts, sort_keys=True)};\n")
    old = layout.html.with_name("html.old")
    shutil.rmtree(old, ignore_errors=True)
    layout.html.parent.mkdir(exist_ok=True)
    if layout.html.exists():
        layout.html.rename(old)
    html.rename(layout.html)
    shutil.rmtree(old, ignore_errors=True)


def render(layout: Layout, data: bool) -> None:
    """Generate, render, check, put in place."""
    started = time.monotonic()
    print(f"  rendering {len(layout.pages())} pages and the API", flush=True)
    check_config(layout)
    place_notebooks(layout)
    place_plotly(layout)
    generate(layout, data)
    html = sphinx(layout, layout.state / "render")
    name_icon(html)
    if found := problems(html, (str(layout.root), str(Path.home()) + "/")):
        listed = "\n".join(found[:100])
        raise PipelineError(f"{len(found)} problems in the rendered pages (see {html}):\n{listed}")
    notebooks = [layout.state / "executed" / f"{name}.ipynb" for name in layout.chapters()]
    site = digest(layout.state / "site.json", *notebooks)
    put_in_place(layout, html, build_facts(layout, time.monotonic() - started, site))
    write_json(layout.state / "book.json", {"site": site})


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("root", "profile", "data"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    try:
        render(Layout(Path(options.root), options.profile), bool(options.data))
    except PipelineError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
