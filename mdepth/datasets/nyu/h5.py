"""Frames in the container of sparse-to-dense (Ma and Karaman 2018), which holds NYU and KITTI alike."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import check_metres, require_files
from mdepth.datasets.nyu.raw import color_K
from mdepth.datasets.sample import DepthDataset, Sample, brief, make_sample
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["H5Frames"]

FARTHEST = 300.0  # m, beyond KITTI's LiDAR


class H5Frames(DepthDataset):
    """Sparse-to-dense's frames: ``rgb`` (3, H, W) uint8 and ``depth`` (H, W) float metres in one .h5 file
    each.

    Args:
        root: folder, searched with its subfolders.
        K: intrinsics, needed unless the frames are NYU's 480x640 (the files hold none).

    Raises:
        DataError: no file, unreadable, keys missing, wrong shape or dtype, depth that is NaN, infinite,
            negative or beyond 300 m.
    """

    name = "h5-frames"

    def __init__(self, root: Path | str, K: Float[Tensor, "3 3"] | None = None) -> None:
        self.root, self.K = Path(root).expanduser(), K
        self.paths = require_files(self.root, "**/*.h5", "sparse-to-dense frames")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[self.item_index(index)]
        rgb, depth = _read_h5(path)
        image = torch.from_numpy(rgb).float().div_(255)
        metres = torch.from_numpy(depth.astype(np.float32))[None]
        scene = path.parent.name
        return make_sample(
            image, metres, color_K(image.shape[1:], self.K, path), id=f"{scene}/{path.stem}", scene=scene
        )

    def describe(self) -> dict[str, Any]:
        """The frames' names."""
        return {
            **super().describe(),
            "frames": brief([f"{path.parent.name}/{path.name}" for path in self.paths]),
        }

    def files(self) -> Iterable[Path]:
        """The .h5 files."""
        return self.paths


def _read_h5(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """``rgb`` and ``depth`` of one frame, checked."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            absent = [key for key in ("rgb", "depth") if not isinstance(file.get(key), h5py.Dataset)]
            if absent:
                raise DataError(
                    f"{path}: the keys {absent} are missing (found {sorted(file)}); expected a "
                    "sparse-to-dense frame"
                )
            rgb, depth = file["rgb"][()], file["depth"][()]
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: is not a readable HDF5 file ({error}); copy or download it again") from None
    if (
        rgb.ndim != 3
        or rgb.shape[0] != 3
        or rgb.dtype != np.uint8
        or depth.shape != rgb.shape[1:]
        or depth.dtype.kind != "f"
    ):
        raise DataError(
            f"{path}: expected rgb (3, H, W) uint8 and depth (H, W) float metres, "
            f"found rgb {rgb.shape} {rgb.dtype} and depth {depth.shape} {depth.dtype}"
        )
    return rgb, check_metres(depth, FARTHEST, f"{path}, depth")
