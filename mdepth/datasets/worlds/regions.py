"""Where in a frame of a street the things happen that learning from video has to cope with.

The masks come from the truth of the world, at no pixel from its colours but for ``plain``: which points one
of the neighbouring frames does not see, what moves by itself, what is thin.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from mdepth.datasets.worlds.dataset import WorldDataset, scene
from mdepth.geometry import (
    ROUNDING,
    backproject,
    in_image,
    project,
    relative_transform,
    sample,
    transform_points,
)  # fmt: skip
from mdepth.shapes import Bool, Depth, Float, Int, Tensor

__all__ = ["REGIONS", "regions"]

REGIONS = ("hidden", "ahead", "moving", "plain", "thin")
"""The masks of :func:`regions`."""
THIN = ("lamp post", "sign", "bollard")
AHEAD = "car ahead"
BEHIND = 1.05
"""A point that lies this many times as far as what a neighbour sees in its place is hidden from it."""
PLAIN = 0.02
"""Largest difference of brightness to a neighbouring pixel, within 5 x 5 pixels, of a plain region."""


def regions(
    dataset: WorldDataset, indices: Sequence[int], offsets: Sequence[int] = (-1, 1)
) -> dict[str, Bool[Tensor, "B 1 H W"]]:
    r"""Masks of some frames, by name; frames need neighbours at all ``offsets``.

    * ``hidden``: what stands still and at least one neighbour does not see, since something stands before it
      or since it lies outside its image;
    * ``ahead``: the car that drives ahead at the camera's own speed, where the camera drives;
    * ``moving``: whatever else moves by itself: cars, people;
    * ``plain``: pixels around which (5 x 5) brightness changes by less than 2 % from one to the next;
    * ``thin``: lamp posts, signs and bollards.

    The first four may overlap ``thin`` and each other. Only pixels with a depth belong to a region.

    Raises:
        ValueError: a frame lacks a neighbour.

    Example:
        >>> from mdepth.datasets.worlds import World, load
        >>> street = load(World("roads", scenes=1, frames=3, height=16, width=48), cache=False)
        >>> sorted(regions(street, [1]))
        ['ahead', 'hidden', 'moving', 'plain', 'thin']
    """
    target = dataset.batch(indices)
    ahead, moving, thin = _kinds(dataset, indices, target["instances"])
    hidden = torch.zeros_like(target["valid"])
    for offset in offsets:
        found = [dataset.neighbour(index, offset) for index in indices]
        beside = [index for index in found if index is not None]
        if len(beside) < len(found):
            raise ValueError(
                f"{dataset.name}: a frame has no neighbour at offset {offset}; take middle frames"
            )
        hidden |= ~_seen_from(dataset.batch(beside), target)
    still = ~(ahead | moving)
    plain = _contrast(target["image"]) < PLAIN
    masks = {"hidden": hidden & still, "ahead": ahead, "moving": moving, "plain": plain, "thin": thin}
    return {name: mask & target["valid"] for name, mask in masks.items()}


def _kinds(
    dataset: WorldDataset, indices: Sequence[int], instances: Int[Tensor, "B 1 H W"]
) -> tuple[Tensor, Tensor, Tensor]:
    """The car ahead (where the camera drives), what else moves, and what is thin."""
    masks: list[list[Tensor]] = []
    for index, seen in zip(indices, instances, strict=True):
        view = scene(dataset.world, index // dataset.world.frames)
        driving = bool((view.T_world_camera[-1] - view.T_world_camera[0]).abs().max() > 0)
        moves = torch.zeros(len(view.labels), dtype=torch.bool)
        moves[view.solids.instance[view.solids.velocity.abs().sum(dim=1) > 0].long()] = True
        leads = torch.tensor([label == AHEAD for label in view.labels]) & driving
        thin = torch.tensor([label in THIN for label in view.labels])
        masks.append([leads[seen], (moves & ~leads)[seen], thin[seen]])
    ahead, moving, thin = (torch.stack(each) for each in zip(*masks, strict=True))
    return ahead, moving, thin


def _seen_from(source: dict[str, Any], target: dict[str, Any]) -> Bool[Tensor, "B 1 H W"]:
    """Which points of the target another frame sees, if they stand still."""
    T = relative_transform(source["T_world_camera"], target["T_world_camera"])
    points = transform_points(T, backproject(target["depth"], target["K"]))
    pixels, depth = project(points, source["K"])
    there = sample(_endless(source), pixels, mode="nearest", padding="border")
    inside = in_image(pixels, *source["depth"].shape[-2:], slack=ROUNDING)
    return inside & (depth < BEHIND * there)


def _endless(frame: dict[str, Any]) -> Depth:
    """The depth of a frame, very large where it is unknown."""
    return torch.where(frame["valid"], frame["depth"], 1e6)


def _contrast(image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 H W"]:
    """The largest difference of brightness between neighbouring pixels, within 5 x 5 pixels."""
    grey = functional.pad(image.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = (grey[..., 1:-1, 1:] - grey[..., 1:-1, :-1]).abs()
    down = (grey[..., 1:, 1:-1] - grey[..., :-1, 1:-1]).abs()
    steps = torch.maximum(
        torch.maximum(across[..., 1:], across[..., :-1]), torch.maximum(down[..., 1:, :], down[..., :-1, :])
    )
    return functional.max_pool2d(steps, 5, stride=1, padding=2)
