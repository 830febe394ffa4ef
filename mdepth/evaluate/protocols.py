"""Protocols: everything that turns "RMSE on NYU" into a definite number.

Code bases score different rectangles of the image, clamp or rescale predictions, upsample depth or its
inverse, and average over images or over pixels. Each choice moves the second digit, so a number without its
protocol says little. A :class:`Protocol` writes all of them down; ``PROTOCOLS`` holds those of the sources
under their names, ``CROPS`` the rectangles.

The steps, in this order: take the *view* of image and truth that the network is shown; predict (for flip
averaging also the mirrored image); merge the two and resize to the truth's size; keep the pixels that are
valid, in range and inside the crop; multiply by the protocol's factor and align; clamp; measure.

Where we differ: target pixels must be positive everywhere (sources without a mask assume filled depth, where
they are); DenseDepth and AdaBins clamp before merging *and* in the end, which is the same after one clamp; Hu
counts ratios equal to 1.25 as good.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch

from mdepth.image import resize
from mdepth.metrics import median, valid_pixels
from mdepth.shapes import Bool, Depth, Float, Image, Tensor, Valid

__all__ = ["CROPS", "PROTOCOLS", "Crop", "Protocol", "blend_flips", "get_protocol"]


@dataclass(frozen=True)
class Crop:
    """A rectangle of the image: fractions of its height and width, or pixels of an image of the size ``of``.

    ``rows`` and ``columns`` are (first, end), the end excluded, counted from 0. Fractions are truncated to
    integers as the released evaluation scripts do (0.3324324 of 370 rows is 122.99998 and becomes 122).
    Pixels apply to images of exactly ``of`` (rows, columns); for others of the same shape they are scaled and
    rounded.
    """

    rows: tuple[float | int, float | int]
    columns: tuple[float | int, float | int]
    of: tuple[int, int] | None = None

    def __str__(self) -> str:
        of = "fractions" if self.of is None else f"pixels of {self.of[0]} x {self.of[1]}"
        (top, bottom), (left, right) = self.rows, self.columns
        return f"rows {top:g}:{bottom:g}, columns {left:g}:{right:g}, {of}"

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) in an image of ``height`` x ``width``, ends excluded.

        Raises:
            ValueError: for pixel crops of an image of another shape.

        Example:
            >>> CROPS["garg"].box(375, 1242)
            (153, 371, 44, 1197)
            >>> CROPS["eigen-nyu"].box(480, 640), CROPS["eigen-nyu"].box(96, 128)
            ((20, 460, 24, 616), (4, 92, 5, 123))
        """
        (top, bottom), (left, right) = self.rows, self.columns
        if self.of is None:
            return int(height * top), int(height * bottom), int(width * left), int(width * right)
        if height * self.of[1] != width * self.of[0]:
            raise ValueError(
                f"this crop is made for images of {self.of[0]} x {self.of[1]} or that shape, "
                f"got {height} x {width}; take another protocol, or dataclasses.replace(protocol, crop=None) "
                "(view_crop=None where the images are cropped already)"
            )
        scale = height / self.of[0]
        return round(top * scale), round(bottom * scale), round(left * scale), round(right * scale)


NYU = (480, 640)
CROPS: dict[str, Crop] = {
    # The toolbox's projection mask, one-based 45:471, 41:601 with both ends included.
    "toolbox": Crop((44, 471), (40, 601), NYU),
    # The same digits taken as a Python slice: one row and one column short. BTS, AdaBins, ZoeDepth.
    "eigen-today": Crop((45, 471), (41, 601), NYU),
    "gupta": Crop((45, 470), (40, 600), NYU),
    # What the network of Eigen et al. 2014 predicts; DenseDepth's crop.
    "eigen-nyu": Crop((20, 460), (24, 616), NYU),
    # What the BTS loader trains on.
    "bts-train": Crop((45, 472), (43, 608), NYU),
    # Found by trial and error by the authors of monodepth to reproduce Eigen et al. 2014.
    "eigen-kitti": Crop((0.3324324, 0.91351351), (0.0359477, 0.96405229)),
    "garg": Crop((0.40810811, 0.99189189), (0.03594771, 0.96405229)),
}
"""The rectangles in use, by name."""


@dataclass(frozen=True)
class Protocol:
    """One way to score predictions; see the module's text for the order of the steps.

    Lengths in metres, sizes as (rows, columns). Another choice is one line away:
    ``dataclasses.replace(PROTOCOLS["bts-nyu"], name="mine", crop=None)``.
    """

    name: str
    source: str
    """Who scores so, and where that is written."""
    crop: Crop | None = None
    """Only pixels inside count; None: the full frame."""
    min_depth: float = 0.0
    max_depth: float = math.inf
    """A target counts if min_depth < target < max_depth."""
    clamp: tuple[float, float] | None = None
    """Predictions are clamped to this range, after alignment; None: not at all."""
    clamp_each: bool = False
    """Clamp also the network's raw depths, before they are merged and resized."""
    factor: float = 1.0
    """Multiplies predictions that are not aligned (5.4 for Monodepth2's stereo networks: 0.54 m for 0.1)."""
    alignment: Literal["none", "median", "log-mean"] = "none"
    """Per image: the factor median(target) / median(prediction), or exp(mean(ln target - ln prediction))."""
    averaging: Literal["per_image", "pooled"] = "per_image"
    """Which of the two averages is the one to report."""
    flip: Literal["none", "mean", "ramp"] = "none"
    """Predict the mirrored image too, and merge: the mean, or Monodepth's blend (:func:`blend_flips`)."""
    resize_as: Literal["depth", "inverse_depth"] = "depth"
    """The quantity that is merged and resized."""
    resize_mode: Literal["bilinear", "nearest"] = "bilinear"
    align_corners: bool = False
    """The convention of bilinear resizing (:func:`mdepth.image.resize`)."""
    view_size: tuple[int, int] | None = None
    """Image (bilinear, anti-aliased) and truth (nearest) are resized to this first."""
    view_crop: Crop | None = None
    """Then only this rectangle of both is shown and scored."""

    def describe(self) -> dict[str, Any]:
        """All fields as plain JSON-able values (infinity as the string "inf")."""
        fields = dataclasses.asdict(self)
        return {key: "inf" if value == math.inf else value for key, value in fields.items()}

    def view_of_image(self, image: Image) -> Float[Tensor, "B 3 h w"]:
        """What the network is shown."""
        if self.view_size is not None:
            image = resize(image, self.view_size, antialias=True)
        return _cut(image, self.view_crop)

    def view_of_depth(
        self, depth: Depth, valid: Valid
    ) -> tuple[Float[Tensor, "B 1 h w"], Bool[Tensor, "B 1 h w"]]:
        """Depth and mask of that view; nearest, so that no depth is invented."""
        if self.view_size is not None:
            depth = resize(depth, self.view_size, mode="nearest")
            valid = resize(valid.float(), self.view_size, mode="nearest") > 0
        return _cut(depth, self.view_crop), _cut(valid, self.view_crop)

    def inside(self, valid: Valid) -> Valid:
        """The mask without what lies outside the crop."""
        if self.crop is None:
            return valid
        top, bottom, left, right = self.crop.box(*valid.shape[-2:])
        kept = torch.zeros_like(valid)
        kept[..., top:bottom, left:right] = valid[..., top:bottom, left:right]
        return kept

    def scored_pixels(
        self,
        prediction: Float[Tensor, "1 H W"],
        target: Float[Tensor, "1 H W"],
        inside: Bool[Tensor, "1 H W"],
    ) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """One image's predictions and targets where the mask holds and the target is in range, as vectors."""
        found, truth = valid_pixels(inside, prediction, target)
        in_range = (truth > self.min_depth) & (truth < self.max_depth)
        if not in_range.all():
            found, truth = valid_pixels(in_range, found, truth)
        return found, truth

    def complete(
        self,
        depth: Float[Tensor, "B 1 h w"],
        mirrored: Float[Tensor, "B 1 h w"] | None,
        height: int,
        width: int,
    ) -> Depth:
        """The network's depth of the view, merged with that of the mirrored view, at the truth's size."""
        views = [depth] if mirrored is None else [depth, mirrored.flip(-1)]
        if self.clamp_each and self.clamp is not None:
            views = [view.clamp(*self.clamp) for view in views]
        if self.resize_as == "inverse_depth":
            views = [view.reciprocal() for view in views]
        merged = views[0]
        if len(views) == 2:
            merged = blend_flips(*views) if self.flip == "ramp" else (views[0] + views[1]) / 2
        corners = self.align_corners and self.resize_mode == "bilinear"
        merged = resize(merged, (height, width), mode=self.resize_mode, align_corners=corners)
        return merged.reciprocal() if self.resize_as == "inverse_depth" else merged

    def align(
        self, prediction: Float[Tensor, " N"], target: Float[Tensor, " N"]
    ) -> tuple[Float[Tensor, " N"], float]:
        """One image's scored predictions as they are measured, and the factor they were multiplied by."""
        factor = self.factor
        if self.alignment == "median":
            middle = median(prediction)
            if middle <= 0:
                raise ValueError(f"the prediction's median is {middle:g}: no factor makes it the target's")
            factor = median(target) / middle
        elif self.alignment == "log-mean":
            factor = math.exp((target / prediction).log().mean(dtype=torch.float64))
        prediction = prediction if factor == 1 else factor * prediction
        return prediction if self.clamp is None else prediction.clamp(*self.clamp), factor


def _cut(values: Tensor, crop: Crop | None) -> Tensor:
    if crop is None:
        return values
    top, bottom, left, right = crop.box(*values.shape[-2:])
    return values[..., top:bottom, left:right]


def blend_flips(
    straight: Float[Tensor, "B 1 H W"], mirrored: Float[Tensor, "B 1 H W"]
) -> Float[Tensor, "B 1 H W"]:
    """Monodepth's post-processing: the mean of both predictions, but at either side the one that saw more.

    ``mirrored`` is the prediction for the mirrored image, already mirrored back. The left 5 % of the columns
    come from it, the right 5 % from ``straight``, with linear ramps up to 10 %; in between the mean. (Stereo
    networks cannot see what only the other camera sees, a strip at the left.) Meant for inverse depth. Godard
    et al. 2017, section 4.2.

    Example:
        >>> blend_flips(torch.full((1, 1, 1, 11), 1.0), torch.full((1, 1, 1, 11), 2.0))[0, 0, 0, :3]
        tensor([2.0000, 1.5000, 1.5000])
    """
    x = torch.linspace(0, 1, straight.shape[-1], device=straight.device, dtype=straight.dtype)
    left = 1 - (20 * (x - 0.05)).clamp(0, 1)
    right = left.flip(0)
    return right * straight + left * mirrored + (1 - left - right) * (straight + mirrored) / 2


def get_protocol(protocol: str | Protocol) -> Protocol:
    """A protocol by its name; a ``Protocol`` is handed back as it is.

    Raises:
        ValueError: no protocol has that name; the message lists them.

    Example:
        >>> get_protocol("bts-nyu").clamp
        (0.001, 10.0)
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol named {protocol!r}; there are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]


_HU_VIEW: dict[str, Any] = {"view_size": (240, 320), "view_crop": Crop((6, 234), (8, 312), (240, 320))}
_DENSEDEPTH: dict[str, Any] = {
    "crop": CROPS["eigen-nyu"], "clamp": (0.1, 10.0), "clamp_each": True, "flip": "mean",
}  # fmt: skip
_BTS: dict[str, Any] = {
    "crop": CROPS["eigen-today"], "min_depth": 1e-3, "max_depth": 10.0, "clamp": (1e-3, 10.0),
}  # fmt: skip
_MONODEPTH: dict[str, Any] = {"clamp": (1e-3, 80.0), "resize_as": "inverse_depth"}
_EIGEN_SPLIT: dict[str, Any] = {"crop": CROPS["garg"], "min_depth": 1e-3, "max_depth": 80.0, **_MONODEPTH}
_CENTRAL_BAND: dict[str, Any] = {
    "view_crop": Crop((710, 1562), (0, 1704), (2272, 1704)),
    "max_depth": 70.0, "clamp": (1e-3, 70.0), "resize_mode": "nearest",
}  # fmt: skip

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("worlds", "this book: full frame, every pixel whose depth the world gives",
                 clamp=(1e-3, 80.0)),
        Protocol("worlds-median", "this book: as worlds, with median scaling, for networks without a scale",
                 clamp=(1e-3, 80.0), alignment="median"),
        Protocol("eigen-nyu", "Eigen et al. 2014, section 4.1; region of the released network",
                 crop=CROPS["eigen-nyu"], averaging="pooled", resize_mode="nearest"),
        Protocol("eigen-kitti", "Eigen et al. 2014, section 4.2; crop as recovered by monodepth",
                 crop=CROPS["eigen-kitti"], averaging="pooled", resize_mode="nearest"),
        Protocol("eigen-fergus-nyu", "Eigen & Fergus 2015 and Chakrabarti et al. 2016: the toolbox's mask",
                 crop=CROPS["toolbox"], averaging="pooled"),
        Protocol("laina-nyu", "Laina et al. 2016, evaluateNYU.m: full frame, filled depth",
                 averaging="pooled"),
        Protocol("make3d", "Laina et al. 2016, evaluateMake3D.m: criterion C1, truth below 70 m; its "
                 "460 x 345 pixels come from datasets.make3d.LainaMake3D",
                 max_depth=70.0, averaging="pooled"),
        Protocol("make3d-c2", "criterion C2 of Liu, Salzmann & He 2014 (recalled, not read): all that the "
                 "laser measured, its end at 81 m included; size, resizing, average as for C1: our reading",
                 averaging="pooled"),
        Protocol("densedepth-nyu", "DenseDepth, released evaluation since August 2019",
                 averaging="pooled", **_DENSEDEPTH),
        Protocol("densedepth-nyu-per-image", "DenseDepth, released evaluation before August 2019",
                 **_DENSEDEPTH),
        Protocol("hu-nyu", "Hu et al. 2019, test.py: 228 x 304, nearest truth",
                 averaging="pooled", align_corners=True, **_HU_VIEW),
        Protocol("sparse-to-dense-nyu", "Ma & Karaman 2018, released code: 228 x 304, each image alone",
                 **_HU_VIEW),
        Protocol("bts-nyu", "BTS and most codes since: the crop one row and one column short", **_BTS),
        Protocol("adabins-nyu", "AdaBins, ZoeDepth: as BTS, mean of two clamped flips",
                 clamp_each=True, flip="mean", **_BTS),
        Protocol("monodepth-kitti", "Godard et al. 2017, evaluate_kitti.py with the Garg crop",
                 **_EIGEN_SPLIT),
        Protocol("monodepth2-kitti", "Godard et al. 2019, evaluate_depth.py, split eigen (697 images)",
                 alignment="median", **_EIGEN_SPLIT),
        Protocol("monodepth2-kitti-stereo", "as monodepth2-kitti, for predictions in the units of networks "
                 "trained with stereo",
                 factor=5.4, **_EIGEN_SPLIT),
        Protocol("monodepth2-kitti-pp", "as monodepth2-kitti, with post-processing (Table 10)",
                 alignment="median", flip="ramp", **_EIGEN_SPLIT),
        Protocol("monodepth2-kitti-stereo-pp", "as monodepth2-kitti-stereo, with post-processing (Table 10)",
                 factor=5.4, flip="ramp", **_EIGEN_SPLIT),
        Protocol("monodepth2-kitti-benchmark", "Godard et al. 2019, split eigen_benchmark (652 images)",
                 alignment="median", **_MONODEPTH),
        Protocol("monodepth2-kitti-benchmark-stereo", "as monodepth2-kitti-benchmark, trained with stereo",
                 factor=5.4, **_MONODEPTH),
        Protocol("monodepth2-make3d", "Godard et al. 2019: whole photographs, of which the central 2:1 band "
                 "counts; median scaling, up to 70 m",
                 alignment="median", **_CENTRAL_BAND),
        Protocol("monodepth2-make3d-stereo", "as monodepth2-make3d, for networks trained with stereo",
                 factor=5.4, **_CENTRAL_BAND),
        Protocol("kitti-benchmark", "KITTI depth prediction server: every pixel with truth, image by image"),
    )
}  # fmt: skip
"""The protocols by name."""
