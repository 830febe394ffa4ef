r"""Depth without labels: how well one view explains another.

If depth and motion are right, a neighbouring view, sampled where the target's points appear in it, looks like
the target (:func:`mdepth.geometry.warp`). What is left is the photometric error, and it is the loss. Three
things make it work (Godard et al., ICCV 2019, "Monodepth2"), each a switch of :class:`Reprojection`:

* **minimum**: of several source views, each pixel counts the one that explains it best. A point that one
  neighbour does not see is seen by another.
* **automask**: a pixel that an unmoved source explains better than a warped one says nothing about depth: a
  camera at rest, a car ahead that keeps its distance, a plain wall. Its error has no gradient.
* **full resolution**: maps of a half, a quarter and an eighth of the size are enlarged first and judged on
  the image itself, where there still is texture to be matched.

The images are those of the camera. Only the networks see the ones with altered colours.

Where we differ from the released code: the errors of unmoved sources do not depend on the scale and are
computed once, not four times; a point behind the camera takes the colour of the image's corner, and no
gradient, where there its mirror image is sampled; every image may have its own ``K``. At smaller scales
images are means of pixels, not 8-bit Lanczos, and ``K`` keeps half pixels in mind. And a sample is taken
where the pixel is: with ``align_corners=True`` throughout, as the released code did on the torch of its time
(:mod:`mdepth.geometry` tells what today's default would do to it).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mdepth.geometry import (
    backproject,
    project,
    sample,
    scale_intrinsics,
    scale_translation,
    sigmoid_to_inverse_depth,
    transform_points,
)
from mdepth.image import Moments, box_window, forward_differences, moments, resize, ssim_dissimilarity
from mdepth.shapes import Depth, Float, Image, Int, Intrinsics, Tensor

__all__ = [
    "Reprojection", "edge_aware_smoothness", "image_pyramid", "least_error", "photometric_error",
    "reprojection_loss", "still_errors", "warped_errors", "window_moments",
]  # fmt: skip

MASK_WEIGHT = 0.2
"""Of the term that keeps predictive masks from becoming 0 (Zhou et al. 2017)."""
EPSILON = 1e-7
Sources = Float[Tensor, "B N 3 H W"]
Motions = Float[Tensor, "B N 4 4"]


@dataclass(frozen=True)
class Reprojection:
    """Which loss it is; the defaults are Monodepth2's.

    Its baseline, "the model without our contributions", has ``minimum``, ``automask`` and ``full_resolution``
    off.
    """

    alpha: float = 0.85
    """Share of structural dissimilarity in the photometric error; 0 leaves absolute differences alone."""
    smoothness: float = 1e-3
    """Weight of the smoothness term at full size; half of it at half size, and so on."""
    minimum: bool = True
    """Per pixel the best source counts, or the mean of all."""
    automask: bool = True
    """Unmoved sources compete."""
    full_resolution: bool = True
    """All scales are judged at the size of the image, or each at its own."""
    noise: float = 1e-5
    """Standard deviation of what is added to the errors of unmoved sources, which decides ties."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1 or self.smoothness < 0 or self.noise < 0:
            raise ValueError("alpha must lie in [0, 1], smoothness and noise must not be negative")


def photometric_error(
    first: Image, second: Image, alpha: float = 0.85, *, known: Moments | None = None
) -> Depth:
    r"""How unlike two images are at every pixel: alpha (1 - SSIM) / 2 + (1 - alpha) |difference|, in [0, 1].

    Both parts are means over the colour channels; SSIM has windows of 3 x 3. Images in [0, 1]. Of a second
    image that is compared with many, ``known`` are the :func:`window_moments`. Monodepth2, eq. 2.

    Example:
        >>> photometric_error(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).mean().round(decimals=3)
        tensor(0.5750)
    """
    error = (1 - alpha) * (first - second).abs().mean(dim=1, keepdim=True)
    if alpha == 0:
        return error
    unlike = ssim_dissimilarity(first, second if known is None else known)
    return error + alpha * unlike.mean(dim=1, keepdim=True)


def window_moments(image: Image) -> Moments:
    """Means and variances over the windows of :func:`photometric_error`.

    Example:
        >>> image = torch.rand(1, 3, 4, 4)
        >>> photometric_error(image, image, known=window_moments(image)).max().item() < 1e-5
        True
    """
    return moments(image, window=box_window(3), padding="reflect")


def edge_aware_smoothness(values: Depth, image: Image) -> Float[Tensor, ""]:
    r"""mean(|du n| exp(-|du I|)) + mean(|dv n| exp(-|dv I|)), n being the values over their mean in an image.

    A step costs less where the image has an edge. Without the mean, a map could become smooth by becoming
    small. |d I| is the mean over the colour channels; forward differences. Of the sigmoid in Monodepth2, not
    of the inverse depth that it stands for. Monodepth2, eq. 3.

    Example:
        >>> step = torch.tensor([[[[1.0, 3.0]] * 2]])
        >>> edge_aware_smoothness(step, torch.zeros(1, 3, 2, 2)).item()
        1.0
    """
    mean = values.mean(dim=(2, 3), keepdim=True)
    total = values.new_zeros(())
    steps = zip(forward_differences(values / (mean + EPSILON)), forward_differences(image), strict=True)
    for step, contrast in steps:
        total = total + (step.abs() * (-contrast.abs().mean(dim=1, keepdim=True)).exp()).mean()
    return total


def image_pyramid(image: Image, count: int) -> list[Tensor]:
    """The image at the sides times 1, 1/2, 1/4, ...: each the means over 2 x 2 pixels of the one before.

    Sides that are odd are rounded up, as the networks do; windows overlap then.

    Example:
        >>> [tuple(each.shape[2:]) for each in image_pyramid(torch.zeros(1, 3, 64, 96), 3)]
        [(64, 96), (32, 48), (16, 24)]
    """
    pyramid = [image]
    for _ in range(count - 1):
        height, width = pyramid[-1].shape[-2:]
        pyramid.append(resize(pyramid[-1], (-(-height // 2), -(-width // 2)), mode="area"))
    return pyramid


def warped_errors(
    depth: Depth,
    target: Image,
    sources: Sources,
    K: Intrinsics,
    T_source_target: Motions,
    alpha: float = 0.85,
    *,
    known: Moments | None = None,
) -> Float[Tensor, "B N H W"]:
    """The photometric error of every source, once it is warped into the target's view.

    ``depth`` and the translations of ``T_source_target`` have the same unit; ``K`` is that of target and
    sources. What falls outside a source takes the colour of its border. Monodepth2, eq. 1.

    Example:
        >>> image, depth, K = torch.rand(1, 3, 4, 5), torch.ones(1, 1, 4, 5), torch.eye(3)[None]
        >>> warped_errors(depth, image, image[:, None], K, torch.eye(4)[None, None]).max().item() < 1e-4
        True
    """
    errors, points = [], backproject(depth, K)
    for source, T in zip(sources.unbind(dim=1), T_source_target.unbind(dim=1), strict=True):
        pixels, _ = project(transform_points(T, points), K)
        view = sample(source, pixels, padding="border", align_corners=True)
        errors.append(photometric_error(view, target, alpha, known=known))
    return torch.cat(errors, dim=1)


def still_errors(
    target: Image, sources: Sources, alpha: float = 0.85, *, known: Moments | None = None
) -> Float[Tensor, "B N H W"]:
    """The photometric error of every source as it is, as if neither camera nor world had moved.

    Example:
        >>> image = torch.rand(1, 3, 4, 5)
        >>> still_errors(image, image[:, None]).abs().max().item() < 1e-4
        True
    """
    errors = [photometric_error(source, target, alpha, known=known) for source in sources.unbind(dim=1)]
    return torch.cat(errors, dim=1)


def least_error(
    warped: Float[Tensor, "B N H W"],
    still: Float[Tensor, "B M H W"] | None = None,
    *,
    minimum: bool = True,
    noise: float = 0.0,
) -> tuple[Depth, Int[Tensor, "B 1 H W"]]:
    """What counts at every pixel, and which candidate that is: the warped sources first, then the unmoved.

    ``minimum``: each source is a candidate, or the mean over the warped is one and the mean over the unmoved
    another. A pixel that an unmoved source wins keeps its error, without a gradient; so losses with and
    without ``still`` do not compare. Monodepth2, eq. 4 and 5.

    Example:
        >>> warped, still = torch.tensor([[0.3, 0.1], [0.2, 0.4]]).view(2, 1, 2, 1, 1)
        >>> [least_error(warped, still, minimum=which)[1].item() for which in (True, False)]
        [1, 0]
    """
    groups = [warped] if still is None else [warped, still + noise * torch.randn_like(still)]
    if not minimum:
        groups = [errors.mean(dim=1, keepdim=True) for errors in groups]
    least, winner = torch.cat(groups, dim=1).min(dim=1, keepdim=True)
    return least, winner


def reprojection_loss(
    sigmoids: Sequence[Tensor],
    pyramid: Sequence[Tensor],
    sources: Sources,
    K: Intrinsics,
    T_source_target: Motions,
    how: Reprojection = Reprojection(),
    *,
    units: tuple[float, float] = (0.1, 100.0),
    masks: Sequence[Tensor] = (),
    scaled_by_depth: int = 0,
) -> Float[Tensor, ""]:
    r"""Monodepth2's loss: the mean over scales s of mean(least photometric error) + w / 2^s smoothness.

    Args:
        sigmoids: what the network answers, the largest map first.
        pyramid: the target image at the sizes of the answers (:func:`image_pyramid`).
        sources: the views that are to explain it, at its full size.
        K: of target and sources.
        T_source_target: from the target camera to each source's, in the units of the depth.
        how: which loss.
        units: the nearest and the farthest depth, which sigmoids of 1 and 0 stand for.
        masks: of Zhou et al., one channel a source, at the sizes of the answers: each multiplies the error of
            its source, and 0.2 times the mean of -log(mask) is added. They take the place of ``automask``.
        scaled_by_depth: how many of the first sources have translations that are to be multiplied by the mean
            inverse depth of the answer (``PoseCNN``).

    Raises:
        ValueError: masks and automask together.

    Source: Monodepth2, section 3.3 and eq. 6.

    Example:
        >>> image, still = torch.rand(1, 3, 8, 12), torch.eye(4)[None, None]
        >>> K = torch.tensor([[[7.0, 0.0, 5.5], [0.0, 7.0, 3.5], [0.0, 0.0, 1.0]]])
        >>> sigmoid = torch.full((1, 1, 8, 12), 0.5)
        >>> reprojection_loss([sigmoid], [image], image[:, None], K, still).item() < 1e-4
        True
    """
    if masks and how.automask:
        raise ValueError("masks take the place of automask: switch it off in how")
    target, size = pyramid[0], (pyramid[0].shape[-2], pyramid[0].shape[-1])
    known = window_moments(target)
    still = still_errors(target, sources, how.alpha, known=known) if how.automask else None
    total = target.new_zeros(())
    for scale, sigmoid in enumerate(sigmoids):
        small = (sigmoid.shape[-2], sigmoid.shape[-1])
        if not how.full_resolution and small != size:
            size, target, known = small, pyramid[scale], window_moments(pyramid[scale])
            sources, K = _shrunk(sources, K, size)
            still = still_errors(target, sources, how.alpha, known=known) if how.automask else None
        inverse_depth = sigmoid_to_inverse_depth(resize(sigmoid, size), *units)
        T = _scaled(T_source_target, inverse_depth, scaled_by_depth)
        errors = warped_errors(1 / inverse_depth, target, sources, K, T, how.alpha, known=known)
        if masks:
            errors = errors * resize(masks[scale], size)
            total = total - MASK_WEIGHT * masks[scale].clamp(min=EPSILON).log().mean()
        least, _ = least_error(errors, still, minimum=how.minimum, noise=how.noise)
        smooth = edge_aware_smoothness(sigmoid, pyramid[scale])
        total = total + least.mean() + how.smoothness / 2**scale * smooth
    return total / len(sigmoids)


def _shrunk(
    sources: Sources, K: Intrinsics, size: tuple[int, int]
) -> tuple[Float[Tensor, "B N 3 h w"], Intrinsics]:
    """Source views and their camera at another size."""
    count, old = sources.shape[1], (sources.shape[-2], sources.shape[-1])
    small = resize(sources.flatten(0, 1), size, mode="area")
    return small.unflatten(0, (-1, count)), scale_intrinsics(K, old, size)


def _scaled(T: Motions, inverse_depth: Depth, count: int) -> Motions:
    """The motions to the first ``count`` sources in units of the mean depth."""
    if count == 0:
        return T
    mean = inverse_depth.mean(dim=(1, 2, 3))[:, None]
    return torch.cat([scale_translation(T[:, :count], mean), T[:, count:]], dim=1)
