"""The NYU camera, and unprocessed Kinect frames: decoding and registration to the colour image.

The numbers are those of the data set's toolbox, whose pixels count from 1: the principal points here are one
less. Ports disagree on the sign and order of the toolbox's transform between the two cameras. Of the
readings, the one below brings a raw frame to within 5 mm (median) of the same frame as others have registered
it; the opposite sign, the untransposed rotation or no rotation are off by 20 to 65 mm.
"""

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from mdepth.datasets.files import read_pgm
from mdepth.datasets.registration import register_depth
from mdepth.shapes import DataError, Float, Tensor

__all__ = [
    "COLOR_K", "DEPTH_K", "T_COLOR_DEPTH", "color_K", "pair_raw", "read_raw_depth", "register_raw_depth",
]  # fmt: skip

SENSOR_RANGE = 10.5  # m; the toolbox clips at 10


def _intrinsics(fx: float, fy: float, cx: float, cy: float) -> Float[Tensor, "3 3"]:
    """K from the toolbox's numbers, whose pixels count from 1."""
    return torch.tensor([[fx, 0.0, cx - 1.0], [0.0, fy, cy - 1.0], [0.0, 0.0, 1.0]])


COLOR_K = _intrinsics(518.85790, 519.46961, 325.58245, 253.73617)
DEPTH_K = _intrinsics(582.62448, 582.69103, 313.04476, 238.44390)

DEPTH_DISTORTION = (-0.09990, 0.39065, 1.9291e-3, -1.9422e-3, -0.51032)  # k1, k2, p1, p2, k3

# Points of the depth camera into the colour camera, in metres.
T_COLOR_DEPTH = np.array(
    [
        [0.999978, -0.0050360, -0.0043197, -0.0250319],
        [0.0050518, 0.9999805, 0.0036662, 0.00029342],
        [0.0043011, -0.0036880, 0.9999839, -0.00066239],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def color_K(size: Sequence[int], K: Tensor | None, path: Path) -> Float[Tensor, "3 3"]:
    """The given K, or the toolbox's for a 480x640 image.

    Raises:
        DataError: another size and no K; ``path`` is named.
    """
    if K is not None:
        return K.float().clone()
    if tuple(size) != (480, 640):
        raise DataError(
            f"{path}: is {size[0]}x{size[1]}, but NYU's intrinsics hold for 480x640 only; pass K=... for "
            "this image size"
        )
    return COLOR_K.clone()


def read_raw_depth(path: Path | str) -> Float[Tensor, "1 H W"]:
    """An unprocessed Kinect depth frame (16-bit PGM with swapped bytes) in metres, not registered to the
    colour image.

    ``depth = 351.3 / (1092.5 - raw)``, clipped to [0, 10] m; codes above 1092 (2047: no reading) give 0.

    Raises:
        DataError: no 16-bit PGM, or bytes that are not swapped (codes above 2047).
    """
    path = Path(path)
    raw = read_pgm(path, swapped=True)
    if raw.max() > 2047:
        raise DataError(
            f"{path}: raw Kinect codes end at 2047, found {raw.max()}; the bytes of this file are not "
            "swapped, or it is no raw frame"
        )
    depth = 351.3 / (1092.5 - torch.from_numpy(raw.astype(np.float32)))
    return depth.clamp(0, 10)[None]


def _undistort(depth: np.ndarray) -> np.ndarray:
    """The depth map that a camera without lens distortion sees; nearest neighbour, 0 outside.

    Every pixel of the result looks up where Brown's model (radial k1, k2, k3, tangential p1, p2) puts its
    ray.
    """
    K = DEPTH_K.numpy().astype(np.float64)
    k1, k2, p1, p2, k3 = DEPTH_DISTORTION
    height, width = depth.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = (columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    u = np.rint((x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) * K[0, 0] + K[0, 2]).astype(int)
    v = np.rint((y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) * K[1, 1] + K[1, 2]).astype(int)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    return np.where(inside, depth[v.clip(0, height - 1), u.clip(0, width - 1)], 0).astype(np.float32)


def register_raw_depth(depth: Float[Tensor, "1 H W"]) -> Float[Tensor, "1 H W"]:
    """A raw depth map (``read_raw_depth``) as the colour camera sees it: undistorted, moved, z-buffered.

    Readings clipped at 10 m are left out. Pixels that only the colour camera sees stay 0; the colour image's
    own (small) distortion is left in.
    """
    metres = depth[0].numpy()
    undistorted = _undistort(np.where(metres < 10, metres, 0))
    K_depth, K_color = DEPTH_K.numpy().astype(np.float64), COLOR_K.numpy().astype(np.float64)
    return torch.from_numpy(register_depth(undistorted, K_depth, K_color, T_COLOR_DEPTH))[None]


def pair_raw(names: Iterable[str]) -> list[tuple[str, str]]:
    """Depth frames of a raw recording with the image nearest in time, as (depth, image) in order of time.

    The two cameras of a Kinect run on their own. Where one image is the nearest of several depth frames, all
    of these are left out: one image cannot have several depths. Equally near, the earlier image is taken.

    Args:
        names: the files of a scene, ``d-<seconds>-<ticks>.pgm`` and ``r-<seconds>-<ticks>.ppm``, in any
            order; other names (``a-...dump`` of the accelerometer) are left out.

    Raises:
        DataError: there are depth frames, but no image.

    Source: Eigen et al. 2014, text on NYU.

    Example:
        >>> pair_raw(["r-10.0-1.ppm", "r-10.1-2.ppm", "d-10.02-3.pgm", "d-10.09-4.pgm", "d-10.12-5.pgm"])
        [('d-10.02-3.pgm', 'r-10.0-1.ppm')]
    """
    matches = [match for name in names if (match := _RAW_NAME.fullmatch(name))]
    depths, images = (
        sorted((float(match["time"]), match[0]) for match in matches if match["kind"] == kind)
        for kind in "dr"
    )
    if depths and not images:
        raise DataError(
            f"{depths[0][1]}: expected images r-<time>-<ticks>.ppm beside it, found none; get the scene again"
        )
    times = [time for time, _ in images]
    nearest = [images[_nearest(times, time)][1] for time, _ in depths]
    served = Counter(nearest)
    pairs = zip((name for _, name in depths), nearest, strict=True)
    return [(depth, image) for depth, image in pairs if served[image] == 1]


def _nearest(times: list[float], time: float) -> int:
    """Index of the entry of a sorted list that is nearest; of two the first."""
    after = bisect(times, time)
    return min(range(max(0, after - 1), min(len(times), after + 1)), key=lambda i: abs(times[i] - time))


_RAW_NAME = re.compile(r"(?P<kind>[dr])-(?P<time>\d+\.\d+)-\d+\.(pgm|ppm)")
