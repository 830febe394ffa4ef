"""Eigen, Puhrsch and Fergus 2014, the coarse network: one look at the whole image, one depth map.

The whole of it on a page: ``coarse network -> log depth -> mean(d^2) - 0.5 mean(d)^2``, images enlarged,
turned, mirrored and recoloured on the way in, SGD with momentum and two rates. Section numbers are the
paper's (arXiv 1406.2283); "released" is the authors' published configuration, where it says what the text
does not.

Where we differ, and why, stands in ``HYPERPARAMETERS`` (``eigen_paper.py``), row by row.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from mdepth.datasets import check, kitti, nyu, rgbd
from mdepth.datasets.sample import DepthDataset
from mdepth.datasets.transforms import Augmentation, augment, resize
from mdepth.datasets.worlds import World, load
from mdepth.losses import scale_invariant_loss
from mdepth.models import DepthNetwork, build
from mdepth.recipes import Outcome, Variant
from mdepth.recipes.eigen_paper import CLAIMS, HYPERPARAMETERS
from mdepth.recipes.parts import InMemory, data_root, display, score, take
from mdepth.shapes import DataError, Float, Tensor
from mdepth.train import fit, step_seed

__all__ = [
    "CLAIMS",
    "HYPERPARAMETERS",
    "VARIANTS",
    "VERSION",
    "Batches",
    "Schedule",
    "Settings",
    "datasets",
    "describe",
    "fingerprint",
    "loss",
    "optimiser",
    "real_sets",
    "run",
    "seeds",
    "settings",
    "targets",
]

VERSION = 1


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run, with its place in the paper."""

    network: str
    """Section 3.1, Figure 1."""
    data: Literal["rooms", "roads", "redkitchen", "nyu", "kitti"]
    """Section 4."""
    train_size: int = 1000
    """Scenes of the synthetic training set; section 4.1: 120,000 images of 249 scenes."""
    test_size: int = 128
    """Scenes of the synthetic test set; section 4.1: 654 images of 215 scenes."""
    protocol: str = "worlds"
    """Section 4.3."""
    steps: int = 2000
    """Section 3.4: 2.0 M samples for NYU, 1.5 M for KITTI."""
    batch: int = 32
    """Section 3.4."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """Section 3.4."""
    rate_conv: float = 0.001
    """Section 3.4: convolutions 1 to 5."""
    rate_fc: float = 0.1
    """Section 3.4: fully connected layers 6 and 7."""
    momentum: float = 0.9
    """Section 3.4; of SGD alone."""
    decay_conv: float = 5e-4
    """Weight decay of the convolutions; released."""
    decay_fc: float = 1e-4
    """Weight decay of the fully connected layers; released."""
    warm_up: int = 0
    """Steps in which the rates rise from nothing; none in the paper."""
    anneal: bool = False
    """Let the rates fall to nothing along half a cosine; constant in the paper."""
    lam: float = 0.5
    """Section 3.2, eq. 4."""
    dropout: float = 0.5
    """Section 3.1 on layer 6, the number from the released code."""
    zoom: tuple[float, float] = (1.0, 1.5)
    """Section 3.3: image enlarged by s, depth divided by it."""
    roll: float = 5.0
    """Section 3.3: degrees."""
    gain: tuple[float, float] = (0.8, 1.2)
    """Section 3.3: factor on each colour channel."""
    flip: float = 0.5
    """Section 3.3: chance of a mirror image."""
    drop_extremes: bool = False
    """Section 4.1: pixels at the image's smallest or largest depth are invalid (NYU's filled maps)."""
    accelerator: str = "cpu"
    prefetch: int = 0
    """Batches prepared ahead; changes the time, not the result."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.train_size, self.test_size) < 1:
            raise ValueError("steps, batch, train_size and test_size must be at least 1")


ROOMS = Settings(
    "eigen-coarse-rooms", "rooms", batch=16, optimiser="adam", rate_conv=0.001, rate_fc=0.001, decay_conv=0.0,
    decay_fc=0.0, warm_up=20, anneal=True,
)  # fmt: skip
ROADS = replace(ROOMS, network="eigen-coarse-roads", data="roads", zoom=(1.0, 1.2), roll=0.0)
RED_KITCHEN = replace(ROOMS, data="redkitchen")
NYU = Settings(
    "eigen-coarse-nyu",
    "nyu",
    protocol="eigen-nyu",
    steps=62_500,
    drop_extremes=True,
    accelerator="auto",
    prefetch=8,
)
KITTI = Settings(
    "eigen-coarse-kitti", "kitti", protocol="eigen-kitti", steps=46_875, zoom=(1.0, 1.2), roll=0.0,
    accelerator="auto", prefetch=8,
)  # fmt: skip

VARIANTS = {
    "coarse-rooms": Variant("coarse network, synthetic rooms", ("quick", "laptop", "full")),
    "coarse-roads": Variant("coarse network, synthetic roads", ("quick", "laptop", "full")),
    "coarse-redkitchen": Variant(
        "small coarse network, one real room (7-Scenes)",
        ("quick", "laptop"),
        realdata=True,
        needs=("rgbd/7scenes:redkitchen",),
    ),
    "coarse-nyu": Variant(
        "coarse network, NYU Depth V2, the paper's schedule",
        ("full",),
        realdata=True,
        needs=("nyu/sync", "nyu/labelled"),
    ),
    "coarse-kitti": Variant(
        "coarse network, KITTI raw, the paper's schedule",
        ("full",),
        realdata=True,
        needs=("kitti/raw", "splits/kitti"),
    ),
}
LAPTOP = {"coarse-rooms": ROOMS, "coarse-roads": ROADS, "coarse-redkitchen": RED_KITCHEN}
FULL = {
    "coarse-rooms": replace(
        NYU, data="rooms", protocol="worlds", drop_extremes=False, train_size=10_000, steps=20_000
    ),
    "coarse-roads": replace(KITTI, data="roads", protocol="worlds", train_size=10_000, steps=20_000),
    "coarse-nyu": NYU,
    "coarse-kitti": KITTI,
}
SEEDS = {"coarse-rooms": (0, 1, 2, 3, 4), "coarse-roads": (0, 1, 2, 3, 4), "coarse-redkitchen": (0, 1, 2)}


def settings(variant: str, profile: str) -> Settings:
    """The settings of a variant under a profile.

    Raises:
        ValueError: the variant does not exist in this profile.
    """
    if variant not in VARIANTS or profile not in VARIANTS[variant].profiles:
        known = ", ".join(name for name, about in VARIANTS.items() if profile in about.profiles)
        raise ValueError(
            f"eigen has no variant {variant!r} in profile {profile!r}; there are {known or 'none'}"
        )
    if profile == "quick":
        return replace(LAPTOP[variant], train_size=48, test_size=8, steps=40, batch=16)
    return (LAPTOP if profile == "laptop" else FULL)[variant]


def seeds(variant: str, profile: str) -> tuple[int, ...]:
    """Five seeds for the reference records, one elsewhere."""
    return SEEDS[variant] if profile == "laptop" else (0,)


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
    """Neither the smallest nor the largest depth of its image: what the filling of holes has spread."""
    flat = depth.flatten(1)
    low, high = (bound.view(-1, 1, 1, 1) for bound in (flat.amin(1), flat.amax(1)))
    return (depth > low) & (depth < high)


def targets(network: DepthNetwork, depth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Log depth and mask at the network's resolution: every fourth pixel, from the second on (released).

    Depth is not averaged: the mean of two sides of an edge is a surface that is not there.
    """
    top, bottom, left, right = network.covered
    depth, valid = (values[..., top:bottom, left:right][..., 1::4, 1::4] for values in (depth, valid))
    return torch.where(valid, depth, 1.0).log(), valid


def loss(network: nn.Module, batch: dict[str, Tensor], *, lam: float) -> Tensor:
    """Section 3.2: mean(d^2) - lam mean(d)^2 of the log-depth errors d."""
    return scale_invariant_loss(network(batch["image"]), batch["log_depth"], batch["valid"], lam)


def optimiser(network: DepthNetwork, settings: Settings) -> torch.optim.Optimizer:
    """Section 3.4: SGD with momentum, one rate for the convolutions, another for layers 6 and 7."""
    parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        parts[name.startswith(CONVOLUTIONS)].append(parameter)
    groups = [
        {"params": parts[True], "lr": settings.rate_conv, "weight_decay": settings.decay_conv},
        {"params": parts[False], "lr": settings.rate_fc, "weight_decay": settings.decay_fc},
    ]
    if settings.optimiser == "adam":
        return torch.optim.Adam(groups)
    return torch.optim.SGD(groups, momentum=settings.momentum)


CONVOLUTIONS = tuple(f"coarse{number}" for number in range(1, 6))


@dataclass(frozen=True)
class Schedule:
    """The factor on both rates at a step: a linear warm-up, then constant or half a cosine."""

    steps: int
    warm_up: int
    anneal: bool

    def __call__(self, step: int) -> float:
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.anneal else 1.0
        return rise * fall


def mean_log_depth(dataset: Any, count: int = 200) -> float:
    """Mean log depth of the first ``count`` images: where the output's bias starts (released)."""
    batch = take(dataset, range(min(count, len(dataset))))
    return float(batch["depth"][batch["valid"]].log().mean())


def run(
    settings: Settings, seed: int, *, folder: Path | None, name: str = "eigen", progress: bool = True
) -> Outcome:
    """Train the coarse network, score it beside the mean depth and the mean map, and keep six predictions."""
    with torch.device("meta"):
        size = build(settings.network).image_size
    train, test = datasets(settings, size, progress=progress)
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(settings.network, dropout=settings.dropout, mean_log_depth=mean_log_depth(train))
    history = fit(
        network,
        Batches(train, network, settings),
        partial(loss, lam=settings.lam),
        optimiser(network, settings),
        settings.steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=Schedule(settings.steps, settings.warm_up, settings.anneal),
        accelerator=settings.accelerator,
        prefetch=settings.prefetch,
        progress=progress,
    )
    network.eval()
    real = settings.data not in ("rooms", "roads")
    samples, ids = ({}, []) if real else keepsakes(network, test)
    digest = fingerprint(settings) if real else train.fingerprint()
    data = {"hash": digest, "real": real, "train": train.describe(), "test": test.describe()}
    metrics = score(network, train, test, settings.protocol)
    return Outcome(
        metrics, history, data, network, samples, ids, extra={"level": level(settings.data, len(test))}
    )


WHOLE = {"nyu": 654, "kitti": 697}
"""Images of the whole test sets: only on all of them is a number one of the paper's data."""


def level(data: str, tested: int) -> str:
    """The level of evidence: B on the worlds, D on the paper's whole test set, d on other real frames."""
    if data in ("rooms", "roads"):
        return "B"
    return "D" if tested == WHOLE.get(data) else "d"


def keepsakes(network: Any, test: Any) -> tuple[dict[str, Any], list[str]]:
    """Six predictions, and sixteen of layer 7's templates (Figure 2), evenly spread in order of norm."""
    prediction, ids = display(network, test)
    templates = network.templates()
    order = templates.flatten(1).norm(dim=1).argsort(descending=True)
    chosen = order[torch.linspace(0, len(order) - 1, 16).long()]
    return {"prediction": prediction, "templates": templates[chosen].half().numpy()}, ids
