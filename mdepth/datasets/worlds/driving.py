"""What drives on a street and what is parked there: the camera's own car, traffic, parked cars."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from mdepth.datasets.worlds import street as make
from mdepth.datasets.worlds.scenery import Builder, pose
from mdepth.datasets.worlds.world import FRAME_TIME, World

PARKING = 4.2  # metres: half-width from which cars park on the road itself
DETAIL = 50.0  # metres beyond which small parts of things are left out


@dataclass(frozen=True)
class Street:
    """The plan of a street.

    Attributes:
        half: half the road's width, metres.
        pavement: width of each pavement, metres.
        setback: from the pavement to the houses, metres, least and most.
        storeys: of the houses, least and most.
        built: share of the street's length that houses fill.
        trees: per 100 m and side.
        parked: share of the kerb's places that are taken, times ten.
    """

    half: float
    pavement: float
    setback: tuple[float, float]
    storeys: tuple[int, int]
    built: float
    trees: float
    parked: float


def _vehicle(b: Builder, rng: np.random.Generator, jitter: float, detail: bool = True) -> None:
    """A car or, one time in eight, a van; without its small parts where ``detail`` is off."""
    factor = np.exp(0.05 * jitter * rng.standard_normal(3))
    if rng.random() < 0.12:
        make.van(b, rng, (2.0 * factor[0], 2.3 * factor[1], 5.2 * factor[2]))
    else:
        make.car(b, rng, (1.78 * factor[0], 1.48 * factor[1], 4.25 * factor[2]), detail)


def add_parked(
    b: Builder, street: Street, side: int, rng: np.random.Generator, looks: np.random.Generator, world: World
) -> None:
    """Cars parked at the kerb, where the road is wide enough, else half on the pavement."""
    x = side * (street.half - 1.0) if street.half > PARKING else side * (street.half + 0.75)
    z = rng.uniform(5, 14)
    while z < 95:
        there, gap, off = rng.random() < street.parked / 10, rng.uniform(0.8, 5.0), rng.normal()
        own = np.random.default_rng(int(looks.integers(2**31)))
        turned = rng.random() < (0.85 if side < 0 else 0.1)
        if there:
            b.object(
                "parked car",
                x + 0.1 * off,
                z,
                math.pi if turned else 0.0,
                0.0 if street.half > PARKING else 0.06,
                group="cars",
            )
            _vehicle(b, own, world.object_size_jitter, z < DETAIL)
        z += 5.2 + gap


def drive(street: Street, world: World, index: int, following: bool) -> tuple[torch.Tensor, float]:
    """Camera poses (F, 4, 4), and the speed in m/s: in the right-hand lane, turning a little unless
    following.

    Pitch and height vary from car to car, and the suspension adds a bounce.
    """
    rng, motion = world.random(index, "camera"), world.random(index, "motion")
    height = 1.65 + world.camera_height_jitter * float(np.clip(0.08 * rng.standard_normal(), -0.3, 0.3))
    pitch = math.radians(world.camera_pitch_jitter * 0.9 * rng.standard_normal())
    roll = math.radians(world.camera_pitch_jitter * 0.6 * rng.standard_normal())
    widest = street.half - (3.2 if street.half > PARKING else 1.4)  # clear of parked cars
    x = float(np.clip(0.45 * street.half + 0.35 * rng.standard_normal(), 0.9, widest))
    yaw = math.radians(rng.normal() * 2.0 if rng.random() < 0.75 else rng.uniform(-20, 20))
    speed, turn = motion.uniform(4, 14), math.radians(motion.normal() * 1.5) * (not following)
    waits, phase = motion.random() < 1 / 6, motion.uniform(0, 2 * math.pi)
    if (world.static_frames and waits) or not world.ego_motion:
        speed = turn = 0.0
    poses, z = [], 0.0
    for frame in range(world.frames):
        t = FRAME_TIME * frame if speed else 0.0
        bounce = world.camera_pitch_jitter * 0.003 * (math.sin(7 * t + phase) - math.sin(phase))
        heading = yaw + turn * t
        poses.append(pose(x, height, z, heading, pitch + bounce, roll))
        x, z = x + speed * FRAME_TIME * math.sin(turn * t), z + speed * FRAME_TIME * math.cos(turn * t)
    return torch.stack(poses), speed


def add_traffic(
    b: Builder,
    street: Street,
    world: World,
    rng: np.random.Generator,
    following: bool,
    x: float,
    speed: float,
) -> None:
    """Oncoming cars in a row, and one ahead: in a third of the scenes at exactly the camera's speed, else
    perhaps at its own.
    """
    moving, jitter = float(world.moving_objects), world.object_size_jitter
    distance, row_speed = rng.uniform(8, 30), rng.uniform(5, 14)
    for _ in range(int(rng.integers(0, 4))):
        b.object(
            "car",
            -0.45 * street.half,
            distance,
            math.pi,
            velocity=(0.0, 0.0, -row_speed * moving),
            group="cars",
        )
        _vehicle(b, np.random.default_rng(int(rng.integers(2**31))), jitter, distance < DETAIL)
        distance += rng.uniform(9, 30)
    ahead, own_speed, there = rng.uniform(9, 25), rng.uniform(5, 14), rng.random() < 0.5
    own = np.random.default_rng(int(rng.integers(2**31)))
    if following and world.comoving_car:
        b.object("car ahead", x, ahead, velocity=(0.0, 0.0, speed * moving), group="cars")
        _vehicle(b, own, jitter)
    elif not following and there:
        b.object("car", x, ahead + 8, velocity=(0.0, 0.0, own_speed * moving), group="cars")
        _vehicle(b, own, jitter)
