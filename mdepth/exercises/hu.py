"""Exercises of Hu et al.'s chapter: the mask's objective, what stands for a removed pixel, sparseness, the
ring of false edges, Sobel without it, and the edges of two maps. Sobel comes from the library.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mdepth.exercises.checker import Exercise, numbers
from mdepth.shapes import Tensor

__all__ = ["exercises"]


def exercises() -> dict[str, Exercise]:
    """Three of the mask, three of edges."""
    return {
        "hu.objective": _objective(),
        "hu.removed": _removed(),
        "hu.sparseness": _sparseness(),
        "hu.ring": _ring(),
        "hu.sobel": _sobel(),
        "hu.edges": _edges(),
    }


# --- the mask -------------------------------------------------------------------------------------


def _objective() -> Exercise:
    """The difference of the two answers, plus lambda times the mean of the mask."""
    mask = 0.9 * torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    difference = torch.tensor(-1.3, dtype=torch.float64)
    total = (
        "the sum grows with the size of the image and of the batch, and lambda would have to: take the mean."
    )
    return Exercise(
        lambda d, m, lam: d + lam * m.mean(),
        [
            (lambda d, m, lam: d + lam * m.sum(), total),
            (lambda d, m, lam: d + lam * m.sum() / len(m), total),
            (lambda d, m, lam: d + m.mean(), "you forgot lambda."),
            (lambda d, m, lam: lam * d + m.mean(), "lambda belongs to the mask, not to the difference."),
            (lambda d, m, lam: lam * (d + m.mean()), "lambda belongs to the mask alone."),
            (
                lambda d, m, lam: d - lam * m.mean(),
                "the sign: this rewards a mask that keeps everything. What is kept must cost.",
            ),
            (
                lambda d, m, lam: d + lam * (1 - m).mean(),
                "that is the price of what is removed: the mask is 1 where a pixel is kept.",
            ),
            (
                lambda d, m, lam: d + lam * m.square().mean(),
                "not squared: squares make the mask faint everywhere instead of empty in most places.",
            ),
            (
                lambda d, m, lam: d + lam * (m > 0.5).double().mean(),
                "no threshold: a mask that is cut has no gradient, and these stay far below one half.",
            ),
            (lambda d, m, lam: lam * m.mean(), "that is the price of the mask; the difference is missing."),
            (
                lambda d, m, lam: m.mean(),
                "that is what the released code prints as its loss, not what it minimises.",
            ),
            (lambda d, m, lam: d, "that is the difference alone: it keeps every pixel."),
        ],
        "Lambda says how much difference a whole kept image is worth: in the released code 5.",
        inputs=[(difference, mask, 5.0), (difference / 2, mask[:1], 1.0)],
    )


def _removed() -> Exercise:
    """Red as the network gets it where the mask is 0, masked behind the normalisation and before it; the reds
    in [0, 1] that these stand for; and the red that a gain of 0.3 makes of 0.9.
    """
    mean, std = 0.485, 0.229
    black, faint = -mean / std, mean + 0.3 * (0.9 - mean)
    return Exercise(
        (0.0, black, mean, 0.0, faint),
        [
            ((black, 0.0, 0.0, mean, None), "changed places: masked behind the normalisation comes first."),
            ((0.0, black, 0.0, mean, None), "the inputs are right; which red gives an input of 0?"),
            (
                (0.0, 0.0, None, None, None),
                "0 times red is 0, but then it is normalised: (0 - 0.485) / 0.229.",
            ),
            ((0.0, mean / std, None, None, None), "the sign: black is below the mean."),
            ((0.0, -mean, None, None, None), "you forgot to divide by the standard deviation."),
            ((0.0, black, 0.0, 0.0, None), "0 is no black to the network: which red gives an input of 0?"),
            (
                (0.0, black, 0.5, 0.0, None),
                "not the middle of the range, the mean: ImageNet's pictures are a little darker.",
            ),
            (
                (0.0, black, mean, black, None),
                "a red in [0, 1] is asked for: what does that input stand for?",
            ),
            (
                (0.0, black, mean, 0.0, 0.27),
                "that is masked before the normalisation: here 0.9 moves towards the mean.",
            ),
            (
                (0.0, black, mean, 0.0, 0.3 * (0.9 - mean) / std),
                "that is the input; which red in [0, 1] does it stand for?",
            ),
            (
                (0.0, black, mean, 0.0, mean + 0.7 * (0.9 - mean)),
                "0.3 is what is kept, not what is removed.",
            ),
            (
                (0.0, black, mean, 0.0, 0.9),
                "a gain of 0.3 keeps less than a third of what 0.9 differs from the mean.",
            ),
            (
                (0.0, black, mean, 0.0, None),
                "the first four are right; then undo the normalisation of 0.3 times the input.",
            ),
        ],
        "What is removed is not black, and what is kept is not itself: the picture fades to one colour.",
    )


def _sparseness() -> Exercise:
    """The share of pixels above a threshold."""
    values = [0.0, 0.025, 0.02, 0.03, 0.31, 0.6, 0.01, 0.25, 0.0249, 0.2, 0.0, 0.9]
    mask = torch.tensor(values, dtype=torch.float64).reshape(1, 1, 3, 4)
    return Exercise(
        lambda m, t: (m > t).double().mean(),
        [
            (
                lambda m, t: (m >= t).double().mean(),
                "above the threshold: a pixel that is exactly there is not.",
            ),
            (lambda m, t: (m <= t).double().mean(), "that is the share that is removed."),
            (lambda m, t: (m < t).double().mean(), "that is the share that is removed."),
            (lambda m, t: (m > t).double().sum(), "the share is asked for, not the number of pixels."),
            (
                lambda m, t: m.mean(),
                "that is the mean of the mask, which the objective has; nothing was cut.",
            ),
            (lambda m, t: (m > 0.5).double().mean(), "not at one half: use the threshold that is given."),
            (lambda m, t: m[m > t].mean(), "that is how strong the kept pixels are; how many are there?"),
            (lambda m, t: (m * (m > t)).mean(), "count the pixels, each as 1, whatever its value."),
            (
                lambda m, t: (m > t * m.max()).double().mean(),
                "the threshold is a value, no part of the largest one.",
            ),
            (lambda m, t: (m > t).double().mean() * 100, "a share between 0 and 1, not in per cent."),
        ],
        "The mean of a mask says how faint it is, this how much of the image is needed at all.",
        inputs=[(mask, 0.025), (mask, 0.2)],
    )


# --- edges ----------------------------------------------------------------------------------------


def _ring() -> Exercise:
    """Pixels of the border ring of 228 x 304, the edge that zero padding makes of 3 m at a side and in a
    corner, and the depth from which on a side is an edge at a threshold of 1.
    """
    count, side, corner, depth = 2 * (228 + 304) - 4, 4 * 3.0, 3 * 3 * math.sqrt(2), 1 / 4
    return Exercise(
        (count, side, corner, depth),
        [
            ((2 * (228 + 304), None, None, None), "every corner was counted twice."),
            (
                (2 * (228 + 304) + 4, None, None, None),
                "that ring lies around the image: the image's own outermost pixels are asked for.",
            ),
            ((228 * 304 - count, None, None, None), "those are the pixels inside the ring."),
            ((count, 0.0, None, None), "inside it is 0; at a side, half of the kernel meets zeros."),
            (
                (count, 3.0, None, None),
                "the kernel's three weights 1, 2, 1 all meet 3 m, and zeros opposite.",
            ),
            ((count, side / 8, None, None), "the kernel is not divided by 8."),
            ((count, 8 * 3.0, None, None), "only one side of the kernel meets the wall: 1 + 2 + 1 = 4."),
            ((count, corner, side, None), "changed places: the side first, then the corner."),
            (
                (count, side, side, None),
                "in a corner both directions answer, each with 1 + 2 = 3 times the depth.",
            ),
            ((count, side, 9.0, None), "that is one direction; the edge is the root of both squares."),
            ((count, side, 18.0, None), "the edge is the root of the sum of both squares, not the sum."),
            (
                (count, side, side * math.sqrt(2), None),
                "in a corner a direction meets two of the three weights: 1 + 2, not 4.",
            ),
            ((count, side, corner, 4.0), "the other way round: 4 times the depth must exceed 1."),
            ((count, side, corner, 1.0), "4 times the depth must exceed 1."),
            ((count, side, corner, 1 / math.sqrt(18)), "that is where a corner begins; a side is asked for."),
            ((count, side, corner, None), "the edges are right; 4 times which depth is 1?"),
            (
                (count, None, None, None),
                "the count is right; then lay the kernel over the border of an even wall.",
            ),
        ],
        "So every map of a room has the same 1,060 edges, and who predicts a wall has them right.",
    )


def _of_the_inside(function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """The same function; an answer of the wrong size, or that is no pair, is told."""

    def called(depth: Tensor) -> Any:
        answer = function(depth)
        if answer is None:
            return None
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise TypeError("two maps are asked for, (Sx, Sy).")
        size, inside = tuple(depth.shape), (depth.shape[0] - 2, depth.shape[1] - 2)
        found = [tuple(part.shape) for part in answer]
        if found == [size] * 2:
            raise ValueError(
                f"{size} is the whole map, ring included: only where all 3 x 3 depths lie inside, {inside}."
            )
        if found != [inside] * 2:
            raise ValueError(f"two maps of {inside} are asked for, got {found[0]} and {found[1]}.")
        return answer

    return called


def _separable(smooth: Sequence[int | float], slope: Sequence[int | float]) -> Callable[[Tensor], tuple]:
    """Responses of three weights along the slope and three across it, both in the order of the pixels."""

    def along(maps: Tensor, weights: Sequence[int | float], axis: int) -> Tensor:
        count = maps.shape[axis] - 2
        return torch.stack([w * maps.narrow(axis, k, count) for k, w in enumerate(weights)]).sum(dim=0)

    def responses(depth: Tensor) -> tuple[Tensor, ...]:
        return tuple(along(along(depth, smooth, 1 - axis), slope, axis) for axis in (1, 0))

    return responses


def _sobel() -> Exercise:
    """Both responses of Hu's Sobel, only where the kernel lies inside the map."""
    from mdepth.image import sobel

    def right(depth: Tensor) -> tuple[Tensor, ...]:
        return tuple(response[0, 0] for response in sobel(depth[None, None], padding="valid"))

    def scaled(factor: int | float) -> Callable[[Tensor], tuple[Tensor, ...]]:
        return lambda depth: tuple(factor * response for response in right(depth))

    weights = "Hu's kernels have the weights 1, 2 and 1 as they are, not divided by anything."
    depth = 1 + 4 * torch.rand(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Exercise(
        right,
        [
            (scaled(-1), "the sign: what gets deeper to the right, or downwards, has a negative response."),
            (scaled(1 / 8), weights),
            (scaled(1 / 4), weights),
            (scaled(-1 / 8), "that is the slope; Hu's Sobel answers with -8 times of it."),
            (
                lambda d: right(d)[::-1],
                "changed places: Sx, the response to slopes along a row, comes first.",
            ),
            (lambda d: scaled(-1)(d)[::-1], "changed places, and the sign."),
            (_separable((1, 1, 1), (1, 0, -1)), "the row in the middle counts twice."),
            (_separable((0, 1, 0), (1, 0, -1)), "the rows above and below count, too, each once."),
            (_separable((0, 1, 0), (-0.5, 0, 0.5)), "that is a central difference: no rows were added."),
            (_separable((1, 2, 1), (1, -1, 0)), "the pixels that are compared lie two apart."),
            (lambda d: (torch.hypot(*right(d)),) * 2, "both responses are asked for, not yet their length."),
        ],
        "Where the kernel reaches beyond the border, the map has nothing to say.",
        inputs=[(depth,), (depth.T.clone(),)],
        examine=_of_the_inside,
    )


def _without_nan(function: Callable[[Tensor, Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
    """The same function with -1 for NaN, which nothing else gives; also where plain numbers cannot divide."""

    def called(found: Tensor, true: Tensor) -> Any:
        try:
            given = numbers(function(found, true))
        except ZeroDivisionError:
            return 0.0, 0.0, -1.0
        return tuple(-1.0 if value is not None and math.isnan(value) else value for value in given)

    return called


def _edges() -> Exercise:
    """Precision, recall and F1 of two boolean maps."""

    def of(both: Tensor, found: Tensor, true: Tensor) -> tuple[Any, ...]:
        p, r = both.double().sum() / found.double().sum(), both.double().sum() / true.double().sum()
        return p, r, 2 * p * r / (p + r)

    def right(found: Tensor, true: Tensor) -> tuple[Any, ...]:
        return of(found & true, found, true)

    def third(last: Callable[[Any, Any], Any]) -> Callable[[Tensor, Tensor], tuple[Any, ...]]:
        return lambda f, t: (*right(f, t)[:2], last(*right(f, t)[:2]))

    def share(f: Tensor, t: Tensor) -> Any:
        return (f & t).double().sum() / (f | t).double().sum()

    agree = "that counts where both agree, empty pixels included: most pixels are no edge, and agree on that."
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(6, 8, generator=generator) < 0.3
    found = true & (torch.rand(6, 8, generator=generator) < 0.6) | (
        torch.rand(6, 8, generator=generator) < 0.1
    )
    return Exercise(
        right,
        [
            (
                lambda f, t: of(f + t == 2, f, t),
                "true + true is true, not 2: nothing ever agrees, and F1 is 0 / 0. Write found & true.",
            ),
            (
                lambda f, t: (torch.zeros(()), torch.zeros(()), torch.zeros(())),
                "nothing agrees? Look at what true + true is.",
            ),
            (lambda f, t: of(f | t, f, t), "that counts where either is an edge: both must be."),
            (lambda f, t: of(f == t, f, t), agree),
            (lambda f, t: ((f == t).double().mean(),) * 3, agree),
            (
                lambda f, t: (right(f, t)[1], right(f, t)[0], right(f, t)[2]),
                "changed places: precision divides by what was found.",
            ),
            (
                lambda f, t: ((f & t).double().mean(),) * 3,
                "divide by the number of edges, not of pixels.",
            ),
            (third(lambda p, r: (p + r) / 2), "precision and recall are right; F1 is their harmonic mean."),
            (third(lambda p, r: p * r / (p + r)), "precision and recall are right; F1 lacks the factor 2."),
            (
                third(lambda p, r: (p * r) ** 0.5),
                "precision and recall are right; that is their geometric mean.",
            ),
            (
                lambda f, t: (*right(f, t)[:2], share(f, t)),
                "precision and recall are right; that is the overlap, both over either.",
            ),
        ],
        "Code that was right became wrong with a new version of torch, in which comparisons are booleans.",
        inputs=[(found, true), (true, found[:, :8])],
        examine=_without_nan,
    )
