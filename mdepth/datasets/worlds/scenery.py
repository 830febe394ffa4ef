"""Scenes: solids, materials, lamps, air and the camera's path; and the builder that rooms and roads are put
together with.

World axes are those of a camera that looks straight ahead: x right, y down, z forward. The floor (or the
road) is the plane y = 0, so a thing of height h reaches up to y = -h. The builder speaks of ``x, z`` on the
floor, of heights above it, and of sizes (width along x, height, depth along z) before turning by ``yaw``.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mdepth.datasets.worlds.solids import (
    BOX,
    CONE,
    CYLINDER,
    FRUSTUM,
    SPHERE,
    Solids,
    rotation_from_yaw_pitch_roll,
    rotation_rows,
)
from mdepth.datasets.worlds.textures import Material
from mdepth.shapes import Float, Tensor

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """A lamp or the sun: a point (or a small ball, whose shadows have soft edges).

    Attributes:
        position: metres in the world.
        colour: irradiance at distance 0 on a surface facing it, linear RGB.
        reach: metres at which a lamp's light has fallen to half (irradiance / (1 + (distance / reach)²));
            infinite for the sun.
        radius: metres; 0 gives hard shadows.
    """

    position: Colour
    colour: Colour
    reach: float = math.inf
    radius: float = 0.0


@dataclass(frozen=True)
class Air:
    """What is between and behind the solids.

    Attributes:
        ambient: light from everywhere, linear RGB; surfaces facing up get all of it, those facing down ``1 -
            shelter``.
        horizon, zenith: colours of the sky. Rooms have none to see, except through what is not built.
        haze: 1/m; a colour seen through d metres keeps exp(-haze · d) of itself, the rest is the horizon's.
        clouds: strength of the clouds in the sky, 0 to 1.
    """

    ambient: Colour = (0.4, 0.4, 0.4)
    shelter: float = 0.5
    horizon: Colour = (0.75, 0.8, 0.85)
    zenith: Colour = (0.3, 0.5, 0.8)
    haze: float = 0.0
    clouds: float = 0.0
    seed: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Everything that :func:`mdepth.datasets.worlds.render` needs, for all frames of one scene.

    Attributes:
        solids: the table at time 0.
        materials: rows of :meth:`Material.row`, (K, 12).
        labels: what each instance is, ``labels[0]`` being "nothing".
        lights: the lamps that cast shadows.
        T_world_camera: the camera's pose in every frame, (F, 4, 4), camera → world.
        times: seconds, (F,).
        unit: metres of the world per metre of a texture: 1, or the factor of a scaled scene.
        main_directions: the world directions of the scene's parallel lines: along the road, or along the two
            pairs of a room's walls. Their images are vanishing points.
        switches: textures, shading, shadows, texture_gradient, texture_contrast: how it is to be rendered.
    """

    solids: Solids
    materials: Float[Tensor, "K 12"]
    labels: tuple[str, ...]
    lights: tuple[Light, ...]
    air: Air
    T_world_camera: Float[Tensor, "F 4 4"]
    times: tuple[float, ...] = (0.0,)
    unit: float = 1.0
    main_directions: tuple[Colour, ...] = ((0.0, 0.0, 1.0),)
    switches: dict[str, float] = field(default_factory=dict)

    def scaled(self, factor: float) -> "Scene":
        """The same scene with every length multiplied by ``factor``: a doll's house for 0.1.

        Its image from the (equally scaled) camera positions is identical, its depth is ``factor`` times as
        large: one picture cannot tell the two apart. Two pictures taken a known distance apart can.

        Raises:
            ValueError: if ``factor`` is not positive.
        """
        if not factor > 0:
            raise ValueError(f"a scene is scaled by a positive factor, got {factor}")
        poses = self.T_world_camera.clone()
        poses[:, :3, 3] *= factor
        lights = tuple(
            replace(
                light,
                position=times(light.position, factor),
                reach=light.reach * factor,
                radius=light.radius * factor,
            )
            for light in self.lights
        )
        return replace(
            self,
            solids=self.solids.scaled(factor),
            unit=self.unit * factor,
            lights=lights,
            air=replace(self.air, haze=self.air.haze / factor),
            T_world_camera=poses,
        )


class Builder:
    """Collects solids; every method adds one and returns nothing. Use :meth:`object` to open a new instance
    first.
    """

    def __init__(self) -> None:
        self.rows: list[tuple] = []
        self.material_numbers: dict[Material, int] = {}
        self.labels: list[str] = ["nothing"]
        self.groups: list[str] = ["nothing"]
        self.group = "shell"
        self.velocity: Colour = (0.0, 0.0, 0.0)
        self.opaque = True
        self.frame: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # x, z, height, yaw

    def object(
        self,
        label: str,
        x: float = 0.0,
        z: float = 0.0,
        yaw: float = 0.0,
        height: float = 0.0,
        velocity: Colour = (0.0, 0.0, 0.0),
        group: str | None = None,
    ) -> None:
        """Open a new instance; what follows is placed relative to (x, z) on the floor (or at ``height``),
        turned by ``yaw`` (radians).

        ``group`` (kept until the next one is named) is what a switch removes: see :meth:`solids`.
        """
        self.labels.append(label)
        self.frame, self.velocity, self.opaque = (x, z, height, yaw), velocity, True
        self.group = group or self.group
        self.groups.append(self.group)

    def add(
        self,
        kind: int,
        material: Material,
        size: Colour,
        x: float = 0.0,
        z: float = 0.0,
        bottom: float = 0.0,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        taper: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Add a solid of the given full size (width, height, depth), its box standing ``bottom`` metres above
        the object's base.
        """
        x0, z0, base, turn = self.frame
        centre = (
            x0 + math.cos(turn) * x + math.sin(turn) * z,
            -(base + bottom + 0.5 * size[1]),
            z0 - math.sin(turn) * x + math.cos(turn) * z,
        )
        rotation = rotation_rows(turn + yaw, pitch, roll)
        half = tuple(max(0.5 * s, 1e-4) for s in size)
        if not 0 <= min(taper) <= max(taper) <= 1:
            raise ValueError(
                f"taper must lie in [0, 1], got {taper}; to widen a solid towards its top, turn it over"
            )
        if kind not in (CONE, FRUSTUM):
            taper = (0.0, 0.0)
        index = self.material_numbers.setdefault(material, len(self.material_numbers))
        instance = len(self.labels) - 1
        self.rows.append(
            (kind, centre, rotation, half, taper, index, instance, self.velocity, float(self.opaque))
        )

    def box(self, material: Material, size: Colour, **place) -> None:
        """A box; see :meth:`add` for where it goes."""
        self.add(BOX, material, size, **place)

    def ball(self, material: Material, size: Colour, **place) -> None:
        """An ellipsoid."""
        self.add(SPHERE, material, size, **place)

    def post(
        self, material: Material, diameter: float, height: float, *, taper: float = 0.0, **place
    ) -> None:
        """An upright cylinder, or a cone or lampshade where ``taper`` > 0."""
        kind = CONE if taper else CYLINDER
        self.add(kind, material, (diameter, height, diameter), taper=(taper, taper), **place)

    def wedge(self, material: Material, size: Colour, taper: tuple[float, float], **place) -> None:
        """A box that narrows towards its top by ``taper`` along x and z: roofs, cabins, cushions."""
        self.add(FRUSTUM, material, size, taper=taper, **place)

    def materials(self) -> Float[Tensor, "K 12"]:
        """The rows of all materials used."""
        return torch.tensor([material.row() for material in self.material_numbers], dtype=torch.float32)

    def solids(self, without: set[str] | frozenset[str] = frozenset()) -> Solids:
        """The table of what was added, but for the groups in ``without``; instances keep their numbers."""
        rows = [row for row in self.rows if self.groups[row[6]] not in without]
        columns = list(zip(*rows, strict=True))
        kind, centre, rotation, half, taper, material, instance, velocity, opaque = columns
        return Solids(
            kind=torch.tensor(kind),
            centre=torch.tensor(centre, dtype=torch.float32),
            rotation=torch.tensor(rotation, dtype=torch.float32),
            half=torch.tensor(half, dtype=torch.float32),
            taper=torch.tensor(taper, dtype=torch.float32),
            material=torch.tensor(material),
            instance=torch.tensor(instance),
            velocity=torch.tensor(velocity, dtype=torch.float32),
            opaque=torch.tensor(opaque, dtype=torch.float32),
        )


def times(colour: Colour, factor: float | Colour) -> Colour:
    """Three numbers times a factor, or times three factors.

    Example:
        >>> times((1.0, 2.0, 3.0), 2.0)
        (2.0, 4.0, 6.0)
    """
    a, b, c = (factor, factor, factor) if isinstance(factor, int | float) else factor
    return colour[0] * a, colour[1] * b, colour[2] * c


def pose(
    x: float, height: float, z: float, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> Float[Tensor, "4 4"]:
    """T_world_camera of a camera ``height`` metres above the floor; angles in radians, positive right, up,
    clockwise.

    Example:
        >>> pose(1.0, 1.5, 2.0)[:3, 3].tolist()
        [1.0, -1.5, 2.0]
    """
    matrix = torch.eye(4)
    matrix[:3, :3] = rotation_from_yaw_pitch_roll(yaw, pitch, roll)
    matrix[:3, 3] = torch.tensor([x, -height, z])
    return matrix


def tint(rng: np.random.Generator, base: Colour, spread: float = 0.15) -> Colour:
    """A colour near ``base``: brightness and each channel varied by about ``spread``, kept inside [0.01,
    0.95].
    """
    factor = (1 + spread * rng.standard_normal()) * (1 + 0.35 * spread * rng.standard_normal(3))
    red, green, blue = np.clip(np.asarray(base) * factor, 0.01, 0.95).tolist()
    return red, green, blue
