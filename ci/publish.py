"""Gather the executed notebooks as their branch holds them: at the top, with links that work there.

``python ci/publish.py FOLDER`` after a build. Only Sphinx understands ``{ref}`the data page <sec-data>```, so
each such reference becomes a link to its place in the published book. A link to another chapter leads to its
notebook, one to a plain page to the published book.
"""

import json
import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path

from layout import Layout, PipelineError, write_changed

LINK = re.compile(r"\]\((?![a-z]+:|#|/)([\w-]+)\.(?:md|ipynb)(#[^)]*)?\)")
CODE = re.compile(r"(^```\w.*?^```$)", re.DOTALL | re.MULTILINE)
ROLE = re.compile(r"\{([a-z:]+)\}`(?:([^`<]+?)\s*<([^`>]+)>|([^`]+))`")
KINDS = {
    "ref": "std:label",
    "term": "std:term",
    "py:mod": "py:module",
    "py:func": "py:function",
    "py:class": "py:class",
}


def published_book(repository: str) -> str:
    """The address of the book that Pages serves for a repository."""
    owner, name = repository.removeprefix("https://github.com/").split("/")
    return f"https://{owner}.github.io/{name}"


def cited(entry, role: str) -> str:
    """How the text names a work: (authors, year), or for ``cite:t`` authors (year)."""
    names = [" ".join(map(str, person.rich_last_names)) for person in entry.persons["author"]]
    authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{authors} ({entry.fields['year']})" if role == "cite:t" else f"{authors}, {entry.fields['year']}"


def references(layout: Layout) -> Callable[[re.Match], str]:
    """What turns a match of ROLE into a link to the published book, by the places that the build wrote down.

    Raises:
        PipelineError: from the result, for a role that is none of KINDS and no citation.
    """
    from pybtex.database import parse_file
    from sphinx.util.inventory import InventoryFile

    book = published_book(layout.repository)
    with (layout.html / "objects.inv").open("rb") as file:
        loaded = InventoryFile.load(file, book, posixpath.join)
    places = {kind: {name.lower(): place for name, place in found.items()} for kind, found in loaded.items()}
    works = [parse_file(layout.book / name) for name in layout.config.get("bibtex_bibfiles", [])]

    def link(match: re.Match) -> str:
        role, text, target = match[1], match[2], match[3] or match[4]
        if role in ("cite", "cite:t"):
            keys = [key.strip() for key in target.split(",")]
            entries = [bib.entries[key] for key in keys for bib in works if key in bib.entries]
            links = "; ".join(f"[{cited(entry, role)}]({book}/references.html)" for entry in entries)
            return links if role == "cite:t" else f"({links})"
        place = places.get(KINDS.get(role, ""), {}).get(target.lower())
        if place is None:
            raise PipelineError(f"{match[0]}: no link can be made of this in a published notebook")
        return f"[{text or (target if place[3] == '-' else place[3])}]({place[2]})"

    return link


def with_links(notebook: dict, chapters: set[str], book: str, reference: Callable[[re.Match], str]) -> dict:
    """A notebook whose links to pages of the book work where it is published."""

    def link(match: re.Match) -> str:
        name, anchor = match[1], match[2] or ""
        return f"]({name}.ipynb)" if name in chapters else f"]({book}/{name}.html{anchor})"

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            parts = CODE.split("".join(cell["source"]))
            parts[::2] = [ROLE.sub(reference, LINK.sub(link, text)) for text in parts[::2]]
            cell["source"] = "".join(parts)
    return notebook


def check_no_real_data(layout: Layout) -> None:
    """Refuse chapters that were executed with other people's images: they are not ours to publish."""
    banner = json.loads((layout.book / "_generated" / "banner.json").read_text())
    if banner["data"].startswith("Real"):
        raise PipelineError("the chapters were executed with real data; build without MDEPTH_DATA to publish")


def publish(layout: Layout, folder: Path) -> None:
    """Write all notebooks and a page that says what they are; the wheel they install goes beside them.

    Raises:
        PipelineError: the chapters were executed with real data, or hold a reference that cannot be a link.
    """
    check_no_real_data(layout)
    chapters, book, reference = set(layout.chapters()), published_book(layout.repository), references(layout)
    for name in sorted(chapters):
        text = (layout.book / "executed" / f"{name}.ipynb").read_text()
        text = json.dumps(
            with_links(json.loads(text), chapters, book, reference), indent=1, ensure_ascii=False
        )
        write_changed(folder / f"{name}.ipynb", text + "\n")
    write_changed(
        folder / "README.md",
        f"The executed notebooks of [{layout.package}]({layout.repository}): [the book]({book}/).\n",
    )


if __name__ == "__main__":
    publish(Layout(Path.cwd()), Path(sys.argv[1]))
