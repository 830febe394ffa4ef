"""Analytic solids: what the worlds are made of, where a ray enters them, and which way their surface looks.

Every solid is one of five shapes in its own *canonical* frame, all contained in the cube [-1, 1]³, stretched
by ``half`` (metres per canonical unit), turned by ``rotation`` and moved to ``centre``:

====== ========= ============================================================================================
number name      canonical shape (y points down, as everywhere in mdepth, so y = -1 is the top)
====== ========= ============================================================================================
0      BOX       |x|, |y|, |z| <= 1
1      SPHERE    x² + y² + z² <= 1 (an ellipsoid once stretched)
2      CYLINDER  x² + z² <= 1, |y| <= 1
3      CONE      x² + z² <= w(y)², |y| <= 1, w(y) = 1 - taper · (1 - y) / 2: taper 1 comes to a point
4      FRUSTUM   |x| <= w₁(y), |z| <= w₂(y), |y| <= 1: taper (1, 1) is a pyramid, (1, 0) a gable roof
====== ========= ============================================================================================

A ray p(t) = o + t d keeps its t under the affine map into the canonical frame, so each kernel solves one
small equation there and no distance has to be converted back. All solids are convex: a ray enters once and
leaves once, and only the entry is kept (a camera inside a solid does not see it). Kernels take and return
plain tensors of any broadcastable shape, in ray order.
"""

import math
from dataclasses import dataclass, replace

import torch

from mdepth.shapes import Float, Int, Tensor

BOX, SPHERE, CYLINDER, CONE, FRUSTUM = range(5)
KINDS = ("box", "sphere", "cylinder", "cone", "frustum")
MISS = 1e30  # the "distance" of a ray that misses; finite, so that arithmetic on it never makes a NaN
FAR = 1e20  # metres; whatever is farther is a miss (one by a hair's breadth comes out a little below MISS)
TINY = 1e-12

Vector = tuple[
    Tensor, Tensor, Tensor
]  # x, y, z as three tensors: contiguous memory for each, twice as fast as (..., 3)


@dataclass(frozen=True)
class Solids:
    """A table of M solids, one row each (lengths in metres).

    Attributes:
        kind: BOX, SPHERE, CYLINDER, CONE or FRUSTUM.
        centre: position of the canonical origin in the world.
        rotation: world ← canonical rotation; its columns are the solid's axes.
        half: metres per canonical unit along the solid's own axes.
        taper: narrowing towards the top, in [0, 1], along x and z (CONE reads the first).
        material: row in the scene's materials.
        instance: the object that it belongs to, 1, 2, ...; a car of eight solids is one instance.
        velocity: metres per second, constant.
        opaque: 1 where it casts a shadow, 0 for lamps and window panes.
    """

    kind: Int[Tensor, " M"]
    centre: Float[Tensor, "M 3"]
    rotation: Float[Tensor, "M 3 3"]
    half: Float[Tensor, "M 3"]
    taper: Float[Tensor, "M 2"]
    material: Int[Tensor, " M"]
    instance: Int[Tensor, " M"]
    velocity: Float[Tensor, "M 3"]
    opaque: Float[Tensor, " M"]

    def __len__(self) -> int:
        return len(self.kind)

    def to(self, device: torch.device | str) -> "Solids":
        """The same table on another device."""
        return Solids(**{name: value.to(device) for name, value in vars(self).items()})

    def at(self, time: float) -> "Solids":
        """The table ``time`` seconds later: every solid moved by its velocity."""
        return replace(self, centre=self.centre + time * self.velocity)

    def scaled(self, factor: float) -> "Solids":
        """The table with every length multiplied by ``factor``."""
        return replace(
            self, centre=self.centre * factor, half=self.half * factor, velocity=self.velocity * factor
        )

    def select(self, rows: Tensor) -> "Solids":
        """The rows named by an index or a mask."""
        return Solids(**{name: value[rows] for name, value in vars(self).items()})

    def to_canonical(self) -> tuple[Float[Tensor, "M 3 3"], Float[Tensor, "M 3"]]:
        """``matrix, offset`` with canonical point = matrix · world point + offset."""
        matrix = self.rotation.transpose(1, 2) / self.half[:, :, None]
        return matrix, -(matrix @ self.centre[:, :, None])[:, :, 0]


def enter(kind: int, origin: Vector, direction: Vector, taper: tuple[Tensor, Tensor]) -> Tensor:
    """Ray parameter t > 0 at which each ray enters its solid, :data:`MISS` where it does not.

    Args:
        kind: one kind for the whole call.
        origin: canonical ray origins, three broadcastable tensors.
        direction: canonical ray directions (any length).
        taper: the two tapers, broadcastable.

    Edge cases: an origin inside the solid gives :data:`MISS`; so does a ray parallel to a face that it starts
    outside of.

    Example:
        >>> z = torch.zeros(1)
        >>> enter(BOX, (z, z, z - 5), (z, z, z + 1), (z, z))
        tensor([4.])
    """
    near, far = _INTERVALS[kind](origin, direction, taper)
    # no entry in front of the camera: push t out of sight (arithmetic, because torch.where takes ten times as
    # long on a CPU)
    none = (near - far).clamp(min=0) + (TINY - near).clamp(min=0)
    return torch.add(near, none, alpha=1e37).clamp(max=MISS)


def _box_interval(origin: Vector, direction: Vector, taper: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The slab test: t between which |x|, |y| and |z| are all at most one."""
    near: Tensor | None = None
    for o, d in zip(origin, direction, strict=True):
        inverse = 1 / (d + TINY)
        first, second = (-1 - o) * inverse, (1 - o) * inverse
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        if near is None:
            near, far = low, high
        else:
            near, far = torch.maximum(near, low), torch.minimum(far, high)
    assert near is not None  # three axes
    return near, far


def _sphere_interval(
    origin: Vector, direction: Vector, taper: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """t inside the unit sphere, measured from the point nearest its centre so that far spheres keep their
    digits.
    """
    a = dot(direction, direction)
    middle = -dot(origin, direction) / a
    x, y, z = (o + middle * d for o, d in zip(origin, direction, strict=True))
    inside = 1 - (x * x + y * y + z * z)
    root = (inside.clamp(min=0) / a).sqrt()
    return torch.add(middle - root, (-inside).clamp(min=0), alpha=MISS), middle + root


def _cylinder_interval(
    origin: Vector, direction: Vector, taper: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """t inside the unit circle of x and z, measured from the point nearest the axis, and between the two
    ends.
    """
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    a = torch.addcmul(dx * dx, dz, dz).clamp(min=TINY)
    middle = -torch.addcmul(ox * dx, oz, dz) / a
    x, z = torch.addcmul(ox, middle, dx), torch.addcmul(oz, middle, dz)
    inside = 1 - torch.addcmul(x * x, z, z)
    root = (inside.clamp(min=0) / a).sqrt()
    inverse = 1 / (dy + TINY)
    top, bottom = (-1 - oy) * inverse, (1 - oy) * inverse
    near = torch.maximum(middle - root, torch.minimum(top, bottom))
    far = torch.minimum(middle + root, torch.maximum(top, bottom))
    return torch.add(near, (-inside).clamp(min=0), alpha=MISS), far


def _cone_interval(origin: Vector, direction: Vector, taper: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """t inside x² + z² <= w(y)² and |y| <= 1, with w(t) = w₀ + t w₁ along the ray.

    Where the leading coefficient is positive, the ray is inside between the two roots. Where it is negative
    (the ray is steeper than the cone's side), it is inside the double cone outside the roots, of which only
    the nappe with w > 0 is wanted: from the one root at which w > 0 to infinity, or from minus infinity to
    it.
    """
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    k = 0.5 * taper[0]
    w0, w1 = 1 - k * (1 - oy), k * dy
    a = dx * dx + dz * dz - w1 * w1
    b = ox * dx + oz * dz - w0 * w1
    c = ox * ox + oz * oz - w0 * w0
    steep = (a < 0).to(a.dtype)
    safe = a.abs().clamp(min=TINY) * (1 - 2 * steep)
    discriminant = b * b - safe * c
    root = discriminant.clamp(min=0).sqrt()
    first, second = (-b - root) / safe, (root - b) / safe
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    opens = steep * (w1 > 0)  # widening along the ray: inside from the later root on
    closes = steep * (w1 <= 0)
    side_near = torch.lerp(low, high, opens) * (1 - closes) - MISS * closes
    side_far = torch.lerp(high, low, closes) * (1 - opens) + MISS * opens
    side_near = side_near + MISS * (discriminant < 0) * (1 - steep)
    inverse = 1 / (dy + TINY)
    top, bottom = (-1 - oy) * inverse, (1 - oy) * inverse
    return (
        torch.maximum(side_near, torch.minimum(top, bottom)),
        torch.minimum(side_far, torch.maximum(top, bottom)),
    )


def _frustum_interval(
    origin: Vector, direction: Vector, taper: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """t inside six planes."""
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    k1, k2 = 0.5 * taper[0], 0.5 * taper[1]
    w1, w2 = 1 - k1 * (1 - oy), 1 - k2 * (1 - oy)
    planes = (
        (ox - w1, dx - k1 * dy), (-ox - w1, -dx - k1 * dy),
        (oz - w2, dz - k2 * dy), (-oz - w2, -dz - k2 * dy),
        (oy - 1, dy), (-oy - 1, -dy),
    )  # fmt: skip
    near, far = torch.full_like(dx, -MISS), torch.full_like(dx, MISS)
    for value, slope in planes:
        near, far = clip(near, far, value, slope)
    return near, far


def clip(near: Tensor, far: Tensor, value: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """The part of the interval [near, far] of t where value + t · slope <= 0.

    Edge cases: an empty interval comes back with near > far; without a condition (slope 0, value <= 0) it is
    unchanged.

    Example:
        >>> low, high = clip(torch.tensor(0.0), torch.tensor(9.0), torch.tensor(-4.0), torch.tensor(2.0))
        >>> low.item(), high.item()
        (0.0, 2.0)
    """
    # the bound that does not apply becomes huge by a division by TINY; so does near where value > 0 and slope
    # >= 0: nothing is left
    entry = value / (-slope).clamp(min=TINY)
    leave = value.abs().clamp(min=TINY) / slope.clamp(min=TINY)
    return torch.maximum(near, entry), torch.minimum(far, leave)


_INTERVALS = (_box_interval, _sphere_interval, _cylinder_interval, _cone_interval, _frustum_interval)


def dot(a: Vector, b: Vector) -> Tensor:
    """a · b of two vectors held as three tensors each."""
    return torch.addcmul(torch.addcmul(a[0] * b[0], a[1], b[1]), a[2], b[2])


def normalised(vector: Vector) -> Vector:
    """The vector with length one (a zero vector stays zero)."""
    inverse = dot(vector, vector).clamp(min=TINY).rsqrt()
    return vector[0] * inverse, vector[1] * inverse, vector[2] * inverse


def rotation_from_yaw_pitch_roll(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Float[Tensor, "3 3"]:
    """Rotation that first rolls about z, then pitches about x (positive looks up), then yaws about the
    vertical (positive turns right).

    Angles in radians. The columns are the turned x (right), y (down) and z (forward) axes.

    Example:
        >>> rotation_from_yaw_pitch_roll(torch.pi / 2)[0, 2].item()  # forward now points right
        1.0
    """
    return torch.tensor(rotation_rows(yaw, pitch, roll))


def rotation_rows(yaw: float, pitch: float, roll: float) -> list[list[float]]:
    """The rows of :func:`rotation_from_yaw_pitch_roll` as plain numbers, for tables of many."""
    cy, sy, cp, sp, cr, sr = (f(angle) for angle in (yaw, pitch, roll) for f in (math.cos, math.sin))
    return [
        [cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp],
        [cp * sr, cp * cr, -sp],
        [-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp],
    ]
