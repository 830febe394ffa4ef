"""Which items of a data set follow each other in time, and the frames beside them, without their depth."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from mdepth.shapes import DataError, Tensor

__all__ = ["Timeline", "stack_views"]


class Timeline:
    """What every data set knows of time: ``neighbour`` names the frame some steps after an item, ``views``
    reads such frames.

    A data set of videos overrides ``moments``; where frames beside the items are not items themselves, or can
    be read faster than whole items, ``neighbour`` and ``views``.
    """

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def moments(self) -> list[tuple[str, int]]:
        """Scene and number in time of every item: items of one scene whose numbers differ by 1 are
        neighbours.

        Here the items of a scene count as neighbours in the order of the data set, and every item is read
        once to learn its scene; data sets that know better say so without reading any.
        """
        counts: Counter[str] = Counter()
        found = []
        for index in range(len(self)):
            scene = self[index]["scene"]
            found.append((scene, counts[scene]))
            counts[scene] += 1
        return found

    @cached_property
    def _timeline(self) -> tuple[list[tuple[str, int]], dict[tuple[str, int], int]]:
        """The moment of every item, and the item of every moment."""
        moments = self.moments()
        return moments, {moment: index for index, moment in enumerate(moments)}

    def neighbour(self, index: int, offset: int) -> Any | None:
        """The frame ``offset`` steps in time after an item, in the form that ``views`` takes; None where
        there is none. Nothing is read; 0 is the item itself."""
        moments, items = self._timeline
        scene, number = moments[index]
        return items.get((scene, number + offset))

    def views(self, frames: Sequence[Any]) -> dict[str, Tensor]:
        """``image`` (N, 3, H, W) of frames that ``neighbour`` named and, where all have them,
        ``T_world_camera`` (N, 4, 4) and ``time`` (N,).

        Raises:
            DataError: the images differ in size.
        """
        return stack_views([self[frame] for frame in frames])

    def view_files(self, frames: Sequence[Any]) -> Iterable[Path]:
        """Of frames that ``neighbour`` named, the files that are not among ``files()``."""
        return ()


def stack_views(samples: Sequence[Any]) -> dict[str, Tensor]:
    """Of some samples' ``image``, ``T_world_camera`` and ``time`` those that all have, stacked.

    Raises:
        DataError: the images differ in size.

    Example:
        >>> one = {"image": torch.zeros(3, 2, 4), "time": 0.1, "scene": "a"}
        >>> {key: tuple(value.shape) for key, value in stack_views([one, one]).items()}
        {'image': (2, 3, 2, 4), 'time': (2,)}
    """
    sizes = sorted({tuple(sample["image"].shape[1:]) for sample in samples})
    if len(sizes) > 1:
        raise DataError(
            f"neighbours of {len(sizes)} sizes: {sizes}; the frames of a sequence must be equally large, "
            "resize them first"
        )
    keys = [key for key in ("image", "T_world_camera") if all(key in sample for sample in samples)]
    views = {key: torch.stack([sample[key] for sample in samples]) for key in keys}
    times = [sample["time"] for sample in samples if "time" in sample]
    if len(times) == len(samples):
        views["time"] = torch.tensor(times, dtype=torch.float64)  # may count from 1970
    return views
