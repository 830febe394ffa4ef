"""Exercises of the Laina chapter; the right loss comes from the library, the sizes are counted by hand."""

from collections.abc import Callable

import torch

from mdepth.exercises.checker import Exercise, as_depth
from mdepth.shapes import Tensor

__all__ = ["exercises"]


def exercises() -> dict[str, Exercise]:
    """The four small kernels and how their maps are woven, the reverse Huber loss, sizes and fields."""
    return {
        "laina.kernels": _kernels(),
        "laina.cut": _cut(),
        "laina.weave": _weave(),
        "laina.berhu": _berhu(),
        "laina.output_size": _output_size(),
        "laina.field": _field(),
        "laina.fc_parameters": _fc_parameters(),
    }


def _kernels() -> Exercise:
    """How many taps of a 7x7 kernel meet a value in each of the four positions on an unpooled map."""
    return Exercise(
        (9, 12, 12, 16),
        [
            (
                (16, 12, 12, 9),
                "the middle tap lies on a value for an even pixel, and from it every second one.",
            ),
            ((9, 6, 6, 4), "those are the taps of a 5x5 kernel; this one has 49."),
            (
                (16, 16, 16, 16),
                "together that is 64 taps; the kernel has 49, and each goes to one of the four.",
            ),
            ((9, 9, 9, 9), "together that is 36 taps; the kernel has 49, and each goes to one of the four."),
            ((49, 49, 49, 49), "most of the 49 lie on zeros: count those that lie on values."),
            ((3, 4, 3, 4), "those are the rows of the kernels: multiply by their columns."),
            ((3, 3, 4, 4), "those are the columns of the kernels: multiply by their rows."),
            ((9, 12, 12, None), "the first three are right: what is left of 49 for the last?"),
            ((9, None, None, 16), "the first and last are right: between them 24 taps are left for two."),
        ],
        "3x3, 4x3, 3x4 and 4x4 are 49 taps in all: none is lost, and no zero is multiplied any more.",
        tolerance=0,
    )


def _cut() -> Exercise:
    """The four small kernels of a 5x5 kernel."""

    def cut(row: int, column: int) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """Kernels in the order A, B, C, D if the middle tap has these parities, rows before columns."""
        return lambda K: tuple(
            K[..., (row + r) % 2 :: 2, (column + c) % 2 :: 2] for r, c in ((0, 0), (1, 0), (0, 1), (1, 1))
        )

    def right(K: Tensor) -> tuple[Tensor, ...]:
        return cut(0, 0)(K)

    def swapped(K: Tensor) -> tuple[Tensor, ...]:
        a, b, c, d = right(K)
        return a, c, b, d

    def turned(K: Tensor) -> tuple[Tensor, ...]:
        return right(K.flip(-1, -2))

    return Exercise(
        right,
        [
            (swapped, "B is for odd rows: it takes rows 1 and 3 of the kernel, and three columns."),
            (cut(1, 1), "the middle tap, row 2 and column 2, belongs to A: A takes 0, 2 and 4."),
            (turned, "nothing is turned: a convolution in a network does not turn its kernel."),
            (
                lambda K: (K[..., :3, :3], K[..., 3:, :3], K[..., :3, 3:], K[..., 3:, 3:]),
                "those are four blocks side by side; each small kernel takes every second row and column.",
            ),
            (lambda K: tuple(part.mT for part in right(K)), "rows and columns are exchanged."),
        ],
        "Every tap is used once: 9 + 6 + 6 + 4 = 25.",
        inputs=[(torch.arange(25.0, dtype=torch.float64).view(5, 5),)],
        tolerance=0,
    )


def _weave() -> Exercise:
    """Four maps into one of twice the sides."""

    def weave(*order: int) -> Callable[..., Tensor]:
        """With the map of this number at (even, even), (odd, even), (even, odd), (odd, odd)."""

        def function(*maps: Tensor) -> Tensor:
            large = maps[0].new_zeros(*maps[0].shape[:-2], 2 * maps[0].shape[-2], 2 * maps[0].shape[-1])
            for number, (r, c) in zip(order, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
                large[..., r::2, c::2] = maps[number]
            return large

        return function

    def quadrants(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return torch.cat([torch.cat([a, c], -1), torch.cat([b, d], -1)], -2)

    def shuffled(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return torch.nn.functional.pixel_shuffle(torch.cat([a, c, b, d], -3), 2)

    maps = torch.arange(48.0, dtype=torch.float64).view(4, 1, 2, 2, 3)  # four maps of two channels
    return Exercise(
        weave(0, 1, 2, 3),
        [
            (weave(0, 2, 1, 3), "B belongs to the odd rows and C to the odd columns; you exchanged them."),
            (weave(3, 2, 1, 0), "A belongs to the even rows and columns, D to the odd ones."),
            (quadrants, "those are four pictures side by side; weave them, pixel by pixel."),
            (shuffled, "pixel shuffle takes four neighbouring channels, and these are of one map."),
        ],
        "Strided slices put every map where it belongs, and a gradient finds its way back.",
        inputs=[tuple(maps)],
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
    """Rows and columns of the output for an image of 230 x 173."""
    return Exercise(
        (128, 96),
        [
            ((96, 128), "rows before columns."),
            ((8, 6), "that is where the encoder ends: four blocks follow, and each doubles the sides."),
            ((230, 173), "the sides are halved five times and doubled four times."),
            ((112, 80), "a side that 32 does not divide is rounded up, not down."),
            ((115, 86), "half of the image: but every halving rounds up, and that is doubled again."),
            ((115, 87), "half of the image: but every halving rounds up, and that is doubled again."),
            ((128, 160), "that is what an image of 228 x 304 gives; the network takes any size."),
            ((64, 48), "doubled four times: one halving of the five is left over, not two."),
        ],
        "More than half of the image: 230 and 173 are not divided by 32, so both sides are rounded up.",
        tolerance=0,
    )


def _field() -> Exercise:
    """Pixels that a feature of the dilated encoder sees, for dilation 3 and 6."""
    return Exercise(
        (171, 315),
        [
            ((75, 75), "with dilation 3 the taps lie three steps apart: a kernel of 3x3 spans seven steps."),
            ((315, 171), "the order: dilation 3 first."),
            ((203, 395), "only the last six are dilated: the first two add 8 pixels each."),
            ((123, 267), "dilation 1 is the ordinary convolution: its taps lie one step apart, not none."),
            ((175, 319), "the pool is 3x3: it adds 2 steps of 2 pixels, and the first convolution sees 7."),
            ((91, 163), "the pool has a stride of 2, too: behind it, one step is 4 pixels of the image."),
            ((49, 85), "strides count: behind two strides of 2, one step is 4 pixels of the image."),
            ((170, 314), "you counted the distances between the outermost pixels: one more is seen."),
        ],
        "27 + 48 d: each dilated convolution reaches 4 d pixels further to either side.",
        tolerance=0,
    )


def _fc_parameters() -> Exercise:
    """Weights and biases of a layer from 2 x 4 places of 2048 features to 96 x 128 pixels."""
    inputs, outputs = 2 * 4 * 2048, 96 * 128
    return Exercise(
        inputs * outputs + outputs,
        [
            (inputs * outputs, "every output has a bias, too."),
            (2048 * outputs + outputs, "all of the 2 x 4 places are connected, not one."),
            (8 * 10 * 2048 * outputs + outputs, "the average pool of 7x7 leaves 2 x 4 of the 8 x 10 places."),
            (inputs + outputs, "every output has a weight for every input: multiply."),
            (inputs * outputs + inputs, "a bias belongs to an output, not to an input."),
        ],
        "A fifth of a billion, for one layer.",
        tolerance=0,
    )
