"""Exercises of the Monodepth2 chapter on the loss: the minimum, a mask that is fooled, metres from stereo.

The right minimum, and all errors by which a scene is judged, come from :mod:`mdepth.reprojection`.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import torch
from torch.nn import functional as F

from mdepth.exercises.checker import Exercise, numbers
from mdepth.geometry import scale_translation, transform_from_axis_angle
from mdepth.reprojection import Reprojection, least_error, still_errors, warped_errors
from mdepth.shapes import Tensor

__all__ = ["broken_mask", "least", "metres"]

Loss = Callable[[Tensor, Tensor], Any]
"""Errors of warped and of unmoved sources in; the loss map and the mask out."""
Scene = tuple[Tensor, Tensor, Tensor]
"""Target, previous and next image."""


# --- minimum and mask -----------------------------------------------------------------------------


def least() -> Exercise:
    """The least error of all sources at every pixel, and the mask of pixels at which a warped one has it.

    Example:
        >>> from mdepth.exercises import check
        >>> check("monodepth2.least", lambda warped, still: (warped.amin(1), warped.amin(1) < still.amin(1)))
        Not yet: the mask is right; but the unmoved sources compete in the loss, too.
    """

    def right(warped: Tensor, still: Tensor) -> tuple[Tensor, Tensor]:
        loss, winner = least_error(warped, still)
        return loss, winner < warped.shape[1]

    return Exercise(
        right,
        [*_wrong_losses(right), *_wrong_masks(right)],
        "One source that explains a pixel is enough. What standing still explains best teaches nothing.",
        inputs=[_errors(2, 2), _errors(1, 3)],
        examine=_twice,
    )


def _errors(batch: int, sources: int) -> tuple[Tensor, Tensor]:
    """Errors of warped and of unmoved sources, on 3 x 4 pixels."""
    generator = torch.Generator().manual_seed(batch)
    warped, still = 0.05 + torch.rand(2, batch, sources, 3, 4, generator=generator)
    return warped, still


def _twice(loss: Loss) -> Loss:
    """The same function; of one that answers differently the second time, a number that no other has."""

    def called(warped: Tensor, still: Tensor) -> Any:
        first, second = loss(warped, still), loss(warped, still)
        return first if numbers(first) == numbers(second) else -1.0

    return called


def _wrong_losses(right: Loss) -> list[tuple[Loss, str]]:
    """The mask may be right, the map is not."""

    def of(loss: Callable[[Tensor, Tensor], Any]) -> Loss:
        return lambda warped, still: (loss(warped, still), right(warped, still)[1])

    def everything(warped: Tensor, still: Tensor) -> Tensor:
        return torch.cat((warped, still), dim=1)

    def noisy(warped: Tensor, still: Tensor) -> Any:
        return right(warped, still + 1e-5 * torch.randn_like(still))

    def means(warped: Tensor, still: Tensor) -> Any:
        loss, winner = least_error(warped, still, minimum=False)
        return loss, winner == 0

    zero = "a pixel that is masked keeps its error, it only has no gradient: do not multiply by the mask."
    return [
        (
            of(lambda w, s: everything(w, s).mean(dim=1)),
            "that is the mean over all; one good source is enough.",
        ),
        (
            lambda w, s: (everything(w, s).mean(dim=1), w.mean(dim=1) < s.mean(dim=1)),
            "that is the mean over all; one good source is enough.",
        ),
        (means, "that is the paper's baseline, means over the sources; each source competes by itself."),
        (
            of(lambda w, s: w.amin(dim=1)),
            "the mask is right; but the unmoved sources compete in the loss, too.",
        ),
        (
            of(lambda w, s: s.amin(dim=1)),
            "those are the unmoved sources alone: the warped ones compete, too.",
        ),
        (of(lambda w, s: everything(w, s).amax(dim=1)), "that is the largest; the least is asked for."),
        (of(lambda w, s: everything(w, s).amin(dim=1).mean()), "the map is asked for, not yet its mean."),
        (of(lambda w, s: right(w, s)[0] * right(w, s)[1]), zero),
        (lambda w, s: right(w, s)[0], "the loss is right; the mask is asked for, too."),
        (
            noisy,
            "called twice, it answers twice: leave out the noise. It is there for ties, and here are none.",
        ),
    ]


def _wrong_masks(right: Loss) -> list[tuple[Loss, str]]:
    """The map is right, the mask is not."""

    def of(mask: Callable[[Tensor, Tensor], Any]) -> Loss:
        return lambda warped, still: (right(warped, still)[0], mask(warped, still))

    itself = "each warped source was compared with itself unmoved; the best warped with the best unmoved."
    return [
        (
            of(lambda w, s: ~right(w, s)[1]),
            "the loss is right, the mask is inverted: a pixel teaches where a *warped* source wins.",
        ),
        (
            of(lambda w, s: least_error(w, s)[1]),
            "the loss is right; that is which candidate wins, and the mask says whether it is a warped one.",
        ),
        (of(lambda w, s: (w < s).any(dim=1)), itself),
        (of(lambda w, s: (w < s).all(dim=1)), itself),
        (of(lambda w, s: w < s), itself),
        (
            of(lambda w, s: w.mean(dim=1) < s.mean(dim=1)),
            "the loss is right; the mask compares means, and the loss took the least.",
        ),
        (
            of(lambda w, s: torch.ones_like(w[:, 0])),
            "the loss is right; but not all pixels teach: where an unmoved source wins, none does.",
        ),
        (lambda w, s: right(w, s)[::-1], "changed places: the loss comes first, then the mask."),
    ]


# --- a mask that is fooled ------------------------------------------------------------------------

SHIFT = 8
"""Pixels by which the wall moves from image to image."""
FOCAL, WALL, STEP = 60.0, 6.0, 0.8
"""Pixels, metres to the wall, and metres that the camera moves to the right: 60 * 0.8 / 6 = 8 pixels."""
SIZE = (32, 64)
"""Rows and columns of the images."""
FITS, DIFFERS = 0.01, 0.02
"""Photometric errors: at most that of pixels which are explained, at least that of those which are not."""


def broken_mask() -> Exercise:
    """A scene that the automask wrongly throws away by more than half, checked with true depth and motion.

    Example:
        >>> from mdepth.exercises import check
        >>> check("monodepth2.broken_mask", torch.rand(3, 3, 32, 64)).right
        False
    """
    return Exercise(
        _striped(27),
        _honest_scenes(),
        "What repeats after just one step looks as if it stood still, and chance decides the tie.",
        tolerance=0,
        examine=_fault,
    )


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """A texture without any order."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _views(wall: Tensor, step: int = SHIFT) -> Scene:
    """Target, previous and next image of a wall that the camera passes, to the right."""
    width = wall.shape[-1] - 2 * step
    previous, target, following = (wall[..., k * step : k * step + width] for k in range(3))
    return target, previous, following


def _striped(rows: int, period: int = SHIFT) -> Scene:
    """A wall of which some rows repeat."""
    wall = _noise(3, SIZE[0], SIZE[1] + 2 * SHIFT)
    columns = torch.arange(wall.shape[-1]) % period
    wall[:, :rows] = _noise(3, rows, period, seed=1)[..., columns]
    return _views(wall)


def _honest_scenes() -> list[tuple[Scene, str]]:
    """Scenes that do not do what is asked, by the fault that is found first."""
    height, width = SIZE
    wide = _noise(3, height, width + 2 * SHIFT)
    target, previous, following = _views(wide)
    plain, across = wide.clone(), wide.clone()
    plain[:, :27], across[:, :27] = 0.5, _noise(3, 27, 1, seed=2)
    useless = (
        "that is thrown away rightly: a depth that is a tenth wrong explains these pixels just as well. They "
        "need texture along the motion."
    )
    unlike = (
        "warped with the true depth and motion, the images are not the target: the wall moves by 8 pixels to "
        "the left from each image to the next, all of it."
    )
    works = (
        "the mask works here: nearly all pixels are kept. What could a wall look like, that looks the same "
        "after one step?"
    )
    return [
        ((2 * target, 2 * previous, 2 * following), "colours lie between 0 and 1."),
        ((target, following, previous), "previous and next changed places: the wall moves to the left."),
        ((target,) * 3, "the camera stood still; it has to move, and the wall by 8 pixels with each image."),
        (_views(_noise(3, height, width + 8), 4), unlike),
        ((target, _noise(3, *SIZE, seed=3), following), unlike),
        (_views(plain), useless),
        (_views(across), useless),
        ((torch.full((3, *SIZE), 0.5),) * 3, useless),
        (
            _striped(height),
            "the three images are the same: nobody could see that the camera moves. Let a tenth of the "
            "pixels show it.",
        ),
        (_views(wide), works),
        (_striped(27, period=12), works),
        (
            _striped(16),
            "that is the idea; let more of the wall repeat: at a tie chance throws only three quarters away.",
        ),
    ]


def _checked(scene: Any) -> list[Tensor]:
    """The three images as a batch of one each."""
    images = [torch.as_tensor(image, dtype=torch.float32) for image in scene]
    shapes = [tuple(image.shape) for image in images]
    if shapes != [(3, *SIZE)] * 3:
        raise ValueError(f"three images of shape {(3, *SIZE)}, target, previous and next; got {shapes}")
    return [image[None] for image in images]


def _share(pixels: Tensor) -> float:
    """Of how many pixels it is true."""
    return pixels.float().mean().item()


class _Fault(IntEnum):
    """What is the matter with a scene; the first one that is found counts."""

    NONE = 0
    COLOURS = 1
    EXCHANGED = 2
    AT_REST = 3
    UNLIKE = 4
    USELESS = 5
    KEPT = 6
    TOO_LITTLE = 7
    UNMOVED = 8


def _fault(scene: Any) -> _Fault:
    """Whether depth and motion explain a scene, and whether the mask throws away what they explain."""
    target, previous, following = _checked(scene)
    if not all(image.min() >= 0 and image.max() <= 1 for image in (target, previous, following)):
        return _Fault.COLOURS
    sources, exchanged = (torch.stack(pair, dim=1) for pair in ((previous, following), (following, previous)))
    warped, still = _warped(target, sources), still_errors(target, sources)
    if not _explained(warped):
        if _explained(_warped(target, exchanged)):
            return _Fault.EXCHANGED
        return _Fault.AT_REST if _explained(still) else _Fault.UNLIKE
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        thrown = least_error(warped, still, noise=Reprojection().noise)[1][:, 0] >= warped.shape[1]
    fits = warped.amin(dim=1) < FITS
    worse = torch.cat([_warped(target, sources, factor).amin(dim=1) for factor in (0.9, 1.1)])
    noticed = F.avg_pool2d(worse, 9, stride=1, padding=4, count_include_pad=False) > DIFFERS
    # the depth of a wall is one: a pixel between two edges is told by its neighbours that it is wrong
    wrongly = _share(thrown & fits & noticed.all(dim=0))
    if wrongly > 0.5:
        moved = _share(fits & (still.amin(dim=1) > DIFFERS))
        return _Fault.NONE if moved > 0.1 else _Fault.UNMOVED
    if _share(thrown) - wrongly > max(0.2, wrongly):
        return _Fault.USELESS
    return _Fault.KEPT if wrongly < 0.1 else _Fault.TOO_LITTLE


def _explained(errors: Tensor) -> bool:
    """Whether both sources explain the target, apart from the columns that only one of them sees."""
    return _share(errors.amax(dim=1)[..., SHIFT + 1 : -SHIFT - 1] < FITS) > 0.95


def _warped(target: Tensor, sources: Tensor, factor: float = 1.0) -> Tensor:
    """The errors of warped sources, with the true motion and the depth times a factor."""
    height, width = SIZE
    K = torch.tensor([[[FOCAL, 0, (width - 1) / 2], [0, FOCAL, (height - 1) / 2], [0, 0, 1]]])
    step = transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[STEP, 0.0, 0.0]]))
    motions = torch.stack([scale_translation(step, torch.tensor(sign)) for sign in (1.0, -1.0)], dim=1)
    depth = torch.full((1, 1, *SIZE), factor * WALL)
    return warped_errors(depth, target, sources, K, motions)


# --- metres ---------------------------------------------------------------------------------------


def metres() -> Exercise:
    """Metres per unit for baselines of 0.54 and of 0.12 m, a depth in metres, and its disparity in pixels.

    Example:
        >>> from mdepth.exercises import check
        >>> check("monodepth2.metres", (0.1 / 0.54, 0.1 / 0.12, 2 * 0.1 / 0.54, 36))
        Not yet: you divided by the rig's baseline: 0.1 units are 0.54 m, so how many metres is one?
    """
    kitti, other, z = 0.54 / 0.1, 0.12 / 0.1, 0.54 / 0.1 / 0.5
    return Exercise(
        (kitti, other, z, 720 * 0.54 / z),
        [
            (
                (0.1 / 0.54, 0.1 / 0.12, None, None),
                "you divided by the rig's baseline: 0.1 units are 0.54 m, so how many metres is one?",
            ),
            ((0.054, 0.012, None, None), "you multiplied by 0.1: 0.1 units are 0.54 m, and a unit is more."),
            ((0.54, 0.12, None, None), "those are the baselines: 0.54 m are 0.1 units, not a whole one."),
            ((kitti, kitti, None, None), "5.4 is for a baseline of 0.54 m; another rig has another number."),
            ((other, kitti, None, None), "changed places: 0.54 m first."),
            (
                (12 / 2, None, None, None),
                "that is the ratio to the laser, as the median does it; a stereo pair needs only its 0.54 m.",
            ),
            (
                (kitti, other, 12.0, None),
                "that is what the laser says, or what median scaling would make of it; the rig says its own.",
            ),
            ((kitti, other, 2.0, None), "that is in the network's units: multiply."),
            ((kitti, other, 0.5 * kitti, None), "0.5 is an inverse depth: turn it over, then multiply."),
            ((kitti, other, 2 / kitti, None), "you divided: a unit is more than a metre."),
            (
                (kitti, other, z, 720 * 0.54 * 0.5),
                "metres and units in one product: 0.54 m with 10.8 m, or 0.1 units with 0.5 per unit.",
            ),
            (
                (kitti, other, z, 720 * 0.1 / z),
                "metres and units in one product: 0.54 m with 10.8 m, or 0.1 units with 0.5 per unit.",
            ),
            ((kitti, other, z, 720 * 0.54), "divide by the depth: what is near has a large disparity."),
            ((kitti, other, z, 0.1 * 0.5), "that is in focal lengths; multiply by 720 pixels."),
            ((kitti, other, z, 0.5), "that is the inverse depth; a disparity in pixels is f b / z."),
            ((kitti, other, z, None), "the metres are right; the disparity is f b / z."),
            ((kitti, other, None, None), "the factors are right; then depth is 1 / 0.5 units, times 5.4."),
        ],
        "The rig brings the metres. And the disparity needs none: 720 x 0.1 x 0.5, in units alone.",
    )
