"""The ledger: one row a reported number, with what we got beside it, at which level of evidence, and a
verdict in fixed words.

A row that cannot be filled says why and with which command it would be. A row filled from the worlds keeps
the verdict "not run", because the worlds are not the paper's data.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from mdepth import recipes
from mdepth.ledger import checks, reported
from mdepth.ledger.compare import COMPARABLE, NONE, VERDICTS, agreement, compared, shown
from mdepth.ledger.measured import Measurement, Runs, gather
from mdepth.ledger.schema import DATA, Cell, Column, Line, Source, Table
from mdepth.results import Record

__all__ = ["Ledger", "Row", "build"]


@dataclass(frozen=True)
class Row:
    """One row of the ledger; every field is text or a number, none is ever empty (``"none"`` says that there
    is nothing).
    """

    id: str
    source: str
    paper: str
    where: str
    row: str
    column: str
    unit: str
    better: str
    reported: str
    verified: str
    origin: str
    level: str
    reference: int | float | str = NONE
    reference_level: str = NONE
    build: int | float | str = NONE
    build_level: str = NONE
    difference: int | float | str = NONE
    relative_difference: int | float | str = NONE
    tolerance: int | float | str = NONE
    tolerance_reason: str = NONE
    verdict: str = "not run"
    why: str = NONE
    seeds: int = 0
    mean: int | float | str = NONE
    sd: int | float | str = NONE
    interval: str = NONE
    interval_of: str = NONE
    images: int | str = NONE
    protocol: str = NONE
    profile: str = NONE
    command: str = NONE
    commit: str = NONE
    data_hash: str = NONE
    hardware: str = NONE
    seconds: int | float | str = NONE
    memory_mb: int | float | str = NONE
    finished: str = NONE

    def __post_init__(self) -> None:
        empty = [field.name for field in fields(self) if getattr(self, field.name) in ("", None)]
        if empty:
            raise ValueError(f"ledger row {self.id}: {', '.join(empty)} is empty; say 'none' or why")
        if self.verdict not in VERDICTS:
            raise ValueError(
                f"ledger row {self.id}: verdict {self.verdict!r}, expected one of {', '.join(VERDICTS)}"
            )
        if self.verdict in VERDICTS[2:5] and self.why == NONE:
            raise ValueError(f"ledger row {self.id}: verdict {self.verdict!r} needs a reason")
        facts = (self.difference, self.relative_difference, self.tolerance)
        if self.verdict in VERDICTS[:3] or any(fact != NONE for fact in facts):
            for level in (self.level, self.reference_level):
                if level not in COMPARABLE:
                    raise ValueError(
                        f"ledger row {self.id}: a number of level {level} never stands in a difference"
                    )

    @property
    def verdict_text(self) -> str:
        """The verdict as one reads it: ``not run (needs NYU Depth V2)``."""
        return f"{self.verdict} ({self.why})" if self.verdict in ("not run", "cannot") else self.verdict


@dataclass(frozen=True, repr=False)
class Ledger:
    """What rows are made from: reported numbers, and our records by profile."""

    sources: dict[str, Source]
    reference: dict[str, Runs]
    """The committed reference records (profile laptop)."""
    full: dict[str, Runs]
    """Records of the paper's own size and schedule, on real data."""
    build: dict[str, Runs]
    """What was run here and now (profile quick)."""
    is_stale: Callable[[Record], bool]

    def rows(self) -> list[Row]:
        """One row a reported number, in the order of the files; a table that could not be read is one row."""
        pairs = [(source, table) for source in self.sources.values() for table in source.tables.values()]
        return [row for source, table in pairs for row in self.of_table(source, table)]

    def of_table(self, source: Source, table: Table) -> Iterator[Row]:
        """The rows of one table."""
        if table.status == "not available":
            yield _unread(source, table)
        columns = {column.id: column for column in table.columns}
        for line in table.rows:
            for key, cell in line.cells.items():
                yield self._row(source, table, line, columns[key], cell)

    def _row(self, source: Source, table: Table, line: Line, column: Column, cell: Cell) -> Row:
        base = _base(source, table, line, column, cell)
        if verdict := _settled(line, column, cell):
            return Row(**base, level=NONE, verdict=verdict[0], why=verdict[1])
        if column.kind == "count":
            return _counted(base, table, cell)
        if column.kind == "time":
            why = f"needs {DATA[table.data]}; times are compared as ratios within one run"
            return Row(**base, level="T", why=why)
        real = _measured(self.reference | self.full, source, line.run, line, column, table)
        if real and real.level in COMPARABLE and _whole(real, table):
            built = _measured(self.build, source, line.run, line, column, table)
            facts = compared(cell, real) | _evidence(real, built) | _spread(real) | self._provenance(real)
            return Row(**base, **facts)
        return self._beside(base, source, table, line, column)

    def _beside(self, base: dict, source: Source, table: Table, line: Line, column: Column) -> Row:
        """A score that was not measured on the paper's data: what the worlds gave stands beside it."""
        there = line.run in _variants(source.id)
        needs = (
            f"needs {DATA[table.data]}" if there else f"needs {DATA[table.data]} and a recipe for this row"
        )
        command = f"mdepth run {source.id}/{line.run} --profile full" if there else NONE
        facts: dict[str, Any] = {"command": command}
        world = _measured(self.reference, source, line.world, line, column, table)
        built = _measured(self.build, source, line.world, line, column, table)
        best = world or built
        if best is None:
            return Row(**base, level="D", why=needs, **facts)
        facts = self._provenance(best) | facts
        why = f"{needs}; shown beside it: the synthetic worlds, which are other data"
        return Row(**base, level=best.level, why=why, **_evidence(world, built), **_spread(best), **facts)

    def _provenance(self, measured: Measurement) -> dict[str, Any]:
        first = measured.records[0]
        run, stale = first.run, any(self.is_stale(record) for record in measured.records)
        return {
            "protocol": measured.protocol,
            "profile": run["profile"] + (", stale: the recipe changed since" if stale else ""),
            "command": f"mdepth run {run['source']}/{run['variant']} --profile {run['profile']}",
            "commit": run["commit"] or "not in a repository",
            "data_hash": run["data"]["hash"] or NONE,
            "hardware": _machine(run["hardware"]),
            "seconds": sum(record.run["seconds"] for record in measured.records),
            "memory_mb": max(record.run["peak_memory_mb"] for record in measured.records),
            "finished": run["finished"],
            "images": measured.n_images,
        }


def build(
    sources: Iterable[str] | None = None,
    *,
    results: Path | None = None,
    is_stale: Callable[[Record], bool] = lambda record: False,
) -> Ledger:
    """Gather everything that the rows need.

    Args:
        sources: names such as ``"eigen"``; all by default.
        results: the folder of records; by default :func:`mdepth.results.root`.
        is_stale: says of a record whether its recipe has changed since (``mdepth.runs.is_stale``).
    """
    names = tuple(sources) if sources is not None else reported.sources()
    records = {profile: gather(profile, results, sources=names) for profile in ("laptop", "full", "quick")}
    loaded = {name: reported.load(name) for name in names}
    return Ledger(loaded, records["laptop"], records["full"], records["quick"], is_stale)


@cache
def _variants(source: str) -> frozenset[str]:
    """What the recipe of a source can run in this version."""
    return frozenset(recipes.get(source).VARIANTS) if source in recipes.available() else frozenset()


def _settled(line: Line, column: Column, cell: Cell) -> tuple[str, str] | None:
    """Verdict and reason of a number that nothing of ours can stand beside."""
    if line.method == "other":
        return "reported only", "another method's number"
    if line.cannot:
        return "cannot", line.cannot
    if column.kind == "setting":
        return "reported only", "a choice of the authors, not a result"
    return ("cannot", "the printed number is not known") if cell.printed == "?" else None


def _measured(
    records: dict[str, Runs], source: Source, variant: str, line: Line, column: Column, table: Table
) -> Measurement | None:
    """What a variant measured for a cell: on the worlds under their own protocol, else under the table's, of
    normals and labels under the task's name; nothing where the column's unit is not the metric's.
    """
    runs = records.get(f"{source.id}/{variant}")
    if runs is None or not column.metric:
        return None
    of = f"@{line.baseline}" if line.baseline else ""
    if runs.level == "B" and not column.task:
        return runs.on_worlds(column.metric, of)
    protocol = column.task or line.protocol or table.protocol
    key = f"{protocol}{of}"
    return runs.measure(column.metric, key, averaging=_averaging(protocol))


def _whole(measured: Measurement, table: Table) -> bool:
    """Whether the whole test set was scored: a number from a few of its images is not the paper's."""
    return not table.images or measured.n_images in table.images


def _base(source: Source, table: Table, line: Line, column: Column, cell: Cell) -> dict[str, Any]:
    return {
        "id": cell.id,
        "source": source.id,
        "paper": source.papers[table.paper].citation,
        "where": f"{table.where}, page {table.page}",
        "row": line.title,
        "column": column.title,
        "unit": column.unit,
        "better": column.better,
        "reported": cell.printed,
        "verified": "verified" if cell.verified else "unverified",
        "origin": cell.origin + (f"; {cell.note}" if cell.note else ""),
    }


def _unread(source: Source, table: Table) -> Row:
    return Row(
        id=f"{source.id}.{table.id}",
        source=source.id,
        paper=source.papers[table.paper].citation,
        where=f"{table.where}, page {table.page}",
        row="all",
        column="all",
        unit=NONE,
        better=NONE,
        reported="not available",
        verified="unverified",
        origin="not read",
        level=NONE,
        verdict="cannot",
        why=f"the table could not be read: {table.why}",
    )


def _counted(base: dict, table: Table, cell: Cell) -> Row:
    """Level A: computed now."""
    value = checks.computed(cell.id)
    if value is None:
        return Row(
            **base, level="A", why=table.pending or "nothing in this version of the library computes it"
        )
    verdict, facts = agreement(cell, value, "A", cell.half_unit, "rounding of the printed number")
    why = checks.explanation(cell.id)
    if verdict == "differs (explained)" and not why:
        raise ValueError(f"{cell.id}: computed {value}, reported {cell.printed}, and nobody explained it; "
                         "fix the library or register an explanation")  # fmt: skip
    return Row(
        **base,
        level="A",
        reference=value,
        reference_level="A",
        build=value,
        build_level="A",
        verdict=verdict,
        why=why or NONE,
        command=f"mdepth ledger --id {cell.id}",
        profile="any",
        **facts,
    )


def _evidence(reference: Measurement | None, built: Measurement | None) -> dict[str, Any]:
    pairs = {"reference": reference, "build": built}
    values = {column: one.summary.mean if one else NONE for column, one in pairs.items()}
    return values | {f"{column}_level": one.level if one else NONE for column, one in pairs.items()}


def _spread(measured: Measurement) -> dict[str, Any]:
    summary = measured.summary
    low_high = f"{shown(summary.interval[0])} to {shown(summary.interval[1])}" if summary.interval else NONE
    return {"seeds": summary.n, "mean": summary.mean, "sd": NONE if summary.sd is None else summary.sd,
            "interval": low_high, "interval_of": summary.interval_of}  # fmt: skip


def _machine(hardware: dict) -> str:
    return f"{hardware.get('gpu') or hardware.get('cpu', 'unknown')}, {hardware.get('threads', '?')} threads"


def _averaging(protocol: str) -> str:
    """``mean`` over images or ``pooled`` over pixels, as the protocol says."""
    from mdepth.evaluate import PROTOCOLS

    return "pooled" if protocol in PROTOCOLS and PROTOCOLS[protocol].averaging == "pooled" else "mean"
