"""From a scene to an image: rays, colours, shadows, haze; and exact depth, normals and instances beside it.

The ray through the *centre* of a pixel gives depth, normal and instance, so that the truth is exact and never
a mean over an edge. The colour is the mean over ``antialias`` × ``antialias`` rays spread over the pixel, as
on a camera's photosites. Rays are cast unnormalised, d = R K⁻¹ (u, v, 1), so that the ray parameter t *is*
the depth along the camera's z axis.

Colour model: reflectance × (ambient + Σ lamps · max(0, n·l) · visible) + emission, then haze, then the curve
of sRGB. Lambertian: the brightness of a point does not depend on where it is seen from (haze apart), the
assumption that photometric losses rest on.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mdepth.datasets.worlds.casting import BLOCK, Bundles, beams_around, first_hit
from mdepth.datasets.worlds.scenery import Scene
from mdepth.datasets.worlds.shading import Hits, look
from mdepth.datasets.worlds.solids import MISS, Solids, Vector
from mdepth.shapes import Float, Int, Tensor

TILE = 4  # pixels; a tile's rays make one bundle
SIDE = 4  # tiles; SIDE × SIDE of them make one block
SUPER = TILE * SIDE
TILES_AT_ONCE = 32 * BLOCK  # on a CPU, so that the scratch memory of a chunk stays in its cache


@dataclass(frozen=True)
class Rendering:
    """What a camera sees.

    Attributes:
        image: sRGB in [0, 1], (3, H, W).
        depth: metres along z, 0 where there is only sky, (1, H, W).
        normals: unit normals in the camera's frame, 0 in the sky, (3, H, W).
        instances: number of the object, 0 for the sky, (1, H, W).
    """

    image: Float[Tensor, "3 H W"]
    depth: Float[Tensor, "1 H W"]
    normals: Float[Tensor, "3 H W"]
    instances: Int[Tensor, "1 H W"]

    def cpu(self) -> "Rendering":
        """The same on the CPU."""
        return Rendering(self.image.cpu(), self.depth.cpu(), self.normals.cpu(), self.instances.cpu())


def render(
    scene: Scene,
    frame: int,
    K: Float[Tensor, "3 3"],
    height: int,
    width: int,
    *,
    T_world_camera: Float[Tensor, "4 4"] | None = None,
    antialias: int = 2,
    device: torch.device | str = "cpu",
) -> Rendering:
    """Render one frame of a scene.

    Args:
        scene: from :func:`mdepth.datasets.worlds.scene`, or built by hand.
        frame: 0, 1, ...; the time at which moving solids are placed, and the pose if none is given.
        K: intrinsics in pixels, pixel centres at whole coordinates.
        height, width: of the image, in pixels.
        T_world_camera: another pose than the scene's own, for example of a second eye.
        antialias: rays per pixel along each axis for the colour; 1 takes the colour from the pixel's centre.
        device: where to compute and where the result lies.

    Raises:
        ValueError: for a frame that the scene does not have or ``antialias`` < 1.
    """
    if not 0 <= frame < len(scene.times):
        raise ValueError(f"frame {frame}: the scene has frames 0 to {len(scene.times) - 1}")
    if antialias < 1:
        raise ValueError(f"antialias is the number of rays per pixel and axis, at least 1, got {antialias}")
    pose = (scene.T_world_camera[frame] if T_world_camera is None else T_world_camera).to(device)
    solids = scene.solids.at(scene.times[frame]).to(device)
    u, v = _tile_pixels(height, width, antialias, device)
    chunk = TILES_AT_ONCE if pose.device.type == "cpu" else len(u)
    with _one_thread():
        parts = [
            _render_tiles(scene, solids, K.to(device), pose, part_u, part_v)
            for part_u, part_v in zip(u.split(chunk), v.split(chunk), strict=True)
        ]
    planes = _from_tiles(torch.cat(parts, dim=1), height, width)
    return Rendering(planes[:3], planes[3:4], planes[4:7], planes[7:].round().long())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: the tensors of a chunk are small, and threads that wait for each other cost more
    than they give.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tile_pixels(
    height: int, width: int, antialias: int, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """``u, v`` of all rays, (T, S, TILE²); sample 0 is the pixel's centre; tiles go block by block."""
    rows, columns = math.ceil(height / SUPER), math.ceil(width / SUPER)
    v, u = torch.meshgrid(
        torch.arange(rows * SUPER, device=device), torch.arange(columns * SUPER, device=device), indexing="ij"
    )
    offsets = [(0.0, 0.0)]
    if antialias > 1:
        steps = [(i + 0.5) / antialias - 0.5 for i in range(antialias)]
        offsets += [(a, b) for b in steps for a in steps]
    shift = torch.tensor(offsets, device=device)  # (S, 2)
    return _to_tiles(u)[:, None] + shift[:, 0, None], _to_tiles(v)[:, None] + shift[:, 1, None]


def _to_tiles(plane: Float[Tensor, "H W"] | Int[Tensor, "H W"]) -> Tensor:
    """(H, W) to (tiles, TILE²): blocks of tiles in reading order, tiles of a block in reading order, pixels
    of a tile likewise.
    """
    height, width = plane.shape
    parts = plane.reshape(height // SUPER, SIDE, TILE, width // SUPER, SIDE, TILE)
    return parts.permute(0, 3, 1, 4, 2, 5).reshape(-1, TILE * TILE)


def _from_tiles(planes: Float[Tensor, "C T P"], height: int, width: int) -> Float[Tensor, "C H W"]:
    """The inverse of :func:`_to_tiles` for C planes, cut to the image's size."""
    rows, columns = math.ceil(height / SUPER), math.ceil(width / SUPER)
    parts = planes.reshape(-1, rows, columns, SIDE, SIDE, TILE, TILE).permute(0, 1, 3, 5, 2, 4, 6)
    return parts.reshape(-1, rows * SUPER, columns * SUPER)[:, :height, :width].contiguous()


def _render_tiles(
    scene: Scene, solids: Solids, K: Tensor, pose: Tensor, u: Tensor, v: Tensor
) -> Float[Tensor, "8 T P"]:
    """Image, depth, normal and instance of some tiles."""
    tiles, samples, pixels = u.shape
    eye = pose[:3, 3]
    x, y = (u.flatten(1) - K[0, 2]) / K[0, 0], (v.flatten(1) - K[1, 2]) / K[1, 1]  # (T, S P)
    direction = _directions(pose, x, y)
    depth, row = first_hit(_camera_bundles(eye, direction), solids)

    def hits(rays: slice) -> Hits:
        along = (direction[0][:, rays], direction[1][:, rays], direction[2][:, rays])
        count = (rays.stop - rays.start) // pixels
        return Hits(eye, along, (x[:, rays], y[:, rays]), depth[:, rays], row[:, rays], count, 1 / K[0, 0])

    centre = hits(slice(0, pixels))  # sample 0 comes first
    colour = look(scene, solids, hits(slice(pixels if samples > 1 else 0, samples * pixels)))
    image = encode_srgb(colour.unflatten(2, (-1, pixels)).mean(2))
    seen = centre.row >= 0
    normal = torch.stack(centre.surface(solids).normal).view(3, tiles, pixels)
    normal = torch.einsum("wc,wtp->ctp", pose[:3, :3], normal) * seen
    instances = solids.instance[centre.row.clamp(min=0)] * seen
    return torch.cat([image, (centre.depth * seen)[None], normal, instances[None]])


def _camera_bundles(eye: Tensor, direction: Vector) -> Bundles:
    """The rays of each tile as a bundle."""
    x, y, z = direction
    blocks = (
        x.reshape(-1, BLOCK * x.shape[1]),
        y.reshape(-1, BLOCK * x.shape[1]),
        z.reshape(-1, BLOCK * x.shape[1]),
    )
    origin = eye.expand(len(x), 3)
    return Bundles(
        (origin[:, :1], origin[:, 1:2], origin[:, 2:]),
        direction,
        beams_around(eye, direction, reach=MISS),
        beams_around(eye, blocks, reach=MISS),
    )


def _directions(pose: Float[Tensor, "4 4"], x: Tensor, y: Tensor) -> Vector:
    """World directions R (x, y, 1): their length is such that the ray parameter is the depth."""
    a, b, c = (pose[i, 0] * x + pose[i, 1] * y + pose[i, 2] for i in range(3))
    return a, b, c


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear light to the values that cameras store: the power 1/2.2, after clipping to [0, 1]."""
    return linear.clamp(0, 1).pow(1 / 2.2)
