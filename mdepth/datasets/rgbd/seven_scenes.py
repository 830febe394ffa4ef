"""7-Scenes (Shotton et al., CVPR 2013): hand-held Kinect, depth not registered to colour.

``frame-000000.color.png`` (or .jpg), ``.depth.png`` in millimetres with 0 and 65535 for "nothing",
``.pose.txt`` the camera-to-world matrix of the depth camera. The two cameras look the same way 2.5 cm apart;
laid over the colour image unmoved, depth edges sit beside the things they belong to.
"""

from pathlib import Path

import numpy as np
import torch

from mdepth.datasets.files import codes_to_depth, read_codes, read_numbers, require_files
from mdepth.datasets.registration import register_depth
from mdepth.datasets.rgbd.frames import RgbdFrame, RgbdFrames, camera_matrix
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["SevenScenes"]

DEPTH_K = camera_matrix(585.0, 585.0, 320.0, 240.0)
COLOR_K = camera_matrix(525.0, 525.0, 320.0, 240.0)
COLOR_SHIFT = -0.025  # m; x of a point in the colour camera minus its x in the depth camera
SENSOR_RANGE = 20.0  # m; readings beyond ten or so metres occur
NOTHING = (0, 65535)


class SevenScenes(RgbdFrames):
    """One sequence.

    Args:
        folder: the folder of the frames, for example ``redkitchen/seq-01``.
        register: bring depth and pose into the colour camera, which leaves holes; without it depth and image
            do not belong together, and K and pose are the depth camera's (to see what goes wrong).
        every: take every n-th frame.

    Raises:
        ValueError: ``every`` is not positive.
        DataError: no frames, files missing, depth in another unit, malformed poses.
    """

    name = "7scenes"

    def __init__(self, folder: Path | str, register: bool = True, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        folder = Path(folder).expanduser()
        images = [
            i
            for i in require_files(folder, "frame-*.color.*", "7-Scenes frames")
            if i.suffix in (".png", ".jpg")
        ]
        self.register = register
        own = folder / "camera-intrinsics.txt"
        self.K_depth = read_numbers(own, (3, 3)) if own.exists() else DEPTH_K
        self.T_color_depth = np.eye(4)
        self.T_color_depth[0, 3] = COLOR_SHIFT
        frames = [self._frame(image) for image in images[::every]]
        super().__init__(folder, frames, COLOR_K if register else self.K_depth)
        if folder.name.startswith("seq-"):
            self.scene = f"{folder.parent.name}_{folder.name}"

    def _frame(self, image: Path) -> RgbdFrame:
        """The frame of an image, with its pose."""
        stem = image.name.removesuffix(f".color{image.suffix}")
        pose = image.with_name(f"{stem}.pose.txt")
        T = read_numbers(pose, (4, 4)) if pose.exists() else None
        if T is not None and self.register:
            T = T @ np.linalg.inv(self.T_color_depth)
        return RgbdFrame(image, image.with_name(f"{stem}.depth.png"), stem, T)

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """Millimetres, registered to the colour camera where asked for."""
        depth = codes_to_depth(read_codes(path), 0.001, path, SENSOR_RANGE, invalid=NOTHING)
        if not self.register:
            return depth
        moved = register_depth(depth[0].numpy(), self.K_depth, COLOR_K, self.T_color_depth)
        if depth.any() and not moved.any():
            raise DataError(f"{path}: no depth falls into the colour image; check camera-intrinsics.txt")
        return torch.from_numpy(moved)[None]

    def describe(self) -> dict[str, object]:
        """Frames, camera, and whether depth was registered."""
        return {**super().describe(), "register": self.register}
