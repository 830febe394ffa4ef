"""Where everything lies: the one place that knows the folders of a book, given the root of its repository."""

import hashlib
import json
import os
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

CI = Path(__file__).resolve().parent
PROFILES = ("quick", "laptop", "full")
SLOW_TO_IMPORT = "rfc3987_syntax"
"""A parser of international addresses, which jsonschema takes along where it is installed: more than a second
in every process that reads a notebook, for a kind of text that no schema of ours holds.
"""
sys.modules.setdefault(SLOW_TO_IMPORT, None)  # it counts as not installed


class PipelineError(Exception):
    """Something that the person who builds the book can mend; shown without a traceback."""


@dataclass(frozen=True)
class Layout:
    """The folders of one book, and of one profile of it.

    Everything the build remembers lies in ``.mdepth/<profile>``; the notebooks and the HTML of the profile
    built last are placed at ``book/executed`` and ``_build/html``.
    """

    root: Path
    profile: str = "quick"

    @property
    def book(self) -> Path:
        return self.root / "book"

    @property
    def state(self) -> Path:
        return self.root / ".mdepth" / self.profile

    @property
    def html(self) -> Path:
        return self.root / "_build" / "html"

    @cached_property
    def project(self) -> dict[str, Any]:
        """The ``[project]`` table of pyproject.toml."""
        path = self.root / "pyproject.toml"
        if not path.is_file() or not (self.root / "_config.yml").is_file():
            raise PipelineError(
                f"{self.root} is not a repository with a book: pyproject.toml or _config.yml is missing"
            )
        return tomllib.loads(path.read_text())["project"]

    @property
    def package(self) -> str:
        return self.project["name"]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The book's ``_config.yml``."""
        return yaml.safe_load((self.root / "_config.yml").read_text())

    @property
    def repository(self) -> str:
        """The address of the repository, the only place where it is written."""
        return self.config["repository"]["url"].rstrip("/")

    @property
    def wheel(self) -> str:
        """The file name of this version's wheel."""
        return f"{self.package}-{self.project['version']}-py3-none-any.whl"

    @property
    def wheel_url(self) -> str:
        """Where the wheel lies that belongs to the published notebooks: beside them, on their branch."""
        branch = self.config["sphinx"]["config"].get("notebooks_branch", "notebooks")
        return f"{self.repository}/raw/{branch}/{self.wheel}"

    def pages(self) -> list[str]:
        """The pages that the table of contents names, in order; generated ones (globs) left out."""

        def walk(entries: list[dict]) -> list[str]:
            found = []
            for entry in entries:
                found += [entry["file"]] if "file" in entry else []
                found += walk(entry.get("sections", []) + entry.get("chapters", []))
            return found

        toc = yaml.safe_load((self.book / "_toc.yml").read_text())
        return [toc["root"], *walk(toc.get("parts", []) + toc.get("chapters", []))]

    def chapters(self) -> dict[str, Path]:
        """The executed pages: name -> source."""
        names = [page.removeprefix("executed/") for page in self.pages() if page.startswith("executed/")]
        return {name: self.book / f"{name}.md" for name in names}

    def environment(self) -> dict[str, str]:
        """The variables of every process the build starts: this checkout first, one thread, nothing that
        varies.
        """
        path = os.pathsep.join(filter(None, [str(self.root), os.environ.get("PYTHONPATH", "")]))
        return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}


def digest(*parts: bytes | str | Path) -> str:
    """A sha256 over texts, bytes and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        content = (
            part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        )
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()


def digest_tree(folder: Path, skip: tuple[str, ...] = ("__pycache__",)) -> str:
    """A sha256 over the names and contents of all files below a folder; an absent folder has one too."""
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and not set(skip) & set(p.relative_to(folder).parts)
    )
    return digest(*(part for p in files for part in (p.relative_to(folder).as_posix(), p)))


def write_changed(path: Path, content: str | bytes) -> bool:
    """Write a file whole or not at all, and only if its content changes, so that its time means something."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(path)
    return True


def write_json(path: Path, value: Any) -> bool:
    """`write_changed` of a value as readable JSON."""
    return write_changed(path, json.dumps(value, indent=1, sort_keys=True) + "\n")
