"""What an exercise is, and how an answer is judged: against the right one, then against mistakes."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from mdepth.shapes import Tensor

__all__ = ["Exercise", "Verdict", "as_depth", "judge", "maps", "numbers"]


@dataclass(frozen=True)
class Verdict:
    """What a checker answers; it prints as its text."""

    right: bool
    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Exercise:
    """One exercise: its right answer, what typical mistakes give, and what to say then.

    Without ``inputs`` answers are numbers or tuples of numbers, in which ``None`` matches anything; with them
    answers are functions, and ``right`` and the mistakes are the functions to compare with. ``examine`` comes
    before either: it makes of an answer of any kind the number, the tuple or the function that is compared.
    """

    right: Any
    mistakes: Sequence[tuple[Any, str]]
    says: str
    inputs: Sequence[tuple] = ()
    tolerance: int | float = 1e-3
    examine: Callable[[Any], Any] = lambda answer: answer


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Say whether an answer is right, or which mistake it looks like."""
    if answer is None or (isinstance(answer, tuple | list) and any(part is None for part in answer)):
        return Verdict(False, "Not answered yet: replace None and run the cell again.")
    try:
        given = _evaluate(exercise, answer)
    except NotImplementedError:
        return Verdict(False, "Not answered yet: write the function and run the cell again.")
    except Exception as error:  # the reader's own code: whatever it raises is the hint
        return Verdict(False, f"Not yet: {error}")
    if None in given:
        return Verdict(False, "Not answered yet: your function returns nothing.")
    if _same(given, _evaluate(exercise, exercise.right), exercise.tolerance):
        return Verdict(True, f"Right. {exercise.says}")
    for mistake, hint in exercise.mistakes:
        if _same(given, _evaluate(exercise, mistake), exercise.tolerance):
            return Verdict(False, f"Not yet: {hint}")
    return Verdict(False, "Not yet, and not by one of the usual mistakes. Try a case whose answer you know.")


def _evaluate(exercise: Exercise, answer: Any) -> list[float | None]:
    """An answer as numbers: itself, or what the function returns for every input."""
    if not exercise.inputs:
        if callable(answer):
            raise TypeError("this exercise asks for a number, not for a function")
        return numbers(exercise.examine(answer))
    if not callable(answer):
        raise TypeError("this exercise asks for a function; give its name without calling it")
    function, inputs = exercise.examine(answer), deepcopy(exercise.inputs)  # which it may change in place
    return [number for arguments in inputs for number in numbers(function(*arguments))]


def numbers(values: Any) -> list[float | None]:
    """All numbers of a number, a tensor or an array, or of a tuple of such, in their order.

    Example:
        >>> numbers((torch.tensor([1.0, 2.0]), 3))
        [1.0, 2.0, 3.0]
    """
    if isinstance(values, tuple | list):
        return [number for part in values for number in numbers(part)]
    if hasattr(values, "flatten"):  # a tensor or an array
        return [float(value) for value in values.flatten().tolist()]
    return [None if values is None else float(values)]


def _same(given: list[float | None], wanted: list[float | None], tolerance: int | float) -> bool:
    """Equal up to a relative tolerance; ``None`` in ``wanted`` matches anything."""
    if len(given) != len(wanted):
        return False
    pairs = [(a, b) for a, b in zip(given, wanted, strict=True) if a is not None and b is not None]
    return all(abs(a - b) <= tolerance * max(abs(b), 1e-9) for a, b in pairs)


def maps() -> tuple[Tensor, Tensor, Tensor]:
    """Prediction and truth in metres and the valid mask; chosen so that no mistake gives the same number as
    another one.

    One ratio is exactly 1.25, some predictions are far too near, and the last pixel has no truth to trust.
    """
    ratio = torch.tensor(
        [1.25, 1.1, 1.2, 1.02, 0.95, 0.9, 1.15, 1.05, 0.6, 0.7, 1.3, 1.5, 1.6, 1.8], dtype=torch.float64
    )
    target = torch.tensor(
        [1.0, 2.0, 4.0, 2.0, 3.0, 6.0, 2.5, 7.0, 3.0, 4.0, 5.0, 6.0, 2.0, 5.0], dtype=torch.float64
    )
    return ratio * target, target, torch.arange(14) < 13


def as_depth(values: Tensor) -> Tensor:
    """A row of pixels as a batch of one map, as the library's functions want it."""
    return values.reshape(1, 1, 1, -1)
