"""Joint transforms of image, depth and camera, as pure functions.

Each takes a sample or a collated batch (the tensors may have a batch axis in front) and returns a new
dictionary; nothing is changed in place. The random part is ``augment``, which draws parameters for every
image of a batch from a generator and calls the others. The rules that keep a sample true:

- images are interpolated (bilinear, antialiased when shrinking); depth, masks, normals, instances and labels
  never are (nearest), because the average of two depths is a surface that is not there;
- K follows every change of the pixel grid, by the half-pixel rule of ``mdepth.geometry``;
- a mirror image is seen by a mirrored camera: poses become ``M T M`` with ``M = diag(-1, 1, 1, 1)``, normals
  change the sign of x, and the right image of a stereo pair ends up on the left (``T_right_left`` says so);
- all frames of a sequence share K, so its neighbours are resized, cut and mirrored as the image is;
- enlarging the image by s while keeping the camera is, to the network, the scene at 1/s of its depth
  (Eigen et al. 2014, augmentation).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from mdepth.datasets.color import COLORS, channel_swap, color_gain, color_jitter, pca_lighting
from mdepth.geometry import crop_intrinsics, normalise_pixels, pixel_grid, scale_intrinsics
from mdepth.shapes import Float, Tensor

__all__ = [
    "Augmentation", "augment", "augment_sample", "center_crop", "channel_swap", "color_gain", "color_jitter",
    "crop", "hflip", "pca_lighting", "resize", "roll", "zoom",
]  # fmt: skip

MAPS = ("depth", "valid", "normals", "instances", "labels", "disparity", "sensor_depth")
POINTS = ("vanishing_point",)  # pixel positions (u, v)
POSES = ("T_world_camera", "T_right_left", "T_neighbour_target")
OTHER_VIEWS = ("image_right", "augmented_right", "neighbours", "augmented_neighbours")
Item = Mapping[str, Any]


def _grids(item: Item) -> list[str]:
    """The keys that live on the pixel grid."""
    return [key for key in (*COLORS, *MAPS) if key in item]


def _flat(values: Tensor) -> Tensor:
    """As (B, C, H, W), with one image in the batch where there was no batch axis."""
    return values.reshape(-1, *values.shape[-3:])


def _resample(
    item: Item, color: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor]
) -> dict[str, Any]:
    """The item with every map passed through ``color`` or ``other``, functions of float (B, C, H, W)."""
    result = dict(item)
    for key in _grids(item):
        values = _flat(item[key])
        moved = (
            color(values)
            if key in COLORS
            else other(values.double() if key == "instances" else values.float())
        )
        result[key] = moved.to(item[key].dtype).reshape(*item[key].shape[:-2], *moved.shape[-2:])
    return result


def _move_points(item: Item, scale: tuple[float, float], shift: tuple[float, float]) -> dict[str, Any]:
    """Pixel positions at ``(p + 0.5) scale - 0.5 + shift``, for (u, v)."""
    found = {key: item[key] for key in POINTS if key in item}
    return {k: (p + 0.5) * p.new_tensor(scale) - 0.5 + p.new_tensor(shift) for k, p in found.items()}


def resize(item: Item, height: int, width: int, *, sparse: bool = False) -> dict[str, Any]:
    """The item at another size; K follows by the half-pixel rule.

    Args:
        item: sample or batch.
        height: new rows.
        width: new columns.
        sparse: carry single measurements over (LiDAR): each valid pixel goes to the pixel it falls into, the
            nearest depth of a pixel wins. Otherwise every new pixel takes the depth of the pixel at its
            centre, which would lose most LiDAR points.

    Example:
        >>> item = {"image": torch.rand(3, 4, 6), "depth": torch.ones(1, 4, 6), "K": torch.eye(3)}
        >>> resize(item, 2, 3)["depth"].shape
        torch.Size([1, 2, 3])
    """
    old = (int(item["image"].shape[-2]), int(item["image"].shape[-1]))

    def color(values: Tensor) -> Tensor:
        shrinks = height < old[0] or width < old[1]
        return F.interpolate(
            values, (height, width), mode="bilinear", antialias=shrinks, align_corners=False
        ).clamp(0, 1)

    result = _resample(
        item, color, lambda values: F.interpolate(values, (height, width), mode="nearest-exact")
    )
    if sparse:
        known = item["depth"] * item["valid"] if "valid" in item else item["depth"]
        result["depth"] = _splat(known, height, width)
        result["valid"] = result["depth"] > 0
    result |= _move_points(item, (width / old[1], height / old[0]), (0.0, 0.0))
    if "disparity" in item:
        result["disparity"] = result["disparity"] * (width / old[1])
    if "K" in item:
        result["K"] = scale_intrinsics(item["K"], old, (height, width))
    return result


def _splat(depth: Float[Tensor, "*B 1 H W"], height: int, width: int) -> Float[Tensor, "*B 1 h w"]:
    """Every positive depth to the pixel of the new grid that its centre falls into; the least one stays."""
    old_height, old_width = depth.shape[-2:]
    rows = ((torch.arange(old_height, device=depth.device) + 0.5) * height / old_height).long()
    columns = ((torch.arange(old_width, device=depth.device) + 0.5) * width / old_width).long()
    index = (rows[:, None] * width + columns).flatten()  # H*W
    flat = torch.where(depth > 0, depth, torch.inf).reshape(-1, old_height * old_width)
    nearest = flat.new_full((len(flat), height * width), torch.inf)
    nearest.scatter_reduce_(1, index.expand_as(flat), flat, reduce="amin")
    return torch.where(nearest.isinf(), 0, nearest).reshape(*depth.shape[:-2], height, width)


def crop(item: Item, top: int, left: int, height: int, width: int) -> dict[str, Any]:
    """The rectangle that starts at row ``top`` and column ``left``; K's principal point moves along.

    Raises:
        ValueError: the rectangle leaves the image.
    """
    rows, columns = item["image"].shape[-2:]
    if top < 0 or left < 0 or height < 1 or width < 1 or top + height > rows or left + width > columns:
        raise ValueError(
            f"crop of {height}x{width} at ({top}, {left}) leaves the image of {rows}x{columns}; make it "
            "smaller"
        )
    result = dict(item)
    for key in _grids(item):
        result[key] = item[key][..., top : top + height, left : left + width]
    result |= _move_points(item, (1.0, 1.0), (float(-left), float(-top)))
    if "K" in item:
        result["K"] = crop_intrinsics(item["K"], left, top)
    return result


def center_crop(item: Item, height: int, width: int) -> dict[str, Any]:
    """The middle of the image; of an odd remainder the smaller half is cut at top and left."""
    rows, columns = item["image"].shape[-2:]
    return crop(item, (rows - height) // 2, (columns - width) // 2, height, width)


def hflip(item: Item) -> dict[str, Any]:
    """The mirror image: ``u' = W - 1 - u``, so ``cx' = W - 1 - cx``; poses and normals follow.

    Example:
        >>> item = {"image": torch.tensor([0.1, 0.9]).expand(3, 1, 2), "K": torch.eye(3)}
        >>> hflip(item)["image"][0], hflip(item)["K"][0, 2]
        (tensor([[0.9000, 0.1000]]), tensor(1.))
    """
    result = _without(item, "disparity")  # it would have to change its sign
    for key in _grids(result):
        result[key] = item[key].flip(-1)
    result |= _move_points(item, (-1.0, 1.0), (float(item["image"].shape[-1]), 0.0))
    if "normals" in item:
        result["normals"] = result["normals"] * result["normals"].new_tensor([-1.0, 1.0, 1.0])[:, None, None]
    if "K" in item:
        width = item["image"].shape[-1]
        K = item["K"].clone()
        K[..., 0, 2] = width - 1 - K[..., 0, 2]
        K[..., 0, 1] = -K[..., 0, 1]
        result["K"] = K
    for key in POSES:
        if key in item:
            mirror = torch.diag(item[key].new_tensor([-1.0, 1.0, 1.0, 1.0]))
            result[key] = mirror @ item[key] @ mirror
    return result


def zoom(item: Item, scale: float) -> dict[str, Any]:
    """Enlarge the image by ``scale`` and divide the depth by it, as Eigen et al. 2014 do.

    The camera stays the same (fx and fy do not grow; the principal point follows the picture), so every point
    keeps its x and y and comes nearer: the scene is squeezed along z. The normals of the squeezed scene are
    (n_x, n_y, ``scale`` n_z), made unit length again: an enlarged slope faces the camera more. The old poses
    are none of the squeezed scene's and are left out.

    Raises:
        ValueError: scale is not positive.
    """
    if scale <= 0:
        raise ValueError(f"scale must be positive, got {scale:g}")
    height, width = item["image"].shape[-2:]
    result = resize(item, round(height * scale), round(width * scale))
    result["depth"] = result["depth"] / scale
    if "K" in item:
        K = result["K"].clone()
        K[..., 0, 0], K[..., 1, 1] = item["K"][..., 0, 0], item["K"][..., 1, 1]
        result["K"] = K
    if "normals" in item:
        squeezed = result["normals"] * result["normals"].new_tensor([1.0, 1.0, scale])[:, None, None]
        result["normals"] = F.normalize(squeezed, dim=-3)
    return _without(result, *POSES, "disparity", "sensor_depth")


def _without(item: Item, *keys: str) -> dict[str, Any]:
    """The item without some keys."""
    return {key: value for key, value in item.items() if key not in keys}


def roll(item: Item, degrees: float) -> dict[str, Any]:
    r"""The picture that the camera takes when it rolls about its own axis: ``p' = K R_z(a) K^{-1} p``.

    Positive angles turn the picture clockwise. Depth along z and K stay what they are, normals and pose turn
    along; what comes in from outside the image is black and invalid. The right image of a stereo pair and a
    sequence's neighbours are left out: their cameras would have to move.

    Example:
        >>> K = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
        >>> depth = torch.arange(9.0).reshape(1, 3, 3)
        >>> item = {"image": torch.zeros(3, 3, 3), "depth": depth, "valid": depth > 0, "K": K}
        >>> roll(item, 90.0)["depth"][0]
        tensor([[6., 3., 0.],
                [7., 4., 1.],
                [8., 5., 2.]])
    """
    angle = math.radians(degrees)
    turn = torch.eye(4, dtype=item["K"].dtype, device=item["K"].device)
    turn[:2, :2] = turn.new_tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    K = item["K"].reshape(-1, 3, 3)
    A = K @ turn[:3, :3].T @ torch.linalg.inv(K)  # target pixels to source pixels
    result = _affine(
        _without(item, *OTHER_VIEWS, "T_right_left", "T_neighbour_target", "disparity", *POINTS),
        A,
        *item["image"].shape[-2:],
    )
    if "normals" in result:
        result["normals"] = torch.einsum("ij,...jhw->...ihw", turn[:3, :3], result["normals"])
    if "T_world_camera" in item:
        result["T_world_camera"] = item["T_world_camera"] @ turn.T
    return result


def _affine(item: Item, A: Float[Tensor, "B 3 3"], height: int, width: int) -> dict[str, Any]:
    """Every map of the item at the source pixels ``A (u, v, 1)`` of a new grid; what lies outside is 0."""
    grid = pixel_grid(height, width, device=A.device, dtype=A.dtype)
    source = torch.einsum("bij,jhw->bihw", A[:, :2, :2], grid) + A[:, :2, 2, None, None]
    old_height, old_width = (int(size) for size in item["image"].shape[-2:])
    pixels = normalise_pixels(source, old_height, old_width, align_corners=False)

    def take(values: Tensor, mode: str) -> Tensor:
        where = pixels.to(values.dtype)
        return F.grid_sample(values, where, mode=mode, padding_mode="zeros", align_corners=False)

    result = _resample(
        item, lambda values: take(values, "bilinear").clamp(0, 1), lambda values: take(values, "nearest")
    )
    if "valid" in result:
        result["valid"] = result["valid"] & (result["depth"] > 0)
    return result


@dataclass(frozen=True)
class Augmentation:
    """What ``augment`` draws for every image of a batch; the defaults change nothing.

    ``size`` (height, width) is cut at a random place (None keeps the size); ``scale`` (low, high) enlarges
    and divides the depth; ``roll`` is the largest angle in degrees; ``flip`` and ``swap`` are probabilities;
    ``gain`` (low, high) multiplies each colour channel; ``jitter`` holds (low, high) of brightness, contrast,
    saturation, hue; ``jitter_probability`` is the chance that an image is jittered at all; ``lighting`` is
    the standard deviation of the PCA noise.
    """

    size: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    roll: float = 0.0
    flip: float = 0.0
    swap: float = 0.0
    gain: tuple[float, float] = (1.0, 1.0)
    jitter: tuple[tuple[str, float, float], ...] = ()
    jitter_probability: float = 1.0
    lighting: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be 0 < low <= high, got {self.scale}")
        for name, probability in (
            ("flip", self.flip),
            ("swap", self.swap),
            ("jitter_probability", self.jitter_probability),
        ):
            if not 0 <= probability <= 1:
                raise ValueError(f"{name} is a probability, got {probability}")


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number between low and high."""
    return low + (high - low) * torch.rand((), generator=generator, device=generator.device).item()


def augment_sample(item: Item, settings: Augmentation, generator: torch.Generator) -> dict[str, Any]:
    """One image, changed as ``settings`` say with parameters drawn from ``generator``: zoom, roll, crop,
    flip, then colours.

    Raises:
        ValueError: the image, enlarged, is smaller than the crop.
    """
    result = dict(item)
    if settings.scale != (1.0, 1.0):
        result = zoom(result, _uniform(*settings.scale, generator))
    if settings.roll:
        result = roll(result, _uniform(-settings.roll, settings.roll, generator))
    if settings.size is not None:
        height, width = settings.size
        free = [int(n) - m for n, m in zip(result["image"].shape[-2:], settings.size, strict=True)]
        top, left = (int(_uniform(0.0, n + 1.0, generator)) for n in free)
        result = crop(result, min(top, free[0]), min(left, free[1]), height, width)
    if settings.flip and _uniform(0.0, 1.0, generator) < settings.flip:
        result = hflip(result)
    return _augment_colors(result, settings, generator)


def _augment_colors(
    item: dict[str, Any], settings: Augmentation, generator: torch.Generator
) -> dict[str, Any]:
    """The colour part of ``augment_sample``; the jitter's steps come in a random order."""
    if settings.gain != (1.0, 1.0):
        item = color_gain(item, [_uniform(*settings.gain, generator) for _ in range(3)])
    if settings.jitter and _uniform(0.0, 1.0, generator) < settings.jitter_probability:
        order = torch.randperm(len(settings.jitter), generator=generator, device=generator.device).tolist()
        drawn = [(name, _uniform(low, high, generator)) for name, low, high in settings.jitter]
        item = color_jitter(item, dict(drawn[i] for i in order))
    if settings.lighting:
        alphas = torch.randn(3, generator=generator, device=generator.device) * settings.lighting
        item = pca_lighting(item, alphas)
    if settings.swap and _uniform(0.0, 1.0, generator) < settings.swap:
        orders = list(permutations(range(3)))
        item = channel_swap(item, orders[int(_uniform(0.0, float(len(orders)), generator)) % len(orders)])
    return item


def augment(batch: Item, settings: Augmentation, generator: torch.Generator) -> dict[str, Any]:
    """A collated batch with every image changed by its own draw; the same generator state gives the same
    batch.

    Args:
        batch: what ``collate`` gives; every value has one entry an image.
        settings: what to draw.
        generator: on any device.

    Raises:
        ValueError: an image, enlarged, is smaller than the crop, or there is no crop and sizes differ.

    Example:
        >>> batch = {"image": torch.rand(2, 3, 4, 4), "depth": torch.ones(2, 1, 4, 4)}
        >>> batch["K"] = torch.eye(3).expand(2, 3, 3)
        >>> changed = augment(batch, Augmentation(size=(2, 3), flip=0.5), torch.Generator().manual_seed(0))
        >>> changed["image"].shape, changed["K"].shape
        (torch.Size([2, 3, 2, 3]), torch.Size([2, 3, 3]))
    """
    count = len(batch["image"])
    items = [{key: value[i] for key, value in batch.items()} for i in range(count)]
    changed = [augment_sample(item, settings, generator) for item in items]
    sizes = sorted({tuple(item["image"].shape[-2:]) for item in changed})
    if len(sizes) > 1:
        raise ValueError(f"scale={settings.scale} makes images of sizes {sizes}; name a size to cut them to")
    return default_collate(changed)
