"""Where in a picture something can be learnt about depth, told from the truth: what a mask may prefer.

For every kind of place there is one beside which it is held: edges of geometry beside edges that are only
painted, the inside of small things beside that of large surfaces. Of a place that is larger a mask keeps more
by itself; compare means of the mask, not sums.
"""

import torch
from torch.nn import functional

from mdepth.image import sobel
from mdepth.shapes import Bool, Depth, Float, Image, Int, Tensor

__all__ = ["PLACES", "contact", "distance_to", "places"]

PLACES = ("geometry", "paint", "plain", "small", "large")
"""The masks of :func:`places`."""
STEP = 1.1
"""Ratio of two neighbouring depths from which on the step between them is an edge of depth."""
CREASE = 0.7
"""Cosine between two neighbouring normals below which there is a crease: 45 degrees."""
CLEAR = 0.3
"""Sobel's response to brightness from which on an edge counts as seen: 4 % of brightness per pixel."""
MARGIN = 2
"""Pixels around an edge of geometry in which no other place lies."""
SMALL, LARGE = (0.002, 0.03), 0.1
"""Shares of the image that small things take, and from which on a surface is large."""


def places(
    image: Image, depth: Depth, normals: Float[Tensor, "B 3 H W"], instances: Int[Tensor, "B 1 H W"]
) -> dict[str, Bool[Tensor, "B 1 H W"]]:
    r"""Masks of some pictures, by name.

    * ``geometry``: steps of depth (10 % from pixel to pixel), creases (45 degrees), and where a thing begins;
    * ``paint``: edges in the image (Sobel's response of at least 0.3) farther than two pixels from all those:
      pattern, shadow, light;
    * ``plain``: neither, anywhere;
    * ``small``: the inside of things that take 0.2 to 3 % of the image, two pixels from their outlines;
    * ``large``: the inside of surfaces that take 10 % or more, likewise.

    ``geometry``, ``paint`` and ``plain`` do not overlap, nor do ``small`` and ``large``. The sky is depth 0
    and a thing like others.

    Example:
        >>> depth = torch.full((1, 1, 12, 16), 2.0)
        >>> depth[..., 8:] = 3.0
        >>> wall = torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 12, 16)
        >>> found = places(torch.rand(1, 3, 12, 16), depth, wall, (depth > 2.5).long())
        >>> found["geometry"][0, 0, 0].nonzero().flatten().tolist()
        [7, 8]
    """
    geometry = _geometry(depth, normals, instances)
    near = _grown(geometry)
    seen = torch.hypot(*sobel(image.mean(dim=1, keepdim=True), padding="replicate")) >= CLEAR
    share = _shares(instances)
    inside = ~_grown(_changes(instances))
    return {
        "geometry": geometry,
        "paint": seen & ~near,
        "plain": ~seen & ~near,
        "small": inside & (share >= SMALL[0]) & (share <= SMALL[1]),
        "large": inside & (share >= LARGE),
    }


def contact(
    depth: Depth, normals: Float[Tensor, "B 3 H W"], instances: Int[Tensor, "B 1 H W"]
) -> Bool[Tensor, "B 1 H W"]:
    """Where things stand on something: pixels above the border between two instances, one below the other,
    of nearly the same depth (5 %), the lower of which faces up and the upper does not; and those below it.

    Example:
        >>> instances = torch.tensor([[1, 1], [1, 1], [2, 2], [2, 2]]).view(1, 1, 4, 2)
        >>> wall, floor = torch.tensor([0.0, 0.0, -1.0]), torch.tensor([0.0, -1.0, 0.0])
        >>> normals = torch.stack([wall, wall, floor, floor]).T.view(1, 3, 4, 1).expand(1, 3, 4, 2)
        >>> contact(torch.ones(1, 1, 4, 2), normals, instances)[0, 0, :, 0].tolist()
        [False, True, True, False]
    """
    upper, lower = (slice(None, -1), slice(1, None))
    near, far = depth[..., upper, :], depth[..., lower, :]
    touching = (near > 0) & (far > 0) & ((near / far.clamp(min=1e-6)).log().abs() < 0.05)
    up = -normals[:, 1:2]  # the camera's y points down
    stands = (up[..., lower, :] > CREASE) & (up[..., upper, :] < CREASE)
    border = touching & stands & (instances[..., upper, :] != instances[..., lower, :])
    return functional.pad(border, (0, 0, 0, 1)) | functional.pad(border, (0, 0, 1, 0))


def distance_to(
    point: Float[Tensor, "B 2"], height: int, width: int
) -> Float[Tensor, "B 1 {height} {width}"]:
    """Of every pixel the distance in pixels to a point (u, v) of its image; for vanishing points.

    Example:
        >>> distance_to(torch.tensor([[3.0, 0.0]]), 1, 5)[0, 0].tolist()
        [[3.0, 2.0, 1.0, 0.0, 1.0]]
    """
    u = torch.arange(width, device=point.device) - point[:, 0].view(-1, 1, 1, 1)
    v = torch.arange(height, device=point.device)[:, None] - point[:, 1].view(-1, 1, 1, 1)
    return torch.hypot(u.float(), v.float())


def _geometry(depth: Depth, normals: Tensor, instances: Tensor) -> Bool[Tensor, "B 1 H W"]:
    """Pixels on both sides of a step, a crease or an outline."""
    edge = _changes(instances)
    for axis in (2, 3):
        length = depth.shape[axis] - 1
        one, other = depth.narrow(axis, 0, length), depth.narrow(axis, 1, length)
        known = (one > 0) & (other > 0)
        step = known & (torch.maximum(one, other) >= STEP * torch.minimum(one, other))
        turn = (normals.narrow(axis, 0, length) * normals.narrow(axis, 1, length)).sum(dim=1, keepdim=True)
        edge |= _both_sides(step | (known & (turn < CREASE)), axis)
    return edge


def _changes(instances: Tensor) -> Bool[Tensor, "B 1 H W"]:
    """Pixels on both sides of a border between two instances."""
    border = torch.zeros_like(instances, dtype=torch.bool)
    for axis in (2, 3):
        length = instances.shape[axis] - 1
        border |= _both_sides(instances.narrow(axis, 0, length) != instances.narrow(axis, 1, length), axis)
    return border


def _both_sides(between: Bool[Tensor, "B 1 h w"], axis: int) -> Tensor:
    """From what lies between a pixel and the next to the two pixels."""
    before, behind = ((0, 0, 0, 1), (0, 0, 1, 0)) if axis == 2 else ((0, 1, 0, 0), (1, 0, 0, 0))
    return functional.pad(between, before) | functional.pad(between, behind)


def _grown(mask: Bool[Tensor, "B 1 H W"]) -> Bool[Tensor, "B 1 H W"]:
    """With all pixels within :data:`MARGIN`."""
    return functional.max_pool2d(mask.float(), 2 * MARGIN + 1, stride=1, padding=MARGIN) > 0


def _shares(instances: Int[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Of every pixel, the share of its image that its instance takes."""
    shares = []
    for one in instances:
        counts = torch.bincount(one.flatten())
        shares.append(counts[one].float() / one.numel())
    return torch.stack(shares)
