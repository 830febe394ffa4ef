"""What a ray has hit: the surface's normal and the place on its face, for lamps and textures."""

from dataclasses import dataclass

import torch

from mdepth.datasets.worlds.solids import BOX, FRUSTUM, SPHERE, Solids, Vector, dot, normalised
from mdepth.shapes import Float, Int, Tensor


@dataclass(frozen=True)
class Surface:
    """What N rays hit, in ray order: everything that a texture or a lamp needs.

    Attributes:
        normal: outward unit normal in the world, x, y, z, each (N,).
        u, v: position on the face in metres from its corner (v along the solid's own downward axis where the
            face is upright).
        width, height: size of that face in metres.
    """

    normal: Vector
    u: Float[Tensor, " N"]
    v: Float[Tensor, " N"]
    width: Float[Tensor, " N"]
    height: Float[Tensor, " N"]


@dataclass(frozen=True)
class _Faces:
    """Canonical points (x, y, z) and, as 0 or 1, what each lies on: the faces across x, y or z, or a curved
    side (then ``x`` is 1 too).
    """

    point: Vector
    on_x: Tensor
    on_y: Tensor
    on_z: Tensor
    curved: Tensor
    sphere: Tensor


def surface_at(point: Vector, row: Int[Tensor, " N"], solids: Solids) -> Surface:
    """Normals and face coordinates at points on the surfaces of the solids ``row`` (each component (N,))."""
    matrix, offset = solids.to_canonical()
    table = torch.cat([matrix.flatten(1), offset, solids.half, solids.taper, solids.kind[:, None]], dim=1)
    m = table.index_select(0, row).T.contiguous()  # (18, N): 9 matrix, 3 offset, 3 half, 2 taper, 1 kind
    x, y, z = (dot((m[3 * i], m[3 * i + 1], m[3 * i + 2]), point) + m[9 + i] for i in range(3))
    half, taper = (m[12], m[13], m[14]), (0.5 * m[15], 0.5 * m[16])
    faces = _faces((x, y, z), half, taper, m[17])
    nx, ny, nz = _canonical_normal(faces, taper)
    # a normal goes to the world by the transposed matrix
    world = [nx * m[i] + ny * m[3 + i] + nz * m[6 + i] for i in range(3)]
    return Surface(normalised((world[0], world[1], world[2])), *_place(faces, half))


def _faces(point: Vector, half: Vector, taper: tuple[Tensor, Tensor], kind: Tensor) -> _Faces:
    """Find the face: the one whose plane (or curved side) the point is farthest out of, in metres."""
    x, y, z = point
    round_ = ((kind != BOX) & (kind != FRUSTUM)).float()
    sphere = (kind == SPHERE).float()
    narrow_x, narrow_z = 1 - taper[0] * (1 - y), 1 - taper[1] * (1 - y)
    radius = torch.addcmul(x * x, z, z).sqrt()
    out_x = (torch.lerp(x.abs(), radius, round_) - narrow_x) * half[0]
    out_y = (y.abs() - 1) * half[1] - sphere * half[1]  # a sphere has no face across y ...
    out_z = (z.abs() - narrow_z - 4 * round_) * half[2]  # ... and nothing round has one across z
    on_y = ((out_y > out_x) & (out_y > out_z)).float() * (1 - sphere)
    on_z = (1 - on_y) * (1 - round_) * (out_z > out_x)
    on_x = (1 - on_y) * (1 - on_z)
    return _Faces(point, on_x, on_y, on_z, on_x * round_, sphere)


def _canonical_normal(f: _Faces, taper: tuple[Tensor, Tensor]) -> Vector:
    """Flat sides: (±1, -slope); curved sides: the gradient of their equation, (x, -slope · width, z), or (x,
    y, z) on a sphere.
    """
    x, y, z = f.point
    slope = taper[0] * (1 - f.sphere)
    nx = torch.lerp(f.on_x * x.sign(), x, f.curved)
    nz = torch.lerp(f.on_z * z.sign(), z, f.curved)
    flat = f.on_y * y.sign() - f.on_x * taper[0] - f.on_z * taper[1]
    curve = torch.lerp(-slope * (1 - taper[0] * (1 - y)), y, f.sphere)
    return nx, torch.lerp(flat, curve, f.curved), nz


def _place(f: _Faces, half: Vector) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``u, v, width, height`` in metres; on curved sides u goes around the vertical axis, from behind."""
    x, y, z = f.point
    angle = torch.atan2(x, -z) / torch.pi  # in [-1, 1], 0 towards the canonical -z
    across = torch.lerp(f.on_x * z + (1 - f.on_x) * x, angle, f.curved)
    along = torch.lerp(y, z, f.on_y)
    around = 0.5 * torch.pi * (half[0] + half[2])
    half_u = torch.lerp(torch.lerp(half[0], half[2], f.on_x), around, f.curved)
    half_v = torch.lerp(half[1], half[2], f.on_y)
    return (across + 1) * half_u, (along + 1) * half_v, 2 * half_u, 2 * half_v
