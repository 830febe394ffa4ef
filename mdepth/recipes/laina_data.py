"""The data of Laina et al. 2016: training and test set, synthetic and real, and batches made of them."""

from dataclasses import dataclass
from typing import Any

import torch

from mdepth.datasets import check
from mdepth.datasets.make3d import LainaMake3D, Make3D, home
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation
from mdepth.datasets.worlds import World, load
from mdepth.models import DepthNetwork
from mdepth.recipes.laina_settings import Memory, Settings
from mdepth.recipes.parts import (
    SPLIT_IN_TIME,
    EvenlySpread,
    data_root,
    fingerprint_of,
    image_size,
    metric_batch,
    nyu_sets,
    red_kitchen,
    split_in_time,
)
from mdepth.shapes import Tensor

__all__ = ["Batches", "datasets", "describe", "fingerprint", "real_sets", "worlds"]


def describe(settings: Settings) -> dict[str, Any]:
    """What decides the data, without touching them."""
    if settings.data in ("rooms", "roads"):
        return {
            part: world.describe() for part, world in zip(("train", "test"), worlds(settings), strict=True)
        }
    return {"set": settings.data, "split": SPLITS[settings.data]}


SPLITS = {
    "redkitchen": SPLIT_IN_TIME,
    "nyu": "sync frames of the official training scenes, evenly spread; 654 labelled test images",
    "make3d": "Train400Img and Test134, as the official folders have them",
}


def worlds(settings: Settings) -> tuple[World, World]:
    """The synthetic training and test set, at the network's image size."""
    height, width = image_size(settings.network)
    splits = ("train", "train" if isinstance(settings, Memory) else "test")
    train, test = (
        World(settings.data, split, scenes=count, height=height, width=width)
        for split, count in zip(splits, (settings.train_size, settings.test_size), strict=True)
    )
    return train, test


def datasets(settings: Settings, size: tuple[int, int], *, progress: bool = False) -> tuple[Any, Any]:
    """Training and test set; the real ones from the folder that ``MDEPTH_DATA`` names."""
    if settings.data in ("rooms", "roads"):
        train, test = (load(world, progress=progress) for world in worlds(settings))
        return train, test
    if settings.data == "redkitchen":
        return split_in_time(real_sets(settings)[0], size)
    known, unknown = real_sets(settings)
    return (EvenlySpread(known, settings.images) if settings.data == "nyu" else known), unknown


def real_sets(settings: Settings) -> tuple[DepthDataset, DepthDataset]:
    """Training and test set as they lie in the folder that ``MDEPTH_DATA`` names; of one video both are the
    whole.

    Raises:
        DataError: a part is not there; says where to get it.
    """
    inventory = check.find(data_root())
    if settings.data == "redkitchen":
        video = red_kitchen(inventory)
        return video, video
    if settings.data == "nyu":
        return nyu_sets(inventory)
    root = home(inventory.path("make3d/official"))
    return LainaMake3D(Make3D(root, split="train"), training=True), LainaMake3D(Make3D(root, split="test"))


def fingerprint(settings: Settings) -> str:
    """sha256 over the real files that a run would be trained and tested on now."""
    return fingerprint_of(real_sets(settings))


@dataclass(frozen=True)
class Batches:
    """``batch_at`` of a run: random images, augmented, with depth in metres where the network predicts it."""

    dataset: Any
    network: DepthNetwork
    settings: Settings
    size: tuple[int, int]
    """Of the network's map, in pixels."""

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.settings.batch,), generator=generator)
        batch = metric_batch(
            self.dataset, indices.tolist(), self.network, self.augmentation(), self.size, generator
        )
        if self.settings.farthest:
            batch["valid"] = batch["valid"] & (batch["depth"] < self.settings.farthest)
        return batch

    def augmentation(self) -> Augmentation:
        """As Eigen et al. 2014, in one object."""
        s = self.settings
        return Augmentation(size=self.network.input_size, scale=s.zoom, roll=s.roll, flip=s.flip, gain=s.gain)
