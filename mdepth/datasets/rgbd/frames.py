"""What RGB-D recordings have in common: a list of frames, each with an image, a depth file and perhaps a
pose."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import read_image
from mdepth.datasets.sample import DepthDataset, Sample, brief, make_sample
from mdepth.datasets.timeline import stack_views
from mdepth.shapes import DataError, Float, Tensor

__all__ = [
    "RgbdFrame",
    "RgbdFrames",
    "camera_matrix",
    "pose_matrix",
    "rotation_from_quaternion",
    "usual_steps",
]


@dataclass(frozen=True)
class RgbdFrame:
    """One frame: its files, its name, and (4, 4) ``T_world_camera`` and seconds where known."""

    image: Path
    depth: Path
    id: str
    T_world_camera: np.ndarray | None = None
    time: float | None = None


def camera_matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """(3, 3) float64 K; pixel centres at integer coordinates."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def rotation_from_quaternion(x: float, y: float, z: float, w: float) -> np.ndarray:
    """(3, 3) rotation of a quaternion in the order x, y, z, w; it is normalised first.

    Raises:
        ValueError: all four numbers are 0.

    Example:
        >>> rotation_from_quaternion(0.0, 0.0, 1.0, 1.0).round(6) @ [1.0, 0.0, 0.0]
        array([0., 1., 0.])
    """
    q = np.array([x, y, z, w])
    if not q.any():
        raise ValueError("a quaternion of zeros is no rotation")
    x, y, z, w = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose_matrix(numbers: Sequence[Any] | np.ndarray, name: str) -> np.ndarray:
    """(4, 4) from seven numbers, or words that are numbers: translation, and quaternion x, y, z, w.

    Args:
        numbers: the seven.
        name: file and line, for the message.

    Raises:
        DataError: a word is no finite number, or the quaternion is 0.
    """
    try:
        values = np.array([float(number) for number in numbers])
        if not np.isfinite(values).all():
            raise ValueError("NaN or infinity")
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation_from_quaternion(*values[3:].tolist()), values[:3]
        return T
    except ValueError as error:
        raise DataError(
            f"{name}: expected a pose, tx ty tz qx qy qz qw ({error}); get the recording again"
        ) from None


def usual_steps(places: Sequence[int] | Sequence[float]) -> list[int]:
    """Times or numbers of frames counted in their usual (median) distance, from 0 for the first one; where
    some are missing the count has a gap.

    Example:
        >>> usual_steps([0.00, 0.03, 0.07, 0.17, 0.20]), usual_steps([12, 0, 6])
        ([0, 1, 2, 5, 6], [2, 0, 1])
    """
    order = np.argsort(places, kind="stable")
    gaps = np.diff(np.asarray(places, dtype=np.float64)[order])
    usual = float(np.median(gaps)) if len(gaps) else 1.0
    steps = np.zeros(len(order), dtype=np.int64)
    steps[order[1:]] = np.cumsum(np.rint(gaps / (usual or 1.0)).clip(1))
    return steps.tolist()


class RgbdFrames(DepthDataset):
    """A recording; subclasses list the frames and read depth, already in the colour camera and in metres.

    Args:
        folder: where the recording lies; its name becomes the scene.
        frames: what it holds.
        K: (3, 3) intrinsics of the colour images.

    Raises:
        DataError: no frame, or a frame's file is missing.
    """

    name = "rgbd"

    def __init__(self, folder: Path, frames: Sequence[RgbdFrame], K: np.ndarray) -> None:
        if not frames:
            raise DataError(
                f"{folder}: no frame with image and depth found; data/README.md shows the layout of "
                f"{self.name}"
            )
        absent = [path for frame in frames for path in (frame.image, frame.depth) if not path.exists()]
        if absent:
            raise DataError(
                f"{absent[0]}: missing ({len(absent)} files of {len(frames)} frames); copy the recording "
                "completely"
            )
        self.folder, self.frames, self.K, self.scene = folder, list(frames), K, folder.name

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """The depth map of a frame in metres."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[self.item_index(index)]
        image, depth = read_image(frame.image), self.read_depth(frame.depth)
        if image.shape[1:] != depth.shape[1:]:
            raise DataError(
                f"{frame.depth}: is {tuple(depth.shape[1:])}, but {frame.image.name} is "
                f"{tuple(image.shape[1:])}; not a pair"
            )
        scene, K = self.scene, torch.from_numpy(self.K).float()
        known = {"T_world_camera": self._pose(frame), "time": frame.time}
        return make_sample(image, depth, K, id=f"{scene}/{frame.id}", scene=scene, **known)

    def _pose(self, frame: RgbdFrame) -> Float[Tensor, "4 4"] | None:
        """The pose of a frame, where known."""
        return None if frame.T_world_camera is None else torch.from_numpy(frame.T_world_camera).float()

    def moments(self) -> list[tuple[str, int]]:
        """By the frames' times, else by the numbers at the end of their names, else in their order; counted
        in usual steps, so that every n-th frame of a recording is a video as well."""
        times = [frame.time for frame in self.frames if frame.time is not None]
        ends = [re.search(r"(\d+)\D*$", frame.id) for frame in self.frames]
        numbers = [int(end[1]) for end in ends if end]
        known = next((p for p in (times, numbers) if len(set(p)) == len(self)), range(len(self)))
        return [(self.scene, step) for step in usual_steps(known)]

    def views(self, frames: Sequence[int]) -> dict[str, Tensor]:
        """Images, and poses and times where all frames have them; no depth map is read."""
        found = []
        for frame in (self.frames[index] for index in frames):
            known = {
                "image": read_image(frame.image),
                "T_world_camera": self._pose(frame),
                "time": frame.time,
            }
            found.append({key: value for key, value in known.items() if value is not None})
        return stack_views(found)

    def describe(self) -> dict[str, Any]:
        """Frames and camera."""
        return {
            **super().describe(),
            "scene": self.scene,
            "frames": brief([frame.id for frame in self.frames]),
            "K": self.K.tolist(),
        }

    def files(self) -> Iterable[Path]:
        """Images and depth maps."""
        return [path for frame in self.frames for path in (frame.image, frame.depth)]
