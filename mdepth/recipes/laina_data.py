"""The data of Laina et al. 2016: training and test set, synthetic and real, and batches made of them."""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch

from mdepth.datasets import check
from mdepth.datasets.make3d import LainaMake3D, Make3D, home
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation, augment, resize
from mdepth.datasets.worlds import World, load
from mdepth.image import resize as shrink
from mdepth.models import DepthNetwork, build
from mdepth.recipes.laina_settings import Memory, Settings
from mdepth.recipes.parts import SPLIT_IN_TIME, Chosen, data_root, nyu_sets, red_kitchen, split_in_time, take
from mdepth.shapes import Depth, Tensor, Valid

__all__ = [
    "Batches", "EvenlySpread", "datasets", "describe", "fingerprint", "map_size",
    "mean_depth", "real_sets", "targets", "worlds",
]  # fmt: skip


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
    with torch.device("meta"):  # no weights, only to ask for the size
        height, width = build(settings.network).image_size
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


class EvenlySpread(Chosen):
    """Of n items ``count``, as evenly spread as can be: number ``floor(k n / count)`` for k = 0, 1, ...; all
    of them where there are not more.

    Args:
        dataset: any.
        count: how many, at most.

    Example:
        >>> from types import SimpleNamespace
        >>> class Ten(list):
        ...     name = "ten"
        >>> EvenlySpread(Ten(range(10)), 4).indices
        [0, 2, 5, 7]
    """

    def __init__(self, dataset: Any, count: int) -> None:
        count = min(count, len(dataset))
        super().__init__(dataset, [k * len(dataset) // count for k in range(count)])


def fingerprint(settings: Settings) -> str:
    """sha256 over the real files that a run would be trained and tested on now."""
    both = " ".join(part.fingerprint() for part in real_sets(settings))
    return hashlib.sha256(both.encode()).hexdigest()


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
        batch = take(self.dataset, indices.tolist())
        batch = {key: batch[key] for key in ("image", "depth", "valid", "K")}
        if batch["image"].shape[-2:] != self.network.image_size:
            batch = resize(batch, *self.network.image_size)
        batch = augment(batch, self.augmentation(), generator)
        depth, valid = targets(batch["depth"], batch["valid"], self.size)
        if self.settings.farthest:
            valid = valid & (depth < self.settings.farthest)
        return {"image": self.network.normalise(batch["image"]), "depth": depth, "valid": valid}

    def augmentation(self) -> Augmentation:
        """As Eigen et al. 2014, in one object."""
        s = self.settings
        return Augmentation(size=self.network.input_size, scale=s.zoom, roll=s.roll, flip=s.flip, gain=s.gain)


def map_size(name: str) -> tuple[int, int]:
    """Rows and columns of the map that a network draws, without computing one.

    Example:
        >>> map_size("laina-resnet50-upproj")
        (128, 160)
    """
    with torch.device("meta"):
        network = build(name)
        rows, columns = network(torch.zeros(1, 3, *network.input_size)).shape[-2:]
    return rows, columns


def targets(depth: Depth, valid: Valid, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Depth and mask at the size of the network's map, which stands for the whole image: every pixel of the
    map takes the pixel under its centre. Depth is not averaged: the mean of two sides of an edge is a surface
    that is not there.
    """
    small, known = (shrink(values.float(), size, mode="nearest") for values in (depth, valid))
    return small, known > 0


def mean_depth(dataset: Any, count: int = 200) -> float:
    """Mean depth in metres of ``count`` images, evenly spread: where the output starts."""
    batch = take(dataset, EvenlySpread(dataset, count).indices)
    return float(batch["depth"][batch["valid"]].mean())
