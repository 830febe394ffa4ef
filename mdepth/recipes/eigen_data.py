"""The data of Eigen et al. 2014: training and test sets, synthetic and real, and batches made of them."""

from dataclasses import dataclass
from typing import Any

import torch

from mdepth.datasets import check, kitti
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation, augment, resize
from mdepth.datasets.worlds import World, load
from mdepth.models import DepthNetwork
from mdepth.recipes.eigen_settings import Multiscale, Settings
from mdepth.recipes.parts import (
    SPLIT_IN_TIME,
    Chosen,
    data_root,
    fingerprint_of,
    image_size,
    nyu_sets,
    red_kitchen,
    split_file,
    split_in_time,
    take,
)
from mdepth.shapes import Float, Tensor

__all__ = [
    "Balanced", "Batches", "datasets", "describe", "fingerprint", "mean_log_depth", "real_sets", "targets",
]  # fmt: skip


def describe(settings: Settings) -> dict[str, Any]:
    """What decides the data, without touching them."""
    if settings.data in ("rooms", "roads"):
        return {split: _world(settings, split).describe() for split in ("train", "test")}
    return {"set": settings.data, "split": SPLITS[settings.data]}


PER_SCENE = {"nyu": 1200, "kitti": 800}
"""Text on the data: entries of a scene in the list that is trained on. The lists' lengths, 220,000 and
40,000, are not these times 249 and 28 scenes: how exactly they were made is not known.
"""
SPLITS = {
    "redkitchen": SPLIT_IN_TIME,
    "nyu": f"sync frames of the official training scenes, {PER_SCENE['nyu']} a scene; 654 labelled test "
    "images",
    "kitti": f"Eigen's training drives, both cameras, no standing frames, {PER_SCENE['kitti']} a drive, of "
    "LiDAR points in a pixel the one closest in time; 697 test frames",
}


def _world(settings: Settings, split: str) -> World:
    """The synthetic set of a split at the network's image size."""
    height, width = image_size(settings.network)
    count = settings.train_size if split == "train" else settings.test_size
    normals = isinstance(settings, Multiscale)
    return World(settings.data, split, scenes=count, height=height, width=width, normals=normals)


def datasets(settings: Settings, size: tuple[int, int], *, progress: bool = False) -> tuple[Any, Any]:
    """Training and test set; the real ones from the folder that ``MDEPTH_DATA`` names."""
    if settings.data in ("rooms", "roads"):
        train, test = (load(_world(settings, split), progress=progress) for split in ("train", "test"))
        return train, test
    if settings.data == "redkitchen":
        return split_in_time(real_sets(settings)[0], size)
    unequal, whole = real_sets(settings)
    return Balanced(unequal, PER_SCENE[settings.data]), whole


def real_sets(settings: Settings) -> tuple[DepthDataset, DepthDataset]:
    """Training and test set as they lie in the folder that ``MDEPTH_DATA`` names; of one video both are the
    whole.

    Raises:
        DataError: a part is not there; says where to get it.
    """
    root = data_root()
    inventory = check.find(root)
    if settings.data == "redkitchen":
        video = red_kitchen(inventory)
        return video, video
    return nyu_sets(inventory) if settings.data == "nyu" else kitti_sets(settings, inventory)


def kitti_sets(settings: Settings, inventory: check.Inventory) -> tuple[DepthDataset, DepthDataset]:
    """Text on KITTI: frames of both cameras, as if they had nothing to do with each other, in which the car
    does not stand; of LiDAR points in one pixel the one closest in time. The paper's own list of training
    frames is not published: this is the one that others use with its test frames. What was not downloaded is
    left out and counted.
    """
    raw = inventory.path("kitti/raw")
    train, test = (
        kitti.read_split(split_file(inventory, name))
        for name in ("eigen_full/train_files.txt", "eigen/test_files.txt")
    )
    size = image_size(settings.network)
    correct: dict[str, Any] = {"mode": "corrected", "conflicts": "closest-in-time", "size": size}
    return (
        kitti.Raw(raw, kitti.moving(raw, train), missing="skip", **correct),
        kitti.Raw(raw, test, missing="skip"),
    )


class Balanced(Chosen):
    """A data set's items as a list in which every scene stands equally often, as in the paper: those of a
    short scene come again and again, of a long one some are passed over, evenly spread.

    Of the n items of a scene, entry k of its ``per_scene`` = m entries is number ``floor(k n / m)``. The list
    goes round the scenes, so that its beginning already holds them all.

    Args:
        dataset: any with ``scene_names``, the scene of every item.
        per_scene: entries of a scene.

    Example:
        >>> from types import SimpleNamespace
        >>> three_and_one = SimpleNamespace(name="some", scene_names=["a", "a", "a", "b"])
        >>> Balanced(three_and_one, per_scene=2).indices
        [0, 3, 1, 3]
    """

    def __init__(self, dataset: Any, per_scene: int) -> None:
        scenes: dict[str, list[int]] = {}
        for index, scene in enumerate(dataset.scene_names):
            scenes.setdefault(scene, []).append(index)
        self.per_scene, self.scenes = per_scene, len(scenes)
        super().__init__(
            dataset,
            [items[k * len(items) // per_scene] for k in range(per_scene) for items in scenes.values()],
        )

    def describe(self) -> dict[str, Any]:
        """The data set, and how often every scene stands in the list."""
        return {**super().describe(), "per_scene": self.per_scene}


def fingerprint(settings: Settings) -> str:
    """sha256 over the real files that a run would be trained and tested on now."""
    return fingerprint_of(real_sets(settings))


@dataclass(frozen=True)
class Batches:
    """``batch_at`` of a run: random images, augmented, with log depth where the network predicts it."""

    dataset: Any
    network: DepthNetwork
    settings: Settings

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.settings.batch,), generator=generator)
        batch = take(self.dataset, indices.tolist())
        batch = {key: batch[key] for key in ("image", "depth", "valid", "K")}
        if batch["image"].shape[-2:] != self.network.image_size:
            batch = resize(batch, *self.network.image_size)
        if self.settings.drop_extremes:
            batch["valid"] = batch["valid"] & inside(batch["depth"])
        batch = augment(batch, self.augmentation(), generator)
        log_depth, valid = targets(self.network, batch["depth"], batch["valid"])
        return {"image": self.network.normalise(batch["image"]), "log_depth": log_depth, "valid": valid}

    def augmentation(self) -> Augmentation:
        """Text on augmentation, in one object."""
        s = self.settings
        return Augmentation(size=self.network.input_size, scale=s.zoom, roll=s.roll, flip=s.flip, gain=s.gain)


def inside(depth: Float[Tensor, "B 1 H W"]) -> Tensor:
    """Neither the smallest nor the largest depth of its image: what the filling of holes has spread. A hole
    that is still there (0) is no depth.
    """
    low = torch.where(depth > 0, depth, torch.inf).amin((1, 2, 3), keepdim=True)
    high = depth.amax((1, 2, 3), keepdim=True)
    return (depth > low) & (depth < high)


def targets(network: DepthNetwork, depth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Log depth and mask at the network's resolution: every fourth pixel, from the second on (released).

    Depth is not averaged: the mean of two sides of an edge is a surface that is not there.
    """
    top, bottom, left, right = network.covered
    depth, valid = (values[..., top:bottom, left:right][..., 1::4, 1::4] for values in (depth, valid))
    return torch.where(valid, depth, 1.0).log(), valid


def mean_log_depth(dataset: Any, count: int = 200) -> float:
    """Mean log depth of the first ``count`` images: where the output's bias starts (released)."""
    batch = take(dataset, range(min(count, len(dataset))))
    return float(batch["depth"][batch["valid"]].log().mean())
