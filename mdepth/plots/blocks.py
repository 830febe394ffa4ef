"""A block of a network drawn from its modules: what it does, one step after the other, branches side by
side.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mdepth.plots.phases import PHASES, SHADES
from mdepth.plots.style import COLOURS, WIDTH, new_figure, styled

__all__ = ["Step", "steps_of", "up_blocks"]

NAMES = {nn.BatchNorm2d: "BN", nn.ReLU: "ReLU"}
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
BOX, GAP = 0.64, 0.36  # height of a box and of the arrow above it, in lines
WIDEST, LINE = 0.45, 0.33  # width of a box in widths of its panel, height of a line in inches
KERNEL, OTHER = "#c3cede", "#eef0f3"  # what has a kernel is darker


@dataclass(frozen=True)
class Step:
    """One operation of a block, or the small convolutions that are done in its place."""

    label: str
    parts: tuple[tuple[str, str], ...] = ()
    """(letter, kernel) of each small convolution; empty for a single operation."""


Flow = Sequence[Step | tuple[Any, ...]]  # a tuple of flows stands for branches side by side


def steps_of(block: nn.Module) -> list[Any]:
    """The steps of a block in the order in which a map passes them, read off one forward pass.

    Branches that start from the same map are a tuple of such lists. What joins them is no module, so it is
    found by trying: their sum, or the ReLU of it.

    Args:
        block: holds a convolution. A part with ``phases``, (row, column) -> convolution, counts as small
            convolutions that are interleaved.

    Errors: ``ValueError`` where branches are joined in another way, where something else is done outside the
    modules of a block, or where there is no convolution.

    Example:
        >>> [step.label for step in steps_of(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()))]
        ['3×3', 'ReLU']
    """
    return _trace(block)[1]


def _trace(block: nn.Module) -> tuple[torch.Tensor, list[Any], torch.Tensor]:
    """A small map, the steps that it passes in the block, and what becomes of it."""
    block = deepcopy(block).eval()
    channels = [part.in_channels for part in block.modules() if isinstance(part, CONVOLUTIONS)]
    if not channels:
        raise ValueError("the block holds no convolution")
    x = torch.randn(1, channels[0], 6, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return x, _steps(block, x), block(x)


def _steps(block: nn.Module, x: torch.Tensor) -> list[Any]:
    phases: Any = getattr(block, "phases", None)
    if phases:
        letters = {place: letter for letter, place in PHASES.items()}
        parts = tuple((letters[place], _kernel(conv)) for place, conv in phases.items())
        return [Step("small kernels", parts), Step("interleave")]
    if not list(block.children()):
        return [Step(_label(block))]
    calls: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []
    handles = [
        child.register_forward_hook(lambda child, given, result: calls.append((child, given[0], result)))
        for child in block.children()
    ]
    y = block(x)
    for handle in handles:
        handle.remove()
    flows = [_steps(child, given) for child, given, _ in calls]
    if len(calls) > 1 and all(given is x for _, given, _ in calls):
        return [tuple(flows), *_joint([result for *_, result in calls], y)]
    passed = [x, *(result for *_, result in calls)]
    if [id(given) for _, given, _ in calls] + [id(y)] != [id(value) for value in passed]:
        raise ValueError(f"{type(block).__name__} does something outside its modules, which cannot be drawn")
    return [step for flow in flows for step in flow]


def _label(module: nn.Module) -> str:
    """A kernel's size, a short name, or the name of the class."""
    if isinstance(module, CONVOLUTIONS):
        return _kernel(module) + (" deconvolution" if isinstance(module, nn.ConvTranspose2d) else "")
    return NAMES.get(type(module), type(module).__name__.lower())


def _kernel(conv: Any) -> str:
    return "×".join(map(str, conv.kernel_size))


def _joint(results: Sequence[torch.Tensor], y: torch.Tensor) -> list[Step]:
    """The steps that turn the results of branches into the block's result."""
    total = torch.stack(list(results)).sum(dim=0)
    for steps, joined in ((["sum"], total), (["sum", "ReLU"], total.relu())):
        if y.shape == joined.shape and torch.allclose(y, joined):
            return [Step(label) for label in steps]
    raise ValueError("the branches of the block are joined neither by their sum nor by the ReLU of it")


@styled
def up_blocks(blocks: Mapping[str, nn.Module]):
    """Blocks drawn from their modules, two in a line, each from the map that comes in to the one that goes
    out.

    Every box is an operation in the order of the code (:func:`steps_of`). The small convolutions A to D lie
    as their results do in a 2x2 cell of the output, in the colours of :func:`~mdepth.plots.kernel_phases`.

    Args:
        blocks: title -> block.

    Errors: ``ValueError`` without blocks, or where branches are joined otherwise than by a sum.

    Example:
        >>> figure = up_blocks({"one": nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU())})
        >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()]
        ['C × h × w', '3×3', 'ReLU', '2C × h × w']
    """
    if not blocks:
        raise ValueError("no blocks to draw")
    traces = [_trace(block) for block in blocks.values()]
    heights = [_height(steps) + 2 * BOX + GAP for _, steps, _ in traces]
    tallest = [max(heights[k : k + 2]) for k in range(0, len(heights), 2)]
    figure = new_figure(WIDTH, LINE * sum(tallest) + 0.4 * len(tallest))
    axes = figure.subplots(len(tallest), 2, squeeze=False, gridspec_kw={"height_ratios": tallest})
    for axis in axes.flat:
        axis.axis("off")
    for number, (title, (x, steps, y)) in enumerate(zip(blocks, traces, strict=True)):
        axis = axes.flat[number]
        axis.set(xlim=(0, 1), ylim=(-tallest[number // 2], 0), title=title)
        _word(axis, 0.5, -BOX / 2, "C × h × w")
        end = _draw(axis, steps, 0.5, -BOX, 1.0)
        _arrow(axis, 0.5, end, end - GAP)
        _word(axis, 0.5, end - GAP - BOX / 2, _size(x, y))
    return figure


def _size(x: torch.Tensor, y: torch.Tensor) -> str:
    """Channels, rows and columns of a map, in terms of those of another."""
    sides = (f"{b // a if b > a else ''}{name}" for a, b, name in zip(x.shape, y.shape, "-Chw", strict=True))
    _, channels, rows, columns = sides
    fewer = x.shape[1] // y.shape[1]
    return f"{channels}{f'/{fewer}' if fewer > 1 else ''} × {rows} × {columns}"


def _height(flow: Flow) -> float:
    """Lines from the top of a flow to its bottom."""
    return sum(map(_lines, flow))


def _lines(item: Step | tuple[Any, ...]) -> float:
    """Lines that a step takes with its arrow; branches have two corners, small convolutions two rows."""
    if isinstance(item, tuple):
        return max(map(_height, item)) + GAP
    return GAP + BOX * (2 if item.parts else 1)


def _draw(axis: Any, flow: Flow, x: float, y: float, width: float) -> float:
    """Draw a flow below the point (x, y), so wide at most; returns where it ends."""
    wide = min(0.93 * width, WIDEST)
    for item in flow:
        if isinstance(item, tuple):
            _branches(axis, item, x, y, width)
        else:
            _arrow(axis, x, y, y - GAP)
            if item.parts:
                _small(axis, item.parts, x, y - GAP, wide)
            else:
                colour = KERNEL if "×" in item.label else OTHER
                _box(axis, item.label, x - wide / 2, y - GAP, wide, colour)
        y -= _lines(item)
    return y


def _branches(axis: Any, flows: Sequence[Flow], x: float, y: float, width: float) -> None:
    """Draw branches side by side, from one corner to the next."""
    share, corner = width / len(flows), GAP / 2
    low = y - _lines(tuple(flows))
    for number, flow in enumerate(flows):
        middle = x + share * (number - (len(flows) - 1) / 2)
        end = _draw(axis, flow, middle, y - corner, share)
        axis.plot([x, middle, middle], [y, y, y - corner], color=COLOURS["ink"], lw=1.2)
        axis.plot([middle, middle, x], [end, low, low], color=COLOURS["ink"], lw=1.2)


def _small(axis: Any, parts: Sequence[tuple[str, str]], x: float, y: float, width: float) -> None:
    """The small convolutions, each where its results lie in a 2x2 cell."""
    for letter, kernel in parts:
        row, column = PHASES[letter]
        left, top = x + width / 2 * (column - 1), y - row * BOX
        _box(axis, f"{letter} {kernel}", left, top, width / 2, SHADES[letter])


def _box(axis: Any, label: str, left: float, top: float, width: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((left, top - BOX), width, BOX, facecolor=colour, edgecolor="#666666", lw=0.8))
    _word(axis, left + width / 2, top - BOX / 2, label)


def _word(axis: Any, x: float, y: float, text: str) -> None:
    axis.text(x, y, text, ha="center", va="center_baseline", fontsize=11)


def _arrow(axis: Any, x: float, start: float, end: float) -> None:
    shape = {"arrowstyle": "-|>", "lw": 1.2, "color": COLOURS["ink"], "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (x, end), (x, start), arrowprops=shape)
