"""Lists of KITTI frames: the formats in which split files are written, read into one.

Four notations are in use for the same thing, and all are understood:

- monodepth2: ``2011_09_26/2011_09_26_drive_0002_sync 69 l`` (folder, frame, side; zeros before the frame
  number are allowed)
- SfMLearner: ``2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png``
- monodepth: the paths of the left and the right image; the left one counts
- BTS: the paths of image and annotated depth, and the focal length; the image counts

Lists of the odometry set are their own (``9 0 l``: sequence, frame, side), and so is SfMLearner's list of
frames in which the car stands (``2011_09_26 2011_09_26_drive_0009_sync 0000000386``: day, drive, frame).
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from mdepth.datasets.files import read_text
from mdepth.shapes import DataError

__all__ = [
    "SIDES", "Frame", "OdometryFrame", "parse_odometry_split", "parse_split", "read_odometry_split",
    "read_split", "read_static_frames", "without_static",
]  # fmt: skip

SIDES = {"l": 2, "r": 3, "2": 2, "3": 3}

_DRIVE = r"(?P<day>\d{4}_\d\d_\d\d)/(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_\w+)"
_FIELDS = re.compile(_DRIVE + r"\s+(?P<frame>\d+)\s+(?P<side>[lr23])")
_ODOMETRY = re.compile(r"(?P<sequence>\d+)\s+(?P<frame>\d+)\s+(?P<side>[lr23])")
_STATIC = re.compile(r"\d{4}_\d\d_\d\d\s+(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_\w+)\s+(?P<frame>\d+)")
_PATHS = re.compile(_DRIVE + r"/image_0(?P<side>[23])/data/(?P<frame>\d{10})\.\w+(\s.*)?")


@dataclass(frozen=True, order=True)
class Frame:
    """One image of the raw set: day, drive, frame number and camera (2 left, 3 right)."""

    day: str
    drive: str
    frame: int
    camera: int

    @property
    def id(self) -> str:
        """For example ``2011_09_26_drive_0002_sync/image_02/0000000069``; the drive's name begins with the
        day."""
        return f"{self.drive}/image_{self.camera:02d}/{self.frame:010d}"

    def __str__(self) -> str:
        return f"{self.day}/{self.drive} {self.frame} {'l' if self.camera == 2 else 'r'}"


def parse_split(lines: Iterable[str], source: str = "split") -> list[Frame]:
    """The frames that the lines name, in their order; empty lines are left out.

    Args:
        lines: in any of the module's notations.
        source: the file's name, for the message.

    Raises:
        DataError: a line is in none of them; names file and line.

    Example:
        >>> frame, = parse_split(["2011_09_26/2011_09_26_drive_0002_sync 0000000069 l"])
        >>> frame.frame, frame.camera
        (69, 2)
    """
    frames = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        match = _FIELDS.fullmatch(text) or _PATHS.fullmatch(text)
        if match is None:
            raise DataError(f"{source}, line {number}: cannot be parsed: {text[:80]!r}; {_advice(text)}")
        frames.append(Frame(match["day"], match["drive"], int(match["frame"]), SIDES[match["side"]]))
    if not frames:
        raise DataError(
            f"{source}: names no frame; expected lines such as '2011_09_26/2011_09_26_drive_0002_sync 69 l'"
        )
    return frames


def _advice(text: str) -> str:
    """What a line that is no raw frame probably is."""
    if re.fullmatch(r"\d+ \d+ [lr]", text):
        return "this is a frame of the odometry set (sequence, frame, side); use kitti.read_odometry_split"
    if re.match(r"(image \d+|training/|testing/)", text):
        return "this is an image of the KITTI benchmarks, not of the raw set"
    return "expected '2011_09_26/2011_09_26_drive_0002_sync 69 l' or '.../image_02/data/0000000069.png'"


def read_split(path: Path) -> list[Frame]:
    """The frames of a split file.

    Raises:
        DataError: the file is missing or a line cannot be parsed.
    """
    return parse_split(read_text(path).splitlines(), source=str(path))


@dataclass(frozen=True, order=True)
class OdometryFrame:
    """One image of the odometry set: sequence (0 to 21), frame number and camera (2 left, 3 right)."""

    sequence: int
    frame: int
    camera: int


def parse_odometry_split(lines: Iterable[str], source: str = "split") -> list[OdometryFrame]:
    """The frames of the odometry set that the lines name, in their order; empty lines are left out.

    Args:
        lines: ``<sequence> <frame> <side>``, as Monodepth2's lists have them.
        source: the file's name, for the message.

    Raises:
        DataError: a line that is not so, or no frame; names file and line.

    Example:
        >>> parse_odometry_split(["9 0 l", "10 12 r"])[1]
        OdometryFrame(sequence=10, frame=12, camera=3)
    """
    found = _matches(lines, _ODOMETRY, source, "9 0 l")
    return [OdometryFrame(int(m["sequence"]), int(m["frame"]), SIDES[m["side"]]) for m in found]


def read_odometry_split(path: Path) -> list[OdometryFrame]:
    """The frames of a split file of the odometry set.

    Raises:
        DataError: the file is missing, names no frame, or a line cannot be parsed.
    """
    return parse_odometry_split(read_text(path).splitlines(), source=str(path))


def read_static_frames(path: Path) -> frozenset[tuple[str, int]]:
    """SfMLearner's list of the frames in which the car stands, as (drive, frame number); both cameras are
    meant.

    Raises:
        DataError: the file is missing, names no frame, or a line cannot be parsed.
    """
    example = "2011_09_26 2011_09_26_drive_0009_sync 0000000386"
    found = _matches(read_text(path).splitlines(), _STATIC, str(path), example)
    return frozenset((m["drive"], int(m["frame"])) for m in found)


def without_static(frames: Iterable[Frame], static: Collection[tuple[str, int]]) -> list[Frame]:
    """The frames that are not in a list of static ones, in their order; a frame is asked about itself, not
    about its neighbours in time.

    Example:
        >>> frames = [Frame("2011_09_26", "2011_09_26_drive_0009_sync", i, 2) for i in (385, 386)]
        >>> [frame.frame for frame in without_static(frames, {("2011_09_26_drive_0009_sync", 386)})]
        [385]
    """
    return [frame for frame in frames if (frame.drive, frame.frame) not in static]


def _matches(
    lines: Iterable[str], pattern: re.Pattern[str], source: str, example: str
) -> list[re.Match[str]]:
    """What a pattern finds in lines of one form; ``example`` is such a line, for the message."""
    found = []
    for number, line in enumerate(lines, start=1):
        match = pattern.fullmatch(line.strip())
        if match is None and line.strip():
            raise DataError(
                f"{source}, line {number}: cannot be parsed: {line.strip()[:80]!r}; expected '{example}'"
            )
        found += [match] if match else []
    if not found:
        raise DataError(f"{source}: names no frame; expected lines such as '{example}'")
    return found
