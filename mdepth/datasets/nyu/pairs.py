"""NYU frames as pairs of an image file and a depth file: BTS's, DenseDepth's, and labelled images exported to
PNG."""

import csv as csv_format
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from mdepth.datasets.files import codes_to_depth, read_codes, read_image, read_text, require_files
from mdepth.datasets.nyu.raw import SENSOR_RANGE, color_K
from mdepth.datasets.sample import DepthDataset, Sample, brief, make_sample
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["DenseDepthCsv", "LabelledPngs", "SyncFolder", "scene_of"]

_MILLIMETRE = 0.001


def scene_of(folder: str) -> str:
    """The official scene that a folder of the raw recordings belongs to: long ones were cut into parts. BTS's
    284 training folders are the 249 training scenes.

    Example:
        >>> scene_of("bathroom_0014a"), scene_of("bathroom_0016")
        ('bathroom_0014', 'bathroom_0016')
    """
    return re.sub(r"(?<=\d)[a-z]$", "", folder)


class _Pairs(DepthDataset):
    """Pairs of an image file and a depth file; subclasses say how depth is read."""

    def __init__(self, pairs: Sequence[tuple[Path, Path]], root: Path, K: Tensor | None) -> None:
        absent = [path for pair in pairs for path in pair if not path.exists()]
        if absent:
            raise DataError(
                f"{absent[0]}: missing ({len(absent)} files of {len(pairs)} pairs); complete the download or "
                "shorten the list"
            )
        if not pairs:
            raise DataError(
                f"{root}: no pair of image and depth found; data/README.md shows the layout of {self.name}"
            )
        self.pairs, self.root, self.K = list(pairs), root, K

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """Depth in metres."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def scene_names(self) -> list[str]:
        """The official scene of every item (``scene_of`` its folder), without reading one."""
        return [scene_of(image.parent.name) for image, _ in self.pairs]

    def __getitem__(self, index: int) -> Sample:
        image_path, depth_path = self.pairs[self.item_index(index)]
        image, depth = read_image(image_path), self.read_depth(depth_path)
        if image.shape[1:] != depth.shape[1:]:
            raise DataError(
                f"{depth_path}: is {tuple(depth.shape[1:])}, but {image_path.name} is "
                f"{tuple(image.shape[1:])}; not a pair"
            )
        scene = image_path.parent.name
        identity = f"{scene}/{image_path.stem}"
        return make_sample(
            image, depth, color_K(image.shape[1:], self.K, image_path), id=identity, scene=scene
        )

    def describe(self) -> dict[str, Any]:
        """The pairs' names."""
        return {
            **super().describe(),
            "images": brief([f"{image.parent.name}/{image.name}" for image, _ in self.pairs]),
        }

    def files(self) -> Iterable[Path]:
        """Images and depth maps."""
        return [path for pair in self.pairs for path in pair]


class SyncFolder(_Pairs):
    """BTS's synchronised frames: ``<scene>/rgb_00045.jpg`` with ``sync_depth_00045.png``, uint16 millimetres
    with holes.

    Args:
        root: a scene, or the folder of scenes.
        split: a BTS list (image, depth, focal length a line); None takes every pair under ``root``.
        scenes: keep only what belongs to these official scenes (``scene_of``).

    Raises:
        DataError: nothing found, a file missing, a line that cannot be parsed, or depth in another unit.
    """

    name = "nyu-sync"

    def __init__(
        self, root: Path | str, split: Path | str | None = None, scenes: Collection[str] | None = None
    ) -> None:
        folder = Path(root).expanduser()
        if split is not None:
            pairs = [(folder / image, folder / depth) for image, depth in _bts_lines(Path(split))]
        else:
            images = require_files(folder, "**/rgb_*.jpg", "synchronised frames")
            pairs = [(i, i.with_name(f"sync_depth_{i.stem.removeprefix('rgb_')}.png")) for i in images]
        if scenes is not None:
            pairs = [pair for pair in pairs if scene_of(pair[0].parent.name) in scenes]
        super().__init__(pairs, folder, None)

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """Millimetres."""
        return codes_to_depth(read_codes(path), _MILLIMETRE, path, SENSOR_RANGE)


def _bts_lines(path: Path) -> list[tuple[str, str]]:
    """Image and depth of every line of a BTS list; the paths may begin with a slash."""
    pairs = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if len(words) not in (0, 3):
            raise DataError(f"{path}, line {number}: expected 'image depth focal', found {line[:80]!r}")
        if words:
            pairs.append((words[0].lstrip("/"), words[1].lstrip("/")))
    return pairs


class DenseDepthCsv(_Pairs):
    """Hu et al.'s frames as DenseDepth passes them on: a csv without header, "image,depth" a line.

    Training depth is an 8-bit PNG with 255 = 10 m (steps of 3.9 cm), test depth a 16-bit PNG in millimetres.
    Reading the latter with 8 bits keeps the high byte only: 10 m become 39 levels.

    Args:
        csv: ``nyu2_train.csv`` or ``nyu2_test.csv``.
        root: the folder that the paths are relative to (that of the unpacked zip).
        split: "train" or "test"; says how depth is coded.

    Raises:
        DataError: a line without two paths, missing files, or PNGs of the other bit depth.
    """

    name = "nyu-densedepth"

    def __init__(self, csv: Path | str, root: Path | str, split: str) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"split must be 'train' or 'test', got {split!r}")
        self.split, folder, pairs = split, Path(root).expanduser(), []
        for number, row in enumerate(csv_format.reader(read_text(Path(csv)).splitlines()), start=1):
            if len(row) not in (0, 2):
                raise DataError(f"{csv}, line {number}: expected 'image,depth', found {','.join(row)[:80]!r}")
            if row:
                pairs.append((folder / row[0].strip(), folder / row[1].strip()))
        super().__init__(pairs, folder, None)

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """Of the split's coding."""
        if self.split == "train":
            return codes_to_depth(read_codes(path, bits=8), 10 / 255, path, SENSOR_RANGE)
        return codes_to_depth(read_codes(path), _MILLIMETRE, path, SENSOR_RANGE)

    def describe(self) -> dict[str, Any]:
        """With the split."""
        return {**super().describe(), "split": self.split}


class LabelledPngs(_Pairs):
    """Labelled images that someone wrote to PNG as uint16 in 1e-4 m; depth above 6.5535 m has wrapped around
    there and cannot be told.

    The common 8-bit copies are normalised per image and hold no metric scale: they are refused.

    Args:
        images: RGB pictures.
        depths: their depth PNGs, in the same order.
    """

    name = "nyu-labelled-png"

    def __init__(self, images: Sequence[Path | str], depths: Sequence[Path | str]) -> None:
        if len(images) != len(depths):
            raise ValueError(
                f"as many depth maps as images are needed, got {len(images)} images and {len(depths)} depth "
                "maps"
            )
        pairs = [(Path(i), Path(d)) for i, d in zip(images, depths, strict=True)]
        super().__init__(pairs, pairs[0][0].parent if pairs else Path(), None)

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """1e-4 m."""
        try:
            codes = read_codes(path)
        except DataError as error:
            if "8 bits" not in str(error):
                raise
            raise DataError(
                f"{path}: holds 8-bit depth, stretched to 0-255 image by image: its metric scale is lost and "
                "cannot be restored. "
                "Use nyu_depth_v2_labeled.mat (nyu.Labelled) or 16-bit PNGs"
            ) from None
        return codes_to_depth(codes, 1e-4, path, SENSOR_RANGE)
