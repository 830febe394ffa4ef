"""The data of Hu et al. 2019: training and test set, synthetic and real, and the batches of both trainings.

N sees an image with the depth under the pixels of its map, G an image alone: its target is what N says.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import torch

from mdepth import weights
from mdepth.datasets import check
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation, augment, resize
from mdepth.datasets.worlds import World, load
from mdepth.models import DepthNetwork
from mdepth.recipes.hu_settings import Either, MaskSettings, Settings
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
    take,
)
from mdepth.shapes import Tensor

__all__ = ["Batches", "Views", "datasets", "describe", "fingerprint", "real_sets", "repainted", "worlds"]

SPLITS = {
    "redkitchen": SPLIT_IN_TIME,
    "nyu": "sync frames of the official training scenes, evenly spread; 654 labelled test images",
}


def describe(settings: Either) -> dict[str, Any]:
    """What decides the data, without touching them; of a mask also which weights it looks into, where they
    come with the package.
    """
    if settings.data in ("rooms", "roads"):
        train, test = worlds(settings)
        about: dict[str, Any] = {"train": train.describe(), "test": test.describe()}
    else:
        about = {"set": settings.data, "split": SPLITS[settings.data]}
    if isinstance(settings, MaskSettings) and settings.trained is None:
        file = weights.pretrained(settings.network)
        about["network"] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return about


def worlds(settings: Either) -> tuple[World, World]:
    """The synthetic training and test set, at the network's image size. Where masks are tested, normals say
    what is an edge of geometry.
    """
    height, width = image_size(settings.network)
    train, test = (
        World(settings.data, split, scenes=count, height=height, width=width, normals=normals)
        for split, count, normals in (
            ("train", settings.train_size, False),
            ("test", settings.test_size, isinstance(settings, MaskSettings)),
        )
    )
    return train, test


def datasets(settings: Either, *, progress: bool = False) -> tuple[Any, Any]:
    """Training and test set; the real ones from the folder that ``MDEPTH_DATA`` names."""
    if settings.data in ("rooms", "roads"):
        train, test = (load(world, progress=progress) for world in worlds(settings))
        return train, test
    if settings.data == "redkitchen":
        return split_in_time(real_sets(settings)[0], image_size(settings.network))
    known, unknown = real_sets(settings)
    return EvenlySpread(known, settings.images), unknown


def repainted(test: Any) -> Any:
    """The synthetic test set with other surfaces on everything: image by image the same depth."""
    return load(replace(test.world, looks="any", normals=False), progress=False)


def real_sets(settings: Either) -> tuple[DepthDataset, DepthDataset]:
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


def fingerprint(settings: Either) -> str:
    """sha256 over the real files that a run would be trained and tested on now."""
    return fingerprint_of(real_sets(settings))


@dataclass(frozen=True)
class Batches:
    """``batch_at`` of N's training: random images, augmented and normalised, with depth in metres under the
    pixels of the network's map.
    """

    dataset: Any
    network: DepthNetwork
    settings: Settings
    size: tuple[int, int]
    """Of the network's map, in pixels."""

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.settings.batch,), generator=generator)
        change = augmentation(self.settings, self.network)
        return metric_batch(self.dataset, indices.tolist(), self.network, change, self.size, generator)


@dataclass(frozen=True)
class Views:
    """``batch_at`` of G's training: random images as N sees them, in colours from 0 to 1, augmented."""

    dataset: Any
    network: DepthNetwork
    settings: MaskSettings

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.settings.batch,), generator=generator)
        found = take(self.dataset, indices.tolist())
        batch = {key: found[key] for key in ("image", "depth", "valid", "K")}
        if batch["image"].shape[-2:] != self.network.image_size:
            batch = resize(batch, *self.network.image_size)
        return {"image": augment(batch, augmentation(self.settings, self.network), generator)["image"]}


def augmentation(settings: Either, network: DepthNetwork) -> Augmentation:
    """Turned, mirrored, recoloured, in one object."""
    s = settings
    low, high = 1 - s.jitter, 1 + s.jitter
    jitter = tuple((name, low, high) for name in ("brightness", "contrast", "saturation")) if s.jitter else ()
    return Augmentation(
        size=network.input_size, roll=s.roll, flip=s.flip, gain=s.gain, jitter=jitter, lighting=s.lighting
    )
