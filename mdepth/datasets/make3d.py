"""Make3D (Saxena et al., PAMI 2009): tall photographs with a coarse grid of laser depths.

The official layout pairs ``img-<name>.jpg`` (2272 rows, 1704 columns) with ``depth_sph_corr-<name>.mat``,
whose ``Position3DGrid`` (55, 305, 4) holds the laser distance in its fourth channel. The official split is by
folder, as the four archives unpack: 400 photographs for training in ``Train400Img`` with their grids in
``Train400Depth``, 134 for the test in ``Test134`` with theirs in ``Gridlaserdata``. A second layout
(``img.png``, a 16-bit ``depth.png`` of 55x305, ``info.mat`` with the bounds that 0 and 65535 stand for) is
read by ``BoundedDepth``.

Each of the 55x305 measurements is written to the one pixel at the centre of its cell and nothing is invented
in between, so that scores are taken over exactly the measurements; ``dense=True`` fills each cell for looking
and training. Two evaluations are in use:

* That of Laina et al. 2016 takes the whole photograph at 460 x 345 and a grid whose cells are filled, below
  70 m (criterion C1; later papers also take all of it, C2, recalled): ``LainaMake3D``.
* That of Monodepth2 keeps the central rows (half the width: 2:1) and the central 21 rows of the grid, and
  depth below 70 m. It lays 21 rows that measure 867 pixels over a crop of 852: at the upper and lower end a
  measurement sits up to 7 pixels from where it was taken.

Source: the protocol of Monodepth2 as its author described it; Laina et al.'s evaluateMake3D.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import read_codes, read_image, read_matlab, require_files, walk
from mdepth.datasets.sample import DepthDataset, Sample, brief, make_sample
from mdepth.datasets.transforms import center_crop
from mdepth.image import resize
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["CENTRAL_ROWS", "GRID", "SPLITS", "BoundedDepth", "LainaMake3D", "Make3D", "home"]

GRID = (55, 305)
CENTRAL_ROWS = 21  # of the grid, for the central crop
RANGE = 81.0  # m, the laser's reach
SPLITS = {"train": ("Train400Img", "Train400Depth"), "test": ("Test134", "Gridlaserdata")}
"""The folders of a split's photographs and of its grids."""
# The data set gives no calibration. Its toolbox assumes this share of the image's width and height for one
# focal length.
_WIDTH_PER_FOCAL, _HEIGHT_PER_FOCAL = 0.70783777, 0.946584169


def approximate_K(height: int, width: int) -> Float[Tensor, "3 3"]:
    """Intrinsics of the full photograph, from the field of view that the Make3D toolbox assumes (about 2400
    pixels at full size)."""
    fx, fy = width / _WIDTH_PER_FOCAL, height / _HEIGHT_PER_FOCAL
    return torch.tensor([[fx, 0.0, (width - 1) / 2], [0.0, fy, (height - 1) / 2], [0.0, 0.0, 1.0]])


def spread(grid: np.ndarray, height: int, width: int, *, dense: bool = False) -> Float[Tensor, "1 H W"]:
    """A grid of depths on an image's pixels: each value at the centre of its cell, or over its whole cell.

    A pixel belongs to the cell that holds its centre, so that filling is resizing by nearest (half-pixel
    rule).

    Args:
        grid: (h, w) metres, 0 where unknown.
        height: rows of the image, at least h.
        width: columns of the image, at least w.
        dense: fill the cells.

    Example:
        >>> spread(np.array([[5.0, 7.0]]), 1, 6)
        tensor([[[0., 5., 0., 0., 7., 0.]]])
        >>> spread(np.array([[5.0, 7.0, 9.0]]), 1, 4, dense=True)
        tensor([[[5., 7., 7., 9.]]])
    """
    rows, columns = grid.shape
    if dense:
        v = (2 * np.arange(height) + 1) * rows // (2 * height)
        u = (2 * np.arange(width) + 1) * columns // (2 * width)
        return torch.from_numpy(grid[np.ix_(v, u)].astype(np.float32))[None]
    depth = torch.zeros(1, height, width)
    v = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    u = ((np.arange(columns) + 0.5) * width / columns).astype(int)
    depth[0, v[:, None], u] = torch.from_numpy(grid.astype(np.float32))
    return depth


class _Photographs(DepthDataset):
    """Photographs with a depth grid each; subclasses say where they lie."""

    def __init__(self, pairs: list[tuple[str, Path, Path]], crop: bool, dense: bool) -> None:
        self.pairs, self.crop, self.dense = pairs, crop, dense

    def read_grid(self, path: Path) -> np.ndarray:
        """(55, 305) metres."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        name, image_path, depth_path = self.pairs[self.item_index(index)]
        image, grid = read_image(image_path), self.read_grid(depth_path)
        height, width = int(image.shape[1]), int(image.shape[2])
        K = approximate_K(height, width)
        if self.crop:
            if height < width // 2:
                raise DataError(
                    f"{image_path}: is {height}x{width}, too wide for the central crop of {width // 2} rows; "
                    "is it a Make3D photograph? crop=False keeps all of it"
                )
            grid = grid[(GRID[0] - CENTRAL_ROWS) // 2 :][:CENTRAL_ROWS]
            cut = center_crop({"image": image, "K": K}, width // 2, width)
            image, K, height = cut["image"], cut["K"], width // 2
        return make_sample(
            image, spread(grid, height, width, dense=self.dense), K, id=f"make3d/{name}", scene=name
        )

    def describe(self) -> dict[str, Any]:
        """Names and treatment."""
        return {
            **super().describe(),
            "names": brief([name for name, *_ in self.pairs]),
            "crop": self.crop,
            "dense": self.dense,
        }

    def files(self) -> Iterable[Path]:
        """Photographs and grids."""
        return [path for _, *paths in self.pairs for path in paths]


class Make3D(_Photographs):
    """The official layout; photographs are ``.jpg``, as in the archives, or ``.png``, as ``export.make3d``
    writes them.

    Args:
        root: holds ``img-*.jpg`` and ``depth_sph_corr-*.mat``, in any subfolders.
        crop: keep only the central part of photograph and grid; protocols cut it themselves.
        dense: fill the grid's cells.
        split: None for every photograph below ``root`` that there is; ``"train"`` or ``"test"`` for the
            official split, whose two folders (``SPLITS``) must lie in ``root``, photograph and grid in pairs.

    Raises:
        DataError: a folder of the split missing, no photograph, two of one name, a grid without photograph
            (where a split is named), a grid missing, malformed or of another shape.
        ValueError: another split.
    """

    name = "make3d"

    def __init__(
        self, root: Path | str, crop: bool = False, dense: bool = False, split: str | None = None
    ) -> None:
        self.split = split
        super().__init__(_pairs(*_places(Path(root).expanduser(), split)), crop, dense)

    def describe(self) -> dict[str, Any]:
        """Names, treatment and split."""
        return {**super().describe(), "split": self.split}

    def read_grid(self, path: Path) -> np.ndarray:
        """The fourth channel of ``Position3DGrid``."""
        position = read_matlab(path, "a Make3D depth file").get("Position3DGrid")
        if position is None or position.shape != (*GRID, 4) or position.dtype.kind != "f":
            found = "nothing" if position is None else f"{position.dtype} {position.shape}"
            raise DataError(
                f"{path}: expected Position3DGrid of shape (55, 305, 4) in metres, found {found}; download "
                "it again"
            )
        return _checked(position[..., 3], path)


def home(grids: Path) -> Path:
    """The folder to open where grids were found in ``grids``: the one above, if it is a split's folder, for
    the photographs are in another.

    Example:
        >>> home(Path("make3d/Gridlaserdata")).name, home(Path("make3d/mine")).name
        ('make3d', 'mine')
    """
    return grids.parent if grids.name in {folder for _, folder in SPLITS.values()} else grids


def _places(root: Path, split: str | None) -> tuple[Path, Path]:
    """The folders to search for photographs and for grids."""
    if split is None:
        return root, root
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
    photographs, grids = (root / folder for folder in SPLITS[split])
    for folder in (photographs, grids):
        if not folder.is_dir():
            raise DataError(
                f"{folder}: is not a folder; the {split} split is read from {photographs.name} (photographs) "
                f"and {grids.name} (grids), side by side; unpack both archives there, or leave the split out"
            )
    return photographs, grids


def _pairs(photographs: Path, grids: Path) -> list[tuple[str, Path, Path]]:
    """(name, photograph, grid) of every photograph, in the order of the photographs' paths."""
    images: dict[str, Path] = {}
    for image in require_files(photographs, "**/img-*.*", "Make3D photographs"):
        name = image.stem.removeprefix("img-")
        if name in images:
            raise DataError(
                f"{image}: has the name of {images[name]}, and so one grid would belong to both; keep one of "
                "them below this folder"
            )
        images[name] = image
    found = {
        path.stem.removeprefix("depth_sph_corr-"): path
        for place, *_ in walk(grids)
        for path in place.glob("depth_sph_corr-*.mat")
    }
    for name, image in images.items():
        if name not in found:
            raise DataError(
                f"{grids}: depth_sph_corr-{name}.mat is missing, but {image.name} is there; unpack the "
                "depth archive too"
            )
    alone = sorted(found.keys() - images.keys())
    if alone and photographs != grids:
        raise DataError(
            f"{photographs}: img-{alone[0]}.jpg is missing, but its grid is in {grids.name} ({len(alone)} "
            "such); unpack the archive of photographs again"
        )
    return [(name, image, found[name]) for name, image in images.items()]


def _checked(grid: np.ndarray, path: Path) -> np.ndarray:
    """The grid, once its values can be laser distances."""
    if not np.isfinite(grid).all() or (grid < 0).any() or grid.max() > RANGE:
        raise DataError(
            f"{path}: laser distances must lie in 0 to {RANGE:g} m, found {grid.min():g} to {grid.max():g}; "
            "wrong channel or unit?"
        )
    return grid


class BoundedDepth(_Photographs):
    """One photograph a folder: ``img.png``, ``depth.png`` (16 bits) and ``info.mat``, which names the metres
    that 0 and 65535 stand for.

    Args:
        folder: one such folder, or the folder of several.
        crop: keep only the central part; protocols cut it themselves.
        dense: fill the grid's cells.

    Raises:
        DataError: files missing, or info.mat without ``depth_bounds``.
    """

    name = "make3d-bounded"

    def __init__(self, folder: Path | str, crop: bool = False, dense: bool = False) -> None:
        images = require_files(Path(folder).expanduser(), "**/img.png", "Make3D photographs")
        super().__init__([(i.parent.name, i, i.with_name("depth.png")) for i in images], crop, dense)

    def read_grid(self, path: Path) -> np.ndarray:
        """Codes spread linearly over the bounds."""
        codes = read_codes(path)
        if codes.shape != GRID:
            raise DataError(f"{path}: expected a grid of 55x305, found {codes.shape[0]}x{codes.shape[1]}")
        low, high = self._bounds(path.with_name("info.mat"))
        return _checked(low + (high - low) * codes / 65535.0, path)

    @staticmethod
    def _bounds(path: Path) -> tuple[float, float]:
        """The nearest and farthest depth."""
        content = read_matlab(path, "the info.mat of a photograph")
        try:
            low, high = (float(bound) for bound in np.ravel(content["clips"][0, 0]["depth_bounds"][0, 0]))
        except (KeyError, IndexError, ValueError, TypeError):
            raise DataError(
                f"{path}: expected clips{{1}}.depth_bounds with two numbers; without it depth.png has no unit"
            ) from None
        if not low < high:
            raise DataError(
                f"{path}: clips{{1}}.depth_bounds must rise, found {low:g} and {high:g}; get the file again"
            )
        return low, high


class LainaMake3D(DepthDataset):
    """Make3D as Laina et al. 2016 score and train on it: small photographs, and truth whose cells are filled.

    Photograph and grid are resized by nearest, each in one step: a pixel takes the pixel or the cell that
    holds its centre, as MATLAB's ``imresize(..., "nearest")`` does. No depth is invented, and every pixel has
    one where its cell has.

    * For **scoring** both come at 460 x 345 (rows x columns; photographs are tall), and no depth is masked:
      the protocols ``make3d`` (C1: truth below 70 m) and ``make3d-c2`` (C2: all) do that. A measurement
      counts as often as its cell has pixels: 8 or 9 rows by 1 or 2 columns.
    * For **training** both come at half that, 230 x 173 (172.5 columns are rounded up), and truth beyond
      70 m is masked; 70 m itself stays.

    With the official files: ``LainaMake3D(Make3D(root, split="test"))`` and
    ``LainaMake3D(Make3D(root, split="train"), training=True)``.

    Where we differ: the script shows its network the photograph at 230 x 173, picked by nearest from the full
    one; here ``predict`` of a network shrinks that of 460 x 345. Our reading: training resizes as the script
    of the test does, and truth comes at the size of the input.

    Args:
        photographs: what to resize; its ``crop`` and ``dense`` play no part.
        training: small and masked, for training.

    Raises:
        DataError: as the loader of the photographs, when an item is read.

    Source: evaluateMake3D.m for sizes and resizing; the authors' answers for the mask in training.

    Example:
        >>> LainaMake3D.SCORED, LainaMake3D.TRAINED, LainaMake3D.FARTHEST
        ((460, 345), (230, 173), 70.0)
    """

    name = "make3d-laina"
    SCORED = (460, 345)
    TRAINED = (230, 173)
    FARTHEST = 70.0  # m

    def __init__(self, photographs: Make3D | BoundedDepth, training: bool = False) -> None:
        self.photographs, self.training = photographs, training

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, index: int) -> Sample:
        name, image_path, depth_path = self.photographs.pairs[self.item_index(index)]
        height, width = self.TRAINED if self.training else self.SCORED
        image = resize(read_image(image_path)[None], (height, width), mode="nearest")[0]
        depth = spread(self.photographs.read_grid(depth_path), height, width, dense=True)
        if self.training:
            depth[depth > self.FARTHEST] = 0
        K = approximate_K(height, width)
        return make_sample(image, depth, K, id=f"make3d/{name}", scene=name)

    def describe(self) -> dict[str, Any]:
        """Whose photographs, which, and what they are prepared for."""
        return {
            **super().describe(),
            "photographs": self.photographs.name,
            "names": brief([name for name, *_ in self.photographs.pairs]),
            "training": self.training,
        }

    def files(self) -> Iterable[Path]:
        """Photographs and grids."""
        return self.photographs.files()
