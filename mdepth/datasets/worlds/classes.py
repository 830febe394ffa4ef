"""What a pixel of a room shows, as one of six classes.

A class belongs to an object, and a world knows of every pixel to which object it belongs (``instances``): so
labels are exact, they cost no rendering, and they change no world. What was built with a piece of furniture
is furniture: the books of a bookcase, the screen on a desk.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from mdepth.datasets.worlds.dataset import WorldDataset, scene
from mdepth.datasets.worlds.rooms import PIECES
from mdepth.datasets.worlds.scenery import Scene
from mdepth.shapes import Int, Tensor

__all__ = ["ROOM_CLASSES", "LabelledRooms", "instance_classes"]

ROOM_CLASSES = ("floor", "ceiling", "wall", "opening", "furniture", "thing")
"""Names of the labels 0, 1, ...; an opening is a window or a door, a thing what one can carry away, and
lamps, pictures and plants.
"""
THINGS = ("picture", "ceiling lamp", "floor lamp", "boxes", "plant", "small things")
CLASS_OF = {
    "floor": "floor",
    "rug": "floor",
    "ceiling": "ceiling",
    "wall": "wall",
    "window": "opening",
    "door": "opening",
    **{piece.name: "furniture" for piece in PIECES},
    **dict.fromkeys(THINGS, "thing"),
}


def instance_classes(view: Scene) -> Int[Tensor, " N"]:
    """The class of every instance of a room; that of instance 0, which is nothing, is 0 and means nothing.

    Example:
        >>> from mdepth.datasets.worlds import World
        >>> instance_classes(scene(World("rooms"), 0))[:4].tolist()  # nothing, floor, ceiling, wall
        [0, 0, 1, 2]
    """
    return torch.tensor([0, *(ROOM_CLASSES.index(CLASS_OF[label]) for label in view.labels[1:])])


class LabelledRooms(Dataset):
    """A world of rooms whose samples also have ``labels``, (1, H, W) int64, numbers of :data:`ROOM_CLASSES`.

    Everything else is the world's own, its description and fingerprint too.

    Raises:
        ValueError: the world is not one of rooms.
    """

    def __init__(self, rooms: WorldDataset) -> None:
        if rooms.world.kind != "rooms":
            raise ValueError(f"there are classes for rooms only, this is a world of {rooms.world.kind}")
        self.rooms, self.name = rooms, rooms.name
        self._classes: dict[int, Tensor] = {}  # by scene; building a scene takes some milliseconds

    def __len__(self) -> int:
        return len(self.rooms)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.rooms[index]
        return sample | {"labels": self._labels(index % len(self), sample["instances"])}

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """As :meth:`WorldDataset.batch`."""
        batch = self.rooms.batch(indices)
        places = zip(indices, batch["instances"], strict=True)
        return batch | {"labels": torch.stack([self._labels(i % len(self), seen) for i, seen in places])}

    def neighbour(self, index: int, offset: int) -> int | None:
        """As :meth:`WorldDataset.neighbour`."""
        return self.rooms.neighbour(index, offset)

    def views(self, frames: Sequence[int]) -> dict[str, Tensor]:
        """As :meth:`WorldDataset.views`."""
        return self.rooms.views(frames)

    def describe(self) -> dict[str, Any]:
        """The world's description."""
        return self.rooms.describe()

    def fingerprint(self) -> str:
        """The world's fingerprint."""
        return self.rooms.fingerprint()

    def _labels(self, index: int, instances: Int[Tensor, "1 H W"]) -> Int[Tensor, "1 H W"]:
        number = index // self.rooms.world.frames
        if number not in self._classes:
            self._classes[number] = instance_classes(scene(self.rooms.world, number))
        return self._classes[number][instances]
