"""The labelled NYU images in their official container."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import check_metres
from mdepth.datasets.nyu.mat import check_mat, read_indices, read_intrinsics, strings
from mdepth.datasets.nyu.raw import color_K
from mdepth.datasets.sample import DepthDataset, Sample, brief, make_sample
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["Labelled"]

FARTHEST = 100.0  # m: the official depths end at 10, those of exported roads at 80


class Labelled(DepthDataset):
    """The 1449 labelled pairs of ``nyu_depth_v2_labeled.mat``.

    The file is HDF5 with MATLAB's axes reversed: (1449, 3, 640, 480). They are transposed back; a rotation,
    as in some ports, would mirror the picture. The split file counts from 1.

    Args:
        path: the .mat file.
        splits: the official ``splits.mat``; needed unless ``split`` is "all".
        split: "train" (795), "test" (654) or "all".
        depth: "filled" (``depths``) or "raw" (``rawDepths``, 0 where the sensor saw nothing).
        instances: add instance ids, ``label * 256 + instance``.
        K: intrinsics where the images are not 480x640 and the file does not say (``intrinsics``).

    Raises:
        DataError: not an HDF5 file, truncated, keys missing, wrong shapes or dtypes, split out of range; from
            an item, depth that is NaN, infinite, negative or beyond 100 m.
    """

    name = "nyu-labelled"

    def __init__(
        self,
        path: Path | str,
        splits: Path | str | None = None,
        split: str = "all",
        *,
        depth: str = "filled",
        instances: bool = False,
        K: Float[Tensor, "3 3"] | None = None,
    ) -> None:
        if depth not in ("filled", "raw"):
            raise ValueError(f"depth must be 'filled' or 'raw', got {depth!r}")
        self.path, self.split, self.depth, self.instances = Path(path).expanduser(), split, depth, instances
        self._depth_key = {"filled": "depths", "raw": "rawDepths"}[depth]
        self._handle: tuple[int, Any] | None = None
        needed = ["images", self._depth_key, *(["labels", "instances"] if instances else [])]
        count, size = check_mat(self._file(), self.path, needed)
        self.numbers = read_indices(splits, split, count)
        file = self._file()
        stored = None if K is not None else read_intrinsics(file)
        self.K = color_K(size, K if stored is None else torch.from_numpy(stored), self.path)
        self.scenes = strings(file, "scenes", count)

    def _file(self) -> Any:
        """The open file, one handle a process: HDF5 handles do not survive a fork."""
        if self._handle is None or self._handle[0] != os.getpid():
            import h5py

            try:
                self._handle = (os.getpid(), h5py.File(self.path, "r"))
            except FileNotFoundError:
                raise DataError(
                    f"{self.path}: the file does not exist; data/README.md says where to get it"
                ) from None
            except OSError as error:
                raise DataError(
                    f"{self.path}: is not a readable HDF5 file ({error}); the official file has "
                    "2,972,037,809 bytes "
                    "(md5 520609c519fba3ba5ac58c8fefcc3530), download it again"
                ) from None
        return self._handle[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def scene_names(self) -> list[str]:
        """The scene of every item, without reading one."""
        return [self.scenes[number - 1] for number in self.numbers]

    def _read(self, key: str, i: int) -> np.ndarray:
        """What an array holds for image ``i``."""
        try:
            return self._file()[key][i]
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{self.path}: {key} of image {i + 1} cannot be read ({error}); the file is damaged, get it "
                "again"
            ) from None

    def __getitem__(self, index: int) -> Sample:
        number = self.numbers[self.item_index(index)]  # counts from 1
        i = number - 1
        image = self._read("images", i)
        pixels = torch.from_numpy(image).transpose(1, 2).contiguous().float().div_(255)  # 3 W H -> 3 H W
        metres = check_metres(
            self._read(self._depth_key, i), FARTHEST, f"{self.path}, {self._depth_key}, {number}"
        )
        depth = torch.from_numpy(metres).T.contiguous()[None]  # W H -> 1 H W
        instances = None
        if self.instances:
            codes = self._read("labels", i).astype(np.int64) * 256 + self._read("instances", i)
            instances = torch.from_numpy(codes.T.copy())[None]
        scene = self.scenes[i]
        return make_sample(
            pixels, depth, self.K.clone(), id=f"nyu/{scene}/{number:04d}", scene=scene, instances=instances
        )

    def describe(self) -> dict[str, Any]:
        """Split, kind of depth and the official numbers."""
        return {
            **super().describe(),
            "split": self.split,
            "depth": self.depth,
            "numbers": brief(self.numbers),
        }

    def files(self) -> Iterable[Path]:
        """The .mat file."""
        return [self.path]
