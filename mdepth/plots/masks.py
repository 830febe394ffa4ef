"""Masks beside what they are masks of: a table of pictures, every mask with a scale of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mdepth.plots.maps import array, picture
from mdepth.plots.style import WIDTH, colour_map, new_figure, styled

__all__ = ["colour_mask", "picture_rows"]


def colour_mask(mask: Any, *, vmax: int | float | None = None) -> np.ndarray:
    """A mask as colours, (H, W, 3) in [0, 1], from 0 to ``vmax``, by default to its own largest value.

    Example:
        >>> colour_mask(np.array([[0.0, 0.2]])).shape
        (1, 2, 3)
    """
    values = array(mask)
    return colour_map("mask")(values / max(float(values.max()) if vmax is None else vmax, 1e-9))[..., :3]


@styled
def picture_rows(rows: Mapping[str, Sequence[Any]], *, masks: Sequence[str] = ()):
    """Rows of pictures, each row with its title above; the rows named in ``masks`` hold masks, (H, W), each
    in colours from 0 to its own largest value, which stands on a scale below it.

    Errors: ``ValueError`` without rows, for rows of different lengths, or for a name in ``masks`` that is no
    row.

    Example:
        >>> figure = picture_rows({"room": [np.zeros((3, 6, 8))], "mask": [np.eye(6, 8)]}, masks=["mask"])
        >>> len(figure.axes)
        3
    """
    lengths = {len(row) for row in rows.values()}
    if len(lengths) != 1 or not set(masks) <= set(rows):
        raise ValueError(f"expected rows of one length and masks among {list(rows)}, got {lengths}, {masks}")
    across = lengths.pop()
    wide = WIDTH / across
    shape = picture(next(iter(rows.values()))[0]).shape
    tall = wide * shape[0] / shape[1]
    heights = [tall + 0.28 + (0.3 if title in masks else 0.0) for title in rows]
    figure = new_figure(WIDTH, sum(heights))
    figure.set_layout_engine("none")
    top = sum(heights)
    for (title, row), height in zip(rows.items(), heights, strict=True):
        figure.text(0.01, (top - 0.06) / sum(heights), title, ha="left", va="top", fontsize=10)
        for number, item in enumerate(row):
            left, bottom = number * wide + 0.04, top - 0.26 - tall + 0.04
            box = (left / WIDTH, bottom / sum(heights), (wide - 0.08) / WIDTH, (tall - 0.04) / sum(heights))
            axis = figure.add_axes(box)
            axis.axis("off")
            if title not in masks:
                axis.imshow(picture(item), aspect="auto")
                continue
            values = array(item)
            shown = axis.imshow(values, aspect="auto", cmap=colour_map("mask"), vmin=0)
            bar = figure.add_axes((box[0], (bottom - 0.11) / sum(heights), box[2], 0.07 / sum(heights)))
            figure.colorbar(shown, cax=bar, orientation="horizontal", ticks=[0, float(values.max())])
            bar.set_xticklabels(["0", f"{values.max():.2f}"], fontsize=8)
            bar.tick_params(length=0, pad=1)
            for label, side in zip(bar.get_xticklabels(), ("left", "right"), strict=True):
                label.set_ha(side)
        top -= height
    return figure
