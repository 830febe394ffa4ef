"""Middlebury's classic stereo pairs (Scharstein and Szeliski 2002, 2003), for matching two images against
one.

Each folder holds a left image, a right image and the left disparity as an 8-bit picture: 16, 8 or 4 codes a
pixel, by scene; 0 is unknown. The pairs come without focal length and baseline, so the samples hold no depth
unless both are given; ``disparity`` (pixels) is an extra key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mdepth.datasets.files import read_codes, read_image, require_files
from mdepth.datasets.sample import DepthDataset, Sample, make_sample
from mdepth.geometry import disparity_to_depth
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["SCALES", "Middlebury"]

SCALES = {"tsukuba": 16, "venus": 8, "teddy": 4, "cones": 4}  # codes per pixel of disparity


@dataclass(frozen=True)
class _Pair:
    """The files of a pair; no disparity where none was measured."""

    name: str
    left: Path
    right: Path
    disparity: Path | None


class Middlebury(DepthDataset):
    """Rectified pairs: a point (u, v) of the left image is at (u - disparity, v) in the right one.

    Args:
        root: a pair's folder or the folder of several.
        focal: focal length in pixels; with ``baseline`` it turns disparity into depth.
        baseline: distance of the cameras in metres.

    Raises:
        DataError: no pair, a right image missing, a ground truth whose scale is unknown.
    """

    name = "middlebury"

    def __init__(self, root: Path | str, focal: float | None = None, baseline: float | None = None) -> None:
        if (focal is None) != (baseline is None):
            raise ValueError(f"focal and baseline go together, got focal={focal} and baseline={baseline}")
        if focal is not None and baseline is not None and not min(focal, baseline) > 0:
            raise ValueError(f"focal and baseline must be positive, got {focal:g} and {baseline:g}")
        self.focal, self.baseline = focal, baseline
        lefts = require_files(Path(root).expanduser(), "**/*left*.*", "left images")
        self.pairs = [_pair(left) for left in lefts]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[self.item_index(index)]
        image, right = read_image(pair.left), read_image(pair.right)
        if image.shape != right.shape:
            raise DataError(
                f"{pair.right}: is {tuple(right.shape[1:])}, but the left image is {tuple(image.shape[1:])}"
            )
        disparity = torch.zeros(1, *image.shape[1:]) if pair.disparity is None else _disparity(pair)
        if disparity.shape[1:] != image.shape[1:]:
            raise DataError(
                f"{pair.disparity}: is {tuple(disparity.shape[1:])}, but the image is "
                f"{tuple(image.shape[1:])}"
            )
        depth, K = torch.zeros_like(disparity), torch.eye(3)
        height, width = image.shape[1:]
        K[0, 2], K[1, 2] = (width - 1) / 2, (height - 1) / 2
        shift = torch.eye(4)
        if self.focal is not None and self.baseline is not None:
            depth = disparity_to_depth(disparity, self.focal, self.baseline)
            K[0, 0] = K[1, 1] = self.focal
            shift[0, 3] = -self.baseline
        sample = make_sample(
            image,
            depth,
            K,
            id=f"middlebury/{pair.name}",
            scene=pair.name,
            image_right=right,
            disparity=disparity,
        )
        if self.baseline is not None:
            sample["T_right_left"] = shift
        return sample

    def describe(self) -> dict[str, Any]:
        """Pairs and camera."""
        return {
            **super().describe(),
            "pairs": [pair.name for pair in self.pairs],
            "focal": self.focal,
            "baseline": self.baseline,
        }

    def files(self) -> Iterable[Path]:
        """Images and disparities."""
        return [
            path
            for pair in self.pairs
            for path in (pair.left, pair.right, pair.disparity)
            if path is not None
        ]


def _pair(left: Path) -> _Pair:
    """The pair of a left image."""
    right = left.with_name(left.name.replace("left", "right"))
    if not right.exists():
        raise DataError(f"{right}: missing, but {left.name} is there; a stereo pair needs both")
    truth = next((p for s in (".png", ".pgm") if (p := left.with_name(f"disp_gt{s}")).exists()), None)
    if truth is not None and left.parent.name.lower() not in SCALES:
        raise DataError(
            f"{truth}: the scale of its disparity is unknown (folder {left.parent.name}); known are "
            f"{sorted(SCALES)}"
        )
    return _Pair(left.parent.name, left, right, truth)


def _disparity(pair: _Pair) -> Float[Tensor, "1 H W"]:
    """Pixels, 0 where unknown."""
    if pair.disparity is None:
        raise DataError(f"{pair.name}: has no ground truth (disp_gt.png or .pgm)")
    codes = read_codes(pair.disparity, bits=8)
    return torch.from_numpy(codes).float()[None] / SCALES[pair.name.lower()]
