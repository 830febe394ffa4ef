"""A run whose settings were changed on the command line."""

import ast
import dataclasses
from dataclasses import dataclass
from typing import Any

from mdepth.cli.errors import choose
from mdepth.runs import Run

__all__ = ["Changed", "changed"]


@dataclass(frozen=True)
class Changed(Run):
    """A run that takes some settings from the user; they are part of what it means."""

    changes: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.changes)
        return f"{super().__str__()[:-1]}, {told})"

    def settings(self) -> Any:
        """The recipe's settings with the changes."""
        return dataclasses.replace(super().settings(), **dict(self.changes))


def changed(
    source: str, variant: str, profile: str, seed: int, changes: list[str], device: str | None
) -> Run:
    """A run with settings from ``NAME=VALUE`` words and, perhaps, on another device.

    Raises:
        ValueError: a name that the recipe's settings do not have, or a value of another type.

    Example:
        >>> run = changed("eigen", "coarse-rooms", "quick", 0, ["steps=5", "zoom=(1.0, 1.2)"], None)
        >>> str(run), run.settings().zoom
        ('eigen/coarse-rooms (quick, seed 0, steps=5, zoom=(1.0, 1.2))', (1.0, 1.2))
    """
    run = Run(source, variant, profile, seed)
    settings = run.settings()
    wanted = dict(_parse(word, settings) for word in changes)
    if device is not None and getattr(settings, "accelerator", device) != device:
        wanted["accelerator"] = device
    if not wanted:
        return run
    run = Changed(source, variant, profile, seed, tuple(sorted(wanted.items())))
    run.settings()  # the recipe's own checks
    return run


def _parse(word: str, settings: Any) -> tuple[str, Any]:
    """One ``NAME=VALUE`` as a name of the settings and a value of its type."""
    name, sign, text = word.partition("=")
    if not sign:
        raise ValueError(f"--set {word}: expected NAME=VALUE, for example --set steps=300")
    choose("setting", name, [field.name for field in dataclasses.fields(settings)])
    before = getattr(settings, name)
    if isinstance(before, str):
        return name, text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(before, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(before) or _length(value) != _length(before):
        raise ValueError(
            f"--set {word}: expected a value like {before!r} ({type(before).__name__}), got {text!r}"
        )
    return name, value


def _length(value: Any) -> int:
    """Number of entries of a tuple; 1 for anything else."""
    return len(value) if isinstance(value, tuple) else 1
