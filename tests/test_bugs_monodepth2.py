"""The known bugs of the loss without labels: each is wrong as its docstring says, and by how much."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from mdepth_bugs.monodepth2 import (
    black_outside,
    clamped_in_front,
    errors_of_parts,
    l1_at_its_share,
    loss_of_parts,
    masked_as_zero,
    masked_left_out,
    mean_with_still,
    mirrored_behind,
    noise_on_warped,
    not_clamped,
    not_halved,
    sampled_by_default,
    smoothness_of_inverse_depth,
    smoothness_unnormalised,
    smoothness_upsampled,
    zero_padded_ssim,
)

from mdepth.datasets.worlds import World, load
from mdepth.geometry import (
    backproject,
    invert_transform,
    pixel_grid,
    project,
    relative_transform,
    sample,
    scale_translation,
    sigmoid_to_inverse_depth,
    transform_from_axis_angle,
    transform_points,
)
from mdepth.image import resize, ssim_dissimilarity
from mdepth.reprojection import (
    Reprojection,
    edge_aware_smoothness,
    least_error,
    photometric_error,
    reprojection_loss,
    still_errors,
    warped_errors,
)

SIZE = (32, 64)
EXACT = Reprojection(noise=0.0)
PHASES = {-1: -0.25, 0: 0.0, 1: 0.25, "s": 0.125}
NUMBERS = {
    -1: (0.01, -0.02, 0.005, 0.02, -0.01, 0.05),
    1: (-0.005, 0.015, 0.01, -0.03, 0.005, 0.04),
    "s": (0.0, 0.0, 0.0, -0.1, 0.0, 0.0),
}
VIDEO = (-1, 1)


def waves(height: int, width: int, *, x: float, y: float, c: float, phase: float) -> torch.Tensor:
    """0.5 + 0.5 sin(x u + y v + c channel + phase)."""
    u, v = pixel_grid(height, width)
    return torch.stack([0.5 + 0.5 * torch.sin(x * u + y * v + c * k + phase) for k in range(3)])[None]


def picture(frame: int | str, scale: int = 0) -> torch.Tensor:
    """A frame of the whole-loss example."""
    step = 2**scale
    return waves(SIZE[0] // step, SIZE[1] // step, x=0.11 * step, y=0.17 * step, c=0.9, phase=PHASES[frame])


def answer(scale: int = 0) -> torch.Tensor:
    """Its sigmoid."""
    u, v = 2**scale * pixel_grid(SIZE[0] >> scale, SIZE[1] >> scale)
    return (0.3 + 0.2 * torch.cos(0.07 * u - 0.05 * v))[None, None]


def camera(height: int, width: int) -> torch.Tensor:
    """0.58 and 1.92 of the sides."""
    return torch.tensor(
        [[[0.58 * width, 0.0, 0.5 * width], [0.0, 1.92 * height, 0.5 * height], [0.0, 0.0, 1.0]]]
    )


def motion(numbers: tuple[float, ...]) -> torch.Tensor:
    """Rotation and translation as a matrix."""
    return transform_from_axis_angle(torch.tensor([numbers[:3]]), torch.tensor([numbers[3:]]))


def example(frames: tuple[int | str, ...] = VIDEO, scales: int = 4) -> dict[str, Any]:
    """The arguments of the whole-loss example."""
    motions = [invert_transform(motion(NUMBERS[f])) if f == -1 else motion(NUMBERS[f]) for f in frames]
    return {
        "sigmoids": [answer(scale) for scale in range(scales)],
        "pyramid": [picture(0, scale) for scale in range(scales)],
        "sources": torch.stack([picture(frame) for frame in frames], dim=1),
        "K": camera(*SIZE),
        "T_source_target": torch.stack(motions, dim=1),
    }


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def street() -> dict[str, torch.Tensor]:
    """The second frames of two streets, in the first of which the camera is at rest."""
    data = load(World("roads", "val", scenes=2, frames=3, stereo=True))
    before, target, behind = (data.batch([k, 3 + k]) for k in range(3))
    poses = [
        relative_transform(each["T_world_camera"], target["T_world_camera"]) for each in (before, behind)
    ]
    return {
        "depth": torch.where(target["valid"], target["depth"], 1e4),
        "target": target["image"],
        "sources": torch.stack([before["image"], behind["image"]], dim=1),
        "K": target["K"],
        "T_source_target": torch.stack(poses, dim=1),
    }


def means(errors: torch.Tensor) -> list[list[float]]:
    """One an image and source."""
    return errors.mean(dim=(2, 3)).tolist()


# --- errors and loss from parts


@pytest.mark.parametrize("frames", [VIDEO, ("s",), (-1, 1, "s")], ids=["video", "stereo", "both"])
@pytest.mark.parametrize("switches", [{}, {"automask": False}, {"minimum": False, "alpha": 0.0}])
def test_right_parts_make_the_right_loss(frames: tuple, switches: dict[str, Any]) -> None:
    arguments, how = example(frames), Reprojection(noise=0.0, **switches)
    error = partial(photometric_error, alpha=how.alpha)
    assert loss_of_parts(**arguments, how=how, error=error).item() == pytest.approx(
        reprojection_loss(**arguments, how=how).item(), abs=1e-7
    )
    del arguments["pyramid"]
    depth = 1 / sigmoid_to_inverse_depth(arguments.pop("sigmoids")[0])
    assert torch.equal(*(f(depth, picture(0), **arguments) for f in (errors_of_parts, warped_errors)))


# --- where a point is looked up


def test_the_whole_loss_as_todays_torch_has_it() -> None:
    wrong = partial(loss_of_parts, how=EXACT, sample=sampled_by_default)
    assert wrong(**example()).item() == pytest.approx(0.0517699, abs=2e-6)
    assert reprojection_loss(**example(), how=EXACT).item() == pytest.approx(0.0472869, abs=2e-6)
    arguments, shares, each = example(), [], []
    sigmoids, pyramid = arguments.pop("sigmoids"), arguments.pop("pyramid")
    for scale, sigmoid in enumerate(sigmoids):
        depth = 1 / sigmoid_to_inverse_depth(resize(sigmoid, SIZE))
        errors = errors_of_parts(depth, picture(0), **arguments, sample=sampled_by_default)
        least, winner = least_error(errors, still_errors(picture(0), arguments["sources"]))
        smooth = edge_aware_smoothness(sigmoid, pyramid[scale])
        each.append((least.mean() + 1e-3 / 2**scale * smooth).item())
        shares.append((winner < 2).double().mean().item())
    assert each == pytest.approx([0.0519309, 0.0518793, 0.0517800, 0.0514893], abs=2e-6)
    assert shares == pytest.approx([0.6357, 0.6357, 0.6338, 0.6294], abs=1e-3)  # 0.6851 to 0.6807 is right


def test_an_image_that_does_not_move_is_not_itself() -> None:
    image, pixels = waves(8, 12, x=0.3, y=0.5, c=1.0, phase=0.4), pixel_grid(8, 12)[None]
    assert (sampled_by_default(image, pixels) - image).abs().max().item() == pytest.approx(0.144, abs=5e-4)
    assert (sample(image, pixels, padding="border") - image).abs().max() < 2e-6
    u, v = pixel_grid(8, 12)
    depth = 1 / sigmoid_to_inverse_depth((0.2 + 0.1 * torch.cos(0.2 * u + 0.35 * v))[None, None])
    T, K = motion((0.02, -0.05, 0.01, 0.1, -0.02, 0.3)), camera(8, 12)
    pixels, _ = project(transform_points(T, backproject(depth, K)), K)
    assert sampled_by_default(image, pixels).mean().item() == pytest.approx(0.3198936, abs=2e-6)
    assert sample(image, pixels, padding="border").mean().item() == pytest.approx(0.2938837, abs=2e-6)


def test_half_a_pixel_at_the_borders_and_none_in_the_middle() -> None:
    columns = torch.arange(41.0).expand(1, 3, 5, 41)
    found = sampled_by_default(columns, pixel_grid(5, 41)[None])[0, 0, 2] - torch.arange(41.0)
    assert found[[10, 20, 30]].tolist() == pytest.approx([-0.25, 0, 0.25], abs=1e-5)
    assert found[1:40].tolist() == pytest.approx([x / 40 - 0.5 for x in range(1, 40)], abs=1e-5)


@pytest.mark.parametrize(("x", "off"), [(30.0, -0.484), (330.0, -0.015), (630.0, 0.454)])
def test_the_disparity_that_explains_a_pair_is_half_a_pixel_off_at_the_sides(x: float, off: float) -> None:
    disparity, width = 20.0, 640
    columns = torch.arange(float(width)).expand(1, 3, 2, width)  # the right eye, every pixel its own column
    best = disparity - 0.5 + (x - disparity + 0.5) / width
    assert best - disparity == pytest.approx(off, abs=1e-3)
    there = torch.tensor([x - best, 0.5]).view(1, 2, 1, 1)
    assert sampled_by_default(columns, there)[0, 0].item() == pytest.approx(x - disparity, abs=1e-3)


def test_a_camera_at_rest_no_longer_explains_its_own_image(street: dict[str, torch.Tensor]) -> None:
    right, wrong = (means(errors_of_parts(**street, **part)) for part in ({}, {"sample": sampled_by_default}))
    assert max(right[0]) < 0.001
    assert wrong[0] == pytest.approx([0.019, 0.019], abs=0.003)
    assert all(bad > good + 0.004 for bad, good in zip(wrong[1], right[1], strict=True))


def test_black_outside_costs_what_an_image_is_brighter_than_black(street: dict[str, torch.Tensor]) -> None:
    wall, depth, T = torch.full((1, 3, 8, 12), 0.8), torch.ones(1, 1, 8, 12), torch.eye(4)[None, None].clone()
    T[..., 0, 3] = 10.0  # so far to the left that nothing is seen twice
    both = [
        errors_of_parts(depth, wall, wall[:, None], camera(8, 12), T, **part)
        for part in ({}, {"sample": black_outside})
    ]
    assert both[0].max() < 1e-6
    assert torch.allclose(both[1], photometric_error(wall, 0 * wall))
    assert both[1].min().item() == pytest.approx(0.15 * 0.8 + 0.85 * 0.5, abs=1e-3)
    right, wrong = (means(errors_of_parts(**street, **part)) for part in ({}, {"sample": black_outside}))
    assert wrong[1][0] == pytest.approx(right[1][0], rel=0.02)  # the earlier frame sees the sides
    assert wrong[1][1] > 1.7 * right[1][1]


def test_a_point_behind_the_camera_is_seen_as_its_mirror_image() -> None:
    K = torch.tensor([[[20.0, 0.0, 9.5], [0.0, 20.0, 4.5], [0.0, 0.0, 1.0]]])
    behind = torch.tensor([0.4, 0.3, -2.0]).view(1, 3, 1, 1)
    pixels, depth = mirrored_behind(behind, K)
    assert torch.allclose(pixels, project(-behind, K)[0])
    assert depth.item() == -2
    in_front = torch.tensor([0.4, 0.3, 2.0]).view(1, 3, 1, 1)
    assert torch.allclose(mirrored_behind(in_front, K)[0], project(in_front, K)[0], atol=1e-5)


def test_ground_left_behind_is_explained_by_what_is_above_the_horizon() -> None:
    K, T = camera(8, 10), torch.eye(4)[None, None].clone()
    T[..., 2, 3] = -1.0  # a step of 1 forward, with everything at 0.5
    image = noise(1, 3, 8, 10)
    slopes = {}
    for wrong in (project, mirrored_behind, clamped_in_front):
        depth = torch.full((1, 1, 8, 10), 0.5, requires_grad=True)
        points = transform_points(T[:, 0], backproject(depth, K))
        pixels, _ = wrong(points, K)
        if wrong is mirrored_behind:
            assert (pixels[0, 1, 5:] < 3.5).all()  # below the horizon, row 4; now above it
        errors_of_parts(depth, image, image[:, None], K, T, project=wrong).sum().backward()
        slopes[wrong] = (depth.grad != 0).double().mean().item()
    assert slopes[project] == 0
    assert slopes[mirrored_behind] > 0.9
    assert slopes[clamped_in_front] < 0.1


def test_a_clamped_distance_draws_what_is_near_towards_the_corner() -> None:
    K = torch.tensor([[[20.0, 0.0, 9.5], [0.0, 20.0, 4.5], [0.0, 0.0, 1.0]]])
    z = torch.tensor([0.05, 0.1, 3.0, -0.05, -3.0])
    points = z * torch.tensor([0.2, -0.1, 1.0])[:, None]  # all on one line through the camera
    seen = clamped_in_front(points[None], K)[0][0]
    assert seen[0].tolist() == pytest.approx([13.5 * f for f in (0.5, 1, 1, -0.5, -30)], abs=1e-4)
    assert seen[1].tolist() == pytest.approx([2.5 * f for f in (0.5, 1, 1, -0.5, -30)], abs=1e-4)
    assert torch.allclose(mirrored_behind(points[None], K)[0][0, 0], torch.tensor(13.5), atol=1e-3)


# --- how unlike two images are


def test_without_the_half_structure_counts_twice_and_opposites_do_not_learn() -> None:
    first = 0.5 + 0.2 * noise(1, 3, 9, 11)
    near = first + 0.03 * noise(1, 3, 9, 11, seed=1)
    assert ssim_dissimilarity(first, near).max() < 0.5
    assert torch.allclose(not_halved(first, near, 1.0), 2 * photometric_error(first, near, 1.0), atol=1e-6)
    assert torch.equal(not_halved(first, near, 0.0), photometric_error(first, near, 0.0))
    board = (0.5 + 0.4 * (-1.0) ** pixel_grid(9, 11).sum(0)).expand(1, 3, 9, 11)
    slopes = {}
    for error in (photometric_error, not_halved):
        image = (board + 0.01 * noise(1, 3, 9, 11)).requires_grad_()
        found = error(image, 1 - board, 1.0)
        (slope,) = torch.autograd.grad(found.sum(), image)
        slopes[error] = slope.abs().max().item(), found.min().item()
    assert slopes[not_halved] == (0, 1)
    assert slopes[photometric_error][0] > 0.01


def test_a_clamp_changes_nothing_but_what_was_rounded_badly() -> None:
    pairs = [(noise(4, 3, 9, 11), noise(4, 3, 9, 11, seed=1)), (noise(4, 3, 9, 11), 1 - noise(4, 3, 9, 11))]
    for pair in pairs:
        assert torch.allclose(not_clamped(*pair), photometric_error(*pair), atol=1e-7)
    even = [255 * (0.5 + 1e-4 * noise(1, 3, 64, 64, seed=seed)) for seed in range(2)]
    assert photometric_error(*even, 1.0).aminmax() == pytest.approx((0, 1), abs=0.1)
    low, high = not_clamped(*even, 1.0).aminmax()
    assert high - low > 10


def test_black_around_both_images_makes_textures_alike_along_the_border() -> None:
    pair = noise(20, 3, 12, 16), noise(20, 3, 12, 16, seed=1)
    right, wrong = photometric_error(*pair, 1.0), zero_padded_ssim(*pair, 1.0)
    border = torch.ones(12, 16, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert torch.allclose(right[..., ~border], wrong[..., ~border], atol=1e-6)
    assert wrong[..., border].mean().item() == pytest.approx(0.5 * right[..., border].mean().item(), rel=0.1)
    even = torch.full((1, 3, 6, 6), 0.5), torch.ones(1, 3, 6, 6)  # SSIM 0.8; with the edge, its square
    assert photometric_error(*even, 1.0)[0, 0, 0, 2].item() == pytest.approx((1 - 0.8) / 2, abs=1e-3)
    assert zero_padded_ssim(*even, 1.0)[0, 0, 0, 2].item() == pytest.approx((1 - 0.64) / 2, abs=1e-3)


def test_differences_left_alone_make_the_smoothness_count_more() -> None:
    pair = noise(1, 3, 6, 7), noise(1, 3, 6, 7, seed=1)
    assert torch.allclose(l1_at_its_share(*pair), 0.15 * photometric_error(*pair, 0.0))
    step = 0.1 + 0.5 * noise(1, 1, 6, 7, seed=2)
    smooth = 1e-3 * edge_aware_smoothness(step, pair[0])
    share = [(smooth / error.mean()).item() for error in (l1_at_its_share(*pair), (pair[0] - pair[1]).abs())]
    assert share[0] / share[1] == pytest.approx(1 / 0.15)


# --- which errors count


def at_rest() -> tuple[torch.Tensor, torch.Tensor]:
    """Warped and unmoved errors of a camera that did not move: they differ by how the warp rounds."""
    image, u = noise(1, 3, 40, 50), noise(1, 1, 40, 50, seed=1)
    source = (image + 0.2 * noise(1, 3, 40, 50, seed=2)).clamp(0, 1)[:, None]
    K = torch.tensor([[[29.0, 0.0, 24.5], [0.0, 29.0, 19.5], [0.0, 0.0, 1.0]]])
    warped = warped_errors(1 + 10 * u, image, source, K, torch.eye(4)[None, None])
    return warped, still_errors(image, source)


def test_noise_decides_ties_wherever_it_is_added_unless_it_is_too_small() -> None:
    warped, still = at_rest()
    assert 0 < (warped - still).abs().max() < 5e-6
    shares, agree = {}, {}
    torch.manual_seed(0)
    for least in (least_error, noise_on_warped):
        for size in (0.0, 1.2e-7, 1e-5):
            first, second = (least(warped, still, noise=size)[1] for _ in range(2))
            shares[least, size] = (first == 0).double().mean().item()
            agree[least, size] = (first == second).double().mean().item()
    for least in (least_error, noise_on_warped):
        assert shares[least, 1e-5] == pytest.approx(0.5, abs=0.03)
        assert agree[least, 1e-5] == pytest.approx(0.5, abs=0.05)
        assert agree[least, 1.2e-7] > 0.6
        assert agree[least, 0.0] == 1
    means = [least(warped, still, noise=1e-5)[0].mean().item() for least in (least_error, noise_on_warped)]
    assert means[0] == pytest.approx(means[1], abs=1e-6)


def four_pixels() -> tuple[torch.Tensor, torch.Tensor]:
    """Of two sources; the third pixel is won by an unmoved one."""
    warped = torch.tensor([[0.4, 0.2, 0.9, 0.5], [0.1, 0.6, 0.8, 0.3]]).view(1, 2, 1, 4)
    still = torch.tensor([[0.5, 0.3, 0.2, 0.4], [0.5, 0.9, 0.6, 0.9]]).view(1, 2, 1, 4)
    return warped.requires_grad_(), still


def of_four_pixels(least: Any, **options: Any) -> tuple[float, list[list[float]]]:
    """The mean of what counts, and four times its gradient."""
    warped, still = four_pixels()
    value = least(warped, still, **options)[0].mean()
    value.backward()
    return value.item(), (4 * warped.grad[0, :, 0]).tolist()


def test_masked_pixels_count_for_the_value_and_not_for_the_gradient() -> None:
    right, slope = of_four_pixels(least_error)
    assert (right, slope) == (pytest.approx((0.1 + 0.2 + 0.2 + 0.3) / 4), [[0, 1, 0, 0], [1, 0, 0, 1]])
    zero, same = of_four_pixels(masked_as_zero)
    assert (zero, same) == (pytest.approx(0.6 / 4), slope)
    left_out, larger = of_four_pixels(masked_left_out)
    assert left_out == pytest.approx(0.6 / 3)
    assert torch.allclose(torch.tensor(larger), 4 / 3 * torch.tensor(slope))
    mean, slope = of_four_pixels(masked_as_zero, minimum=False)
    assert mean == pytest.approx((0.25 + 0.4 + 0.4) / 4)  # the third has 0.85 against 0.4
    assert slope == [[0.5, 0.5, 0, 0.5]] * 2


def test_losses_with_and_without_masked_pixels_do_not_compare() -> None:
    slopes, values = {}, {}
    for least in (least_error, masked_as_zero, masked_left_out):
        arguments = example(scales=1)
        arguments["sigmoids"][0].requires_grad_()
        loss = loss_of_parts(**arguments, how=Reprojection(noise=0.0, smoothness=0.0), least=least)
        (slopes[least],) = torch.autograd.grad(loss, arguments["sigmoids"][0])
        values[least] = loss.item()
    assert torch.allclose(slopes[masked_as_zero], slopes[least_error])
    assert torch.allclose(slopes[masked_left_out], slopes[least_error] / 0.68506, rtol=1e-4, atol=1e-8)
    assert values[least_error] == pytest.approx(0.047247, abs=2e-6)
    assert values[masked_as_zero] == pytest.approx(0.019502, abs=2e-6)
    assert values[masked_left_out] == pytest.approx(values[masked_as_zero] / 0.68506, rel=1e-4)


def test_a_mean_over_everything_masks_nothing() -> None:
    value, slope = of_four_pixels(mean_with_still)
    assert value == pytest.approx(torch.cat(four_pixels()).mean().item())
    assert slope == [[0.25] * 4] * 2
    _, right = of_four_pixels(least_error, minimum=False)
    assert right == [[0.5, 0.5, 0, 0.5]] * 2


# --- smoothness


def test_without_the_mean_a_map_becomes_smooth_by_becoming_small() -> None:
    values, image = answer(), picture(0)
    for factor in (0.5, 7.0):
        cost = smoothness_unnormalised(factor * values, image).item()
        assert cost == pytest.approx(factor * smoothness_unnormalised(values, image).item(), rel=1e-5)
        same = edge_aware_smoothness(factor * values, image).item()
        assert same == pytest.approx(edge_aware_smoothness(values, image).item(), rel=1e-5)
    mean = values.mean().item()
    assert smoothness_unnormalised(values, image).item() == pytest.approx(
        mean * edge_aware_smoothness(values, image).item(), rel=1e-5
    )


def pushed(smoothness: Any) -> tuple[float, float]:
    """Of a factor for inverse depths, its inverse for motions: the loss's slope, and where 20 steps lead."""
    arguments = example(scales=1)
    log_factor = torch.zeros(1, requires_grad=True)
    optimizer, slopes = torch.optim.Adam([log_factor], lr=0.2), []
    for _ in range(20):
        inverse_depth = log_factor.exp() * sigmoid_to_inverse_depth(answer())
        T = scale_translation(arguments["T_source_target"], (-log_factor).exp()[None])
        errors = errors_of_parts(
            1 / inverse_depth, picture(0), arguments["sources"], arguments["K"], T, error=l1_at_its_share
        )
        loss = errors.mean() + 1e-3 * smoothness(inverse_depth, picture(0))
        optimizer.zero_grad()
        loss.backward()
        slopes.append(log_factor.grad.item())
        optimizer.step()
    return slopes[0], log_factor.exp().item()


def test_training_from_video_then_pushes_all_depth_outwards() -> None:
    slope, factor = pushed(smoothness_unnormalised)
    inverse_depth = sigmoid_to_inverse_depth(answer())
    assert slope == pytest.approx(1e-3 * smoothness_unnormalised(inverse_depth, picture(0)).item(), rel=1e-2)
    assert factor < 0.1
    assert abs(pushed(edge_aware_smoothness)[0]) < 0.01 * slope


def test_a_map_made_large_first_costs_less_the_smaller_it_was() -> None:
    ramp = torch.linspace(0.1, 0.9, 192).expand(1, 1, 64, 192)
    image = torch.zeros(1, 3, 64, 192)
    full = edge_aware_smoothness(ramp, image).item()
    for scale in (1, 2, 3):
        small = resize(ramp, (64 >> scale, 192 >> scale), mode="area")
        there = torch.zeros(1, 3, *small.shape[-2:])
        assert edge_aware_smoothness(small, there).item() == pytest.approx(2**scale * full, rel=0.03)
        assert smoothness_upsampled(small, image).item() == pytest.approx(full, rel=0.05)
    assert smoothness_upsampled(ramp, image).item() == full


@pytest.mark.parametrize(("depth", "share"), [(1.0, 0.99), (5.0, 0.95), (50.0, 0.5)])
def test_the_offset_of_the_inverse_depth_takes_its_part_of_the_mean(depth: float, share: float) -> None:
    waves = 1 + 0.5 * torch.sin(torch.arange(25.0) * 2 * math.pi / 25).expand(1, 1, 8, 25)
    sigmoid, image = (1 / depth - 0.01) / 9.99 * waves, torch.zeros(1, 3, 8, 25)
    ratio = smoothness_of_inverse_depth(sigmoid, image) / edge_aware_smoothness(sigmoid, image)
    assert ratio.item() == pytest.approx(share, abs=2e-3)
