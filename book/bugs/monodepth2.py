"""What ports and releases of Monodepth2 got wrong in the loss, each as the smallest change that does it.

Everything here is wrong on purpose, or harmless, or another convention, and says which. The right versions
stand in :mod:`mdepth.reprojection`, :mod:`mdepth.geometry` and :mod:`mdepth.image`. What goes wrong around
the loss, from motions to learning rates, is in ``mdepth_bugs.monodepth2_training``; what goes wrong later,
with scores and KITTI's truth, in ``mdepth_bugs.monodepth2_evaluation``.

The functions take the place of a part of the loss and have its arguments. :func:`errors_of_parts` and
:func:`loss_of_parts` put the errors and the loss together from parts: with their defaults they are the
library's ``warped_errors`` and ``reprojection_loss``. "The released code" is that of Monodepth2, "the
benchmark study" that of Spencer et al. (2022); no code of them, or of any port, is here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from mdepth import geometry
from mdepth.geometry import backproject, normalise_pixels, sigmoid_to_inverse_depth, transform_points
from mdepth.image import box_window, forward_differences, resize, ssim
from mdepth.reprojection import Reprojection, edge_aware_smoothness, least_error, photometric_error
from mdepth.shapes import Depth, Float, Image, Int, Intrinsics, Tensor

__all__ = [
    "black_outside", "clamped_in_front", "errors_of_parts", "l1_at_its_share", "loss_of_parts",
    "masked_as_zero", "masked_left_out", "mean_with_still", "mirrored_behind", "noise_on_warped",
    "not_clamped", "not_halved", "sampled_by_default", "smoothness_of_inverse_depth",
    "smoothness_unnormalised", "smoothness_upsampled", "zero_padded_ssim",
]  # fmt: skip

Points = Float[Tensor, "B 3 H W"]
Pixels = Float[Tensor, "B 2 H W"]
Sources = Float[Tensor, "B N 3 H W"]
Motions = Float[Tensor, "B N 4 4"]
Errors = Float[Tensor, "B N H W"]
Least = tuple[Depth, Int[Tensor, "B 1 H W"]]
MONODEPTH2 = Reprojection()
BORDER = partial(geometry.sample, padding="border")


# Errors and loss from parts


def errors_of_parts(
    depth: Depth,
    target: Image,
    sources: Sources,
    K: Intrinsics,
    T_source_target: Motions,
    *,
    project: Callable[[Points, Intrinsics], tuple[Pixels, Depth]] = geometry.project,
    sample: Callable[[Image, Pixels], Image] = BORDER,
    error: Callable[[Image, Image], Depth] = photometric_error,
) -> Errors:
    """``warped_errors`` of which every part may be a wrong one; with the defaults it is the right one."""
    errors = []
    for source, T in zip(sources.unbind(dim=1), T_source_target.unbind(dim=1), strict=True):
        pixels, _ = project(transform_points(T, backproject(depth, K)), K)
        errors.append(error(sample(source, pixels), target))
    return torch.cat(errors, dim=1)


def loss_of_parts(
    sigmoids: Sequence[Tensor],
    pyramid: Sequence[Tensor],
    sources: Sources,
    K: Intrinsics,
    T_source_target: Motions,
    how: Reprojection = MONODEPTH2,
    *,
    least: Callable[..., Least] = least_error,
    smoothness: Callable[[Depth, Image], Float[Tensor, ""]] = edge_aware_smoothness,
    error: Callable[[Image, Image], Depth] = photometric_error,
    **parts: Any,
) -> Float[Tensor, ""]:
    """``reprojection_loss`` at full resolution, of which every part may be a wrong one.

    With the defaults it is the right one; ``parts`` are those of :func:`errors_of_parts`.
    """
    target, still, total = pyramid[0], None, torch.zeros(())
    if how.automask:
        still = torch.cat([error(source, target) for source in sources.unbind(dim=1)], dim=1)
    for scale, sigmoid in enumerate(sigmoids):
        inverse_depth = sigmoid_to_inverse_depth(resize(sigmoid, (target.shape[-2], target.shape[-1])))
        warped = errors_of_parts(1 / inverse_depth, target, sources, K, T_source_target, error=error, **parts)
        counted, _ = least(warped, still, minimum=how.minimum, noise=how.noise)
        total = total + counted.mean() + how.smoothness / 2**scale * smoothness(sigmoid, pyramid[scale])
    return total / len(sigmoids)


# Where a point is looked up


def sampled_by_default(image: Image, pixels: Pixels) -> Image:
    """The image at pixels normalised by W - 1 and looked up with ``align_corners`` left to its default.

    The released code, on any torch since 1.3; the benchmark study even has both in writing. What is asked for
    at x comes from x W / (W - 1) - 0.5: half a pixel too far out at both borders, right in the middle. A
    camera at rest no longer explains its own image, fewer pixels are won by a warp, and the disparity that
    explains a stereo pair best is half a pixel too small at the left and too large at the right.
    """
    grid = normalise_pixels(pixels, *image.shape[-2:], align_corners=True)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


def black_outside(image: Image, pixels: Pixels) -> Image:
    """The image at pixels, and black outside of it, where Monodepth2 repeats the border.

    The predecessor (Godard et al. 2017) does so by default, and so does torch. A pixel whose point leaves the
    view costs what it is brighter than black, even in front of a white wall that any depth explains. On a
    street it is the later frame that suffers, since driving forward loses what is at the sides.
    """
    return geometry.sample(image, pixels, padding="zeros")


def mirrored_behind(points: Points, K: Intrinsics) -> tuple[Pixels, Depth]:
    """Pixels by division by z + 1e-7, whatever the sign of z.

    The released code. A point behind the camera, at (x, y, -z), is looked up where (-x, -y, z) is seen, and
    gets a gradient from there. If too large a step forward is guessed, the ground before the car is explained
    by what stands above the horizon.
    """
    x, y, depth = torch.einsum("bij,bj...->bi...", K, points).split(1, dim=1)
    return torch.cat((x, y), dim=1) / (depth + 1e-7), depth


def clamped_in_front(points: Points, K: Intrinsics) -> tuple[Pixels, Depth]:
    """Pixels by division by z, but at least by 0.1.

    The benchmark study. The pixel of a point at z is multiplied by z / 0.1 where that is below 1. So what is
    nearer than 0.1 is drawn towards the upper left corner, and what is behind the camera falls outside beyond
    that corner, wherever its mirror image would have been seen. Nearly harmless.
    """
    x, y, depth = torch.einsum("bij,bj...->bi...", K, points).split(1, dim=1)
    return torch.cat((x, y), dim=1) / depth.clamp(min=0.1), depth


# How unlike two images are


def not_halved(first: Image, second: Image, alpha: float = 0.85) -> Depth:
    """The photometric error with 1 - SSIM, clamped to [0, 1], where half of it belongs.

    Easy to make, since 1 - SSIM looks like a dissimilarity too. Structure counts twice as much against
    absolute differences as it should, and where two windows run against each other, SSIM below 0, all are
    equally bad and none has a gradient.
    """
    return _mixed((1 - _similarity(first, second)).clamp(0, 1), first, second, alpha)


def not_clamped(first: Image, second: Image, alpha: float = 0.85) -> Depth:
    """The photometric error without the clamp on (1 - SSIM) / 2.

    Harmless for images in [0, 1]: SSIM cannot leave [-1, 1] but by rounding. Even surfaces of images from 0
    to 255, with the constants of [0, 1], round that badly: there the error leaves [0, 1] by more than ten.
    """
    return _mixed((1 - _similarity(first, second)) / 2, first, second, alpha)


def zero_padded_ssim(first: Image, second: Image, alpha: float = 0.85) -> Depth:
    """The photometric error with SSIM's windows reaching into black at the border, not into a reflection.

    torch's average pool pads so where it is told to pad. Both images then have the same edge all around, and
    whatever they show looks alike there: textures that have nothing in common count half of what they should,
    along the border alone.
    """
    unlike = (1 - _similarity(first, second, "zeros")) / 2
    return _mixed(unlike.clamp(0, 1), first, second, alpha)


def l1_at_its_share(first: Image, second: Image, alpha: float = 0.85) -> Depth:
    """The photometric error without SSIM, its absolute differences still times 0.15.

    What is left if the term of SSIM is taken out and nothing else is done; the released code gives the
    differences the weight 1 then. A factor alone would not matter to Adam, but the smoothness beside it now
    counts nearly seven times as much.
    """
    return (1 - alpha) * (first - second).abs().mean(dim=1, keepdim=True)


def _similarity(first: Image, second: Image, padding: str = "reflect") -> Image:
    """SSIM with Monodepth2's windows."""
    return ssim(first, second, window=box_window(3), padding=padding)


def _mixed(unlike: Image, first: Image, second: Image, alpha: float) -> Depth:
    """A dissimilarity and the absolute differences, as ``photometric_error`` weights them."""
    return alpha * unlike.mean(dim=1, keepdim=True) + l1_at_its_share(first, second, alpha)


# Which errors count


def noise_on_warped(
    warped: Errors, still: Errors | None = None, *, minimum: bool = True, noise: float = 0.0
) -> Least:
    """``least_error`` with the noise that decides ties on the warped errors instead of the unmoved.

    Harmless: of two equal numbers noise makes either the less in half of all cases, whichever it is added to.
    What matters is its size. The benchmark study adds 1.2e-7, float32's own epsilon, instead of 1e-5: with a
    camera at rest rounding then has its say, and two steps decide alike in two thirds of the pixels.
    """
    if still is not None:
        warped = warped + noise * torch.randn_like(warped)
    return least_error(warped, still, minimum=minimum)


def mean_with_still(
    warped: Errors, still: Errors | None = None, *, minimum: bool = True, noise: float = 0.0
) -> Least:
    """The mean over warped *and* unmoved sources, where the mean of each competes.

    Easy to make where the minimum is exchanged for a mean. No pixel is masked any more: one that moves with
    the camera pulls like all others. The gradient is half of that of the warped sources' mean, everywhere.
    """
    both = warped if still is None else torch.cat([warped, still], dim=1)
    return least_error(both, minimum=False)


def masked_as_zero(
    warped: Errors, still: Errors | None = None, *, minimum: bool = True, noise: float = 0.0
) -> Least:
    """``least_error`` with 0 at the pixels that an unmoved source wins: the paper's mask times error, eq. 5.

    Another convention: the released code keeps their error, a number without a gradient. The gradient is the
    same, the value is not, so that losses do not compare.
    """
    counted, winner = least_error(warped, still, minimum=minimum, noise=noise)
    count = warped.shape[1] if minimum else 1
    return torch.where(winner < count, counted, 0.0), winner


def masked_left_out(
    warped: Errors, still: Errors | None = None, *, minimum: bool = True, noise: float = 0.0
) -> Least:
    """``masked_as_zero`` times (all pixels / those not masked): its mean is that over pixels not masked.

    Another convention, with a gradient that is larger by that factor. A batch of cameras nearly at rest, of
    which a few pixels are left, then weighs as much as one in which everything moves.
    """
    counted, winner = masked_as_zero(warped, still, minimum=minimum, noise=noise)
    left = (winner < (warped.shape[1] if minimum else 1)).sum().clamp(min=1)
    return counted * winner.numel() / left, winner


# Smoothness


def smoothness_unnormalised(values: Depth, image: Image) -> Float[Tensor, ""]:
    """The edge-aware smoothness of the values as they are, not divided by their mean.

    The predecessor has it so, where the stereo pair says how large they must be, and so have Zhou et al. From
    video nothing says it: twice the depths with twice the motions explain the images as well, at half the
    cost of smoothness. So every step of training pushes all depth outwards, to where nothing is left of it.
    """
    total = values.new_zeros(())
    for step, contrast in zip(forward_differences(values), forward_differences(image), strict=True):
        total = total + (step.abs() * (-contrast.abs().mean(dim=1, keepdim=True)).exp()).mean()
    return total


def smoothness_upsampled(values: Depth, image: Image) -> Float[Tensor, ""]:
    """The smoothness of a small map enlarged to the image's size first.

    Easy to make, since everything else is done at full size. From pixel to pixel a map twice as large rises
    half as much, so scale s loses a factor 2^s, beside the 2^s that its weight takes.
    """
    return edge_aware_smoothness(resize(values, (image.shape[-2], image.shape[-1])), image)


def smoothness_of_inverse_depth(values: Depth, image: Image) -> Float[Tensor, ""]:
    """The smoothness of the inverse depth that the sigmoids stand for.

    Another convention: the released code smooths the sigmoids. The offset 0.01 takes no part in a step but in
    the mean by which steps are divided: at depths of 5 units it costs 5 % less, at 50 units half.
    """
    return edge_aware_smoothness(sigmoid_to_inverse_depth(values), image)
