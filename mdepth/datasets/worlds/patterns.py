"""Procedural materials: plaster, wood, brick, cloth and the like, as functions of the position on a face.

Every pattern takes a :class:`~mdepth.datasets.worlds.noise.Patch` of N points and returns ``mix, shade``: how
far to go from the material's colour ``a`` to its colour ``b`` (0 to 1), and a factor on the brightness, one
for all colours (N,) or one each (3, N).
"""

import torch

from mdepth.datasets.worlds.noise import Patch, cell, clouds, edge, fade, value_noise
from mdepth.shapes import Tensor


def plain(p: Patch) -> tuple[Tensor, Tensor]:
    """One colour: the mean of a and b."""
    return torch.full_like(p.u, 0.5), torch.ones_like(p.u)


def mottled(p: Patch) -> tuple[Tensor, Tensor]:
    """Plaster, carpet, concrete, grass: clouds between a and b, and fine grain of strength ``amount``."""
    noise = clouds(p)
    grain = value_noise(p.u * 9.1 / p.scale_u, p.v * 9.1 / p.scale_v, p.seed + 3) - 0.5
    visible = fade(p.scale_u / 9.1, p.footprint)
    return (2.2 * noise - 0.6).clamp(0, 1), 1 + p.amount * grain * visible


def foliage(p: Patch) -> tuple[Tensor, Tensor]:
    """Leaves: hard clumps of light and dark."""
    noise = clouds(p)
    return (0.5 + 4 * (noise - 0.5)).clamp(0, 1), 0.55 + 0.9 * noise


def wood(p: Patch) -> tuple[Tensor, Tensor]:
    """Boards of width ``scale_v`` along the longer side of the face, with grain, seams of strength ``amount``
    and end joints.
    """
    upright = p.height > p.width
    along, across = torch.where(upright, p.v, p.u), torch.where(upright, p.u, p.v)
    board = (across / p.scale_v).floor()
    tone = cell(board, board * 0 + 3, p.seed)
    grain = value_noise(
        along * 1.1 / p.scale_u + 40 * tone, across * 22 / p.scale_v * 0.4, p.seed + board * 0.06
    )
    grain = 0.5 + (grain - 0.5) * fade(p.scale_v / 9, p.footprint)
    position = across / p.scale_v - board
    seam = (torch.minimum(position, 1 - position) * p.scale_v - 0.004) / p.footprint.clamp(min=0.003)
    dark = 1 - p.amount * (1 - seam.clamp(0, 1)) * fade(p.scale_v, p.footprint)
    return 0.55 * grain + 0.45 * tone, dark


def bricks(p: Patch) -> tuple[Tensor, Tensor]:
    """Bricks of scale_u × scale_v in running bond, each of its own tone, in mortar of colour b (``amount`` is
    the joint's width / 0.1).
    """
    line = (p.v / p.scale_v).floor()
    shifted = p.u / p.scale_u + 0.5 * (line - 2 * (line / 2).floor())
    return _tiles(p, shifted, line)


def tiling(p: Patch) -> tuple[Tensor, Tensor]:
    """Tiles or paving slabs of scale_u × scale_v, each of its own tone, with joints of colour b."""
    return _tiles(p, p.u / p.scale_u, (p.v / p.scale_v).floor())


def _tiles(p: Patch, x: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """Joints and tones of a wall whose courses are given: x in tiles along the course, ``line`` the number of
    the course.
    """
    column = x.floor()
    fx, fy = x - column, p.v / p.scale_v - line
    to_edge = torch.minimum(
        torch.minimum(fx, 1 - fx) * p.scale_u,
        torch.minimum(fy, 1 - fy) * p.scale_v,
    )
    joint = 0.5 * 0.1 * p.amount * p.scale_v
    period = torch.minimum(p.scale_u, p.scale_v)
    visible = fade(period, p.footprint)
    stone = edge(to_edge - joint, 0.0, p.footprint)
    tone = 1 + 0.45 * visible * (cell(column, line, p.seed) - 0.5)
    return torch.lerp(0.1 * p.amount + 0 * stone, 1 - stone, visible), tone


def checks(p: Patch) -> tuple[Tensor, Tensor]:
    """A chessboard of fields scale_u × scale_v."""
    parity = (p.u / p.scale_u).floor() + (p.v / p.scale_v).floor()
    odd = parity - 2 * (parity / 2).floor()
    return torch.lerp(
        0.5 * torch.ones_like(odd), odd, fade(2 * p.scale_u, p.footprint)
    ), 1 + 0.1 * p.amount * (clouds(p, 2) - 0.5)


def stripes(p: Patch) -> tuple[Tensor, Tensor]:
    """Upright stripes of width scale_u / 2 (wallpaper, blinds, cloth)."""
    wave = 0.5 + 1.6 * torch.sin(2 * torch.pi * p.u / p.scale_u)
    return 0.5 + (wave.clamp(0, 1) - 0.5) * fade(p.scale_u, p.footprint), torch.ones_like(wave)
