"""Cameras, motions and warping: round trips, gradients, and the numbers of Monodepth2's own functions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mdepth import geometry as g

# Monodepth2's layout for an 8 x 12 image, in the normalised intrinsics that its code uses for KITTI.
HEIGHT, WIDTH = 8, 12
K = torch.tensor([[[0.58 * WIDTH, 0.0, 0.5 * WIDTH], [0.0, 1.92 * HEIGHT, 0.5 * HEIGHT], [0.0, 0.0, 1.0]]])
AXIS_ANGLE, TRANSLATION = torch.tensor([[0.02, -0.05, 0.01]]), torch.tensor([[0.1, -0.02, 0.3]])


def wave_image(phase: float, dtype=torch.float32) -> torch.Tensor:
    """The closed-form colour image 0.5 + 0.5 sin(0.3 x + 0.5 y + c + phase)."""
    u, v = g.pixel_grid(HEIGHT, WIDTH, dtype=dtype)
    return torch.stack([0.5 + 0.5 * torch.sin(0.3 * u + 0.5 * v + c + phase) for c in range(3)])[None]


def wave_depth() -> torch.Tensor:
    """Depth 1 / (0.01 + 9.99 s) of the closed-form sigmoid s = 0.2 + 0.1 cos(0.2 x + 0.35 y)."""
    u, v = g.pixel_grid(HEIGHT, WIDTH)
    return g.inverse_depth_to_depth(0.01 + 9.99 * (0.2 + 0.1 * torch.cos(0.2 * u + 0.35 * v)))[None, None]


def random_scene(generator: torch.Generator, dtype=torch.float64):
    """Depth, intrinsics and a small motion for two 5 x 6 views."""
    depth = 2 + torch.rand(2, 1, 5, 6, generator=generator, dtype=dtype)
    intrinsics = torch.tensor([[6.0, 0.1, 2.4], [0.0, 7.0, 2.1], [0.0, 0.0, 1.0]], dtype=dtype)
    intrinsics = intrinsics.repeat(2, 1, 1)
    motion = 0.1 * torch.randn(2, 6, generator=generator, dtype=dtype)
    return depth, intrinsics, motion


# --- depth, inverse depth, disparity


def test_reciprocals_keep_missing_missing_and_gradients_finite():
    depth = torch.tensor([0.5, 0.0, 4.0], requires_grad=True)
    inverse = g.depth_to_inverse_depth(depth)
    assert inverse.tolist() == [2.0, 0.0, 0.25]
    assert torch.equal(g.inverse_depth_to_depth(inverse), depth)
    inverse.sum().backward()
    assert depth.grad.tolist() == [-4.0, 0.0, -0.0625]


def test_disparity_round_trip_and_a_known_value():
    depth = torch.tensor([5.4, 0.0, 54.0])
    disparity = g.depth_to_disparity(depth, focal=100.0, baseline=0.54)
    torch.testing.assert_close(disparity, torch.tensor([10.0, 0.0, 1.0]))
    torch.testing.assert_close(g.disparity_to_depth(disparity, focal=100.0, baseline=0.54), depth)


# --- cameras


def test_pixel_grid_counts_columns_then_rows():
    grid = g.pixel_grid(3, 5)
    assert grid.shape == (2, 3, 5)
    assert grid[:, 2, 4].tolist() == [4.0, 2.0]
    assert grid[:, 0, 0].tolist() == [0.0, 0.0]


def test_backproject_then_project_returns_every_pixel(generator):
    depth, intrinsics, _ = random_scene(generator)
    pixels, z = g.project(g.backproject(depth, intrinsics), intrinsics)
    here = g.pixel_grid(5, 6, dtype=torch.float64).expand(2, -1, -1, -1)
    torch.testing.assert_close(pixels, here, atol=1e-12, rtol=0)
    torch.testing.assert_close(z, depth)


def test_a_hand_computed_projection():
    intrinsics = torch.tensor([[[100.0, 0.0, 50.0], [0.0, 200.0, 40.0], [0.0, 0.0, 1.0]]])
    pixels, z = g.project(torch.tensor([[[1.0], [-0.5], [4.0]]]), intrinsics)
    assert pixels.flatten().tolist() == [75.0, 15.0]  # 100 * 1/4 + 50, 200 * -0.5/4 + 40
    assert z.item() == 4.0


def test_points_behind_the_camera_have_no_image():
    behind_on_before = [[0.0, 0.0, 0.1], [0.0, 0.0, 0.1], [-2.0, 0.0, 2.0]]
    points = torch.tensor([behind_on_before], requires_grad=True)
    pixels, z = g.project(points, K)
    assert pixels[0, :, :2].eq(g.OUTSIDE).all()
    assert g.in_image(pixels, HEIGHT, WIDTH).flatten().tolist() == [False, False, True]
    assert z.flatten().tolist() == [-2.0, 0.0, 2.0]
    pixels.sum().backward()
    assert points.grad.isfinite().all()
    assert points.grad[0, :, :2].eq(0).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([2, 3, 0.5]))
def test_scaled_intrinsics_follow_the_half_pixel_rule(height, width, factor):
    """A point's pixel in the resized image is (u + 0.5) s - 0.5; and there is a way back."""
    old, new = (2 * height, 2 * width), (int(2 * height * factor), int(2 * width * factor))
    intrinsics = torch.tensor([[[20.0, 0.0, 7.3], [0.0, 25.0, 5.1], [0.0, 0.0, 1.0]]], dtype=torch.float64)
    point = torch.tensor([[[0.3], [0.2], [2.0]]], dtype=torch.float64)
    before, _ = g.project(point, intrinsics)
    scaled = g.scale_intrinsics(intrinsics, old, new)
    after, _ = g.project(point, scaled)
    torch.testing.assert_close(after, (before + 0.5) * factor - 0.5)
    torch.testing.assert_close(g.scale_intrinsics(scaled, new, old), intrinsics)


def test_scaling_intrinsics_agrees_with_torch_resizing():
    """Halving an image whose value is u moves values exactly as halving K moves pixels."""
    ramp = g.pixel_grid(4, 8)[:1][None]
    small = F.interpolate(ramp, scale_factor=0.5, mode="bilinear", align_corners=False)  # old u
    scaled = g.scale_intrinsics(torch.eye(3)[None], (4, 8), (2, 4))
    old_to_new = small * scaled[0, 0, 0] + scaled[0, 0, 2]
    torch.testing.assert_close(old_to_new[0, 0, 0], torch.arange(4.0))


def test_cropping_moves_pixels_by_the_cut():
    point = torch.tensor([[[0.3], [0.2], [2.0]]])
    before, _ = g.project(point, K)
    after, _ = g.project(point, g.crop_intrinsics(K, left=3, top=2))
    torch.testing.assert_close(before - after, torch.tensor([[[3.0], [2.0]]]))


# --- rigid motions


def test_rodrigues_reproduces_the_published_numbers():
    T = g.transform_from_axis_angle(AXIS_ANGLE, TRANSLATION)
    expected = [
        [0.9987003, -0.0104949, -0.0498749, 0.1],
        [0.0094951, 0.9997501, -0.0202399, -0.02],
        [0.0500749, 0.0197400, 0.9985504, 0.3],
    ]
    inverse = [
        [0.9987003, 0.0094951, 0.0500749, -0.1147026],
        [-0.0104949, 0.9997501, 0.0197400, 0.0151225],
        [-0.0498749, -0.0202399, 0.9985504, -0.2949824],
    ]
    # The official code divides the axis by its length + 1e-7, which moves the printed digits by up to 1e-7.
    torch.testing.assert_close(T[0, :3], torch.tensor(expected), atol=2e-7, rtol=0)
    torch.testing.assert_close(g.invert_transform(T)[0, :3], torch.tensor(inverse), atol=2e-7, rtol=0)
    assert T[0, 3].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_rotations_are_rotations_and_small_angles_are_exact():
    vectors = [[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [0.3, -1.2, 0.7], [math.pi, 0.0, 0.0]]
    vectors = torch.tensor(vectors, dtype=torch.float64)
    R = g.rotation_from_axis_angle(vectors)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(R @ R.mT, eye.expand(4, 3, 3), atol=1e-14, rtol=0)
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(4, dtype=torch.float64))
    assert torch.equal(R[0], eye)
    assert R[1, 2, 1].item() == pytest.approx(1e-9, rel=1e-12)
    torch.testing.assert_close(R[3], torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)))


def test_rotation_agrees_with_the_matrix_exponential(generator):
    v = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    zero = torch.zeros(5, dtype=torch.float64)
    x, y, z = v.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(5, 3, 3)
    torch.testing.assert_close(g.rotation_from_axis_angle(v), torch.linalg.matrix_exp(cross))


def test_motions_chain_and_invert(generator):
    motion = torch.randn(2, 3, 6, generator=generator, dtype=torch.float64)
    T_world_a, T_world_b = (g.transform_from_axis_angle(m[:, :3], m[:, 3:]) for m in motion)
    T_a_b = g.relative_transform(T_world_a, T_world_b)
    points = torch.randn(3, 3, 7, generator=generator, dtype=torch.float64)
    in_world = g.transform_points(T_world_b, points)
    torch.testing.assert_close(g.transform_points(T_world_a, g.transform_points(T_a_b, points)), in_world)
    torch.testing.assert_close(g.transform_points(g.invert_transform(T_world_b), in_world), points)


# --- sampling and warping


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_both_conventions_sample_the_same_picture(align_corners, padding, generator):
    image = torch.rand(1, 2, 5, 7, generator=generator, dtype=torch.float64)
    pixels = 8 * torch.rand(1, 2, 20, 20, generator=generator, dtype=torch.float64) - 1
    sampled = g.sample(image, pixels, padding=padding, align_corners=align_corners)
    torch.testing.assert_close(sampled, g.sample(image, pixels, padding=padding))
    u, v = 3.25, 1.5
    x = image[0, :, 1:3, 3:5]
    by_hand = 0.5 * (0.75 * x[:, 0, 0] + 0.25 * x[:, 0, 1]) + 0.5 * (0.75 * x[:, 1, 0] + 0.25 * x[:, 1, 1])
    here = torch.tensor([u, v], dtype=torch.float64).reshape(1, 2, 1, 1)
    torch.testing.assert_close(g.sample(image, here, align_corners=align_corners).flatten(), by_hand)


@pytest.mark.parametrize("align_corners", [True, False])
def test_beside_a_single_row_there_is_nothing(align_corners):
    row = torch.ones(1, 1, 1, 3)
    pixels = torch.tensor([[1.0, 0.0], [1.0, 0.5], [1.0, 5.0], [4.0, 0.0]]).T.reshape(1, 2, 1, 4)
    values = g.sample(row, pixels, align_corners=align_corners)
    torch.testing.assert_close(values.flatten(), torch.tensor([1.0, 0.5, 0.0, 0.0]))


def test_reflection_is_where_the_conventions_differ():
    image = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 1, 1, 3)
    outside = torch.tensor([-1.0, 0.0]).reshape(1, 2, 1, 1)
    about_centre = g.sample(image, outside, padding="reflection", align_corners=True)
    about_edge = g.sample(image, outside, padding="reflection", align_corners=False)
    assert (about_centre.item(), about_edge.item()) == pytest.approx((2.0, 1.0))


def test_identity_warp_and_the_famous_half_pixel():
    """Consistent conventions give the image back; dividing by W-1 and leaving today's default does not."""
    image, here = wave_image(0.4), g.pixel_grid(HEIGHT, WIDTH)[None]
    assert (g.sample(image, here, padding="border", align_corners=True) - image).abs().max() < 2e-6
    assert (g.sample(image, here, padding="border", align_corners=False) - image).abs().max() < 2e-6
    grid = g.normalise_pixels(here, HEIGHT, WIDTH, align_corners=True)
    mixed = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    assert (mixed - image).abs().max().item() == pytest.approx(0.144, abs=5e-4)


def test_warp_reproduces_the_published_numbers():
    depth, T = wave_depth(), g.transform_from_axis_angle(AXIS_ANGLE, TRANSLATION)
    assert depth[0, 0, 0, 0].item() == pytest.approx(0.3325574, abs=1e-6)
    assert depth[0, 0, 4, 6].item() == pytest.approx(0.8680796, abs=1e-6)
    pixels, _ = g.project(g.transform_points(T, g.backproject(depth, K)), K)
    grid = g.normalise_pixels(pixels, HEIGHT, WIDTH, align_corners=True)
    for (row, column), expected in {
        (0, 0): (-0.3240387, -0.6837976), (4, 6): (0.1524068, 0.0015517), (7, 11): (0.7619072, 0.5295559)
    }.items():  # fmt: skip
        assert grid[0, row, column].tolist() == pytest.approx(expected, abs=2e-6)
    warped, in_view = g.warp(wave_image(0.4), depth, K, K, T, padding="border")
    assert warped.mean().item() == pytest.approx(0.2938837, abs=2e-6)
    assert in_view.all()
    mixed = F.grid_sample(wave_image(0.4), grid, padding_mode="border", align_corners=False)
    assert mixed.mean().item() == pytest.approx(0.3198936, abs=2e-6)


def test_warp_moves_a_wall_by_the_disparity():
    """Seen from a camera shifted to the right by b, a wall appears f b / depth columns further left."""
    focal, baseline, depth = 10.0, 0.5, torch.full((1, 1, 4, 9), 5.0)
    intrinsics = torch.tensor([[[focal, 0.0, 4.0], [0.0, focal, 1.5], [0.0, 0.0, 1.0]]])
    source = g.pixel_grid(4, 9)[:1][None]  # value = column in the source view
    T_source_target = g.transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[-baseline, 0.0, 0.0]]))
    warped, in_view = g.warp(source, depth, intrinsics, intrinsics, T_source_target)
    shift = g.depth_to_disparity(depth, focal, baseline)[0, 0, 0, 0].item()
    assert shift == 1.0
    torch.testing.assert_close(warped[0, 0, :, 1:], source[0, 0, :, 1:] - shift)
    assert in_view[0, 0, :, 1:].all()
    assert not in_view[0, 0, :, 0].any()


def test_warp_never_shows_what_lies_behind_or_has_no_depth():
    depth = torch.full((1, 1, HEIGHT, WIDTH), 2.0)
    depth[..., 0, 0] = 0.0
    turn_around = g.transform_from_axis_angle(torch.tensor([[0.0, math.pi, 0.0]]), torch.zeros(1, 3))
    warped, in_view = g.warp(wave_image(0.0), depth, K, K, turn_around)
    assert not in_view.any()
    assert warped.eq(0).all()
    _, in_view = g.warp(wave_image(0.0), depth, K, K, torch.eye(4)[None])
    assert in_view.sum() == HEIGHT * WIDTH - 1
    assert not in_view[0, 0, 0, 0]
    ahead = g.transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 1.0]]))
    _, in_view = g.warp(wave_image(0.0), depth, K, K, ahead)  # the source looks at the target's camera
    assert not in_view[0, 0, 0, 0]
    assert in_view[0, 0, 4, 6]


@pytest.mark.parametrize("size", [(8, 12), (96, 128), (192, 640)])
def test_a_camera_at_rest_loses_no_pixel_to_rounding(size, generator):
    """There and back again, a border pixel comes out up to 1e-4 outside; it is in view all the same."""
    height, width = size
    intrinsics = K * torch.tensor([width / WIDTH, height / HEIGHT, 1.0])[:, None]
    depth = 1 + 50 * torch.rand(1, 1, *size, generator=generator)
    identity = torch.eye(4)[None]
    assert g.warp(torch.zeros(1, 1, *size), depth, intrinsics, intrinsics, identity)[1].all()
    a_tenth = g.transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[-0.1, 0.0, 0.0]]))
    far = torch.full_like(depth, intrinsics[0, 0, 0].item())  # moves everything by a tenth of a pixel
    _, in_view = g.warp(torch.zeros(1, 1, *size), far, intrinsics, intrinsics, a_tenth)
    assert not in_view[..., 0].any()
    assert in_view[..., 1:].all()


def test_warp_between_sizes():
    depth = torch.full((1, 1, 4, 6), 3.0)
    K_target = g.scale_intrinsics(K, (HEIGHT, WIDTH), (4, 6))
    warped, in_view = g.warp(wave_image(0.0), depth, K, K_target, torch.eye(4)[None])
    halved = F.interpolate(wave_image(0.0), scale_factor=0.5, mode="bilinear", align_corners=False)
    torch.testing.assert_close(warped, halved, atol=1e-5, rtol=0)
    assert in_view.all()


# --- normals


def test_normals_of_a_plane_are_exact_everywhere():
    normal = torch.tensor([0.3, -0.6, -0.74], dtype=torch.float64)
    normal = normal / normal.norm()
    K64 = K.double()
    rays = g.backproject(torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.float64), K64)
    depth = -2.0 / torch.einsum("c,bchw->bhw", normal, rays)[:, None]  # n . X = -2
    assert (depth > 0).all()
    found = g.normals_from_depth(depth, K64)
    torch.testing.assert_close(found, normal.reshape(1, 3, 1, 1).expand_as(found), atol=1e-12, rtol=0)


def test_normals_are_zero_around_missing_depth():
    depth = torch.full((1, 1, 6, 6), 2.0)
    depth[..., 2, 3] = 0
    lengths = g.normals_from_depth(depth, K).norm(dim=1)[0]
    expected = torch.ones(6, 6)
    expected[1:4, 2:5] = 0
    torch.testing.assert_close(lengths, expected)


def test_normals_need_one_camera_per_image():
    with pytest.raises(Exception, match=r"(?s)B|shape"):
        g.normals_from_depth(torch.ones(2, 1, 4, 4), K)


# --- gradients


def test_gradients_of_warping_and_motion(generator):
    depth, intrinsics, motion = random_scene(generator)
    source = torch.rand(2, 2, 5, 6, generator=generator, dtype=torch.float64)

    def warped(source, depth, motion):
        T = g.transform_from_axis_angle(motion[:, :3], motion[:, 3:])
        return g.warp(source, depth, intrinsics, intrinsics, T, padding="border")[0]

    inputs = [x.requires_grad_() for x in (source, depth, motion)]
    assert torch.autograd.gradcheck(warped, inputs, atol=1e-6)


def test_gradients_of_rotation_include_the_identity(generator):
    v = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    v[0] = 0
    assert torch.autograd.gradcheck(g.rotation_from_axis_angle, v.requires_grad_(), eps=1e-7, atol=1e-6)


def test_gradients_of_normals_and_points(generator):
    depth, intrinsics, _ = random_scene(generator)
    assert torch.autograd.gradcheck(lambda d: g.normals_from_depth(d, intrinsics), depth.requires_grad_())
    there_and_back = lambda d, k: g.project(g.backproject(d, k), 2 * k)[0]  # noqa: E731
    assert torch.autograd.gradcheck(there_and_back, (depth, intrinsics.requires_grad_()))


@pytest.mark.gpu
def test_warp_agrees_between_devices():
    T = g.transform_from_axis_angle(AXIS_ANGLE, TRANSLATION)
    inputs = (wave_image(0.4), wave_depth(), K, K, T)
    here, seen = g.warp(*inputs, padding="border")
    there, seen_there = g.warp(*(x.cuda() for x in inputs), padding="border")
    torch.testing.assert_close(here, there.cpu(), atol=1e-5, rtol=0)
    assert torch.equal(seen, seen_there.cpu())
