"""Checkers of the book's exercises: they say "right", or recognise the mistake and hint at it.

An exercise knows its right answer and the answers that typical mistakes lead to. Where the answer is a
number, or a few, they are compared; where it is a function, it is called on fixed inputs, and its results are
compared with the right formula and with the wrong ones. Right answers come from the library wherever it has
them. The exercises stand in the chapters, under the same names.
"""

from functools import cache
from typing import Any

from mdepth.exercises import eigen, groundwork, hu, laina, metrics, monodepth2, transfer
from mdepth.exercises.checker import Exercise, Verdict, judge

__all__ = ["Exercise", "Verdict", "check", "everything", "names"]


def check(name: str, answer: Any) -> Verdict:
    """Judge an answer to the exercise called ``name``.

    Edge cases: ``None``, or a tuple with ``None`` in it, has not been answered yet. Errors: ``ValueError``
    for an exercise that does not exist.

    Example:
        >>> check("eigen.fc6_parameters", 50_331_648)
        Not yet: you forgot the biases, one for each of the 4096 outputs.
        >>> check("eigen.fc6_parameters", 50_335_744).right
        True
    """
    if name not in names():
        raise ValueError(f"no exercise {name!r}; there are {', '.join(names())}")
    return judge(everything()[name], answer)


def names() -> tuple[str, ...]:
    """All exercises, ``chapter.name``."""
    return tuple(everything())


@cache
def everything() -> dict[str, Exercise]:
    """All exercises by name, in the order of the book."""
    return (
        groundwork.introduction()
        | groundwork.prerequisites()
        | groundwork.geometry()
        | groundwork.data()
        | metrics.exercises()
        | eigen.exercises()
        | laina.exercises()
        | transfer.exercises()
        | monodepth2.exercises()
        | hu.exercises()
    )
