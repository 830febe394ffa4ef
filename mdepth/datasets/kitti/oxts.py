"""Camera poses from KITTI's GPS/IMU unit ("oxts"): one text file of 30 numbers a frame.

Latitude and longitude become metres on a Mercator map scaled at the first frame's latitude; roll, pitch and
yaw turn the unit. All poses are then given relative to the rectified grey camera 0 of the drive's first
frame, which is the frame of KITTI's odometry poses as well.
"""

from pathlib import Path

import numpy as np

from mdepth.datasets.files import read_numbers
from mdepth.shapes import DataError

__all__ = ["EARTH_RADIUS", "T_map_imu", "read_oxts", "rotation_from_angles"]

EARTH_RADIUS = 6378137.0  # m, as in KITTI's development kit


def read_oxts(path: Path) -> np.ndarray:
    """The six numbers that make the pose: latitude, longitude (degrees), altitude (m), roll, pitch, yaw
    (radians).

    Raises:
        DataError: missing file, no numbers, or not 30 of them.
    """
    values = read_numbers(path, (-1,))
    if values.size != 30:
        raise DataError(
            f"{path}: expected 30 numbers of a GPS/IMU packet, found {values.size}; download the drive again"
        )
    return values[:6]


def rotation_from_angles(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3): ``R_z(yaw) R_y(pitch) R_x(roll)``, from the unit's frame (x forward, y left, z up) to east,
    north, up.

    Example:
        >>> rotation_from_angles(0.0, 0.0, np.pi / 2).round(6) @ [1.0, 0.0, 0.0]     # heading north
        array([0., 1., 0.])
    """
    cx, cy, cz = np.cos([roll, pitch, yaw])
    sx, sy, sz = np.sin([roll, pitch, yaw])
    R_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    R_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    R_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return R_z @ R_y @ R_x


def T_map_imu(packet: np.ndarray, first_latitude: float) -> np.ndarray:
    """(4, 4): points of the GPS/IMU unit into the map (east, north, up; metres).

    Args:
        packet: the six numbers of ``read_oxts``.
        first_latitude: degrees, of the drive's first frame; fixes the map's scale.
    """
    latitude, longitude, altitude, roll, pitch, yaw = packet
    scale = np.cos(np.radians(first_latitude)) * EARTH_RADIUS
    T = np.eye(4)
    T[:3, :3] = rotation_from_angles(roll, pitch, yaw)
    T[:3, 3] = scale * np.radians(longitude), scale * np.log(np.tan(np.radians(90 + latitude) / 2)), altitude
    return T
