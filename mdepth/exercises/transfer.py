"""Exercises of the transfer chapter; losses, scores and targets come from the library, sizes and chances are
counted by hand.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from math import ceil

import torch

from mdepth.exercises.checker import Exercise, as_depth
from mdepth.shapes import Tensor

__all__ = ["exercises"]

Split = tuple[list[int], list[int]]
"""Frames for training and for validation."""


def exercises() -> dict[str, Exercise]:
    """Sizes of two U-Nets, the reciprocal target, two terms of the loss, scores, channels, the split."""
    return {
        "transfer.unpadded": _unpadded(),
        "transfer.halvings": _halvings(),
        "transfer.reciprocal": _reciprocal(),
        "transfer.slopes": _slopes(),
        "transfer.constants": _constants(),
        "transfer.arguments": _arguments(),
        "transfer.pooled": _pooled(),
        "transfer.channels": _channels(),
        "transfer.split": _split(),
    }


def _unpadded() -> Exercise:
    """Smallest side from 240 on that passes a U-Net without padding, and the side of its output."""
    same = "each convolution takes a pixel from both sides, so that the output is smaller."
    return Exercise(
        (252, 68),
        [
            ((240, 240), same),
            ((252, 252), same),
            ((256, 256), same),
            ((240, None), "240 does not halve evenly: the third pool would get 53 rows."),
            (
                (256, None),
                "multiples of 16 or 32 suit a padded network; here four pixels go before each halving.",
            ),
            ((244, None), "only the first pool's four pixels are counted: each level takes four of its own."),
            ((188, 4), "that is the smallest of all; at least 240 is asked for."),
            ((236, 52), "that one passes, but at least 240 is asked for."),
            ((268, 84), "that one passes, but a smaller one does, too."),
            ((572, 388), "those are the sizes of the paper; a much smaller one is asked for."),
            ((68, 252), "changed places: the input comes first."),
            ((252, 128), "the input is right; way down, bottom and way up take pixels, and one is missing."),
            ((252, 132), "the input is right; there are two convolutions at the bottom, too."),
            ((252, 72), "the input is right; two convolutions follow the last doubling, too."),
            ((252, 8), "that is where the bottom ends: four doublings follow, with two convolutions each."),
            ((252, 216), "a pixel at the bottom is sixteen of the input: not all levels take the same four."),
            ((252, 160), "that is half of the loss: two convolutions a level, and two sides of the map."),
            ((252, None), "the input is right: follow it down to the bottom and up again."),
            ((None, 68), "the output is right; which input leads to it?"),
        ],
        "16 k + 12 pixels pass, and 184 of them are lost: of 252 more than nine tenths of the area.",
        tolerance=0,
    )


def _halvings() -> Exercise:
    """Rows of a ResNet's five maps for 240 rows, and of the last one doubled."""
    return Exercise(
        (120, 60, 30, 15, 8, 16),
        [
            ((120, 60, 30, 15, 7.5, 15), "there are no half rows: a padded convolution of stride 2 rounds."),
            ((120, 60, 30, 15, 7, 14), "with padding an odd side is rounded up, not down."),
            ((120, 60, 30, 15, 7, 15), "an odd side is rounded up; and a doubled side is even."),
            ((120, 60, 30, 15, 8, 15), "15 is what the joint needs; but what is twice the last?"),
            ((120, 60, 30, 15, 8, None), "the five maps are right; the last number is twice the fifth."),
            ((240, 120, 60, 30, 15, 30), "the first convolution halves the rows already."),
            ((120, 120, 60, 30, 15, 30), "a pool stands in front of the second map: it halves, too."),
            (
                (120, 60, 60, 30, 15, 30),
                "the pool and the stage behind it give one map of the five, not two.",
            ),
            ((60, 30, 15, 8, 4, 8), "the first map is the one before the pool."),
            ((128, 64, 32, 16, 8, 16), "that is what 256 rows give."),
            ((120, 60, 30, 15, None, None), "the first four are right; what does stride 2 make of 15?"),
        ],
        "16 rows cannot be joined with 15: fit one to the other, or pad the image to 256 rows.",
        tolerance=0,
    )


def _reciprocal() -> Exercise:
    """10 m / depth, with depth clipped at both ends."""
    from mdepth.recipes.transfer import reciprocal

    # a millimetre stands for a hole: what a mistake makes of 0 is infinite, and infinities do not compare
    metres = torch.tensor([0.001, 0.05, 0.1, 1.0, 5.0, 10.0, 20.0], dtype=torch.float64)
    hole = "a hole, stored as 0, becomes infinite: clip the depth at both ends before you divide."
    return Exercise(
        lambda z: reciprocal(z.clamp(max=10)),
        [
            (reciprocal, "the near end is clipped; beyond 10 m the target still sinks below 1."),
            (
                lambda z: 10 / z.clamp(max=10),
                "the far end is clipped; a hole, stored as 0, still becomes infinite.",
            ),
            (lambda z: 10 / z, hole),
            (lambda z: 1 / z, "that is in 1/m, and not clipped: the target has no unit, and is 1 at 10 m."),
            (lambda z: 1 / z.clamp(0.1, 10), "that is in 1/m: the target has no unit, and is 1 at 10 m."),
            (
                lambda z: (10 / z).clamp(0.1, 10),
                "you clipped the target by the limits of the depth, or the depth by those of the target.",
            ),
            (lambda z: 1000 / z, "1000 is for centimetres, these are metres; and a hole becomes infinite."),
            (lambda z: 1000 / z.clamp(0.1, 10), "1000 is for centimetres, and these are metres."),
            (lambda z: 1000 / z.clamp(10, 1000), "limits and 1000 are for centimetres; these are metres."),
            (lambda z: 10 / z.clamp(10, 1000), "those limits are for centimetres; these are metres."),
            (lambda z: z / 10, "that is the share of 10 m: the near must become large."),
            (lambda z: z.clamp(0.1, 10) / 10, "that is the share of 10 m: the near must become large."),
        ],
        "From 1 at 10 m to 100 at 0.1 m; without the clip a single hole would spoil the loss.",
        inputs=[(metres,)],
    )


def _maps() -> tuple[Tensor, Tensor]:
    """Prediction and truth of 3 x 4 pixels, all valid; the prediction is too large on the whole, and some of
    its slopes lead the other way.
    """
    target = torch.tensor(
        [[2.0, 2.0, 2.5, 5.0], [2.0, 3.0, 4.5, 5.0], [1.5, 3.0, 7.0, 4.0]], dtype=torch.float64
    )
    error = torch.tensor(
        [[1.0, -0.73, 1.5, 0.81], [1.2, 2.37, -1.1, 1.0], [2.5, 0.3, 0.94, -2.9]], dtype=torch.float64
    )
    return target + error, target


def _both(size: Callable[[Tensor], Tensor], e: Tensor) -> Tensor:
    """The size of the slopes to the right and of those downwards, summed and divided by all pixels."""
    return (size(e.diff(dim=1)).sum() + size(e.diff(dim=0)).sum()) / e.numel()


def _slopes() -> Exercise:
    """The gradient term of the loss, as in the released code."""
    from mdepth.losses import gradient_loss

    def right(p: Tensor, t: Tensor) -> Tensor:
        return gradient_loss(p[None, None], t[None, None], torch.ones_like(t[None, None], dtype=torch.bool))

    def unsigned(p: Tensor, t: Tensor) -> Tensor:
        across, down = (p.diff(dim=d).abs() - t.diff(dim=d).abs() for d in (1, 0))
        return (across.abs().sum() + down.abs().sum()) / p.numel()

    def length(p: Tensor, t: Tensor) -> Tensor:
        e = p - t
        return torch.hypot(e.diff(dim=1, append=e[:, -1:]), e.diff(dim=0, append=e[-1:])).mean()

    def round_about(p: Tensor, t: Tensor) -> Tensor:
        e = p - t
        return (e - e.roll(-1, 1)).abs().mean() + (e - e.roll(-1, 0)).abs().mean()

    def central(p: Tensor, t: Tensor) -> Tensor:
        return torch.stack(torch.gradient(p - t)).abs().sum() / p.numel()

    return Exercise(
        right,
        [
            (lambda p, t: _both(torch.square, p - t), "absolute values, not squares."),
            (lambda p, t: _both(lambda x: x, p - t), "slopes of opposite sign cancel: take absolute values."),
            (
                unsigned,
                "up instead of down is an error: take the absolute value once, of the slopes' difference.",
            ),
            (
                lambda p, t: _both(torch.abs, (p - t).abs()),
                "too far beside too near is a step: do not take the absolute error before the slopes.",
            ),
            (
                lambda p, t: (p - t).diff(dim=1).abs().sum() / p.numel(),
                "the slopes downwards are missing: there are two directions.",
            ),
            (
                lambda p, t: (p - t).diff(dim=0).abs().sum() / p.numel(),
                "the slopes to the right are missing: there are two directions.",
            ),
            (
                lambda p, t: (p - t).diff(dim=1).abs().mean() + (p - t).diff(dim=0).abs().mean(),
                "the last column and the last row count, too, as zeros: divide by the number of pixels.",
            ),
            (
                lambda p, t: (
                    (p - t).diff(dim=1, append=torch.zeros_like(t[:, :1])).abs().mean()
                    + (p - t).diff(dim=0, append=torch.zeros_like(t[:1])).abs().mean()
                ),
                "a constant error must cost nothing: at the border the difference is zero, not the error.",
            ),
            (round_about, "the last column has no right neighbour: the first one is not it."),
            (central, "that is half the difference of both neighbours; here it is the next one minus this."),
            (
                lambda p, t: _both(torch.abs, p),
                "those are the prediction's own slopes: compare with truth's.",
            ),
            (
                lambda p, t: (p - t).abs().mean(),
                "that is the first term of the loss: there is no slope in it.",
            ),
            (lambda p, t: right(p, t) / 2, "the two directions are added, not averaged."),
            (lambda p, t: right(p, t) * p.numel(), "the mean over the pixels, not the sum."),
            (length, "that is the slope's length; here the two directions are added as they are."),
        ],
        "What is equally wrong everywhere costs nothing; a step that is not drawn costs its height.",
        inputs=[_maps()],
    )


def _constants() -> Exercise:
    """C1 and C2 of structural similarity for a range of 100, and for a range of 1."""
    return Exercise(
        (1.0, 9.0, 1e-4, 9e-4),
        [
            ((1.0, 3.0, 0.01, 0.03), "you forgot the square."),
            ((1e-4, 9e-4, 1.0, 9.0), "changed places: the range of 100 comes first."),
            ((9.0, 1.0, 9e-4, 1e-4), "changed places: C1 belongs to the smaller k."),
            ((1.0, 1e-4, 9.0, 9e-4), "the order: both constants for 100, then both for 1."),
            ((1e-4, 9e-4, 1e-4, 9e-4), "you forgot the range."),
            ((0.01, 0.09, 1e-4, 9e-4), "the square is of the whole product: of the range, too."),
            ((100.0, 300.0, 0.01, 0.03), "the square is of the whole product: of k, too."),
            ((1.0, 9.0, 1.0, 9.0), "a hundredth of the range must change the constants."),
            ((1.0, 9.0, 0.01, 0.09), "right for 100; a hundredth of the range, squared, is not a hundredth."),
            ((1.0, 9.0, None, None), "right for 100: put 1 in its place."),
            ((None, None, 1e-4, 9e-4), "right for 1: put 100 in its place."),
        ],
        "For 100 they are ten thousand times as large: beside them, what two maps differ in hardly counts.",
    )


def _arguments() -> Exercise:
    """Relative errors and delta1 of a prediction that is 1.25 times the truth, rightly and wrongly called."""
    from mdepth.metrics import per_image

    t = as_depth(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    valid = t > 0
    right = per_image("abs_rel", 1.25 * t, t, valid), per_image("abs_rel", t, 1.25 * t, valid)
    return Exercise(
        (right[0].item(), right[1].item(), per_image("delta1", 1.25 * t, t, valid).item()),
        [
            ((0.2, 0.25, 0.0), "changed places: first the error divided by the truth."),
            ((0.25, 0.2, 1.0), "the ratio is exactly 1.25 everywhere, and must be smaller."),
            ((0.2, 0.25, 1.0), "changed places; and the ratio must be smaller than 1.25."),
            ((0.25, 0.25, None), "the error is the same, but what it is divided by has grown."),
            ((1.25, 0.8, None), "those are ratios; the error is the distance of the two."),
            ((0.25, 0.8, None), "the first is right; 0.8 is a ratio, and the error is what it lacks to 1."),
            ((0.25, -0.2, None), "errors are absolute values."),
            ((0.25, 0.2, None), "the errors are right; the last is the share of pixels below the threshold."),
            ((0.25, None, None), "the first is right; for the second, divide the same error by 1.25 t."),
        ],
        "The wrong order flatters a prediction that is too far; delta has no order to get wrong.",
    )


def _pooled() -> Exercise:
    """Mean of the RMSE of two images, and the RMSE of all their pixels."""
    root = 0.45**0.5
    return Exercise(
        (0.6, root),
        [
            ((root, 0.6), "changed places: first the mean of the two."),
            ((0.6, 0.6), "the pooled one is not the mean: the roots must be undone before you average."),
            ((0.6, 0.45), "that is the mean of the squares: you forgot the root."),
            ((0.6, 0.9**0.5), "that is the root of the sum: divide by two images first."),
            ((0.6, 0.9**0.5 / 2), "divide inside the root: it is the mean of the squares."),
            ((0.45, None), "that is the mean of the squares; first the plain mean of the two is asked for."),
            ((1.2, None), "the mean of two is half of their sum."),
            ((0.6, None), "the mean is right; for the other, average the squares of the errors."),
            ((None, root), "the pooled one is right; the first is simpler, the mean of two numbers."),
        ],
        "Pooled is never less where images have equally many pixels: it looks most at the worst image.",
    )


def _channels() -> Exercise:
    """Chance that the colours are really exchanged, with 6 orders to draw from, and with 7."""
    orders = list(permutations(range(3)))

    def chance(listed: Sequence[tuple[int, ...]], gate: float = 0.5) -> float:
        return gate * sum(order != (0, 1, 2) for order in listed) / len(listed)

    six, seven = chance(orders), chance([*orders, (0, 1, 2)])
    return Exercise(
        (six, seven),
        [
            ((seven, six), "changed places: 6 orders come first."),
            ((2 * six, 2 * seven), "you forgot the gate: half of the images are not touched at all."),
            ((0.5, 0.5), "one of the orders leaves everything as it is."),
            ((1 - six, 1 - seven), "that is how often nothing changes."),
            ((0.5 / 6, 0.5 / 7), "that is the chance of one single order: how many change the image?"),
            ((six, 0.5 * 6 / 7), "the identity is listed twice: both leave the image as it is."),
            ((six, 0.5 * 4 / 6), "there are seven to draw from, and as many as before change the image."),
            ((six, six), "with the identity listed twice, it is drawn more often."),
            ((0.5 * 2 / 6, 0.5 * 2 / 7), "an order that exchanges only two colours changes the image, too."),
            ((0.5 * 3 / 6, 0.5 * 3 / 7), "orders that move all three colours change the image, too."),
            ((six, None), "the first is right; for the second, count orders that change something, of 7."),
            ((None, seven), "the second is right; for the first, there are 6 to draw from."),
        ],
        "A setting of one half does not mean that half of the images change.",
    )


def _films() -> list[tuple[list[str], float]]:
    """Scenes of two films, frame by frame, and a share; chosen so that mistakes differ.

    The camera comes back to scenes, their names are out of order, and the first scene is the longest.
    """
    house = ["kitchen", "kitchen", "office", "kitchen", "kitchen", "attic", "office", "bath", "attic"]
    flat = ["hall", "hall", "study", "hall", "hall", "hall", "loft", "study", "hall", "den", "hall"]
    return [([*house, "kitchen", "cellar", "bath"], 0.7), (flat, 0.6)]


def _parts(scenes: Sequence[str], known: Sequence[str]) -> Split:
    """Frames of known scenes, and the others."""
    train = [i for i, scene in enumerate(scenes) if scene in known]
    return train, [i for i, scene in enumerate(scenes) if scene not in known]


def _by_scene(
    count: Callable[[int | float], int] = int, order: Callable[[dict[str, None]], Sequence[str]] = list
) -> Callable[[Sequence[str], float], Split]:
    """The first scenes for training; right unless told otherwise."""

    def split(scenes: Sequence[str], share: float) -> Split:
        names = order(dict.fromkeys(scenes))
        return _parts(scenes, names[: count(share * len(names))])

    return split


def _split() -> Exercise:
    """Training and validation frames without a scene in common."""
    right = _by_scene()

    def first_frames(scenes: Sequence[str], share: float) -> Split:
        frames, border = list(range(len(scenes))), int(share * len(scenes))
        return frames[:border], frames[border:]

    def drawn(scenes: Sequence[str], share: float, *, in_order: bool = True) -> Split:
        order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(0)).tolist()
        border = int(share * len(scenes))
        parts = order[:border], order[border:]
        return (sorted(parts[0]), sorted(parts[1])) if in_order else parts

    def of_every_scene(scenes: Sequence[str], share: float) -> Split:
        where = {name: [i for i, scene in enumerate(scenes) if scene == name] for name in scenes}
        train = {i for frames in where.values() for i in frames[: int(share * len(frames))]}
        return sorted(train), [i for i in range(len(scenes)) if i not in train]

    def by_frames(scenes: Sequence[str], share: float, *, over: bool = True) -> Split:
        known: list[str] = []
        for name in dict.fromkeys(scenes):
            counted = known if over else [*known, name]
            if sum(scene in counted for scene in scenes) < share * len(scenes):
                known.append(name)
        return _parts(scenes, known)

    def grouped(scenes: Sequence[str], share: float) -> Split:
        names = list(dict.fromkeys(scenes))
        border = int(share * len(names))
        train, rest = (
            [i for name in some for i, scene in enumerate(scenes) if scene == name]
            for some in (names[:border], names[border:])
        )
        return train, rest

    by_frame = "frames were drawn one by one: nearly every scene lies in both parts."
    of_scenes = "the share is one of the scenes, however many frames each of them has."
    return Exercise(
        right,
        [
            (first_frames, "a scene lies in both parts: the camera comes back to it later."),
            (drawn, by_frame),
            (lambda scenes, share: drawn(scenes, share, in_order=False), by_frame),
            (of_every_scene, "every scene lies in both parts: divide the scenes, not the frames of each."),
            (by_frames, of_scenes),
            (lambda scenes, share: by_frames(scenes, share, over=False), of_scenes),
            (_by_scene(ceil), "round the number of training scenes down."),
            (_by_scene(round), "round the number of training scenes down, not to the nearest."),
            (_by_scene(order=sorted), "in the order in which scenes first appear, not of the alphabet."),
            (
                _by_scene(order=lambda names: list(names)[::-1]),
                "the scenes that appear first are for training, not the last.",
            ),
            (lambda scenes, share: right(scenes, share)[::-1], "changed places: training comes first."),
            (grouped, "the right frames, but scene by scene: give the indices in increasing order."),
        ],
        "No room of the validation part was seen in training: only so does it say what a new room will do.",
        inputs=_films(),
        tolerance=0,
    )
