"""What a person who mistyped gets to read: one line, status 2, and the names that come close.

Mistakes reach the command line as ``ValueError`` (a name or number that cannot be, or ``DataError``: a file
that is not what it should be) and ``OSError`` (a folder that may not be written, a full disk). Any other
exception is a mistake of ours and keeps its traceback.
"""

import difflib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

__all__ = ["Commands", "Stop", "choose", "sides", "tidy"]


class Stop(Exception):
    """The command cannot go on; ``status`` is 1 where the user did nothing wrong."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Commands(TyperGroup):
    """The group of all commands, with every error told in one line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options in front of the command."""
        with tidy():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Read the rest and run the command."""
        with tidy():
            return super().invoke(ctx)


@contextmanager
def tidy() -> Iterator[None]:
    """Turn a user's mistake inside the block into one line on standard error and an exit status.

    ``MDEPTH_DEBUG=1`` leaves the exception as it is.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        _end("stopped; what was finished is kept, nothing is half-written", 130)
    except Exception as error:
        if os.environ.get("MDEPTH_DEBUG", "0") != "0":
            raise
        told = _told(error)
        if told is None:
            raise
        _end(*told)


def _end(message: str, status: int) -> NoReturn:
    """Say it on standard error and leave."""
    typer.echo(message, err=True)
    raise typer.Exit(status) from None


def _told(error: Exception) -> tuple[str, int] | None:
    """The line and the status for an exception; None where it is no mistake of the user's."""
    match error:
        case Stop():
            return f"error: {_line(error)}", error.status
        case typer.TyperException():
            return _usage(error), 2
        case OSError(strerror=str(reason)):
            return f"error: {error.filename or 'file'}: {reason}; check the path, the rights, the space", 2
        case ValueError() | OSError():
            return f"error: {_line(error)}", 2
    if type(error).__name__ == "OutOfMemoryError":
        return "error: the GPU's memory does not suffice; try --device cpu or a smaller --batch-size", 1
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "error: the memory does not suffice; try smaller pictures or a smaller --batch-size", 1
    return None


def _usage(error: typer.TyperException) -> str:
    """An option or argument that could not be read, and where to look; the help itself stays as it is."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if context is None or "\n" in message.strip():
        return message
    return f"error: {_line(message).removesuffix('.')} (see `{context.command_path} --help`)"


def _line(message: object) -> str:
    """A text as one line."""
    return " ".join(str(message).split())


def choose(what: str, value: str, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``known``, else say which name comes close and which there are.

    Raises:
        ValueError: it is not.

    Example:
        >>> choose("profile", "quik", ["quick", "laptop", "full"])
        Traceback (most recent call last):
        ValueError: unknown profile 'quik'; did you mean 'quick'? There are: quick, laptop, full
    """
    names = list(known)
    if value in names:
        return value
    close = difflib.get_close_matches(value, names, n=1)
    hint = f"did you mean {close[0]!r}? There" if close else "there"
    raise ValueError(f"unknown {what} {value!r}; {hint} are: {', '.join(names) or 'none'}")


def sides(text: str | None) -> tuple[int, int] | None:
    """Height and width from ``--size``; None where nothing is said.

    Raises:
        ValueError: these are no two whole numbers.

    Example:
        >>> sides("96x128")
        (96, 128)
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"--size takes HEIGHTxWIDTH in pixels, for example 96x128, got {text!r}")
    return int(parts[0]), int(parts[1])
