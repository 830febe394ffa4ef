"""Make3D (Saxena et al., PAMI 2009): tall photographs with a coarse grid of laser depths.

The official layout pairs ``img-<name>.jpg`` (2272 rows, 1704 columns) with ``depth_sph_corr-<name>.mat``,
whose ``Position3DGrid`` (55, 305, 4) holds the laser distance in its fourth channel. A second layout
(``img.png``, a 16-bit ``depth.png`` of 55x305, ``info.mat`` with the bounds that 0 and 65535 stand for) is
read by ``BoundedDepth``.

Each of the 55x305 measurements is written to the one pixel at the centre of its cell and nothing is invented
in between, so that scores are taken over exactly the measurements; ``dense=True`` fills each cell for looking
and training. The usual evaluation keeps the central rows (half the width: 2:1) and the central 21 rows of the
grid, and depth below 70 m. It lays 21 rows that measure 867 pixels over a crop of 852: at the upper and lower
end a measurement sits up to 7 pixels from where it was taken.

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
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["CENTRAL_ROWS", "GRID", "BoundedDepth", "Make3D"]

GRID = (55, 305)
CENTRAL_ROWS = 21  # of the grid, for the central crop
RANGE = 81.0  # m, the laser's reach
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

    Args:
        grid: (h, w) metres, 0 where unknown.
        height: rows of the image, at least h.
        width: columns of the image, at least w.
        dense: fill the cells.

    Example:
        >>> spread(np.array([[5.0, 7.0]]), 1, 6)
        tensor([[[0., 5., 0., 0., 7., 0.]]])
    """
    rows, columns = grid.shape
    if dense:
        v = (np.arange(height) * rows) // height
        u = (np.arange(width) * columns) // width
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
    """The official layout.

    Args:
        root: holds ``img-*.jpg`` and ``depth_sph_corr-*.mat``, in any subfolders.
        crop: keep only the central part of photograph and grid; protocols cut it themselves.
        dense: fill the grid's cells.

    Raises:
        DataError: no photograph, a grid missing, malformed or of another shape.
    """

    name = "make3d"

    def __init__(self, root: Path | str, crop: bool = False, dense: bool = False) -> None:
        root = Path(root).expanduser()
        images = require_files(root, "**/img-*.*", "Make3D photographs")
        grids = {
            path.stem.removeprefix("depth_sph_corr-"): path
            for place, *_ in walk(root)
            for path in place.glob("depth_sph_corr-*.mat")
        }
        pairs = []
        for image in images:
            name = image.stem.removeprefix("img-")
            if name not in grids:
                raise DataError(
                    f"{root}: depth_sph_corr-{name}.mat is missing, but {image.name} is there; unpack the "
                    "depth archive too"
                )
            pairs.append((name, image, grids[name]))
        super().__init__(pairs, crop, dense)

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
