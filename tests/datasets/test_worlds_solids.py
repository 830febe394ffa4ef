"""Solids against closed forms, and culled casting against the full product."""

import math

import pytest
import torch

from mdepth.datasets.worlds import Air, Builder, Light, Material, Scene, casting, pose, render
from mdepth.datasets.worlds.rendering import _camera_bundles
from mdepth.datasets.worlds.solids import BOX, CONE, CYLINDER, FAR, FRUSTUM, KINDS, SPHERE, clip, enter
from mdepth.geometry import normals_from_depth

K = torch.tensor([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])
H, W = 48, 64


def show(b: Builder, T_world_camera=None, **switches):
    """Render what a builder holds from the origin (or elsewhere), unlit."""
    camera = torch.eye(4) if T_world_camera is None else T_world_camera
    scene = Scene(
        b.solids(), b.materials(), tuple(b.labels), (), Air(), camera[None], switches={"shading": 0.0}
    )
    return render(scene, 0, K, H, W, antialias=1)


def rays():
    """x / z and y / z of every pixel."""
    v, u = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    return (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]


def alone(kind, size, distance, taper=(0.0, 0.0), **turn):
    """One solid whose middle lies on the optical axis."""
    b = Builder()
    b.object("thing")
    b.add(kind, Material(), size, z=distance, bottom=-0.5 * size[1], taper=taper, **turn)
    return b


def test_box_front_face_has_constant_depth():
    depth = show(alone(BOX, (2.0, 1.0, 2.0), 5.0)).depth[0]
    x, y = rays()
    front = ((4 * x).abs() < 0.999) & ((4 * y).abs() < 0.499)
    outside = ((4 * x).abs() > 1.001) | ((4 * y).abs() > 0.501)
    assert torch.allclose(depth[front], torch.tensor(4.0), atol=1e-5)
    assert (depth[outside & ((6 * x).abs() > 1.01)] == 0).all()


def test_turned_box_shows_its_side_as_a_slanted_plane():
    depth = show(alone(BOX, (20.0, 20.0, 1.0), 5.0, yaw=math.pi / 6)).depth[0]
    x, _ = rays()
    normal = torch.tensor(
        [math.sin(math.pi / 6), math.cos(math.pi / 6)]
    )  # the front face: n · (p - centre) = -half
    expected = (5.0 * normal[1] - 0.5) / (normal[0] * x + normal[1])
    assert torch.allclose(depth, expected, atol=1e-4)


def test_sphere_depth():
    depth = show(alone(SPHERE, (2.0, 2.0, 2.0), 5.0)).depth[0]
    x, y = rays()
    a, b, c = x**2 + y**2 + 1, -5.0, 24.0  # |t d - (0, 0, 5)|² = 1
    inside = b * b - a * c
    expected = (-b - inside.clamp(min=0).sqrt()) / a
    assert torch.allclose(depth[inside > 1e-3], expected[inside > 1e-3], atol=1e-4)
    assert (depth[inside < -1e-3] == 0).all()


def test_cylinder_depth():
    depth = show(alone(CYLINDER, (2.0, 30.0, 2.0), 5.0)).depth[0]
    x, _ = rays()
    a, inside = x**2 + 1, 25 - 24 * (x**2 + 1)
    expected = (5 - inside.clamp(min=0).sqrt()) / a
    assert torch.allclose(depth[inside > 1e-3], expected[inside > 1e-3], atol=1e-4)
    assert (depth[inside < -1e-3] == 0).all()


@pytest.mark.parametrize("kind", [CONE, FRUSTUM])
def test_tapered_solids_narrow_towards_the_top(kind):
    depth = show(alone(kind, (2.0, 2.0, 2.0), 6.0, taper=(1.0, 1.0))).depth[0] > 0
    widths = depth.sum(1)
    rows = widths.nonzero()[:, 0]
    assert rows[0] < rows[-1]
    assert (widths[rows[0] : rows[-4]].diff() >= 0).all()  # a point at the top, broad at the bottom
    assert widths[rows[0]] <= 2
    assert widths[rows[-4]] >= 18


def inside(kind, point, taper):
    """The definition of each solid, as a table in the module's docstring gives it."""
    x, y, z = point
    w1, w2 = 1 - taper[0] * (1 - y) / 2, 1 - taper[1] * (1 - y) / 2
    return {
        BOX: (x.abs() <= 1) & (y.abs() <= 1) & (z.abs() <= 1),
        SPHERE: x * x + y * y + z * z <= 1,
        CYLINDER: (x * x + z * z <= 1) & (y.abs() <= 1),
        CONE: (x * x + z * z <= w1 * w1) & (y.abs() <= 1),
        FRUSTUM: (x.abs() <= w1) & (z.abs() <= w2) & (y.abs() <= 1),
    }[kind]


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_entry_agrees_with_walking_along_the_ray(kind, generator):
    """Rays from anywhere outside: t is where a fine walk first finds itself inside, and a miss is a miss."""
    n = 250
    origin = torch.randn(3, n, generator=generator, dtype=torch.float64) * 2
    target = torch.rand(3, n, generator=generator, dtype=torch.float64) * 2.4 - 1.2
    taper = torch.rand(2, n, generator=generator, dtype=torch.float64)
    if kind == CONE:
        taper[1] = taper[0]
    outside = ~inside(kind, origin, taper)
    t = enter(kind, tuple(origin), tuple(target - origin), (taper[0], taper[1]))
    steps = torch.linspace(0, 4, 8001, dtype=torch.float64)[:, None]
    walk = tuple(o + steps * d for o, d in zip(origin, target - origin, strict=True))
    within = inside(kind, walk, taper)
    first = torch.where(within.any(0), steps[within.int().argmax(0), 0], torch.inf)
    grazing = within.sum(0) < 10  # a walk may step over a corner
    clear = outside & ~grazing
    assert clear.sum() > 60
    assert torch.allclose(t[clear], first[clear], atol=6e-4)
    missed = outside & (within.sum(0) == 0)
    assert (t[missed] > 4).float().mean() > 0.97
    assert (t[~outside] > FAR).all()


def test_clip_keeps_the_interval_where_the_condition_holds():
    near, far = torch.zeros(4), torch.full((4,), 10.0)
    near, far = clip(near, far, torch.tensor([-4.0, 4.0, -1.0, 1.0]), torch.tensor([2.0, -2.0, 0.0, 0.0]))
    assert near[:3].tolist() == [0, 2, 0]
    assert far[0] == 2
    assert (far[1:3] >= 10).all()
    assert near[3] > far[3]


def heap(generator) -> Builder:
    """Forty random solids of all kinds in front of the camera."""
    b = Builder()
    for k in range(40):
        b.object("thing")
        x, y, z, *size = torch.rand(6, generator=generator).tolist()
        yaw, pitch, roll = torch.rand(3, generator=generator).mul(6).tolist()
        taper = tuple(torch.rand(2, generator=generator).tolist())
        place = {"x": 8 * x - 4, "z": 3 + 9 * z, "bottom": 6 * y - 3}
        size = tuple(0.2 + 1.5 * s for s in size)
        b.add(k % 5, Material(), size, yaw=yaw, pitch=pitch, roll=roll, taper=taper, **place)
    return b


def test_culling_loses_nothing(generator, monkeypatch):
    """Rays against the pairs that the beams leave give what rays against all solids give."""
    b = heap(generator)
    culled = show(b)
    pairs = []
    touches = casting.touches

    def everything(beams, i, solids, m):
        pairs.append((int(touches(beams, i, solids, m).sum()), len(i)))
        return torch.ones_like(i, dtype=torch.bool)

    monkeypatch.setattr(casting, "touches", everything)
    full = show(b)
    assert torch.equal(culled.depth, full.depth)
    assert torch.equal(culled.instances, full.instances)
    kept, all_pairs = (sum(column) for column in zip(*pairs, strict=True))
    assert kept < 0.5 * all_pairs  # and it does leave most of them out


def test_shadow_culling_loses_nothing(generator, monkeypatch):
    lamp = Light((1.0, -6.0, 2.0), (1.0, 1.0, 1.0), radius=0.5)
    b = heap(generator)
    b.object("floor")
    b.box(Material(), (40.0, 1.0, 40.0), z=10.0, bottom=-4.0)
    scene = Scene(b.solids(), b.materials(), tuple(b.labels), (lamp,), Air(), torch.eye(4)[None])
    culled = render(scene, 0, K, H, W)
    monkeypatch.setattr(casting, "touches", lambda beams, i, solids, m: torch.ones_like(i, dtype=torch.bool))
    assert torch.equal(culled.image, render(scene, 0, K, H, W).image)


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_normals_agree_with_the_depth(kind):
    seen = show(alone(kind, (4.0, 3.0, 4.0), 6.0, taper=(0.6, 0.6), yaw=0.5, pitch=0.3))
    numeric = normals_from_depth(seen.depth[None], K[None])[0]
    agreement = (numeric * seen.normals).sum(0)
    found = (seen.depth[0] > 0) & (numeric.norm(dim=0) > 0)
    found[0], found[-1], found[:, 0], found[:, -1] = False, False, False, False
    flat = found & (agreement > 0.9)  # not across an edge between two faces
    assert flat.sum() > 0.8 * found.sum()
    assert agreement[flat].median() > 0.999
    assert torch.allclose(seen.normals.norm(dim=0)[found], torch.tensor(1.0), atol=1e-4)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0.6, 0.0, 0.0), (0.0, 0.4, 0.0), (-0.3, 0.2, 0.5)])
def test_normals_are_in_the_frame_of_a_turned_camera(yaw, pitch, roll):
    """The face of a wall that lies in the world's plane z = 9.5, seen by a camera that looks aside."""
    seen = show(alone(BOX, (90.0, 90.0, 1.0), 10.0), pose(0.0, 0.0, 0.0, yaw, pitch, roll))
    numeric = normals_from_depth(seen.depth[None], K[None])[0]
    found = numeric.norm(dim=0) > 0
    assert found.float().mean() > 0.9
    assert (numeric * seen.normals).sum(0)[found].min() > 0.999
    world = pose(0.0, 0.0, 0.0, yaw, pitch, roll)[:3, :3] @ seen.normals[:, H // 2, W // 2]
    assert torch.allclose(world, torch.tensor([0.0, 0.0, -1.0]), atol=1e-5)


def test_camera_inside_a_solid_sees_through_it():
    b = alone(BOX, (2.0, 2.0, 2.0), 0.0)
    b.object("wall")
    b.box(Material(), (50.0, 50.0, 1.0), z=9.5, bottom=-25.0)
    assert torch.allclose(show(b).depth, torch.tensor(9.0), atol=1e-4)


def test_moved_camera_sees_moved_depth():
    b = alone(BOX, (50.0, 50.0, 1.0), 10.5)
    assert torch.allclose(show(b, pose(0.0, 0.0, 4.0)).depth, torch.tensor(6.0), atol=1e-4)


def test_bundles_hold_their_rays():
    direction = torch.randn(3, 2 * casting.BLOCK, 20) * 0.1 + torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    bundles = _camera_bundles(torch.zeros(3), (direction[0], direction[1], direction[2]))
    beams = bundles.tiles
    along = torch.einsum("ctr,tc->tr", direction, beams.axis)
    for vector, slope in ((beams.side, beams.slope[:, 0]), (beams.other, beams.slope[:, 1])):
        off = torch.einsum("ctr,tc->tr", direction, vector).abs()
        assert (off <= along * slope[:, None]).all()


def test_taper_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="taper must lie in"):
        alone(CONE, (1.0, 1.0, 1.0), 3.0, taper=(-0.5, 0.0))
