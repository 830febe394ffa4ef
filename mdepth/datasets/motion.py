"""Does a video move enough for depth to be learnt from it? Measured between neighbouring frames, without
depth or poses.

A network that learns depth from a video sees it only in how far things move from frame to frame. Where
nothing moves there is nothing to learn, and where everything moves by a quarter of the image no gradient of
the photometric loss leads there. ``check_motion`` looks at some pairs of frames and says so before a training
that would tell it hours later.
"""

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch.nn import functional as F

from mdepth.datasets.transforms import resize
from mdepth.geometry import pixel_grid, sample
from mdepth.shapes import Bool, DataError, Float, Image, Tensor

__all__ = ["MotionReport", "check_motion", "optical_flow"]

STILL = 0.1  # pixels: below it a pair of frames stands still; noise alone moves by a few hundredths
LITTLE = 1.0  # pixels: less motion teaches little
WANTED = 2.0  # pixels: what the advice aims at
MUCH = 0.25  # of the width
FOLLOWED = 0.15  # least share of the textured pixels that are found again on the way back
FEW = 0.1  # share of pairs up to which nothing is said
SLOW = 3.0  # frames a second
SQUEEZED = 1.2  # change of the ratio of width to height

COARSEST = 48  # columns of the smallest level
REACH = 0.3  # of width and height: how far the smallest level is searched
WINDOW = 9  # pixels
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class MotionReport:
    """What ``check_motion`` found; lengths are in pixels of the training size.

    ``pairs`` were looked at; ``motions`` are the median lengths of motion in those that could be followed, in
    their order, and ``motion`` is the median of those that move (0 if there is none); ``still`` and ``lost``
    are the shares of pairs that stand still and that could not be followed (a cut, or too far apart);
    ``rate`` is frames a second, None where the data set knows no times; ``frame`` and ``size`` are (height,
    width) of the frames and of training; ``warnings`` are sentences.
    """

    pairs: int
    motions: tuple[float, ...]
    motion: float
    still: float
    lost: float
    rate: float | None
    frame: tuple[int, int]
    size: tuple[int, int]
    warnings: tuple[str, ...]


def check_motion(dataset: Any, *, size: tuple[int, int], pairs: int = 50, offset: int = 1) -> MotionReport:
    """How far things move between the frames of a data set of videos, and what that means for training.

    What is measured is the motion of pixels with texture, up to about a quarter of the width
    (``optical_flow``). On worlds, where it is known, at least seven pairs in ten come out within a quarter or
    0.3 pixels of it and all within half or 0.3, with a bias of at most 15 %. What has no texture, a plain
    road or wall, may move more or less. Where a pattern comes again and again, as the dashes of a lane do,
    the nearest likeness is taken, and a motion of several pixels comes out too small: measure at a rate at
    which things move by a pixel or less, and reckon from there.

    Args:
        dataset: any whose items know their ``neighbour``.
        size: (height, width) of the images in training.
        pairs: how many pairs of frames are looked at, evenly spread.
        offset: of the two frames of a pair, in steps of time.

    Raises:
        DataError: no item has a neighbour at this offset.

    Example:
        >>> from mdepth.datasets.worlds import World, load
        >>> parked = load(World("roads", scenes=2, frames=2, ego_motion=False, moving_objects=False),
        ...               cache=False)
        >>> report = check_motion(parked, size=(64, 192))
        >>> report.pairs, report.still, report.warnings[0][:44]
        (2, 1.0, '2 of 2 pairs of frames stand still: leave th')
    """
    starts = [index for index in range(len(dataset)) if dataset.neighbour(index, offset) is not None]
    if not starts:
        raise DataError(
            f"{dataset.name}: no item has a frame at offset {offset}; a video needs at least two frames a "
            "scene"
        )
    count = min(pairs, len(starts))
    lengths, lost, times = [], 0, []
    for index in (starts[k * len(starts) // count] for k in range(count)):
        views = dataset.views([dataset.neighbour(index, 0), dataset.neighbour(index, offset)])
        frame = (int(views["image"].shape[-2]), int(views["image"].shape[-1]))
        length, agreeing = _pair(resize({"image": views["image"]}, *size)["image"])
        lost += agreeing < FOLLOWED
        lengths += [length] if agreeing >= FOLLOWED else []
        times += [float(views["time"][1] - views["time"][0])] if "time" in views else []
    moving = [length for length in lengths if length >= STILL]
    step = median(times) / offset if times else 0.0
    report = MotionReport(
        pairs=count,
        motions=tuple(lengths),
        motion=median(moving) if moving else 0.0,
        still=(len(lengths) - len(moving)) / count,
        lost=lost / count,
        rate=1 / step if step > 0 else None,
        frame=frame,
        size=size,
        warnings=(),
    )
    guessed = bool(getattr(dataset, "guessed_camera", False))
    return replace(report, warnings=(*_warn_motion(report), *_warn_frames(report, guessed)))


def _pair(images: Float[Tensor, "2 3 H W"]) -> tuple[float, float]:
    """The median length of the motion of the textured pixels from the first image to the second, and the
    share of them that the motion back returns to where they were."""
    flow, textured = optical_flow(images, images.flip(0))
    if not textured[0].any():
        return 0.0, 1.0
    there, back = flow
    length = there.norm(dim=0)
    height, width = images.shape[-2:]
    returned = there + sample(back[None], (pixel_grid(height, width) + there)[None], padding="border")[0]
    agrees = returned.norm(dim=0) < 0.5 + 0.1 * length
    where = textured[0, 0]
    return float(length[where].median()), float(agrees[where].float().mean())


def _warn_motion(report: MotionReport) -> list[str]:
    """Sentences about too little and too much motion."""
    found, (height, width) = [], report.size
    at = f"(median {report.motion:.1f} pixels at {height}x{width})"
    still, lost = (round(share * report.pairs) for share in (report.still, report.lost))
    if report.still > FEW:
        found.append(
            f"{still} of {report.pairs} pairs of frames stand still: leave those frames out, or train with a "
            "mask for what does not move"
        )
    if 0 < report.motion < LITTLE:
        n = math.ceil(WANTED / report.motion)
        rate = f", {report.rate / n:.1f} frames a second" if report.rate else ""
        found.append(f"neighbouring frames move too little {at}: take one frame in {n} (every={n}{rate})")
    if report.motion > MUCH * width or report.lost > 0.5:
        found.append(
            f"neighbouring frames move too much {at}, {lost} of {report.pairs} pairs could not be followed: "
            "take frames nearer in time"
        )
    elif report.lost > FEW:
        found.append(
            f"{lost} of {report.pairs} pairs of frames could not be followed: cut the video where scenes "
            "change, or take frames nearer in time"
        )
    if report.rate is not None and report.rate < SLOW:
        found.append(
            f"{report.rate:.1f} frames a second: cars and people will have moved far by themselves from one "
            "frame to the next"
        )
    return found


def _warn_frames(report: MotionReport, guessed: bool) -> list[str]:
    """Sentences about the shape of the frames and their camera."""
    found, (height, width) = [], report.frame
    squeeze = (report.size[1] / width) / (report.size[0] / height)
    if height > width:
        found.append(
            f"the frames are upright ({height}x{width}): training expects more columns than rows, turn or "
            "crop them"
        )
    if not 1 / SQUEEZED < squeeze < SQUEEZED:
        found.append(
            f"resizing {height}x{width} to {report.size[0]}x{report.size[1]} stretches everything to "
            f"{squeeze:.2f} times its width against its height: crop first, or train at another size"
        )
    if guessed:
        found.append(
            "the camera's K is a guess (60 degrees of view): depth will be right up to a stretch along the "
            "view at best; pass K if you can measure it"
        )
    return found


def optical_flow(first: Image, second: Image) -> tuple[Float[Tensor, "B 2 H W"], Bool[Tensor, "B 1 H W"]]:
    """How far every pixel of the first image has moved in the second, (u, v) in pixels, and where there is
    enough texture to tell.

    Images in grey, less their local mean and divided by their contrast, so that a change of exposure does not
    count. In small copies the best shift of every window is searched for, within 0.3 of height and width;
    then, level by level up to full size, Lucas and Kanade's least squares improve it: in every window the
    motion d that makes the sum of (I(p) - J(p + d))^2 least to first order. Motions beyond the search, and
    what is covered in one of the images, come out wrong.

    Source: Lucas and Kanade, An Iterative Image Registration Technique, IJCAI 1981; in a pyramid after
    Bouguet, Pyramidal Implementation of the Lucas Kanade Feature Tracker, Intel 2000.

    Example:
        >>> scene = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
        >>> flow, textured = optical_flow(scene[..., :56], scene[..., 3:59])
        >>> round(flow[0, 0].median().item(), 1), textured.all().item()
        (-3.0, True)
    """
    grey = torch.cat((first, second))
    levels = [(grey * grey.new_tensor(GREY)[:, None, None]).sum(dim=1, keepdim=True)]
    while levels[-1].shape[-1] > COARSEST and min(levels[-1].shape[-2:]) >= 16:
        levels.append(F.avg_pool2d(levels[-1], 2))
    pairs = [_without_light(level).chunk(2) for level in reversed(levels)]
    flow = _search(*pairs[0])
    for one, other in pairs:
        height, width = one.shape[-2:]
        if flow.shape[-2:] != one.shape[-2:]:
            flow = 2 * F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
        flow, textured = _improve(one, other, flow)
    return flow, textured


def _mean(values: Float[Tensor, "B C H W"], window: int) -> Float[Tensor, "B C H W"]:
    """The mean over the window around each pixel, as far as it lies inside."""
    return F.avg_pool2d(values, window, stride=1, padding=window // 2, count_include_pad=False)


def _without_light(grey: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Less the local mean, divided by the standard deviation of what is left (noise is not blown up)."""
    detail = grey - _mean(grey, 15)
    return detail / detail.std(dim=(1, 2, 3), keepdim=True).clamp(min=0.02)


def _search(one: Float[Tensor, "B 1 H W"], other: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 2 H W"]:
    """Of all shifts by whole pixels within ``REACH``, for every pixel that with the least mean difference in
    a window of five pixels; what comes in from outside differs by 2, and long shifts cost a little."""
    height, width = one.shape[-2:]
    down, right = max(1, round(REACH * height)), max(1, round(REACH * width))
    padded = F.pad(other, (right, right, down, down), value=math.nan)
    least, flow = torch.full_like(one, math.inf), one.new_zeros(len(one), 2, height, width)
    for v in range(-down, down + 1):
        for u in range(-right, right + 1):
            moved = padded[..., down + v : down + v + height, right + u : right + u + width]
            cost = _mean((one - moved).abs().nan_to_num(nan=2.0), 5) + 1e-3 * math.hypot(u, v)
            flow = torch.where(cost < least, flow.new_tensor([u, v])[:, None, None], flow)
            least = torch.minimum(cost, least)
    return flow


def _improve(
    one: Float[Tensor, "B 1 H W"], other: Float[Tensor, "B 1 H W"], flow: Float[Tensor, "B 2 H W"]
) -> tuple[Float[Tensor, "B 2 H W"], Bool[Tensor, "B 1 H W"]]:
    """Four steps of Lucas and Kanade, each of at most a pixel and smoothed, and where the smaller eigenvalue
    of their 2 x 2 matrix is large enough to solve with."""
    along_v, along_u = torch.gradient(one, dim=(2, 3))
    a, b, c = (
        _mean(product, WINDOW) for product in (along_u * along_u, along_u * along_v, along_v * along_v)
    )
    textured = (a + c) / 2 - (((a - c) / 2) ** 2 + b * b).sqrt() > 1e-2
    a, c = a + 1e-3, c + 1e-3
    pixels, determinant = pixel_grid(*one.shape[-2:], device=one.device), a * c - b * b
    for _ in range(4):
        left = one - sample(other, pixels + flow, padding="border")
        u, v = _mean(along_u * left, WINDOW), _mean(along_v * left, WINDOW)
        step = torch.cat((c * u - b * v, a * v - b * u), dim=1) / determinant
        flow = _mean(flow + step.clamp(-1, 1), 5)
    return flow, textured
