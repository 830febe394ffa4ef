"""Predictions as KITTI's depth server takes them: 16-bit pictures of one size."""

from pathlib import Path

import numpy as np

from mdepth.datasets.files import atomic_file
from mdepth.image import resize
from mdepth.shapes import Float, Tensor

__all__ = ["CODES_PER_METRE", "FARTHEST", "SIZE", "write_benchmark_png"]

SIZE = (352, 1216)
"""Rows and columns of the server's test images."""
CODES_PER_METRE = 256
"""Of KITTI's depth pictures; code 0 stands for "unknown"."""
FARTHEST = 80.0
"""Metres; what lies beyond is written as this."""


def write_benchmark_png(depth: Float[Tensor, "1 H W"], path: Path | str, *, overwrite: bool = False) -> Path:
    """Write a predicted depth map in metres as a picture of 1216 x 352 codes of 1/256 m, and give its path.

    A map of another size is resized as inverse depth (bilinear, half-pixel rule), as Monodepth2's evaluation
    does. Then it is cut off at 80 m and rounded: what is read back is within 1/512 m. A prediction has no
    holes: the smallest code is 1, since 0 would say "unknown".

    (``mdepth predict`` writes 16-bit pictures too: of the image's size, in a unit that fits the network.)

    Raises:
        ValueError: a depth is not positive and finite.
        DataError: the target exists, its folder cannot be written, or the disk is full.

    Source: Monodepth2, evaluate_depth.py, split "benchmark".

    Example:
        >>> import tempfile, torch
        >>> from mdepth.datasets.files import read_codes
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_benchmark_png(torch.full((1, 2, 4), 10.0), Path(folder, "0000000000.png"))
        ...     codes = read_codes(path)
        >>> codes.shape, codes.min().item(), codes.max().item()
        ((352, 1216), 2560, 2560)
    """
    from PIL import Image

    path = Path(path).expanduser()
    depth = depth.detach().double().cpu()
    if not (depth.isfinite() & (depth > 0)).all():
        bad = int((~(depth.isfinite() & (depth > 0))).sum())
        raise ValueError(
            f"{path}: {bad} of {depth.numel()} depths are not positive finite metres; clamp them first"
        )
    metres = resize(depth.reciprocal()[None], SIZE)[0, 0].reciprocal().clamp(max=FARTHEST)
    codes = (metres * CODES_PER_METRE).round().clamp(min=1).numpy().astype(np.uint16)
    with atomic_file(path, overwrite=overwrite) as temporary:
        Image.fromarray(codes).save(temporary)
    return path
