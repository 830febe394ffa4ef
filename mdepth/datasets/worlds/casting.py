"""Casting rays: which solid does each ray meet first, and is the way to a lamp free?

Testing every ray against every solid would cost rays × solids. Rays come in *bundles* instead (the rays
through one 8 × 8 tile of the image; the rays from what a tile sees to one lamp), each inside a narrow beam.
Testing the beams against the solids' bounding boxes, first for blocks of 16 tiles and then for the tiles of
the blocks that passed, leaves a handful of solids per bundle, and only those are intersected exactly. The
test is conservative: it may keep a pair that does not touch, never drop one that does, so the result is that
of the full product. All steps are batched over pairs and run on any device.
"""

from dataclasses import dataclass

import torch

from mdepth.datasets.worlds.solids import FAR, KINDS, MISS, TINY, Solids, Vector, clip, dot, enter
from mdepth.shapes import Bool, Float, Int, Tensor

BLOCK = 16  # tiles in a row of the batch that lie close together and are tested as one first
PAIRS_AT_ONCE = 80_000  # ray-solid tests in one call of a kernel: keeps its scratch memory in a CPU's cache


@dataclass(frozen=True)
class Beams:
    """One pyramid with a rectangular base per bundle, around all its rays.

    All rays go from a ball around the apex to points that lie, at distance s < reach along the axis, within
    s · slope of it along each of two sides.

    Attributes:
        apex: metres, in the world.
        axis, side, other: unit vectors at right angles; the bundle is widest along ``side``.
        slope: along side, along other, and in any direction (the corners of the rectangle are cut off).
        reach: metres.
        radius: metres, of the ball around the apex that the rays start from.
    """

    apex: Float[Tensor, "T 3"]
    axis: Float[Tensor, "T 3"]
    side: Float[Tensor, "T 3"]
    other: Float[Tensor, "T 3"]
    slope: Float[Tensor, "T 3"]
    reach: Float[Tensor, " T"]
    radius: float = 0.0


@dataclass(frozen=True)
class Bundles:
    """T bundles of R rays, p = origin + t · direction with t > 0, and the beams that hold them.

    Attributes:
        origin: x, y, z of the ray origins, each (T, R) or (T, 1).
        direction: x, y, z of the ray directions, each (T, R), of any length.
        tiles: a beam for every bundle.
        blocks: a beam for every :data:`BLOCK` bundles.
    """

    origin: Vector
    direction: Vector
    tiles: Beams
    blocks: Beams


def beams_around(
    apex: Float[Tensor, " 3"],
    to_point: Vector,
    wanted: Tensor | None = None,
    radius: float = 0.0,
    reach: float | None = None,
) -> Beams:
    """The beams from one apex to T groups of R points, about the mean direction and just wide enough.

    Args:
        apex: metres, in the world.
        to_point: point - apex, three of (T, R).
        wanted: the points that count, all if None; a group without any gets a beam that touches nothing.
        radius: the rays start inside a ball of this radius around the apex.
        reach: how far the rays go; up to their points if None.
    """
    x, y, z = to_point
    weight = torch.ones_like(x) if wanted is None else wanted.to(x.dtype)
    count = weight.sum(1)
    total = torch.stack([(x * weight).sum(1), (y * weight).sum(1), (z * weight).sum(1)], dim=1)
    axis = torch.nn.functional.normalize(total, dim=1)
    along = _along(axis, to_point).clamp(min=TINY)
    scale = weight / along
    lean = [c * scale - axis[:, i : i + 1] * weight for i, c in enumerate(to_point)]  # at distance one
    across: Vector = (lean[0], lean[1], lean[2])
    off = dot(across, across)
    rows = torch.arange(len(x), device=x.device)
    farthest = off.argmax(1)
    side = torch.stack([component[rows, farthest] for component in across], dim=1) + TINY
    side = torch.nn.functional.normalize(side - (side * axis).sum(1, keepdim=True) * axis, dim=1)
    other = torch.linalg.cross(axis, side)
    widths = (_along(side, across).abs(), _along(other, across).abs(), off.sqrt())
    slope = torch.stack([width.amax(1) for width in widths], dim=1) * (1 + 1e-3) + 1e-3
    length = (along * weight).amax(1) * (1 + 1e-3) if reach is None else torch.full_like(count, reach)
    length = length - MISS * (count == 0)
    return Beams(apex.expand(len(axis), 3), axis, side, other, slope, length, radius)


def _along(direction: Float[Tensor, "T 3"], points: Vector) -> Float[Tensor, "T R"]:
    """Scalar products of every bundle's direction with its points."""
    return dot((direction[:, :1], direction[:, 1:2], direction[:, 2:]), points)


def touches(beams: Beams, i: Int[Tensor, " P"], solids: Solids, m: Int[Tensor, " P"]) -> Bool[Tensor, " P"]:
    """Whether beam ``i`` can touch the bounding box of solid ``m``, for P pairs.

    At distance s along its axis, a beam is no wider than r + s w - s r / reach as seen along an axis k of the
    box, where r is its radius and w its slope along k. So its points inside a box of half-sizes h satisfy
    |oₖ + s dₖ| <= hₖ + r + s (w - r / reach), with o, d the beam's apex and axis: six linear inequalities in
    s, which must have a common solution between -r and reach. (The r w added to hₖ is for s < 0.)
    """
    table = torch.cat([solids.centre, solids.rotation.flatten(1), solids.half], dim=1)
    cx, cy, cz, *rotation, h1, h2, h3 = table.index_select(0, m).T.contiguous()
    reach = beams.reach[:, None]
    table = torch.cat([beams.apex, beams.axis, beams.side, beams.other, beams.slope, reach], dim=1)
    ax, ay, az, *frame, widest, far = table.index_select(0, i).T.contiguous()
    axis, side, other = ((frame[k], frame[k + 1], frame[k + 2]) for k in (0, 3, 6))
    near, narrowing = torch.full_like(far, -beams.radius), beams.radius / far.clamp(min=TINY)
    for k, half in enumerate((h1, h2, h3)):
        column = (rotation[k], rotation[3 + k], rotation[6 + k])
        origin = dot((ax - cx, ay - cy, az - cz), column)
        along, across, beside = dot(axis, column), dot(side, column), dot(other, column)
        rectangle = torch.addcmul(frame[9] * across.abs(), frame[10], beside.abs())
        circle = widest * (1 - along * along).clamp(min=0).sqrt()
        width = torch.minimum(rectangle, circle) - narrowing
        room = half + beams.radius * (1 + widest)
        near, far = clip(near, far, origin - room, along - width)
        near, far = clip(near, far, -origin - room, -along - width)
    return near <= far


def candidates(bundles: Bundles, solids: Solids) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """The pairs (bundle, solid) that have to be tested ray by ray, ordered by bundle within every block."""
    device = bundles.tiles.slope.device
    count, blocks = len(bundles.tiles.slope), len(bundles.blocks.slope)
    i = torch.arange(blocks, device=device).repeat_interleave(len(solids))
    m = torch.arange(len(solids), device=device).repeat(blocks)
    keep = touches(bundles.blocks, i, solids, m).nonzero()[:, 0]
    inside = torch.arange(BLOCK, device=device)
    i = (i[keep, None] * BLOCK + inside).flatten()
    m = m[keep, None].expand(-1, BLOCK).flatten()
    keep = ((i < count) & touches(bundles.tiles, i.clamp(max=count - 1), solids, m)).nonzero()[:, 0]
    return i[keep], m[keep]


def first_hit(bundles: Bundles, solids: Solids) -> tuple[Float[Tensor, "T R"], Int[Tensor, "T R"]]:
    """``t, row``: where every ray first enters a solid, and the row of that solid; :data:`MISS` and -1 where
    it meets none.
    """
    nearest, pairs = _nearest(bundles, solids)
    row = torch.full(nearest.shape, -1, dtype=torch.int32, device=nearest.device)
    for tile, solid, t in pairs:
        claim = (t == nearest.index_select(0, tile)).int() * (solid[:, None] + 1).int() - 1
        row.scatter_reduce_(0, tile[:, None].expand_as(t), claim, "amax")
    missed = nearest > FAR
    return nearest.masked_fill(missed, MISS), row.masked_fill(missed, -1).long()


def blocked(bundles: Bundles, solids: Solids) -> Bool[Tensor, "T R"]:
    """Whether each ray meets a solid at 0 < t < 1: the test for a shadow, with direction = lamp - point."""
    nearest, _ = _nearest(bundles, solids)
    return nearest < 1


def _nearest(bundles: Bundles, solids: Solids) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
    """Smallest t of every ray, and all tests made: (bundle, solid, t) per group of pairs."""
    direction = bundles.direction[0]
    nearest = torch.full(direction.shape, MISS, dtype=direction.dtype, device=direction.device)
    matrix, offset = solids.to_canonical()
    tile, solid = candidates(bundles, solids)
    kinds = solids.kind[solid]
    limit = PAIRS_AT_ONCE // direction.shape[1] if direction.device.type == "cpu" else len(tile)
    pairs = []
    for kind in range(len(KINDS)):
        for part in (kinds == kind).nonzero()[:, 0].split(max(1, limit)):
            if len(part) == 0:
                continue
            i, m = tile[part], solid[part]
            o = _affine(matrix[m], bundles.origin, i, offset[m])
            d = _affine(matrix[m], bundles.direction, i, None)
            t = enter(kind, o, d, (solids.taper[m, :1], solids.taper[m, 1:]))
            nearest.scatter_reduce_(0, i[:, None].expand_as(t), t, "amin")
            pairs.append((i, m, t))
    return nearest, pairs


def _affine(matrix: Tensor, vector: Vector, rows: Tensor, offset: Tensor | None) -> Vector:
    """matrix · vector[rows] + offset for pairs: matrix (P, 3, 3), vector components (T, R), result components
    (P, R).
    """
    x, y, z = (component.index_select(0, rows) for component in vector)
    result = []
    for i in range(3):
        total = torch.addcmul(matrix[:, i, :1] * x, matrix[:, i, 1:2], y)
        total = torch.addcmul(total, matrix[:, i, 2:], z)
        result.append(total if offset is None else total + offset[:, i : i + 1])
    return result[0], result[1], result[2]
