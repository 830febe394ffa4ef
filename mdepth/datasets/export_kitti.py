"""The raw KITTI layout, written: calibration, images, LiDAR scans, GPS/IMU packets. The inverse of
``mdepth.datasets.kitti``."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mdepth.datasets.files import to_bytes
from mdepth.datasets.kitti.calibration import Calibration
from mdepth.datasets.kitti.oxts import EARTH_RADIUS, T_map_imu
from mdepth.datasets.kitti.splits import Frame
from mdepth.datasets.sample import Sample

__all__ = ["points_of_depth", "write_kitti_raw"]

BASELINE = 0.54  # m, where a sample has no right image
FRAME_RATE = 10.0  # Hz
_START = np.array([49.0, 8.4, 115.0])  # latitude, longitude, altitude of a drive's first packet
# Camera axes (x right, y down, z forward) of LiDAR axes (x forward, y left, z up).
_AXES = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def make_calibration(sample: Sample) -> Calibration:
    """A calibration for the sample's camera: cameras 0 and 2 in one place, 1 and 3 a baseline to the right,
    LiDAR and IMU about where KITTI has them."""
    K = sample["K"].double().numpy()
    height, width = sample["image"].shape[1:]
    shift = float(sample["T_right_left"][0, 3]) if "T_right_left" in sample else -BASELINE
    left = np.concatenate([K, np.zeros((3, 1))], axis=1)
    right = np.concatenate([K, K @ [[shift], [0.0], [0.0]]], axis=1)
    T_cam0_velo, T_velo_imu = np.eye(4), np.eye(4)
    T_cam0_velo[:3, :3], T_cam0_velo[:3, 3] = _AXES, (0.0, -0.08, -0.27)
    T_velo_imu[:3, 3] = -0.81, 0.32, -0.80
    size = (int(height), int(width))
    return Calibration(
        {0: left, 1: right, 2: left, 3: right},
        dict.fromkeys(range(4), size),
        np.eye(4),
        T_cam0_velo,
        T_velo_imu,
    )


def _write_calibration(calibration: Calibration, folder: Path) -> None:
    """The day's three files."""

    def line(key: str, values: np.ndarray) -> str:
        return f"{key}: {' '.join(f'{value:.17g}' for value in np.ravel(values))}\n"

    folder.mkdir(parents=True)
    text = "calib_time: 01-Jan-2011 00:00:00\n" + line("R_rect_00", calibration.R_rect_00[:3, :3])
    for camera, P in calibration.P_rect.items():
        text += line(f"S_rect_{camera:02d}", np.array(calibration.size[camera][::-1])) + line(
            f"P_rect_{camera:02d}", P
        )
    (folder / "calib_cam_to_cam.txt").write_text(text)
    for name, T in (("velo_to_cam", calibration.T_cam0_velo), ("imu_to_velo", calibration.T_velo_imu)):
        if T is not None:
            (folder / f"calib_{name}.txt").write_text(line("R", T[:3, :3]) + line("T", T[:3, 3]))


def points_of_depth(depth: np.ndarray, calibration: Calibration, mode: str) -> np.ndarray:
    """A LiDAR scan, (N, 4) float32, whose projection into camera 2 under ``mode`` is this depth map.

    Args:
        depth: (H, W) metres, 0 where unknown.
        calibration: of the camera.
        mode: "official" or "corrected".
    """
    known = depth > 0
    offset = 0
    if mode == "official":
        known[:, -1] = False
        offset = 1
    rows, columns = np.nonzero(known)
    z = depth[rows, columns].astype(np.float64)
    pixels = np.stack([columns + offset, rows + offset, np.ones_like(rows)])
    points = np.linalg.inv(calibration.K(2)) @ pixels * z
    T_velo_camera = np.linalg.inv(calibration.T_camera_velo(2))
    scan = np.zeros((z.size, 4), dtype="<f4")
    scan[:, :3] = (T_velo_camera[:3, :3] @ points + T_velo_camera[:3, 3:]).T
    return scan


def _packet(T_map: np.ndarray) -> np.ndarray:
    """The 30 numbers of a GPS/IMU packet for a pose in the map (see ``T_map_imu``); velocities and accuracies
    are 0."""
    scale = np.cos(np.radians(_START[0])) * EARTH_RADIUS
    east, north, up = T_map[:3, 3]
    R = T_map[:3, :3]
    packet = np.zeros(30)
    packet[:3] = 2 * np.degrees(np.arctan(np.exp(north / scale))) - 90, np.degrees(east / scale), up
    packet[3:6] = (
        np.arctan2(R[2, 1], R[2, 2]),
        np.arcsin(np.clip(-R[2, 0], -1, 1)),
        np.arctan2(R[1, 0], R[0, 0]),
    )
    return packet


class _Drive:
    """One drive on disk: knows its place in the map after its first frame."""

    def __init__(self, folder: Path, calibration: Calibration, mode: str) -> None:
        self.folder, self.calibration, self.mode, self.count = folder, calibration, mode, 0
        self.T_map_world: np.ndarray | None = None

    def _write_pose(self, T_world_camera: np.ndarray, name: str) -> None:
        """The packet of a frame; the drive starts at a fixed place, with world -y up and world z to the
        east."""
        T_world_imu = T_world_camera @ self.calibration.T_camera_imu(2)
        if self.T_map_world is None:
            self.T_map_world = np.eye(4)
            self.T_map_world[:3, :3] = _AXES.T
            start = T_map_imu(np.array([*_START, 0.0, 0.0, 0.0]), _START[0])[:3, 3]
            self.T_map_world[:3, 3] = start - _AXES.T @ T_world_imu[:3, 3]
        path = self.folder / "oxts" / "data" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(f"{value:.17g}" for value in _packet(self.T_map_world @ T_world_imu)))

    def add(self, sample: Sample) -> int:
        """Write a frame; returns its number."""
        from PIL import Image

        number, self.count = self.count, self.count + 1
        name = f"{number:010d}"
        images = {2: sample["image"], 3: sample.get("image_right")}
        for camera, image in images.items():
            if image is not None:
                path = self.folder / f"image_{camera:02d}" / "data" / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(to_bytes(image)).save(path)
        scan = self.folder / "velodyne_points" / "data" / f"{name}.bin"
        scan.parent.mkdir(parents=True, exist_ok=True)
        scan.write_bytes(
            points_of_depth(sample["depth"][0].numpy().copy(), self.calibration, self.mode).tobytes()
        )
        if "T_world_camera" in sample:
            self._write_pose(sample["T_world_camera"].double().numpy(), name)
        return number


def write_kitti_raw(samples: Iterable[Sample], root: Path, first: Sample, mode: str, day: str) -> None:
    """Write all samples under ``root``; the drives are numbered from 1 in the order of their scenes."""
    calibration = make_calibration(first)
    _write_calibration(calibration, root / day)
    drives: dict[str, _Drive] = {}
    lines = []
    for sample in samples:
        scene = sample["scene"]
        if scene not in drives:
            drives[scene] = _Drive(root / day / f"{day}_drive_{len(drives) + 1:04d}_sync", calibration, mode)
        number = drives[scene].add(sample)
        lines.append(f"{Frame(day, drives[scene].folder.name, number, 2)}\n")
    (root / "split.txt").write_text("".join(lines))
