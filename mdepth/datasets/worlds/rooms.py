"""Rooms like those of NYU Depth V2: a box with windows and doors, furnished, lit by a lamp and the daylight
of a window.

A scene is drawn part by part from separate random streams: layout (sizes, what stands where), looks
(materials), light, camera, motion. Everything is always drawn; switches only leave parts out at the end, so
that they change what they say and nothing else. The room's floor is |x| <= width / 2, 0 <= z <= depth; the
camera stands in it at eye height and looks slightly down.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mdepth.datasets.worlds import furniture as make
from mdepth.datasets.worlds.scenery import Air, Builder, Colour, Light, Scene, pose, times
from mdepth.datasets.worlds.shell import Room, add_openings, add_shell, walls_of
from mdepth.datasets.worlds.solids import Solids
from mdepth.datasets.worlds.textures import Material
from mdepth.datasets.worlds.world import FRAME_TIME, World
from mdepth.shapes import Float, Tensor

EYE = 0.75  # metres kept free around the camera
NEAR = 1.2  # metres within which furniture counts as an occluder


@dataclass(frozen=True)
class Piece:
    """Something that can stand in a room: its maker, natural size (width, height, depth), and whether it
    wants a wall.
    """

    name: str
    make: Callable[[Builder, np.random.Generator, Colour], None]
    size: Colour
    at_wall: bool
    often: float
    surface: bool = False  # small things may lie on it


PIECES = (
    Piece("bookcase", make.shelf, (0.9, 1.9, 0.3), True, 1.3),
    Piece("low shelf", make.shelf, (1.2, 0.9, 0.32), True, 0.6, True),
    Piece("sofa", make.sofa, (1.9, 0.85, 0.9), True, 1.0),
    Piece("armchair", make.sofa, (0.95, 0.85, 0.85), False, 0.5),
    Piece("bed", make.bed, (1.5, 1.0, 2.0), True, 0.6),
    Piece("cupboard", make.cupboard, (1.0, 1.9, 0.55), True, 0.9),
    Piece("chest of drawers", make.cupboard, (1.0, 0.85, 0.5), True, 1.1, True),
    Piece("desk", make.desk, (1.4, 0.74, 0.7), True, 1.0),
    Piece("table", make.table, (1.4, 0.75, 0.85), False, 1.4, True),
    Piece("round table", make.round_table, (0.95, 0.74, 0.95), False, 0.5, True),
    Piece("coffee table", make.table, (1.0, 0.42, 0.6), False, 0.6, True),
    Piece("chair", make.chair, (0.45, 0.9, 0.46), False, 1.6),
    Piece("floor lamp", make.floor_lamp, (0.4, 1.6, 0.4), True, 0.6),
    Piece("boxes", make.boxes, (0.5, 0.38, 0.4), True, 0.7),
    Piece("plant", make.plant, (0.55, 1.2, 0.55), True, 0.6),
)


def build_room(world: World, index: int) -> Scene:
    """Scene number ``index`` of a world of rooms."""
    layout, looks = world.random(index, "layout"), world.random(index, "looks")
    width, depth = layout.uniform(2.6, 7.5), layout.uniform(2.8, 9.0)
    room = Room(width, layout.uniform(2.35, 3.1), depth, [])
    b = Builder()
    add_shell(b, room, looks)
    window_wall = add_openings(b, room, layout, looks)
    _furnish(b, room, layout, looks, world)
    lights, air = _lighting(b, room, window_wall, world.random(index, "light"))
    poses = _camera(room, world, index)
    solids = b.solids(without=set() if world.furniture else {"furniture"})
    if not world.occluders:
        solids = _without_near(solids, poses[0, :3, 3], b)
    return Scene(
        solids=solids,
        materials=b.materials(),
        labels=tuple(b.labels),
        lights=lights,
        air=air,
        T_world_camera=poses,
        times=tuple(FRAME_TIME * frame for frame in range(world.frames)),
        main_directions=((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
        switches=world.switches(),
    )


def _without_near(solids: Solids, eye: Float[Tensor, " 3"], b: Builder) -> Solids:
    """The solids but for the furniture of which some part lies within :data:`NEAR` of the camera."""
    gap = ((solids.centre - eye)[:, [0, 2]].norm(dim=1) - solids.half.amax(1)) < NEAR
    furniture = torch.tensor([b.groups[i] == "furniture" for i in solids.instance.tolist()])
    near = solids.instance[gap & furniture]
    return solids.select(~torch.isin(solids.instance, near))


def _furnish(
    b: Builder, room: Room, layout: np.random.Generator, looks: np.random.Generator, world: World
) -> None:
    """Draw pieces and put each where it finds room; chairs stand at tables; perhaps a rug.

    Every piece has its own two generators, so that a piece that finds no room changes nothing for the others.
    """
    weights = np.array([piece.often for piece in PIECES])
    wanted = 3 + int(0.32 * room.width * room.depth * layout.uniform(0.7, 1.2))
    _rug(b, room, layout, looks)
    for _ in range(wanted):
        rng, own = (np.random.default_rng(int(parent.integers(2**31))) for parent in (layout, looks))
        piece = PIECES[rng.choice(len(PIECES), p=weights / weights.sum())]
        factor = np.exp(0.12 * world.object_size_jitter * rng.standard_normal(3)).clip(0.3, 2.5)
        width, height, depth = (float(s * f) for s, f in zip(piece.size, factor, strict=True))
        size = (width, min(height, room.height - 0.1), depth)
        place = _place(room, piece, size, rng, not world.parallel_lines)
        if place is not None:
            _put(b, room, piece, size, place, own)


def _put(
    b: Builder,
    room: Room,
    piece: Piece,
    size: Colour,
    place: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:
    """Build a piece at its place, with small things on it and chairs around it where it is a table."""
    x, z, yaw = place
    b.object(piece.name, x, z, yaw, group="furniture")
    piece.make(b, rng, size)
    if piece.surface and rng.random() < 0.8:
        b.object("small things", x, z, yaw)
        make.small_things(b, rng, size[0], size[2], size[1])
    if piece.name in ("table", "round table"):
        _chairs_at(b, room, x, z, yaw, size, rng)


def _rug(b: Builder, room: Room, rng: np.random.Generator, looks: np.random.Generator) -> None:
    """Half of the rooms have a rug near their middle."""
    there = rng.random() < 0.5
    x, z = rng.uniform(-0.15, 0.15) * room.width, rng.uniform(0.35, 0.65) * room.depth
    width, depth = rng.uniform(0.35, 0.6) * room.width, rng.uniform(0.3, 0.5) * room.depth
    a, c = make.pick(looks, make.FABRICS), make.pick(looks, (*make.FABRICS, *make.BRIGHT))
    period, seed = looks.uniform(0.2, 0.4), float(looks.integers(1, 200))
    if there:
        b.object("rug", x, z, group="furniture")
        b.box(Material("rug", a, c, (period, period), 0.5, seed), (width, 0.012, depth))


def _place(
    room: Room, piece: Piece, size: Colour, rng: np.random.Generator, askew: bool
) -> tuple[float, float, float] | None:
    """A free place (x, z, yaw) for a piece, taken from then on; None if twelve tries found none."""
    for _ in range(12):
        along, wall, turn = rng.uniform(-0.5, 0.5), int(rng.integers(4)), rng.normal()
        x, z, any_yaw = rng.uniform(-0.5, 0.5), rng.random(), rng.uniform(-math.pi, math.pi)
        if piece.at_wall:
            x0, z0, yaw, length = walls_of(room)[wall]
            back = 0.5 * size[2] + 0.02 + (0.3 * max(size[0], size[2]) if askew else 0)
            slide = along * max(0.0, length - size[0] - 0.04)
            x = x0 + math.cos(yaw) * slide - math.sin(yaw) * back
            z = z0 - math.sin(yaw) * slide - math.cos(yaw) * back
        else:
            x, z = x * (room.width - 1.0), 0.5 + z * (room.depth - 1.0)
            yaw = round(any_yaw / (math.pi / 2)) * math.pi / 2 + 0.12 * turn
        if askew:
            yaw = any_yaw
        rectangle = _footprint(x, z, yaw, size)
        if room.free(rectangle):
            room.taken.append(rectangle)
            return x, z, yaw
    return None


def _footprint(x: float, z: float, yaw: float, size: Colour) -> tuple[float, float, float, float]:
    """The floor rectangle, along the room's axes, around a turned piece."""
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    half_x, half_z = 0.5 * (c * size[0] + s * size[2]), 0.5 * (s * size[0] + c * size[2])
    return x - half_x, z - half_z, x + half_x, z + half_z


def _chairs_at(
    b: Builder, room: Room, x: float, z: float, yaw: float, size: Colour, rng: np.random.Generator
) -> None:
    """Up to four chairs of one kind at the sides of a table, facing it, drawn back a little."""
    look = int(rng.integers(2**31))
    for angle in rng.permutation([0.0, 0.5, 1.0, 1.5])[: int(rng.integers(1, 5))] * math.pi:
        reach = 0.5 * (size[2] if abs(math.cos(angle)) > 0.5 else size[0]) + rng.uniform(0.28, 0.45)
        turn = yaw + angle
        cx, cz = x + math.sin(turn) * reach, z + math.cos(turn) * reach
        rectangle = _footprint(cx, cz, turn, (0.45, 0.9, 0.46))
        others = Room(room.width, room.height, room.depth, room.taken[:-1])
        if others.free(rectangle, 0.02):
            b.object("chair", cx, cz, turn + rng.normal() * 0.12)
            make.chair(b, np.random.default_rng(look), (0.45, 0.9, 0.46))
            room.taken.insert(0, rectangle)


def _lighting(
    b: Builder, room: Room, window_wall: int, rng: np.random.Generator
) -> tuple[tuple[Light, ...], Air]:
    """A lamp at the ceiling and daylight from the window, in a changing balance; the lamp itself is seen."""
    day, warmth = rng.uniform(0.25, 1.0), rng.uniform(0.0, 1.0)
    exposure = rng.uniform(0.55, 1.1)
    lamp_strength = exposure * rng.uniform(0.6, 1.0) * (1.4 - day)
    lamp_x, lamp_z = rng.uniform(-0.2, 0.2) * room.width, rng.uniform(0.35, 0.65) * room.depth
    drop = rng.choice([0.1, 0.1, 0.5])
    b.object("ceiling lamp", lamp_x, lamp_z, group="shell")
    b.opaque = False
    glow = Material("plain", (0.95, 0.9, 0.8), (0.95, 0.9, 0.8), emission=1.2)
    if drop > 0.2:
        b.post(make.METAL, 0.015, drop, bottom=room.height - drop)
    b.ball(glow, (0.3, 0.16, 0.3), bottom=room.height - drop - 0.08)
    warm = (1.0, 0.95 - 0.13 * warmth, 0.88 - 0.3 * warmth)
    lamp = Light(
        (lamp_x, -(room.height - drop - 0.15), lamp_z),
        times(warm, 1.5 * lamp_strength),
        2.5,
        0.12,
    )
    x0, z0, yaw, _ = walls_of(room)[window_wall]
    inside = 0.3
    window = Light(
        (x0 - inside * math.sin(yaw), -1.7, z0 - inside * math.cos(yaw)),
        times((0.9, 0.97, 1.05), 1.3 * exposure * day),
        3.0,
        0.35,
    )
    ambient = times((1.0, 1 - 0.05 * warmth, 1 - 0.12 * warmth), exposure * (0.2 + 0.18 * day))
    return (lamp, window), Air(ambient=ambient, shelter=0.35)


def _camera(room: Room, world: World, index: int) -> Float[Tensor, "F 4 4"]:
    """Poses of a hand-held camera that stands free and looks into the room."""
    rng, motion = world.random(index, "camera"), world.random(index, "motion")
    height = 1.45 + world.camera_height_jitter * float(np.clip(0.15 * rng.standard_normal(), -0.3, 0.3))
    pitch = math.radians(-9 + world.camera_pitch_jitter * 6 * rng.standard_normal())
    roll = math.radians(world.camera_pitch_jitter * 1.5 * rng.standard_normal())
    x, z, yaw = _standpoint(room, rng)
    speed, heading, turn = motion.uniform(0.2, 0.5), motion.uniform(-1.3, 1.3), motion.uniform(-0.2, 0.2)
    phase, waits = motion.uniform(0, 2 * math.pi, 3), motion.random() < 1 / 6
    still = (world.static_frames and waits) or not world.ego_motion
    poses = []
    for frame in range(world.frames):  # a slow walk with swaying hands
        t = 0.0 if still else FRAME_TIME * frame
        sway = 0.01 * np.sin(5 * t + phase) - 0.01 * np.sin(phase)
        forward, across = speed * t * math.cos(yaw + heading), speed * t * math.sin(yaw + heading) + sway[0]
        poses.append(pose(x + across, height + sway[1], z + forward, yaw + turn * t, pitch + sway[2], roll))
    return torch.stack(poses)


def _standpoint(room: Room, rng: np.random.Generator) -> tuple[float, float, float]:
    """Where to stand (x, z) and where to look (yaw): clear of furniture, towards a point some way off; the
    best of forty tries.
    """
    best = (-1.0, 0.0, 0.0, 0.0)
    for _ in range(40):
        x, z = rng.uniform(-0.5, 0.5) * (room.width - 0.7), 0.35 + rng.random() * (room.depth - 0.7)
        target_x, target_z = rng.uniform(-0.5, 0.5) * room.width, rng.random() * room.depth
        distance = math.hypot(target_x - x, target_z - z)
        clear = min(
            (math.hypot(max(a0 - x, 0, x - a1), max(b0 - z, 0, z - b1)) for a0, b0, a1, b1 in room.taken),
            default=EYE,
        )
        score = min(clear, EYE) + min(0.4 * distance, 1.0)
        if score > best[0]:
            best = (score, x, z, math.atan2(target_x - x, target_z - z))
        if clear >= EYE and distance > 2.5:
            break
    return best[1:]
