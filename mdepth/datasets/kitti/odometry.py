"""A sequence of KITTI's odometry set: images and ground-truth poses, without depth.

Two layouts: the official one, ``sequences/06/{image_0,image_2,...}/000000.png`` with ``calib.txt`` ("P0: 12
numbers") and ``poses/06.txt`` beside ``sequences``; and a plain one, ``image_l/000000.png`` with
``calib.txt`` (12 numbers a line, camera by camera) and ``poses.txt`` in one folder.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import IMAGE_SUFFIXES, read_image, read_numbers, read_text, require_files
from mdepth.datasets.kitti.calibration import camera_part
from mdepth.datasets.sample import DepthDataset, Sample, make_sample
from mdepth.shapes import DataError

__all__ = ["Odometry", "read_poses"]

_FOLDERS = {0: ("image_0", "image_l"), 1: ("image_1", "image_r"), 2: ("image_2",), 3: ("image_3",)}


def read_poses(path: Path) -> np.ndarray:
    """A file of poses, 12 numbers a line, as (N, 4, 4) ``T_world_camera`` of the rectified camera 0.

    Raises:
        DataError: missing, or not 12 numbers a line.
    """
    rows = read_numbers(path, (-1, 3, 4))
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = rows
    return poses


class Odometry(DepthDataset):
    """One sequence; ``depth`` is 0 everywhere, ``T_world_camera`` is there when the sequence has poses.

    Args:
        folder: the sequence's folder.
        camera: 0 and 1 grey (repeated over three channels), 2 and 3 colour.
        poses: the file of poses; found by itself in the two layouts of the module.

    Raises:
        DataError: no images, malformed calibration, fewer poses than images.
    """

    name = "kitti-odometry"

    def __init__(self, folder: Path | str, camera: int = 0, poses: Path | str | None = None) -> None:
        if camera not in _FOLDERS:
            raise ValueError(f"camera must be 0, 1, 2 or 3, got {camera!r}")
        self.folder, self.camera = Path(folder).expanduser(), camera
        names = _FOLDERS[camera]
        images = next((f for name in names if (f := self.folder / name).is_dir()), self.folder / names[0])
        present = require_files(images, "??????.*", f"images of camera {camera}")
        by_frame = {i.stem: i for i in present if i.stem.isdigit() and i.suffix in IMAGE_SUFFIXES}
        if not by_frame:
            raise DataError(
                f"{images}: holds no image named by six digits; see data/README.md for the layout"
            )
        self.images = list(by_frame.values())
        self.K, shift = self._calibration()
        found = [Path(poses).expanduser()] if poses else self._pose_files()
        self.pose_files = found[:1]
        self.poses = read_poses(found[0]) @ np.linalg.inv(shift) if found else None
        last = int(self.images[-1].stem)
        if self.poses is not None and len(self.poses) <= last:
            raise DataError(
                f"{found[0]}: holds {len(self.poses)} poses, but the last image is number {last}; they "
                "belong to another sequence"
            )

    def _pose_files(self) -> list[Path]:
        """Where poses may lie."""
        places = [self.folder / "poses.txt", self.folder.parent.parent / "poses" / f"{self.folder.name}.txt"]
        return [place for place in places if place.exists()]

    def _calibration(self) -> tuple[torch.Tensor, np.ndarray]:
        """K of the camera, and ``T_camera_cam0``."""
        path = self.folder / "calib.txt"
        lines = [line for line in read_text(path).splitlines() if line.strip()]
        named = {line.split(":")[0]: line.split(":")[1] for line in lines if ":" in line}
        text = (
            named.get(f"P{self.camera}", "")
            if named
            else (lines[self.camera] if self.camera < len(lines) else "")
        )
        try:
            P = np.array(text.split(), dtype=np.float64).reshape(3, 4)
        except ValueError:
            raise DataError(
                f"{path}: expected 12 numbers for camera {self.camera} ('P{self.camera}: ...'), found "
                f"{text[:40]!r}"
            ) from None
        T = np.eye(4)
        T[:3, 3] = np.linalg.solve(camera_part(P, path, f"P{self.camera}"), P[:, 3])
        return torch.from_numpy(P[:, :3].copy()).float(), T

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path = self.images[self.item_index(index)]
        image = read_image(path)
        number = int(path.stem)
        pose = None if self.poses is None else torch.from_numpy(self.poses[number]).float()
        identity = f"{self.folder.name}/{path.parent.name}/{path.stem}"
        depth = torch.zeros(1, *image.shape[1:])
        return make_sample(
            image, depth, self.K.clone(), id=identity, scene=self.folder.name, T_world_camera=pose
        )

    def moments(self) -> list[tuple[str, int]]:
        """The numbers that the images are named by."""
        return [(self.folder.name, int(path.stem)) for path in self.images]

    def describe(self) -> dict[str, Any]:
        """Sequence and camera."""
        return {
            **super().describe(),
            "sequence": self.folder.name,
            "camera": self.camera,
            "poses": self.poses is not None,
        }

    def files(self) -> Iterable[Path]:
        """Images, calibration and poses."""
        return [*self.images, self.folder / "calib.txt", *self.pose_files]
