"""What a push to main leaves on GitHub, and that every link to it and within it leads to something."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from pipeline_tools import ROOT, html, wheel_of

# ruff: isort: split
import check
import pages
import publish
from layout import Layout, PipelineError

__all__ = ["html"]
BOOK = Layout(ROOT)
MAIN = BOOK.config["repository"]["branch"]
NOTEBOOKS = BOOK.config["sphinx"]["config"]["notebooks_branch"]
OWNER = BOOK.repository.removeprefix("https://github.com/").split("/")[0]
COLAB = BOOK.repository.replace("https://github.com", "https://colab.research.google.com/github")
ADDRESS = re.compile(r"https?://[^\s\"'<>()\[\]\\{}`]*[^\s\"'<>()\[\]\\{}`.,;:]")
RELATIVE = re.compile(r"""\]\((?![a-z]+:)([^)\s]+)|<(?:a|img) [^>]*(?:href|src)="(?![a-z]+:)([^"]+)""")
ROLE = re.compile(r"\{[a-z:]+\}`[^`]+`")
slow = pytest.mark.slow
patient = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Published:
    """The files of each branch, the folder that holds those of the notebooks' branch, the book on Pages."""

    branches: dict[str, frozenset[str]]
    notebooks: Path
    html: Path

    def without(self, branch: str, path: str) -> "Published":
        """The same, one file missing."""
        return replace(self, branches=self.branches | {branch: self.branches[branch] - {path}})

    def is_dead(self, address: str) -> bool:
        """Whether an address of this project leads to nothing; those of others are taken on trust."""
        if not re.search(rf"\b{OWNER}[./]", address):
            return False
        book = publish.published_book(BOOK.repository)
        if address == book or address.startswith(f"{book}/"):
            path, _, anchor = address.removeprefix(book).partition("#")
            return self.is_dead_page(self.html / unquote(path).lstrip("/"), unquote(anchor))
        rest = address.replace(COLAB, BOOK.repository).removeprefix(BOOK.repository).split("#")[0]
        found = re.fullmatch(r"/(blob|edit|raw|tree)/([^/]+)/(.+)", rest)
        if not found:
            return not re.fullmatch(r"(\.git)?|/issues/new\?title=.+", rest)
        files, path = self.branches.get(found[2], frozenset()), unquote(found[3])
        return path not in files if found[1] != "tree" else not any(f.startswith(f"{path}/") for f in files)

    def is_dead_page(self, file: Path, anchor: str) -> bool:
        """Whether Pages serve no such file, or one without this anchor."""
        file = file / "index.html" if file.is_dir() else file
        return not file.is_file() or (bool(anchor) and anchor not in check.parsed(file).anchors)

    def dead_on_pages(self) -> Iterator[str]:
        """Every link of every page of the book that leads to nothing, with its page."""
        for path in sorted(set(self.html.rglob("*.html")) - set(self.html.rglob("_static/**/*.html"))):
            links = [link for link in check.parsed(path).links if self.is_dead(link)]
            for problem in (*links, *check.link_problems(path, self.html)):
                yield f"{path.relative_to(self.html)}: {problem}"

    def dead_in_notebooks(self) -> Iterator[str]:
        """Every link, address and reference in the notebooks and their page that leads to nothing."""
        for path in sorted(self.notebooks.glob("*.ipynb")):
            for cell in nbformat.read(path, as_version=4).cells:
                outputs = [output.get("data", {}) for output in cell.get("outputs", [])]
                shown = [text for data in outputs for kind, text in data.items() if kind.startswith("text/")]
                told = "markdown" if cell.cell_type == "markdown" else "code"
                for text, kind in ((cell.source, told), *((text, "html") for text in shown)):
                    yield from (f"{path.name}: {dead}" for dead in self.dead_in(text, kind))
        yield from (f"README.md: {dead}" for dead in self.dead_in((self.notebooks / "README.md").read_text()))

    def dead_in(self, text: str, kind: str = "markdown") -> Iterator[str]:
        """Every link, address and reference in a text that leads to nothing."""
        yield from filter(self.is_dead, ADDRESS.findall(text))
        text = publish.CODE.sub("", text)
        if kind != "code":
            links = ["".join(found) for found in RELATIVE.findall(text)]
            yield from (link for link in links if link not in self.branches[NOTEBOOKS])
        if kind == "markdown":
            yield from ROLE.findall(text)


@pytest.fixture(scope="module")
def published(html: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """What the workflow publishes of the book as it is built."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:  # real images change no link, and are refused below
        patch.setattr(publish, "check_no_real_data", lambda layout: None)
        publish.publish(BOOK, folder)
    shutil.copy(wheel_of(tmp_path_factory.mktemp("wheel")), folder)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    repository = frozenset(path for path in listed.splitlines() if (ROOT / path).is_file())
    branches = {MAIN: repository, NOTEBOOKS: frozenset(path.name for path in folder.iterdir())}
    return Published(branches, folder, html)


@slow
@patient
def test_every_link_leads_to_what_is_published(published: Published) -> None:
    assert list(published.dead_on_pages()) == []
    assert list(published.dead_in_notebooks()) == []


@slow
@patient
@pytest.mark.parametrize("name", BOOK.chapters())
def test_every_chapter_has_its_buttons_and_its_wheel(name: str, published: Published) -> None:
    page = published.html / "executed" / f"{name}.html"
    links = check.parsed(page).links
    assert f"{COLAB}/blob/{NOTEBOOKS}/{name}.ipynb" in links
    assert f"{BOOK.repository}/edit/{MAIN}/book/{name}.md" in links
    assert BOOK.repository in links
    (download,) = {link for link in links if link.endswith(".ipynb") and "/_sources/" in link}
    assert (page.parent / download).resolve() == published.html / "_sources" / "executed" / f"{name}.ipynb"
    for notebook in (page.parent / download, published.notebooks / f"{name}.ipynb"):
        first = nbformat.read(notebook, as_version=4).cells[0].source
        (wheel,) = ADDRESS.findall(first)
        assert wheel.endswith(".whl")
        assert f"%pip install --quiet {wheel}" in first
        assert not published.is_dead(wheel)


@slow
@patient
@pytest.mark.parametrize(
    ("branch", "lost", "page"),
    [
        (NOTEBOOKS, "metrics.ipynb", "executed/metrics.html"),
        (NOTEBOOKS, BOOK.wheel, "metrics.ipynb"),
        (MAIN, "book/metrics.md", "executed/metrics.html"),
        (MAIN, "mdepth/metrics.py", "api/mdepth.metrics.html"),
    ],
)
def test_what_is_not_published_is_noticed(published: Published, branch: str, lost: str, page: str) -> None:
    """The test of all links can fail."""
    incomplete = published.without(branch, lost)
    dead = [*incomplete.dead_on_pages(), *incomplete.dead_in_notebooks()]
    assert [problem for problem in dead if problem.startswith(f"{page}: ") and problem.endswith(f"/{lost}")]


def test_the_workflow_publishes_notebooks_and_wheel_together_and_the_html() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    steps = workflow["jobs"]["build"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    places = {step["uses"].split("@")[0]: step["with"]["path"] for step in steps if "upload" in str(step)}
    assert re.findall(r"ci/publish\.py (\S+)", commands) == [places["actions/upload-artifact"]]
    assert re.findall(r"pip wheel .*--wheel-dir (\S+) \.", commands) == [places["actions/upload-artifact"]]
    assert ROOT / places["actions/upload-pages-artifact"] == BOOK.html


def test_links_of_published_notebooks_are_made_for_their_place() -> None:
    code = "```python\ntell(f'{a}`b` [a](b.md)')\n```"
    text = "[a](metrics.md#x) [b](glossary.md#y) [c](https://x.org/a.md) {ref}`d <e>`\n" + code
    cells = [{"cell_type": "markdown", "source": [text]}]
    book = "https://o.github.io/n"
    (cell,) = publish.with_links({"cells": cells}, {"metrics"}, book, lambda match: match[3])["cells"]
    assert (
        cell["source"] == f"[a](metrics.ipynb) [b]({book}/glossary.html#y) [c](https://x.org/a.md) e\n{code}"
    )


@slow
@patient
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{ref}`here <sec-metrics>`", "[here]({book}/executed/metrics.html#sec-metrics)"),
        ("{term}`worlds <world>`", "[worlds]({book}/glossary.html#term-world)"),
        ("{term}`LiDAR`", "[LiDAR]({book}/glossary.html#term-LiDAR)"),
        ("{py:mod}`a <mdepth.metrics>`", "[a]({book}/api/mdepth.metrics.html#module-mdepth.metrics)"),
        ("{cite}`eigen2014, eigen2015`", "([Eigen et al., 2014]({book}/references.html); "
                                         "[Eigen and Fergus, 2015]({book}/references.html))"),
        ("{cite:t}`hu2019revisiting`", "[Hu et al. (2019)]({book}/references.html)"),
    ],
)  # fmt: skip
def test_references_of_published_notebooks_lead_into_the_book(html: Path, text: str, told: str) -> None:
    link = publish.references(BOOK)
    assert publish.ROLE.sub(link, text) == told.format(book=publish.published_book(BOOK.repository))
    with pytest.raises(PipelineError, match="no link can be made"):
        publish.ROLE.sub(link, "{ref}`nowhere`")


def test_chapters_with_real_images_are_not_published(tmp_path: Path) -> None:
    generated = tmp_path / "book" / "_generated"
    generated.mkdir(parents=True)
    for real in (False, True):
        (generated / "banner.json").write_text(json.dumps(pages.banner(BOOK, real)))
        if not real:
            publish.check_no_real_data(Layout(tmp_path))
    with pytest.raises(PipelineError, match="executed with real data"):
        publish.check_no_real_data(Layout(tmp_path))
