"""Reading and writing the files that data sets are made of, with errors that say which file, what was
expected and what to do.

Reading gives plain arrays in the file's own unit; the data sets turn them into metres. Writing goes to a
temporary name beside the target and is renamed at the end, so a full disk or a killed process leaves either
the old file or none, never half of one.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.shapes import DataError, Float, Tensor

__all__ = [
    "atomic_file", "atomic_folder", "by_number", "check_metres", "codes_to_depth", "read_codes", "read_image",
    "read_matlab", "read_numbers", "read_pgm", "read_text", "require_files", "to_bytes", "walk",
]  # fmt: skip

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp")


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        DataError: it is missing, unreadable or not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: expected a text file, found binary content; check that the right file was named"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the path, or `mdepth data check` the folder"
        ) from None


def read_numbers(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The whitespace-separated numbers of a text file as float64 of the given shape, where -1 leaves one size
    open.

    Raises:
        DataError: a word is no finite number, or the count does not fit.
    """
    words = read_text(path).split()
    try:
        numbers = np.array(words, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("NaN or infinity")
        return numbers.reshape(shape)
    except ValueError as error:
        raise DataError(
            f"{path}: expected finite numbers of shape {shape}, found {len(words)} words ({error}); get the "
            "file again"
        ) from None


def _open_image(path: Path) -> Any:
    """The decoded picture; PIL raises SyntaxError for broken PNG chunks and OSError for nearly everything
    else."""
    from PIL import Image

    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes), expected an image; copy or download it again")
    try:
        with Image.open(path) as picture:
            picture.load()
        return picture
    except FileNotFoundError:
        raise DataError(
            f"{path}: the file does not exist; check the folder's layout with `mdepth data check`"
        ) from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: expected at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, found more; scale the "
            "picture down, or get the file again if it should be smaller"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is not a readable image ({error}); copy or download it again") from None


def read_image(path: Path, *, upright: bool = False) -> Float[Tensor, "3 H W"]:
    """An 8-bit picture as RGB in [0, 1]; a grey one is repeated over the three channels.

    The pixels come as they are stored, because depth maps and cameras know nothing of the EXIF tag by which a
    photograph asks to be turned; with ``upright`` it is turned. Of 16-bit colour the upper 8 bits are read.

    Raises:
        DataError: the file is missing, empty, truncated, no image, or has one channel of 16 bits (a depth map
            in the wrong place).
    """
    picture = _open_image(path)
    if picture.mode.startswith(("I", "F")):
        raise DataError(
            f"{path}: expected an 8-bit colour or grey picture, found mode {picture.mode}; is it a depth map?"
        )
    if upright:
        from PIL import ImageOps

        picture = ImageOps.exif_transpose(picture)
    pixels = np.array(picture.convert("RGB"))  # H W 3
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div_(255)


def to_bytes(image: Float[Tensor, "3 H W"]) -> np.ndarray:
    """(H, W, 3) uint8, rounded."""
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def read_codes(path: Path, bits: int = 16) -> np.ndarray:
    """The integers of a one-channel picture of ``bits`` bits, (H, W) uint8 or uint16, in the file's own unit.

    Raises:
        DataError: the file is unreadable, has several channels, a palette of colours, or another number of
            bits.
    """
    picture = _open_image(path)
    if picture.mode == "P":
        colours = np.array(picture.convert("RGB"))
        if (colours != colours[..., :1]).any():
            raise DataError(
                f"{path}: expected one channel of {bits} bits, found a palette of colours: a picture of "
                "depth, not its numbers; look for the file that it was drawn from"
            )
        picture = picture.convert("L")
    found = {"L": 8, "I;16": 16, "I;16B": 16, "I": 16}.get(picture.mode)
    if found is None:
        raise DataError(
            f"{path}: expected one channel of {bits} bits, found mode {picture.mode}; is it a colour picture?"
        )
    if found != bits:
        hint = (
            "8 bits cannot hold metric depth" if found == 8 else "read it with the loader of its own layout"
        )
        raise DataError(f"{path}: expected {bits}-bit depth codes, found {found} bits; {hint}")
    codes = np.array(picture)
    if codes.min() < 0 or codes.max() > 65535:
        raise DataError(
            f"{path}: expected {bits}-bit depth codes, found numbers from {codes.min()} to {codes.max()}; "
            "read it with the loader of its own layout"
        )
    return codes.astype(np.uint8 if bits == 8 else np.uint16)


def codes_to_depth(
    codes: np.ndarray, metres_per_code: float, path: Path, max_depth: float, invalid: tuple[int, ...] = (0,)
) -> Float[Tensor, "1 H W"]:
    """Depth in metres from a picture's integers; ``invalid`` codes become 0.

    Args:
        codes: (H, W) integers.
        metres_per_code: the unit, 0.001 for millimetres.
        path: named in the message.
        max_depth: the farthest the sensor sees in metres; anything beyond betrays a wrong unit.
        invalid: codes that stand for "unknown".

    Raises:
        DataError: depth beyond ``max_depth``.
    """
    depth = torch.from_numpy(
        (codes * float(metres_per_code)).astype(np.float32)
    )  # 1500 mm are 1.5 m, exactly
    for code in invalid:
        depth[torch.from_numpy(codes == code)] = 0
    if depth.max() > max_depth:
        raise DataError(
            f"{path}: depth reaches {depth.max():.2f} m with {metres_per_code:g} m per code, but this sensor "
            f"ends at {max_depth:g} m; "
            "the file holds another unit (NYU's labelled PNGs are in 1e-4 m, TUM's in 1/5000 m, KITTI's in "
            "1/256 m)"
        )
    return depth[None]


def check_metres(depth: np.ndarray, max_depth: float, name: str) -> np.ndarray:
    """An array of depth in metres as it is, or what is wrong with it.

    Args:
        depth: metres, 0 where unknown.
        max_depth: the farthest that is believable, in metres.
        name: file and field, for the message.

    Raises:
        DataError: NaN, infinite or negative values, or depth beyond ``max_depth``.
    """
    bad = ~np.isfinite(depth) | (depth < 0)
    if bad.any():
        raise DataError(
            f"{name}: holds NaN, infinite or negative values ({int(bad.sum())}), expected metres and 0 where "
            "depth is unknown; write 0 there, or get the file again"
        )
    if depth.size and depth.max() > max_depth:
        raise DataError(
            f"{name}: depth reaches {depth.max():g}, but metres end at {max_depth:g} here; convert its unit "
            "(millimetres: divide by 1000)"
        )
    return depth


def read_pgm(path: Path, *, swapped: bool = False) -> np.ndarray:
    """A binary 16-bit PGM (P5, maximum 65535) as (H, W) uint16.

    The format stores the high byte first; NYU's raw Kinect frames have the bytes ``swapped``.

    Raises:
        DataError: wrong header or length.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    header = re.match(rb"P5\s(?:#[^\n]*\n)*\s*(\d+)\s+(\d+)\s+(\d+)\s", data)
    if header is None:
        raise DataError(
            f"{path}: expected a binary PGM (P5 width height maximum), found {data[:16]!r}; get the file "
            "again"
        )
    width, height, largest = (int(number) for number in header.groups())
    start, expected = header.end(), 2 * width * height
    if largest <= 255 or expected == 0 or len(data) - start != expected:
        raise DataError(
            f"{path}: expected {expected} bytes of 16-bit pixels ({width}x{height}), found "
            f"{len(data) - start} "
            f"with maximum {largest}; the file is truncated or not a Kinect frame"
        )
    codes = np.frombuffer(data, dtype="<u2" if swapped else ">u2", offset=start)
    return codes.astype(np.uint16).reshape(height, width)


def read_matlab(path: Path, what: str) -> dict[str, Any]:
    """The variables of a MATLAB 5 file; ``what`` names the expected file in the message.

    Raises:
        DataError: missing, truncated, or no MATLAB 5 file.
    """
    from scipy.io import loadmat

    try:
        with path.open("rb") as file:
            return loadmat(file)
    except Exception as error:  # a damaged file fails in any way: zlib.error, IndexError, MatReadError ...
        raise DataError(f"{path}: is not a readable MATLAB 5 file ({error}); expected {what}") from None


def require_files(folder: Path, pattern: str, what: str) -> list[Path]:
    """The sorted files of a folder that match a pattern, at least one; hidden files are left out, and a
    pattern that begins with ``**/`` looks into linked folders too.

    Raises:
        DataError: the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; expected {what} ({pattern}); check the path")
    everywhere = pattern.removeprefix("**/") != pattern
    places = [place for place, *_ in walk(folder)] if everywhere else [folder]
    matching = {path for place in places for path in place.glob(pattern.removeprefix("**/"))}
    found = sorted(path for path in matching if not path.name.startswith(".") and not path.is_dir())
    if not found:
        raise DataError(f"{folder}: holds no {what} ({pattern}); see data/README.md for the expected layout")
    return found


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and all folders below it, in order: place, names of subfolders, which the caller may shorten,
    and of files. Links are followed unless they lead back to where they are; hidden folders are left out.
    """
    for name, subfolders, files in os.walk(folder, followlinks=True):
        place = Path(name)
        above = {ancestor.resolve() for ancestor in (place, *place.parents)}
        subfolders[:] = sorted(
            inner
            for inner in subfolders
            if not inner.startswith(".")
            and not ((place / inner).is_symlink() and (place / inner).resolve() in above)
        )
        yield place, subfolders, files


def by_number(path: Path) -> tuple[list[str | int], str]:
    """A key that sorts names as a reader does: ``f9.png`` before ``f10.png``.

    Example:
        >>> [path.name for path in sorted([Path("f10.png"), Path("f9.png"), Path("a.png")], key=by_number)]
        ['a.png', 'f9.png', 'f10.png']
    """
    parts = re.split(r"(\d+)", path.name)  # text, digits, text, ...
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


@contextmanager
def atomic_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends well and vanishes when it does not.

    Raises:
        DataError: the target exists, its folder cannot be written, or the disk is full.
    """
    with _atomic(path, overwrite) as temporary:
        yield temporary / path.name


@contextmanager
def atomic_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes ``path`` when the block ends well and vanishes when it does not.

    Raises:
        DataError: the target exists, its parent cannot be written, or the disk is full.
    """
    with _atomic(path, overwrite) as temporary:
        target = temporary / path.name
        target.mkdir()
        yield target


@contextmanager
def _atomic(path: Path, overwrite: bool) -> Iterator[Path]:
    """A scratch folder beside ``path``; what it then holds under the name of ``path`` is renamed to
    ``path``."""
    if path.exists() and not overwrite:
        raise DataError(f"{path}: exists already; name another target or pass overwrite=True")
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        yield scratch
        _put_in_place(scratch / path.name, path, overwrite)
    except OSError as error:
        raise DataError(
            f"{path}: could not be written ({error.strerror or error}); nothing was left behind. "
            "Free some space or choose a folder that may be written"
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _put_in_place(new: Path, path: Path, overwrite: bool) -> None:
    """Rename; what another process has put there meanwhile stays, unless it may be overwritten."""
    if path.exists() and not overwrite:
        raise DataError(f"{path}: exists by now, written by another process; name another target")
    old = new.with_name(f"{path.name}.old")
    if path.is_dir():  # a file is replaced in one step, a folder cannot be
        path.rename(old)
    try:
        new.replace(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
