"""Why four small convolutions, interleaved, are one 5x5 convolution of an unpooled map: the taps of the
kernel, sorted by the pixels that they serve.

The letters and their colours are the same in all figures of the blocks: A makes the output pixels in even
rows and even columns, B those in odd rows and even columns, C in even and odd, D in odd and odd.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mdepth.plots.interactive import Interactive, layout, step_slider
from mdepth.plots.style import COLOURS, PALETTE, WIDTH, new_figure, styled

__all__ = ["PHASES", "SHADES", "convolve", "interleave", "kernel_phases", "split", "tint", "unpool", "weave"]

#: Letter -> whether the rows and the columns of the output that it makes are even (0) or odd (1).
PHASES = {"A": (0, 0), "B": (1, 0), "C": (0, 1), "D": (1, 1)}


def tint(colour: str, share: float) -> str:
    """A colour mixed with white: all of it at 1, white at 0.

    Example:
        >>> tint("#004080", 0.5)
        '#80a0c0'
    """
    parts = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)


#: Letter -> its colour: light enough for words, and far apart in lightness or hue for any colour vision.
SHADES = {
    "A": tint(PALETTE[5], 0.6),
    "B": tint(PALETTE[1], 0.75),
    "C": tint(PALETTE[2], 0.9),
    "D": tint(PALETTE[3], 0.8),
}

#: Numbers whose results have two digits: a small map and a 5x5 kernel.
MAP = np.array([[2, 1, 3, 1], [1, 4, 2, 3], [3, 2, 1, 2]])
KERNEL = np.array([[1, 2, 1, 3, 2], [2, 1, 3, 1, 2], [3, 1, 2, 2, 1], [1, 3, 1, 2, 1], [2, 1, 2, 1, 3]])

NAMES = ("even", "odd")
FAINT = "#6e6e6e"  # zeros, and numbers of rows and columns


def _every(letter: str) -> tuple[slice, slice]:
    """Every second row and every second column, beginning where the letter's are."""
    row, column = PHASES[letter]
    return slice(row, None, 2), slice(column, None, 2)


def unpool(values: np.ndarray) -> np.ndarray:
    """Each value in the top left corner of a 2x2 cell, zeros in the other three: (h, w) to (2h, 2w).

    Example:
        >>> unpool(np.array([[1, 2]])).tolist()
        [[1, 0, 2, 0], [0, 0, 0, 0]]
    """
    return weave({"A": values} | {letter: 0 * values for letter in "BCD"})


def split(kernel: np.ndarray) -> dict[str, np.ndarray]:
    """The taps of a 5x5 kernel by the output pixels that they serve: A 3x3, B 2x3, C 3x2, D 2x2.

    Example:
        >>> {letter: part.shape for letter, part in split(np.ones((5, 5))).items()}
        {'A': (3, 3), 'B': (2, 3), 'C': (3, 2), 'D': (2, 2)}
    """
    return {letter: kernel[_every(letter)] for letter in PHASES}


def convolve(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Every place's sum of kernel times neighbours (no flip), of the map's size: zeros around the map, a side
    of an even kernel's behind it only.

    Example:
        >>> convolve(np.array([[1, 2, 4]]), np.array([[1, 10]])).tolist()
        [[21, 42, 4]]
    """
    pad = [((side - 1) // 2, side // 2) for side in kernel.shape]
    return (sliding_window_view(np.pad(values, pad), kernel.shape) * kernel).sum(axis=(-1, -2))


def weave(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Four maps (h, w), A to D, interleaved to (2h, 2w).

    Example:
        >>> weave({letter: np.array([[number]]) for number, letter in enumerate("ABCD")}).tolist()
        [[0, 2], [1, 3]]
    """
    rows, columns = parts["A"].shape
    large = np.zeros((2 * rows, 2 * columns), parts["A"].dtype)
    for letter in PHASES:
        large[_every(letter)] = parts[letter]
    return large


@dataclass
class Sheet:
    """Squared paper: coloured squares, words and frames; x to the right and y down, in squares."""

    note: str = ""
    squares: dict[tuple[int, int], str] = field(default_factory=dict)
    """(row, column) -> colour."""
    words: list[tuple[float, float, str, str]] = field(default_factory=list)
    """x, y, text, colour."""
    frames: list[tuple[int, int, int, int]] = field(default_factory=list)
    """x, y, width, height."""

    def grid(self, top: int, left: int, colours: Any, texts: Any, title: str = "") -> None:
        """Squares with one text each, and a heading above them."""
        for (row, column), text in np.ndenumerate(np.asarray(texts, object)):
            self.squares[top + row, left + column] = str(colours[row, column])
            colour = FAINT if text == 0 else COLOURS["ink"]
            self.words.append((left + column + 0.5, top + row + 0.5, str(text), colour))
        if title:
            self.words.append((left + np.shape(texts)[1] / 2, top - 0.5, title, COLOURS["ink"]))

    def frame(self, rows: slice, columns: slice, top: int, left: int) -> None:
        """A frame around rows and columns of the grid that begins at (top, left)."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        self.frames.append((left + columns.start, top + rows.start, width, height))


VALUE, ZERO, OPEN = tint(PALETTE[4], 0.4), "#f1f1f1", "#e2e2e2"
KERNEL_AT, LARGE_AT, CELL_AT = (1, 5), (9, 1), (11, 10)  # top and left of the grids
SIZE = (15, 12)  # rows and columns of a sheet
CELL = (1, 1)  # the value of the small map whose four output pixels are followed


def sheets() -> dict[str, Sheet]:
    """The steps of the animation: which taps meet a value (A to D), the cut, and what is woven in (+A to
    +D).
    """
    return (
        {letter: _meeting(letter) for letter in PHASES}
        | {"cut": _cut()}
        | {f"+{letter}": _woven(letter) for letter in PHASES}
    )


def _places(letter: str) -> str:
    row, column = PHASES[letter]
    return f"{NAMES[row]} rows and {NAMES[column]} columns"


def _small(sheet: Sheet, letter: str = "") -> None:
    """The small map, with the values that the output pixel of a letter uses in its colour."""
    colours = np.full(MAP.shape, VALUE, object)
    if letter:
        colours[_used(letter)] = SHADES[letter]
        sheet.frame(*_used(letter), 1, 0)
    sheet.grid(1, 0, colours, MAP, "small map")


def _used(letter: str) -> tuple[slice, slice]:
    """Rows and columns of the small map that an output pixel in the followed cell uses."""
    first = (middle - 1 + odd for middle, odd in zip(CELL, PHASES[letter], strict=True))
    rows, columns = (slice(start, middle + 2) for start, middle in zip(first, CELL, strict=True))
    return rows, columns


def _pixel(letter: str) -> tuple[int, int]:
    """Row and column of the followed output pixel."""
    row, column = (2 * middle + odd for middle, odd in zip(CELL, PHASES[letter], strict=True))
    return row, column


def _result() -> np.ndarray:
    return convolve(unpool(MAP), KERNEL)


def _cell(sheet: Sheet, letters: Iterable[str], title: str) -> None:
    """The followed cell of the output, as far as it is made."""
    colours, texts = np.full((2, 2), OPEN, object), np.full((2, 2), "", object)
    for letter in letters:
        colours[PHASES[letter]], texts[PHASES[letter]] = SHADES[letter], _result()[_pixel(letter)]
    sheet.grid(*CELL_AT, colours, texts, title)


def _numbers(sheet: Sheet, shape: tuple[int, int], top: int, left: int) -> None:
    """Numbers of rows and columns around a grid."""
    sheet.words += [(left - 0.4, top + row + 0.5, str(row), FAINT) for row in range(shape[0])]
    sheet.words += [(left + column + 0.5, top - 0.4, str(column), FAINT) for column in range(shape[1])]


def _meeting(letter: str) -> Sheet:
    """Where the window of one output pixel lies on the unpooled map, and which taps meet a value there."""
    (row, column), phase, large = _pixel(letter), PHASES[letter], unpool(MAP)
    count, total = split(KERNEL)[letter].size, _result()[row, column]
    sheet = Sheet(
        f"Framed: the output pixel in row {row}, column {column} ({NAMES[phase[0]]}, {NAMES[phase[1]]}). "
        f"Of the 25 taps around it {count} meet a value, {25 - count} a zero. The sum is\u00a0{total}."
    )
    _small(sheet, letter)
    taps = np.full((5, 5), ZERO, object)
    taps[_every(letter)] = SHADES[letter]
    sheet.grid(*KERNEL_AT, taps, KERNEL, "5×5 kernel")
    colours = np.full(large.shape, ZERO, object)
    colours[_every("A")] = VALUE
    window = slice(row - 2, row + 3), slice(column - 2, column + 3)
    met = np.zeros(large.shape, bool)
    met[window] = large[window] > 0
    colours[met] = SHADES[letter]
    top, left = LARGE_AT
    sheet.grid(top, left, colours, large)
    sheet.words.append((left + 4, top - 1.2, "unpooled map, under the kernel", COLOURS["ink"]))
    _numbers(sheet, (6, 8), top, left)
    sheet.frame(*window, top, left)
    sheet.frame(slice(row, row + 1), slice(column, column + 1), top, left)
    _cell(sheet, [known for known in PHASES if known <= letter], "output")
    return sheet


def _parts(sheet: Sheet, top: int, left: int, strong: Iterable[str]) -> None:
    """The four small kernels, each where its results lie in a 2x2 cell."""
    for letter, part in split(KERNEL).items():
        row, column = PHASES[letter]
        colours = np.full(part.shape, SHADES[letter] if letter in strong else ZERO, object)
        title = f"{letter} {part.shape[0]}×{part.shape[1]}"
        sheet.grid(top + 4 * row, left + 4 * column, colours, part, title)


def _cut() -> Sheet:
    sheet = Sheet(
        "No tap serves two kinds of pixels. So the kernel can be cut into four small ones, of "
        "9\u00a0+\u00a06\u00a0+\u00a06\u00a0+\u00a04 = 25\u00a0taps."
    )
    _small(sheet)
    colours = np.full((5, 5), "", object)
    for letter in PHASES:
        colours[_every(letter)] = SHADES[letter]
    sheet.grid(*KERNEL_AT, colours, KERNEL, "5×5 kernel")
    _parts(sheet, *LARGE_AT, PHASES)
    return sheet


def _woven(letter: str) -> Sheet:
    """The results of the small kernels up to a letter, at their places."""
    done = [known for known in PHASES if known <= letter]
    row, column = _pixel(letter)
    result = (
        f"Framed: {_result()[row, column]}, as before.".replace(" ", "\u00a0")
        if letter != "D"
        else "Same output as by the 5×5: 25 products a value, not 100."
    )
    sheet = Sheet(f"{letter} runs over the small map itself and fills the {_places(letter)}. {result}")
    _small(sheet, letter)
    _parts(sheet, *KERNEL_AT, [letter])
    parts = {known: convolve(MAP, part) for known, part in split(KERNEL).items()}
    colours, texts = np.full((6, 8), OPEN, object), np.full((6, 8), "", object)
    for known in done:
        colours[_every(known)], texts[_every(known)] = SHADES[known], parts[known]
    top, left = LARGE_AT
    sheet.grid(top, left, colours, texts)
    sheet.words.append((left + 4, top - 1.2, "output, woven", COLOURS["ink"]))
    _numbers(sheet, (6, 8), top, left)
    sheet.frame(slice(row, row + 1), slice(column, column + 1), top, left)
    _cell(sheet, PHASES, "by 5×5")
    return sheet


@styled
def interleave() -> Interactive:
    """Why four small kernels do the work of a 5x5 on an unpooled map, in nine steps of a slider (or played).

    Four output pixels that are neighbours, one of each letter, show which taps of the kernel meet a value and
    which meet zeros; the kernel is cut along that line; the small kernels run over the small map, and their
    results are woven into the output. Every number shown is computed.

    Example:
        >>> [frame.name for frame in interleave().figure.frames]
        ['A', 'B', 'C', 'D', 'cut', '+A', '+B', '+C', '+D']
    """
    import plotly.graph_objects as go

    found = sheets()
    names, first = list(found), next(iter(found.values()))
    frames = [go.Frame(data=_traces(sheet), name=name, layout={"title": {"text": _wrapped(sheet, "<br>")}})
              for name, sheet in found.items()]  # fmt: skip
    figure = go.Figure(data=_traces(first), frames=frames)
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(**layout() | {"margin": {"l": 10, "r": 10, "t": 84, "b": 100}})
    figure.update_layout(
        title={"text": _wrapped(first, "<br>"), "font": {"size": 14}, "x": 0.5, "y": 0.965, "yanchor": "top"},
        xaxis=hidden | {"range": [-0.1, SIZE[1] + 0.1]},
        yaxis=hidden | {"range": [SIZE[0] + 0.1, 0], "scaleanchor": "x"},
        sliders=[step_slider(names, 0, "step: ") | {"x": 0.2, "len": 0.8, "pad": {"t": 20}}],
        updatemenus=[_player()],
        modebar={"remove": ["toImage", "select2d", "lasso2d", "toggleHover"]},
        showlegend=False,
        height=184 + 33 * SIZE[0],
    )
    return Interactive(figure, _still([found["A"], found["+D"]]))


def _wrapped(sheet: Sheet, end: str) -> str:
    return end.join(wrap(sheet.note, 46))


def _player() -> dict[str, Any]:
    """Buttons that play the steps and stop."""
    play = {"frame": {"duration": 2500, "redraw": True}, "transition": {"duration": 0}, "fromcurrent": True}
    stop = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate"}
    return {
        "type": "buttons",
        "direction": "down",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "pad": {"t": 24},
        "buttons": [
            {"label": "play", "method": "animate", "args": [None, play]},
            {"label": "stop", "method": "animate", "args": [[None], stop]},
        ],
    }


def _traces(sheet: Sheet) -> list[Any]:
    """A sheet for plotly: squares, words, frames."""
    import plotly.graph_objects as go

    palette = sorted(set(sheet.squares.values()))
    codes: list[list[float | None]] = [[None] * SIZE[1] for _ in range(SIZE[0])]
    for (row, column), colour in sheet.squares.items():
        codes[row][column] = palette.index(colour)
    edges = [number / len(palette) for number in range(len(palette) + 1)]
    scale = [[edge, colour] for k, colour in enumerate(palette) for edge in edges[k : k + 2]]
    squares = go.Heatmap(z=codes, x0=0.5, dx=1, y0=0.5, dy=1, xgap=2, ygap=2, colorscale=scale, zmin=-0.5,
                         zmax=len(palette) - 0.5, showscale=False, hoverinfo="skip")  # fmt: skip
    x, y, texts, colours = (list(part) for part in zip(*sheet.words, strict=True))
    words = go.Scatter(x=x, y=y, text=texts, mode="text", textfont={"size": 14, "color": colours},
                       hoverinfo="skip")  # fmt: skip
    return [squares, words, _outlines(sheet)]


def _outlines(sheet: Sheet) -> Any:
    """All frames as one line with gaps."""
    import plotly.graph_objects as go

    x: list[int | None] = []
    y: list[int | None] = []
    for left, top, width, height in sheet.frames:
        x += [left, left + width, left + width, left, left, None]
        y += [top, top, top + height, top + height, top, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"width": 3, "color": COLOURS["ink"]}, hoverinfo="skip")


def _still(pair: list[Sheet]) -> Any:
    """Sheets side by side."""
    figure = new_figure(WIDTH, WIDTH / 2 * SIZE[0] / SIZE[1] + 0.7)
    for axis, sheet in zip(figure.subplots(1, len(pair)), pair, strict=True):
        _paint(axis, sheet, SIZE, fontsize=9)
        axis.set_title(_wrapped(sheet, "\n"), fontsize=8.5)
    return figure


def _paint(axis: Any, sheet: Sheet, size: tuple[int | float, int | float], fontsize: int) -> None:
    """A sheet on axes that are as large as its rows and columns say."""
    from matplotlib.patches import Rectangle

    for (row, column), colour in sheet.squares.items():
        axis.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor=COLOURS["card"], lw=1.5))
    for x, y, text, colour in sheet.words:
        axis.text(x, y, text, ha="center", va="center_baseline", fontsize=fontsize, color=colour)
    for x, y, width, height in sheet.frames:
        axis.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=COLOURS["ink"], lw=2))
    axis.axis("off")
    axis.set(xlim=(-0.1, size[1] + 0.1), ylim=(size[0] + 0.1, 0), aspect="equal")


@styled
def kernel_phases():
    """The 5x5 kernel with a letter on every tap, the four kernels cut out of it with the row and column that
    each tap had, and the place of their results in a 2x2 cell of the output.

    Rows and columns count from 0, so that a tap of A lies in an even row and an even column, as the pixels
    that it serves do.

    Example:
        >>> len(kernel_phases().axes[0].patches)  # 25 taps, 25 taps, 4 places
        54
    """
    sheet = Sheet()
    letters = np.full((5, 5), "", object)
    for letter in PHASES:
        letters[_every(letter)] = letter
    colours = np.vectorize(SHADES.get, otypes=[object])
    sheet.grid(2, 1, colours(letters), letters)
    _numbers(sheet, (5, 5), 2, 1)
    places = np.array([[f"{row},{column}" for column in range(5)] for row in range(5)], object)
    for letter, (row, column) in PHASES.items():
        part = places[_every(letter)]
        title = f"{letter} {part.shape[0]}×{part.shape[1]}"
        sheet.grid(2 + 4 * row, 7 + 4 * column, colours(np.full(part.shape, letter)), part, title)
    cell = np.array([["A", "C"], ["B", "D"]])
    sheet.grid(2, 15, colours(cell), cell)
    for odd, name in enumerate(NAMES):
        sheet.words += [(14.2, 2.5 + odd, name, FAINT), (15.45 + 1.1 * odd, 1.6, name, FAINT)]
    heads = {
        3.5: "5×5 kernel",
        9.5: "its four kernels:\nrow, column of each tap",
        15.7: "where results go\nin a 2×2 cell",
    }
    sheet.words += [(x, 0.5, text, COLOURS["ink"]) for x, text in heads.items()]
    figure = new_figure(WIDTH, WIDTH * 8.1 / 17.6)
    _paint(figure.subplots(), sheet, (8, 17.4), fontsize=10)
    return figure
