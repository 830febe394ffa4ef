"""The shell of a room: floor, ceiling, walls, and what is in the walls: windows, doors, pictures."""

import math
from dataclasses import dataclass

import numpy as np

from mdepth.datasets.worlds import furniture as make
from mdepth.datasets.worlds.scenery import Builder, Colour, times, tint
from mdepth.datasets.worlds.textures import Material

WALLS: tuple[Colour, ...] = (
    (0.72, 0.68, 0.58), (0.66, 0.68, 0.66), (0.6, 0.66, 0.72), (0.7, 0.6, 0.45), (0.55, 0.65, 0.5),
    (0.75, 0.74, 0.72), (0.68, 0.5, 0.42), (0.48, 0.55, 0.62),
)  # fmt: skip
MARGIN = 0.1  # metres kept free around furniture


@dataclass(frozen=True)
class Room:
    """Size of a room, and the floor rectangles (x0, z0, x1, z1) that are taken."""

    width: float
    height: float
    depth: float
    taken: list[tuple[float, float, float, float]]

    def free(self, rectangle: tuple[float, float, float, float], margin: float = MARGIN) -> bool:
        """Whether the rectangle lies in the room and at least ``margin`` from all that is taken."""
        x0, z0, x1, z1 = rectangle
        inside = x0 >= -0.5 * self.width and x1 <= 0.5 * self.width and z0 >= 0 and z1 <= self.depth
        return inside and all(
            x1 + margin <= a0 or a1 + margin <= x0 or z1 + margin <= b0 or b1 + margin <= z0
            for a0, b0, a1, b1 in self.taken
        )


def add_shell(b: Builder, room: Room, rng: np.random.Generator) -> None:
    """Floor, ceiling, four walls, skirting boards."""
    w, h, d = room.width, room.height, room.depth
    b.object("floor", group="shell")
    b.box(_floor_material(rng), (w + 0.2, 0.1, d + 0.2), z=0.5 * d, bottom=-0.1)
    white = tint(rng, (0.8, 0.79, 0.76), 0.05)
    b.object("ceiling")
    tiled = rng.random() < 0.3
    b.box(
        Material(
            "tiles" if tiled else "plain", white, tint(rng, (0.7, 0.69, 0.66), 0.05), (0.6, 0.6), 0.3, 3.0
        ),
        (w + 0.2, 0.1, d + 0.2),
        z=0.5 * d,
        bottom=h,
    )
    base = make.pick(rng, WALLS, 0.08)
    for x, z, yaw, length in walls_of(room):
        colour = base if rng.random() < 0.8 else make.pick(rng, WALLS, 0.15)
        b.object("wall", x, z, yaw)
        b.box(_wall_material(rng, colour), (length + 0.2, h, 0.1), z=0.05)
        b.box(make.WHITE, (length, 0.08, 0.015), z=-0.0075)


def walls_of(room: Room) -> list[tuple[float, float, float, float]]:
    """(x, z, yaw, length) of the middle of each wall's foot; in its own frame a wall lies behind z = 0."""
    w, d = room.width, room.depth
    return [
        (0.0, d, 0.0, w),
        (0.5 * w, 0.5 * d, math.pi / 2, d),
        (0.0, 0.0, math.pi, w),
        (-0.5 * w, 0.5 * d, -math.pi / 2, d),
    ]


def _floor_material(rng: np.random.Generator) -> Material:
    """Boards, tiles or carpet."""
    seed = float(rng.integers(1, 200))
    kind = rng.choice(["wood", "wood", "tiles", "carpet", "checks"])
    if kind == "wood":
        dark = make.pick(rng, make.WOODS, 0.2)
        return Material(
            "wood",
            dark,
            times(dark, (1.3, 1.28, 1.25)),
            (rng.uniform(0.5, 0.9), rng.uniform(0.09, 0.18)),
            0.4,
            seed,
        )
    if kind == "carpet":
        a = make.pick(rng, make.FABRICS, 0.2)
        return Material("mottled", a, times(a, 1.35), (0.25, 0.25), 1.0, seed)
    side = rng.uniform(0.25, 0.5)
    a = tint(rng, (0.5, 0.45, 0.38), 0.25)
    b = tint(rng, (0.2, 0.18, 0.16), 0.3) if kind == "checks" else times(a, 0.6)
    return Material(str(kind), a, b, (side, side), 0.3, seed)


def _wall_material(rng: np.random.Generator, colour: Colour) -> Material:
    """Plaster mostly; sometimes wallpaper, brick or wooden panels."""
    seed = float(rng.integers(1, 200))
    light = times(colour, 0.95)
    draw = rng.random()
    if draw < 0.72:
        return Material("mottled", colour, light, (0.7, 0.7), 0.12, seed)
    if draw < 0.86:
        return Material(
            "stripes",
            colour,
            times(colour, (0.85, 0.85, 0.88)),
            (rng.uniform(0.12, 0.4), 1.0),
            0.0,
            seed,
        )
    if draw < 0.93:
        return Material("bricks", tint(rng, (0.4, 0.17, 0.1)), (0.5, 0.47, 0.42), (0.24, 0.08), 1.2, seed)
    return make.wood(rng)


def add_openings(b: Builder, room: Room, rng: np.random.Generator, looks: np.random.Generator) -> int:
    """A window in one wall, a door in another, pictures where there is room; returns the window's wall."""
    walls = walls_of(room)
    order = rng.permutation(4)
    used: list[list[tuple[float, float]]] = [[], [], [], []]
    spots = [("window", order[0], rng.uniform(1.0, 1.9)), ("door", order[1], 0.9)]
    if rng.random() < 0.5:
        spots.append(("window", order[2], rng.uniform(0.8, 1.5)))
    spots += [("picture", rng.integers(4), rng.uniform(0.4, 1.0)) for _ in range(int(rng.integers(2, 6)))]
    for label, wall, width in spots:
        x0, z0, yaw, length = walls[wall]
        along = rng.uniform(-0.5, 0.5) * (length - width - 0.3)
        span = (along - 0.5 * width - 0.1, along + 0.5 * width + 0.1)
        if any(span[0] < end and start < span[1] for start, end in used[wall]):
            continue
        used[wall].append(span)
        x, z = x0 + math.cos(yaw) * along, z0 - math.sin(yaw) * along
        b.object(label, x, z, yaw, group="shell")
        _OPENINGS[label](b, room, looks, width)
        if label == "door":  # nothing is put in front of a door
            inner = 0.6
            cx, cz = x - inner * math.sin(yaw), z - inner * math.cos(yaw)
            room.taken.append((cx - 0.6, cz - 0.6, cx + 0.6, cz + 0.6))
    return int(order[0])


def _window(b: Builder, room: Room, rng: np.random.Generator, width: float) -> None:
    """Frame, bars, bright panes and a sill."""
    bottom, top = 0.9, min(room.height - 0.25, 2.2)
    outside = Material(
        "outside",
        (0.8, 0.88, 0.95),
        (0.16, 0.28, 0.12),
        (0.9, 0.15),
        seed=float(rng.integers(1, 200)),
        emission=0.85,
    )
    b.box(make.WHITE, (width, top - bottom, 0.03), z=-0.015, bottom=bottom)
    panes = 2 if width > 1.2 else 1
    each = (width - 0.06) / panes
    b.opaque = False
    for i in range(panes):
        x = -0.5 * width + 0.03 + (i + 0.5) * each
        b.box(outside, (each - 0.06, top - bottom - 0.12, 0.01), x=x, z=-0.036, bottom=bottom + 0.06)
    b.opaque = True
    b.box(make.WHITE, (width + 0.1, 0.03, 0.14), z=-0.07, bottom=bottom - 0.03)
    if rng.random() < 0.5:
        cloth = make.fabric(rng)
        for side in (-1, 1):
            b.box(cloth, (0.3, top - 0.15, 0.05), x=side * (0.5 * width + 0.05), z=-0.1, bottom=0.2)


def _door(b: Builder, room: Room, rng: np.random.Generator, width: float) -> None:
    """Frame, leaf with panels, handle."""
    colour = make.pick(rng, (*make.WOODS, (0.75, 0.74, 0.7)))
    leaf = Material(
        "door",
        colour,
        times(colour, 1.15),
        (1.0, 1.0),
        1.0,
        float(rng.integers(1, 200)),
    )
    b.box(make.WHITE, (width + 0.14, 2.1, 0.03), z=-0.015)
    b.box(leaf, (width, 2.03, 0.04), z=-0.025)
    b.box(make.METAL, (0.12, 0.025, 0.05), x=0.38 * width, z=-0.07, bottom=1.0)


def _picture(b: Builder, room: Room, rng: np.random.Generator, width: float) -> None:
    """A picture at eye height, a framed one or a paper."""
    height = width * rng.uniform(0.6, 1.3)
    ground, sky = (
        make.pick(rng, make.BRIGHT, 0.3),
        make.pick(rng, (*make.WOODS, (0.5, 0.6, 0.7), (0.8, 0.75, 0.6)), 0.2),
    )
    motif = Material(
        "picture",
        sky,
        ground,
        (0.3 * width, 0.25 * height),
        rng.choice([0.0, 0.4, 0.7]),
        float(rng.integers(1, 200)),
    )
    b.box(
        motif,
        (width, height, 0.025),
        z=-0.0125,
        bottom=min(1.6, room.height - 0.2 - 0.5 * height) - 0.5 * height,
    )


_OPENINGS = {"window": _window, "door": _door, "picture": _picture}
