"""The data of the transfer recipe: synthetic rooms with few or many labels, split by scene or by frame, one
real kitchen, NYU; and batches made of them.
"""

from dataclasses import dataclass
from typing import Any

import torch

from mdepth.datasets import check
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation
from mdepth.datasets.worlds import World, load
from mdepth.models import DepthNetwork
from mdepth.recipes.parts import (
    SPLIT_IN_TIME,
    Chosen,
    EvenlySpread,
    data_root,
    fingerprint_of,
    image_size,
    metric_batch,
    nyu_sets,
    red_kitchen,
    split_in_time,
)
from mdepth.recipes.transfer_settings import Settings
from mdepth.shapes import Tensor

__all__ = ["Batches", "Sets", "datasets", "describe", "fingerprint", "real_sets", "worlds"]

SHARE = 0.7
"""Of scenes or frames, for training; slides."""
SPLITS = {
    "redkitchen": SPLIT_IN_TIME,
    "nyu": "sync frames of the official training scenes, evenly spread; 654 labelled test images",
}


@dataclass(frozen=True)
class Sets:
    """What a run trains on, is tested on, and is validated on where its data were split 70 to 30."""

    train: Any
    test: Any
    held_out: Any = None


def describe(settings: Settings) -> dict[str, Any]:
    """What decides the data, without touching them."""
    if settings.data == "rooms":
        train, test = worlds(settings)
        return {"train": train.describe(), "test": test.describe(), "split": settings.split}
    return {"set": settings.data, "split": SPLITS[settings.data]}


def worlds(settings: Settings) -> tuple[World, World]:
    """The synthetic training and test set, at the network's image size; the first images of a large training
    set are those of a small one.
    """
    height, width = image_size(settings.network)
    train = World(
        "rooms", "train", scenes=settings.labels, frames=settings.frames, height=height, width=width
    )
    return train, World("rooms", "test", scenes=settings.test_size, height=height, width=width)


def datasets(settings: Settings, *, progress: bool = False) -> Sets:
    """The sets of a run; the real ones from the folder that ``MDEPTH_DATA`` names."""
    if settings.data == "rooms":
        train, test = (load(world, progress=progress) for world in worlds(settings))
        if settings.split == "all":
            return Sets(train, test)
        known, kept = divided(len(train), settings)
        return Sets(Chosen(train, known), test, Chosen(train, kept))
    if settings.data == "redkitchen":
        size = image_size(settings.network)
        return Sets(*split_in_time(real_sets(settings)[0], size))
    known_scenes, unknown = real_sets(settings)
    return Sets(EvenlySpread(known_scenes, settings.labels), unknown)


def divided(count: int, settings: Settings) -> tuple[list[int], list[int]]:
    """Items for training and for validation: the first 70 % of the scenes, or every frame by itself, drawn
    without looking at its scene.

    Example:
        >>> ten = Settings("unet-rooms", "rooms", labels=10, frames=4, split="scene")
        >>> known, kept = divided(40, ten)
        >>> {index // 4 for index in known} & {index // 4 for index in kept}
        set()
    """
    if settings.split == "scene":
        border = int(SHARE * settings.labels) * settings.frames
        return list(range(border)), list(range(border, count))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    border = int(SHARE * count)
    return sorted(order[:border]), sorted(order[border:])


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
    return nyu_sets(inventory)


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
        return metric_batch(
            self.dataset, indices.tolist(), self.network, self.augmentation(), self.size, generator
        )

    def augmentation(self) -> Augmentation:
        """Zoom, mirror image, colour channels exchanged and scaled."""
        s = self.settings
        return Augmentation(size=self.network.input_size, scale=s.zoom, flip=s.flip, swap=s.swap, gain=s.gain)
