"""A network drawn from its own table of layers, with the printed sizes beside the computed ones."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from mdepth.plots.style import COLOURS, PALETTE, WIDTH, new_figure, styled

__all__ = ["architecture"]

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
    widest = max(max(layer.size[1] for layer in layers), 2)
    for number, layer in enumerate(layers):
        y = -number
        axis.text(0.0, y, layer.name, va="center", fontsize=10)
        axis.text(0.25, y, _operation(layer), va="center", fontsize=10, color="#555555")
        width = 0.2 * (log2(layer.size[1]) + 0.35) / (log2(widest) + 0.35)
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
