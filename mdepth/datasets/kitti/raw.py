"""The raw KITTI recordings: colour stereo, LiDAR, poses, calibration, in the layout of the official archives.

``<root>/<day>/calib_*.txt`` and ``<root>/<day>/<drive>/{image_02,image_03}/data/<10 digits>.png|jpg``,
``velodyne_points/data/<10 digits>.bin``, ``oxts/data/<10 digits>.txt``; annotated depth in
``proj_depth/groundtruth/image_02|03`` inside the drive (where monodepth2 expects it) or under
``<root>/train|val/<drive>`` (as the archive unpacks).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from mdepth.datasets.files import codes_to_depth, read_codes, read_image
from mdepth.datasets.kitti.calibration import Calibration, read_calibration
from mdepth.datasets.kitti.oxts import T_map_imu, read_oxts
from mdepth.datasets.kitti.splits import SIDES, Frame, parse_split
from mdepth.datasets.kitti.velodyne import CONFLICTS, read_scan, velodyne_depth
from mdepth.datasets.sample import DepthDataset, Sample, brief, make_sample
from mdepth.datasets.timeline import stack_views
from mdepth.datasets.transforms import resize
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["Raw"]

ANNOTATED_UNIT = 1 / 256  # metres per code of the annotated depth PNGs
SENSOR_RANGE = 256.0  # what 16 bits hold; the LiDAR itself ends near 120 m
IMAGES = (".png", ".jpg")


class Raw(DepthDataset):
    """Frames of the raw set with LiDAR or annotated depth.

    ``K`` is the rectified camera's; ``T_world_camera`` is there when the drive has oxts files and the day its
    IMU calibration, in the frame of the rectified camera 0 of the drive's first packet. The depth of
    ``mode="official"`` with ``vel_depth=True`` is what published numbers on the Eigen split were computed
    against.

    Args:
        root: the folder that holds the days.
        split: the lines of a split, or ``Frame`` objects; None takes every frame of ``side`` that has its
            depth.
        side: "l" or "r", used when there is no split (whose lines name the side).
        depth: "velodyne", "annotated", or None for images only (depth 0 everywhere).
        mode: "official" or "corrected" projection of the LiDAR.
        vel_depth: LiDAR forward distance instead of the camera's z.
        conflicts: which of several LiDAR points in one pixel stays (``velodyne_depth``): "nearest", or
            "closest-in-time", which needs ``mode="corrected"``.
        stereo: add the other camera's image as ``image_right`` and the shift to it as ``T_right_left``.
        size: (height, width) to resize to; sparse depth is carried over point by point, the nearest point of
            a pixel wins; by the rule "closest-in-time" the scan is projected into the smaller image itself.
        missing: "error" or "skip" for frames of the split whose files are not there.

    Raises:
        DataError: no frame found, a line that cannot be parsed, files missing, calibration malformed.

    Source: Geiger et al., Vision meets Robotics: The KITTI Dataset, IJRR 2013.
    """

    name = "kitti-raw"

    def __init__(
        self,
        root: Path | str,
        split: Sequence[str] | Sequence[Frame] | None = None,
        side: str = "l",
        *,
        depth: str | None = "velodyne",
        mode: str = "official",
        vel_depth: bool = False,
        conflicts: str = "nearest",
        stereo: bool = False,
        size: tuple[int, int] | None = None,
        missing: str = "error",
    ) -> None:
        if depth not in ("velodyne", "annotated", None):
            raise ValueError(f"depth must be 'velodyne', 'annotated' or None, got {depth!r}")
        if side not in SIDES:
            raise ValueError(f"side must be 'l' or 'r', got {side!r}")
        if missing not in ("error", "skip"):
            raise ValueError(f"missing must be 'error' or 'skip', got {missing!r}")
        if conflicts not in CONFLICTS or (
            conflicts != "nearest" and (depth, mode) != ("velodyne", "corrected")
        ):
            raise ValueError(
                "conflicts must be 'nearest', or 'closest-in-time' with depth='velodyne' and "
                f"mode='corrected', got {conflicts!r}, {depth!r} and {mode!r}"
            )
        self.root, self.conflicts = Path(root).expanduser(), conflicts
        self.depth, self.mode, self.vel_depth, self.stereo, self.size = depth, mode, vel_depth, stereo, size
        self._calibrations: dict[str, Calibration] = {}  # by day
        self._first_packets: dict[Path, Path] = {}  # by the drive's folder of packets
        if split is None:
            frames, missing = self._discover(SIDES[side]), "skip"
        else:
            frames = parse_split([str(item) for item in split])
        self.frames = [frame for frame in frames if self._absent(frame) is None]
        self.skipped = len(frames) - len(self.frames)
        if self.skipped and (missing == "error" or not self.frames):
            absent = next(frame for frame in frames if self._absent(frame))
            raise DataError(
                f"{self._absent(absent)}: missing, named by the split line '{absent}' ({self.skipped} of "
                f"{len(frames)} frames lack "
                "a file); download the drive, or pass missing='skip' to use what is there"
            )

    def _discover(self, camera: int) -> list[Frame]:
        """Every frame of a camera under the root."""
        if not self.root.is_dir():
            raise DataError(f"{self.root}: is not a folder; expected KITTI raw days such as 2011_09_26 in it")
        found = self.root.glob(f"????_??_??/*_drive_????_*/image_{camera:02d}/data/??????????.*")
        images = sorted(i for i in found if i.stem.isdigit() and i.suffix in IMAGES)
        if not images:
            raise DataError(
                f"{self.root}: holds no <day>/<drive>/image_{camera:02d}/data/<10 digits>.png or .jpg; see "
                "data/README.md"
            )
        frames = (Frame(i.parents[3].name, i.parents[2].name, int(i.stem), camera) for i in images)
        return list(dict.fromkeys(frames))  # a frame that is there as png and as jpg counts once

    # ---- where things lie ----

    def folder(self, frame: Frame) -> Path:
        """The drive's folder."""
        return self.root / frame.day / frame.drive

    def image_path(self, frame: Frame, camera: int | None = None) -> Path:
        """The image, png or jpg; where neither exists, the png's path."""
        stem = self.folder(frame) / f"image_{camera or frame.camera:02d}" / "data" / f"{frame.frame:010d}"
        return next((p for s in IMAGES if (p := stem.with_suffix(s)).exists()), stem.with_suffix(".png"))

    def depth_path(self, frame: Frame) -> Path | None:
        """The scan or the annotated depth map of a frame; where it does not exist, the first place it is
        looked for."""
        if self.depth is None:
            return None
        if self.depth == "velodyne":
            return self.folder(frame) / "velodyne_points" / "data" / f"{frame.frame:010d}.bin"
        inside = Path("proj_depth") / "groundtruth" / f"image_{frame.camera:02d}" / f"{frame.frame:010d}.png"
        drives = [self.folder(frame), *(self.root / part / frame.drive for part in ("train", "val", "."))]
        return next((p for drive in drives if (p := drive / inside).exists()), drives[0] / inside)

    def _paths(self, frame: Frame) -> list[Path]:
        """The files that a sample is read from, apart from calibration and poses."""
        other = [self.image_path(frame, 5 - frame.camera)] if self.stereo else []
        depth = self.depth_path(frame)
        return [self.image_path(frame), *other, *([depth] if depth else [])]

    def _absent(self, frame: Frame) -> Path | None:
        """The first file of a frame that is not there."""
        return next((path for path in self._paths(frame) if not path.exists()), None)

    # ---- the sample ----

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def scene_names(self) -> list[str]:
        """The scene (drive) of every item, without reading one."""
        return [frame.drive for frame in self.frames]

    def __getitem__(self, index: int) -> Sample:
        return self.load(self.frames[self.item_index(index)])

    def load(self, frame: Frame) -> Sample:
        """The sample of any frame of the set, also one outside the split (a neighbour in time, say)."""
        calibration = self._calibration(frame.day)
        image = read_image(self.image_path(frame))
        sample = make_sample(
            image,
            self._depth(frame, calibration, (image.shape[1], image.shape[2])),
            torch.from_numpy(calibration.K(frame.camera)).float(),
            id=frame.id,
            scene=frame.drive,
            T_world_camera=self._pose(frame, calibration),
        )
        if self.stereo:
            sample["image_right"] = read_image(self.image_path(frame, 5 - frame.camera))
            T = calibration.T_right_left()
            sample["T_right_left"] = torch.from_numpy(T if frame.camera == 2 else np.linalg.inv(T)).float()
        if self.size is None:
            return sample
        small = resize(sample, *self.size, sparse=True)
        if self.conflicts != "nearest":  # the rule holds for the pixels of the smaller image
            small["depth"] = self._lidar(frame, calibration, self.size)
            small["valid"] = small["depth"] > 0
        return cast(Sample, small)

    def _calibration(self, day: str) -> Calibration:
        """A day's calibration, read once."""
        if day not in self._calibrations:
            self._calibrations[day] = read_calibration(self.root / day)
        return self._calibrations[day]

    # ---- its neighbours in time ----

    def moments(self) -> list[tuple[str, int]]:
        """Drive with camera, and the number of the frame."""
        return [(f"{frame.drive}/image_{frame.camera:02d}", frame.frame) for frame in self.frames]

    def neighbour(self, index: int, offset: int) -> Frame | None:
        """The frame of the same drive and camera whose number is ``offset`` more, if its image is there,
        whether or not the split names it; its depth need not be there."""
        frame = self.frames[self.item_index(index)]
        other = replace(frame, frame=frame.frame + offset)
        return other if other.frame >= 0 and self.image_path(other).exists() else None

    def views(self, frames: Sequence[Frame]) -> dict[str, Tensor]:
        """Images in the size of the samples, and poses where all frames have one."""
        return stack_views([self._view(frame) for frame in frames])

    def _view(self, frame: Frame) -> dict[str, Tensor]:
        """Image and pose of a frame."""
        view = {"image": read_image(self.image_path(frame))}
        view = view if self.size is None else resize(view, *self.size)
        pose = self._pose(frame, self._calibration(frame.day))
        return view if pose is None else {**view, "T_world_camera": pose}

    def view_files(self, frames: Sequence[Frame]) -> Iterable[Path]:
        """The images of frames that the split does not name."""
        inside = set(self.frames)
        return [self.image_path(frame) for frame in frames if frame not in inside]

    # ---- depth and pose ----

    def _depth(self, frame: Frame, calibration: Calibration, size: tuple[int, int]) -> Float[Tensor, "1 H W"]:
        """The depth map in the image's pixels."""
        path = self.depth_path(frame)
        if path is None:
            return torch.zeros(1, *size)
        if self.depth == "annotated":
            depth = codes_to_depth(read_codes(path), ANNOTATED_UNIT, path, SENSOR_RANGE)
        else:
            depth = self._lidar(frame, calibration)
        if depth.shape[1:] != size:
            raise DataError(
                f"{self.image_path(frame)}: is {size[0]}x{size[1]}, but its depth is "
                f"{depth.shape[1]}x{depth.shape[2]} "
                f"({path.name}, calibration of {frame.day}); image, depth and calibration must belong "
                "together"
            )
        return depth

    def _lidar(
        self, frame: Frame, calibration: Calibration, size: tuple[int, int] | None = None
    ) -> Float[Tensor, "1 H W"]:
        """The scan's depth map, in the calibrated pixels or in those of another size."""
        scan = read_scan(cast(Path, self.depth_path(frame)))
        options: dict[str, Any] = {"vel_depth": self.vel_depth, "conflicts": self.conflicts, "size": size}
        return torch.from_numpy(velodyne_depth(scan, calibration, frame.camera, self.mode, **options))[None]

    def _pose(self, frame: Frame, calibration: Calibration) -> Float[Tensor, "4 4"] | None:
        """The camera's pose in the frame of camera 0 at the drive's first packet; None without oxts or IMU
        calibration."""
        folder = self.folder(frame) / "oxts" / "data"
        path = folder / f"{frame.frame:010d}.txt"
        if calibration.T_velo_imu is None or not path.exists():
            return None
        if folder not in self._first_packets:
            self._first_packets[folder] = min(folder.glob("??????????.txt"))
        first = read_oxts(self._first_packets[folder])
        T_map_world = T_map_imu(first, first[0]) @ np.linalg.inv(calibration.T_camera_imu(0))
        T_map_camera = T_map_imu(read_oxts(path), first[0]) @ np.linalg.inv(
            calibration.T_camera_imu(frame.camera)
        )
        T = np.linalg.solve(T_map_world, T_map_camera)
        T[3] = 0, 0, 0, 1
        return torch.from_numpy(T).float()

    # ---- what it is ----

    def describe(self) -> dict[str, Any]:
        """Frames, kind of depth and size; nothing of the machine."""
        options = {
            name: getattr(self, name)
            for name in ("depth", "mode", "vel_depth", "conflicts", "stereo", "skipped")
        }
        return {
            **super().describe(),
            **options,
            "size": self.size,
            "frames": brief([str(frame) for frame in self.frames]),
        }

    def files(self) -> Iterable[Path]:
        """Images, depth and calibration."""
        for day in sorted({frame.day for frame in self.frames}):
            yield from sorted((self.root / day).glob("calib_*.txt"))
        for frame in self.frames:
            yield from self._paths(frame)
