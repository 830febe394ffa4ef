"""Furniture of the rooms, each piece put together from a few solids.

Every function adds one object to a builder. In its own frame a piece stands on the floor at the origin with
its back towards +z, so that yaw 0 puts it against the far wall facing the camera. ``size`` is (width, height,
depth) in metres.
"""

import math

import numpy as np

from mdepth.datasets.worlds.scenery import Builder, Colour, times, tint
from mdepth.datasets.worlds.solids import CYLINDER
from mdepth.datasets.worlds.textures import Material

WOODS: tuple[Colour, ...] = (
    (0.42, 0.25, 0.12), (0.25, 0.13, 0.06), (0.55, 0.38, 0.22), (0.12, 0.07, 0.04), (0.62, 0.5, 0.36),
)  # fmt: skip
FABRICS: tuple[Colour, ...] = (
    (0.35, 0.06, 0.06), (0.07, 0.12, 0.3), (0.3, 0.28, 0.24), (0.1, 0.22, 0.14), (0.55, 0.42, 0.25),
    (0.08, 0.08, 0.09), (0.45, 0.45, 0.43), (0.3, 0.16, 0.3), (0.6, 0.3, 0.08),
)  # fmt: skip
BRIGHT: tuple[Colour, ...] = (
    (0.6, 0.08, 0.06), (0.08, 0.25, 0.55), (0.75, 0.55, 0.08), (0.1, 0.4, 0.18), (0.8, 0.78, 0.72),
    (0.15, 0.15, 0.16),
)  # fmt: skip
METAL = Material("plain", (0.18, 0.18, 0.19), (0.22, 0.22, 0.23))
WHITE = Material("plain", (0.75, 0.74, 0.7), (0.8, 0.79, 0.76))


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 0.15) -> Colour:
    """One of the colours, varied a little."""
    return tint(rng, colours[rng.integers(len(colours))], spread)


def wood(rng: np.random.Generator) -> Material:
    """Some wood, its boards along the longer side of each face."""
    dark = pick(rng, WOODS)
    light = times(dark, (1.35, 1.3, 1.25))
    return Material("wood", dark, light, (rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.2)), 0.35, _seed(rng))


def fabric(rng: np.random.Generator) -> Material:
    """Cloth: mottled, striped or checked."""
    a = pick(rng, FABRICS)
    b = times((a[0] + 0.02, a[1] + 0.02, a[2] + 0.02), 1.5)
    pattern = rng.choice(["mottled", "mottled", "stripes", "checks"])
    period = {"mottled": 0.12, "stripes": rng.uniform(0.05, 0.12), "checks": rng.uniform(0.06, 0.12)}[pattern]
    return Material(str(pattern), a, b, (period, period), 0.6, _seed(rng))


def _seed(rng: np.random.Generator) -> float:
    return float(rng.integers(1, 200))


def table(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A top on four legs, with an apron below the top."""
    width, height, depth = size
    top, inset = wood(rng), 0.06
    b.box(top, (width, 0.035, depth), bottom=height - 0.035)
    b.box(top, (width - 3 * inset, 0.08, depth - 3 * inset), bottom=height - 0.115)
    for x in (-1, 1):
        for z in (-1, 1):
            b.box(
                top,
                (0.055, height - 0.035, 0.055),
                x=x * (0.5 * width - inset),
                z=z * (0.5 * depth - inset),
            )


def round_table(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A round top on one foot."""
    width, height, _ = size
    top = wood(rng)
    b.post(top, width, 0.035, bottom=height - 0.035)
    b.post(top, 0.09, height - 0.055, bottom=0.02)
    b.post(top, 0.5 * width, 0.02)


def chair(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """Seat, back and four legs."""
    width, height, depth = size
    seat = 0.5 * height
    frame, cloth = wood(rng) if rng.random() < 0.6 else METAL, fabric(rng)
    b.box(cloth, (width, 0.06, depth), bottom=seat - 0.06)
    b.box(
        cloth, (width - 0.04, height - seat - 0.1, 0.04), z=0.5 * depth - 0.03, bottom=seat + 0.1, pitch=-0.12
    )
    for x in (-1, 1):
        for z in (-1, 1):
            tall = height - 0.06 if z > 0 else seat - 0.06
            b.box(frame, (0.035, tall, 0.035), x=x * (0.5 * width - 0.025), z=z * (0.5 * depth - 0.025))


def sofa(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """Base, back, arms, and two or three cushions."""
    width, height, depth = size
    cloth, cushion = fabric(rng), fabric(rng)
    arm = 0.16
    b.box(cloth, (width, 0.28, depth), bottom=0.08)
    b.wedge(cloth, (width - 2 * arm, height - 0.36, 0.26), (0.0, 0.35), z=0.5 * depth - 0.13, bottom=0.36)
    for side in (-1, 1):
        b.box(cloth, (arm, 0.52, depth), x=side * 0.5 * (width - arm), bottom=0.08)
        b.add(
            CYLINDER,
            cloth,
            (0.18, depth, 0.18),
            x=side * 0.5 * (width - arm),
            bottom=0.6 - 0.5 * depth,
            pitch=math.pi / 2,
        )
    seats = 3 if width > 1.7 else 2 if width > 1.1 else 1
    each = (width - 2 * arm) / seats
    for i in range(seats):
        x = -0.5 * width + arm + (i + 0.5) * each
        b.box(cloth, (each - 0.02, 0.12, depth - 0.24), x=x, z=-0.12, bottom=0.36)
    if rng.random() < 0.8:
        side = rng.choice([-1, 1]) * (0.5 * width - arm - 0.28)
        b.ball(cushion, (0.42, 0.38, 0.18), x=side, z=0.5 * depth - 0.34, bottom=0.46, pitch=-0.3)


def bed(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """Frame, mattress, blanket, pillows and a headboard at the back."""
    width, height, depth = size
    frame, blanket = wood(rng), fabric(rng)
    b.box(frame, (width, 0.22, depth), bottom=0.08)
    b.box(WHITE, (width - 0.08, 0.2, depth - 0.08), bottom=0.3)
    b.box(blanket, (width + 0.02, 0.24, 0.66 * depth), z=-0.17 * depth + 0.01, bottom=0.29)
    b.box(frame, (width, height, 0.06), z=0.5 * depth - 0.03)
    pillows = 2 if width > 1.2 else 1
    for i in range(pillows):
        x = (i - 0.5 * (pillows - 1)) * 0.5 * width
        b.ball(WHITE, (0.46 * width / pillows + 0.25, 0.2, 0.42), x=x, z=0.5 * depth - 0.32, bottom=0.47)


def shelf(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """An open bookcase: sides, boards, back and rows of books."""
    width, height, depth = size
    board = wood(rng)
    levels = max(2, round(height / 0.36))
    b.box(board, (width, height, 0.02), z=0.5 * depth - 0.01)
    for side in (-1, 1):
        b.box(board, (0.03, height, depth), x=side * 0.5 * (width - 0.03))
    for level in range(levels + 1):
        bottom = level * (height - 0.025) / levels
        b.box(board, (width - 0.06, 0.025, depth), bottom=bottom)
        if level == levels or rng.random() < 0.15:
            continue
        room = (height - 0.025) / levels - 0.025
        filled = rng.uniform(0.4, 0.98) * (width - 0.08)
        books = Material(
            "books", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (rng.uniform(0.03, 0.05), room), 1.0, _seed(rng)
        )
        x = rng.choice([-1, 1]) * 0.5 * (width - 0.07 - filled)
        b.box(
            books, (filled, room * rng.uniform(0.7, 0.92), depth - 0.08), x=x, z=0.02, bottom=bottom + 0.025
        )


def cupboard(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A closed cupboard or chest of drawers: body, plinth, doors with gaps between, handles."""
    width, height, depth = size
    body = wood(rng) if rng.random() < 0.65 else WHITE
    b.box(METAL, (width - 0.04, 0.06, depth - 0.04))
    b.box(body, (width, height - 0.06, depth - 0.02), bottom=0.06, z=0.01)
    columns = max(1, round(width / 0.5))
    rows = 1 if height > 1.3 else int(rng.integers(1, 4))
    each, tall = width / columns, (height - 0.08) / rows
    for i in range(columns):
        for j in range(rows):
            x = -0.5 * width + (i + 0.5) * each
            bottom = 0.07 + j * tall
            b.box(body, (each - 0.015, tall - 0.015, 0.02), x=x, z=-0.5 * depth + 0.005, bottom=bottom)
            b.box(METAL, (0.1, 0.015, 0.02), x=x, z=-0.5 * depth - 0.015, bottom=bottom + 0.5 * tall)


def desk(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A desk with drawers on one side, a screen, a keyboard and some paper."""
    width, height, depth = size
    top, side = wood(rng), rng.choice([-1.0, 1.0])
    b.box(top, (width, 0.03, depth), bottom=height - 0.03)
    b.box(top, (0.4, height - 0.03, depth - 0.06), x=side * (0.5 * width - 0.22))
    for z in (-1, 1):
        b.box(METAL, (0.05, height - 0.03, 0.05), x=-side * (0.5 * width - 0.05), z=z * (0.5 * depth - 0.06))
    dark = Material("plain", (0.03, 0.03, 0.035), (0.04, 0.04, 0.045))
    glow = Material(
        "screen", tint(rng, (0.1, 0.25, 0.5), 0.4), (0.85, 0.87, 0.9), seed=_seed(rng), emission=0.7
    )
    x = -side * 0.15 * width
    b.box(dark, (0.24, 0.015, 0.16), x=x, z=0.2 * depth, bottom=height)
    b.box(dark, (0.05, 0.16, 0.03), x=x, z=0.2 * depth, bottom=height + 0.01)
    b.box(dark, (0.52, 0.32, 0.03), x=x, z=0.2 * depth - 0.03, bottom=height + 0.12)
    b.box(glow, (0.49, 0.29, 0.01), x=x, z=0.2 * depth - 0.046, bottom=height + 0.135)
    b.box(dark, (0.4, 0.02, 0.14), x=x, z=-0.2 * depth, bottom=height)
    for _ in range(int(rng.integers(1, 4))):
        paper_x, paper_z = side * rng.uniform(0.15, 0.3) * width, rng.uniform(-0.12, 0.12) * depth
        b.box(WHITE, (0.21, 0.012, 0.3), x=paper_x, z=paper_z, bottom=height, yaw=rng.uniform(-0.6, 0.6))


def floor_lamp(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A foot, a pole and a shade that glows."""
    width, height, _ = size
    shade = Material("plain", (0.8, 0.7, 0.5), (0.85, 0.75, 0.55), emission=0.6)
    b.post(METAL, 0.28, 0.025)
    b.post(METAL, 0.03, height - 0.2)
    b.post(shade, width, 0.28, taper=0.35, bottom=height - 0.28)


def boxes(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A pile of one to three cardboard boxes, each turned a little."""
    width, height, depth = size
    bottom = 0.0
    for i in range(int(rng.integers(1, 4))):
        card = Material(
            "mottled", tint(rng, (0.42, 0.28, 0.15)), tint(rng, (0.5, 0.35, 0.2)), (0.3, 0.3), 0.3, _seed(rng)
        )
        shrink = 0.85**i
        tall = height * rng.uniform(0.6, 1.0) * shrink
        b.box(card, (width * shrink, tall, depth * shrink), bottom=bottom, yaw=rng.uniform(-0.4, 0.4))
        bottom += tall


def plant(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A pot with leaves."""
    width, height, _ = size
    pot = Material("plain", pick(rng, BRIGHT), pick(rng, BRIGHT))
    leaf = Material("foliage", (0.02, 0.07, 0.02), (0.12, 0.3, 0.08), (0.12, 0.12), 0.5, _seed(rng))
    b.post(pot, 0.55 * width, 0.3, taper=0.25, roll=math.pi)
    b.post(Material("plain", (0.1, 0.06, 0.03), (0.1, 0.06, 0.03)), 0.04, 0.6 * height)
    for _ in range(4):
        x, z = rng.uniform(-0.2, 0.2, 2) * width
        b.ball(
            leaf,
            (0.6 * width, 0.35 * height, 0.6 * width),
            x=x,
            z=z,
            bottom=rng.uniform(0.38, 0.65) * height,
            yaw=rng.uniform(0, 3),
        )


def small_things(b: Builder, rng: np.random.Generator, width: float, depth: float, height: float) -> None:
    """Cups, books, bowls and bottles on a surface of the given size and height."""
    places = [(x, z) for x in (-0.28, 0.0, 0.28) for z in (-0.2, 0.2)]
    for place in rng.permutation(6)[: int(rng.integers(1, 5))]:
        x, z = places[place][0] * width + rng.uniform(-0.03, 0.03), places[place][1] * depth
        colour = pick(rng, BRIGHT)
        thing = Material("plain", colour, colour)
        kind = rng.integers(4)
        if kind == 0:
            b.post(thing, 0.08, 0.1, taper=0.2, x=x, z=z, bottom=height, roll=math.pi)
        elif kind == 1:
            b.box(
                thing, (0.22, rng.uniform(0.02, 0.1), 0.15), x=x, z=z, bottom=height, yaw=rng.uniform(-1, 1)
            )
        elif kind == 2:
            b.post(thing, 0.07, 0.2, x=x, z=z, bottom=height)
            b.post(thing, 0.03, 0.08, x=x, z=z, bottom=height + 0.2)
        else:
            b.post(thing, 0.24, 0.08, taper=0.5, x=x, z=z, bottom=height, roll=math.pi)
