"""LiDAR scan to depth map: the official NumPy way against ``kitti.velodyne_depth``, on real scans where there
are some, else on a synthetic one.

    python benchmarks/velodyne.py [--data DIR] [--write]

Goal: twice as fast as the official way, and identical to it in mode "official".
"""

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np
from harness import best_seconds, report

from mdepth.datasets import kitti
from mdepth.datasets.kitti import Calibration


def official_way(scan: np.ndarray, calibration: Calibration, camera: int) -> np.ndarray:
    """The projection as the evaluation code does it: array operations, then a loop over the pixels that were
    hit twice."""
    height, width = calibration.size[camera]
    points = scan.copy()
    points[:, 3] = 1
    points = points[points[:, 0] >= 0]
    image = (calibration.P_velo(camera) @ points.T).T
    image[:, :2] = image[:, :2] / image[:, 2:]
    image[:, 0] = np.round(image[:, 0]) - 1
    image[:, 1] = np.round(image[:, 1]) - 1
    inside = (image[:, 0] >= 0) & (image[:, 1] >= 0) & (image[:, 0] < width) & (image[:, 1] < height)
    image = image[inside]
    depth = np.zeros((height, width))
    depth[image[:, 1].astype(int), image[:, 0].astype(int)] = image[:, 2]
    index = image[:, 1] * (width - 1) + image[:, 0] - 1
    for value in [value for value, count in Counter(index).items() if count > 1]:
        hits = np.where(index == value)[0]
        depth[int(image[hits[0], 1]), int(image[hits[0], 0])] = image[hits, 2].min()
    depth[depth < 0] = 0
    return depth


def synthetic() -> tuple[Calibration, list[np.ndarray]]:
    """A calibration like KITTI's and a scan of 64 beams that hit walls between 5 and 40 m."""
    rng = np.random.default_rng(0)
    elevation, azimuth = np.meshgrid(np.radians(np.linspace(-24, 2, 64)), np.linspace(-np.pi, np.pi, 1900))
    distance = (20 + 12 * np.sin(5 * azimuth) + rng.normal(0, 0.05, azimuth.shape)).ravel()
    elevation, azimuth = elevation.ravel(), azimuth.ravel()
    directions = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    scan = np.concatenate([(directions * distance).T, np.zeros((distance.size, 1))], axis=1).astype(
        np.float32
    )
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]], (0, -0.08, -0.27)
    P = np.array([[721.5, 0, 609.6, 44.9], [0, 721.5, 172.9, 0.2], [0, 0, 1, 0.003]])
    return Calibration({2: P}, {2: (375, 1242)}, np.eye(4), T), [scan]


def real(data: Path) -> tuple[Calibration, list[np.ndarray]]:
    """The scans of the first day under a data folder."""
    day = next(iter(sorted((data / "kitti" / "raw").glob("????_??_??"))))
    scans = sorted(day.glob("*/velodyne_points/data/*.bin"))[:10]
    return kitti.read_calibration(day), [kitti.read_scan(path) for path in scans]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("MDEPTH_DATA"))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    calibration, scans = real(Path(arguments.data)) if arguments.data else synthetic()
    rows = []
    for number, scan in enumerate(scans):
        expected = official_way(scan, calibration, 2).astype(np.float32)
        ways = {
            "official_ms": lambda s=scan: official_way(s, calibration, 2),
            "ours_ms": lambda s=scan: kitti.velodyne_depth(s, calibration, 2),
            "corrected_ms": lambda s=scan: kitti.velodyne_depth(s, calibration, 2, "corrected"),
        }
        times = {name: seconds * 1e3 for name, seconds in best_seconds(ways).items()}
        identical = bool(np.array_equal(expected, kitti.velodyne_depth(scan, calibration, 2)))
        speedup = times["official_ms"] / times["ours_ms"]
        rows.append(
            {"scan": number, "points": len(scan), **times, "speedup": speedup, "identical": identical}
        )
    report("velodyne", rows, arguments.write)


if __name__ == "__main__":
    main()
