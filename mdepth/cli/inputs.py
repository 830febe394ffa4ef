"""What ``mdepth predict`` reads: photographs, folders of them, videos; with their camera, where it is known.

A photograph is turned upright as its EXIF data say, and its focal length is taken from there too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from mdepth.datasets.files import IMAGE_SUFFIXES, read_image
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["Frame", "Picture", "camera", "gather"]

PICTURES = (*IMAGE_SUFFIXES, ".webp", ".tif", ".tiff", ".avif")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")
ANIMATIONS = (".gif", ".apng")
ORIENTATION, EXIF, FOCAL_35MM = 0x0112, 0x8769, 0xA405  # tags of EXIF
FULL_FRAME = 36.0  # millimetres that a 35 mm film is wide
FOCAL = {"rooms": 0.81, "nyu": 0.81, "roads": 0.58, "kitti": 0.58}
"""Focal length in image widths of the cameras that the networks saw; by the last part of a network's name."""


@dataclass(frozen=True)
class Picture:
    """An image, and its focal length in image widths where its file tells."""

    image: Float[Tensor, "3 H W"]
    focal: float | None = None


@dataclass(frozen=True)
class Frame:
    """Something to predict: where it comes from, what its outputs are called, and how to read it."""

    source: Path
    name: str
    read: Callable[[], Picture]
    of_video: bool = False


def gather(paths: Iterable[Path], every: int = 1) -> list[Frame]:
    """All pictures behind some paths: images, the images of folders (by name), frames of videos.

    Args:
        paths: files and folders.
        every: of a video, take every n-th frame.

    Raises:
        DataError: a path does not exist, a folder holds no picture, a video cannot be decoded.
        ValueError: ``every`` is not positive.
    """
    if every < 1:
        raise ValueError(f"--every must be at least 1, got {every}")
    return _distinct([frame for path in paths for frame in _frames(path.expanduser(), every)])


def _frames(path: Path, every: int) -> Iterator[Frame]:
    """The pictures behind one path."""
    if path.is_dir():
        found = [p for p in sorted(path.iterdir()) if p.suffix.lower() in PICTURES and p.name[0] != "."]
        if not found:
            raise DataError(f"{path}: the folder holds no picture ({', '.join(PICTURES)})")
        yield from (_photo(file) for file in found)
    elif not path.is_file():
        raise DataError(f"{path}: no such file or folder; expected an image, a folder of images or a video")
    elif path.suffix.lower() in VIDEOS:
        yield from _video(path, every)
    elif path.suffix.lower() in ANIMATIONS:
        yield from _animation(path, every)
    else:
        yield _photo(path)


def _photo(path: Path) -> Frame:
    """One image file."""
    return Frame(path, path.stem, partial(_read_photo, path))


def _video(path: Path, every: int) -> Iterator[Frame]:
    """The frames of a video file, to be read in order."""
    from mdepth.datasets.video import Video

    video = Video(path, every=every)
    for i in range(len(video)):
        yield Frame(path, f"{path.stem}/{i * every:06d}", partial(_read_video, video, i), of_video=True)


def _read_video(video: Any, number: int) -> Picture:
    """Frame ``number`` of what is taken of a video."""
    return Picture(video[number]["image"])


def _animation(path: Path, every: int) -> Iterator[Frame]:
    """The frames of an animated picture."""
    with _opened(path, "is not a readable animation") as picture:
        count = getattr(picture, "n_frames", 1)
    for i in range(0, count, every):
        yield Frame(path, f"{path.stem}/{i:06d}", partial(_read_frame, path, i), of_video=True)


def _read_frame(path: Path, number: int) -> Picture:
    """Frame ``number`` of an animated picture."""
    import numpy as np

    with _opened(path, f"frame {number} cannot be read") as picture:
        picture.seek(number)
        pixels = np.array(picture.convert("RGB"))  # H W 3
    return Picture(torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div_(255))


def _read_photo(path: Path) -> Picture:
    """An image file, upright."""
    image = read_image(path, upright=True)
    height, width = image.shape[1:]
    with _opened(path, "is not a readable image") as picture:
        told = picture.getexif().get_ifd(EXIF).get(FOCAL_35MM)
    focal = float(told) if isinstance(told, Real) else 0.0  # damaged tags hold anything
    return Picture(image, focal / FULL_FRAME * max(height, width) / width if focal > 0 else None)


@contextmanager
def _opened(path: Path, problem: str) -> Iterator[Any]:
    """A picture file, and the problem in words where it or the block finds one."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            yield picture
    except Exception as error:  # a changed byte can break any part of what reads it
        raise DataError(f"{path}: {problem} ({error}); copy or download it again") from None


def _distinct(frames: list[Frame]) -> list[Frame]:
    """The frames with names that differ, so that no output falls on another: ``a.jpg`` and ``a.png`` keep
    their endings.
    """
    names = Counter(frame.name for frame in frames)
    ended = [
        frame if names[frame.name] == 1 else replace(frame, name=_with_ending(frame)) for frame in frames
    ]
    taken: set[str] = set()
    for frame in ended:
        if frame.name in taken:
            raise DataError(f"{frame.source}: a second picture of this name; predict the folders one by one")
        taken.add(frame.name)
    return ended


def _with_ending(frame: Frame) -> str:
    """The frame's name with its file's ending in it."""
    ending = frame.source.suffix.removeprefix(".")
    return frame.name.replace(frame.source.stem, f"{frame.source.stem}_{ending}", 1)


def camera(
    picture: Picture, network: str, fov: float | None, intrinsics: tuple[float, ...] | None
) -> tuple[Float[Tensor, "3 3"], str]:
    """K of a picture, and in words where it comes from.

    Taken from the first of: ``intrinsics`` (fx, fy, cx, cy), ``fov`` (degrees from the left edge to the
    right), the photograph's EXIF data, the camera that the network was trained with.

    Raises:
        ValueError: the field of view is not between 0 and 180 degrees.
    """
    from mdepth.datasets.video import camera_from_view

    height, width = picture.image.shape[1:]
    if intrinsics is not None:
        fx, fy, cx, cy = intrinsics
        return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), "as given"
    if fov is not None:
        return camera_from_view(height, width, fov), f"field of view {fov:g} degrees, as given"
    focal = picture.focal or FOCAL.get(network.rsplit("-", 1)[-1], 0.81)
    degrees = 2 * torch.tensor(0.5 / focal).atan().rad2deg().item()
    origin = "from the photograph's EXIF data" if picture.focal else "assumed, that of the training camera"
    return camera_from_view(height, width, degrees), f"field of view {degrees:.0f} degrees, {origin}"
