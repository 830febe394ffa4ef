"""A network drawn from its own table of layers, with the printed sizes beside the computed ones."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from mdepth.plots.style import COLOURS, PALETTE, WIDTH, new_figure, styled

__all__ = ["architecture", "u_shape"]

KINDS = {
    "conv": PALETTE[0],
    "deconvolution": PALETTE[3],
    "max pool": PALETTE[5],
    "average pool": PALETTE[5],
    "fully connected": PALETTE[1],
    "reshape": PALETTE[2],
}


@styled
def architecture(layers: Sequence[Any], *, printed: Mapping[str, str] | None = None, title: str = ""):
    """One line a layer, input at the top: its operation, a box as wide as the map and as thick as its
    channels, its size.

    Args:
        layers: rows of :func:`mdepth.models.layer_sizes`: ``name, op, kernel, stride, channels, size,
            parameters``.
        printed: layer name -> size as the paper prints it, width x height; shown green where it agrees, red
            where not.
        title: above the drawing.

    Errors: ``ValueError`` for a printed size of a layer that the network does not have.
    """
    printed = printed or {}
    if unknown := set(printed) - {layer.name for layer in layers}:
        raise ValueError(f"printed sizes of layers that are not there: {', '.join(sorted(unknown))}")
    figure = new_figure(WIDTH, 0.36 * len(layers) + 0.95)
    axis = figure.subplots()
    axis.axis("off")
    widest = max(layer.size[1] for layer in layers)
    for number, layer in enumerate(layers):
        y = -number
        axis.text(0.0, y, layer.name, va="center", fontsize=10)
        axis.text(0.25, y, _operation(layer), va="center", fontsize=10, color="#555555")
        width = 0.2 * _share(layer.size[1], widest)
        thick = 0.12 + 0.055 * log2(max(layer.channels, 1) + 1)
        axis.add_patch(_box(0.57, y, width, thick, KINDS.get(layer.op, COLOURS["baseline"])))
        axis.text(0.69, y, f"{layer.size[1]}×{layer.size[0]} · {layer.channels}", va="center", fontsize=10)
        if layer.name in printed:
            axis.text(
                1.0,
                y,
                _agreement(layer, printed[layer.name]),
                va="center",
                ha="right",
                fontsize=10,
                color=COLOURS["good"] if _agrees(layer, printed[layer.name]) else COLOURS["bad"],
            )
    heads = {0.0: "layer", 0.25: "operation", 0.53: "map", 0.69: "w×h · channels"} | (
        {0.91: "printed"} if printed else {}
    )
    for x, text in heads.items():
        axis.text(x, 0.95, text, va="center", fontsize=10, weight="bold")
    axis.set(xlim=(0, 1), ylim=(-len(layers) + 0.4, 1.4), title=title)
    return figure


@styled
def u_shape(down: Sequence[Any], bottom: Sequence[Any], up: Sequence[Any], *, title: str = ""):
    """A network that goes down and up again: the encoder's maps at the left, from fine to coarse, the
    decoder's at the right, from coarse to fine, and an arrow for each map that is joined.

    Boxes are as wide as their map and as thick as its channels (both on a logarithmic scale); beside them
    stand name, size and channels.

    Args:
        down: rows of :func:`mdepth.models.layer_sizes`, each joined. That partners are equally large is not
            checked.
        bottom: what lies below them, one below the other.
        up: as many as in ``down``; the first is joined with the last of them. More rows, behind these, are
            joined with nothing.
        title: above the drawing.

    Errors: ``ValueError`` where fewer maps go up than down, or none goes down or lies below.
    """
    if len(up) < len(down) or not (down and bottom):
        raise ValueError(
            f"{len(down)} maps go down, {len(bottom)} lie below and {len(up)} go up: there must be some of "
            "each, and a partner for each that goes down"
        )
    joined, behind = list(up[: len(down)])[::-1], list(up[len(down) :])[::-1]
    lines = len(behind) + len(down) + len(bottom)
    figure = new_figure(WIDTH, 0.62 * lines + 0.4)
    axis = figure.subplots()
    axis.axis("off")
    widest = max(layer.size[1] for layer in [*down, *bottom, *up])
    for number, layer in enumerate(behind):
        _map(axis, layer, RIGHT, -number, widest)
    for number, (left, right) in enumerate(zip(down, joined, strict=True), len(behind)):
        _map(axis, left, LEFT, -number, widest)
        _map(axis, right, RIGHT, -number, widest)
        ends = (LEFT + _half(left, widest), -number), (RIGHT - _half(right, widest), -number)
        _arrow(axis, *ends, COLOURS["accent"])
    for number, layer in enumerate(bottom, len(behind) + len(down)):
        _map(axis, layer, MIDDLE, -number, widest)
    above = -(lines - len(bottom) - 1)
    _arrow(axis, (LEFT, above - 0.46), (MIDDLE - 0.13, above - 0.9), "#555555")
    _arrow(axis, (MIDDLE + 0.13, 1.1 - lines), (RIGHT, above - 0.46), "#555555")
    axis.text(LEFT, 0.62 - len(behind), "encoder", ha="center", va="center", weight="bold", fontsize=10)
    axis.text(RIGHT, 0.62, "decoder", ha="center", va="center", weight="bold", fontsize=10)
    axis.text(MIDDLE, 0.25 - len(behind), "joined", ha="center", fontsize=10, color=COLOURS["accent"])
    axis.set(xlim=(0, 1), ylim=(-lines + 0.35, 0.85), title=title)
    return figure


LEFT, MIDDLE, RIGHT = 0.2, 0.5, 0.8
"""Where the encoder, the bottom and the decoder stand, of the width of the drawing."""


Point = tuple[int | float, int | float]


def _arrow(axis: Any, start: Point, end: Point, colour: str) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.8})


def _map(axis: Any, layer: Any, x: float, y: int, widest: int) -> None:
    """A box with its name and size below it."""
    thick = 0.1 + 0.026 * log2(layer.channels + 1)
    colour = KINDS.get(layer.op, COLOURS["baseline"])
    axis.add_patch(_box(x, y, 2 * _half(layer, widest), thick, colour))
    words = f"{layer.name}: {layer.size[1]}×{layer.size[0]} · {layer.channels}"
    axis.text(x, y - 0.33, words, ha="center", va="center", fontsize=9.5)


def _half(layer: Any, widest: int) -> float:
    """Half of the width of a box."""
    return 0.19 * _share(layer.size[1], widest)


def _share(columns: int, widest: int) -> float:
    """Width of a box, of the widest, on a logarithmic scale."""
    return (log2(columns) + 0.35) / (log2(max(widest, 2)) + 0.35)


def _box(x: float, y: int | float, width: float, height: float, colour: str):
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x - width / 2, y - height / 2), width, height, facecolor=colour, edgecolor="none", alpha=0.85
    )


def _operation(layer: Any) -> str:
    rows, columns = layer.kernel if isinstance(layer.kernel, tuple) else (layer.kernel, layer.kernel)
    size = f" {rows}×{columns}" if rows * columns > 1 else ""
    stride = f" /{layer.stride}" if layer.stride > 1 else ""
    return f"{layer.op}{size}{stride}"


def _agrees(layer: Any, text: str) -> bool:
    return text.replace("×", "x") == f"{layer.size[1]}x{layer.size[0]}"


def _agreement(layer: Any, text: str) -> str:
    return f"{text.replace('x', '×')} {'✓' if _agrees(layer, text) else '✗'}"
