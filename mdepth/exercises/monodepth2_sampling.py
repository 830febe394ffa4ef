"""Exercises of the Monodepth2 chapter on sampling: between pixels, at the border, and a mixed convention.

The right answers come from :mod:`mdepth.geometry`.
"""

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import torch
from torch.nn import functional as F

from mdepth.exercises.checker import Exercise
from mdepth.geometry import normalise_pixels, sample
from mdepth.shapes import Tensor

__all__ = ["bilinear", "mixed_samplers", "samplers"]

Sampler = Callable[[Tensor, Tensor], Tensor]
"""An image and pixels in, values out."""
Fetch = Callable[[Tensor, float, float], Any]
"""An image of one channel, u and v in, one value out."""


def bilinear() -> Exercise:
    """A bilinear sample, checked inside, on pixel centres, on the last of them, and beyond the border.

    Example:
        >>> from mdepth.exercises import check
        >>> check("monodepth2.bilinear", lambda image, u, v: image[floor(v), floor(u)])
        Not yet: at u = 5.25, v = 2.75 you ask for a pixel that does not exist: hold all indices in the image.
    """
    return Exercise(
        _library,
        [*_wrong_weights(), *_wrong_border()],
        "Four pixels, and beyond the border the border's own.",
        inputs=[(_image(), u, v) for u, v in PLACES],
        examine=_without_a_neighbour,
    )


PLACES = [
    *((1.25, 2.625), (2.75, 0.5), (0.375, 3.25)),  # inside
    *((2.0, 3.0), (0.0, 1.0), (3.0, 1.5)),  # on a pixel, on a column
    *((4.0, 4.0), (4.0, 1.25), (2.75, 4.0)),  # on the last of them
    *((-0.375, 1.25), (5.25, 2.75), (2.25, -1.625), (1.75, 6.125), (-2.0, 7.0)),  # outside
]
"""Columns and rows at which an image of 5 x 5 is to be fetched."""


def _image() -> Tensor:
    """An image of 5 x 5 pixels without any order."""
    return (torch.arange(25.0) * 7 % 25).view(5, 5) / 25 + 0.04


def _library(image: Tensor, u: float, v: float, padding: str = "border") -> Tensor:
    """The library's sample."""
    return sample(image[None, None], torch.tensor([u, v]).view(1, 2, 1, 1), padding=padding)


def _without_a_neighbour(fetch: Fetch) -> Fetch:
    """The same function, with a hint instead of Python's words for an index that does not exist."""

    def guarded(image: Tensor, u: float, v: float) -> Any:
        try:
            return fetch(image, u, v)
        except IndexError:
            raise IndexError(
                f"at u = {u}, v = {v} you ask for a pixel that does not exist: hold all indices in the image."
            ) from None

    return guarded


def _four(
    image: Tensor,
    u: float,
    v: float,
    *,
    lower: Callable[[float], int] = floor,
    upper: Callable[[float], int] = lambda x: floor(x) + 1,
    weights: Callable[[float, float], tuple[int | float, ...]] = lambda a, b: (1 - a, a, 1 - b, b),
    hold: Callable[[int], int] = lambda i: min(max(i, 0), 4),
) -> float:
    """The four pixels around (u, v), weighted; right unless told otherwise."""
    left, right, above, below = weights(u - lower(u), v - lower(v))

    def row(x: int) -> float:
        across = left * image[x, hold(lower(u))] + right * image[x, hold(upper(u))]
        return float(across)

    return above * row(hold(lower(v))) + below * row(hold(upper(v)))


def _with(**how: Any) -> Fetch:
    """:func:`_four` with one thing otherwise."""
    return lambda image, u, v: _four(image, u, v, **how)


def _wrong_weights() -> list[tuple[Fetch, str]]:
    """What goes wrong with the four and their weights."""
    return [
        (
            _with(weights=lambda a, b: (a, 1 - a, b, 1 - b)),
            "you swapped the weights: at a = u - floor(u) near 0 the left column counts nearly all.",
        ),
        (
            _with(weights=lambda a, b: (1 - b, b, 1 - a, a)),
            "you swapped the weights of rows and columns: u belongs to the columns.",
        ),
        (
            lambda image, u, v: _four(image.T, u, v),
            "you swapped rows and columns: the pixel at (u, v) is image[v, u].",
        ),
        (
            _with(upper=ceil, weights=lambda a, b: (1 - a if a else 0, a, 1 - b if b else 0, b)),
            "at integer positions ceil(u) - u and u - floor(u) are both 0: the left column counts 1 - a.",
        ),
        (_with(weights=lambda a, b: (0.5,) * 4), "that is the mean of the four; the nearer ones count more."),
        (
            lambda image, u, v: image[round(min(max(v, 0), 4)), round(min(max(u, 0), 4))],
            "that is the nearest pixel; mix the four around (u, v).",
        ),
        (
            _with(weights=lambda a, b: (1 - a, a, 1.0, 0.0)),
            "that is linear along u alone; v mixes two rows in the same way.",
        ),
        (
            _with(weights=lambda a, b: (1.0, 0.0, 1 - b, b)),
            "that is linear along v alone; u mixes two columns in the same way.",
        ),
        (
            lambda image, u, v: _four(image, u - 0.5, v - 0.5),
            "half a pixel off: integer coordinates are pixel centres here.",
        ),
    ]


def _wrong_border() -> list[tuple[Fetch, str]]:
    """What goes wrong at the border and beyond."""

    def black(image: Tensor, u: float, v: float) -> Any:
        return _four(image, u, v) if 0 <= u <= 4 and 0 <= v <= 4 else 0.0

    def held(x: float, last: int) -> float:
        return min(max(x, 0.0), float(last))

    zeros = "inside it is right; outside it is not black: the nearest pixel of the border goes on."
    beyond = "outside the weights leave [0, 1]: hold u and v in the image first, or all indices."
    return [
        (lambda image, u, v: _library(image, u, v, "zeros"), zeros),
        (black, zeros),
        (
            lambda image, u, v: _library(image, u, v, "reflection"),
            "inside it is right; outside it is not mirrored: the nearest pixel of the border goes on.",
        ),
        (
            _with(hold=lambda i: min(i, 4)),
            "Python counts a negative index from the end: outside on the left it fetches from the right.",
        ),
        (
            _with(hold=lambda i: i % 5),
            "the image does not begin again at its end: outside, the border goes on.",
        ),
        (
            lambda image, u, v: _four(image, held(u, 3), held(v, 3)),
            "the last column is W - 1: you stop one earlier.",
        ),
        (_with(lower=int, upper=lambda x: int(x) + 1), "int(-0.4) is 0, and floor(-0.4) is -1: " + beyond),
        (
            _with(lower=lambda x: min(max(floor(x), 0), 3), upper=lambda x: min(max(floor(x), 0), 3) + 1),
            beyond,
        ),
    ]


def samplers() -> tuple[Sampler, Sampler, Sampler]:
    """Three samplers, of an image (B, C, H, W) at pixels (B, 2, h, w); one of them is wrong.

    Example:
        >>> [sampler(torch.ones(1, 1, 2, 3), torch.ones(1, 2, 1, 1)).item() for sampler in samplers()]
        [1.0, 1.0, 1.0]
    """

    def made(first: bool, second: bool) -> Sampler:
        def sampler(image: Tensor, pixels: Tensor) -> Tensor:
            grid = normalise_pixels(pixels, image.shape[-2], image.shape[-1], align_corners=first)
            return F.grid_sample(image, grid, padding_mode="border", align_corners=second)

        return sampler

    return made(True, True), made(True, False), made(False, False)


def mixed_samplers() -> Exercise:
    """Which of the samplers is wrong, and by how many pixels at u = 0, 95.5 and 191 of a width of 192.

    Example:
        >>> from mdepth.exercises import check
        >>> check("monodepth2.samplers", (2, 0.5, 0, -0.5))
        Not yet: the sign: the place that is fetched minus the one that was asked for.
    """
    return Exercise(
        (2, -0.5, 0.0, 0.5),
        [
            ((2, 0.5, 0.0, -0.5), "the sign: the place that is fetched minus the one that was asked for."),
            (
                (2, 0.0, 0.0, 0.0),
                "at the very border the padding hides it: ask for u = 1 and for u = 190 of a ramp.",
            ),
            (
                (2, -0.5, -0.5, -0.5),
                "the image is not only moved, it is stretched, too: u W / (W - 1) - 0.5.",
            ),
            ((2, -0.5, 0.0, -0.5), "the stretch goes to both sides: what is fetched at the right?"),
            ((2, 0.5, 0.0, 0.5), "at the left it fetches what lies further left: a negative number."),
            ((2, -0.5, 95.5, 191.5), "those are the places themselves: subtract what was asked for."),
            ((2, 0.0, 0.5, 1.0), "that is u W / (W - 1); the half pixel of the other convention is missing."),
            ((1, -0.5, 0.0, 0.5), "the numbers are right; but the first one gives a ramp back as it is."),
            ((3, -0.5, 0.0, 0.5), "the numbers are right; but the third one gives a ramp back as it is."),
            ((2, None, None, None), "that is the one; now follow u through (W - 1) and align_corners=False."),
            ((1, None, None, None), "the first one gives a ramp back as it is: both parts of it agree."),
            ((3, None, None, None), "the third one gives a ramp back as it is: both parts of it agree."),
        ],
        "Half a pixel at the borders, nothing in the middle: that is why it is hard to see.",
        tolerance=0,
        examine=_to_a_tenth,
    )


def _to_a_tenth(answer: Any) -> Any:
    """Numbers rounded to one decimal, since some measure them."""
    if not isinstance(answer, tuple | list) or any(callable(part) for part in answer):
        raise TypeError("four numbers: which sampler, 1, 2 or 3, and its three distances in pixels.")
    return tuple(None if part is None else round(float(part), 1) for part in answer)
