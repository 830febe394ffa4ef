"""What the worlds hold: plausible cameras and depths, sequences, switches of content, splits, the vanishing
point.
"""

import dataclasses

import numpy as np
import pytest
import torch

from mdepth.datasets.worlds import World, load, render, scene
from mdepth.datasets.worlds.dataset import render_row
from mdepth.datasets.worlds.world import LOOKS

TINY = {"rooms": {"height": 24, "width": 32}, "roads": {"height": 24, "width": 72}}


def world(kind: str, **fields) -> World:
    return World(kind, **{**TINY[kind], "antialias": 1, **fields})


def depth_of(w: World, index: int, frame: int = 0) -> torch.Tensor:
    return render(scene(w, index), frame, w.intrinsics(), w.height, w.width, antialias=1).depth


def test_rooms_have_the_depths_of_rooms():
    w = world("rooms", scenes=40, shadows=False)
    depth = torch.cat([depth_of(w, index) for index in range(40)])
    assert (depth > 0).all()  # no way out of a room
    assert depth.max() < 10.5
    assert 2.3 < depth.median() < 3.7
    assert 0.3 < depth.log().std() < 0.55
    assert (depth < 0.5).float().mean() < 0.005


def test_roads_have_the_depths_of_roads():
    w = world("roads", scenes=24, shadows=False)
    depth = torch.cat([depth_of(w, index) for index in range(24)])
    known = depth[(depth > 0) & (depth <= 80)]
    assert 0.6 < len(known) / depth.numel() < 0.97  # the rest is sky
    assert 8 < known.median() < 17
    assert 0.5 < known.log().std() < 0.9
    assert known.min() > 1


@pytest.mark.parametrize(("kind", "low", "high"), [("rooms", 1.1, 1.8), ("roads", 1.3, 2.0)])
def test_cameras_stand_at_eye_height(kind, low, high):
    heights = [-scene(world(kind, scenes=30), i).T_world_camera[0, 1, 3].item() for i in range(30)]
    assert low < min(heights) < max(heights) < high
    assert np.std(heights) > 0.02


def test_fixed_cameras():
    w = world("roads", scenes=6, camera_height_jitter=0.0, camera_pitch_jitter=0.0)
    poses = torch.stack([scene(w, i).T_world_camera[0] for i in range(6)])
    assert torch.allclose(poses[:, 1, 3], torch.tensor(-1.65))
    assert torch.allclose(poses[:, 1, 2], torch.tensor(0.0), atol=1e-6)  # no pitch: forward stays level


def test_mean_depth_map_is_a_poor_guess():
    """The depth of a pixel is not a function of its place: the mean map errs by far more than a network
    should.
    """
    w = world("rooms", scenes=40, shadows=False)
    depth = torch.cat([depth_of(w, index) for index in range(40)])
    guess = depth[:20].log().mean(0).exp()
    assert ((guess - depth[20:]).abs() / depth[20:]).mean() > 0.2


def test_a_scene_does_not_depend_on_how_many_there_are():
    few, many = world("rooms", scenes=3), world("rooms", scenes=300)
    assert torch.equal(scene(few, 2).solids.centre, scene(many, 2).solids.centre)
    with pytest.raises(ValueError, match="scenes 0 to 2"):
        scene(few, 3)


def test_splits_seeds_and_scenes_draw_from_disjoint_streams():
    draws = {
        World(kind, split, seed=seed).random(index, stream).integers(2**62)
        for kind in ("rooms", "roads")
        for split in ("train", "val", "test")
        for seed in (0, 1)
        for index in range(10)
        for stream in ("layout", "looks", "camera")
    }
    assert len(draws) == 2 * 3 * 2 * 10 * 3


def test_moving_objects_move_and_parked_ones_do_not():
    w = world("roads", scenes=12, frames=2)
    moving = [int((scene(w, i).solids.velocity.norm(dim=1) > 0).sum()) for i in range(12)]
    parked = dataclasses.replace(w, moving_objects=False)
    for i in range(12):
        a, b = scene(w, i), scene(parked, i)
        assert (b.solids.velocity == 0).all()
        assert torch.equal(a.solids.centre, b.solids.centre)
        assert torch.equal(a.T_world_camera, b.T_world_camera)
    assert sum(m > 0 for m in moving) > 6


def following(w: World) -> list[int]:
    return [i for i in range(w.scenes) if "car ahead" in scene(w, i).labels]


def test_a_comoving_car_keeps_its_place_in_the_picture():
    w = world("roads", scenes=12, frames=6, static_frames=False, camera_pitch_jitter=0.0)
    scenes = following(w)
    assert 1 <= len(scenes) <= 8
    view = scene(w, scenes[0])
    car = view.labels.index("car ahead")
    views = [render(view, f, w.intrinsics(), w.height, w.width, antialias=1) for f in (0, 5)]
    first, last = (v.instances == car for v in views)
    assert first.any()
    assert (first & last).sum() > 0.9 * (first | last).sum()
    assert torch.allclose(views[0].depth[first & last], views[1].depth[first & last], rtol=0.03)
    assert (view.T_world_camera[5, 2, 3] - view.T_world_camera[0, 2, 3]) > 1  # though the camera drives
    assert following(dataclasses.replace(w, comoving_car=False)) == []


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_some_sequences_stand_still_and_switches_say_which(kind):
    def still(w: World) -> list[bool]:
        poses = [scene(w, i).T_world_camera for i in range(w.scenes)]
        return [bool((p[0, :3, 3] == p[-1, :3, 3]).all()) for p in poses]

    w = world(kind, scenes=14, frames=2)
    assert 1 <= sum(still(w)) <= 6
    assert not any(still(dataclasses.replace(w, static_frames=False)))
    assert all(still(dataclasses.replace(w, ego_motion=False)))


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_taking_things_away_leaves_the_rest_where_it_was(kind):
    w = world(kind, scenes=3)
    full = scene(w, 1)
    for switch in ("furniture", "occluders"):
        bare = scene(dataclasses.replace(w, **{switch: False}), 1)
        assert len(bare.solids) <= len(full.solids)
        assert torch.equal(full.T_world_camera, bare.T_world_camera)
        assert bare.labels == full.labels
        kept = torch.isin(full.solids.instance, bare.solids.instance)
        assert torch.equal(full.solids.centre[kept], bare.solids.centre)
    assert len(scene(dataclasses.replace(w, furniture=False), 1).solids) < 0.7 * len(full.solids)


def test_instances_are_labelled():
    w = world("rooms", scenes=2)
    view = scene(w, 1)
    seen = render(view, 0, w.intrinsics(), w.height, w.width, antialias=1).instances.unique()
    assert view.labels[0] == "nothing"
    assert {"wall", "floor"} & {view.labels[i] for i in seen}
    assert seen.max() < len(view.labels)


def test_size_jitter_zero_makes_cars_alike():
    def lengths(jitter: float) -> int:
        w = world("roads", scenes=4, object_size_jitter=jitter)
        cars = []
        for view in (scene(w, i) for i in range(4)):
            car = torch.tensor(["car" in label for label in view.labels])
            body = car[view.solids.instance] & (
                view.solids.kind == 4
            )  # the longest part of a car is its body
            halves = [view.solids.half[body & (view.solids.instance == k)][:, 2].max() for k in car.nonzero()]
            cars += [round(half.item(), 3) for half in halves]
        return len(set(cars))

    assert lengths(0.0) <= 2  # cars and vans
    assert lengths(1.0) > 5


def test_vanishing_point_is_where_the_roads_edges_meet():
    w = World("roads", scenes=3, height=48, width=144)
    data = load(w, cache=False)
    view, K = scene(w, 1), w.intrinsics()
    u, v = data[1]["vanishing_point"].tolist()
    far = torch.tensor([3.0, 0.0, 1e7, 1.0])  # a point of the kerb, far down the road
    x, y, z = (torch.linalg.inv(view.T_world_camera[0]) @ far)[:3]
    assert abs(K[0, 0] * x / z + K[0, 2] - u) < 0.01
    assert abs(K[1, 1] * y / z + K[1, 2] - v) < 0.01
    assert 0 < v < 48


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "caves"}, "World.kind"),
        ({"split": "holdout"}, "World.split"),
        ({"scenes": 0}, "World.scenes"),
        ({"seed": -1}, "World.seed"),
        ({"kinect": True, "lidar": True}, "sensor_depth"),
    ],
)
def test_impossible_worlds_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        World(**{"kind": "rooms", **fields})


def test_identity_says_everything():
    w = World("rooms")
    others = [
        dataclasses.replace(w, **{field.name: not getattr(w, field.name)})
        for field in dataclasses.fields(w)
        if isinstance(getattr(w, field.name), bool) and field.name != "lidar"
    ]
    assert len({w.identity(), *(o.identity() for o in others)}) == 1 + len(others)
    assert w.describe()["scenes"] == 100


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_other_looks_leave_the_geometry(kind: str) -> None:
    """Depth and outlines are the same to the bit; the pictures are not."""
    rows = {looks: render_row(World(kind, scenes=2, looks=looks, antialias=1), 1) for looks in LOOKS}
    for looks in ("swapped", "any"):
        for name in ("depth", "instances", "T_world_camera"):
            assert np.array_equal(rows[looks][name], rows["natural"][name]), name
        difference = np.abs(rows[looks]["image"].astype(int) - rows["natural"]["image"]).max(-1)
        sky = rows["natural"]["instances"] == 0
        assert (difference[~sky] > 5).mean() > 0.6
    assert "looks" not in World(kind).describe()
    assert World(kind, looks="any").identity() != World(kind).identity()
    with pytest.raises(ValueError, match=r"World\.looks must be one of"):
        World(kind, looks="odd")


def test_swapped_surfaces_are_the_same_surfaces_elsewhere() -> None:
    world = World("rooms", scenes=1)
    before, after = (
        scene(dataclasses.replace(world, looks=looks), 0).materials for looks in ("natural", "swapped")
    )
    assert torch.equal(before[:, -1], after[:, -1])  # lamps and screens shine on
    rows = [sorted(map(tuple, each[:, :-1].tolist())) for each in (before, after)]
    assert rows[0] == rows[1]
    assert (before[:, :-1] != after[:, :-1]).any(1).float().mean() > 0.9
