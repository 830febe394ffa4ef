"""Camera poses and motion from KITTI's GPS/IMU unit ("oxts"): one text file of 30 numbers a frame.

Latitude and longitude become metres on a Mercator map scaled at the first frame's latitude; roll, pitch and
yaw turn the unit. All poses are then given relative to the rectified grey camera 0 of the drive's first
frame, which is the frame of KITTI's odometry poses as well.

Where the car stands, every frame is the last one again. Eigen et al. 2014 leave such shots out, "stationary"
by an acceleration below a threshold that they do not print, and later lists of frames keep some. The rule of
``moving`` is our own.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mdepth.datasets.files import read_numbers
from mdepth.datasets.kitti.splits import Frame
from mdepth.shapes import DataError

__all__ = [
    "ACCELERATION", "EARTH_RADIUS", "SPEED", "T_map_imu", "moving", "read_motion", "read_oxts",
    "rotation_from_angles",
]  # fmt: skip

EARTH_RADIUS = 6378137.0  # m, as in KITTI's development kit
SPEED = 0.5  # m/s: 5 cm from one frame to the next
ACCELERATION = 0.5  # m/s^2: a car that sets off is above it, a standing one with its engine on is not


def _read_packet(path: Path) -> np.ndarray:
    """All 30 numbers."""
    values = read_numbers(path, (-1,))
    if values.size != 30:
        raise DataError(
            f"{path}: expected 30 numbers of a GPS/IMU packet, found {values.size}; download the drive again"
        )
    return values


def read_oxts(path: Path) -> np.ndarray:
    """The six numbers that make the pose: latitude, longitude (degrees), altitude (m), roll, pitch, yaw
    (radians).

    Raises:
        DataError: missing file, no numbers, or not 30 of them.
    """
    return _read_packet(path)[:6]


def read_motion(path: Path) -> tuple[float, float]:
    r"""Speed in m/s and acceleration in m/s^2, both along the ground, of a packet.

    .. math:: \sqrt{v_f^2 + v_l^2}, \quad \sqrt{a_f^2 + a_l^2}

    with f forward and l to the left; what points upwards holds gravity and the road's bumps, and is left out.

    Raises:
        DataError: missing file, no numbers, or not 30 of them.
    """
    packet = _read_packet(path)
    return float(np.hypot(packet[8], packet[9])), float(np.hypot(packet[14], packet[15]))


def moving(
    root: Path, frames: Iterable[Frame], *, speed: float = SPEED, acceleration: float = ACCELERATION
) -> list[Frame]:
    """The frames in which the car does not stand, in their order; both cameras of a frame go together.

    The car stands where speed **and** acceleration (``read_motion``) are below their thresholds. Acceleration
    alone, of which the paper speaks, would also leave out smooth driving at any speed. A frame without a
    packet counts as moving.

    Args:
        root: the folder that holds the days.
        frames: of a split, for example ``read_split``'s.
        speed: m/s.
        acceleration: m/s^2.

    Raises:
        DataError: a packet is malformed.

    Source: Eigen et al. 2014, text on KITTI; the thresholds are not printed there and are ours.
    """
    chosen, known = [], dict[Path, bool]()
    for frame in frames:
        path = root / frame.day / frame.drive / "oxts" / "data" / f"{frame.frame:010d}.txt"
        if path not in known:
            v, a = read_motion(path) if path.exists() else (np.inf, np.inf)
            known[path] = v >= speed or a >= acceleration
        if known[path]:
            chosen.append(frame)
    return chosen


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
