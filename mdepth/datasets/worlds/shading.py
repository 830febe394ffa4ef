"""The light that arrives along rays: reflectance times light, shadows, sky and haze.

Colour model: reflectance × (ambient + Σ lamps · max(0, n·l) · visible) + emission; then haze. Lambertian:
apart from haze, the brightness of a point does not depend on where it is seen from, the assumption that
photometric losses rest on.
"""

import math
from dataclasses import dataclass

import torch

from mdepth.datasets.worlds.casting import BLOCK, Bundles, beams_around, blocked
from mdepth.datasets.worlds.noise import Patch, value_noise
from mdepth.datasets.worlds.scenery import Light, Scene
from mdepth.datasets.worlds.solids import Solids, Vector, dot, normalised
from mdepth.datasets.worlds.surface import Surface, surface_at
from mdepth.datasets.worlds.textures import paint
from mdepth.shapes import Bool, Float, Int, Tensor

BIAS = 5e-4  # shadow rays start this far off the surface, as a fraction of the depth
IMAGE_PLANE = 3.0  # metres: where textures are painted when they are not to shrink with distance
SKY = 1e4  # metres: where a ray that hits nothing is taken to end


@dataclass(frozen=True)
class Hits:
    """Rays that have met their solids: T tiles of R rays.

    Attributes:
        eye: where all rays start.
        direction: their directions, three of (T, R).
        plane: where they cross the camera's image plane at depth 1, two of (T, R).
        depth: ray parameter of the hit.
        row: row of the solid, -1 for the sky.
        samples: R is this many samples, sample by sample, of the tile's pixels; each sample takes its own
            place on a lamp, which makes the edges of shadows soft.
        pixel: width of a pixel per metre of depth, 1 / focal length.
    """

    eye: Float[Tensor, " 3"]
    direction: Vector
    plane: tuple[Tensor, Tensor]
    depth: Float[Tensor, "T R"]
    row: Int[Tensor, "T R"]
    samples: int
    pixel: Float[Tensor, ""]

    def point(self) -> Vector:
        """Where the rays end, in the world."""
        end = self.depth.clamp(max=SKY)
        x, y, z = (torch.addcmul(self.eye[i], self.direction[i], end) for i in range(3))
        return x, y, z

    def surface(self, solids: Solids) -> Surface:
        """Normals and places on faces, in ray order."""
        x, y, z = self.point()
        return surface_at((x.flatten(), y.flatten(), z.flatten()), self.row.flatten().clamp(min=0), solids)


def look(scene: Scene, solids: Solids, hits: Hits) -> Float[Tensor, "3 T R"]:
    """Linear colours of rays: reflectance times light, through the air. ``solids`` is the table at the
    frame's time.
    """
    surface = hits.surface(solids)
    shape, on = hits.depth.shape, scene.switches
    normal: Vector = (
        surface.normal[0].view(shape),
        surface.normal[1].view(shape),
        surface.normal[2].view(shape),
    )
    material = solids.material[hits.row.clamp(min=0)]
    unit = normalised(hits.direction)
    colour = _reflectance(scene, hits, surface, -dot(unit, normal), material)
    if on.get("shading", 1):
        light = _ambient(scene, normal)
        for lamp in scene.lights:
            light = light + _lamp(lamp, solids, hits, normal, bool(on.get("shadows", 1)))
        colour = colour * (light + scene.materials[:, 11].to(colour.device)[material])
    return _through_air(scene, colour, unit, hits)


def _reflectance(
    scene: Scene, hits: Hits, surface: Surface, cosine: Float[Tensor, "T R"], material: Int[Tensor, "T R"]
) -> Float[Tensor, "3 T R"]:
    """The colours of the surfaces themselves. ``cosine`` is that of the angle between ray and normal."""
    on, shape = scene.switches, cosine.shape
    scale = 1 / scene.unit
    u, v, width, height = (scale * x for x in (surface.u, surface.v, surface.width, surface.height))
    footprint = (hits.depth.clamp(max=SKY) * hits.pixel * cosine.clamp(min=0.04).rsqrt()).flatten() * scale
    if not on.get("texture_gradient", 1):  # painted on a plane at a fixed distance: equally fine near and far
        u, v = (IMAGE_PLANE * x.flatten() for x in hits.plane)
        u, v = u.remainder(width.clamp(min=1e-3)), v.remainder(height.clamp(min=1e-3))
        footprint = torch.ones_like(u) * hits.pixel * IMAGE_PLANE
    materials, rows = scene.materials.to(u.device), material.flatten()
    scale_u, scale_v, amount, seed = (materials[:, i].contiguous().take(rows) for i in (7, 8, 9, 10))
    patch = Patch(u, v, width, height, footprint, scale_u, scale_v, amount, seed)
    contrast = on.get("texture_contrast", 1.0) if on.get("textures", 1) else 0.0
    return paint(patch, materials, rows, contrast).view(3, *shape)


def _ambient(scene: Scene, normal: Vector) -> Float[Tensor, "3 T R"]:
    """Light from everywhere: full on what faces up, less on what faces down."""
    openness = 1 - scene.air.shelter * 0.5 * (1 + normal[1])  # y points down
    ambient = torch.tensor(scene.air.ambient, dtype=torch.float32, device=openness.device)
    return ambient[:, None, None] * openness


def _lamp(lamp: Light, solids: Solids, hits: Hits, normal: Vector, shadows: bool) -> Float[Tensor, "3 T R"]:
    """Irradiance of one lamp, zero in its shadow."""
    point = hits.point()
    rays = hits.depth.shape[1]
    spot = _places_on(lamp, hits.samples, hits.depth.device).repeat_interleave(
        rays // hits.samples, 0
    )  # (R, 3)
    x, y, z = (spot[:, i] - point[i] for i in range(3))
    squared = dot((x, y, z), (x, y, z))
    strength = (dot((x, y, z), normal) * squared.rsqrt()).clamp(min=0)
    if shadows:
        lit = (strength > 0) & (hits.row >= 0)
        start = tuple(
            torch.addcmul(p, n, BIAS * hits.depth.clamp(max=SKY)) for p, n in zip(point, normal, strict=True)
        )
        strength = strength * ~_hidden(lamp, solids, (start[0], start[1], start[2]), (x, y, z), lit)
    if math.isfinite(lamp.reach):
        strength = strength / (1 + squared / lamp.reach**2)
    return torch.tensor(lamp.colour, dtype=torch.float32, device=strength.device)[:, None, None] * strength


def _hidden(
    lamp: Light, solids: Solids, start: Vector, way: Vector, lit: Bool[Tensor, "T R"]
) -> Bool[Tensor, "T R"]:
    """Whether something opaque stands between ``start`` and start + way, on the lamp. Only ``lit`` points are
    asked for.
    """
    centre = torch.tensor(lamp.position, dtype=torch.float32, device=lit.device)
    seen: Vector = (start[0] - centre[0], start[1] - centre[1], start[2] - centre[2])
    tiles = beams_around(centre, seen, lit, lamp.radius)
    wide = BLOCK * lit.shape[1]
    grouped: Vector = (seen[0].reshape(-1, wide), seen[1].reshape(-1, wide), seen[2].reshape(-1, wide))
    blocks = beams_around(centre, grouped, lit.reshape(-1, wide), lamp.radius)
    return blocked(Bundles(start, way, tiles, blocks), solids.select(solids.opaque > 0))


def _places_on(lamp: Light, samples: int, device: torch.device) -> Float[Tensor, "S 3"]:
    """One point of the lamp for every sample of a pixel: its centre for the first, then around a circle."""
    index = torch.arange(samples, device=device)
    angle = 2.399963 * index  # the golden angle
    radius = lamp.radius * (index / max(1, samples - 1)).sqrt()
    offset = torch.stack([radius * angle.cos(), 0 * angle, radius * angle.sin()], dim=1)
    return torch.tensor(lamp.position, dtype=torch.float32, device=device) + offset


def _through_air(
    scene: Scene, colour: Float[Tensor, "3 T R"], unit: Vector, hits: Hits
) -> Float[Tensor, "3 T R"]:
    """Put the sky where a ray met nothing, and haze before everything."""
    air = scene.air
    sky = (hits.row < 0).float()
    if air.haze > 0:
        horizon = torch.tensor(air.horizon, dtype=torch.float32, device=colour.device)[:, None, None]
        colour = torch.lerp(horizon.expand_as(colour), colour, (-air.haze * hits.depth).exp())
    return torch.lerp(colour, _sky(scene, unit), sky) if bool(sky.any()) else colour


def _sky(scene: Scene, unit: Vector) -> Float[Tensor, "3 T R"]:
    """From the horizon's colour to the zenith's, with clouds on a plane overhead."""
    air = scene.air
    up = (-unit[1]).clamp(0, 1)
    horizon, zenith = (
        torch.tensor(c, dtype=torch.float32, device=up.device)[:, None, None]
        for c in (air.horizon, air.zenith)
    )
    sky = torch.lerp(horizon.expand(3, *up.shape), zenith.expand(3, *up.shape), up.sqrt())
    if air.clouds > 0 and scene.switches.get("textures", 1):
        x, z = unit[0] / (up + 0.08), unit[2] / (up + 0.08)
        noise = torch.zeros_like(up)
        for frequency in (1.0, 2.3, 4.9):
            noise = noise + value_noise(x * frequency, z * frequency, air.seed + frequency) / frequency / 1.64
        cover = (3 * (noise - 0.5)).clamp(0, 1) * air.clouds * (up * 8).clamp(0, 1)
        sky = torch.lerp(sky, torch.full_like(sky, 0.95), cover)
    return sky
