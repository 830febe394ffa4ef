"""Roads like those of KITTI: a street with houses, walls, trees, parked and driving cars, seen from a car's
roof at 1.65 m.

The road runs along z with its middle at x = 0; the camera drives in the right-hand lane. As in
:mod:`mdepth.datasets.worlds.rooms`, every part is drawn from its own stream, and switches only leave things
out.
"""

import math
from collections.abc import Callable

import numpy as np

from mdepth.datasets.worlds import street as make
from mdepth.datasets.worlds.driving import DETAIL, Street, add_parked, add_traffic, drive
from mdepth.datasets.worlds.scenery import Air, Builder, Colour, Light, Scene, times, tint
from mdepth.datasets.worlds.textures import Material
from mdepth.datasets.worlds.world import FRAME_TIME, World

SUN_DISTANCE = 400.0  # metres: far enough for parallel shadows, near enough for float32
START, END = -12.0, 125.0  # metres of street that are built, along z


def build_road(world: World, index: int) -> Scene:
    """Scene number ``index`` of a world of roads."""
    layout, looks = world.random(index, "layout"), world.random(index, "looks")
    street = _draw_street(layout)
    b = Builder()
    _ground(b, street, layout, looks, world)
    occluders = world.random(index, "occluders")
    for side in (-1, 1):
        _houses(b, street, side, layout, looks, world)
        _greenery(b, street, side, layout, looks, world)
        _poles(b, street, side, occluders, world)
        add_parked(b, street, side, layout, looks, world)
    _closing(b, street, layout, looks)
    _horizon(b, layout, looks)
    traffic = world.random(index, "traffic")
    following = bool(traffic.random() < 1 / 3)
    poses, speed = drive(street, world, index, following)
    add_traffic(b, street, world, traffic, following, float(poses[0, 0, 3]), speed)
    lights, air = _weather(world, index)
    without = {
        *(() if world.furniture else ("cars", "trees", "poles")),
        *(() if world.occluders else ("trees", "poles")),
    }
    return Scene(
        solids=b.solids(without=without),
        materials=b.materials(),
        labels=tuple(b.labels),
        lights=lights,
        air=air,
        T_world_camera=poses,
        times=tuple(FRAME_TIME * frame for frame in range(world.frames)),
        switches=world.switches(),
    )


def _draw_street(rng: np.random.Generator) -> Street:
    """A town street, a street of houses with gardens, or a road with few buildings."""
    kind = rng.choice(["town", "gardens", "open"], p=[0.4, 0.4, 0.2])
    half, pavement = rng.uniform(3.0, 6.0), rng.uniform(1.5, 3.5)
    if kind == "town":
        return Street(
            half, pavement, (0.0, 1.5), (3, 6), rng.uniform(0.75, 0.95), rng.uniform(0, 4), rng.uniform(3, 9)
        )
    if kind == "gardens":
        return Street(
            half, pavement, (3.0, 9.0), (1, 3), rng.uniform(0.4, 0.7), rng.uniform(3, 9), rng.uniform(1, 6)
        )
    return Street(
        half, pavement, (6.0, 25.0), (1, 4), rng.uniform(0.1, 0.35), rng.uniform(5, 14), rng.uniform(0, 3)
    )


def _ground(
    b: Builder, street: Street, rng: np.random.Generator, looks: np.random.Generator, world: World
) -> None:
    """Land, road with markings, pavements with kerbs, perhaps a strip of grass."""
    length, middle = END - START + 60, 0.5 * (START + END)
    grass = Material(
        "mottled",
        tint(looks, (0.06, 0.1, 0.03), 0.3),
        tint(looks, (0.16, 0.2, 0.07), 0.3),
        (1.5, 1.5),
        1.0,
        4.0,
    )
    b.object("land", z=middle, group="ground")
    b.box(grass, (300.0, 1.0, length + 200), bottom=-1.02, z=60.0)
    grey = float(looks.uniform(0.06, 0.16))
    marked = float(looks.random() < 0.85) * world.parallel_lines
    asphalt = Material(
        "road",
        tint(looks, (grey, grey, grey * 1.03), 0.08),
        (0.62, 0.62, 0.58),
        (3.2, looks.uniform(5, 9)),
        marked,
        float(looks.integers(1, 200)),
    )
    b.object("road", z=middle)
    b.box(asphalt, (2 * street.half, 0.5, length), bottom=-0.5)
    slab = tint(looks, (0.3, 0.29, 0.27), 0.15)
    paving = Material(
        "tiles",
        slab,
        times(slab, 0.6),
        (looks.uniform(0.3, 0.8), looks.uniform(0.3, 0.8)),
        0.3,
        8.0,
    )
    stone = Material("tiles", tint(looks, (0.4, 0.39, 0.37), 0.1), (0.2, 0.2, 0.19), (0.15, 1.0), 0.2, 5.0)
    for side in (-1, 1):
        x = side * (street.half + 0.5 * street.pavement)
        b.object("pavement", x, middle)
        rise = 0.12 if world.parallel_lines else 0.0
        b.box(paving, (street.pavement, 0.5, length), bottom=rise - 0.5)
        if world.parallel_lines:
            b.box(stone, (0.15, 0.5, length), x=-side * 0.5 * (street.pavement + 0.14), bottom=-0.375)


def _houses(
    b: Builder, street: Street, side: int, rng: np.random.Generator, looks: np.random.Generator, world: World
) -> None:
    """Houses along one side, with gaps; garden walls and hedges before those that stand back."""
    z = START + rng.uniform(-8, 4)
    while z < END:
        width, depth = rng.uniform(8, 18), rng.uniform(8, 13)
        storeys = int(rng.integers(street.storeys[0], street.storeys[1] + 1))
        setback = rng.uniform(*street.setback)
        factor = float(np.exp(0.12 * world.object_size_jitter * rng.standard_normal()))
        there, gap, askew = rng.random() < street.built, rng.uniform(0.0, 6.0), rng.uniform(-0.9, 0.9)
        fenced, tall = rng.random(), rng.uniform(0.7, 1.9)
        own = np.random.default_rng(int(looks.integers(2**31)))
        front = street.half + street.pavement + setback
        if there:
            b.object(
                "house",
                side * front,
                z + 0.5 * width,
                side * math.pi / 2 + (0 if world.parallel_lines else askew),
                group="houses",
            )
            make.house(b, own, (width * factor, 3.0 * storeys * factor, depth), z < DETAIL)
        if setback > 2 and fenced < 0.75:
            edge = street.half + street.pavement + 0.3
            b.object(
                "hedge" if fenced < 0.4 else "wall",
                side * edge,
                z + 0.5 * width,
                side * math.pi / 2,
                group="houses",
            )
            (make.hedge if fenced < 0.4 else make.wall)(b, own, (width, tall, 0.8 if fenced < 0.4 else 0.25))
        z += width * max(1.0, factor) + (gap if setback > 2 or rng.random() < 0.2 else 0.0)


def _greenery(
    b: Builder, street: Street, side: int, rng: np.random.Generator, looks: np.random.Generator, world: World
) -> None:
    """Trees along the pavement's outer edge and behind."""
    count = rng.poisson(street.trees * (END - START) / 100)
    for _ in range(count):
        z, out, kind = rng.uniform(0, END), rng.uniform(0.3, 1.0), rng.random()
        height = 6.5 * float(np.exp(0.25 * world.object_size_jitter * rng.standard_normal()))
        own = np.random.default_rng(int(looks.integers(2**31)))
        x = side * (
            street.half + street.pavement * out + (rng.uniform(1, 12) if street.setback[1] > 12 else 0)
        )
        b.object("tree", x, z, group="trees")
        (make.tree if kind < 0.8 else make.conifer)(b, own, (0.62 * height, height, 0.62 * height))


def _poles(b: Builder, street: Street, side: int, rng: np.random.Generator, world: World) -> None:
    """Lamp posts at a regular distance on one side, signs, bollards, people on the pavements."""
    x = side * (street.half + 0.5)
    spacing, z = rng.uniform(18, 32), rng.uniform(-5, 15)
    lamps = rng.random() < 0.65
    while z < END - 40:
        if lamps:
            b.object("lamp post", x, z, 0.0 if side > 0 else math.pi, group="poles")
            make.lamp_post(b, rng, (0.2, 7.0, 0.2))
        z += spacing
    things: list[tuple[str, Callable, Colour, int]] = [
        ("sign", make.sign, (0.6, 2.6, 0.1), int(rng.integers(0, 4))),
        ("bollard", make.bollard, (0.12, 0.95, 0.12), int(rng.integers(0, 5))),
        ("person", make.person, (0.44, 1.74, 0.3), int(rng.integers(0, 5))),
    ]
    for label, build, size, count in things:
        for _ in range(count):
            factor = float(np.exp(0.07 * world.object_size_jitter * rng.standard_normal()))
            where = side * (street.half + rng.uniform(0.35, max(0.5, street.pavement - 0.4)))
            forward, speed = rng.random() < 0.5, rng.uniform(0.9, 1.6)
            velocity = (
                0.0,
                0.0,
                (speed if forward else -speed) if label == "person" and world.moving_objects else 0.0,
            )
            b.object(
                label,
                where,
                rng.uniform(6, 60),
                0.0 if forward or label == "sign" else math.pi,
                0.12,
                velocity,
                "poles",
            )
            build(b, rng, (size[0] * factor, size[1] * factor, size[2] * factor))


def _closing(b: Builder, street: Street, rng: np.random.Generator, looks: np.random.Generator) -> None:
    """What closes the view: a house across the street's end, near in some scenes, and a row of far trees or
    houses.
    """
    end = rng.uniform(30, 75) if rng.random() < 0.35 else END + 10
    own = np.random.default_rng(int(looks.integers(2**31)))
    x, width, height = rng.uniform(-8, 8), rng.uniform(25, 45), rng.uniform(6, 16)
    b.object("house", x, end, 0.0, group="houses")
    make.house(b, own, (width, height, 10.0))


def _horizon(b: Builder, rng: np.random.Generator, looks: np.random.Generator) -> None:
    """Woods and hills beyond the street, so that land does not end in a line."""
    for k in range(9):
        x, z = -240 + 60 * k + rng.uniform(-20, 20), rng.uniform(190, 260)
        height = rng.uniform(9, 24)
        b.object("wood", x, z, group="houses")
        b.ball(make.leaves(looks, 0.8), (rng.uniform(80, 140), 2 * height, 40.0), bottom=-height)


def _weather(world: World, index: int) -> tuple[tuple[Light, ...], Air]:
    """Sun at some height from some side, or an overcast sky; haze that leaves a third of the contrast at 140
    to 900 m.
    """
    rng = world.random(index, "light")
    azimuth, elevation = rng.uniform(-math.pi, math.pi), math.radians(rng.uniform(25, 65))
    overcast = rng.random() < 0.25
    strength = 0.25 if overcast else rng.uniform(1.3, 1.9)
    direction = (
        math.sin(azimuth) * math.cos(elevation),
        -math.sin(elevation),
        math.cos(azimuth) * math.cos(elevation),
    )
    sun = Light(
        times(direction, SUN_DISTANCE),
        (strength, 0.96 * strength, 0.86 * strength),
        radius=40.0 if overcast else 2.5,
    )
    grey = rng.uniform(0.55, 0.8)
    horizon = (grey, grey, grey * 1.03) if overcast else tint(rng, (0.7, 0.76, 0.82), 0.06)
    zenith = (grey * 0.8, grey * 0.82, grey * 0.88) if overcast else tint(rng, (0.25, 0.42, 0.72), 0.12)
    ambient = (0.62, 0.63, 0.66) if overcast else (0.27, 0.3, 0.37)
    haze = float(np.exp(rng.uniform(math.log(1 / 900), math.log(1 / 140))))
    air = Air(
        ambient,
        0.55,
        horizon,
        zenith,
        haze if world.haze else 0.0,
        0.0 if overcast else rng.uniform(0.2, 1.0),
        float(rng.integers(1, 200)),
    )
    return (sun,), air
