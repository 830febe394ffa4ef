"""The data of the Monodepth2 recipe: synthetic roads, pieces of KITTI, the whole of it; and batches made of
them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mdepth.datasets import check, kitti
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.sequences import SequenceAugmentation, WithNeighbours, augment_sequences
from mdepth.datasets.transforms import resize
from mdepth.datasets.worlds import World, load
from mdepth.models.monodepth2 import Monodepth2
from mdepth.recipes.monodepth2_settings import Settings
from mdepth.recipes.parts import Chosen, InMemory, data_root, fingerprint_of, image_size, split_file, take
from mdepth.shapes import Bool, DataError, Tensor

__all__ = [
    "OFFSETS",
    "Batches",
    "Sets",
    "datasets",
    "describe",
    "drives",
    "fingerprint",
    "real_sets",
    "worlds",
]

OFFSETS = (-1, 1)
"""Of the neighbours, in frames; code."""
DRIVEN = 10
"""Frames of a sequence on which the path is measured."""
MEASURED = 0.05
"""Share of the pixels that a laser measures: KITTI's, at its own size."""


@dataclass(frozen=True)
class Sets:
    """What a run trains on, with neighbours; what it is tested on: images with depth, or the rest of a video;
    and images with depth whose means are the baselines, none for a video.
    """

    train: Any
    test: Any
    known: Any


def describe(settings: Settings) -> dict[str, Any]:
    """What decides the data, without touching them."""
    if settings.data == "roads":
        train, test = worlds(settings)
        return {"train": train.describe(), "test": test.describe(), "offsets": list(OFFSETS)}
    return {"set": settings.data, "offsets": list(OFFSETS)}


def worlds(settings: Settings) -> tuple[World, World]:
    """Streets of three frames with a right eye; networks of every size learn from the same."""
    train = World("roads", "train", scenes=settings.scenes, frames=3, stereo=True)
    return train, World("roads", "test", scenes=settings.test_size, frames=3, stereo=True)


def drives(settings: Settings) -> World:
    """Longer sequences, on which the path is measured: one for every eight test streets."""
    return World("roads", "test", scenes=max(1, settings.test_size // 8), frames=DRIVEN, seed=1)


def datasets(settings: Settings, *, progress: bool = False) -> Sets:
    """The sets of a run; the real ones from the folder that ``MDEPTH_DATA`` names."""
    if settings.data == "roads":
        streets, unseen = (load(world, progress=progress) for world in worlds(settings))
        middle = range(1, len(unseen), unseen.world.frames)  # the frames that have neighbours
        train = WithNeighbours(streets, OFFSETS)
        return Sets(train, Chosen(unseen, middle), train)
    video, *rest = real_sets(settings)
    train, size = WithNeighbours(video, OFFSETS), image_size(settings.network)
    if settings.data == "kitti":
        return Sets(train, *rest)
    if settings.data == "odometry06":  # the first part of the video, and the end of it
        learnt, last = round(0.6 * len(train)), round(0.6 * len(train)) + 2
        return Sets(
            InMemory(train, range(learnt), size), InMemory(video, range(last, len(video)), size), None
        )
    return Sets(InMemory(train, range(len(train)), size), *rest)


DRIVE = "2011_09_26_drive_0002_sync"
"""Four of Eigen's test frames are in it."""


def real_sets(settings: Settings) -> tuple[DepthDataset, ...]:
    """The video that is learnt from, the images with depth that it is tested on, and those of the training
    set whose means are the baselines, as they lie in the folder that ``MDEPTH_DATA`` names; of an odometry
    sequence the video alone. What was not downloaded is left out and counted.

    Raises:
        DataError: a part is not there; says where to get it.
    """
    inventory = check.find(data_root())
    if settings.data == "odometry06":
        return (kitti.Odometry(_sequence(inventory)),)
    raw = inventory.path("kitti/raw")
    listed = kitti.read_split(split_file(inventory, "eigen/test_files.txt"))
    if settings.data == "drive":
        video, measured = (
            [each for each in kitti.Raw(raw, depth=depth).frames if each.drive == DRIVE]
            for depth in (None, "velodyne")
        )
        of_eigen = {(each.drive, each.frame) for each in listed}
        parts = [
            [each for each in measured if ((each.drive, each.frame) in of_eigen) == among]
            for among in (True, False)
        ]
        return kitti.Raw(raw, video, depth=None, stereo=True), *(
            kitti.Raw(raw, part, vel_depth=True) for part in parts
        )
    train, size = (
        kitti.read_split(split_file(inventory, "eigen_zhou/train_files.txt")),
        image_size(settings.network),
    )
    return (
        kitti.Raw(raw, train, depth=None, stereo=True, size=size, missing="skip"),
        kitti.Raw(raw, listed, vel_depth=True, missing="skip"),
        kitti.Raw(raw, train, missing="skip"),
    )


def _sequence(inventory: check.Inventory) -> Path:
    """The folder of odometry sequence 06."""
    found = [place for place in inventory.paths("kitti/odometry") if "06" in place.name]
    if not found:
        raise DataError(f"{inventory.root}: holds no odometry sequence 06; data/README.md says where it is")
    return found[0]


def fingerprint(settings: Settings) -> str:
    """sha256 over the real files that a run would be trained and tested on now."""
    return fingerprint_of(real_sets(settings))


@dataclass(frozen=True)
class Batches:
    """``batch_at`` of a run: random items at the network's size, some mirrored, with the copies in other
    colours that the networks see.
    """

    dataset: Any
    network: Monodepth2
    settings: Settings

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        s = self.settings
        indices = torch.randint(len(self.dataset), (s.batch,), generator=generator)
        batch = take(self.dataset, indices.tolist())
        kept = ("image", "neighbours", "image_right", "T_right_left", "K", "depth", "valid")
        batch = {key: batch[key] for key in kept if key in batch}
        if s.teacher == "lidar":
            batch["valid"] = batch["valid"] & lasers(indices, batch["valid"])
        if batch["image"].shape[-2:] != self.network.image_size:
            batch = resize(batch, *self.network.image_size)
        batch = augment_sequences(batch, SequenceAugmentation(flip=s.flip, jitter=s.jitter), generator)
        return batch | {"automask": torch.full((s.batch,), step >= s.automask_from)}


def lasers(indices: Tensor, valid: Bool[Tensor, "B 1 H W"]) -> Bool[Tensor, "B 1 H W"]:
    """Where a laser on the roof would measure: at a twentieth of the pixels, none in the upper third of the
    image, and at the same ones whenever an item comes again.
    """
    masks = []
    for index in indices.tolist():
        chance = torch.rand(valid.shape[1:], generator=torch.Generator().manual_seed(index))
        masks.append(chance < 1.5 * MEASURED)
    hit = torch.stack(masks)
    hit[..., : valid.shape[-2] // 3, :] = False
    return hit
