"""Cameras, depth, rigid motions and warping, with every convention written down once: here.

**Pixels.** Integer coordinates are pixel *centres*: the first pixel is (u, v) = (0, 0), the last (W-1, H-1);
u counts columns to the right, v rows downwards. The image's outer edges lie half a pixel further out, at -0.5
and W-0.5. Shrinking an image by s maps centres by the *half-pixel rule* u' = (u + 0.5) s - 0.5, which keeps
edges on edges.

**Cameras.** x to the right, y down, z forward. ``K`` is in pixels of the image at hand. ``depth`` is metres
along z (not along the ray); 0 means missing.

**Motions.** ``T_source_target`` maps points given in the target camera's frame into the source camera's
frame, so that chains read off: ``T_a_c = T_a_b @ T_b_c``. A pose of a camera in the world is
``T_world_camera``.

**align_corners** says what -1 and +1 mean to :func:`torch.nn.functional.grid_sample`: the centres of the
corner pixels (True) or the outer edges of the image (False). Coordinates must be normalised by the convention
they are sampled with. torch changed its default from True to False in version 1.3; code that divides by W-1
and leaves the default samples x W/(W-1) - 0.5 instead of x, half a pixel wrong at the borders. Here
:func:`normalise_pixels` and :func:`sample` take the convention as an argument and always agree.

Where we differ from Monodepth2's released code: a point behind the camera is never in view (there, its mirror
image is sampled), and the rotation at angle zero is exact instead of being shifted by 1e-7.
"""

import math

import torch
from torch.nn import functional as F

from mdepth.shapes import Bool, Depth, Float, Intrinsics, Tensor, Transform, check_same_shape

__all__ = [
    "MIN_DEPTH", "OUTSIDE", "ROUNDING", "backproject", "crop_intrinsics", "depth_to_disparity",
    "depth_to_inverse_depth", "disparity_to_depth", "in_image", "inverse_depth_to_depth", "invert_transform",
    "normalise_pixels", "normals_from_depth", "pixel_grid", "project", "relative_transform",
    "rotation_from_axis_angle", "sample", "scale_intrinsics", "scale_translation",
    "sigmoid_to_inverse_depth", "transform_from_axis_angle", "transform_points", "warp",
]  # fmt: skip

MIN_DEPTH = 1e-6
"""Metres. A point nearer to the camera's plane than this, or behind it, has no image."""
OUTSIDE = -1e4
"""Pixel coordinate given to points that have no image: outside every image, finite, and within float16."""
ROUNDING = 1e-3
"""Pixels. How far outside a point may come out that lies on the image's border: ten times float32's error."""


# --- depth, inverse depth, disparity --------------------------------------------------------------


def _reciprocal(values: Float[Tensor, "*S"], numerator: float | Tensor = 1.0) -> Float[Tensor, "*S"]:
    """numerator / values where values > 0, and 0 elsewhere, with a finite gradient everywhere."""
    known = values > 0
    return torch.where(known, numerator / torch.where(known, values, 1.0), 0.0)


def depth_to_inverse_depth(depth: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Inverse depth, 1 / depth, in 1/m.

    Missing stays missing: 0 (and anything below) gives 0, with gradient 0.

    Example:
        >>> depth_to_inverse_depth(torch.tensor([0.5, 4.0, 0.0]))
        tensor([2.0000, 0.2500, 0.0000])
    """
    return _reciprocal(depth)


def inverse_depth_to_depth(inverse_depth: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Depth in metres, 1 / inverse_depth; the inverse of :func:`depth_to_inverse_depth`, and 0 for 0 as well.

    Example:
        >>> inverse_depth_to_depth(torch.tensor([2.0, 0.0]))
        tensor([0.5000, 0.0000])
    """
    return _reciprocal(inverse_depth)


def sigmoid_to_inverse_depth(
    sigmoid: Float[Tensor, "*S"], nearest: float = 0.1, farthest: float = 100.0
) -> Float[Tensor, "*S"]:
    """Inverse depth 1 / farthest + (1 / nearest - 1 / farthest) sigmoid: 0 is the farthest depth, 1 the
    nearest.

    Monodepth2, section 3.3, with 0.1 and 100 units: 0.01 + 9.99 sigmoid.

    Example:
        >>> sigmoid_to_inverse_depth(torch.tensor(0.5)).item()
        5.005000114440918
    """
    return 1 / farthest + (1 / nearest - 1 / farthest) * sigmoid


def depth_to_disparity(depth: Float[Tensor, "*S"], focal: float, baseline: float) -> Float[Tensor, "*S"]:
    """Disparity in pixels of a rectified stereo pair: focal * baseline / depth.

    ``focal`` is fx in pixels, ``baseline`` in metres. Missing depth (0) gives disparity 0.

    Example:
        >>> depth_to_disparity(torch.tensor([10.0, 0.0]), focal=721.5, baseline=0.54)
        tensor([38.9610,  0.0000])
    """
    return _reciprocal(depth, focal * baseline)


def disparity_to_depth(disparity: Float[Tensor, "*S"], focal: float, baseline: float) -> Float[Tensor, "*S"]:
    """Depth in metres from disparity in pixels: focal * baseline / disparity.

    Disparity 0 (a point at infinity, or no match) gives 0.

    Example:
        >>> disparity_to_depth(torch.tensor([38.961, 0.0]), focal=721.5, baseline=0.54)
        tensor([10.,  0.])
    """
    return _reciprocal(disparity, focal * baseline)


# --- cameras --------------------------------------------------------------------------------------


def pixel_grid(
    height: int, width: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "2 H W"]:
    """The pixel centres (u, v) of an image: channel 0 is the column 0..W-1, channel 1 the row 0..H-1.

    Example:
        >>> pixel_grid(2, 3)[:, 1, 2]
        tensor([2., 1.])
    """
    rows = torch.arange(height, device=device, dtype=dtype)
    columns = torch.arange(width, device=device, dtype=dtype)
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((u, v))


def scale_intrinsics(
    K: Float[Tensor, "*B 3 3"], old: tuple[int, int], new: tuple[int, int]
) -> Float[Tensor, "*B 3 3"]:
    """The intrinsics of an image resized from ``old`` to ``new``, both (height, width).

    The half-pixel rule of this module: f' = f s, c' = (c + 0.5) s - 0.5, per axis. It belongs to resizing
    with ``align_corners=False``. (Multiplying K by s, as many codes do, moves the picture by (s - 1)/2
    pixels.)

    Example:
        >>> K = torch.tensor([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]])
        >>> scale_intrinsics(K, (480, 640), (240, 320))[:2]
        tensor([[250.0000,   0.0000, 159.5000],
                [  0.0000, 250.0000, 119.5000]])
    """
    sy, sx = new[0] / old[0], new[1] / old[1]
    move = K.new_tensor([[sx, 0.0, (sx - 1) / 2], [0.0, sy, (sy - 1) / 2], [0.0, 0.0, 1.0]])
    return move @ K


def crop_intrinsics(K: Float[Tensor, "*B 3 3"], left: int, top: int) -> Float[Tensor, "*B 3 3"]:
    """The intrinsics after ``left`` columns and ``top`` rows have been cut off (negative numbers: added).

    Example:
        >>> K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
        >>> crop_intrinsics(K, left=8, top=6)[:2, 2]
        tensor([312., 234.])
    """
    return K - K.new_tensor([[0.0, 0.0, left], [0.0, 0.0, top], [0.0, 0.0, 0.0]])


def backproject(depth: Depth, K: Intrinsics) -> Float[Tensor, "B 3 H W"]:
    """The point that every pixel sees, in the camera's frame: X = depth * K^-1 (u, v, 1)^T, in metres.

    Missing depth gives the origin. Monodepth2, eq. 4 (the part inside ``proj``).

    Example:
        >>> K = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> backproject(torch.full((1, 1, 1, 3), 4.0), K)[0, :, 0]
        tensor([[-2.,  0.,  2.],
                [ 0.,  0.,  0.],
                [ 4.,  4.,  4.]])
    """
    height, width = depth.shape[-2:]
    u, v = pixel_grid(height, width, device=depth.device, dtype=depth.dtype)
    pixels = torch.stack((u, v, torch.ones_like(u)))  # 3 H W
    return depth * torch.einsum("bij,jhw->bihw", torch.linalg.inv(K), pixels)


def project(
    points: Float[Tensor, "B 3 *N"], K: Intrinsics
) -> tuple[Float[Tensor, "B 2 *N"], Float[Tensor, "B 1 *N"]]:
    """Where points of the camera's frame appear: pixels (u, v) = (K X)_xy / z, and their depth z in metres.

    A point behind the camera or within ``MIN_DEPTH`` of its plane has no image: its pixel is ``OUTSIDE`` (so
    no sampling ever takes it for visible), its gradient 0, and its depth the true z <= MIN_DEPTH.

    Example:
        >>> K = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> pixels, depth = project(torch.tensor([[[-2.0], [0.0], [4.0]]]), K)
        >>> pixels.flatten(), depth.item()
        (tensor([0., 0.]), 4.0)
    """
    x, y, depth = torch.einsum("bij,bj...->bi...", K, points).split(1, dim=1)
    in_front = depth > MIN_DEPTH
    safe = torch.where(in_front, depth, 1.0)
    return torch.where(in_front, torch.cat((x, y), dim=1) / safe, OUTSIDE), depth


def in_image(
    pixels: Float[Tensor, "B 2 *N"], height: int, width: int, *, slack: float = 0.0
) -> Bool[Tensor, "B 1 *N"]:
    """Which pixel coordinates lie between the centres of the corner pixels, 0 <= u <= W-1 and 0 <= v <= H-1.

    There, bilinear interpolation needs no padding. ``slack`` pixels beyond count as inside.

    Example:
        >>> in_image(torch.tensor([[[0.0, 2.1], [0.0, 0.0]]]), height=1, width=3).tolist()
        [[[True, False]]]
    """
    u, v = pixels.split(1, dim=1)
    return (u >= -slack) & (u <= width - 1 + slack) & (v >= -slack) & (v <= height - 1 + slack)


# --- rigid motions --------------------------------------------------------------------------------


def transform_points(T: Transform, points: Float[Tensor, "B 3 *N"]) -> Float[Tensor, "B 3 *N"]:
    """R X + t: ``T_source_target`` takes points of the target frame into the source frame.

    Example:
        >>> T = transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 1.0]]))
        >>> transform_points(T, torch.zeros(1, 3, 1)).flatten()
        tensor([0., 0., 1.])
    """
    rotated = torch.einsum("bij,bj...->bi...", T[:, :3, :3], points)
    return rotated + T[:, :3, 3].reshape(len(T), 3, *(1,) * (points.ndim - 2))


def invert_transform(T: Float[Tensor, "*B 4 4"]) -> Float[Tensor, "*B 4 4"]:
    """The inverse of a rigid motion, [R^T, -R^T t].

    Right where the 3x3 part is a rotation, wrong for anything else (which is not checked).

    Example:
        >>> T = transform_from_axis_angle(torch.tensor([[0.0, 0.5, 0.0]]), torch.ones(1, 3))
        >>> torch.allclose(invert_transform(T) @ T, torch.eye(4), atol=1e-6)
        True
    """
    Rt = T[..., :3, :3].mT
    top = torch.cat((Rt, -Rt @ T[..., :3, 3:]), dim=-1)  # *B 3 4
    return torch.cat((top, T[..., 3:, :]), dim=-2)


def scale_translation(T: Float[Tensor, "*B 4 4"], factor: Float[Tensor, "*C"]) -> Float[Tensor, "*B 4 4"]:
    """The rigid motion [R, factor t]; of a motion and of its inverse, the scaled ones are inverse, too.

    ``factor`` is broadcast against the leading axes of ``T``.

    Example:
        >>> T = transform_from_axis_angle(torch.zeros(1, 3), torch.ones(1, 3))
        >>> scale_translation(T, torch.tensor(2.0))[0, :, 3]
        tensor([2., 2., 2., 1.])
    """
    column = torch.cat((factor[..., None, None] * T[..., :3, 3:], T[..., 3:, 3:]), dim=-2)
    return torch.cat((T[..., :3], column), dim=-1)


def relative_transform(
    T_world_source: Float[Tensor, "*B 4 4"], T_world_target: Float[Tensor, "*B 4 4"]
) -> Float[Tensor, "*B 4 4"]:
    """``T_source_target`` from the poses of two cameras in one world: inverse(T_world_source) T_world_target.

    Example:
        >>> T = transform_from_axis_angle(torch.zeros(1, 3), torch.ones(1, 3))
        >>> torch.equal(relative_transform(T, T)[0], torch.eye(4))
        True
    """
    return invert_transform(T_world_source) @ T_world_target


def rotation_from_axis_angle(axis_angle: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 3"]:
    """Rodrigues' formula: the rotation by |v| radians about the axis v / |v|.

    R = I + (sin a / a) V + ((1 - cos a) / a^2) V^2 with a = |v| and V the matrix of "v x". Both factors are
    written with sinc ((1 - cos a) / a^2 = 1/2 sinc(a/2)^2), so that value and gradient are right at a = 0
    without a small constant.

    Example:
        >>> rotation_from_axis_angle(torch.tensor([[0.0, 0.0, math.pi / 2]]))[0].round(decimals=3).abs()
        tensor([[0., 1., 0.],
                [1., 0., 0.],
                [0., 0., 1.]])
    """
    angle = torch.linalg.vector_norm(axis_angle, dim=1)[:, None, None]
    x, y, z = axis_angle.unbind(dim=1)
    zero = torch.zeros_like(x)
    V = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=1).reshape(-1, 3, 3)
    identity = torch.eye(3, device=V.device, dtype=V.dtype)
    return identity + torch.sinc(angle / math.pi) * V + 0.5 * torch.sinc(angle / (2 * math.pi)) ** 2 * (V @ V)


def transform_from_axis_angle(
    axis_angle: Float[Tensor, "B 3"], translation: Float[Tensor, "B 3"]
) -> Transform:
    """The rigid motion "rotate, then translate": [R(axis_angle), translation], radians and metres.

    Example:
        >>> transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 3.0]]))[0, :, 3]
        tensor([1., 2., 3., 1.])
    """
    top = torch.cat((rotation_from_axis_angle(axis_angle), translation[:, :, None]), dim=2)  # B 3 4
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(top), 1, 4)
    return torch.cat((top, bottom), dim=1)


# --- sampling and warping -------------------------------------------------------------------------


def normalise_pixels(
    pixels: Float[Tensor, "B 2 h w"], height: int, width: int, *, align_corners: bool
) -> Float[Tensor, "B h w 2"]:
    """Pixel coordinates as :func:`torch.nn.functional.grid_sample` wants them, for a height x width image.

    ``align_corners=True``: 2u / (W-1) - 1; ``False``: (2u + 1) / W - 1. Hand the same value on to
    ``grid_sample``.

    Example:
        >>> normalise_pixels(torch.zeros(1, 2, 1, 1), 4, 5, align_corners=False).flatten()
        tensor([-0.8000, -0.7500])
    """
    size = pixels.new_tensor([width, height])
    pixels = pixels.permute(0, 2, 3, 1)  # B h w 2
    if align_corners:
        return 2 * pixels / (size - 1).clamp(min=1) - 1
    return (2 * pixels + 1) / size - 1


def sample(
    image: Float[Tensor, "B C H W"],
    pixels: Float[Tensor, "B 2 h w"],
    *,
    mode: str = "bilinear",
    padding: str = "zeros",
    align_corners: bool = True,
) -> Float[Tensor, "B C h w"]:
    """The image's values at (fractional) pixel coordinates (u, v).

    ``mode`` is "bilinear", "nearest" or "bicubic"; ``padding``, for coordinates outside, "zeros" (fading out
    over one pixel), "border" or "reflection". Coordinates are always pixel centres; ``align_corners`` only
    chooses the numbers in between and the axis of "reflection" (corner centres or image edges): with the
    other paddings both values give the same picture.

    Example:
        >>> sample(torch.arange(3.0).reshape(1, 1, 1, 3), torch.tensor([1.5, 0.0]).reshape(1, 2, 1, 1)).item()
        1.5
    """
    height, width = image.shape[-2:]
    if padding != "reflection" and min(height, width) == 1:
        align_corners = False  # the corner centres coincide, so that -1 and +1 would mean the same place
    grid = normalise_pixels(pixels, height, width, align_corners=align_corners)
    return F.grid_sample(image, grid, mode=mode, padding_mode=padding, align_corners=align_corners)


def warp(
    source: Float[Tensor, "B C h w"],
    target_depth: Depth,
    K_source: Intrinsics,
    K_target: Intrinsics,
    T_source_target: Transform,
    *,
    padding: str = "zeros",
) -> tuple[Float[Tensor, "B C H W"], Bool[Tensor, "B 1 H W"]]:
    """The target view painted with the colours of the source view (inverse warping), and where that works.

    Every target pixel is lifted to its point (:func:`backproject`), moved into the source frame, projected,
    and the source is sampled there, bilinearly. The second result, ``in_view``, is True where the depth is
    known (> 0), the point lies in front of the source camera and its pixel inside the source image, up to
    ``ROUNDING`` (or else a camera at rest would lose part of its border); it does *not* know about occlusion.
    Differentiable in all tensors. Monodepth2, eq. 4; Zhou et al. 2017, eq. 2.

    Example:
        >>> image, depth, K = torch.rand(1, 3, 4, 5), torch.ones(1, 1, 4, 5), torch.eye(3)[None]
        >>> same, in_view = warp(image, depth, K, K, torch.eye(4)[None])
        >>> torch.allclose(same, image, atol=1e-5), in_view.all().item()
        (True, True)
    """
    points = transform_points(T_source_target, backproject(target_depth, K_target))
    pixels, depth = project(points, K_source)
    inside = in_image(pixels, *source.shape[-2:], slack=ROUNDING)
    visible = (target_depth > 0) & (depth > MIN_DEPTH) & inside
    return sample(source, pixels, padding=padding, align_corners=True), visible


def normals_from_depth(depth: Depth, K: Intrinsics) -> Float[Tensor, "B 3 H W"]:
    """Unit surface normals in the camera's frame, turned towards the camera, from the slopes of the points.

    n = dX/dv x dX/du, normalised; slopes are central differences (one-sided at the image border), so a
    plane's normal is exact everywhere, and an edge between two surfaces gets a normal of neither. (0, 0, 0)
    where one of the 3x3 depths is missing. A wall straight ahead has the normal (0, 0, -1). Needs an image of
    at least 2 x 2 pixels.

    Example:
        >>> K = torch.tensor([[[9.0, 0.0, 4.0], [0.0, 9.0, 4.0], [0.0, 0.0, 1.0]]])
        >>> normals_from_depth(torch.full((1, 1, 8, 8), 2.0), K)[0, 2].unique()
        tensor([-1.])
    """
    check_same_shape(depth_batch=depth[:, 0, 0, 0], K_batch=K[:, 0, 0])
    along_v, along_u = torch.gradient(backproject(depth, K), dim=(2, 3))
    normals = F.normalize(torch.linalg.cross(along_v, along_u, dim=1), dim=1, eps=1e-20)
    gap = F.max_pool2d((depth <= 0).to(depth.dtype), kernel_size=3, stride=1, padding=1) > 0
    return torch.where(gap, 0.0, normals)
