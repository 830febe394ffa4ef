"""Plain videos: frames without depth, from a file or from a folder of pictures, with intrinsics the reader
gives.

Video files are decoded by PyAV (``pip install av``), which is loaded only for them.
"""

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import IMAGE_SUFFIXES, by_number, read_image
from mdepth.datasets.sample import DepthDataset, Sample, make_sample
from mdepth.shapes import DataError, Float, Tensor, UInt8

__all__ = ["Video", "camera_from_view"]

KEPT = 8  # decoded frames that stay in memory, for neighbours in time


def camera_from_view(height: int, width: int, degrees: float = 60.0) -> Float[Tensor, "3 3"]:
    """K of a camera that sees ``degrees`` from the left edge to the right edge of the image, square pixels.

    A guess for videos whose camera is unknown; depth predicted with it is known up to a factor.

    Example:
        >>> camera_from_view(2, 4, 90.0)
        tensor([[2.0000, 0.0000, 1.5000],
                [0.0000, 2.0000, 0.5000],
                [0.0000, 0.0000, 1.0000]])
    """
    if not 0 < degrees < 180:
        raise ValueError(f"the field of view must lie between 0 and 180 degrees, got {degrees:g}")
    focal = width / 2 / math.tan(math.radians(degrees) / 2)
    return torch.tensor([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class _Stream:
    """A file being decoded: by which process, which frame comes next, and the frames."""

    process: int
    following: int
    frames: Iterator[Tensor]


class Video(DepthDataset):
    """The frames of a video; ``depth`` is 0 everywhere.

    A folder's pictures are read when asked for. A video file is decoded once, from the front up to the frame
    asked for, so walk through it in order; going back, but to one of the last 8 frames asked for, starts
    again. (To read a long clip in any order, write its frames to a folder first.) Pictures and videos that a
    camera has taken lying on its side are turned upright, as they ask for. ``time`` is in seconds.

    Args:
        path: video file, or folder of pictures (sorted by name, ``9.jpg`` before ``10.jpg``).
        K: (3, 3) intrinsics; a field of view of 60 degrees by default.
        every: take every n-th frame.
        fps: frames a second of a folder, for ``time``.

    Raises:
        DataError: no frame, an undecodable file, or PyAV is missing.
    """

    name = "video"

    def __init__(
        self,
        path: Path | str,
        K: Float[Tensor, "3 3"] | None = None,
        every: int = 1,
        fps: float | None = None,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.path, self.K, self.every, self.fps = Path(path).expanduser(), K, every, fps
        self.guessed_camera = K is None
        self._stream: _Stream | None = None
        self._inherited: list[_Stream] = []
        self._recent: dict[int, Tensor] = {}  # by number, uint8
        if self.path.is_dir():
            present = sorted(self.path.iterdir(), key=by_number)
            found = [p for p in present if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."]
            self.pictures = found[::every]
            self._count = len(self.pictures)
        else:
            self.pictures = []
            frames, rate = _probe(self.path)
            self._count, self.fps = -(-frames // every), fps or rate
        if self._count == 0:
            raise DataError(
                f"{self.path}: holds no frame; expected a video file or a folder with "
                f"{', '.join(IMAGE_SUFFIXES)}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None, "_inherited": [], "_recent": {}}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        i = self.item_index(index)
        one = self.pictures[i] if self.pictures else None
        image = read_image(one, upright=True) if one else self._frame(i * self.every)
        height, width = int(image.shape[1]), int(image.shape[2])
        K = self.K.float().clone() if self.K is not None else camera_from_view(height, width)
        time = i * self.every / self.fps if self.fps else None
        identity = f"{self.path.stem}/{self.pictures[i].stem if self.pictures else f'{i * self.every:06d}'}"
        return make_sample(
            image, torch.zeros(1, height, width), K, id=identity, scene=self.path.stem, time=time
        )

    def moments(self) -> list[tuple[str, int]]:
        """Every frame follows the one before it."""
        return [(self.path.stem, i) for i in range(len(self))]

    def _frame(self, number: int) -> Float[Tensor, "3 H W"]:
        """Frame ``number`` of the file, from those that were kept or decoded."""
        if number not in self._recent:
            decoded = self._decoded(number)
            self._recent = dict([*self._recent.items(), (number, decoded)][-KEPT:])
        return self._recent[number].float().div_(255)

    def _decoded(self, number: int) -> UInt8[Tensor, "3 H W"]:
        """Frame ``number`` of the file, decoding forward from where the last call stopped.

        A process that was forked from another opens the file anew. It must not even close what it has
        inherited: FFmpeg would wait for threads that were left behind in the other process.
        """
        if self._stream is not None and self._stream.process != os.getpid():
            self._inherited.append(self._stream)
            self._stream = None
        following, stream = (self._stream.following, self._stream.frames) if self._stream else (0, None)
        if stream is None or following > number:
            following, stream = 0, _decode(self.path)
        self._stream = None
        for image in stream:
            following += 1
            if following == number + 1:
                self._stream = _Stream(os.getpid(), following, stream)
                return image
        raise DataError(f"{self.path}: ends before frame {number}; the file is truncated, copy it again")

    def describe(self) -> dict[str, Any]:
        """File name, step and frame rate."""
        K = None if self.K is None else self.K.tolist()
        return {**super().describe(), "video": self.path.name, "every": self.every, "fps": self.fps, "K": K}

    def files(self) -> Iterable[Path]:
        """The video file or the pictures."""
        return self.pictures or [self.path]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The container of a video file."""
    try:
        import av
    except ImportError:
        raise DataError(
            f"{path}: reading video files needs PyAV; `pip install av`, or give a folder of pictures"
        ) from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(
                    f"{path}: holds no video stream; expected a video file or a folder of pictures"
                )
            yield container
    except (av.FFmpegError, OSError) as error:
        raise DataError(
            f"{path}: cannot be decoded ({error}); check that it is a complete video file"
        ) from None


def _probe(path: Path) -> tuple[int, float | None]:
    """The number of frames (counted where the file does not say) and frames a second."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate) if stream.average_rate else None
        return stream.frames or sum(1 for _ in container.decode(video=0)), rate


def _decode(path: Path) -> Iterator[UInt8[Tensor, "3 H W"]]:
    """All frames as RGB, upright."""
    with _opened(path) as container:
        for frame in container.decode(video=0):
            turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))  # H W 3
            yield torch.from_numpy(turned.copy()).permute(2, 0, 1)
