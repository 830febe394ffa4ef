"""Gather the executed notebooks as their branch holds them: at the top, with links that work there.

``python ci/publish.py FOLDER`` after a build. A link to another chapter leads to its notebook, one to a
plain page to the published book.
"""

import json
import re
import sys
from pathlib import Path

from layout import Layout, PipelineError, write_changed

LINK = re.compile(r"\]\((?![a-z]+:|#|/)([\w-]+)\.(?:md|ipynb)(#[^)]*)?\)")


def published_book(repository: str) -> str:
    """The address of the book that Pages serves for a repository."""
    owner, name = repository.removeprefix("https://github.com/").split("/")
    return f"https://{owner}.github.io/{name}"


def with_links(notebook: dict, chapters: set[str], book: str) -> dict:
    """A notebook whose links to pages of the book work where it is published."""

    def link(match: re.Match) -> str:
        name, anchor = match[1], match[2] or ""
        return f"]({name}.ipynb)" if name in chapters else f"]({book}/{name}.html{anchor})"

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(link, "".join(cell["source"]))
    return notebook


def check_no_real_data(layout: Layout) -> None:
    """Refuse chapters that were executed with other people's images: they are not ours to publish."""
    banner = json.loads((layout.book / "_generated" / "banner.json").read_text())
    if banner["data"].startswith("Real"):
        raise PipelineError("the chapters were executed with real data; build without MDEPTH_DATA to publish")


def publish(layout: Layout, folder: Path) -> None:
    """Write all notebooks and a page that says what they are; the wheel they install goes beside them.

    Raises:
        PipelineError: the chapters were executed with real data.
    """
    check_no_real_data(layout)
    chapters, book = set(layout.chapters()), published_book(layout.repository)
    for name in sorted(chapters):
        text = (layout.book / "executed" / f"{name}.ipynb").read_text()
        text = json.dumps(with_links(json.loads(text), chapters, book), indent=1, ensure_ascii=False)
        write_changed(folder / f"{name}.ipynb", text + "\n")
    write_changed(
        folder / "README.md",
        f"The executed notebooks of [{layout.package}]({layout.repository}): [the book]({book}/).\n",
    )


if __name__ == "__main__":
    publish(Layout(Path.cwd()), Path(sys.argv[1]))
