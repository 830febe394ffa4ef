"""Pictures of one thing each, and its name: a task without depth, for training a network's eyes beforehand.

It stands for ImageNet where ImageNet is not: labels are about what a thing *is*. The camera goes as near as
the thing is large, so that things fill their pictures alike and their size in metres cannot be told.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.worlds import furniture, street
from mdepth.datasets.worlds.rendering import render
from mdepth.datasets.worlds.scenery import Air, Builder, Colour, Light, Scene, pose
from mdepth.datasets.worlds.store import Rows, Spec, default_cache, load_or_render, open_arrays
from mdepth.datasets.worlds.textures import any_paint, painted
from mdepth.datasets.worlds.world import SPLITS, WORLD_VERSION, World
from mdepth.shapes import Float, Image, Int, Tensor

__all__ = ["LOOKS", "NAMES", "Things", "ThingsDataset", "load_things", "picture", "worn"]

KINDS: dict[str, tuple[Callable[[Builder, np.random.Generator, Colour], None], Colour]] = {
    "shelf": (furniture.shelf, (0.9, 1.9, 0.3)),
    "sofa": (furniture.sofa, (1.9, 0.85, 0.9)),
    "bed": (furniture.bed, (1.5, 1.0, 2.0)),
    "cupboard": (furniture.cupboard, (1.0, 1.4, 0.55)),
    "desk": (furniture.desk, (1.4, 0.74, 0.7)),
    "table": (furniture.table, (1.4, 0.75, 0.85)),
    "round table": (furniture.round_table, (0.95, 0.74, 0.95)),
    "chair": (furniture.chair, (0.45, 0.9, 0.46)),
    "floor lamp": (furniture.floor_lamp, (0.4, 1.6, 0.4)),
    "plant": (furniture.plant, (0.55, 1.2, 0.55)),
    "car": (street.car, (1.75, 1.5, 4.3)),
    "van": (street.van, (1.95, 2.2, 5.0)),
    "tree": (street.tree, (3.0, 6.0, 3.0)),
    "conifer": (street.conifer, (2.5, 6.0, 2.5)),
    "sign": (street.sign, (0.7, 2.4, 0.1)),
    "person": (street.person, (0.5, 1.75, 0.35)),
}
NAMES = tuple(KINDS)
"""What a label counts."""
LOOKS = ("natural", "any", "another")
"""Whose surfaces the things have."""


@dataclass(frozen=True)
class Things:
    """A set of pictures; number i is the same whatever ``count`` is.

    Attributes:
        split: "train", "val" or "test": disjoint random streams.
        count: number of pictures.
        height, width: of the pictures, in pixels.
        seed: another number is another set.
        looks: "natural" gives every thing the surfaces of its kind; "any" paints each of its parts in any
            pattern and colours, so that only its shape says what it is; "another" paints it with the surfaces
            of a thing of another kind, so that shape and surface contradict each other (the cat with the skin
            of an elephant of Geirhos et al. 2019). Shape, pose, light and background stay the same.
    """

    split: str = "train"
    count: int = 2000
    height: int = 96
    width: int = 128
    seed: int = 0
    looks: str = "natural"

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"unknown split {self.split!r}; choose one of {', '.join(SPLITS)}")
        if min(self.count, self.height, self.width) < 1:
            raise ValueError("count, height and width must be at least 1")
        if self.looks not in LOOKS:
            raise ValueError(f"looks must be one of {', '.join(LOOKS)}, got {self.looks!r}")

    def describe(self) -> dict[str, Any]:
        """What decides the pictures, ready for JSON."""
        about = asdict(self)
        if self.looks == "natural":  # described as it was before there were others
            del about["looks"]
        return {"things": about, "names": list(NAMES), "version": WORLD_VERSION}


def picture(things: Things, index: int) -> tuple[Scene, Float[Tensor, "3 3"], int]:
    """Scene, intrinsics and label of picture number ``index``.

    Example:
        >>> view, K, label = picture(Things(count=3), 2)
        >>> view.labels[1] == NAMES[label]
        True
    """
    rng = np.random.default_rng([7, things.seed, SPLITS[things.split], index])
    label = int(rng.integers(len(NAMES)))
    make, natural = KINDS[NAMES[label]]
    factors = np.exp(0.12 * rng.standard_normal(3))
    width, height, depth = (float(s * f) for s, f in zip(natural, factors, strict=True))
    b = Builder()
    b.object(NAMES[label], yaw=rng.uniform(-math.pi, math.pi))
    make(b, rng, (width, height, depth))
    own = len(b.material_numbers)
    size = math.hypot(width, height, depth)
    ground, back = (any_paint(rng) for _ in range(2))
    b.object("ground")
    b.box(ground, (40 * size, 0.1, 40 * size), bottom=-0.1)
    b.object("back")
    b.box(back, (40 * size, 40 * size, 0.1), z=rng.uniform(1.0, 4.0) * size)
    focal = rng.uniform(0.8, 1.1) * things.width
    distance = rng.uniform(0.75, 1.3) * size * focal / things.height
    pitch = -rng.uniform(0.05, 0.45)
    eye = 0.5 * height - distance * math.sin(pitch)
    camera = pose(
        rng.uniform(-0.12, 0.12) * size, eye, -distance * math.cos(pitch), rng.uniform(-0.05, 0.05), pitch,
        rng.uniform(-0.05, 0.05),
    )  # fmt: skip
    sun = size * rng.uniform(-2, 2), -size * rng.uniform(1.5, 4), -size * rng.uniform(0.2, 2)
    view = Scene(
        b.solids(), _repainted(things, index, label, b.materials(), own), tuple(b.labels),
        (Light(sun, (0.8, 0.8, 0.8)),), Air(ambient=(0.35, 0.35, 0.35)), camera[None],
        switches=World("rooms").switches(),
    )  # fmt: skip
    u, v = (things.width - 1) / 2, (things.height - 1) / 2
    return view, torch.tensor([[focal, 0, u], [0, focal, v], [0, 0, 1]]), label


def worn(things: Things, index: int, label: int) -> int:
    """The kind whose surfaces picture number ``index`` shows: its own, or where ``looks`` is "another", one
    of the fifteen others; -1 where they are anyone's.

    Example:
        >>> worn(Things(looks="another"), 0, label=3) != 3
        True
    """
    if things.looks == "another":
        return (label + 1 + int(_looks(things, index).integers(len(NAMES) - 1))) % len(NAMES)
    return label if things.looks == "natural" else -1


def _looks(things: Things, index: int) -> np.random.Generator:
    """What surfaces are drawn from, apart from all else."""
    return np.random.default_rng([8, things.seed, SPLITS[things.split], index])


def _repainted(
    things: Things, index: int, label: int, materials: Float[Tensor, "K 12"], own: int
) -> Float[Tensor, "K 12"]:
    """The materials, of which the first ``own`` are the thing's, with the surfaces that it shall wear."""
    if things.looks == "natural":
        return materials
    rng = _looks(things, index)
    if things.looks == "any":
        new = painted(materials[:own], rng)
    else:
        make, natural = KINDS[NAMES[worn(things, index, label)]]
        b = Builder()
        b.object("another")
        make(b, rng, natural)
        theirs = b.materials()
        new = theirs[torch.arange(own) % len(theirs)]
    return torch.cat([new, materials[own:]])


def load_things(things: Things, *, cache: Path | str | None = None) -> "ThingsDataset":
    """The pictures, rendered into the cache the first time (:func:`mdepth.datasets.worlds.load`).

    Raises:
        DataError: the cache cannot be written, or what lies there is damaged.
    """
    about = things.describe()
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    n, h, w = things.count, things.height, things.width
    spec: Spec = {"image": ((n, h, w, 3), "uint8"), "label": ((n,), "int64")}
    place = default_cache() if cache is None else Path(cache)
    folder = load_or_render(
        place, f"things-{things.split}-{digest[:16]}", about, spec, partial(_chunks, things)
    )
    return ThingsDataset(things, open_arrays(folder, spec))


def _chunks(things: Things, start: int, size: int = 32) -> Iterator[Rows]:
    """The pictures from ``start`` on, some at a time."""
    for begin in range(start, things.count, size):
        images, labels = [], []
        for index in range(begin, min(begin + size, things.count)):
            view, K, label = picture(things, index)
            image = render(view, 0, K, things.height, things.width).image
            images.append((255 * image).round().byte().permute(1, 2, 0).numpy())
            labels.append(label)
        yield {"image": np.stack(images), "label": np.array(labels)}


class ThingsDataset:
    """Pictures and labels in memory-mapped arrays; made by :func:`load_things`."""

    def __init__(self, things: Things, arrays: Rows) -> None:
        self.things, self.arrays = things, arrays

    def __len__(self) -> int:
        return self.things.count

    def batch(self, indices: Sequence[int]) -> tuple[Image, Int[Tensor, " B"]]:
        """RGB in [0, 1], and what each picture shows, as a number into :data:`NAMES`."""
        chosen = np.asarray(indices)
        image = torch.from_numpy(self.arrays["image"][chosen]).permute(0, 3, 1, 2).float() / 255
        return image, torch.from_numpy(self.arrays["label"][chosen])

    def worn(self, indices: Sequence[int]) -> Int[Tensor, " B"]:
        """The kind whose surfaces each picture shows (:func:`worn`)."""
        labels = self.arrays["label"]
        return torch.tensor([worn(self.things, index, int(labels[index])) for index in indices])
