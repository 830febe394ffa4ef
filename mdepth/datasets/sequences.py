"""Data for training without depth, from video and stereo: items with the frames before and after them.

``WithNeighbours`` adds the frames to any data set of videos: the KITTI recordings and sequences, plain
videos, RGB-D recordings, worlds of several frames. ``augment_sequences`` mirrors and recolours batches of
them, and ``check_motion`` says beforehand whether a video moves enough. A right image comes with the data
set, where it was opened with ``stereo=True``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from mdepth.datasets.motion import MotionReport, check_motion
from mdepth.datasets.sample import DepthDataset, Sample, collate
from mdepth.datasets.sequence_augmentation import SequenceAugmentation, augment_sequences
from mdepth.shapes import DataError, Float, Tensor

__all__ = [
    "MotionReport", "SequenceAugmentation", "WithNeighbours", "augment_sequences", "check_motion",
    "motions_to",
]  # fmt: skip


class WithNeighbours(DepthDataset):
    """The items of a data set of videos with their ``neighbours``, the frames at some offsets in time.

    An item is that of the data set, and has beside it ``neighbours`` (N, 3, H, W) in the order of
    ``offsets`` and, where the poses of all these frames are known, ``T_neighbour_target`` (N, 4, 4), which
    takes points of this camera's frame into the neighbours' (``motions_to``). Of the neighbours only image
    and pose are read: they need no depth file, and of the raw KITTI set they need not be in the split. Items
    that lack a neighbour (the first and last frames of a scene, gaps) are left out; ``skipped`` counts them,
    and ``indices`` names those that stay. To use some items only, choose among those of this data set:
    in a thinned video the neighbours would be far away.

    Args:
        dataset: any whose items know their ``neighbour`` in time.
        offsets: in steps of time, before (negative) and after; for example ``(-1, 1)``.

    Raises:
        ValueError: no offsets, an offset of 0, the same one twice, or a data set that knows no neighbours.
        DataError: no item has all its neighbours; or, on reading, frames that differ in size.

    Source: Zhou et al., Unsupervised Learning of Depth and Ego-Motion from Video, CVPR 2017.

    Example:
        >>> from mdepth.datasets.worlds import World, load
        >>> street = load(World("roads", scenes=2, frames=4, height=16, width=48), cache=False)
        >>> triples = WithNeighbours(street)
        >>> len(triples), triples.skipped, tuple(triples[0]["neighbours"].shape), triples[0]["id"]
        (4, 4, (2, 3, 16, 48), 'roads/train/00000/01')
    """

    def __init__(self, dataset: Any, offsets: Sequence[int] = (-1, 1)) -> None:
        if not offsets or 0 in offsets or len(set(offsets)) < len(offsets):
            raise ValueError(f"offsets must be whole numbers other than 0, each once, got {tuple(offsets)}")
        if not hasattr(dataset, "neighbour"):
            raise ValueError(
                f"{type(dataset).__name__} knows no neighbours in time: wrap the data set of the video itself"
            )
        self.dataset, self.offsets, self.name = dataset, tuple(offsets), dataset.name
        self.guessed_camera = bool(getattr(dataset, "guessed_camera", False))
        self.indices = [index for index in range(len(dataset)) if None not in self._frames([index])]
        self.skipped = len(dataset) - len(self.indices)
        if not self.indices:
            raise DataError(
                f"{self.name}: none of {len(dataset)} items has neighbours at the offsets {self.offsets}; it "
                "needs scenes of several frames that follow each other"
            )

    def _frames(self, indices: Sequence[int]) -> list[Any]:
        """The neighbours of items of the data set, item by item; None where there is none."""
        return [self.dataset.neighbour(index, offset) for index in indices for offset in self.offsets]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        chosen = self.indices[self.item_index(index)]
        return self._joined(self.dataset[chosen], [chosen], ())  # type: ignore[return-value]

    def batch(self, indices: Sequence[int]) -> dict[str, Any]:
        """The named items as a batch: by the data set's own ``batch`` where it has one (worlds, whose batches
        have no ``id`` and ``scene``), else collated.

        Raises:
            IndexError: for an index outside the data set.
        """
        if not hasattr(self.dataset, "batch"):
            return collate([self[int(index)] for index in indices])
        chosen = [self.indices[self.item_index(int(index))] for index in indices]
        return self._joined(self.dataset.batch(chosen), chosen, (len(chosen),))

    def _joined(self, item: Any, chosen: Sequence[int], lead: tuple[int, ...]) -> dict[str, Any]:
        """A sample or batch, whose tensors have the axes ``lead`` in front, with the neighbours of the items
        that it was made of."""
        views = self.dataset.views(self._frames(chosen))
        image, found = views["image"], {}
        if image.shape[-2:] != item["image"].shape[-2:]:
            raise DataError(
                f"{self.name}: an image is {tuple(item['image'].shape[-2:])}, but its neighbours are "
                f"{tuple(image.shape[-2:])}; the frames of a video must be equally large"
            )
        found["neighbours"] = image.reshape(*lead, len(self.offsets), *image.shape[1:])
        if "T_world_camera" in views and "T_world_camera" in item:
            poses = views["T_world_camera"].reshape(*lead, len(self.offsets), 4, 4)
            found["T_neighbour_target"] = motions_to(poses, item["T_world_camera"])
        return {**item, **found}

    def neighbour(self, index: int, offset: int) -> Any | None:
        """As the data set's."""
        return self.dataset.neighbour(self.indices[self.item_index(index)], offset)

    def views(self, frames: Sequence[Any]) -> dict[str, Tensor]:
        """As the data set's."""
        return self.dataset.views(frames)

    def describe(self) -> dict[str, Any]:
        """The data set's description, the offsets and how many items were left out."""
        own = {"offsets": list(self.offsets), "skipped": self.skipped, "of": self.dataset.describe()}
        return {**super().describe(), **own}

    def files(self) -> Iterable[Path]:
        """Those of the data set, and the neighbours' that are not among them."""
        if not isinstance(self.dataset, DepthDataset):
            return []
        beyond = self.dataset.view_files(self._frames(self.indices))
        return dict.fromkeys([*self.dataset.files(), *beyond])

    def fingerprint(self) -> str:
        """The sha256 of the data set's fingerprint, of the description and of all files."""
        both = f"{self.dataset.fingerprint()} {super().fingerprint()}"
        return hashlib.sha256(both.encode()).hexdigest()


def motions_to(
    T_world_neighbours: Float[Tensor, "*B N 4 4"], T_world_target: Float[Tensor, "*B 4 4"]
) -> Float[Tensor, "*B N 4 4"]:
    r"""The motions ``T_neighbour_target`` from the poses of a camera and of its neighbours.

    .. math:: T_{n\,t} = T_{w\,n}^{-1} \, T_{w\,t}

    Computed in float64 with the true inverse: poses in files are rotations to a few digits only. Metres.

    Example:
        >>> ahead = torch.eye(4)
        >>> ahead[2, 3] = 2.0                            # the neighbour stands two metres further on
        >>> motions_to(ahead[None], torch.eye(4))[0, :3, 3]
        tensor([ 0.,  0., -2.])
    """
    target = T_world_target.double().unsqueeze(-3).expand_as(T_world_neighbours)
    T = torch.linalg.solve(T_world_neighbours.double(), target).float()
    T[..., 3, :] = T.new_tensor([0.0, 0.0, 0.0, 1.0])
    return T
