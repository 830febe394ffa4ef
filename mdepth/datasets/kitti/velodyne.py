"""LiDAR scans, and the depth maps made of them: as the official evaluation makes them, and as geometry asks.

Every published KITTI number on the 697 Eigen test images was computed against depth maps with four
peculiarities. They are reproduced here (``mode="official"``) because numbers are compared through them, and
each is absent from ``mode="corrected"``:

1. The pixel is ``round(u) - 1``: the code was written for Matlab's pixel (1, 1), while the calibration counts
   from 0, so depth sits one pixel up and left.
2. Points behind the LiDAR (x < 0) are dropped, instead of points behind the camera.
3. Where points share a pixel the nearest stays, but pixels are told apart by ``v (W - 1) + u - 1``, which is
   the same for the last pixel of a row and the first of the next. When both are hit, the one hit by the
   earlier point gets the smaller depth and the other keeps its last point.
4. The exported ground truth stores the LiDAR's x (forward distance from the roof, ``vel_depth=True``), about
   0.29 m more than the camera's z.

Training on LiDAR asks another question, which of several points that share a pixel to keep: the nearest, or
the one measured closest in time to the image (Eigen et al. 2014), see ``velodyne_depth``.
"""

from pathlib import Path

import numpy as np

from mdepth.datasets.kitti.calibration import Calibration
from mdepth.datasets.registration import z_buffer
from mdepth.shapes import DataError

__all__ = ["CONFLICTS", "capture_times", "read_scan", "velodyne_depth"]

CONFLICTS = ("nearest", "closest-in-time")
TURN = 0.1032  # s, of one turn in drive 0002 of 2011_09_26: timestamps_end less timestamps_start


def read_scan(path: Path) -> np.ndarray:
    """One LiDAR scan, (N, 4) float32: x forward, y left, z up in metres, and reflectance.

    Raises:
        DataError: missing, empty, not a whole number of points, or NaN.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); not every frame has a scan, check the drive's "
            "download"
        ) from None
    if len(data) == 0 or len(data) % 16:
        raise DataError(
            f"{path}: expected 16 bytes a point (x, y, z, reflectance as float32), found {len(data)} bytes; "
            "truncated?"
        )
    scan = np.frombuffer(data, dtype="<f4").reshape(-1, 4)
    if not np.isfinite(scan).all():
        raise DataError(f"{path}: holds NaN or infinite coordinates; download the drive again")
    return scan


def capture_times(scan: np.ndarray, turn: float = TURN) -> np.ndarray:
    r"""When every point was measured, in seconds from the moment at which the scanner looks straight ahead.

    .. math:: t = T\,\mathrm{atan2}(y, x) / (2 \pi)

    The scanner turns evenly and counter-clockwise as seen from above, from behind the car to behind the car,
    so what lies to the left is measured later. It triggers the cameras as it looks ahead: t is also the time
    from the image. (The recorded times agree: ``velodyne_points/timestamps.txt`` is the middle of each turn's
    start and end. The images' own recorded times are 10 ms later; that is left out of account.)

    Args:
        scan: (N, 4) or (N, 3) points.
        turn: seconds T that one turn takes.

    Returns:
        (N,) float64 within -turn / 2 ... turn / 2; 0 for a point on the axis itself.

    Source: Geiger et al., Vision meets Robotics: The KITTI Dataset, IJRR 2013, on trigger and direction.

    Example:
        >>> capture_times(np.array([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, -5.0, 0.0]]), turn=0.1)
        array([ 0.   ,  0.025, -0.025])
    """
    x, y = scan[:, 0].astype(np.float64), scan[:, 1].astype(np.float64)
    return turn * np.arctan2(y, x) / (2 * np.pi)


def velodyne_depth(
    scan: np.ndarray,
    calibration: Calibration,
    camera: int = 2,
    mode: str = "official",
    *,
    vel_depth: bool = False,
    conflicts: str = "nearest",
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """The sparse depth map that a LiDAR scan gives in a camera.

    Of several points in one pixel one stays: the nearest, or the one measured closest in time to the image,
    that with the smallest ``abs(capture_times(scan))`` (Eigen et al. 2014, text on KITTI). Scanner and camera
    are not in one place: seen from the camera, a far point may lie behind a near one that the scanner passed
    earlier or later. In a smaller image more points share a pixel.

    Args:
        scan: (N, 4) or (N, 3) float32 points (``read_scan``).
        calibration: the day's calibration.
        camera: 2 left, 3 right.
        mode: "official" for the maps behind published numbers, "corrected" for correct geometry (see the
            module).
        vel_depth: store the LiDAR's forward distance x instead of the camera's z; the official ground truth
            has it on.
        conflicts: "nearest", or "closest-in-time" (of equals the nearest); the latter with "corrected" only.
        size: (height, width) of an image that was resized from the calibrated one, by the half-pixel rule;
            with "corrected" only.

    Returns:
        (H, W) float32 metres, 0 where no point falls. An empty scan gives an empty map.

    Raises:
        ValueError: unknown mode, camera or rule; rule or size with mode "official".

    Source: KITTI evaluation code distributed with monodepth and monodepth2, re-derived from its description.
    """
    if mode not in ("official", "corrected"):
        raise ValueError(f"mode must be 'official' or 'corrected', got {mode!r}")
    if camera not in calibration.P_rect:
        raise ValueError(f"camera must be one of {sorted(calibration.P_rect)}, got {camera!r}")
    if conflicts not in CONFLICTS:
        raise ValueError(f"conflicts must be 'nearest' or 'closest-in-time', got {conflicts!r}")
    if mode == "official" and (conflicts != "nearest" or size is not None):
        raise ValueError(
            "the official map has its own rule and size: conflicts and size need mode='corrected'"
        )
    height, width = calibration.size[camera]
    if mode == "official":
        scan = scan.compress(scan[:, 0] >= 0, axis=0)  # five times faster than scan[mask]
    projection = calibration.P_velo(camera)
    columns, rows, z = _project(scan, projection)
    depth = scan[:, 0] if vel_depth else z
    if mode == "official":
        return _official_map(columns, rows, depth, height, width)
    if size is not None:
        columns, rows = (columns + 0.5) * size[1] / width - 0.5, (rows + 0.5) * size[0] / height - 0.5
        height, width = size
    depth = np.where(z > 0, depth, 0)
    if conflicts == "nearest":
        return z_buffer(columns, rows, depth, height, width)
    return _closest_in_time(columns, rows, depth, np.abs(capture_times(scan)), height, width)


def _project(scan: np.ndarray, projection: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel coordinates u, v and depth z of each point, float64; z = 0 gives infinite coordinates, which fall
    outside."""
    u, v, z = image = projection[:, :3] @ scan[:, :3].T.astype(np.float64)  # 3 N: (u z, v z, z)
    image += projection[:, 3:]
    with np.errstate(divide="ignore", invalid="ignore"):
        image[:2] /= z  # in place: most of the time goes into fresh memory
    return u, v, z


def _closest_in_time(
    columns: np.ndarray, rows: np.ndarray, depth: np.ndarray, wait: np.ndarray, height: int, width: int
) -> np.ndarray:
    """The depth with the least wait of those that fall on each pixel, pixels as in ``z_buffer``."""
    inside = (
        (depth > 0) & (columns >= -0.5) & (columns < width - 0.5) & (rows >= -0.5) & (rows < height - 0.5)
    )
    columns, rows, depth, wait = columns[inside], rows[inside], depth[inside], wait[inside]
    order = np.lexsort((-depth, -wait))  # longest wait first: of repeated assignments NumPy keeps the last
    u, v = (np.floor(values[order] + 0.5).astype(np.intp) for values in (columns, rows))
    result = np.zeros((height, width), dtype=np.float32)
    result[v, u] = depth[order]
    return result


def _official_map(
    columns: np.ndarray, rows: np.ndarray, depth: np.ndarray, height: int, width: int
) -> np.ndarray:
    """Peculiarities 1 and 3 of the module's list, without the official loop over duplicates; the coordinates
    are rounded where they lie.
    """
    u, v = np.rint(columns, out=columns), np.rint(rows, out=rows)  # half to even, as NumPy's round
    u -= 1
    v -= 1
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v, depth = u[inside].astype(np.intp), v[inside].astype(np.intp), depth[inside].astype(np.float32)
    result = np.zeros((height, width), dtype=np.float32)
    if not depth.size:
        return result
    depth = np.maximum(depth, 0)
    result[v, u] = depth  # of repeated assignments NumPy keeps the last
    index = v * (width - 1) + u - 1
    order = np.argsort(index, kind="stable")  # points of one index together, in their order
    starts = np.flatnonzero(np.diff(index[order], prepend=-2))
    first = order[starts]
    result[v[first], u[first]] = np.minimum.reduceat(depth[order], starts)
    return result
