"""Reported against ours: the difference, the tolerance, the verdict.

The rule that keeps the ledger honest stands in :func:`difference`: a number from the synthetic worlds (B),
or from other real frames (d), is shown beside a reported one but never subtracted from it. Only A, C and D
have a difference, a tolerance and a verdict about agreement.
"""

from typing import Any

from mdepth.ledger.measured import Measurement
from mdepth.ledger.schema import Cell

__all__ = ["COMPARABLE", "NONE", "VERDICTS", "agreement", "compared", "difference", "shown"]

VERDICTS = ("exact", "within tolerance", "differs (explained)", "not run", "cannot", "reported only")
NONE = "none"
COMPARABLE = ("A", "C", "D")


def difference(cell: Cell, value: int | float, level: str) -> int | float:
    """Ours minus the reported number; the one place where the two are ever subtracted.

    Errors: ``ValueError`` for a level that may not stand in a difference (B, d, T), or a reported text that
    is no number.

    Example:
        >>> from mdepth.ledger import reported
        >>> cell = reported.cell("eigen.table1.coarse.abs_rel")
        >>> round(difference(cell, 0.231, "D"), 3)
        0.003
    """
    _check_level(cell, level)
    if cell.value is None:
        raise ValueError(f"{cell.id}: {cell.printed!r} is no number, compare it as text")
    return value - cell.value


def _check_level(cell: Cell, level: str) -> None:
    """Refuse what is measured on other data."""
    if level not in COMPARABLE:
        raise ValueError(
            f"{cell.id}: a number of level {level} never stands in a difference to a reported one; "
            "show it beside it"
        )


def shown(value: int | float | str, digits: int = 3) -> str:
    """A number as a table shows it: whole numbers with commas, others with ``digits`` decimals, or as many
    significant digits below 0.001 and from 100 on.

    Example:
        >>> shown(70757734), shown(0.22834), shown("37x27")
        ('70,757,734', '0.228', '37x27')
    """
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) >= 1:
        return f"{int(value):,}"
    return f"{value:.{digits}f}" if 0.001 <= abs(value) < 100 else f"{value:.{digits}g}"


def agreement(
    cell: Cell, value: int | float | str, level: str, tolerance: int | float, reason: str
) -> tuple[str, dict]:
    """Verdict about two values, and the difference with its tolerance.

    Errors: ``ValueError`` for a level that may not be compared, texts included.
    """
    _check_level(cell, level)
    if isinstance(value, str) or cell.value is None:
        same = _plain(str(value)) == _plain(cell.printed)
        return ("exact" if same else "differs (explained)"), {
            "tolerance": 0,
            "tolerance_reason": "compared as text",
        }
    delta = difference(cell, value, level)
    facts = {"difference": delta, "relative_difference": delta / cell.value if cell.value else NONE,
             "tolerance": tolerance, "tolerance_reason": reason}  # fmt: skip
    apart = abs(delta) / (1 + 1e-9)  # the subtraction rounds; its ends belong to the tolerance
    if apart <= cell.half_unit:
        return "exact", facts
    return ("within tolerance" if apart <= tolerance else "differs (explained)"), facts


def _plain(text: str) -> str:
    return text.replace("×", "x").replace(" ", "").replace(",", "")


def compared(cell: Cell, measured: Measurement) -> dict[str, Any]:
    """Fields of a row of level C or D; the tolerance is the printed number's rounding plus the spread of our
    own runs.
    """
    summary = measured.summary
    half = (summary.interval[1] - summary.interval[0]) / 2 if summary.interval else 0.0
    reason = "rounding of the printed number, plus " + (
        summary.interval_of if half else "nothing: one run, no interval"
    )
    verdict, facts = agreement(cell, summary.mean, measured.level, cell.half_unit + half, reason)
    why = (
        "settings differ from the paper's: see the table of hyper-parameters"
        if verdict.startswith("differs")
        else NONE
    )
    return {"level": measured.level, "verdict": verdict, "why": why, **facts}
