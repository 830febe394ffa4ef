"""A run whose settings were changed on the command line."""

import ast
import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

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
        known = _words(settings, name)
        return name, choose(name, text, known) if known else text
    try:
        return name, _as(before, ast.literal_eval(text))
    except (ValueError, SyntaxError):
        raise ValueError(
            f"--set {word}: expected a value like {before!r} ({type(before).__name__}), got {text!r}"
        ) from None


def _words(settings: Any, name: str) -> list[str]:
    """The words that a setting may be, where they can be listed."""
    from mdepth.evaluate import PROTOCOLS
    from mdepth.models import names

    hint = get_type_hints(type(settings))[name]
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    listed = {"network": names(), "protocol": list(PROTOCOLS), "accelerator": ["auto", "cpu", "cuda", "mps"]}
    return listed.get(name, [])


def _as(before: Any, value: Any) -> Any:
    """The value in the type of the one before, whole numbers as floats where it has floats.

    Raises:
        ValueError: it is of another type, or a tuple of another length.
    """
    if isinstance(before, tuple) and isinstance(value, tuple):
        return tuple(_as(*pair) for pair in zip(before, value, strict=True))
    if isinstance(before, float) and type(value) is int:
        return float(value)
    if type(value) is not type(before):
        raise ValueError(f"{value!r} is no {type(before).__name__}")
    return value
