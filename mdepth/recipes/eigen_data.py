"""The data of Eigen et al. 2014: training and test sets, synthetic and real, and batches made of them."""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch

from mdepth.datasets import check, kitti, nyu, rgbd
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation, augment, resize
from mdepth.datasets.worlds import World, load
from mdepth.models import DepthNetwork, build
from mdepth.recipes.eigen_settings import Settings
from mdepth.recipes.parts import InMemory, data_root, take
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["Batches", "datasets", "describe", "fingerprint", "mean_log_depth", "real_sets", "targets"]


def describe(settings: Settings) -> dict[str, Any]:
    """What decides the data, without touching them."""
    if settings.data in ("rooms", "roads"):
        return {split: _world(settings, split).describe() for split in ("train", "test")}
    return {"set": settings.data, "split": SPLITS[settings.data]}


SPLITS = {
    "redkitchen": "one video: the first 60 % of the frames train, the next 10 % are left out, 30 % test",
    "nyu": "sync frames of the official training scenes; 654 labelled test images",
    "kitti": "Eigen's training drives, both cameras; 697 test frames",
}


def _world(settings: Settings, split: str) -> World:
    """The synthetic set of a split at the network's image size."""
    with torch.device("meta"):  # no weights, only to ask for the size
        height, width = build(settings.network).image_size
    count = settings.train_size if split == "train" else settings.test_size
    return World(settings.data, split, scenes=count, height=height, width=width)


def datasets(settings: Settings, size: tuple[int, int], *, progress: bool = False) -> tuple[Any, Any]:
    """Training and test set; the real ones from the folder that ``MDEPTH_DATA`` names."""
    if settings.data in ("rooms", "roads"):
        train, test = (load(_world(settings, split), progress=progress) for split in ("train", "test"))
        return train, test
    if settings.data == "redkitchen":
        video, _ = real_sets(settings)
        a, b = int(0.6 * len(video)), int(0.7 * len(video))
        return InMemory(video, range(a), size), InMemory(video, range(b, len(video)), size)
    return real_sets(settings)


def real_sets(settings: Settings) -> tuple[DepthDataset, DepthDataset]:
    """Training and test set as they lie in the folder that ``MDEPTH_DATA`` names; of one video both are the
    whole.
    """
    root = data_root()
    if settings.data == "redkitchen":
        places = check.find(root).paths("rgbd/7scenes")
        kitchens = [place for place in places if "redkitchen" in str(place).lower()]
        if not kitchens:
            raise DataError(f"{root}: holds no RedKitchen of 7-Scenes; data/README.md says where to get it")
        video = rgbd.SevenScenes(kitchens[0])
        return video, video
    if settings.data == "nyu":
        labelled = nyu.Labelled(root / "nyu/nyu_depth_v2_labeled.mat", root / "nyu/splits.mat", "test")
        return nyu.SyncFolder(root / "nyu" / "sync"), labelled
    lists = root / "splits" / "monodepth2"
    train_frames, test_frames = (
        kitti.read_split(lists / name) for name in ("eigen_full/train_files.txt", "eigen/test_files.txt")
    )
    raw = root / "kitti" / "raw"
    with torch.device("meta"):
        size = build(settings.network).image_size
    return kitti.Raw(raw, train_frames, size=size), kitti.Raw(raw, test_frames)


def fingerprint(settings: Settings) -> str:
    """sha256 over the real files that a run would be trained and tested on now."""
    both = " ".join(part.fingerprint() for part in real_sets(settings))
    return hashlib.sha256(both.encode()).hexdigest()


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
        """Section 3.3, in one object."""
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
