"""What stands and drives on the roads: cars, vans, houses, trees, poles, people; each put together from a few
solids.

Every function adds one object to a builder. In its own frame a thing stands on the ground at the origin; cars
drive towards +z, house fronts look towards -z.
"""

import math

import numpy as np

from mdepth.datasets.worlds.furniture import pick
from mdepth.datasets.worlds.scenery import Builder, Colour, times, tint
from mdepth.datasets.worlds.solids import CYLINDER
from mdepth.datasets.worlds.textures import Material

PAINTS: tuple[Colour, ...] = (
    (0.55, 0.56, 0.58), (0.05, 0.05, 0.06), (0.75, 0.75, 0.74), (0.45, 0.03, 0.03), (0.04, 0.1, 0.32),
    (0.2, 0.21, 0.22), (0.1, 0.2, 0.12), (0.35, 0.3, 0.22),
)  # fmt: skip
PLASTERS: tuple[Colour, ...] = (
    (0.68, 0.62, 0.5), (0.72, 0.7, 0.66), (0.6, 0.48, 0.32), (0.52, 0.55, 0.56), (0.62, 0.42, 0.3),
    (0.66, 0.6, 0.36), (0.45, 0.4, 0.36),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (0.05, 0.06, 0.12), (0.4, 0.06, 0.06), (0.5, 0.5, 0.48), (0.1, 0.22, 0.12), (0.5, 0.4, 0.1),
    (0.08, 0.08, 0.08),
)  # fmt: skip
GLASS = Material("plain", (0.035, 0.045, 0.055), (0.06, 0.07, 0.085))
RUBBER = Material("plain", (0.015, 0.015, 0.016), (0.025, 0.025, 0.026))
STEEL = Material("plain", (0.22, 0.23, 0.23), (0.26, 0.27, 0.27))


def _plain(colour: Colour, emission: float = 0.0) -> Material:
    return Material("plain", colour, colour, emission=emission)


def _seed(rng: np.random.Generator) -> float:
    return float(rng.integers(1, 200))


def car(b: Builder, rng: np.random.Generator, size: Colour, detail: bool = True) -> None:
    """A hatchback, saloon or estate: sill, body, bonnet, cabin of glass with a roof, wheels, lights, number
    plates, bumpers.
    """
    width, height, length = size
    paint = _plain(pick(rng, PAINTS, 0.1))
    shoulder = 0.6 * height
    boot = float(rng.choice([0.02, 0.12, 0.2])) * length  # what sticks out behind the cabin
    bonnet = 0.27 * length
    b.box(RUBBER, (width - 0.3, 0.3, length - 0.7), bottom=0.16)
    b.wedge(paint, (width, shoulder - 0.26, length), (0.06, 0.05), bottom=0.26)
    cabin = length - boot - bonnet
    middle = 0.5 * (boot - bonnet)
    b.wedge(GLASS, (width - 0.12, height - shoulder, cabin), (0.24, 0.36), z=middle, bottom=shoulder - 0.01)
    b.wedge(paint, ((width - 0.12) * 0.8, 0.06, cabin * 0.7), (0.1, 0.1), z=middle, bottom=height - 0.06)
    axles = (-0.31 * length, 0.31 * length)
    _wheels(b, RUBBER, axles, height=0.32, diameter=0.64, width=width, beyond=0.02)
    if not detail:
        return
    _wheels(b, STEEL, axles, height=0.32, diameter=0.36, width=width, beyond=0.05)
    red, white, plate = (
        _plain((0.5, 0.02, 0.02), 0.3),
        _plain((0.8, 0.8, 0.75), 0.3),
        _plain((0.75, 0.75, 0.7)),
    )
    for x in (-0.36 * width, 0.36 * width):
        b.box(red, (0.26, 0.16, 0.05), x=x, z=-0.5 * length + 0.03, bottom=0.66 * shoulder)
        b.box(white, (0.3, 0.13, 0.05), x=x, z=0.5 * length - 0.03, bottom=0.6 * shoulder)
    for z in (-0.5, 0.5):
        b.box(RUBBER, (width - 0.06, 0.16, 0.12), z=z * (length - 0.02), bottom=0.28)
        b.box(plate, (0.5, 0.11, 0.03), z=z * (length + 0.1), bottom=0.38 if z > 0 else 0.5 * shoulder)


def _wheels(
    b: Builder,
    material: Material,
    axles: tuple[float, float],
    *,
    height: float,
    diameter: float,
    width: float,
    beyond: float,
) -> None:
    """A cylinder across the car at each of two axles, ``beyond`` metres longer than the car is wide."""
    for z in axles:
        bottom = height - 0.5 * width - 0.5 * beyond  # a cylinder stands upright before it is rolled
        b.add(CYLINDER, material, (diameter, width + beyond, diameter), z=z, bottom=bottom, roll=math.pi / 2)


def van(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A delivery van: a tall box, a slanted cab, wheels, lights."""
    width, height, length = size
    paint = _plain(pick(rng, ((0.75, 0.75, 0.73), (0.7, 0.55, 0.08), (0.1, 0.2, 0.4), (0.5, 0.5, 0.5)), 0.1))
    b.box(RUBBER, (width - 0.3, 0.3, length - 0.5), bottom=0.18)
    b.wedge(paint, (width, height - 0.3, 0.74 * length), (0.06, 0.02), z=-0.13 * length, bottom=0.3)
    b.wedge(paint, (width, 0.5 * height, 0.4 * length), (0.04, 0.2), z=0.3 * length, bottom=0.3)
    b.wedge(
        GLASS,
        (width - 0.1, 0.36 * height, 0.3 * length),
        (0.1, 0.6),
        z=0.24 * length,
        bottom=0.28 + 0.5 * height,
    )
    b.box(GLASS, (0.7 * width, 0.3 * height, 0.02), z=-0.5 * length, bottom=0.6 * height)
    _wheels(b, RUBBER, (-0.3 * length, 0.32 * length), height=0.34, diameter=0.68, width=width, beyond=0.02)
    for x in (-0.45 * width, 0.45 * width):
        b.box(_plain((0.5, 0.02, 0.02), 0.3), (0.12, 0.4, 0.03), x=x, z=-0.5 * length, bottom=0.75)


def house(b: Builder, rng: np.random.Generator, size: Colour, detail: bool = True) -> None:
    """A block of flats (flat roof, cornice) or a house (gable roof, chimney), with a door, and windows
    painted on the walls.
    """
    width, height, depth = size
    colour = pick(rng, PLASTERS)
    frame = tint(rng, (0.7, 0.68, 0.64), 0.1) if rng.random() < 0.7 else tint(rng, (0.2, 0.14, 0.1), 0.1)
    wall = Material(
        "facade",
        colour,
        frame,
        (rng.uniform(1.9, 3.2), rng.uniform(2.7, 3.3)),
        rng.uniform(0.1, 0.9),
        _seed(rng),
    )
    b.box(wall, (width, height, depth), z=0.5 * depth)
    stone = Material(
        "mottled", tint(rng, (0.35, 0.33, 0.3)), tint(rng, (0.42, 0.4, 0.37)), (0.8, 0.8), 0.3, _seed(rng)
    )
    b.box(stone, (width + 0.1, 0.5, depth + 0.1), z=0.5 * depth)
    if height < 8.5:
        tiles = Material(
            "bricks", tint(rng, (0.38, 0.13, 0.08), 0.25), (0.12, 0.06, 0.05), (0.3, 0.25), 0.6, _seed(rng)
        )
        roof, gable = 0.35 * depth, rng.random() < 0.5
        shape = (1.0, 0.0) if gable else (0.0, 1.0)
        b.wedge(tiles, (width + 0.6, roof, depth + 0.6), shape, z=0.5 * depth, bottom=height)
        b.box(
            tiles,
            (0.6, 1.4, 0.6),
            x=rng.uniform(-0.3, 0.3) * width,
            z=0.5 * depth,
            bottom=height + 0.45 * roof,
        )
    else:
        b.box(stone, (width + 0.5, 0.35, depth + 0.5), z=0.5 * depth, bottom=height)
        b.box(stone, (width + 0.15, 0.25, depth + 0.15), z=0.5 * depth, bottom=3.2)
        if rng.random() < 0.5:
            b.box(stone, (0.4 * width, 1.8, 0.4 * depth), z=0.6 * depth, bottom=height + 0.35)
    door = Material("door", pick(rng, PAINTS), pick(rng, PAINTS), (1.0, 1.0), 1.0, _seed(rng))
    b.box(door, (1.1, 2.2, 0.1), x=rng.uniform(-0.35, 0.35) * width, bottom=0.05)
    if detail and height > 8.5 and rng.random() < 0.6:  # balconies
        for storey in range(1, int(height / 3)):
            b.box(stone, (0.28 * width, 0.9, 1.0), x=0.25 * width, z=-0.4, bottom=storey * 3.0)


def tree(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A broad-leaved tree: trunk and a crown of several clumps."""
    width, height, _ = size
    bark = Material("mottled", (0.08, 0.06, 0.045), (0.16, 0.12, 0.09), (0.1, 0.4), 0.5, _seed(rng))
    leaf = leaves(rng)
    b.post(bark, 0.05 * height, 0.55 * height, taper=0.4)
    b.ball(leaf, (0.75 * width, 0.5 * height, 0.75 * width), bottom=0.42 * height, yaw=rng.uniform(0, 3))
    for k in range(5):
        angle = 1.2566 * k + rng.uniform(-0.4, 0.4)
        x, z = 0.27 * width * math.sin(angle), 0.27 * width * math.cos(angle)
        clump = rng.uniform(0.4, 0.55)
        bottom = rng.uniform(0.3, 0.55) * height
        size = (clump * width, clump * 0.62 * height, clump * width)
        b.ball(leaf, size, x=x, z=z, bottom=bottom, yaw=angle, pitch=rng.uniform(-0.3, 0.3))


def conifer(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A fir: trunk and stacked cones."""
    width, height, _ = size
    leaf = leaves(rng, 0.6)
    b.post(Material("plain", (0.1, 0.07, 0.05), (0.1, 0.07, 0.05)), 0.04 * height, 0.3 * height)
    for k in range(3):
        b.post(leaf, width * (1 - 0.24 * k), 0.5 * height, taper=1.0, bottom=(0.12 + 0.19 * k) * height)


def leaves(rng: np.random.Generator, factor: float = 1.0) -> Material:
    """Green to autumn-brown leaves."""
    a = tint(rng, (0.035 * factor, 0.06 * factor, 0.018), 0.3)
    light = pick(rng, ((0.12, 0.22, 0.05), (0.16, 0.24, 0.06), (0.26, 0.2, 0.05), (0.1, 0.2, 0.08)), 0.2)
    return Material("foliage", a, light, (0.9, 0.7), 0.5, _seed(rng))


def hedge(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A cut hedge."""
    b.wedge(leaves(rng), size, (0.02, 0.2))


def wall(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A garden wall of brick or plaster with coping stones."""
    width, height, depth = size
    if rng.random() < 0.6:
        body = Material(
            "bricks", tint(rng, (0.38, 0.17, 0.1)), (0.45, 0.42, 0.38), (0.26, 0.09), 1.0, _seed(rng)
        )
    else:
        colour = pick(rng, PLASTERS)
        body = Material(
            "mottled",
            colour,
            times(colour, 0.75),
            (1.2, 1.2),
            0.3,
            _seed(rng),
        )
    b.box(body, (width, height - 0.1, depth))
    b.box(_plain((0.4, 0.39, 0.37)), (width, 0.1, depth + 0.08), bottom=height - 0.1)


def lamp_post(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A pole with an arm over the road (towards -x of its own frame) and a lamp."""
    _, height, _ = size
    b.post(STEEL, 0.2, 1.0)
    b.post(STEEL, 0.14, height, taper=0.4)
    b.box(STEEL, (1.4, 0.07, 0.07), x=-0.65, bottom=height - 0.05, roll=0.08)
    b.box(_plain((0.6, 0.6, 0.58)), (0.55, 0.1, 0.22), x=-1.35, bottom=height + 0.0)


def sign(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A traffic sign: a pole and a board (round or square) facing -z."""
    _, height, _ = size
    b.post(STEEL, 0.07, height)
    colour = pick(rng, ((0.6, 0.03, 0.03), (0.04, 0.12, 0.5), (0.75, 0.6, 0.05)), 0.05)
    if rng.random() < 0.5:
        b.add(CYLINDER, _plain(colour), (0.62, 0.03, 0.62), z=-0.06, bottom=height - 0.4, pitch=math.pi / 2)
        b.add(
            CYLINDER,
            _plain((0.75, 0.75, 0.73)),
            (0.44, 0.034, 0.44),
            z=-0.06,
            bottom=height - 0.4,
            pitch=math.pi / 2,
        )
    else:
        b.box(_plain((0.75, 0.75, 0.73)), (0.6, 0.6, 0.03), z=-0.06, bottom=height - 0.65)
        b.box(_plain(colour), (0.52, 0.52, 0.034), z=-0.06, bottom=height - 0.61)


def bollard(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """A short post with a bright band."""
    _, height, _ = size
    b.post(_plain((0.1, 0.1, 0.1)), 0.12, height)
    b.post(_plain((0.75, 0.75, 0.72)), 0.125, 0.12, bottom=height - 0.22)


def person(b: Builder, rng: np.random.Generator, size: Colour) -> None:
    """Someone walking towards +z: shoes, legs, coat, arms, head, hair."""
    width, height, _ = size
    trousers, coat = _plain(pick(rng, CLOTHES)), _plain(pick(rng, CLOTHES))
    skin, hair = _plain(tint(rng, (0.45, 0.28, 0.2), 0.3)), _plain(tint(rng, (0.06, 0.04, 0.03), 0.4))
    step = rng.uniform(0.1, 0.3)
    for side in (-1, 1):
        b.add(
            CYLINDER,
            trousers,
            (0.15, 0.5 * height, 0.15),
            x=side * 0.09,
            z=side * step * 0.5,
            bottom=0.02,
            pitch=side * step,
        )
        b.box(RUBBER, (0.1, 0.08, 0.26), x=side * 0.09, z=side * step * 0.9 + 0.05)
        b.add(
            CYLINDER,
            coat,
            (0.11, 0.36 * height, 0.11),
            x=side * 0.25,
            z=-side * step * 0.3,
            bottom=0.46 * height,
            pitch=-side * step,
        )
    b.wedge(coat, (width, 0.4 * height, 0.26), (0.12, 0.25), bottom=0.45 * height)
    b.ball(skin, (0.18, 0.24, 0.2), bottom=height - 0.25)
    b.ball(hair, (0.19, 0.18, 0.21), z=-0.015, bottom=height - 0.17)
