"""Curves over training steps with their spread over seeds, and the timeline of the sources."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mdepth.plots.style import COLOURS, PALETTE, WIDTH, new_figure, styled

__all__ = ["loss_curves", "smooth", "timeline"]


def smooth(values: Any, window: int) -> np.ndarray:
    """Centred moving mean; at the ends over what there is.

    Example:
        >>> smooth([0.0, 3.0, 0.0], 3).tolist()
        [1.5, 1.0, 1.5]
    """
    x = np.asarray(values, dtype=float)
    total, place = np.concatenate([[0.0], x.cumsum()]), np.arange(len(x))
    first, last = (place - window // 2).clip(min=0), (place + window // 2 + 1).clip(max=len(x))
    return (total[last] - total[first]) / (last - first)


@styled
def loss_curves(
    records: Mapping[str, Sequence[Any]],
    *,
    column: str = "loss",
    window: int = 9,
    log: bool = False,
    ylabel: str = "training loss",
):
    """One line a label: the mean over seeds, with a band from the lowest to the highest seed.

    Args:
        records: label -> records of its seeds; of each only ``history["step"]`` and ``history[column]`` are
            used.
        column: which column of the history.
        window: steps of the moving mean (in rows of the history).
        log: logarithmic loss axis.

    Errors: ``ValueError`` without records.
    """
    import pandas as pd
    import seaborn as sns

    frames = [
        pd.DataFrame(
            {
                "step": record.history["step"],
                "value": smooth(record.history[column], window),
                "run": f"{label} ({len(runs)} seed{'s' if len(runs) != 1 else ''})",
                "seed": seed,
            }
        )
        for label, runs in records.items()
        for seed, record in enumerate(runs)
    ]
    if not frames:
        raise ValueError("no records to draw; run the variant first")
    figure = new_figure(WIDTH, 3.8)
    axis = figure.subplots()
    data = pd.concat(frames, ignore_index=True)
    sns.lineplot(
        data,
        x="step",
        y="value",
        hue="run",
        ax=axis,
        errorbar=("pi", 100),
        palette=list(PALETTE[: data["run"].nunique()]),
    )
    axis.set(xlabel="step", ylabel=ylabel, yscale="log" if log else "linear")
    axis.legend(title="")
    return figure


@styled
def timeline(entries: Sequence[tuple[int, str, str]]):
    """Years from left to right, each entry a dot with its label and one line of detail, above and below in
    turn.

    Args:
        entries: (year, label, detail) in any order; entries of one year stand side by side.

    Errors: ``ValueError`` without entries.
    """
    if not entries:
        raise ValueError("a timeline needs at least one entry")
    ordered = sorted(entries, key=lambda entry: entry[0])
    figure = new_figure(WIDTH, 0.62 * len(ordered) + 0.5)
    axis = figure.subplots()
    axis.axis("off")
    places = np.arange(len(ordered), 0, -1)
    axis.plot([0, 0], [places[-1] - 0.4, places[0] + 0.4], color="#999999", lw=2, zorder=1)
    for place, (year, label, detail), colour in zip(places, ordered, _cycle(len(ordered)), strict=True):
        axis.scatter([0], [place], s=90, color=colour, zorder=2)
        axis.text(-0.04, place, str(year), ha="right", va="center", fontsize=12)
        axis.text(0.04, place + 0.16, label, ha="left", va="center", weight="bold", color=COLOURS["ink"])
        axis.text(0.04, place - 0.2, detail, ha="left", va="center", fontsize=10)
    axis.set(xlim=(-0.14, 1), ylim=(places[-1] - 0.5, places[0] + 0.5))
    return figure


def _cycle(count: int) -> list[str]:
    return [PALETTE[k % len(PALETTE)] for k in range(count)]
