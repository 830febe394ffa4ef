"""Textures that show something: books, pictures, rugs, doors, house fronts, road markings.

The functions obey the contract of :mod:`mdepth.datasets.worlds.patterns`.
"""

import torch

from mdepth.datasets.worlds.noise import Patch, cell, clouds, edge, fade, value_noise
from mdepth.shapes import Tensor


def _hues(i: Tensor, j: Tensor, seed: Tensor, strength: float = 1.0) -> Tensor:
    """A random colour factor (3, N) around one for every cell (i, j)."""
    return torch.stack([1 + strength * (cell(i, j, seed + 11 * channel) - 0.5) * 1.8 for channel in range(3)])


def _ring(p: Patch, inner: Tensor | float) -> Tensor:
    """Metres from a point to the nearest side of its face, less ``inner``: positive inside the frame of that
    width.
    """
    horizontal = torch.minimum(p.u, p.width - p.u)
    vertical = torch.minimum(p.v, p.height - p.v)
    return torch.minimum(horizontal, vertical) - inner


def books(p: Patch) -> tuple[Tensor, Tensor]:
    """Backs of books scale_u wide, each of its own colour, with dark gaps and a lighter title field."""
    x = p.u / p.scale_u
    shift = value_noise(x * 0.7, 0 * x, p.seed) * 0.8  # uneven widths
    number = (x + shift).floor()
    inside = x + shift - number
    visible = fade(p.scale_u, p.footprint)
    gap = edge((0.5 - (inside - 0.5).abs()) * p.scale_u - 0.002, 0.0, p.footprint)
    height = p.v / p.height.clamp(min=1e-3)
    title = ((height - 0.3).abs() < 0.12).float() * (cell(number, 0 * number + 9, p.seed) > 0.5)
    shade = _hues(number, 0 * number, p.seed) * (
        0.35 + 0.65 * torch.lerp(0.8 * torch.ones_like(gap), gap, visible)
    )
    return 0.5 * torch.ones_like(x), shade * (1 + 0.6 * title * visible)


def picture(p: Patch) -> tuple[Tensor, Tensor]:
    """A framed picture or a poster: a ground, a sky, patches of muted colours, a dark frame of width
    ``amount`` × 8 cm and a pale mount.
    """
    blobs = value_noise(p.u / p.scale_u, p.v / p.scale_v, p.seed)
    skyline = 0.45 + 0.25 * value_noise(p.u / p.width.clamp(min=1e-3) * 3, 0 * p.v, p.seed)
    ground = edge(p.v - p.height * skyline, 0.0, p.footprint)
    hues = _hues((blobs * 5).floor(), ground.round(), p.seed, 0.5) * (0.55 + 0.8 * blobs)
    frame = _ring(p, 0.08 * p.amount)
    mount = _ring(p, 0.16 * p.amount)
    content = torch.lerp(torch.full_like(hues, 1.6), hues, edge(mount, 0.0, p.footprint))
    return 0.25 + 0.5 * ground, torch.lerp(
        torch.full_like(hues, 0.15), content, edge(frame, 0.0, p.footprint)
    )


def outside(p: Patch) -> tuple[Tensor, Tensor]:
    """What a window shows: bright sky (colour a) above the clumps of far trees (colour b), out of focus."""
    height = p.v / p.height.clamp(min=1e-3)
    skyline = 0.45 + 0.4 * value_noise(p.u / p.scale_u, 0 * p.u, p.seed)
    leaves = value_noise(p.u / p.scale_v, p.v / p.scale_v, p.seed + 2)
    trees = ((height - skyline) * 9 + 0.5).clamp(0, 1)
    return trees * (0.55 + 0.45 * leaves), 1 - 0.1 * height


def screen(p: Patch) -> tuple[Tensor, Tensor]:
    """A computer's desktop: a window with lines of text in colour b on a gradient of colour a."""
    x, y = p.u / p.width.clamp(min=1e-3), p.v / p.height.clamp(min=1e-3)
    sheet = ((x - 0.42).abs() < 0.3) & ((y - 0.5).abs() < 0.38)
    line = (y * 14).floor()
    text = sheet & (y * 14 - line < 0.45) & (x < 0.25 + 0.4 * cell(line, 0 * line, p.seed)) & (x > 0.16)
    return sheet.float() * 0.95, 1.1 - 0.5 * y * ~sheet - 0.75 * text * fade(p.height / 14, p.footprint)


def rug(p: Patch) -> tuple[Tensor, Tensor]:
    """A woven rug: a border, a field of diamonds, fine threads."""
    border = edge(0.22 - _ring(p, 0.06), 0.0, p.footprint) * edge(_ring(p, 0.06), 0.0, p.footprint)
    x, y = p.u / p.scale_u, p.v / p.scale_v
    diamonds = ((x - x.floor() - 0.5).abs() + (y - y.floor() - 0.5).abs() - 0.5) * p.scale_u
    field = torch.lerp(
        torch.full_like(x, 0.5), edge(diamonds, 0.0, p.footprint), fade(p.scale_u, p.footprint)
    )
    threads = 0.9 + 0.2 * value_noise(p.u / 0.012, p.v / 0.05, p.seed) * fade(0.02, p.footprint)
    return torch.lerp(field, 1 - 0.8 * field, border), threads


def door(p: Patch) -> tuple[Tensor, Tensor]:
    """A door leaf: two columns and three rows of sunk panels with lit and shaded bevels, over faint grain."""
    columns, rows = 2.0, 3.0
    x, y = p.u / p.width.clamp(min=1e-3) * columns, p.v / p.height.clamp(min=1e-3) * rows
    fx, fy = (x - x.floor() - 0.5) * p.width / columns, (y - y.floor() - 0.5) * p.height / rows
    across, down = 0.5 * p.width / columns - 0.08 - fx.abs(), 0.5 * p.height / rows - 0.09 - fy.abs()
    to_panel = torch.minimum(across, down)
    bevel = edge(to_panel, 0.0, p.footprint) * edge(0.035 - to_panel, 0.0, p.footprint)
    sunlit = torch.where(across < down, fx, fy).sign()
    grain = value_noise(p.u / 0.02, p.v / 0.5, p.seed) - 0.5
    return 0.5 + 0.6 * grain * fade(0.02, p.footprint), 1 + 0.4 * p.amount * bevel * sunlit


def facade(p: Patch) -> tuple[Tensor, Tensor]:
    """A house front: windows of a regular grid scale_u × scale_v in a wall of colour a with frames of colour
    b.

    Windows differ: some dark, some with curtains, some reflecting the sky. The lowest storey has broader
    panes; ``amount`` is the window's share of the grid's cell.
    """
    columns = (p.width / p.scale_u).round().clamp(min=1)
    storeys = (p.height / p.scale_v).round().clamp(min=1)
    x, y = p.u / p.width.clamp(min=1e-3) * columns, p.v / p.height.clamp(min=1e-3) * storeys
    i, j = x.floor(), y.floor()
    cell_u, cell_v = p.width / columns, p.height / storeys
    ground_floor = (j >= storeys - 1).float()
    half_u = 0.5 * cell_u * (0.35 + 0.4 * p.amount + 0.12 * ground_floor)
    half_v = 0.5 * cell_v * (0.5 + 0.25 * p.amount)
    fx, fy = (x - i - 0.5) * cell_u, (y - j - 0.52) * cell_v
    margin = torch.minimum(half_u - fx.abs(), half_v - fy.abs())  # metres inside the window's outline
    window = edge(margin, 0.0, p.footprint)
    cross = torch.minimum(fx.abs() - 0.03, (fy + 0.25 * half_v).abs() - 0.03)
    pane = edge(torch.minimum(margin - 0.09, cross), 0.0, p.footprint)
    light = cell(i, j, p.seed)
    curtain = (fx.abs() > 0.5 * half_u).float() * (cell(i, j + 50, p.seed) > 0.6)
    glass = 0.1 + 0.5 * light * light + 0.35 * curtain + 0.15 * (half_v - fy) / half_v * light
    wall = 0.85 + 0.3 * clouds(p, 2)
    ledge = edge(0.06 - (fy - half_v - 0.05).abs(), 0.0, p.footprint) * (fx.abs() < half_u + 0.1)
    visible = fade(cell_u, p.footprint)
    tinted = torch.stack([glass * 0.8, glass * 0.95, glass * 1.15])
    shade = torch.lerp(
        torch.lerp(wall, wall * 0.6, ledge * visible).expand(3, -1), torch.ones_like(tinted), window * visible
    )
    shade = torch.lerp(shade, tinted, pane * visible)
    return window * visible, shade


def road(p: Patch) -> tuple[Tensor, Tensor]:
    """Asphalt of colour a with markings of colour b: a line at both sides, and between lanes of width scale_u
    dashes of period scale_v.

    ``amount`` 0 is a road without markings; worn paint, patches and tyre tracks come with it.
    """
    lanes = (p.width / p.scale_u).round().clamp(min=1)
    lane = p.width / lanes
    position = p.u / lane
    line = position.round()
    offset = (position - line).abs() * lane
    inner = (line > 0.5) & (line < lanes - 0.5)
    dash = p.v / p.scale_v
    on = edge((0.25 - (dash - dash.floor() - 0.5).abs()) * p.scale_v, 0.0, p.footprint)
    side = edge(0.06 - (_ring(p, 0.22)).abs(), 0.0, p.footprint)
    wear = (1.3 * value_noise(p.u / 0.35, p.v / 0.9, p.seed + 5) + 0.25).clamp(0, 1)
    paint = torch.maximum(edge(0.06 - offset, 0.0, p.footprint) * on * inner, side) * wear * (p.amount > 0)
    coarse = value_noise(p.u / 1.1, p.v / 5.0, p.seed)
    grain = (value_noise(p.u / 0.05, p.v / 0.05, p.seed + 2) - 0.5) * fade(0.05, p.footprint)
    medium = (value_noise(p.u / 0.3, p.v / 0.4, p.seed + 4) - 0.5) * fade(0.3, p.footprint)
    track = (((position - position.floor()) - 0.5).abs() - 0.25).abs()  # 0 in the wheel tracks
    polish = 0.12 * (1 - 6 * track).clamp(0, 1)
    patched = (value_noise(p.u / 2.5, p.v / 7, p.seed + 6) > 0.72).float() * 0.15
    return paint, 0.75 + 0.45 * coarse + 0.5 * grain + 0.25 * medium + polish - patched
