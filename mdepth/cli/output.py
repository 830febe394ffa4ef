"""How commands speak: results to standard output, progress and remarks to standard error."""

import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import typer

__all__ = ["Json", "emit", "plain", "progress", "say", "table"]

Item = TypeVar("Item")
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else to standard output.")]


def say(text: str) -> None:
    """A remark for the person at the terminal."""
    typer.echo(text, err=True)


def emit(value: Any) -> None:
    """Print a value as JSON; numbers that are not finite become null."""
    typer.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """The value as JSON holds it: keys as text, tuples as lists, NaN and infinity as None.

    Example:
        >>> plain({"size": (2, 3), "score": float("nan")})
        {'size': [2, 3], 'score': None}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> str:
    """Text in columns, those named in ``right`` aligned to the right.

    Example:
        >>> print(table(["name", "size"], [["a", 5], ["bcd", 12]], right=["size"]))
        name  size
        a        5
        bcd     12
    """
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    flags = [">" if name in right else "<" for name in header]
    return "\n".join(
        "  ".join(
            f"{cell:{flag}{width}}" for cell, flag, width in zip(line, flags, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def progress(items: Iterable[Item], total: int | None, name: str, *, interval: float = 5.0) -> Iterator[Item]:
    """Hand out the items behind a bar on a terminal, with a line every ``interval`` seconds elsewhere.

    Args:
        items: anything to walk through.
        total: how many there are; None where nobody knows.
        name: what is being done.
        interval: seconds between two lines.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=name, leave=False, disable=total == 1)
        return
    spoken = time.monotonic()
    for number, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - spoken > interval:
            spoken = time.monotonic()
            say(f"{name}: {number}{f' of {total}' if total else ''}")
