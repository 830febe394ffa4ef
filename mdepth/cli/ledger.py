"""``mdepth ledger``: every reported number, ours, its level of evidence and the verdict; and the claims."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import choose
from mdepth.cli.output import Json, emit, say, table

__all__ = ["ledger"]


def ledger(
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be given again.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only this verdict, for example exact, or holds.")
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Only ids that begin so, for example eigen.table1.")
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="Only how many have which verdict.")] = False,
    csv: Annotated[
        Path | None, typer.Option(help="Write the rows, with all their fields, to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the ledger: reported numbers beside ours, with level of evidence and verdict; then the claims.

    Example: mdepth ledger --source eigen --verdict exact
    """
    from mdepth.ledger import VERDICTS, claims, rows
    from mdepth.ledger.judging import WORDS
    from mdepth.ledger.reported import sources
    from mdepth.runs import is_stale

    for name in source or []:
        choose("source", name, sources())
    if verdict is not None:
        choose("verdict", verdict, (*VERDICTS, *WORDS))
    numbers = _chosen(rows(source or None, is_stale=is_stale), id, verdict)
    judged = _chosen(claims(source or None, is_stale=is_stale), id, verdict)
    if id is not None and not numbers and not judged:
        raise ValueError(
            f"no row {id!r} in the ledger; `mdepth ledger --source {id.partition('.')[0]}` lists them"
        )
    if csv is not None:
        _write(numbers, csv)
    if json:
        _emit(numbers, judged, counts)
    else:
        _show(numbers, judged, counts)


def _chosen(found: list[Any], id: str | None, verdict: str | None) -> list[Any]:
    """The rows or claims with this verdict and this id, or below it."""
    return [
        row
        for row in found
        if verdict in (None, row.verdict)
        and (id is None or row.id == id or row.id.startswith(id.rstrip(".") + "."))
    ]


def _write(numbers: list[Any], path: Path) -> None:
    """The rows as CSV, whole or not at all."""
    from mdepth.datasets.files import atomic_file
    from mdepth.ledger import write_csv

    if path.is_dir():
        raise ValueError(f"{path}: is a folder; --csv names a file")
    with atomic_file(path, overwrite=True) as temporary:
        write_csv(numbers, temporary)
    say(f"{len(numbers)} rows written to {path}")


def _count(numbers: list[Any], judged: list[Any]) -> dict[str, dict[str, int]]:
    """How many rows and claims have which verdict."""
    from mdepth.ledger import counts
    from mdepth.ledger import numbers as printed
    from mdepth.ledger.judging import WORDS

    words = [claim.verdict for claim in judged]
    return {"numbers": counts(printed(numbers)), "claims": {word: words.count(word) for word in WORDS}}


def _emit(numbers: list[Any], judged: list[Any], counts: bool) -> None:
    """All of it, or the counts, as JSON."""
    found = (
        {}
        if counts
        else {"rows": [asdict(row) for row in numbers], "claims": [asdict(row) for row in judged]}
    )
    emit({"counts": _count(numbers, judged), **found})


def _show(numbers: list[Any], judged: list[Any], counts: bool) -> None:
    """All of it, or the counts, as text."""
    from mdepth.ledger.join import shown

    if numbers and not counts:
        header = ("id", "reported", "ours", "level", "verdict")
        lines = [(row.id, row.reported, shown(row.reference), row.level, row.verdict_text) for row in numbers]
        typer.echo(table(header, lines, right=("reported", "ours")) + "\n")
    if judged and not counts:
        sentences = [(claim.id, claim.verdict, claim.level, claim.statement) for claim in judged]
        typer.echo(table(("claim", "verdict", "level", "statement"), sentences) + "\n")
    for name, words in _count(numbers, judged).items():
        typer.echo(
            f"{sum(words.values())} {name}: "
            + ", ".join(f"{number} {word}" for word, number in words.items())
        )
