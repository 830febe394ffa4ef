"""Predictions made elsewhere: stacks and folders of depth maps, with their unit said out loud.

Readable are ``.npy`` (N, H, W) or (H, W), ``.npz`` (one array, or the one named by ``key``), and folders of
``.npy``, ``.npz`` or 16-bit ``.png`` files, one per image. A stack goes by the order of the data set; a
folder's files go by name where the names are the ends of the data set's ids, else in the order of their names
(``9.npy`` before ``10.npy``).

No unit is ever guessed. Depth in metres and inverse depth look alike to a program, and scores under a wrong
unit look like a bad network.
"""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from mdepth.datasets.files import by_number, read_codes
from mdepth.shapes import DataError

__all__ = ["UNITS", "Predictions", "Unit", "read_predictions"]


@dataclass(frozen=True)
class Unit:
    """How numbers become depth: ``depth = numbers * metres``, or ``metres / numbers`` for an ``inverse`` one;
    ``metric`` or up to scale."""

    metres: float
    inverse: bool = False
    metric: bool = True


UNITS: dict[str, Unit] = {
    "m": Unit(1.0),
    "mm": Unit(0.001),
    "cm": Unit(0.01),
    "m/256": Unit(1 / 256),  # KITTI's PNGs
    "m/5000": Unit(1 / 5000),  # TUM's PNGs
    "1/m": Unit(1.0, inverse=True),
    "relative": Unit(1.0, metric=False),
    "inverse-relative": Unit(1.0, inverse=True, metric=False),  # monodepth2's "disparity": needs an alignment
}


class Predictions:
    """A sequence of depth maps, (H, W) float32 each: metres, or up to scale where ``unit.metric`` is False.

    Zero stands for "no prediction" and stays zero. Reading checks each map: NaN, infinity, negative values
    and maps without any value are errors.

    Args:
        sources: where each map comes from: (file, index into a stack or None, key).
        unit: how to read the numbers.
    """

    def __init__(self, sources: Sequence[tuple[Path, int | None, str | None]], unit: Unit) -> None:
        self.sources, self.unit = list(sources), unit
        self._stack: tuple[Path, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> np.ndarray:
        path, i, key = self.sources[index]
        numbers = self._load(path, key)
        name = f"{path}" if i is None else f"{path}, map {i}"
        return _to_depth(numbers if i is None else numbers[i], self.unit, name)

    def _load(self, path: Path, key: str | None) -> np.ndarray:
        """The array of a file; a stack is opened once."""
        if self._stack is None or self._stack[0] != path:
            self._stack = (path, _read_array(path, key))
        return self._stack[1]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def match(self, ids: Sequence[str]) -> "Predictions":
        """The predictions in the order of a data set's ids.

        Files named like the ends of the ids (``/`` may be written ``_``) go by name. Otherwise the order
        counts, and there must be as many as ids.

        Raises:
            DataError: too few or too many, or some names fit and others do not.
        """
        if all(i is None for _, i, _ in self.sources):
            by_name = {path.stem: source for source in self.sources for path in [source[0]]}
            found = [
                next((by_name[name] for name in _names(identity) if name in by_name), None)
                for identity in ids
            ]
            if all(found) and len({source[0] for source in found if source}) == len(ids):
                return Predictions([source for source in found if source], self.unit)
            if any(found):
                absent = ids[found.index(None)] if None in found else "some, twice"
                raise DataError(
                    f"{self.sources[0][0].parent}: no prediction is named after {absent!r}; name the files "
                    "like the ids"
                )
        if len(self) != len(ids):
            raise DataError(
                f"{self.sources[0][0]}: {len(self)} predictions for {len(ids)} images; they must be as many, "
                "in the same order"
            )
        return self


def _names(identity: str) -> list[str]:
    """The file names that an id may have: its last part, its last two joined by "_", and so on."""
    parts = identity.split("/")
    return ["_".join(parts[i:]) for i in range(len(parts))]


def read_predictions(path: Path | str, unit: str, *, key: str | None = None) -> Predictions:
    """Open predictions; the maps themselves are read when they are asked for.

    Args:
        path: .npy or .npz stack, single map, or folder of one file a map.
        unit: a key of ``UNITS``.
        key: the array's name in .npz files with several.

    Raises:
        ValueError: unknown unit.
        DataError: nothing there, unreadable, or an array of another form.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "stack.npy"
        >>> np.save(path, np.full((2, 3, 4), 1500.0))
        >>> read_predictions(path, "mm")[1][0]
        array([1.5, 1.5, 1.5, 1.5], dtype=float32)
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {list(UNITS)}, got {unit!r}; it is never guessed")
    path = Path(path).expanduser()
    if path.is_dir():
        found = (p for p in path.iterdir() if p.suffix in (".npy", ".npz", ".png") and p.name[0] != ".")
        files = sorted(found, key=by_number)
        if not files:
            raise DataError(
                f"{path}: holds no .npy, .npz or 16-bit .png file; expected one a map, name their folder"
            )
        for one, other in pairwise(sorted(files, key=lambda file: file.stem)):
            if one.stem == other.stem:
                raise DataError(f"{one}: {other.name} has the same name; keep one of the two, one file a map")
        return Predictions([(file, None, key) for file in files], UNITS[unit])
    numbers = _read_array(path, key)
    maps: list[int | None] = [None] if numbers.ndim == 2 else list(range(len(numbers)))
    return Predictions([(path, i, key) for i in maps], UNITS[unit])


def _read_array(path: Path, key: str | None) -> np.ndarray:
    """(H, W) or (N, H, W) numbers of a file; a single channel axis is dropped."""
    if path.suffix == ".png":
        return read_codes(path)
    if path.suffix not in (".npy", ".npz"):
        raise DataError(f"{path}: expected .npy, .npz, a 16-bit .png or a folder of them")
    try:
        numbers = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
        if isinstance(numbers, np.lib.npyio.NpzFile):
            with numbers:
                numbers = numbers[_choose(path, numbers.files, key)]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: is not a readable array ({error}); write it with numpy.save, without objects"
        ) from None
    if numbers.ndim == 4 and 1 in (numbers.shape[1], numbers.shape[3]):
        numbers = numbers.squeeze(1 if numbers.shape[1] == 1 else 3)
    if numbers.ndim not in (2, 3) or numbers.dtype.kind not in "fui" or 0 in numbers.shape:
        raise DataError(
            f"{path}: expected (N, H, W) or (H, W) numbers, found {numbers.dtype} of shape {numbers.shape}"
        )
    return numbers


def _choose(path: Path, keys: list[str], key: str | None) -> str:
    """The array to read from an .npz file."""
    if key is None and len(keys) == 1:
        return keys[0]
    if key not in keys:
        raise DataError(
            f"{path}: holds the arrays {keys}; "
            + ("say which with key=..." if key is None else f"{key!r} is not among them")
        )
    return str(key)


def _to_depth(numbers: np.ndarray, unit: Unit, name: str) -> np.ndarray:
    """Checked numbers as float32 depth."""
    values = np.array(numbers, dtype=np.float64)
    if values.ndim != 2:
        raise DataError(f"{name}: expected one map (H, W), found shape {values.shape}")
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"{name}: holds NaN, infinite or negative values; write 0 where there is no prediction"
        )
    if not values.any():
        raise DataError(f"{name}: is zero everywhere, so it predicts nothing")
    if unit.inverse:
        values = np.divide(unit.metres, values, out=np.zeros_like(values), where=values > 0)
    else:
        values *= unit.metres
    if values.max() > np.finfo(np.float32).max:
        raise DataError(f"{name}: depth reaches {values.max():g}; write 0 where there is no prediction")
    return values.astype(np.float32)
