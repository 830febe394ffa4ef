"""What the labelled NYU file and its split file hold: checks and small readers for
``mdepth.datasets.nyu``."""

from pathlib import Path
from typing import Any

import numpy as np

from mdepth.datasets.files import read_matlab
from mdepth.shapes import DataError

__all__ = ["check_mat", "read_indices", "read_intrinsics", "strings"]

_DTYPES = {"images": "u1", "depths": "f4", "rawDepths": "f4", "labels": "u2", "instances": "u1"}


def check_mat(file: Any, path: Path, needed: list[str]) -> tuple[int, tuple[int, int]]:
    """The number of images and their (height, width), once keys, shapes and dtypes are as they should be.

    Args:
        file: the open HDF5 file.
        path: named in messages.
        needed: the keys that will be read.

    Raises:
        DataError: a key is missing, or has another shape or dtype.
    """
    absent = [key for key in needed if not hasattr(file.get(key), "shape")]
    if absent:
        raise DataError(
            f"{path}: the keys {absent} are missing (found {sorted(file)}); expected nyu_depth_v2_labeled.mat"
        )
    shape = file["images"].shape
    if len(shape) != 4 or shape[1] != 3:
        raise DataError(f"{path}: images must be (N, 3, W, H), MATLAB's axes reversed, found {shape}")
    for key in needed:
        expected = shape if key == "images" else (shape[0], *shape[2:])
        found = file[key]
        if found.shape != expected or found.dtype != np.dtype(_DTYPES[key]):
            raise DataError(
                f"{path}: {key} must be {np.dtype(_DTYPES[key])} of shape {expected}, found {found.dtype} of "
                f"shape {found.shape}"
                + ("; 8-bit depth has no metric scale" if found.dtype == np.uint8 and "epths" in key else "")
            )
    return shape[0], (shape[3], shape[2])


def read_indices(splits: Path | str | None, split: str, count: int) -> list[int]:
    """The official numbers of a split, counting from 1.

    Args:
        splits: ``splits.mat`` (MATLAB 5) with ``trainNdxs`` and ``testNdxs``; not read for "all".
        split: "train", "test" or "all".
        count: the number of images that the labelled file holds.

    Raises:
        ValueError: unknown split.
        DataError: the file is missing, has other keys, or counts beyond ``count``.
    """
    if split not in ("train", "test", "all"):
        raise ValueError(f"split must be 'train', 'test' or 'all', got {split!r}")
    if split == "all":
        return list(range(1, count + 1))
    if splits is None:
        raise DataError(
            f"split={split!r} needs the official splits.mat (2626 bytes, md5 "
            "08e3c3aea27130ac7c01ffd739a4535f); pass its path"
        )
    content = read_matlab(Path(splits), "the official splits.mat")
    key = f"{split}Ndxs"
    if key not in content:
        raise DataError(
            f"{splits}: the key {key} is missing; expected the official splits.mat with trainNdxs and "
            "testNdxs"
        )
    found = np.ravel(content[key])
    if found.dtype.kind not in "uif" or not np.isfinite(found).all():
        raise DataError(
            f"{splits}: {key} must hold numbers, found {found.dtype}; get the official file again"
        )
    numbers = [int(number) for number in found]
    if not numbers or min(numbers) < 1 or max(numbers) > count:
        raise DataError(
            f"{splits}: {key} must count from 1 to {count}, found {len(numbers)} numbers "
            f"{f'from {min(numbers)} to {max(numbers)}' if numbers else ''}; it belongs to another file or "
            "counts from 0"
        )
    return numbers


def strings(file: Any, key: str, count: int) -> list[str]:
    """A cell array of strings, stored as references to UTF-16 codes; "unknown" for every image where the key
    is missing.

    Raises:
        DataError: another number of strings than ``count``, or something else than strings.
    """
    if key not in file:
        return ["unknown"] * count
    try:
        codes = [np.ravel(file[reference]).astype("<u2") for reference in np.ravel(file[key])]
        found = [code.tobytes().decode("utf-16-le") for code in codes]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(
            f"{file.filename}: {key} must be a cell array of strings ({error}); get the file again"
        ) from None
    if len(found) != count:
        raise DataError(f"{file.filename}: {key} holds {len(found)} strings for {count} images; get it again")
    return found


def read_intrinsics(file: Any) -> np.ndarray | None:
    """``intrinsics`` (3, 3), which exported files have and the official one has not.

    Raises:
        DataError: it is there and no K.
    """
    if "intrinsics" not in file:
        return None
    K = np.array(file["intrinsics"]).T
    if K.shape != (3, 3) or K.dtype.kind != "f" or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise DataError(
            f"{file.filename}: intrinsics must be 3x3 numbers with positive focal lengths, found "
            f"{K.tolist()}; export the file again, or pass K=..."
        )
    return K
