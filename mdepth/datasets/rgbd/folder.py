"""The reader's own recordings: a folder of colour images, depth maps and one camera.

::

    my_room/
      rgb/0001.jpg      8-bit colour (.png, .jpg)
      depth/0001.png    16-bit PNG in the unit below, or 0001.npy (H, W) float in metres; 0 = unknown
      camera.json       {"fx": 525.0, "fy": 525.0, "cx": 319.5, "cy": 239.5, "metres_per_code": 0.001}
      poses/0001.txt    optional: 4x4 camera-to-world matrix

Depth is along the camera's z and registered to colour; files are paired by their names. ``metres_per_code``
is needed for PNGs and has no default: a guessed unit is the commonest fault of a depth data set. Pixel
centres are at integer coordinates (the centre of a W pixel wide image is (W - 1) / 2).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.files import (
    IMAGE_SUFFIXES,
    check_metres,
    codes_to_depth,
    read_codes,
    read_numbers,
    read_text,
    require_files,
)
from mdepth.datasets.rgbd.frames import RgbdFrame, RgbdFrames, camera_matrix
from mdepth.shapes import DataError, Float, Tensor

__all__ = ["Folder"]

SENSOR_RANGE = 300.0  # m


class Folder(RgbdFrames):
    """A folder in the layout of this module.

    Raises:
        DataError: ``camera.json`` missing or incomplete, images without depth, depth that is no 16-bit PNG or
            float array.
    """

    name = "folder"

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder).expanduser()
        K, self.metres_per_code = _read_camera(folder / "camera.json")
        frames = []
        for image in require_files(folder / "rgb", "*.*", "colour images"):
            if image.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            depth = next(
                (p for s in (".npy", ".png") if (p := folder / "depth" / f"{image.stem}{s}").exists()), None
            )
            if depth is None:
                raise DataError(
                    f"{folder / 'depth' / image.stem}.png (or .npy): missing, but {image.name} is there; "
                    "pair the files by name"
                )
            pose = folder / "poses" / f"{image.stem}.txt"
            T = read_numbers(pose, (4, 4)) if pose.exists() else None
            frames.append(RgbdFrame(image, depth, image.stem, T))
        super().__init__(folder, frames, K)

    def read_depth(self, path: Path) -> Float[Tensor, "1 H W"]:
        """By the kind of file."""
        if path.suffix == ".npy":
            return _read_array(path)
        if self.metres_per_code is None:
            raise DataError(
                f"{path}: its unit is unknown; write metres_per_code into camera.json (0.001 for millimetres)"
            )
        return codes_to_depth(read_codes(path), self.metres_per_code, path, SENSOR_RANGE)

    def describe(self) -> dict[str, Any]:
        """Frames, camera, and the unit of depth."""
        return {**super().describe(), "metres_per_code": self.metres_per_code}


def _read_array(path: Path) -> Float[Tensor, "1 H W"]:
    """A float array in metres; NaN and infinity are errors, not holes."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is not a readable .npy file ({error}); write it with numpy.save") from None
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(
            f"{path}: expected (H, W) float metres, found {array.dtype} of shape {array.shape}; whole "
            "numbers need their unit"
        )
    return torch.from_numpy(check_metres(array, SENSOR_RANGE, str(path)).astype(np.float32))[None]


def _read_camera(path: Path) -> tuple[np.ndarray, float | None]:
    """K, and metres per code where given."""
    try:
        content = json.loads(read_text(path))
        K = camera_matrix(*(float(content[key]) for key in ("fx", "fy", "cx", "cy")))
        unit = float(content["metres_per_code"]) if "metres_per_code" in content else None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected JSON with the numbers fx, fy, cx, cy (and metres_per_code), but: {error!r}"
        ) from None
    positive = [K[0, 0], K[1, 1], 1.0 if unit is None else unit]
    if not np.isfinite([*positive, *K[:2, 2]]).all() or min(positive) <= 0:  # JSON may say NaN
        raise DataError(
            f"{path}: fx, fy and metres_per_code must be positive and all numbers finite, found fx {K[0, 0]}"
            f", fy {K[1, 1]}, cx {K[0, 2]}, cy {K[1, 2]}, metres_per_code {unit}"
        )
    return K, unit
