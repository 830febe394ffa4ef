"""Exercises of the Laina chapter; the right loss comes from the library, the sizes are counted by hand."""

from collections.abc import Callable

import torch

from mdepth.exercises.checker import Exercise, as_depth
from mdepth.shapes import Tensor

__all__ = ["exercises"]


def exercises() -> dict[str, Exercise]:
    """The taps of the four small kernels, the reverse Huber loss, the size of the output."""
    return {
        "laina.kernels": _kernels(),
        "laina.berhu": _berhu(),
        "laina.output_size": _output_size(),
    }


def _kernels() -> Exercise:
    """How many taps of a 5x5 kernel meet a value in each of the four positions on an unpooled map."""
    return Exercise(
        (9, 6, 6, 4),
        [
            ((4, 6, 6, 9), "the middle tap of A lies on a value, so A takes rows and columns 0, 2 and 4."),
            ((9, 9, 9, 9), "together that is 36 taps; the kernel has 25, and each goes to one of the four."),
            ((4, 4, 4, 4), "together that is 16 taps; the kernel has 25, and each goes to one of the four."),
            ((25, 25, 25, 25), "most of the 25 lie on zeros: count those that lie on values."),
            ((3, 2, 3, 2), "those are the rows of the kernels: multiply by their columns."),
            ((3, 3, 2, 2), "those are the columns of the kernels: multiply by their rows."),
            ((9, 6, 6, None), "the first three are right: what is left of 25 for D?"),
            ((9, None, None, 4), "A and D are right: B takes rows 1, 3 and columns 0, 2, 4, C the reverse."),
        ],
        "3x3, 2x3, 3x2 and 2x2 are 25 taps in all: none is lost, and no zero is multiplied any more.",
        tolerance=0,
    )


def _errors() -> tuple[Tensor, Tensor]:
    """Differences in metres and the valid mask; chosen so that no mistake gives the same number as another.

    The largest error is that of a pixel too near, and the last pixel has no truth to trust.
    """
    differences = torch.tensor([-3.0, 0.1, 0.5, -0.7, 2.0, 0.9, -0.2, 9.0], dtype=torch.float64)
    return differences, torch.arange(8) < 7


def _square(x: Tensor, c: Tensor) -> Tensor:
    """The outer part of the reverse Huber loss."""
    return (x**2 + c**2) / (2 * c)


def _with(
    c: Callable[[Tensor], Tensor] = lambda x: 0.2 * x.abs().max(),
    inner: Callable[[Tensor, Tensor], Tensor] = lambda x, c: x.abs(),
    outer: Callable[[Tensor, Tensor], Tensor] = _square,
) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean of ``inner`` up to c and ``outer`` above, over what is valid; right unless told otherwise."""

    def loss(differences: Tensor, valid: Tensor) -> Tensor:
        x = differences[valid]
        return torch.where(x.abs() <= c(x), inner(x, c(x)), outer(x, c(x))).mean()

    return loss


def _berhu() -> Exercise:
    """The reverse Huber loss of differences and a mask."""
    from mdepth.losses import berhu_loss

    def right(x: Tensor, valid: Tensor) -> Tensor:
        return berhu_loss(as_depth(x), torch.zeros_like(as_depth(x)), as_depth(valid))

    def signed(x: Tensor, valid: Tensor) -> Tensor:
        c = 0.2 * x[valid].abs().max()
        return torch.where(x <= c, x, _square(x, c))[valid].mean()

    def by_mean(x: Tensor, valid: Tensor) -> Tensor:
        c, mean = 0.2 * x[valid].abs().max(), x[valid].abs().mean()
        return mean if mean <= c else _square(x[valid], c).mean()

    huber = "that is Huber's loss: here the square is outside, above c."
    return Exercise(
        right,
        [
            (_with(inner=_square, outer=lambda x, c: x.abs()), "the other way round: squares above c."),
            (_with(inner=lambda x, c: x**2 / 2, outer=lambda x, c: c * (x.abs() - c / 2)), huber),
            (_with(inner=lambda x, c: x**2 / (2 * c), outer=lambda x, c: x.abs() - c / 2), huber),
            (
                lambda x, valid: torch.where(
                    x.abs() <= 0.2 * x.abs().max(), x.abs(), _square(x, 0.2 * x.abs().max())
                )[valid].mean(),
                "c is the largest error of the valid pixels, a fifth of it; you looked at all pixels.",
            ),
            (
                lambda x, valid: _with()(x, torch.ones_like(valid)),
                "you counted a pixel without truth: use the mask.",
            ),
            (_with(lambda x: 0.2 * x.max()), "the largest error may be a negative one: c needs absolutes."),
            (signed, "errors below zero are errors too: take absolute values before you compare with c."),
            (_with(inner=lambda x, c: x), "the inner part is the absolute value."),
            (_with(lambda x: 0.2 * x.abs().mean()), "c is a fifth of the largest error, not of the mean."),
            (_with(lambda x: x.abs().mean()), "c is a fifth of the largest error, not the mean."),
            (
                lambda x, valid: x[valid].abs().mean(),
                "no square is in it: c is a fifth of the largest error, and what is above is squared.",
            ),
            (_with(outer=lambda x, c: x**2), "without + c² and / (2c) the loss leaps at c."),
            (_with(outer=lambda x, c: x**2 / (2 * c)), "you forgot + c²: the two parts must meet at c."),
            (_with(outer=lambda x, c: (x**2 + c**2) / c), "divide by 2c: the two parts must meet at c."),
            (_with(outer=lambda x, c: (x**2 + c**2) / 2), "divide by 2c: the two parts must meet at c."),
            (by_mean, "every pixel chooses its part by itself, not the mean for all."),
            (
                lambda x, valid: right(x, valid) * int(valid.sum()),
                "the mean over the valid pixels, not the sum.",
            ),
            (
                lambda x, valid: right(x, valid) * int(valid.sum()) / x.numel(),
                "divide by the number of valid pixels, not of all.",
            ),
        ],
        "Straight up to c, square above; both parts and their slopes meet at c.",
        inputs=[_errors()],
    )


def _output_size() -> Exercise:
    """Rows and columns of the output for an image of 480 x 640."""
    return Exercise(
        (240, 320),
        [
            ((320, 240), "rows before columns."),
            ((15, 20), "that is where the encoder ends: four blocks follow, and each doubles the sides."),
            ((480, 640), "the sides are halved five times and doubled four times."),
            ((120, 160), "doubled four times: one halving of the five is left over, not two."),
            ((128, 160), "that is what an image of 228 x 304 gives; the network takes any size."),
            ((160, 128), "that is what an image of 228 x 304 gives, and rows come before columns."),
            ((114, 152), "half of 228 x 304: the image here is larger, and sides are rounded up."),
            ((256, 320), "480 / 32 is 15 without a rest: nothing is rounded."),
        ],
        "Half of the image here. A side that 32 does not divide is rounded up: 228 x 304 gives 128 x 160.",
        tolerance=0,
    )
