"""Predictions that never look at the image. A network that does not beat them has learnt nothing from it."""

import typing
from typing import Any

import torch

from mdepth.image import resize
from mdepth.shapes import Depth, Float, Image, Tensor

__all__ = ["DepthMap", "mean_depth_baseline", "mean_map_baseline"]


@typing.runtime_checkable
class Samples(typing.Protocol):
    """A data set: a length, and items that are dictionaries with image, depth, valid and id."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class DepthMap:
    """The same depth map for every image, resized (bilinear, half-pixel rule) to the image's size.

    It fills the frame it is given: under a protocol that shows only a part of the image, it is squeezed into
    that part.

    Example:
        >>> DepthMap(torch.full((1, 1, 1, 1), 2.5))(torch.zeros(2, 3, 4, 5)).shape
        torch.Size([2, 1, 4, 5])
    """

    def __init__(self, depth: Float[Tensor, "1 1 h w"]):
        self.depth = depth

    def __call__(self, image: Image) -> Depth:
        depth = resize(self.depth.to(image), (image.shape[-2], image.shape[-1]))
        return depth.expand(len(image), -1, -1, -1)


def _log_depths(
    dataset: Samples, limit: int | None, size: tuple[int, int] | None
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """For every pixel, the sum of the log depths over the data set and how many there were, in float64."""
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise ValueError("the mean of a data set without samples is undefined")
    total, seen = torch.zeros(()), torch.zeros(())
    for i in range(count):
        index = i * len(dataset) // count  # evenly spread: neighbours show the same scene
        sample = dataset[index]
        depth = torch.where(sample["valid"], sample["depth"], 0.0)[None]
        size = size or (depth.shape[-2], depth.shape[-1])
        depth = resize(depth, size, mode="nearest")[0, 0]
        known = depth > 0
        total = total + torch.where(known, depth, 1.0).double().log()
        seen = seen + known.double()
    if seen.sum() == 0:
        raise ValueError(f"none of {count} samples has a valid depth; the mean is undefined")
    return total, seen


def mean_depth_baseline(dataset: Samples, *, limit: int | None = None) -> DepthMap:
    """The constant exp(mean of log depth) over all valid pixels of a training set, the best constant for
    errors in the log.

    ``limit``: use that many samples, evenly spread over the data set. Maps of another size than the first
    sample's are resized, nearest.

    Raises:
        ValueError: the data set is empty or has no valid depth.

    Example:
        >>> depth = torch.tensor([[[1.0, 4.0]]])
        >>> mean_depth_baseline([{"depth": depth, "valid": depth > 0}]).depth.item()
        2.0
    """
    total, seen = _log_depths(dataset, limit, None)
    return DepthMap((total.sum() / seen.sum()).exp().float().reshape(1, 1, 1, 1))


def mean_map_baseline(
    dataset: Samples, *, limit: int | None = None, size: tuple[int, int] | None = None
) -> DepthMap:
    """Every pixel's exp(mean of log depth) over a training set: knows where floor and ceiling are, and
    nothing of the image.

    Eigen et al. 2014 call it "mean" and put it first in their tables. Pixels that are never valid get the
    overall mean. Maps of another size than ``size`` (default: the first sample's) are resized, nearest.

    Raises:
        ValueError: the data set is empty or has no valid depth.

    Example:
        >>> depth = torch.tensor([[[1.0, 4.0]]])
        >>> mean_map_baseline([{"depth": depth, "valid": depth > 0}]).depth.flatten().tolist()
        [1.0, 4.0]
    """
    total, seen = _log_depths(dataset, limit, size)
    mean = torch.where(seen > 0, total / seen.clamp(min=1), total.sum() / seen.sum())
    return DepthMap(mean.exp().float()[None, None])
