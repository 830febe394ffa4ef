"""Check built HTML: links and anchors, alt texts, nothing from elsewhere, no folder of this machine.

``python ci/check.py [FOLDER]``; with a second folder the two are also compared byte by byte, all files
except what changes at every build by intention.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHANGING = {"build.json", "build-data.js"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
ADDRESS = re.compile(r"[^<>]{,40}\bat 0x[0-9a-f]{6,}\b")
CSS_URL = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])((?:https?:)?//[^'")\s]+)""")


@dataclass
class Page(HTMLParser):
    """What one page refers to."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str | None]] = field(default_factory=list)
    unnamed_figures: int = 0
    open: list[tuple[str, dict]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        if tag not in VOID:
            self.open.append((tag, at))
        self.anchors |= {value for key in ("id", "name") if (value := at.get(key))}
        if tag == "a" and at.get("href") is not None:
            self.links.append(at["href"] or "")
        if at.get(LOADING.get(tag, "-")):
            self.loads.append(at[LOADING[tag]] or "")
        if tag == "link" and not {"canonical", "alternate"} & set((at.get("rel") or "").split()):
            self.loads.append(at.get("href") or "")
        in_article = any(name == "article" for name, _ in self.open)
        if tag == "img" and in_article:
            self.pictures.append((at.get("src") or "", at.get("alt")))
        if "plotly-graph-div" in (at.get("class") or "") and not any(
            a.get("aria-label") for _, a in self.open
        ):
            self.unnamed_figures += 1

    def handle_endtag(self, tag: str) -> None:
        names = [name for name, _ in self.open]
        if tag in names:
            del self.open[len(names) - 1 - names[::-1].index(tag) :]


@cache
def parsed(path: Path) -> Page:
    """The parsed page of a file."""
    page = Page()
    page.feed(path.read_text())
    return page


def link_problems(path: Path, root: Path) -> Iterator[str]:
    """Links and loaded files of a page that lead nowhere."""
    page = parsed(path)
    for link in (*page.links, *page.loads):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link in ("", "#"):
            continue
        target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file() or root not in target.parents:
            if target.name not in CHANGING:
                yield f"{link!r} leads to no file"
        elif parts.fragment and target.suffix == ".html" and not _has_anchor(target, parts.fragment):
            yield f"{link!r} leads to no anchor"


def _has_anchor(path: Path, fragment: str) -> bool:
    return unquote(fragment) in parsed(path).anchors


def page_problems(path: Path, root: Path, forbidden: tuple[str, ...] = ()) -> Iterator[str]:
    """Everything wrong with one page."""
    page, text = parsed(path), path.read_text()
    yield from link_problems(path, root)
    yield from (f"loads {load!r} from elsewhere" for load in page.loads if re.match(r"(https?:)?//", load))
    for source, alt in page.pictures:
        if not (alt or "").strip() or Path(alt or "").name == Path(source).name:
            yield f"picture {source!r} has no alt text (in a code cell: mystnb: image: alt)"
    if page.unnamed_figures:
        yield f"{page.unnamed_figures} interactive figures have no alt text (mystnb: image: alt)"
    yield from (f"shows a memory address ({found[0]!r})" for found in ADDRESS.finditer(text))
    yield from (f"names a folder of this machine ({folder})" for folder in forbidden if folder in text)


def problems(root: Path, forbidden: tuple[str, ...] = ()) -> list[str]:
    """Everything wrong with a folder of HTML."""
    root = root.resolve()
    parsed.cache_clear()
    found = []
    for path in sorted(root.rglob("*.html")):
        if "_static" not in path.relative_to(root).parts:
            found += [(path, problem) for problem in page_problems(path, root, forbidden)]
    for path in sorted(root.rglob("*.css")):
        found += [(path, f"loads {url!r} from elsewhere") for url in CSS_URL.findall(path.read_text())]
    return [f"{path.relative_to(root)}: {problem}" for path, problem in found]


def differences(one: Path, other: Path) -> list[str]:
    """The files that differ between two folders, those left out that change at every build."""
    names = {
        p.relative_to(f).as_posix()
        for f in (one, other)
        for p in f.rglob("*")
        if p.is_file() and p.name not in CHANGING
    }
    return sorted(name for name in names if _content(one / name) != _content(other / name))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:]] or [Path("_build/html")]
    found = problems(folders[0], (str(Path.home()),))
    if len(folders) == 2:
        found += [f"{name}: differs" for name in differences(*folders)]
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
