"""Verdicts on claims in one picture: effect, interval, and the smallest effect that would matter."""

from collections.abc import Sequence
from typing import Any

from mdepth.plots.style import COLOURS, WIDTH, new_figure, styled

__all__ = ["verdicts"]

VERDICTS = {"holds": COLOURS["good"], "does not hold": COLOURS["bad"], "inconclusive": COLOURS["baseline"]}


@styled
def verdicts(rows: Sequence[Any], *, title: str = ""):
    r"""Claims below each other, each with its effect and its interval in units of the smallest effect of
    interest: :math:`e / s`, positive in the direction of the claim.

    Shaded is where a claim holds: from 1 on, where an effect matters, or between -1 and 1 for a claim that
    two things are the same. An interval inside it holds, one outside does not, one across its border is
    inconclusive.

    Args:
        rows: :func:`mdepth.ledger.claims`; a claim without an interval is drawn as a word.
        title: above the drawing.

    Errors: ``ValueError`` without claims.
    """
    if not rows:
        raise ValueError("no claims to draw")
    figure = new_figure(WIDTH, 0.62 * len(rows) + 1.3)
    axis = figure.subplots()
    highest, across = 2.0, axis.get_yaxis_transform()  # x in shares of the width
    paper = {"facecolor": COLOURS["card"], "alpha": 0.8, "lw": 0, "pad": 1}
    for number, row in enumerate(rows):
        colour, found = VERDICTS[row.verdict], _toward(row)
        axis.text(0, 0.2 - number, _label(row), transform=across, fontsize=10.5, va="bottom", bbox=paper)
        if found is None:
            axis.text(0.05, -number, "no interval", transform=across, va="center", color=colour)
            continue
        effect, low, high = (value / row.smallest for value in found)
        axis.plot([low, high], [-number, -number], color=colour, lw=4, alpha=0.6, solid_capstyle="butt")
        axis.plot([effect], [-number], "o", color=colour, ms=7)
        highest = max(highest, high)
    axis.axvline(0, color=COLOURS["ink"], lw=1)
    for number, row in enumerate(rows):
        same = _way(row) == "same"
        start, end = (-1, 1) if same else (1, 1.08 * highest)
        tall = (-len(rows) - 1 if number == len(rows) - 1 else -number - 0.42, 0.58 - number)
        axis.fill_between([start, end], *tall, color=COLOURS["good"], alpha=0.1, lw=0)
    axis.set(yticks=[], xlabel="effect / smallest that matters (from 1 on, it does)", title=title)
    axis.set(xlim=(None, 1.08 * highest), ylim=(-len(rows) + 0.5, 0.85))
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    return figure


def _label(row: Any) -> str:
    name = row.id.rsplit(".", 1)[-1].replace("-", " ")
    return f"{name}: {row.verdict}"


def _way(row: Any) -> str:
    """lower, higher or same."""
    return row.expression.rpartition(", ")[2].split()[0]


def _toward(row: Any) -> tuple[float, float, float] | None:
    """Effect and ends of its interval, positive in the direction of the claim; None where there is none."""
    if isinstance(row.effect, str) or " to " not in row.interval:
        return None
    sign = -1.0 if _way(row) == "lower" else 1.0
    low, high = sorted(sign * float(end) for end in row.interval.split(" to "))
    return sign * row.effect, low, high
