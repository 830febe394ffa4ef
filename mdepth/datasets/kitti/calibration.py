"""KITTI's calibration files, and the chain from LiDAR and GPS unit to a rectified camera.

Coordinates: the LiDAR looks along x with y to the left and z up; the GPS/IMU unit ("oxts") likewise; cameras
look along z with x to the right and y down. Cameras 0 and 1 are grey, 2 (left) and 3 (right) colour.
``P_rect_0c`` maps points of the rectified camera 0 to pixels of camera c; its first three columns are K, and
its last column says where the camera sits: ``K^{-1} P_rect[:, 3]`` is the shift of points from camera 0 to
camera c.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdepth.datasets.files import read_text
from mdepth.shapes import DataError

__all__ = ["Calibration", "read_calibration", "read_calibration_file"]

CAMERAS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Calibration:
    """One day's calibration; every array is float64.

    ``P_rect`` (3, 4) and ``size`` (height, width) by camera; ``R_rect_00`` (4, 4) rotates camera 0 into its
    rectified frame; ``T_cam0_velo`` and ``T_velo_imu`` are (4, 4), the latter None where
    calib_imu_to_velo.txt is missing.
    """

    P_rect: dict[int, np.ndarray]
    size: dict[int, tuple[int, int]]
    R_rect_00: np.ndarray
    T_cam0_velo: np.ndarray
    T_velo_imu: np.ndarray | None = None

    def K(self, camera: int) -> np.ndarray:
        """(3, 3) intrinsics of the rectified images of a camera, in pixels."""
        return self.P_rect[camera][:, :3]

    def T_camera_cam0(self, camera: int) -> np.ndarray:
        """(4, 4): points of the rectified camera 0 into the rectified camera ``camera`` (a pure shift)."""
        T = np.eye(4)
        T[:3, 3] = np.linalg.solve(self.K(camera), self.P_rect[camera][:, 3])
        return T

    def T_camera_velo(self, camera: int) -> np.ndarray:
        """(4, 4): LiDAR points into a rectified camera."""
        return self.T_camera_cam0(camera) @ self.R_rect_00 @ self.T_cam0_velo

    def P_velo(self, camera: int) -> np.ndarray:
        """(3, 4): LiDAR points to (u z, v z, z) of a camera, the product in the order of the official
        evaluation."""
        return self.P_rect[camera] @ self.R_rect_00 @ self.T_cam0_velo

    def T_right_left(self) -> np.ndarray:
        """(4, 4): points of the left colour camera (2) into the right one (3)."""
        return self.T_camera_cam0(3) @ np.linalg.inv(self.T_camera_cam0(2))

    def T_camera_imu(self, camera: int) -> np.ndarray:
        """(4, 4): points of the GPS/IMU unit into a rectified camera.

        Raises:
            DataError: calib_imu_to_velo.txt was not there.
        """
        if self.T_velo_imu is None:
            raise DataError(
                "calib_imu_to_velo.txt is missing: poses need it; it is in the same archive as the other two"
            )
        return self.T_camera_velo(camera) @ self.T_velo_imu


def read_calibration_file(path: Path) -> dict[str, np.ndarray]:
    """The ``key: numbers`` lines of a calibration file; the line ``calib_time`` is left out.

    Raises:
        DataError: the file is missing, or a line has no colon or no numbers.
    """
    entries = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        key, colon, values = line.partition(":")
        if not colon:
            raise DataError(
                f"{path}, line {number}: expected 'key: numbers', found {line[:40]!r}; get the file again"
            )
        if key.strip() == "calib_time":
            continue
        try:
            entries[key.strip()] = np.array(values.split(), dtype=np.float64)
        except ValueError:
            found = values.strip()[:40]
            raise DataError(
                f"{path}, line {number}: {key} must be numbers, found {found!r}; get the file again"
            ) from None
    return entries


def _matrix(path: Path, entries: dict[str, np.ndarray], key: str, shape: tuple[int, ...]) -> np.ndarray:
    """One entry in its shape, or an error that names file and key."""
    if key not in entries:
        raise DataError(f"{path}: the entry {key} is missing; download the day's calibration archive again")
    values = entries[key]
    if values.size != int(np.prod(shape)) or not np.isfinite(values).all():
        raise DataError(
            f"{path}: {key} must hold {int(np.prod(shape))} finite numbers, found {values.size}; get the "
            "file again"
        )
    return values.reshape(shape)


def _rotation(path: Path, entries: dict[str, np.ndarray], key: str) -> np.ndarray:
    """An entry that must be a rotation, to the digits that the files give."""
    R = _matrix(path, entries, key, (3, 3))
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-3) or np.linalg.det(R) < 0:
        raise DataError(f"{path}: {key} must be a rotation, found {R.tolist()}; get the file again")
    return R


def camera_part(P: np.ndarray, path: Path, key: str) -> np.ndarray:
    """K, the first three columns of a projection (3, 4), once it is that of a camera.

    Raises:
        DataError: names file and key.
    """
    K = P[:, :3]
    if not np.isfinite(P).all() or K[0, 0] <= 0 or K[1, 1] <= 0 or not np.array_equal(K[2], [0, 0, 1]):
        raise DataError(
            f"{path}: {key} must have positive focal lengths and the last row 0 0 1, found {K.tolist()}; get "
            "the file again"
        )
    return K


def _rigid(path: Path) -> np.ndarray:
    """The (4, 4) matrix of a file that holds R and T."""
    entries = read_calibration_file(path)
    T = np.eye(4)
    T[:3, :3] = _rotation(path, entries, "R")
    T[:3, 3] = _matrix(path, entries, "T", (3,))
    return T


def read_calibration(folder: Path) -> Calibration:
    """Read a day's folder: calib_cam_to_cam.txt, calib_velo_to_cam.txt and, where present,
    calib_imu_to_velo.txt.

    Args:
        folder: for example ``raw/2011_09_26``.

    Raises:
        DataError: a file or entry is missing or malformed.
    """
    path = folder / "calib_cam_to_cam.txt"
    entries = read_calibration_file(path)
    P_rect = {camera: _matrix(path, entries, f"P_rect_{camera:02d}", (3, 4)) for camera in CAMERAS}
    for camera, P in P_rect.items():
        camera_part(P, path, f"P_rect_{camera:02d}")
    sizes = {camera: _matrix(path, entries, f"S_rect_{camera:02d}", (2,)).astype(int) for camera in CAMERAS}
    R_rect_00 = np.eye(4)
    R_rect_00[:3, :3] = _rotation(path, entries, "R_rect_00")
    imu = folder / "calib_imu_to_velo.txt"
    return Calibration(
        P_rect=P_rect,
        size={camera: (int(size[1]), int(size[0])) for camera, size in sizes.items()},
        R_rect_00=R_rect_00,
        T_cam0_velo=_rigid(folder / "calib_velo_to_cam.txt"),
        T_velo_imu=_rigid(imu) if imu.exists() else None,
    )
