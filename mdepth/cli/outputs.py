"""What ``mdepth predict`` writes: one folder for each kind of file, so that each can be read back as a set.

=================  ==============================================================================
``depth/*.png``    16 bits, millimetres (1/256 m for networks that see beyond 65 m), 0 = unknown
``npz/*.npz``      ``depth`` float32 metres (H, W), ``K`` (3, 3)
``colour/*.png``   depth in colours with a scale below
``cloud/*.ply``    points with colours, metres, camera axes: x right, y down, z forward
=================  ==============================================================================

The files of a picture are made under other names and then renamed, so a killed process leaves whole files
only.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdepth.shapes import Float, Tensor

__all__ = ["KINDS", "Result", "paths", "png_unit", "write"]

KINDS = {
    "png": ("depth", ".png"),
    "npz": ("npz", ".npz"),
    "colour": ("colour", ".png"),
    "ply": ("cloud", ".ply"),
}
"""Kind -> folder and ending."""
UNITS = {"mm": 0.001, "m/256": 1 / 256}
"""Names of ``mdepth.datasets.predictions.UNITS`` -> metres in one code of the 16-bit pictures."""
POINTS = 400_000
"""A cloud holds at most so many points; larger pictures give every second, third ... row and column."""


@dataclass(frozen=True)
class Result:
    """A picture with its predicted depth."""

    name: str
    image: Float[Tensor, "3 H W"]
    depth: Float[Tensor, "H W"]
    K: Float[Tensor, "3 3"]
    unit: str
    """``mm`` or ``m/256``, or ``relative`` where the network's depth is known up to a factor only."""


def png_unit(farthest: float, metric: bool) -> str:
    """The unit of the 16-bit pictures: as fine as the farthest depth allows.

    Example:
        >>> png_unit(10.0, True), png_unit(80.0, True), png_unit(1.0, False)
        ('mm', 'm/256', 'relative')
    """
    if not metric:
        return "relative"
    return "mm" if farthest <= 65.535 else "m/256"


def paths(folder: Path, name: str, kinds: tuple[str, ...]) -> dict[str, Path]:
    """Where the files of a picture go: kind -> path."""
    return {kind: folder / KINDS[kind][0] / f"{name}{KINDS[kind][1]}" for kind in kinds}


def write(
    result: Result, folder: Path, kinds: tuple[str, ...], limits: tuple[float, float] | None = None
) -> dict[str, Path]:
    """Write the files of a picture, none if one cannot be written, and say where they are.

    Args:
        result: what to write.
        folder: made if it is not there.
        kinds: keys of ``KINDS``.
        limits: depth at the two ends of the colours; by default the nearest and the farthest there is.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    targets = paths(folder, result.name, kinds)
    writers: dict[str, Any] = {"png": _write_codes, "npz": _write_arrays, "ply": _write_cloud}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".predict.", dir=folder) as scratch:
        for kind, target in targets.items():
            made = Path(scratch) / f"{kind}{target.suffix}"
            if kind == "colour":
                _write_colours(result, made, limits)
            else:
                writers[kind](result, made)
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
        for kind, target in targets.items():
            (Path(scratch) / f"{kind}{target.suffix}").replace(target)
    return targets


def _write_codes(result: Result, path: Path) -> None:
    """Depth as 16-bit codes; the unit stands in the file's text."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    depth = result.depth.double().numpy()
    metres = UNITS.get(result.unit, float(depth.max()) / 65535 or 1.0)
    codes = np.rint(depth / metres).clip(0, 65535).astype(np.uint16)
    text = PngInfo()
    text.add_text("unit", result.unit)
    text.add_text("scale", f"{metres:.9g}")
    Image.fromarray(codes).save(path, pnginfo=text)


def _write_arrays(result: Result, path: Path) -> None:
    """Depth and K as arrays."""
    np.savez_compressed(path, depth=result.depth.numpy(), K=result.K.numpy())


def _write_colours(result: Result, path: Path, limits: tuple[float, float] | None) -> None:
    """Depth in the book's colours, and a scale with its ends in metres."""
    from PIL import Image, ImageDraw, ImageFont

    from mdepth.plots import colour_depth

    depth = result.depth.numpy()
    near, far = limits or (float(depth.min()), float(depth.max()))
    height, width = depth.shape
    bar = scale_rows(width)
    scale = np.linspace(near, far, width)[None].repeat(bar // 2, 0)
    page = Image.new("RGB", (width, height + bar), "white")
    page.paste(Image.fromarray(colour_depth(depth.clip(near, far), near, far)), (0, 0))
    page.paste(Image.fromarray(colour_depth(scale, near, far)), (0, height))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(bar // 2 - 3)
    unit = "" if result.unit == "relative" else " m"
    draw.text((2, height + bar // 2), f"{near:.2f}{unit}", "black", font)
    draw.text((width - 2, height + bar // 2), f"{far:.2f}{unit}", "black", font, anchor="ra")
    page.save(path)


def scale_rows(width: int) -> int:
    """Rows below a coloured picture for its scale and the scale's numbers."""
    return max(28, width // 16)


def _write_cloud(result: Result, path: Path) -> None:
    """Every known pixel as a coloured point, in binary PLY."""
    from mdepth.geometry import backproject

    height, width = result.depth.shape
    step = int(np.ceil(np.sqrt(max(1, height * width / POINTS))))
    points = backproject(result.depth[None, None], result.K[None])[0, :, ::step, ::step].flatten(1).T  # N 3
    colours = result.image[:, ::step, ::step].mul(255).round().byte().flatten(1).T  # N 3
    keep = (points[:, 2] > 0).numpy()
    rows = np.empty(int(keep.sum()), dtype=[("at", "<f4", 3), ("colour", "u1", 3)])
    rows["at"], rows["colour"] = points.numpy()[keep], colours.numpy()[keep]
    unit = "relative units" if result.unit == "relative" else "metres"
    header = [
        "ply", "format binary_little_endian 1.0", f"comment {unit}; camera axes: x right, y down, z forward",
        f"element vertex {len(rows)}", *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")), "end_header\n",
    ]  # fmt: skip
    path.write_bytes("\n".join(header).encode("ascii") + rows.tobytes())
