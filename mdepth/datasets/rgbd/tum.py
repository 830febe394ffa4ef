"""TUM RGB-D recordings (Sturm et al., IROS 2012): Kinect depth registered to colour, poses from motion
capture.

The official layout has ``rgb.txt``, ``depth.txt`` and ``groundtruth.txt``, whose timestamps do not agree:
every image takes the depth map nearest in time, and both within 0.02 s of a pose. A numbered layout
(``rgb/1.png``, ``depth/1.png``, ``ground_truth.json``, ``camera_intrinsics.yaml``) is read too.
"""

import json
from pathlib import Path

import numpy as np

from mdepth.datasets.files import codes_to_depth, read_codes, read_text
from mdepth.datasets.rgbd.frames import RgbdFrame, RgbdFrames, camera_matrix, pose_matrix
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["Tum", "associate"]

UNIT = 1 / 5000  # metres per code
SENSOR_RANGE = 65535 * UNIT  # 13.1 m, what 16 bits hold
# Focal lengths and principal points that the data set's page gives for its three cameras.
CAMERAS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}


def associate(first: np.ndarray, second: np.ndarray, largest: float = 0.02) -> list[tuple[int, int]]:
    """Pairs of indices of two sorted lists of times, each first with its nearest second at most ``largest``
    seconds away.

    A second that would serve several firsts serves the nearest of them.

    Example:
        >>> associate(np.array([0.0, 0.10, 0.11]), np.array([0.01, 0.105]))
        [(0, 0), (1, 1)]
    """
    if not len(second):
        return []
    right = np.searchsorted(second, first).clip(0, len(second) - 1)
    left = (right - 1).clip(0)
    nearest = np.where(np.abs(first - second[left]) <= np.abs(first - second[right]), left, right)
    best: dict[int, tuple[float, int]] = {}
    for i, j in enumerate(nearest):
        gap = round(abs(first[i] - second[j]), 9)  # times have six decimals
        if gap <= largest and (int(j) not in best or gap < best[int(j)][0]):
            best[int(j)] = (gap, i)
    return sorted((i, j) for j, (_, i) in best.items())


class Tum(RgbdFrames):
    """One recording.

    Args:
        folder: the recording, named for example ``rgbd_dataset_freiburg1_desk``; the name decides the camera.
        K: (fx, fy, cx, cy), needed where the name does not tell and no camera_intrinsics.yaml is there.
        largest_gap: seconds between image, depth map and pose.

    Raises:
        DataError: neither layout, malformed lists, unknown camera, files missing.
    """

    name = "tum"

    def __init__(
        self,
        folder: Path | str,
        K: tuple[float, float, float, float] | None = None,
        largest_gap: float = 0.02,
    ) -> None:
        folder = Path(folder).expanduser()
        if (folder / "ground_truth.json").exists():
            frames = _numbered_frames(folder)
        else:
            frames = _timed_frames(folder, largest_gap)
        super().__init__(folder, frames, camera_matrix(*K) if K is not None else _camera(folder))

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """uint16, 5000 a metre."""
        return codes_to_depth(read_codes(path), UNIT, path, SENSOR_RANGE)


def _camera(folder: Path) -> np.ndarray:
    """K from camera_intrinsics.yaml, else from the recording's name."""
    path = folder / "camera_intrinsics.yaml"
    if path.exists():
        import yaml

        try:
            K = np.array(yaml.safe_load(read_text(path))["intrinsics"], dtype=np.float64).reshape(3, 3)
            if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
                raise ValueError(f"found {K.tolist()}")
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: expected the entry intrinsics with 3x3 numbers, fx and fy positive ({error}); see "
                "data/README.md"
            ) from None
        return K
    known = next((camera for name, camera in CAMERAS.items() if name in folder.name), None)
    if known is None:
        raise DataError(
            f"{folder}: the camera is unknown (name without freiburg1/2/3, no camera_intrinsics.yaml); pass "
            "K=(fx, fy, cx, cy)"
        )
    return camera_matrix(*known)


def _rows(path: Path, words: int) -> list[list[str]]:
    """The lines of a list, comments left out, each with its number of words."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        row = line.split("#")[0].split()
        if row and len(row) != words:
            raise DataError(
                f"{path}, line {number}: expected {words} words, found {line[:60]!r}; download the recording "
                "again"
            )
        if row:
            rows.append(row)
    return rows


def _times(rows: list[list[str]], path: Path) -> np.ndarray:
    """The first word of each row as seconds, which must not go back."""
    try:
        times = np.array([float(row[0]) for row in rows])
    except ValueError as error:
        raise DataError(f"{path}: {error}; expected a time in seconds at the start of each line") from None
    if not (np.diff(times) >= 0).all():  # false for NaN too
        i = int(np.argmin(np.diff(times) >= 0)) + 1
        raise DataError(f"{path}: the time {rows[i][0]} comes after {rows[i - 1][0]}; sort the lines by time")
    return times


def _timed_frames(folder: Path, largest: float) -> list[RgbdFrame]:
    """Frames of the official layout: colour with depth, and with a pose where one is near in time."""
    images, depths = _rows(folder / "rgb.txt", 2), _rows(folder / "depth.txt", 2)
    image_times, depth_times = _times(images, folder / "rgb.txt"), _times(depths, folder / "depth.txt")
    pairs = associate(image_times, depth_times, largest)
    truth = folder / "groundtruth.txt"
    poses = _rows(truth, 8) if truth.exists() else []
    pose_times = _times(poses, truth)
    frames = []
    for i, j in pairs:
        k = int(np.abs(pose_times - image_times[i]).argmin()) if poses else -1
        near = k >= 0 and abs(pose_times[k] - image_times[i]) <= largest
        T = pose_matrix(poses[k][1:], f"{truth}, time {poses[k][0]}") if near else None
        name = Path(images[i][1])
        frames.append(RgbdFrame(folder / name, folder / depths[j][1], name.stem, T, float(image_times[i])))
    return frames


def _numbered_frames(folder: Path) -> list[RgbdFrame]:
    """Frames of the numbered layout, sorted by number."""
    path = folder / "ground_truth.json"
    try:
        entries = json.loads(read_text(path))
        return [
            RgbdFrame(
                folder / e["rgb"],
                folder / e["depth"],
                key,
                np.array(e["transformation"], dtype=np.float64).reshape(4, 4),
            )
            for key, e in sorted(entries.items(), key=lambda item: int(item[0]))
        ]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: expected rgb, depth and a 4x4 transformation for each frame ({error!r}); copy it again"
        ) from None
