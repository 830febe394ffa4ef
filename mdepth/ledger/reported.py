"""Read ``data/reported/<source>.yaml``: strictly, with messages that name file, table, row and column.

The files are written by hand, so the loader assumes mistakes: an unknown key, a key twice, a number without
quotes (its digits would be lost), a cell too many, a "verified" table with a recalled number in it are all
refused.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mdepth.ledger.schema import (
    COLUMNS,
    DATA,
    EMPTY,
    ID,
    METHODS,
    NUMBER,
    ORIGINS,
    VERIFIED,
    Cell,
    Column,
    Figure,
    Line,
    Paper,
    Source,
    Table,
)  # fmt: skip
from mdepth.shapes import DataError

__all__ = ["cell", "folder", "load", "load_all", "read", "sources"]

STATUS = ("verified", "unverified", "not available")
KEYS = {
    "source": ({"source", "title", "papers", "tables"}, {"figures"}),
    "paper": ({"citation", "year", "title"}, {"note", "code", "licence"}),
    "table": ({"paper", "where", "caption", "status"},
              {"page", "protocol", "data", "origin", "why", "pending", "columns", "rows", "images"}),
    "row": ({"title", "method", "cells"},
            {"run", "protocol", "world", "baseline", "cannot", "origin", "note"}),
    "cell": ({"value"}, {"origin", "note"}),
    "figure": ({"paper", "label", "shows"}, {"origin", "cannot"}),
    "column": ({"id", "title"}, {"unit", "better", "kind"}),
}  # fmt: skip


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without surprises: a key that stands twice is an error, not the last one winning."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise DataError(f"line {node.start_mark.line + 1}: {', '.join(twice)} stands twice; delete one")
        return super().construct_mapping(node, deep)


def folder() -> Path:
    """The folder of the reported numbers: the repository's ``data/reported``, or the copy inside an installed
    wheel.

    Edge cases: ``$MDEPTH_REPORTED`` names another one. Errors: :class:`~mdepth.shapes.DataError` where there
    is none.
    """
    package = Path(__file__).resolve().parents[1]
    places = [package.parent / "data" / "reported", package / "reported"]
    if named := os.environ.get("MDEPTH_REPORTED"):
        places = [Path(named)]
    for place in places:
        if place.is_dir():
            return place
    raise DataError(
        f"no folder of reported numbers: looked at {', '.join(map(str, places))}; set MDEPTH_REPORTED"
    )


def sources() -> tuple[str, ...]:
    """The sources that have a file of reported numbers, in the order of their first paper.

    Example:
        >>> sources()
        ('eigen', 'laina', 'transfer', 'monodepth2', 'hu')
    """
    found = {path.stem: load(path.stem) for path in sorted(folder().glob("*.yaml"))}
    order = ("eigen", "laina", "transfer", "monodepth2", "hu")
    return tuple(sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name)))


def load(source: str) -> Source:
    """The reported numbers of one source, e.g. ``load("eigen").tables["table1"]``.

    Errors: :class:`~mdepth.shapes.DataError` naming file, table, row and column.

    Example:
        >>> load("eigen").cells["eigen.table1.coarse.abs_rel"].printed
        '.228'
    """
    path = folder() / f"{source}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder().glob("*.yaml")))
        raise DataError(f"no reported numbers for source {source!r}; there are: {known}")
    return _cached(path, path.stat().st_mtime_ns)


def load_all() -> dict[str, Source]:
    """All sources by name."""
    return {name: load(name) for name in sources()}


def cell(identity: str) -> Cell:
    """One reported number by its id.

    Example:
        >>> cell("eigen.table2.coarse.rmse").value
        7.216
    """
    cells = load(identity.partition(".")[0]).cells
    if identity not in cells:
        table = identity.rpartition(".")[0].rpartition(".")[0]
        near = [name for name in cells if name.startswith(f"{table}.")][:5]
        raise DataError(f"no reported number {identity!r}; near it: {', '.join(near) or 'nothing'}")
    return cells[identity]


@lru_cache(maxsize=32)
def _cached(path: Path, changed: int) -> Source:
    return read(path)


def read(path: Path) -> Source:
    """Read and check one file; the source's name must be the file's.

    Errors: :class:`~mdepth.shapes.DataError` naming file, table, row and column, what was expected and what
    came.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        return _source(content, path.stem)
    except yaml.YAMLError as error:
        raise DataError(f"{path.name}: not YAML: {error}") from error
    except ValueError as error:
        raise DataError(f"{path.name}: {error}") from error


def _source(content: Any, name: str) -> Source:
    _keys(content, "source", "the file")
    if content["source"] != name:
        raise ValueError(f"source is {content['source']!r}, expected the file's name {name!r}")
    papers = {id: _paper(id, entry) for id, entry in content["papers"].items()}
    tables = {id: _table(f"{name}.{id}", id, entry, papers) for id, entry in content["tables"].items()}
    figures = {id: _figure(id, entry, papers) for id, entry in content.get("figures", {}).items()}
    return Source(name, content["title"], papers, tables, figures)


def _paper(id: str, entry: dict) -> Paper:
    _keys(entry, "paper", f"paper {id}")
    if not (entry["year"] is None or isinstance(entry["year"], int)):
        raise ValueError(f"paper {id}: year is {entry['year']!r}, expected a number such as 2014, or null")
    return Paper(id=id, **entry)


def _figure(id: str, entry: dict, papers: Mapping) -> Figure:
    _keys(entry, "figure", f"figure {id}")
    _word(f"figure {id}: paper", entry["paper"], papers)
    _word(f"figure {id}: origin", entry.get("origin", "printed"), ORIGINS)
    return Figure(id=id, **entry)


def _table(prefix: str, id: str, entry: dict, papers: Mapping) -> Table:
    place = f"table {id}"
    _keys(entry, "table", place)
    if not ID.fullmatch(id):
        raise ValueError(f"{place}: an id has lower-case letters, digits, '-' and '_' only")
    _word(f"{place}: paper", entry["paper"], papers)
    _word(f"{place}: status", entry["status"], STATUS)
    _word(f"{place}: data", entry.get("data", "none"), DATA)
    _word(f"{place}: origin", entry.get("origin", "printed"), ORIGINS)
    columns = tuple(_column(spec, place) for spec in entry.get("columns", []))
    rows = tuple(_line(prefix, key, row, columns, entry.get("origin", "printed"), place)
                 for key, row in entry.get("rows", {}).items())  # fmt: skip
    texts = {key: str(entry[key]) for key in ("paper", "where", "caption", "status")}
    optional = {key: str(entry[key]) for key in ("why", "page", "pending") if key in entry}
    images = tuple(entry.get("images", ()))
    if not all(isinstance(number, int) for number in images):
        raise ValueError(f"{place}: images is {list(images)}, expected whole numbers such as [654]")
    table = Table(
        id=id, columns=columns, rows=rows, protocol=entry.get("protocol", "none"), images=images,
        data=entry.get("data", "none"), **texts, **optional,
    )  # fmt: skip
    _check_status(table)
    return table


def _check_status(table: Table) -> None:
    """A status must be what the cells say: nothing recalled in a verified table, no rows in one that could
    not be read.
    """
    place = f"table {table.id}"
    cells = [cell for row in table.rows for cell in row.cells.values()]
    if table.status != "verified" and not table.why:
        raise ValueError(f"{place}: status {table.status!r} needs a 'why'")
    if table.status == "not available":
        if cells:
            raise ValueError(f"{place}: not available, yet it has {len(cells)} numbers")
        return
    if not cells:
        raise ValueError(
            f"{place}: has no numbers; a table that could not be read has status 'not available'"
        )
    doubtful = [cell.id for cell in cells if not cell.verified]
    if table.status == "verified" and doubtful:
        raise ValueError(
            f"{place}: status 'verified', but {doubtful[0]} has an origin outside {', '.join(VERIFIED)}"
        )
    if table.status == "unverified" and not doubtful:
        raise ValueError(f"{place}: status 'unverified', but every number in it has a verified origin")


def _column(spec: Any, place: str) -> Column:
    if isinstance(spec, str):
        _word(f"{place}: column", spec, COLUMNS)
        return COLUMNS[spec]
    _keys(spec, "column", f"{place}: column {spec.get('id', '') if isinstance(spec, dict) else spec}")
    return Column(**spec)


def _line(prefix: str, id: str, entry: dict, columns: tuple[Column, ...], origin: str, place: str) -> Line:
    place = f"{place}, row {id}"
    _keys(entry, "row", place)
    if not ID.fullmatch(str(id)):
        raise ValueError(f"{place}: an id has lower-case letters, digits, '-' and '_' only")
    _word(f"{place}: method", entry["method"], METHODS)
    if len(entry["cells"]) != len(columns):
        raise ValueError(f"{place}: {len(entry['cells'])} cells for {len(columns)} columns")
    cells, labels = {}, {}
    for column, raw in zip(columns, entry["cells"], strict=True):
        where = f"{place}, column {column.id}"
        if column.kind == "label":
            labels[column.id] = str(raw)
            continue
        cell = _cell(
            f"{prefix}.{id}.{column.id}", raw, entry.get("origin", origin), entry.get("note", ""), where
        )
        if cell.printed != "-":
            cells[column.id] = cell
        _check_number(cell, column, where)
    optional = {key: entry[key] for key in ("run", "world", "protocol", "baseline", "cannot") if key in entry}
    return Line(id=id, title=entry["title"], method=entry["method"], cells=cells, labels=labels, **optional)


def _cell(id: str, raw: Any, origin: str, note: str, place: str) -> Cell:
    if isinstance(raw, dict):
        _keys(raw, "cell", place)
        raw, origin, note = raw["value"], raw.get("origin", origin), raw.get("note", note)
    if not isinstance(raw, str):
        raise ValueError(f"{place}: {raw!r} is not text; write the number in quotes, as printed")
    if not raw:
        raise ValueError(f"{place}: empty; write '-' for a printed dash, '?' for a number that is not known")
    _word(f"{place}: origin", origin, ORIGINS)
    return Cell(id, raw, origin, note)


def _check_number(cell: Cell, column: Column, place: str) -> None:
    if column.kind == "accuracy" and cell.printed not in EMPTY and not NUMBER.fullmatch(cell.printed):
        raise ValueError(
            f"{place}: {cell.printed!r} is not a number; an accuracy is digits only, its unit is the column's"
        )


def _keys(entry: Any, kind: str, place: str) -> None:
    needed, allowed = KEYS[kind]
    if not isinstance(entry, dict):
        raise ValueError(f"{place}: expected keys {', '.join(sorted(needed))}, got {entry!r}")
    if missing := needed - set(entry):
        raise ValueError(f"{place}: {', '.join(sorted(missing))} is missing")
    if unknown := set(entry) - needed - allowed:
        known = ", ".join(sorted(needed | allowed))
        raise ValueError(f"{place}: unknown key {', '.join(sorted(map(str, unknown)))}; known: {known}")


def _word(place: str, word: Any, allowed: Any) -> None:
    if word not in allowed:
        raise ValueError(f"{place} is {word!r}, expected one of {', '.join(allowed)}")
