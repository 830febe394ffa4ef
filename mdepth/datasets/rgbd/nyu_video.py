"""A posed piece of an NYU video: ``color/1.png``, ``depth/1.pgm`` (registered, millimetres) and ``pose.txt``.

The poses are camera-to-world, one line a frame: translation, then a quaternion in the order x, y, z, w.
"""

from pathlib import Path

import numpy as np

from mdepth.datasets.files import by_number, codes_to_depth, read_numbers, read_pgm, require_files
from mdepth.datasets.nyu.raw import COLOR_K
from mdepth.datasets.rgbd.frames import RgbdFrame, RgbdFrames, pose_matrix
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["NyuVideo"]

SENSOR_RANGE = 10.5  # m


class NyuVideo(RgbdFrames):
    """The frames in the order of their numbers.

    Args:
        folder: holds ``color``, ``depth`` and ``pose.txt``.
        K: (3, 3) intrinsics; NYU's colour camera by default.

    Raises:
        DataError: files missing, or another number of poses than images.
    """

    name = "nyu-video"

    def __init__(self, folder: Path | str, K: np.ndarray | None = None) -> None:
        folder = Path(folder).expanduser()
        images = sorted(require_files(folder / "color", "*.png", "numbered colour images"), key=by_number)
        strange = next((image for image in images if not image.stem.isdigit()), None)
        if strange is not None:
            raise DataError(f"{strange}: expected images named by numbers, as 1.png; move it elsewhere")
        poses = read_numbers(folder / "pose.txt", (-1, 7))
        if len(poses) != len(images):
            raise DataError(
                f"{folder / 'pose.txt'}: holds {len(poses)} poses for {len(images)} images; they must be as "
                "many"
            )
        frames = []
        for image, pose in zip(images, poses, strict=True):
            T = pose_matrix(pose, f"{folder / 'pose.txt'}, frame {image.stem}")
            frames.append(RgbdFrame(image, folder / "depth" / f"{image.stem}.pgm", image.stem, T))
        super().__init__(folder, frames, COLOR_K.double().numpy() if K is None else K)

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """Millimetres."""
        return codes_to_depth(read_pgm(path), 0.001, path, SENSOR_RANGE)
