"""Records in one archive, to carry them from the machine that trained to the one that writes the book."""

import gzip
import io
import os
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from mdepth import recipes, results
from mdepth.results import root
from mdepth.shapes import DataError

__all__ = ["pack", "unpack"]

LIMIT = 100_000_000
"""Bytes that the records of an archive may have together."""


def pack(path: Path | str, *, profile: str | None = None, source: str | None = None) -> list[str]:
    """Write records (without weights) into a ``.tar.gz`` and return their names; equal records give equal
    bytes.

    Args:
        path: the archive.
        profile, source: only these; all by default.

    Raises:
        DataError: a record is damaged, or there is none.
    """
    places = [
        place
        for place in sorted(root().glob("*/*/*/seed*"))
        if (place / results.FILES[0]).is_file() and _wanted(place, profile, source)
    ]
    if not places:
        raise DataError(
            f"{root()}: no records of profile {profile or 'any'}, source {source or 'any'}; run some first"
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for place in places:
            results.check(place)
            for name in results.FILES:
                _add(archive, place / name)
    _write(Path(path), gzip.compress(buffer.getvalue(), mtime=0))
    return [place.relative_to(root()).as_posix() for place in places]


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _wanted(place: Path, profile: str | None, source: str | None) -> bool:
    """Whether results/<profile>/<source>/<variant>/seed<k> is of this profile and source."""
    parts = place.relative_to(root()).parts
    return parts[0] == (profile or parts[0]) and parts[1] == (source or parts[1])


def _add(archive: tarfile.TarFile, path: Path) -> None:
    """Add one file without owner or time."""
    content = path.read_bytes()
    info = tarfile.TarInfo(path.relative_to(root()).as_posix())
    info.size, info.mode = len(content), 0o644
    archive.addfile(info, io.BytesIO(content))


def unpack(path: Path | str) -> list[str]:
    """Bring the records of an archive to their places and return their names.

    Every member must be a file of a record at profile/source/variant/seed<k>; every record is checked before
    the first one is replaced. Weights that lie beside a replaced record go with it, since they belong to the
    old one.

    Raises:
        DataError: the archive is damaged, holds anything else (a path that leads out of the folder, a link,
            another file), is too large, or a record in it is wrong. Nothing is changed then.
    """
    root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpack.", dir=root()) as temporary:
        folder = Path(temporary)
        names = sorted(_extract(Path(path), folder))
        for name in names:
            _check_record(folder, Path(path), name)
        for name in names:
            _replace(folder / name, root() / name, folder / "replaced" / name)
    return names


def _extract(path: Path, folder: Path) -> set[str]:
    """Write the archive's members below ``folder``; the set of record names."""
    names = set()
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = archive.getmembers()
            for member in members:
                _check_member(path, member)
            if sum(member.size for member in members) > LIMIT:
                raise DataError(f"{path}: expected at most {LIMIT} bytes of records; the archive holds more")
            for member in members:
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                target.write_bytes(source.read() if source else b"")
                names.add(PurePosixPath(member.name).parent.as_posix())
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, FileNotFoundError) as error:
        raise DataError(
            f"{path}: expected an archive made by mdepth.runs.pack, found none or a damaged one ({error})"
        ) from None
    return names


def _check_member(path: Path, member: tarfile.TarInfo) -> None:
    """Raise unless a member is an ordinary file of a record."""
    name = PurePosixPath(member.name)
    parts = name.parts
    ordinary = len(parts) == 5 and not name.is_absolute() and ".." not in parts and "\\" not in member.name
    known = (
        ordinary
        and parts[0] in recipes.PROFILES
        and parts[3].startswith("seed")
        and parts[4] in results.FILES
    )
    if not known or not member.isfile():
        raise DataError(
            f"{path}: member {member.name!r} is no file "
            f"profile/source/variant/seed<k>/{{{','.join(results.FILES)}}}; "
            "nothing was unpacked"
        )


def _check_record(folder: Path, path: Path, name: str) -> None:
    """Raise unless an extracted record is whole and lies where its own fields say."""
    try:
        results.check(folder / name)
    except DataError as error:
        inside = str(error).replace(f"{folder}/", "")
        raise DataError(f"{path}: {inside}; nothing was unpacked") from None
    about = results.read(folder / name).run
    own = f"{about['profile']}/{about['source']}/{about['variant']}/seed{about['seed']}"
    if own != name:
        raise DataError(f"{path}: the record at {name} says that it is {own}; nothing was unpacked")


def _replace(new: Path, place: Path, aside: Path) -> None:
    """Put a checked record where it belongs; the old one steps aside first, so that none is half there."""
    for folder in (place.parent, aside.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(aside)
    new.rename(place)
