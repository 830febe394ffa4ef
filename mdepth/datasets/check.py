"""What a folder of real data holds, what is missing, where to get it, under which terms: the engine of
``mdepth data check``."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdepth.datasets.files import walk
from mdepth.datasets.sources import SOURCES, Source, open_source
from mdepth.shapes import DataError

__all__ = ["Found", "Inventory", "find", "report", "to_text"]

_DEPTH = 8  # folders below the root that are searched
# KITTI's folders of thousands of files; nothing is recognised by what they hold.
_CLOSED = re.compile(r"(^|/)((image_0\d|velodyne_points|oxts)/data|oxts)$")


@dataclass(frozen=True)
class Found:
    """A place where a data set lies; ``files`` counts the files by which it was recognised."""

    key: str
    path: Path
    files: int


@dataclass(frozen=True)
class Inventory:
    """What ``find`` found under a root."""

    root: Path
    found: tuple[Found, ...]

    def paths(self, key: str) -> list[Path]:
        """The places of a data set, for example ``paths("kitti/raw")``; empty when there is none."""
        return [item.path for item in self.found if item.key == key]

    def has(self, key: str) -> bool:
        """Whether a data set is there."""
        return bool(self.paths(key))

    @property
    def missing(self) -> list[str]:
        """The keys of the data sets that are not there."""
        return [source.key for source in SOURCES if not self.has(source.key)]

    def path(self, key: str) -> Path:
        """The first place of a data set.

        Raises:
            DataError: it is not there; says where to get it.
        """
        places = self.paths(key)
        if not places:
            source = next((s for s in SOURCES if s.key == key), None)
            hint = (
                f"get it from {source.where} ({source.terms})"
                if source
                else f"known are {[s.key for s in SOURCES]}"
            )
            raise DataError(f"{self.root}: holds no {key}; {hint}")
        return places[0]

    def open(self, key: str, **options: Any) -> Any:
        """The data set at its first place, with the loader's ``options``.

        Raises:
            DataError: it is not there, or the loader finds something wrong.
            ValueError: it does not open by its place alone.
        """
        return open_source(key, self.path(key), **options)


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below the root, as a path with "/" relative to it, and its file names."""
    for folder, subfolders, names in walk(root):
        relative = folder.relative_to(root)
        subfolders[:] = [name for name in subfolders if not _CLOSED.search((relative / name).as_posix())]
        if len(relative.parts) >= _DEPTH:
            subfolders.clear()
        yield relative.as_posix(), sorted(names)


def _is_below(source: Source, folder: str) -> bool:
    """Whether the first part of a path is the source's."""
    return folder.split("/")[0] in source.part.strip("()").split("|")


def find(root: Path | str) -> Inventory:
    """Walk a data folder and recognise what it holds by file names; no file is opened.

    The folder has parts ``nyu/ kitti/ rgbd/ make3d/ stereo/ mono/ splits/``, each with any number of
    subfolders.

    Raises:
        DataError: the root is not a folder.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "nyu").mkdir()
        >>> (root / "nyu" / "nyu_depth_v2_labeled.mat").touch()
        >>> find(root).found[0].key
        'nyu/labelled'
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DataError(
            f"{root}: is not a folder; MDEPTH_DATA must name one with nyu/, kitti/, rgbd/, ... "
            "(data/README.md)"
        )
    counts: dict[tuple[str, Path], int] = {}
    for folder, names in _folders(root):
        for source in SOURCES:
            number = source.matches(folder, names) if _is_below(source, folder) else 0
            if number:
                place = root / folder
                for _ in range(source.climb):
                    place = place.parent
                counts[source.key, place] = counts.get((source.key, place), 0) + number
    order = [source.key for source in SOURCES]
    found = [Found(key, place, number) for (key, place), number in counts.items()]
    return Inventory(root, tuple(sorted(found, key=lambda f: (order.index(f.key), f.path))))


def report(root: Path | str) -> dict[str, Any]:
    """What was found and what is missing, with source, terms, size, loader and traps; JSON-able.

    Raises:
        DataError: the root is not a folder.
    """
    inventory = find(root)
    about = {source.key: asdict(source) for source in SOURCES}
    public = ("title", "where", "terms", "size", "loader", "trap")

    def entry(key: str) -> dict[str, Any]:
        return {"key": key, **{name: about[key][name] for name in public}}

    found = [
        {**entry(item.key), "path": item.path.relative_to(inventory.root).as_posix(), "files": item.files}
        for item in inventory.found
    ]
    return {"root": str(inventory.root), "found": found, "missing": [entry(key) for key in inventory.missing]}


def to_text(content: dict[str, Any]) -> str:
    """A report for reading in a terminal."""
    lines = [f"{content['root']}", "", "found:" if content["found"] else "found: nothing"]
    for item in content["found"]:
        lines.append(
            f"  {item['key']:22s} {item['path']}  ({item['files']} files; {item['loader']}; terms: "
            f"{item['terms']})"
        )
        if item["trap"]:
            lines.append(f"  {'':22s} beware: {item['trap']}")
    lines += ["", "not here:" if content["missing"] else "not here: nothing is missing"]
    for item in content["missing"]:
        size = f", {item['size']}" if item["size"] else ""
        lines.append(f"  {item['key']:22s} {item['title']}{size}: {item['where']} (terms: {item['terms']})")
    return "\n".join(lines)
