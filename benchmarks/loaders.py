"""Samples per second of every loader: on a world exported in the layouts of NYU, KITTI and Make3D, and on
whatever real data there is.

    python benchmarks/loaders.py [--data DIR] [--write]

One process, files in the page cache. A second column gives the time to check a sample against the contract.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from harness import best_seconds, report

from mdepth.datasets import check_sample, export, kitti, make3d, nyu, worlds
from mdepth.datasets.check import find


def exported(folder: Path) -> dict[str, Any]:
    """Rooms as the labelled NYU file (480x640) and as Make3D, roads as raw KITTI (375x1242)."""
    rooms = worlds.load(worlds.World(kind="rooms", split="val", scenes=2, height=480, width=640), cache=False)
    roads = worlds.load(
        worlds.World(kind="roads", split="val", scenes=2, height=375, width=1242), cache=False
    )
    root = export.kitti_raw(roads, folder / "kitti")
    return {
        "nyu.Labelled (exported)": nyu.Labelled(export.nyu_mat(rooms, folder / "nyu.mat")),
        "kitti.Raw official (exported)": kitti.Raw(root),
        "kitti.Raw corrected (exported)": kitti.Raw(root, mode="corrected"),
        "kitti.Raw 192x640 (exported)": kitti.Raw(root, size=(192, 640)),
        "make3d.Make3D (exported)": make3d.Make3D(export.make3d(rooms, folder / "make3d"), crop=False),
    }


def measure(name: str, dataset: Any) -> dict[str, Any]:
    """One row: the loader walks through up to five samples, several times."""
    count = min(5, len(dataset))
    sample = dataset[0]
    ways = {
        "load": lambda: [dataset[i] for i in range(count)],
        "check": lambda: check_sample(sample, require_depth=False),
    }
    best = best_seconds(ways, repeats=5)
    size = "x".join(str(n) for n in sample["image"].shape[1:])
    return {
        "loader": name,
        "size": size,
        "samples_per_second": count / best["load"],
        "check_ms": best["check"] * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("MDEPTH_DATA"))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(name, dataset) for name, dataset in exported(Path(folder)).items()]
    if arguments.data:
        inventory = find(arguments.data)
        keys = (
            "nyu/sync",
            "kitti/raw",
            "kitti/odometry",
            "rgbd/7scenes",
            "rgbd/tum",
            "rgbd/nyu-video",
            "make3d/bounded",
            "stereo/middlebury",
        )
        rows += [measure(key, inventory.open(key)) for key in keys if inventory.has(key)]
    report("loaders", rows, arguments.write)


if __name__ == "__main__":
    main()
