"""What several recipes need and none of them is about: real sets, batches of any data set, scores with
baselines.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mdepth.datasets import check, nyu, rgbd
from mdepth.datasets.sample import DepthDataset, Sample, collate
from mdepth.datasets.transforms import Augmentation, augment, resize
from mdepth.evaluate import drawn_steps, evaluate, mean_depth_baseline, mean_map_baseline
from mdepth.image import resize as shrink
from mdepth.metrics import bend_scores, edge_scores
from mdepth.models import DepthNetwork, build
from mdepth.shapes import DataError, Depth, Float, Tensor, Valid

Predict = Callable[[Tensor], Tensor]
BASELINE_IMAGES = 2000
"""Training images, evenly spread, from which the baselines are averaged."""

__all__ = [
    "KITCHEN",
    "NYU_SETS",
    "SPLIT_IN_TIME",
    "Chosen",
    "EvenlySpread",
    "InMemory",
    "Schedule",
    "answers",
    "bend_table",
    "data_root",
    "display",
    "edge_table",
    "fingerprint_of",
    "image_size",
    "map_size",
    "mean_depth",
    "metric_batch",
    "nyu_sets",
    "red_kitchen",
    "score",
    "scores_of",
    "short",
    "split_file",
    "split_in_time",
    "step_table",
    "take",
    "targets",
    "thinned",
]


def data_root() -> Path:
    """The folder of real data that ``MDEPTH_DATA`` names.

    Raises:
        DataError: it is not set, or is no folder.
    """
    named = os.environ.get("MDEPTH_DATA")
    if not named:
        raise DataError(
            "MDEPTH_DATA is not set: this run needs real data; see data/README.md for where to get them"
        )
    path = Path(named).expanduser()
    if not path.is_dir():
        raise DataError(f"MDEPTH_DATA: expected a folder, found none at {path}; correct the variable")
    return path


def take(dataset: Any, indices: Sequence[int]) -> dict[str, Any]:
    """A batch of the named items: by ``dataset.batch`` where there is one, else item by item."""
    return dataset.batch(indices) if hasattr(dataset, "batch") else collate([dataset[i] for i in indices])


KEPT = (
    "image", "depth", "valid", "K", "neighbours", "T_neighbour_target", "image_right", "T_right_left",
    "T_world_camera",
)  # fmt: skip
"""What :class:`InMemory` keeps of a sample, where it is there."""


class InMemory(DepthDataset):
    """Some frames of a data set at one size, read once and kept: for small real sets whose frames are slow
    to read.

    Args:
        dataset: any data set.
        indices: which of its frames, in this order.
        size: (height, width) that image, depth and K are brought to.
    """

    def __init__(self, dataset: DepthDataset, indices: Iterable[int], size: tuple[int, int]) -> None:
        self.name, self.indices, self.size = dataset.name, list(indices), size
        self._items = []
        for index in self.indices:
            sample = dataset[index]
            item = resize({key: sample[key] for key in KEPT if key in sample}, *size)  # type: ignore[literal-required]
            self._items.append({**item, "id": sample["id"], "scene": sample["scene"]})
        self._fingerprint = dataset.fingerprint()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Sample:
        return dict(self._items[self.item_index(index)])  # type: ignore[return-value]

    def describe(self) -> dict[str, Any]:
        """Which frames at which size."""
        return {
            **super().describe(),
            "indices": self.indices,
            "size": list(self.size),
            "files": self._fingerprint,
        }


class Chosen(DepthDataset):
    """Some items of a data set, in an order of their own; the same one may come several times.

    Args:
        dataset: any.
        indices: which of its items.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.name, self.dataset, self.indices = dataset.name, dataset, list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[self.item_index(index)]]

    def describe(self) -> dict[str, Any]:
        """How many, and of which data set."""
        return {**super().describe(), "of": self.dataset.describe()}

    def files(self) -> Iterable[Path]:
        """Those of the data set."""
        return self.dataset.files()


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


def red_kitchen(inventory: check.Inventory) -> DepthDataset:
    """The video of one real kitchen, of 7-Scenes.

    Raises:
        DataError: it is not there.
    """
    kitchens = [place for place in inventory.paths("rgbd/7scenes") if "redkitchen" in str(place).lower()]
    if not kitchens:
        raise DataError(
            f"{inventory.root}: holds no RedKitchen of 7-Scenes; data/README.md says where to get it"
        )
    return rgbd.SevenScenes(kitchens[0])


def fingerprint_of(sets: Iterable[DepthDataset]) -> str:
    """sha256 over the fingerprints of some data sets, in their order."""
    return hashlib.sha256(" ".join(each.fingerprint() for each in sets).encode()).hexdigest()


KITCHEN, NYU_SETS = ("rgbd/7scenes:redkitchen",), ("nyu/sync", "nyu/labelled", "nyu/splits")
"""What :func:`red_kitchen` and :func:`nyu_sets` need, as a variant says it."""
SPLIT_IN_TIME = "one video: the first 60 % of the frames train, the next 10 % are left out, 30 % test"


def split_in_time(video: DepthDataset, size: tuple[int, int]) -> tuple[InMemory, InMemory]:
    """Training and test frames of one video, with a gap between them."""
    a, b = int(0.6 * len(video)), int(0.7 * len(video))
    return InMemory(video, range(a), size), InMemory(video, range(b, len(video)), size)


def split_file(inventory: check.Inventory, name: str) -> Path:
    """A list of KITTI's frames by its folder and name.

    Raises:
        DataError: there is no such list; says where to get it.
    """
    inventory.path("splits/kitti")  # says what to do where there is none
    found = [path for place in inventory.paths("splits/kitti") if (path := place.parent / name).is_file()]
    if not found:
        raise DataError(f"{inventory.root}: holds no list {name}; `mdepth data fetch` brings it")
    return found[0]


def nyu_sets(inventory: check.Inventory) -> tuple[DepthDataset, DepthDataset]:
    """Synchronised frames of the training scenes, each depth with the image nearest in time, and
    the labelled test images with filled depth. The scenes are those of the official split.
    """
    labelled = inventory.path("nyu/labelled") / "nyu_depth_v2_labeled.mat"
    splits = inventory.path("nyu/splits") / "splits.mat"
    inventory.path("nyu/sync")  # says what to do where there is none
    folder = Path(os.path.commonpath(inventory.paths("nyu/sync")))
    scenes = {nyu.scene_of(scene) for scene in nyu.Labelled(labelled, splits, "train").scene_names}
    return nyu.SyncFolder(folder, scenes=scenes), nyu.Labelled(labelled, splits, "test")


def metric_batch(
    dataset: Any,
    indices: Sequence[int],
    network: DepthNetwork,
    augmentation: Augmentation,
    size: tuple[int, int],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Some images for training: at the network's size, augmented and normalised, with the depth in metres and
    the mask under the pixels of its map, of ``size``.
    """
    batch = take(dataset, indices)
    batch = {key: batch[key] for key in ("image", "depth", "valid", "K")}
    if batch["image"].shape[-2:] != network.image_size:
        batch = resize(batch, *network.image_size)
    batch = augment(batch, augmentation, generator)
    depth, valid = targets(batch["depth"], batch["valid"], size)
    return {"image": network.normalise(batch["image"]), "depth": depth, "valid": valid}


@cache
def image_size(name: str) -> tuple[int, int]:
    """Rows and columns of the images that a network is taught and tested on, without weights.

    Example:
        >>> image_size("eigen-coarse-rooms")
        (96, 128)
    """
    with torch.device("meta"):
        return build(name).image_size


@cache
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


def score(
    network: DepthNetwork,
    train: Any,
    test: Any,
    protocols: Sequence[str],
    *,
    rivals: Mapping[str, Predict] | None = None,
    metrics: Iterable[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Metrics of a network on test data under protocols, and of the two answers that need no image, under
    ``protocol@mean-depth`` and ``protocol@mean-map``: one depth everywhere, and one map for every image,
    both of the training data. ``rivals`` are scored beside them; ``metrics`` are all unless named.
    """
    answers: dict[str, Predict] = {
        "": network.predict,
        **(rivals or {}),
        "mean-depth": mean_depth_baseline(train, limit=BASELINE_IMAGES),
        "mean-map": mean_map_baseline(train, limit=BASELINE_IMAGES),
    }
    chosen = None if metrics is None else tuple(metrics)
    return {
        f"{protocol}@{name}" if name else protocol: scores.to_dict()
        for name, answer in answers.items()
        for protocol, scores in evaluate(answer, test, protocols, metrics=chosen).items()
    }


@torch.no_grad()
def answers(predict: Predict, test: Any) -> tuple[Depth, Depth, Valid, list[str]]:
    """Prediction, truth and mask of all test images at the size of the image, and their ids."""
    found, ids = [], []
    for index in range(len(test)):
        sample = collate([test[index]])
        found.append((predict(sample["image"]), sample["depth"], sample["valid"]))
        ids += sample["id"]
    prediction, target, valid = (torch.cat(maps) for maps in zip(*found, strict=True))
    return prediction, target, valid, ids


def scores_of(values: Mapping[str, Float[Tensor, " N"]], ids: list[str], pixels: int) -> dict[str, Any]:
    """Numbers per image, rounded to four digits, and their means, in the form of a protocol's scores."""
    return {
        "mean": {name: each.nanmean().item() for name, each in values.items()},
        "pooled": {},
        "per_image": {name: each.double().round(decimals=4).tolist() for name, each in values.items()},
        "ids": ids,
        "n_images": len(ids),
        "n_pixels": pixels,
    }


def thinned(table: dict[str, Any]) -> dict[str, Any]:
    """Scores whose numbers image by image are of the first metric alone: a record is small."""
    name = next(iter(table["per_image"]))
    return table | {"per_image": {name: table["per_image"][name]}}


def short(table: dict[str, Any]) -> dict[str, Any]:
    """Scores without any number image by image."""
    return table | {"per_image": {}, "ids": []}


@dataclass(frozen=True)
class Schedule:
    """The factor on all rates at a step: a linear warm-up, then constant or half a cosine."""

    steps: int
    warm_up: int
    anneal: bool

    def __call__(self, step: int) -> float:
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.anneal else 1.0
        return rise * fall


def edge_table(
    prediction: Depth, target: Depth, valid: Valid, ids: list[str], threshold: float, *, border: bool = False
) -> dict[str, Any]:
    """Precision, recall and F1 of the depth edges (:func:`mdepth.metrics.edge_scores`), in the form of a
    protocol's scores; NaN for an image without edges.
    """
    scores = partial(edge_scores, threshold=threshold, border=border)
    return _table(EDGES, scores, prediction, target, valid, ids)


def bend_table(prediction: Depth, target: Depth, valid: Valid, ids: list[str]) -> dict[str, Any]:
    """The same of the bends (:func:`mdepth.metrics.bend_scores`), and the share of pixels that truly bend."""
    return _table(BENDS, bend_scores, prediction, target, valid, ids)


def step_table(prediction: Depth, target: Depth, valid: Valid, ids: list[str]) -> dict[str, Any]:
    """The same of the share of true steps of depth that is drawn (:func:`mdepth.evaluate.drawn_steps`)."""
    return _table(("drawn_steps",), lambda *maps: (drawn_steps(*maps),), prediction, target, valid, ids)


EDGES = ("edge_precision", "edge_recall", "edge_f1")
BENDS = ("bend_precision", "bend_recall", "bend_f1", "bend_share")


def _table(
    names: Sequence[str], scores: Callable, prediction: Depth, target: Depth, valid: Valid, ids: list[str]
) -> dict[str, Any]:
    """Scores per image, their mean, and those of all images together."""
    each = scores(prediction, target, valid)
    pooled = scores(*(_one_below_the_other(values) for values in (prediction, target, valid)))
    return {
        "mean": {name: values.nanmean().item() for name, values in zip(names, each, strict=True)},
        "pooled": {name: values.item() for name, values in zip(names, pooled, strict=True)},
        "per_image": {
            name: values.round(decimals=4).tolist() for name, values in zip(names, each, strict=True)
        },
        "ids": ids,
        "n_images": len(ids),
        "n_pixels": int(valid.sum()),
    }


def _one_below_the_other(maps: Tensor) -> Tensor:
    """All maps of a batch as one tall one, with a frame of zeros around each, across which nothing counts."""
    return functional.pad(maps, (1, 1, 1, 1)).flatten(0, 2)[None, None]


@torch.no_grad()
def display(network: DepthNetwork, test: Any, count: int = 6) -> tuple[np.ndarray, list[str]]:
    """Depth maps of the first ``count`` test images at the network's own resolution (float16), and the
    images' ids.
    """
    samples = [test[i] for i in range(min(count, len(test)))]
    images: Tensor = torch.stack([sample["image"] for sample in samples])
    network.eval()
    depth = network.to_depth(network(network.prepare(images))).clamp(*network.depth_range)
    return depth[:, 0].cpu().numpy().astype(np.float16), [sample["id"] for sample in samples]
