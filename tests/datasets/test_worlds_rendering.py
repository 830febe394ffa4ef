"""Pictures of the worlds: geometry between views, switches, determinism, devices."""

import dataclasses

import pytest
import torch

from mdepth.datasets.worlds import World, render, scene
from mdepth.datasets.worlds.dataset import _right_from_left
from mdepth.geometry import backproject, project, sample, transform_points, warp

CLEAR = {"haze": False, "moving_objects": False}  # what breaks brightness constancy is off


def picture(world: World, index: int = 0, frame: int = 0, **options):
    return render(
        scene(world, index),
        frame,
        world.intrinsics(),
        world.height,
        world.width,
        antialias=world.antialias,
        **options,
    )


def visible_in(source, target, K, T_source_target):
    """Target pixels whose point is also what the source sees there: not occluded, not outside."""
    points = transform_points(T_source_target[None], backproject(target.depth[None], K[None]))
    pixels, depth = project(points, K[None])
    seen = sample(source.depth[None], pixels, mode="nearest", padding="zeros", align_corners=True)
    return ((depth / seen.clamp(min=1e-3) - 1).abs() < 0.02)[0] & (target.depth > 0)


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_warping_by_exact_depth_and_pose_reproduces_the_picture(kind):
    world = World(kind, frames=4, scenes=8, static_frames=False, **CLEAR)
    K = world.intrinsics()
    for index in (1, 5):
        view = scene(world, index)
        target, source = picture(world, index, 1), picture(world, index, 3)
        T = torch.linalg.inv(view.T_world_camera[3]) @ view.T_world_camera[1]
        warped, in_view = warp(source.image[None], target.depth[None], K[None], K[None], T[None])
        good = visible_in(source, target, K, T) & in_view[0]
        assert good.float().mean() > 0.4
        error = (warped[0] - target.image).abs().mean(0, keepdim=True)
        still = (source.image - target.image).abs().mean(0, keepdim=True)
        assert error[good].median() < 0.01
        assert error[good].mean() < 0.025
        assert error[good].mean() < 0.6 * still[good].mean()


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_stereo_disparity_is_focal_times_baseline_over_depth(kind):
    """Shifting the right picture by f b / z gives the left one; any other shift is worse."""
    world = World(kind, scenes=3, **CLEAR)
    view, K = scene(world, 2), world.intrinsics()
    left = picture(world, 2)
    T_right_left = _right_from_left(world)
    right = picture(world, 2, T_world_camera=view.T_world_camera[0] @ torch.linalg.inv(T_right_left))
    good = visible_in(right, left, K, T_right_left)
    v, u = torch.meshgrid(torch.arange(world.height), torch.arange(world.width), indexing="ij")

    def error(factor: float) -> float:
        disparity = factor * K[0, 0] * world.baseline / left.depth[0].clamp(min=1e-3)
        pixels = torch.stack([u - disparity, v.float()])[None]
        moved = sample(right.image[None], pixels, padding="zeros", align_corners=True)[0]
        return (moved - left.image).abs().mean(0, keepdim=True)[good].mean().item()

    assert error(1.0) < 0.025
    assert error(1.0) < 0.6 * min(error(0.8), error(1.2))


def test_dolls_house_looks_the_same_but_stereo_tells_it_apart():
    world = World("rooms", scenes=4)
    room = scene(world, 3)
    doll = room.scaled(0.1)
    K, size = world.intrinsics(), (world.height, world.width)
    big, small = render(room, 0, K, *size), render(doll, 0, K, *size)
    same = torch.isclose(big.depth, 10 * small.depth, rtol=1e-4)
    assert same.float().mean() > 0.999  # a ray that grazes an edge may fall to the other side
    difference = (big.image - small.image).abs().amax(0, keepdim=True)[same]
    assert (
        difference < 1e-5
    ).float().mean() > 0.99  # the rest: one of four rays grazes an edge or a shadow's edge
    assert difference.mean() < 5e-4
    shift = torch.linalg.inv(_right_from_left(world))
    right = [render(s, 0, K, *size, T_world_camera=s.T_world_camera[0] @ shift).image for s in (room, doll)]
    assert (right[0] - right[1]).abs().mean() > 0.03


def test_scaling_by_a_power_of_two_is_exact():
    world = World("roads", scenes=2, height=32, width=96)
    street = scene(world, 1)
    a = render(street, 0, world.intrinsics(), 32, 96)
    b = render(street.scaled(0.5), 0, world.intrinsics(), 32, 96)
    assert torch.allclose(a.image, b.image, atol=1e-5)
    assert torch.allclose(a.depth, 2 * b.depth)


def test_scaling_refuses_what_is_not_positive():
    with pytest.raises(ValueError, match="positive factor"):
        scene(World("rooms"), 0).scaled(0.0)


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_the_same_world_gives_the_same_picture(kind):
    world = World(kind, scenes=2)
    first, second = picture(world, 1), picture(world, 1)
    for name in ("image", "depth", "normals", "instances"):
        assert torch.equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("kind", ["rooms", "roads"])
@pytest.mark.parametrize("switch", ["textures", "shading", "shadows", "haze", "texture_gradient"])
def test_switches_of_looks_leave_geometry_alone(kind, switch):
    world = World(kind, scenes=2)
    plain = dataclasses.replace(world, **{switch: False})
    before, after = picture(world, 1), picture(plain, 1)
    assert torch.equal(before.depth, after.depth)
    assert torch.equal(before.instances, after.instances)
    changed = (before.image - after.image).abs().mean() > 1e-3
    assert changed == (not (kind == "rooms" and switch == "haze"))  # rooms have no haze to take away


def test_texture_contrast_fades_textures_without_changing_colours_much():
    world = World("rooms", scenes=2)
    flat, half, full = (
        picture(dataclasses.replace(world, texture_contrast=c), 1).image for c in (0.0, 0.5, 1.0)
    )
    detail = [(image.diff(dim=2)).abs().mean() for image in (flat, half, full)]
    assert detail[0] < detail[1] < detail[2]
    assert torch.equal(flat, picture(dataclasses.replace(world, textures=False), 1).image)


def test_antialiasing_changes_colours_only():
    world = World("roads", scenes=1)
    rough = picture(dataclasses.replace(world, antialias=1))
    fine = picture(dataclasses.replace(world, antialias=3))
    assert torch.equal(rough.depth, fine.depth)
    assert torch.equal(rough.normals, fine.normals)
    assert fine.image.diff(dim=2).abs().mean() < rough.image.diff(dim=2).abs().mean()


def test_any_size_is_a_part_of_the_larger_picture():
    """A smaller picture with the same K is the top left corner of a larger one, whatever the tiles."""
    world = World("rooms", scenes=1)
    view, K = scene(world, 0), world.intrinsics()
    large, small = render(view, 0, K, 96, 128), render(view, 0, K, 37, 51)
    assert torch.allclose(large.depth[:, :37, :51], small.depth, rtol=1e-5)


def test_impossible_frames_and_samples_are_refused():
    world = World("rooms", scenes=1, frames=2)
    with pytest.raises(ValueError, match="frames 0 to 1"):
        picture(world, 0, 2)
    with pytest.raises(ValueError, match="at least 1"):
        render(scene(world, 0), 0, world.intrinsics(), 8, 8, antialias=0)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_gpu_gives_what_the_cpu_gives(kind):
    world = World(kind, scenes=2)
    cpu, gpu = picture(world, 1), picture(world, 1, device="cuda")
    same = torch.isclose(cpu.depth, gpu.depth.cpu(), rtol=1e-4)
    assert same.float().mean() > 0.998  # the rest are rays that graze an edge
    assert (cpu.instances == gpu.instances.cpu()).float().mean() > 0.998
    assert (cpu.image - gpu.image.cpu()).abs().mean() < 2e-3
