"""The sensor models against the formulas that they are named after."""

import dataclasses

import numpy as np
import pytest
import torch

from mdepth.datasets.worlds import World, kinect_depth, lidar_depth, load
from mdepth.datasets.worlds.sensors import (
    KINECT_BASELINE,
    KINECT_FOCAL,
    projector_shadow,
    quantise_kinect,
)

K = torch.tensor([[100.0, 0, 49.5], [0, 100.0, 49.5], [0, 0, 1]])


def wall(depth: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Depth, normals and image of a bright wall straight ahead."""
    normals = torch.tensor([0.0, 0.0, -1.0])[:, None, None].expand(3, 100, 100)
    return torch.full((1, 100, 100), depth), normals, torch.full((3, 100, 100), 0.8)


def test_kinect_steps_grow_with_the_square_of_the_depth():
    for z in (1.0, 2.0, 5.0):
        depth = torch.linspace(z - 0.2, z + 0.2, 4001)[None, None]
        steps = quantise_kinect(depth).unique().diff()
        expected = z**2 / (8 * KINECT_FOCAL * KINECT_BASELINE)
        assert steps.median().item() == pytest.approx(expected, rel=0.1)
    assert (quantise_kinect(depth) - depth).abs().max() < 0.6 * steps.max()


def test_kinect_sees_a_near_bright_wall_whole_and_a_far_or_dark_one_in_part():
    rng = np.random.default_rng(0)
    depth, normals, image = wall(2.0)
    assert (kinect_depth(depth, normals, image, K, rng) > 0).all()
    dark = kinect_depth(depth, normals, 0.03 * image, K, rng) > 0
    assert 0.05 < dark.float().mean() < 0.95
    depth, normals, image = wall(9.0)
    far = kinect_depth(depth, normals, 0.5 * image, K, rng) > 0
    assert 0.3 < far.float().mean() < 0.95
    assert (kinect_depth(*wall(0.3), K, rng) == 0).all()


def test_kinect_loses_grazing_surfaces():
    depth, _, image = wall(2.0)
    grazing = torch.tensor([0.995, 0.0, -0.0998])[:, None, None].expand(3, 100, 100)
    seen = kinect_depth(depth, grazing, image, K, np.random.default_rng(0)) > 0
    assert not seen[0, 50, 50]


def test_projector_shadow_is_as_wide_as_the_difference_of_disparities():
    depth = torch.full((1, 1, 400), 4.0)
    depth[..., 200:300] = 1.0
    K_wide = torch.tensor([[200.0, 0, 200], [0, 200.0, 0], [0, 0, 1]])
    shadow = projector_shadow(depth, K_wide)[0, 0]
    expected = 200 * KINECT_BASELINE * (1 / 1.0 - 1 / 4.0)  # to the left of the near surface
    assert abs(shadow.sum().item() - expected) <= 1
    assert shadow[200 - int(expected) + 1 : 200].all()
    assert not shadow[200:].any()


def test_lidar_is_sparse_exact_to_its_noise_and_stops_at_the_top_beam():
    depth = torch.full((1, 64, 192), 20.0)
    K_road = World("roads").intrinsics()
    seen = lidar_depth(depth, K_road, np.random.default_rng(0))
    hit = seen > 0
    assert 0.1 < hit.float().mean() < 0.8
    assert (seen[hit] - 20).std().item() == pytest.approx(0.02, rel=0.1)
    top = K_road[1, 2] - K_road[1, 1] * np.tan(np.deg2rad(2.0))
    assert not hit[0, : int(top) - 1].any()
    assert (lidar_depth(0 * depth + 90, K_road, np.random.default_rng(0)) == 0).all()


def test_lidar_of_a_large_picture_is_as_sparse_as_kittis():
    K_kitti = torch.tensor([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]])
    depth = torch.full((1, 375, 1242), 10.0)
    filled = (lidar_depth(depth, K_kitti, np.random.default_rng(0)) > 0).float().mean().item()
    assert 0.03 < filled < 0.06


@pytest.mark.parametrize(("kind", "sensor"), [("rooms", "kinect"), ("roads", "lidar")])
def test_worlds_give_sensor_depth_near_the_truth_and_leave_the_rest_alone(kind, sensor):
    world = World(kind, scenes=1, height=48, width=64, antialias=1, **{sensor: True})
    sample = load(world, cache=False)[0]
    known = sample["sensor_depth"] > 0
    assert 0.02 < known.float().mean() < 1
    relative = (sample["sensor_depth"] / sample["depth"].clamp(min=0.1) - 1).abs()[known]
    assert relative.median() < 0.02
    plain = load(dataclasses.replace(world, **{sensor: False}), cache=False)[0]
    assert "sensor_depth" not in plain
    assert torch.equal(plain["image"], sample["image"])
    assert torch.equal(plain["depth"], sample["depth"])
    assert torch.equal(load(world, cache=False)[0]["sensor_depth"], sample["sensor_depth"])


def test_what_lands_in_one_column_with_something_nearer_is_in_its_shadow():
    """Shifts of one and two pixels: the second point and the third, which is nearer, land on column 0."""
    depth = torch.tensor([[[1.0, 1.0, 0.5]]])
    shadow = projector_shadow(depth, torch.diag(torch.tensor([2.0, 2.0, 1.0])), baseline=0.5)
    assert shadow.tolist() == [[[False, True, False]]]
