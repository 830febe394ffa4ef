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
"""

from pathlib import Path

import numpy as np

from mdepth.datasets.kitti.calibration import Calibration
from mdepth.datasets.registration import z_buffer
from mdepth.shapes import DataError

__all__ = ["read_scan", "velodyne_depth"]


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


def velodyne_depth(
    scan: np.ndarray,
    calibration: Calibration,
    camera: int = 2,
    mode: str = "official",
    *,
    vel_depth: bool = False,
) -> np.ndarray:
    """The sparse depth map that a LiDAR scan gives in a camera.

    Args:
        scan: (N, 4) or (N, 3) float32 points (``read_scan``).
        calibration: the day's calibration.
        camera: 2 left, 3 right.
        mode: "official" for the maps behind published numbers, "corrected" for correct geometry (see the
            module).
        vel_depth: store the LiDAR's forward distance x instead of the camera's z; the official ground truth
            has it on.

    Returns:
        (H, W) float32 metres, 0 where no point falls. An empty scan gives an empty map.

    Raises:
        ValueError: unknown mode or camera.

    Source: KITTI evaluation code distributed with monodepth and monodepth2, re-derived from its description.
    """
    if mode not in ("official", "corrected"):
        raise ValueError(f"mode must be 'official' or 'corrected', got {mode!r}")
    if camera not in calibration.P_rect:
        raise ValueError(f"camera must be one of {sorted(calibration.P_rect)}, got {camera!r}")
    height, width = calibration.size[camera]
    if mode == "official":
        scan = scan.compress(scan[:, 0] >= 0, axis=0)  # five times faster than scan[mask]
    projection = calibration.P_velo(camera)
    columns, rows, z = _project(scan, projection)
    depth = scan[:, 0] if vel_depth else z
    if mode == "official":
        return _official_map(columns, rows, depth, height, width)
    return z_buffer(columns, rows, np.where(z > 0, depth, 0), height, width)


def _project(scan: np.ndarray, projection: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel coordinates u, v and depth z of each point, float64; z = 0 gives infinite coordinates, which fall
    outside."""
    u, v, z = image = projection[:, :3] @ scan[:, :3].T.astype(np.float64)  # 3 N: (u z, v z, z)
    image += projection[:, 3:]
    with np.errstate(divide="ignore", invalid="ignore"):
        image[:2] /= z  # in place: most of the time goes into fresh memory
    return u, v, z


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
